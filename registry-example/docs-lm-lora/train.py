"""Trains a low-rank adapter that turns docs-lm towards the Jargon File."""

import argparse
import json
import shutil
import sys
from pathlib import Path

HERE = Path(__file__).parent
CODE = ["adapter.py", "evaluate.py", "jargon.py", "merge.py"]


def train(base: Path, text: Path, out: Path, seed: int, steps: int, rate: float, batch: int) -> None:
    """Trains on the entries of the training part and saves the adapter."""
    from adapter import Adapter
    from batches import encode_texts, random_windows
    from exact import Adam, Random
    from jargon import read_entries
    from model import Model
    from package import load

    config, weights, tokenizer = load(base)
    tokens = encode_texts(tokenizer, read_entries(text, "train"))
    adapter = Adapter.initial(weights, seed)
    model = Model(config, weights)
    optimiser = Adam(adapter.matrices, rate, steps, warmup=steps // 10 + 1)
    random = Random(seed + 1)
    for step in range(1, steps + 1):
        inputs, targets = random_windows(tokens, random, batch, config.max_position_embeddings)
        loss = model.loss_and_gradients(inputs, targets)
        optimiser.update(adapter.gradients(model))
        model.set_weights(adapter.applied_to(weights))
        if step % 10 == 0 or step == steps:
            print(json.dumps({"step": step, "of": steps, "loss": round(loss, 4)}), flush=True)
    adapter.save(out)


def main() -> None:
    """Reads flags; the model's code comes with the base model's package."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--base", type=Path, required=True, help="folder of docs-lm, variant f32")
    parser.add_argument("--text", type=Path, required=True, help="jargon.txt.gz")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--steps", type=int, default=160)
    parser.add_argument("--rate", type=float, default=0.01, help="highest learning rate")
    parser.add_argument("--batch", type=int, default=8, help="windows a step")
    arguments = parser.parse_args()

    sys.path.append(str(arguments.base))
    train(
        arguments.base, arguments.text, arguments.out,
        arguments.seed, arguments.steps, arguments.rate, arguments.batch,
    )
    for name in CODE:
        shutil.copyfile(HERE / name, arguments.out / name)


if __name__ == "__main__":
    main()
