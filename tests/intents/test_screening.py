"""Screening against the practice EHR: what is read, rendered, found, decided and filed."""

import json
import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from django.db import connections, transaction

from audit.actors import Actor, ActorKind
from audit.models import AuditEvent
from audit.tags import AuditTag
from ehr_adapters.canonical.base import ChartChange, parse_change
from intents.governance.models import ConsentDirective, PolicyVersion, ScopeGrant
from intents.governance.tenancy import tenant_context
from intents.lifecycle import RejectedBy, State, Tier
from intents.models import Intent, PolicyVerdict, Screening
from intents.pipeline import gateway, intake, review, screening
from intents.pipeline.policy import PolicyContext, evaluate
from intents.pipeline.screening import Freshness, filing
from tests.ehr_adapters.practice import problem as a_problem
from tests.factories import R42

SOMEBODY = Actor.system(ActorKind.INSTALLATION)


def send(
    clinic,
    *changes: dict[str, Any],
    patient: str = "P1",
    who: dict[str, Any] | None = None,
    **more: Any,
) -> Intent:
    """The first change of a new draft, after screening; `who` changes the asserted identity (None: left out)."""
    body = clinic.body(changes or [clinic.note()], patient=patient, **more)
    asserted = body["patient"] | (who or {})
    body["patient"] = {name: value for name, value in asserted.items() if value is not None}
    proposal, _ = intake.receive(
        credential=clinic.credential(),
        lane="suggest",
        key=str(uuid.uuid4()),
        raw_body=json.dumps(body).encode(),
        at=clinic.at,
    )
    return clinic.screen(proposal)[0]


def codes(intent: Intent, **only: object) -> set[str]:
    return {f.code for f in intent.current_screening.findings.filter(**only)}


def events(intent: Intent) -> list[str]:
    rows = AuditEvent.objects.filter(intent_id=str(intent.pk)).order_by("recorded_at", "pk")
    return [row.tag for row in rows]


def again(intent: Intent) -> Intent:
    return Intent.objects.select_related("current_screening", "proposal", "connection").get(
        pk=intent.pk
    )


class TestAnOrdinaryNote:
    @pytest.mark.req("001-89", "002-11", "000-09")
    def test_waits_for_its_author_with_everything_that_was_found_on_record(self, clinic):
        intent = send(clinic)
        kept = intent.current_screening
        assert (intent.state, intent.tier, intent.reason) == (
            State.PENDING_APPROVAL,
            Tier.APPROVAL,
            "",
        )
        plan = screening.plan_of(kept)
        assert kept.payload_hash == plan.payload_hash()
        assert plan.tag.uuid == str(intent.current_version.tag)
        assert kept.finality == "filed_unsigned"
        verdict = PolicyVerdict.objects.get(screening=kept)
        assert [r["rule"] for r in verdict.reasons] == ["NOTE-01"]
        assert (verdict.moment, verdict.tier, verdict.outcome) == (
            "screening",
            "APPROVAL",
            "PENDING_APPROVAL",
        )
        assert codes(intent, needs_decision=True) == set()

    def test_carries_the_visits_clinician_as_author_in_the_frozen_bytes_alone(self, clinic):
        intent = send(clinic)
        kept = intent.current_screening
        reyes = clinic.practice.directory()["staff"]["prescriber_one"]["practitioner"]
        change = gateway.parse(connection=intent.connection, plan=screening.plan_of(kept))
        assert change.author == f"Practitioner/{reyes}" == kept.phi_json("baseline")["author"]
        assert "author" not in intent.current_version.phi_json("content")
        assert screening.baseline_of(kept).practitioner.id == reyes

    def test_tells_the_log_what_was_read_frozen_checked_and_decided_without_content(self, clinic):
        intent = send(clinic)
        assert events(intent)[-4:] == [
            "intent:baseline:read",
            "intent:wire:frozen",
            "intent:validation:passed",
            "intent:policy:decided",
        ]
        leaves = " ".join(AuditEvent.objects.values_list("leaf", flat=True))
        assert not any(w in leaves for w in ("OKONKWO", "dizz", intent.proposal.patient_ref))

    def test_is_decided_again_the_same_from_what_was_stored(self, clinic):
        verdict = PolicyVerdict.objects.get(screening=send(clinic).current_screening)
        replayed = evaluate(
            PolicyContext.from_input(verdict.phi_json("input")),
            policy_text=verdict.policy_version.content,
            schema_text=verdict.policy_version.schema,
        )
        assert (replayed.input_hash, replayed.policy_hash, replayed.tier) == (
            verdict.input_hash,
            verdict.policy_hash,
            verdict.tier,
        )

    @pytest.mark.req("000-24")
    def test_rests_as_validated_in_the_draft_lane(self, clinic):
        intent = clinic.screen(clinic.propose(lane="draft"))[0]
        assert (intent.state, intent.tier) == (State.VALIDATED, Tier.APPROVAL)
        assert events(intent)[-1] == "intent:policy:decided"

    def test_goes_to_a_person_from_the_commit_lane_too(self, clinic):
        assert clinic.screen(clinic.propose(lane="commit"))[0].state == State.PENDING_APPROVAL


