"""Continues a text with the model that lies beside this file. Needs Python and numpy, nothing else."""

import argparse
import json
from pathlib import Path

import numpy as np

from bpe import Tokenizer
from exact import Random, on_grid, softmax
from model import Model
from package import load


def choose(scores: np.ndarray, temperature: float, choices: int, random: Random) -> int:
    """Picks a token: the best at temperature 0, else one of the best few, by chance."""
    best = np.argsort(-scores, kind="stable")[:choices]
    if temperature == 0.0:
        return int(best[0])
    probabilities = softmax(scores[best] / temperature)
    shares = np.cumsum(on_grid(probabilities, 40))
    drawn = random.uniform((1,), 0.5)[0] + 0.5
    return int(best[min(np.searchsorted(shares, drawn, side="right"), choices - 1)])


def continue_text(model: Model, tokenizer: Tokenizer, prompt: str, length: int, temperature: float, seed: int) -> str:
    """Adds up to `length` tokens to a prompt; ends where the model ends the text."""
    random = Random(seed)
    tokens = [tokenizer.end_of_text, *tokenizer.encode(prompt)]
    for _ in range(length):
        window = np.array([tokens[-model.config.max_position_embeddings:]])
        token = choose(model.logits(window)[0, -1], temperature, 40, random)
        if token == tokenizer.end_of_text:
            break
        tokens.append(token)
    return tokenizer.decode(tokens)


def main() -> None:
    """Prints the text on one line, or with --keep-lines as it is."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, default=Path(__file__).parent, help="folder of the model")
    parser.add_argument("--prompt", default="Returns the shortest path")
    parser.add_argument("--tokens", type=int, default=60, help="how many to add at most")
    parser.add_argument("--temperature", type=float, default=0.7, help="0 always takes the likeliest token")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep-lines", action="store_true", help="do not join lines")
    parser.add_argument("--json", action="store_true", help="print a JSON object: text, and characters added")
    arguments = parser.parse_args()

    config, weights, tokenizer = load(arguments.model)
    model = Model(config, weights)
    text = continue_text(
        model, tokenizer, arguments.prompt, arguments.tokens, arguments.temperature, arguments.seed
    )
    added = len(text) - len(arguments.prompt)
    if not arguments.keep_lines:
        text = " ".join(text.split())
    print(json.dumps({"text": text, "characters": added}) if arguments.json else text)


if __name__ == "__main__":
    main()
