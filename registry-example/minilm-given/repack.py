"""Copies given weights and what belongs to them, or counts the parameters of a file of weights."""

import argparse
import json
import math
import shutil
from pathlib import Path

FILES = ["config.json", "model.safetensors", "special_tokens_map.json", "tokenizer.json", "tokenizer_config.json"]


def parameters(path: Path) -> int:
    """How many numbers a safetensors file holds."""
    with path.open("rb") as file:
        header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
    return sum(math.prod(tensor["shape"]) for name, tensor in header.items() if name != "__metadata__")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--given", type=Path)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--count", type=Path)
    arguments = parser.parse_args()
    if arguments.count:
        print(json.dumps({"parameters": parameters(arguments.count)}))
        return
    for name in FILES:
        shutil.copyfile(arguments.given / name, arguments.out / name)
    shutil.copyfile(arguments.given / "README.md", arguments.out / "MODEL-CARD.md")


if __name__ == "__main__":
    main()