@pytest.mark.req("003-06")
class TestWhoseChart:
    @pytest.mark.parametrize(
        "changed",
        [
            {"family": "OKONJO"},
            {"given": "Nkechi"},
            {"birth_date": "1957-04-13"},
            {"sex": "male"},
            {"mrn": "4471908231"},
        ],
        ids=lambda c: next(iter(c)),
    )
    def test_holds_a_draft_that_differs_in_any_given_part(self, clinic, changed):
        ((part, value),) = changed.items()
        intent = send(clinic, who=changed)
        assert intent.state == State.HELD
        finding = intent.current_screening.findings.get(code="patient-mismatch")
        assert (finding.expression, finding.holds) == (f"/patient/{part}", True)
        assert value not in finding.diagnostics

    def test_takes_case_accents_punctuation_and_a_previous_name_for_the_same(self, clinic):
        former = send(clinic, patient="P13", who={"family": "Penhallow"})
        spelt = send(clinic, patient="P12", who={"given": "zoe"})
        assert "patient-mismatch" not in codes(former) | codes(spelt)

    @pytest.mark.parametrize("part", ["given", "sex", "mrn"])
    def test_holds_a_draft_that_cannot_tell_a_name_alike(self, clinic, part):
        intent = send(clinic, who={part: None})
        assert intent.state == State.HELD
        assert codes(intent, holds=True) == {"name-alike-unproven"}
        alikes = intent.current_screening.phi_json("name_alikes")["candidates"]
        assert [each["id"] for each in alikes] == [clinic.patient("P2")["patient"]]

    def test_tells_true_twins_apart_by_the_given_name(self, clinic):
        ada = send(clinic, patient="P3")
        assert ada.state == State.PENDING_APPROVAL
        assert "name-alike" in codes(ada)
        ida = clinic.patient("P4")
        mixed = send(clinic, patient="P3", who={"id": ida["patient"]}, encounter=ida["encounter"])
        assert mixed.state == State.HELD
        assert "patient-mismatch" in codes(mixed, holds=True)

    def test_asks_for_nothing_more_where_nobody_is_called_alike(self, clinic):
        plain = send(clinic, patient="P5", who={"given": None, "sex": None, "mrn": None})
        assert plain.state == State.PENDING_APPROVAL
        assert not codes(plain) & {"name-alike", "name-alike-unproven"}

    def test_takes_not_to_have_looked_for_not_to_know(self, clinic):
        clinic.practice.fault("error-before-commit", method="GET", path=r"Patient\?", times=None)
        known, unknown = send(clinic), send(clinic, who={"mrn": None})
        clinic.practice.clear_faults()
        assert (known.state, unknown.state) == (State.PENDING_APPROVAL, State.HELD)
        assert "name-alike-unknown" in codes(known)
        assert codes(unknown, holds=True) == {"name-alike-unproven"}

    def test_takes_a_refused_token_for_not_having_looked(self, clinic):
        # The first token is for the chart, the second for the search after people called alike.
        clinic.practice.fault("error-before-commit", path="oauth2/token", skip=1, times=None)
        intent = send(clinic, who={"mrn": None})
        assert intent.state == State.HELD
        assert codes(intent, holds=True) == {"name-alike-unproven"}

    def test_holds_a_source_of_another_patient(self, clinic):
        sources = clinic.body([])["sources"]
        sources[0]["patient"] = clinic.patient("P2")["patient"]
        intent = send(clinic, sources=sources)
        assert intent.state == State.HELD
        assert codes(intent, holds=True) == {"source-of-another-patient"}

    @pytest.mark.req("003-22")
    def test_holds_a_visit_of_another_patient(self, clinic):
        intent = send(clinic, encounter=clinic.patient("P2")["encounter"])
        assert intent.state == State.HELD
        assert codes(intent, holds=True) == {"encounter-of-another-patient"}

    @pytest.mark.req("003-61")
    def test_rejects_a_patient_whom_the_ehr_does_not_know(self, clinic):
        intent = send(clinic, who={"id": "nobody-here"})
        assert (intent.state, intent.rejected_by) == (State.REJECTED, RejectedBy.VALIDATION)
        assert intent.reason == "The EHR has no patient with this id."
        assert not intent.current_screening.wire_plan

    def test_rejects_a_visit_that_the_ehr_does_not_know(self, clinic):
        intent = send(clinic, encounter="no-such-visit")
        assert intent.state == State.REJECTED
        assert "unknown-encounter" in codes(intent, severity="error")

    @pytest.mark.req("003-65")
    def test_holds_a_record_that_is_part_of_another(self, clinic):
        clinic.practice.lever("merge")
        intent = send(clinic, patient="P14")
        assert intent.state == State.HELD
        assert "patient-merged" in codes(intent, holds=True)

    def test_holds_a_draft_about_somebody_who_died(self, clinic):
        intent = send(clinic, patient="P16")
        assert intent.state == State.HELD
        assert "patient-deceased" in codes(intent, holds=True)


