"""Whose chart, which visit, which destination: facts that hold for every kind of change. Pure."""

from datetime import datetime
from typing import Any

from ehr_adapters.capabilities import Capability
from ehr_adapters.contract import Baseline, PatientIdentity
from intents.pipeline.clinical.observed import age_in_years
from intents.pipeline.validation import Draft


def chart_facts(*, draft: Draft, baseline: Baseline | None, at: datetime) -> dict[str, Any]:
    identity = baseline.identity if baseline else None
    return {
        "under_18": is_under_18(identity, at=at) if identity else None,
        "deceased": identity.deceased if identity else None,
        "encounter": _encounter(draft, baseline),
    }


def _encounter(draft: Draft, baseline: Baseline | None) -> str:
    if not draft.encounter_ref:
        return "none"
    if baseline is None or baseline.visit is None:
        return "unknown"
    return "open" if baseline.visit.open else "closed"


def is_under_18(identity: PatientIdentity, *, at: datetime) -> bool | None:
    """By the latest day that a partial birth date allows; None without a birth date."""
    age = age_in_years(identity.birth_date, at=at)
    return None if age is None else age < 18


def destination_facts(capability: Capability | None) -> dict[str, Any]:
    """None, and so blocked, for a destination that does not take this kind of change."""
    if capability is None:
        return {}
    return {
        "finality": capability.finality.value,
        "retry_class": capability.retry.value,
        "label_carried": "sensitivity" in capability.labels_carried,
    }
