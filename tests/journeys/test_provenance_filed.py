"""Who drafted a change and who approved it: kept with every approval, and filed where the EHR takes it."""

import hashlib
import io
import json
import zipfile
from typing import Any

import pytest
from django.core.management import CommandError
from django.db import transaction
from fhir.resources.R4B.provenance import Provenance

from audit import timeline
from audit.models import AuditEvent
from ehr_adapters.canonical import strict_r4
from ehr_adapters.contract import WireRequest
from intents.lifecycle import State
from intents.management.clinic import INSTALLATION
from intents.models import Discrepancy, ProvenanceFiling, ProvenanceRecord
from intents.pipeline import dispatch, gateway
from tests.intents.delivery_fixtures import overwrite
from tests.journeys.medicines import a_prescription, may_prescribe, propose

WORDS = "Reports dizziness on getting up quickly. Denies cough."
PARTICIPANTS = "http://terminology.hl7.org/CodeSystem/provenance-participant-type"


@pytest.fixture
def asked(day: Any) -> Any:
    """The EHR was asked what it takes, and a Provenance is among it."""
    gateway.probe_due(at=day.now)
    return day


def approved_note(day: Any) -> Any:
    proposal = day.propose(day.clinic.note(WORDS))
    day.desk("reyes").approve(proposal)
    return proposal


def stored(day: Any, proposal: Any) -> ProvenanceRecord:
    return ProvenanceRecord.objects.get(intent=day.intent(proposal))


def in_ehr(day: Any) -> list[dict[str, Any]]:
    return [
        each["content"]
        for each in day.practice.resources(vendor="generic", type="Provenance")
        if "reviewportal:provenance" in json.dumps(each["content"])
    ]


def sent(day: Any) -> list[dict[str, Any]]:
    return [each for each in day.writes() if "Provenance" in each["path"]]


def codes(resource: dict[str, Any]) -> list[str]:
    """What each agent of a Provenance did, in the codes of R4's own value set."""
    found = [agent["type"]["coding"][0] for agent in resource["agent"]]
    assert {coding["system"] for coding in found} == {PARTICIPANTS}
    return [coding["code"] for coding in found]


@pytest.mark.req("003-14")
def test_every_approval_keeps_who_drafted_and_who_approved_and_it_can_be_taken_out(day):
    proposal = approved_note(day)
    record = stored(day, proposal)
    resource = record.phi_json("resource")
    assert strict_r4.check(resource) == ()
    Provenance.model_validate(resource)
    assert WORDS not in json.dumps(resource)
    assert record.resource.startswith("v1."), "it is sealed as everything about a patient is"

    # The program with its model, and the person with their role and who they are in this EHR.
    assert codes(resource) == ["assembler", "verifier"]
    [program] = resource["contained"]
    assert program["deviceName"][0]["name"] == "Visit scribe"
    model = proposal.model
    assert f"{model['name']} {model['version']}" in [v["value"] for v in program["version"]]
    verifier = resource["agent"][1]
    practitioner = day.practice.directory()["staff"]["prescriber_one"]["practitioner"]
    assert verifier["who"]["display"] == "Dr A. Reyes"
    assert verifier["who"]["reference"] == f"Practitioner/{practitioner}"
    assert verifier["role"] == [{"text": "prescriber"}]
    assert resource["activity"]["coding"][0]["code"] == "CREATE"
    assert resource["reason"][0]["coding"][0]["code"] == "AIAST"
    # Its sources, its signed statement and the request that was approved, by their hashes.
    used = {e["what"]["display"]: e["what"]["identifier"]["value"] for e in resource["entity"]}
    [source] = proposal.sources.all()
    intent = day.intent(proposal)
    [decision] = intent.current_screening.decisions.all()
    assert used[source.kind] == source.text_sha256
    assert (
        used["Signed approval statement"] == hashlib.sha256(decision.statement.encode()).hexdigest()
    )
    assert used["Request as it was approved"] == intent.current_screening.payload_hash
    assert resource["target"][0]["identifier"]["value"] == str(intent.current_version.tag)
    # The signed log holds its row and its hash.
    event = AuditEvent.objects.get(tag="intent:review:approved", intent_id=str(intent.pk))
    assert str(record.pk) in [row["id"] for row in event.rows]
    told = timeline.details(event.pk, tenant_id=str(day.clinic.tenant.pk))
    assert told["provenance"] == hashlib.sha256(record.phi("resource").encode()).hexdigest()

    # Nobody has asked this EHR whether it takes one, so it stays here, and the page says so.
    day.after_undo()
    day.forward(hours=1)
    day.background()
    assert day.state(proposal) == State.RECONCILED
    assert (sent(day), in_ehr(day)) == ([], [])
    reyes = day.desk("reyes")
    assert "kept here: Northgate R4 (practice) takes none" in reyes.delivery(proposal).text

    # Taken out, it is about the entry that was written, in its version.
    answer = reyes.client.get(f"/intents/{proposal.pk}/provenance/")
    assert answer["Content-Type"].startswith("application/fhir+json")
    bundle = answer.json()
    assert strict_r4.check(bundle) == ()
    [entry] = bundle["entry"]
    [held] = day.held()
    assert entry["resource"]["target"][0]["reference"].startswith(
        f"DocumentReference/{held['content']['id']}/_history/"
    )
    assert "intent:provenance:viewed" in day.told(proposal)
    day.check_log()


