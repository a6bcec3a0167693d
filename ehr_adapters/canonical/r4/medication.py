"""A medication as a MedicationStatement, or as the MedicationRequest of an EHR that keeps its list there. Pure.

New entries are MedicationStatements: a new MedicationRequest is an order.
"""

from collections.abc import Iterable, Mapping
from typing import Any, cast

from ehr_adapters.canonical import codes
from ehr_adapters.canonical.declaration import ChartChange, Interaction, field_spec
from ehr_adapters.canonical.medication import Medication
from ehr_adapters.canonical.r4.annotations import put_comment, read_comments
from ehr_adapters.canonical.r4.building import (
    Writer,
    built,
    put_reference,
    put_value,
    refused,
    take_choice,
    take_day,
    take_reference,
)
from ehr_adapters.canonical.r4.dosage import dosage_writers, only_dosage, read_dosage
from ehr_adapters.canonical.r4.parts import (
    CanonicalForm,
    Destination,
    FhirForm,
    Taken,
    Translation,
    Uncarried,
    concept_of,
    concept_or_text,
    form_of,
    objects,
    take_sensitivity,
)

_STATEMENT, _REQUEST = "MedicationStatement", "MedicationRequest"
DOSAGE = {_STATEMENT: "dosage", _REQUEST: "dosageInstruction"}


def medication_to_fhir(change: ChartChange, to: Destination) -> FhirForm:
    resource_type = _STATEMENT if to.current is None else str(to.current.get("resourceType"))
    form = built(
        change,
        to,
        new={"resourceType": _STATEMENT, "status": "active", "subject": {"reference": to.patient}},
        writers=_writers(resource_type),
    )
    uncarried = list(form.uncarried)
    if cast("Medication", change).drops_reason and to.current is not None:
        uncarried += _drop_reason(form.resource, to.current)
    if change.interaction is Interaction.DISCONTINUE and resource_type == _REQUEST:
        uncarried.append(
            Uncarried("/status", "The pharmacy is not told that the prescription has ended.")
        )
    return FhirForm(form.resource, tuple(uncarried))


def _drop_reason(resource: dict[str, Any], before: Mapping[str, Any]) -> Iterable[Uncarried]:
    if resource.get("status") != before.get("status") and resource.pop("statusReason", None):
        yield Uncarried("/status_reason", "The reason of the old status goes away.", removed=True)


def _writers(resource_type: str) -> dict[str, Writer]:
    listed = resource_type == _STATEMENT
    return {
        "drug": put_drug,
        "status": put_value("status"),
        "status_reason": _put_status_reason(listed=listed),
        **dosage_writers(DOSAGE[resource_type]),
        "start": _put_day("start", listed=listed),
        "end": _put_day("end", listed=listed),
        "indication": put_indication,
        "taken": _no_place_for_taken,
        "note": put_comment,
        "encounter": put_reference("context" if listed else "encounter"),
    }


def put_drug(resource: dict[str, Any], value: Mapping[str, Any]) -> Iterable[Uncarried]:
    """The drug of a new entry. In an entry that exists, it is the one that stands there, with all its codings."""
    if not {"medicationCodeableConcept", "medicationReference"} & resource.keys():
        resource["medicationCodeableConcept"] = concept_of([value])
    return ()


def _put_status_reason(*, listed: bool) -> Writer:
    def put(resource: dict[str, Any], value: Any) -> Iterable[Uncarried]:
        if value is None:
            resource.pop("statusReason", None)
        else:
            concept = concept_or_text(value)
            resource["statusReason"] = [concept] if listed else concept
        return ()

    return put


def _put_day(name: str, *, listed: bool) -> Writer:
    """The first or last day: of a list entry its effective period, of a prescription that of its directions."""

    def put(resource: dict[str, Any], value: str | None) -> Iterable[Uncarried]:
        if listed:
            moment = resource.pop("effectiveDateTime", None)
            holder, element = resource, "effectivePeriod"
            if moment is not None:
                resource.setdefault(element, {}).setdefault("start", moment)
        else:
            line = only_dosage(resource, DOSAGE[_REQUEST])
            holder = line.setdefault("timing", {}).setdefault("repeat", {})
            element = "boundsPeriod"
            if any(holder.pop(other, None) for other in ("boundsDuration", "boundsRange")):
                yield Uncarried(f"/{name}", "How long it was to be taken goes away.", removed=True)
        period = holder.setdefault(element, {})
        period.pop(f"_{name}", None)
        if value is None:
            period.pop(name, None)
        else:
            period[name] = value
        if not period:
            del holder[element]

    return put


def put_indication(resource: dict[str, Any], value: str | None) -> Iterable[Uncarried]:
    """A problem by its reference, or words, in the place of the one reason that is there."""
    held = [*(resource.get("reasonReference") or ()), *(resource.get("reasonCode") or ())]
    if len(held) > 1:
        raise refused(
            "/indication",
            "several-reasons",
            f"The entry names {len(held)} reasons: which of them changes can only be said in the EHR.",
        )
    for element in ("reasonReference", "reasonCode"):
        resource.pop(element, None)
    if value is not None and is_problem(value):
        resource["reasonReference"] = [{"reference": value}]
    elif value is not None:
        resource["reasonCode"] = [{"text": value}]
    if any(one.get("coding") for one in held if isinstance(one, Mapping)):
        yield Uncarried("/indication", "The code of the old reason goes away.", removed=True)


