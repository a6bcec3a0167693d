"""Whose chart it is, from the portal's own read of the EHR, and how names and dates are written."""

from datetime import date, datetime
from zoneinfo import ZoneInfo

from ehr_adapters.contract import Baseline, NameAlikes, PatientIdentity, Snapshot
from intents.pipeline.presentation.page import Banner

_NO_KNOWN_ALLERGY = "716186003"  # SNOMED CT


class NotPresentable(Exception):
    """What is stored cannot be shown as what will be sent; it cannot be approved."""


def family_given(identity: PatientIdentity) -> str:
    """FAMILY, Given: how every page writes a patient's name."""
    given = " ".join(identity.given)
    return f"{identity.family.upper()}, {given}" if given else identity.family.upper()


def day(text: str) -> str:
    """A FHIR date in words, "14-Mar-1957"; a partial date stays partial."""
    try:
        if len(text) == 10:
            return date.fromisoformat(text).strftime("%d-%b-%Y")
        if len(text) == 7:
            return date.fromisoformat(f"{text}-01").strftime("%b-%Y")
    except ValueError:
        return text
    return text


def moment(text: str, *, zone: ZoneInfo) -> str:
    """An instant in the organisation's own time, "20-Nov-2026 12:36"; what is no instant, as a day."""
    try:
        then = datetime.fromisoformat(text)
    except ValueError:
        return text
    return f"{then.astimezone(zone):%d-%b-%Y %H:%M}" if then.tzinfo else day(text)


def age(*, birth_date: str, at: datetime) -> str:
    """Years, months under two years, weeks under two months; "" where the date is partial."""
    if len(birth_date) != 10:
        return ""
    try:
        born = date.fromisoformat(birth_date)
    except ValueError:
        return ""
    today = at.date()
    months = (today.year - born.year) * 12 + today.month - born.month - (today.day < born.day)
    if months < 2:
        return f"{max(0, (today - born).days // 7)}w"
    return f"{months}m" if months < 24 else f"{months // 12}y"


def draw_banner(
    *, baseline: Baseline, alikes: NameAlikes | None, ehr: str, zone: ZoneInfo, at: datetime
) -> Banner:
    """The patient banner: the same order on every page."""
    identity = baseline.identity
    if identity is None:
        raise NotPresentable("The patient could not be read from the EHR.")
    label, text, unknown = _allergies(baseline)
    return Banner(
        name=family_given(identity),
        family=identity.family.upper(),
        given=" ".join(identity.given),
        born=day(identity.birth_date),
        age=age(birth_date=identity.birth_date, at=at),
        sex=identity.sex.capitalize(),
        mrn=identity.mrns[0][1] if identity.mrns else "",
        allergy_label=label,
        allergy_text=text,
        allergy_unknown=unknown,
        destination=f"Writes to {ehr}",
        visit=visit_words(baseline, zone=zone),
        alike=_alike(alikes, identity),
    )


def _allergies(baseline: Baseline) -> tuple[str, str, bool]:
    """CUI's four answers: a list, none known, not recorded, unavailable. Silence is never "none"."""
    if any(u.what == "allergies" for u in baseline.unreadable):
        return "Allergies", "unavailable", True
    entries = baseline.context("allergies")
    if not entries:
        return "Allergies", "not recorded", True
    if all(_NO_KNOWN_ALLERGY.encode() in s.raw for s in entries):
        return "No known allergies", "", False
    return (
        "Known allergies",
        "; ".join(_allergy(s) for s in entries if _NO_KNOWN_ALLERGY.encode() not in s.raw),
        False,
    )


def _allergy(snapshot: Snapshot) -> str:
    """Substance and reaction; what is not an active, confirmed entry says so."""
    said = dict(snapshot.display)
    words = said.get("Allergy to", "") or snapshot.reference
    if said.get("Reaction"):
        words += f" ({said['Reaction']})"
    unusual = [
        said[label]
        for label, usual in (("Status", "active"), ("Certainty", "confirmed"))
        if said.get(label, usual) != usual
    ]
    if said.get("Danger if exposed again") == "high":
        unusual.append("high danger")
    return f"{words}, {', '.join(unusual)}" if unusual else words


def visit_words(baseline: Baseline, *, zone: ZoneInfo) -> str:
    """When the visit began, in the organisation's own time, and with whom."""
    visit = baseline.visit
    if visit is None:
        return ""
    who = f", {display(baseline.practitioner)}" if baseline.practitioner else ""
    return f"Visit {moment(visit.start, zone=zone)}{who}".replace("  ", " ").strip()


def _alike(alikes: NameAlikes | None, identity: PatientIdentity) -> str:
    others = [
        f"{family_given(o)}, born {day(o.birth_date)}" + (f", MRN {o.mrns[0][1]}" if o.mrns else "")
        for o in (alikes.candidates if alikes else ())
    ]
    if not others:
        return ""
    return (
        f"another patient could be taken for this one: {'; '.join(others)}. "
        f"This chart is that of {family_given(identity)}, born {day(identity.birth_date)}."
    )


def display(snapshot: Snapshot) -> str:
    """An entry of the chart in words, as the adapter reads it."""
    return ", ".join(words for _, words in snapshot.display)
