"""What waits for whom: claims, deciders, second approvals, order and expiry."""

from datetime import UTC, datetime, timedelta

import pytest
from django.db import transaction

from audit.actors import Actor, ActorKind
from audit.models import AuditEvent
from intents.governance.models import Tenant
from intents.governance.roles import SecondCheck
from intents.lifecycle import State, Tier
from intents.models import Intent, OutboxEntry, Proposal
from intents.pipeline import worklist

SOMEBODY = Actor.system(ActorKind.INSTALLATION)
AT = datetime(2026, 11, 20, 22, 30, tzinfo=UTC)


def tags(**about: str) -> list[str]:
    return list(
        AuditEvent.objects.filter(**about)
        .order_by("recorded_at", "pk")
        .values_list("tag", flat=True)
    )


@pytest.fixture
def waiting(clinic) -> Proposal:
    proposal = clinic.propose()
    clinic.screen(proposal)
    return proposal


@pytest.fixture
def dual(clinic) -> Intent:
    """Somebody else's problem to be marked as never true: two people decide."""
    target = clinic.patient("P1")["entries"]["ckd"]
    reference = target["id"] if isinstance(target, dict) else str(target).rsplit("/", 1)[-1]
    change = clinic.problem(
        interaction="entered-in-error", content={}, target=f"Condition/{reference}"
    )
    proposal = clinic.propose([change | {"evidence": []}])
    return clinic.screen(proposal)[0]


class TestAClaim:
    def test_keeps_others_away_until_its_lease_ends(self, clinic, waiting):
        reyes, lam = clinic.person("reyes"), clinic.person("lam")
        worklist.claim(proposal_id=waiting.pk, reviewer=reyes, at=clinic.at)
        with pytest.raises(worklist.ClaimedByAnother):
            worklist.claim(proposal_id=waiting.pk, reviewer=lam, at=clinic.at + worklist.CLAIM / 2)
        later = clinic.at + worklist.CLAIM + timedelta(seconds=1)
        assert worklist.claim(proposal_id=waiting.pk, reviewer=lam, at=later).claimed_by == lam

    def test_is_renewed_by_its_holder_and_told_once(self, clinic, waiting):
        reyes = clinic.person("reyes")
        for minutes in (0, 5, 10):
            worklist.claim(
                proposal_id=waiting.pk, reviewer=reyes, at=clinic.at + timedelta(minutes=minutes)
            )
        about = {"proposal_id": str(waiting.pk), "intent_id": ""}
        assert tags(**about).count("intent:review:claimed") == 1

    def test_is_given_back_by_its_holder_alone(self, clinic, waiting):
        reyes, lam = clinic.person("reyes"), clinic.person("lam")
        worklist.claim(proposal_id=waiting.pk, reviewer=reyes, at=clinic.at)
        worklist.release_claim(proposal_id=waiting.pk, reviewer=lam, at=clinic.at)
        assert Proposal.objects.get(pk=waiting.pk).is_claimed(at=clinic.at)
        worklist.release_claim(proposal_id=waiting.pk, reviewer=reyes, at=clinic.at)
        assert not Proposal.objects.get(pk=waiting.pk).is_claimed(at=clinic.at)
        assert tags(proposal_id=str(waiting.pk), intent_id="")[-1] == "intent:review:unclaimed"

    def test_sends_the_next_person_to_the_next_draft_that_is_due(self, clinic, waiting):
        second = clinic.propose(at=clinic.at + timedelta(seconds=1))
        clinic.screen(second)
        reyes, lam = clinic.person("reyes"), clinic.person("lam")
        assert worklist.next_for(reviewer=reyes, at=clinic.at).pk == waiting.pk
        assert worklist.next_for(reviewer=reyes, at=clinic.at, after=waiting.pk).pk == second.pk
        worklist.claim(proposal_id=waiting.pk, reviewer=lam, at=clinic.at)
        assert worklist.next_for(reviewer=reyes, at=clinic.at).pk == second.pk
        worklist.claim(proposal_id=second.pk, reviewer=lam, at=clinic.at)
        assert worklist.next_for(reviewer=reyes, at=clinic.at) is None


class TestDeciding:
    def test_about_a_note_is_its_authors_alone(self, clinic, waiting):
        intent = clinic.intent(waiting)
        assert worklist.why_not_decide(intent, clinic.person("reyes")) == ""
        assert "another clinician's name" in worklist.why_not_decide(intent, clinic.person("lam"))
        assert worklist.may_decide(intent, clinic.person("reyes"))
        assert not worklist.may_decide(intent, clinic.person("ansah"))
        assert not worklist.may_decide(intent, None)

    def test_about_a_diagnosis_of_the_visit_is_a_prescribers(self, clinic):
        content = clinic.problem()["content"] | {"category": "encounter-diagnosis"}
        diagnosis = clinic.screen(clinic.propose([clinic.problem(content=content)]))[0]
        listed = clinic.screen(clinic.propose([clinic.problem()]))[0]
        nurse, prescriber = clinic.person("brandt"), clinic.person("lam")
        assert worklist.may_decide(listed, nurse)
        assert worklist.why_not_decide(diagnosis, nurse)
        assert worklist.may_decide(diagnosis, prescriber)


