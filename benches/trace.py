#!/usr/bin/env python3
"""Traces a passage in generated text with mpkg and, in the same run, looks for it with grep -F.

    cargo build --release && benches/trace.py target/release/mpkg [--mib 1024] [--runs 9]

Prints how fast text is indexed, and wall seconds (median) and peak memory of one whole `mpkg trace` of
a text of 400 bytes, warm, with a copy in it and without. grep looks for one passage that it is told;
mpkg for any passage of 50 bytes or more.
"""

import argparse
import hashlib
import os
import pathlib
import random
import statistics
import subprocess
import sys
import tempfile
import time

MANIFEST = """
[package]
name = "generated"
version = "1.0.0"
kind = "dataset"
summary = "Generated text"
license = "CC0-1.0"
[[data]]
name = "text"
urls = ["file:{path}"]
sha256 = "{sha256}"
size = {size}
license = "CC0-1.0"
[[step]]
name = "copy"
run = ["cp", "{{data.text}}", "{{out}}"]
[[variant]]
name = "text"
from = "copy"
files = ["**"]
"""


def sentences(mib, seed):
    """Blocks of text whose words are as frequent as in a natural language."""
    source = random.Random(seed)
    letters = "etaoinshrdlucmfwypvbgkjqxz"
    words = ["".join(source.choices(letters, range(26, 0, -1), k=source.randint(1, 9))) for _ in range(50_000)]
    weights = [1 / (rank + 3) for rank in range(len(words))]
    for _ in range(mib):
        text = ""
        chosen = source.choices(words, weights, k=260_000)
        text = " ".join(chosen).encode()[: (1 << 20) - 1] + b"\n"
        yield text.ljust(1 << 20, b"x")


def measured(command):
    """Exit code, wall seconds and peak memory in MiB of one run."""
    began = time.monotonic()
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(child.pid, 0)
    return os.waitstatus_to_exitcode(status), time.monotonic() - began, usage.ru_maxrss / 1024


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("mpkg", type=pathlib.Path)
    parser.add_argument("--mib", type=int, default=1024)
    parser.add_argument("--runs", type=int, default=9)
    options = parser.parse_args()
    mpkg = options.mpkg.resolve()
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        text, digest = folder / "text.txt", hashlib.sha256()
        # The memory of this process is a floor under the peaks: a child counts from that of its parent.
        middle = b""
        with open(text, "wb") as file:
            for number, block in enumerate(sentences(options.mib, 7)):
                file.write(block)
                digest.update(block)
                if number == options.mib // 2:
                    middle = block[500_000:500_120]
        size = text.stat().st_size
        tree = folder / "tree"
        tree.mkdir()
        manifest = MANIFEST.format(path=text, sha256=digest.hexdigest(), size=size)
        (tree / "mpkg.toml").write_text(manifest)
        fresh = b" ".join(hashlib.sha256(bytes([n])).hexdigest()[:7].encode() for n in range(60))[:400]
        copy = fresh[:140] + middle + fresh[260:]
        (folder / "copy.txt").write_bytes(copy)
        (folder / "fresh.txt").write_bytes(fresh)
        base = [mpkg, "--home", folder / "home", "trace", tree, "--file"]
        subprocess.run([mpkg, "--home", folder / "home", "fetch", tree], check=True, stdout=subprocess.DEVNULL)
        code, seconds, memory = measured([*base, folder / "fresh.txt"])
        print(f"indexing {size / 1e6:.0f} MB: {seconds:.1f} s, {size / 1e6 / seconds:.1f} MB/s, {memory:.0f} MiB")
        for name, expected in [("fresh", 0), ("copy", 1)]:
            runs = [measured([*base, folder / f"{name}.txt"]) for _ in range(options.runs)]
            if any(code != expected for code, _, _ in runs):
                sys.exit(f"{name}: {runs}")
            wall = statistics.median(seconds for _, seconds, _ in runs)
            print(f"mpkg trace, {name}: {wall * 1000:.1f} ms, {max(memory for _, _, memory in runs):.0f} MiB")
        runs = [measured(["grep", "-cF", middle.decode(), text]) for _ in range(3)]
        wall = statistics.median(seconds for _, seconds, _ in runs)
        print(f"grep -cF: {wall * 1000:.1f} ms, {max(memory for _, _, memory in runs):.0f} MiB")


if __name__ == "__main__":
    main()
