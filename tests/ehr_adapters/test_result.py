"""Laboratory results: what may be said of them, and how they stand in FHIR."""

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as run_settings

from ehr_adapters.canonical.base import (
    ChangeInvalid,
    ChartChange,
    changed_fields,
    interactions,
    parse_change,
    same_value,
    words,
)
from ehr_adapters.canonical.codes import LOINC, SNOMED
from ehr_adapters.canonical.exact_json import dumps, loads
from ehr_adapters.canonical.fhir_r4 import Destination, FhirForm, from_fhir, to_fhir, translation
from ehr_adapters.canonical.strict_r4 import check
from ehr_adapters.contract import TAG_SYSTEM
from tests.ehr_adapters.contents import CONTENTS, SAMPLES
from tests.ehr_adapters.fake_ehr import blood_pressure, potassium

pytestmark = pytest.mark.once

UNHURRIED = run_settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
NEW = SAMPLES["result", "create"]
SHORT = "4F7K-9QXD-2M8T"


def issues(interaction: str, content: Any) -> list[tuple[str, str]]:
    with pytest.raises(ChangeInvalid) as refused:
        parse_change("result", interaction, content)
    return [(i.pointer, i.code) for i in refused.value.issues]


def said(change: ChartChange, current: dict[str, Any] | None = None) -> FhirForm:
    return to_fhir(
        change,
        Destination(
            patient="Patient/pa-1",
            tag_system=TAG_SYSTEM,
            tag_value="tag",
            tag_short=SHORT,
            current=current,
        ),
    )


class TestWhatMayBeSaid:
    def test_is_an_outside_result_or_a_comment(self) -> None:
        assert [str(one) for one in interactions("result")] == ["create", "comment"]
        content = parse_change("result", "create", NEW).model_dump_canonical()
        assert (content["origin"], content["status"]) == ("outside", "preliminary")

    @pytest.mark.parametrize(
        ("interaction", "content", "expected"),
        [
            (
                "create",
                {},
                [
                    ("/code", "missing"),
                    ("/collected_at", "missing"),
                    ("/document", "missing"),
                    ("/performer", "missing"),
                    ("/value", "missing"),
                ],
            ),
            ("create", NEW | {"status": "final"}, [("/status", "contradicts-interaction")]),
            ("create", NEW | {"origin": "laboratory"}, [("/origin", "contradicts-interaction")]),
            ("create", NEW | {"code": "2823-4"}, [("/code/code", "malformed-code")]),
            ("create", NEW | {"value": "5.1"}, [("/value", "unit-missing")]),
            ("create", NEW | {"value": "< 0,5"}, [("/value", "unit-missing")]),
            ("create", NEW | {"value": {"value": "5.1"}}, [("/value/unit", "missing")]),
            ("create", NEW | {"value": {"value": "1e3", "unit": "%"}}, [("/value/value", "bad-decimal")]),
            ("create", NEW | {"flag": "panic"}, [("/flag", "unknown-code")]),
            ("create", NEW | {"document": {"source": "Letter"}}, [("/document/page", "missing")]),
            ("create", NEW | {"performer": "A\nB"}, [("/performer", "not-one-line")]),
            ("create", NEW | {"collected_at": "2026-11-18"}, [("/collected_at", "bad-instant")]),
            ("comment", {}, [("/comment", "missing")]),
            ("comment", {"comment": "x", "value": "y"}, [("/value", "not-in-this-interaction")]),
        ],
    )  # fmt: skip
    def test_is_refused_at_its_place(
        self, interaction: str, content: dict[str, Any], expected: list[tuple[str, str]]
    ) -> None:
        found = issues(interaction, content)
        # A value is tried as a number with unit, as a code and as words; the place is what counts.
        assert set(expected) <= set(found)
        assert {pointer.split("/")[1] for pointer, _ in found} == {
            pointer.split("/")[1] for pointer, _ in expected
        }

    def test_a_value_below_the_measurable_is_not_the_value(self) -> None:
        half = {"value": "0.5", "unit": "ng/mL"}
        assert not same_value("result", "value", half, half | {"comparator": "<"})
        assert words("result", "value", half | {"comparator": "<"}) == "<0.5 ng/mL"
        assert words("result", "document", NEW["document"]) == (
            "Discharge summary, St. Osric Hospital, page 3"
        )

    def test_nothing_is_taken_from_a_patient_in_the_future(self) -> None:
        change = parse_change(
            "result", "create", NEW | {"collected_at": "2026-11-20T09:30:00-06:00"}
        )
        at = datetime(2026, 11, 20, 15, 0, tzinfo=UTC)
        assert [i.code for i in change.misfits(at=at, visit=None)] == ["in-the-future"]
        assert parse_change("result", "create", NEW).misfits(at=at, visit=None) == ()

    def test_what_the_laboratory_took_back_takes_no_comment(self) -> None:
        change = parse_change("result", "comment", {"comment": "x"})
        assert change.conflicts_with({"status": "final"}) == ()
        assert [i.code for i in change.conflicts_with({"status": "cancelled"})] == [
            "target-entered-in-error"
        ]


