"""Trains the adapter: adapt.py BASE TRAIN VALIDATION OUT RANK."""

import json
import os
import shutil
import sys

import characters
import lowrank
import tensors


def read(path):
    with open(path, encoding="utf-8") as file:
        return characters.encode(file.read())


def main(base_folder, train_path, validation_path, out, rank):
    base_path = os.path.join(base_folder, "model.safetensors")
    _, base = tensors.read(base_path)["follow"]
    goal = characters.follow(read(train_path), 0.1)
    validation = read(validation_path)
    down, across = [], []
    change = [wanted - given for wanted, given in zip(goal, base)]
    for step, column, row in lowrank.products(change, int(rank)):
        down.append(column)
        across.append(row)
        loss = characters.bits(lowrank.adapted(base, down, across), validation)
        print(json.dumps({"step": step, "of": int(rank), "loss": round(loss, 4)}), flush=True)
    flat = lambda lines: [entry for line in lines for entry in line]
    shape = (len(down), characters.SIZE)
    factors = {"down": (shape, flat(down)), "across": (shape, flat(across))}
    tensors.write(os.path.join(out, "adapter.safetensors"), factors)
    shutil.copyfile(base_path, os.path.join(out, "base.safetensors"))
    config = {"adapter_type": "low-rank", "base_model": "base.safetensors", "rank": len(down)}
    with open(os.path.join(out, "adapter_config.json"), "w", encoding="utf-8") as file:
        json.dump(config, file, indent=2, sort_keys=True)
        file.write("\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
