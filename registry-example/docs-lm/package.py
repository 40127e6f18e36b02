"""Loads a model from the folder of an installed package, whichever variant it is."""

from pathlib import Path
from typing import Any

import numpy as np

import weights_gguf
import weights_safetensors
from bpe import Tokenizer
from model import Config, weight_shapes

LAYER_NAMES = {
    "input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm",
    "self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v", "self_attn.o_proj": "attn_output",
    "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up", "mlp.down_proj": "ffn_down",
}
CONFIG_KEYS = {
    "vocab_size": "llama.vocab_size", "hidden_size": "llama.embedding_length",
    "intermediate_size": "llama.feed_forward_length", "num_hidden_layers": "llama.block_count",
    "num_attention_heads": "llama.attention.head_count", "max_position_embeddings": "llama.context_length",
    "rope_theta": "llama.rope.freq_base", "rms_norm_eps": "llama.attention.layer_norm_rms_epsilon",
}


def gguf_names(config: Config) -> dict[str, str]:
    """Maps the name of each weight to its name in GGUF."""
    names = {"model.embed_tokens.weight": "token_embd.weight", "model.norm.weight": "output_norm.weight"}
    for layer in range(config.num_hidden_layers):
        for ours, theirs in LAYER_NAMES.items():
            names[f"model.layers.{layer}.{ours}.weight"] = f"blk.{layer}.{theirs}.weight"
    return {name: names[name] for name in weight_shapes(config)}


def interleave(weight: np.ndarray, heads: int) -> np.ndarray:
    """Orders the rows of a query or key matrix as llama.cpp rotates them: (i, i + half) become neighbours."""
    rows, columns = weight.shape
    return weight.reshape(heads, 2, rows // heads // 2, columns).swapaxes(1, 2).reshape(rows, columns)


def separate(weight: np.ndarray, heads: int) -> np.ndarray:
    """Undoes `interleave`."""
    rows, columns = weight.shape
    return weight.reshape(heads, rows // heads // 2, 2, columns).swapaxes(1, 2).reshape(rows, columns)


def is_rotated(name: str) -> bool:
    """Says whether a weight makes queries or keys."""
    return name.endswith(("q_proj.weight", "k_proj.weight"))


def load_gguf(path: Path) -> tuple[Config, dict[str, np.ndarray], Tokenizer]:
    """Reads everything from one GGUF file."""
    metadata, tensors = weights_gguf.read(path)
    config = Config(**{field: metadata[key] for field, key in CONFIG_KEYS.items()})
    weights = {name: tensors[theirs] for name, theirs in gguf_names(config).items()}
    for name in filter(is_rotated, weights):
        weights[name] = separate(weights[name], config.num_attention_heads)
    return config, weights, gguf_tokenizer(metadata)


def gguf_tokenizer(metadata: dict[str, Any]) -> Tokenizer:
    """Takes the tokenizer out of the metadata of a GGUF file."""
    vocabulary = {token: token_id for token_id, token in enumerate(metadata["tokenizer.ggml.tokens"])}
    return Tokenizer(vocabulary, [tuple(merge.split(" ")) for merge in metadata["tokenizer.ggml.merges"]])


def load(folder: Path) -> tuple[Config, dict[str, np.ndarray], Tokenizer]:
    """Reads configuration, float32 weights and tokenizer of a package folder."""
    if (folder / "model.safetensors").exists():
        weights = weights_safetensors.read(folder / "model.safetensors")
        return Config.load(folder), weights, Tokenizer.load(folder)
    [path] = folder.glob("*.gguf")
    return load_gguf(path)
