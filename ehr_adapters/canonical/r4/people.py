"""Patients, visits and the entries that are only shown, read from FHIR R4. Pure."""

import copy
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ehr_adapters.canonical import dosing
from ehr_adapters.canonical.r4.dosage import read_frequency
from ehr_adapters.canonical.r4.quantities import read_quantity
from ehr_adapters.contract import PatientIdentity, PersonName, VisitState

_IDENTIFIER_TYPE = "http://terminology.hl7.org/CodeSystem/v2-0203"
# Numbers that name a person elsewhere and are no record number: social security, driver's licence, passport.
_NOT_A_RECORD_NUMBER = {"SS", "DL", "PPN"}
_SSN = "http://hl7.org/fhir/sid/us-ssn"
OPEN_VISIT = frozenset({"arrived", "triaged", "in-progress", "onleave"})


def identity_of(resource: Mapping[str, Any]) -> PatientIdentity:
    """Who a Patient resource says its patient is."""
    names = [n for n in _list(resource, "name") if n.get("family") or n.get("given")]
    current = sorted(
        (n for n in names if not _is_former(n)),
        key=lambda n: {"official": 0, "usual": 1}.get(str(n.get("use")), 2),
    )
    now = current[0] if current else (names[0] if names else {})
    previous = tuple(
        _person_name(n) for n in names if n is not now and n.get("use") not in {"nickname", "temp"}
    )
    links = [
        (str(link.get("type")), _reference(link.get("other"))) for link in _list(resource, "link")
    ]
    replaced_by = next((ref for kind, ref in links if kind == "replaced-by" and ref), "")
    deceased_date = resource.get("deceasedDateTime")
    return PatientIdentity(
        id=str(resource.get("id", "")),
        family=str(now.get("family", "")),
        given=tuple(str(g) for g in now.get("given") or () if g),
        birth_date=str(resource.get("birthDate", "")),
        sex=str(resource.get("gender", "")),
        mrns=_record_numbers(resource),
        previous_names=previous,
        active=resource.get("active") is not False,
        replaced_by=replaced_by,
        deceased=resource.get("deceasedBoolean") is True or isinstance(deceased_date, str),
        deceased_date=deceased_date if isinstance(deceased_date, str) else "",
        other_links=tuple(
            ref for kind, ref in links if ref and ref != replaced_by and kind != "refer"
        ),
    )


