"""Golden workflow 2: the draft says the opposite of the source; a person rewrites it, and that is written."""

import pytest

from intents.lifecycle import State
from tests.journeys.day import text_of

DRAFTED = "Denies dizziness. Denies cough."
OWN = "Reports getting dizzy when standing up quickly. Denies cough."
QUOTES = {
    "Denies dizziness.": "I get dizzy if I get up too quick",
    "Denies cough.": "Any cough?\nPatient: No, no cough.",
}


@pytest.fixture
def proposal(day):
    drafted = day.propose(day.clinic.note(DRAFTED, quotes=QUOTES))
    assert day.state(drafted) == State.PENDING_APPROVAL
    return drafted


@pytest.mark.req("001-91", "002-61", "003-63")
def test_a_statement_against_its_source_comes_first_and_must_be_settled(day, proposal):
    reyes = day.desk("reyes")
    screen = reyes.review(proposal)
    card = screen.part("c-A")
    assert "1 against the source" in card
    # Under "Where it comes from" the contradicted statement stands before the others.
    sources = card[card.index("Where it comes from") :]
    assert sources.index("Against the source") < sources.index("Any cough?")
    assert "I get dizzy if I get up too quick" in sources
    [(need, answers)] = screen.choices().items()
    assert "Denies dizziness." in need
    assert [answer.words for answer in answers] == ["Take it out", "Keep as drafted"]
    assert not any(answer.on for answer in answers), "nothing is chosen beforehand"

    day.forward(seconds=40)
    refused = reyes.press(screen, "Approve for")
    assert "Nothing was written." in refused.text
    assert day.state(proposal) == State.PENDING_APPROVAL
    day.after_undo()
    assert day.writes() == []


@pytest.mark.req("000-14", "001-56", "002-30", "002-58", "003-95")
def test_own_words_become_a_new_version_that_is_checked_shown_approved_and_written(day, proposal):
    reyes = day.desk("reyes")
    old = day.intent(proposal)
    form = reyes.open(f"/intents/{proposal.pk}/edit/")
    assert "The draft by Visit scribe stays in the audit trail." in form.text
    [field] = [c for c in form.button("Save and check again").form.controls if DRAFTED in c.value]
    screen = reyes.press(form, "Save and check again", **{field.name: OWN})

    # The new version was checked again from the start and is shown before it can be approved.
    assert screen.url == f"/intents/{proposal.pk}/"
    assert "version 2, by Dr A. Reyes" in screen.part("c-A")
    assert "against the source" not in screen.part("c-A")
    new = day.intent(proposal)
    assert new.state == State.PENDING_APPROVAL
    assert new.current_version.number == 2
    assert new.current_version.tag != old.current_version.tag
    assert new.current_screening.payload_hash != old.current_screening.payload_hash

    reyes.approve(proposal)
    day.after_undo()
    assert day.state(proposal) == State.RECONCILED
    [document] = day.held()
    assert OWN in text_of(document["content"])
    assert "Denies dizziness" not in text_of(document["content"])

    # Both versions stay, with who wrote which; the log tells who changed what.
    versions = list(new.versions.order_by("number"))
    assert [(v.number, v.author_name) for v in versions] == [
        (1, "Visit scribe"),
        (2, "Dr A. Reyes"),
    ]
    assert versions[0].phi_json("content")["sections"][0]["text"] == DRAFTED
    assert versions[1].phi_json("content")["sections"][0]["text"] == OWN
    day.check_usual(proposal, "intent:write:reconciled")
    [edited] = [e for e in day.story(proposal) if e.tag == "intent:review:edited"]
    assert edited.actor_name == "Dr A. Reyes"
    changed = {table: key for table, key, _ in edited.rows}
    assert changed["intents_intentversion"] == str(versions[1].pk)
    assert day.told(proposal).count("intent:wire:frozen") == 2
    day.check_log()


@pytest.mark.req("001-87", "001-88")
def test_own_words_are_told_apart_from_the_agents(day, proposal):
    reyes = day.desk("reyes")
    form = reyes.open(f"/intents/{proposal.pk}/edit/")
    [field] = [c for c in form.button("Save and check again").form.controls if DRAFTED in c.value]
    screen = reyes.press(form, "Save and check again", **{field.name: OWN})
    card = screen.part("c-A")
    assert "version 2, by Dr A. Reyes" in card
    # The rewritten statement rests on nobody's quote any more, and says so; the other one keeps its own.
    assert screen.part("s1") == "1 A reviewer’s own words"
    assert "Not in the source" not in card
    assert "Patient: No, no cough." in screen.part("s2")


def test_taking_the_statement_out_is_an_edit_that_comes_back_for_approval(day, proposal):
    reyes = day.desk("reyes")
    screen = reyes.review(proposal)
    reyes.check(screen, answers={"Denies dizziness": "Take it out"})
    day.forward(seconds=40)
    screen = reyes.press(screen, "Approve for")
    assert "Nothing is written yet." in screen.text
    assert day.state(proposal) == State.PENDING_APPROVAL
    assert day.intent(proposal).current_version.number == 2
    assert "Denies dizziness" not in screen.part("c-A").partition("Where it comes from")[0]

    reyes.approve(proposal)
    day.after_undo()
    assert day.state(proposal) == State.RECONCILED
    [document] = day.held()
    assert "dizz" not in text_of(document["content"])


@pytest.mark.req("002-62")
def test_keeping_the_statement_is_possible_only_by_saying_so_and_is_in_the_decision(day, proposal):
    reyes = day.desk("reyes")
    reyes.approve(proposal, answers={"Denies dizziness": "Keep as drafted"})
    assert day.state(proposal) == State.APPROVED
    [decision] = day.intent(proposal).current_screening.decisions.all()
    assert list(decision.checks.values()) == ["keep"]
    assert "1 check" in reyes.delivery(proposal).text
