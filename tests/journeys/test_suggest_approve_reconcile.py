"""Golden workflow 1: a visit note is suggested, read, approved, filed unsigned and read back."""

import hashlib
import re

import pytest

from intents.lifecycle import State
from intents.models import Proposal
from intents.pipeline import screening
from tests.journeys.day import text_of

WORDS = "Reports dizziness on getting up quickly. Denies cough."


@pytest.mark.req("000-05", "000-10", "000-25", "000-91", "001-57", "002-03", "004-18")
def test_a_suggested_note_is_read_approved_filed_once_and_read_back(day):
    # The agent asks at the public door and learns nothing but that a person will look.
    scribe = day.program()
    answer = scribe.propose(day.clinic.body([day.clinic.note(WORDS)]))
    assert answer.status_code == 201
    proposal = Proposal.objects.get(pk=answer.json()["id"])
    assert day.state(proposal) == State.DRAFTED
    day.background()
    assert day.state(proposal) == State.PENDING_APPROVAL
    assert day.writes() == []

    # Dr Reyes finds it in the queue, beside the words of the visit, and is told what is still owed.
    reyes = day.desk("reyes")
    assert "OKONKWO, Ngozi" in reyes.open("/queue/").text
    screen = reyes.review(proposal)
    card = screen.part("c-A")
    assert "No note from this draft is in the chart." in card
    assert WORDS.split(". ", maxsplit=1)[0] in card
    # Each statement has its quote, with who said it.
    assert "Patient said 00:00:07 Patient: I get dizzy if I get up too quick" in screen.part("s1")
    assert "Any cough? Patient: No, no cough." in screen.part("s2")
    assert "Filed, not signed: your signature is needed in Northgate R4 (practice)." in card
    assert "Files 1 unsigned note , for OKONKWO, Ngozi" in screen.text.replace("note,", "note ,")
    approved_hash = day.intent(proposal).current_screening.payload_hash
    frozen = screening.plan_of(day.intent(proposal).current_screening).steps[0].body

    day.forward(seconds=40)
    screen = reyes.press(screen, "Approve for OKONKWO")
    assert re.search(r"Sending in (10|[1-9]) s\b", screen.text)
    assert day.state(proposal) == State.APPROVED
    assert day.writes() == [], "nothing leaves before the undo time is over"

    # It goes out once, byte for byte as frozen before the review, and is read back.
    day.after_undo()
    [written] = day.writes()
    assert written["body_sha256"] == hashlib.sha256(frozen).hexdigest()
    intent = day.intent(proposal)
    assert (intent.state, intent.finality) == (State.RECONCILED, "filed_unsigned")
    assert intent.current_screening.payload_hash == approved_hash

    # The EHR holds one unsigned document of the author, in the visit, with the words that were shown.
    [document] = day.held()
    content = document["content"]
    assert content["docStatus"] == "preliminary"
    assert text_of(content).startswith(f"Subjective\n==========\n{WORDS}")
    assert f"Ref {intent.current_version.tag_short}" in text_of(content)
    prescriber = day.practice.directory()["staff"]["prescriber_one"]["practitioner"]
    assert content["author"][0]["reference"] == f"Practitioner/{prescriber}"
    visit = day.clinic.patient("P1")["encounter"]
    assert content["context"]["encounter"][0]["reference"] == f"Encounter/{visit}"

    delivered = reyes.delivery(proposal).text
    assert "Filed, not signed: your signature is needed in Northgate R4 (practice)." in delivered
    assert "equal to what was approved" in delivered
    assert "1 taken by the EHR." in delivered
    # The agent is told the outcome, and never anything that it could approve with.
    status = scribe.get(f"/api/v1/proposals/{proposal.pk}").json()
    assert [change["state"] for change in status["changes"]] == ["RECONCILED"]


@pytest.mark.req("000-73", "001-76", "001-119", "003-47", "003-53", "004-51", "004-57")
def test_the_timeline_of_a_written_note_tells_who_did_what_by_what_right(day):
    proposal = day.propose(day.clinic.note(WORDS))
    day.desk("reyes").approve(proposal)
    day.after_undo()
    assert day.state(proposal) == State.RECONCILED

    day.check_usual(proposal, "intent:write:reconciled")
    story = day.story(proposal)
    assert {event.correlation_id for event in story} == {proposal.correlation_id}
    assert all(event.index is not None for event in story), "all of it is in the signed log"
    by = {event.tag: (event.actor_name, event.authority) for event in story}
    assert by["intent:proposal:received"][0] == "Visit scribe"
    assert "system/DocumentReference.c" in by["intent:proposal:received"][1]
    assert by["intent:policy:decided"] == ("Policy", "policy 1: NOTE-01")
    assert by["intent:review:approved"] == ("Dr A. Reyes", "role REVIEWER")
    [decision] = day.intent(proposal).current_screening.decisions.all()
    assert by["intent:baseline:read"] == ("Validator", "connection northgate-r4")
    assert by["intent:write:submitted"] == ("Dispatcher", f"approval {decision.pk}")
    assert by["intent:write:reconciled"] == ("Reconciler", f"approval {decision.pk}")

    # A compliance officer reads the same story, found by the patient, and says why.
    ansah = day.desk("ansah")
    found = ansah.press(
        ansah.open("/audit/?by=patient"), "Search", value="4471908213", why="complaint 12"
    )
    for sentence in (
        "A proposed change was received and recorded.",
        "The exact request to the EHR was made and frozen, before anyone reviewed it.",
        "A reviewer approved this exact change, over the bytes that will be sent.",
        "The change was read back from the EHR and is what was approved.",
    ):
        assert sentence in found.text, sentence
    assert "went back to the queue" not in found.text, "it was decided, not given back"
    day.check_log()


@pytest.mark.req("000-45", "000-47")
def test_from_a_note_in_the_ehr_its_making_and_approval_are_found_by_its_reference(day):
    proposal = day.propose(day.clinic.note(WORDS))
    day.desk("reyes").approve(proposal)
    day.after_undo()
    [document] = day.held()
    reference = text_of(document["content"]).rstrip().rpartition("Ref ")[2]
    identifiers = [each["value"] for each in document["content"]["identifier"]]

    intent = day.intent(proposal)
    assert reference == intent.current_version.tag_short
    assert str(intent.current_version.tag) in " ".join(identifiers)
    [decision] = intent.current_screening.decisions.all()
    assert decision.reviewer.user.name == "Dr A. Reyes"
    assert f"Ref {reference}" in day.desk("reyes").delivery(proposal).text
