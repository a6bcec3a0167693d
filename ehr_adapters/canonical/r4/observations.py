"""What vital signs and results share in an Observation (FHIR R4, section observation). Pure."""

from collections.abc import Mapping
from typing import Any

from ehr_adapters.canonical.r4.annotations import put_comment, read_comments
from ehr_adapters.canonical.r4.parts import Taken, Uncarried, concept_of, objects
from ehr_adapters.canonical.r4.quantities import UCUM, quantity_of, read_quantity

__all__ = [
    "CATEGORY",
    "UCUM",
    "category",
    "put_quantity",
    "put_remark",
    "quantity_of",
    "read_quantity",
    "read_remarks",
]

CATEGORY = "http://terminology.hl7.org/CodeSystem/observation-category"
# Begins the comment that keeps a wrong value readable beside the corrected one.
BEFORE = "Before the correction: "
_CATEGORY_WORDS = {"vital-signs": "Vital Signs", "laboratory": "Laboratory"}


def category(code: str) -> list[dict[str, Any]]:
    return [concept_of([{"system": CATEGORY, "code": code, "display": _CATEGORY_WORDS[code]}])]


def put_quantity(holder: dict[str, Any], value: Mapping[str, Any]) -> None:
    """The value of an Observation or of one of its components; a value of another type goes away."""
    for name in [key for key in holder if key.lstrip("_").startswith("value")]:
        del holder[name]
    holder.pop("dataAbsentReason", None)
    holder["valueQuantity"] = quantity_of(value)


def put_remark(resource: dict[str, Any], value: str | None) -> list[Uncarried]:
    """The comment; what was said of earlier values stays beside it."""
    notes = objects(resource.get("note"))
    earlier = [one for one in notes if _is_earlier(one)]
    own = {"note": [one for one in notes if not _is_earlier(one)]}
    said = put_comment(own, value)
    notes = [*own.get("note", []), *earlier]
    if notes:
        resource["note"] = notes
    else:
        resource.pop("note", None)
    return said


def keep_earlier(resource: dict[str, Any], words: str) -> None:
    """Keeps what stood here before a correction readable, as a further comment."""
    resource["note"] = [*objects(resource.get("note")), {"text": f"{BEFORE}{words}"}]


def read_remarks(taken: Taken, content: dict[str, Any], *, name: str = "note") -> None:
    """All comments but those that keep earlier values: these are listed."""
    notes = objects(taken.value.get("note"))
    earlier = [one for one in notes if _is_earlier(one)]
    if not earlier:
        read_comments(taken, content, name=name)
        return
    taken.leave("note", [one for one in notes if not _is_earlier(one)])
    read_comments(taken, content, name=name)
    taken.leave("note", [*objects(taken.value.get("note")), *earlier])


def _is_earlier(annotation: Mapping[str, Any]) -> bool:
    text = annotation.get("text")
    return isinstance(text, str) and text.startswith(BEFORE)
