"""Charts from values alone, for tests of what the portal makes of them."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from hypothesis import strategies as st

from ehr_adapters.contract import Baseline, PatientIdentity, Snapshot, Unreadable
from intents.pipeline.validation import Draft

AT = datetime(2026, 11, 20, 15, 0, tzinfo=UTC)
RXNORM = "http://www.nlm.nih.gov/research/umls/rxnorm"
SNOMED = "http://snomed.info/sct"
LOINC = "http://loinc.org"
ICD = "http://hl7.org/fhir/sid/icd-10-cm"
ALL = ("allergies", "medications", "problems", "results", "weights", "pregnancy")
NGOZI = PatientIdentity(
    id="7", family="OKONKWO", given=("Ngozi",), birth_date="1957-03-14", sex="female"
)
MALE = PatientIdentity(id="7", family="DASILVA", birth_date="1955-06-16", sex="male")
ADULT = PatientIdentity(id="7", family="ABDI", birth_date="1984-08-30", sex="female")

_numbers = iter(range(1, 10**9))


def code(system: str, value: str, display: str = "") -> dict[str, str]:
    return {"system": system, "code": value} | ({"display": display} if display else {})


def rx(value: str, display: str = "") -> dict[str, str]:
    return code(RXNORM, value, display)


def amount(value: str, unit: str = "mg") -> dict[str, str]:
    return {"value": value, "unit": unit}


def often(times: int, per: int = 1, unit: str = "d") -> dict[str, Any]:
    return {"times": times, "per": per, "unit": unit}


def an_entry(
    role: str, kind: str, content: Mapping[str, Any], *, raw: Any = None, **more: Any
) -> Snapshot:
    return Snapshot(
        **{
            "role": role,
            "resource_type": "Entry",
            "id": f"e{next(_numbers)}",
            "raw": json.dumps(raw).encode() if raw is not None else b"{}",
            "read_at": AT,
            "kind": kind,
            "patient": "Patient/7",
            "canonical": content,
            "comparable": dict(content),
        }
        | more
    )


def allergy(substance: Mapping[str, str], **more: Any) -> Snapshot:
    content = {
        "substance": substance,
        "category": "medication",
        "clinical_status": "active",
        "verification": "confirmed",
    }
    return an_entry("allergies", "allergy", content | more)


def taking(drug: str, milligrams: str = "10", **more: Any) -> Snapshot:
    content = {
        "entry": "list",
        "drug": rx(drug),
        "dose": amount(milligrams),
        "frequency": often(1),
        "status": "active",
    }
    raw = more.pop("raw", None)
    return an_entry("medications", "medication", content | more, raw=raw)


def egfr(value: str, when: str, status: str = "final", **more: Any) -> Snapshot:
    held = amount(value, "mL/min/{1.73_m2}") | more
    content = {
        "code": code(LOINC, "98979-8"),
        "value": held,
        "collected_at": when,
        "status": status,
    }
    return an_entry("results", "result", content)


def weight(value: str, when: str, unit: str = "kg") -> Snapshot:
    content = {
        "readings": [{"code": code(LOINC, "29463-7"), "value": amount(value, unit)}],
        "effective_at": when,
        "status": "final",
    }
    return an_entry("weights", "vitals", content)


def problem(value: Mapping[str, str], **more: Any) -> Snapshot:
    content = {"code": [value], "clinical_status": "active", "verification": "confirmed"}
    return an_entry("problems", "problem", content | more)


def a_chart(
    *entries: Snapshot,
    unread: tuple[str, ...] = (),
    reason: str = "Unreachable",
    **more: Any,
) -> Baseline:
    """A chart with these entries in which everything else was looked for and is not there."""
    return Baseline(
        **{
            "read_at": AT,
            "identity": NGOZI,
            "neighbourhood": entries,
            "contexts": ALL,
            "unreadable": tuple(Unreadable(what, reason, "Not read.") for what in unread),
        }
        | more
    )


def a_draft(
    kind: str, content: Mapping[str, Any], interaction: str = "create", **more: Any
) -> Draft:
    return Draft(
        kind=kind, interaction=interaction, content=content, patient_ref="Patient/7", **more
    )


# --- whatever a chart may hold ---------------------------------------------------------------------

_KEYS = st.sampled_from(
    ["substance", "drug", "code", "system", "display", "value", "unit", "comparator", "status", "dose",
     "frequency", "times", "per", "low", "high", "readings", "effective_at", "collected_at", "category",
     "clinical_status", "verification", "criticality", "reactions", "manifestation", "severity", "coding",
     "medicationCodeableConcept", "contained", "ingredient", "itemCodeableConcept", "basedOn", "reference",
     "resourceType", "valueQuantity", "valueCodeableConcept", "effectiveDateTime", "as_needed", "replaces",
     "route", "to", "who", "carries", "body", "subject", "entry", "dosing", "meta", "security", "sensitivity"]
)  # fmt: skip
_WORDS = st.sampled_from(
    ["", "29046", "723", "314076", "http://loinc.org", "98979-8", "29463-7", "82810-3", "active", "final",
     "2026-11-20", "mg", "10", "1e9", "-1", "NaN", "1/0", "Medication", "penicillin", "prescription", "d",
     "http://www.nlm.nih.gov/research/umls/rxnorm", "http://snomed.info/sct", "mL/min/{1.73_m2}", "kg"]
)  # fmt: skip
_LEAVES = st.one_of(st.none(), st.booleans(), st.integers(-5, 5), _WORDS, st.text(max_size=8))
_ANYTHING = st.recursive(
    _LEAVES,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(_KEYS, inner, max_size=5)),
    max_leaves=12,
)
CONTENTS = st.dictionaries(_KEYS, _ANYTHING, max_size=8)


@st.composite
def _snapshots(draw: st.DrawFn) -> Snapshot:
    role = draw(st.sampled_from([*ALL, "neighbour"]))
    kind = draw(st.sampled_from(["", "allergy", "medication", "result", "vitals", "problem"]))
    raw = draw(st.one_of(st.none(), _ANYTHING, st.text(max_size=5)))
    return an_entry(role, kind, draw(CONTENTS), raw=raw)


@st.composite
def charts(draw: st.DrawFn) -> Baseline:
    return Baseline(
        read_at=AT,
        identity=draw(st.sampled_from([None, NGOZI, MALE, ADULT])),
        target=draw(st.one_of(st.none(), _snapshots())),
        encounter=draw(st.one_of(st.none(), _snapshots())),
        neighbourhood=tuple(draw(st.lists(_snapshots(), max_size=4))),
        contexts=tuple(draw(st.lists(st.sampled_from(ALL), unique=True))),
        unreadable=tuple(
            Unreadable(what, draw(st.sampled_from(["x", "too many pages"])), "Not read.")
            for what in draw(st.lists(st.sampled_from(ALL), unique=True, max_size=2))
        ),
    )
