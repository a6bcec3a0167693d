"""A server that takes If-None-Exist and If-Match for nothing, and says of a new entry only where it is.

Nothing that the portal does may rest on a server's word: it looks, and sends again only what is proven absent.
"""

from typing import Any

import pytest

from intents.lifecycle import State


@pytest.fixture
def careless(day: Any) -> Any:
    day.practice.settings(
        "generic", conditional_create="ignored", version_check=False, bare_creates=True
    )
    return day


def sent(day: Any, change: dict[str, Any], fault: str = "") -> Any:
    """The change, approved and sent once, into this fault: of P6's problem, or a new one of P1."""
    patient, method = ("P6", "PUT") if change.get("target") else ("P1", "POST")
    proposal = day.propose(change, patient=patient)
    assert day.state(proposal) == State.PENDING_APPROVAL, day.intent(proposal).reason
    day.desk("reyes").approve(proposal)
    if fault:
        day.practice.fault(fault, vendor="generic", method=method, path="^Condition")
    day.forward(seconds=61)
    day.send()
    assert day.state(proposal) == (State.UNCERTAIN if fault else State.ACCEPTED)
    return proposal


def update(day: Any) -> dict[str, Any]:
    target = day.clinic.patient("P6")["entries"]["diabetes"]
    change: dict[str, Any] = day.clinic.problem(
        interaction="update", target=target, content={"verification": "provisional"}
    )
    return change


def settle(day: Any, proposal: Any) -> None:
    day.after_quarantine(proposal)
    day.forward(seconds=60)
    day.background()


@pytest.mark.req("002-46", "003-55")
@pytest.mark.fault("generic.bare-201")
@pytest.mark.parametrize(
    ("fault", "writes"), [("", 1), ("error-after-commit", 1), ("drop-before-commit", 2)]
)
def test_a_new_entry_has_one_effect(careless: Any, fault: str, writes: int) -> None:
    proposal = sent(careless, careless.clinic.problem(), fault)
    settle(careless, proposal)
    assert careless.state(proposal) == State.RECONCILED
    [entry] = careless.held("Condition")
    assert careless.intent(proposal).resource_ref == f"Condition/{entry['content']['id']}"
    assert len(careless.writes()) == writes


@pytest.mark.req("002-46", "003-55")
@pytest.mark.parametrize(
    ("fault", "writes"), [("error-after-commit", 1), ("drop-before-commit", 2)]
)
def test_a_change_of_an_entry_has_one_effect(careless: Any, fault: str, writes: int) -> None:
    change = update(careless)
    before = careless.entry(change["target"])["version"]
    proposal = sent(careless, change, fault)
    settle(careless, proposal)
    assert careless.state(proposal) == State.RECONCILED
    assert careless.entry(change["target"])["version"] == before + 1
    assert len(careless.writes()) == writes


@pytest.mark.req("002-40", "004-45")
def test_what_a_colleague_did_meanwhile_is_not_undone_by_sending_again(careless: Any) -> None:
    change = update(careless)
    proposal = sent(careless, change, "drop-before-commit")
    careless.practice.lever(
        "edit_as_colleague", vendor="generic", reference=change["target"], comment="Seen today."
    )
    settle(careless, proposal)
    assert careless.state(proposal) == State.UNCERTAIN, "for a person to find out"
    assert len(careless.writes()) == 1
    assert [one["text"] for one in careless.entry(change["target"])["content"]["note"]] == [
        "Seen today."
    ]
