"""HL7 v2 messages as bytes and as values, both ways. Pure.

By HL7 v2.4, chapter 2: a message is segments that end with a carriage return, a segment is fields between
"|" (2.8); a component separator, repetition, escape and subcomponent character follow MSH in MSH-2
(2.16.9.2); a delimiter inside a text is an escape sequence (2.9.2), as are line ends (2.9.6) and characters
that are not displayable (2.9.5); a field of two double quotes means "delete the value" (2.6.3), so a text that
is just those is escaped as well; MSH-18 names the characters of the message, ASCII where it is empty
(2.16.9.18, table 0211).
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

FIELD, COMPONENT, REPETITION, ESCAPE, SUBCOMPONENT = "|", "^", "~", "\\", "&"
_ENCODING_CHARACTERS = COMPONENT + REPETITION + ESCAPE + SUBCOMPONENT
_ESCAPES = {
    ESCAPE: "\\E\\",
    FIELD: "\\F\\",
    COMPONENT: "\\S\\",
    SUBCOMPONENT: "\\T\\",
    REPETITION: "\\R\\",
    "\n": "\\.br\\",
    "\t": "\\X09\\",
}
_MEANINGS = {sequence[1:-1]: character for character, sequence in _ESCAPES.items()}
_NULL = '""'
_ESCAPED_NULL = "\\X2222\\"
_SEQUENCE = re.compile(r"\\([^\\]*)\\")
# Table 0211 by Python's names.
CHARACTER_SETS: Mapping[str, str] = {
    "us-ascii": "",
    "iso-8859-1": "8859/1",
    "utf-8": "UNICODE UTF-8",
}
_BY_NAME = {name: charset for charset, name in CHARACTER_SETS.items()} | {"ASCII": "us-ascii"}


class NotHl7(ValueError):
    """The bytes are no message, or a text cannot stand in one; the sentence repeats no content."""


@dataclass(frozen=True, slots=True)
class Segment:
    """One segment: `fields` are numbered as HL7 numbers them and hold their text with escapes resolved, as
    a list of components."""

    name: str
    fields: Mapping[int, tuple[str, ...]]

    def field(self, number: int, component: int = 1) -> str:
        """One component, counted from 1; "" where there is none."""
        parts = self.fields.get(number, ())
        return parts[component - 1] if len(parts) >= component else ""


def segment(name: str, **fields: str | tuple[str, ...]) -> Segment:
    """`segment("OBX", f1="1", f2="TX")`: fields by number, a tuple for components."""
    return Segment(
        name,
        {
            int(key.removeprefix("f")): value if isinstance(value, tuple) else (value,)
            for key, value in fields.items()
        },
    )


def escaped(text: str) -> str:
    """A text as it stands in a field. Raises `NotHl7` for a carriage return or another control character."""
    if text == _NULL:
        return _ESCAPED_NULL
    out = []
    for character in text:
        if character in _ESCAPES:
            out.append(_ESCAPES[character])
        elif character < " " or character == "\x7f":
            raise NotHl7("A control character cannot stand in a message.")
        else:
            out.append(character)
    return "".join(out)


def unescaped(field: str) -> str:
    """The text of a field. Raises `NotHl7` for a sequence that is not closed or not known."""
    if field.count(ESCAPE) % 2:
        raise NotHl7("An escape sequence does not end.")
    return _SEQUENCE.sub(_meaning, field)


def _meaning(sequence: re.Match[str]) -> str:
    code = sequence.group(1)
    if code in _MEANINGS:
        return _MEANINGS[code]
    if re.fullmatch(r"X(?:[0-7][0-9A-Fa-f])+", code):
        return bytes.fromhex(code[1:]).decode("ascii")
    raise NotHl7("An escape sequence is not known.")


def write(segments: Sequence[Segment], *, charset: str) -> bytes:
    """The message's bytes. The first segment is MSH without its first two fields and MSH-18, which are
    filled in here. Raises `NotHl7` for characters outside the set, or a set that table 0211 does not name."""
    if charset not in CHARACTER_SETS:
        raise NotHl7("The character set has no name in HL7.")
    lines = []
    for index, one in enumerate(segments):
        fields = dict(one.fields)
        if index == 0:
            named = CHARACTER_SETS[charset]
            if named:
                fields[18] = (named,)
            texts = _row(fields, first=3)
            lines.append(FIELD.join([one.name, _ENCODING_CHARACTERS, *texts]))
        else:
            lines.append(FIELD.join([one.name, *_row(fields, first=1)]))
    try:
        return "".join(line + "\r" for line in lines).encode(charset)
    except UnicodeEncodeError:
        raise NotHl7("A character is not in the message's character set.") from None


def _row(fields: Mapping[int, tuple[str, ...]], *, first: int) -> list[str]:
    last = max((number for number, parts in fields.items() if any(parts)), default=first - 1)
    return [
        COMPONENT.join(map(escaped, fields.get(number, ()))) for number in range(first, last + 1)
    ]


def _components(field: str) -> tuple[str, ...]:
    """A field that is given once, of components without parts of their own: all that a note's message has."""
    if REPETITION in field or SUBCOMPONENT in field:
        raise NotHl7("A field is repeated, or has parts within its components.")
    return tuple(map(unescaped, field.split(COMPONENT)))


def read(raw: bytes) -> list[Segment]:
    """The segments of a message with the usual delimiters. Raises `NotHl7`."""
    head = f"MSH{FIELD}{_ENCODING_CHARACTERS}".encode()
    if not raw.startswith(head):
        raise NotHl7("A message begins with MSH and the usual delimiters.")
    first = raw.split(b"\r", 1)[0].split(b"|")
    named = first[17].decode("latin-1") if len(first) > 17 else ""
    charset = _BY_NAME.get(named)
    if charset is None:
        raise NotHl7("The message names an unknown character set.")
    try:
        text = raw.decode(charset)
    except UnicodeDecodeError:
        raise NotHl7("The message is not in the character set that it names.") from None
    found = []
    for line in text.split("\r"):
        if not line:
            continue
        name, *fields = line.split(FIELD)
        start = 2 if name == "MSH" else 1  # MSH-1 is the separator itself
        found.append(
            Segment(
                name,
                {
                    number: (field,) if name == "MSH" and number == 2 else _components(field)
                    for number, field in enumerate(fields, start=start)
                    if field
                },
            )
        )
    return found
