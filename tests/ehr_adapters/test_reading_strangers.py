"""Entries that other systems made are read, whatever they hold: nothing is raised, nothing lost from sight."""

import copy
import json
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as run_settings
from hypothesis import strategies as st

from ehr_adapters import registry
from ehr_adapters.canonical.base import (
    changed_fields,
    parse_change,
    read_change,
    words,
)
from ehr_adapters.canonical.exact_json import NotStrictJson, dumps, loads
from ehr_adapters.canonical.fhir_r4 import Destination, from_fhir, to_fhir, translation
from ehr_adapters.canonical.vitals import MEASURES
from ehr_adapters.contract import Connection, Snapshot
from ehr_adapters.fhir_baseline import FhirBaseline
from tests.ehr_adapters.fake_ehr import HELD
from tests.ehr_adapters.practice import Practice, practice

__all__ = ["practice"]
pytestmark = pytest.mark.once

UNHURRIED = run_settings(
    deadline=None,
    max_examples=400,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
AT = datetime(2026, 11, 20, 15, 0, tzinfo=UTC)
KINDS = ("allergy", "vitals", "result", "problem", "medication", "order")
PUBLIC = Path(
    os.environ.get("PUBLIC_DATA", str(Path(__file__).resolve().parents[3] / "shared/data"))
)
FOLDERS = ("synthea-us-core", "synthea-transactions", "us-core-examples", "fhir-test-cases")


def adapters() -> list[FhirBaseline]:
    out = []
    for kind in ("generic_r4", "epic"):
        adapter = registry.get_adapter(
            Connection(
                kind=kind,
                base_url="http://127.0.0.1:9/r4",
                token_url="http://127.0.0.1:9/token",
                client_id="portal",
            )
        )
        assert isinstance(adapter, FhirBaseline)
        out.append(adapter)
    return out


ADAPTERS = adapters()


def kinds_of(resource: dict[str, Any]) -> list[str]:
    return [k for k in KINDS if resource.get("resourceType") in translation(k).types]


def read_by(adapter: FhirBaseline, resource: dict[str, Any], kind: str) -> Snapshot:
    """The entry as a baseline holds it; everything that a page or a comparison does with it is possible."""
    snapshot = adapter._snapshot(resource, role="neighbour", kind=kind, at=AT, reader=None)
    content = dict(snapshot.canonical)
    read_change(kind, "create", content)
    for name, value in content.items():
        assert words(kind, name, value)
    assert changed_fields(kind, content, content) == ()
    assert snapshot.hash_whole
    assert snapshot.hash_touched(content)
    translation(kind).is_active(content)
    key = translation(kind).key
    if key is not None:
        key(content)
    assert Snapshot.from_json(json.loads(json.dumps(snapshot.to_json()))) == snapshot
    return snapshot


# --- anything at all ------------------------------------------------------------------------------

_ODD = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**6), 10**6),
    st.text(max_size=12),
    st.sampled_from(
        [
            "2020",
            "2020-13-45",
            "2026-11-20T08:35:00-06:00",
            "Patient/../x",
            "U",
            "mm[Hg]",
            " ",
            "a\nb",
        ]
    ),
    st.just([]),
    st.just({}),
    st.just([None]),
    st.just([[]]),
    st.just([{}]),
    st.just({"coding": 1}),
    st.just({"coding": [{"system": "http://loinc.org", "code": ["8867-4"]}]}),
    st.just({"coding": [{"system": "http://snomed.info/sct", "code": "716186003"}], "text": {}}),
    st.just([{"reference": 7}]),
    st.just({"value": "5", "unit": 3, "code": None}),
    st.just({"value": 5, "comparator": "ad", "unit": "mmHg"}),
)


