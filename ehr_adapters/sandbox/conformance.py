"""Is this JSON a resource of the type it claims to be? Checked strictly, so that a client learns early.

Unknown elements, wrong cardinality, badly written primitives, codes outside a required binding and the
invariants that a write-back client can break are reported; profiles and terminologies are not.
"""

import base64
import binascii
import re
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from ehr_adapters.sandbox.shapes import CODES, DATATYPES, RESOURCES


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong: where (FHIRPath-like) and what, in words that repeat no content."""

    path: str
    text: str
    kind: str = "invalid"  # unknown: not an element; required: not given; invalid: all else


@dataclass(frozen=True, slots=True)
class _Element:
    name: str
    types: tuple[str, ...]
    many: bool
    required: bool
    choice: bool


def _parse(text: str) -> dict[str, dict[str, _Element]]:
    shapes: dict[str, dict[str, _Element]] = {}
    for line in text.strip().splitlines():
        structure, *parts = line.split()
        elements = {}
        for part in parts:
            name, _, spelled = part.partition(":")
            many, required = "*" in spelled, spelled.endswith("!")
            types = tuple(spelled.rstrip("!").rstrip("*").split("|"))
            elements[name.removesuffix("[x]")] = _Element(
                name.removesuffix("[x]"),
                types,
                many=many,
                required=required,
                choice=name.endswith("[x]"),
            )
        shapes[structure] = elements
    return shapes


_RESOURCES = _parse(RESOURCES)
_DATATYPES = _parse(DATATYPES)
_STRUCTURES = _RESOURCES | _DATATYPES
_CODES = {place: frozenset(codes.split()) for place, codes in CODES.items()}

# The types that a front may serve: those whose line is no backbone element of another.
RESOURCE_TYPES = frozenset(
    name
    for name in _RESOURCES
    if not any(
        name != other and name.startswith(other) and name[len(other)].isupper()
        for other in _RESOURCES
    )
)

_ID = re.compile(r"[A-Za-z0-9\-.]{1,64}")
_DATE = r"\d{4}(-(0[1-9]|1[0-2])(-(0[1-9]|[12]\d|3[01]))?)?"
_TIME = r"([01]\d|2[0-3]):[0-5]\d:([0-5]\d|60)(\.\d+)?"
_ZONE = r"(Z|[+-]((0\d|1[0-3]):[0-5]\d|14:00))"
_PRIMITIVES = {
    "code": re.compile(r"[^\s]+(\s[^\s]+)*"),
    "id": _ID,
    "date": re.compile(_DATE),
    "dateTime": re.compile(
        rf"{_DATE}|\d{{4}}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])T{_TIME}{_ZONE}"
    ),
    "instant": re.compile(rf"\d{{4}}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])T{_TIME}{_ZONE}"),
    "time": re.compile(_TIME),
    "uri": re.compile(r"\S+"),
    "url": re.compile(r"\S+"),
    "canonical": re.compile(r"\S+"),
    "string": re.compile(r"(?s)(?=.*\S).*"),
    "markdown": re.compile(r"(?s)(?=.*\S).*"),
}


def is_id(text: str) -> bool:
    """Is this a well-formed FHIR id?"""
    return _ID.fullmatch(text) is not None


def problems(resource: dict[str, Any]) -> list[Problem]:
    """Everything wrong with the resource's form; empty when it may be filed.

    `resource["resourceType"]` must be one of RESOURCE_TYPES.
    """
    kind = resource["resourceType"]
    return [*_structure(resource, kind, kind, kind), *_invariants(resource, kind)]


def _structure(
    value: dict[str, Any], structure: str, path: str, resource_type: str
) -> Iterator[Problem]:
    elements = _STRUCTURES[structure]
    seen: dict[str, str] = {}
    is_resource = path == resource_type
    for key, item in value.items():
        element, type_name = _find(elements, key.removeprefix("_"))
        if element is None:
            if not _is_common(key, is_resource=is_resource):
                yield Problem(f"{path}.{key}", "is not an element here", "unknown")
            elif key == "modifierExtension":
                yield Problem(
                    f"{path}.{key}", "changes the meaning in a way this server does not know"
                )
            continue
        if key.startswith("_"):
            continue  # extensions of a primitive
        if element.choice and element.name in seen:
            yield Problem(f"{path}.{key}", f"may not stand beside {seen[element.name]}")
        seen[element.name] = key
        yield from _cardinality(item, element, type_name, f"{path}.{key}", structure)
    for element in elements.values():
        if element.required and element.name not in seen:
            yield Problem(
                f"{path}.{element.name}{'[x]' if element.choice else ''}", "is required", "required"
            )


def _find(elements: dict[str, _Element], key: str) -> tuple[_Element | None, str]:
    plain = elements.get(key)
    if plain is not None and not plain.choice:
        return plain, plain.types[0]
    for element in elements.values():
        if element.choice and key.startswith(element.name):
            for type_name in element.types:
                if key == element.name + type_name[0].upper() + type_name[1:]:
                    return element, type_name
    return None, ""


def _is_common(key: str, *, is_resource: bool) -> bool:
    common = {"id", "extension", "modifierExtension"}
    if is_resource:
        common |= {"resourceType", "meta", "implicitRules", "language", "text", "contained"}
    return key.removeprefix("_") in common


def _cardinality(
    item: Any, element: _Element, type_name: str, path: str, structure: str
) -> Iterator[Problem]:
    if item is None:
        yield Problem(path, "is null")
    elif element.many:
        if not isinstance(item, list) or not item:
            yield Problem(path, "must be a list with something in it")
            return
        for index, member in enumerate(item):
            yield from _value(member, element, type_name, f"{path}[{index}]", structure)
    elif isinstance(item, list):
        yield Problem(path, "may be given once only")
    else:
        yield from _value(item, element, type_name, path, structure)


def _value(
    item: Any, element: _Element, type_name: str, path: str, structure: str
) -> Iterator[Problem]:
    codes = _CODES.get(f"{structure}.{element.name}")
    if type_name[0].isupper():
        if not isinstance(item, dict) or not item:
            yield Problem(path, f"must be a {type_name}")
            return
        yield from _structure(item, type_name, path, resource_type="")
        if codes is not None and not any(
            isinstance(coding, dict) and coding.get("code") in codes
            for coding in item.get("coding", [])
        ):
            yield Problem(path, "needs a code of the required value set")
        return
    if not _primitive(item, type_name):
        yield Problem(path, f"is not a {type_name}")
    elif codes is not None and item not in codes:
        yield Problem(path, "is not a code of the required value set")


def _primitive(item: Any, type_name: str) -> bool:
    match type_name:
        case "boolean":
            return isinstance(item, bool)
        case "decimal":
            return isinstance(item, int | Decimal) and not isinstance(item, bool)
        case "integer":
            return isinstance(item, int) and not isinstance(item, bool)
        case "unsignedInt":
            return isinstance(item, int) and not isinstance(item, bool) and item >= 0
        case "positiveInt":
            return isinstance(item, int) and not isinstance(item, bool) and item > 0
        case "base64Binary":
            try:
                return isinstance(item, str) and bool(base64.b64decode(item, validate=True))
            except (binascii.Error, ValueError):
                return False
    return isinstance(item, str) and _PRIMITIVES[type_name].fullmatch(item) is not None


def codes_of(concept: Any) -> list[str]:
    """The codes of a CodeableConcept, whatever their system; empty for anything else."""
    if not isinstance(concept, dict) or not isinstance(concept.get("coding"), list):
        return []
    return [coding.get("code", "") for coding in concept["coding"] if isinstance(coding, dict)]


def _invariants(resource: dict[str, Any], kind: str) -> Iterator[Problem]:
    """The rules of the R4 definitions (by their key) that a write-back client can break."""
    if kind in {"Condition", "AllergyIntolerance"}:
        refuted_by_error = "entered-in-error" in codes_of(resource.get("verificationStatus"))
        status = codes_of(resource.get("clinicalStatus"))
        if refuted_by_error and status:
            yield Problem(
                f"{kind}.clinicalStatus",
                "may not be given for an entry made in error (con-5, ait-2)",
            )
        if kind == "AllergyIntolerance" and not refuted_by_error and not status:
            yield Problem(
                f"{kind}.clinicalStatus", "is required unless made in error (ait-1)", "required"
            )
        abated = any(key.startswith("abatement") for key in resource)
        if (
            kind == "Condition"
            and abated
            and not {"resolved", "remission", "inactive"} & set(status)
        ):
            yield Problem(
                f"{kind}.abatement[x]", "needs a clinical status that is not active (con-4)"
            )
    if kind == "Observation":
        has_value = any(key.startswith("value") for key in resource)
        if has_value and "dataAbsentReason" in resource:
            yield Problem("Observation.dataAbsentReason", "may not stand beside a value (obs-6)")
    if kind == "Appointment":
        timed = {"start", "end"} & resource.keys()
        if len(timed) == 1:
            yield Problem(
                "Appointment.end", "stands with a start only, and a start with it (app-2)"
            )
        if not timed and resource.get("status") not in {"proposed", "cancelled", "waitlist"}:
            yield Problem("Appointment.start", "is required for this status (app-3)", "required")
        if "cancelationReason" in resource and resource.get("status") not in {
            "cancelled",
            "noshow",
        }:
            yield Problem(
                "Appointment.cancelationReason", "needs a cancelled or missed one (app-4)"
            )
    if kind == "QuestionnaireResponse":
        yield from _nested_twice(resource.get("item"), f"{kind}.item")
    if kind == "DocumentReference":
        for index, content in enumerate(resource.get("content") or []):
            attachment = content.get("attachment") if isinstance(content, dict) else None
            if (
                isinstance(attachment, dict)
                and "data" in attachment
                and "contentType" not in attachment
            ):
                yield Problem(
                    f"DocumentReference.content[{index}].attachment",
                    "data needs a contentType (att-1)",
                )


def _nested_twice(items: Any, path: str) -> Iterator[Problem]:
    """qrs-1: items stand below an item or below its answers, not below both."""
    for index, item in enumerate(items if isinstance(items, list) else []):
        if not isinstance(item, dict):
            continue
        place = f"{path}[{index}]"
        if "answer" in item and "item" in item:
            yield Problem(f"{place}.item", "may not stand beside an answer (qrs-1)")
        yield from _nested_twice(item.get("item"), f"{place}.item")
