"""Measures docs-lm with and without the adapter on the validation part of the Jargon File."""

import argparse
import json
import sys
from pathlib import Path


def measure(package: Path, base: Path, text: Path) -> dict[str, float]:
    """Computes both losses, in nats a token, and what the adapter gains."""
    from adapter import Adapter
    from batches import all_windows, encode_texts
    from jargon import read_entries
    from model import Model
    from package import load

    config, weights, tokenizer = load(base)
    tokens = encode_texts(tokenizer, read_entries(text, "validation"))
    losses = []
    for values in (weights, Adapter.load(package).applied_to(weights)):
        model = Model(config, values)
        windows = list(all_windows(tokens, 16, config.max_position_embeddings))
        loss = sum(model.loss(inputs, targets) * targets.size for inputs, targets in windows)
        losses.append(loss / sum(targets.size for _, targets in windows))
    return {
        "base_loss": round(losses[0], 4), "validation_loss": round(losses[1], 4),
        "gain": round(losses[0] - losses[1], 4),
    }


def main() -> None:
    """Prints the measurements as one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("package", type=Path, help="folder of the adapter")
    parser.add_argument("base", type=Path, help="folder of docs-lm, variant f32")
    parser.add_argument("text", type=Path, help="jargon.txt.gz")
    arguments = parser.parse_args()

    sys.path.append(str(arguments.base))
    print(json.dumps(measure(arguments.package, arguments.base, arguments.text)))


if __name__ == "__main__":
    main()
