"""Checks a built corpus: every record lies where the index says, has a licence, and is in one part only."""

import hashlib
import json
import sys
from pathlib import Path


def check(corpus: Path) -> dict[str, int]:
    """Counts records, bytes a part, and faults: text that differs, licences missing, members in both parts."""
    texts = {path.relative_to(corpus).as_posix(): path.read_bytes() for path in corpus.glob("*/*.txt")}
    parts: dict[str, set[str]] = {}
    records = faults = 0
    for line in (corpus / "records.jsonl").read_text(encoding="utf-8").splitlines():
        entry = json.loads(line)
        text = texts[entry["file"]][entry["offset"]:][:entry["size"]]
        faults += hashlib.sha256(text).hexdigest() != entry["sha256"]
        faults += not entry["license"]
        parts.setdefault(entry["member"], set()).add(entry["file"])
        records += 1
    faults += sum(len(files) > 1 for files in parts.values())
    sizes = {
        f"{part}_bytes": sum(len(text) for name, text in texts.items() if name.startswith(part))
        for part in ("train", "validation")
    }
    return {"records": records, "faults": faults, **sizes}


if __name__ == "__main__":
    print(json.dumps(check(Path(sys.argv[1]))))
