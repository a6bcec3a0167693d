"""What one Veradigm customer sets: the product, the transport of each kind, Unity's names."""

from typing import Literal, Self

from pydantic import Field, model_validator

from ehr_adapters.fhir_reading import FhirSettings

_DATE = r"^(?:[0-9]{4}-[0-9]{2}-[0-9]{2})?$"
Transport = Literal["auto", "fhir", "unity"]

# Action names differ by product and licence: each may be named otherwise, or "" where it is not licensed.
ACTIONS = {
    "login": "GetUserAuthentication",
    "server": "GetServerInfo",
    "note": "SaveNote",
    "problem": "SaveProblemsData",
    "allergy": "SaveAllergy",
    "task": "SaveTask",
}


class VeradigmSettings(FhirSettings):
    """Settings of one Veradigm customer. What no page says is a setting with the careful answer as default.

    "auto" takes Unity for what Unity is the established way for, where `unity_url` names one, else FHIR.
    """

    product: Literal["veradigm_ehr", "practice_management", "touchworks", "sunrise", "paragon"] = (
        Field(default="veradigm_ehr", title="Product")
    )
    note_transport: Transport = Field(default="auto", title="How notes are written")
    problem_transport: Literal["fhir", "unity"] = Field(
        default="fhir", title="How problems are written"
    )
    allergy_transport: Literal["fhir", "unity"] = Field(
        default="fhir", title="How allergies are written"
    )
    drafts_listed_probed: str = Field(
        default="",
        pattern=_DATE,
        title="An unsigned note with the portal's last line was found again by search, on",
    )
    identifiers_kept_probed: str = Field(
        default="", pattern=_DATE, title="An entry was found again by the portal's identifier, on"
    )
    labels_kept_probed: str = Field(
        default="", pattern=_DATE, title="Security labels came back with an entry, on"
    )
    notes_cap: int = Field(default=60_000, ge=1000, title="Characters in one note")
    processing_bound_seconds: int = Field(default=120, ge=0, title="Longest processing of a write")
    index_lag_seconds: int = Field(default=900, ge=0, title="Longest delay of a search")
    record_number_search: bool = Field(
        default=False, title="Search for patients whose record number is one digit away"
    )
    unity_url: str = Field(
        default="",
        pattern=r"^(?:https?://[^?#]+)?$",
        title="Address of Unity, with /Unity where the host has it",
    )
    unity_appname: str = Field(default="", title="Application name licensed for Unity")
    unity_user: str = Field(
        default="", title="EHR user under whom entries without an author are filed"
    )
    unity_users: dict[str, str] = Field(
        default_factory=dict, title="EHR user of each clinician (Practitioner/id)"
    )
    unity_actions: dict[str, str] = Field(
        default_factory=dict, title="Names of Unity actions that differ from the usual ones"
    )
    unity_patient_system: str = Field(
        default="", title="System of the identifier that Unity knows a patient by (empty: the id)"
    )
    unity_document_types: dict[str, str] = Field(
        default={
            "11506-3": "Progress Note",
            "34117-2": "History and Physical",
            "11488-4": "Consultation",
            "18842-5": "Discharge Summary",
        },
        title="Document type of each kind of note (LOINC)",
    )
    unity_allergens: dict[str, str] = Field(
        default_factory=dict, title="Allergen's name in the EHR for each RxNorm or SNOMED CT code"
    )
    unity_task_targets: dict[str, str] = Field(
        default_factory=dict, title="User, or Team and its number, for each owner of a task"
    )
    unity_task_type: str = Field(default="Misc", title="Type of task that the portal's tasks have")
    unity_comment_field: str = Field(
        default="comment",
        pattern="^[a-z]*$",
        title="Field of a problem's form that holds its comment",
    )
    unity_date_format: str = Field(default="%m/%d/%Y", title="How Unity spells a date")
    unity_idle_seconds: int = Field(
        default=1200, ge=60, title="Seconds after which Unity logs an idle session out"
    )
    unknown_error_means: Literal["unknown", "refused"] = Field(
        default="unknown",
        title="What an error text that the portal does not know says of the chart",
    )

    @model_validator(mode="after")
    def _unity_has_an_address(self) -> Self:
        chosen = {self.note_transport, self.problem_transport, self.allergy_transport}
        if "unity" in chosen and not self.unity_url:
            raise ValueError("Writing through Unity needs its address (unity_url)")
        return self

    @property
    def notes_by_unity(self) -> bool:
        return self.note_transport == "unity" or (
            self.note_transport == "auto" and bool(self.unity_url)
        )

    @property
    def problems_by_unity(self) -> bool:
        return self.problem_transport == "unity"

    def action(self, name: str) -> str:
        """The customer's name of an action; "" where it is not licensed."""
        return self.unity_actions.get(name, ACTIONS[name])