class TestInFhir:
    @pytest.mark.req("001-86")
    @UNHURRIED
    @given(content=CONTENTS["result", "create"])
    def test_an_outside_result_reads_back_and_is_valid(self, content: dict[str, Any]) -> None:
        change = parse_change("result", "create", content)
        resource = loads(dumps(said(change).resource))
        assert check(resource) == ()
        read = from_fhir(resource, kind="result", tag_system=TAG_SYSTEM)
        assert changed_fields("result", change.model_dump_canonical(), read.content) == ()
        assert read.content["value"] == change.model_dump_canonical()["value"]
        assert (read.uncarried, read.tags) == ((), ("tag",))

    @UNHURRIED
    @given(content=CONTENTS["result", "comment"])
    def test_a_comment_stands_below_the_others_and_nothing_else_changes(
        self, content: dict[str, Any]
    ) -> None:
        held = potassium()
        now = from_fhir(held, kind="result").content
        change = parse_change("result", "comment", content)
        form = said(change, held)
        assert form.resource == held | {"note": [*held["note"], form.resource["note"][1]]}
        assert check(form.resource) == ()
        after = from_fhir(form.resource, kind="result")
        assert after.content["comment"] == f"first words\n\n{content['comment']}"
        assert changed_fields("result", change.applied_to(now), after.content) == ()
        assert after.tags == (SHORT,)

    def test_the_document_is_named_with_its_page(self) -> None:
        form = said(parse_change("result", "create", NEW))
        assert form.resource["derivedFrom"] == [
            {
                "type": "DocumentReference",
                "display": "Discharge summary, St. Osric Hospital, page 3",
            }
        ]
        assert form.resource["status"] == "preliminary"

    def test_a_laboratorys_own_result_is_read(self) -> None:
        form = from_fhir(potassium(), kind="result")
        assert form.content == {
            "code": {"system": LOINC, "code": "2823-3", "display": "Potassium serum"},
            "value": {"value": "5", "unit": "mmol/L"},
            "range": "3 mmol/L to 5 mmol/L",
            "flag": "normal",
            "collected_at": "2026-11-18T07:40:00-06:00",
            "performer": "Northgate Laboratory",
            "status": "final",
            "comment": "first words",
        }
        assert {one.place for one in form.uncarried} >= {"code.text", "note[0].authorString"}

    @pytest.mark.parametrize(
        ("held", "value"),
        [
            ({"valueString": "not detected"}, "not detected"),
            (
                {"valueCodeableConcept": {"coding": [{"system": SNOMED, "code": "10828004"}]}},
                {"system": SNOMED, "code": "10828004"},
            ),
            (
                {
                    "valueCodeableConcept": {
                        "coding": [{"system": LOINC, "code": "LA6576-8", "display": "Positive"}]
                    }
                },
                "Positive",
            ),
            ({"valueQuantity": {"value": 7, "unit": "furlongs"}}, "7 furlongs"),
            ({"valueBoolean": True}, None),
            ({}, None),
        ],
    )
    def test_a_strangers_value_is_said_as_well_as_it_can_be(
        self, held: dict[str, Any], value: Any
    ) -> None:
        entry = {k: v for k, v in potassium().items() if k != "valueQuantity"} | held
        form = from_fhir(entry, kind="result")
        assert form.content.get("value") == value
        carried = isinstance(value, dict) or "valueString" in held or not held
        assert any(one.place.startswith("value") for one in form.uncarried) is not carried

    @pytest.mark.parametrize(
        ("code", "flag"),
        [("L", "low"), ("H", "high"), ("HH", "critical"), ("LL", "critical"), ("A", None)],
    )
    def test_a_flag_is_read_by_its_code(self, code: str, flag: str | None) -> None:
        held = potassium()
        held["interpretation"][0]["coding"][0]["code"] = code
        assert from_fhir(held, kind="result").content.get("flag") == flag

    def test_what_else_was_observed_is_read_like_a_result(self) -> None:
        pregnant = {"system": SNOMED, "code": "77386006", "display": "Pregnancy"}
        held = potassium(
            category=blood_pressure()["category"],
            code={"coding": [{"system": LOINC, "code": "82810-3"}]},
            valueCodeableConcept={"coding": [pregnant]},
        )
        del held["valueQuantity"]
        assert from_fhir(held, kind="result").content["value"] == pregnant

    def test_a_vital_sign_is_no_result(self) -> None:
        form = from_fhir(blood_pressure(), kind="result")
        assert form.content == {}
        assert not translation("result").is_active(form.content)
        assert "status" in [one.place for one in form.uncarried]
