"""Between canonical changes and FHIR R4 resources, both ways; what cannot be carried is reported. Pure.

A create is built from nothing. An update starts from the resource as it was read and replaces only the
elements of the fields that the change names: whatever else stands in the resource goes back as it came, but for
a generated narrative (`r4/narratives.py`).
"""

import copy
from collections.abc import Mapping
from typing import Any

from ehr_adapters.canonical.comparable import comparable
from ehr_adapters.canonical.declaration import ChangeInvalid, ChangeIssue, ChartChange
from ehr_adapters.canonical.r4.allergy import ALLERGY
from ehr_adapters.canonical.r4.appointment import APPOINTMENT
from ehr_adapters.canonical.r4.care_plan import CARE_PLAN
from ehr_adapters.canonical.r4.demographics import DEMOGRAPHICS
from ehr_adapters.canonical.r4.encounter import ENCOUNTER
from ehr_adapters.canonical.r4.medication import MEDICATION
from ehr_adapters.canonical.r4.message import MESSAGE
from ehr_adapters.canonical.r4.narratives import with_narrative
from ehr_adapters.canonical.r4.note import NOTE, attachment_text
from ehr_adapters.canonical.r4.order import ORDER
from ehr_adapters.canonical.r4.parts import (
    AI_LABEL,
    CanonicalForm,
    Destination,
    FhirForm,
    Taken,
    Translation,
    Uncarried,
)
from ehr_adapters.canonical.r4.people import about_whom, described, identity_of, visit_of
from ehr_adapters.canonical.r4.problem import PROBLEM
from ehr_adapters.canonical.r4.questionnaire import QUESTIONNAIRE
from ehr_adapters.canonical.r4.result import RESULT
from ehr_adapters.canonical.r4.task import TASK
from ehr_adapters.canonical.r4.vitals import VITALS

__all__ = [
    "AI_LABEL",
    "CanonicalForm",
    "Destination",
    "FhirForm",
    "Uncarried",
    "about_whom",
    "attachment_text",
    "comparable",
    "described",
    "from_fhir",
    "identity_of",
    "to_fhir",
    "translation",
    "visit_of",
]

_TRANSLATIONS: Mapping[str, Translation] = {
    "note": NOTE,
    "problem": PROBLEM,
    "allergy": ALLERGY,
    "medication": MEDICATION,
    "order": ORDER,
    "vitals": VITALS,
    "result": RESULT,
    "task": TASK,
    "message": MESSAGE,
    "appointment": APPOINTMENT,
    "care_plan": CARE_PLAN,
    "questionnaire": QUESTIONNAIRE,
    "encounter": ENCOUNTER,
    "demographics": DEMOGRAPHICS,
}


def translation(kind: str) -> Translation:
    """How a kind stands in FHIR R4; raises `ChangeInvalid` for a kind that the portal does not have."""
    try:
        return _TRANSLATIONS[kind]
    except KeyError:
        raise ChangeInvalid(
            [ChangeIssue("", "unknown-kind", "The portal has no such kind of change.")]
        ) from None


def to_fhir(change: ChartChange, to: Destination) -> FhirForm:
    """The R4 resource that says this change.

    Raises `ChangeInvalid` where the resource as it stands does not allow the change.
    """
    form = translation(change.kind).write(change, to)
    if change.rule.makes_entry or to.current is None:
        return form
    return with_narrative(form, before=to.current)


def from_fhir(
    resource: Mapping[str, Any], *, kind: str = "", tag_system: str = "", base_url: str = ""
) -> CanonicalForm:
    """What a resource says in the fields of a kind; everything else is listed in `uncarried`.

    Without `kind`, the first kind whose entries have this type. Raises `ChangeInvalid` for a resource type
    that no kind of change speaks of.
    """
    type_name = str(resource.get("resourceType"))
    found = next(
        (
            one
            for name, one in _TRANSLATIONS.items()
            if type_name in one.types and kind in {"", name}
        ),
        None,
    )
    if found is None:
        raise ChangeInvalid(
            [
                ChangeIssue(
                    "/resourceType", "unknown-kind", "The portal has no change for this type."
                )
            ]
        )
    return found.read(
        Taken(copy.deepcopy(dict(resource)), base_url=base_url, tag_system=tag_system)
    )
