"""What an agent may get wrong and how an EHR may fail: the draft stays whole, says exactly why, and goes on.

Every case ends with a specific state, finding and sentence, with nothing written, and with the drafted
words unchanged.
"""

from dataclasses import dataclass, field
from typing import Any

import pytest

from intents.lifecycle import State

# What an EHR answers, or does not, is the same to the portal on either database.
pytestmark = pytest.mark.once

WORDS = "Reports dizziness on getting up quickly. Denies cough."


@dataclass(frozen=True)
class Case:
    """What is wrong, and what must come of it."""

    name: str
    state: State
    code: str
    sentence: str
    rejected_by: str = ""
    body: dict[str, Any] = field(default_factory=dict)
    # whose visit the draft names instead
    encounter_of: str = ""
    change: dict[str, Any] = field(default_factory=dict)


CASES = [
    Case(
        name="unknown-patient",
        body={"who": {"id": "nobody-here"}},
        state=State.REJECTED,
        rejected_by="VALIDATION",
        code="unknown-patient",
        sentence="The EHR has no patient with this id.",
    ),
    Case(
        name="identity-that-disagrees",
        body={"who": {"birth_date": "1957-03-15"}},
        state=State.HELD,
        code="patient-mismatch",
        sentence="The birth date in the draft is not the one in the EHR.",
    ),
    Case(
        name="name-alike-without-what-tells-them-apart",
        body={"who": {"mrn": None, "sex": None}},
        state=State.HELD,
        code="name-alike-unproven",
        sentence="the draft does not give sex and record number.",
    ),
    Case(
        name="unknown-encounter",
        body={"encounter": "no-such-visit"},
        state=State.REJECTED,
        rejected_by="VALIDATION",
        code="unknown-encounter",
        sentence="The EHR has no visit with this id.",
    ),
    Case(
        name="encounter-of-another-patient",
        encounter_of="P2",
        state=State.HELD,
        code="encounter-of-another-patient",
        sentence="The visit is of another patient.",
    ),
    Case(
        name="unknown-target",
        change={
            "interaction": "update",
            "target": "Condition/no-such-entry",
            "content": {"verification": "provisional"},
        },
        state=State.REJECTED,
        rejected_by="VALIDATION",
        code="unknown-target",
        sentence="The EHR has no entry with this id.",
    ),
    Case(
        name="already-in-the-chart",
        change={
            "content": {
                "code": [{"system": "http://hl7.org/fhir/sid/icd-10-cm", "code": "N18.30"}],
                "category": "problem-list-item",
                "clinical_status": "active",
                "verification": "confirmed",
            }
        },
        state=State.REJECTED,
        rejected_by="VALIDATION",
        code="duplicate",
        sentence="The chart already holds this as an active problem.",
    ),
]


@pytest.mark.req("003-09", "003-21", "003-22", "003-61", "004-68")
@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_a_wrong_draft_is_stopped_with_its_own_finding_and_kept_whole(day, case):
    change = day.clinic.problem(**case.change) if case.change else day.clinic.note(WORDS)
    body = dict(case.body)
    if case.encounter_of:
        body["encounter"] = day.clinic.patient(case.encounter_of)["encounter"]
    proposal = day.propose(change, **body)
    intent = day.intent(proposal)
    assert (intent.state, intent.rejected_by) == (case.state, case.rejected_by), intent.reason
    assert case.sentence in intent.reason
    found = {f.code: f.diagnostics for f in intent.current_screening.findings.all()}
    assert case.sentence in found[case.code]

    # A person sees why, and that nothing is in the chart; nothing can be approved.
    screen = day.desk("reyes").review(proposal)
    assert screen.status == 200
    assert case.sentence in screen.text
    assert not screen.offers("Approve for")
    for _ in range(2):
        day.after_undo()
    assert day.writes() == []
    content = intent.current_version.phi_json("content")
    drafted = change["content"]
    assert all(content[name] == value for name, value in drafted.items() if name == "sections")
    assert intent.versions.count() == 1
    day.check_log()


