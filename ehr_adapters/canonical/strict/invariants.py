"""The invariants of the R4 types in scope, as FHIRPath where FHIRPath can say them. Pure.

FHIRPath expressions are compiled once. What it cannot say here (extensions on primitives, contained
references, partial dates, the form of a narrative) is written out.
"""

import base64
import binascii
import hashlib
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from typing import Any, NamedTuple

from ehr_adapters.canonical.strict.primitives import earliest_and_latest


class Invariant(NamedTuple):
    key: str
    sentence: str
    expression: str
    severity: str = "error"


_CONDITION_CLINICAL = "http://terminology.hl7.org/CodeSystem/condition-clinical"
_CONDITION_VERIFICATION = "http://terminology.hl7.org/CodeSystem/condition-ver-status"
_ALLERGY_VERIFICATION = "http://terminology.hl7.org/CodeSystem/allergyintolerance-verification"

INVARIANTS: Mapping[str, tuple[Invariant, ...]] = {
    "AllergyIntolerance": (
        Invariant(
            "ait-1",
            "An allergy that is no error has a clinical status.",
            f"verificationStatus.coding.where(system = '{_ALLERGY_VERIFICATION}' and code = 'entered-in-error')"
            ".exists() or clinicalStatus.exists()",
        ),
        Invariant(
            "ait-2",
            "An allergy entered in error has no clinical status.",
            f"verificationStatus.coding.where(system = '{_ALLERGY_VERIFICATION}' and code = 'entered-in-error')"
            ".empty() or clinicalStatus.empty()",
        ),
    ),
    "Appointment": (
        Invariant(
            "app-2", "A start and an end are given together.", "start.exists() = end.exists()"
        ),
        Invariant(
            "app-3",
            "Only a proposed, cancelled or waiting appointment has no time.",
            "(start.exists() and end.exists()) or (status in ('proposed' | 'cancelled' | 'waitlist'))",
        ),
        Invariant(
            "app-4",
            "Only what was cancelled or missed has a reason for it.",
            "cancelationReason.exists() implies (status = 'noshow' or status = 'cancelled')",
        ),
    ),
    "AppointmentParticipant": (
        Invariant(
            "app-1", "A participant has a role or is named.", "type.exists() or actor.exists()"
        ),
    ),
    "Attachment": (
        Invariant("att-1", "Data has a content type.", "data.empty() or contentType.exists()"),
    ),
    "Bundle": (
        Invariant(
            "bdl-1",
            "Only a search or a history has a total.",
            "total.empty() or (type = 'searchset') or (type = 'history')",
        ),
        Invariant(
            "bdl-2",
            "Only a search tells of its search.",
            "entry.search.empty() or (type = 'searchset')",
        ),
        Invariant(
            "bdl-3",
            "Entries have a request in a batch, transaction or history, and nowhere else.",
            "entry.all(request.exists() = (%resource.type = 'batch' or %resource.type = 'transaction' or "
            "%resource.type = 'history'))",
        ),
        Invariant(
            "bdl-4",
            "Entries have a response in an answer or history, and nowhere else.",
            "entry.all(response.exists() = (%resource.type = 'batch-response' or "
            "%resource.type = 'transaction-response' or %resource.type = 'history'))",
        ),
        Invariant(
            "bdl-7",
            "An address stands once in a bundle, or with different versions.",
            "(type = 'history') or entry.where(fullUrl.exists()).select(fullUrl & resource.meta.versionId)"
            ".isDistinct()",
        ),
        Invariant(
            "bdl-9",
            "A document has an identifier with a system.",
            "type = 'document' implies (identifier.system.exists() and identifier.value.exists())",
        ),
        Invariant(
            "bdl-10", "A document has a date.", "type = 'document' implies (timestamp.hasValue())"
        ),
        Invariant(
            "bdl-11",
            "A document begins with a Composition.",
            "type = 'document' implies entry.first().resource.is(Composition)",
        ),
        Invariant(
            "bdl-12",
            "A message begins with a MessageHeader.",
            "type = 'message' implies entry.first().resource.is(MessageHeader)",
        ),
    ),
    "BundleEntry": (
        Invariant(
            "bdl-5",
            "An entry holds something.",
            "resource.exists() or request.exists() or response.exists()",
        ),
        Invariant(
            "bdl-8",
            "An address names no version.",
            "fullUrl.empty() or fullUrl.contains('/_history/').not()",
        ),
    ),
    "CarePlanActivity": (
        Invariant(
            "cpl-3", "An activity is told here or elsewhere.", "detail.empty() or reference.empty()"
        ),
    ),
    "Condition": (
        Invariant(
            "con-3",
            "A problem-list entry that is no error should have a clinical status.",
            f"clinicalStatus.exists() or verificationStatus.coding.where(system = '{_CONDITION_VERIFICATION}' "
            "and code = 'entered-in-error').exists() or "
            "category.coding.where(code = 'problem-list-item').empty()",
            "warning",
        ),
        Invariant(
            "con-4",
            "A condition with an end is inactive, resolved or in remission.",
            f"abatement.empty() or clinicalStatus.coding.where(system = '{_CONDITION_CLINICAL}' and "
            "(code = 'resolved' or code = 'remission' or code = 'inactive')).exists()",
        ),
        Invariant(
            "con-5",
            "A condition entered in error has no clinical status.",
            f"verificationStatus.coding.where(system = '{_CONDITION_VERIFICATION}' and "
            "code = 'entered-in-error').empty() or clinicalStatus.empty()",
        ),
    ),
    "ConditionEvidence": (
        Invariant("con-2", "Evidence has a code or a detail.", "code.exists() or detail.exists()"),
    ),
    "ConditionStage": (
        Invariant(
            "con-1",
            "A stage has a summary or an assessment.",
            "summary.exists() or assessment.exists()",
        ),
    ),
    "ContactPoint": (
        Invariant("cpt-2", "A contact value has a system.", "value.empty() or system.exists()"),
    ),
    "GoalTarget": (
        Invariant(
            "gol-1",
            "A target value says what is measured.",
            "detail.exists() implies measure.exists()",
        ),
    ),
    "Observation": (
        Invariant(
            "obs-6",
            "A value and a reason for its absence exclude each other.",
            "dataAbsentReason.empty() or value.empty()",
        ),
        Invariant(
            "obs-7",
            "A component of the same code and a value of the whole exclude each other.",
            "value.empty() or component.code.where(coding.intersect(%resource.code.coding).exists()).empty()",
        ),
    ),
    "ObservationReferenceRange": (
        Invariant(
            "obs-3",
            "A range has a low, a high or words.",
            "low.exists() or high.exists() or text.exists()",
        ),
    ),
    "PatientContact": (
        Invariant(
            "pat-1",
            "A contact has a name, a number, an address or an organization.",
            "name.exists() or telecom.exists() or address.exists() or organization.exists()",
        ),
    ),
    "QuestionnaireResponseItem": (
        Invariant(
            "qrs-1",
            "Items stand below an item or below its answer, not below both.",
            "(answer.exists() and item.exists()).not()",
        ),
    ),
    "Ratio": (
        Invariant(
            "rat-1",
            "A ratio has both parts, or an extension instead.",
            "(numerator.exists() = denominator.exists()) and (numerator.exists() or extension.exists())",
        ),
    ),
    "ServiceRequest": (
        Invariant(
            "prr-1",
            "Details of an order belong to a code.",
            "orderDetail.empty() or code.exists()",
        ),
    ),
    "Task": (
        Invariant(
            "inv-1",
            "A task is not modified before it was written.",
            "lastModified.exists().not() or authoredOn.exists().not() or lastModified >= authoredOn",
        ),
    ),
    "TimingRepeat": (
        Invariant("tim-1", "A duration has a unit.", "duration.empty() or durationUnit.exists()"),
        Invariant("tim-2", "A period has a unit.", "period.empty() or periodUnit.exists()"),
        Invariant("tim-4", "A duration is not negative.", "duration.empty() or duration >= 0"),
        Invariant("tim-5", "A period is not negative.", "period.empty() or period >= 0"),
        Invariant(
            "tim-6", "A longest period has a period.", "periodMax.empty() or period.exists()"
        ),
        Invariant(
            "tim-7",
            "A longest duration has a duration.",
            "durationMax.empty() or duration.exists()",
        ),
        Invariant("tim-8", "A highest count has a count.", "countMax.empty() or count.exists()"),
        Invariant(
            "tim-9",
            "An offset has an event other than a meal in general.",
            "offset.empty() or (when.exists() and ((when in ('C' | 'CM' | 'CD' | 'CV')).not()))",
        ),
        Invariant(
            "tim-10",
            "Times of day and events exclude each other.",
            "timeOfDay.empty() or when.empty()",
        ),
    ),
}
_QUANTITIES = ("Quantity", "Age", "Count", "Distance", "Duration", "Money")


