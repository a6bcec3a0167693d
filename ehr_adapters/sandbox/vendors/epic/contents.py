"""What Epic takes in a note (1046), a problem (949) and an allergy (945)."""

import base64
from collections.abc import Mapping
from typing import Any

from ehr_adapters.sandbox.conformance import codes_of
from ehr_adapters.sandbox.vendors.epic.refusals import refused, require

LOINC = "http://loinc.org"
PROBLEM_SYSTEMS = {"http://hl7.org/fhir/sid/icd-10-cm", "http://snomed.info/sct"}
# Note types that 1046 takes. Discharge summaries and patient instructions are not among them.
NOTE_TYPES = {"11506-3", "34117-2", "11488-4", "34746-8", "28570-0", "68608-9"}
LONGEST_PROBLEM_NOTE = 450

# What a filed note keeps; everything else that was sent is dropped without a word.
NOTE_KEEPS = (
    "identifier", "status", "docStatus", "type", "category", "subject", "date", "author", "description", "context",
)  # fmt: skip


def check_note(resource: Mapping[str, Any]) -> None:
    """Raises RequestRefused for a note that 1046 does not take."""
    place = "DocumentReference"
    require(
        resource["status"] == "current", "59111", "Only current notes are taken.", f"{place}.status"
    )
    known = resource.get("docStatus") in {"final", "preliminary"}
    require(known, "59111", "docStatus is final or preliminary.", f"{place}.docStatus")
    codings = (resource.get("type") or {}).get("coding") or []
    typed = any(
        (each.get("system") == LOINC and each.get("code") in NOTE_TYPES)
        or str(each.get("system", "")).startswith("urn:oid:1.2.840.114350.")
        for each in codings
    )
    require(typed, "59111", "This note type is not taken here.", f"{place}.type")
    attachment = resource["content"][0]["attachment"]
    plain = attachment.get("contentType", "").split(";")[0].strip() == "text/plain"
    require(
        plain and "data" in attachment, "59111", "One text/plain attachment with data is taken.",
        f"{place}.content.attachment.contentType",
    )  # fmt: skip
    try:
        base64.b64decode(attachment["data"]).decode("utf-8")
    except UnicodeDecodeError:
        raise refused("59111", "The text is not UTF-8.", expression=f"{place}.content") from None


def check_problem(resource: Mapping[str, Any]) -> None:
    """Raises RequestRefused for a problem that 949 does not take into the holding tank."""
    codings = (resource.get("code") or {}).get("coding") or []
    usable = [
        each for each in codings if each.get("system") in PROBLEM_SYSTEMS and each.get("code")
    ]
    require(
        usable and all(each.get("display") for each in usable), "59108",
        "An ICD-10 or SNOMED CT coding with its display is required.", "Condition.code",
    )  # fmt: skip
    if codes_of(resource.get("verificationStatus")) != ["provisional"]:
        raise refused(
            "59012", "Only provisional problems are taken.", status=422,
            expression="Condition.verificationStatus",
        )  # fmt: skip
    categories = {code for each in resource.get("category") or [] for code in codes_of(each)}
    listed = not categories or "problem-list-item" in categories
    require(listed, "59111", "Only problem-list-item is taken.", "Condition.category")
    check_comment(resource, longest=LONGEST_PROBLEM_NOTE)


def check_allergy(resource: Mapping[str, Any]) -> None:
    """Raises RequestRefused for an allergy that 945 does not take into the holding tank."""
    place = "AllergyIntolerance"
    active = codes_of(resource.get("clinicalStatus")) == ["active"]
    require(active, "59111", "Only active allergies are taken.", f"{place}.clinicalStatus")
    unconfirmed = codes_of(resource.get("verificationStatus")) in ([], ["unconfirmed"])
    require(
        unconfirmed, "59111", "Only unconfirmed allergies are taken.", f"{place}.verificationStatus"
    )
    single = all(len(each["manifestation"]) == 1 for each in resource.get("reaction") or [])
    require(
        single, "59111", "One manifestation for each reaction.", f"{place}.reaction.manifestation"
    )


def check_answers(resource: Mapping[str, Any], *, assigned: set[str]) -> None:
    """Raises RequestRefused for answers that 10023 does not take; `assigned` are the forms that await answers."""
    place = "QuestionnaireResponse"
    require(
        resource["status"] == "completed", "59111", "Only completed answers are taken.", f"{place}.status"
    )  # fmt: skip
    for name in ("questionnaire", "authored", "item"):
        require(resource.get(name), "59108", f"{name} is required.", f"{place}.{name}")
    form = str(resource["questionnaire"]).partition("|")[0]
    require(
        form in assigned, "59159", "The questionnaire is not assigned to this patient.", f"{place}.questionnaire"
    )  # fmt: skip


def check_comment(resource: Mapping[str, Any], *, longest: int) -> None:
    """Raises RequestRefused for a comment that is too long; nothing is cut."""
    length = sum(len(each["text"]) for each in resource.get("note") or [])
    place = f"{resource['resourceType']}.note"
    require(length <= longest, "59111", f"A note has at most {longest} characters.", place)
