#!/usr/bin/env python3
"""Runs trainings by `mpkg build`, by `mpkg rebuild` and by hand, in turns, with the same interpreter and variables.

    cargo build --release && benches/build.py target/release/mpkg [--runs 3] [--seconds 20]

Prints medians of wall and CPU seconds, and their ratios. One training only computes, one uses numpy (fetched
once from PyPI, before anything is measured), one writes and reads many small files. By hand means: the interpreter that the
build found, in the environment that it made, without a sandbox; only the build also hashes, packs and syncs, and only
the rebuild compares the two packages as well.
"""

import argparse
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import tempfile

from pack import measured

MANIFEST = """[package]
name = "{name}"
version = "1.0.0"
kind = "dataset"
summary = "A training to measure with"
license = "CC0-1.0"
[environment]
python = ">=3.11"
{lock}
[[step]]
name = "train"
run = ["python", "train.py", "{{out}}", "{rounds}"]
resources = {{ cpus = 1 }}
[[variant]]
name = "text"
from = "train"
files = ["state.txt"]
"""

# Each ends with its result in state.txt; a round takes about a second.
TRAININGS = {
    "computing": """import sys
state = 1
for _ in range(int(sys.argv[2]) * 12_000_000):
    state = (state * 6364136223846793005 + 1442695040888963407) % 2**64
open(sys.argv[1] + "/state.txt", "w").write(str(state))
""",
    "numpy": """import sys
import numpy
state = numpy.random.default_rng(1).standard_normal((512, 512), dtype=numpy.float32)
weights = state / 30
for _ in range(int(sys.argv[2]) * 130):
    state = numpy.tanh(state @ weights)
open(sys.argv[1] + "/state.txt", "w").write(str(float(state.sum())))
""",
    "files": """import os, sys, tempfile
total = 0
with tempfile.TemporaryDirectory() as folder:
    for number in range(int(sys.argv[2]) * 20_000):
        path = os.path.join(folder, str(number % 500))
        with open(path, "w") as file:
            file.write(str(number))
        total += os.stat(path).st_size
open(sys.argv[1] + "/state.txt", "w").write(str(total))
""",
}


def run(command, folder):
    """Runs a shell command that has to succeed."""
    subprocess.run(command, shell=True, cwd=folder, check=True, stdout=subprocess.DEVNULL)


def by_hand(folder, home, name, rounds):
    """The command that runs the training as the build does, but for the sandbox."""
    record = json.loads(next((folder / name / "dist").glob("*.build.json")).read_text())
    wheels = len(record["environment"]["wheels"])
    for environment in (home / "cache/environments").iterdir():
        listed = environment / "wheels.json"
        if listed.is_file() and len(json.loads(listed.read_text())) == wheels:
            break
    variables = {"PATH": f"{environment}/bin:/usr/bin:/bin", "TZ": "UTC", "LANG": "C.UTF-8", "LC_ALL": "C.UTF-8",
                 "PYTHONHASHSEED": "0", "PYTHONDONTWRITEBYTECODE": "1", "PYTHONNOUSERSITE": "1",
                 "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "TMPDIR": str(folder)}
    words = " ".join(f"{key}={value}" for key, value in variables.items())
    (folder / "hand").mkdir(exist_ok=True)
    return f"env -i {words} python {name}/train.py hand {rounds}"


def main():
    """Prints the table."""
    flags = argparse.ArgumentParser(description=__doc__)
    flags.add_argument("mpkg", type=pathlib.Path)
    flags.add_argument("--runs", type=int, default=3)
    flags.add_argument("--seconds", type=int, default=20)
    flags.add_argument("--folder", type=pathlib.Path)
    flags = flags.parse_args()
    numpy = pathlib.Path(__file__).resolve().parent.parent / "registry-example/docs-lm/requirements.txt"
    rows = []
    with tempfile.TemporaryDirectory(dir=flags.folder) as folder:
        folder = pathlib.Path(folder)
        home = folder / "home"
        mpkg = f"'{flags.mpkg.resolve()}' --quiet --home {home}"
        for name, training in TRAININGS.items():
            tree = folder / name
            tree.mkdir()
            lock = ""
            if name == "numpy":
                shutil.copy(numpy, tree / "requirements.txt")
                lock = 'lock = "requirements.txt"'
            text = MANIFEST.format(name=name, lock=lock, rounds=flags.seconds)
            (tree / "mpkg.toml").write_text(text)
            (tree / "train.py").write_text(training)
            run(f"{mpkg} build {name}", folder)
            commands = [f"{mpkg} build --fresh {name}",
                        f"{mpkg} rebuild {name}/dist/{name}-1.0.0.text.mpkg --out rebuilt",
                        by_hand(folder, home, name, flags.seconds)]
            results = [[], [], []]
            for _ in range(flags.runs):
                for command, found in zip(commands, results):
                    found.append(measured(command, folder))
            rows.append((name, *(list(map(statistics.median, zip(*found))) for found in results)))
    print(f"Trainings of about {flags.seconds} s, {os.cpu_count()} CPUs, median of {flags.runs}\n")
    print("| training | by | s | of by hand | CPU s | of by hand |\n|---|---|---|---|---|---|")
    for name, *results in rows:
        for way, (seconds, cpu, _) in zip(["mpkg build", "mpkg rebuild", "hand"], results):
            hand = results[-1]
            print(f"| {name} | {way} | {seconds:.2f} | {seconds / hand[0]:.3f} | {cpu:.2f} | {cpu / hand[1]:.3f} |")


if __name__ == "__main__":
    main()
