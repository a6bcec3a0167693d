"""What the words of a message to a patient tell them, read carefully rather than cleverly. Pure."""

import re
from collections.abc import Mapping
from typing import Any

from intents.pipeline.clinical.medicines import INGREDIENTS
from intents.pipeline.clinical.values import entries, mapping, text

RESULT, MEDICATION_CHANGE, DIAGNOSIS = "result", "medication-change", "diagnosis"
KINDS = frozenset({RESULT, MEDICATION_CHANGE, DIAGNOSIS})

_NAMES = "|".join(sorted((one.name for one in INGREDIENTS.values()), key=len, reverse=True))
_TESTS = (
    r"blood tests?|lab(?:oratory)?s?|x-?rays?|scans?|mri|ct|ultrasound|biopsy|swab|cultures?|potassium|creatinine|egfr|"
    r"kidney (?:function|tests?)|inr|hba1c|a1c|cholesterol|h(?:a)?emoglobin|glucose|tsh|thyroid|urine|pap|smear|screening"
)
_SAYS_RESULT = re.compile(
    rf"\bresults?\b(?! (?:will|are not|is not|have not|has not|should))|\b(?:{_TESTS})\b[^.?!\n]{{0,60}}\b(?:was|were|is|are|came back|shows?|showed|"
    rf"normal|abnormal|high|low|raised|negative|positive|[0-9])|\b(?:tested|came back) (?:negative|positive|normal|abnormal)\b",
    re.IGNORECASE,
)
_SAYS_CHANGE = re.compile(
    rf"\b(?:start|stop|begin|increas|decreas|reduc|doubl|halv|chang|switch|rais|lower|skip|hold|paus|restart|resum|discontinu|cut|prescri)\w*\b"
    rf"[^.?!\n]{{0,60}}\b(?:{_NAMES}|dose|dosage|medicines?|medications?|tablets?|pills?|capsules?|insulin|inhaler|\d+(?:\.\d+)? ?(?:mg|mcg|ml|units?))\b"
    rf"|\b(?:take|use|inject)\b[^.?!\n]{{0,40}}\b\d+(?:\.\d+)? ?(?:mg|mcg|g|ml|units?|tablets?|pills?|puffs?)\b"
    rf"|\bnew (?:dose|medicine|medication|prescription|tablets?)\b",
    re.IGNORECASE,
)
_SAYS_DIAGNOSIS = re.compile(
    r"\bdiagnos(?:is|ed|es)\b|\byou (?:have|suffer from|are (?:pregnant|diabetic|anaemic|anemic))\b(?! (?:an appointment|any|questions?|been|to |"
    r"the option|access|not |a question|a visit|a follow|no ))|\b(?:cancer|tumou?r|malignan\w+|hiv|miscarriage)\b",
    re.IGNORECASE,
)
_EMERGENCY = re.compile(
    r"\b(?:call|dial|ring|phone)\b[^.?!\n]{0,30}\b(?:911|999|112|an ambulance|emergency)\b|\bambulance\b|"
    r"\b(?:go|come|went|attend|head)\b[^.?!\n]{0,40}\b(?:emergency (?:room|department)|e\.?r\.?|a&e|a and e|nearest hospital)\b|"
    r"\bemergency (?:room|department|services?)\b|\b(?:911|999)\b",
    re.IGNORECASE,
)


def recipient(to: Any, *, patient_ref: str) -> str:
    """ "patient", "proxy", or "" for whoever it may be: nobody is taken for the patient by mistake."""
    if isinstance(to, Mapping):
        named = [
            to[name] for name in ("kind", "who", "role", "recipient", "reference") if to.get(name)
        ]
        said = [recipient(one, patient_ref=patient_ref) for one in named]
        return "proxy" if "proxy" in said else next((one for one in said if one), "")
    if isinstance(to, (list, tuple)):
        every = {recipient(one, patient_ref=patient_ref) for one in to}
        return "" if not every or "" in every else ("proxy" if "proxy" in every else "patient")
    said_ = text(to)
    if said_ in {"patient", "proxy"}:
        return said_
    kind, _, key = said_.partition("/")
    if kind == "RelatedPerson" and key:
        return "proxy"
    own = patient_ref.removeprefix("Patient/")
    return "patient" if kind == "Patient" and key and key == own else ""


def told_by(content: Mapping[str, Any]) -> frozenset[str]:
    """What the words of subject and body tell: a result, a change of medicine, a diagnosis."""
    words = f"{text(content.get('subject'))}.\n{text(content.get('body'))}"
    return frozenset(
        kind
        for kind, says in (
            (RESULT, _SAYS_RESULT),
            (MEDICATION_CHANGE, _SAYS_CHANGE),
            (DIAGNOSIS, _SAYS_DIAGNOSIS),
        )
        if says.search(words)
    )


def declared(content: Mapping[str, Any]) -> frozenset[str]:
    """What the draft itself says that the message tells."""
    return frozenset(text(one) for one in entries(content.get("carries"))) - {"", "none"}


def carried(content: Mapping[str, Any]) -> frozenset[str]:
    return declared(content) | told_by(content)


def advises_emergency(content: Mapping[str, Any]) -> bool:
    """It tells somebody to call for help at once: that is said on the telephone, not in a message."""
    held = mapping(content)
    return bool(_EMERGENCY.search(f"{text(held.get('subject'))}.\n{text(held.get('body'))}"))
