"""Checks that programs which we did not write read the example packages, and read in them what we meant.

    python check_loaders.py tokenizer TOKENIZER_DIR CORPUS_DIR    with tokenizers: the same ids over the whole corpus
    python check_loaders.py model MODEL_DIR                       with safetensors, transformers: names, shapes, values
    python check_loaders.py gguf Q8_0_DIR MODEL_DIR               with gguf: shapes, metadata, weights close to float32
    python check_loaders.py adapter ADAPTER_DIR MODEL_DIR         with safetensors: the names and shapes that peft makes
    python check_loaders.py llama-cpp Q8_0_DIR NODE_DIR           with llama.cpp: the same ids, the same continuations

The folders are unpacked binary packages; NODE_DIR is where node-llama-cpp is installed (see check_llama_cpp.mjs).
Exits with 1 and says what differs. Needs check_loaders_requirements.txt.
"""

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np


ODD_TEXT = "h\u00e9llo \u00bd \u0663 \u00a0x  \u2003y\x1c z\r\n\n 'll I'll \u65e5\u672c\u8a9e \U0001f600\t\t \x85b"

CONTINUED_TEXTS = ["Returns the shortest path", "The mailing list is", "Parameters\n----------\nG : "]
CONTINUED_BY = 8


class Mismatch(Exception):
    """Another program reads something else than we wrote."""


def expect(holds: bool, message: str) -> None:
    """Raises `Mismatch` where a comparison fails."""
    if not holds:
        raise Mismatch(message)


def expect_same_shapes(found: dict[str, tuple], wanted: dict[str, tuple], what: str) -> None:
    """Compares names and shapes of tensors."""
    for name in sorted(found.keys() | wanted.keys()):
        expect(
            found.get(name) == wanted.get(name),
            f"{what}: {name} is {found.get(name, 'missing')}, expected {wanted.get(name, 'nothing')}",
        )


def safetensors_of(path: Path) -> dict[str, np.ndarray]:
    """Reads a file with the safetensors library."""
    from safetensors import safe_open
    from safetensors.numpy import load_file

    with safe_open(path, framework="np") as file:
        expect(file.metadata() == {"format": "pt"}, f"{path.name}: metadata is {file.metadata()}")
    return load_file(path)


def check_tokenizer(folder: Path, corpus: Path) -> str:
    """Encodes and decodes every text of a corpus, and some that are not in it, with both programs."""
    import tokenizers

    sys.path.insert(0, str(folder))
    from bpe import Tokenizer

    ours, theirs = Tokenizer.load(folder), tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))
    paths = sorted(corpus.glob("*/*.txt"))
    texts = {path.relative_to(corpus).as_posix(): path.read_text(encoding="utf-8") for path in paths}
    expect(bool(texts), f"no texts in {corpus}")
    total = 0
    for name, text in {**texts, "odd characters": ODD_TEXT}.items():
        ids, theirs_ids = ours.encode(text), theirs.encode(text).ids
        if ids != theirs_ids:
            place = len(os.path.commonprefix([ids, theirs_ids]))
            raise Mismatch(f"{name}: token {place} differs, after {ours.decode(ids[:place])[-40:]!r}")
        expect(theirs.decode(ids) == text == ours.decode(ids), f"{name}: decoding does not give the text back")
        total += len(ids)
    return f"tokenizers {tokenizers.__version__}: the same {total} ids"


def llama_shapes(config) -> dict[str, tuple]:
    """Lists what `LlamaForCausalLM` has as parameters for a configuration of transformers with tied embeddings."""
    wide, inner, heads = config.hidden_size, config.intermediate_size, config.num_attention_heads
    key_rows = config.num_key_value_heads * config.head_dim
    shapes = {"model.embed_tokens.weight": (config.vocab_size, wide), "model.norm.weight": (wide,)}
    for layer in range(config.num_hidden_layers):
        prefix = f"model.layers.{layer}."
        shapes |= {
            prefix + "input_layernorm.weight": (wide,),
            prefix + "post_attention_layernorm.weight": (wide,),
            prefix + "self_attn.q_proj.weight": (heads * config.head_dim, wide),
            prefix + "self_attn.k_proj.weight": (key_rows, wide),
            prefix + "self_attn.v_proj.weight": (key_rows, wide),
            prefix + "self_attn.o_proj.weight": (wide, heads * config.head_dim),
            prefix + "mlp.gate_proj.weight": (inner, wide),
            prefix + "mlp.up_proj.weight": (inner, wide),
            prefix + "mlp.down_proj.weight": (wide, inner),
        }
    return shapes


