"""Reads and writes GGUF files (version 3) of F32 and Q8_0 tensors."""

import struct
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

ALIGNMENT = 32
BLOCK = 32
TYPE_F32, TYPE_Q8_0 = 0, 8
Q8_0 = np.dtype([("scale", "<f2"), ("values", "i1", (BLOCK,))])
# Kinds of metadata values by their number in the format; 8 is text, 9 an array.
SCALARS = {4: "<I", 5: "<i", 6: "<f", 7: "<?", 10: "<Q"}
TEXT, ARRAY = 8, 9


def quantise(tensor: np.ndarray) -> np.ndarray:
    """Rounds each 32 weights of a row to whole numbers up to 127 times a float16 scale."""
    blocks = tensor.astype(np.float32).reshape(-1, BLOCK)
    scales = np.abs(blocks).max(axis=1, keepdims=True) / np.float32(127)
    safe = np.where(scales == 0, np.float32(1), scales)
    quantised = np.empty(len(blocks), dtype=Q8_0)
    quantised["scale"] = scales[:, 0].astype(np.float16)
    quantised["values"] = np.rint(blocks / safe).astype(np.int8)
    return quantised


def dequantise(quantised: np.ndarray) -> np.ndarray:
    """Gives the float32 weights that quantised blocks stand for, as one row."""
    return (quantised["scale"].astype(np.float32)[:, None] * quantised["values"].astype(np.float32)).reshape(-1)


def pack_text(text: str) -> bytes:
    """Writes a length and UTF-8."""
    data = text.encode()
    return struct.pack("<Q", len(data)) + data


def pack_value(kind: int, value: Any) -> bytes:
    """Writes a metadata value of a kind, without the kind."""
    return pack_text(value) if kind == TEXT else struct.pack(SCALARS[kind], value)


def pack_entry(key: str, kind: int, value: Any) -> bytes:
    """Writes a metadata entry; a list becomes an array of its kind."""
    head = pack_text(key)
    if isinstance(value, list):
        items = b"".join(pack_value(kind, item) for item in value)
        return head + struct.pack("<IIQ", ARRAY, kind, len(value)) + items
    return head + struct.pack("<I", kind) + pack_value(kind, value)


def write(path: Path, metadata: list[tuple[str, int, Any]], tensors: dict[str, np.ndarray]) -> None:
    """Writes metadata entries (key, kind, value) and tensors: matrices as Q8_0, vectors as F32."""
    infos, bodies = [], []
    offset = 0
    for name, tensor in tensors.items():
        is_matrix = tensor.ndim == 2
        body = (quantise(tensor) if is_matrix else tensor.astype("<f4")).tobytes()
        kind = TYPE_Q8_0 if is_matrix else TYPE_F32
        shape = struct.pack(f"<I{tensor.ndim}Q", tensor.ndim, *reversed(tensor.shape))
        infos.append(pack_text(name) + shape + struct.pack("<IQ", kind, offset))
        bodies.append(body + bytes(-len(body) % ALIGNMENT))
        offset += len(bodies[-1])
    head = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(metadata))
    head += b"".join(pack_entry(*entry) for entry in metadata) + b"".join(infos)
    path.write_bytes(head + bytes(-len(head) % ALIGNMENT) + b"".join(bodies))


def unpack(file: BinaryIO, form: str) -> tuple:
    """Reads numbers."""
    return struct.unpack(form, file.read(struct.calcsize(form)))


def unpack_value(file: BinaryIO, kind: int) -> Any:
    """Reads a metadata value of a kind."""
    if kind == TEXT:
        return file.read(*unpack(file, "<Q")).decode()
    if kind == ARRAY:
        item_kind, length = unpack(file, "<IQ")
        return [unpack_value(file, item_kind) for _ in range(length)]
    return unpack(file, SCALARS[kind])[0]


def read(path: Path) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Reads the metadata and the tensors, as float32."""
    with open(path, "rb") as file:
        magic, version, tensor_count, entry_count = unpack(file, "<4sIQQ")
        if (magic, version) != (b"GGUF", 3):
            raise ValueError(f"{path} is not a GGUF file of version 3")
        metadata = {}
        for _ in range(entry_count):
            key = unpack_value(file, TEXT)
            metadata[key] = unpack_value(file, *unpack(file, "<I"))
        infos = []
        for _ in range(tensor_count):
            name = unpack_value(file, TEXT)
            shape = unpack(file, f"<{unpack(file, '<I')[0]}Q")[::-1]
            infos.append((name, shape, *unpack(file, "<IQ")))
        start = -(-file.tell() // ALIGNMENT) * ALIGNMENT
        tensors = {}
        for name, shape, kind, offset in infos:
            file.seek(start + offset)
            tensors[name] = read_tensor(file, shape, kind)
    return metadata, tensors


def read_tensor(file: BinaryIO, shape: tuple[int, ...], kind: int) -> np.ndarray:
    """Reads a tensor from where the file stands."""
    size = int(np.prod(shape))
    if kind == TYPE_Q8_0:
        blocks = size // BLOCK
        return dequantise(np.frombuffer(file.read(blocks * Q8_0.itemsize), dtype=Q8_0)).reshape(shape)
    if kind == TYPE_F32:
        return np.frombuffer(file.read(size * 4), dtype="<f4").astype(np.float32).reshape(shape)
    raise ValueError(f"tensor type {kind} is neither F32 nor Q8_0")
