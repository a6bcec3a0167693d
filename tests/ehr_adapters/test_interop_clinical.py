"""Allergies, vital signs and results on a FHIR server that this project did not write."""

from typing import Any

import pytest

from ehr_adapters.base import EhrAdapter
from ehr_adapters.canonical.base import changed_fields, parse_change
from ehr_adapters.contract import Tag, WirePlan, comparable_differences
from tests.ehr_adapters.fake_ehr import allergy as penicillin
from tests.ehr_adapters.fake_ehr import blood_pressure, potassium
from tests.ehr_adapters.strangers import AT, Server, adapter, chart, request, server

__all__ = ["adapter", "chart", "server"]
# Both modes are met by every kind in test_interop_kinds; here the contents differ.
pytestmark = [
    pytest.mark.once,
    pytest.mark.interop,
    pytest.mark.parametrize("server", ["transactional"], indirect=True),
]

NEW: dict[str, dict[str, Any]] = {
    "allergy": {
        "substance": {
            "system": "http://www.nlm.nih.gov/research/umls/rxnorm",
            "code": "723",
            "display": "amoxicillin",
        },
        "type": "allergy",
        "category": "medication",
        "clinical_status": "active",
        "verification": "unconfirmed",
        "criticality": "high",
        "reactions": [
            {"manifestation": "39579001", "severity": "severe", "onset": "2026-10"},
            {"manifestation": "247472004"},
        ],
        "reported_by": "relative",
        "last_seen": "2026-10",
        "note": "Told so today.",
    },
    "vitals": {
        "readings": [
            {
                "code": "29463-7",
                "value": {"value": "78.40", "unit": "kg"},
                "site": "bed scale",
                "method": "lying",
            }
        ],
        "effective_at": "2026-11-20T08:35:00-06:00",
        "origin": "patient-reported",
        "note": "On the new scale.",
    },
    "result": {
        "code": "2823-3",
        "value": {"value": "5.10", "unit": "mmol/L", "comparator": ">"},
        "range": "3.5 to 5.0 mmol/L",
        "flag": "high",
        "collected_at": "2026-10-01T07:40:00-06:00",
        "performer": "St. Osric Hospital Laboratory",
        "document": {"source": "Discharge summary", "page": 3},
        "comment": "As the letter says.",
    },
}
PRESSURE = [
    {"code": code, "value": {"value": value, "unit": "mm[Hg]"}}
    for code, value in (("8480-6", "145"), ("8462-4", "90"))
]
CHANGES: list[tuple[str, str, dict[str, Any], set[str]]] = [
    ("allergy", "update", {"criticality": "high"}, {"/criticality"}),
    (
        "allergy",
        "update",
        {"verification": "refuted", "note": "Tolerated it."},
        {"/note/0/text", "/verificationStatus/coding/0/code"},
    ),
    ("allergy", "resolve", {}, {"/clinicalStatus/coding/0/code"}),
    (
        "allergy",
        "entered-in-error",
        {},
        {"/clinicalStatus", "/verificationStatus/coding/0/code"},
    ),
    (
        "vitals",
        "update",
        {"readings": PRESSURE},
        {
            "/component/0/valueQuantity/value",
            "/component/1/valueQuantity/value",
            "/note",
            "/status",
        },
    ),
    ("vitals", "entered-in-error", {}, {"/status"}),
    ("result", "comment", {"comment": "Discussed."}, {"/note"}),
]
HELD = {"allergy": penicillin, "vitals": blood_pressure, "result": potassium}


def rendered(
    adapter: EhrAdapter,
    chart: dict[str, str],
    kind: str,
    interaction: str,
    content: dict[str, Any],
    target: str = "",
) -> WirePlan:
    baseline = adapter.read(request(chart, kind, interaction=interaction, target=target))
    change = parse_change(kind, interaction, content)
    return adapter.render(change, tag=Tag.mint(), baseline=baseline)


def sent(adapter: EhrAdapter, plan: WirePlan) -> Any:
    """The entry after the plan was sent: it is what was said, to the last element."""
    [step] = plan.steps
    reference = adapter.submit(step, token=adapter.authenticate(step)).reference
    entry = adapter.read_entry(kind=plan.kind, reference=reference, at=AT)
    assert entry is not None
    assert comparable_differences(plan.comparable, entry.comparable) == ()
    said = adapter.parse(plan).model_dump_canonical()
    assert changed_fields(plan.kind, said, entry.canonical) == ()
    return entry


@pytest.mark.parametrize("kind", sorted(NEW))
def test_a_new_entry_is_written_found_by_its_tag_and_equal(
    adapter: EhrAdapter, chart: dict[str, str], kind: str
) -> None:
    plan = rendered(adapter, chart, kind, "create", NEW[kind])
    entry = sent(adapter, plan)
    found = adapter.find([plan.tag], plan, since=AT, at=AT)
    assert found.complete
    assert [hit.snapshot.reference for hit in found.hits] == [entry.reference]


@pytest.mark.parametrize(
    ("kind", "interaction", "content", "places"), CHANGES, ids=[f"{k} {i}" for k, i, *_ in CHANGES]
)
def test_a_change_touches_only_what_it_names(
    server: Server,
    adapter: EhrAdapter,
    chart: dict[str, str],
    kind: str,
    interaction: str,
    content: dict[str, Any],
    places: set[str],
) -> None:
    about = {"reference": f"Patient/{chart['patient']}"}
    entry = HELD[kind]()
    resource = {name: value for name, value in entry.items() if name not in {"id", "meta"}}
    resource["patient" if kind == "allergy" else "subject"] = about
    resource.pop("encounter", None)
    made = server.raw("POST", resource["resourceType"], resource)
    target = f"{made['resourceType']}/{made['id']}"
    before = adapter.read_entry(kind=kind, reference=target, at=AT)
    assert before is not None
    after = sent(adapter, rendered(adapter, chart, kind, interaction, content, target))
    assert set(comparable_differences(before.comparable, after.comparable)) == places
