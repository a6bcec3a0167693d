"""Golden workflow 15 and its like for Epic: the answer is lost, and nobody knows whether it was written.

The generic EHR can be searched, so the portal looks and settles it, sending again only what is proven
absent. Epic's holding tank cannot be read, so nothing is sent again and a person settles it.
"""

import pytest

import intents.admin
from intents.governance.models import KillSwitch
from intents.lifecycle import State
from intents.models import WriteLedgerEntry

UNKNOWN = "It may be in the EHR, or not."


@pytest.fixture(autouse=True)
def _impatient(settings):
    """An EHR that keeps silent is given up after a second."""
    settings.EHR_TIMEOUT_SECONDS = 1.0


def sent(day, fault, *, vendor="generic", **params):
    """An approved problem whose sending met this fault."""
    proposal = day.propose(day.clinic.problem(vendor=vendor), vendor=vendor)
    assert day.state(proposal) == State.PENDING_APPROVAL, day.intent(proposal).reason
    day.desk("reyes").approve(proposal)
    day.practice.fault(fault, vendor=vendor, method="POST", path="^Condition", **params)
    day.forward(seconds=61)
    day.send()
    assert day.state(proposal) == State.UNCERTAIN
    return proposal


# --- an EHR that can be searched ---------------------------------------------------------------------

COMMITTED = [("error-after-commit", {}), ("timeout-after-commit", {"ms": 1500})]


@pytest.mark.req("001-25", "002-38", "002-46", "002-79", "002-80", "003-55", "004-58")
@pytest.mark.parametrize(("fault", "params"), COMMITTED, ids=[fault for fault, _ in COMMITTED])
def test_a_write_whose_answer_was_lost_is_found_by_its_tag_and_not_repeated(day, fault, params):
    proposal = sent(day, fault, **params)
    reyes = day.desk("reyes")
    page = reyes.delivery(proposal)
    assert "Outcome unknown" in page.part("c-c1")
    assert UNKNOWN in page.text
    assert not page.offers("again"), "an unknown outcome never offers a plain resend"
    assert "Outcome unknown 1" in reyes.open("/queue/").text

    day.background()
    assert day.state(proposal) == State.ACCEPTED
    assert "found in the chart" in reyes.delivery(proposal).text
    day.forward(seconds=60)
    day.background()
    assert day.state(proposal) == State.RECONCILED
    page = reyes.delivery(proposal)
    assert "Written and read back" in page.part("c-c1")
    assert "not repeated unless absence is proven" in page.text, "the attempt is told as it went"
    assert len(day.writes()) == 1
    assert len(day.held("Condition")) == 1
    story = day.told(proposal)
    lost, found = story.index("intent:write:uncertain"), story.index("intent:write:found")
    assert lost < found < story.index("intent:write:reconciled")
    day.check_log()


@pytest.mark.req("001-22", "002-45", "003-23")
def test_a_write_that_never_arrived_is_sent_again_only_once_its_absence_is_proven(day):
    proposal = sent(day, "drop-before-commit")
    reyes = day.desk("reyes")
    day.background()
    day.forward(seconds=5)
    day.background()
    assert day.state(proposal) == State.UNCERTAIN, "absence proves nothing so soon"
    assert len(day.writes()) == 1
    assert UNKNOWN in reyes.delivery(proposal).text

    day.after_quarantine(proposal)
    day.forward(seconds=60)
    day.background()
    assert day.state(proposal) == State.RECONCILED
    first, second = day.writes()
    assert first["body_sha256"] == second["body_sha256"], "the same bytes under the same tag"
    assert len(day.held("Condition")) == 1
    page = reyes.delivery(proposal)
    assert "Written and read back" in page.part("c-c1")
    assert "2 attempts" in page.text
    story = day.told(proposal)
    assert story.count("intent:write:submitted") == 2
    assert story.count("intent:review:approved") == 1
    assert story.index("intent:write:absent") < len(story) - story[::-1].index(
        "intent:write:submitted"
    )
    day.check_log()


def test_while_an_outcome_is_unknown_nothing_else_of_the_kind_is_sent_for_the_patient(day):
    unknown = sent(day, "drop-before-commit")
    other = day.propose(
        day.clinic.problem(content={
            "code": [{"system": "http://hl7.org/fhir/sid/icd-10-cm", "code": "R05.9", "display": "Cough"}],
            "category": "problem-list-item", "clinical_status": "active", "verification": "confirmed",
        })
    )  # fmt: skip
    note = day.propose(day.clinic.note())
    screen = day.desk("reyes").review(other)
    day.desk("reyes").check(screen, answers={})
    day.desk("reyes").approve(other)
    day.desk("reyes").approve(note)
    day.forward(seconds=61)
    day.send()
    assert day.state(other) == State.APPROVED, "the same kind waits"
    assert day.state(note) == State.ACCEPTED, "the rest of the chart goes on"
    day.after_quarantine(unknown)
    for _ in range(3):
        day.forward(seconds=60)
        day.background()
    assert (day.state(unknown), day.state(other)) == (State.RECONCILED, State.RECONCILED)
    assert len(day.held("Condition")) == 2


# --- Epic: nobody can look -------------------------------------------------------------------------

EPIC = [
    ("error-after-commit", {}, True),
    ("timeout-after-commit", {"ms": 1500}, True),
    ("drop-before-commit", {}, False),
]


def staged(day):
    patient = day.clinic.patient("P1", "epic")["patient"]
    return day.practice.staged(vendor="epic", type="Condition", patient=patient)


