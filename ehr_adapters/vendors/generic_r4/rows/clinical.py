"""Problems and allergies."""

from typing import Any

from ehr_adapters.capabilities import Capability, Finality
from ehr_adapters.vendors.generic_r4.rows.acts import change, create

PLACES = {
    "problem": "the patient's problem list",
    "allergy": "the patient's list of allergies",
}


def rows(settings: Any) -> tuple[Capability, ...]:
    """The rows of problems and allergies."""
    filed: dict[str, Any] = {"settings": settings, "finality": Finality.FILED}
    return (
        create("problem", **filed),
        change("problem", "update", **filed),
        change("problem", "resolve", **filed),
        change("problem", "entered-in-error", **filed),
        create("allergy", **filed),
        change("allergy", "update", **filed),
        change("allergy", "resolve", **filed),
        change("allergy", "entered-in-error", **filed),
    )
