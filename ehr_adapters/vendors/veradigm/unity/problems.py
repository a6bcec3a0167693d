"""A problem as SaveProblemsData: rows of a form, of which set 0 is a new problem."""

from collections.abc import Sequence
from typing import Any

from ehr_adapters.canonical.base import ChartChange
from ehr_adapters.canonical.codes import ICD10CM
from ehr_adapters.canonical.fhir_r4 import Uncarried
from ehr_adapters.canonical.note import comment_text, read_comment_text
from ehr_adapters.errors import Issue
from ehr_adapters.vendors.veradigm.settings import VeradigmSettings
from ehr_adapters.vendors.veradigm.unity.forms import (
    Heard,
    Place,
    Said,
    UnityForm,
    iso_date,
    left_out,
    local_date,
    read_xml_form,
    user_of,
    xml_form,
)
from ehr_adapters.vendors.veradigm.unity.magic import MagicCall

_ROOT, _ROW = "saveproblemsdatarequest", "saveproblemsdata"
_NEW = "0"
_STATUSES = {"active": "Active", "inactive": "Inactive", "resolved": "Resolved"}
_LEFT_OUT = {
    "severity": "Unity takes no severity with a problem.",
    "stage": "Unity takes no stage with a problem.",
    "abatement": "Unity takes no end date with a problem.",
    "encounter": "Unity names no visit with a problem.",
    "sensitivity": "Unity does not take the sensitivity label.",
}


def write(change: ChartChange, place: Place) -> Said:
    content = change.model_dump_canonical()
    settings = place.settings
    user, issues = user_of({}, place)
    issues += _issues(content)
    uncarried = left_out(content, _LEFT_OUT)
    given: list[tuple[str, str, str]] = []
    code = content["code"][0]
    given += [
        ("problem", "title", code.get("display") or ""),
        ("problem", "code", code["code"]),
        ("problem", "source", "ICD10"),
        ("status", "", _STATUSES.get(content["clinical_status"], "")),
    ]
    if "onset" in content:
        onset = local_date(content["onset"], settings)
        if onset is None:
            sentence = "Unity takes whole dates only: the beginning is not sent."
            uncarried.append(Uncarried("/onset", sentence))
        else:
            given.append(("onset", "", onset))
    if settings.unity_comment_field:
        comment = comment_text(text=content.get("note") or "", short=place.tag.short)
        given.append((settings.unity_comment_field, "", comment))
    elif content.get("note"):
        uncarried.append(Uncarried("/note", "Unity takes no comment with a problem."))
    call = MagicCall(
        action=settings.action("problem"),
        user=user,
        patient=place.patient,
        parameters=(xml_form(_ROOT, _ROW, [_row(*one) for one in given]),),
    )
    return Said((call,), tuple(uncarried), tuple(issues))


def _row(field: str, attribute: str, value: str) -> dict[str, str]:
    named = {"setid": _NEW, "fieldid": field}
    return named | ({"attributeid": attribute} if attribute else {}) | {"value1": value}


def _issues(content: dict[str, Any]) -> list[Issue]:
    issues = []
    if [one["system"] for one in content["code"]] != [ICD10CM]:
        sentence = "Unity takes a problem by one ICD-10-CM code and no other."
        issues.append(Issue("unsupported", "/code", sentence))
    elif not content["code"][0].get("display"):
        issues.append(
            Issue("missing", "/code/0/display", "Unity needs the words of the code as well.")
        )
    for name, possible, sentence in (
        ("category", {"problem-list-item"}, "Unity's form is for the problem list only."),
        ("clinical_status", set(_STATUSES), "Unity takes a problem as active, inactive or resolved only."),
        ("verification", {"confirmed"}, "Unity has no place for how certain a problem is: only a confirmed one can be sent."),
    ):  # fmt: skip
        if content[name] not in possible:
            issues.append(Issue("unsupported", f"/{name}", sentence))
    if content.get("side"):
        sentence = "Unity has no place for the side: choose a code that names it."
        issues.append(Issue("unsupported", "/side", sentence))
    return issues


def read(calls: Sequence[MagicCall], settings: VeradigmSettings) -> Heard:
    [call] = calls
    given = {
        (row["fieldid"], row.get("attributeid", "")): row["value1"]
        for row in read_xml_form(call.parameters[0], _ROW)
    }
    content: dict[str, Any] = {
        "code": [
            {
                "system": ICD10CM,
                "code": given["problem", "code"],
                "display": given["problem", "title"],
            }
        ],
        "category": "problem-list-item",
        "clinical_status": next(
            name for name, word in _STATUSES.items() if word == given["status", ""]
        ),
        "verification": "confirmed",
    }
    if ("onset", "") in given:
        content["onset"] = iso_date(given["onset", ""], settings)
    comment, short = read_comment_text(given.get((settings.unity_comment_field, ""), ""))
    if comment:
        content["note"] = comment
    return Heard(content, (short,) if short else ())


PROBLEM = UnityForm(write, read)