# What an entry of a kind is nothing without.
_NAMED_BY = {
    "allergy": "substance",
    "vitals": "readings",
    "result": "value",
    "problem": "code",
    "medication": "drug",
    "order": "code",
}


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if path:
        yield path
    if isinstance(value, dict):
        for key, member in value.items():
            yield from places(member, (*path, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from places(item, (*path, index))


def altered(resource: dict[str, Any], path: tuple[Any, ...], value: Any) -> dict[str, Any]:
    out = copy.deepcopy(resource)
    holder: Any = out
    for step in path[:-1]:
        holder = holder[step]
    holder[path[-1]] = value
    return out


class TestAnEntry:
    @UNHURRIED
    @given(data=st.data())
    def test_with_anything_in_any_place_is_read(self, data: st.DataObject) -> None:
        kind = data.draw(st.sampled_from(KINDS))
        resource = HELD[kind]()
        for _ in range(data.draw(st.integers(1, 3))):
            path = data.draw(st.sampled_from(list(places(resource))))
            if path == ("resourceType",):
                continue
            resource = altered(resource, path, data.draw(_ODD))
        for adapter in ADAPTERS:
            read_by(adapter, loads(json.dumps(resource)), kind)

    @UNHURRIED
    @given(data=st.data())
    def test_with_elements_that_its_type_does_not_have_is_read(self, data: st.DataObject) -> None:
        kind = data.draw(st.sampled_from(KINDS))
        odd = data.draw(
            st.dictionaries(
                st.sampled_from(
                    [
                        "reaction",
                        "asserter",
                        "lastOccurrence",
                        "component",
                        "valueQuantity",
                        "valueCodeableConcept",
                        "valueString",
                        "interpretation",
                        "referenceRange",
                        "derivedFrom",
                        "performer",
                        "device",
                        "bodySite",
                        "method",
                        "effectiveInstant",
                        "note",
                        "meta",
                        "identifier",
                        "subject",
                        "patient",
                        "content",
                        "category",
                    ]
                ),
                _ODD,
                max_size=6,
            )
        )
        read_by(ADAPTERS[0], loads(json.dumps(HELD[kind]() | odd)), kind)

    def test_gives_its_own_words_for_every_field_that_it_holds(self) -> None:
        for kind in KINDS:
            assert read_by(ADAPTERS[0], HELD[kind](), kind).canonical


# --- real charts ----------------------------------------------------------------------------------


class TestThePracticesCharts:
    @pytest.mark.parametrize("vendor", ["generic", "epic"])
    def test_are_read_whole(self, practice: Practice, vendor: str) -> None:
        adapter = ADAPTERS[0 if vendor == "generic" else 1]
        seen = dict.fromkeys(KINDS, 0)
        rows = practice.resources(vendor=vendor)
        for row in rows:
            resource = loads(json.dumps(row.get("content", row)))
            for kind in kinds_of(resource):
                snapshot = read_by(adapter, resource, kind)
                seen[kind] += bool(snapshot.canonical)
        assert all(seen.values()), seen


def public_entries() -> Iterator[dict[str, Any]]:
    """Every resource of the public charts and examples, those inside bundles too."""
    for folder in FOLDERS:
        for path in sorted((PUBLIC / folder).rglob("*json")):
            text = path.read_text(encoding="utf-8", errors="replace")
            for piece in text.splitlines() if path.suffix == ".ndjson" else [text]:
                try:
                    found = loads(piece)
                except NotStrictJson:
                    continue
                yield from inside(found)


def inside(value: Any) -> Iterator[dict[str, Any]]:
    if not isinstance(value, dict):
        return
    yield value
    for entry in value.get("entry") or () if isinstance(value.get("entry"), list) else ():
        if isinstance(entry, dict):
            yield from inside(entry.get("resource"))


def measured(resource: dict[str, Any]) -> bool:
    """Is this plainly one of the vital signs that the portal knows, with a number?"""
    concept = resource.get("code")
    codings = concept.get("coding") if isinstance(concept, dict) else None
    known = any(isinstance(c, dict) and c.get("code") in MEASURES for c in codings or ())
    amount = resource.get("valueQuantity")
    return known and isinstance(amount, dict) and {"value", "code"} <= amount.keys()


@pytest.mark.skipif(not PUBLIC.is_dir(), reason="the public charts are not on this machine")
def test_public_charts_are_read_whole() -> None:
    seen, named = dict.fromkeys(KINDS, 0), dict.fromkeys(KINDS, 0)
    for resource in public_entries():
        for kind in kinds_of(resource):
            snapshot = read_by(ADAPTERS[0], resource, kind)
            seen[kind] += 1
            named[kind] += _NAMED_BY[kind] in snapshot.canonical
            assert dumps(loads(snapshot.raw)) == dumps(resource)
            if kind == "vitals" and measured(resource):
                assert "readings" in snapshot.canonical
    print(f"read {seen}; with substance, reading, value, code or drug {named}")
    assert all(named.values())


_CHANGES: tuple[tuple[str, str, dict[str, Any], set[str]], ...] = (
    ("allergy", "update", {"criticality": "high"}, {"criticality"}),
    (
        "allergy",
        "update",
        {"last_seen": "2026-11", "note": "Seen again."},
        {"lastOccurrence", "note"},
    ),
    ("problem", "update", {"onset": "2020"}, {"onsetDateTime"}),
    ("vitals", "entered-in-error", {}, {"status"}),
    ("result", "comment", {"comment": "Discussed."}, {"note"}),
)


@pytest.mark.skipif(not PUBLIC.is_dir(), reason="the public charts are not on this machine")
def test_a_change_of_a_public_entry_leaves_every_other_element_as_it_came() -> None:
    changed = 0
    for resource in public_entries():
        for kind, interaction, content, elements in _CHANGES:
            if kind not in kinds_of(resource):
                continue
            held = from_fhir(resource, kind=kind).content
            change = parse_change(kind, interaction, content)
            if _NAMED_BY[kind] not in held or change.conflicts_with(held):
                continue
            if "note" in content and len(resource.get("note", [])) > 1:
                continue  # which of several comments is meant is not guessed
            destination = Destination("Patient/1", "urn:x", "tag", "4F7K-9QXD-2M8T", resource)
            after = loads(dumps(to_fhir(change, destination).resource))
            # A generated narrative tells the old state. Another form of the same beginning gives way to the date.
            text = resource.get("text") or {}
            assert ("text" in after) == bool(text and text.get("status") != "generated")
            old_story = {"text"} if text.get("status") == "generated" else set()
            same = {
                name
                for name in {*resource, *after} - elements - {"meta"} - old_story
                if not ("onsetDateTime" in elements and name.lstrip("_").startswith("onset"))
            }
            assert {n: dumps(after[n]) for n in same} == {n: dumps(resource[n]) for n in same}
            changed += 1
    print(f"{changed} changes of public entries")
    assert changed > len(_CHANGES)
