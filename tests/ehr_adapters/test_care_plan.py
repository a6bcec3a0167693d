"""A care plan: its goals travel inside it, and an entry that keeps its words keeps the rest."""

from typing import Any

import pytest

from ehr_adapters.canonical.base import ChangeInvalid, changed_fields, parse_change, words
from ehr_adapters.canonical.fhir_r4 import Destination, from_fhir, to_fhir
from ehr_adapters.canonical.strict_r4 import check
from ehr_adapters.contract import TAG_SYSTEM, Tag, comparable_differences
from ehr_adapters.errors import CannotBeCarried
from tests.ehr_adapters.contents import SAMPLES
from tests.ehr_adapters.fake_ehr import care_plan
from tests.ehr_adapters.practice import Practice, fresh_practice, practice
from tests.ehr_adapters.stage import Stage

__all__ = ["fresh_practice", "practice"]
pytestmark = pytest.mark.once

NEW = SAMPLES["care_plan", "create"]
TAG = Tag("7b0e3c0a-9d0b-4c5e-8a41-5b2c1d0e9f33")


def destination(current: dict[str, Any] | None = None) -> Destination:
    return Destination(
        patient="Patient/pa-1",
        tag_system=TAG_SYSTEM,
        tag_value=TAG.uuid,
        tag_short=TAG.short,
        current=current,
    )


def updated(content: dict[str, Any], held: dict[str, Any]) -> Any:
    return to_fhir(parse_change("care_plan", "update", content), destination(held))


class TestWhatMayBeSaid:
    @pytest.mark.parametrize(
        ("interaction", "content", "found"),
        [
            ("create", NEW | {"status": "revoked"}, ("/status", "not-in-this-interaction")),
            ("create", NEW | {"period": {}}, ("/period", "empty")),
            (
                "create",
                NEW | {"period": {"start": "2026-11", "end": "2026-10-30"}},
                ("/period/end", "contradiction"),
            ),
            (
                "create",
                NEW | {"goals": [{"text": "a", "target": {"value": "7", "unit": "%"}}]},
                ("/goals/0/measure", "missing"),
            ),
            (
                "create",
                NEW
                | {
                    "goals": [
                        {"text": "a", "measure": "4548-4", "target": {"value": "7", "unit": "pct"}}
                    ]
                },
                ("/goals/0/target/unit", "unknown-unit"),
            ),
            ("create", NEW | {"goals": [{"text": "a"}] * 2}, ("/goals/1/text", "duplicate")),
            ("create", NEW | {"addresses": ["Patient/1"]}, ("/addresses/0", "bad-reference")),
            ("update", {}, ("", "empty")),
            ("discontinue", {"period": {"start": "2026"}}, ("/period/end", "missing")),
        ],
    )
    def test_that_it_does_not_hold_is_refused(
        self, interaction: str, content: dict[str, Any], found: tuple[str, str]
    ) -> None:
        with pytest.raises(ChangeInvalid) as refused:
            parse_change("care_plan", interaction, content)
        assert found in [(i.pointer, i.code) for i in refused.value.issues]

    def test_is_read_aloud(self) -> None:
        content = parse_change("care_plan", "create", NEW).model_dump_canonical()
        assert words("care_plan", "activities", content["activities"]) == (
            "Measure at home, by the patient, each morning"
        )
        assert "by Systolic blood pressure (8480-6), target <130 mmHg, until 2027-02" in words(
            "care_plan", "goals", content["goals"]
        )

    def test_the_end_leaves_the_beginning(self) -> None:
        change = parse_change("care_plan", "discontinue", {"period": {"end": "2026-12-01"}})
        now = {"status": "active", "period": {"start": "2026-01"}}
        assert change.applied_to(now) == {
            "status": "revoked",
            "period": {"start": "2026-01", "end": "2026-12-01"},
        }
        early = {"status": "active", "period": {"start": "2027-01"}}
        assert [i.code for i in change.conflicts_with(early)] == ["contradiction"]
        assert [i.code for i in change.conflicts_with({"status": "completed"})] == [
            "already-completed"
        ]


