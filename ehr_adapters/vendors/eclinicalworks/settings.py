"""Settings of one practice. What the vendor does not document has the safe value until it is shown."""

from pydantic import Field

from ehr_adapters.fhir_reading import FhirSettings
from ehr_adapters.vendors.eclinicalworks.rows import VITALS_BUILD


class EcwSettings(FhirSettings):
    """What differs from one practice to the next."""

    scope_syntax: str = Field(default="v2", pattern="^v2$", title="Spelling of scopes")
    repertoire: str = Field(
        default="us-ascii",
        pattern="^(?:us-ascii|iso-8859-1|utf-8)$",
        title="Characters that the EHR can hold",
    )
    notes_read_back_probed: str = Field(
        default="",
        pattern=r"^(?:[0-9]{4}-[0-9]{2}-[0-9]{2})?$",
        title="A delivered note was found again by search, on",
    )
    build: str = Field(
        default=VITALS_BUILD,
        pattern=r"^[0-9]+(?:\.[0-9]+){2,3}$",
        title="Build of this practice's eClinicalWorks",
    )
    messages_reach_patients: bool = Field(
        default=False, title="The vendor has confirmed that a message goes to the patient"
    )
    write_scopes: dict[str, str] = Field(
        default_factory=dict, title="Scope that the contract names for a type, instead of the usual"
    )
    notes_cap: int = Field(default=30_000, ge=1000, title="Characters in one note")
    processing_bound_seconds: int = Field(default=120, ge=0, title="Longest processing of a write")
    index_lag_seconds: int = Field(default=900, ge=0, title="Longest delay of a search")
