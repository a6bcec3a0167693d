"""Medicines and orders: the list is written, an order is a draft that waits for a signature."""

from typing import Any

from ehr_adapters.capabilities import Capability, Finality
from ehr_adapters.vendors.generic_r4.rows.acts import change, create

PLACES = {
    "medication": "the patient's medication list",
    "order": "a new order or prescription, in the visit",
    "order cancel": "the draft order",
}
# MedicationStatement of R4 has no element for it.
_NOT_CARRIED = ("/taken",)
# Whoever signs a draft makes it an active order of theirs.
_BY_SIGNING = ("status", "intent", "requester", "authoredOn")


def rows(settings: Any) -> tuple[Capability, ...]:
    """The rows of medications and orders."""
    filed: dict[str, Any] = {"settings": settings, "finality": Finality.FILED}
    return (
        create("medication", not_carried=_NOT_CARRIED, **filed),
        change("medication", "update", not_carried=_NOT_CARRIED, **filed),
        change("medication", "discontinue", **filed),
        change("medication", "entered-in-error", **filed),
        create("order", settings=settings, finality=Finality.STAGED, set_on_acceptance=_BY_SIGNING),
        change("order", "cancel", **filed),
    )
