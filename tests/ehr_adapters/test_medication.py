"""A medication: what may be said of it, how it stands in FHIR R4, and in the practice EHR over HTTP."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as run_settings
from hypothesis import strategies as st

from ehr_adapters.canonical.base import (
    ChangeInvalid,
    changed_fields,
    parse_change,
    read_change,
    same_value,
    words,
)
from ehr_adapters.canonical.codes import RXNORM, SNOMED
from ehr_adapters.canonical.exact_json import dumps, loads
from ehr_adapters.canonical.fhir_r4 import Destination, from_fhir, to_fhir
from ehr_adapters.canonical.strict_r4 import check
from ehr_adapters.contract import TAG_SYSTEM, comparable_differences
from ehr_adapters.errors import CannotBeCarried, VersionConflict
from tests.ehr_adapters.contents import SAMPLES
from tests.ehr_adapters.fake_ehr import OLD_TAG, medication
from tests.ehr_adapters.practice import Practice, fresh_practice, practice
from tests.ehr_adapters.stage import Stage

__all__ = ["fresh_practice", "practice"]
pytestmark = pytest.mark.once

NEW = SAMPLES["medication", "create"]
MG_850 = {"value": "850", "unit": "mg"}
WITHOUT_WORDS = {"units_taken": None, "sig_text": None}


def destination(current: dict[str, Any] | None = None) -> Destination:
    return Destination(
        patient="Patient/pa-1",
        tag_system=TAG_SYSTEM,
        tag_value=OLD_TAG.uuid,
        tag_short=OLD_TAG.short,
        current=current,
    )


def issues(interaction: str, content: dict[str, Any]) -> list[tuple[str, str]]:
    with pytest.raises(ChangeInvalid) as refused:
        parse_change("medication", interaction, content)
    return [(i.pointer, i.code) for i in refused.value.issues]


def conflicts(current: dict[str, Any], interaction: str, **content: Any) -> list[tuple[str, str]]:
    found = parse_change("medication", interaction, content).conflicts_with(current)
    return [(i.pointer, i.code) for i in found]


def prescription(**more: Any) -> dict[str, Any]:
    listed = medication()
    return {
        "resourceType": "MedicationRequest",
        "id": "mr-1",
        "meta": {"versionId": "2"},
        "status": "active",
        "intent": "order",
        "medicationCodeableConcept": listed["medicationCodeableConcept"],
        "subject": listed["subject"],
        "authoredOn": "2024-02-11",
        "requester": {"reference": "Practitioner/pr-1"},
        "dosageInstruction": listed["dosage"],
        "dispenseRequest": {"numberOfRepeatsAllowed": 3},
    } | more


class TestWhatMayBeSaid:
    @pytest.mark.parametrize(
        ("more", "expected"),
        [
            ({"dose": {"value": "18", "unit": "U"}}, [("/dose/unit", "unknown-unit")]),
            ({"dose": {"value": "10", "unit": "{tablet}"}}, [("/dose/unit", "unknown-unit")]),
            ({"dose": {"value": "10,5", "unit": "mg"}}, [("/dose/value", "bad-decimal")]),
            ({"dose": {"value": "10.0", "unit": "mg"}, "sig_text": "x"}, [("/dose/value", "trailing-zero")]),
            ({"drug": {"system": SNOMED, "code": "26643006"}}, [("/drug/system", "unknown-system")]),
            ({"status": "stopped"}, [("/status_reason", "missing")]),
            ({"status": "on-hold"}, [("/status_reason", "missing")]),
            ({"status_reason": "why"}, [("/status_reason", "contradiction")]),
            ({"status": "entered-in-error"}, [("/status", "not-in-this-interaction")]),
            ({"entry": "prescription"}, [("/entry", "contradicts-interaction")]),
            ({"end": "2025"}, [("/end", "contradiction")]),
            ({"frequency": {"times": 0, "per": 1, "unit": "d"}}, [("/frequency/times", "wrong-type")]),
            ({"frequency": {"times": 2, "per": 1}}, [("/frequency/unit", "missing")]),
        ],
    )  # fmt: skip
    def test_that_cannot_be_is_refused(
        self, more: dict[str, Any], expected: list[tuple[str, str]]
    ) -> None:
        assert issues("create", NEW | more) == expected

    def test_a_unit_of_insulin_is_never_u(self) -> None:
        with pytest.raises(ChangeInvalid) as refused:
            parse_change("medication", "create", NEW | {"dose": {"value": "18", "unit": "U"}})
        assert "[iU]" in refused.value.issues[0].sentence

    def test_numbers_of_a_form_are_numbers(self) -> None:
        change = parse_change(
            "medication",
            "create",
            NEW | {"frequency": {"times": "2", "per": "1", "unit": "d"}},
        )
        assert change.model_dump_canonical()["frequency"] == {"times": 2, "per": 1, "unit": "d"}

    def test_stopping_needs_a_reason_and_a_day(self) -> None:
        assert issues("discontinue", {}) == [("/end", "missing"), ("/status_reason", "missing")]
        change = parse_change(
            "medication", "discontinue", {"end": "2026-11-19", "status_reason": "dizzy"}
        )
        assert change.model_dump_canonical()["status"] == "stopped"

    def test_an_update_says_something(self) -> None:
        assert issues("update", {}) == [("", "empty")]

    def test_is_said_in_words(self) -> None:
        assert words("medication", "entry", "prescription") == "a prescription stands behind it"
        assert words("medication", "indication", "Condition/5") == "Condition/5"


class TestAgainstTheEntry:
    NOW = from_fhir(medication(), tag_system=TAG_SYSTEM).content

    def test_another_medicine_is_no_update(self) -> None:
        assert conflicts(self.NOW, "update", drug="29046") == [("/drug", "another-fact")]
        assert conflicts(self.NOW, "update", drug="6809") == []
        assert conflicts({"status": "active"}, "update", drug="6809") == [("/drug", "another-fact")]

    def test_a_prescription_is_not_changed_in_place(self) -> None:
        now = {**self.NOW, "entry": "prescription", "status": "active"}
        assert conflicts(now, "update", note="x") == [("", "prescription-in-place")]
        assert conflicts(now, "discontinue", end="2026", status_reason="x") == []
        assert conflicts(now, "entered-in-error") == []

    def test_a_draft_order_is_no_medication(self) -> None:
        draft = from_fhir(prescription(status="draft", intent="proposal")).content
        for interaction, content in (
            ("update", {"note": "x"}),
            ("discontinue", {"end": "2026", "status_reason": "x"}),
            ("entered-in-error", {}),
        ):
            assert conflicts(draft, interaction, **content) == [("", "not-a-medication")]

    def test_what_stands_beside_a_new_dose_has_to_fit_it(self) -> None:
        assert conflicts(self.NOW, "update", dose=MG_850) == [("/sig_text", "contradiction")]
        assert conflicts(self.NOW, "update", dose=MG_850, sig_text="Take 850 mg twice a day.") == []
        assert conflicts(self.NOW, "update", dose=MG_850, sig_text=None) == []
        daily = {"times": 1, "per": 1, "unit": "d"}
        assert conflicts(self.NOW, "update", frequency=daily) == [("/sig_text", "contradiction")]
        counted = {**self.NOW, "units_taken": {"value": "1", "unit": "{tablet}"}, "sig_text": "x"}
        assert conflicts(counted, "update", dose=MG_850) == [("/units_taken", "contradiction")]
        grams = {"value": "0.5", "unit": "g"}
        assert conflicts(counted, "update", dose=grams) == []

    def test_what_is_over_is_not_ended_again(self) -> None:
        for status in ("stopped", "completed"):
            found = conflicts({"status": status}, "discontinue", end="2026", status_reason="x")
            assert found == [("", "already-ended")]
        assert conflicts({"status": "entered-in-error"}, "update", note="x") == [
            ("", "target-entered-in-error")
        ]

    def test_the_reason_of_another_status_goes_with_it(self) -> None:
        now = {"status": "on-hold", "status_reason": "surgery"}
        change = parse_change("medication", "update", {"status": "active"})
        assert change.applied_to(now) == {"status": "active"}
        same = parse_change("medication", "update", {"note": "x"})
        assert same.applied_to(now)["status_reason"] == "surgery"


class TestInFhir:
    def test_is_valid_and_reads_back(self) -> None:
        content = NEW | {
            "dose": {"low": {"value": "2.50", "unit": "mg"}, "high": {"value": "5", "unit": "mg"}},
            "units_taken": {"value": "0.5", "unit": "{tablet}"},
            "sig_text": "With food.",
        }
        content["dose"]["low"]["value"] = "2.5"
        change = parse_change("medication", "create", content)
        form = to_fhir(change, destination())
        assert check(form.resource) == ()
        assert form.uncarried == ()
        read = from_fhir(loads(dumps(form.resource)), tag_system=TAG_SYSTEM)
        assert read.content == change.model_dump_canonical()
        assert (read.uncarried, read.tags) == ((), (OLD_TAG.uuid,))

    def test_units_are_spelt_so_that_nobody_misreads_them(self) -> None:
        for unit, shown in (("[iU]", "units"), ("ug", "mcg"), ("mg", "mg")):
            content = {**NEW, "dose": {"value": "18", "unit": unit}, "sig_text": "At night."}
            resource = to_fhir(
                parse_change("medication", "create", content), destination()
            ).resource
            quantity = resource["dosage"][0]["doseAndRate"][0]["doseQuantity"]
            assert (quantity["unit"], quantity["code"]) == (shown, unit)

    def test_whether_it_is_taken_as_written_has_no_place(self) -> None:
        form = to_fhir(
            parse_change("medication", "create", NEW | {"taken": "differently"}), destination()
        )
        assert [(one.place, one.removed) for one in form.uncarried] == [("/taken", False)]

    def test_a_new_dose_changes_the_dose_and_nothing_else(self) -> None:
        held = loads(dumps(medication()))
        held["dosage"][0] |= {
            "site": {"text": "left arm"},
            "additionalInstruction": [{"text": "with water"}],
        }
        held["dosage"][0]["doseAndRate"][0]["rateQuantity"] = loads('{"value":1.50,"unit":"h"}')
        change = parse_change("medication", "update", {"dose": MG_850})
        after = to_fhir(change, destination(held)).resource
        dosage = after["dosage"][0]
        assert dosage["doseAndRate"][0].pop("doseQuantity")["value"] == 850
        expected = loads(dumps(held))
        del expected["dosage"][0]["doseAndRate"][0]["doseQuantity"]
        after["meta"] = expected["meta"]
        assert dumps(after) == dumps(expected)
        assert b"1.50" in dumps(after)

    def test_the_drug_of_an_entry_keeps_all_its_codings(self) -> None:
        held = medication()
        change = parse_change("medication", "update", {"drug": {"system": RXNORM, "code": "6809"}})
        after = to_fhir(change, destination(held)).resource
        assert after["medicationCodeableConcept"] == held["medicationCodeableConcept"]

    def test_a_contained_drug_is_read_and_kept(self) -> None:
        held = medication(
            contained=[
                {
                    "resourceType": "Medication",
                    "id": "med",
                    "code": {"coding": [{"system": RXNORM, "code": "6809"}]},
                    "batch": {"lotNumber": "12"},
                }
            ],
            medicationReference={"reference": "#med"},
        )
        del held["medicationCodeableConcept"]
        form = from_fhir(held)
        assert form.content["drug"] == {"system": RXNORM, "code": "6809"}
        assert "contained[0].batch.lotNumber" in [one.place for one in form.uncarried]
        change = parse_change("medication", "update", {"note": "x"})
        after = to_fhir(change, destination(held)).resource
        assert (after["contained"], after["medicationReference"]) == (
            held["contained"],
            held["medicationReference"],
        )

    def test_of_several_lines_of_directions_none_is_the_dose(self) -> None:
        line = medication()["dosage"][0]
        held = medication(dosage=[line, {**line, "text": "Then 1 tablet."}])
        content = from_fhir(held).content
        assert content["sig_text"] == f"{line['text']}\nThen 1 tablet."
        assert not {"dose", "frequency", "route"} & content.keys()
        with pytest.raises(ChangeInvalid) as refused:
            to_fhir(parse_change("medication", "update", {"dose": MG_850}), destination(held))
        assert [i.code for i in refused.value.issues] == ["several-dosages"]
        after = to_fhir(parse_change("medication", "update", {"note": "x"}), destination(held))
        assert after.resource["dosage"] == held["dosage"]

    @pytest.mark.parametrize(
        ("timing", "expected"),
        [
            ({"repeat": {"period": 1, "periodUnit": "d"}}, {"times": 1, "per": 1, "unit": "d"}),
            ({"code": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v3-GTSAbbreviation", "code": "BID"}]}},
             {"times": 2, "per": 1, "unit": "d"}),
            ({"repeat": {"frequency": 1, "period": 1, "periodUnit": "d", "when": ["HS"]}},
             {"times": 1, "per": 1, "unit": "d", "when": ["HS"]}),
            ({"repeat": {"frequency": 1, "period": 4, "periodMax": 6, "periodUnit": "h"}}, None),
            ({"repeat": {"frequency": 1, "period": 30, "periodUnit": "min"}}, None),
            ({"repeat": {"frequency": 1, "period": 1, "periodUnit": "d", "when": ["ACM"]}}, None),
            ({"event": ["2026-11-20"]}, None),
        ],
    )  # fmt: skip
    def test_a_schedule_that_says_more_is_not_read_as_less(
        self, timing: dict[str, Any], expected: Any
    ) -> None:
        held = medication()
        held["dosage"][0]["timing"] = timing
        form = from_fhir(loads(dumps(held)))
        assert form.content.get("frequency") == expected
        left = [one.place for one in form.uncarried if one.place.startswith("dosage[0].timing")]
        assert bool(left) == (expected is None)

    def test_what_goes_away_with_a_new_schedule_is_said(self) -> None:
        held = medication()
        held["dosage"][0]["timing"] = {
            "code": {"text": "twice daily"},
            "repeat": {
                "boundsPeriod": {"start": "2024"},
                "frequency": 1,
                "period": 4,
                "periodMax": 6,
                "periodUnit": "h",
            },
        }
        change = parse_change(
            "medication", "update", {"frequency": {"times": 1, "per": 8, "unit": "h"}}
        )
        form = to_fhir(change, destination(held))
        assert form.resource["dosage"][0]["timing"]["repeat"] == {
            "boundsPeriod": {"start": "2024"},
            "frequency": 1,
            "period": 8,
            "periodUnit": "h",
        }
        assert [(one.place, one.removed) for one in form.uncarried] == [("/frequency", True)]

    @pytest.mark.parametrize(
        ("quantity", "expected"),
        [
            ({"value": 1}, None),
            ({"value": 10, "unit": "mg"}, {"value": "10", "unit": "mg"}),
            ({"value": 2, "unit": "tablet(s)"}, None),
            ({"value": 18, "unit": "units", "code": "[iU]", "system": "http://unitsofmeasure.org"}, {"value": "18", "unit": "[iU]"}),
            ({"value": 5, "unit": "mg", "comparator": "<"}, None),
        ],
    )  # fmt: skip
    def test_a_strangers_dose_is_read_as_far_as_it_is_one(
        self, quantity: dict[str, Any], expected: Any
    ) -> None:
        held = medication()
        held["dosage"][0]["doseAndRate"] = [{"doseQuantity": quantity}]
        assert from_fhir(loads(dumps(held))).content.get("dose") == expected

    def test_a_prescription_says_that_it_is_one(self) -> None:
        content = from_fhir(prescription()).content
        assert content["entry"] == "prescription"
        assert (content["status"], content["start"]) == ("active", "2024-02-11")
        assert content["dose"] == {"value": "500", "unit": "mg"}
        for told in ({"reportedBoolean": True}, {"intent": "plan"}):
            assert from_fhir(prescription(**told)).content["entry"] == "list"

    def test_the_pharmacy_is_not_told_that_a_prescription_ends(self) -> None:
        held = prescription()
        change = parse_change(
            "medication", "discontinue", {"end": "2026-11-19", "status_reason": "dizzy"}
        )
        form = to_fhir(change, destination(held))
        assert form.resource["status"] == "stopped"
        assert form.resource["statusReason"] == {"text": "dizzy"}
        assert any("pharmacy" in one.sentence for one in form.uncarried)
        assert check(form.resource) == ()
        after = from_fhir(loads(dumps(form.resource))).content
        expected = change.applied_to(from_fhir(held).content)
        assert changed_fields("medication", expected, after) == ()
        # The list's own entry has no pharmacy behind it.
        assert to_fhir(change, destination(medication())).uncarried == ()

    def test_a_stranger_loses_nothing_and_breaks_nothing(self) -> None:
        strange = medication(
            status="intended",
            dosage=[{"doseAndRate": "twice", "timing": [], "route": {"coding": "x"}}],
            effectivePeriod="2024",
            reasonCode=[{"text": "pain"}, {"text": "fever"}],
            note=["x"],
            statusReason={"text": "x"},
        )
        form = from_fhir(strange)
        assert form.content == {"entry": "list", "drug": form.content["drug"]}
        places = " ".join(one.place for one in form.uncarried)
        for element in ("status", "dosage", "effectivePeriod", "reasonCode"):
            assert element in places


class TestInThePractice:
    def _listed(self, stage: Stage) -> str:
        return f"MedicationStatement/{stage.people[stage.who]['metformin']}"

    @pytest.fixture
    def stage(self, fresh_practice: Practice) -> Stage:
        return Stage(fresh_practice, "generic", who="P6")

    def test_is_written_changed_and_ended(self, stage: Stage) -> None:
        plan = stage.create(
            "medication",
            {**NEW, "drug": {"system": RXNORM, "code": "4511", "display": "folic acid"}},
        )
        listed = stage.send(plan)
        assert stage.held(plan) == [listed]
        changed = stage.change("medication", listed, dose=MG_850, **WITHOUT_WORDS)
        assert changed.touched == ("dose", "units_taken", "sig_text")
        stage.send(changed)
        entry = stage.entry("medication", listed)
        assert comparable_differences(changed.comparable, entry.comparable) == ()
        assert entry.canonical["dose"] == MG_850
        ended = stage.change(
            "medication", listed, "discontinue", end="2026-11-20", status_reason="done"
        )
        stage.send(ended)
        assert stage.entry("medication", listed).canonical["status"] == "stopped"
        stage.send(stage.change("medication", listed, "entered-in-error"))

    def test_the_lists_entry_of_the_chart_is_read_and_neighbours_are_found(
        self, stage: Stage
    ) -> None:
        baseline = stage.read("medication", context=("medications",))
        [entry] = baseline.neighbours("medication")
        assert entry.canonical["entry"] == "list"
        assert words("medication", "dose", entry.canonical["dose"]) == "500 mg"
        assert words("medication", "frequency", entry.canonical["frequency"]) == "twice a day"
        assert [one.kind for one in baseline.context("medications")] == ["medication"]

    def test_a_colleagues_dose_refuses_the_stale_update(self, stage: Stage) -> None:
        [entry] = stage.read("medication").neighbours("medication")
        plan = stage.change(
            "medication", entry.reference, dose={"value": "1000", "unit": "mg"}, sig_text=None
        )
        stage.practice.lever(
            "edit_as_colleague",
            vendor="generic",
            reference=entry.reference,
            set={"/dosage/0/doseAndRate/0/doseQuantity/value": 850},
        )
        with pytest.raises(VersionConflict):
            stage.send(plan)

    def test_a_prescription_is_changed_in_place_only_where_the_setting_says_so(
        self, fresh_practice: Practice
    ) -> None:
        change = {"dose": {"value": "20", "unit": "mg"}, "sig_text": None}
        careful = Stage(fresh_practice, "generic")
        [entry] = careful.read("medication").neighbours("medication")
        with pytest.raises(CannotBeCarried) as refused:
            careful.change("medication", entry.reference, **change)
        assert [i.code for i in refused.value.issues] == ["prescription-in-place"]
        plain = Stage(fresh_practice, "generic", prescription_in_place=True)
        plan = plain.change("medication", entry.reference, **change)
        assert plan.steps[0].scope == "system/MedicationRequest.u"
        plain.send(plan)
        assert plain.entry("medication", entry.reference).canonical["dose"] == change["dose"]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=4) | st.just("Condition/1"),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["coding", "code", "system", "text", "repeat", "when", "period", "frequency",
                 "doseQuantity", "value", "unit", "low", "numerator", "reference", "start", "end",
                 "doseAndRate", "timing", "quantity", "boundsPeriod", "periodUnit"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)  # fmt: skip


class TestNothingAStrangerWrites:
    @run_settings(deadline=None, max_examples=300)
    @given(
        kind=st.sampled_from(["medication", "order"]),
        type_name=st.sampled_from(["MedicationStatement", "MedicationRequest", "ServiceRequest"]),
        elements=st.dictionaries(
            st.sampled_from(
                ["dosage", "dosageInstruction", "status", "statusReason", "effectivePeriod",
                 "reasonCode", "reasonReference", "note", "contained", "medicationReference",
                 "medicationCodeableConcept", "dispenseRequest", "category", "code", "bodySite",
                 "priorPrescription", "replaces", "meta", "identifier", "occurrenceDateTime"]
            ),
            JSON,
        ),
    )  # fmt: skip
    def test_stops_the_reading(self, kind: str, type_name: str, elements: dict[str, Any]) -> None:
        if (kind, type_name) == ("medication", "ServiceRequest") or type_name == (
            "MedicationStatement" if kind == "order" else ""
        ):
            return
        form = from_fhir({"resourceType": type_name, **elements}, kind=kind)
        read_change(kind, "create", form.content)
        for name, value in form.content.items():
            assert words(kind, name, value)
            same_value(kind, name, value, value)
