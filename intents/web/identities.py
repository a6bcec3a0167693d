"""Whose chart the draft means, and whose it is: both identities, part by part."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

from ehr_adapters.canonical.base import visible_text
from ehr_adapters.contract import PatientIdentity
from intents.web import wording

_LABELS = {
    "family": "Family name",
    "given": "Given name",
    "birth_date": "Born",
    "sex": "Sex",
    "mrn": "Record number",
}


@dataclass(frozen=True, slots=True)
class IdentityPart:
    """One part of an identity, as the draft says it and as the EHR does; "" is not given."""

    label: str
    draft: str
    chart: str
    differs: bool


def both(*, asserted: Mapping[str, str], identity: PatientIdentity) -> tuple[IdentityPart, ...]:
    """Every part of both identities in the banner's order, those that do not agree marked."""
    said = {part: str(asserted.get(part) or "") for part in _LABELS}
    differing = identity.disagreements(**said)
    chart = {
        "family": identity.family,
        "given": " ".join(identity.given),
        "birth_date": _day(identity.birth_date),
        "sex": identity.sex,
        "mrn": ", ".join(value for _, value in identity.mrns),
    }
    said["birth_date"] = _day(said["birth_date"])
    return tuple(
        IdentityPart(
            label=label,
            draft=visible_text(said[part]),
            chart=visible_text(chart[part]),
            differs=part in differing,
        )
        for part, label in _LABELS.items()
    )


def _day(text: str) -> str:
    try:
        return wording.day(date.fromisoformat(text))
    except ValueError:
        return text
