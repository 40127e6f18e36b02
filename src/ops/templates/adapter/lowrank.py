"""A table as the sum of a few products of a column and a row."""

import characters

SIZE = characters.SIZE


def products(table, rank):
    """Columns and rows, one pair for each rank; each pair clears the row and the column of the
    largest entry that is left. Only single products, differences and divisions: every machine
    finds the same numbers.
    """
    rest = [list(table[row * SIZE : (row + 1) * SIZE]) for row in range(SIZE)]
    for step in range(1, rank + 1):
        places = ((row, column) for row in range(SIZE) for column in range(SIZE))
        row, column = max(places, key=lambda place: abs(rest[place[0]][place[1]]))
        pivot = rest[row][column]
        if pivot == 0.0:
            return
        across = list(rest[row])
        down = [line[column] / pivot for line in rest]
        for line, factor in zip(rest, down):
            if factor != 0.0:
                line[:] = [entry - factor * other for entry, other in zip(line, across)]
        yield step, down, across


def adapted(base, down, across):
    """The base's table with the products of `down` and `across` added, and nothing below zero."""
    table = list(base)
    for column, row in zip(down, across):
        for first, factor in enumerate(column):
            if factor != 0.0:
                for second, other in enumerate(row):
                    table[first * SIZE + second] += factor * other
    return [max(entry, 1e-5) for entry in table]