class TestTheVisit:
    def test_that_is_closed_holds_until_a_person_clears_it_and_then_asks_once_more(self, clinic):
        intent = send(clinic, patient="P9")
        assert intent.state == State.HELD
        assert codes(intent, holds=True) == {"encounter-closed"}
        review.release(
            proposal_id=intent.proposal_id, reviewer=clinic.person("reyes"), at=clinic.at
        )
        cleared = again(intent)
        assert cleared.state == State.PENDING_APPROVAL
        asked = cleared.current_screening.findings.filter(needs_decision=True)
        assert {f.code for f in asked} == {"encounter-not-open"}

    @pytest.fixture
    def open_visits_only(self, clinic, monkeypatch):
        """An EHR that files notes only in an open visit: none of the two practice EHRs does."""
        narrow = gateway.capabilities_for(connection=clinic.connection()).narrowed(
            {("note", "create"): {"needs_open_encounter": True}}, found_at="", evidence=[]
        )
        monkeypatch.setattr(gateway, "capabilities_for", lambda *, connection: narrow)

    @pytest.mark.req("003-65")
    def test_holds_when_it_is_closed_and_the_ehr_files_only_in_an_open_one(
        self, clinic, open_visits_only
    ):
        closed, opened = send(clinic, patient="P9"), send(clinic, patient="P1")
        assert (closed.state, opened.state) == (State.HELD, State.PENDING_APPROVAL)
        assert codes(closed, holds=True) == {"encounter-closed"}

    def test_holds_when_it_is_closed_while_the_draft_waits(self, clinic, open_visits_only):
        intent = send(clinic)
        clinic.practice.lever("close_visit", vendor="generic", patient="P1")
        (found,) = screening.refresh(proposal_id=intent.proposal_id, at=clinic.at)
        assert (found.freshness, found.fields) == (Freshness.MOVED, ("encounter",))
        assert again(intent).reason == "The visit was closed."

    def test_is_needed_where_the_ehr_files_only_in_one(self, clinic):
        epic = send(clinic, vendor="epic", encounter=None)
        generic = send(clinic, encounter=None)
        assert (epic.state, generic.state) == (State.REJECTED, State.PENDING_APPROVAL)
        assert "missing" in codes(epic, severity="error")
        assert "no-author" in codes(generic)