@pytest.mark.req("002-63")
class TestTwoApprovals:
    def test_are_needed_of_two_people(self, clinic, dual):
        assert (dual.tier, worklist.needed(dual)) == (Tier.DUAL_APPROVAL, 2)
        assert worklist.second_check(dual) is SecondCheck.ONE_PRESCRIBER
        clinic.approve(dual.proposal, by="reyes")
        once = clinic.intent(dual.proposal)
        assert once.state == State.PENDING_APPROVAL
        assert [d.kind for d in worklist.decisions_of_round(once.current_screening)] == ["approve"]
        assert "second person" in worklist.why_not_now(once, clinic.person("reyes"))
        assert worklist.why_not_now(once, clinic.person("lam")) == ""
        clinic.approve(dual.proposal, by="lam")
        assert clinic.intent(dual.proposal).state == State.APPROVED

    def test_do_not_count_whoever_answers_for_the_agent_as_the_second(self, clinic, dual):
        with transaction.atomic():
            clinic.agent.change(owner=clinic.person("lam").user, actor=SOMEBODY, at=clinic.at)
        dual = Intent.objects.select_related("proposal__agent", "current_screening").get(pk=dual.pk)
        assert worklist.is_initiator(dual, clinic.person("lam"))
        assert not worklist.is_initiator(dual, clinic.person("reyes"))
        clinic.approve(dual.proposal, by="reyes")
        once = clinic.intent(dual.proposal)
        assert "Another person" in worklist.why_not_now(once, clinic.person("lam"))

    def test_one_is_enough_for_the_rest(self, clinic, waiting):
        intent = clinic.intent(waiting)
        assert worklist.needed(intent) == 1
        clinic.approve(waiting)
        assert clinic.intent(waiting).state == State.APPROVED


class TestTime:
    TENANT = Tenant(time_zone="America/New_York", approval_window_hours=24, undo_seconds=10)

    @pytest.mark.parametrize(
        ("kind", "due"),
        [
            ("message", timedelta(hours=24)),
            ("medication", timedelta(hours=48)),
            ("order", timedelta(hours=48)),
            ("note", timedelta(hours=72)),
            ("problem", timedelta(days=7)),
            ("allergy", timedelta(days=7)),
            ("task", timedelta(days=7)),
            # 22:30 in Greenwich is 17:30 in New York: the day has six and a half hours left.
            ("vitals", timedelta(hours=6, minutes=30)),
        ],
    )
    def test_until_a_draft_is_due_goes_by_its_kind(self, kind, due):
        assert worklist.due_at(kind=kind, received_at=AT, tenant=self.TENANT) == AT + due

    @pytest.mark.parametrize(
        ("kind", "content", "due"),
        [
            # The 22nd ends in New York at five in the morning of the 23rd in Greenwich.
            ("task", {"due": "2026-11-22"}, datetime(2026, 11, 23, 5, tzinfo=UTC)),
            ("task", {"due": "2026-11-19"}, datetime(2026, 11, 21, 5, tzinfo=UTC)),
            ("task", {"due": "2027-01-01"}, AT + timedelta(days=7)),
            ("task", {"due": "2026-11"}, AT + timedelta(days=7)),
            ("task", {}, AT + timedelta(days=7)),
            ("appointment", {"start": "2026-11-21T09:00:00-05:00"}, datetime(2026, 11, 21, 14, tzinfo=UTC)),
            ("appointment", {"start": "2026-11-20T09:00:00-05:00"}, AT + timedelta(days=7)),
            ("note", {"due": "2026-11-21"}, AT + timedelta(hours=72)),
        ],
    )  # fmt: skip
    def test_until_a_draft_is_due_ends_with_the_day_or_hour_it_is_for(self, kind, content, due):
        found = worklist.due_at(kind=kind, received_at=AT, tenant=self.TENANT, content=content)
        assert found == due

    @pytest.mark.parametrize(
        ("kind", "window", "hours"),
        [("message", 24, 1), ("order", 24, 4), ("vitals", 24, 4), ("note", 24, 24), ("note", 2, 2)],
    )
    def test_until_an_approval_lapses_goes_by_kind_and_tenant(self, kind, window, hours):
        tenant = Tenant(approval_window_hours=window)
        ends = worklist.approval_expires_at(kind=kind, approved_at=AT, tenant=tenant)
        assert ends == AT + timedelta(hours=hours)

    def test_to_undo_is_longer_for_messages(self):
        assert worklist.undo_seconds(kind="note", tenant=self.TENANT) == 10
        assert worklist.undo_seconds(kind="message", tenant=self.TENANT) == 60

    def test_out_ends_a_draft_that_nobody_decided(self, clinic, waiting):
        ends = clinic.intent(waiting).expires_at
        assert worklist.expire_due(at=ends - timedelta(seconds=1)) == 0
        assert worklist.expire_due(at=ends) == 1
        intent = clinic.intent(waiting)
        assert (intent.state, intent.reason) == (State.EXPIRED, "Nobody decided in time.")
        assert worklist.expire_due(at=ends) == 0

    def test_out_ends_a_draft_whose_ehr_never_answered(self, clinic):
        proposal = clinic.propose()
        assert worklist.expire_due(at=clinic.intent(proposal).expires_at) == 1

    def test_out_ends_an_approval_and_takes_it_out_of_the_outbox(self, clinic):
        proposal = clinic.ready()
        intent = clinic.intent(proposal)
        assert worklist.expire_due(at=intent.approval_expires_at - timedelta(seconds=1)) == 0
        assert worklist.expire_due(at=intent.approval_expires_at) == 1
        assert clinic.intent(proposal).state == State.EXPIRED
        assert not OutboxEntry.objects.filter(closed_at__isnull=True).exists()

    def test_out_waits_for_an_attempt_that_is_under_way(self, clinic):
        proposal = clinic.ready()
        intent = clinic.intent(proposal)
        ends = intent.approval_expires_at
        with transaction.atomic():
            entry = OutboxEntry.lock(OutboxEntry.objects.get(intent=intent).pk)
            OutboxEntry.lease_all({entry.pk: entry.pk}, until=ends + timedelta(minutes=1), tick=1)
        assert worklist.expire_due(at=ends) == 0
        assert worklist.expire_due(at=ends + timedelta(minutes=2)) == 1