@lru_cache(maxsize=256)
def _compiled(expression: str) -> Callable[..., list[Any]]:
    # The library takes a moment to load, and a chart that is only read never needs it.
    import fhirpathpy
    from fhirpathpy.models import models

    return fhirpathpy.compile(expression, models["r4"])


def _answer(
    expression: str, node: Mapping[str, Any], resource: Mapping[str, Any]
) -> list[Any] | None:
    """What an expression says of a node; None where the node's shape is so wrong that it says nothing."""
    try:
        return _compiled(expression)(dict(node), {"resource": dict(resource)})
    except Exception:  # noqa: BLE001 - the library raises anything; wrong shapes have findings of their own
        return None


def broken_invariants(
    type_name: str, node: Mapping[str, Any], resource: Mapping[str, Any]
) -> Iterator[Invariant]:
    """The invariants of a type that this node does not keep; `resource` is the one that holds it."""
    for invariant in INVARIANTS.get(type_name, ()):
        if _answer(invariant.expression, node, resource) == [False]:
            yield invariant
    yield from _written_out(type_name, node)


def _written_out(type_name: str, node: Mapping[str, Any]) -> Iterator[Invariant]:
    if type_name in _QUANTITIES and node.get("code") is not None and "system" not in node:
        yield Invariant("qty-3", "A unit code has a system.", "")
    if type_name == "Period":
        start = earliest_and_latest(str(node.get("start", "")))
        end = earliest_and_latest(str(node.get("end", "")))
        if start and end and _after(start[0], end[1]):
            yield Invariant("per-1", "A period does not end before it begins.", "")
    if type_name == "Attachment":
        yield from _attachment(node)
    if type_name == "Range":
        low, high = _number(node.get("low")), _number(node.get("high"))
        if low is not None and high is not None and low > high:
            yield Invariant("rng-2", "The low of a range is not above its high.", "")
    if type_name == "Extension":
        has_value = any(key.startswith(("value", "_value")) for key in node)
        if has_value == ("extension" in node):
            yield Invariant("ext-1", "An extension has a value or extensions, not both.", "")


def _attachment(node: Mapping[str, Any]) -> Iterator[Invariant]:
    """The stated size and SHA-1 hash are those of the data."""
    data = node.get("data")
    if not isinstance(data, str):
        return
    try:
        raw = base64.b64decode("".join(data.split()), validate=True)
    except binascii.Error:
        return
    size = node.get("size")
    if isinstance(size, int) and not isinstance(size, bool) and size != len(raw):
        yield Invariant("size", "The stated size is not that of the data.", "")
    stated = node.get("hash")
    digest = hashlib.sha1(raw, usedforsecurity=False).digest()
    if isinstance(stated, str) and stated != base64.b64encode(digest).decode():
        yield Invariant("hash", "The stated hash is not that of the data.", "")


def _after(one: Any, other: Any) -> bool:
    if (one.tzinfo is None) == (other.tzinfo is None):
        return bool(one > other)
    return bool(one.replace(tzinfo=None).date() > other.replace(tzinfo=None).date())


def _number(quantity: Any) -> Any:
    value = quantity.get("value") if isinstance(quantity, Mapping) else None
    return value if value is not None and not isinstance(value, (str, bool)) else None
