"""A note as the HL7 v2 message that eClinicalWorks takes, and back. Pure.

The vendor's sample, as integrators report it: ORU^R01 from the sending application PROG, one OBR for each
section with the visit's id in OBR-2, the section's name in OBR-4 and its text in OBX-5. Whether the names of
the sections must be those of the practice's progress note is not documented.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ehr_adapters.canonical.note import REFERENCE_LINE
from ehr_adapters.vendors.eclinicalworks import hl7v2
from ehr_adapters.vendors.eclinicalworks.hl7v2 import NotHl7, Segment, segment

CONTENT_TYPE = "text/hl7v2"
_SENDER = "PROG"
_PRELIMINARY = "P"  # table 0085: the note is not signed


@dataclass(frozen=True, slots=True)
class NoteMessage:
    """What a message says: ids as eClinicalWorks knows them, titles and texts, the tag's short form."""

    patient: str
    encounter: str
    sections: tuple[tuple[str, str], ...]
    short: str


def write(
    *,
    patient: str,
    encounter: str,
    sections: Sequence[Mapping[str, object]],
    short: str,
    moment: str,
    live: bool,
    charset: str,
) -> bytes:
    """The message's bytes; `moment` is the note's ISO 8601 instant or "". Raises `NotHl7`."""
    segments = [
        segment(
            "MSH",
            f3=_SENDER,
            f4=_SENDER,
            f5=_SENDER,
            # Not the clock's time: the bytes are frozen long before they are sent.
            f7=_timestamp(moment),
            f9=("ORU", "R01"),
            f10=short,
            f11="P" if live else "T",
            f12="2.4",
        ),
        segment("PID", f1="1", f3=patient),
    ]
    for number, section in enumerate(sections, start=1):
        title, text = str(section["title"]), str(section["text"])
        name = (title, title)
        segments.append(segment("OBR", f1=str(number), f2=encounter, f4=name))
        segments.append(_line(1, name, text))
    segments.append(_line(2, name, f"{REFERENCE_LINE}{short}"))
    return hl7v2.write(segments, charset=charset)


def _line(number: int, name: tuple[str, str], text: str) -> Segment:
    return segment("OBX", f1=str(number), f2="TX", f3=name, f5=text, f11=_PRELIMINARY)


def read(raw: bytes) -> NoteMessage:
    """What a message in this form says. Raises `NotHl7` for any other message."""
    segments = hl7v2.read(raw)
    head = segments[0]
    if head.field(3) != _SENDER or (head.field(9), head.field(9, 2)) != ("ORU", "R01"):
        raise NotHl7("This is not a note from the portal.")
    patients = {one.field(3) for one in segments if one.name == "PID"}
    visits = {one.field(2) for one in segments if one.name == "OBR"}
    if len(patients) != 1 or len(visits) != 1:
        raise NotHl7("The message names several patients or visits.")
    parts = _parts(segments)
    short = head.field(10)
    if parts[-1][1][-1:] != [f"{REFERENCE_LINE}{short}"]:
        raise NotHl7("The message does not end with its reference.")
    del parts[-1][1][-1]
    if any(len(texts) != 1 for _, texts in parts):
        raise NotHl7("A section does not have one text.")
    return NoteMessage(
        patient=patients.pop(),
        encounter=visits.pop(),
        sections=tuple((title, texts[0]) for title, texts in parts),
        short=short,
    )


def _parts(segments: Sequence[Segment]) -> list[tuple[str, list[str]]]:
    parts: list[tuple[str, list[str]]] = []
    for one in segments:
        if one.name == "OBR":
            parts.append((one.field(4, 2), []))
        elif one.name == "OBX":
            if not parts:
                raise NotHl7("A text stands outside every section.")
            parts[-1][1].append(one.field(5))
    if not parts:
        raise NotHl7("The message has no section.")
    return parts


def _timestamp(moment: str) -> str:
    """A TS value (2.8.49) of an ISO 8601 instant, to the second."""
    found = re.fullmatch(
        r"(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:\.\d+)?(Z|[+-]\d\d:\d\d)", moment
    )
    if found is None:
        return ""
    *digits, zone = found.groups()
    return "".join(digits) + ("+0000" if zone == "Z" else zone.replace(":", ""))
