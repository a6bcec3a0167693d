"""What every Unity form is made with, and what it gives back."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from xml.etree import ElementTree as ET

from ehr_adapters.canonical.base import ChartChange
from ehr_adapters.canonical.fhir_r4 import Uncarried
from ehr_adapters.contract import Tag
from ehr_adapters.errors import Issue
from ehr_adapters.vendors.veradigm.settings import VeradigmSettings
from ehr_adapters.vendors.veradigm.unity.magic import MagicCall


@dataclass(frozen=True, slots=True)
class Place:
    """Where a change is said: under which tag, about whom (Unity's number), with which settings."""

    settings: VeradigmSettings
    tag: Tag
    patient: str


@dataclass(frozen=True, slots=True)
class Said:
    """The calls that say a change, what they leave unsaid, and why they cannot be made at all."""

    calls: tuple[MagicCall, ...] = ()
    uncarried: tuple[Uncarried, ...] = ()
    issues: tuple[Issue, ...] = ()


@dataclass(frozen=True, slots=True)
class Heard:
    """What calls say, in the fields of their kind; `tags` are short forms in their texts."""

    content: dict[str, Any]
    tags: tuple[str, ...] = field(default=())


@dataclass(frozen=True, slots=True)
class UnityForm:
    """How one (kind, interaction) is said to Unity, and read back from the same bytes."""

    write: Callable[[ChartChange, Place], Said]
    read: Callable[[Sequence[MagicCall], VeradigmSettings], Heard]


def user_of(
    content: Mapping[str, Any], place: Place, *, name: str = "author"
) -> tuple[str, list[Issue]]:
    """The EHR user under whom Unity files, who is the entry's author there; an issue where there is none."""
    author = content.get(name)
    if author is None:
        user = place.settings.unity_user
        sentence = "The connection names no EHR user under whom this could be filed."
    else:
        user = place.settings.unity_users.get(author, "")
        sentence = (
            "The connection knows no EHR user of this author: Unity would file under another name."
        )
    return user, [] if user else [Issue("author-unknown", f"/{name}", sentence)]


def author_of(user: str, settings: VeradigmSettings) -> str:
    """The clinician that an EHR user of the connection stands for; "" for the interface's own user."""
    return next((ref for ref, known in settings.unity_users.items() if known == user), "")


def left_out(content: Mapping[str, Any], sentences: Mapping[str, str]) -> list[Uncarried]:
    """One remark for each given field that the form has no place for."""
    return [
        Uncarried(f"/{name}", sentence)
        for name, sentence in sentences.items()
        if content.get(name) is not None
        and not (name == "sensitivity" and content[name] == "normal")
    ]


def local_date(value: str, settings: VeradigmSettings) -> str | None:
    """A whole date as Unity spells it; None for a partial one, which it cannot."""
    if not re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", value):
        return None
    return datetime.strptime(value, "%Y-%m-%d").strftime(settings.unity_date_format)  # noqa: DTZ007 - a date


def iso_date(text: str, settings: VeradigmSettings) -> str:
    """The date that a spelling of Unity's says."""
    return datetime.strptime(text, settings.unity_date_format).date().isoformat()  # noqa: DTZ007 - a date


def xml_form(root: str, row: str, rows: Sequence[Mapping[str, str]]) -> str:
    """An XML parameter of Unity: one element a row, everything in attributes, escaped."""
    form = ET.Element(root)
    for attributes in rows:
        ET.SubElement(form, row, dict(attributes))
    return ET.tostring(form, encoding="unicode")


def read_xml_form(text: str, row: str) -> list[dict[str, str]]:
    """The rows of an XML parameter that the portal made."""
    return [dict(each.attrib) for each in ET.fromstring(text).iter(row)]  # noqa: S314 - our own bytes
