#!/usr/bin/env python3
"""Installs and verifies bf16 weights with mpkg and, in the same run, with what people use instead;
then runs a training by hand and by `mpkg build`.

    cargo build --release && benches/install.py target/release/mpkg [--mib 1024] [--runs 3]

Prints medians of wall and CPU seconds, ratios and peak memory. Needs curl, sha256sum and python3. The server
is Python's own, on a free port of 127.0.0.1. mpkg checks a signature, hashes every byte, unpacks and
syncs; the peers do what their row says.
"""

import argparse
import os
import pathlib
import socket
import statistics
import subprocess
import sys
import tempfile
import time

from pack import measured, weights_apart

WEIGHTS = """[package]
name = "lm"
version = "1.0.0"
kind = "dataset"
summary = "Weights to measure with"
license = "CC0-1.0"
[[data]]
name = "weights"
urls = ["file://{weights}"]
sha256 = "{digest}"
size = {size}
license = "CC0-1.0"
[environment]
python = ">=3.8"
[[step]]
name = "copy"
run = ["python", "-c", "import shutil, sys; shutil.copyfile(*sys.argv[1:])", "{{data.weights}}", "{{out}}/model.safetensors"]
[[variant]]
name = "bf16"
from = "copy"
files = ["model.safetensors"]
"""

TRAINING = """import sys
state = 1
for _ in range({rounds}):
    state = (state * 6364136223846793005 + 1442695040888963407) % 2**64
open(sys.argv[1] + "/state.txt", "w").write(str(state))
"""

BUILD = """[package]
name = "training"
version = "1.0.0"
kind = "dataset"
summary = "A program that only computes"
license = "CC0-1.0"
[environment]
python = ">=3.8"
[[step]]
name = "train"
run = ["python", "train.py", "{out}"]
[[variant]]
name = "text"
from = "train"
files = ["state.txt"]
"""


def run(command, folder):
    """Runs a shell command that has to succeed."""
    subprocess.run(command, shell=True, cwd=folder, check=True, stdout=subprocess.DEVNULL)


def median(command, folder, runs, before):
    """Median wall and CPU seconds and greatest peak memory (MiB), with `before` run first each time."""
    results = []
    for _ in range(runs):
        run(before, folder)
        results.append(measured(command, folder))
    walls, processors, peaks = zip(*results)
    return statistics.median(walls), statistics.median(processors), max(peaks)


def served(folder):
    """A static server of a folder: its process and address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "http.server", str(port), "--bind", "127.0.0.1", "--directory", str(folder)]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    for _ in range(100):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return server, f"http://127.0.0.1:{port}"
        time.sleep(0.05)
    sys.exit("the server did not start")


def prepare(mpkg, folder, mib):
    """Makes weights, a package of them and a registry with it; returns the package's blob."""
    weights_apart(folder / "w.safetensors", mib, 1)
    digest = subprocess.check_output(["sha256sum", "w.safetensors"], cwd=folder, text=True).split()[0]
    tree = folder / "lm"
    tree.mkdir()
    size = (folder / "w.safetensors").stat().st_size
    manifest = WEIGHTS.format(weights=folder / "w.safetensors", digest=digest, size=size)
    (tree / "mpkg.toml").write_text(manifest)
    run(f"{mpkg} key new bench", folder)
    run(f"{mpkg} build lm && {mpkg} sign lm/dist/*.mpkg", folder)
    run(f"{mpkg} publish --create --to registry lm/dist/*.mpkg", folder)
    blobs = (folder / "registry/blobs").rglob("*")
    return max((blob for blob in blobs if blob.is_file()), key=lambda blob: blob.stat().st_size)


def overhead(mpkg, folder, runs, rounds):
    """Rows of a training by hand and in a build."""
    tree = folder / "training"
    tree.mkdir()
    (tree / "mpkg.toml").write_text(BUILD)
    (tree / "train.py").write_text(TRAINING.format(rounds=rounds))
    run(f"{mpkg} build training", folder)
    return [
        ("train", "mpkg build --fresh", *median(f"{mpkg} build --fresh training", folder, runs, "true")),
        ("train", "by hand", *median("mkdir -p hand && python3 training/train.py hand", folder, runs, "true")),
    ]


def main():
    """Prints the table."""
    flags = argparse.ArgumentParser(description=__doc__)
    flags.add_argument("mpkg", type=pathlib.Path)
    flags.add_argument("--mib", type=int, default=1024)
    flags.add_argument("--runs", type=int, default=3)
    flags.add_argument("--rounds", type=int, default=60_000_000)
    flags.add_argument("--folder", type=pathlib.Path)
    flags = flags.parse_args()
    with tempfile.TemporaryDirectory(dir=flags.folder) as folder:
        folder = pathlib.Path(folder)
        program = f"'{flags.mpkg.resolve()}' --quiet"
        mpkg = f"{program} --home home"
        blob = prepare(mpkg, folder, flags.mib)
        server, address = served(folder / "registry")
        fresh = "rm -rf user got && mkdir got"
        install = f"{program} --home user install lm --yes --registry"
        path = blob.relative_to(folder / "registry")
        try:
            rows = [
                ("install over HTTP", "mpkg install", *median(f"{install} {address}", folder, flags.runs, fresh)),
                ("install over HTTP", "curl, then sha256sum",
                 *median(f"curl -so got/lm {address}/{path} && sha256sum got/lm", folder, flags.runs, fresh)),
                ("install from a folder", "mpkg install", *median(f"{install} registry", folder, flags.runs, fresh)),
                ("install from a folder", "cp, then sha256sum",
                 *median(f"cp {blob} got/lm && sha256sum got/lm", folder, flags.runs, fresh)),
            ]
        finally:
            server.kill()
            server.wait()
        run(f"rm -rf user && {install} registry", folder)
        rows += [
            ("verify", "mpkg verify lm", *median(f"{program} --home user verify lm", folder, flags.runs, "true")),
            ("verify", "sha256sum", *median("sha256sum w.safetensors", folder, flags.runs, "true")),
            *overhead(mpkg, folder, flags.runs, flags.rounds),
        ]
    print(f"{flags.mib} MiB of bf16 weights, {os.cpu_count()} CPUs, median of {flags.runs}\n")
    print("| work | program | s | of ours | CPU s | peak MiB |\n|---|---|---|---|---|---|")
    for work, name, seconds, processor, peak in rows:
        ours = next(row[2] for row in rows if row[0] == work)
        print(f"| {work} | {name} | {seconds:.2f} | {seconds / ours:.2f} | {processor:.2f} | {peak:.0f} |")


if __name__ == "__main__":
    main()
