"""The strict check of FHIR R4: JSON, structure, forms, codes, invariants; and a public corpus beside it."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as run_settings
from hypothesis import strategies as st

from ehr_adapters.canonical.strict_r4 import (
    MAX_DEPTH,
    NotStrictJson,
    check,
    dumps,
    is_valid,
    loads,
)
from tests.ehr_adapters.fake_ehr import condition, document, encounter, patient

pytestmark = pytest.mark.once

# A busy machine is no failure of what is tested.
UNHURRIED = run_settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])

CORPUS = Path(
    os.environ.get(
        "FHIR_TEST_CASES",
        str(Path(__file__).resolve().parents[3] / "shared/data/fhir-test-cases"),
    )
)
CODING = {"system": "http://loinc.org", "code": "8867-4"}


def observation(**more: Any) -> dict[str, Any]:
    return {
        "resourceType": "Observation",
        "status": "final",
        "code": {"coding": [CODING]},
        "subject": {"reference": "Patient/pa-1"},
        "valueQuantity": {"value": 72, "system": "http://unitsofmeasure.org", "code": "/min"},
    } | more


def allergy(**more: Any) -> dict[str, Any]:
    return {
        "resourceType": "AllergyIntolerance",
        "clinicalStatus": {
            "coding": [
                {
                    "system": "http://terminology.hl7.org/CodeSystem/allergyintolerance-clinical",
                    "code": "active",
                }
            ]
        },
        "patient": {"reference": "Patient/pa-1"},
    } | more


def found(resource: Any) -> list[tuple[str, str]]:
    return [(i.expression, i.code) for i in check(resource) if i.severity != "warning"]


class TestJson:
    @pytest.mark.parametrize(
        "text",
        [
            b'{"a":1,"a":2}',
            b"[NaN]",
            b"[-Infinity]",
            b"[" * (MAX_DEPTH + 1) + b"]" * (MAX_DEPTH + 1),
            b'["\\ud800"]',
            b"\xff",
            b"\xef\xbb\xbf{}",
            b"{",
            b"",
            b"{'a':1}",
            b"[1,]",
        ],
    )
    def test_that_is_not_strict_is_refused(self, text: bytes) -> None:
        with pytest.raises(NotStrictJson):
            loads(text)

    def test_may_nest_as_deep_as_allowed(self) -> None:
        assert loads(b"[" * MAX_DEPTH + b"]" * MAX_DEPTH)

    @pytest.mark.parametrize(
        "number",
        ["1.00", "120.50", "1e3", "1E-7", "-0", "-0.0", "123456789012345678.123456789", "0"],
    )
    def test_numbers_come_back_as_they_were_written(self, number: str) -> None:
        assert dumps(loads(f'{{"v":{number}}}')) == f'{{"v":{number}}}'.encode()

    @UNHURRIED
    @given(
        st.recursive(
            st.one_of(
                st.none(),
                st.booleans(),
                st.integers(),
                st.text(st.characters(exclude_categories=("Cs",))),
            ),
            lambda inner: st.one_of(
                st.lists(inner, max_size=4),
                st.dictionaries(
                    st.text(st.characters(exclude_categories=("Cs",)), max_size=5),
                    inner,
                    max_size=4,
                ),
            ),
            max_leaves=20,
        )
    )
    def test_comes_back_equal(self, value: Any) -> None:
        assert loads(dumps(value)) == value
        assert json.loads(dumps(value)) == value

    def test_floats_are_refused_on_the_way_out(self) -> None:
        with pytest.raises(TypeError):
            dumps({"v": 1.5})


class TestResources:
    @pytest.mark.parametrize(
        "resource",
        [
            patient(),
            encounter(),
            condition(),
            document(),
            observation(),
            allergy(),
            observation(
                subject={"reference": "#p"}, contained=[{"resourceType": "Patient", "id": "p"}]
            ),
            patient(birthDate="1970-03", _birthDate={"id": "x"}),
            {
                "resourceType": "Patient",
                "name": [{"given": ["A", None], "_given": [None, {"id": "y"}]}],
            },
            condition(onsetDateTime="2020-02-29T23:59:60Z"),
            {
                "resourceType": "OperationOutcome",
                "issue": [{"severity": "error", "code": "throttled"}],
            },
        ],
        ids=lambda r: r["resourceType"],
    )
    def test_that_are_r4_pass(self, resource: dict[str, Any]) -> None:
        assert found(resource) == []
        assert is_valid(json.dumps(resource))

    @pytest.mark.parametrize(
        ("resource", "expression", "code"),
        [
            ({"resourceType": "Nothing"}, "Nothing", "structure"),
            ({"status": "final"}, "", "structure"),
            (observation(nonsense=1), "Observation.nonsense", "structure"),
            (observation(class_fhir="x"), "Observation.?", "structure"),
            (observation(fhir_comments="x"), "Observation.?", "structure"),
            (observation(status="bogus"), "Observation.status", "code-invalid"),
            (observation(status=""), "Observation.status", "value"),
            (observation(status=None), "Observation.status", "value"),
            (observation(status=["final"]), "Observation.status", "structure"),
            (
                {k: v for k, v in observation().items() if k != "status"},
                "Observation.status",
                "required",
            ),
            (
                {k: v for k, v in observation().items() if k != "code"},
                "Observation.code",
                "required",
            ),
            (observation(category=[]), "Observation.category", "structure"),
            (observation(category={"text": "x"}), "Observation.category", "structure"),
            (observation(method={}), "Observation.method", "structure"),
            (observation(valueString="x"), "Observation.valueString", "structure"),
            (
                observation(subject={"reference": "Practitioner/1"}),
                "Observation.subject.reference",
                "value",
            ),
            (
                observation(subject={"reference": "no reference"}),
                "Observation.subject.reference",
                "value",
            ),
            (
                observation(subject={"reference": "#gone"}),
                "Observation.subject.reference",
                "invariant",
            ),
            (
                observation(subject={"reference": "Patient/1", "type": "Device"}),
                "Observation.subject.type",
                "value",
            ),
            (observation(subject={}), "Observation.subject", "structure"),
            (observation(id="x" * 65), "Observation.id", "value"),
            (
                observation(effectiveDateTime="2026-11-20T08:00"),
                "Observation.effectiveDateTime",
                "value",
            ),
            (observation(effectiveDateTime="2026-02-31"), "Observation.effectiveDateTime", "value"),
            (observation(issued="2026-11-20"), "Observation.issued", "value"),
            (observation(valueQuantity={"value": "3"}), "Observation.valueQuantity.value", "value"),
            (
                observation(valueQuantity={"value": True}),
                "Observation.valueQuantity.value",
                "value",
            ),
            (
                observation(valueQuantity={"value": 3, "code": "mg"}),
                "Observation.valueQuantity",
                "invariant",
            ),
            (
                observation(valueQuantity={"value": 3, "comparator": "~"}),
                "Observation.valueQuantity.comparator",
                "code-invalid",
            ),
            (observation(dataAbsentReason={"text": "x"}), "Observation", "invariant"),
            (
                observation(component=[{"code": {"coding": [CODING]}, "valueString": "x"}]),
                "Observation",
                "invariant",
            ),
            (observation(note=[{"text": " "}]), "Observation.note[0].text", "value"),
            (observation(implicitRules="a b"), "Observation.implicitRules", "value"),
            (observation(extension=[{"url": "urn:x"}]), "Observation.extension[0]", "invariant"),
            (
                observation(effectivePeriod={"start": "2026-02-02", "end": "2026-01-01"}),
                "Observation.effectivePeriod",
                "invariant",
            ),
            (
                observation(contained=[{"resourceType": "Patient", "id": "p"}]),
                "Observation.contained[0]",
                "invariant",
            ),
            (
                observation(text={"status": "generated", "div": "<div>x</div>"}),
                "Observation.text.div",
                "invalid",
            ),
            (
                observation(
                    text={
                        "status": "generated",
                        "div": '<div xmlns="http://www.w3.org/1999/xhtml"><script>x</script></div>',
                    }
                ),
                "Observation.text.div",
                "invalid",
            ),
            (
                observation(
                    text={
                        "status": "generated",
                        "div": '<div xmlns="http://www.w3.org/1999/xhtml"><p onclick="x">y</p></div>',
                    }
                ),
                "Observation.text.div",
                "invalid",
            ),
            (
                observation(
                    text={
                        "status": "generated",
                        "div": '<div xmlns="http://www.w3.org/1999/xhtml"><a href="javascript:x">y</a></div>',
                    }
                ),
                "Observation.text.div",
                "invalid",
            ),
            (
                observation(
                    text={
                        "status": "generated",
                        "div": '<!DOCTYPE d [<!ENTITY a "b">]><div xmlns="http://www.w3.org/1999/xhtml">&a;</div>',
                    }
                ),
                "Observation.text.div",
                "invalid",
            ),
            (
                condition(clinicalStatus={"coding": [{"system": "x", "code": "active"}]}),
                "Condition.clinicalStatus",
                "code-invalid",
            ),
            (condition(abatementDateTime="2021"), "Condition", "invariant"),
            (condition(stage=[{"type": {"text": "x"}}]), "Condition.stage[0]", "invariant"),
            (allergy(clinicalStatus=None), "AllergyIntolerance.clinicalStatus", "structure"),
            (
                {k: v for k, v in allergy().items() if k != "clinicalStatus"},
                "AllergyIntolerance",
                "invariant",
            ),
            (patient(gender="F"), "Patient.gender", "code-invalid"),
            (patient(active="true"), "Patient.active", "value"),
            (patient(multipleBirthInteger=1.0), "Patient.multipleBirthInteger", "value"),
            (patient(contact=[{"gender": "female"}]), "Patient.contact[0]", "invariant"),
            (
                patient(name=[{"given": ["A", "B"], "_given": [{"id": "x"}]}]),
                "Patient.name[0]._given",
                "structure",
            ),
            (patient(photo=[{"data": "%%%"}]), "Patient.photo[0].data", "value"),
            (patient(photo=[{"data": "QUJD"}]), "Patient.photo[0]", "invariant"),
            (
                patient(photo=[{"contentType": "image/png", "data": "QUJD", "size": 9}]),
                "Patient.photo[0]",
                "invariant",
            ),
            (
                {
                    "resourceType": "Bundle",
                    "type": "collection",
                    "entry": [{"resource": patient(), "request": {"method": "GET", "url": "x"}}],
                },
                "Bundle",
                "invariant",
            ),
            (
                {
                    "resourceType": "Bundle",
                    "type": "collection",
                    "entry": [
                        {"fullUrl": "http://x.example/fhir/Patient/other", "resource": patient()}
                    ],
                },
                "Bundle.entry[0].fullUrl",
                "value",
            ),
            (
                {
                    "resourceType": "Bundle",
                    "type": "collection",
                    "entry": [{"resource": observation(status="bogus")}],
                },
                "Bundle.entry[0].resource.status",
                "code-invalid",
            ),
        ],
    )
    def test_that_are_none_are_named_with_their_place(
        self, resource: Any, expression: str, code: str
    ) -> None:
        assert (expression, code) in found(json.dumps(resource))

    def test_no_finding_repeats_a_value(self) -> None:
        secret = "canary-value"
        broken = observation(status=secret, id=f"{secret} x", subject={"reference": secret}) | {
            f"{secret} y": 1
        }
        assert secret not in repr(check(json.dumps(broken)))

    def test_best_practice_is_a_warning(self) -> None:
        loose = condition()
        del loose["clinicalStatus"]
        assert [(i.severity, i.diagnostics[:5]) for i in check(loose)] == [("warning", "con-3")]

    def test_types_out_of_scope_are_refused_where_asked(self) -> None:
        assert check({"resourceType": "Slot"}, only_scope=True)[0].code == "not-supported"


# Each of these breaks its own rule in the specification's text; the validator that judged the corpus
# does not look at where a reference leads.
KNOWN_BREAKERS = {
    "r4-examples/devicemetric-example.json",
    "r4-examples/medicationrequest0301.json",
}


@pytest.mark.shared_data
class TestThePublicCorpus:
    @pytest.fixture(scope="class")
    @classmethod
    def cases(cls) -> list[dict[str, Any]]:
        if not (CORPUS / "expected.json").is_file():
            pytest.skip("The public FHIR test cases are not beside the checkout.")
        return json.loads((CORPUS / "expected.json").read_text())

    def test_what_is_valid_passes(self, cases: list[dict[str, Any]]) -> None:
        alarms = {
            case["file"]
            for case in cases
            if case["expected"] == "valid" and not is_valid((CORPUS / case["file"]).read_bytes())
        }
        assert alarms <= KNOWN_BREAKERS

    def test_what_breaks_the_base_rules_of_a_type_in_scope_is_caught(
        self, cases: list[dict[str, Any]]
    ) -> None:
        judged = [
            case
            for case in cases
            if case["expected"] == "invalid"
            and case["error_kinds"] == ["base"]
            and not case["needs"]
        ]
        assert judged
        caught = [c for c in judged if not is_valid((CORPUS / c["file"]).read_bytes())]
        # What is left asks for terminology, for a policy about example addresses, or for more than R4 says
        # of a period that begins and ends on one day.
        assert len(caught) / len(judged) >= 0.8
