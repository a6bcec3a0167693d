"""Vital signs: what may be said of them, and how they stand in FHIR."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as run_settings
from hypothesis import strategies as st

from ehr_adapters.canonical.base import (
    ChangeInvalid,
    ChartChange,
    changed_fields,
    parse_change,
    same_value,
    words,
)
from ehr_adapters.canonical.codes import LOINC
from ehr_adapters.canonical.comparable import comparable
from ehr_adapters.canonical.exact_json import dumps, loads
from ehr_adapters.canonical.fhir_r4 import Destination, FhirForm, from_fhir, to_fhir, translation
from ehr_adapters.canonical.strict_r4 import check
from ehr_adapters.canonical.vitals import MEASURES, measurements
from ehr_adapters.contract import TAG_SYSTEM
from tests.ehr_adapters.contents import CONTENTS, SAMPLES
from tests.ehr_adapters.fake_ehr import blood_pressure

pytestmark = pytest.mark.once

UNHURRIED = run_settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
NEW = SAMPLES["vitals", "create"]


def reading(code: str, value: str, unit: str, **more: Any) -> dict[str, Any]:
    return {"code": code, "value": {"value": value, "unit": unit}, **more}


def pressure(high: str, low: str) -> list[dict[str, Any]]:
    return [reading("8480-6", high, "mm[Hg]"), reading("8462-4", low, "mm[Hg]")]


def of(*readings: dict[str, Any]) -> dict[str, Any]:
    return NEW | {"readings": list(readings)}


def issues(interaction: str, content: Any) -> list[tuple[str, str]]:
    with pytest.raises(ChangeInvalid) as refused:
        parse_change("vitals", interaction, content)
    return [(i.pointer, i.code) for i in refused.value.issues]


def said(change: ChartChange, current: dict[str, Any] | None = None) -> FhirForm:
    return to_fhir(
        change,
        Destination(
            patient="Patient/pa-1",
            tag_system=TAG_SYSTEM,
            tag_value="tag",
            tag_short="short",
            current=current,
        ),
    )


def corrected(content: dict[str, Any], **held: Any) -> FhirForm:
    return said(parse_change("vitals", "update", content), blood_pressure(**held))


class TestWhatMayBeSaid:
    @pytest.mark.parametrize(
        ("content", "expected"),
        [
            (of(reading("8867-4", "74", "/h")), [("/readings/0/value/unit", "unknown-unit")]),
            (of(reading("8867-4", "74", "mm[Hg]")), [("/readings/0/value/unit", "unknown-unit")]),
            (of(reading("29463-7", "78.4", "cm")), [("/readings/0/value/unit", "unknown-unit")]),
            (of(reading("718-7", "12", "%")), [("/readings/0/code/code", "unknown-code")]),
            (of(reading("85354-9", "12", "%")), [("/readings/0/code/code", "unknown-code")]),
            (of(reading("8867-4", "7,4", "/min")), [("/readings/0/value/value", "bad-decimal")]),
            (of(reading("8867-4", "1e2", "/min")), [("/readings/0/value/value", "bad-decimal")]),
            (of(reading("8867-4", "740", "/min")), [("/readings/0/value/value", "impossible-value")]),
            (of(reading("59408-5", "101", "%")), [("/readings/0/value/value", "impossible-value")]),
            (of(reading("8310-5", "98.6", "Cel")), [("/readings/0/value/value", "impossible-value")]),
            (of(reading("8310-5", "37", "[degF]")), [("/readings/0/value/value", "impossible-value")]),
            (of(reading("29463-7", "1600", "[lb_av]")), [("/readings/0/value/value", "impossible-value")]),
            (of(reading("8480-6", "154", "mm[Hg]")), [("/readings", "missing")]),
            (of(*pressure("92", "154")), [("/readings", "contradiction")]),
            (of(reading("8867-4", "74", "/min"), reading("8867-4", "75", "/min")), [("/readings", "contradiction")]),
            (
                of(
                    reading("8480-6", "154", "mm[Hg]", site="left arm"),
                    reading("8462-4", "92", "mm[Hg]", site="right arm"),
                ),
                [("/readings", "contradiction")],
            ),
            (NEW | {"effective_at": "2026-11-20"}, [("/effective_at", "bad-instant")]),
            (NEW | {"status": "preliminary"}, [("/status", "contradicts-interaction")]),
            (NEW | {"note": "x" * 255}, [("/note", "too-long")]),
        ],
    )  # fmt: skip
    def test_is_refused_at_its_place(
        self, content: dict[str, Any], expected: list[tuple[str, str]]
    ) -> None:
        assert issues("create", content) == expected

    def test_a_correction_says_something_and_is_of_the_same_kind(self) -> None:
        assert issues("update", {}) == [("", "empty")]
        held = from_fhir(blood_pressure(), kind="vitals").content
        pulse = parse_change("vitals", "update", {"readings": [reading("8867-4", "74", "/min")]})
        assert [i.code for i in pulse.conflicts_with(held)] == ["another-fact"]
        other = parse_change("vitals", "update", {"readings": pressure("150", "90")})
        assert other.conflicts_with(held) == ()
        assert [i.code for i in other.conflicts_with({"status": "entered-in-error"})] == [
            "target-entered-in-error"
        ]

    def test_the_status_follows_from_the_interaction(self) -> None:
        for interaction, content, status in (
            ("create", NEW, "final"),
            ("update", {"note": "x"}, "corrected"),
            ("entered-in-error", {}, "entered-in-error"),
        ):
            change = parse_change("vitals", interaction, content)
            assert change.model_dump_canonical()["status"] == status

    def test_the_bounds_of_the_possible_are_wide_and_in_the_first_unit(self) -> None:
        for code, value in (("8480-6", "300"), ("29463-7", "0.5"), ("8867-4", "0")):
            unit = MEASURES[code].units[0]
            content = (
                of(reading(code, value, unit), reading("8462-4", "90", unit))
                if code == "8480-6"
                else of(reading(code, value, unit))
            )
            parse_change("vitals", "create", content)

    def test_is_spoken_as_clinicians_speak(self) -> None:
        change = parse_change(
            "vitals",
            "create",
            of(
                *pressure("154", "92"),
                reading("29463-7", "78.40", "kg", method="standing"),
                reading("8310-5", "37.2", "Cel"),
            ),
        )
        assert words("vitals", "readings", change.model_dump_canonical()["readings"]) == (
            "Blood pressure 154/92 mmHg; Body weight 78.40 kg, standing; Body temperature 37.2 °C"
        )

    def test_is_compared_after_conversion_and_in_any_order(self) -> None:
        pounds, kilograms = (
            reading("29463-7", "10", "[lb_av]"),
            reading("29463-7", "4.5359237", "kg"),
        )
        code = {"system": LOINC, "code": "29463-7"}
        assert same_value(
            "vitals", "readings", [pounds | {"code": code}], [kilograms | {"code": code}]
        )
        assert not same_value(
            "vitals", "readings", [pounds | {"code": code}], [reading("29463-7", "10", "kg") | {"code": code}]
        )  # fmt: skip
        high, low = pressure("154", "92")
        codes = [one | {"code": {"system": LOINC, "code": one["code"]}} for one in (high, low)]
        assert same_value("vitals", "readings", codes, codes[::-1])


class TestItsTime:
    AT = datetime(2026, 11, 20, 15, 0, tzinfo=UTC)

    def test_lies_not_in_the_future(self) -> None:
        for minutes, code in ((0, []), (4, []), (6, ["in-the-future"])):
            moment = (self.AT + timedelta(minutes=minutes)).isoformat()
            change = parse_change("vitals", "create", NEW | {"effective_at": moment})
            assert [i.code for i in change.misfits(at=self.AT, visit=None)] == code

    @pytest.mark.parametrize(
        ("visit", "inside"),
        [
            (("2026-11-20T08:30:00-06:00", ""), True),
            (("2026-11-20T08:30:00-06:00", "2026-11-20T08:40:00-06:00"), False),
            (("2026-11-20T14:42:00Z", ""), False),
            (("2026-11-20", ""), True),
            (("", ""), True),
        ],
    )
    def test_lies_in_the_visit_that_the_change_names(
        self, visit: tuple[str, str], inside: bool
    ) -> None:
        named = parse_change("vitals", "create", NEW | {"encounter": "Encounter/en-1"})
        assert named.belongs_to(visit=visit) is inside
        assert (named.misfits(at=self.AT, visit=visit) == ()) is inside
        at_home = parse_change("vitals", "create", NEW)
        assert at_home.misfits(at=self.AT, visit=visit) == ()


class TestInFhir:
    @pytest.mark.req("001-86")
    @UNHURRIED
    @given(content=CONTENTS["vitals", "create"])
    def test_a_new_measurement_reads_back_and_is_valid(self, content: dict[str, Any]) -> None:
        change = parse_change("vitals", "create", content)
        form = said(change)
        resource = loads(dumps(form.resource))
        assert check(resource) == ()
        read = from_fhir(resource, kind="vitals", tag_system=TAG_SYSTEM)
        expected = change.model_dump_canonical()
        assert changed_fields("vitals", read.content, expected) == ()
        assert read.content.get("readings") == expected["readings"]
        assert (read.uncarried, read.tags) == ((), ("tag",))

    @UNHURRIED
    @given(data=st.data())
    def test_a_changed_measurement_reads_back(self, data: st.DataObject) -> None:
        held = blood_pressure()
        now = from_fhir(held, kind="vitals").content
        interaction = data.draw(st.sampled_from(["update", "entered-in-error"]))
        change = parse_change("vitals", interaction, data.draw(CONTENTS["vitals", interaction]))
        form = said(change, held)
        assert check(form.resource) == ()
        after = from_fhir(form.resource, kind="vitals").content
        assert changed_fields("vitals", change.applied_to(now), after) == ()
        assert form.resource["extension"] == held["extension"]
        assert form.resource["code"] == held["code"]
        assert form.resource["component"][2] == held["component"][2]

    def test_a_decimal_stays_as_it_was_written(self) -> None:
        form = said(parse_change("vitals", "create", of(reading("29463-7", "78.40", "kg"))))
        assert b'"value":78.40' in dumps(form.resource)

    def test_a_blood_pressure_is_one_panel_with_two_components(self) -> None:
        form = said(parse_change("vitals", "create", of(*pressure("154", "92"))))
        assert form.resource["code"]["coding"][0]["code"] == "85354-9"
        assert "valueQuantity" not in form.resource
        assert [
            (c["code"]["coding"][0]["code"], c["valueQuantity"]["code"])
            for c in form.resource["component"]
        ] == [("8480-6", "mm[Hg]"), ("8462-4", "mm[Hg]")]

    def test_several_measurements_are_several_changes(self) -> None:
        change = parse_change(
            "vitals", "create", of(*pressure("154", "92"), reading("8867-4", "74", "/min"))
        )
        assert len(measurements(change.model_dump_canonical()["readings"])) == 2
        with pytest.raises(ChangeInvalid) as refused:
            said(change)
        assert [(i.pointer, i.code) for i in refused.value.issues] == [
            ("/readings", "one-measurement")
        ]

    def test_the_wrong_value_stays_readable(self) -> None:
        form = corrected({"readings": pressure("145", "92"), "note": "Cuff was too small."})
        assert [one["text"] for one in form.resource["note"]] == [
            "Cuff was too small.",
            "Before the correction: Blood pressure 154/92 mmHg.",
        ]
        read = from_fhir(form.resource, kind="vitals")
        assert read.content["note"] == "Cuff was too small."
        assert "note[0].text" in [one.place for one in read.uncarried]
        again = said(
            parse_change("vitals", "update", {"effective_at": "2026-11-20T08:50:00-06:00"}),
            form.resource,
        )
        assert [one["text"] for one in again.resource["note"]] == [
            "Cuff was too small.",
            "Before the correction: Blood pressure 154/92 mmHg.",
            "Before the correction: measured at 2026-11-20T08:35:00-06:00.",
        ]

    def test_a_correction_that_leaves_the_value_keeps_nothing(self) -> None:
        form = corrected({"readings": pressure("154.0", "92"), "origin": "measured"})
        assert form.resource["note"] == [{"text": "first words"}]

    def test_what_was_said_of_the_old_value_goes_with_it(self) -> None:
        form = corrected(
            {"readings": pressure("145", "92")},
            interpretation=[{"text": "high"}],
            bodySite={"text": "left arm"},
        )
        assert not {"interpretation", "bodySite"} & form.resource.keys()
        assert [(one.place, one.removed) for one in form.uncarried] == [("/readings", True)] * 2

    def test_who_measured_is_read_from_the_entry(self) -> None:
        for performer, device, origin in (
            ([{"reference": "Practitioner/pr-1"}], None, "measured"),
            ([{"reference": "Patient/pa-1"}], None, "patient-reported"),
            ([{"reference": "RelatedPerson/1"}], None, "patient-reported"),
            ([], {"reference": "Device/1"}, "device"),
            ([], None, None),
        ):
            held = blood_pressure(performer=performer, device=device)
            assert from_fhir(held, kind="vitals").content.get("origin") == origin

    def test_a_strangers_units_and_panels_are_read(self) -> None:
        old = blood_pressure(
            code={"coding": [{"system": LOINC, "code": "55284-4"}]},
            effectiveDateTime="2020-03-04",
        )
        old["component"][0]["valueQuantity"] = {"value": 154, "unit": "mmHg"}
        form = from_fhir(old, kind="vitals")
        assert [one["value"] for one in form.content["readings"]] == [
            {"value": "154", "unit": "mm[Hg]"},
            {"value": "92", "unit": "mm[Hg]"},
        ]
        assert "effective_at" not in form.content
        places = [one.place for one in form.uncarried]
        assert "effectiveDateTime" in places
        assert "component[0].code.coding[0].code" in places

    def test_what_is_no_vital_sign_has_no_readings_and_is_no_neighbour(self) -> None:
        held = blood_pressure(component=[], code={"coding": [{"system": LOINC, "code": "2823-3"}]})
        form = from_fhir(held, kind="vitals")
        assert "readings" not in form.content
        assert not translation("vitals").is_active(form.content)

    def test_its_key_is_the_time_and_what_was_measured(self) -> None:
        key = translation("vitals").key
        assert key is not None
        one = parse_change("vitals", "create", of(*pressure("154", "92"))).model_dump_canonical()
        other = parse_change(
            "vitals",
            "create",
            of(*pressure("120", "80")[::-1]) | {"effective_at": "2026-11-20T14:41:00Z"},
        ).model_dump_canonical()
        assert key(one) == key(other)
        assert key(one | {"effective_at": "2026-11-20T14:41:01Z"}) != key(other)
        assert key({"readings": one["readings"]}) is None


class TestWhatAFlowsheetDoesToNumbers:
    RULES = (("valueQuantity", "flowsheet"), ("component.valueQuantity", "flowsheet"))

    def kept(self, value: str, unit: str) -> Any:
        holder = {
            "resourceType": "Observation",
            "valueQuantity": {"value": value, "unit": "x", "system": "y", "code": unit},
        }
        return comparable(holder, rules=self.RULES)["valueQuantity"]

    @pytest.mark.parametrize(
        ("value", "unit", "expected"),
        [
            ("40", "[lb_av]", {"value": "18.14", "code": "kg"}),
            ("18.14", "kg", {"value": "18.14", "code": "kg"}),
            ("3250", "g", {"value": "3.25", "code": "kg"}),
            ("65.5", "[in_i]", {"value": "166.4", "code": "cm"}),
            ("101.1", "[degF]", {"value": "38.4", "code": "Cel"}),
            ("74.0", "/min", {"value": "74", "code": "/min"}),
        ],
    )
    def test_is_declared_and_the_same_for_both_sides(
        self, value: str, unit: str, expected: dict[str, str]
    ) -> None:
        assert self.kept(value, unit) == expected
        assert self.kept(expected["value"], expected["code"]) == expected

    def test_a_lost_point_is_still_seen(self) -> None:
        assert self.kept("18.1", "kg") != self.kept("181", "kg")
        assert self.kept("40", "kg") != self.kept("40", "[lb_av]")

    def test_what_is_no_number_is_left_as_it_is(self) -> None:
        for value in ("many", "1e9", "9" * 60, None):
            holder = {"resourceType": "Observation", "valueQuantity": {"value": value}}
            assert comparable(holder, rules=self.RULES)["valueQuantity"] == {"value": value}
