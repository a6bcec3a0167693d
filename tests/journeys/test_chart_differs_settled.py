"""The EHR took the change and holds something else: a person finds out which is right, nothing is put back."""

import pytest

from intents.lifecycle import State
from intents.models import Discrepancy


def problem_with(day, fault, **params):
    """An approved problem that the EHR acknowledges as sent and stores otherwise."""
    proposal = day.propose(day.clinic.problem())
    day.desk("reyes").approve(proposal)
    day.practice.fault(
        fault, vendor="generic", method="POST", path="^Condition", echo="sent", **params
    )
    day.after_undo()
    return proposal


@pytest.mark.req("004-20", "004-59", "004-60", "003-110")
@pytest.mark.fault("altered")
def test_a_field_that_the_ehr_dropped_is_shown_owned_and_settled_by_a_person(day):
    proposal = problem_with(day, "dropped-field", field="code")
    assert day.state(proposal) == State.ACCEPTED
    [difference] = Discrepancy.objects.all()
    assert difference.kind == "dropped"
    assert difference.owner == "Dr A. Reyes"

    page = day.desk("reyes").delivery(proposal).text
    assert "Chart differs" in page
    assert "The chart differs from what was approved." in page
    assert "Written and read back" not in page
    singh = day.desk("singh")
    assert "Chart differs 1" in singh.open("/worklist/").text

    # Nothing is repaired by machine, however often it looks.
    for _ in range(3):
        day.forward(hours=2)
        day.background()
    assert (day.state(proposal), len(day.writes())) == (State.ACCEPTED, 1)

    page = singh.press(
        singh.delivery(proposal),
        "Settle the difference",
        resolution="corrected-in-ehr",
        evidence="Problem list, 15:02: code typed in by hand, compared with Dr Reyes",
    )
    assert "Settled. Your answer is recorded under your name." in page.text
    assert day.state(proposal) == State.RECONCILED
    assert "confirmed by a person" in page.text
    assert "Nothing needs a person" in singh.open("/worklist/").text
    story = day.story(proposal)
    [opened] = [e for e in story if e.tag == "intent:discrepancy:opened"]
    [resolved] = [e for e in story if e.tag == "intent:discrepancy:resolved"]
    assert opened.actor_name == "Reconciler"
    assert (resolved.actor_name, resolved.authority) == ("R. Singh", "role OPERATOR")
    day.check_log()


def test_what_a_colleague_edits_before_the_read_back_is_told_as_an_edit(day):
    proposal = day.propose(day.clinic.problem())
    day.desk("reyes").approve(proposal)
    day.forward(seconds=61)
    day.send()
    assert day.state(proposal) == State.ACCEPTED
    reference = day.intent(proposal).resource_ref
    day.practice.lever(
        "edit_as_colleague",
        vendor="generic",
        reference=reference,
        set={"/onsetDateTime": "2026-11"},
    )
    day.forward(seconds=30)
    day.background()
    [difference] = Discrepancy.objects.all()
    assert difference.kind == "human-edited"
    assert len(day.writes()) == 1
    assert day.entry(reference)["content"]["onsetDateTime"] == "2026-11", (
        "the colleague's word stays"
    )


def test_what_was_removed_from_the_chart_before_the_read_back_is_never_sent_again(day):
    proposal = day.propose(day.clinic.problem())
    day.desk("reyes").approve(proposal)
    day.forward(seconds=61)
    day.send()
    day.practice.lever("remove", vendor="generic", reference=day.intent(proposal).resource_ref)
    for _ in range(4):
        day.forward(minutes=10)
        day.background()
    [difference] = Discrepancy.objects.all()
    assert difference.kind == "missing"
    assert (day.state(proposal), len(day.writes())) == (State.ACCEPTED, 1)