class TestInFhir:
    def test_is_valid_with_its_goals_inside_and_reads_back(self) -> None:
        change = parse_change("care_plan", "create", NEW)
        form = to_fhir(change, destination())
        assert check(form.resource) == ()
        [goal] = form.resource["contained"]
        assert form.resource["goal"] == [{"reference": f"#{goal['id']}"}]
        assert goal["subject"] == {"reference": "Patient/pa-1"}
        assert goal["target"][0]["detailQuantity"]["comparator"] == "<"
        read = from_fhir(form.resource, tag_system=TAG_SYSTEM)
        assert (read.content, read.uncarried) == (change.model_dump_canonical(), ())

    def test_a_goal_that_keeps_its_words_keeps_what_else_is_said_of_it(self) -> None:
        held = care_plan()
        goal = {
            "text": "HbA1c below 7",
            "measure": "4548-4",
            "target": {"value": "6.5", "unit": "%", "comparator": "<"},
        }
        form = updated({"goals": [goal, {"text": "Walk daily"}]}, held)
        first, second = form.resource["contained"]
        assert first["achievementStatus"] == {"text": "improving"}
        assert str(first["target"][0]["detailQuantity"]["value"]) == "6.5"
        assert second["description"] == {"text": "Walk daily"}
        assert form.resource["goal"] == [
            {"reference": "#g1"},
            {"reference": f"#{second['id']}"},
            {"reference": "Goal/elsewhere"},
        ]
        assert form.uncarried == ()
        assert check(form.resource) == ()

    def test_what_goes_away_is_said_and_what_is_told_elsewhere_stays(self) -> None:
        form = updated({"goals": None, "activities": [{"text": "Diet"}]}, care_plan())
        assert "contained" not in form.resource
        assert form.resource["goal"] == [{"reference": "Goal/elsewhere"}]
        assert form.resource["activity"] == [
            {"detail": {"status": "not-started", "description": "Diet"}},
            {"reference": {"reference": "ServiceRequest/sr-1"}},
        ]
        assert [(one.place, one.removed) for one in form.uncarried] == [
            ("/goals", True),
            ("/activities", True),
        ]

    def test_an_activity_that_keeps_its_words_keeps_its_status(self) -> None:
        form = updated({"activities": [{"text": "Foot check", "when": "monthly"}]}, care_plan())
        assert form.resource["activity"][0] == {
            "detail": {
                "status": "in-progress",
                "description": "Foot check",
                "scheduledString": "monthly",
            }
        }

    def test_a_strangers_plan_is_read_and_nothing_goes_unseen(self) -> None:
        read = from_fhir(care_plan(), tag_system=TAG_SYSTEM)
        assert read.content == {
            "title": "Diabetes",
            "status": "active",
            "period": {"start": "2026-01-01"},
            "addresses": ["Condition/co-1"],
            "goals": [
                {
                    "text": "HbA1c below 7",
                    "measure": {"system": "http://loinc.org", "code": "4548-4"},
                    "target": {"value": "7", "unit": "%", "comparator": "<"},
                }
            ],
            "activities": [{"text": "Foot check", "when": "each quarter"}],
        }
        assert {one.place for one in read.uncarried} == {
            "author.reference",
            "contained[0].achievementStatus.text",
            "goal[0].reference",
            "activity[0].detail.status",
            "activity[1].reference.reference",
        }


class TestInThePracticeEhr:
    def test_is_made_changed_and_ended(self, fresh_practice: Practice) -> None:
        stage = Stage(fresh_practice, "generic")
        plan = stage.create("care_plan", NEW)
        made = stage.send(plan)
        assert stage.held(plan) == [made]
        assert [s.reference for s in stage.read("care_plan").neighbours("care_plan")] == [made]
        for interaction, content in (
            ("update", {"goals": [{"text": "Walk daily", "due": "2027"}], "addresses": None}),
            ("discontinue", {"period": {"end": "2026-12-24"}}),
        ):
            plan = stage.change("care_plan", made, interaction, **content)
            stage.send(plan)
            entry = stage.entry("care_plan", made)
            assert comparable_differences(plan.comparable, entry.comparable) == ()
            said = stage.adapter.parse(plan).model_dump_canonical()
            assert changed_fields("care_plan", said, entry.canonical) == ()
        assert stage.entry("care_plan", made).canonical["goals"] == [
            {"text": "Walk daily", "due": "2027"}
        ]
        assert stage.read("care_plan").neighbours("care_plan") == ()
        with pytest.raises(CannotBeCarried):
            stage.change("care_plan", made, title="Again")
