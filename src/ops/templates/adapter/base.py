"""Makes the base model: base.py TEXT OUT."""

import os
import sys

import characters
import tensors


def main(path, out):
    with open(path, encoding="utf-8") as file:
        table = characters.follow(characters.encode(file.read()), 0.1)
    shape = (characters.SIZE, characters.SIZE)
    tensors.write(os.path.join(out, "model.safetensors"), {"follow": (shape, table)})


if __name__ == "__main__":
    main(*sys.argv[1:])
