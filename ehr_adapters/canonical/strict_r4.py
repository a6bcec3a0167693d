"""A strict check of FHIR R4 JSON: what is no R4 is named, with a place and a sentence. Pure.

The R4B models give the elements, cardinalities and reference targets; everything that they let pass is
checked here: JSON itself, raw types, forms of primitives, empty values, required codes, invariants,
contained resources, narratives, bundles. A finding never repeats a value.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from ehr_adapters.canonical.exact_json import MAX_DEPTH, ExactDecimal, NotStrictJson, dumps, loads
from ehr_adapters.canonical.strict.bindings import REQUIRED_CODES, REQUIRED_CONCEPTS
from ehr_adapters.canonical.strict.elements import (
    ANY_RESOURCE,
    SCOPE,
    Element,
    TypeRules,
    type_rules,
)
from ehr_adapters.canonical.strict.invariants import broken_invariants
from ehr_adapters.canonical.strict.narrative import narrative_fault
from ehr_adapters.canonical.strict.primitives import primitive_fault

__all__ = [
    "MAX_DEPTH",
    "SCOPE",
    "ExactDecimal",
    "FhirIssue",
    "NotStrictJson",
    "check",
    "dumps",
    "is_valid",
    "loads",
]


class FhirIssue(NamedTuple):
    """One finding, in the words of OperationOutcome.issue."""

    severity: str
    code: str
    expression: str
    diagnostics: str


def check(
    document: bytes | str | Mapping[str, Any], *, only_scope: bool = False
) -> tuple[FhirIssue, ...]:
    """Every reason why a document is no R4 resource; empty when it is one.

    With `only_scope` a type that is not in SCOPE is itself a finding.
    """
    if isinstance(document, (bytes, str)):
        try:
            value = loads(document)
        except NotStrictJson as refused:
            return (FhirIssue("fatal", "structure", "", str(refused)),)
    else:
        value = dict(document)
    if not isinstance(value, dict):
        return (FhirIssue("fatal", "structure", "", "A resource is a JSON object."),)
    type_name = value.get("resourceType")
    if only_scope and type_name not in SCOPE:
        return (
            FhirIssue(
                "error", "not-supported", "", "The portal does not handle this resource type."
            ),
        )
    return tuple(_resource_issues(value, path=str(type_name) if isinstance(type_name, str) else ""))


def is_valid(document: bytes | str | Mapping[str, Any]) -> bool:
    """No finding of severity error or fatal."""
    return not any(issue.severity in {"error", "fatal"} for issue in check(document))


class _Around(NamedTuple):
    """The resource that holds an element, and the one that contains that resource."""

    resource: Mapping[str, Any]
    root: Mapping[str, Any]


# --- resources -----------------------------------------------------------------------------------


def _resource_issues(
    value: Mapping[str, Any], *, path: str, container: Mapping[str, Any] | None = None
) -> Iterator[FhirIssue]:
    type_name = value.get("resourceType")
    rules = type_rules(type_name) if isinstance(type_name, str) and type_name else None
    if rules is None or not rules.is_resource or type_name in {"Resource", "DomainResource"}:
        yield _error("structure", path, "The resource type is missing or unknown to R4.")
        return
    around = _Around(resource=value, root=container if container is not None else value)
    yield from _object_issues(value, rules=rules, path=path, around=around)
    yield from _contained_issues(value, path=path, is_contained=container is not None)
    if type_name == "Bundle":
        yield from _bundle_issues(value, path=path)


def _object_issues(
    value: Mapping[str, Any], *, rules: TypeRules, path: str, around: _Around
) -> Iterator[FhirIssue]:
    seen_choices: dict[str, str] = {}
    for name, member in value.items():
        if name == "resourceType" and rules.is_resource:
            continue
        element = rules.elements.get(name.removeprefix("_") if name.startswith("_") else name)
        place = f"{path}.{_shown(name)}"
        if element is None or (name.startswith("_") and not element.primitive):
            yield _error("structure", place, "R4 has no such element here.")
            continue
        if element.choice:
            base = name.removeprefix("_")
            if seen_choices.setdefault(element.choice, base) != base:
                yield _error("structure", place, f"Only one {element.choice}[x] is possible.")
        if name.startswith("_"):
            yield from _primitive_extension_issues(
                member,
                beside=value.get(element.name),
                element=element,
                path=place,
                around=around,
            )
        else:
            yield from _element_issues(
                member,
                element=element,
                owner=rules.name,
                path=place,
                around=around,
                beside=value.get(f"_{name}"),
            )
    for element in rules.elements.values():
        if element.required and element.name not in value and f"_{element.name}" not in value:
            yield _error("required", f"{path}.{element.name}", "This element is required.")
    for choice in rules.required_choices:
        if choice not in seen_choices:
            yield _error("required", f"{path}.{choice}[x]", "This element is required.")
    if not any(name != "resourceType" for name in value) and not rules.is_resource:
        yield _error("structure", path, "An element is never empty.")
    for invariant in broken_invariants(rules.name, value, around.resource):
        code = "invariant"
        yield FhirIssue(invariant.severity, code, path, f"{invariant.key}: {invariant.sentence}")


def _element_issues(
    member: Any,
    *,
    element: Element,
    owner: str,
    path: str,
    around: _Around,
    beside: Any,
) -> Iterator[FhirIssue]:
    if element.many != isinstance(member, list):
        wanted = "a list" if element.many else "no list"
        yield _error("structure", path, f"This element is {wanted}.")
        return
    if not element.many:
        yield from _value_issues(member, element=element, owner=owner, path=path, around=around)
        return
    if not member:
        yield _error("structure", path, "A list is never empty.")
    for index, item in enumerate(member):
        if item is None and element.primitive and _has_extension(beside, index):
            continue
        yield from _value_issues(
            item, element=element, owner=owner, path=f"{path}[{index}]", around=around
        )


def _has_extension(beside: Any, index: int) -> bool:
    return isinstance(beside, list) and index < len(beside) and isinstance(beside[index], dict)


def _value_issues(
    value: Any,
    *,
    element: Element,
    owner: str,
    path: str,
    around: _Around,
) -> Iterator[FhirIssue]:
    if element.primitive:
        fault = primitive_fault(element.type, value)
        if fault:
            yield _error("value", path, fault)
            return
        codes = REQUIRED_CODES.get((owner, element.name))
        if codes is not None and value not in codes:
            yield _error("code-invalid", path, "The code is none of the required ones.")
        if element.type == "xhtml":
            fault = narrative_fault(value)
            if fault:
                yield _error("invalid", path, fault)
        return
    if not isinstance(value, Mapping):
        yield _error("structure", path, "This element is an object.")
        return
    if element.type == ANY_RESOURCE:
        inside = around.root if element.name == "contained" else None
        yield from _resource_issues(value, path=path, container=inside)
        return
    rules = type_rules(element.type)
    if rules is None:
        yield _error("structure", path, "R4 has no such element here.")
        return
    yield from _object_issues(value, rules=rules, path=path, around=around)
    if element.type == "Reference":
        yield from _reference_issues(value, element=element, path=path, around=around)
    if element.type == "CodeableConcept":
        yield from _concept_issues(value, owner=owner, name=element.name, path=path)


def _primitive_extension_issues(
    member: Any,
    *,
    beside: Any,
    element: Element,
    path: str,
    around: _Around,
) -> Iterator[FhirIssue]:
    if element.many:
        if not isinstance(member, list):
            yield _error("structure", path, "This element is a list.")
            return
        if isinstance(beside, list) and len(beside) != len(member):
            yield _error("structure", path, "The list is as long as that of its values.")
        items = list(enumerate(member))
    else:
        items = [(-1, member)]
    rules = type_rules("Element")
    for index, item in items:
        place = path if index < 0 else f"{path}[{index}]"
        if item is None and index >= 0:
            if not (isinstance(beside, list) and index < len(beside) and beside[index] is not None):
                yield _error("structure", place, "A place holds a value or an extension.")
            continue
        if not isinstance(item, Mapping) or not item or rules is None:
            yield _error("structure", place, "Beside a primitive stands an object with extensions.")
            continue
        yield from _object_issues(item, rules=rules, path=place, around=around)


# --- references, concepts, contained, bundles ----------------------------------------------------

_RELATIVE = re.compile(
    r"(?:https?://(?:[A-Za-z0-9\-._~:%$/]+/)+)?(?P<type>[A-Z][A-Za-z]+)/[A-Za-z0-9\-.]{1,64}"
    r"(?:/_history/[A-Za-z0-9\-.]{1,64})?(?:#.+)?"
)


def _reference_issues(
    value: Mapping[str, Any], *, element: Element, path: str, around: _Around
) -> Iterator[FhirIssue]:
    reference = value.get("reference")
    if reference is None:
        if not ({"identifier", "display", "extension", "_reference"} & value.keys()):
            yield _error("structure", path, "A reference refers to something.")
        return
    if not isinstance(reference, str):
        return
    target = ""
    place = f"{path}.reference"
    if reference.startswith("#"):
        if reference != "#":
            held = [
                one
                for one in around.root.get("contained") or ()
                if isinstance(one, Mapping) and one.get("id") == reference[1:]
            ]
            if not held:
                yield _error("invariant", place, "ref-1: nothing contained has this id.")
            elif isinstance(held[0].get("resourceType"), str):
                target = held[0]["resourceType"]
    elif not reference.startswith("urn:"):
        found = _RELATIVE.fullmatch(reference)
        if found and type_rules(found["type"]) is not None:
            target = found["type"]
        elif "://" not in reference and not re.fullmatch(r"[A-Z][A-Za-z]+\?.+", reference):
            yield _error("value", place, "This is not the form of a reference.")
    named = value.get("type")
    if isinstance(named, str) and target and "/" not in named and named != target:
        yield _error("value", f"{path}.type", "The reference leads to another type than it says.")
    if (
        target
        and element.targets
        and target not in element.targets
        and ANY_RESOURCE not in element.targets
    ):
        yield _error("value", place, "The reference leads to a type that is not possible here.")


def _concept_issues(
    value: Mapping[str, Any], *, owner: str, name: str, path: str
) -> Iterator[FhirIssue]:
    binding = REQUIRED_CONCEPTS.get((owner, name))
    if binding is None:
        return
    system, codes = binding
    codings = [c for c in value.get("coding") or () if isinstance(c, Mapping)]
    if not any(c.get("system") == system and c.get("code") in codes for c in codings):
        yield _error("code-invalid", path, "None of the required codes is there.")


def _contained_issues(
    value: Mapping[str, Any], *, path: str, is_contained: bool
) -> Iterator[FhirIssue]:
    contained = value.get("contained")
    if not isinstance(contained, list):
        return
    if is_contained:
        yield _error("invariant", path, "dom-2: what is contained contains nothing itself.")
    used = _local_references(value)
    for index, one in enumerate(contained):
        if not isinstance(one, Mapping):
            continue
        place = f"{path}.contained[{index}]"
        meta = one.get("meta") if isinstance(one.get("meta"), Mapping) else {}
        if not isinstance(one.get("id"), str):
            yield _error("invariant", place, "dom-3: what is contained has an id.")
        elif f"#{one['id']}" not in used and "#" not in _local_references(one):
            yield _error("invariant", place, "dom-3: what is contained is referred to.")
        if meta and ("versionId" in meta or "lastUpdated" in meta):
            yield _error("invariant", place, "dom-4: what is contained has no version.")
        if meta and "security" in meta:
            yield _error("invariant", place, "dom-5: what is contained has no security label.")


def _local_references(value: Any) -> set[str]:
    """Every "#id" that stands as a value somewhere inside."""
    if isinstance(value, str):
        return {value} if value.startswith("#") else set()
    members = value.values() if isinstance(value, Mapping) else value
    if not isinstance(value, (Mapping, list)):
        return set()
    return {found for member in members for found in _local_references(member)}


def _bundle_issues(value: Mapping[str, Any], *, path: str) -> Iterator[FhirIssue]:
    relations = [one.get("relation") for one in value.get("link") or () if isinstance(one, Mapping)]
    for relation in ("self", "first", "previous", "prev", "next", "last"):
        if relations.count(relation) > 1:
            yield _error("value", f"{path}.link", "Each relation of a page stands once.")
    for index, entry in enumerate(value.get("entry") or ()):
        if not isinstance(entry, Mapping):
            continue
        place = f"{path}.entry[{index}]"
        full_url = entry.get("fullUrl")
        resource = entry.get("resource")
        matches = (entry.get("search") or {}).get("mode", "match") == "match"
        if (
            value.get("type") == "searchset"
            and isinstance(resource, Mapping)
            and matches
            and resource.get("resourceType") != "OperationOutcome"
            and "id" not in resource
        ):
            yield _error("required", f"{place}.resource.id", "What a search found has an id.")
        if not isinstance(full_url, str):
            continue
        if not re.match(r"[A-Za-z][A-Za-z0-9+.-]*:", full_url):
            yield _error("value", f"{place}.fullUrl", "A full address is absolute.")
        if isinstance(resource, Mapping) and isinstance(resource.get("id"), str):
            named = _RELATIVE.fullmatch(full_url)
            wanted = f"{resource.get('resourceType')}/{resource['id']}"
            if named and "://" in full_url and not full_url.endswith(f"/{wanted}"):
                yield _error("value", f"{place}.fullUrl", "The address names another entry.")
            is_uuid = re.fullmatch(r"[0-9a-f-]{36}", resource["id"]) is not None
            other = full_url != f"urn:uuid:{resource['id']}"
            if full_url.startswith("urn:uuid:") and is_uuid and other:
                yield _error("value", f"{place}.fullUrl", "The address names another entry.")


def _error(code: str, path: str, sentence: str) -> FhirIssue:
    return FhirIssue("error", code, path, sentence)


def _shown(name: str) -> str:
    """A member's name in a path: an unknown one may be content in the wrong place."""
    return name if re.fullmatch(r"_?[A-Za-z][A-Za-z0-9]{0,60}", name) else "?"
