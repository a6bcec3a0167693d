"""What a connection to athenaOne may set. What no public document says is a setting with a careful default."""

from pydantic import Field

from ehr_adapters.fhir_reading import FhirSettings

_DATE = r"^(?:[0-9]{4}-[0-9]{2}-[0-9]{2})?$"


class AthenaSettings(FhirSettings):
    """One practice of athenaOne; an empty date means "not probed"."""

    practice_id: str = Field(
        default="",
        pattern=r"^[0-9]{0,12}$",
        coerce_numbers_to_str=True,
        title="Number of the practice",
    )
    department_id: str = Field(
        default="",
        pattern=r"^[0-9]{0,12}$",
        coerce_numbers_to_str=True,
        title="Department of chart calls without a visit; else the patient's own",
    )
    scope_syntax: str = Field(default="v1", pattern="^v[12]$", title="Spelling of scopes")
    write_scope: str = Field(
        default="athena/service/Athenanet.MDP.*", title="Scope of the proprietary interface"
    )
    patient_id_letter: str = Field(
        default="E", pattern=r"^[A-Za-z]{1,40}$", title="Letter before the number in a patient's id"
    )
    entry_id_letter: str = Field(
        default="c",
        pattern=r"^[A-Za-z]{1,40}$",
        title="Letter before the number in the FHIR id of any other entry",
    )
    token_mints_per_minute: int = Field(
        default=50, ge=1, title="New tokens a minute (production 50, preview 5)"
    )
    calls_per_second: int = Field(
        default=100, ge=1, title="Calls a second (production 100, preview 5)"
    )
    quota_header: str = Field(
        default="X-RateLimit-Remaining", title="Header that says how many calls are left today"
    )
    closed_visit_words: str = Field(
        default="closed", min_length=1, title="What the refusal of a closed visit says, in part"
    )
    documents_listed_probed: str = Field(
        default="", pattern=_DATE, title="A document was found again by its internal note, on"
    )
    problem_note_replaced: bool = Field(
        default=True, title="A new comment on a problem takes the place of the old one"
    )
    notes_cap: int = Field(default=60_000, ge=1000, title="Characters in one document")
    cases_listed_probed: str = Field(
        default="", pattern=_DATE, title="A patient case was found again by its internal note, on"
    )
    case_source: str = Field(
        default="PATIENT",
        pattern=r"^[A-Z]{1,40}$",
        title="Source that patient cases are filed under",
    )
    case_subclass: str = Field(
        default="CLINICALQUESTION",
        pattern=r"^[A-Z]{1,40}$",
        title="Kind that patient cases are filed under",
    )
    vital_elements: dict[str, str] = Field(
        default_factory=dict,
        title="LOINC code to the practice's own element name, where it differs",
    )
    vital_units: dict[str, str] = Field(
        default_factory=dict, title="LOINC code to the practice's own unit (UCUM), where it differs"
    )
    problem_note_cap: int = Field(default=450, ge=1, title="Characters in a problem's comment")
    processing_bound_seconds: int = Field(default=120, ge=0, title="Longest processing of a write")
    index_lag_seconds: int = Field(
        default=900, ge=0, title="Longest delay until either interface shows a write"
    )
