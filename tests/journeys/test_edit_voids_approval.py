"""Approved, taken back and edited: the old approval is void, and only the new words are ever sent."""

import pytest

from intents.lifecycle import State
from intents.models import OutboxEntry
from tests.journeys.day import text_of

OLD = "Reports dizziness on getting up quickly. Denies cough."
NEW = "Reports dizziness on getting up quickly, once or twice a week. Denies cough."


@pytest.mark.req("000-96", "002-30", "004-16")
def test_an_edit_after_an_approval_needs_a_new_approval_and_sends_only_the_new_words(day):
    proposal = day.propose(day.clinic.note(OLD))
    reyes = day.desk("reyes")
    reyes.approve(proposal)
    first = day.intent(proposal).current_screening
    reyes.press(reyes.delivery(proposal), "Undo, send nothing")

    form = reyes.open(f"/intents/{proposal.pk}/edit/")
    [field] = [c for c in form.button("Save and check again").form.controls if OLD in c.value]
    reyes.press(form, "Save and check again", **{field.name: NEW})
    for _ in range(3):
        day.after_undo()
    assert day.state(proposal) == State.PENDING_APPROVAL, "the old approval sends nothing"
    assert day.writes() == []
    assert not OutboxEntry.objects.filter(closed_at__isnull=True).exists()

    reyes.approve(proposal)
    day.after_undo()
    intent = day.intent(proposal)
    assert intent.state == State.RECONCILED
    assert intent.current_screening.payload_hash != first.payload_hash
    [document] = day.held()
    assert NEW in text_of(document["content"])
    story = day.told(proposal)
    assert story.count("intent:review:approved") == 2
    assert (
        story.index("intent:review:approved")
        < story.index("intent:review:undone")
        < story.index("intent:review:edited")
        < story.index("intent:write:submitted")
    )
    day.check_log()


def test_a_page_opened_before_the_edit_cannot_approve_what_it_did_not_show(day):
    proposal = day.propose(day.clinic.note(OLD))
    reyes = day.desk("reyes")
    stale = reyes.review(proposal)
    form = reyes.open(f"/intents/{proposal.pk}/edit/")
    [field] = [c for c in form.button("Save and check again").form.controls if OLD in c.value]
    reyes.press(form, "Save and check again", **{field.name: NEW})
    day.forward(seconds=40)
    refused = reyes.press(stale, "Approve for")
    assert refused.status == 409
    assert "The draft or the chart changed while the page was open. Look again." in refused.text
    assert day.state(proposal) == State.PENDING_APPROVAL
    day.after_undo()
    assert day.writes() == []
