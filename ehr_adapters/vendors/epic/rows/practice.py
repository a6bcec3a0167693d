"""Tasks, messages, appointments and the rest of a practice's day: nearly everything by hand."""

from typing import Any

from ehr_adapters.capabilities import Capability
from ehr_adapters.vendors.epic.rows.acts import by_hand

_TASKS = "Epic's FHIR R4 CapabilityStatement and API list: Task is read, and updated in one workflow only"
_MESSAGES = "Epic's API list: Communication create is listed for one community workflow, not for patient messages"

PLACES: dict[str, str] = {
    "task": "In Basket, New Msg, Staff Message or Patient Call with a due date",
    "task update": "In Basket: open the message of the task",
    "message": "In Basket, New Msg, Patient Message",
    "task cancel": "In Basket: open the message of the task, Done",
}


def rows(settings: Any) -> tuple[Capability, ...]:
    """The rows of this group."""
    del settings
    return (
        by_hand("task", "create", "make a task", source=_TASKS),
        by_hand("task", "update", "change a task", source=_TASKS),
        by_hand("task", "cancel", "cancel a task", source=_TASKS),
        by_hand("message", "create", "write to a patient", source=_MESSAGES),
    )
