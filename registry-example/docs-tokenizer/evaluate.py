"""Measures a tokenizer on the validation part of a corpus: how much it compresses, whether it gives the text back."""

import json
import sys
from pathlib import Path

from bpe import Tokenizer


def evaluate(tokenizer: Tokenizer, corpus: Path) -> dict[str, float]:
    """Encodes and decodes each validation text."""
    characters = tokens = changed = 0
    for path in sorted(corpus.glob("validation/*.txt")):
        text = path.read_text(encoding="utf-8")
        ids = tokenizer.encode(text)
        characters += len(text)
        tokens += len(ids)
        changed += tokenizer.decode(ids) != text
    return {"characters_per_token": round(characters / tokens, 4), "texts_changed": changed}


if __name__ == "__main__":
    print(json.dumps(evaluate(Tokenizer.load(sys.argv[1]), Path(sys.argv[2]))))
