"""Between canonical changes and FHIR R4 resources, both ways; what cannot be carried is reported. Pure.

A create is built from nothing. An update starts from the resource as it was read and replaces only the
elements of the fields that the change names: whatever else stands in the resource goes back as it came.
"""

import copy
from collections.abc import Callable, Mapping
from typing import Any

from ehr_adapters.canonical.comparable import comparable
from ehr_adapters.canonical.declaration import ChangeInvalid, ChangeIssue, ChartChange
from ehr_adapters.canonical.r4_note import attachment_text, note_to_fhir, read_note
from ehr_adapters.canonical.r4_parts import AI_LABEL, CanonicalForm, FhirForm, Taken, Uncarried
from ehr_adapters.canonical.r4_people import described, identity_of, visit_of
from ehr_adapters.canonical.r4_problem import problem_to_fhir, read_problem

__all__ = [
    "AI_LABEL",
    "CanonicalForm",
    "FhirForm",
    "Uncarried",
    "attachment_text",
    "comparable",
    "described",
    "from_fhir",
    "identity_of",
    "to_fhir",
    "visit_of",
]

_READERS: dict[str, Callable[[Taken], CanonicalForm]] = {
    "DocumentReference": read_note,
    "Condition": read_problem,
}


def to_fhir(
    change: ChartChange,
    *,
    patient: str,
    tag_system: str,
    tag_value: str,
    tag_short: str,
    current: Mapping[str, Any] | None = None,
    content_type: str = "text/plain; charset=utf-8",
) -> FhirForm:
    """The R4 resource that says this change about `patient` ("Patient/1").

    `current` is the resource as read, for every interaction with an entry that exists. Raises
    `ChangeInvalid` where the resource as it stands does not allow the change.
    """
    if change.kind == "note":
        return note_to_fhir(
            change,
            patient=patient,
            tag=(tag_system, tag_value, tag_short),
            current=current,
            content_type=content_type,
        )
    return problem_to_fhir(change, patient=patient, tag=(tag_system, tag_value), current=current)


def from_fhir(
    resource: Mapping[str, Any], *, tag_system: str = "", base_url: str = ""
) -> CanonicalForm:
    """What a resource says in canonical fields; everything else is listed in `uncarried`.

    Raises `ChangeInvalid` for a resource type that no kind of change speaks of.
    """
    reader = _READERS.get(str(resource.get("resourceType")))
    if reader is None:
        raise ChangeInvalid(
            [
                ChangeIssue(
                    "/resourceType", "unknown-kind", "The portal has no change for this type."
                )
            ]
        )
    taken = Taken(copy.deepcopy(dict(resource)), base_url=base_url, tag_system=tag_system)
    return reader(taken)
