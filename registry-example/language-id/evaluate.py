"""Has a packed model name the language of messages that were held out of its training."""

import argparse
import json
from pathlib import Path

from safetensors.numpy import load_file

from features import identify
from messages import LANGUAGES, read


def main() -> None:
    """Prints the accuracy as a JSON object, and writes each answer where that is asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("package", type=Path, help="folder of the model")
    parser.add_argument("messages", type=Path, help="folder of the unpacked translations")
    parser.add_argument("--predictions", type=Path, help="file that receives one language a line")
    arguments = parser.parse_args()
    texts = read(arguments.messages, held_out=True)
    weights = load_file(arguments.package / "model.safetensors")
    found = {language: identify(weights, known) for language, known in texts.items()}
    right = sum(int((answers == LANGUAGES.index(language)).sum()) for language, answers in found.items())
    if arguments.predictions:
        lines = [LANGUAGES[answer] for answers in found.values() for answer in answers]
        arguments.predictions.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8", newline="\n")
    print(json.dumps({"accuracy": right / sum(map(len, texts.values()))}))


if __name__ == "__main__":
    main()
