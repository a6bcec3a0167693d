"""Characters that deceive or vanish: which are refused, and how the rest is made visible. Pure."""

import re
import unicodedata
from dataclasses import dataclass

# Bidirectional embeddings, overrides and isolates, and tag characters: they can make a reader see other
# words than a machine does, and no clinical text needs them.
_FORBIDDEN = re.compile("[\u202a-\u202e\u2066-\u2069\U000e0000-\U000e007f]")
# Controls, lone surrogates and noncharacters cannot be written to FHIR at all.
_UNWRITABLE = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef"
    + "".join(
        f"{chr(plane * 0x10000 + 0xFFFE)}{chr(plane * 0x10000 + 0xFFFF)}" for plane in range(17)
    )
    + "]"
)
_INVISIBLE_CATEGORIES = {"Cc", "Cf", "Co", "Cn", "Cs", "Zl", "Zp"}
_VARIATION_SELECTORS = re.compile(
    "[\ufe00-\ufe0f\U000e0100-\U000e01ef\u180b-\u180f\u034f\u115f\u1160\u17b4\u17b5\u3164\uffa0]"
)
_ODD_SPACES = re.compile("[\u00a0\u1680\u2000-\u200a\u202f\u205f\u3000]")


@dataclass(frozen=True, slots=True)
class Segment:
    """A run of a text: `text` to be shown as it is, or the `name` of one invisible character, "U+200B ZERO WIDTH SPACE"."""

    text: str
    name: str = ""


def forbidden_characters(text: str) -> tuple[tuple[int, str], ...]:
    """(offset in code points, "U+202E") of every character that no text of an agent may hold."""
    return tuple((m.start(), f"U+{ord(m.group()):04X}") for m in _FORBIDDEN.finditer(text))


def unwritable_characters(text: str) -> tuple[tuple[int, str], ...]:
    """(offset, name) of characters that FHIR cannot carry: controls, lone surrogates, noncharacters."""
    return tuple((m.start(), f"U+{ord(m.group()):04X}") for m in _UNWRITABLE.finditer(text))


def is_invisible(character: str) -> bool:
    """A reader sees nothing, or a plain blank, where this character stands; line ends and tabs are known."""
    if character in "\n\r\t ":
        return False
    return (
        unicodedata.category(character) in _INVISIBLE_CATEGORIES
        or _VARIATION_SELECTORS.match(character) is not None
        or _ODD_SPACES.match(character) is not None
    )


def visible(text: str) -> tuple[Segment, ...]:
    """The text in runs, with every invisible character named; joining the texts and characters loses nothing."""
    segments: list[Segment] = []
    run: list[str] = []
    for character in text:
        if not is_invisible(character):
            run.append(character)
            continue
        if run:
            segments.append(Segment("".join(run)))
            run = []
        name = unicodedata.name(character, "")
        segments.append(Segment(character, f"U+{ord(character):04X} {name}".strip()))
    if run:
        segments.append(Segment("".join(run)))
    return tuple(segments)


def visible_text(text: str) -> str:
    """The text with each invisible character written out, "[U+200B ZERO WIDTH SPACE]"."""
    return "".join(f"[{s.name}]" if s.name else s.text for s in visible(text))
