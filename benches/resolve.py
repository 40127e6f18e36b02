#!/usr/bin/env python3
"""Resolves one wish among very many names, each in ten versions, and beside it what apt-get resolves on this machine.

    cargo build --release && benches/resolve.py target/release/mpkg [--names 100000] [--debian inkscape] [--runs 5]

`mpkg install NAME --dry-run` starts, believes the registry's metadata, reads the indexes that the wish leads to, solves,
and checks the publishers' signatures of what it chose; `apt-get -s install` reads its lists, solves, and checks none.
Prints medians of wall and CPU seconds, peak memory, how many packages each chose, and how many files of the registry
mpkg opened (with strace, where it is there). Cold means: nothing of the registry was read before but its root; the disk's
cache is warm for both. The registry is a folder, written by `many.py`: each name depends on up to four others, popular
ones more often than not; newer versions want newer ones; one wish in ten holds a name back.
"""

import argparse
import pathlib
import random
import re
import shutil
import subprocess
import sys
import tempfile

from install import in_turns, print_table, run
from lookup import forget
from many import Many, name_of

VERSIONS = [f"{major}.{minor}.0" for major in (1, 2) for minor in range(5)]


def wishes_of(number, source):
    """What the versions of a name depend on: other names of lower numbers, mostly of the first ones."""
    names = {int(number * source.random() ** 3) for _ in range(source.randrange(5))} if number else set()
    held = {name: source.random() < 0.1 for name in sorted(names)}

    def of(version):
        major, minor = version.split(".")[:2]
        wish = {name: f"~{major}.2" if hold and minor >= "2" else f"^{major}" for name, hold in held.items()}
        return [(name_of(name), wish) for name, wish in wish.items()]
    return sorted(names), [(version, of(version)) for version in VERSIONS]


def generate(program, folder, names, bins, packages):
    """Writes the registry; gives the name whose closure has about so many packages."""
    source = random.Random(1)
    graph = [wishes_of(number, source) for number in range(names)]
    chosen, best = None, None
    for number in range(names - 1, max(names - 400, 0), -1):
        reached = closure(graph, number)
        if best is None or abs(len(reached) - packages) < abs(len(best) - packages):
            chosen, best = number, reached
    many = Many(program, folder, bins)
    for number, (_, releases) in enumerate(graph):
        # All that can be chosen is signed; of what else there is nobody asks for the signatures.
        if number in best:
            many.add_signed(name_of(number), releases)
        else:
            many.add(name_of(number), releases)
    many.finish()
    (folder / "wish").write_text(name_of(chosen))


def closure(graph, number):
    """Every name that a wish leads to."""
    reached, open_names = set(), [number]
    while open_names:
        number = open_names.pop()
        if number not in reached:
            reached.add(number)
            open_names += graph[number][0]
    return reached


def opened(command, folder):
    """How many files below the registry a command opens, by the call tracer."""
    if not shutil.which("strace"):
        return "unknown (no strace)"
    run(f"strace -f -qq -e trace=openat,open -o trace {command}", folder)
    calls = re.findall(r'"[^"]*registry/(\w+)/[^"]*",[^=]*= \d', (folder / "trace").read_text())
    return ", ".join(f"{calls.count(part)} in {part}/" for part in sorted(set(calls)))


def main():
    """Prints the table."""
    flags = argparse.ArgumentParser(description=__doc__)
    flags.add_argument("mpkg", type=pathlib.Path)
    flags.add_argument("--names", type=int, default=100_000)
    flags.add_argument("--bins", type=int, default=1024)
    flags.add_argument("--packages", type=int, default=51, help="about how many packages the wish leads to")
    flags.add_argument("--debian", default="inkscape", help="what apt-get is asked for")
    flags.add_argument("--runs", type=int, default=5)
    flags.add_argument("--folder", type=pathlib.Path, help="where the registry is written")
    flags.add_argument("--generate", action="store_true", help=argparse.SUPPRESS)
    flags.add_argument("--forget", type=pathlib.Path, help=argparse.SUPPRESS)
    flags = flags.parse_args()
    program = flags.mpkg.resolve()
    if flags.forget:
        return forget(flags.forget)
    if flags.generate:
        return generate(program, flags.folder, flags.names, flags.bins, flags.packages)
    with tempfile.TemporaryDirectory(dir=flags.folder) as folder:
        folder = pathlib.Path(folder)
        subprocess.run([sys.executable, __file__, program, "--generate", "--folder", folder, "--names",
                        str(flags.names), "--bins", str(flags.bins), "--packages", str(flags.packages)], check=True)
        mpkg = f"'{program}' --quiet --home user"
        run(f"{mpkg} registry add registry --name many --tofu", folder)
        wish = (folder / "wish").read_text()
        ours = f"{mpkg} install {wish} --dry-run --registry many"
        cold = f"'{sys.executable}' '{pathlib.Path(__file__).resolve()}' '{program}' --forget user"
        debian = f"apt-get -s install --no-install-recommends {flags.debian}"
        rows = [("mpkg, cold", ours, cold), ("mpkg, warm", ours, "true")]
        if shutil.which("apt-get"):
            rows.append((f"apt-get -s install {flags.debian}", debian, "true"))
        else:
            print("left out: apt-get (it is not there)", file=sys.stderr)
        table = list(in_turns("resolve", rows, folder, flags.runs))
        said = subprocess.check_output(f"{ours} --json", shell=True, cwd=folder, text=True)
        chosen = len(re.findall(r'"change": ?"install"', said))
        theirs = subprocess.run(debian, shell=True, capture_output=True, text=True, check=False).stdout
        run(cold, folder)
        print(f"mpkg chose {chosen} packages, apt-get {len(re.findall('^Inst', theirs, re.M))}; "
              f"mpkg opened {opened(ours, folder)}\n")
    print_table(f"{flags.names} names in {len(VERSIONS)} versions each, median of {flags.runs}", table)


if __name__ == "__main__":
    main()
