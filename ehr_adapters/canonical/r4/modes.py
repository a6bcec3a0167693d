"""How patient and clinician meet: R4 has no element for it, so a code of the portal's own says it. Pure."""

from collections.abc import Iterable, Mapping
from typing import Any

from ehr_adapters.canonical.r4.parts import Taken, objects

MODE_SYSTEM = "urn:reviewportal:mode"


def mode_concept(mode: str, words: str) -> dict[str, Any]:
    return {"coding": [{"system": MODE_SYSTEM, "code": mode, "display": words}], "text": words}


def is_mode(concept: Any) -> bool:
    return isinstance(concept, Mapping) and any(
        coding.get("system") == MODE_SYSTEM for coding in objects(concept.get("coding"))
    )


def take_mode(taken: Taken, element: str, possible: Iterable[str]) -> str:
    """The mode among the concepts of an element; the other concepts stay."""
    listed = taken.value.get(element) or []
    for concept in objects(listed):
        code = next(
            (
                c.get("code")
                for c in objects(concept.get("coding"))
                if c.get("system") == MODE_SYSTEM
            ),
            None,
        )
        if code in set(possible):
            listed.remove(concept)
            return str(code)
    return ""
