"""The characters that the model knows, and the table of which one follows which."""

import math

# The line break and everything that a keyboard prints; any other character is read as `?`.
CHARACTERS = "\n" + "".join(chr(code) for code in range(32, 127))
SIZE = len(CHARACTERS)
NUMBERS = {character: number for number, character in enumerate(CHARACTERS)}


def encode(text):
    """The numbers of the characters of `text`."""
    return [NUMBERS.get(character, NUMBERS["?"]) for character in text]


def count(counts, numbers):
    """Adds to the flat table `counts` how often each character stands after each other one."""
    for first, second in zip(numbers, numbers[1:]):
        counts[first * SIZE + second] += 1


def likelihoods(counts, smoothing):
    """How likely each character is after each other one, as a flat table of SIZE x SIZE.

    Counts are whole numbers and each likelihood is one division, so every machine finds the same.
    """
    table = []
    for start in range(0, SIZE * SIZE, SIZE):
        row = counts[start : start + SIZE]
        total = sum(row) + smoothing * SIZE
        table += [(count + smoothing) / total for count in row]
    return table


def follow(numbers, smoothing):
    """The likelihoods in one text."""
    counts = [0] * SIZE**2
    count(counts, numbers)
    return likelihoods(counts, smoothing)


def bits(table, numbers):
    """How many bits a character of `numbers` costs under `table`: less is better."""
    pairs = list(zip(numbers, numbers[1:]))
    total = 0.0
    for first, second in pairs:
        row = table[first * SIZE : (first + 1) * SIZE]
        total -= math.log2(max(row[second], 1e-9) / max(sum(row), 1e-9))
    return total / len(pairs)
