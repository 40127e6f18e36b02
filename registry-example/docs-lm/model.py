"""A Llama model in numpy: forward for use, forward and backward for training.

Names and shapes of the weights are those of `LlamaForCausalLM` in the `transformers` library. Each operation returns
its result and a function that turns the gradient of the result into the gradient of the input, and notes the
gradients of the weights on its way. Operands of `product` come from `on_grid`, so every product is exact.
"""

import json
import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from exact import Random, on_grid, product, sigmoid, softmax, total

Backward = Callable[[np.ndarray], np.ndarray]
ROPE_GRID = 2.0**20


@dataclass(frozen=True)
class Config:
    """The shape of a model, under the names that `config.json` uses."""

    vocab_size: int
    hidden_size: int
    intermediate_size: int
    num_hidden_layers: int
    num_attention_heads: int
    max_position_embeddings: int
    rope_theta: float = 10000.0
    rms_norm_eps: float = 1e-5

    @property
    def head_size(self) -> int:
        """The number of features of an attention head."""
        return self.hidden_size // self.num_attention_heads

    @classmethod
    def load(cls, folder: Path) -> "Config":
        """Reads `config.json` in a folder."""
        values = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        return cls(**{name: values[name] for name in cls.__dataclass_fields__})

    def as_json(self) -> str:
        """Writes the `config.json` from which `transformers` makes the same model."""
        values = {
            **asdict(self), "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_act": "silu",
            "num_key_value_heads": self.num_attention_heads, "head_dim": self.head_size, "attention_bias": False,
            "mlp_bias": False, "tie_word_embeddings": True, "bos_token_id": 0, "eos_token_id": 0,
            "dtype": "float32", "torch_dtype": "float32",
        }
        return json.dumps(values, indent=2, sort_keys=True) + "\n"


def weight_shapes(config: Config) -> dict[str, tuple[int, ...]]:
    """Lists the weights by name, in the order in which they are drawn and stored."""
    wide, inner = config.hidden_size, config.intermediate_size
    shapes: dict[str, tuple[int, ...]] = {"model.embed_tokens.weight": (config.vocab_size, wide)}
    for layer in range(config.num_hidden_layers):
        prefix = f"model.layers.{layer}"
        shapes[f"{prefix}.input_layernorm.weight"] = (wide,)
        shapes[f"{prefix}.post_attention_layernorm.weight"] = (wide,)
        for name in "qkvo":
            shapes[f"{prefix}.self_attn.{name}_proj.weight"] = (wide, wide)
        shapes[f"{prefix}.mlp.gate_proj.weight"] = (inner, wide)
        shapes[f"{prefix}.mlp.up_proj.weight"] = (inner, wide)
        shapes[f"{prefix}.mlp.down_proj.weight"] = (wide, inner)
    shapes["model.norm.weight"] = (wide,)
    return shapes


def initial_weights(config: Config, seed: int, deviation: float) -> dict[str, np.ndarray]:
    """Draws float32 weights of a standard deviation; those of norms are 1, those that end a block are smaller."""
    random = Random(seed)
    weights = {}
    for name, shape in weight_shapes(config).items():
        ends_block = name.endswith(("o_proj.weight", "down_proj.weight"))
        scale = deviation / math.sqrt(2 * config.num_hidden_layers) if ends_block else deviation
        drawn = np.ones(shape) if len(shape) == 1 else random.uniform(shape, scale * math.sqrt(3.0))
        weights[name] = drawn.astype(np.float32)
    return weights


def rotation_tables(config: Config, length: int) -> tuple[np.ndarray, np.ndarray]:
    """Computes cosine and sine of the angle of each position and feature pair, rounded to 2^-20."""
    half = config.head_size // 2
    angles = [[place * config.rope_theta ** (-pair / half) for pair in range(half)] for place in range(length)]
    tables = (np.array([[function(angle) for angle in row] for row in angles]) for function in (math.cos, math.sin))
    cosine, sine = (np.rint(table * ROPE_GRID) / ROPE_GRID for table in tables)
    return cosine, sine


