"""Generated contents narrowed to what each EHR takes; every refusal that this leaves out has a test of its own."""

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from ehr_adapters.canonical.codes import ICD10CM, LOINC, RXNORM, SNOMED
from ehr_adapters.canonical.demographics import IDENTITY

# --- Epic -----------------------------------------------------------------------------------------


def for_epic(kind: str, content: dict[str, Any]) -> dict[str, Any]:
    if kind == "problem":
        return content | {
            "category": "problem-list-item",
            "verification": "provisional",
            "clinical_status": "active",
        }
    if kind == "allergy":
        return content | {"verification": "unconfirmed", "clinical_status": "active"}
    if kind == "questionnaire":
        return content | {"form": {"assignment": "ServiceRequest/sr-1", **content["form"]}}
    return content


# --- eClinicalWorks -------------------------------------------------------------------------------


def narrow_note(content: dict[str, Any]) -> dict[str, Any]:
    return {"author": "Practitioner/pr-1"} | content


def narrow_problem(content: dict[str, Any]) -> dict[str, Any]:
    swapped = {"relapse": "recurrence", "refuted": "confirmed"}
    for name in ("clinical_status", "verification"):
        content[name] = swapped.get(content[name], content[name])
    content.pop("side", None)
    return content | {"category": "problem-list-item"}


def narrow_allergy(content: dict[str, Any]) -> dict[str, Any]:
    if "reactions" in content:
        signs = {one["manifestation"] for one in content["reactions"]}
        content["reactions"] = [{"manifestation": sign} for sign in sorted(signs)]
    return content | {"verification": "unconfirmed"}


def narrow_medication(content: dict[str, Any]) -> dict[str, Any]:
    for name in ("units_taken", "status_reason"):
        content.pop(name, None)
    if "low" in content["dose"]:
        content["dose"] = content["dose"]["low"]
    if "as_needed" in content:
        content["as_needed"] = {"needed": content["as_needed"]["needed"]}
    return content | {"status": "active"}


def narrow_order(content: dict[str, Any]) -> dict[str, Any]:
    return LAB if content["category"] == "prescription" else content


LAB: dict[str, Any] = {
    "category": "lab",
    "code": {"system": LOINC, "code": "2823-3", "display": "Potassium"},
    "priority": "routine",
    "status": "draft",
}
NARROWED: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
    "note": narrow_note,
    "problem": narrow_problem,
    "allergy": narrow_allergy,
    "medication": narrow_medication,
    "order": narrow_order,
}


def for_eclinicalworks(kind: str, interaction: str, content: dict[str, Any]) -> dict[str, Any]:
    narrow = NARROWED.get(kind)
    return narrow(dict(content)) if narrow and interaction == "create" else content


# --- AdvancedMD -----------------------------------------------------------------------------------


def in_latin(value: Any, *, name: str = "") -> Any:
    """A content with nothing but the characters of ISO-8859-1."""
    if isinstance(value, str):
        kept = value.encode("iso-8859-1", "ignore").decode("iso-8859-1")
        # What was one line without blanks at its ends stays one.
        kept = kept if name in {"text", "note"} else kept.strip()
        return kept if kept.strip() else "x"
    if isinstance(value, list):
        return [in_latin(one, name=name) for one in value]
    if isinstance(value, dict):
        return {
            key: one
            if key in {"system", "code"} and isinstance(one, str)
            else in_latin(one, name=key)
            for key, one in value.items()
        }
    return value


def for_advancedmd(
    kind: str,
    interaction: str,
    content: dict[str, Any],
    *,
    author: str,
    titles: Sequence[str],
) -> dict[str, Any]:
    """`author` is the one clinician with a profile; `titles`: sections that the template has fields for."""
    content = {name: one if name == "type" else in_latin(one) for name, one in content.items()}
    if kind == "note":
        sections = [
            {**one, "title": title} for one, title in zip(content["sections"], titles, strict=False)
        ]
        return content | {"author": author, "sections": sections}
    if kind == "appointment":
        if interaction == "create":
            start = re.sub(r":[0-9]{2}-06:00$", ":00-06:00", content["start"])
            content |= {"provider": author, "type": "FOLLOWUP", "start": start}
        return content
    if kind == "care_plan":
        for name in ("goals", "activities"):
            if name in content:
                content[name] = [one | {"text": one["text"].strip()} for one in content[name]]
        return content | {"status": "active"}
    if kind == "demographics":
        reach = {name: one for name, one in content.items() if name not in IDENTITY}
        if "\n" in ((reach.get("address") or {}).get("lines") or ""):
            reach["address"] |= {"lines": "1 Road"}
        return reach | {"email": "other@clinic.example"}
    content.pop("side", None)
    if "verification" in content:
        content["verification"] = "confirmed"
    if content.get("clinical_status") in {"relapse", "remission"}:
        content["clinical_status"] = "inactive"
    if interaction == "create":
        content["category"] = "problem-list-item"
    if interaction == "resolve":
        content["abatement"] = "2026-10-15"
    return {"note": "Said so."} | content


