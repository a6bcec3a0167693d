"""An approval, and then something that it rested on is no longer so: nothing is written, whenever it happens.

Each of seven stops, on an EHR that can be searched and on one that cannot, at two moments: one approved change
still waits in line, and the other has been claimed and is about to be looked at for the last time before the
socket. What an EHR has to tell (the visit is closed, the patient merged) is learned from each of the six.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from django.db import transaction

from ehr_adapters.vendors.advancedmd import budget as amd_budget
from ehr_adapters.vendors.advancedmd import session
from ehr_adapters.vendors.athenahealth import budget as athena_budget
from intents.governance.models import ConsentDirective, PolicyVersion
from intents.lifecycle import State
from intents.management.clinic import INSTALLATION
from intents.models import PolicyVerdict
from intents.pipeline.delivery import faults
from tests.api.conftest import post_form
from tests.journeys.test_chart_moved import CERTAINTY, CLINICAL, R42

COUGH = {
    "coding": [{"system": "http://hl7.org/fhir/sid/icd-10-cm", "code": "R05.9", "display": "Cough"}]
}
# athenaOne takes no other code of a problem.
DIZZINESS = {"system": "http://snomed.info/sct", "code": "404640003", "display": "Dizziness"}


def withdraw_consent(day: Any, vendor: str, patient: str) -> None:
    ConsentDirective.enter(
        connection=day.clinic.connection(vendor),
        patient_ref=day.clinic.patient(patient, vendor)["patient"],
        decision="DENY",
        source="told the front desk",
        purposes=["TREAT"],
        actor=INSTALLATION,
        at=day.now,
    )


def disable_approver(day: Any, vendor: str, patient: str) -> None:
    day.clinic.person("reyes").user.deactivate(actor=INSTALLATION, at=day.now)


def suspend_agent(day: Any, vendor: str, patient: str) -> None:
    day.clinic.agent.suspend(actor=INSTALLATION, at=day.now)


def tighten_policy(day: Any, vendor: str, patient: str) -> None:
    """From now on what was approved by one person takes two."""
    old = PolicyVersion.in_force(tenant_id=day.clinic.tenant.pk, at=day.now)
    forbid = (
        '@id("LOCAL-01")\n@reason("Since today a second person looks at every change.")\n'
        'forbid (principal, action == Action::"commit_after_approval", resource);\n'
    )
    PolicyVersion.activate(
        tenant=day.clinic.tenant,
        content=f"{old.content}\n{forbid}",
        schema=old.schema,
        proposed_by="H. Ansah",
        approved_by="M. Dahl",
        actor=INSTALLATION,
        at=day.now,
    )


def close_encounter(day: Any, vendor: str, patient: str) -> None:
    day.practice.lever("close_visit", vendor=vendor, patient=patient, locked=True)


def merge_patient(day: Any, vendor: str, patient: str) -> None:
    day.practice.lever("merge", vendor=vendor, loser=patient, survivor="P13")


def edit_target(day: Any, vendor: str, patient: str) -> None:
    """A colleague changes the entries that the drafts change; in Epic, where the portal changes no entry, adds
    the entries that the drafts add."""
    if vendor == "generic":
        for entry in ("ckd", "hypertensive_ckd"):
            day.practice.lever(
                "edit_as_colleague",
                vendor=vendor,
                patient=patient,
                entry=entry,
                changes={"clinicalStatus": {"coding": [{"system": CLINICAL, "code": "inactive"}]}},
            )
        return
    category = "http://terminology.hl7.org/CodeSystem/condition-category"
    for code in (R42, COUGH):
        day.practice.lever(
            "add_resource",
            vendor=vendor,
            patient=patient,
            resource={
                "resourceType": "Condition",
                "clinicalStatus": {"coding": [{"system": CLINICAL, "code": "active"}]},
                "verificationStatus": {"coding": [{"system": CERTAINTY, "code": "confirmed"}]},
                "category": [{"coding": [{"system": category, "code": "problem-list-item"}]}],
                "code": code,
            },
        )


def usual(day: Any, vendor: str) -> list[dict[str, Any]]:
    """Two drafts that nothing but their patient connects."""
    problem = day.clinic.problem(vendor=vendor)
    if vendor == "athenahealth":
        problem["content"] |= {"code": [DIZZINESS]}
    return [day.clinic.note(), problem]


def targeted(day: Any, vendor: str) -> list[dict[str, Any]]:
    """Two drafts about entries that a colleague will touch."""
    if vendor == "epic":
        cough = {
            "code": COUGH["coding"], "category": "problem-list-item", "clinical_status": "active",
            "verification": "provisional",
        }  # fmt: skip
        return [day.clinic.problem(vendor=vendor), day.clinic.problem(vendor=vendor, content=cough)]
    entries = day.clinic.patient("P1")["entries"]
    return [
        day.clinic.problem(
            interaction="update", target=entries[name], content={"verification": "provisional"}
        )
        for name in ("ckd", "hypertensive_ckd")
    ]


@dataclass(frozen=True)
class Stop:
    """What happens, what is then said, and where in an attempt the portal could first notice it."""

    happens: Callable[[Any, str, str], None]
    codes: tuple[str, ...]
    sentence: str
    late: str
    drafts: Callable[[Any, str], list[dict[str, Any]]] = usual
    patient: str = "P1"


# An EHR is asked after the token; everything of the portal's own is asked last of all.
STOPS = {
    "consent withdrawn": Stop(
        withdraw_consent, ("consent-withdrawn",),
        "The patient no longer agrees to this use of the record. Nothing was sent.", "before_check",
    ),
    "approver disabled": Stop(
        disable_approver, ("approver-suspended",),
        "The person who approved it may no longer decide. Nothing was sent.", "before_check",
    ),
    "policy tightened": Stop(
        tighten_policy, ("rules-tightened",),
        "The rules no longer allow it. Nothing was sent.", "before_check",
    ),
    "agent suspended": Stop(
        suspend_agent, ("agent-suspended",),
        "The agent that drafted it was suspended. Nothing was sent.", "before_check",
    ),
    "encounter closed": Stop(
        close_encounter, ("encounter-changed",),
        "The visit changed since the approval. Nothing was written.", "before_reading",
    ),
    "patient merged": Stop(
        merge_patient, ("patient-moved",),
        "The patient's record is now part of another record. Nothing was written.", "before_reading",
        patient="P14",
    ),
    "target edited": Stop(
        edit_target, ("target-changed", "neighbourhood-changed"), "", "before_reading",
        drafts=targeted,
    ),
}  # fmt: skip


@pytest.fixture(autouse=True)
def _disarmed():
    yield
    faults.disarm()


# The portal's own reasons do not depend on the EHR; an EHR that cannot be searched stands for all of those.
CASES = [(name, vendor) for name in STOPS for vendor in ("generic", "epic")] + [
    (name, vendor)
    for name in ("encounter closed", "patient merged")
    for vendor in ("athenahealth", "eclinicalworks", "advancedmd", "veradigm")
]


@pytest.fixture(autouse=True)
def _as_if_just_started(monkeypatch):
    """No session with an EHR and no counted call of another test's."""
    monkeypatch.setattr(session, "sessions", session.Sessions())
    monkeypatch.setattr(amd_budget, "budget", amd_budget.Budget())
    monkeypatch.setattr("ehr_adapters.vendors.athenahealth.twins.budgets", athena_budget.Budgets())


