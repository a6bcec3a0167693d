"""A written change is taken back: a person asks, a draft is made from what stood before, others decide."""

import pytest

from intents.lifecycle import State


def written(day, change, **more):
    proposal = day.propose(change, **more)
    day.desk("reyes").approve(proposal)
    day.after_undo()
    assert day.state(proposal) in (State.RECONCILED, State.ACCEPTED)
    return proposal


def corrections_of(day, proposal):
    return [each.proposal for each in day.intent(proposal).corrected_by.all()]


@pytest.mark.req("001-23", "000-81")
def test_a_filed_note_is_marked_as_never_true_after_a_review_of_its_own(day):
    proposal = written(day, day.clinic.note())
    [held] = day.held()
    reyes = day.desk("reyes")
    page = reyes.delivery(proposal)
    assert "A draft marks the entry as never true." in page.text
    assert "Whoever has read it since has read it." in page.text
    page = reyes.press(page, "Draft the correction of A", reason="Filed for the wrong visit")
    assert "Drafted. It is checked against the chart" in page.text
    [correction] = corrections_of(day, proposal)

    # Nothing happens by itself: hours later the chart is as it was.
    day.background()
    day.forward(hours=2)
    day.background()
    assert day.state(correction) == State.PENDING_APPROVAL, day.reason(correction)
    assert len(day.writes()) == 1
    assert day.entry(f"DocumentReference/{held['content']['id']}")["content"]["status"] == "current"
    page = reyes.review(correction)
    assert "Asked for by Dr A. Reyes, to take a written change back." in page.text
    assert "Filed for the wrong visit" in page.text
    assert "A draft that takes it back was made" in reyes.delivery(proposal).text

    reyes.approve(correction)
    day.after_undo()
    assert day.state(correction) == State.RECONCILED, day.reason(correction)
    assert len(day.writes()) == 2
    entry = day.entry(f"DocumentReference/{held['content']['id']}")["content"]
    assert entry["status"] == "entered-in-error"
    assert day.state(proposal) == State.SUPERSEDED
    told = day.told(proposal)
    assert told.index("intent:correction:drafted") < len(told)
    assert "intent:correction:drafted" in told
    assert not reyes.delivery(proposal).offers("Draft the correction of A")
    day.check_log()


@pytest.mark.req("001-30", "002-83")
def test_an_updated_entry_says_again_what_the_snapshot_holds(day):
    target = day.clinic.patient("P1")["entries"]["ckd"]

    def said():
        return {
            key: value
            for key, value in day.entry(target)["content"].items()
            if key not in ("meta", "identifier", "text")
        }

    before = said()
    proposal = written(
        day,
        day.clinic.problem(
            interaction="update",
            target=target,
            content={"verification": "provisional", "severity": SEVERE},
            evidence=[],
        ),
    )
    assert said() != before
    reyes = day.desk("reyes")
    page = reyes.delivery(proposal)
    assert "A draft puts back what the entry said before." in page.text
    reyes.press(page, "Draft the correction of A", reason="It was confirmed last year")
    day.background()
    [correction] = corrections_of(day, proposal)
    intent = day.intent(correction)
    assert intent.current_version.phi_json("content") == {
        "verification": "confirmed",
        "severity": None,
    }
    reyes.approve(correction)
    day.after_undo()
    assert day.state(correction) == State.RECONCILED, day.reason(correction)
    assert said() == before
    assert day.state(proposal) == State.SUPERSEDED
    day.check_log()


SEVERE = {"system": "http://snomed.info/sct", "code": "24484000", "display": "Severe"}


def test_what_no_write_takes_back_is_said_and_nothing_is_drafted(day):
    resolved = written(
        day,
        day.clinic.problem(
            interaction="resolve",
            target=day.clinic.patient("P1")["entries"]["ckd"],
            content={"abatement": "2026-11-01"},
            evidence=[],
        ),
    )
    page = day.desk("reyes").delivery(resolved)
    assert "that is a recurrence with an onset of its own" in page.text
    assert not page.offers("Draft the correction of A")
    token = day.desk("reyes").client.cookies["csrftoken"].value
    answer = day.desk("reyes").client.post(
        f"/intents/changes/{day.intent(resolved).pk}/take-back/",
        {"csrfmiddlewaretoken": token, "reason": "x"},
    )
    assert answer.status_code == 409
    assert corrections_of(day, resolved) == []


def test_only_who_may_decide_asks_for_it_and_only_once(day):
    proposal = written(day, day.clinic.note())
    singh = day.desk("singh")
    assert not singh.delivery(proposal).offers("Draft the correction of A")
    path = f"/intents/changes/{day.intent(proposal).pk}/take-back/"
    token = singh.client.cookies["csrftoken"].value
    answer = singh.client.post(path, {"csrfmiddlewaretoken": token, "reason": "x"})
    assert answer.status_code == 403
    reyes = day.desk("reyes")
    first, second = reyes.delivery(proposal), reyes.delivery(proposal)
    reyes.press(first, "Draft the correction of A", reason="Wrong visit")
    again = reyes.press(second, "Draft the correction of A", reason="Wrong visit")
    assert "was made already" in again.text
    assert len(corrections_of(day, proposal)) == 1
