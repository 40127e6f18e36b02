#!/usr/bin/env python3
"""Packs bf16 weights with mpkg and, in the same run, with what people use instead.

    cargo build --release && benches/pack.py target/release/mpkg [--mib 1024] [--runs 3]

Prints medians of wall and CPU seconds, sizes, ratios and peak memory. The CPU seconds tell more on a
busy machine. Needs dpkg-deb, tar and zstd.
Contents are read and written warm; mpkg syncs what it writes and hashes every byte, peers do not.
"""

import argparse
import array
import json
import os
import pathlib
import random
import shutil
import statistics
import struct
import subprocess
import sys
import tempfile
import time


def weights(path, mib, seed):
    """A safetensors file of normally distributed bf16 values in tensors of 32 MiB."""
    normal = statistics.NormalDist(0.0, 0.02)
    values = [normal.inv_cdf((i + 0.5) / 65536) for i in range(65536)]
    bf16 = array.array("H", (struct.unpack("<I", struct.pack("<f", v))[0] >> 16 for v in values))
    source, size = random.Random(seed), 32 << 20
    header = {}
    for number in range(mib * (1 << 20) // size):
        place = [number * size, (number + 1) * size]
        entry = {"dtype": "BF16", "shape": [4096, 4096], "data_offsets": place}
        header[f"layers.{number:03}.weight"] = entry
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for _ in header:
            uniform = array.array("H", source.randbytes(size))
            file.write(array.array("H", map(bf16.__getitem__, uniform)).tobytes())


def weights_apart(path, mib, seed):
    """Writes them in a process of its own: a child's peak memory counts from that of its parent."""
    if os.fork() == 0:
        weights(path, mib, seed)
        os._exit(0)
    if os.wait()[1]:
        sys.exit("the weights could not be written")


def measured(command, folder):
    """Wall seconds, CPU seconds and peak memory in MiB of one run."""
    began = time.monotonic()
    child = subprocess.Popen(command, shell=True, cwd=folder, stdout=subprocess.DEVNULL,
                             stderr=subprocess.PIPE)
    said = child.stderr.read()
    _, status, usage = os.wait4(child.pid, 0)
    if status:
        sys.exit(f"{command}: {said.decode()}")
    return time.monotonic() - began, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def measured_in_turns(rows, folder, runs):
    """The rows with their medians: each command once a round, so that a busy machine is so for all."""
    found = [[] for _ in rows]
    for _ in range(runs):
        for (_, _, command, _, before), measurements in zip(rows, found):
            if before:
                shutil.rmtree(folder / before, ignore_errors=True)
                (folder / before).mkdir()
            measurements.append(measured(command, folder))
    for (work, name, _, result, _), measurements in zip(rows, found):
        size = os.path.getsize(folder / result) if result else None
        seconds, cpu, peaks = zip(*measurements)
        yield work, name, statistics.median(seconds), statistics.median(cpu), size, max(peaks)


def main():
    flags = argparse.ArgumentParser(description=__doc__)
    flags.add_argument("mpkg", type=pathlib.Path)
    flags.add_argument("--mib", type=int, default=1024)
    flags.add_argument("--runs", type=int, default=3)
    flags.add_argument("--folder", type=pathlib.Path)
    flags = flags.parse_args()
    mpkg = f"'{flags.mpkg.resolve()}' --quiet --home home"
    with tempfile.TemporaryDirectory(dir=flags.folder) as folder:
        folder = pathlib.Path(folder)
        subprocess.run(f"{mpkg} init lm --kind dataset", shell=True, cwd=folder, check=True,
                       stdout=subprocess.DEVNULL)
        weights_apart(folder / "lm/w.safetensors", flags.mib, 1)
        original = os.path.getsize(folder / "lm/w.safetensors")
        debian = folder / "deb/DEBIAN"
        debian.mkdir(parents=True)
        (debian / "control").write_text("Package: lm\nVersion: 1\nArchitecture: all\n"
                                        "Maintainer: A <a@example.org>\nDescription: weights\n")
        os.link(folder / "lm/w.safetensors", folder / "deb/w.safetensors")
        package = "lm/dist/lm-0.1.0.src.mpkg"
        rows = [
            ("pack", "mpkg pack", f"{mpkg} pack lm", package, None),
            ("pack", "dpkg-deb -Zzstd", "dpkg-deb --root-owner-group -Zzstd -b deb lm.deb", "lm.deb",
             None),
            ("pack", "tar | zstd -3 -T0", "tar -c -C deb w.safetensors | zstd -3 -T0 -qfo lm.tzst",
             "lm.tzst", None),
            ("check", "mpkg verify", f"{mpkg} verify --contents-only {package}", None, None),
            ("unpack", "tar --zstd -x, of ours", f"tar --zstd -xf {package} -C out", None, "out"),
            ("unpack", "dpkg-deb -x", "dpkg-deb -x lm.deb out", None, "out"),
            ("unpack", "zstd -d | tar", "zstd -dqc lm.tzst | tar -x -C out", None, "out"),
        ]
        rows = list(measured_in_turns(rows, folder, flags.runs))
    print(f"{flags.mib} MiB of bf16 weights, {os.cpu_count()} CPUs, median of {flags.runs}\n")
    print("| work | program | s | of ours | CPU s | of ours | size | peak MiB |\n"
          "|---|---|---|---|---|---|---|---|")
    ours = {"pack": rows[0], "check": rows[3], "unpack": rows[3]}
    for work, name, seconds, cpu, size, peak in rows:
        share = f"{100 * size / original:.2f} %" if size else ""
        wall_ratio, cpu_ratio = seconds / ours[work][2], cpu / ours[work][3]
        print(f"| {work} | {name} | {seconds:.2f} | {wall_ratio:.2f} | {cpu:.2f} | {cpu_ratio:.2f} "
              f"| {share} | {peak:.0f} |")


if __name__ == "__main__":
    main()