def charts(day, vendor):
    """Every entry of the EHR with its version: what a write, to whomever, would change."""
    return sorted(
        (each["content"]["resourceType"], each["content"]["id"], each["version"])
        for each in day.practice.resources(vendor=vendor)
    )


def effects(day, vendor):
    """The requests after which the EHR held something else than before, by its own log."""
    return [each for each in day.practice.log(vendor=vendor) if each["committed"] or each["staged"]]


def kept(day, proposal):
    """The draft and its approval as they are stored."""
    intent = day.intent(proposal)
    decisions = intent.current_screening.decisions.values_list("kind", "statement", "signature")
    return intent.current_version.phi_json("content"), list(decisions)


@pytest.mark.req("000-97", "001-71", "001-116", "003-21", "003-24", "003-65", "004-29")
@pytest.mark.fault("approval-undercut")
@pytest.mark.parametrize(
    ("name", "vendor"),
    [
        # What another EHR answers is the same to the portal on either database.
        pytest.param(n, v, id=f"{n}-{v}", marks=[pytest.mark.once] if v != "generic" else [])
        for n, v in CASES
    ],
)
def test_what_an_approval_rested_on_is_gone_and_nothing_is_written(day, name, vendor):
    stop = STOPS[name]
    program = day.program()
    # The second prescriber is not known to the practice's athenahealth; the first takes the note over there.
    by = day.desk("lam" if stop.patient == "P14" and vendor != "athenahealth" else "reyes")
    proposals = [
        day.propose(change, vendor=vendor, patient=stop.patient)
        for change in stop.drafts(day, vendor)
    ]
    for proposal in proposals:
        assert day.state(proposal) == State.PENDING_APPROVAL, day.intent(proposal).reason
        page = by.review(proposal)
        if page.offers("Take over as author"):
            by.press(page, "Take over as author")
        by.approve(proposal)
        assert day.state(proposal) == State.APPROVED
    before = [kept(day, proposal) for proposal in proposals]
    at_the_time: list[State] = []
    after: list[Any] = []

    def strike() -> None:
        faults.disarm()
        at_the_time.extend(day.state(proposal) for proposal in proposals)
        with transaction.atomic():
            stop.happens(day, vendor, stop.patient)
        after.append(charts(day, vendor))

    faults.arm(stop.late, strike)
    for _ in range(3):
        day.after_undo()
    assert sorted(at_the_time) == [State.APPROVED, State.SUBMITTED], "one in line, one claimed"

    # Nothing was written: no request that could, and every entry is as the stop left it.
    assert effects(day, vendor) == []
    if vendor in ("generic", "epic"):  # the others read by POST, too
        assert day.writes(vendor) == []
    assert after == [charts(day, vendor)]
    assert [kept(day, proposal) for proposal in proposals] == before
    assert all(decisions for _, decisions in before)

    lam = day.desk("lam")
    assert "2 drafts" in lam.open("/queue/?view=changed").text
    for proposal, then in zip(proposals, at_the_time, strict=True):
        # A person sees it: where drafts wait for somebody, and on its own page with the reason in a sentence.
        assert day.state(proposal) == State.HELD
        assert day.reason(proposal) in stop.codes
        screen = lam.review(proposal)
        assert screen.url == f"/intents/{proposal.pk}/conflict/"
        assert "Nothing has been written." in screen.text
        assert "a person has to look." in lam.history(proposal).text
        sentence = stop.sentence or day.intent(proposal).reason.partition(": ")[2]
        assert sentence in screen.text
        assert not screen.offers("Approve for")

        # The agent is told the same, unless it is the agent that was stopped: it is told nothing any more.
        if name == "agent suspended":
            assert post_form("/oauth/token", program.form()).status_code == 401
        else:
            [change] = program.get(f"/api/v1/proposals/{proposal.pk}").json()["changes"]
            assert (change["state"], change["reason"].partition(": ")[2]) == ("HELD", sentence)

        # The log tells it, and by what right; whatever reached the EHR asked and did not write.
        told = day.told(proposal)
        at_claim = then == State.APPROVED and stop.late == "before_check"
        assert told.count(f"intent:write:{'held' if at_claim else 'conflict'}") == 1
        assert ("intent:write:submitted" in told) != at_claim
        assert "intent:write:accepted" not in told
        if name in ("consent withdrawn", "policy tightened"):
            # The verdict that stopped it is kept, also where one of the same attempt had allowed it.
            verdicts = PolicyVerdict.objects.filter(
                moment="claim", screening=day.intent(proposal).current_screening
            ).order_by("at")
            assert len(verdicts) == (1 if at_claim else 2)
            assert bool(verdicts.last().consent_directives) == (name == "consent withdrawn")
    day.check_log()
