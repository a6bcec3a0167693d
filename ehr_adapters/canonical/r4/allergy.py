"""An allergy as an AllergyIntolerance, and back (FHIR R4, section allergyintolerance). Pure."""

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

from ehr_adapters.canonical import codes
from ehr_adapters.canonical.allergy import is_active
from ehr_adapters.canonical.comparing import same_value
from ehr_adapters.canonical.declaration import ChartChange, Interaction
from ehr_adapters.canonical.r4.annotations import put_comment, read_comments
from ehr_adapters.canonical.r4.building import Writer, built, put_value
from ehr_adapters.canonical.r4.parts import (
    CanonicalForm,
    Destination,
    FhirForm,
    Taken,
    Translation,
    Uncarried,
    code_of,
    concept_of,
    form_of,
    objects,
    take_sensitivity,
)

CLINICAL_STATUS = "http://terminology.hl7.org/CodeSystem/allergyintolerance-clinical"
VERIFICATION = "http://terminology.hl7.org/CodeSystem/allergyintolerance-verification"
_SYSTEMS = (codes.RXNORM, codes.SNOMED)
_CHOICES: Mapping[str, tuple[str, ...]] = {
    "type": ("allergy", "intolerance"),
    "criticality": ("low", "high", "unable-to-assess"),
}
_CATEGORIES = ("medication", "food", "environment", "biologic")
_SEVERITIES = ("mild", "moderate", "severe")
# Who told: the type of the one who is named, and the words where nobody is.
_TOLD_BY: Mapping[str, tuple[str, str]] = {
    "patient": ("Patient", ""),
    "relative": ("RelatedPerson", "A relative"),
    "clinician": ("Practitioner", "A clinician"),
}


def allergy_to_fhir(change: ChartChange, to: Destination) -> FhirForm:
    form = built(
        change,
        to,
        new={"resourceType": "AllergyIntolerance", "patient": {"reference": to.patient}},
        writers={**_WRITERS, "reported_by": partial(_put_asserter, patient=to.patient)},
    )
    if change.interaction is Interaction.ENTERED_IN_ERROR:
        # R4 forbids a status where the entry was never true (ait-2).
        form.resource.pop("clinicalStatus", None)
    return form


def _put_status(element: str, system: str) -> Callable[[dict[str, Any], str], list[Uncarried]]:
    def put(resource: dict[str, Any], value: str) -> list[Uncarried]:
        resource[element] = {"coding": [{"system": system, "code": value}]}
        return []

    return put


def _put_category(resource: dict[str, Any], value: str) -> list[Uncarried]:
    now = resource.get("category")
    now = now if isinstance(now, list) else []
    shown = next((one for one in now if one in _CATEGORIES), value)
    resource.pop("_category", None)
    resource["category"] = [value]
    if all(one in {value, shown} for one in now):
        return []
    return [
        Uncarried(
            "/category", "The entry's further categories go away with the old one.", removed=True
        )
    ]


def _put_substance(resource: dict[str, Any], value: dict[str, Any]) -> list[Uncarried]:
    concept = resource.get("code")
    held = objects(concept.get("coding")) if isinstance(concept, dict) else []
    # An update names the substance that is there already: its other codings and words stay.
    if not any(
        (one.get("system"), one.get("code")) == (value["system"], value["code"]) for one in held
    ):
        resource["code"] = concept_of([value])
    return []


def _put_reactions(resource: dict[str, Any], value: list[dict[str, Any]] | None) -> list[Uncarried]:
    """The reactions that are named, in the form they already have where they are there; what cannot be read
    here is not the change's to take away."""
    wanted = list(value or ())
    kept, removed = [], []
    for index, held in enumerate(objects(resource.get("reaction"))):
        read = list(_reactions_in(held))
        staying = [one for one in wanted if _is_among(one, read)]
        if not read:
            kept.append(held)
        elif len(staying) == len(read):
            kept.append(held)
            wanted = [one for one in wanted if not _is_among(one, read)]
        elif {*held} - {"manifestation", "severity", "onset"}:
            removed.append(
                Uncarried(
                    "/reactions",
                    f"What else the entry says of its reaction {index + 1} goes away with it.",
                    removed=True,
                )
            )
    reactions = [*kept, *(_reaction(one) for one in wanted)]
    if reactions:
        resource["reaction"] = reactions
    else:
        resource.pop("reaction", None)
    return removed


def _is_among(one: Mapping[str, Any], others: list[dict[str, Any]]) -> bool:
    return any(same_value("allergy", "reactions", [one], [other]) for other in others)


def _reaction(value: Mapping[str, Any]) -> dict[str, Any]:
    # One sign for each reaction: where there are several, some destinations keep only the first.
    reaction: dict[str, Any] = {"manifestation": [concept_of([value["manifestation"]])]}
    for name in ("onset", "severity"):
        if value.get(name):
            reaction[name] = value[name]
    return reaction


def _put_asserter(resource: dict[str, Any], value: str | None, *, patient: str) -> list[Uncarried]:
    now = resource.get("asserter")
    if value is None:
        resource.pop("asserter", None)
        return []
    if isinstance(now, dict) and _told_by(now) == value:
        return []
    type_name, words = _TOLD_BY[value]
    resource["asserter"] = (
        {"reference": patient} if value == "patient" else {"type": type_name, "display": words}
    )
    if not now:
        return []
    return [
        Uncarried("/reported_by", "Who told before is no longer named in the entry.", removed=True)
    ]


