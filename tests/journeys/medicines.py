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


def propose(
    day: Any, kind: str, content: Mapping[str, Any], *, patient: str, words: str, **body: Any
) -> Proposal:
    """A draft of one new entry whose source says `words`, received and screened."""
    said = f"Clinician: {words}.\n"
    start = said.index(words)
    change = {
        "ref": "c1",
        "kind": kind,
        "interaction": "create",
        "content": dict(content),
        "evidence": [
            {
                "path": "/drug" if kind == "medication" else "/code",
                "source": "s1",
                "start": start,
                "end": start + len(words),
                "quote": words,
                "method": "derived",
                "confidence": 0.9,
            }
        ],
    }
    source = {"ref": "s1", "kind": "transcript", "title": "Visit recording", "text": said}
    return day.propose(change, patient=patient, sources=[source], **body)
