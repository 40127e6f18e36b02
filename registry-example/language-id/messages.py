"""Reads the translations of a program, in the format of gettext."""

import re
import zlib
from collections.abc import Iterator
from pathlib import Path

LANGUAGES = [
    "ar", "bg", "ca", "cs", "da", "de", "el", "en", "es", "et", "fi", "fr", "ga", "hu",
    "id", "it", "lt", "lv", "nl", "pl", "pt", "ro", "ru", "sk", "sv", "tr", "uk",
]
SHORTEST = 20
HELD_OUT = 6

QUOTED = re.compile(r'"(.*)"')
PLACEHOLDER = re.compile(r"%(?:\([a-z_0-9]+\))?[a-zA-Z%]|\{[^}]*\}|<[^>]*>|\\[a-z\"]")


def entries(path: Path) -> Iterator[tuple[str, list[str]]]:
    """Gives each message with its translations, but those that are marked as uncertain."""
    for entry in path.read_text(encoding="utf-8").split("\n\n"):
        parts = {"msgid": "", "msgstr": ""}
        texts, name = [], None
        for line in entry.split("\n"):
            if line.startswith(("msgid_plural", "msgctxt", "#")):
                name = None
            elif line.startswith("msgid"):
                name = "msgid"
            elif line.startswith("msgstr"):
                name = "msgstr"
                texts.append("")
            found = QUOTED.search(line)
            if name == "msgid" and found:
                parts["msgid"] += found[1]
            elif name == "msgstr" and found:
                texts[-1] += found[1]
        if parts["msgid"] and not re.search(r"^#,.*fuzzy", entry, re.MULTILINE):
            yield parts["msgid"], texts


def plain(text: str) -> str:
    """Takes out what programs put into messages."""
    return " ".join(PLACEHOLDER.sub(" ", text).split())


def read(folder: Path, *, held_out: bool) -> dict[str, list[bytes]]:
    """Reads the texts of every language: one in six messages is held out, the same in all of them."""
    found: dict[str, list[bytes]] = {}
    for language in LANGUAGES:
        texts = set()
        for path in sorted(folder.glob(f"**/locale/{language}/LC_MESSAGES/django.po")):
            for message, translations in entries(path):
                if (zlib.crc32(message.encode()) % HELD_OUT == 0) != held_out:
                    continue
                # English is what the others are translated from.
                texts.update(plain(text) for text in ([message] if language == "en" else translations))
        found[language] = sorted(text.encode() for text in texts if len(text) >= SHORTEST)
    return found
