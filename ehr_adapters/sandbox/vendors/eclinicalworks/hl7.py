"""What the note interface makes of an HL7 v2 message: segments, fields, plain text.

HL7 v2.4 chapter 2: segments end with a carriage return (2.6), MSH-1 and MSH-2 name the delimiters (2.16.9),
escape sequences stand between two escape characters (2.9).
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

_NAMED = {"E": "\\", "F": "|", "S": "^", "T": "&", "R": "~", ".br": "\n", ".sp": "\n"}
_CHARSETS = {"": "ascii", "ASCII": "ascii", "8859/1": "iso-8859-1", "UNICODE UTF-8": "utf-8"}
_ESCAPED = re.compile(r"\\([^\\]*)\\")


class NotAMessage(ValueError):
    """The bytes are no message that the interface reads."""


@dataclass(frozen=True, slots=True)
class Segment:
    """One segment: its fields as sent, numbered as HL7 numbers them."""

    name: str
    fields: Mapping[int, str]

    def field(self, number: int) -> str:
        return self.fields.get(number, "")

    def component(self, number: int, position: int) -> str:
        """One component of a field, counted from 1, as plain text."""
        parts = self.field(number).split("^")
        return plain(parts[position - 1]) if len(parts) >= position else ""


def segments(raw: bytes) -> list[Segment]:
    """The message's segments, in order. Raises NotAMessage."""
    if not raw.startswith(b"MSH|^~\\&"):
        raise NotAMessage("it does not begin with MSH and the usual delimiters")
    head = raw.split(b"\r", 1)[0].split(b"|")
    named = head[17].decode("ascii", "replace") if len(head) > 17 else ""
    try:
        text = raw.decode(_CHARSETS[named])
    except (KeyError, UnicodeDecodeError):
        raise NotAMessage("its characters are not those that MSH-18 names") from None
    found = []
    for line in text.split("\r"):
        if not line:
            continue
        name, *fields = line.split("|")
        first = 2 if name == "MSH" else 1  # MSH-1 is the separator itself
        found.append(Segment(name, dict(enumerate(fields, start=first))))
    return found


def plain(field: str) -> str:
    """A field's text with its escape sequences resolved. Raises NotAMessage."""
    if field.count("\\") % 2:
        raise NotAMessage("an escape sequence does not end")

    def one(match: re.Match[str]) -> str:
        code = match.group(1)
        if code in _NAMED:
            return _NAMED[code]
        if re.fullmatch(r"X(?:[0-9A-Fa-f]{2})+", code):
            return bytes.fromhex(code[1:]).decode("latin-1")
        raise NotAMessage("an escape sequence is not known")

    return _ESCAPED.sub(one, field)
