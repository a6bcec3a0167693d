"""Children and the young: a weight that may be pounds, and words that a proxy must not be sent."""

import pytest

from intents.lifecycle import State
from tests.journeys.medicines import propose

POUNDS = "This weight differs by more than a fifth from the last one: is it lb or kg?"


def weighed(day, value, unit, words):
    content = {
        "readings": [{"code": "29463-7", "value": {"value": value, "unit": unit}}],
        "effective_at": day.now.isoformat(timespec="seconds"),
        "origin": "measured",
        "status": "final",
    }
    return propose(day, "vitals", content, patient="P3", words=words)


def test_40_kg_for_ada_is_asked_about_beside_her_last_weight_and_40_lb_are_not(day):
    day.clinic.allow("system/Observation.c")
    kilograms = weighed(day, "40", "kg", "She weighs 40 kg today")
    reyes = day.desk("reyes")
    assert "High risk" in reyes.open("/queue/").text
    screen = reyes.review(kilograms)
    card = screen.part("c-A")
    assert POUNDS in card
    assert "High risk" in card, "doses are reckoned from it"
    assert "Body weight 18.2 kg" in card, "the last one, to compare with"
    # The value alone is not enough: what is doubtful has a tick of its own.
    [question] = [tick for tick in screen.ticks() if POUNDS in tick.need]
    for tick in screen.ticks():
        tick.on = tick is not question
    day.forward(seconds=40)
    assert "Nothing was written." in reyes.press(screen, "Approve for").text
    assert day.state(kilograms) == State.PENDING_APPROVAL
    reject = reyes.open(f"/intents/{kilograms.pk}/reject/")
    reyes.press(reject, "Reject the draft", reason="clinically-wrong")
    assert (day.state(kilograms), day.writes()) == (State.REJECTED, [])

    pounds = weighed(day, "40", "[lb_av]", "She weighs 40 lb today")
    assert POUNDS not in reyes.review(pounds).text
    reyes.approve(pounds)
    day.after_undo()
    assert day.state(pounds) == State.RECONCILED
    [written] = day.held("Observation", patient="P3")
    assert written["content"]["valueQuantity"]["code"] == "[lb_av]"
    assert written["content"]["valueQuantity"]["value"] == 40
    day.check_log()


@pytest.mark.req("003-44")
def test_restricted_content_is_never_sent_to_lios_proxy(day):
    day.clinic.allow("system/Communication.c")
    content = {
        "to": {"who": "proxy", "name": "Tunde Adeye"},
        "subject": "Your visit",
        "body": "The result of the test is here.",
        "carries": ["result"],
    }
    proposal = propose(
        day, "message", content, patient="P15", words="Tell them the result of the test is here"
    )
    intent = day.intent(proposal)
    assert (intent.state, intent.rejected_by) == (State.REJECTED, "POLICY"), intent.reason
    [event] = [e for e in day.story(proposal) if e.tag == "intent:policy:rejected"]
    assert "MSG-03" in event.authority
    screen = day.desk("reyes").review(proposal)
    assert "Restricted content never goes to a proxy." in screen.text
    assert "Not written" in screen.part("c-A")
    assert not screen.offers("Approve for")
    day.after_undo()
    assert day.writes() == []
    day.check_log()
