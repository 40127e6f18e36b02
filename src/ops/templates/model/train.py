"""Trains the model: train.py TRAIN VALIDATION OUT [--resume CHECKPOINT] [--until CHECKPOINT].

The text is read in parts. After each a checkpoint is written: what was counted, and how many parts
of the text that was. From a checkpoint the training goes on as if it had never stopped.
"""

import argparse
import json
import os

import characters
import tensors

PARTS = 4
SMOOTHINGS = [1.0, 0.3, 0.1, 0.03, 0.01]
SHAPE = (characters.SIZE, characters.SIZE)


def read(path):
    with open(path, encoding="utf-8") as file:
        return characters.encode(file.read())


def loss(counts, smoothing, validation):
    return characters.bits(characters.likelihoods(counts, smoothing), validation)


def count(train, validation, out, resume, until):
    """What is counted in all parts; nothing where the training ends with the checkpoint `until`."""
    counts, done = [0] * characters.SIZE**2, 0
    if resume:
        checkpoint = tensors.read(resume)
        (_, counts), (_, [done]) = checkpoint["counts"], checkpoint["parts"]
    os.makedirs(os.path.join(out, "checkpoints"))
    for part in range(int(done), PARTS):
        first, last = len(train) * part // PARTS, len(train) * (part + 1) // PARTS
        characters.count(counts, train[first : last + 1])
        bits = loss(counts, 0.1, validation)
        print(json.dumps({"step": part + 1, "of": PARTS, "loss": round(bits, 4)}), flush=True)
        name = f"checkpoints/part-{part + 1}.safetensors"
        state = {"counts": (SHAPE, counts), "parts": ((1,), [part + 1])}
        tensors.write(os.path.join(out, name), state, {"step": str(part + 1)})
        if name == until:
            return None
    return counts


def main():
    parser = argparse.ArgumentParser()
    for name in ["train", "validation", "out", "--resume", "--until"]:
        parser.add_argument(name)
    arguments = parser.parse_args()
    validation = read(arguments.validation)
    train, out = read(arguments.train), arguments.out
    counts = count(train, validation, out, arguments.resume, arguments.until)
    if counts is None:
        return
    smoothing = min(SMOOTHINGS, key=lambda smoothing: loss(counts, smoothing, validation))
    table = characters.likelihoods(counts, smoothing)
    tensors.write(os.path.join(out, "model.safetensors"), {"follow": (SHAPE, table)})
    config = {
        "characters": characters.CHARACTERS,
        "model_type": "character-bigram",
        "smoothing": str(smoothing),
    }
    with open(os.path.join(out, "config.json"), "w", encoding="utf-8") as file:
        json.dump(config, file, indent=2, sort_keys=True)
        file.write("\n")


if __name__ == "__main__":
    main()
