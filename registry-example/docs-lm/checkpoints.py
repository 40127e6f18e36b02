"""Writes and reads checkpoints: all that the training needs to go on from there, in one safetensors file.

Kept are the weights, the optimiser's state, the state of the random numbers that choose windows of text (the training
looks at no other place in the data), and in the metadata how many steps are done. After the last step nothing is left
to optimise: the last checkpoint has the weights alone.
"""

import json
from pathlib import Path

import numpy as np

from exact import Adam, Random

TYPES = {"F32": "<f4", "F64": "<f8", "U64": "<u8"}
HALF = 2**64


def name_of(step: int) -> str:
    """Names the checkpoint after a step, below the output folder."""
    return f"checkpoints/step-{step:06}.safetensors"


def marks(steps: int, count: int) -> set[int]:
    """Lists the steps after which checkpoints are written: evenly spread, the last one included."""
    return {steps * number // count for number in range(1, count + 1)}


def save(path: Path, weights: dict[str, np.ndarray], optimiser: Adam, random: Random) -> None:
    """Writes the state after a step."""
    tensors = {f"weights.{name}": ("F32", weight) for name, weight in weights.items()}
    if optimiser.step < optimiser.steps:
        for kind, moments in (("means", optimiser.means), ("squares", optimiser.squares)):
            tensors |= {f"{kind}.{name}": ("F32", moment) for name, moment in moments.items()}
        tensors["remainders"] = ("F64", np.array(optimiser.remainders))
        state = random.bits.state["state"]
        halves = [half for number in (state["state"], state["inc"]) for half in divmod(number, HALF)]
        tensors["random"] = ("U64", np.array(halves, dtype=np.uint64))
    header: dict[str, dict] = {"__metadata__": {"format": "pt", "step": str(optimiser.step)}}
    data, end = [], 0
    for name, (kind, tensor) in sorted(tensors.items()):
        data.append(tensor.astype(TYPES[kind]).tobytes())
        start, end = end, end + len(data[-1])
        header[name] = {"dtype": kind, "shape": list(tensor.shape), "data_offsets": [start, end]}
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(len(text).to_bytes(8, "little") + text + b"".join(data))


def restore(path: Path, weights: dict[str, np.ndarray], optimiser: Adam, random: Random) -> None:
    """Puts everything back as it was when the checkpoint was written."""
    content = path.read_bytes()
    start = 8 + int.from_bytes(content[:8], "little")
    header = json.loads(content[8:start])
    optimiser.step = int(header.pop("__metadata__")["step"])

    def tensor(name: str) -> np.ndarray:
        entry = header[name]
        first, last = (start + offset for offset in entry["data_offsets"])
        return np.frombuffer(content[first:last], dtype=TYPES[entry["dtype"]]).reshape(entry["shape"])

    for name, weight in weights.items():
        weight[...] = tensor(f"weights.{name}")
    if "random" not in header:
        return
    for name in weights:
        optimiser.means[name][...] = tensor(f"means.{name}")
        optimiser.squares[name][...] = tensor(f"squares.{name}")
    optimiser.remainders = [float(rest) for rest in tensor("remainders")]
    high, low, increment_high, increment_low = (int(half) for half in tensor("random"))
    state = {"state": high * HALF + low, "inc": increment_high * HALF + increment_low}
    random.bits.state = {"bit_generator": "PCG64", "state": state, "has_uint32": 0, "uinteger": 0}
