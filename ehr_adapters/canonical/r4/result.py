"""A laboratory result as an Observation, and back (FHIR R4, section observation; US Core, laboratory results).

Only a result from an outside document is written. A comment is put below those that are there; nothing
else of the laboratory's entry changes, its labels included: the values are not the portal's.
"""

import re
from collections.abc import Mapping
from typing import Any

from ehr_adapters.canonical import codes
from ehr_adapters.canonical.declaration import ChartChange, Interaction, field_spec
from ehr_adapters.canonical.note import comment_text, read_comment_text
from ehr_adapters.canonical.r4.building import Writer, built, put_value, take_choice, take_instant
from ehr_adapters.canonical.r4.observations import (
    CATEGORY,
    category,
    quantity_of,
    read_quantity,
)
from ehr_adapters.canonical.r4.parts import (
    CanonicalForm,
    Destination,
    FhirForm,
    Taken,
    Translation,
    Uncarried,
    concept_of,
    form_of,
    objects,
    take_sensitivity,
)
from ehr_adapters.canonical.r4.people import concept_words, quantity_words
from ehr_adapters.canonical.r4.vitals import PANELS
from ehr_adapters.canonical.vitals import MEASURES

INTERPRETATION = "http://terminology.hl7.org/CodeSystem/v3-ObservationInterpretation"
_FLAGS: Mapping[str, tuple[str, str]] = {
    "low": ("L", "Low"),
    "normal": ("N", "Normal"),
    "high": ("H", "High"),
    "critical": ("AA", "Critical abnormal"),
}
_READ_FLAGS = {code: flag for flag, (code, _) in _FLAGS.items()} | {
    "LL": "critical",
    "HH": "critical",
}
KNOWN_VITALS = PANELS | MEASURES.keys()
_COPIED_FROM = re.compile(r"(?P<source>.+), page (?P<page>[1-9][0-9]{0,3})", re.DOTALL)


def result_to_fhir(change: ChartChange, to: Destination) -> FhirForm:
    if change.interaction is Interaction.COMMENT:
        resource = to.entry()
        said = comment_text(text=change.model_dump_canonical()["comment"], short=to.tag_short)
        resource["note"] = [*objects(resource.get("note")), {"text": said}]
        return FhirForm(resource)
    return built(
        change,
        to,
        new={
            "resourceType": "Observation",
            "category": category("laboratory"),
            "subject": {"reference": to.patient},
        },
        writers=_WRITERS,
    )


def _put_code(resource: dict[str, Any], value: Mapping[str, Any]) -> list[Uncarried]:
    resource["code"] = concept_of([value])
    return []


def _put_value(resource: dict[str, Any], value: Any) -> list[Uncarried]:
    if isinstance(value, str):
        resource["valueString"] = value
    elif "unit" in value:
        resource["valueQuantity"] = quantity_of(value)
    else:
        resource["valueCodeableConcept"] = concept_of([value])
    return []


def _put_range(resource: dict[str, Any], value: str) -> list[Uncarried]:
    resource["referenceRange"] = [{"text": value}]
    return []


def _put_flag(resource: dict[str, Any], value: str) -> list[Uncarried]:
    code, display = _FLAGS[value]
    resource["interpretation"] = [
        concept_of([{"system": INTERPRETATION, "code": code, "display": display}])
    ]
    return []


def _put_performer(resource: dict[str, Any], value: str) -> list[Uncarried]:
    resource["performer"] = [{"display": value}]
    return []


def _put_document(resource: dict[str, Any], value: Mapping[str, Any]) -> list[Uncarried]:
    resource["derivedFrom"] = [
        {"type": "DocumentReference", "display": f"{value['source']}, page {value['page']}"}
    ]
    return []


def _put_comment(resource: dict[str, Any], value: str) -> list[Uncarried]:
    resource["note"] = [{"text": value}]
    return []


_WRITERS: Mapping[str, Writer] = {
    "status": put_value("status"),
    "code": _put_code,
    "collected_at": put_value("effectiveDateTime"),
    "performer": _put_performer,
    "value": _put_value,
    "flag": _put_flag,
    "range": _put_range,
    "document": _put_document,
    "comment": _put_comment,
}


def read_result(taken: Taken) -> CanonicalForm:
    content: dict[str, Any] = {}
    shorts: tuple[str, ...] = ()
    if not _is_vital_sign(taken.value):
        shorts = _read_into(taken, content)
    taken.pop("subject")
    take_sensitivity(taken, content)
    form = form_of("result", content, taken)
    return CanonicalForm("result", form.content, form.uncarried, (*form.tags, *shorts))


