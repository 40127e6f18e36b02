#!/usr/bin/env python3
"""Installs, upgrades and verifies bf16 weights with mpkg and, in the same run, with what people use
instead. What a build costs beside its training, `build.py` measures.

    cargo build --release && benches/install.py target/release/mpkg [--mib 1024] [--runs 3]

Prints medians of wall and CPU seconds, ratios and peak memory. The commands of one kind of work take turns, so
that a busy machine is busy for all. Needs curl, sha256sum and python3 with pip; skopeo, umoci and docker-registry
(`apt install skopeo umoci docker-registry`), without which their row is left out, and that is said. Files are
served on a free port of 127.0.0.1 by the server below, which gives ranges. mpkg checks a signature, hashes every
byte, unpacks and syncs; the peers do what their row says.
"""

import argparse
import base64
import hashlib
import http.server
import os
import pathlib
import random
import re
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import zipfile

from pack import measured, weights_apart

WEIGHTS = """[package]
name = "lm"
version = "{version}"
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


def run(command, folder):
    """Runs a shell command that has to succeed."""
    subprocess.run(command, shell=True, cwd=folder, check=True, stdout=subprocess.DEVNULL)


def in_turns(work, commands, folder, runs):
    """Rows with median wall and CPU seconds and greatest peak memory (MiB). Each command runs once a round,
    after what has to be done `before` it, which is not measured."""
    found = {name: [] for name, _, _ in commands}
    for _ in range(runs):
        for name, command, before in commands:
            run(before, folder)
            found[name].append(measured(command, folder))
    for name, results in found.items():
        walls, processors, peaks = zip(*results)
        yield work, name, statistics.median(walls), statistics.median(processors), max(peaks)


class Ranges(http.server.SimpleHTTPRequestHandler):
    """Gives files, or the one range that is asked for."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        """Sends a file from the page cache to the socket, without copies."""
        path = pathlib.Path(self.translate_path(self.path))
        if not path.is_file():
            return self.send_error(404)
        size = path.stat().st_size
        asked = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        start = int(asked[1]) if asked else 0
        end = min(int(asked[2]) + 1, size) if asked and asked[2] else size
        self.send_response(206 if asked else 200)
        if asked:
            self.send_header("Content-Range", f"bytes {start}-{end - 1}/{size}")
        self.send_header("Content-Length", str(end - start))
        self.end_headers()
        with open(path, "rb") as file:
            while start < end:
                sent = os.sendfile(self.connection.fileno(), file.fileno(), start, end - start)
                if sent == 0:
                    return None
                start += sent
        return None

    def log_message(self, *_):
        """Says nothing."""


def free_port():
    """A port that nobody listens on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def started(command, port):
    """A server in a process of its own, once it listens."""
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    for _ in range(200):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return server
        time.sleep(0.05)
    server.kill()
    sys.exit(f"{command[0]} did not start")


def serve(folder, port):
    """Serves a folder until it is killed."""
    def handler(*arguments):
        return Ranges(*arguments, directory=folder)
    http.server.ThreadingHTTPServer(("127.0.0.1", port), handler).serve_forever()


