"""Cleans the raw text: clean.py RAW OUT.

A paragraph stays if it is long enough and was not there before. Every fifth one goes into the
validation set, chosen by its own digest, so that a paragraph added later moves no other one.
"""

import hashlib
import json
import os
import sys

SHORTEST = 20


def main(raw_path, out):
    with open(raw_path, encoding="utf-8") as file:
        raw = file.read().split("\n\n")
    seen, parts = set(), {"train": [], "validation": []}
    statistics = {"raw": len(raw), "too_short": 0, "duplicate": 0}
    for paragraph in raw:
        clean = " ".join(paragraph.split())
        digest = hashlib.sha256(clean.encode()).hexdigest()
        if len(clean) < SHORTEST:
            statistics["too_short"] += 1
        elif digest in seen:
            statistics["duplicate"] += 1
        else:
            seen.add(digest)
            part = "validation" if int(digest, 16) % 5 == 0 else "train"
            parts[part].append(clean)
    for part, paragraphs in parts.items():
        statistics[part] = len(paragraphs)
        with open(os.path.join(out, part + ".txt"), "w", encoding="utf-8") as file:
            file.write("\n\n".join(paragraphs) + "\n")
    with open(os.path.join(out, "statistics.json"), "w", encoding="utf-8") as file:
        json.dump(statistics, file, indent=2, sort_keys=True)
        file.write("\n")
    print(json.dumps({"step": 1, "of": 1, **statistics}))


if __name__ == "__main__":
    main(*sys.argv[1:])
