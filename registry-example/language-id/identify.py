"""Says in which language lines of text are. Needs numpy and safetensors."""

import json
import sys
from pathlib import Path

from safetensors.numpy import load_file

from features import identify

HERE = Path(__file__).parent


def main() -> None:
    """Prints a language for each line of the standard input."""
    languages = json.loads((HERE / "config.json").read_text(encoding="utf-8"))["languages"]
    weights = load_file(HERE / "model.safetensors")
    for line in sys.stdin.buffer:
        text = line.strip()
        print(languages[identify(weights, [text])[0]], text.decode(errors="replace"))


if __name__ == "__main__":
    main()
