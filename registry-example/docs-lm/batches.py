"""Turns text into token ids, and those into windows to train and to measure on."""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from bpe import Tokenizer
from exact import Random


def read_texts(corpus: Path, part: str) -> Iterator[str]:
    """Yields the records of a part of a corpus, in the order of its index `records.jsonl`."""
    files: dict[str, bytes] = {}
    for line in (corpus / "records.jsonl").read_text(encoding="utf-8").splitlines():
        record = json.loads(line)
        name = record["file"]
        if name.startswith(f"{part}/"):
            if name not in files:
                files[name] = (corpus / name).read_bytes()
            yield files[name][record["offset"]:][:record["size"]].decode()


def encode_texts(tokenizer: Tokenizer, texts: Iterator[str]) -> np.ndarray:
    """Encodes texts one after the other, each with its end marked."""
    tokens: list[int] = []
    for text in texts:
        tokens += tokenizer.encode(text)
        tokens.append(tokenizer.end_of_text)
    return np.array(tokens, dtype=np.int64)


def random_windows(tokens: np.ndarray, random: Random, count: int, length: int) -> tuple[np.ndarray, np.ndarray]:
    """Cuts windows from random places: the tokens, and for each the token that follows it."""
    starts = random.below(tokens.size - length, count)
    places = starts[:, None] + np.arange(length)
    return tokens[places], tokens[places + 1]


def all_windows(tokens: np.ndarray, count: int, length: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Cuts everything into windows side by side and yields up to `count` of them at a time."""
    whole = (tokens.size - 1) // length * length
    inputs = tokens[:whole].reshape(-1, length)
    targets = tokens[1:whole + 1].reshape(-1, length)
    for start in range(0, len(inputs), count):
        yield inputs[start:start + count], targets[start:start + count]
