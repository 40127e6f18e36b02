"""Trains the model by stochastic gradient descent with momentum, in plain float32."""

import argparse
import json
import shutil
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

from features import BUCKETS, HIDDEN, counts, hidden, scores
from messages import LANGUAGES, read

HERE = Path(__file__).parent
BATCH = 108
MOMENTUM = np.float32(0.9)


def uniform(bits: np.random.PCG64, rows: int, columns: int, spread: float) -> np.ndarray:
    """Draws initial weights of a layer."""
    raw = bits.random_raw(rows * columns) >> np.uint64(11)
    return ((raw * 2.0**-52 - 1.0) * spread).reshape(rows, columns).astype(np.float32)


def initial_weights(bits: np.random.PCG64) -> dict[str, np.ndarray]:
    """Makes the weights that training starts from."""
    languages = len(LANGUAGES)
    return {
        "hidden.weight": uniform(bits, HIDDEN, BUCKETS, 1.0), "hidden.bias": np.zeros(HIDDEN, dtype=np.float32),
        "output.weight": uniform(bits, languages, HIDDEN, (6.0 / HIDDEN) ** 0.5),
        "output.bias": np.zeros(languages, dtype=np.float32),
    }


def piece(bits: np.random.PCG64, text: bytes) -> bytes:
    """Takes a part of a text, of 16 bytes or more: a model that sees parts learns to do with little."""
    length = 16 + int(bits.random_raw()) % 64
    start = int(bits.random_raw()) % max(1, len(text) - length + 1)
    return text[start : start + length]


def loss_and_gradients(
    weights: dict[str, np.ndarray], rows: np.ndarray, labels: np.ndarray
) -> tuple[float, dict[str, np.ndarray]]:
    """Computes the mean cross-entropy of a batch and its gradients."""
    features = hidden(weights, rows)
    logits = scores(weights, features)
    logits -= logits.max(axis=1, keepdims=True)
    probabilities = np.exp(logits)
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    places = np.arange(labels.size)
    loss = float(-np.log(probabilities[places, labels]).mean())
    probabilities[places, labels] -= 1
    probabilities /= np.float32(labels.size)
    back = probabilities @ weights["output.weight"] * (features > 0)
    return loss, {
        "hidden.weight": back.T @ rows, "hidden.bias": back.sum(axis=0),
        "output.weight": probabilities.T @ features, "output.bias": probabilities.sum(axis=0),
    }


def train(texts: dict[str, list[bytes]], seed: int, steps: int, rate: float) -> dict[str, np.ndarray]:
    """Makes `steps` steps, each on four texts of every language, with a learning rate that falls linearly to 0."""
    bits = np.random.PCG64(seed)
    weights = initial_weights(bits)
    speeds = {name: np.zeros_like(weight) for name, weight in weights.items()}
    labels = np.arange(BATCH) % len(LANGUAGES)
    for step in range(1, steps + 1):
        languages = [texts[LANGUAGES[label]] for label in labels]
        batch = [piece(bits, known[int(bits.random_raw()) % len(known)]) for known in languages]
        loss, gradients = loss_and_gradients(weights, counts(batch), labels)
        step_rate = np.float32(rate * (steps - step + 1) / steps)
        for name, gradient in gradients.items():
            speeds[name] = MOMENTUM * speeds[name] + gradient
            weights[name] -= step_rate * speeds[name]
        if step % 50 == 0 or step == steps:
            print(json.dumps({"step": step, "of": steps, "loss": round(loss, 4)}), flush=True)
    return weights


def main() -> None:
    """Trains, and writes weights, configuration and the code that uses them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--messages", type=Path, required=True, help="folder of the unpacked translations")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--rate", type=float, default=0.5, help="learning rate at the start")
    arguments = parser.parse_args()

    texts = read(arguments.messages, held_out=False)
    save_file(train(texts, arguments.seed, arguments.steps, arguments.rate), arguments.out / "model.safetensors")
    config = {"buckets": BUCKETS, "hidden_size": HIDDEN, "languages": LANGUAGES, "model_type": "language-id"}
    text = json.dumps(config, indent=2, sort_keys=True) + "\n"
    (arguments.out / "config.json").write_text(text, encoding="utf-8", newline="\n")
    for name in ("features.py", "identify.py"):
        shutil.copyfile(HERE / name, arguments.out / name)


if __name__ == "__main__":
    main()
