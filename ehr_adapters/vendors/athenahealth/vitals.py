"""Vital signs of a visit: groups of readings by athenaOne's own element names. Pure.

Endpoint and the array of groups: athenahealth API, Vitals (Encounters). The interface takes each value in the
unit that the practice is set up with; names and units are therefore settings where they differ from the usual
ones. Values are converted exactly or not at all.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from typing import Any

from ehr_adapters.canonical import units
from ehr_adapters.canonical.base import ChartChange
from ehr_adapters.canonical.codes import LOINC, display_of
from ehr_adapters.canonical.vitals import measurements
from ehr_adapters.errors import Issue
from ehr_adapters.vendors.athenahealth.speech import (
    CannotBeSaid,
    Destination,
    Dialect,
    Practice,
    Remark,
    Said,
    Shape,
    unsaid,
)
from ehr_adapters.vendors.athenahealth.spelling import (
    NotSpellable,
    read_moment,
    spelt_moment,
    to_the_minute,
)

# LOINC -> (element name, unit there).
_USUAL: Mapping[str, tuple[str, str]] = {
    "8480-6": ("VITALS.BLOODPRESSURE.SYSTOLIC", "mm[Hg]"),
    "8462-4": ("VITALS.BLOODPRESSURE.DIASTOLIC", "mm[Hg]"),
    "8867-4": ("VITALS.HEARTRATE.RATE", "/min"),
    "9279-1": ("VITALS.RESPIRATIONRATE.RATE", "/min"),
    "8310-5": ("VITALS.TEMPERATURE", "[degF]"),
    "8302-2": ("VITALS.HEIGHT", "cm"),
    "29463-7": ("VITALS.WEIGHT", "g"),
    "39156-5": ("VITALS.BMI", "kg/m2"),
    "59408-5": ("VITALS.O2SATURATION", "%"),
    "9843-4": ("VITALS.HEADCIRCUMFERENCE", "cm"),
}
# What a reader is shown instead of the unit there: nobody reads a weight in grams.
_SHOWN = {"29463-7": "kg"}


def elements_of(practice: Practice) -> dict[str, tuple[str, str]]:
    """LOINC -> (element name, unit) of this practice."""
    own = practice.settings
    return {
        loinc: (own.vital_elements.get(loinc, name), own.vital_units.get(loinc, unit))
        for loinc, (name, unit) in _USUAL.items()
    }


def _say(change: ChartChange, to: Destination) -> Said:
    content = change.model_dump_canonical()
    practice = to.chart.practice
    issues = list(_of_an_open_visit(content, to))
    remarks = list(_unsaid(content))
    taken = ""
    try:
        taken = " ".join(spelt_moment(content["effective_at"], practice.zone))
    except NotSpellable as refused:
        issues.append(Issue("ambiguous-time", "/effective_at", str(refused)))
    if not to_the_minute(content["effective_at"]):
        remarks.append(unsaid("/effective_at", "athenaOne keeps the time to the minute."))
    known = elements_of(practice)
    groups = []
    for measurement in measurements(content["readings"]):
        group = []
        for reading in measurement:
            loinc, amount = reading["code"]["code"], reading["value"]
            name, unit = known[loinc]
            value = _converted(amount["value"], amount["unit"], unit)
            if not value:
                words = display_of(system=LOINC, code=loinc) or "The value"
                issues.append(
                    Issue(
                        "no-exact-value",
                        "/readings",
                        f"{words} has no exact value in athenaOne's unit, {units.unit_words(unit)}.",
                    )
                )
            group.append({"clinicalelementid": name, "readingtaken": taken, "value": value})
        groups.append(group)
    if issues:
        raise CannotBeSaid(issues)
    return Said(
        "POST",
        f"chart/encounter/{to.chart.encounter}/vitals",
        (("vitals", json.dumps(groups, separators=(",", ":"))),),
        "create vitals",
        tuple(remarks),
    )


def _of_an_open_visit(content: Mapping[str, Any], to: Destination) -> Iterator[Issue]:
    named = to.chart.practice.numbers.number_of(content.get("encounter") or "")
    if not to.chart.encounter or named != to.chart.encounter:
        yield Issue("missing", "/encounter", "Vital signs need their visit in athenaOne.")
    elif to.chart.state == "CLOSED":
        yield Issue("visit-closed", "/encounter", "The visit is closed in athenaOne.")


def _unsaid(content: Mapping[str, Any]) -> Iterator[Remark]:
    for index, reading in enumerate(content["readings"]):
        for name, words in (("site", "Where it was measured"), ("method", "How it was measured")):
            if reading.get(name):
                yield unsaid(f"/readings/{index}/{name}", f"{words} is not sent to athenaOne.")
    if content.get("origin", "measured") != "measured":
        yield unsaid("/origin", "athenaOne is not told who or what measured it.")
    if content.get("note"):
        yield unsaid("/note", "The comment is not sent with vital signs.")
    if content.get("sensitivity", "normal") != "normal":
        yield unsaid("/sensitivity", "athenaOne does not take the sensitivity label from outside.")


def _converted(value: str, unit: str, wanted: str) -> str:
    """The same amount in another unit as a decimal; "" where it has no exact one."""
    if unit == wanted:
        return value
    amount = units.converted(value, unit, wanted)
    return _decimal(amount) if amount is not None else ""


def _decimal(amount: Fraction) -> str:
    rest, places = amount.denominator, 0
    while rest % 10 == 0 or rest % 5 == 0 or rest % 2 == 0:
        rest = rest // (10 if rest % 10 == 0 else 5 if rest % 5 == 0 else 2)
        places += 1
    if rest != 1:
        return ""
    whole, part = divmod(abs(amount.numerator) * 10**places // amount.denominator, 10**places)
    sign = "-" if amount < 0 else ""
    digits = f"{part:0{places}d}".rstrip("0") if places else ""
    return f"{sign}{whole}.{digits}" if digits else f"{sign}{whole}"


def _after(place: str, fields: Mapping[str, str], before: Mapping[str, Any]) -> Shape:
    del before
    groups = json.loads(fields["vitals"])
    readings = [one for group in groups for one in group]
    return {
        "encounterid": place.split("/")[-2],
        "taken": readings[0]["readingtaken"],
        "values": {one["clinicalelementid"]: one["value"] for one in readings},
    }


def _shape(entry: Mapping[str, Any]) -> Shape:
    return {
        "encounterid": str(entry["encounterid"]),
        "taken": str(entry["readingtaken"]),
        "values": {str(one["clinicalelementid"]): str(one["value"]) for one in entry["readings"]},
    }


def _read(shape: Shape, practice: Practice) -> dict[str, Any]:
    by_name = {name: (loinc, unit) for loinc, (name, unit) in elements_of(practice).items()}
    readings = []
    for name, value in shape["values"].items():
        if name not in by_name:
            continue
        loinc, unit = by_name[name]
        shown = _SHOWN.get(loinc, unit)
        amount = _converted(value, unit, shown)
        quantity = {"value": amount or value, "unit": shown if amount else unit}
        code = {"system": LOINC, "code": loinc}
        words = display_of(system=LOINC, code=loinc)
        readings.append({"code": code | ({"display": words} if words else {}), "value": quantity})
    content: dict[str, Any] = {
        "encounter": practice.numbers.reference("Encounter", shape["encounterid"]),
        "origin": "measured",
        "status": "final",
    }
    if readings:
        content["readings"] = readings
    day, _, hour = shape["taken"].partition(" ")
    moment = read_moment(day, hour or "00:00", practice.zone) if hour else ""
    if moment:
        content["effective_at"] = moment
    return content


def measured_at_once(
    listed: Sequence[Mapping[str, Any]], *, encounter: str
) -> list[dict[str, Any]]:
    """The readings of a visit, which athenaOne lists by element, as what was written down at one time.

    A second reading of one element at the same time begins an entry of its own: none stands for another.
    """
    found: dict[tuple[str, str, int], dict[str, Any]] = {}
    for element in listed:
        for group in element.get("readings") or ():
            for one in group if isinstance(group, list) else ():
                taken = str(one.get("readingtaken", ""))
                created = str(one.get("createddatetime") or one.get("createddate") or "")
                name = one.get("clinicalelementid")
                round_number = 0
                while (entry := found.get((taken, created, round_number))) is not None and any(
                    kept["clinicalelementid"] == name for kept in entry["readings"]
                ):
                    round_number += 1
                entry = found.setdefault(
                    (taken, created, round_number),
                    {
                        "readingid": one.get("readingid"),
                        "encounterid": encounter,
                        "readingtaken": taken,
                        "createddatetime": created,
                        "readings": [],
                    },
                )
                entry["readings"].append({"clinicalelementid": name, "value": one.get("value")})
    return list(found.values())


def _of_ours(shape: Shape, wanted: Mapping[str, Any]) -> Shape:
    """What another write put beside ours at the same moment is no part of ours."""
    ours = wanted.get("values", {})
    values = {name: value for name, value in shape["values"].items() if name in ours}
    return {**shape, "values": values}


VITALS = Dialect(
    type_name="Observation",
    say=_say,
    after=_after,
    shape=_shape,
    read=_read,
    number_of=lambda entry: str(entry.get("readingid") or ""),
    part_of=_of_ours,
)