_WRITERS: dict[str, Writer] = {
    "clinical_status": _put_status("clinicalStatus", CLINICAL_STATUS),
    "verification": _put_status("verificationStatus", VERIFICATION),
    "type": put_value("type"),
    "category": _put_category,
    "criticality": put_value("criticality"),
    "substance": _put_substance,
    "last_seen": put_value("lastOccurrence"),
    "note": put_comment,
    "reactions": _put_reactions,
}


def read_allergy(taken: Taken) -> CanonicalForm:
    content: dict[str, Any] = {}
    found = taken.code_of("code", _SYSTEMS)
    if found:
        content["substance"] = found[0]
        if len(found) > 1:
            # The same substance in the other system: one code is shown, both stay in the entry.
            taken.value["code"].setdefault("coding", []).extend(found[1:])
    for name, element, system, possible in (
        ("clinical_status", "clinicalStatus", CLINICAL_STATUS, ("active", "inactive", "resolved")),
        (
            "verification",
            "verificationStatus",
            VERIFICATION,
            ("unconfirmed", "confirmed", "refuted", "entered-in-error"),
        ),
    ):
        value = taken.status_of(element, system, possible)
        if value:
            content[name] = value
    for name, choices in _CHOICES.items():
        if taken.value.get(name) in choices:
            content[name] = taken.pop(name)
    _read_category(taken, content)
    _read_reactions(taken, content)
    _read_asserter(taken, content)
    moment = taken.value.get("lastOccurrence")
    if isinstance(moment, str):
        content["last_seen"] = moment[:10]
        if len(moment) <= 10:
            taken.pop("lastOccurrence")
    read_comments(taken, content)
    taken.pop("patient")
    take_sensitivity(taken, content)
    return form_of("allergy", content, taken)


def _read_category(taken: Taken, content: dict[str, Any]) -> None:
    listed = taken.value.get("category")
    if not isinstance(listed, list):
        return
    known = [one for one in listed if one in _CATEGORIES]
    if known:
        content["category"] = known[0]
        listed.remove(known[0])


def _read_reactions(taken: Taken, content: dict[str, Any]) -> None:
    listed = taken.value.get("reaction")
    if not isinstance(listed, list):
        return
    reactions: list[dict[str, Any]] = []
    for held in objects(listed):
        read = list(_reactions_in(held))
        reactions += [one for one in read if not _is_among(one, reactions)]
        if read:
            _take_reaction(held)
    if reactions:
        content["reactions"] = reactions


def _reactions_in(held: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """One reaction for each sign that has a code of SNOMED CT."""
    more: dict[str, Any] = {}
    if held.get("severity") in _SEVERITIES:
        more["severity"] = held["severity"]
    onset = held.get("onset")
    if isinstance(onset, str) and onset:
        more["onset"] = onset[:10]
    for concept in objects(held.get("manifestation")):
        coding = _sign(concept)
        if coding is not None:
            yield {"manifestation": code_of(coding), **more}


def _sign(concept: Mapping[str, Any]) -> dict[str, Any] | None:
    return next(
        (
            one
            for one in objects(concept.get("coding"))
            if one.get("system") == codes.SNOMED and isinstance(one.get("code"), str)
        ),
        None,
    )


def _take_reaction(held: dict[str, Any]) -> None:
    """Takes from a reaction what its canonical form says; the rest is left to be reported."""
    if held.get("severity") in _SEVERITIES:
        del held["severity"]
    if isinstance(held.get("onset"), str) and len(held["onset"]) <= 10:
        del held["onset"]
    left = []
    for concept in objects(held.get("manifestation")):
        coding = _sign(concept)
        if coding is None:
            left.append(concept)
            continue
        rest = dict(concept)
        others = [one for one in objects(concept.get("coding")) if one is not coding]
        rest.pop("coding")
        if others:
            rest["coding"] = others
        if rest.get("text") == coding.get("display"):
            rest.pop("text", None)
        if rest:
            left.append(rest)
    held.pop("manifestation")
    if left:
        held["manifestation"] = left


def _told_by(asserter: Mapping[str, Any]) -> str:
    reference = asserter.get("reference")
    named = reference.rpartition("/")[0].rpartition("/")[2] if isinstance(reference, str) else ""
    type_name = named or asserter.get("type")
    if type_name == "PractitionerRole":
        type_name = "Practitioner"
    return next((name for name, (known, _) in _TOLD_BY.items() if known == type_name), "")


def _read_asserter(taken: Taken, content: dict[str, Any]) -> None:
    asserter = taken.value.get("asserter")
    told = _told_by(asserter) if isinstance(asserter, dict) else ""
    if not told:
        return
    content["reported_by"] = told
    patient = taken.value.get("patient")
    subject = patient.get("reference") if isinstance(patient, dict) else None
    if asserter == {"reference": subject} or asserter == {
        "type": _TOLD_BY[told][0],
        "display": _TOLD_BY[told][1],
    }:
        taken.pop("asserter")


ALLERGY = Translation(
    write=allergy_to_fhir,
    read=read_allergy,
    types=("AllergyIntolerance",),
    words="allergies",
    is_active=is_active,
)
