"""A problem as a row of AdvancedMD's problem list, and back. Pure.

Source: integrators' notes on the AdvancedMD Connect API, addehrproblem and updateehrproblem. How the row
is spelt is not public: `ProblemRow` in the settings.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any
from xml.etree import ElementTree as ET

from ehr_adapters.canonical.base import ChartChange, Interaction, parse_change, same_value
from ehr_adapters.canonical.codes import ICD10CM, SNOMED, display_of
from ehr_adapters.canonical.exact_json import loads
from ehr_adapters.canonical.fhir_r4 import to_fhir
from ehr_adapters.contract import Remark, Snapshot
from ehr_adapters.errors import Issue
from ehr_adapters.vendors.advancedmd import messages
from ehr_adapters.vendors.advancedmd.saying import Said, as_shown, by_message, destination
from ehr_adapters.vendors.advancedmd.settings import ProblemRow

ADD, UPDATE = "addehrproblem", "updateehrproblem"
# What the row has no place for, and what is said about it.
UNSENT: Mapping[str, str] = {
    "severity": "The severity is not sent to AdvancedMD.",
    "stage": "The stage is not sent to AdvancedMD.",
    "encounter": "The visit is not sent to AdvancedMD with a problem.",
    "sensitivity": "AdvancedMD does not take the sensitivity label from outside.",
}
_DATES = {"onset": "onset", "abatement": "end"}


def issues(change: ChartChange, *, before: Mapping[str, Any], row: ProblemRow) -> Iterator[Issue]:
    """What of a change the problem list cannot say although it matters: refused, never dropped."""
    after = change.applied_to(before)
    said = {name for name in change.named_fields if _differs(name, before, after)}
    if after.get("category") != "problem-list-item" and "category" in said:
        yield Issue(
            "unsupported",
            "/category",
            "AdvancedMD takes no diagnosis of a visit from outside; only its problem list can be written to.",
        )
    if "verification" in said and after["verification"] != "confirmed":
        yield Issue(
            "unsupported",
            "/verification",
            "AdvancedMD's problem list has no place for the certainty: only a confirmed problem can be written.",
        )
    elif "verification" in said and before:
        yield Issue(
            "unsupported",
            "/verification",
            "AdvancedMD's problem list has no place for the certainty: change it in AdvancedMD.",
        )
    if "clinical_status" in said and after["clinical_status"] not in _statuses(row):
        yield Issue(
            "unsupported",
            "/clinical_status",
            "AdvancedMD's problem list knows active, inactive and resolved only.",
        )
    if "side" in said:
        yield Issue(
            "unsupported",
            "/side",
            "AdvancedMD's problem list has no place for the side: choose a code that names it.",
        )
    for place, code in enumerate(after.get("code") or ()):
        if not (row.icd10 if code["system"] == ICD10CM else row.snomed):
            yield Issue(
                "unsupported", f"/code/{place}", "AdvancedMD does not take a code of this system."
            )
    if "code" in said and not _words_of(after["code"]):
        yield Issue("missing", "/code/0/display", "AdvancedMD needs the words of the code as well.")
    if change.interaction is Interaction.RESOLVE and not _day(after["abatement"]):
        yield Issue(
            "unsupported", "/abatement", "AdvancedMD needs the whole date on which a problem ended."
        )


def _differs(name: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> bool:
    return not same_value("problem", name, before.get(name), after.get(name))


def unsent(change: ChartChange, *, before: Mapping[str, Any]) -> tuple[Remark, ...]:
    """The fields of a change that the row leaves out, as remarks."""
    after = change.applied_to(before)
    remarks = [
        Remark("not-carried", f"/{name}", sentence)
        for name, sentence in UNSENT.items()
        if name in change.named_fields and _differs(name, before, after)
    ]
    for name in _DATES:
        if after.get(name) and not _day(after[name]) and _differs(name, before, after):
            sentence = "AdvancedMD needs a whole date: this one is not sent."
            remarks.append(Remark("not-carried", f"/{name}", sentence))
    return tuple(remarks)


def carried(change: ChartChange, *, before: Mapping[str, Any]) -> dict[str, Any]:
    """The content of a change without what the row leaves out."""
    left_out = {remark.pointer[1:] for remark in unsent(change, before=before)}
    content = change.model_dump_canonical()
    return {name: value for name, value in content.items() if name not in left_out | {*UNSENT}}


def body(
    change: ChartChange, *, before: Mapping[str, Any], patient: str, target: str, row: ProblemRow
) -> bytes:
    """The message. An update repeats every field that the row has a place for: whether an attribute that is
    left out stays as it was is not known, so none is left out that the chart shows."""
    content = carried(change, before=before)
    after = {**before, **content}
    attributes = {"id": target} if target else {}
    if after.get("code"):
        by_system = {one["system"]: one["code"] for one in after["code"]}
        for name, system in ((row.icd10, ICD10CM), (row.snomed, SNOMED)):
            if name and (system in by_system or "code" in content):
                attributes[name] = by_system.get(system, "")
        attributes[row.description] = _words_of(after["code"])
    status = _statuses(row).get(after.get("clinical_status", ""))
    if status:
        attributes[row.status] = status
    for field, name in (("onset", row.onset), ("abatement", row.end)):
        if after.get(field) and _day(after[field]):
            attributes[name] = _day(after[field])
        elif field in content and target:
            attributes[name] = ""
    if after.get("note"):
        attributes[row.comment] = after["note"]
    elif "note" in content and target:
        attributes[row.comment] = ""
    attributes.pop("", None)
    action = UPDATE if target else ADD
    return messages.message(action, {"patientid": patient}, messages.element("problem", attributes))


def write(
    change: ChartChange,
    *,
    row: ProblemRow,
    reference: str,
    patient: str,
    target: Snapshot | None,
    number: str,
) -> Said:
    """The request, for a change that has no `issues`; raises `ChangeInvalid` where nothing of it is left."""
    before = dict(target.canonical) if target else {}
    message = body(change, before=before, patient=patient, target=number, row=row)
    rest = parse_change(change.kind, change.interaction, carried(change, before=before))
    current = loads(target.raw) if target else None
    shown = to_fhir(rest, destination(reference, current=current)).resource
    return Said(
        by_message(UPDATE if target else ADD, message),
        unsent(change, before=before),
        shown if target else as_shown(shown),
    )


def said(root: ET.Element, *, row: ProblemRow) -> dict[str, Any]:
    """The fields that a frozen message says; None where it takes one away."""
    problem = root.find("problem")
    attributes = {} if problem is None else problem.attrib
    content: dict[str, Any] = {}
    codes = [
        {"system": system, "code": attributes[name]}
        for name, system in ((row.icd10, ICD10CM), (row.snomed, SNOMED))
        if name and attributes.get(name)
    ]
    if codes:
        words = attributes.get(row.description, "")
        content["code"] = [{**one, "display": words} if words else one for one in codes]
    words_to_status = {words: status for status, words in _statuses(row).items()}
    if attributes.get(row.status) in words_to_status:
        content["clinical_status"] = words_to_status[attributes[row.status]]
    for field, name in (("onset", row.onset), ("abatement", row.end)):
        if name in attributes:
            content[field] = _iso(attributes[name]) if attributes[name] else None
    if row.comment in attributes:
        content["note"] = attributes[row.comment] or None
    return content


def _statuses(row: ProblemRow) -> dict[str, str]:
    return {"active": row.active, "inactive": row.inactive, "resolved": row.resolved}


def _words_of(codes: list[dict[str, Any]]) -> str:
    for one in codes:
        words = one.get("display") or display_of(system=one["system"], code=one["code"])
        if words:
            return str(words)
    return ""


def _day(date: str) -> str:
    """ "MM/DD/YYYY" of a whole date; "" of a partial one, whose missing parts are not made up."""
    if len(date) != len("2026-11-20"):
        return ""
    year, month, day = date.split("-")
    return f"{month}/{day}/{year}"


def _iso(day: str) -> str:
    return datetime.strptime(day, "%m/%d/%Y").date().isoformat()  # noqa: DTZ007 - a day has no zone
