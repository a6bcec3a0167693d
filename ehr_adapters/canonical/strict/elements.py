"""Which elements an R4 type has: read from the R4B models, whose elements are those of R4. Pure.

Of the types that a chart application writes, R4B differs from R4 (4.0.1) in one place only: it lets
an Observation be about more kinds of subject. That place is corrected here.
"""

import re
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from fhir.resources.R4B import get_fhir_model_class
from fhir_core import types as fhir_types

# The types that this project checks in depth; every other type is checked by its structure all the same.
SCOPE = (
    "AllergyIntolerance",
    "Appointment",
    "Bundle",
    "CarePlan",
    "Communication",
    "Condition",
    "DocumentReference",
    "Encounter",
    "Goal",
    "MedicationRequest",
    "MedicationStatement",
    "Observation",
    "OperationOutcome",
    "Patient",
    "Practitioner",
    "QuestionnaireResponse",
    "ServiceRequest",
    "Task",
)

_R4_TARGETS: Mapping[tuple[str, str], tuple[str, ...]] = {
    ("Observation", "subject"): ("Patient", "Group", "Device", "Location"),
}

ANY_RESOURCE = "Resource"
_PRIMITIVES = {
    fhir_types.Base64Binary: "base64Binary",
    fhir_types.Canonical: "canonical",
    fhir_types.Code: "code",
    fhir_types.Date: "date",
    fhir_types.DateTime: "dateTime",
    fhir_types.Decimal: "decimal",
    fhir_types.Id: "id",
    fhir_types.Instant: "instant",
    fhir_types.Integer: "integer",
    fhir_types.Markdown: "markdown",
    fhir_types.Oid: "oid",
    fhir_types.PositiveInt: "positiveInt",
    fhir_types.String: "string",
    fhir_types.Time: "time",
    fhir_types.UnsignedInt: "unsignedInt",
    fhir_types.Uri: "uri",
    fhir_types.Url: "url",
    fhir_types.Uuid: "uuid",
    fhir_types.Xhtml: "xhtml",
}
PRIMITIVES = frozenset({*_PRIMITIVES.values(), "boolean"})


@dataclass(frozen=True, slots=True)
class Element:
    """One element of a type: its JSON name, its type, how often, and where a reference may lead."""

    name: str
    type: str
    many: bool
    required: bool
    choice: str = ""
    targets: tuple[str, ...] = ()

    @property
    def primitive(self) -> bool:
        return self.type in PRIMITIVES


@dataclass(frozen=True, slots=True)
class TypeRules:
    """All elements of one type, and its choices of which one must be there."""

    name: str
    is_resource: bool
    elements: Mapping[str, Element]
    required_choices: tuple[str, ...]


@lru_cache(maxsize=512)
def type_rules(name: str) -> TypeRules | None:
    """The rules of a resource or data type by its R4 name; None when R4 has no such type."""
    if not re.fullmatch(r"[A-Z][A-Za-z]{1,60}", name):
        return None
    try:
        model = get_fhir_model_class(name)
    except (LookupError, ImportError, ValueError):
        return None
    elements: dict[str, Element] = {}
    required_choices: set[str] = set()
    for field_name, info in model.model_fields.items():
        json_name = info.alias or field_name
        extra = info.json_schema_extra if isinstance(info.json_schema_extra, dict) else {}
        if field_name.endswith("__ext") or json_name in {"fhir_comments", "resourceType"}:
            continue
        type_name, many = _described(info.annotation)
        choice = str(extra.get("one_of_many") or "")
        if choice and extra.get("one_of_many_required"):
            required_choices.add(choice)
        targets = extra.get("enum_reference_types") or ()
        elements[json_name] = Element(
            name=json_name,
            type=type_name,
            many=many,
            required=info.is_required() or bool(extra.get("element_required")),
            choice=choice,
            targets=_R4_TARGETS.get((name, json_name), tuple(str(t) for t in targets)),  # type: ignore[union-attr]  # a reference always names its targets
        )
    return TypeRules(
        name=name,
        is_resource="resourceType" in model.model_fields or _is_resource(model),
        elements=elements,
        required_choices=tuple(sorted(required_choices)),
    )


def _is_resource(model: type[Any]) -> bool:
    return any(base.__name__ == "Resource" for base in model.__mro__)


def _described(annotation: Any) -> tuple[str, bool]:
    """(FHIR type, repeats?) of a model field's annotation."""
    many = False
    while True:
        origin = typing.get_origin(annotation)
        if origin is list:
            many = True
            annotation = typing.get_args(annotation)[0]
            continue
        metadata = getattr(annotation, "__metadata__", ())
        known = next((_PRIMITIVES[type(m)] for m in metadata if type(m) in _PRIMITIVES), "")
        if known:
            return known, many
        if metadata:
            annotation = typing.get_args(annotation)[0]
            continue
        arguments = [a for a in typing.get_args(annotation) if a is not type(None)]
        if arguments:
            annotation = arguments[0]
            continue
        if annotation is bool:
            return "boolean", many
        name = str(getattr(annotation, "__name__", annotation))
        return name.removesuffix("Type"), many
