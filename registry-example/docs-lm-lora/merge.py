"""Adds the adapter that lies beside this file to docs-lm, and writes a model of its own."""

import argparse
import shutil
import sys
from pathlib import Path

HERE = Path(__file__).parent


def merge(base: Path, out: Path) -> None:
    """Copies the base model with its weights changed."""
    import weights_safetensors
    from adapter import Adapter

    shutil.copytree(base, out, copy_function=shutil.copyfile)
    weights = Adapter.load(HERE).applied_to(weights_safetensors.read(base / "model.safetensors"))
    (out / "model.safetensors").unlink()
    weights_safetensors.write(out / "model.safetensors", weights)


def main() -> None:
    """Reads the folders."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("base", type=Path, help="folder of docs-lm, variant f32")
    parser.add_argument("out", type=Path, help="folder to write, which must not exist")
    arguments = parser.parse_args()

    sys.path.append(str(arguments.base))
    merge(arguments.base, arguments.out)


if __name__ == "__main__":
    main()
