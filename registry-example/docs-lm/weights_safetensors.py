"""Reads and writes safetensors files of float32 tensors."""

import json
from pathlib import Path

import numpy as np


def write(path: Path, tensors: dict[str, np.ndarray]) -> None:
    """Writes tensors in the order of their names: the same tensors give the same bytes."""
    header: dict[str, dict] = {"__metadata__": {"format": "pt"}}
    end = 0
    for name, tensor in sorted(tensors.items()):
        start, end = end, end + tensor.size * 4
        header[name] = {"dtype": "F32", "shape": list(tensor.shape), "data_offsets": [start, end]}
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for _, tensor in sorted(tensors.items()):
            file.write(tensor.astype("<f4").tobytes())


def read(path: Path) -> dict[str, np.ndarray]:
    """Reads every tensor."""
    data = path.read_bytes()
    start = 8 + int.from_bytes(data[:8], "little")
    header = json.loads(data[8:start])
    header.pop("__metadata__", None)
    tensors = {}
    for name, entry in header.items():
        first, last = entry["data_offsets"]
        values = np.frombuffer(data[start + first:start + last], dtype="<f4")
        tensors[name] = values.astype(np.float32).reshape(entry["shape"])
    return tensors
