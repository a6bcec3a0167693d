"""Tasks, messages, appointments and the rest of a practice's day: nearly everything by hand."""

from typing import Any

from ehr_adapters.capabilities import Capability, Finality, FindMethod, RetryClass
from ehr_adapters.vendors.epic.rows.acts import SOURCE_DATE, bounds, by_hand

_TASKS = "Epic's FHIR R4 CapabilityStatement and API list: Task is read, and updated in one workflow only"
_MESSAGES = "Epic's API list: Communication create is listed for one community workflow, not for patient messages"
_QUESTIONNAIRES = "Epic QuestionnaireResponse.Create, specification 10023"
_APPOINTMENTS = "Epic's API list: appointments are booked by the STU3 operation $book only, one slot after a search"
_CARE_PLANS = "Epic's API list: CarePlan and Goal are read only"
_ENCOUNTERS = "Epic's API list: Encounter is read only"
_PATIENTS = "Epic Patient.Create, specification 930: a new record or an existing one, the answer does not say which"

PLACES: dict[str, str] = {
    "task": "In Basket, New Msg, Staff Message or Patient Call with a due date",
    "task update": "In Basket: open the message of the task",
    "questionnaire": "Screenings activity of the visit: the assigned questionnaire",
    "questionnaire amend": "Screenings activity: open the questionnaire, Edit",
    "appointment": "Schedule: the patient's Appts, Make Appointment",
    "appointment update": "Schedule: open the appointment, Change or Reschedule",
    "appointment cancel": "Schedule: open the appointment, Cancel",
    "care_plan": "Care Plan activity: New",
    "care_plan update": "Care Plan activity: open the plan, Edit",
    "care_plan discontinue": "Care Plan activity: open the plan, Discontinue",
    "encounter": "Telephone Call or Patient Outreach encounter: New Encounter",
    "demographics": "Registration: the patient's Demographics",
    "message": "In Basket, New Msg, Patient Message",
    "task cancel": "In Basket: open the message of the task, Done",
}


def rows(settings: Any) -> tuple[Capability, ...]:
    """The rows of this group."""
    return (
        by_hand("task", "create", "make a task", source=_TASKS),
        by_hand("task", "update", "change a task", source=_TASKS),
        by_hand("task", "cancel", "cancel a task", source=_TASKS),
        by_hand("message", "create", "write to a patient", source=_MESSAGES),
        by_hand("appointment", "create", "book an appointment", source=_APPOINTMENTS),
        by_hand("appointment", "update", "move an appointment", source=_APPOINTMENTS),
        by_hand("appointment", "cancel", "cancel an appointment", source=_APPOINTMENTS),
        by_hand("care_plan", "create", "make a care plan", source=_CARE_PLANS),
        by_hand("care_plan", "update", "change a care plan", source=_CARE_PLANS),
        by_hand("care_plan", "discontinue", "end a care plan", source=_CARE_PLANS),
        by_hand("encounter", "create", "open an encounter", source=_ENCOUNTERS),
        Capability(
            kind="demographics",
            interaction="create",
            supported=False,
            sentence="A new patient is registered in Epic: its answer hides whether it made a record or matched one.",
            degrade=("copy_card",),
            source=_PATIENTS,
            source_date=SOURCE_DATE,
        ),
        by_hand("demographics", "update", "change a patient's data", source=_PATIENTS),
        # Whether the identifier comes back is not known, so equal answers are a candidate, no proof.
        Capability(
            kind="questionnaire",
            interaction="create",
            finality=Finality.FILED,
            find=FindMethod.MATCH,
            retry=RetryClass.S4,
            tag_places=("identifier",),
            not_carried=("/score", "/sensitivity"),
            server_owned=("identifier", "author"),
            source=_QUESTIONNAIRES,
            **bounds(settings),
        ),
        by_hand("questionnaire", "amend", "correct filed answers", source=_QUESTIONNAIRES),
    )
