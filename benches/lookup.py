#!/usr/bin/env python3
"""Looks names up in a registry of very many, over HTTP, and publishes a package into it.

    cargo build --release && benches/lookup.py target/release/mpkg [--names 1000000] [--bins 4096]

Prints, for a look-up on a machine that trusts the registry's root and has read nothing of it, for one more, and for one
after something was published: requests, bytes with all headers, wall and CPU seconds, peak memory. Then the same of
publishing one package and of `registry refresh`, with the files that each writes. The server stands in this process on
a free port of 127.0.0.1, and counts. The registry is written by `many.py` in the form in which mpkg writes it: each
name has an index of its own; a million take some 5 GB and a few minutes. With `--indexes NUMBER` only so many indexes
are written: the metadata and the search lists are as large as with all, and nothing that is measured reads another.
"""

import argparse
import collections
import http.server
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import threading

from many import Many, name_of, sizes
from pack import measured

MANIFEST = """[package]
name = "newcomer"
version = "1.0.0"
kind = "dataset"
summary = "One more among very many"
license = "CC0-1.0"
[environment]
python = ">=3.8"
[[step]]
name = "write"
run = ["python", "-c", "import pathlib, sys; pathlib.Path(sys.argv[1], 'a.txt').write_text('a')", "{out}"]
[[variant]]
name = "text"
from = "write"
files = ["a.txt"]
"""


class Counted:
    """A socket's file that counts what is written."""

    def __init__(self, inner, server):
        self.inner, self.server = inner, server

    def write(self, data):
        self.server.sent += len(data)
        return self.inner.write(data)

    def __getattr__(self, name):
        return getattr(self.inner, name)


class Handler(http.server.SimpleHTTPRequestHandler):
    """Gives files, and counts requests and the bytes of the answers, headers included."""

    protocol_version = "HTTP/1.1"

    def setup(self):
        super().setup()
        self.wfile = Counted(self.wfile, self.server)

    def do_GET(self):
        self.server.asked.append(self.path)
        super().do_GET()

    def copyfile(self, source, outputfile):
        outputfile.write(source.read())

    def log_message(self, *_):
        """Says nothing."""


def serve(folder):
    """A server in a thread."""
    def handler(*arguments):
        return Handler(*arguments, directory=folder)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.asked, server.sent = [], 0
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


def forget(home):
    """Leaves of what was read of registries the trusted root alone."""
    for place in (home / "trust/registries").iterdir():
        for file in place.iterdir():
            if file.name != "root.json":
                file.unlink()
    shutil.rmtree(home / "cache", ignore_errors=True)


def kind_of(path):
    """What a file of the registry is."""
    name = path.rsplit("/", 1)[-1]
    if "/metadata/" not in path:
        return path.split("/")[1]
    return "bin" if ".bins-" in name else name.split(".")[-2]


def counted(server, command, folder):
    """What a command asks of the server, and what it costs here."""
    server.asked.clear()
    server.sent = 0
    seconds, processor, peak = measured(command, folder)
    return list(server.asked), server.sent, seconds, processor, peak


def files_of(registry):
    """Every file of the registry but blobs, with its size."""
    found = {}
    for part in ["metadata", "index", "search"]:
        with os.scandir(registry / part) as entries:
            found.update((f"/{part}/{entry.name}", entry.name) for entry in entries)
    return found


def written(before, registry):
    """What is new in the registry, by kind, with the bytes."""
    new = [path for path in files_of(registry) if path not in before]
    kinds = collections.Counter(map(kind_of, new))
    size = sum((registry / path.lstrip("/")).stat().st_size for path in new)
    return ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items())), size