def test_the_bundle_for_an_auditor_holds_every_provenance_and_the_log_its_hash(day):
    proposal = approved_note(day)
    day.after_undo()
    ansah = day.desk("ansah")
    answer = ansah.client.get("/audit/integrity/")
    assert answer.status_code == 200
    screen = ansah.open("/audit/integrity/")
    button = next(b for b in screen.buttons if b.action.endswith("/export/"))
    button.form.fill("why", "complaint 12")
    answer = ansah.client.post(button.action, dict(button.form.sent(button)))
    with zipfile.ZipFile(io.BytesIO(answer.content)) as bundle:
        [line] = bundle.read("provenance/provenance.ndjson").decode().splitlines()
        log = next(n for n in bundle.namelist() if n.endswith("events.jsonl"))
        events = [json.loads(each) for each in bundle.read(log).decode().splitlines()]
    assert json.loads(line) == stored(day, proposal).phi_json("resource")
    digest = hashlib.sha256(line.encode()).hexdigest()
    assert any(digest in str(event.get("body", "")) for event in events)


@pytest.mark.req("003-14")
def test_a_provenance_is_filed_beside_the_entry_once_that_is_read_back_equal(asked):
    day = asked
    proposal = day.propose(day.clinic.note(WORDS))
    reyes = day.desk("reyes")
    assert "is also given a record of it (FHIR Provenance)" in reyes.review(proposal).text
    reyes.approve(proposal)
    record = stored(day, proposal)
    assert "once the entry is read back equal" in reyes.delivery(proposal).text

    day.forward(seconds=61)
    day.send()
    assert day.state(proposal) == State.ACCEPTED
    dispatch.file_due(at=day.now)
    assert sent(day) == [], "not before the entry is known to be what was approved"
    day.background()
    assert day.state(proposal) == State.RECONCILED

    # The bytes stored with the approval, but for the id that the EHR gave the note.
    [filed] = in_ehr(day)
    [held] = day.held()
    step = WireRequest.from_json(record.phi_json("request"))
    [slot] = step.slots
    body = step.body.replace(slot.marker.encode(), held["content"]["id"].encode())
    [request] = sent(day)
    assert request["body_sha256"] == hashlib.sha256(body).hexdigest()
    assert filed["target"][0]["reference"] == f"DocumentReference/{held['content']['id']}"
    assert codes(filed) == ["assembler", "verifier"]

    # It is told, and nothing is sent again.
    day.forward(hours=30)
    day.background()
    assert len(sent(day)) == 1
    told = day.told(proposal)
    assert told.count("intent:provenance:submitted") == told.count("intent:provenance:filed") == 1
    page = reyes.delivery(proposal).text
    assert f"filed beside the entry: Provenance/{filed['id']}" in page
    day.check_log()


def test_an_update_names_the_version_of_the_entry_that_it_changed(asked):
    day = asked
    target = day.clinic.patient("P1")["entries"]["ckd"]
    proposal = day.propose(
        day.clinic.problem(
            interaction="update",
            target=target,
            content={"note": "Seen today."},
            evidence=[],
        )
    )
    before = day.intent(proposal).current_screening.target_version
    day.desk("reyes").approve(proposal)
    day.after_undo()
    [filed] = in_ehr(day)
    assert filed["activity"]["coding"][0]["code"] == "UPDATE"
    assert filed["target"][0]["reference"] == target
    [revised] = [e for e in filed["entity"] if e["role"] == "revision"]
    assert revised["what"]["reference"] == f"{target}/_history/{before}"


def test_both_of_two_approvers_are_named_and_the_first_alone_files_nothing(day):
    may_prescribe(day)
    content = a_prescription(
        "11289", "warfarin", "5", times=8, unit="wk",
        replaces=day.clinic.patient("P5")["entries"]["warfarin"],
    )  # fmt: skip
    proposal = propose(
        day, "order", content, patient="P5", words="Warfarin goes up to eight times 5 mg a week"
    )
    day.desk("reyes").approve(proposal)
    assert not ProvenanceRecord.objects.exists()
    day.desk("lam").approve(proposal)
    resource = stored(day, proposal).phi_json("resource")
    assert codes(resource) == ["assembler", "verifier", "verifier"]
    assert [a["who"]["display"] for a in resource["agent"][1:]] == ["Dr A. Reyes", "Dr J. Lam"]
    statements = [
        e for e in resource["entity"] if e["what"].get("display") == "Signed approval statement"
    ]
    assert len(statements) == 2


