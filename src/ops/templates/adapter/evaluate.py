"""Measures the packed adapter against its base: evaluate.py PACKAGE VALIDATION."""

import json
import os
import sys

import characters
import lowrank
import tensors


def lines(entry):
    """A tensor's rows."""
    (count, length), values = entry
    return [values[row * length : (row + 1) * length] for row in range(count)]


def main(package, validation_path):
    _, base = tensors.read(os.path.join(package, "base.safetensors"))["follow"]
    factors = tensors.read(os.path.join(package, "adapter.safetensors"))
    with open(validation_path, encoding="utf-8") as file:
        numbers = characters.encode(file.read())
    before = characters.bits(base, numbers)
    after = characters.bits(
        lowrank.adapted(base, lines(factors["down"]), lines(factors["across"])), numbers
    )
    print(json.dumps({"before": round(before, 4), "after": round(after, 4), "bits_saved": round(before - after, 4)}))


if __name__ == "__main__":
    main(*sys.argv[1:])
