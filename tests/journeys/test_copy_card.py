"""What an EHR cannot take is refused with the reason, and leaves a card to type from.

Golden workflow 5, its second half: stage 3 to stage 3a, which Epic cannot update.
"""

import pytest
from django.test import Client

from intents.lifecycle import RejectedBy, State
from intents.pipeline import by_hand


@pytest.mark.req("000-42")
def test_a_problem_update_that_epic_does_not_take_becomes_a_card_to_type_from(clinic):
    target = clinic.patient("P1", "epic")["entries"]["ckd"]
    finer = {
        "system": "http://hl7.org/fhir/sid/icd-10-cm",
        "code": "N18.31",
        "display": "Chronic kidney disease, stage 3a",
    }
    proposal = clinic.propose(
        [
            clinic.note(),
            clinic.problem(
                ref="c2",
                interaction="update",
                target=target,
                content={"code": [finer]},
                evidence=[],
            ),
        ],
        vendor="epic",
    )
    clinic.screen(proposal)
    refused = clinic.intent(proposal, "c2")
    assert (refused.state, refused.rejected_by) == (State.REJECTED, RejectedBy.VALIDATION)
    assert "Epic" in refused.reason

    browser = Client()
    browser.force_login(
        clinic.person("reyes").user, backend="django.contrib.auth.backends.ModelBackend"
    )
    page = browser.get(f"/intents/{proposal.pk}/").content.decode()
    assert "Cannot be written to Epic Northgate (practice)" in page
    card = page[page.index('class="copy"') :]
    assert "Chronic kidney disease, stage 3a" in card
    assert "N18.31" in card
    assert "nothing is sent from here" in card
    clinic.approve(proposal)
    clinic.deliver()
    assert clinic.intent(proposal).state in (State.ACCEPTED, State.RECONCILED)
    writes = [e for e in clinic.practice.log(vendor="epic") if e["method"] == "PUT"]
    assert writes == []


FINER = {
    "system": "http://hl7.org/fhir/sid/icd-10-cm",
    "code": "N18.31",
    "display": "Chronic kidney disease, stage 3a",
}


@pytest.fixture
def unsupported(day):
    """Epic takes no update of a problem: stage 3 to stage 3a is typed by a person."""
    target = day.clinic.patient("P1", "epic")["entries"]["ckd"]
    return day.propose(
        day.clinic.problem(
            interaction="update", target=target, content={"code": [FINER]}, evidence=[]
        ),
        vendor="epic",
    )


@pytest.mark.req("000-42")
def test_who_typed_it_says_so_and_the_chart_is_watched_until_it_shows_it(day, unsupported):
    reyes = day.desk("reyes")
    screen = reyes.press(reyes.review(unsupported), "I typed it into Epic Northgate (practice)")
    assert "Dr A. Reyes typed it" in screen.text
    assert "Not seen in the chart yet" in screen.text
    assert not screen.offers("I typed it into")

    by_hand.watch_due(at=day.now)
    assert "Not seen in the chart yet" in reyes.review(unsupported).text
    day.practice.lever(
        "edit_as_colleague",
        vendor="epic",
        patient="P1",
        entry="ckd",
        changes={"code": {"coding": [FINER], "text": FINER["display"]}},
    )
    assert by_hand.watch_due(at=day.now) == 0, "the next look is not due yet"
    day.forward(minutes=5)
    assert by_hand.watch_due(at=day.now) == 1
    assert "Seen in the chart" in reyes.review(unsupported).text
    assert "intent:hand:seen" in day.told(unsupported)
    assert day.writes("epic") == []
    day.check_log()


def test_what_the_chart_never_shows_is_said_after_three_days(day, unsupported):
    reyes = day.desk("reyes")
    reyes.press(reyes.review(unsupported), "I typed it into")
    for _ in range(80):
        day.forward(hours=1)
        by_hand.watch_due(at=day.now)
    assert "The chart did not show it within three days" in reyes.review(unsupported).text
    assert "intent:hand:missed" in day.told(unsupported)


def test_only_who_may_decide_about_the_change_may_say_that_they_typed_it(day, unsupported):
    quill = day.desk("quill")
    assert not quill.review(unsupported).offers("I typed it into")
    intent = day.intent(unsupported)
    with pytest.raises(by_hand.NotByHand):
        by_hand.declare_done(intent_id=intent.pk, member=quill.membership, at=day.now)
    other = day.propose(day.clinic.problem())
    with pytest.raises(by_hand.NotByHand, match="not one to type by hand"):
        by_hand.declare_done(
            intent_id=day.intent(other).pk, member=day.desk("reyes").membership, at=day.now
        )
