"""Learns a byte-level byte-pair encoding from a corpus and writes it as `tokenizer.json`."""

import argparse
import json
import shutil
from collections import Counter, defaultdict
from pathlib import Path

from bpe import END_OF_TEXT, byte_symbols, merge_pair, word_pattern

HERE = Path(__file__).parent


def count_words(corpus: Path) -> Counter[str]:
    """Counts the words of the training part."""
    counts: Counter[str] = Counter()
    for path in sorted(corpus.glob("train/*.txt")):
        counts.update(word_pattern().findall(path.read_text(encoding="utf-8")))
    return counts


class PairCounts:
    """How often each pair of neighbouring symbols occurs, and in which words, while pairs are merged."""

    def __init__(self, words: Counter[str]):
        """Starts with each word as its bytes."""
        ordered = sorted(words)
        self.words = [[byte_symbols()[byte] for byte in word.encode()] for word in ordered]
        self.weights = [words[word] for word in ordered]
        self.counts: Counter[tuple[str, str]] = Counter()
        self.places: defaultdict[tuple[str, str], set[int]] = defaultdict(set)
        for number in range(len(ordered)):
            self.add(number, self.weights[number])

    def add(self, number: int, weight: int) -> None:
        """Adds a word's pairs to the counts, or takes them off with a negative weight."""
        symbols = self.words[number]
        for pair in zip(symbols, symbols[1:]):
            self.counts[pair] += weight
            self.places[pair].add(number)

    def most_frequent(self) -> tuple[str, str]:
        """Finds the pair to merge next; of equally frequent ones the first in the order of their symbols."""
        highest = max(self.counts.values())
        return min(pair for pair, count in self.counts.items() if count == highest)

    def merge(self, pair: tuple[str, str]) -> None:
        """Makes one symbol of a pair wherever it occurs."""
        for number in self.places.pop(pair):
            self.add(number, -self.weights[number])
            self.words[number] = merge_pair(self.words[number], pair, pair[0] + pair[1])
            self.add(number, self.weights[number])
        del self.counts[pair]


def learn_merges(words: Counter[str], number_of_merges: int) -> list[tuple[str, str]]:
    """Merges the most frequent pair again and again."""
    pairs = PairCounts(words)
    merges = []
    for step in range(1, number_of_merges + 1):
        pair = pairs.most_frequent()
        if step % 50 == 0 or step == number_of_merges:
            print(json.dumps({"step": step, "of": number_of_merges, "pair_count": pairs.counts[pair]}), flush=True)
        merges.append(pair)
        pairs.merge(pair)
    return merges


def tokenizer_json(merges: list[tuple[str, str]]) -> dict:
    """Describes the encoding in the format of the `tokenizers` library: end of text, bytes, then merges."""
    tokens = [END_OF_TEXT, *byte_symbols(), *(first + second for first, second in merges)]
    end_of_text = {
        "id": 0, "content": END_OF_TEXT, "single_word": False, "lstrip": False, "rstrip": False,
        "normalized": False, "special": True,
    }
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    model = {
        "type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": None,
        "end_of_word_suffix": None, "fuse_unk": False, "byte_fallback": False, "ignore_merges": False,
        "vocab": {token: token_id for token_id, token in enumerate(tokens)},
        "merges": [" ".join(merge) for merge in merges],
    }
    return {
        "version": "1.0", "truncation": None, "padding": None, "added_tokens": [end_of_text], "normalizer": None,
        "pre_tokenizer": byte_level, "post_processor": byte_level, "decoder": byte_level, "model": model,
    }


def tokenizer_config() -> dict:
    """Says to the `transformers` library which class loads the tokenizer and what its marks are."""
    return {
        "tokenizer_class": "PreTrainedTokenizerFast", "bos_token": END_OF_TEXT, "eos_token": END_OF_TEXT,
        "clean_up_tokenization_spaces": False, "model_max_length": 1_000_000_000,
    }


def write_json(path: Path, value: dict) -> None:
    """Writes JSON that is the same on every machine."""
    path.write_text(json.dumps(value, ensure_ascii=False, indent=1) + "\n", encoding="utf-8", newline="\n")


def main() -> None:
    """Trains on `--corpus` and writes to `--out` the tokenizer and the code that runs it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--corpus", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--vocabulary", type=int, default=1024, help="number of tokens")
    arguments = parser.parse_args()

    learnable = arguments.vocabulary - len(byte_symbols()) - 1
    merges = learn_merges(count_words(arguments.corpus), learnable)
    write_json(arguments.out / "tokenizer.json", tokenizer_json(merges))
    write_json(arguments.out / "tokenizer_config.json", tokenizer_config())
    shutil.copyfile(HERE / "bpe.py", arguments.out / "bpe.py")


if __name__ == "__main__":
    main()
