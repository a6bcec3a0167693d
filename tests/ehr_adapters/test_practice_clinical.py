"""Allergies, vital signs and results against the practice EHR, over HTTP."""

import json
from datetime import timedelta
from typing import Any

import pytest

from ehr_adapters.canonical.base import changed_fields, parse_change
from ehr_adapters.capabilities import Finality, FindMethod
from ehr_adapters.contract import Tag, WirePlan, comparable_differences
from ehr_adapters.errors import (
    AlreadyThere,
    CannotBeCarried,
    ContentRefused,
    NotPermitted,
    Unsupported,
    VersionConflict,
)
from tests.ehr_adapters.practice import Practice, fresh_practice, practice
from tests.ehr_adapters.test_practice_contract import Stage

__all__ = ["fresh_practice", "practice"]
pytestmark = pytest.mark.once

NUTS = {
    "substance": {"system": "http://snomed.info/sct", "code": "256349002", "display": "Peanut"},
    "category": "food",
    "clinical_status": "active",
    "verification": "unconfirmed",
    "criticality": "high",
    "reactions": [{"manifestation": "39579001", "severity": "severe", "onset": "2026-10"}],
    "note": "Told so today.",
}


@pytest.fixture
def generic(fresh_practice: Practice) -> Stage:
    return Stage(fresh_practice, "generic")


@pytest.fixture
def epic(fresh_practice: Practice) -> Stage:
    return Stage(fresh_practice, "epic")


def planned(
    stage: Stage,
    kind: str,
    interaction: str,
    content: dict[str, Any],
    *,
    who: str = "P1",
    target: str = "",
) -> WirePlan:
    baseline = stage.read(kind, who, interaction=interaction, target=target)
    change = parse_change(kind, interaction, content)
    return stage.adapter.render(change, tag=Tag.mint(), baseline=baseline)


def written(stage: Stage, plan: WirePlan) -> str:
    """Sends the plan; what the chart then holds is what was said, to the last element."""
    reference = stage.send(plan)
    entry = stage.adapter.read_entry(kind=plan.kind, reference=reference, at=stage.at)
    assert entry is not None
    assert comparable_differences(plan.comparable, entry.comparable) == ()
    said = stage.adapter.parse(plan).model_dump_canonical()
    assert changed_fields(plan.kind, said, entry.canonical) == ()
    return reference


class TestAllergiesOnTheGenericFront:
    def test_every_interaction_is_written_read_back_and_equal(self, generic: Stage) -> None:
        plan = planned(generic, "allergy", "create", NUTS)
        reference = written(generic, plan)
        assert generic.held(plan) == [reference]
        for interaction, content in (
            (
                "update",
                {"verification": "confirmed", "criticality": None, "reported_by": "patient"},
            ),
            ("update", {"reactions": [{"manifestation": "247472004"}], "last_seen": "2026"}),
            (
                "update",
                {"verification": "refuted", "note": "Tolerated peanut on a supervised test."},
            ),
            ("resolve", {}),
            ("entered-in-error", {"note": "Another patient's."}),
        ):
            changed = planned(generic, "allergy", interaction, content, target=reference)
            assert written(generic, changed) == reference
        with pytest.raises(CannotBeCarried):
            planned(generic, "allergy", "update", {"criticality": "low"}, target=reference)

    def test_a_colleagues_entry_keeps_all_that_the_change_does_not_name(
        self, generic: Stage
    ) -> None:
        target = generic.people["P2"]["entries"]["allergy_latex"]
        before = generic.adapter.read_entry(kind="allergy", reference=target, at=generic.at)
        assert before is not None
        plan = planned(
            generic, "allergy", "update", {"last_seen": "2026-11"}, who="P2", target=target
        )
        written(generic, plan)
        after = generic.adapter.read_entry(kind="allergy", reference=target, at=generic.at)
        assert after is not None
        assert comparable_differences(before.comparable, after.comparable) == ("/lastOccurrence",)

    def test_a_stale_version_is_refused(self, generic: Stage) -> None:
        reference = generic.send(planned(generic, "allergy", "create", NUTS))
        plan = planned(generic, "allergy", "update", {"criticality": "low"}, target=reference)
        generic.practice.lever(
            "edit_as_colleague",
            vendor="generic",
            patient="P1",
            reference=reference,
            changes={"type": "allergy"},
        )
        with pytest.raises(VersionConflict):
            generic.send(plan)

    def test_none_known_is_refused_beside_an_allergy_and_both_stand_is_said(
        self, generic: Stage
    ) -> None:
        none_known = {
            "substance": "716186003",
            "category": "medication",
            "clinical_status": "active",
            "verification": "confirmed",
        }
        with pytest.raises(CannotBeCarried) as refused:
            planned(generic, "allergy", "create", none_known, who="P2")
        assert refused.value.issues[0].code == "none-known-beside-active"
        # Ida's chart says that none is known.
        ida = planned(generic, "allergy", "create", NUTS | {"category": "medication"}, who="P4")
        assert [(r.code, r.pointer) for r in ida.remarks] == [("both-stand", "/substance")]