def test_whose_words_replaced_the_programs_is_named_as_author(day):
    proposal = day.propose(day.clinic.note(WORDS))
    reyes = day.desk("reyes")
    screen = reyes.open(f"/intents/{proposal.pk}/edit/")
    field = next(
        c.name for form in screen.forms for c in form.controls if c.value.startswith("Reports dizz")
    )
    button = next(
        b for b in screen.buttons if b.form and any(c.name == field for c in b.form.controls)
    )
    reyes.press(screen, button, **{field: "Reports dizziness on getting up quickly."})
    day.background()
    reyes.approve(proposal)
    resource = stored(day, proposal).phi_json("resource")
    assert codes(resource) == ["assembler", "author", "verifier"]
    assert resource["agent"][1]["who"]["display"] == "Dr A. Reyes"


# --- when the EHR does not take it -------------------------------------------------------------------


def untouched(day: Any, proposal: Any) -> bool:
    """The change itself is where it was: written, read back, with nothing for anybody to do."""
    return (
        day.state(proposal) == State.RECONCILED
        and not Discrepancy.objects.exists()
        and len(day.held()) == 1
        and len([w for w in day.writes() if "DocumentReference" in w["path"]]) == 1
        and "1 taken by the EHR." in day.desk("reyes").delivery(proposal).text
    )


def test_a_refused_provenance_leaves_the_change_alone_and_is_not_sent_again(asked):
    day = asked
    proposal = approved_note(day)
    day.practice.fault("outcome", vendor="generic", method="POST", path="Provenance", status=422)
    day.after_undo()
    assert in_ehr(day) == []
    day.forward(hours=30)
    day.background()
    assert len(sent(day)) == 1
    assert untouched(day, proposal)
    page = day.desk("reyes").delivery(proposal).text
    assert "kept here: Northgate R4 (practice) did not take it" in page
    assert "intent:provenance:not_filed" in day.told(proposal)
    day.check_log()


def test_a_provenance_whose_answer_was_lost_is_looked_for_and_never_filed_twice(asked):
    day = asked
    proposal = approved_note(day)
    day.practice.fault("drop-after-commit", vendor="generic", method="POST", path="Provenance")
    day.after_undo()
    assert len(in_ehr(day)) == 1
    assert untouched(day, proposal)
    day.forward(seconds=30)
    day.background()
    assert ProvenanceFiling.objects.count() == 2, "it may be on its way still, so nobody looks"
    day.after_quarantine(proposal)
    assert (len(in_ehr(day)), len(sent(day))) == (1, 1)
    phases = [f.phase for f in ProvenanceFiling.objects.order_by("number", "at")]
    assert phases.count("FOUND") == 1
    assert "filed beside the entry" in day.desk("reyes").delivery(proposal).text
    assert untouched(day, proposal)
    day.check_log()


def test_a_provenance_that_never_arrived_is_sent_once_more(asked):
    day = asked
    proposal = approved_note(day)
    day.practice.fault("error-before-commit", vendor="generic", method="POST", path="Provenance")
    day.after_undo()
    assert in_ehr(day) == []
    day.after_quarantine(proposal)
    assert (len(in_ehr(day)), len(sent(day))) == (1, 2)
    assert untouched(day, proposal)


def test_an_ehr_that_is_silent_about_it_is_asked_six_times_and_no_more(asked):
    day = asked
    proposal = approved_note(day)
    day.practice.fault(
        "rate-limited", vendor="generic", method="POST", path="Provenance", times=None
    )
    day.after_undo()
    for _ in range(12):
        day.forward(hours=25)
        day.background()
    assert len(sent(day)) == 6
    assert untouched(day, proposal)


def test_a_stop_of_writing_holds_it_back_and_the_end_of_the_stop_lets_it_go(asked):
    day = asked
    proposal = approved_note(day)
    day.forward(seconds=61)
    day.send()
    connection = day.clinic.connection()
    with transaction.atomic():
        connection.suspend(actor=INSTALLATION, at=day.now, reason="drill")
    day.background()
    assert day.state(proposal) == State.RECONCILED
    assert sent(day) == []
    with transaction.atomic():
        connection.resume(actor=INSTALLATION, at=day.now)
    day.background()
    assert len(in_ehr(day)) == 1


def test_a_stored_provenance_that_somebody_altered_is_not_filed(asked):
    day = asked
    proposal = approved_note(day)
    record = stored(day, proposal)
    other = WireRequest.from_json(record.phi_json("request"))
    assert other.body
    overwrite(
        "intents_provenancerecord", "request_hash", pk=record.pk, change=lambda old: old[::-1]
    )
    day.after_undo()
    assert day.state(proposal) == State.RECONCILED, "what was approved is what was written"
    assert sent(day) == []
    with pytest.raises(CommandError, match="does not hold"):
        day.check_log()


def test_an_ehr_that_takes_no_provenance_any_more_is_sent_none_for_what_is_approved_then(asked):
    day = asked
    day.practice.settings("generic", not_offered=["Provenance.create"])
    gateway.probe_due(at=day.now)
    proposal = day.propose(day.clinic.note(WORDS))
    reyes = day.desk("reyes")
    assert "FHIR Provenance" not in reyes.review(proposal).text
    reyes.approve(proposal)
    day.after_undo()
    assert day.state(proposal) == State.RECONCILED
    assert sent(day) == []
    assert stored(day, proposal).request == ""
