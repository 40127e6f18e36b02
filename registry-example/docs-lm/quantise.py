"""Turns a trained model into one GGUF file with Q8_0 weights and the tokenizer inside."""

import argparse
import shutil
import sys
from pathlib import Path
from typing import Any

TEXT, UNSIGNED, SIGNED, FLOAT, BOOLEAN = 8, 4, 5, 6, 7
NORMAL_TOKEN, CONTROL_TOKEN = 1, 3
MOSTLY_Q8_0 = 7


def metadata_of(config, tokenizer, name: str) -> list[tuple[str, int, Any]]:
    """Describes a Llama model and a byte-level tokenizer under the keys that llama.cpp reads."""
    from package import CONFIG_KEYS

    shape = []
    for field, key in CONFIG_KEYS.items():
        value = getattr(config, field)
        shape.append((key, FLOAT if isinstance(value, float) else UNSIGNED, value))
    tokens = [tokenizer.tokens[token_id] for token_id in range(config.vocab_size)]
    kinds = [CONTROL_TOKEN if token_id == tokenizer.end_of_text else NORMAL_TOKEN for token_id in range(len(tokens))]
    return [
        ("general.architecture", TEXT, "llama"),
        ("general.name", TEXT, name),
        ("general.file_type", UNSIGNED, MOSTLY_Q8_0),
        ("general.quantization_version", UNSIGNED, 2),
        *shape,
        ("llama.attention.head_count_kv", UNSIGNED, config.num_attention_heads),
        ("llama.rope.dimension_count", UNSIGNED, config.head_size),
        ("tokenizer.ggml.model", TEXT, "gpt2"),
        ("tokenizer.ggml.pre", TEXT, "gpt-2"),
        ("tokenizer.ggml.tokens", TEXT, tokens),
        ("tokenizer.ggml.token_type", SIGNED, kinds),
        ("tokenizer.ggml.merges", TEXT, [" ".join(merge) for merge in tokenizer.merges]),
        ("tokenizer.ggml.bos_token_id", UNSIGNED, tokenizer.end_of_text),
        ("tokenizer.ggml.eos_token_id", UNSIGNED, tokenizer.end_of_text),
        ("tokenizer.ggml.add_bos_token", BOOLEAN, False),
    ]


def quantise(trained: Path, out: Path, name: str) -> None:
    """Writes `NAME-q8_0.gguf`."""
    import weights_gguf
    from package import gguf_names, interleave, is_rotated, load

    config, weights, tokenizer = load(trained)
    for weight in filter(is_rotated, weights):
        weights[weight] = interleave(weights[weight], config.num_attention_heads)
    tensors = {theirs: weights[ours] for ours, theirs in gguf_names(config).items()}
    weights_gguf.write(out / f"{name}-q8_0.gguf", metadata_of(config, tokenizer, name), tensors)


def main() -> None:
    """Converts the output of train.py, whose code it uses and copies."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trained", type=Path, required=True, help="folder that train.py wrote")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--name", default="docs-lm")
    arguments = parser.parse_args()

    sys.path.append(str(arguments.trained))
    quantise(arguments.trained, arguments.out, arguments.name)
    for path in sorted(arguments.trained.glob("*.py")):
        shutil.copyfile(path, arguments.out / path.name)


if __name__ == "__main__":
    main()
