"""What a connection to AdvancedMD sets: where to log in, which fields its templates have, what is not public."""

from collections.abc import Iterable
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from ehr_adapters.canonical.codes import APPOINTMENT_REASON
from ehr_adapters.fhir_reading import FhirSettings
from ehr_adapters.http import EgressRefused, origin_of
from ehr_adapters.vendors.advancedmd.budget import CALLS_PER_MINUTE

_DATE = r"^(?:[0-9]{4}-[0-9]{2}-[0-9]{2})?$"
_NAME = r"^[A-Za-z_][A-Za-z0-9_.-]{0,60}$|^$"


def _address(text: str) -> str:
    try:
        origin_of(text)
    except EgressRefused as refused:
        raise ValueError(str(refused)) from None
    parts = urlsplit(text)
    if parts.query or parts.fragment:
        raise ValueError("An address holds no query and no fragment.")
    return text


def _origin(text: str) -> str:
    if urlsplit(_address(text)).path not in {"", "/"}:
        raise ValueError("An origin is a scheme and a host, without a path.")
    return text.rstrip("/")


Address = Annotated[str, AfterValidator(_address)]
Origin = Annotated[str, AfterValidator(_origin)]


class _Frozen(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class NoteField(_Frozen):
    """One field of a note template and the section of ours that goes into it."""

    section: str = Field(min_length=1, max_length=120, title="Title of the section")
    page: int = Field(ge=1, title="Number of the page")
    page_name: str = Field(default="", title="Name of the page")
    ordinal: int = Field(ge=1, title="Number of the field")
    name: str = Field(min_length=1, title="Name of the field")
    longest: int = Field(default=4000, ge=200, title="Characters that the field takes")


class NoteTemplate(_Frozen):
    """A template of this practice, for notes of one type. Its fields stand in the template's order."""

    type: str = Field(pattern=r"^[0-9]{1,7}-[0-9]$", title="LOINC code of the notes")
    name: str = Field(min_length=1, title="Name of the template")
    fields: tuple[NoteField, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _each_once(self) -> Self:
        _all_different("section", (one.section for one in self.fields))
        _all_different("field", (str(one.ordinal) for one in self.fields))
        if len({one.name for one in self.fields}) != len(self.fields):
            raise ValueError("Two fields of a template have the same name.")
        return self


class ProblemRow(_Frozen):
    """How a row of the problem list spells its attributes; an empty name: not sent."""

    icd10: str = Field(default="icd10code", pattern=_NAME)
    snomed: str = Field(default="snomedcode", pattern=_NAME)
    description: str = Field(default="description", pattern=_NAME)
    status: str = Field(default="status", pattern=_NAME)
    onset: str = Field(default="onsetdate", pattern=_NAME)
    end: str = Field(default="resolveddate", pattern=_NAME)
    comment: str = Field(default="comments", pattern=_NAME)
    active: str = Field(default="Active", min_length=1)
    inactive: str = Field(default="Inactive", min_length=1)
    resolved: str = Field(default="Resolved", min_length=1)

    @model_validator(mode="after")
    def _each_once(self) -> Self:
        names = (self.icd10, self.snomed, self.description, self.status, self.onset)
        _all_different("attribute", (one for one in (*names, self.end, self.comment, "id") if one))
        _all_different("status", (self.active, self.inactive, self.resolved))
        return self


class SchedulerColumn(_Frozen):
    """A clinician's column of the scheduler."""

    provider: str = Field(min_length=1, title="Practitioner id of the FHIR side")
    column: int = Field(ge=1, title="Number of the column")
    profile: int = Field(ge=1, title="Number of the provider profile")


class AppointmentType(_Frozen):
    """A type of appointment of this practice: a code of ours, or only its words."""

    system: str = Field(default=APPOINTMENT_REASON, title="System of the code")
    code: str = Field(default="", title="Code")
    text: str = Field(default="", title="Words")
    number: int = Field(ge=1, title="Number of the type")

    @model_validator(mode="after")
    def _named(self) -> Self:
        if not self.code and not self.text:
            raise ValueError("A type of appointment has a code or words.")
        return self


def _all_different(what: str, values: Iterable[str]) -> None:
    seen = list(values)
    if len(set(seen)) != len(seen):
        raise ValueError(f"A {what} is named twice.")


Branch = Literal[
    "refused", "locked", "not-permitted", "patient-moved", "already-there", "slow-down", "unknown"
]


class AdvancedMdSettings(FhirSettings):
    """Settings of one practice at AdvancedMD. User name and password stand in the key file."""

    scope_syntax: str = Field(default="v1", pattern="^v[12]$", title="Spelling of scopes")
    accept_wider_grant: bool = Field(default=True, title="Accept tokens wider than asked for")
    repertoire: str = Field(default="iso-8859-1", title="Characters that the EHR can hold")
    office_code: str = Field(
        default="",
        pattern=r"^[A-Za-z0-9]{0,20}$",
        coerce_numbers_to_str=True,
        title="Office key",
    )
    app_name: str = Field(
        default="", pattern=r"^[A-Za-z0-9_-]{0,40}$", title="Name that was assigned to us"
    )
    login_url: Address = Field(
        default="https://partnerlogin.advancedmd.com/practicemanager/xmlrpc/processrequest.aspx",
        title="Where the first login goes",
    )
    cluster_origins: tuple[Origin, ...] = Field(
        default=("https://providerapi.advancedmd.com",),
        min_length=1,
        title="Servers that the first login may send us to",
    )
    session_life_seconds: int = Field(
        default=86_400, ge=60, title="How long a session is taken to live"
    )
    connect_id_system: str = Field(
        default="",
        title="System of the identifier by which the Connect interface knows an entry; empty: its FHIR id",
    )
    profiles: dict[str, str] = Field(
        default_factory=dict, title="Practitioner id of the FHIR side to provider profile"
    )
    note_templates: tuple[NoteTemplate, ...] = Field(default=(), title="Note templates")
    notes_listed_probed: str = Field(
        default="",
        pattern=_DATE,
        title="An unsigned note was found again by search, its fields under their names, on",
    )
    problem_row: ProblemRow = Field(default_factory=ProblemRow, title="A row of the problem list")
    scheduler_columns: tuple[SchedulerColumn, ...] = Field(
        default=(), title="Columns of the scheduler"
    )
    appointment_types: tuple[AppointmentType, ...] = Field(default=(), title="Types of appointment")
    fault_meanings: dict[str, Branch] = Field(
        default_factory=dict, title="What further numbers of faults mean"
    )
    billed_calls: bool = Field(default=False, title="Make calls that AdvancedMD bills")
    calls_per_minute: tuple[tuple[int, int], tuple[int, int], tuple[int, int]] = Field(
        default=CALLS_PER_MINUTE,  # type: ignore[assignment]  # pairs, in a tuple of any length
        title="Calls a minute that are not billed, by tier: in working hours, and else",
    )
    processing_bound_seconds: int = Field(default=120, ge=0, title="Longest processing of a write")
    index_lag_seconds: int = Field(default=900, ge=0, title="Longest delay of a search")

    @model_validator(mode="after")
    def _each_once(self) -> Self:
        if self.app_name.upper() == "API":
            raise ValueError("AdvancedMD forbids the shared name API.")
        _all_different("type of note", (one.type for one in self.note_templates))
        _all_different("template", (one.name for one in self.note_templates))
        _all_different("profile", self.profiles.values())
        _all_different("clinician", (one.provider for one in self.scheduler_columns))
        _all_different("column", (str(one.column) for one in self.scheduler_columns))
        _all_different("number", (str(one.number) for one in self.appointment_types))
        return self

    def template_for(self, code: str) -> NoteTemplate | None:
        return next((one for one in self.note_templates if one.type == code), None)

    def column_of(self, provider: str) -> SchedulerColumn | None:
        named = provider.removeprefix("Practitioner/")
        return next((one for one in self.scheduler_columns if one.provider == named), None)

    def appointment_type(self, wanted: Any) -> AppointmentType | None:
        """The practice's type for a code, or for words where it has no code."""
        if isinstance(wanted, str):
            found = (one for one in self.appointment_types if not one.code and one.text == wanted)
        else:
            pair = wanted.get("system"), wanted.get("code")
            found = (one for one in self.appointment_types if (one.system, one.code) == pair)
        return next(found, None)
