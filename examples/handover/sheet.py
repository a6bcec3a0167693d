"""A hand-over sheet: labelled lines of plain text, each with its place in the text."""

import re
from dataclasses import dataclass
from pathlib import Path

_LINE = re.compile(r"(?P<label>[A-Z][A-Za-z0-9 ]{2,40}): (?P<said>\S.*)")


class UnableToReadSheet(Exception):
    """The file is no hand-over sheet; the sentence says why."""


@dataclass(frozen=True, slots=True)
class Line:
    """One labelled line: `start` and `end` are its place in the sheet's text."""

    label: str
    said: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Sheet:
    """The whole text, and its labelled lines in order."""

    title: str
    text: str
    lines: tuple[Line, ...]


def read(*, path: Path) -> Sheet:
    """The sheet in a file. Raises `UnableToReadSheet`."""
    try:
        text = path.read_text(encoding="utf-8").replace("\r\n", "\n").replace("\r", "\n")
    except OSError as refusal:
        raise UnableToReadSheet(f"{path.name} cannot be read: {refusal.strerror}.") from None
    except UnicodeDecodeError:
        raise UnableToReadSheet(f"{path.name} is not UTF-8 text.") from None
    lines = []
    position = 0
    for row in text.split("\n"):
        found = _LINE.fullmatch(row.rstrip())
        if found:
            lines.append(
                Line(
                    found["label"].casefold(),
                    found["said"].strip(),
                    position,
                    position + len(row.rstrip()),
                )
            )
        position += len(row) + 1
    if not lines:
        raise UnableToReadSheet(f"{path.name} has no labelled line, such as “Pulse: 78”.")
    return Sheet(path.stem, text, tuple(lines))