class TestTheDestination:
    @pytest.mark.req("000-41", "000-42")
    def test_that_cannot_take_a_change_rejects_it_with_the_sentence_and_leaves_a_copy_card(
        self, clinic
    ):
        target = clinic.patient("P1", "epic")["entries"]["ckd"]
        intent = send(
            clinic,
            clinic.problem(
                interaction="update",
                content={"verification": "provisional"},
                target=f"Condition/{_id(target)}",
                vendor="epic",
            ),
            vendor="epic",
        )
        assert (intent.state, intent.rejected_by) == (State.REJECTED, RejectedBy.VALIDATION)
        assert codes(intent, severity="error") == {"unsupported"}
        assert "Epic" in intent.reason
        card = gateway.copy_card(
            connection=intent.connection,
            change=_change(intent),
            sentence=intent.reason,
        )
        assert card.ehr == "Epic"
        assert ("Certainty", "provisional") in card.lines

    def test_that_takes_it_otherwise_is_told_to_the_agent_by_place(self, clinic):
        intent = send(clinic, clinic.problem(vendor="generic"), vendor="epic")
        assert intent.state == State.REJECTED
        assert codes(intent, severity="error")
        assert "/verification" in {
            f.expression for f in intent.current_screening.findings.filter(severity="error")
        }

    @pytest.mark.req("002-49")
    def test_without_the_entry_that_is_to_be_changed_rejects_the_change(self, clinic):
        change = clinic.problem(
            interaction="update",
            content={"verification": "provisional"},
            target="Condition/no-such-entry",
        )
        intent = send(clinic, change)
        assert (intent.state, intent.rejected_by) == (State.REJECTED, RejectedBy.VALIDATION)
        assert codes(intent, severity="error") == {"unknown-target"}

    def test_holds_a_change_to_another_patients_entry(self, clinic):
        asthma = _id(clinic.patient("P2")["entries"]["asthma"])
        change = clinic.problem(
            interaction="update",
            content={"verification": "provisional"},
            target=f"Condition/{asthma}",
        )
        intent = send(clinic, change)
        assert intent.state == State.HELD
        assert codes(intent, holds=True) == {"target-of-another-patient"}


class TestWhatTheChartHolds:
    def test_already_rejects_the_same_problem(self, clinic):
        ckd = {
            "system": "http://hl7.org/fhir/sid/icd-10-cm",
            "code": "N18.30",
            "display": "Chronic kidney disease, stage 3 unspecified",
        }
        content = {
            "code": [ckd],
            "category": "problem-list-item",
            "clinical_status": "active",
            "verification": "confirmed",
        }
        intent = send(clinic, clinic.problem(content=content))
        assert (intent.state, intent.rejected_by) == (State.REJECTED, RejectedBy.VALIDATION)
        assert codes(intent, severity="error") == {"duplicate"}

    def test_beside_a_new_problem_is_no_hindrance(self, clinic):
        intent = send(clinic, clinic.problem())
        assert (intent.state, intent.tier) == (State.PENDING_APPROVAL, Tier.APPROVAL)
        assert intent.current_screening.neighbourhood_hash

    @pytest.mark.req("002-05")
    def test_not_yet_because_it_waits_in_the_ehr_rejects_a_second_one(self, clinic):
        first = clinic.ready(changes=[clinic.problem(vendor="epic")], vendor="epic")
        clinic.deliver()
        assert clinic.intent(first).state == State.ACCEPTED
        second = send(clinic, clinic.problem(vendor="epic"), vendor="epic")
        assert second.state == State.REJECTED
        assert codes(second, severity="error") == {"duplicate-waiting"}

    def test_marks_a_colleagues_entry_as_wrong_only_with_two_people(self, clinic):
        target = f"Condition/{_id(clinic.patient('P1')['entries']['ckd'])}"
        change = clinic.problem(interaction="entered-in-error", content={}, target=target)
        change["evidence"] = []
        intent = send(clinic, change)
        assert (intent.state, intent.tier) == (State.PENDING_APPROVAL, Tier.DUAL_APPROVAL)


