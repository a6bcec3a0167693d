"""An entry of the medication list: a drug by athenaOne's own number, directions as free words. Pure.

Fields: athenahealth API, Medications. The interface has no field for dose, route or frequency: they are sent as one
text that says all of them, and the page shows that text.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from ehr_adapters.canonical import dosing
from ehr_adapters.canonical.base import ChartChange
from ehr_adapters.canonical.types import Code
from ehr_adapters.errors import Issue
from ehr_adapters.vendors.athenahealth.names import key_of, words_of
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

MEDICATIONS_SYSTEM = "urn:athenahealth:medication"
_SPOKEN = ("dose", "units_taken", "route", "frequency", "as_needed")


def _say(change: ChartChange, to: Destination) -> Said:
    content = change.model_dump_canonical()
    if not to.target:
        return _create(content, to)
    issues: list[Issue] = []
    remarks: list[Remark] = []
    if content.get("status") == "stopped":
        fields = list(_ended(content, issues, remarks))
    else:
        if content.get("status", "active") != to.held.get("status", "active"):
            issues.append(_no_status())
        if not to.before:
            issues.append(Issue("target-unknown", "", "The entry is not on athenaOne's list."))
        fields = [*_directions(content, to.held, remarks), *_begun(content, remarks)]
        remarks += _unsaid(content)
    fields += _noted(content, issues)
    if not fields and not issues:
        issues.append(Issue("empty", "", "Nothing of this change can be sent to athenaOne."))
    if issues:
        raise CannotBeSaid(issues)
    return Said(
        "PUT",
        f"chart/{to.chart.patient}/medications/{to.target}",
        (("departmentid", to.chart.department), *fields),
        "update medication",
        tuple(remarks),
    )


def _create(content: Mapping[str, Any], to: Destination) -> Said:
    issues: list[Issue] = []
    remarks: list[Remark] = []
    drug = content["drug"]
    known = to.looked_up.get(key_of("medication", drug))
    if known is None:
        words = words_of(drug)
        issues.append(
            Issue(
                "not-in-list",
                "/drug",
                f"athenaOne's list has no single medication named “{words}”."
                if words
                else "The drug needs its name: athenaOne looks it up by words.",
            )
        )
    else:
        remarks.append(
            Remark(
                "replaced",
                "/drug",
                f"athenaOne keeps this as its own “{known.name}” (number {known.number}).",
            )
        )
    if content["status"] != "active":
        issues.append(_no_status())
    fields = [
        ("medicationid", known.number if known else ""),
        *_directions(content, {}, remarks),
        *_begun(content, remarks),
        *_noted(content, issues),
    ]
    if issues:
        raise CannotBeSaid(issues)
    return Said(
        "POST",
        f"chart/{to.chart.patient}/medications",
        (("departmentid", to.chart.department), *fields),
        "create medication",
        (*remarks, *_unsaid(content)),
    )


def _no_status() -> Issue:
    return Issue(
        "unsupported", "/status", "athenaOne's list knows what is taken and what has been stopped."
    )


def _directions(
    content: Mapping[str, Any], held: Mapping[str, Any], remarks: list[Remark]
) -> Iterator[tuple[str, str]]:
    given = [name for name in (*_SPOKEN, "sig_text") if name in content]
    if not given:
        return
    whole = {**held, **content}
    words = [_words(name, whole[name]) for name in _SPOKEN if whole.get(name)]
    text = "; ".join(word for word in words if word)
    if whole.get("sig_text"):
        text = f"{text}. {whole['sig_text']}" if text else whole["sig_text"]
    remarks += [
        Remark("replaced", f"/{name}", f"athenaOne takes directions as words: “{text}”.")
        for name in given
    ]
    yield "unstructuredsig", text


def _words(name: str, value: Any) -> str:
    if name == "route":
        return Code(**value).words
    words = dosing.words_of(name, value) or ""
    return "" if words == "no" else words


def _begun(content: Mapping[str, Any], remarks: list[Remark]) -> Iterator[tuple[str, str]]:
    if "start" not in content:
        return
    if content["start"] is None:
        remarks.append(unsaid("/start", "athenaOne is not known to take the beginning away."))
        return
    try:
        yield "startdate", spelt_date(content["start"])
    except NotSpellable as refused:
        remarks.append(unsaid("/start", f"The beginning is not sent: {refused}"))


def _ended(
    content: Mapping[str, Any], issues: list[Issue], remarks: list[Remark]
) -> Iterator[tuple[str, str]]:
    try:
        yield "stopdate", spelt_date(content["end"])
    except NotSpellable as refused:
        issues.append(Issue("partial-date", "/end", str(refused)))
    reason = content["status_reason"]
    words = reason if isinstance(reason, str) else Code(**reason).words
    if words != reason:
        remarks.append(
            Remark("replaced", "/status_reason", f"athenaOne takes the reason as words: “{words}”.")
        )
    yield "stopreason", words


def _noted(content: Mapping[str, Any], issues: list[Issue]) -> Iterator[tuple[str, str]]:
    if content.get("note"):
        yield "providernote", content["note"]
    elif "note" in content:
        issues.append(
            Issue("unsupported", "/note", "athenaOne is not known to take a comment away.")
        )


def _unsaid(content: Mapping[str, Any]) -> Iterator[Remark]:
    words = {
        "indication": "What it is for",
        "taken": "Whether it is taken as written",
        "encounter": "The visit",
        "status_reason": "The reason of the status",
        "end": "A planned end",
    }
    for name, word in words.items():
        if name in content:
            yield unsaid(f"/{name}", f"{word} is not sent to athenaOne.")
    if content.get("sensitivity", "normal") != "normal":
        yield unsaid("/sensitivity", "athenaOne does not take the sensitivity label from outside.")


_FIELDS = ("medicationid", "unstructuredsig", "startdate", "stopdate", "stopreason", "providernote")


def _after(place: str, fields: Mapping[str, str], before: Mapping[str, Any]) -> Shape:
    del place
    return kept({**before, **{name: fields[name] for name in _FIELDS if name in fields}})


def _shape(entry: Mapping[str, Any]) -> Shape:
    shape = {name: str(entry.get(name) or "") for name in _FIELDS}
    shape["name"] = str(entry.get("medication") or "")
    for event in entry.get("events") or ():
        if isinstance(event, Mapping) and event.get("type") in {"START", "END"}:
            key = {"START": "startdate", "END": "stopdate"}[str(event["type"])]
            shape[key] = str(event.get("eventdate") or "")
    return kept(shape)


def _read(shape: Shape, practice: Practice) -> dict[str, Any]:
    del practice
    stopped = read_date(shape.get("stopdate", ""))
    content: dict[str, Any] = {"entry": "list", "status": "stopped" if stopped else "active"}
    if shape.get("medicationid"):
        content["drug"] = {"system": MEDICATIONS_SYSTEM, "code": shape["medicationid"]} | (
            {"display": shape["name"]} if shape.get("name") else {}
        )
    for key, name in (
        ("unstructuredsig", "sig_text"),
        ("providernote", "note"),
        ("stopreason", "status_reason"),
    ):
        if shape.get(key):
            content[name] = shape[key]
    started = read_date(shape.get("startdate", ""))
    if started:
        content["start"] = started
    if stopped:
        content["end"] = stopped
    return content


MEDICATIONS = Dialect(
    type_name="MedicationRequest",
    say=_say,
    after=_after,
    shape=_shape,
    read=_read,
    number_of=lambda entry: str(entry.get("medicationentryid") or ""),
)
