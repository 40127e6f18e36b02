"""Measures a model on the validation part of a corpus, by its own tokenizer."""

import argparse
import json
import math
from pathlib import Path

from batches import all_windows, encode_texts, read_texts
from model import Model
from package import load


def evaluate(package: Path, corpus: Path) -> dict[str, float]:
    """Computes the loss over side-by-side windows: nats a token, perplexity, and nats a character of the text."""
    config, weights, tokenizer = load(package)
    model = Model(config, weights)
    texts = list(read_texts(corpus, "validation"))
    tokens = encode_texts(tokenizer, iter(texts))
    loss = count = 0.0
    for inputs, targets in all_windows(tokens, 16, config.max_position_embeddings):
        loss += model.loss(inputs, targets) * targets.size
        count += targets.size
    loss /= count
    characters = sum(len(text) for text in texts)
    return {
        "validation_loss": round(loss, 4), "perplexity": round(math.exp(loss), 2),
        "nats_per_character": round(loss * tokens.size / characters, 4),
    }


def main() -> None:
    """Prints the measurements as one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("package", type=Path, help="folder of the model")
    parser.add_argument("corpus", type=Path, help="folder of docs-corpus")
    arguments = parser.parse_args()
    print(json.dumps(evaluate(arguments.package, arguments.corpus)))


if __name__ == "__main__":
    main()