def change_a_tenth(path, mib):
    """Gives every tenth tensor of 32 MiB other bytes."""
    size, whole = 32 << 20, mib << 20
    start = path.stat().st_size - whole
    with open(path, "r+b") as file:
        for number in range(3, whole // size, 10):
            file.seek(start + number * size)
            values = bytearray(file.read(size))
            # The same values in other places: as hard to compress as before.
            half = random.Random(number).randrange(1, size // 4) * 2
            file.seek(start + number * size)
            file.write(values[half:])
            file.write(values[:half])


def publish(mpkg, folder, version):
    """Builds a package of the weights and publishes it; returns its blob."""
    weights = folder / "w.safetensors"
    digest = subprocess.check_output(["sha256sum", weights], text=True).split()[0]
    manifest = WEIGHTS.format(weights=weights, digest=digest, size=weights.stat().st_size, version=version)
    tree = folder / "lm"
    shutil.rmtree(tree, ignore_errors=True)
    tree.mkdir()
    (tree / "mpkg.toml").write_text(manifest)
    run(f"{mpkg} build lm && {mpkg} sign lm/dist/*.mpkg", folder)
    before = set((folder / "registry").rglob("*"))
    run(f"{mpkg} publish --create --to registry lm/dist/*.mpkg", folder)
    blobs = (blob for blob in (folder / "registry/blobs").rglob("*") if blob.is_file() and blob not in before)
    return max(blobs, key=lambda blob: blob.stat().st_size)


def wheel(folder):
    """A wheel of the weights, with the digest of each file in it as pip checks it; its address's end."""
    name = "lm-1.0.0-py3-none-any.whl"
    with open(folder / "w.safetensors", "rb") as file:
        digest = base64.urlsafe_b64encode(hashlib.file_digest(file, "sha256").digest()).decode().rstrip("=")
    about = "lm-1.0.0.dist-info"
    size = (folder / "w.safetensors").stat().st_size
    with zipfile.ZipFile(folder / "registry" / name, "w") as archive:
        archive.write(folder / "w.safetensors", "lm/w.safetensors")
        archive.writestr(f"{about}/METADATA", "Metadata-Version: 2.1\nName: lm\nVersion: 1.0.0\n")
        archive.writestr(f"{about}/WHEEL", "Wheel-Version: 1.0\nGenerator: bench\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{about}/RECORD", f"lm/w.safetensors,sha256={digest},{size}\n{about}/RECORD,,\n")
    with open(folder / "registry" / name, "rb") as file:
        return f"{name}#sha256={hashlib.file_digest(file, 'sha256').hexdigest()}"


def containers(folder):
    """A registry of containers with an image of the weights: its process and address, if it can be had."""
    missing = [name for name in ["skopeo", "umoci", "docker-registry"] if not shutil.which(name)]
    if missing:
        print(f"left out: skopeo copy, umoci unpack ({', '.join(missing)} missing)", file=sys.stderr)
        return None, None
    port = free_port()
    (folder / "containers.yml").write_text(
        f"version: 0.1\nlog: {{level: error}}\nstorage: {{filesystem: {{rootdirectory: {folder}/containers}}}}\n"
        f"http: {{addr: 127.0.0.1:{port}}}\n")
    server = started(["docker-registry", "serve", str(folder / "containers.yml")], port)
    run("umoci init --layout oci && umoci new --image oci:lm"
        " && umoci insert --rootless --image oci:lm w.safetensors /w.safetensors", folder)
    image = f"docker://127.0.0.1:{port}/lm:1"
    run(f"skopeo --insecure-policy copy --dest-tls-verify=false oci:oci:lm {image}", folder)
    return server, image


def measure(program, folder, mib, runs, stop):
    """The rows of installing, upgrading and verifying; servers to kill go into `stop`."""
    mpkg = f"{program} --home home"
    weights_apart(folder / "w.safetensors", mib, 1)
    run(f"{mpkg} key new bench", folder)
    blob = publish(mpkg, folder, "1.0.0")
    end = wheel(folder)
    server, image = containers(folder)
    stop.append(server)
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    stop.append(started([sys.executable, __file__, "--serve", str(folder / "registry"), str(port)], port))
    add = f"{program} --home user registry add --tofu"
    trusted = f"{add} registry --name here && {add} {address} --name there"
    fresh = f"rm -rf user got && mkdir got && {trusted}"
    install = f"{program} --home user install lm --yes --registry"
    path = blob.relative_to(folder / "registry")
    remote = [
        ("mpkg install", f"{install} {address}", fresh),
        ("curl, then sha256sum", f"curl -so got/lm {address}/{path} && sha256sum got/lm", fresh),
        ("pip install of a wheel",
         f"python3 -m pip install -q --no-index --no-deps --no-cache-dir --target got '{address}/{end}'", fresh),
    ]
    if image:
        remote.append(("skopeo copy, umoci unpack",
                       f"skopeo --insecure-policy copy -q --src-tls-verify=false {image} oci:got/oci:lm"
                       " && umoci unpack --rootless --image got/oci:lm got/unpacked", fresh))
    yield from in_turns("install over HTTP", remote, folder, runs)
    yield from in_turns("install from a folder", [
        ("mpkg install", f"{install} registry", fresh),
        ("cp, then sha256sum", f"cp {blob} got/lm && sha256sum got/lm", fresh),
    ], folder, runs)
    run(f"rm -rf user old && {trusted} && {install} {address} && mv user old", folder)
    # In a process of its own: a child's peak memory counts from that of its parent.
    run(f"'{sys.executable}' '{pathlib.Path(__file__).resolve()}' --change w.safetensors {mib}", folder)
    blob = publish(mpkg, folder, "1.1.0")
    path = blob.relative_to(folder / "registry")
    yield from in_turns("upgrade, a tenth changed, over HTTP", [
        ("mpkg upgrade", f"{program} --home user upgrade --yes --registry {address}", "rm -rf user got && mkdir got && cp -a old user"),
        ("curl, then sha256sum", f"curl -so got/lm {address}/{path} && sha256sum got/lm", fresh),
    ], folder, runs)
    run("rm -rf user && mv old user", folder)
    yield from in_turns("verify", [
        ("mpkg verify lm", f"{program} --home user verify lm", "true"),
        ("sha256sum", "sha256sum w.safetensors", "true"),
    ], folder, runs)


def print_table(title, rows):
    """Prints the rows, each beside ours: the first of its work."""
    print(f"{title}\n")
    print("| work | program | s | of ours | CPU s | peak MiB |\n|---|---|---|---|---|---|")
    for work, name, seconds, processor, peak in rows:
        ours = next(row[2] for row in rows if row[0] == work)
        print(f"| {work} | {name} | {seconds:.4g} | {seconds / ours:.2f} | {processor:.4g} | {peak:.0f} |")


def main():
    """Prints the table."""
    flags = argparse.ArgumentParser(description=__doc__)
    flags.add_argument("mpkg", type=pathlib.Path)
    flags.add_argument("--mib", type=int, default=1024)
    flags.add_argument("--runs", type=int, default=3)
    flags.add_argument("--folder", type=pathlib.Path)
    flags = flags.parse_args()
    with tempfile.TemporaryDirectory(dir=flags.folder) as folder:
        folder = pathlib.Path(folder)
        program = f"'{flags.mpkg.resolve()}' --quiet"
        stop = []
        try:
            rows = list(measure(program, folder, flags.mib, flags.runs, stop))
        finally:
            for server in filter(None, stop):
                server.kill()
                server.wait()
    print_table(f"{flags.mib} MiB of bf16 weights, {os.cpu_count()} CPUs, median of {flags.runs}", rows)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--serve"]:
        serve(sys.argv[2], int(sys.argv[3]))
    elif sys.argv[1:2] == ["--change"]:
        change_a_tenth(pathlib.Path(sys.argv[2]), int(sys.argv[3]))
    else:
        main()