class TestAllergiesOnTheEpicFront:
    def test_one_waits_in_the_holding_tank_and_is_not_found_there(self, epic: Stage) -> None:
        plan = planned(epic, "allergy", "create", NUTS)
        assert plan.finality is Finality.STAGED
        reference = epic.send(plan)
        assert epic.adapter.read_entry(kind="allergy", reference=reference, at=epic.at) is None
        found = epic.adapter.find([plan.tag], plan, since=epic.at, at=epic.at)
        assert (found.complete, found.hits) == (False, ())
        names = [
            s.canonical["substance"]["code"] for s in epic.read("allergy").neighbours("allergy")
        ]
        assert "256349002" not in names

    def test_the_same_twice_waits_twice_so_nothing_is_sent_twice(self, epic: Stage) -> None:
        plan = planned(epic, "allergy", "create", NUTS)
        assert epic.send(plan) != epic.send(plan)
        assert not epic.adapter.capabilities.get("allergy", "create").retry.may_resend

    def test_an_accepted_one_is_what_was_sent_in_epics_words(self, epic: Stage) -> None:
        plan = planned(epic, "allergy", "create", NUTS)
        reference = epic.send(plan)
        epic.practice.lever("accept_staged", vendor="epic", reference=reference)
        entry = epic.adapter.read_entry(kind="allergy", reference=reference, at=epic.at)
        assert entry is not None
        assert comparable_differences(plan.comparable, entry.comparable) == ()
        assert "category" not in entry.canonical

    @pytest.mark.parametrize(
        ("change", "pointer"),
        [
            ({"verification": "confirmed"}, "/verification"),
            ({"clinical_status": "inactive"}, "/clinical_status"),
            ({"substance": "256349002"}, "/substance/display"),
            ({"reactions": [{"manifestation": "271807003"}]}, "/reactions/0/manifestation/display"),
        ],
    )
    def test_what_epic_would_refuse_is_refused_here(
        self, epic: Stage, change: dict[str, Any], pointer: str
    ) -> None:
        with pytest.raises(CannotBeCarried) as refused:
            planned(epic, "allergy", "create", NUTS | change)
        assert [one.pointer for one in refused.value.issues] == [pointer]

    def test_everything_else_is_typed_with_the_copy_card(self, epic: Stage) -> None:
        target = epic.people["P2"]["entries"]["allergy_latex"]
        for interaction, content in (
            ("update", {"criticality": "low"}),
            ("resolve", {}),
            ("entered-in-error", {}),
        ):
            with pytest.raises(Unsupported):
                planned(epic, "allergy", interaction, content, who="P2", target=target)
            card = epic.adapter.copy_card(parse_change("allergy", interaction, content))
            assert card.place.startswith("Allergies activity")


def just_now(stage: Stage) -> str:
    """A minute ago, in the visit that is open."""
    return (stage.at - timedelta(minutes=1)).isoformat(timespec="seconds")


def weighed(stage: Stage, value: str = "78.40", unit: str = "kg", **more: Any) -> dict[str, Any]:
    return {
        "readings": [{"code": "29463-7", "value": {"value": value, "unit": unit}}],
        "effective_at": just_now(stage),
        "origin": "measured",
    } | more


def pressed(stage: Stage, high: str, low: str, **more: Any) -> dict[str, Any]:
    return {
        "readings": [
            {"code": code, "value": {"value": value, "unit": "mm[Hg]"}}
            for code, value in (("8480-6", high), ("8462-4", low))
        ],
        "effective_at": just_now(stage),
        "origin": "measured",
    } | more


