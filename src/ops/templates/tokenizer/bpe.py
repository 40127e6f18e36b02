"""Cuts text into tokens, as the `tokenizers` library does with the same tokenizer.json.

Run by itself it prints the tokens of a text: bpe.py "some text".
"""

import json
import os
import re
import sys

# Pieces that no token crosses: a word, a number or other signs, each with the space before it.
PIECES = " ?[A-Za-z]+| ?[0-9]+| ?[^A-Za-z0-9 ]+| +"


def letters():
    """A printable character for each byte, the same one that byte-level tokenizers use."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    names, spare = {byte: chr(byte) for byte in plain}, 256
    for byte in range(256):
        if byte not in names:
            names[byte] = chr(spare)
            spare += 1
    return names


LETTERS = letters()
BYTES = {letter: byte for byte, letter in LETTERS.items()}


def pieces(text):
    """The pieces of `text`, each as the letters of its bytes."""
    for piece in re.findall(PIECES, text):
        yield tuple(LETTERS[byte] for byte in piece.encode())


def merged(tokens, pair):
    """`tokens` with each `pair` made one."""
    result, index = [], 0
    while index < len(tokens):
        if tokens[index : index + 2] == pair:
            result.append(pair[0] + pair[1])
            index += 2
        else:
            result.append(tokens[index])
            index += 1
    return tuple(result)


class Tokenizer:
    """A tokenizer.json that was read."""

    def __init__(self, path):
        with open(path, encoding="utf-8") as file:
            model = json.load(file)["model"]
        self.numbers = model["vocab"]
        self.tokens = {number: token for token, number in self.numbers.items()}
        self.ranks = {tuple(pair): rank for rank, pair in enumerate(model["merges"])}

    def encode(self, text):
        """The numbers of the tokens of `text`."""
        numbers = []
        for tokens in pieces(text):
            while len(tokens) > 1:
                pairs = zip(tokens, tokens[1:])
                pair = min(pairs, key=lambda pair: self.ranks.get(pair, len(self.ranks)))
                if pair not in self.ranks:
                    break
                tokens = merged(tokens, pair)
            numbers += [self.numbers[token] for token in tokens]
        return numbers

    def decode(self, numbers):
        """The text of tokens."""
        letters_of_all = "".join(self.tokens[number] for number in numbers)
        return bytes(BYTES[letter] for letter in letters_of_all).decode(errors="replace")


if __name__ == "__main__":
    folder = os.path.dirname(os.path.abspath(__file__))
    tokenizer = Tokenizer(os.path.join(folder, "tokenizer.json"))
    print(tokenizer.encode(sys.argv[1]))
