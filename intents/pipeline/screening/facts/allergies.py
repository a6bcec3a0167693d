"""Does a change take a warning away, or make it weaker? Pure."""

from collections.abc import Mapping
from typing import Any

from intents.pipeline.clinical.allergies import allergy_of
from intents.pipeline.clinical.values import codes_of, entries, mapping, text
from intents.pipeline.validation import Draft

# From the weakest warning to the strongest; what is not said counts as the value named for "".
_STRENGTH: Mapping[str, tuple[Mapping[str, int], int]] = {
    "clinical_status": ({"resolved": 0, "inactive": 1, "active": 2}, 2),
    "verification": ({"entered-in-error": 0, "refuted": 0, "unconfirmed": 1, "confirmed": 2}, 1),
    "criticality": ({"low": 0, "unable-to-assess": 1, "high": 2}, 1),
    "type": ({"intolerance": 0, "allergy": 1}, 1),
}
_SEVERITY = {"mild": 1, "": 2, "moderate": 2, "severe": 3}


def allergy_facts(
    draft: Draft, *, before: Mapping[str, Any], after: Mapping[str, Any]
) -> dict[str, Any]:
    if draft.kind != "allergy":
        return {"lowers_allergy": False, "no_known_allergies": False}
    none_known = allergy_of(mapping(after)).none_known
    return {
        "lowers_allergy": not none_known
        and draft.interaction != "create"
        and _is_weaker(draft.interaction, before=before, after=after),
        "no_known_allergies": none_known and draft.interaction in {"create", "update"},
    }


def _is_weaker(interaction: str, *, before: Mapping[str, Any], after: Mapping[str, Any]) -> bool:
    if interaction in {"resolve", "entered-in-error"}:
        return True
    for name, (order, unsaid) in _STRENGTH.items():
        then, now = (order.get(text(one.get(name)), unsaid) for one in (before, after))
        if now < then:
            return True
    return codes_of(before.get("substance")) > codes_of(after.get("substance")) or _is_milder(
        before.get("reactions"), after.get("reactions")
    )


def _is_milder(before: Any, after: Any) -> bool:
    """A sign is gone, or told as less severe."""
    then, now = _signs(before), _signs(after)
    return any(sign not in now or now[sign] < severity for sign, severity in then.items())


def _signs(reactions: Any) -> dict[tuple[str, str], int]:
    out: dict[tuple[str, str], int] = {}
    for one in map(mapping, entries(reactions)):
        severity = _SEVERITY.get(text(one.get("severity")), 2)
        for sign in codes_of(one.get("manifestation")):
            out[sign] = max(severity, out.get(sign, 0))
    return out
