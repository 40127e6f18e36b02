"""Fits a straight line to readings by least squares, in exact fractions, and measures one that was fitted."""

import argparse
import csv
import json
from fractions import Fraction
from pathlib import Path


def readings(path: Path) -> list[tuple[Fraction, Fraction]]:
    """The pairs of a CSV file with the columns x and y."""
    with path.open(newline="") as file:
        return [(Fraction(row["x"]), Fraction(row["y"])) for row in csv.DictReader(file)]


def fitted(pairs: list[tuple[Fraction, Fraction]]) -> tuple[Fraction, Fraction]:
    """Slope and offset of the line with the smallest squared error."""
    count = len(pairs)
    x = sum(x for x, _ in pairs) / count
    y = sum(y for _, y in pairs) / count
    slope = sum((a - x) * (b - y) for a, b in pairs) / sum((a - x) ** 2 for a, _ in pairs)
    return slope, y - slope * x


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--readings", type=Path, required=True)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--line", type=Path)
    arguments = parser.parse_args()
    pairs = readings(arguments.readings)
    if arguments.line:
        line = json.loads(arguments.line.read_text())
        slope, offset = Fraction(line["slope"]), Fraction(line["offset"])
        error = sum(abs(y - slope * x - offset) for x, y in pairs) / len(pairs)
        print(json.dumps({"mean_absolute_error": float(error)}))
        return
    slope, offset = fitted(pairs)
    line = {"slope": str(slope), "offset": str(offset)}
    (arguments.out / "line.json").write_text(json.dumps(line, indent=1) + "\n")


if __name__ == "__main__":
    main()
