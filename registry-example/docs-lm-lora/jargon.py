"""Reads the entries of the Jargon File."""

import gzip
import hashlib
import re
from collections.abc import Iterator
from pathlib import Path

ENTRY = re.compile(r"^   :(?=\S)", re.MULTILINE)
VALIDATION_IN_256 = 13


def read_entries(path: Path, part: str) -> Iterator[str]:
    """Yields the entries of the part `train` or `validation`; the hash of an entry says in which it is."""
    text = gzip.decompress(path.read_bytes()).decode()
    starts = [match.start() for match in ENTRY.finditer(text)] + [len(text)]
    for start, end in zip(starts, starts[1:]):
        entry = re.sub(r"^   ", "", text[start:end], flags=re.MULTILINE).strip()
        held_out = hashlib.sha256(entry.encode()).digest()[0] < VALIDATION_IN_256
        if held_out == (part == "validation"):
            yield entry
