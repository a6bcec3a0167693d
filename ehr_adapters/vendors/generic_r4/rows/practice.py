"""Tasks, messages, appointments and the rest of a practice's day."""

from typing import Any

from ehr_adapters.capabilities import Capability, Finality, RetryClass
from ehr_adapters.vendors.generic_r4.rows.acts import SOURCE, SOURCE_DATE, change, create

PLACES: dict[str, str] = {
    "task": "the practice's task list",
    "questionnaire": "the patient's questionnaires",
    "appointment": "the schedule: the patient's appointments",
    "care_plan": "the patient's care plans",
    "encounter": "the patient's visits",
    "demographics": "the patient's registration data",
    "message": "a new message in the patient's portal messages",
}


def rows(settings: Any) -> tuple[Capability, ...]:
    """The rows of this group."""
    filed: dict[str, Any] = {"settings": settings, "finality": Finality.FILED}
    return (
        create("task", **filed),
        change("task", "update", **filed),
        change("task", "cancel", **filed),
        # What a patient has read cannot be called back, however well it is found again.
        create(
            "message",
            settings=settings,
            finality=Finality.SENT_FOR_ACTION,
            retry=RetryClass.S6,
            not_carried=("/reply_allowed",),
        ),
        create("appointment", **filed, not_carried=("/patient_told",)),
        # One update moves it: the new time is taken and the old one free in the same act.
        change("appointment", "update", **filed, not_carried=("/patient_told",)),
        change("appointment", "cancel", **filed, not_carried=("/patient_told",)),
        create("care_plan", **filed),
        change("care_plan", "update", **filed),
        change("care_plan", "discontinue", **filed),
        create("questionnaire", **filed),
        change("questionnaire", "amend", **filed),
        create("encounter", **filed),
        change("demographics", "update", **filed),
        # A create by way of a match hides which of the two it was, and a draft is about a known patient.
        Capability(
            kind="demographics",
            interaction="create",
            supported=False,
            sentence="A new patient is registered in the EHR, where it is seen whether one is there already.",
            degrade=("copy_card",),
            source=SOURCE,
            source_date=SOURCE_DATE,
        ),
    )
