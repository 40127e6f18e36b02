"""Trains again under other processor kernels and thread counts, and says whether the weights stay the same.

    python check_portable.py [--full] --tree docs-lm -- --corpus DIR --tokenizer DIR --seed 1337

What follows `--` goes to the tree's train.py, with `--out`; without `--full`, it trains 20 steps if the flags do not say
how many. The interpreter that runs this program also runs the training. `--kernels` and `--threads` choose some of the
settings. Exits with 1 when two trainings differ.
"""

import argparse
import hashlib
import os
import resource
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

KERNELS = ["Prescott", "Nehalem", "Haswell", "SkylakeX"]
THREADS = ["1", "2"]
SHORT = ["--steps", "20"]
WEIGHTS = ("*.safetensors", "*.npz", "*.gguf")


def digest_of_weights(folder: Path) -> str:
    """Hashes the files with weights in a folder, by name."""
    digest = hashlib.sha256()
    for path in sorted(path for pattern in WEIGHTS for path in folder.rglob(pattern)):
        digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()


def train(tree: Path, flags: list[str], kernel: str, threads: str) -> tuple[str, float] | None:
    """Runs a tree's training under one setting; gives the digest of the weights and the processor seconds used.

    Gives nothing where the processor lacks instructions that the kernel needs.
    """
    variables = {
        **os.environ, "OPENBLAS_CORETYPE": kernel, "OPENBLAS_NUM_THREADS": threads, "OMP_NUM_THREADS": threads,
        "PYTHONHASHSEED": threads, "PYTHONDONTWRITEBYTECODE": "1",
    }
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
    with tempfile.TemporaryDirectory() as out:
        command = [sys.executable, "train.py", *flags, "--out", out]
        training = subprocess.run(command, cwd=tree, env=variables, stdout=subprocess.DEVNULL)
        if training.returncode == -signal.SIGILL:
            return None
        training.check_returncode()
        digest = digest_of_weights(Path(out))
    return digest, resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before


def main() -> None:
    """Trains under every pair of settings and compares."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--tree", type=Path, required=True, help="source tree with a train.py")
    parser.add_argument("--full", action="store_true", help="train to the end, not a few steps")
    parser.add_argument("--kernels", default=",".join(KERNELS), help="of OpenBLAS, joined by commas")
    parser.add_argument("--threads", default=",".join(THREADS), help="numbers of threads, joined by commas")
    parser.add_argument("flags", nargs="*", help="flags of train.py, after --")
    arguments = parser.parse_args()

    flags = arguments.flags if arguments.full else SHORT + arguments.flags
    digests = set()
    for kernel in arguments.kernels.split(","):
        for threads in arguments.threads.split(","):
            result = train(arguments.tree, flags, kernel, threads)
            if result is None:
                print(f"{kernel}: this processor cannot run it", flush=True)
                break
            digest, seconds = result
            digests.add(digest)
            print(f"{digest}  {kernel:9} {threads} threads  {seconds:6.1f} s", flush=True)
    if len(digests) > 1:
        sys.exit(f"{len(digests)} different results: the training is not portable")
    print("the same weights every time")


if __name__ == "__main__":
    main()
