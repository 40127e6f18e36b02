"""Byte-level byte-pair encoding: reads a `tokenizer.json` and gives the ids that the `tokenizers` library gives."""

import functools
import json
import re
import sys
import unicodedata
from collections.abc import Iterable
from pathlib import Path

END_OF_TEXT = "<|endoftext|>"
WHITESPACE = "\t-\r \x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"


def character_class(category: str) -> str:
    """Lists, as ranges for a regular expression, the characters whose Unicode category starts with a letter."""
    ranges: list[list[int]] = []
    for code in range(sys.maxunicode + 1):
        if unicodedata.category(chr(code))[0] == category:
            if ranges and ranges[-1][1] == code - 1:
                ranges[-1][1] = code
            else:
                ranges.append([code, code])
    return "".join(f"{chr(first)}-{chr(last)}" for first, last in ranges)


@functools.cache
def word_pattern() -> re.Pattern[str]:
    """Builds the pattern that cuts text into words, across which no pair is ever merged.

    It is the one that the `ByteLevel` pre-tokenizer uses, in which `\\p{L}`, `\\p{N}` and `\\s` follow Unicode.
    """
    letter, number, space = character_class("L"), character_class("N"), WHITESPACE
    return re.compile(
        rf"'s|'t|'re|'ve|'m|'ll|'d| ?[{letter}]+| ?[{number}]+| ?[^{space}{letter}{number}]+"
        rf"|[{space}]+(?![^{space}])|[{space}]+"
    )


@functools.cache
def byte_symbols() -> list[str]:
    """Gives each of the 256 bytes a printable character: itself, or for the others one from U+0100 on."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in printable]
    symbols = {byte: chr(byte) for byte in printable}
    symbols.update({byte: chr(256 + place) for place, byte in enumerate(others)})
    return [symbols[byte] for byte in range(256)]


def merge_pair(symbols: list, pair: tuple, merged) -> list:
    """Replaces each occurrence of two neighbours, from the left, by one symbol."""
    result = []
    place = 0
    while place < len(symbols):
        if place + 1 < len(symbols) and (symbols[place], symbols[place + 1]) == pair:
            result.append(merged)
            place += 2
        else:
            result.append(symbols[place])
            place += 1
    return result


class Tokenizer:
    """Turns text into token ids and back."""

    def __init__(self, vocabulary: dict[str, int], merges: list[tuple[str, str]]):
        """Takes the id of each token and the merges in the order in which they were learnt."""
        self.vocabulary = vocabulary
        self.merges = merges
        self.tokens = {token_id: token for token, token_id in vocabulary.items()}
        self.ranks = {pair: rank for rank, pair in enumerate(merges)}
        self.end_of_text = vocabulary[END_OF_TEXT]
        self.known: dict[str, list[int]] = {}

    @classmethod
    def load(cls, folder: Path | str) -> "Tokenizer":
        """Reads `tokenizer.json` in a folder."""
        model = json.loads((Path(folder) / "tokenizer.json").read_text(encoding="utf-8"))["model"]
        return cls(model["vocab"], [tuple(merge.split(" ")) for merge in model["merges"]])

    def encode_word(self, word: str) -> list[int]:
        """Merges the bytes of a word, the pair learnt first first, and remembers the result."""
        if word not in self.known:
            symbols = [byte_symbols()[byte] for byte in word.encode()]
            while len(symbols) > 1:
                pair = min(zip(symbols, symbols[1:]), key=lambda pair: self.ranks.get(pair, len(self.ranks)))
                if pair not in self.ranks:
                    break
                symbols = merge_pair(symbols, pair, pair[0] + pair[1])
            self.known[word] = [self.vocabulary[symbol] for symbol in symbols]
        return self.known[word]

    def encode(self, text: str) -> list[int]:
        """Turns text into token ids. The end of a text is not marked."""
        return [token for word in word_pattern().findall(text) for token in self.encode_word(word)]

    def decode(self, tokens: Iterable[int]) -> str:
        """Turns token ids into text, leaving out marks of an end of text; broken UTF-8 becomes U+FFFD."""
        symbols = "".join(self.tokens[token] for token in tokens if token != self.end_of_text)
        bytes_of = {symbol: byte for byte, symbol in enumerate(byte_symbols())}
        return bytes(bytes_of[symbol] for symbol in symbols).decode(errors="replace")
