"""A task: what may be said of it, how it stands in FHIR R4, and in the practice EHR over HTTP."""

from typing import Any

import pytest

from ehr_adapters.canonical.base import ChangeInvalid, changed_fields, parse_change
from ehr_adapters.canonical.fhir_r4 import Destination, from_fhir, to_fhir
from ehr_adapters.canonical.strict_r4 import check
from ehr_adapters.contract import TAG_SYSTEM, comparable_differences
from ehr_adapters.errors import CannotBeCarried, VersionConflict
from tests.ehr_adapters.contents import SAMPLES
from tests.ehr_adapters.fake_ehr import OLD_TAG, task
from tests.ehr_adapters.practice import Practice, fresh_practice, practice
from tests.ehr_adapters.stage import Stage

__all__ = ["fresh_practice", "practice"]
pytestmark = pytest.mark.once

NEW = SAMPLES["task", "create"]


def destination(current: dict[str, Any] | None = None) -> Destination:
    return Destination(
        patient="Patient/pa-1",
        tag_system=TAG_SYSTEM,
        tag_value=OLD_TAG.uuid,
        tag_short=OLD_TAG.short,
        current=current,
    )


class TestWhatMayBeSaid:
    def test_a_new_task_is_asked_for_whoever_says_what(self) -> None:
        change = parse_change("task", "create", {**NEW, "about": ["Condition/co-1"]})
        assert change.model_dump_canonical()["status"] == "requested"
        with pytest.raises(ChangeInvalid) as refused:
            parse_change("task", "create", {**NEW, "status": "completed"})
        assert refused.value.issues[0].code == "contradicts-interaction"

    @pytest.mark.parametrize(
        ("more", "pointer", "code"),
        [
            ({"owner": "Patient/pa-1"}, "/owner", "bad-reference"),
            ({"due": "tomorrow"}, "/due", "bad-date"),
            ({"about": []}, "/about", "too-few"),
            ({"about": [f"Condition/c{n}" for n in range(21)]}, "/about", "too-long"),
            ({"about": ["Patient/pa-1"]}, "/about/0", "bad-reference"),
            ({"priority": "now"}, "/priority", "unknown-code"),
        ],
    )
    def test_that_a_task_does_not_hold_is_refused(
        self, more: dict[str, Any], pointer: str, code: str
    ) -> None:
        with pytest.raises(ChangeInvalid) as refused:
            parse_change("task", "create", NEW | more)
        assert [(i.pointer, i.code) for i in refused.value.issues] == [(pointer, code)]

    @pytest.mark.parametrize("status", ["completed", "cancelled"])
    def test_what_is_over_is_not_changed_or_cancelled(self, status: str) -> None:
        for interaction, content in (("update", {"due": "2026-12-24"}), ("cancel", {})):
            found = parse_change("task", interaction, content).conflicts_with({"status": status})
            assert [i.code for i in found] == [f"already-{status}"]

    def test_an_update_says_something(self) -> None:
        with pytest.raises(ChangeInvalid) as refused:
            parse_change("task", "update", {})
        assert [i.code for i in refused.value.issues] == ["empty"]


