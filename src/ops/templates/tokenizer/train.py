"""Learns the tokens: train.py TRAIN OUT SIZE."""

import collections
import json
import os
import sys

import bpe


def learn(text, size):
    """The merges, the most frequent pair first; of equals the first in the order of letters."""
    words = collections.Counter(bpe.pieces(text))
    merges, wanted = [], size - 256
    for step in range(1, wanted + 1):
        pairs = collections.Counter()
        for tokens, count in words.items():
            for pair in zip(tokens, tokens[1:]):
                pairs[pair] += count
        if not pairs:
            break
        best = min(pairs, key=lambda pair: (-pairs[pair], pair))
        merges.append(best)
        merged = collections.Counter()
        for tokens, count in words.items():
            merged[bpe.merged(tokens, best)] += count
        words = merged
        if step % 64 == 0 or step == wanted:
            print(json.dumps({"step": step, "of": wanted, "tokens": sum(len(tokens) * count for tokens, count in words.items())}), flush=True)
    return merges


def document(merges):
    """The contents of tokenizer.json, as the `tokenizers` library reads it."""
    tokens = [bpe.LETTERS[byte] for byte in range(256)] + [first + second for first, second in merges]
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [],
        "normalizer": None,
        "pre_tokenizer": {
            "type": "Sequence",
            "pretokenizers": [
                {"type": "Split", "pattern": {"Regex": bpe.PIECES}, "behavior": "Isolated", "invert": False},
                {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False},
            ],
        },
        "post_processor": None,
        "decoder": {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False},
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": None,
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": False,
            "byte_fallback": False,
            "ignore_merges": False,
            "vocab": {token: number for number, token in enumerate(tokens)},
            "merges": [list(pair) for pair in merges],
        },
    }


def write(path, value):
    with open(path, "w", encoding="utf-8") as file:
        json.dump(value, file, indent=1, ensure_ascii=False)
        file.write("\n")


def main(train_path, out, size):
    with open(train_path, encoding="utf-8") as file:
        merges = learn(file.read(), int(size))
    write(os.path.join(out, "tokenizer.json"), document(merges))
    config = {"tokenizer_class": "PreTrainedTokenizerFast", "clean_up_tokenization_spaces": False}
    write(os.path.join(out, "tokenizer_config.json"), config)


if __name__ == "__main__":
    main(*sys.argv[1:])
