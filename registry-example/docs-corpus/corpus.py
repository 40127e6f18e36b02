"""Extracts documentation text from unpacked Python wheels into one text file a source.

Each wheel is a `[[data]]` entry of mpkg.toml, which names its licence. What comes out:

    train/SOURCE.txt, validation/SOURCE.txt   records, each followed by a blank line
    records.jsonl                             where each record lies, and its member and licence
"""

import argparse
import ast
import hashlib
import json
import re
from collections.abc import Iterator
from pathlib import Path

SHORTEST_RECORD = 80
VALIDATION_IN_256 = 13
PUBLIC_DOMAIN = "has been placed in the public domain"
SECTION = re.compile(r'\n\n(?=[^\n]+\n([=\-~^*#"])\1{2,}\n)')


def clean(docstring: str) -> str:
    """Removes the indentation that a documentation string shares with its code.

    `inspect.cleandoc` does nearly this, and changed between Python versions.
    """
    lines = [line.rstrip() for line in docstring.expandtabs().split("\n")]
    indents = [len(line) - len(line.lstrip()) for line in lines[1:] if line]
    margin = min(indents, default=0)
    return "\n".join([lines[0].lstrip()] + [line[margin:] for line in lines[1:]]).strip("\n")


def docstrings(source: str) -> Iterator[tuple[str, str]]:
    """Yields the name and the documentation string of each definition in Python source."""
    definitions = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, definitions):
            text = ast.get_docstring(node, clean=False)
            if text:
                yield getattr(node, "name", "module"), clean(text)


def sections(source: str) -> Iterator[tuple[str, str]]:
    """Yields the number and the text of each section of a reStructuredText document."""
    starts = [0] + [match.end() for match in SECTION.finditer(source)] + [len(source)]
    for number, (start, end) in enumerate(zip(starts, starts[1:])):
        yield str(number), source[start:end].strip("\n")


def is_free(source: str, licence: str) -> bool:
    """Says whether a file may be taken: where the dedication goes by file, the file must say so."""
    return licence != "LicenseRef-public-domain" or PUBLIC_DOMAIN in source[:4000]


def read_records(folder: Path, licence: str) -> Iterator[tuple[str, str, str]]:
    """Yields member, name and text of each record of an unpacked wheel, in the order of member names."""
    readers = {".py": docstrings, ".rst": sections}
    members = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*")}
    for member, path in sorted(members.items()):
        reader = readers.get(path.suffix)
        if reader is None or "/tests/" in member or ".dist-info/" in member:
            continue
        source = path.read_text(encoding="utf-8")
        if is_free(source, licence):
            for name, text in reader(source):
                if len(text) >= SHORTEST_RECORD:
                    yield member, name, text


def part_of(member: str) -> str:
    """Puts whole members, not single records, aside for validation: records of a member resemble each other."""
    held_out = hashlib.sha256(member.encode()).digest()[0] < VALIDATION_IN_256
    return "validation" if held_out else "train"


def write_source(out: Path, source: str, licence: str, folder: Path, seen: set[str]) -> list[dict]:
    """Writes the text of a source and returns the index entries of its records; repeated text is left out."""
    texts = {"train": bytearray(), "validation": bytearray()}
    entries = []
    for member, name, text in read_records(folder, licence):
        data = text.encode()
        digest = hashlib.sha256(data).hexdigest()
        if digest in seen:
            continue
        seen.add(digest)
        part = part_of(member)
        entries.append({
            "file": f"{part}/{source}.txt", "offset": len(texts[part]), "size": len(data), "sha256": digest,
            "source": source, "member": member, "name": name, "license": licence,
        })
        texts[part] += data + b"\n\n"
    for part, text in texts.items():
        (out / part).mkdir(exist_ok=True)
        (out / part / f"{source}.txt").write_bytes(text)
    return entries


def main() -> None:
    """Reads `--source NAME LICENCE FOLDER` for each data reference and writes the corpus to `--out`."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--source", nargs=3, action="append", required=True, metavar=("NAME", "LICENCE", "FOLDER"))
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()

    seen: set[str] = set()
    total = 0
    with open(arguments.out / "records.jsonl", "w", encoding="utf-8", newline="\n") as index:
        for number, (source, licence, folder) in enumerate(arguments.source, 1):
            entries = write_source(arguments.out, source, licence, Path(folder), seen)
            index.writelines(json.dumps(entry, ensure_ascii=False) + "\n" for entry in entries)
            total += len(entries)
            print(json.dumps({"step": number, "of": len(arguments.source), "records": total}), flush=True)


if __name__ == "__main__":
    main()