def _read_into(taken: Taken, content: dict[str, Any]) -> tuple[str, ...]:
    taken.status_of("category", CATEGORY, ("laboratory",), listed=True)
    found = taken.code_of("code", (codes.LOINC,))
    if found:
        content["code"] = found[0]
    choices = tuple(value for value, _ in field_spec("result", "status").choices)
    flag = taken.status_of("interpretation", INTERPRETATION, tuple(_READ_FLAGS), listed=True)
    read = {
        "value": _take_value(taken),
        "range": _take_range(taken),
        "flag": _READ_FLAGS.get(flag),
        "collected_at": take_instant(taken, "effectiveDateTime")
        or take_instant(taken, "effectiveInstant"),
        "performer": _take_performer(taken),
        "document": _take_document(taken),
        "status": take_choice(taken, "status", choices),
    }
    content |= {name: value for name, value in read.items() if value}
    if "document" in content:
        content["origin"] = "outside"
    return _take_comments(taken, content)


def _is_vital_sign(resource: Mapping[str, Any]) -> bool:
    """One of the vital signs that are a kind of their own; whatever else was observed is read as a result."""
    concept = resource.get("code")
    return any(
        coding.get("system") == codes.LOINC and str(coding.get("code")) in KNOWN_VITALS
        for coding in objects(concept.get("coding") if isinstance(concept, dict) else None)
    )


def _take_value(taken: Taken) -> Any:
    amount = read_quantity(taken.value.get("valueQuantity"))
    if amount is not None:
        taken.pop("valueQuantity")
        return amount
    concept = taken.value.get("valueCodeableConcept")
    if concept is not None:
        found = taken.code_of("valueCodeableConcept", (codes.SNOMED,))
        # A code of another system is said in its words; the code itself is left to be listed.
        return found[0] if found else concept_words(concept)
    words = taken.value.get("valueString")
    if isinstance(words, str) and words.strip():
        taken.pop("valueString")
        return words
    # A number whose unit cannot be read is said as it stands, and listed.
    return quantity_words(taken.value.get("valueQuantity"))


def _take_range(taken: Taken) -> str:
    ranges = objects(taken.value.get("referenceRange"))
    if not ranges:
        return ""
    words = ranges[0].get("text")
    if isinstance(words, str) and words.strip():
        del ranges[0]["text"]
        taken.leave("referenceRange", [one for one in ranges if one])
        return words
    low, high = (quantity_words(ranges[0].get(name)) for name in ("low", "high"))
    if low and high:
        return f"{low} to {high}"
    return f"from {low}" if low else f"up to {high}" if high else ""


def _take_performer(taken: Taken) -> str:
    performers = objects(taken.value.get("performer"))
    words = performers[0].get("display") if performers else None
    if not isinstance(words, str):
        return ""
    del performers[0]["display"]
    taken.leave("performer", [one for one in performers if one])
    return " ".join(words.split()) if "\n" in words else words


def _take_document(taken: Taken) -> dict[str, Any] | None:
    for index, one in enumerate(sources := objects(taken.value.get("derivedFrom"))):
        words = one.get("display")
        found = _COPIED_FROM.fullmatch(words) if isinstance(words, str) else None
        if found and one.keys() == {"type", "display"} and one["type"] == "DocumentReference":
            taken.leave("derivedFrom", sources[:index] + sources[index + 1 :])
            return {"source": found["source"], "page": int(found["page"])}
    return None


def _take_comments(taken: Taken, content: dict[str, Any]) -> tuple[str, ...]:
    """All comments, one under the other, without the portal's reference lines, which are its tags."""
    notes = objects(taken.value.get("note"))
    texts, shorts = [], []
    for one in notes:
        said = one.get("text")
        if not isinstance(said, str) or not said.strip():
            continue
        words, short = read_comment_text(said)
        shorts += [short] if short else []
        texts += [words] if words.strip() else []
        del one["text"]
    if texts:
        content["comment"] = "\n\n".join(texts)
    if notes:
        taken.leave("note", [one for one in notes if one])
    return tuple(shorts)


def _is_active(content: Mapping[str, Any]) -> bool:
    return bool(content.get("code")) and content.get("status") not in {
        "entered-in-error",
        "cancelled",
    }


RESULT = Translation(
    write=result_to_fhir,
    read=read_result,
    types=("Observation",),
    words="results",
    searches={"Observation": {"category": "laboratory", "_sort": "-date"}},
    is_active=_is_active,
)
