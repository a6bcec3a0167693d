"""Answers to a questionnaire: scores are reckoned, self-harm is seen, corrections keep the rest."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ehr_adapters.canonical.base import ChangeInvalid, changed_fields, parse_change
from ehr_adapters.canonical.codes import LOINC, is_well_formed
from ehr_adapters.canonical.fhir_r4 import Destination, from_fhir, to_fhir
from ehr_adapters.canonical.questionnaire import computed_score, self_harm_positive
from ehr_adapters.canonical.scoring import FORMS, SELF_HARM_ITEM
from ehr_adapters.canonical.strict_r4 import check
from ehr_adapters.contract import TAG_SYSTEM, Tag, comparable_differences
from ehr_adapters.errors import CannotBeCarried, ContentRefused
from tests.ehr_adapters.contents import HELD_FORM, SAMPLES
from tests.ehr_adapters.fake_ehr import questionnaire_response
from tests.ehr_adapters.practice import Practice, fresh_practice, practice
from tests.ehr_adapters.stage import Stage

__all__ = ["fresh_practice", "practice"]
pytestmark = pytest.mark.once

NEW = SAMPLES["questionnaire", "create"]
TAG = Tag("7b0e3c0a-9d0b-4c5e-8a41-5b2c1d0e9f33")
HOW_OFTEN = ("LA6568-5", "LA6569-3", "LA6570-1", "LA6571-9")
PHQ9 = next(form for form in FORMS if form.panel == "44249-1")


def destination(current: dict[str, Any] | None = None) -> Destination:
    return Destination(
        patient="Patient/pa-1",
        tag_system=TAG_SYSTEM,
        tag_value=TAG.uuid,
        tag_short=TAG.short,
        current=current,
    )


def phq9(points: list[int], **more: Any) -> dict[str, Any]:
    return {
        "form": {"id": "http://loinc.org/q/44249-1"},
        "answered_by": "patient",
        "answered_at": "2026-11-20T08:30:00-06:00",
        "answers": [
            {"link_id": f"/{item}", "value": {"system": LOINC, "code": HOW_OFTEN[given]}}
            for item, given in zip(PHQ9.items, points, strict=False)
        ],
    } | more


class TestScores:
    def test_the_tables_hold_codes_with_right_check_digits(self) -> None:
        for form in FORMS:
            for code in (form.panel, form.total, *form.items):
                assert is_well_formed(system=LOINC, code=code), code
            assert len(set(form.items)) == len(form.items)

    @given(st.lists(st.integers(0, 3), min_size=9, max_size=9))
    def test_are_the_sum_of_the_answers_however_these_are_said(self, points: list[int]) -> None:
        by_number = [{"link_id": str(n + 1), "value": given} for n, given in enumerate(points)]
        for content in (
            phq9(points),
            {"form": {"id": "Questionnaire/PHQ-9"}, "answers": by_number},
        ):
            score = computed_score(content)
            assert score == {"value": sum(points), "method": PHQ9.method}

    @pytest.mark.parametrize(
        "content",
        [
            phq9([1] * 8),
            phq9([1] * 9) | {"form": {"id": "http://clinic.example/sleep"}},
            phq9([1] * 9) | {"answers": [*phq9([1] * 9)["answers"], {"link_id": "1", "value": 2}]},
            phq9([1] * 9)
            | {"answers": [*phq9([1] * 8)["answers"], {"link_id": "9", "value": "often"}]},
        ],
        ids=["an item is missing", "an unknown form", "answered twice", "not understood"],
    )
    def test_are_not_guessed(self, content: dict[str, Any]) -> None:
        assert computed_score(content) is None
        with pytest.raises(ChangeInvalid) as refused:
            parse_change("questionnaire", "create", content | {"score": {"value": 9}})
        assert [i.code for i in refused.value.issues] == ["not-reckoned"]

    def test_a_difference_is_an_error(self) -> None:
        right = phq9([2] * 9, score={"value": 18})
        parse_change("questionnaire", "create", right)
        with pytest.raises(ChangeInvalid) as refused:
            parse_change("questionnaire", "create", right | {"score": {"value": 17}})
        assert [(i.pointer, i.code) for i in refused.value.issues] == [
            ("/score/value", "wrong-score")
        ]
        slipped = [*right["answers"], {"link_id": f"/{PHQ9.total}", "value": 17}]
        with pytest.raises(ChangeInvalid) as refused:
            parse_change("questionnaire", "create", right | {"answers": slipped})
        assert [(i.pointer, i.code) for i in refused.value.issues] == [
            ("/answers/9", "contradiction")
        ]

    def test_stand_in_the_forms_own_item(self) -> None:
        change = parse_change("questionnaire", "create", phq9([2, 1, 0, 0, 0, 0, 0, 0, 0]))
        change = change.completed(**change.reckoned())
        form = to_fhir(change, destination())
        assert form.resource["item"][-1] == {"linkId": "/44261-6", "answer": [{"valueDecimal": 3}]}
        assert check(form.resource) == ()
        read = from_fhir(form.resource, tag_system=TAG_SYSTEM)
        assert read.content["score"] == {"value": 3, "method": PHQ9.method}
        assert len(read.content["answers"]) == 9
        amended = parse_change(
            "questionnaire", "amend", {"form": NEW["form"], "answers": NEW["answers"]}
        )
        assert "score" not in amended.applied_to(read.content)


class TestSelfHarm:
    @pytest.mark.parametrize("given", [1, 2, 3])
    def test_a_positive_ninth_item_is_seen(self, given: int) -> None:
        assert self_harm_positive(phq9([0] * 8 + [given]))

    def test_not_at_all_is_not(self) -> None:
        assert not self_harm_positive(phq9([3] * 8 + [0]))
        assert not self_harm_positive(phq9([3] * 8))

    @pytest.mark.parametrize(
        ("answer", "positive"),
        [
            ({"link_id": SELF_HARM_ITEM, "value": "now and then"}, True),
            ({"link_id": SELF_HARM_ITEM, "value": "Not at all"}, False),
            ({"link_id": SELF_HARM_ITEM, "value": 0}, False),
            ({"link_id": SELF_HARM_ITEM, "value": 4}, True),
            ({"link_id": SELF_HARM_ITEM, "value": True}, True),
            ({"link_id": SELF_HARM_ITEM, "value": False}, False),
            ({"link_id": "x", "question": "Thoughts of hurting yourself", "value": 1}, True),
            (
                {
                    "link_id": "x",
                    "question": "Better off dead?",
                    "value": {"system": "urn:ehr", "code": "7", "display": "Not at all"},
                },
                False,
            ),
            (
                {
                    "link_id": "x",
                    "question": "Better off dead?",
                    "value": {"system": LOINC, "code": "LA6571-9", "display": "Not at all"},
                },
                True,
            ),
            ({"link_id": "9", "value": 3}, False),
        ],
    )
    def test_in_any_form_by_code_or_question(self, answer: dict[str, Any], positive: bool) -> None:
        content = {"form": {"id": "http://clinic.example/mood"}, "answers": [answer]}
        assert self_harm_positive(content) is positive

    def test_the_number_counts_in_a_phq_9(self) -> None:
        assert self_harm_positive(
            {"form": {"id": "phq9"}, "answers": [{"link_id": "9", "value": 2}]}
        )


class TestWhatMayBeSaid:
    @pytest.mark.parametrize(
        ("more", "pointer", "code"),
        [
            ({"answers": []}, "/answers", "too-few"),
            ({"form": {"id": "a|b"}}, "/form/id", "bad-form"),
            ({"form": {"id": "a", "assignment": "Task/1"}}, "/form/assignment", "bad-reference"),
            ({"answered_at": "2026-11-20"}, "/answered_at", "bad-instant"),
            ({"answers": [{"link_id": "a", "value": 1.5}]}, "/answers/0/value", "wrong-type"),
        ],
    )
    def test_that_it_does_not_hold_is_refused(
        self, more: dict[str, Any], pointer: str, code: str
    ) -> None:
        with pytest.raises(ChangeInvalid) as refused:
            parse_change("questionnaire", "create", NEW | more)
        assert (pointer, code) in [(i.pointer, i.code) for i in refused.value.issues]

    def test_several_answers_to_one_item_stand_together(self) -> None:
        apart = [{"link_id": each, "value": each} for each in ("a", "b", "a")]
        with pytest.raises(ChangeInvalid):
            parse_change("questionnaire", "create", NEW | {"answers": apart})
        change = parse_change("questionnaire", "create", NEW | {"answers": sorted(apart, key=str)})
        form = to_fhir(change, destination())
        assert [len(item["answer"]) for item in form.resource["item"]] == [2, 1]
        assert from_fhir(form.resource).content["answers"] == sorted(apart, key=str)

    def test_another_form_is_another_entry(self) -> None:
        change = parse_change(
            "questionnaire", "amend", {"form": {"id": "b"}, "answers": NEW["answers"]}
        )
        assert [i.code for i in change.conflicts_with({"form": {"id": "a"}})] == ["another-fact"]


class TestInFhir:
    def test_is_valid_and_reads_back(self) -> None:
        change = parse_change("questionnaire", "create", NEW)
        form = to_fhir(change, destination())
        assert check(form.resource) == ()
        assert form.resource["identifier"] == {"system": TAG_SYSTEM, "value": TAG.uuid}
        read = from_fhir(form.resource, tag_system=TAG_SYSTEM)
        assert read.content == change.model_dump_canonical()
        assert (read.uncarried, read.tags) == ((), (TAG.uuid,))

    def test_corrected_answers_find_their_places_and_nothing_else_moves(self) -> None:
        held = questionnaire_response()
        change = parse_change(
            "questionnaire",
            "amend",
            {
                "form": HELD_FORM,
                "answers": [{"link_id": "wakes", "value": 3}, {"link_id": "hours", "value": 6}],
            },
        )
        form = to_fhir(change, destination(held))
        assert form.resource["status"] == "amended"
        assert form.resource["item"] == [
            {
                "linkId": "night",
                "text": "About your nights",
                "item": [
                    {"linkId": "hours", "text": "Hours", "answer": [{"valueInteger": 6}]},
                    {"linkId": "since", "text": "Since", "answer": [{"valueDate": "2026-09"}]},
                ],
            },
            {"linkId": "wakes", "answer": [{"valueInteger": 3}]},
        ]
        assert check(form.resource) == ()
        expected = change.applied_to(from_fhir(held).content)
        assert changed_fields("questionnaire", expected, from_fhir(form.resource).content) == ()

    def test_what_no_field_holds_is_listed(self) -> None:
        stranger = questionnaire_response(
            source={"reference": "Practitioner/pr-1"},
            authored="2026-11-19",
            author={"reference": "Device/1"},
        )
        read = from_fhir(stranger, tag_system=TAG_SYSTEM)
        assert read.content["answered_by"] == "clinician"
        assert [a["link_id"] for a in read.content["answers"]] == ["hours", "snores"]
        assert {one.place for one in read.uncarried} >= {
            "source.reference",
            "authored",
            "author.reference",
            "item[0].item[0].answer[0].valueDate",
        }

    def test_an_unknown_forms_score_is_not_sent(self) -> None:
        content = phq9([1] * 9)
        content["form"] = {"id": "Questionnaire/phq-9"}
        content["answers"] = [{"link_id": str(n), "value": 1} for n in range(1, 10)]
        change = parse_change("questionnaire", "create", content)
        form = to_fhir(change.completed(**change.reckoned()), destination())
        assert [one.place for one in form.uncarried] == ["/score"]


class TestInThePracticeEhr:
    def test_is_filed_found_and_corrected(self, fresh_practice: Practice) -> None:
        stage = Stage(fresh_practice, "generic")
        plan = stage.create("questionnaire", phq9([1] * 9))
        assert stage.adapter.parse(plan).model_dump_canonical()["score"]["value"] == 9
        made = stage.send(plan)
        assert stage.held(plan) == [made]
        amended = phq9([1] * 8 + [0])
        plan = stage.change(
            "questionnaire", made, "amend", form=amended["form"], answers=amended["answers"]
        )
        stage.send(plan)
        entry = stage.entry("questionnaire", made)
        assert entry.canonical["score"]["value"] == 8
        assert comparable_differences(plan.comparable, entry.comparable) == ()
        assert stage.backend.get(made).json()["status"] == "amended"

    def test_epic_takes_answers_to_what_it_has_assigned_and_finds_no_proof(
        self, fresh_practice: Practice
    ) -> None:
        stage = Stage(fresh_practice, "epic")
        form = "http://clinic.example/Questionnaire/sleep"
        assigned = fresh_practice.lever(
            "add_resource",
            vendor="epic",
            patient="P1",
            resource={
                "resourceType": "ServiceRequest",
                "status": "active",
                "intent": "order",
                "instantiatesCanonical": [form],
                "subject": {"reference": "Patient/x"},
            },
        )["reference"]
        with pytest.raises(CannotBeCarried) as refused:
            stage.create("questionnaire", NEW | {"form": {"id": form}})
        assert [i.pointer for i in refused.value.issues] == ["/form/assignment"]
        other = {"id": "http://clinic.example/Questionnaire/other", "assignment": assigned}
        with pytest.raises(ContentRefused) as unknown:
            stage.send(stage.create("questionnaire", NEW | {"form": other}))
        assert unknown.value.vendor_code == "59159"
        plan = stage.create("questionnaire", NEW | {"form": {"id": form, "assignment": assigned}})
        made = stage.send(plan)
        entry = stage.entry("questionnaire", made)
        assert comparable_differences(plan.comparable, entry.comparable) == ()
        found = stage.adapter.find([plan.tag], plan, since=stage.at, at=stage.at)
        assert not found.method.hit_proves
        assert [hit.snapshot.reference for hit in found.hits] == [made]