class TestVitalsOnTheGenericFront:
    def test_every_interaction_is_written_read_back_and_equal(self, generic: Stage) -> None:
        plan = planned(
            generic, "vitals", "create", pressed(generic, "148", "90", note="Second reading.")
        )
        reference = written(generic, plan)
        assert generic.held(plan) == [reference]
        for interaction, content in (
            ("update", {"readings": pressed(generic, "145", "90")["readings"]}),
            ("update", {"origin": "patient-reported", "note": None}),
            ("entered-in-error", {"note": "Another patient's."}),
        ):
            changed = planned(generic, "vitals", interaction, content, target=reference)
            assert written(generic, changed) == reference
        with pytest.raises(CannotBeCarried):
            planned(generic, "vitals", "update", {"note": "x"}, target=reference)

    def test_the_visit_is_named_only_where_it_was_measured_in_the_visit(
        self, generic: Stage
    ) -> None:
        during = generic.adapter.parse(
            planned(generic, "vitals", "create", weighed(generic))
        ).model_dump_canonical()
        assert during["encounter"].startswith("Encounter/")
        before = weighed(
            generic,
            origin="patient-reported",
            effective_at=(generic.at - timedelta(days=2)).isoformat(timespec="seconds"),
        )
        at_home = generic.adapter.parse(planned(generic, "vitals", "create", before))
        assert "encounter" not in at_home.model_dump_canonical()
        named = before | {"encounter": generic.people["P1"]["encounter"]}
        with pytest.raises(CannotBeCarried) as refused:
            planned(generic, "vitals", "create", named)
        assert [i.code for i in refused.value.issues] == ["outside-the-visit"]
        later = weighed(generic, effective_at=(generic.at + timedelta(hours=1)).isoformat())
        with pytest.raises(CannotBeCarried) as refused:
            planned(generic, "vitals", "create", later)
        assert [i.code for i in refused.value.issues] == ["in-the-future"]

    def test_several_measurements_are_several_changes(self, generic: Stage) -> None:
        both = pressed(generic, "148", "90")["readings"] + weighed(generic)["readings"]
        with pytest.raises(CannotBeCarried) as refused:
            planned(generic, "vitals", "create", weighed(generic, readings=both))
        assert refused.value.issues[0].code == "one-measurement"

    def test_the_neighbourhood_is_what_was_measured_and_no_laboratory_value(
        self, generic: Stage
    ) -> None:
        found = generic.read("vitals").neighbours("vitals")
        assert {one["code"]["code"] for s in found for one in s.canonical["readings"]} >= {
            "8480-6",
            "8462-4",
            "29463-7",
            "8867-4",
        }
        assert all(s.canonical["status"] == "final" for s in found)


class TestVitalsOnTheEpicFront:
    @pytest.mark.parametrize(
        ("value", "unit", "kept"),
        [("78.40", "kg", "78.40"), ("40", "[lb_av]", "18.14"), ("18250", "g", "18.250")],
    )
    def test_a_weight_is_filed_and_read_back_as_epic_keeps_it(
        self, epic: Stage, value: str, unit: str, kept: str
    ) -> None:
        plan = planned(
            epic, "vitals", "create", weighed(epic, value, unit, note="On the new scale.")
        )
        assert plan.finality is Finality.FILED
        reference = epic.send(plan)
        entry = epic.adapter.read_entry(kind="vitals", reference=reference, at=epic.at)
        assert entry is not None
        assert comparable_differences(plan.comparable, entry.comparable) == ()
        assert entry.canonical["readings"][0]["value"] == {"value": kept, "unit": "kg"}
        assert entry.canonical["note"] == "On the new scale."
        assert entry.carries(plan.tag)

    def test_the_same_value_twice_is_already_there_and_found_by_code_and_time(
        self, epic: Stage
    ) -> None:
        plan = planned(epic, "vitals", "create", pressed(epic, "148", "90"))
        reference = epic.send(plan)
        with pytest.raises(AlreadyThere):
            epic.send(plan)
        found = epic.adapter.find([plan.tag], plan, since=epic.at, at=epic.at)
        assert (found.method, found.complete) == (FindMethod.KEY, True)
        assert [(hit.snapshot.reference, hit.tag) for hit in found.hits] == [(reference, plan.tag)]

    def test_a_colleagues_value_at_the_same_time_is_found_and_not_taken_for_ours(
        self, epic: Stage
    ) -> None:
        plan = planned(epic, "vitals", "create", weighed(epic, "78.4"))
        other = planned(epic, "vitals", "create", weighed(epic, "79.0"))
        reference = epic.send(other)
        with pytest.raises(AlreadyThere):
            epic.send(plan)
        found = epic.adapter.find([plan.tag], plan, since=epic.at, at=epic.at)
        assert [(hit.snapshot.reference, hit.tag) for hit in found.hits] == [(reference, None)]
        assert comparable_differences(plan.comparable, found.hits[0].snapshot.comparable)

    def test_the_comment_with_the_reference_line_fits_epics_254(self, epic: Stage) -> None:
        cap = dict(epic.adapter.capabilities.get("vitals", "create").length_caps)["/note"]
        plan = planned(epic, "vitals", "create", weighed(epic, note="x" * cap))
        [note] = json.loads(plan.steps[0].body)["note"]
        assert len(note["text"]) == 254
        assert epic.send(plan)
        with pytest.raises(CannotBeCarried):
            planned(epic, "vitals", "create", weighed(epic, note="x" * (cap + 1)))

    def test_what_was_never_filed_is_absent(self, epic: Stage) -> None:
        plan = planned(epic, "vitals", "create", weighed(epic))
        found = epic.adapter.find([plan.tag], plan, since=epic.at, at=epic.at)
        assert (found.complete, found.hits) == (True, ())

    @pytest.mark.fault("epic.flowsheet-rows")
    def test_a_customer_without_the_row_takes_nothing(self, epic: Stage) -> None:
        plan = planned(epic, "vitals", "create", weighed(epic))
        epic.practice.settings("epic", flowsheet_rows=["8867-4"])
        with pytest.raises(NotPermitted) as refused:
            epic.send(plan)
        assert refused.value.vendor_code == "59188"

    def test_a_closed_visit_takes_nothing(self, epic: Stage) -> None:
        plan = planned(epic, "vitals", "create", weighed(epic))
        epic.practice.lever("close_visit", vendor="epic", patient="P1")
        with pytest.raises(ContentRefused):
            epic.send(plan)
        assert epic.adapter.capabilities.get("vitals", "create").needs_open_encounter

    def test_who_measured_and_where_is_said_not_to_be_sent(self, epic: Stage) -> None:
        content = pressed(epic, "148", "90", origin="patient-reported")
        for one in content["readings"]:
            one["site"] = "left arm"
        plan = planned(epic, "vitals", "create", content)
        assert {r.pointer for r in plan.not_carried} == {"/origin", "/readings/0/site"}


