"""How a change becomes a resource, field by field: what most translations share. Pure."""

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ehr_adapters.canonical.declaration import ChangeInvalid, ChangeIssue, ChartChange
from ehr_adapters.canonical.r4.parts import (
    Destination,
    FhirForm,
    Taken,
    Uncarried,
    concept_of,
    concept_or_text,
    set_labels,
)

# Puts one field's value, or its absence, into the resource; what goes away with it or stays unsaid is told.
Writer = Callable[[dict[str, Any], Any], Iterable[Uncarried]]


def built(
    change: ChartChange,
    to: Destination,
    *,
    new: Mapping[str, Any],
    writers: Mapping[str, Writer],
) -> FhirForm:
    """The resource of a change: `new` begins one that is made, an existing one is copied; then field by field."""
    content = change.model_dump_canonical()
    if change.rule.makes_entry:
        resource = to.new(new["resourceType"], sensitivity=content.get("sensitivity")) | dict(new)
    else:
        resource = to.entry()
        set_labels(resource, content.get("sensitivity"))
    uncarried: list[Uncarried] = []
    for name, put in writers.items():
        if name in content:
            uncarried += put(resource, content[name])
    return FhirForm(resource, tuple(uncarried))


def put_value(element: str) -> Writer:
    """A primitive as it is."""

    def put(resource: dict[str, Any], value: Any) -> list[Uncarried]:
        # What stands beside a primitive speaks of the old value.
        resource.pop(f"_{element}", None)
        if value is None:
            resource.pop(element, None)
        else:
            resource[element] = value
        return []

    return put


def put_reference(element: str) -> Writer:
    def put(resource: dict[str, Any], value: str | None) -> list[Uncarried]:
        if value is None:
            resource.pop(element, None)
        else:
            resource[element] = {"reference": value}
        return []

    return put


def put_concept(element: str) -> Writer:
    """A code or words in the place of the whole concept."""

    def put(resource: dict[str, Any], value: Any) -> list[Uncarried]:
        if value is None:
            resource.pop(element, None)
        else:
            resource[element] = concept_or_text(value)
        return []

    return put


def put_words(element: str, field: str) -> Writer:
    """The words of a concept; codes that said the old words go away with them."""

    def put(resource: dict[str, Any], value: str | None) -> list[Uncarried]:
        now = resource.get(element) or {}
        gone = []
        if now.get("coding"):
            sentence = "The code of the old words goes away with them."
            gone.append(Uncarried(f"/{field}", sentence, removed=True))
        if value is None:
            resource.pop(element, None)
        else:
            resource[element] = {"text": value}
        return gone

    return put


def put_code(element: str) -> Writer:
    def put(resource: dict[str, Any], value: Mapping[str, Any] | None) -> list[Uncarried]:
        if value is None:
            resource.pop(element, None)
        else:
            resource[element] = concept_of([value])
        return []

    return put


def take_words(taken: Taken, element: str) -> str | None:
    """The words of a concept, if it has any; its codes are left to be listed."""
    concept = taken.value.get(element)
    words = concept.get("text") if isinstance(concept, dict) else None
    if not isinstance(words, str) or not words.strip():
        return None
    assert isinstance(concept, dict)
    concept.pop("text")
    return words


def take_text(taken: Taken, element: str) -> str | None:
    words = taken.value.get(element)
    if not isinstance(words, str) or not words.strip():
        return None
    taken.pop(element)
    return words


def take_choice(taken: Taken, element: str, possible: Iterable[str]) -> str | None:
    value = taken.value.get(element)
    if not isinstance(value, str) or value not in set(possible):
        return None
    taken.pop(element)
    return value


def take_reference(taken: Taken, element: str, *types: str) -> str | None:
    """A reference to an entry of one of these types; its display is only words for it."""
    value = taken.value.get(element)
    for type_name in types:
        found = taken.reference(value, type_name)
        if found and isinstance(value, dict):
            left = {k: v for k, v in value.items() if k not in {"reference", "display", "type"}}
            taken.leave(element, left)
            return found
    return None


def take_day(holder: dict[str, Any], name: str) -> str | None:
    """The day of a date; a time of day is left to be listed."""
    moment = holder.get(name)
    if not isinstance(moment, str) or not re.match(r"[0-9]{4}", moment):
        return None
    if len(moment) <= 10:
        holder.pop(name)
    return moment[:10]


def take_instant(taken: Taken, element: str) -> str | None:
    """A time with its offset; a date alone is no such time and is left."""
    moment = taken.value.get(element)
    if not isinstance(moment, str) or "T" not in moment:
        return None
    taken.pop(element)
    return moment


def refused(pointer: str, code: str, sentence: str) -> ChangeInvalid:
    return ChangeInvalid([ChangeIssue(pointer, code, sentence)])
