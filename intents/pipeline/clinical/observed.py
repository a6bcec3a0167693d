"""What was measured of a patient: kidney function, weight, pregnancy, as far as a chart tells it. Pure."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum
from fractions import Fraction
from itertools import pairwise
from typing import Any

from ehr_adapters.canonical.codes import ICD10CM, LOINC, SNOMED
from ehr_adapters.contract import Baseline, PatientIdentity, Snapshot
from intents.pipeline.clinical.values import (
    Codes,
    amount_in,
    codes_of,
    codings,
    entries,
    mapping,
    moment,
    number,
    raw_of,
    text,
)

# LOINC: estimated glomerular filtration rate by CKD-EPI (creatinine, 2009 and 2021), MDRD, and unspecified formulas.
_EGFR = frozenset({"62238-1", "33914-3", "48642-3", "98979-8", "69405-9"})
_EGFR_UNITS = ("mL/min/{1.73_m2}", "mL/min")
_BODY_WEIGHT = "29463-7"
_PREGNANCY_STATUS = "82810-3"
_SETTLED = frozenset({"final", "corrected", "amended"})
_NOT_A_RESULT = frozenset({"registered", "preliminary", "cancelled", "entered-in-error"})
# The adapter read the newest first and stopped: what it did not read is older.
_STOPPED_READING = "too many pages"

# A kidney function or a "not pregnant" that is older than this says little about today.
EGFR_GOOD_FOR = timedelta(days=365)
NOT_PREGNANT_GOOD_FOR = timedelta(days=30)
PREGNANT_GOOD_FOR = timedelta(days=300)


@dataclass(frozen=True, slots=True)
class Observed:
    """One measured or stated value. `value` is a quantity or a code as it stands; `at` None: no time is told."""

    code: Codes
    value: Any
    at: datetime | None
    status: str
    reference: str


def observed(entries_: Iterable[Snapshot]) -> Iterator[Observed]:
    """Every value in these entries, in the canonical fields or in the EHR's own."""
    for entry in entries_:
        held, raw = mapping(entry.canonical), raw_of(entry)
        at = moment(held.get("collected_at") or held.get("effective_at")) or moment(
            raw.get("effectiveDateTime") or mapping(raw.get("effectivePeriod")).get("start")
        )
        status = text(held.get("status")) or text(raw.get("status"))
        readings = [mapping(one) for one in entries(held.get("readings"))]
        if not readings and held.get("code"):
            readings = [held]
        for one in readings:
            yield Observed(codes_of(one.get("code")), one.get("value"), at, status, entry.reference)
        if not readings:
            own = raw.get("valueQuantity")
            value = _canonical_quantity(own) if own else codings(raw.get("valueCodeableConcept"))
            yield Observed(codes_of(codings(raw.get("code"))), value, at, status, entry.reference)


def _canonical_quantity(own: Any) -> Any:
    held = mapping(own)
    value = held.get("value")
    return {
        "value": str(value) if isinstance(value, (int, str)) else "",
        "unit": text(held.get("code")),
        "comparator": held.get("comparator"),
    }


def _with_code(found: Iterable[Observed], system: str, wanted: frozenset[str]) -> list[Observed]:
    return [one for one in found if any(s == system and c in wanted for s, c in one.code)]


# --- kidney function ---------------------------------------------------------------------------------


class EgfrState(StrEnum):
    """Values are those of the policy's facts."""

    KNOWN = "known"
    NOT_RECORDED = "not-recorded"
    UNREADABLE = "unreadable"


@dataclass(frozen=True, slots=True)
class Egfr:
    """The last eGFR in mL/min/1.73 m2, rounded down; -1 where there is none."""

    state: EgfrState
    value: int = -1
    at: datetime | None = None

    def is_old(self, *, now: datetime) -> bool:
        return self.at is not None and now - self.at > EGFR_GOOD_FOR