class TestInFhir:
    def test_is_valid_and_reads_back(self) -> None:
        change = parse_change("task", "create", NEW)
        form = to_fhir(change, destination())
        assert check(form.resource) == ()
        assert form.uncarried == ()
        assert form.resource["restriction"] == {"period": {"end": "2026-11-27"}}
        assert form.resource["focus"] == {"reference": "Condition/co-1"}
        read = from_fhir(form.resource, tag_system=TAG_SYSTEM)
        assert read.content == change.model_dump_canonical()
        assert (read.uncarried, read.tags) == ((), (OLD_TAG.uuid,))

    def test_an_update_leaves_everything_else_as_it_came(self) -> None:
        held = task(businessStatus={"text": "second call"})
        change = parse_change("task", "update", {"about": ["Communication/c-1"], "due": "2027-01"})
        form = to_fhir(change, destination(held))
        assert form.resource["input"] == held["input"][:1]
        assert form.resource["focus"] == {"reference": "Communication/c-1"}
        assert form.resource["restriction"] == {"repetitions": 1, "period": {"end": "2027-01"}}
        for name in ("businessStatus", "code", "owner", "authoredOn", "identifier"):
            assert form.resource[name] == held[name]

    def test_a_strangers_task_is_read_and_nothing_of_it_goes_unseen(self) -> None:
        stranger = task(
            status="on-hold",
            intent="plan",
            code={"coding": [{"system": "urn:x", "code": "call"}], "text": "Call"},
            owner={"reference": "Patient/pa-1"},
            restriction={"period": {"end": "2026-11-21T17:00:00Z"}},
            focus={"reference": "https://elsewhere/Task/1"},
            note=[{"text": "left a message"}],
        )
        read = from_fhir(stranger, tag_system=TAG_SYSTEM)
        assert read.content == {
            "title": "Call",
            "due": "2026-11-21",
            "priority": "urgent",
            "about": ["Observation/ob-1"],
            "description": "Ask about the cough.",
        }
        assert {one.place for one in read.uncarried} == {
            "status",
            "intent",
            "code.coding[0].system",
            "code.coding[0].code",
            "owner.reference",
            "restriction.period.end",
            "focus.reference",
            "note[0].text",
            "authoredOn",
            "input[0].type.text",
            "input[0].valueString",
        }

    def test_the_codes_of_old_words_go_with_them_and_it_is_said(self) -> None:
        held = task(code={"coding": [{"system": "urn:x", "code": "call"}], "text": "Call"})
        form = to_fhir(parse_change("task", "update", {"title": "Write"}), destination(held))
        assert form.resource["code"] == {"text": "Write"}
        assert [(one.place, one.removed) for one in form.uncarried] == [("/title", True)]


class TestInThePracticeEhr:
    def test_is_made_found_changed_and_cancelled(self, fresh_practice: Practice) -> None:
        stage = Stage(fresh_practice, "generic")
        nurse = stage.people["staff"]["nurse"]["practitioner"]
        plan = stage.create("task", NEW | {"owner": f"Practitioner/{nurse}"})
        made = stage.send(plan)
        assert stage.held(plan) == [made]
        baseline = stage.read("task")
        assert [s.reference for s in baseline.neighbours("task")] == [made]
        for interaction, content in (
            ("update", {"status": "accepted", "due": "2026-12-24", "description": None}),
            ("cancel", {}),
        ):
            plan = stage.change("task", made, interaction, **content)
            stage.send(plan)
            entry = stage.entry("task", made)
            assert comparable_differences(plan.comparable, entry.comparable) == ()
            said = stage.adapter.parse(plan).model_dump_canonical()
            assert changed_fields("task", said, entry.canonical) == ()
        assert stage.read("task").neighbours("task") == ()
        with pytest.raises(CannotBeCarried):
            stage.change("task", made, "cancel")

    def test_the_words_of_somebody_elses_task_are_left_alone(
        self, fresh_practice: Practice
    ) -> None:
        stage = Stage(fresh_practice, "generic")
        patient = stage.people["P1"]["patient"]
        foreign = {"for": {"reference": f"Patient/{patient}"}, "identifier": [], "id": "x"}
        posted = {k: v for k, v in task(**foreign).items() if v and k not in {"id", "meta"}}
        for gone in ("focus", "input", "owner"):
            del posted[gone]
        reply = stage.backend.post("Task", posted)
        assert reply.status_code == 201, reply.text
        made = f"Task/{reply.json()['id']}"
        with pytest.raises(CannotBeCarried) as refused:
            stage.change("task", made, description="Other words.")
        assert [(i.code, i.pointer) for i in refused.value.issues] == [
            ("foreign-entry", "/description")
        ]
        stage.send(stage.change("task", made, status="completed"))
        assert stage.entry("task", made).canonical["status"] == "completed"

    def test_a_colleague_who_was_quicker_is_not_overwritten(self, fresh_practice: Practice) -> None:
        stage = Stage(fresh_practice, "generic")
        made = stage.send(stage.create("task", NEW))
        plan = stage.change("task", made, status="accepted")
        fresh_practice.lever(
            "edit_as_colleague",
            vendor="generic",
            patient="P1",
            reference=made,
            changes={"status": "in-progress"},
        )
        with pytest.raises(VersionConflict):
            stage.send(plan)
        assert stage.entry("task", made).canonical["status"] == "in-progress"
