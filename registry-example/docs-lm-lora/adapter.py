"""Low-rank adapters: each projection W of a model becomes W + (alpha / rank) B A, and only A and B are trained.

Uses the code that the base model's package brings along.
"""

import json
import math
from pathlib import Path

import numpy as np

import weights_safetensors
from exact import Random, on_grid, product
from model import Model

RANK = 8
ALPHA = 16
MODULES = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
PREFIX = "base_model.model."


class Adapter:
    """The matrices A and B, float32, for each projection of a model."""

    def __init__(self, matrices: dict[str, np.ndarray], scale: float):
        """Takes matrices under the names that the `peft` library uses."""
        self.matrices = matrices
        self.scale = scale

    @classmethod
    def initial(cls, weights: dict[str, np.ndarray], seed: int) -> "Adapter":
        """Draws each A, and sets each B to 0, so that training starts from the base model."""
        random = Random(seed)
        matrices = {}
        for name in filter(is_adapted, weights):
            rows, columns = weights[name].shape
            first, second = matrix_names(name)
            matrices[first] = random.uniform((RANK, columns), 1.0 / math.sqrt(columns)).astype(np.float32)
            matrices[second] = np.zeros((rows, RANK), dtype=np.float32)
        return cls(matrices, ALPHA / RANK)

    @classmethod
    def load(cls, folder: Path) -> "Adapter":
        """Reads an adapter in the layout of `peft`."""
        config = json.loads((folder / "adapter_config.json").read_text(encoding="utf-8"))
        matrices = weights_safetensors.read(folder / "adapter_model.safetensors")
        return cls(matrices, config["lora_alpha"] / config["r"])

    def save(self, folder: Path) -> None:
        """Writes an adapter in the layout of `peft`."""
        config = {
            "peft_type": "LORA", "task_type": "CAUSAL_LM", "base_model_name_or_path": "docs-lm", "r": RANK,
            "lora_alpha": ALPHA, "lora_dropout": 0.0, "bias": "none", "target_modules": MODULES,
            "fan_in_fan_out": False, "inference_mode": True, "modules_to_save": None,
        }
        text = json.dumps(config, indent=2, sort_keys=True) + "\n"
        (folder / "adapter_config.json").write_text(text, encoding="utf-8", newline="\n")
        weights_safetensors.write(folder / "adapter_model.safetensors", self.matrices)

    def applied_to(self, weights: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Adds the adapter to the weights of the base model."""
        changed = dict(weights)
        for name in filter(is_adapted, weights):
            first, second = (on_grid(self.matrices[matrix]) for matrix in matrix_names(name))
            changed[name] = weights[name] + product(second, first) * self.scale
        return changed

    def gradients(self, model: Model) -> dict[str, np.ndarray]:
        """Derives the gradients of A and B from those of the adapted weights."""
        gradients = {}
        for name in filter(is_adapted, model.weights):
            names = matrix_names(name)
            first, second = (on_grid(self.matrices[matrix]) for matrix in names)
            whole = on_grid(model.gradients[name])
            gradients[names[0]] = product(second.T, whole) * self.scale
            gradients[names[1]] = product(whole, first.T) * self.scale
        return gradients


def is_adapted(name: str) -> bool:
    """Says whether a weight is one of the projections."""
    return name.removesuffix(".weight").rsplit(".", 1)[-1] in MODULES


def matrix_names(name: str) -> tuple[str, str]:
    """Names the two matrices of a weight as `peft` does."""
    module = PREFIX + name.removesuffix(".weight")
    return f"{module}.lora_A.weight", f"{module}.lora_B.weight"
