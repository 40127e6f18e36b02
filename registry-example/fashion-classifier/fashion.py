"""A network with one hidden layer that tells ten kinds of clothes apart, and the files of Fashion-MNIST."""

import gzip
from pathlib import Path

import numpy as np

CLASSES = [
    "T-shirt/top", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot",
]
PIXELS = 28 * 28


def read_idx(path: Path) -> np.ndarray:
    """Reads an IDX file of bytes, gzip-compressed where its name says so."""
    data = path.read_bytes()
    if path.suffix == ".gz":
        data = gzip.decompress(data)
    dimensions = data[3]
    shape = np.frombuffer(data, dtype=">u4", offset=4, count=dimensions)
    return np.frombuffer(data, dtype=np.uint8, offset=4 + 4 * dimensions).reshape(shape)


def read_images(path: Path) -> np.ndarray:
    """Reads an IDX file of images as float32 rows of brightness from 0 to 1."""
    return read_idx(path).reshape(-1, PIXELS).astype(np.float32) / np.float32(255)


def read_labels(path: Path) -> np.ndarray:
    """Reads an IDX file of labels."""
    return read_idx(path).astype(np.int64)


def hidden(weights: dict[str, np.ndarray], images: np.ndarray) -> np.ndarray:
    """Computes the hidden features."""
    return np.maximum(images @ weights["hidden.weight"].T + weights["hidden.bias"], 0)


def scores(weights: dict[str, np.ndarray], features: np.ndarray) -> np.ndarray:
    """Scores the ten classes."""
    return features @ weights["output.weight"].T + weights["output.bias"]


def classify(weights: dict[str, np.ndarray], images: np.ndarray) -> np.ndarray:
    """Gives the number of the likeliest class of each image."""
    return scores(weights, hidden(weights, images)).argmax(axis=1)
