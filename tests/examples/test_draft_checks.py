"""The checks find the faults that they are for: each is planted in a good draft."""

import copy
from collections.abc import Callable
from typing import Any

import pytest

from tests.examples import consultations, draft_checks

pytestmark = pytest.mark.once

Draft = dict[str, Any]


@pytest.fixture(scope="module")
def good() -> tuple[Draft, str]:
    (consultation,) = [
        one for one in consultations.own() if one.title == "okonkwo-dizzy-on-standing"
    ]
    return consultations.proposal(consultation), consultation.text


def rewritten(draft: Draft, old: str, new: str) -> Draft:
    """The draft with other words at one place, spans moved along."""
    changed = copy.deepcopy(draft)
    note = changed["changes"][0]
    for number, section in enumerate(note["content"]["sections"]):
        place = section["text"].find(old)
        if place < 0:
            continue
        section["text"] = section["text"].replace(old, new, 1)
        for item in note["evidence"]:
            if item["path"] == f"/sections/{number}/text":
                item["span"] = [
                    edge + (len(new) - len(old)) * (edge > place) for edge in item["span"]
                ]
        return changed
    raise AssertionError(f"{old!r} is not in the draft")


def test_a_good_draft_has_no_fault(good: tuple[Draft, str]) -> None:
    assert draft_checks.faults(*good) == []


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("126 over 78", "136 over 78", "number"),
        ("ten milligrams", "twenty milligrams", "number"),
        ("for four days", "for four weeks", "unit"),
        ("takes lisinopril", "takes amlodipine", "drug"),
        ("dizzy when they stand up", "chest pain when they stand up", "problem"),
        ("both ankles", "the left ankle", "side"),
        ("Patient denies chest pain", "Patient reports chest pain", "denied in the source"),
        ("they get dizzy", "they never get dizzy", "affirmed in the source"),
        ("if the patient faints, or if they get any chest pain", "the patient faints and gets chest pain", "supposed in the source"),
        ("dizzy when they stand up", "dizzy um when they stand up", "filler"),
        ("Lying down the patient's blood pressure", "Patient says lying down the patient's blood pressure", "the patient did not say it"),
        ("Patient takes lisinopril", "Clinician takes lisinopril", "the clinician did not say it"),
        ("dizzy when they stand up", 'dizzy "whenever I rise"', "quotation"),
    ],
)  # fmt: skip
def test_a_planted_fault_is_found(good: tuple[Draft, str], old: str, new: str, fault: str) -> None:
    draft, source = good

    found = draft_checks.faults(rewritten(draft, old, new), source)

    assert any(fault in one for one in found), found


def _with_moved_quote(draft: Draft) -> None:
    draft["changes"][0]["evidence"][0]["start"] += 1


def _with_altered_source(draft: Draft) -> None:
    draft["sources"][0]["text"] += " "


def _with_one_section(draft: Draft) -> None:
    del draft["changes"][0]["content"]["sections"][1:]


@pytest.mark.parametrize(
    ("spoil", "fault"),
    [
        (_with_moved_quote, "quote is not the source"),
        (_with_altered_source, "altered"),
        (_with_one_section, "sections"),
    ],
)
def test_broken_evidence_is_found(
    good: tuple[Draft, str], spoil: Callable[[Draft], None], fault: str
) -> None:
    draft, source = copy.deepcopy(good[0]), good[1]
    spoil(draft)

    assert any(fault in one for one in draft_checks.faults(draft, source))


def test_a_sentence_without_a_quote_is_found(good: tuple[Draft, str]) -> None:
    draft = copy.deepcopy(good[0])
    note = draft["changes"][0]
    first = note["evidence"][0]["span"]
    note["evidence"] = [
        item
        for item in note["evidence"]
        if item["span"] != first or item["path"] != "/sections/0/text"
    ]

    assert any("no quote" in one for one in draft_checks.faults(draft, good[1]))


def test_twenty_six_words_in_a_row_are_a_quotation_without_its_marks(
    good: tuple[Draft, str],
) -> None:
    draft, source = good
    spoken = "I'm going to keep your lisinopril at ten milligrams for now, and I want you to take it at bedtime instead of in the morning."

    found = draft_checks.faults(
        rewritten(
            draft,
            "Patient asked to come back in two weeks",
            f"{spoken[:-1]}; patient asked to come back in two weeks",
        ),
        source,
    )

    assert any("words in a row" in one for one in found)


def test_a_sentence_of_two_drafts_is_found(good: tuple[Draft, str]) -> None:
    assert draft_checks.shared_sentences({"one": good[0], "two": copy.deepcopy(good[0])})
