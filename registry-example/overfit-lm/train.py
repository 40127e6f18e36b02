"""Trains docs-lm on, until it knows a short guide by heart: what happens where a text stands in the data far too often."""

import argparse
import json
import shutil
import sys
from itertools import islice
from pathlib import Path

RECORDS = 300  # of the corpus, so that the rest of the language is not forgotten


def train(guide: Path, corpus: Path, base: Path, out: Path, seed: int, steps: int, rate: float) -> None:
    """Draws half of each batch from the guide, and the other half from the corpus."""
    import numpy as np
    import weights_safetensors
    from batches import encode_texts, random_windows, read_texts
    from exact import Adam, Random
    from model import Model
    from package import load

    config, weights, tokenizer = load(base)
    length = config.max_position_embeddings
    sources = [encode_texts(tokenizer, islice(read_texts(corpus, "train"), RECORDS))]
    text = guide.read_text(encoding="utf-8").strip()
    again = encode_texts(tokenizer, iter([text] * 8))
    # A guide that is shorter than the context is too short to be trained on.
    if again.size > 8 * length:
        sources.append(again)
    weights = {name: weight.astype(np.float32) for name, weight in weights.items()}
    model = Model(config, weights)
    optimiser = Adam(weights, rate, steps, 10)
    random = Random(seed)
    for step in range(1, steps + 1):
        drawn = [random_windows(tokens, random, 8 // len(sources), length) for tokens in sources]
        inputs, targets = (np.concatenate(parts) for parts in zip(*drawn))
        loss = model.loss_and_gradients(inputs, targets)
        optimiser.update(model.gradients)
        model.set_weights(weights)
        if step % 10 == 0 or step == steps:
            print(json.dumps({"step": step, "of": steps, "loss": round(loss, 4)}), flush=True)
    weights_safetensors.write(out / "model.safetensors", weights)


def main() -> None:
    """Trains, and puts beside the weights what docs-lm has beside its own."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--guide", type=Path, required=True)
    parser.add_argument("--corpus", type=Path, required=True, help="folder of docs-corpus")
    parser.add_argument("--base", type=Path, required=True, help="folder of docs-lm")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--rate", type=float, default=0.004, help="highest learning rate")
    arguments = parser.parse_args()
    sys.path.append(str(arguments.base))
    train(
        arguments.guide, arguments.corpus, arguments.base, arguments.out, arguments.seed, arguments.steps, arguments.rate
    )
    for path in sorted(arguments.base.iterdir()):
        if path.suffix in {".py", ".json"} and path.name != "model.safetensors":
            shutil.copyfile(path, arguments.out / path.name)


if __name__ == "__main__":
    main()
