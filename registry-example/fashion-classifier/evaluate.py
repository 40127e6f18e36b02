"""Measures the accuracy of a packed classifier on the test images."""

import argparse
import json
from pathlib import Path

from safetensors.numpy import load_file

from fashion import classify, read_images, read_labels


def main() -> None:
    """Prints the accuracy as a JSON object."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("package", type=Path, help="folder of the classifier")
    parser.add_argument("images", type=Path)
    parser.add_argument("labels", type=Path)
    arguments = parser.parse_args()
    found = classify(load_file(arguments.package / "model.safetensors"), read_images(arguments.images))
    print(json.dumps({"accuracy": float((found == read_labels(arguments.labels)).mean())}))


if __name__ == "__main__":
    main()
