#!/usr/bin/env python3
"""Measures `mpkg licenses` on a tree with many data references, each with evidence of its own, without the network.

    python benches/licences.py --mpkg target/release/mpkg [--references 1000]

The evidence is of four kinds, in turn: a text of the MIT licence with another name in it, a Debian `copyright` file, a
sentence, an SPDX tag. The first run recognises every text; the second finds them remembered. Prints the best of three
of each in seconds, and the largest memory of the first.
"""

import argparse
import json
import os
import resource
import subprocess
import tempfile
import time
from pathlib import Path

MIT = (Path(__file__).parent.parent / "registry-example/fashion-classifier/LICENSES/MIT.txt").read_text()
KINDS = [
    ("MIT", lambda n: f"Copyright (c) 2026 Number {n}\n{MIT}"),
    (
        "GPL-2.0-or-later",
        lambda n: "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n\n"
        f"Files: *\nCopyright: Number {n}\nLicense: GPL-2+\n",
    ),
    ("CC-BY-4.0", lambda n: f"Text {n} is at https://creativecommons.org/licenses/by/4.0/ for all.\n"),
    ("Apache-2.0", lambda n: f"# {n}\n# SPDX-License-Identifier: Apache-2.0\n"),
]


def write_tree(tree: Path, references: int) -> None:
    manifest = [
        '[package]\nname = "many"\nversion = "1.0.0"\nkind = "dataset"\nsummary = "Many"\nlicense = "GPL-3.0-or-later"\n'
        '[[step]]\nname = "copy"\nrun = ["cp", "page.txt", "{out}"]\n'
        '[[variant]]\nname = "text"\nfrom = "copy"\nfiles = ["page.txt"]\n'
    ]
    (tree / "evidence").mkdir(parents=True)
    (tree / "page.txt").write_text("A page\n")
    for number in range(references):
        license, text = KINDS[number % len(KINDS)]
        (tree / f"evidence/{number}").write_text(text(number))
        manifest.append(
            f'[[data]]\nname = "d{number}"\npath = "page.txt"\nlicense = "{license}"\nlicense-evidence = "evidence/{number}"\n'
        )
    (tree / "mpkg.toml").write_text("\n".join(manifest))


def seconds(mpkg: str, tree: Path, home: Path, references: int) -> float:
    environment = {"PATH": os.environ["PATH"], "MPKG_HOME": str(home)}
    start = time.perf_counter()
    run = subprocess.run([mpkg, "--offline", "licenses", str(tree), "--json"], env=environment, capture_output=True)
    taken = time.perf_counter() - start
    found = json.loads(run.stdout)
    checked = sum(fact["level"] == "checked" and fact["what"] == "data" for fact in found["facts"])
    assert checked == references, f"{checked} of {references} were checked: {found['findings'][:3]}"
    return taken


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mpkg", required=True)
    parser.add_argument("--references", type=int, default=1000)
    arguments = parser.parse_args()
    mpkg = str(Path(arguments.mpkg).resolve())
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder) / "tree"
        write_tree(tree, arguments.references)
        first = [seconds(mpkg, tree, Path(folder) / f"home{run}", arguments.references) for run in range(3)]
        peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024
        again = [seconds(mpkg, tree, Path(folder) / "home0", arguments.references) for _ in range(3)]
    print(f"{arguments.references} references: first {min(first):.2f} s ({peak} MB), again {min(again):.2f} s")


if __name__ == "__main__":
    main()
