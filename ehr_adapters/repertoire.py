"""A change in the characters that the destination can hold: replaced by a reviewed table, or refused."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from ehr_adapters.canonical.base import ChangeInvalid, ChartChange, parse_change
from ehr_adapters.capabilities import Capability
from ehr_adapters.contract import Remark
from ehr_adapters.errors import AdapterMisconfigured, CannotBeCarried, Issue

# Reviewed one by one: each replacement means the same to a clinician. A character that is neither in the
# repertoire nor here is refused: a lost sign reverses meaning.
REPLACEMENTS: Mapping[str, str] = {
    "≥": ">=",
    "≤": "<=",
    "≠": "not equal to ",
    "±": "+/-",
    "½": "1/2",
    "¼": "1/4",
    "¾": "3/4",
    "°": " degrees ",
    "×": "x",
    "→": "->",
    "←": "<-",
    "–": "-",
    "—": "-",
    "‘": "'",
    "’": "'",
    "“": '"',
    "”": '"',
    "…": "...",
    "\u00a0": " ",
    "•": "-",
}
# Only before "g": for other units the same sign is spelt otherwise.
_MICRO = re.compile(r"[µμ](?=g)")
# A fraction after a whole number would change its value when written out ("2½" is not "21/2").
_MIXED_NUMBER = re.compile(r"[0-9][½¼¾]")


def fit_to_repertoire(
    change: ChartChange, *, capability: Capability
) -> tuple[ChartChange, tuple[Remark, ...]]:
    """The change in the destination's characters, and a remark for each text that was altered.

    Raises `CannotBeCarried` for a character that the destination cannot hold and the table does not replace.
    """
    if capability.repertoire.lower() == "utf-8":
        return change, ()
    remarks: list[Remark] = []
    issues: list[Issue] = []

    def fit(value: Any, pointer: str) -> Any:
        if isinstance(value, str):
            fitted, swapped, lost = fit_text(value, repertoire=capability.repertoire)
            if lost:
                issues.append(
                    Issue(
                        "outside-repertoire",
                        pointer,
                        f"The EHR cannot hold these characters: {' '.join(lost)}.",
                    )
                )
            elif swapped:
                shown = ", ".join(f"{old} becomes {new}" for old, new in swapped)
                remarks.append(Remark("replaced", pointer, f"In this EHR {shown}."))
            return fitted
        if isinstance(value, Mapping):
            return {
                k: v if k in {"system", "code", "sha256", "acts"} else fit(v, f"{pointer}/{k}")
                for k, v in value.items()
            }
        if isinstance(value, list):
            return [fit(item, f"{pointer}/{index}") for index, item in enumerate(value)]
        return value

    content = {
        name: fit(value, f"/{name}") for name, value in change.model_dump_canonical().items()
    }
    if not issues and remarks:
        _drop_moved_spans(content, remarks)
        try:
            change = parse_change(change.kind, change.interaction, content)
        except ChangeInvalid as invalid:
            issues += [Issue(i.code, i.pointer, i.sentence) for i in invalid.issues]
    if issues:
        raise CannotBeCarried(
            " ".join(issue.sentence for issue in issues),
            interaction=f"{change.kind} {change.interaction}",
            issues=issues,
        )
    return change, tuple(remarks)


def _drop_moved_spans(content: dict[str, Any], remarks: Sequence[Remark]) -> None:
    """Spans belong to the portal's own text; where characters were replaced they no longer fit."""
    altered = {remark.pointer for remark in remarks}
    for index, section in enumerate(content.get("sections") or ()):
        if f"/sections/{index}/text" in altered:
            section.pop("acts", None)


def fit_text(
    text: str, *, repertoire: str
) -> tuple[str, tuple[tuple[str, str], ...], tuple[str, ...]]:
    """(text in the repertoire, replacements made, characters lost) for one text."""
    swapped: dict[str, str] = {}
    lost: dict[str, None] = {}
    micro = {match.start() for match in _MICRO.finditer(text)}
    mixed = {match.start() + 1 for match in _MIXED_NUMBER.finditer(text)}
    out = []
    for index, character in enumerate(text):
        if _encodable(character, repertoire):
            out.append(character)
            continue
        replacement = "mc" if index in micro else REPLACEMENTS.get(character)
        if replacement is None or not all(_encodable(c, repertoire) for c in replacement):
            lost[character] = None
            continue
        if index in mixed:
            replacement = f" {replacement}"
        swapped[character] = replacement
        out.append(replacement)
    return "".join(out), tuple(swapped.items()), tuple(lost)


def _encodable(character: str, repertoire: str) -> bool:
    try:
        character.encode(repertoire)
    except UnicodeEncodeError:
        return False
    except LookupError:
        raise AdapterMisconfigured("The connection names an unknown character set.") from None
    return True