@pytest.mark.req("000-81", "001-26", "002-46", "003-55")
@pytest.mark.parametrize(("fault", "params", "filed"), EPIC, ids=[fault for fault, _, _ in EPIC])
def test_a_lost_answer_of_epic_is_settled_by_a_person_with_evidence_and_never_resent(
    day, fault, params, filed
):
    proposal = sent(day, fault, vendor="epic", **params)
    for _ in range(3):
        day.forward(hours=2)
        day.background()
    assert day.state(proposal) == State.UNCERTAIN
    assert len(day.writes("epic")) == 1
    assert len(staged(day)) == (1 if filed else 0)

    # It has an owner and an age on the work list; the operator is told what to look for.
    singh = day.desk("singh")
    listed = singh.open("/worklist/").text
    assert "Outcome unknown" in listed
    assert "Dr A. Reyes" in listed
    page = singh.delivery(proposal)
    assert UNKNOWN in page.text
    for words in ("What to look for", "OKONKWO, Ngozi, born 14-Mar-1957", "Its mark Ref "):
        assert words in page.text, words
    assert not page.offers("again")

    # The patient's clinician sees the same, but settling is the operator's.
    assert not day.desk("reyes").delivery(proposal).offers("It is there")

    evidence = "Reconcile Problems of the patient, 14:10, looked through the whole list"
    [settle] = [
        b for b in page.buttons if b.words == ("It is there" if filed else "It is not there")
    ]
    page = singh.press(page, settle, evidence=evidence)
    assert "Settled. Your answer is recorded under your name." in page.text
    story = day.story(proposal)
    if filed:
        assert day.state(proposal) == State.ACCEPTED
        assert "Waiting in the EHR for someone to accept it" in page.text
    else:
        assert day.state(proposal) == State.FAILED
        assert "Not sent" in page.text
    [settled] = [
        e for e in story if e.tag in ("intent:write:found", "intent:write:failed")
    ]  # fmt: skip
    assert (settled.actor_name, settled.authority) == ("R. Singh", "role OPERATOR")
    fact = WriteLedgerEntry.objects.get(phase="ATTESTED")
    assert fact.phi("evidence") == evidence
    assert len(day.writes("epic")) == 1
    day.check_log()


def test_what_a_person_found_in_epic_is_confirmed_when_it_turns_up_in_the_chart(day):
    proposal = sent(day, "error-after-commit", vendor="epic")
    day.forward(hours=2)
    day.background()
    singh = day.desk("singh")
    singh.press(singh.delivery(proposal), "It is there", evidence="Reconcile Problems, 14:10")
    day.practice.lever("accept_staged", vendor="epic", patient="P1", type="Condition")
    day.forward(hours=25)
    day.background()
    assert day.state(proposal) == State.RECONCILED
    assert len(day.writes("epic")) == 1


@pytest.mark.req("004-55")
def test_what_a_person_did_not_find_is_sent_again_only_when_that_person_decides_so(day):
    proposal = sent(day, "drop-before-commit", vendor="epic")
    singh = day.desk("singh")
    early = singh.press(singh.delivery(proposal), "It is not there", evidence="Looked at 14:01")
    assert "absence proves nothing yet" in early.text
    assert day.state(proposal) == State.UNCERTAIN

    day.after_quarantine(proposal)
    singh.press(singh.delivery(proposal), "It is not there", evidence="Looked again at 14:25")
    assert day.state(proposal) == State.FAILED
    for _ in range(3):
        day.forward(minutes=10)
        day.background()
    assert (day.state(proposal), len(day.writes("epic"))) == (State.FAILED, 1)

    page = singh.press(singh.delivery(proposal), "Send A again")
    assert "sent again, under the same approval" in page.text
    day.background()
    assert day.state(proposal) == State.ACCEPTED
    first, second = day.writes("epic")
    assert first["body_sha256"] == second["body_sha256"]
    assert len(staged(day)) == 1
    day.check_log()


@pytest.mark.req("002-25")
def test_a_stop_lists_every_write_that_may_still_arrive_before_those_that_only_wait(
    day, monkeypatch
):
    # A list as short as can be: what only waits gives way, what may still arrive does not.
    monkeypatch.setattr(intents.admin, "_MOST_WAITING", 0)
    lost = day.propose(day.clinic.problem())
    day.desk("reyes").approve(lost)
    day.forward(seconds=61)
    waiting = day.propose(day.clinic.note())
    day.desk("reyes").approve(waiting)
    day.practice.fault("error-after-commit", vendor="generic", method="POST", path="^Condition")
    day.send()
    assert (day.state(lost), day.state(waiting)) == (State.UNCERTAIN, State.APPROVED)
    singh = day.desk("singh")
    singh.press(
        singh.open("/connections/"), "Stop writes to Northgate R4 (practice)", reason="Odd replies"
    )
    switch = KillSwitch.objects.get()

    page = day.desk("dahl").open(f"/admin/governance/killswitch/{switch.pk}/change/").text
    assert "1 being sent or of unknown outcome, 1 approved and not sent" in page
    assert str(day.intent(lost).pk) in page
    assert str(day.intent(waiting).pk) not in page
    monkeypatch.undo()
    page = day.desk("dahl").open(f"/admin/governance/killswitch/{switch.pk}/change/").text
    assert page.index(str(day.intent(lost).pk)) < page.index(str(day.intent(waiting).pk))
