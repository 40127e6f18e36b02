"""Says what is on images. Needs numpy and safetensors."""

import argparse
from pathlib import Path

from safetensors.numpy import load_file

from fashion import CLASSES, classify, read_images

HERE = Path(__file__).parent


def main() -> None:
    """Prints one class a line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("images", nargs="?", type=Path, default=HERE / "examples-idx3-ubyte", help="IDX")
    arguments = parser.parse_args()
    for label in classify(load_file(HERE / "model.safetensors"), read_images(arguments.images)):
        print(CLASSES[label])


if __name__ == "__main__":
    main()
