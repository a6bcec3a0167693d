"""Drafts of medicines and orders for journeys: an agent that may make them, and a source that says them."""

from collections.abc import Mapping
from typing import Any

from django.db import transaction

from ehr_adapters.canonical.codes import RXNORM, SNOMED
from intents.governance.models import ScopeGrant
from intents.management import clinic as furnishing
from intents.models import Proposal

SCOPES = ("MedicationRequest", "MedicationStatement", "ServiceRequest")
ORAL = {"system": SNOMED, "code": "26643006"}
# The field that names what an entry is about, which its source is quoted for.
_NAMED = {
    "medication": "/drug",
    "allergy": "/substance",
    "vitals": "/readings",
    "message": "/body",
}


def may_prescribe(day: Any) -> None:
    """The clinic's agent may draft medicines and orders from now on."""
    with transaction.atomic():
        for kind in SCOPES:
            ScopeGrant.grant(
                agent=day.clinic.agent,
                connection=day.clinic.connection(),
                scope=f"system/{kind}.c",
                lane="suggest",
                actor=furnishing.INSTALLATION,
                at=day.now,
            )


def a_prescription(
    code: str, name: str, dose: str, *, times: int, unit: str, **more: Any
) -> dict[str, Any]:
    """A draft order of `dose` milligrams, so many times in one `unit` of time."""
    return {
        "category": "prescription",
        "code": {"system": RXNORM, "code": code, "display": name},
        "dose": {"value": dose, "unit": "mg"},
        "route": ORAL,
        "frequency": {"times": times, "per": 1, "unit": unit},
        "priority": "routine",
        "status": "draft",
    } | more


def quoted(path: str, words: str, said: str, *, span: tuple[int, int] | None = None) -> Any:
    """Evidence of a value at `path`, or of a span of it: these words of the source `said`."""
    start = said.index(words)
    return {
        "path": path,
        **({"span": list(span)} if span else {}),
        "source": "s1",
        "start": start,
        "end": start + len(words),
        "quote": words,
        "method": "derived",
        "confidence": 0.9,
    }


def recorded(said: str) -> list[dict[str, Any]]:
    """The one source of a draft: what was said in the visit."""
    return [{"ref": "s1", "kind": "transcript", "title": "Visit recording", "text": said}]


def propose(
    day: Any, kind: str, content: Mapping[str, Any], *, patient: str, words: str, **body: Any
) -> Proposal:
    """A draft of one new entry whose source says `words`, received and screened."""
    said = f"Clinician: {words}.\n"
    change = {
        "ref": "c1",
        "kind": kind,
        "interaction": "create",
        "content": dict(content),
        "evidence": [quoted(_NAMED.get(kind, "/code"), words, said)],
    }
    return day.propose(change, patient=patient, sources=recorded(said), **body)