def check_model(folder: Path) -> str:
    """Loads configuration and tokenizer with transformers, and the weights with safetensors."""
    import transformers

    tensors = safetensors_of(folder / "model.safetensors")
    config = transformers.AutoConfig.from_pretrained(folder)
    expect(type(config).__name__ == "LlamaConfig", f"config.json is read as {type(config).__name__}")
    expect(config.tie_word_embeddings, "config.json does not tie the embeddings, and there is no lm_head")
    expect_same_shapes({name: tensor.shape for name, tensor in tensors.items()}, llama_shapes(config), "weights")
    expect(all(tensor.dtype == np.float32 for tensor in tensors.values()), "weights are not all float32")
    expect(all(np.isfinite(tensor).all() for tensor in tensors.values()), "weights are not all finite")

    generation = transformers.GenerationConfig.from_pretrained(folder)
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    expect(len(tokenizer) == config.vocab_size, f"{len(tokenizer)} tokens, but {config.vocab_size} embeddings")
    expect(
        generation.eos_token_id == tokenizer.eos_token_id == config.eos_token_id,
        "generation_config.json, the tokenizer and config.json name different ends of text",
    )

    sys.path.insert(0, str(folder))
    from package import load

    _, weights, ours = load(folder)
    expect(all((weights[name] == tensors[name]).all() for name in tensors), "weights.safetensors is read differently")
    text = "Returns the shortest path.\n\n    >>> G = nx.path_graph(5)"
    expect(tokenizer(text)["input_ids"] == ours.encode(text), "transformers gives other ids")
    return f"transformers {transformers.__version__}: Llama of {sum(t.size for t in tensors.values())} parameters"


def check_gguf(folder: Path, model: Path) -> str:
    """Reads the quantised weights with the library of llama.cpp and holds them against the float32 ones."""
    import gguf

    [path] = folder.glob("*.gguf")
    reader = gguf.GGUFReader(path)
    config = json.loads((model / "config.json").read_text(encoding="utf-8"))
    for key, wanted in {
        "general.architecture": "llama",
        "llama.context_length": config["max_position_embeddings"],
        "llama.embedding_length": config["hidden_size"],
        "llama.feed_forward_length": config["intermediate_size"],
        "llama.attention.head_count": config["num_attention_heads"],
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.eos_token_id": config["eos_token_id"],
    }.items():
        found = reader.fields[key].contents() if key in reader.fields else None
        expect(found == wanted, f"{path.name}: {key} is {found!r}, expected {wanted!r}")
    vocabulary = json.loads((model / "tokenizer.json").read_text(encoding="utf-8"))["model"]["vocab"]
    tokens = reader.fields["tokenizer.ggml.tokens"].contents()
    expect(tokens == sorted(vocabulary, key=vocabulary.get), f"{path.name}: other tokens than in tokenizer.json")

    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.LLAMA, config["num_hidden_layers"])
    reference = {
        names.get_name(name, try_suffixes=(".weight",)): tensor
        for name, tensor in safetensors_of(model / "model.safetensors").items()
    }
    found = {tensor.name: gguf.dequantize(tensor.data, tensor.tensor_type) for tensor in reader.tensors}
    expect_same_shapes(
        {name: tensor.shape for name, tensor in found.items()},
        {name: tensor.shape for name, tensor in reference.items()}, path.name,
    )
    largest = 0.0
    for name, weight in reference.items():
        if name.endswith(("attn_q.weight", "attn_k.weight")):
            weight = llama_cpp_rows(weight, config["num_attention_heads"])
        distance = float(np.abs(found[name] - weight).max() / np.abs(weight).max())
        expect(distance < 1 / 200, f"{path.name}: {name} is {distance:.4f} of its largest weight away from float32")
        largest = max(largest, distance)
    return f"gguf: {len(found)} tensors, at most {largest:.5f} of the largest weight away from float32"


