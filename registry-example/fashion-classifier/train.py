"""Trains the classifier by stochastic gradient descent with momentum, in float32."""

import argparse
import json
import shutil
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

from fashion import CLASSES, PIXELS, hidden, read_idx, read_images, read_labels, scores

HERE = Path(__file__).parent
HIDDEN = 128
BATCH = 128
MOMENTUM = np.float32(0.9)
EXAMPLES = 10


def uniform(bits: np.random.PCG64, rows: int, columns: int) -> np.ndarray:
    """Draws initial weights of a layer, as wide as keeps the features' size."""
    raw = bits.random_raw(rows * columns) >> np.uint64(11)
    spread = (6.0 / columns) ** 0.5
    return ((raw * 2.0**-52 - 1.0) * spread).reshape(rows, columns).astype(np.float32)


def initial_weights(bits: np.random.PCG64) -> dict[str, np.ndarray]:
    """Makes the weights that training starts from."""
    return {
        "hidden.weight": uniform(bits, HIDDEN, PIXELS), "hidden.bias": np.zeros(HIDDEN, dtype=np.float32),
        "output.weight": uniform(bits, len(CLASSES), HIDDEN), "output.bias": np.zeros(len(CLASSES), dtype=np.float32),
    }


def loss_and_gradients(
    weights: dict[str, np.ndarray], images: np.ndarray, labels: np.ndarray
) -> tuple[float, dict[str, np.ndarray]]:
    """Computes the mean cross-entropy of a batch and its gradients."""
    features = hidden(weights, images)
    logits = scores(weights, features)
    logits -= logits.max(axis=1, keepdims=True)
    probabilities = np.exp(logits)
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    rows = np.arange(labels.size)
    loss = float(-np.log(probabilities[rows, labels]).mean())
    probabilities[rows, labels] -= 1
    probabilities /= np.float32(labels.size)
    back = probabilities @ weights["output.weight"] * (features > 0)
    return loss, {
        "hidden.weight": back.T @ images, "hidden.bias": back.sum(axis=0),
        "output.weight": probabilities.T @ features, "output.bias": probabilities.sum(axis=0),
    }


def train(images: np.ndarray, labels: np.ndarray, seed: int, steps: int, rate: float) -> dict[str, np.ndarray]:
    """Makes `steps` steps, each on a random batch, with a learning rate that falls linearly to 0."""
    bits = np.random.PCG64(seed)
    weights = initial_weights(bits)
    speeds = {name: np.zeros_like(weight) for name, weight in weights.items()}
    for step in range(1, steps + 1):
        batch = bits.random_raw(BATCH) % np.uint64(labels.size)
        loss, gradients = loss_and_gradients(weights, images[batch], labels[batch])
        step_rate = np.float32(rate * (steps - step + 1) / steps)
        for name, gradient in gradients.items():
            speeds[name] = MOMENTUM * speeds[name] + gradient
            weights[name] -= step_rate * speeds[name]
        if step % 100 == 0 or step == steps:
            print(json.dumps({"step": step, "of": steps, "loss": round(loss, 4)}), flush=True)
    return weights


def save_examples(images_path: Path, out: Path) -> None:
    """Writes the first few images again as a file of their own, to try the classifier on."""
    images = read_idx(images_path)[:EXAMPLES]
    header = bytes([0, 0, 8, images.ndim]) + np.array(images.shape, dtype=">u4").tobytes()
    (out / "examples-idx3-ubyte").write_bytes(header + images.tobytes())


def main() -> None:
    """Trains, and writes weights, configuration, example images and the code that uses them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=Path, required=True, help="training images, IDX")
    parser.add_argument("--labels", type=Path, required=True)
    parser.add_argument("--examples", type=Path, required=True, help="test images, the first of which are packed too")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--steps", type=int, default=2400)
    parser.add_argument("--rate", type=float, default=0.1, help="learning rate at the start")
    arguments = parser.parse_args()

    images, labels = read_images(arguments.images), read_labels(arguments.labels)
    weights = train(images, labels, arguments.seed, arguments.steps, arguments.rate)
    save_file(weights, arguments.out / "model.safetensors")
    config = {"classes": CLASSES, "hidden_size": HIDDEN, "image_size": 28, "model_type": "fashion-classifier"}
    text = json.dumps(config, indent=2, sort_keys=True) + "\n"
    (arguments.out / "config.json").write_text(text, encoding="utf-8", newline="\n")
    save_examples(arguments.examples, arguments.out)
    for name in ("fashion.py", "classify.py"):
        shutil.copyfile(HERE / name, arguments.out / name)


if __name__ == "__main__":
    main()
