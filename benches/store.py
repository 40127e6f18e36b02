#!/usr/bin/env python3
"""Hashes an installed package of many small files again with mpkg and, in the same run, with sha256sum, and
measures how long mpkg takes to start.

    cargo build --release && benches/store.py target/release/mpkg [--files 20000] [--bytes 2048] [--runs 5]

Prints medians of wall and CPU seconds, ratios and peak memory; the commands of one kind of work take turns. With the
PyPI package `model-signing` (and `pyopenssl`) in the interpreter that runs this, `model_signing verify` is measured
as well; without it that row is left out, and that is said. `mpkg list` is started 50 times a run.
"""

import argparse
import importlib.util
import pathlib
import sys
import tempfile

from install import in_turns, print_table, run

MANIFEST = """[package]
name = "many"
version = "1.0.0"
kind = "dataset"
summary = "Small files to measure with"
license = "CC0-1.0"
[environment]
python = ">=3.8"
[[step]]
name = "write"
run = ["python", "write.py", "{{out}}", "{files}", "{bytes}"]
[[variant]]
name = "text"
from = "write"
files = ["files/*"]
"""

WRITE = """import pathlib, random, sys
folder = pathlib.Path(sys.argv[1], "files")
folder.mkdir()
source = random.Random(1)
for number in range(int(sys.argv[2])):
    (folder / f"{number:06}.txt").write_text(source.randbytes(int(sys.argv[3]) // 2).hex())
"""

STARTS = 50


def signed(mpkg, folder):
    """The command that verifies a model signature of the files, if model_signing is there."""
    if not importlib.util.find_spec("model_signing"):
        print("left out: model_signing verify (the PyPI package model-signing is not there)", file=sys.stderr)
        return []
    run(f"cp -r $({mpkg} path many)/files plain && {mpkg} export oms ./plain --key bench", folder)
    key = "home/keys/bench.p256.pub.pem"
    command = f"'{sys.executable}' -m model_signing verify key plain --signature plain/model.sig --public_key {key}"
    return [("model_signing verify", command, "true")]


def measure(program, folder, flags):
    """The rows of verifying and starting."""
    mpkg = f"{program} --home home"
    tree = folder / "many"
    tree.mkdir()
    (tree / "mpkg.toml").write_text(MANIFEST.format(files=flags.files, bytes=flags.bytes))
    (tree / "write.py").write_text(WRITE)
    run(f"{mpkg} key new bench && {mpkg} build many && {mpkg} sign many/dist/*.mpkg", folder)
    run(f"{mpkg} install --yes many/dist/many-1.0.0.text.mpkg", folder)
    yield from in_turns(f"verify {flags.files} files", [
        ("mpkg verify", f"{mpkg} verify many", "true"),
        ("find, xargs sha256sum", f"find $({mpkg} path many)/ -type f -print0 | xargs -0 sha256sum", "true"),
        *signed(mpkg, folder),
    ], folder, flags.runs)
    many = f"for run in $(seq {STARTS}); do %s; done"
    for work, name, wall, processor, peak in in_turns("start", [
        ("mpkg list", many % f"{mpkg} list", "true"),
        ("cat of an empty file", many % "cat /dev/null", "true"),
    ], folder, flags.runs):
        yield work, name, wall / STARTS, processor / STARTS, peak


def main():
    """Prints the table."""
    flags = argparse.ArgumentParser(description=__doc__)
    flags.add_argument("mpkg", type=pathlib.Path)
    flags.add_argument("--files", type=int, default=20000)
    flags.add_argument("--bytes", type=int, default=2048)
    flags.add_argument("--runs", type=int, default=5)
    flags = flags.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        rows = list(measure(f"'{flags.mpkg.resolve()}' --quiet", pathlib.Path(folder), flags))
    print_table(f"{flags.files} files of {flags.bytes} bytes, median of {flags.runs}", rows)


if __name__ == "__main__":
    main()
