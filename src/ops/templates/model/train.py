"""Trains the model: train.py TRAIN VALIDATION OUT."""

import json
import os
import sys

import characters
import tensors

SMOOTHINGS = [1.0, 0.3, 0.1, 0.03, 0.01]


def read(path):
    with open(path, encoding="utf-8") as file:
        return characters.encode(file.read())


def main(train_path, validation_path, out):
    train, validation = read(train_path), read(validation_path)
    best = None
    for step, smoothing in enumerate(SMOOTHINGS, 1):
        table = characters.follow(train, smoothing)
        loss = characters.bits(table, validation)
        print(json.dumps({"step": step, "of": len(SMOOTHINGS), "loss": round(loss, 4)}), flush=True)
        if best is None or loss < best[0]:
            best = (loss, smoothing, table)
    _, smoothing, table = best
    shape = (characters.SIZE, characters.SIZE)
    tensors.write(os.path.join(out, "model.safetensors"), {"follow": (shape, table)})
    config = {
        "characters": characters.CHARACTERS,
        "model_type": "character-bigram",
        "smoothing": str(smoothing),
    }
    with open(os.path.join(out, "config.json"), "w", encoding="utf-8") as file:
        json.dump(config, file, indent=2, sort_keys=True)
        file.write("\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