def llama_cpp_rows(weight: np.ndarray, heads: int) -> np.ndarray:
    """Puts the rows of a query or key matrix where llama.cpp's own converter puts them."""
    half = weight.shape[0] // heads // 2
    order = [head * 2 * half + pair + side * half for head in range(heads) for pair in range(half) for side in (0, 1)]
    return weight[order]


def check_adapter(folder: Path, model: Path) -> str:
    """Compares names and shapes of a LoRA adapter with those that peft gives to the modules that it lists."""
    config = json.loads((folder / "adapter_config.json").read_text(encoding="utf-8"))
    expect(config["peft_type"] == "LORA" and config["task_type"] == "CAUSAL_LM", "not a LoRA of a language model")
    rank = config["r"]
    wanted = {}
    for name, tensor in safetensors_of(model / "model.safetensors").items():
        module = name.removesuffix(".weight")
        if module.rsplit(".", 1)[-1] in config["target_modules"]:
            wanted[f"base_model.model.{module}.lora_A.weight"] = (rank, tensor.shape[1])
            wanted[f"base_model.model.{module}.lora_B.weight"] = (tensor.shape[0], rank)
    tensors = safetensors_of(folder / "adapter_model.safetensors")
    expect_same_shapes({name: tensor.shape for name, tensor in tensors.items()}, wanted, "adapter")
    return f"adapter: {len(tensors)} tensors of rank {rank}"


def check_llama_cpp(folder: Path, node: Path) -> str:
    """Continues texts greedily with llama.cpp and with our own program."""
    sys.path.insert(0, str(folder))
    from generate import choose
    from model import Model
    from package import load

    config, weights, tokenizer = load(folder)
    model = Model(config, weights)
    [file] = folder.glob("*.gguf")
    script = Path(__file__).with_name("check_llama_cpp.mjs").resolve()
    for text in CONTINUED_TEXTS:
        command = ["node", str(script), str(file.resolve()), text, str(CONTINUED_BY)]
        found = json.loads(subprocess.run(command, cwd=node, check=True, capture_output=True, text=True).stdout)
        tokens = tokenizer.encode(text)
        expect(found["prompt"] == tokens, f"llama.cpp cuts {text!r} into {found['prompt']}, not {tokens}")
        for _ in range(CONTINUED_BY):
            tokens.append(choose(model.logits(np.array([tokens]))[0, -1], 0.0, 1, None))
        wanted = tokens[-CONTINUED_BY:]
        expect(
            found["greedy"] == wanted,
            f"after {text!r} llama.cpp says {tokenizer.decode(found['greedy'])!r}, not {tokenizer.decode(wanted)!r}",
        )
    return f"llama.cpp: the same ids and the same {CONTINUED_BY} tokens after each of {len(CONTINUED_TEXTS)} texts"


CHECKS: dict[str, tuple[Callable[..., str], int]] = {
    "tokenizer": (check_tokenizer, 2), "model": (check_model, 1),
    "gguf": (check_gguf, 2), "adapter": (check_adapter, 2), "llama-cpp": (check_llama_cpp, 2),
}


def main() -> None:
    """Runs one check on the folders named."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("check", choices=CHECKS)
    parser.add_argument("folders", nargs="+", type=Path)
    arguments = parser.parse_args()
    check, count = CHECKS[arguments.check]
    if len(arguments.folders) != count:
        parser.error(f"{arguments.check} takes {count} folders")
    try:
        print(check(*arguments.folders))
    except Mismatch as mismatch:
        sys.exit(f"check_loaders {arguments.check}: {mismatch}")


if __name__ == "__main__":
    main()