class TestTheBeforeSide:
    def test_is_what_the_ehr_says_and_not_what_the_agent_says_it_says(self, clinic):
        told = "Problem list as of today: Chronic kidney disease, stage 5, resolved."
        source = {"ref": "s1", "kind": "chart", "title": "Chart", "text": told}
        change = clinic.problem(
            interaction="update",
            content={"verification": "provisional"},
            target=f"Condition/{_id(clinic.patient('P1')['entries']['ckd'])}",
        )
        change["evidence"] = [
            {
                "path": "/verification",
                "source": "s1",
                "start": 0,
                "end": 12,
                "quote": told[:12],
                "method": "copied",
            }
        ]
        intent = send(clinic, change, sources=[source])
        before = screening.baseline_of(intent.current_screening).target.canonical
        assert before["clinical_status"] == "active"
        assert "N18.30" in {code["code"] for code in before["code"]}
        assert intent.current_screening.hash_whole
        after = gateway.parse(
            connection=intent.connection, plan=screening.plan_of(intent.current_screening)
        )
        assert after.clinical_status == "active"


class TestWhatTheSourceSays:
    @pytest.mark.req("001-91")
    def test_otherwise_makes_a_question_of_the_statement(self, clinic):
        intent = send(
            clinic,
            clinic.note(
                "Denies dizziness. Denies cough.",
                quotes={
                    "Denies dizziness.": "I get dizzy if I get up too quick",
                    "Denies cough.": "No, no cough",
                },
            ),
        )
        asked = intent.current_screening.findings.filter(needs_decision=True)
        assert [(f.code, f.expression) for f in asked] == [
            ("statement-contradicted", "/sections/0/text#0-17")
        ]
        assert intent.state == State.PENDING_APPROVAL

    def test_nothing_of_makes_a_question_of_the_statement(self, clinic):
        intent = send(
            clinic,
            clinic.note("Denies cough. Has a dog.", quotes={"Denies cough.": "No, no cough"}),
        )
        asked = intent.current_screening.findings.filter(needs_decision=True)
        assert [(f.code, f.expression) for f in asked] == [
            ("statement-absent", "/sections/0/text#14-24")
        ]


class TestRulesAndRights:
    def test_reject_what_the_patient_refused(self, clinic):
        with transaction.atomic():
            ConsentDirective.enter(
                connection=clinic.connection(),
                patient_ref=clinic.patient("P1")["patient"],
                decision="DENY",
                actions=["note"],
                source="paper form",
                actor=SOMEBODY,
                at=clinic.at,
            )
        note, problem = send(clinic), send(clinic, clinic.problem())
        assert (note.state, note.rejected_by) == (State.REJECTED, RejectedBy.POLICY)
        assert note.reason == "The patient has refused this use of their record."
        assert problem.state == State.PENDING_APPROVAL
        verdict = PolicyVerdict.objects.get(screening=note.current_screening)
        assert len(verdict.consent_directives) == 1

    def test_reject_what_the_agent_may_no_longer_propose(self, clinic):
        proposal = clinic.propose()
        with transaction.atomic():
            for grant in ScopeGrant.objects.filter(scope="system/DocumentReference.c"):
                grant.revoke(actor=SOMEBODY, at=clinic.at)
        intent = clinic.screen(proposal, at=clinic.at + timedelta(seconds=1))[0]
        assert (intent.state, intent.rejected_by) == (State.REJECTED, RejectedBy.POLICY)
        assert "no longer allowed" in intent.reason

    def test_leave_a_draft_alone_while_no_rules_are_in_force(self, clinic):
        with transaction.atomic():
            for rules in PolicyVersion.objects.all():
                rules.active_until = clinic.at
                rules.keep(tag=AuditTag.GOVERNANCE_POLICY_RETIRED, actor=SOMEBODY, at=clinic.at)
        intent = send(clinic)
        assert intent.state == State.DRAFTED
        assert "No rules are in force" in intent.reason

    def test_are_asked_again_as_they_are_now(self, clinic):
        intent = send(clinic)
        before = screening.policy_now(
            intent=intent, screening=intent.current_screening, at=clinic.at
        )
        with transaction.atomic():
            clinic.agent.suspend(actor=SOMEBODY, at=clinic.at)
        after = screening.policy_now(
            intent=again(intent), screening=intent.current_screening, at=clinic.at
        )
        assert (before.verdict.tier, after.verdict.tier) == (Tier.APPROVAL, Tier.BLOCKED)
        with transaction.atomic():
            kept = screening.keep_verdict(
                after, screening=intent.current_screening, moment="claim", at=clinic.at
            )
        assert (kept.moment, kept.tier) == ("claim", "BLOCKED")


