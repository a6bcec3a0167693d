"""Problems, allergies, vital signs and results."""

from typing import Any

from ehr_adapters.capabilities import Capability, Finality, Transformation
from ehr_adapters.vendors.generic_r4.rows.acts import change, create

PLACES = {
    "problem": "the patient's problem list",
    "allergy": "the patient's list of allergies",
    "vitals": "the patient's vital signs, at the time of the measurement",
    "result": "the patient's results, as an outside result",
    "result comment": "the result, as a comment",
}

_NUMBERS = tuple(
    Transformation(path, "number", "A number may come back without the zeros at its end.")
    for path in ("valueQuantity", "component.valueQuantity")
)


def rows(settings: Any) -> tuple[Capability, ...]:
    """The rows of problems, allergies, vital signs and results."""
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
        create("vitals", transformations=_NUMBERS, **filed),
        change("vitals", "update", transformations=_NUMBERS, **filed),
        change("vitals", "entered-in-error", transformations=_NUMBERS, **filed),
        create("result", transformations=_NUMBERS, **filed),
        # The laboratory's entry is not labelled: only the words below it are the portal's.
        change(
            "result",
            "comment",
            tag_places=("comment",),
            labels_carried=(),
            transformations=_NUMBERS,
            **filed,
        ),
    )
