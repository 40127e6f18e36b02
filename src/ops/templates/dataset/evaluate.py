"""Counts what is in the packed dataset: evaluate.py PACKAGE."""

import json
import os
import sys


def main(package):
    paragraphs = []
    for part in ["train.txt", "validation.txt"]:
        with open(os.path.join(package, part), encoding="utf-8") as file:
            paragraphs += [text for text in file.read().strip().split("\n\n") if text]
    duplicates = len(paragraphs) - len(set(paragraphs))
    print(json.dumps({"paragraphs": len(paragraphs), "duplicates": duplicates}))


if __name__ == "__main__":
    main(*sys.argv[1:])