def generate(program, folder, names, bins, indexes):
    """Writes the registry."""
    many = Many(program, folder, bins)
    for number in range(names):
        if number % max(names // indexes, 1) == 0:
            many.add(name_of(number), [("1.0.0", [])])
        else:
            many.mention(name_of(number))
    many.finish()


def measure(program, folder, flags):
    """Prints the rows."""
    mpkg = f"'{program}' --quiet --home home"
    tree = folder / "newcomer"
    tree.mkdir()
    (tree / "mpkg.toml").write_text(MANIFEST)
    subprocess.run(f"{mpkg} build newcomer && {mpkg} sign --key bench newcomer/dist/*.mpkg", shell=True, cwd=folder,
                   check=True, stdout=subprocess.DEVNULL)
    registry = folder / "registry"
    server = serve(registry)
    address = f"http://127.0.0.1:{server.server_port}"
    user = f"'{program}' --quiet --home user"
    root = "$(sha256sum registry/metadata/1.root.json | cut -d' ' -f1)"
    subprocess.run(f"{user} registry add {address} --name many --root-sha256 {root}", shell=True, cwd=folder,
                   check=True, stdout=subprocess.DEVNULL)
    forget(folder / "user")
    step = max(flags.names // (flags.indexes or flags.names), 1)
    first, second = (name_of(number - number % step) for number in (flags.names // 2, flags.names // 3))
    print(f"{flags.names} names in {flags.bins} bins, one of {step} with its index; metadata in bytes: {json.dumps(sizes(registry))}\n")
    print("| look-up | requests | of them a probe for a newer root | bytes | s | CPU s | peak MiB |")
    print("|---|---|---|---|---|---|---|")

    def look_up(title, name):
        asked, sent, *costs = counted(server, f"{user} info {name} --registry many", folder)
        probes = [path for path in asked if path.endswith(".root.json")]
        seconds, processor, peak = costs
        print(f"| {title} | {len(asked)} | {len(probes)} | {sent} | {seconds:.3f} | {processor:.3f} | {peak:.0f} |")
        print(f"{title}: {' '.join(kind_of(path) for path in asked)}", file=sys.stderr)

    look_up("cold", first)
    look_up("the same name again", first)
    look_up("another name", second)
    rows = []
    for title, command in [
        ("publish", f"{mpkg} publish --to registry newcomer/dist/*.mpkg"),
        ("refresh, the first", f"{mpkg} registry refresh registry"),
        ("refresh, once more", f"{mpkg} registry refresh registry"),
    ]:
        before = files_of(registry)
        costs = measured(command, folder)
        rows.append((title, costs, *written(before, registry)))
        if title == "publish":
            look_up("after a publication", first)
            look_up("what was published", "newcomer")
    print("\n| change | s | CPU s | peak MiB | new files beside timestamp and blobs | their bytes |")
    print("|---|---|---|---|---|---|")
    for title, (seconds, processor, peak), what, size in rows:
        print(f"| {title} | {seconds:.3f} | {processor:.3f} | {peak:.0f} | {what} | {size} |")


def main():
    """Prints the tables."""
    flags = argparse.ArgumentParser(description=__doc__)
    flags.add_argument("mpkg", type=pathlib.Path)
    flags.add_argument("--names", type=int, default=1_000_000)
    flags.add_argument("--bins", type=int, default=4096)
    flags.add_argument("--indexes", type=int, help="of so many names the index is written [default: of all]")
    flags.add_argument("--folder", type=pathlib.Path, help="where the registry is written")
    flags.add_argument("--generate", action="store_true", help=argparse.SUPPRESS)
    flags = flags.parse_args()
    program = flags.mpkg.resolve()
    if flags.generate:
        return generate(program, flags.folder, flags.names, flags.bins, flags.indexes or flags.names)
    with tempfile.TemporaryDirectory(dir=flags.folder) as folder:
        # In a process of its own: a child's peak memory counts from that of its parent.
        subprocess.run([sys.executable, __file__, program, "--generate", "--folder", folder, "--names",
                        str(flags.names), "--bins", str(flags.bins), "--indexes", str(flags.indexes or flags.names)],
                       check=True)
        measure(program, pathlib.Path(folder), flags)


if __name__ == "__main__":
    main()
