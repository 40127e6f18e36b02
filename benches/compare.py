#!/usr/bin/env python3
"""Compares two files of weights with mpkg and, in the same run, with what people use instead.

    cargo build --release && benches/compare.py target/release/mpkg [--mib 1024] [--runs 3]

Prints medians of wall and CPU seconds, ratios and peak memory. Needs cmp, cat and numpy. Files are
read warm. In `same` both hold the same bytes; in `one tensor` every value of one tensor of 32 MiB has
moved; in `every tensor` every value of all has. mpkg says for each tensor how many bytes changed, the relative
L2, the largest difference and the cosine; numpy is made to say the same of each tensor; cmp only reads
both to their ends where they are the same, and with `-l` lists each byte that differs.
"""

import argparse
import os
import pathlib
import statistics
import sys
import tempfile

from pack import measured, weights_apart

NUMPY = """import json, sys
import numpy as np

def tensors(path):
    data = np.memmap(path, np.uint8, "r")
    length = int(data[:8].view("<u8")[0])
    for name, entry in json.loads(bytes(data[8:8 + length])).items():
        start, end = (8 + length + place for place in entry["data_offsets"])
        yield name, data[start:end]

def values(stored):
    return (stored.view("<u2").astype(np.uint32) << 16).view(np.float32).astype(np.float64)

for (name, one), (_, other) in zip(tensors(sys.argv[1]), tensors(sys.argv[2])):
    changed = int(np.count_nonzero(one != other))
    if changed:
        a, b = values(one), values(other)
        d = a - b
        print(name, changed, np.sqrt((d @ d) / (a @ a)), np.abs(d).max(),
              (a @ b) / np.sqrt((a @ a) * (b @ b)))
"""


def moved(source, goal, tensors):
    """A copy of `source` in which the lowest bit of every value of the first tensors is flipped."""
    if os.fork() == 0:
        data = bytearray(pathlib.Path(source).read_bytes())
        start = 8 + int.from_bytes(data[:8], "little")
        flip = bytes(byte ^ 1 for byte in range(256))
        end = len(data) if tensors is None else start + tensors * (32 << 20)
        data[start:end:2] = data[start:end:2].translate(flip)
        pathlib.Path(goal).write_bytes(data)
        os._exit(0)
    if os.wait()[1]:
        sys.exit("the weights could not be written")


def row(work, name, command, folder, runs):
    seconds, cpu, peaks = zip(*(measured(f"{command}; true", folder) for _ in range(runs)))
    return work, name, statistics.median(seconds), statistics.median(cpu), max(peaks)


def main():
    flags = argparse.ArgumentParser(description=__doc__)
    flags.add_argument("mpkg", type=pathlib.Path)
    flags.add_argument("--mib", type=int, default=1024)
    flags.add_argument("--runs", type=int, default=3)
    flags.add_argument("--folder", type=pathlib.Path)
    flags = flags.parse_args()
    mpkg = f"'{flags.mpkg.resolve()}' --quiet --home home diff"
    rows = []
    with tempfile.TemporaryDirectory(dir=flags.folder) as folder:
        folder = pathlib.Path(folder)
        (folder / "distances.py").write_text(NUMPY)
        weights_apart(folder / "a.safetensors", flags.mib, 1)
        for work, tensors, cmp in [("same", 0, "cmp"), ("one tensor", 1, "cmp -l"),
                                   ("every tensor", None, None)]:
            moved(folder / "a.safetensors", folder / "b.safetensors", tensors)
            pair = "a.safetensors b.safetensors"
            rows += [
                row(work, "mpkg diff", f"{mpkg} {pair}", folder, flags.runs),
                row(work, "cat, reading alone", f"cat {pair} > /dev/null", folder, flags.runs),
                row(work, "numpy", f"'{sys.executable}' distances.py {pair}", folder, flags.runs),
            ]
            if cmp:
                rows.append(row(work, cmp, f"{cmp} {pair} | wc -l", folder, flags.runs))
    print(f"two times {flags.mib} MiB of bf16 weights, {os.cpu_count()} CPUs, median of {flags.runs}\n")
    print("| pair | program | s | of ours | CPU s | peak MiB |\n|---|---|---|---|---|---|")
    ours = {work: seconds for work, name, seconds, *_ in rows if name == "mpkg diff"}
    for work, name, seconds, cpu, peak in rows:
        print(f"| {work} | {name} | {seconds:.2f} | {seconds / ours[work]:.2f} | {cpu:.2f} | {peak:.0f} |")


if __name__ == "__main__":
    main()
