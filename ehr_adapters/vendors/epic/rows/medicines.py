"""Medicines and orders: Epic publishes no write of either, so they are typed in by hand."""

from typing import Any

from ehr_adapters.capabilities import Capability
from ehr_adapters.vendors.epic.rows.acts import by_hand

_MEDICINES = (
    "Epic's API list: MedicationRequest.Create exists only as an unsigned CDS Hooks suggestion"
)
_ORDERS = "Epic's API list: ServiceRequest.Create is offered for radiotherapy and prior authorization only"

PLACES = {
    "medication": "Medications activity, Add a patient-reported medication",
    "medication update": "Medications activity: open the entry, Change",
    "medication discontinue": "Medications activity: open the entry, Discontinue with the reason",
    "medication entered-in-error": "Medications activity: open the entry, Delete with the reason “Error”",
    "order": "Orders activity of the visit, New Order; sign it there",
    "order cancel": "Orders activity of the visit: the unsigned order, Remove",
}


def rows(settings: Any) -> tuple[Capability, ...]:
    """The rows of medications and orders."""
    del settings
    return (
        *(
            by_hand("medication", interaction, what, source=_MEDICINES)
            for interaction, what in (
                ("create", "add to the medication list"),
                ("update", "change the medication list"),
                ("discontinue", "discontinue a medication"),
                ("entered-in-error", "mark a medication as entered in error"),
            )
        ),
        by_hand("order", "create", "draft an order", source=_ORDERS),
        by_hand("order", "cancel", "cancel an order", source=_ORDERS),
    )
