"""Measures the packed model: evaluate.py PACKAGE VALIDATION."""

import json
import os
import sys

import characters
import tensors


def main(package, validation_path):
    _, table = tensors.read(os.path.join(package, "model.safetensors"))["follow"]
    with open(validation_path, encoding="utf-8") as file:
        numbers = characters.encode(file.read())
    print(json.dumps({"bits_per_character": round(characters.bits(table, numbers), 4)}))


if __name__ == "__main__":
    main(*sys.argv[1:])
