"""An entry carries a text of its own beside its fields. A change of the fields must not leave the old story there."""

from typing import Any

from intents.lifecycle import State

XHTML = '<div xmlns="http://www.w3.org/1999/xhtml">{}</div>'


def with_text(day: Any, status: str, words: str) -> str:
    """P6's diabetes, after its server gave it a text."""
    target: str = day.clinic.patient("P6")["entries"]["diabetes"]
    text = {"status": status, "div": XHTML.format(words)}
    day.practice.lever(
        "edit_as_colleague", vendor="generic", reference=target, changes={"text": text}
    )
    return target


def update(day: Any, target: str) -> Any:
    return day.propose(
        day.clinic.problem(
            interaction="update", target=target, content={"verification": "provisional"}
        ),
        patient="P6",
    )


def test_a_generated_summary_of_the_old_state_is_not_sent_back(day):
    target = with_text(day, "generated", "Type 2 diabetes (confirmed)")
    proposal = update(day, target)
    reyes = day.desk("reyes")
    assert "was generated from its old state. It is left out" in reyes.review(proposal).text
    reyes.approve(proposal)
    day.after_undo()
    assert day.state(proposal) == State.RECONCILED, day.reason(proposal)
    assert "text" not in day.entry(target)["content"]


def test_somebodys_own_words_stay_and_are_read_before_approving(day):
    words = "Confirmed abroad; discharge letter with the family."
    target = with_text(day, "additional", words)
    proposal = update(day, target)
    reyes = day.desk("reyes")
    page = reyes.review(proposal).text
    assert f"also where it tells the old state: “{words}”." in page
    reyes.approve(proposal)
    day.after_undo()
    assert day.state(proposal) == State.RECONCILED, day.reason(proposal)
    assert day.entry(target)["content"]["text"] == {
        "status": "additional",
        "div": XHTML.format(words),
    }