@pytest.mark.req("004-67")
class TestAnEhrThatDoesNotAnswer:
    def test_leaves_the_draft_being_checked_and_is_asked_less_and_less_often(self, clinic):
        clinic.practice.fault("drop-before-commit", times=None)
        intent = send(clinic)
        assert (intent.state, intent.reason) == (
            State.DRAFTED,
            "Being checked, EHR not answering.",
        )
        assert intent.screen_not_before == clinic.at + timedelta(seconds=5)
        assert events(intent).count("intent:baseline:unreadable") == 1
        # Not due yet: nothing is asked.
        asked = len(clinic.practice.log())
        assert screening.screen_due(at=clinic.at + timedelta(seconds=4)) == 0
        assert len(clinic.practice.log()) == asked
        moment, waits = clinic.at, []
        for _ in range(8):
            moment = again(intent).screen_not_before
            screening.screen_due(at=moment)
            waits.append((again(intent).screen_not_before - moment).total_seconds())
        assert waits == [10, 20, 40, 80, 160, 300, 300, 300]
        assert events(intent).count("intent:baseline:unreadable") == 1
        assert not Screening.objects.exists()

        clinic.practice.clear_faults()
        moment = again(intent).screen_not_before
        assert screening.screen_due(at=moment) == 1
        settled = again(intent)
        assert (settled.state, settled.reason, settled.screen_attempts) == (
            State.PENDING_APPROVAL,
            "",
            0,
        )

    def test_but_says_when_to_ask_is_asked_then(self, clinic):
        clinic.practice.fault("rate-limited", method="GET", retry_after=120, times=None)
        intent = send(clinic)
        assert intent.screen_not_before == clinic.at + timedelta(seconds=120)

    def test_in_time_for_a_waiting_person_is_given_up_at_the_deadline(self, clinic):
        clinic.practice.fault("timeout-before-commit", method="GET", ms=20000, times=None)
        proposal = clinic.propose()
        intent = clinic.intent(proposal)
        done = screening.screen(intent_id=intent.pk, at=clinic.at, deadline=0.5)
        assert done.state == State.DRAFTED


class TestSeveralWorkers:
    def test_file_one_result_for_one_draft(self, clinic):
        intent = clinic.intent(clinic.propose())

        def work(_: int) -> str:
            try:
                with tenant_context(clinic.tenant.pk):
                    return screening.screen(intent_id=intent.pk, at=clinic.at).state
            finally:
                connections.close_all()

        with ThreadPoolExecutor(max_workers=3) as pool:
            states = set(pool.map(work, range(3)))
        assert states == {State.PENDING_APPROVAL}
        assert Screening.objects.count() == 1
        assert events(intent).count("intent:policy:decided") == 1

    def test_discard_what_was_found_about_an_earlier_state(self, clinic):
        intent = clinic.intent(clinic.propose())
        found = screening.examine(intent=intent, at=clinic.at)
        screening.screen(intent_id=intent.pk, at=clinic.at)
        with transaction.atomic(), pytest.raises(screening.OutOfDate):
            screening.keep(found, intent=Intent.lock(intent.pk), at=clinic.at)
        assert Screening.objects.count() == 1

    def test_are_not_stopped_by_one_draft_that_cannot_be_checked(self, clinic, monkeypatch):
        bad, good = clinic.intent(clinic.propose()), clinic.intent(clinic.propose())
        real = filing.examine

        def fails(*, intent, **more):
            if intent.pk == bad.pk:
                raise ZeroDivisionError
            return real(intent=intent, **more)

        monkeypatch.setattr(filing, "examine", fails)
        assert screening.screen_due(at=clinic.at) == 1
        assert again(good).state == State.PENDING_APPROVAL
        aside = again(bad)
        assert (aside.state, aside.screen_attempts) == (State.DRAFTED, 1)
        assert aside.screen_not_before == clinic.at + timedelta(minutes=5)