def is_problem(value: str) -> bool:
    """A reference to a problem, not words: "Condition/5"."""
    return bool(Taken({}).reference({"reference": value}, "Condition"))


def _no_place_for_taken(resource: dict[str, Any], value: str | None) -> Iterable[Uncarried]:
    del resource, value
    yield Uncarried(
        "/taken", "Whether it is taken as written is not sent: say it in the comment as well."
    )


# --- reading ---------------------------------------------------------------------------------------


def read_medication(taken: Taken) -> CanonicalForm:
    resource_type = str(taken.value.get("resourceType"))
    listed = resource_type == _STATEMENT
    content: dict[str, Any] = {"entry": "list" if listed else _entry_of(taken)}
    drug = take_drug(taken)
    if drug:
        content["drug"] = drug
    possible = tuple(value for value, _ in field_spec("medication", "status").choices)
    status = take_choice(taken, "status", possible)
    if status:
        content["status"] = status
    reason = _status_reason(taken, listed=listed)
    if reason:
        content["status_reason"] = reason
    content |= _days(taken, listed=listed)
    read_dosage(taken, DOSAGE[resource_type], content)
    indication = take_indication(taken)
    if indication:
        content["indication"] = indication
    encounter = take_reference(taken, "context" if listed else "encounter", "Encounter")
    if encounter:
        content["encounter"] = encounter
    read_comments(taken, content)
    taken.pop("subject")
    take_sensitivity(taken, content)
    return form_of("medication", content, taken)


def _entry_of(taken: Taken) -> str:
    """A MedicationRequest that only tells what somebody takes has no order behind it."""
    if taken.value.get("reportedBoolean") is True:
        taken.pop("reportedBoolean")
        return "list"
    return "list" if taken.value.get("intent") == "plan" else "prescription"


def take_drug(taken: Taken) -> dict[str, Any] | None:
    """The RxNorm code of the drug, also of a Medication that the entry holds inside itself."""
    found = taken.code_of("medicationCodeableConcept", (codes.RXNORM,))
    if found:
        return found[0]
    named = taken.value.get("medicationReference")
    wanted = named.get("reference") if isinstance(named, Mapping) else None
    for inside in objects(taken.value.get("contained")):
        if wanted == f"#{inside.get('id')}" and inside.get("resourceType") == "Medication":
            held = Taken(inside).code_of("code", (codes.RXNORM,))
            if held:
                taken.pop("medicationReference")
                return held[0]
    return None


def _status_reason(taken: Taken, *, listed: bool) -> Any:
    if not listed:
        return taken.concept("statusReason")
    reasons = objects(taken.value.get("statusReason"))
    if len(reasons) != 1:
        return None
    inner = Taken({"reason": reasons[0]})
    value = inner.concept("reason")
    if value:
        left = inner.value.get("reason")
        taken.leave("statusReason", [left] if left else [])
    return value


def _days(taken: Taken, *, listed: bool) -> dict[str, str]:
    """The first and the last day, from wherever such an entry says them."""
    places: list[tuple[str, Any, str]] = []
    if listed:
        period = taken.value.get("effectivePeriod")
        places += [("start", period, "start"), ("end", period, "end")]
        places.append(("start", taken.value, "effectiveDateTime"))
    else:
        lines = objects(taken.value.get(DOSAGE[_REQUEST]))
        timing = lines[0].get("timing") if len(lines) == 1 else None
        repeat = timing.get("repeat") if isinstance(timing, dict) else None
        period = repeat.get("boundsPeriod") if isinstance(repeat, dict) else None
        supply = taken.value.get("dispenseRequest")
        validity = supply.get("validityPeriod") if isinstance(supply, dict) else None
        places += [("start", period, "start"), ("end", period, "end")]
        places += [("start", taken.value, "authoredOn"), ("end", validity, "end")]
    days: dict[str, str] = {}
    for name, holder, element in places:
        if name in days or not isinstance(holder, dict):
            continue
        day = take_day(holder, element)
        if day:
            days[name] = day
    return days


def take_indication(taken: Taken) -> str | None:
    """The one reason of an entry: a problem's reference, else its words. Several are left to be listed."""
    references, concepts = taken.value.get("reasonReference"), taken.value.get("reasonCode")
    if len(objects(references)) + len(objects(concepts)) != 1:
        return None
    if objects(references):
        found = taken.first_reference("reasonReference", "Condition")
        return found or None
    words = objects(concepts)[0].get("text")
    if not isinstance(words, str) or not words.strip() or is_problem(words):
        return None
    objects(concepts)[0].pop("text")
    return words


def _is_active(content: Mapping[str, Any]) -> bool:
    return content.get("status") in {"active", "on-hold"}


MEDICATION = Translation(
    write=medication_to_fhir,
    read=read_medication,
    types=(_STATEMENT, _REQUEST),
    words="medications",
    is_active=_is_active,
)
