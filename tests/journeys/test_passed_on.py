"""A change that cannot be written is not lost: it goes to a prescriber as a task, or into the note as a line.

Golden workflows 4 and 8, from where the portal itself may not or cannot write.
"""

import pytest

from intents.lifecycle import State
from tests.journeys.day import text_of
from tests.journeys.medicines import a_prescription, may_prescribe, propose

FINER = {
    "system": "http://hl7.org/fhir/sid/icd-10-cm",
    "code": "N18.31",
    "display": "Chronic kidney disease, stage 3a",
}
AS_TASK = "Send to prescriber as a task"
AS_LINE = "Put a line into the note"


@pytest.fixture
def blocked(day):
    """Hydromorphone for P7 from 2 to 4 mg: the prescriber's own act in the EHR."""
    may_prescribe(day)
    content = a_prescription(
        "3423", "hydromorphone", "4", times=3, unit="d",
        replaces=day.clinic.patient("P7")["entries"]["hydromorphone"],
    )  # fmt: skip
    said = "Hydromorphone goes up to 4 mg three times a day"
    return propose(day, "order", content, patient="P7", words=said)


def tasks(day) -> list[dict]:
    return [
        each["content"]
        for each in day.practice.resources(vendor="generic", type="Task")
        if "By hand" in str(each["content"])
    ]


@pytest.mark.req("000-42", "003-44")
def test_a_blocked_order_goes_to_a_prescriber_as_a_task_that_is_approved_like_any_other(
    day, blocked
):
    desk = day.desk("vasik")
    screen = desk.review(blocked)
    lam = str(day.clinic.person("lam").pk)
    screen = desk.press(screen, AS_TASK, **{"to-c1": lam})
    assert "The task is drafted. It is sent once it is approved." in screen.text
    card = screen.part("c-B")
    assert "By hand: Order, " in card
    assert "hydromorphone" in card.lower()
    assert "4 mg" in card
    assert "own act" in card, "why it is not written from here"
    assert not screen.offers(AS_TASK), "once is enough"
    assert (tasks(day), day.writes()) == ([], []), "nobody has approved it"

    # No grant for tasks is asked of the agent, which did not ask for one.
    task = blocked.intents.get(ref="c1-task")
    assert task.state == State.PENDING_APPROVAL, task.reason
    assert task.current_version.author_name == "M. Vasik"
    desk.approve(blocked)
    day.after_undo()
    [made] = tasks(day)
    people = day.practice.directory()["staff"]
    assert made["owner"]["reference"] == f"Practitioner/{people['prescriber_two']['practitioner']}"
    assert "4 mg" in made["description"]
    task.refresh_from_db()
    assert task.state == State.RECONCILED
    assert day.state(blocked) == State.REJECTED
    assert [w for w in day.writes() if "MedicationRequest" in w["path"]] == []
    day.check_log()


def test_nobody_is_chosen_beforehand_and_the_same_is_not_sent_twice(day, blocked):
    desk = day.desk("reyes")
    screen = desk.review(blocked)
    asked = desk.press(screen, AS_TASK)
    assert "Choose who is to do it." in asked.text
    assert not blocked.intents.filter(change_kind="task").exists()
    lam = str(day.clinic.person("lam").pk)
    stale = desk.review(blocked)
    desk.press(screen, AS_TASK, **{"to-c1": lam})
    again = desk.press(stale, AS_TASK, **{"to-c1": lam})
    assert "There is a task for it already." in again.text
    assert blocked.intents.filter(change_kind="task").count() == 1


@pytest.mark.req("000-42")
def test_the_note_says_what_epic_does_not_take_and_takes_no_task_for(day):
    target = day.clinic.patient("P1", "epic")["entries"]["ckd"]
    finer = day.clinic.problem(
        ref="c2", interaction="update", target=target, content={"code": [FINER]}, evidence=[]
    )
    proposal = day.propose(day.clinic.note(), finer, vendor="epic")
    reyes = day.desk("reyes")
    screen = reyes.review(proposal)
    assert not screen.offers(AS_TASK), "Epic takes no tasks from outside"
    before = day.intent(proposal).current_version.number
    screen = reyes.press(screen, AS_LINE)
    assert "The note says it now. Look at it again, then decide." in screen.text
    assert day.intent(proposal).current_version.number == before + 1
    assert day.writes(vendor="epic") == []
    said = next(c for c in ("c-A", "c-B") if "To be entered by hand" in screen.part(c))
    assert "N18.31" in screen.part(said)
    again = reyes.press(screen, AS_LINE)
    assert "The note says it already." in again.text
    note = proposal.intents.get(ref="c1")
    assert note.state == State.PENDING_APPROVAL
    sections = note.current_version.phi_json("content")["sections"]
    assert sections[-1]["title"] == "To be entered by hand"
    assert "stage 3a" in sections[-1]["text"]

    # What is approved then is the note with the line.
    reyes.approve(proposal)
    assert day.state(proposal) == State.APPROVED, day.reason(proposal)
    day.after_undo()
    [filed] = [
        text_of(each["content"])
        for each in day.practice.resources(vendor="epic", type="DocumentReference")
        if "To be entered by hand" in text_of(each["content"])
    ]
    assert "N18.31" in filed