OUTSIDE = {
    "code": "2823-3",
    "value": {"value": "5.10", "unit": "mmol/L"},
    "range": "3.5 to 5.0 mmol/L",
    "flag": "high",
    "collected_at": "2026-10-01T07:40:00-06:00",
    "performer": "St. Osric Hospital Laboratory",
    "document": {"source": "Discharge summary", "page": 3},
    "comment": "Hemolyzed, as the letter says.",
}


class TestResultsOnTheGenericFront:
    @pytest.mark.parametrize(
        "value",
        [
            OUTSIDE["value"],
            {"value": "0.5", "unit": "ng/mL", "comparator": "<"},
            {"system": "http://snomed.info/sct", "code": "10828004", "display": "Positive"},
            "not detected",
        ],
    )
    def test_an_outside_result_is_written_read_back_and_equal(
        self, generic: Stage, value: Any
    ) -> None:
        plan = planned(generic, "result", "create", OUTSIDE | {"value": value})
        reference = written(generic, plan)
        assert generic.held(plan) == [reference]

    def test_a_comment_leaves_the_laboratorys_entry_as_it_is(self, generic: Stage) -> None:
        target = generic.people["P1"]["entries"]["potassium_2d"]
        before = generic.adapter.read_entry(kind="result", reference=target, at=generic.at)
        assert before is not None
        plan = planned(generic, "result", "comment", {"comment": "Discussed."}, target=target)
        written(generic, plan)
        after = generic.adapter.read_entry(kind="result", reference=target, at=generic.at)
        assert after is not None
        assert comparable_differences(before.comparable, after.comparable) == ("/note",)
        assert after.carries(plan.tag)
        assert after.canonical["comment"].endswith("Discussed.")

    def test_the_neighbourhood_is_the_laboratorys_and_no_vital_sign(self, generic: Stage) -> None:
        found = generic.read("result").neighbours("result")
        names = {s.canonical["code"]["code"] for s in found}
        assert {"2823-3", "2160-0"} <= names
        assert "29463-7" not in names


class TestResultsOnTheEpicFront:
    def test_are_typed_with_the_copy_card(self, epic: Stage) -> None:
        target = epic.people["P1"]["entries"]["potassium_2d"]
        for interaction, content in (("create", OUTSIDE), ("comment", {"comment": "Discussed."})):
            with pytest.raises(Unsupported):
                planned(
                    epic,
                    "result",
                    interaction,
                    content,
                    target=target if interaction == "comment" else "",
                )
            change = parse_change("result", interaction, content)
            assert epic.adapter.copy_card(change).place
        card = epic.adapter.copy_card(parse_change("result", "create", OUTSIDE))
        assert ("Result", "5.10 mmol/L") in card.lines
