"""Measures the packed tokenizer: evaluate.py PACKAGE VALIDATION."""

import json
import os
import sys

import bpe


def main(package, validation_path):
    tokenizer = bpe.Tokenizer(os.path.join(package, "tokenizer.json"))
    with open(validation_path, encoding="utf-8") as file:
        text = file.read()
    numbers = tokenizer.encode(text)
    lost = 0 if tokenizer.decode(numbers) == text else len(text)
    print(json.dumps({"characters_per_token": round(len(text) / len(numbers), 4), "lost_characters": lost}))


if __name__ == "__main__":
    main(*sys.argv[1:])