def rotate(x: np.ndarray, cosine: np.ndarray, sine: np.ndarray) -> np.ndarray:
    """Turns the feature pairs (i, i + half) of every head by the angle of their position."""
    first, second = np.split(x, 2, axis=-1)
    return np.concatenate([first * cosine - second * sine, second * cosine + first * sine], axis=-1)


class Model:
    """A model with its weights; after `loss_and_gradients` also the gradient of each weight."""

    def __init__(self, config: Config, weights: dict[str, np.ndarray]):
        """Takes float32 weights under the names that `weight_shapes` lists."""
        self.config = config
        self.gradients: dict[str, np.ndarray] = {}
        self.rotation = rotation_tables(config, config.max_position_embeddings)
        self.set_weights(weights)

    def set_weights(self, weights: dict[str, np.ndarray]) -> None:
        """Puts other weights in, matrices rounded to their grid."""
        self.weights = {
            name: on_grid(weight) if weight.ndim == 2 else weight.astype(np.float64)
            for name, weight in weights.items()
        }

    def linear(self, x: np.ndarray, name: str) -> tuple[np.ndarray, Backward]:
        """Multiplies features, which must be on a grid, by a weight."""
        weight = self.weights[name]

        def backward(gradient: np.ndarray) -> np.ndarray:
            gradient = on_grid(gradient)
            self.gradients[name] = product(gradient.T, x)
            return product(gradient, weight)

        return product(x, weight.T), backward

    def norm(self, x: np.ndarray, name: str) -> tuple[np.ndarray, Backward]:
        """Divides each row by the root of its mean square and scales the features; the result is on a grid."""
        weight = self.weights[name]
        size = x.shape[-1]
        squares = total(x * x, axis=-1, keepdims=True)
        inverse = 1.0 / np.sqrt(squares / size + self.config.rms_norm_eps)
        unit = x * inverse

        def backward(gradient: np.ndarray) -> np.ndarray:
            self.gradients[name] = total(gradient * unit, axis=0)
            gradient = gradient * weight
            along = total(gradient * unit, axis=-1, keepdims=True) / size
            return (gradient - unit * along) * inverse

        return on_grid(unit * weight), backward

    def heads(self, x: np.ndarray, batch: int) -> np.ndarray:
        """Lays rows of features out as (batch, head, position, feature)."""
        return x.reshape(batch, -1, self.config.num_attention_heads, self.config.head_size).transpose(0, 2, 1, 3)

    def attention(self, x: np.ndarray, prefix: str, batch: int) -> tuple[np.ndarray, Backward]:
        """Lets each position take from those before it what its query finds in their keys."""
        query, query_back = self.linear(x, f"{prefix}.q_proj.weight")
        key, key_back = self.linear(x, f"{prefix}.k_proj.weight")
        value, value_back = self.linear(x, f"{prefix}.v_proj.weight")
        length = x.shape[0] // batch
        cosine, sine = (table[:length] for table in self.rotation)
        scale = 1.0 / math.sqrt(self.config.head_size)
        query = on_grid(rotate(self.heads(query, batch), cosine, sine) * scale)
        key = on_grid(rotate(self.heads(key, batch), cosine, sine))
        value = on_grid(self.heads(value, batch))
        weights = softmax(product(query, key.swapaxes(-1, -2)), np.tri(length, dtype=bool))
        weights_grid = on_grid(weights)

        def rows(x: np.ndarray) -> np.ndarray:
            return x.transpose(0, 2, 1, 3).reshape(batch * length, -1)

        mixed, output_back = self.linear(on_grid(rows(product(weights_grid, value))), f"{prefix}.o_proj.weight")

        def backward(gradient: np.ndarray) -> np.ndarray:
            gradient = on_grid(self.heads(output_back(gradient), batch))
            value_gradient = product(weights_grid.swapaxes(-1, -2), gradient)
            inner = product(gradient, value.swapaxes(-1, -2))
            inner -= total(inner * weights, axis=-1, keepdims=True)
            inner = on_grid(inner * weights)
            query_gradient = rotate(product(inner, key), cosine, -sine) * scale
            key_gradient = rotate(product(inner.swapaxes(-1, -2), query), cosine, -sine)
            return query_back(rows(query_gradient)) + key_back(rows(key_gradient)) + value_back(rows(value_gradient))

        return mixed, backward

    def feed_forward(self, x: np.ndarray, prefix: str) -> tuple[np.ndarray, Backward]:
        """Computes the gated layer, down(silu(gate(x)) * up(x))."""
        gate, gate_back = self.linear(x, f"{prefix}.gate_proj.weight")
        up, up_back = self.linear(x, f"{prefix}.up_proj.weight")
        open_part = sigmoid(gate)
        active = gate * open_part
        result, down_back = self.linear(on_grid(active * up), f"{prefix}.down_proj.weight")

        def backward(gradient: np.ndarray) -> np.ndarray:
            gradient = down_back(gradient)
            slope = open_part + active * (1.0 - open_part)
            return up_back(gradient * active) + gate_back(gradient * up * slope)

        return result, backward

    def hidden(self, tokens: np.ndarray) -> tuple[np.ndarray, Backward]:
        """Computes the final features of each position of (batch, position) tokens, as rows on a grid."""
        batch = tokens.shape[0]
        x = self.weights["model.embed_tokens.weight"][tokens.reshape(-1)]
        steps_back: list[tuple[Backward, Backward]] = []
        for layer in range(self.config.num_hidden_layers):
            prefix = f"model.layers.{layer}"
            normed, norm_back = self.norm(x, f"{prefix}.input_layernorm.weight")
            change, back = self.attention(normed, f"{prefix}.self_attn", batch)
            x = x + change
            steps_back.append((norm_back, back))
            normed, norm_back = self.norm(x, f"{prefix}.post_attention_layernorm.weight")
            change, back = self.feed_forward(normed, f"{prefix}.mlp")
            x = x + change
            steps_back.append((norm_back, back))
        final, final_back = self.norm(x, "model.norm.weight")

        def backward(gradient: np.ndarray) -> np.ndarray:
            gradient = final_back(gradient)
            for norm_back, back in reversed(steps_back):
                gradient = gradient + norm_back(back(gradient))
            return gradient

        return final, backward

    def logits(self, tokens: np.ndarray) -> np.ndarray:
        """Scores every token as the next one, at each position: (batch, position, token)."""
        final, _ = self.hidden(tokens)
        return product(final, self.weights["model.embed_tokens.weight"].T).reshape(*tokens.shape, -1)

    def loss(self, tokens: np.ndarray, targets: np.ndarray) -> float:
        """Computes the mean cross-entropy, in nats a token."""
        scores = self.logits(tokens).reshape(targets.size, -1)
        return cross_entropy(softmax(scores), targets.reshape(-1))

    def loss_and_gradients(self, tokens: np.ndarray, targets: np.ndarray) -> float:
        """Computes the loss, and in `gradients` its gradient with respect to every weight."""
        final, hidden_back = self.hidden(tokens)
        scores, scores_back = self.linear(final, "model.embed_tokens.weight")
        probabilities = softmax(scores)
        wanted = targets.reshape(-1)
        loss = cross_entropy(probabilities, wanted)
        probabilities[np.arange(wanted.size), wanted] -= 1.0
        gradient = hidden_back(scores_back(probabilities * (1.0 / wanted.size)))
        by_token = np.zeros_like(self.weights["model.embed_tokens.weight"])
        np.add.at(by_token, tokens.reshape(-1), on_grid(gradient))
        self.gradients["model.embed_tokens.weight"] += by_token
        return loss


def cross_entropy(probabilities: np.ndarray, wanted: np.ndarray) -> float:
    """Averages the negative logarithm of what the wanted tokens were given. For reports; nothing is trained on it."""
    given = probabilities[np.arange(wanted.size), wanted]
    return float(-np.log(given).mean())
