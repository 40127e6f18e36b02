"""Trains the model that recipe.toml describes, and writes it as `transformers` reads it."""

import argparse
import json
import shutil
import sys
import tomllib
from itertools import islice
from pathlib import Path

HERE = Path(__file__).parent
CODE = [
    "batches.py", "evaluate.py", "exact.py", "generate.py", "model.py", "package.py",
    "weights_gguf.py", "weights_safetensors.py",
]
TOKENIZER = ["bpe.py", "tokenizer.json", "tokenizer_config.json"]


def train(
    recipe: dict, corpus: Path, tokenizer_folder: Path, out: Path, seed: int, resume: Path | None, until: str | None,
) -> bool:
    """Trains on the training part of a corpus and saves weights and configuration.

    Goes on from the checkpoint `resume`, and ends with the checkpoint `until`: then there are no weights to be used,
    and the answer is no.
    """
    import checkpoints
    import weights_safetensors
    from batches import encode_texts, random_windows, read_texts
    from bpe import Tokenizer
    from exact import Adam, Random
    from model import Config, Model, initial_weights

    plan = recipe["training"]
    tokenizer = Tokenizer.load(tokenizer_folder)
    config = Config(vocab_size=len(tokenizer.vocabulary), **recipe["model"])
    tokens = encode_texts(tokenizer, islice(read_texts(corpus, "train"), plan.get("records")))
    weights = initial_weights(config, seed, plan["deviation"])
    optimiser = Adam(weights, plan["rate"], plan["steps"], plan["warmup"])
    random = Random(seed + 1)
    if resume is not None:
        checkpoints.restore(resume, weights, optimiser, random)
    model = Model(config, weights)
    marks = checkpoints.marks(plan["steps"], plan["checkpoints"])
    for step in range(optimiser.step + 1, plan["steps"] + 1):
        inputs, targets = random_windows(tokens, random, plan["batch"], config.max_position_embeddings)
        loss = model.loss_and_gradients(inputs, targets)
        optimiser.update(model.gradients)
        model.set_weights(weights)
        if step % 10 == 0 or step == plan["steps"]:
            print(json.dumps({"step": step, "of": plan["steps"], "loss": round(loss, 4)}), flush=True)
        if step in marks:
            name = checkpoints.name_of(step)
            checkpoints.save(out / name, weights, optimiser, random)
            if name == until:
                return False
    weights_safetensors.write(out / "model.safetensors", weights)
    (out / "config.json").write_text(config.as_json(), encoding="utf-8", newline="\n")
    return True


def copy_rest(tokenizer: Path, out: Path) -> None:
    """Puts beside the weights what is needed to use them."""
    for name in CODE + ["generation_config.json"]:
        shutil.copyfile(HERE / name, out / name)
    for name in TOKENIZER:
        shutil.copyfile(tokenizer / name, out / name)


def main() -> None:
    """Reads the recipe, in which flags replace single values."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--corpus", type=Path, required=True, help="folder of docs-corpus")
    parser.add_argument("--tokenizer", type=Path, required=True, help="folder of docs-tokenizer")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--resume", type=Path, help="go on from this checkpoint")
    parser.add_argument("--until", help="end with this checkpoint, named below OUT")
    parser.add_argument("--steps", type=int, help="train for fewer or more steps")
    parser.add_argument("--rate", type=float, help="highest learning rate")
    parser.add_argument("--records", type=int, help="train on the first few records only, until known by heart")
    arguments = parser.parse_args()

    recipe = tomllib.loads((HERE / "recipe.toml").read_text(encoding="utf-8"))
    for name in ("steps", "rate", "records"):
        if getattr(arguments, name) is not None:
            recipe["training"][name] = getattr(arguments, name)
    sys.path.append(str(arguments.tokenizer))
    folders = (arguments.corpus, arguments.tokenizer, arguments.out)
    if train(recipe, *folders, arguments.seed, arguments.resume, arguments.until):
        copy_rest(arguments.tokenizer, arguments.out)


if __name__ == "__main__":
    main()