class TestALaterLook:
    """`refresh`: what the review page and the press on Approve ask."""

    @pytest.fixture
    def update(self, clinic):
        """A change of the certainty of a problem, waiting for a decision."""
        entry = clinic.patient("P1")["entries"]["ckd"]
        intent = send(
            clinic,
            clinic.problem(
                interaction="update",
                content={"verification": "provisional"},
                target=f"Condition/{_id(entry)}",
            ),
        )
        assert intent.state == State.PENDING_APPROVAL, intent.reason
        return intent

    def look(self, clinic, intent):
        (found,) = screening.refresh(proposal_id=intent.proposal_id, at=clinic.at)
        return found

    def test_at_an_unchanged_chart_changes_nothing(self, clinic, update):
        assert self.look(clinic, update).freshness is Freshness.UNCHANGED
        assert Screening.objects.count() == 1
        assert again(update).state == State.PENDING_APPROVAL

    @pytest.mark.req("003-65")
    def test_holds_what_a_colleague_changed_in_the_same_fields(self, clinic, update):
        clinic.practice.lever(
            "edit_as_colleague",
            vendor="generic",
            patient="P1",
            entry="ckd",
            changes={
                "clinicalStatus": {
                    "coding": [
                        {
                            "system": "http://terminology.hl7.org/CodeSystem/condition-clinical",
                            "code": "inactive",
                        }
                    ]
                }
            },
        )
        found = self.look(clinic, update)
        held = again(update)
        assert (found.freshness, held.state) == (Freshness.TOUCHED_DIFFERS, State.HELD)
        assert found.fields == ("clinical_status",)
        assert held.reason == "The entry was changed in the EHR since this was drafted."
        assert events(held)[-2:] == ["intent:baseline:moved", "intent:review:held"]

    def test_renders_again_what_a_colleague_changed_beside_it(self, clinic, update):
        clinic.practice.lever(
            "edit_as_colleague",
            vendor="generic",
            patient="P1",
            entry="ckd",
            comment="Seen by nephrology.",
        )
        found = self.look(clinic, update)
        kept = again(update)
        assert (found.freshness, kept.state) == (Freshness.WHOLE_DIFFERS, State.PENDING_APPROVAL)
        assert found.fields == ("note",)
        assert kept.current_screening.number == 2
        assert kept.current_screening.payload_hash != update.current_screening.payload_hash
        # The colleague's words go along instead of being undone.
        assert b"Seen by nephrology." in screening.plan_of(kept.current_screening).steps[0].body
        assert self.look(clinic, update).freshness is Freshness.UNCHANGED

    def test_holds_what_is_about_a_record_that_was_merged(self, clinic):
        intent = send(clinic, patient="P14")
        clinic.practice.lever("merge")
        found = self.look(clinic, intent)
        assert (found.freshness, found.fields) == (Freshness.MOVED, ("patient",))
        assert again(intent).state == State.HELD

    def test_holds_what_is_about_somebody_who_died_meanwhile(self, clinic):
        intent = send(clinic)
        clinic.practice.lever("die", patient="P1")
        assert self.look(clinic, intent).freshness is Freshness.MOVED
        assert again(intent).reason == "The patient was recorded as deceased."

    def test_holds_a_new_problem_that_a_colleague_added_meanwhile(self, clinic):
        intent = send(clinic, clinic.problem())
        who = clinic.patient("P1")["patient"]
        clinic.practice.lever(
            "add_resource", vendor="generic", patient="P1", resource=a_problem(who)
        )
        found = self.look(clinic, intent)
        assert found.freshness is Freshness.TOUCHED_DIFFERS
        assert again(intent).state == State.HELD

    def test_screens_a_new_problem_again_beside_which_another_appeared(self, clinic):
        intent = send(clinic, clinic.problem())
        other = a_problem(
            clinic.patient("P1")["patient"],
            code={"coding": [{"system": R42["system"], "code": "R05.9", "display": "Cough"}]},
        )
        clinic.practice.lever("add_resource", vendor="generic", patient="P1", resource=other)
        assert self.look(clinic, intent).freshness is Freshness.WHOLE_DIFFERS
        kept = again(intent)
        assert (kept.state, kept.current_screening.number) == (State.PENDING_APPROVAL, 2)
        assert kept.current_screening.payload_hash == intent.current_screening.payload_hash

    def test_that_is_not_answered_decides_nothing(self, clinic, update):
        clinic.practice.fault("drop-before-commit", times=None)
        found = self.look(clinic, update)
        assert found.freshness is Freshness.SILENT
        assert found.sentence
        assert again(update).state == State.PENDING_APPROVAL

    def test_reads_several_changes_side_by_side(self, clinic):
        proposal = clinic.propose([clinic.note(), clinic.problem(ref="c2")])
        clinic.screen(proposal)
        found = screening.refresh(proposal_id=proposal.pk, at=clinic.at)
        assert [f.freshness for f in found] == [Freshness.UNCHANGED] * 2

    def test_before_sending_looks_with_the_screening_that_was_approved(self, clinic, update):
        clinic.practice.lever(
            "edit_as_colleague", vendor="generic", patient="P1", entry="ckd", comment="Later."
        )
        found = screening.fresh_check_intent(
            intent=update, at=clinic.at, screening=update.current_screening
        )
        assert (found.freshness, found.whole_resource) == (Freshness.WHOLE_DIFFERS, True)
        assert Screening.objects.count() == 1

    def test_screens_again_on_demand_and_leaves_the_change_waiting(self, clinic, update):
        done = screening.rescreen(intent_id=update.pk, at=clinic.at)
        assert (done.outcome, done.screening.number) == ("refreshed", 2)
        assert done.intent.state == State.PENDING_APPROVAL

    @pytest.mark.req("000-97")
    def test_on_demand_holds_what_the_patient_refused_meanwhile(self, clinic, update):
        with transaction.atomic():
            ConsentDirective.enter(
                connection=clinic.connection(),
                patient_ref=clinic.patient("P1")["patient"],
                decision="DENY",
                source="telephone",
                actor=SOMEBODY,
                at=clinic.at,
            )
        done = screening.rescreen(intent_id=update.pk, at=clinic.at)
        assert (done.outcome, again(update).state) == ("held", State.HELD)
        assert again(update).reason == "The patient has refused this use of their record."


class TestAnEditThatIsNotMadeYet:
    def test_is_examined_without_a_trace(self, clinic):
        intent = send(clinic)
        content = intent.current_version.phi_json("content")
        content["sections"][0]["text"] = "Denies dizziness. Walks the dog daily."
        found = screening.examine(intent=again(intent), at=clinic.at, content=content)
        # What a person wrote needs no source, but is still held against those there are.
        assert {f.code for f in found.findings if f.needs_decision} == {"statement-contradicted"}
        assert not found.errors
        assert Screening.objects.count() == 1


def _id(entry: Any) -> str:
    return entry["id"] if isinstance(entry, dict) else str(entry).rsplit("/", 1)[-1]


def _change(intent: Intent) -> ChartChange:
    return parse_change(
        intent.change_kind, intent.interaction, intent.current_version.phi_json("content")
    )
