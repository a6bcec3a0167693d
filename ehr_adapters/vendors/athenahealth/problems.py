"""A problem of the list, or a diagnosis of a visit: SNOMED CT in; no certainty, no status, no end. Pure.

Fields: athenahealth API, Problems and Encounter Diagnoses. What stands on the list counts as active and
confirmed: the interface can say nothing else, and so nothing else is sent there.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from ehr_adapters.canonical.base import ChartChange
from ehr_adapters.canonical.codes import ICD10CM, SNOMED
from ehr_adapters.errors import Issue
from ehr_adapters.vendors.athenahealth.speech import (
    CannotBeSaid,
    Destination,
    Dialect,
    Practice,
    Remark,
    Said,
    Shape,
    kept,
    unsaid,
)
from ehr_adapters.vendors.athenahealth.spelling import NotSpellable, read_date, spelt_date

_LISTED, _OF_VISIT = "problem-list-item", "encounter-diagnosis"
_SIDES = {"7771000": "LEFT", "24028007": "RIGHT", "51440002": "BILATERAL"}
_CODES_OF_SIDES = {word: code for code, word in _SIDES.items()}
_SYSTEMS = {"SNOMED": SNOMED, "ICD10": ICD10CM}
_ACTIVE = frozenset({"active", "recurrence", "relapse"})


def _say(change: ChartChange, to: Destination) -> Said:
    content = change.model_dump_canonical()
    return _update(content, to) if to.target else _create(content, to)


def _create(content: Mapping[str, Any], to: Destination) -> Said:
    of_visit = content["category"] == _OF_VISIT
    issues = list(_unfit(content, {"clinical_status": "active", "verification": "confirmed"}))
    codes = {one["system"]: one["code"] for one in content["code"]}
    if SNOMED not in codes:
        issues.append(Issue("missing", "/code", "athenaOne takes a problem by its SNOMED CT code."))
    remarks = list(_unsaid(content))
    fields = [("snomedcode", codes.get(SNOMED, ""))]
    if of_visit:
        issues += _of_an_open_visit(content, to)
        if ICD10CM in codes:
            fields.append(("icd10codes", json.dumps([codes[ICD10CM]])))
        if content.get("onset"):
            remarks.append(unsaid("/onset", "The beginning is not sent with a diagnosis."))
        place, label = f"chart/encounter/{to.chart.encounter}/diagnoses", "create diagnosis"
    else:
        fields.insert(0, ("departmentid", to.chart.department))
        if ICD10CM in codes:
            remarks.append(
                unsaid(
                    "/code",
                    "The problem list keeps SNOMED CT only: the ICD-10-CM code is not sent.",
                )
            )
        if "encounter" in content:
            remarks.append(
                unsaid("/encounter", "The visit is not sent with a problem of the list.")
            )
        fields += _begun(content, remarks)
        place, label = f"chart/{to.chart.patient}/problems", "create problem"
    if issues:
        raise CannotBeSaid(issues)
    return Said("POST", place, (*fields, *_told(content)), label, tuple(remarks))


def _of_an_open_visit(content: Mapping[str, Any], to: Destination) -> Iterator[Issue]:
    numbers = to.chart.practice.numbers
    named = numbers.number_of(content.get("encounter") or "")
    if not to.chart.encounter or named != to.chart.encounter:
        yield Issue("missing", "/encounter", "A diagnosis needs its visit in athenaOne.")
    elif to.chart.state == "CLOSED":
        yield Issue("visit-closed", "/encounter", "The visit is closed in athenaOne.")


def _update(content: Mapping[str, Any], to: Destination) -> Said:
    before = _read(dict(to.before), to.chart.practice)
    issues = list(_unfit(content, before))
    if before.get("category") != _LISTED:
        issues.append(
            Issue("unsupported", "", "A diagnosis of a visit is changed in athenaOne itself.")
        )
    codes_now = {(one["system"], one["code"]) for one in before.get("code", ())}
    codes_then = {(one["system"], one["code"]) for one in content.get("code") or ()}
    if codes_then and codes_then != codes_now:
        issues.append(
            Issue("unsupported", "/code", "athenaOne does not change the code of a problem.")
        )
    if "note" in content and content["note"] is None:
        issues.append(
            Issue("unsupported", "/note", "athenaOne is not known to take a comment away.")
        )
    if content.get("note") and not to.chart.practice.settings.problem_note_replaced:
        issues.append(
            Issue(
                "unsupported", "/note", "This athenaOne adds to a comment; it does not change it."
            )
        )
    remarks = list(_unsaid(content))
    if "encounter" in content:
        remarks.append(unsaid("/encounter", "The visit is not sent with a problem of the list."))
    fields = [*_begun(content, remarks), *_told(content)]
    if not fields and not issues:
        issues.append(Issue("empty", "", "Nothing of this change can be sent to athenaOne."))
    if issues:
        raise CannotBeSaid(issues)
    return Said(
        "PUT",
        f"chart/{to.chart.patient}/problems/{to.target}",
        (("departmentid", to.chart.department), *fields),
        "update problem",
        tuple(remarks),
    )


def _unfit(content: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[Issue]:
    """High-risk fields that the interface cannot say, where they say something else than what it means."""
    words = {
        "clinical_status": "athenaOne takes a problem from outside only as active, and does not change its status.",
        "verification": "athenaOne's list has no certainty: what stands on it counts as confirmed.",
    }
    for name, sentence in words.items():
        if name in content and content[name] != now.get(name):
            yield Issue("unsupported", f"/{name}", sentence)


def _begun(content: Mapping[str, Any], remarks: list[Remark]) -> Iterator[tuple[str, str]]:
    if "onset" not in content:
        return
    if content["onset"] is None:
        remarks.append(unsaid("/onset", "athenaOne is not known to take the beginning away."))
        return
    try:
        yield "startdate", spelt_date(content["onset"])
    except NotSpellable as refused:
        remarks.append(unsaid("/onset", f"The beginning is not sent: {refused}"))


def _told(content: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    if content.get("side"):
        yield "laterality", _SIDES[content["side"]["code"]]
    if content.get("note"):
        yield "note", content["note"]


def _unsaid(content: Mapping[str, Any]) -> Iterator[Remark]:
    words = {"severity": "severity", "stage": "stage", "abatement": "end date"}
    for name, word in words.items():
        if name in content:
            yield unsaid(f"/{name}", f"The {word} is not sent to athenaOne.")
    if content.get("sensitivity", "normal") != "normal":
        yield unsaid("/sensitivity", "athenaOne does not take the sensitivity label from outside.")


def _after(place: str, fields: Mapping[str, str], before: Mapping[str, Any]) -> Shape:
    shape = dict(before)
    if not shape:
        of_visit = place.endswith("/diagnoses")
        shape = {"category": _OF_VISIT if of_visit else _LISTED, "codeset": "SNOMED"}
        if of_visit:
            shape["encounterid"] = place.split("/")[-2]
    for name, key in (
        ("snomedcode", "code"),
        ("laterality", "laterality"),
        ("startdate", "startdate"),
    ):
        if name in fields:
            shape[key] = fields[name]
    if "note" in fields:
        shape["note"] = fields["note"]
    if "icd10codes" in fields:
        shape["icd10"] = json.loads(fields["icd10codes"])
    return kept(shape)


def _shape(entry: Mapping[str, Any]) -> Shape:
    if "diagnosisid" in entry:
        return _diagnosis(entry)
    events = [e for e in entry.get("events") or () if isinstance(e, Mapping)]
    start = next((e for e in events if e.get("eventtype") == "START"), {})
    end = next((e for e in events if e.get("eventtype") == "END"), None)
    shape: Shape = {
        "category": _LISTED,
        "code": str(entry.get("code", "")),
        "codeset": str(entry.get("codeset", "")),
        "name": str(entry.get("name", "")),
        "note": str(start.get("note") or ""),
        **{n: str(start.get(n) or "") for n in ("startdate", "laterality", "status")},
    }
    if end is not None:
        shape |= {"ended": True, "enddate": str(end.get("enddate") or "")}
    return kept(shape)


def _diagnosis(entry: Mapping[str, Any]) -> Shape:
    listed = [c for c in entry.get("icdcodes") or () if isinstance(c, Mapping)]
    return kept(
        {
            "category": _OF_VISIT,
            "encounterid": str(entry.get("encounterid", "")),
            "code": str(entry.get("snomedcode", "")),
            "codeset": "SNOMED",
            "name": str(entry.get("description", "")),
            "icd10": [str(c.get("code")) for c in listed if c.get("codeset") == "ICD10"],
            "laterality": str(entry.get("laterality") or ""),
            "note": str(entry.get("note") or ""),
        }
    )


def _read(shape: Shape, practice: Practice) -> dict[str, Any]:
    system = _SYSTEMS.get(shape.get("codeset", ""))
    codes = [{"system": ICD10CM, "code": code} for code in shape.get("icd10", ())]
    if system and shape.get("code"):
        one = {"system": system, "code": shape["code"]}
        codes.append(one | ({"display": shape["name"]} if shape.get("name") else {}))
    content: dict[str, Any] = {
        "category": shape.get("category", _LISTED),
        "clinical_status": "active",
        "verification": "confirmed",
    }
    if codes:
        content["code"] = codes
    if shape.get("ended"):
        ended = read_date(shape.get("enddate", ""))
        content["clinical_status"] = "resolved" if ended else "inactive"
        if ended:
            content["abatement"] = ended
    if shape.get("laterality") in _CODES_OF_SIDES:
        content["side"] = {"system": SNOMED, "code": _CODES_OF_SIDES[shape["laterality"]]}
    if onset := read_date(shape.get("startdate", "")):
        content["onset"] = onset
    if shape.get("note"):
        content["note"] = shape["note"]
    if shape.get("encounterid"):
        content["encounter"] = practice.numbers.reference("Encounter", shape["encounterid"])
    return content


PROBLEMS = Dialect(
    type_name="Condition",
    say=_say,
    after=_after,
    shape=_shape,
    read=_read,
    number_of=lambda entry: str(entry.get("problemid") or entry.get("diagnosisid") or ""),
    is_active=lambda content: content.get("clinical_status") in _ACTIVE,
)
