"""What the model knows of a text: how often each run of one to four bytes is in it, by a hash, and one hidden layer."""

import numpy as np

BUCKETS = 2048
HIDDEN = 48
LONGEST = 200


def runs(text: bytes) -> np.ndarray:
    """Gives the bucket of every run of bytes in the text."""
    values = np.frombuffer(b" " + text.lower()[:LONGEST] + b" ", dtype=np.uint8).astype(np.uint32)
    found, hashes = [], np.zeros_like(values)
    for length in range(1, 5):
        if values.size < length:
            break
        hashes = hashes[: values.size - length + 1] * np.uint32(16777619) + values[length - 1 :] + np.uint32(length)
        found.append((hashes ^ (hashes >> np.uint32(15))) % np.uint32(BUCKETS))
    return np.concatenate(found)


def counts(texts: list[bytes]) -> np.ndarray:
    """Counts the buckets of each text, as rows of length 1."""
    rows = np.zeros((len(texts), BUCKETS), dtype=np.float32)
    for row, text in zip(rows, texts, strict=True):
        row += np.bincount(runs(text), minlength=BUCKETS)
    return np.sqrt(rows / rows.sum(axis=1, keepdims=True))


def hidden(weights: dict[str, np.ndarray], rows: np.ndarray) -> np.ndarray:
    """Computes the hidden features."""
    return np.maximum(rows @ weights["hidden.weight"].T + weights["hidden.bias"], 0)


def scores(weights: dict[str, np.ndarray], features: np.ndarray) -> np.ndarray:
    """Scores the languages."""
    return features @ weights["output.weight"].T + weights["output.bias"]


def identify(weights: dict[str, np.ndarray], texts: list[bytes]) -> np.ndarray:
    """Gives the number of the likeliest language of each text."""
    return scores(weights, hidden(weights, counts(texts))).argmax(axis=1)
