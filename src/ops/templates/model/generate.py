"""Writes text: generate.py [BEGINNING [SEED]]."""

import os
import random
import sys

import characters
import tensors


def main(beginning="The ", seed="1"):
    folder = os.path.dirname(os.path.abspath(__file__))
    _, table = tensors.read(os.path.join(folder, "model.safetensors"))["follow"]
    chance = random.Random(int(seed))
    numbers = characters.encode(beginning)
    for _ in range(200):
        row = table[numbers[-1] * characters.SIZE : (numbers[-1] + 1) * characters.SIZE]
        numbers += chance.choices(range(characters.SIZE), row)
    print("".join(characters.CHARACTERS[number] for number in numbers))


if __name__ == "__main__":
    main(*sys.argv[1:])