@pytest.mark.req("003-22", "003-65")
@pytest.mark.parametrize(
    ("patient", "outcome"),
    [("P6", State.RECONCILED), ("P9", State.REJECTED)],
    ids=["closed", "locked"],
)
def test_a_note_for_a_closed_visit_waits_until_a_person_says_that_it_belongs_there(
    day, patient, outcome
):
    proposal = day.propose(day.clinic.note(WORDS), patient=patient)
    intent = day.intent(proposal)
    assert intent.state == State.HELD
    held = intent.current_screening.findings.filter(holds=True)
    assert [finding.code for finding in held] == ["encounter-closed"]
    clinician = day.desk("reyes")
    screen = clinician.review(proposal)
    assert "The visit is closed. Check it again if this belongs into a closed visit." in screen.text
    day.after_undo()
    assert day.writes() == []

    screen = clinician.press(screen, "Check again")
    assert "The visit is closed; this is added to it all the same." in screen.text
    day.forward(seconds=40)
    refused = clinician.press(screen, "Approve for")
    assert "Nothing was written." in refused.text, "it is asked once more, and not answered yet"
    clinician.approve(proposal)
    day.after_undo()
    assert day.state(proposal) == outcome
    assert len(day.writes()) == 1
    page = clinician.delivery(proposal).text
    if outcome == State.REJECTED:
        # The EHR itself does not let anybody write into a locked visit.
        assert day.held(patient=patient) == []
        assert "Refused by the EHR" in page
        assert "refused (423)" in page
        assert "Why: The chart is locked in the EHR." in page
    else:
        assert len(day.held(patient=patient)) == 1


# --- an EHR that is not well -------------------------------------------------------------------------

SICK = [
    ("slow", {"ms": 1600}),
    ("html-reply", {}),
    ("empty-reply", {}),
    ("not-json", {}),
    ("redirect", {"location": "http://127.0.0.1:9/elsewhere"}),
    ("unavailable", {}),
    ("drop-before-commit", {}),
]


@pytest.fixture
def impatient(settings):
    settings.EHR_TIMEOUT_SECONDS = 1.0
    settings.EHR_REVIEW_READ_SECONDS = 1.0


@pytest.mark.req("001-09", "001-56", "004-67")
@pytest.mark.parametrize(("fault", "params"), SICK, ids=[fault for fault, _ in SICK])
def test_a_draft_waits_whole_while_the_ehr_is_not_well_and_goes_on_when_it_is(
    day, impatient, settings, fault, params
):
    day.practice.fault(
        fault, vendor="generic", method="GET", path="^(Patient|Encounter)", times=None, **params
    )
    proposal = day.propose(day.clinic.note(WORDS))
    intent = day.intent(proposal)
    assert (intent.state, intent.reason) == (State.DRAFTED, "Being checked, EHR not answering.")
    assert "intent:baseline:unreadable" in day.told(proposal)
    reyes = day.desk("reyes")
    assert "Being checked 1" in reyes.open("/queue/").text
    screen = reyes.review(proposal)
    assert "This draft is being checked" in screen.text
    assert "Nothing is written." in screen.text
    assert "Being checked, EHR not answering." in screen.text

    day.practice.clear_faults()
    settings.EHR_TIMEOUT_SECONDS = 15.0
    settings.EHR_REVIEW_READ_SECONDS = 10.0
    day.forward(minutes=5)
    day.background()
    assert day.state(proposal) == State.PENDING_APPROVAL
    content = day.intent(proposal).current_version.phi_json("content")
    assert content["sections"][0]["text"] == WORDS
    reyes.approve(proposal)
    day.after_undo()
    assert day.state(proposal) == State.RECONCILED
    assert len(day.held()) == 1


@pytest.mark.req("003-30")
@pytest.mark.parametrize(("fault", "params"), SICK, ids=[fault for fault, _ in SICK])
def test_nothing_is_approved_against_an_ehr_that_is_not_well_while_somebody_reads(
    day, settings, fault, params
):
    proposal = day.propose(day.clinic.note(WORDS))
    reyes = day.desk("reyes")
    opened = reyes.review(proposal)
    settings.EHR_TIMEOUT_SECONDS = settings.EHR_REVIEW_READ_SECONDS = 1.0
    day.practice.fault(fault, vendor="generic", method="GET", times=None, **params)
    day.forward(seconds=40)
    screen = reyes.press(opened, "Approve for")
    assert screen.status == 409
    assert "The EHR is not answering" in screen.text
    assert screen.button("Approve for").blocked.startswith("The EHR does not answer")
    assert day.state(proposal) == State.PENDING_APPROVAL

    day.practice.clear_faults()
    settings.EHR_TIMEOUT_SECONDS, settings.EHR_REVIEW_READ_SECONDS = 15.0, 10.0
    assert not reyes.review(proposal).button("Approve for").blocked
    reyes.approve(proposal)
    day.after_undo()
    assert day.state(proposal) == State.RECONCILED