def last_egfr(baseline: Baseline | None) -> Egfr:
    """The newest final or corrected one. Unreadable where a newer one could be hidden or is not understood."""
    if baseline is None:
        return Egfr(EgfrState.UNREADABLE)
    entries_ = baseline.context("results")
    found = _with_code(observed(entries_), LOINC, _EGFR)
    settled = [one for one in found if one.status not in _NOT_A_RESULT]
    if not baseline.was_read("results") and not (
        settled and _holds_the_newest(baseline, tuple(observed(entries_)))
    ):
        return Egfr(EgfrState.UNREADABLE)
    if not settled:
        return Egfr(EgfrState.NOT_RECORDED)
    if any(one.at is None for one in settled):
        return Egfr(EgfrState.UNREADABLE)
    newest = max(one.at for one in settled if one.at is not None)
    values = [_egfr_value(one) for one in settled if one.at == newest]
    known = [value for value in values if value is not None]
    if len(known) != len(values):
        return Egfr(EgfrState.UNREADABLE, at=newest)
    # Two formulas at one time: the lower one is the safe one.
    return Egfr(EgfrState.KNOWN, min(known), newest)


def _egfr_value(one: Observed) -> int | None:
    if one.status not in _SETTLED:
        return None
    held = mapping(one.value)
    value, beyond = number(held.get("value")), held.get("comparator") or ""
    if value is None or text(held.get("unit")) not in _EGFR_UNITS or not 0 <= value <= 1000:
        return None
    if beyond in {"<", "<="}:
        # "<60" may be anything below: only where every value below is on one side of 30 it tells enough.
        if value > 30:
            return None
        return max(0, -(-value.numerator // value.denominator) - 1) if beyond == "<" else int(value)
    return int(value)


def _holds_the_newest(baseline: Baseline, read: tuple[Observed, ...]) -> bool:
    """All that is missing of the results are further pages, and those that were read came newest first."""
    if "results" not in baseline.contexts:
        return False
    reasons = {part.reason for part in baseline.unreadable if part.what == "results"}
    times = [one.at for one in read]
    if reasons != {_STOPPED_READING} or None in times:
        return False
    known = [one for one in times if one is not None]
    return all(a >= b for a, b in pairwise(known))


# --- weight ------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Weight:
    """A body weight in kilograms, and when it was measured."""

    kilograms: Fraction
    at: datetime
    reference: str = ""


def last_weight(baseline: Baseline | None, *, before: datetime | None = None) -> Weight | None:
    """The newest weight of the chart; with `before`, of those measured before it."""
    if baseline is None:
        return None
    found = {
        entry.reference: entry
        for entry in (*baseline.context("weights"), *baseline.neighbours("vitals"))
    }
    weights = []
    for one in _with_code(observed(found.values()), LOINC, frozenset({_BODY_WEIGHT})):
        kilograms = amount_in(one.value, "kg")
        if one.status in _NOT_A_RESULT or kilograms is None or kilograms <= 0 or one.at is None:
            continue
        if before is None or one.at < before:
            weights.append(Weight(kilograms, one.at, one.reference))
    return max(weights, key=lambda one: one.at, default=None)


def weight_in(content: Any) -> tuple[int, Fraction] | None:
    """(position, kilograms) of the weight among the readings of a draft."""
    for index, reading in enumerate(map(mapping, entries(mapping(content).get("readings")))):
        if (LOINC, _BODY_WEIGHT) in codes_of(reading.get("code")):
            kilograms = amount_in(reading.get("value"), "kg")
            if kilograms is not None:
                return index, kilograms
    return None


def weighs_a_child(kind: str, content: Any, *, birth_date: str, at: datetime) -> bool:
    """A weight of somebody under 18, or of unknown age: doses are reckoned from it."""
    if kind != "vitals" or weight_in(content) is None:
        return False
    age = age_in_years(birth_date, at=at)
    return age is None or age < 18


# --- pregnancy ---------------------------------------------------------------------------------------


class Pregnancy(StrEnum):
    """Values are those of the policy's facts."""

    NOT_APPLICABLE = "n/a"
    YES = "yes"
    NO = "no"
    NOT_RECORDED = "not-recorded"
    UNREADABLE = "unreadable"


# SNOMED CT: pregnant; not pregnant. LOINC answers to 82810-3: pregnant; not pregnant; possible; unknown.
_PREGNANT = frozenset({(SNOMED, "77386006"), (LOINC, "LA15173-0")})
_NOT_PREGNANT = frozenset({(SNOMED, "60001007"), (LOINC, "LA26683-5")})
_ICD10_PREGNANT = ("Z33.1", "Z34", "O")
_OVER = frozenset({"inactive", "remission", "resolved"})
_NOT_TRUE = frozenset({"refuted", "entered-in-error"})
# Before and beyond these ages nobody is asked.
_YOUNGEST, _OLDEST = 10, 60


def pregnancy(baseline: Baseline | None, *, at: datetime) -> Pregnancy:
    """Whether the patient is pregnant, by problems and by the pregnancy status; any yes counts."""
    if baseline is None or baseline.identity is None:
        return Pregnancy.UNREADABLE
    problems = {
        entry.reference: entry
        for entry in (*baseline.context("problems"), *baseline.neighbours("problem"))
    }
    if any(_is_pregnancy(entry) for entry in problems.values()):
        return Pregnancy.YES
    statuses = [
        one
        for one in _with_code(
            observed(baseline.context("pregnancy")), LOINC, frozenset({_PREGNANCY_STATUS})
        )
        if one.status not in _NOT_A_RESULT
    ]
    told = _told(statuses, at=at)
    if told is Pregnancy.YES:
        return told
    if not _could_be(baseline.identity, at=at):
        return Pregnancy.NOT_APPLICABLE
    if told is Pregnancy.UNREADABLE:
        return told
    if not baseline.was_read("problems") or not baseline.was_read("pregnancy"):
        return Pregnancy.UNREADABLE
    return told


def _told(statuses: Iterable[Observed], *, at: datetime) -> Pregnancy:
    """What the newest pregnancy status says that still counts."""
    timed = sorted(
        ((one.at, one) for one in statuses if one.at is not None), key=lambda pair: pair[0]
    )
    if not timed:
        return Pregnancy.UNREADABLE if any(True for _ in statuses) else Pregnancy.NOT_RECORDED
    when, newest = timed[-1]
    said = codes_of(newest.value)
    if said & _PREGNANT:
        return Pregnancy.YES if at - when <= PREGNANT_GOOD_FOR else Pregnancy.NOT_RECORDED
    if said & _NOT_PREGNANT:
        return Pregnancy.NO if at - when <= NOT_PREGNANT_GOOD_FOR else Pregnancy.NOT_RECORDED
    return Pregnancy.UNREADABLE if at - when <= PREGNANT_GOOD_FOR else Pregnancy.NOT_RECORDED


def _is_pregnancy(entry: Snapshot) -> bool:
    held, raw = mapping(entry.canonical), raw_of(entry)
    found = codes_of(held.get("code")) | codes_of(codings(raw.get("code")))
    named = bool(found & _PREGNANT) or any(
        system == ICD10CM and code.startswith(_ICD10_PREGNANT) for system, code in found
    )
    return (
        named
        and text(held.get("clinical_status")) not in _OVER
        and text(held.get("verification")) not in _NOT_TRUE
    )


def _could_be(identity: PatientIdentity, *, at: datetime) -> bool:
    age = age_in_years(identity.birth_date, at=at)
    return identity.sex != "male" and (age is None or _YOUNGEST <= age <= _OLDEST)


# --- age ---------------------------------------------------------------------------------------------


def latest_birthday(birth_date: str) -> date | None:
    """The latest day that a partial birth date allows."""
    parts = text(birth_date).split("-")
    try:
        year = int(parts[0])
        month = int(parts[1]) if len(parts) > 1 else 12
        if len(parts) > 2:
            return date(year, month, int(parts[2]))
        return (
            date(year, month, 31) if month == 12 else date(year, month + 1, 1) - timedelta(days=1)
        )
    except ValueError:
        return None


def age_in_years(birth_date: str, *, at: datetime) -> int | None:
    """Completed years, by the latest day that a partial birth date allows; None without a birth date."""
    born = latest_birthday(birth_date)
    if born is None:
        return None
    today = at.date()
    return today.year - born.year - ((today.month, today.day) < (born.month, born.day))
