"""A reader sees every word that changes, and no word is lost."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from intents.pipeline.diffing import (
    Change,
    sentences,
    text_diff,
    words,
)

pytestmark = pytest.mark.once

PROSE = st.lists(
    st.sampled_from(
        [
            "Denies",
            "dizziness",
            "no",
            "10",
            "mg",
            "20",
            ".",
            " ",
            "\n",
            "once daily",
            "1.5",
            "left",
            "right",
            "“",
            "é",
        ]
    ),
    max_size=60,
).map("".join)


def shown(old, new):
    return [(r.change, r.text) for r in text_diff(old, new)]


@given(old=PROSE | st.text(), new=PROSE | st.text())
@pytest.mark.req("000-61")
def test_the_runs_rebuild_both_texts(old, new):
    runs = text_diff(old, new)
    was = (Change.SAME, Change.REMOVED, Change.MOVED_AWAY)
    will_be = (Change.SAME, Change.ADDED, Change.MOVED_HERE)
    assert "".join(run.text for run in runs if run.change in was) == old
    assert "".join(run.text for run in runs if run.change in will_be) == new


@given(text=PROSE | st.text())
def test_words_and_sentences_cover_the_text(text):
    assert "".join(words(text)) == text
    assert "".join(text[a:b] for a, b in sentences(text)) == text


def test_one_changed_dose_is_one_changed_word():
    assert shown("Take 10 mg daily. Rest well.", "Take 20 mg daily. Rest well.") == [
        (Change.SAME, "Take "),
        (Change.REMOVED, "10"),
        (Change.ADDED, "20"),
        (Change.SAME, " mg daily. Rest well."),
    ]


def test_a_decimal_point_is_part_of_the_number():
    assert (Change.REMOVED, "1.5") in shown("Gave 1.5 mg today.", "Gave 15 mg today.")


def test_a_lost_negation_is_a_removed_word():
    assert (Change.REMOVED, "no ") in shown(
        "There is no chest pain today.", "There is chest pain today."
    )


def test_a_moved_sentence_is_called_moved():
    old = "Cough for two weeks. Sleeps badly at night. Eats well enough."
    new = "Sleeps badly at night. Eats well enough. Cough for two weeks."
    kinds = {r.change for r in text_diff(old, new)}
    assert Change.MOVED_HERE in kinds
    assert Change.ADDED not in kinds


def test_unlike_sentences_are_shown_whole():
    runs = shown("The cat sat on the mat.", "Blood pressure measured twice, both high.")
    assert [k for k, _ in runs] == [Change.REMOVED, Change.ADDED]


def test_titles_and_abbreviations_do_not_end_a_sentence():
    text = "Seen by Dr. Reyes today. Uses e.g. paracetamol. Done."
    assert [text[a:b].strip() for a, b in sentences(text)] == [
        "Seen by Dr. Reyes today.",
        "Uses e.g. paracetamol.",
        "Done.",
    ]