def _record_numbers(resource: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    first, rest = [], []
    for identifier in _list(resource, "identifier"):
        value = identifier.get("value")
        if not isinstance(value, str) or not value:
            continue
        kinds = {
            coding.get("code")
            for coding in _list(identifier.get("type") or {}, "coding")
            if coding.get("system") in {None, _IDENTIFIER_TYPE}
        }
        pair = (str(identifier.get("system", "")), value)
        if "MR" in kinds:
            first.append(pair)
        elif not kinds & _NOT_A_RECORD_NUMBER and identifier.get("system") != _SSN:
            rest.append(pair)
    return tuple(first) or tuple(rest)


def _is_former(name: Mapping[str, Any]) -> bool:
    return name.get("use") in {"old", "maiden"} or bool((name.get("period") or {}).get("end"))


def _person_name(name: Mapping[str, Any]) -> PersonName:
    return PersonName(
        family=str(name.get("family", "")),
        given=tuple(str(g) for g in name.get("given") or () if g),
    )


def about_whom(resource: Mapping[str, Any], *, base_url: str = "") -> str:
    """The patient ("Patient/7") that a resource is about, by whichever element its type says so; "" for none."""
    if resource.get("resourceType") == "Patient":
        return f"Patient/{resource.get('id', '')}"
    named = [resource.get(name) for name in ("subject", "patient", "for")]
    named += [participant.get("actor") for participant in _list(resource, "participant")]
    found = (_reference(one, base_url=base_url) for one in named)
    return next((one for one in found if one.startswith("Patient/")), "")


def visit_of(resource: Mapping[str, Any], *, base_url: str = "") -> VisitState:
    """The state of one Encounter."""
    status = str(resource.get("status", ""))
    period = resource.get("period") or {}
    people = [
        _reference(participant.get("individual"), base_url=base_url)
        for participant in sorted(_list(resource, "participant"), key=_not_primary)
    ]
    return VisitState(
        id=str(resource.get("id", "")),
        patient=_reference(resource.get("subject"), base_url=base_url),
        status=status,
        visit_class=str((resource.get("class") or {}).get("code", "")),
        start=str(period.get("start", "")),
        end=str(period.get("end", "")),
        providers=tuple(p for p in people if p.startswith("Practitioner/")),
        open=status in OPEN_VISIT,
    )


def _not_primary(participant: Mapping[str, Any]) -> bool:
    kinds = {
        coding.get("code")
        for concept in _list(participant, "type")
        for coding in _list(concept, "coding")
    }
    return not kinds & {"PPRF", "ATND"}


def described(resource: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    """Label and words of an entry that is only shown: allergy, medication, observation, person."""
    describe = _DESCRIBERS.get(str(resource.get("resourceType")))
    if describe is None:
        return ()
    return tuple((label, words) for label, words in describe(resource) if words)


def _describe_allergy(resource: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
    yield "Allergy to", concept_words(resource.get("code"))
    yield "Status", concept_code(resource.get("clinicalStatus"))
    yield "Certainty", concept_code(resource.get("verificationStatus"))
    yield "Danger if exposed again", str(resource.get("criticality", ""))
    reactions = [
        concept_words(manifestation)
        for reaction in _list(resource, "reaction")
        for manifestation in _list(reaction, "manifestation")
    ]
    yield "Reaction", "; ".join(r for r in reactions if r)


def _describe_medication(resource: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
    contained = {c.get("id"): c for c in _list(resource, "contained")}
    reference = _reference(resource.get("medicationReference"), any_form=True)
    inner = contained.get(reference.removeprefix("#"), {})
    yield (
        "Medication",
        concept_words(resource.get("medicationCodeableConcept"))
        or concept_words(inner.get("code"))
        or reference,
    )
    dosages = _list(resource, "dosageInstruction") or _list(resource, "dosage")
    yield "Directions", "; ".join(_dosage_words(d) for d in dosages if _dosage_words(d))
    yield "Status", str(resource.get("status", ""))
    yield "Since", str(resource.get("authoredOn") or resource.get("effectiveDateTime") or "")


def _dosage_words(dosage: Mapping[str, Any]) -> str:
    if dosage.get("text"):
        return str(dosage["text"])
    dose = next(
        (d.get("doseQuantity") for d in _list(dosage, "doseAndRate") if d.get("doseQuantity")), None
    )
    amount = read_quantity(dose)
    parts = [
        dosing.amount_words(amount) if amount else quantity_words(dose),
        concept_words(dosage.get("route")),
    ]
    often = read_frequency(copy.deepcopy(dosage.get("timing")))
    if often:
        parts.append(dosing.frequency_words(often))
    return ", ".join(p for p in parts if p)


def _describe_observation(resource: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
    yield "What", concept_words(resource.get("code"))
    yield "Value", _value_words(resource)
    for component in _list(resource, "component"):
        yield concept_words(component.get("code")) or "Part", _value_words(component)
    yield (
        "When",
        str(
            resource.get("effectiveDateTime")
            or (resource.get("effectivePeriod") or {}).get("start")
            or ""
        ),
    )
    yield "Status", str(resource.get("status", ""))


def _value_words(resource: Mapping[str, Any]) -> str:
    return (
        quantity_words(resource.get("valueQuantity"))
        or concept_words(resource.get("valueCodeableConcept"))
        or str(resource.get("valueString", ""))
    )


def _describe_person(resource: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
    names = _list(resource, "name")
    if names:
        given = " ".join(str(g) for g in names[0].get("given") or ())
        words = names[0].get("text") or f"{given} {names[0].get('family', '')}".strip()
        yield "Name", str(words)


_DESCRIBERS = {
    "AllergyIntolerance": _describe_allergy,
    "MedicationRequest": _describe_medication,
    "MedicationStatement": _describe_medication,
    "Observation": _describe_observation,
    "Practitioner": _describe_person,
}


def concept_words(concept: Any) -> str:
    """The EHR's words for a concept: its text, else a display, else a code."""
    if not isinstance(concept, Mapping):
        return ""
    if concept.get("text"):
        return str(concept["text"])
    codings = _list(concept, "coding")
    display = next((c["display"] for c in codings if c.get("display")), "")
    return str(display or next((c["code"] for c in codings if c.get("code")), ""))


def concept_code(concept: Any) -> str:
    codings = _list(concept, "coding") if isinstance(concept, Mapping) else []
    return str(next((c["code"] for c in codings if c.get("code")), ""))


def quantity_words(quantity: Any) -> str:
    """A quantity as written: comparator, number with its zeros, unit."""
    if not isinstance(quantity, Mapping) or "value" not in quantity:
        return ""
    value = quantity["value"]
    number = getattr(value, "text", None) or str(value)
    unit = quantity.get("unit") or quantity.get("code") or ""
    return f"{quantity.get('comparator', '')}{number} {unit}".strip()


def _list(holder: Mapping[str, Any], name: str) -> Sequence[Mapping[str, Any]]:
    listed = holder.get(name)
    return (
        [item for item in listed if isinstance(item, Mapping)] if isinstance(listed, list) else []
    )


def _reference(value: Any, *, base_url: str = "", any_form: bool = False) -> str:
    reference = value.get("reference") if isinstance(value, Mapping) else None
    if not isinstance(reference, str):
        return ""
    if any_form:
        return reference
    base = base_url.rstrip("/")
    if base and reference.startswith(base + "/"):
        reference = reference[len(base) + 1 :]
    found = re.fullmatch(r"([A-Z][A-Za-z]+/[A-Za-z0-9\-.]{1,64})(?:/_history/.*)?", reference)
    return found.group(1) if found else ""