# --- athenahealth ---------------------------------------------------------------------------------

SULFA = {"system": RXNORM, "code": "10180", "display": "sulfamethoxazole"}
RASH = {"system": SNOMED, "code": "271807003", "display": "Eruption of skin (disorder)"}
NAPROXEN = {"system": RXNORM, "code": "7258", "display": "naproxen 500 mg tablet"}
ASTHMA = {"system": SNOMED, "code": "195967001", "display": "Asthma (disorder)"}
PERSON = "Practitioner/a-195900.c-1234567"
# What athenaOne is asked for by name before anything is rendered.
NAMED: dict[str, dict[str, Any]] = {
    "medication": {"drug": NAPROXEN},
    "allergy": {"substance": SULFA, "reactions": [{"manifestation": RASH, "severity": "mild"}]},
}


def for_athenahealth(
    kind: str, content: dict[str, Any], *, at: datetime, person: str = PERSON
) -> dict[str, Any]:
    """The content narrowed to what this practice can be told; each refusal has a test of its own."""
    out = {name: value for name, value in content.items() if name != "encounter"}
    if "author" in out:
        out["author"] = person
    if "effective_at" in out:
        # Of the visit, whatever second the strategy has thought of.
        second = datetime.fromisoformat(out["effective_at"]).second
        out["effective_at"] = (at - timedelta(minutes=2)).replace(second=second).isoformat()
    if "owner" in out:
        out["owner"] = person
    if kind == "demographics":
        known = {"email", "language", "contacts", "sensitivity"}
        out = {name: value for name, value in out.items() if name in known and value is not None}
        if len(out.get("email", "")) > 50:
            del out["email"]
        if content.get("phone"):
            out["phone"] = [content["phone"][0] | {"use": "home"}]
            out["phone"][0]["number"] = out["phone"][0]["number"][:20].strip()
        return out
    if kind == "medication":
        is_ended = {"end", "status_reason"} <= set(out) <= {"end", "status_reason", "note"}
        if is_ended:
            out["end"] = "2026-11-19"
        else:
            out = {n: v for n, v in out.items() if n not in {"status", "status_reason"}}
        if "drug" in out:
            out |= {"drug": NAPROXEN, "status": "active"}
        return {name: value for name, value in out.items() if name != "note" or value}
    if kind == "allergy":
        meant = {"verification": "confirmed", "clinical_status": "active", "substance": SULFA}
        out |= {name: value for name, value in meant.items() if name in out}
        out.pop("criticality", None)
        if out.get("reactions"):
            out["reactions"] = [out["reactions"][0] | {"manifestation": RASH}]
        if "category" not in content or "substance" not in content:
            out.pop("substance", None)
        return {name: value for name, value in out.items() if value is not None}
    if kind == "problem":
        meant = {"verification": "confirmed", "clinical_status": "active"}
        out |= {name: value for name, value in meant.items() if name in out}
        if "category" in out:
            out["code"] = [*(c for c in out["code"] if c["system"] == ICD10CM), ASTHMA]
        else:
            out.pop("code", None)
            if out.get("note", "") is None:
                del out["note"]
    return out


# --- Veradigm's Unity -----------------------------------------------------------------------------


def for_unity(
    kind: str,
    content: dict[str, Any],
    *,
    allergy: Mapping[str, Any],
    owner: str,
) -> dict[str, Any]:
    """`allergy`: substance, category and status that the tenant has a name for; `owner` of tasks."""
    if kind == "note":
        return {k: v for k, v in content.items() if k != "author"}
    if kind == "allergy":
        kept = {k: v for k, v in content.items() if k not in {"criticality", "reactions"}}
        return kept | {k: allergy[k] for k in ("substance", "category", "clinical_status")}
    if kind == "task":
        return content | {"owner": owner}
    kept = {k: v for k, v in content.items() if k != "side"}
    codes = [one for one in content["code"] if one["system"] == ICD10CM]
    kept["code"] = codes or [{"system": ICD10CM, "code": "N18.31", "display": "CKD stage 3a"}]
    kept |= {"category": "problem-list-item", "verification": "confirmed"}
    if kept["clinical_status"] not in {"active", "inactive"}:
        kept["clinical_status"] = "active"
    return kept
