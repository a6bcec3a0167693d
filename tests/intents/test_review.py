"""Deciding: exactly what was shown, by somebody who may, all in one commit, and never by accident."""

import threading
from dataclasses import replace
from datetime import timedelta

import pytest
from django.db import connection as database
from django.db import transaction

from audit.models import AuditEvent
from audit.recording import row_hash
from intents.governance import approval_key
from intents.governance.models import ConsentDirective, Membership
from intents.governance.tenancy import tenant_context
from intents.lifecycle import IN_FLIGHT, State, Tier
from intents.management.clinic import INSTALLATION
from intents.models import Intent, OutboxEntry, ReviewDecision
from intents.pipeline import review, sealing, worklist
from intents.pipeline.review import approving
from intents.pipeline.sealing import Seal
from tests.intents.delivery_fixtures import tags_of

pytestmark = pytest.mark.django_db(transaction=True)


def decide(clinic, proposal, *, by="reyes", at=None, **changed):
    """Press Approve on the page as it is now, with parts of the form changed."""
    form = replace(clinic.form(clinic.page(proposal, at=at), at=at), **changed)
    return review.approve(
        proposal_id=proposal.pk, reviewer=clinic.person(by), form=form, at=at or clinic.at
    )


@pytest.fixture
def draft(clinic):
    proposal = clinic.propose()
    clinic.screen(proposal)
    return proposal


@pytest.fixture
def pair(clinic):
    """A problem, and a note that reports it."""
    note = clinic.note(ref="c2")
    text = note["content"]["sections"][0]["text"]
    note["content"]["sections"][0]["acts"] = [{"span": [0, text.index(".") + 1], "change": "c1"}]
    proposal = clinic.propose([clinic.problem(ref="c1"), note])
    clinic.screen(proposal)
    assert {i.state for i in clinic.intents(proposal)} == {State.PENDING_APPROVAL}
    return proposal


def nothing_happened(clinic, proposal) -> None:
    assert {i.state for i in clinic.intents(proposal)} == {State.PENDING_APPROVAL}
    assert not OutboxEntry.objects.exists()
    assert not ReviewDecision.objects.exists()


# --- approving -----------------------------------------------------------------------------------------


@pytest.mark.req("003-11", "003-48")
def test_an_approval_is_one_sealed_statement_with_its_entry_and_its_event(clinic, draft):
    [intent] = decide(clinic, draft)
    intent = clinic.intent(draft)
    assert intent.state == State.APPROVED
    [decision] = ReviewDecision.objects.all()
    [entry] = OutboxEntry.objects.all()
    event = AuditEvent.objects.get(pk=entry.approval_event_id)
    assert event.tag == "intent:review:approved"
    recorded = {row["id"]: row["sha256"] for row in event.rows}
    for row in (decision, intent.current_screening, intent.current_version):
        assert recorded[str(row.pk)] == row_hash(row)
    [key] = [
        k for k in approval_key.public_keys() if sealing.key_id(public_key=k) == decision.key_id
    ]
    statement = sealing.verify(
        Seal(decision.statement.encode(), decision.signature, decision.key_id), public_key=key
    )
    assert statement.payload_hash == intent.current_screening.payload_hash == entry.payload_hash
    assert statement.approver_name == "Dr A. Reyes"
    assert statement.meaning == "approved for filing"
    assert statement.finality == "filed_unsigned"
    assert statement.requests[0].path == "DocumentReference"
    assert dict(statement.requests[0].preconditions).keys() == {"If-None-Exist"}
    assert statement.expires_at == intent.approval_expires_at == clinic.at + timedelta(hours=24)
    assert entry.not_before == clinic.at + timedelta(seconds=10)


def test_no_clinical_words_reach_the_audit_log(clinic, draft):
    decide(clinic, draft)
    leaves = " ".join(AuditEvent.objects.values_list("leaf", flat=True))
    for word in ("dizz", "OKONKWO", "Ngozi", "1957-03-14"):
        assert word not in leaves


def test_every_change_of_the_set_is_approved_in_one_transaction_or_none_is(
    clinic, pair, monkeypatch
):
    original = approving._approve_one
    done = []

    def fail_at_the_second(intent, **more):
        if done:
            raise RuntimeError("the second one fails")
        done.append(intent)
        return original(intent, **more)

    monkeypatch.setattr(approving, "_approve_one", fail_at_the_second)
    with pytest.raises(RuntimeError):
        decide(clinic, pair)
    nothing_happened(clinic, pair)
    monkeypatch.undo()
    decide(clinic, pair)
    first, second = ReviewDecision.objects.all()
    assert first.view_hash == second.view_hash
    assert first.payload_hash != second.payload_hash
    assert {i.state for i in clinic.intents(pair)} == {State.APPROVED}


@pytest.mark.req("003-24")
def test_an_approval_of_another_page_is_refused(clinic, draft):
    with pytest.raises(review.PageOutOfDate):
        decide(clinic, draft, view_hash="0" * 64)
    [intent] = clinic.intents(draft)
    with pytest.raises(review.PageOutOfDate):
        decide(clinic, draft, payload_hashes={str(intent.pk): "0" * 64})
    with pytest.raises(review.PageOutOfDate):
        decide(clinic, draft, payload_hashes={})
    nothing_happened(clinic, draft)


def test_an_approval_with_open_checks_says_what_is_left(clinic):
    proposal = clinic.propose([clinic.note("Reports a rash on both arms.")])
    clinic.screen(proposal)
    page = clinic.page(proposal)
    assert page.checks, "a statement that is not in the source has to be decided"
    with pytest.raises(review.ChecksOpen) as refused:
        decide(clinic, proposal, checks={})
    assert refused.value.checks == page.checks
    assert "left. Next: " in refused.value.sentence
    with pytest.raises(review.ChecksOpen):
        decide(clinic, proposal, checks={check.key: "take-out" for check in page.checks})
    nothing_happened(clinic, proposal)


def test_a_decision_within_a_second_of_opening_is_a_script(clinic, draft):
    with pytest.raises(review.TooFast):
        decide(clinic, draft, opened_at=clinic.at - timedelta(milliseconds=999))
    nothing_happened(clinic, draft)


@pytest.mark.req("003-37", "003-64")
@pytest.mark.parametrize("who", ["singh", "dahl", "ansah", "quill", "ferro"])
def test_only_the_right_clinical_role_decides(clinic, draft, who):
    with pytest.raises(review.NotAllowed):
        decide(clinic, draft, by=who)
    nothing_happened(clinic, draft)


def test_only_the_clinician_whose_name_it_carries_approves_a_note(clinic, draft):
    with pytest.raises(review.NotAllowed, match="Take it over"):
        decide(clinic, draft, by="lam")
    review.take_over_as_author(
        intent_id=clinic.intent(draft).pk, reviewer=clinic.person("lam"), at=clinic.at
    )
    intent = clinic.intent(draft)
    assert (intent.state, intent.current_version.number) == (State.PENDING_APPROVAL, 2)
    assert "intent:review:adopted" in tags_of(intent)
    with pytest.raises(review.NotAllowed):
        decide(clinic, draft, by="reyes")
    decide(clinic, draft, by="lam")
    assert clinic.intent(draft).state == State.APPROVED


def test_deciding_needs_a_second_factor_outside_the_demo(clinic, draft, settings):
    settings.REQUIRE_MFA_TO_DECIDE = True
    with pytest.raises(review.NotAllowed, match="second factor"):
        decide(clinic, draft)


def test_a_draft_that_somebody_else_holds_is_not_decided_over_their_head(clinic, draft):
    worklist.claim(proposal_id=draft.pk, reviewer=clinic.person("lam"), at=clinic.at)
    with pytest.raises(review.AlreadyClaimed):
        decide(clinic, draft)


@pytest.mark.req("003-24")
def test_a_chart_that_moved_is_found_at_the_press_and_nothing_is_approved(clinic):
    target = clinic.patient("P1")["entries"]["ckd"]
    change = clinic.problem(
        interaction="update", target=target, content={"verification": "provisional"}
    )
    proposal = clinic.propose([change])
    clinic.screen(proposal)
    form = clinic.form(clinic.page(proposal))
    clinic.practice.lever(
        "edit_as_colleague",
        vendor="generic",
        reference=target,
        set={"/verificationStatus/coding/0/code": "refuted"},
    )
    with pytest.raises(review.ConflictFound) as refused:
        review.approve(
            proposal_id=proposal.pk, reviewer=clinic.person("reyes"), form=form, at=clinic.at
        )
    intent = clinic.intent(proposal)
    assert refused.value.intent_ids == (intent.pk,)
    assert intent.state == State.HELD
    assert not OutboxEntry.objects.exists()


def test_a_silent_ehr_switches_approving_off(clinic, draft, settings):
    settings.EHR_REVIEW_READ_SECONDS = 0.3
    form = clinic.form(clinic.page(draft))
    clinic.practice.fault("timeout-before-commit", vendor="generic", method="GET", times=20, ms=600)
    with pytest.raises(review.ChartUnreadable, match="Try again"):
        review.approve(
            proposal_id=draft.pk, reviewer=clinic.person("reyes"), form=form, at=clinic.at
        )
    clinic.practice.clear_faults()
    nothing_happened(clinic, draft)


def test_a_consent_that_was_withdrawn_holds_the_change_at_the_press(clinic, draft):
    intent = clinic.intent(draft)
    with transaction.atomic():
        ConsentDirective.enter(
            connection=intent.connection,
            patient_ref=draft.patient_ref,
            decision="DENY",
            source="told the front desk",
            actor=INSTALLATION,
            at=clinic.at,
        )
    with pytest.raises(review.RulesTightened):
        decide(clinic, draft)
    assert clinic.intent(draft).state == State.HELD
    assert not OutboxEntry.objects.exists()


@pytest.mark.fault("same-target")
@pytest.mark.parametrize("together", [False, True])
def test_another_write_in_flight_on_the_entry_is_a_sentence_and_not_a_crash(clinic, together):
    target = clinic.patient("P1")["entries"]["ckd"]

    def a_draft(value):
        change = clinic.problem(
            interaction="update", target=target, content={"verification": value}
        )
        proposal = clinic.propose([change])
        clinic.screen(proposal)
        return proposal

    first = a_draft("provisional")
    # Somebody holds the first one, so the second does not replace it; both wait side by side.
    worklist.claim(proposal_id=first.pk, reviewer=clinic.person("reyes"), at=clinic.at)
    second = a_draft("differential")
    drafts = [p for p in (first, second) if clinic.intent(p).state == State.PENDING_APPROVAL]
    assert len(drafts) == 2, [clinic.intent(p).reason for p in (first, second)]
    forms = [clinic.form(clinic.page(p)) for p in drafts]
    refused = []

    def press(number):
        try:
            with tenant_context(clinic.tenant.pk):
                review.approve(
                    proposal_id=drafts[number].pk,
                    reviewer=clinic.person("reyes"),
                    form=forms[number],
                    at=clinic.at,
                )
        except review.TargetBusy as busy:
            refused.append(busy.sentence)
        finally:
            if together:
                database.close()

    if together:
        pressing = [threading.Thread(target=press, args=(n,)) for n in range(2)]
        for each in pressing:
            each.start()
        for each in pressing:
            each.join()
    else:
        press(0)
        press(1)
    assert refused == ["Another change to this entry is being written. Decide when it is through."]
    states = sorted(clinic.intent(p).state for p in drafts)
    assert states == [State.APPROVED, State.PENDING_APPROVAL]


# --- two people --------------------------------------------------------------------------------------


def needs_two(clinic, proposal) -> None:
    """As if the rules had asked for two: the tier is what the approval goes by."""
    for intent in clinic.intents(proposal):
        Intent.objects.filter(pk=intent.pk).update(tier=Tier.DUAL_APPROVAL)


@pytest.fixture
def dual(clinic, monkeypatch):
    proposal = clinic.propose([clinic.problem()])
    clinic.screen(proposal)
    needs_two(clinic, proposal)
    return proposal


def test_two_different_people_approve_and_the_first_alone_sends_nothing(clinic, dual):
    decide(clinic, dual)
    assert clinic.intent(dual).state == State.PENDING_APPROVAL
    assert not OutboxEntry.objects.exists()
    with pytest.raises(review.NotAllowed, match="second person"):
        decide(clinic, dual)
    decide(clinic, dual, by="brandt")
    intent = clinic.intent(dual)
    assert intent.state == State.APPROVED
    assert [d.kind for d in ReviewDecision.objects.order_by("decided_at", "kind")] == [
        "approve",
        "second",
    ]
    assert "intent:review:seconded" in tags_of(intent)


def test_two_that_no_prescriber_is_among_are_not_enough(clinic, dual):
    decide(clinic, dual, by="brandt")
    with pytest.raises(review.NotAllowed, match="together"):
        decide(clinic, dual, by="vasik")


def test_reviewers_who_differ_leave_it_to_a_clinical_lead(clinic, dual):
    decide(clinic, dual)
    review.reject(
        proposal_id=dual.pk,
        reviewer=clinic.person("brandt"),
        reason_code="clinically-wrong",
        at=clinic.at,
    )
    intent = clinic.intent(dual)
    assert intent.state == State.PENDING_APPROVAL
    assert "intent:review:differed" in tags_of(intent)
    with pytest.raises(review.NotAllowed, match="clinical lead"):
        decide(clinic, dual, by="vasik")
    decide(clinic, dual, by="lam")
    assert clinic.intent(dual).state == State.APPROVED


# --- rejecting ---------------------------------------------------------------------------------------


def test_a_rejection_has_a_reason_and_its_words_are_sealed(clinic, draft):
    with pytest.raises(review.ReasonNeeded):
        review.reject(
            proposal_id=draft.pk, reviewer=clinic.person("reyes"), reason_code="", at=clinic.at
        )
    review.reject(
        proposal_id=draft.pk,
        reviewer=clinic.person("reyes"),
        reason_code="clinically-wrong",
        note="Mrs Okonkwo was not dizzy.",
        at=clinic.at,
    )
    intent = clinic.intent(draft)
    assert (intent.state, intent.rejected_by) == (State.REJECTED, "REVIEWER")
    [decision] = ReviewDecision.objects.all()
    assert decision.phi("note") == "Mrs Okonkwo was not dizzy."
    assert "Okonkwo" not in decision.note
    assert "Okonkwo" not in intent.reason


def test_one_change_is_dropped_and_the_note_that_reports_it_comes_up_again(clinic, pair):
    before = clinic.page(pair)
    review.reject(
        proposal_id=pair.pk,
        reviewer=clinic.person("reyes"),
        reason_code="not-wanted",
        intent_ids=[clinic.intent(pair, "c1").pk],
        view_hash=before.view_hash,
        at=clinic.at,
    )
    assert clinic.intent(pair, "c1").state == State.REJECTED
    assert clinic.intent(pair, "c2").state == State.PENDING_APPROVAL
    after = clinic.page(pair)
    assert after.view_hash != before.view_hash
    asked = {check.key for check in after.checks} - {check.key for check in before.checks}
    assert any(key.startswith("c2:statement:") for key in asked)
    with pytest.raises(review.PageOutOfDate):
        decide(clinic, pair, view_hash=before.view_hash)
    with pytest.raises(review.ChecksOpen):
        decide(clinic, pair, checks={c.key: c.accepted[0] for c in before.checks})
    [approved] = decide(clinic, pair, checks={c.key: c.accepted[-1] for c in after.checks})
    assert approved.ref == "c2"


def test_a_set_that_belongs_together_is_not_taken_apart(clinic):
    proposal = clinic.propose(
        [clinic.problem(ref="c1"), clinic.note(ref="c2")], all_or_nothing=True
    )
    clinic.screen(proposal)
    with pytest.raises(review.AllOrNothing):
        review.reject(
            proposal_id=proposal.pk,
            reviewer=clinic.person("reyes"),
            reason_code="not-wanted",
            intent_ids=[clinic.intent(proposal, "c1").pk],
            at=clinic.at,
        )
    nothing_happened(clinic, proposal)


def test_what_rests_on_a_dropped_change_is_not_approved_alone(clinic):
    problem = clinic.problem(ref="c2") | {"depends_on": ["c1"]}
    proposal = clinic.propose([clinic.note(ref="c1"), problem])
    clinic.screen(proposal)
    review.reject(
        proposal_id=proposal.pk,
        reviewer=clinic.person("reyes"),
        reason_code="not-wanted",
        intent_ids=[clinic.intent(proposal, "c1").pk],
        at=clinic.at,
    )
    with pytest.raises(review.DependsOnDropped):
        decide(clinic, proposal)


# --- editing -----------------------------------------------------------------------------------------


def edit(clinic, proposal, text, *, by="reyes", payload_hash=None):
    intent = clinic.intent(proposal)
    content = intent.current_version.phi_json("content")
    content["sections"][0]["text"] = text
    return review.edit(
        intent_id=intent.pk,
        reviewer=clinic.person(by),
        content=content,
        payload_hash=payload_hash or intent.current_screening.payload_hash,
        at=clinic.at,
    )


@pytest.mark.req("003-48")
def test_an_edit_is_a_new_version_that_is_checked_and_shown_before_it_is_approved(clinic, draft):
    old = clinic.form(clinic.page(draft))
    edit(clinic, draft, "Reports dizziness on getting up quickly. Walks well.")
    intent = clinic.intent(draft)
    assert intent.state == State.PENDING_APPROVAL
    version = intent.current_version
    assert (version.number, version.author_name) == (2, "Dr A. Reyes")
    # The evidence of what is still said was carried over; of what was taken out it was not.
    [item] = version.evidence.all()
    text = version.phi_json("content")["sections"][0]["text"]
    assert text[item.span_start : item.span_end] == "Reports dizziness on getting up quickly."
    with pytest.raises(review.PageOutOfDate):
        review.approve(
            proposal_id=draft.pk, reviewer=clinic.person("reyes"), form=old, at=clinic.at
        )
    decide(clinic, draft)
    assert clinic.intent(draft).state == State.APPROVED


def test_an_edit_of_what_is_not_there_any_more_is_refused(clinic, draft):
    stale = clinic.intent(draft).current_screening.payload_hash
    edit(clinic, draft, "Reports dizziness. Walks well.")
    with pytest.raises(review.PageOutOfDate):
        edit(clinic, draft, "Something else.", payload_hash=stale)


def test_an_edit_that_cannot_be_said_names_its_places_and_changes_nothing(clinic, draft):
    intent = clinic.intent(draft)
    with pytest.raises(review.ContentInvalid) as refused:
        review.edit(
            intent_id=intent.pk,
            reviewer=clinic.person("reyes"),
            content={"sections": []},
            payload_hash=intent.current_screening.payload_hash,
            at=clinic.at,
        )
    assert refused.value.issues
    assert clinic.intent(draft).current_version.number == 1


def test_an_edit_keeps_which_words_report_another_change(clinic, pair):
    intent = clinic.intent(pair, "c2")
    content = intent.current_version.phi_json("content")
    section = content["sections"][0]
    section["text"] = "Today: " + section["text"]
    del section["acts"]
    review.edit(
        intent_id=intent.pk,
        reviewer=clinic.person("reyes"),
        content=content,
        payload_hash=intent.current_screening.payload_hash,
        at=clinic.at,
    )
    [act] = clinic.intent(pair, "c2").current_version.phi_json("content")["sections"][0]["acts"]
    start, end = act["span"]
    text = clinic.intent(pair, "c2").current_version.phi_json("content")["sections"][0]["text"]
    assert text[start:end] == "Reports dizziness on getting up quickly."


# --- taking back and stopping -------------------------------------------------------------------------


def test_an_undo_within_the_time_voids_the_approval_and_goes_back_to_the_queue(clinic, draft):
    decide(clinic, draft)
    review.undo(
        proposal_id=draft.pk,
        reviewer=clinic.person("reyes"),
        at=clinic.at + timedelta(seconds=9),
    )
    intent = clinic.intent(draft)
    assert intent.state == State.PENDING_APPROVAL
    assert intent.approval_expires_at is None
    [entry] = OutboxEntry.objects.all()
    assert entry.closed_at is not None
    assert [d.kind for d in ReviewDecision.objects.order_by("decided_at")] == ["approve", "undo"]
    decide(clinic, draft, at=clinic.at + timedelta(seconds=40))
    assert clinic.intent(draft).state == State.APPROVED
    assert OutboxEntry.objects.filter(closed_at__isnull=True).count() == 1


def test_an_undo_after_the_time_is_refused(clinic, draft):
    decide(clinic, draft)
    with pytest.raises(review.TooLateToUndo):
        review.undo(
            proposal_id=draft.pk,
            reviewer=clinic.person("reyes"),
            at=clinic.at + timedelta(seconds=10),
        )
    assert clinic.intent(draft).state == State.APPROVED


def test_a_recalled_change_is_never_sent(clinic, draft):
    decide(clinic, draft)
    review.recall(
        intent_id=clinic.intent(draft).pk,
        member=clinic.person("ansah"),
        reason_code="not-wanted",
        at=clinic.at + timedelta(seconds=20),
    )
    intent = clinic.intent(draft)
    assert intent.state == State.CANCELLED
    clinic.deliver()
    assert clinic.written() == []


@pytest.mark.parametrize("approved", [False, True])
def test_compliance_holds_and_a_release_checks_from_the_start(clinic, draft, approved):
    if approved:
        decide(clinic, draft)
    with pytest.raises(review.NotAllowed):
        review.hold(
            intent_id=clinic.intent(draft).pk,
            member=clinic.person("reyes"),
            reason_code="privacy",
            at=clinic.at,
        )
    review.hold(
        intent_id=clinic.intent(draft).pk,
        member=clinic.person("ansah"),
        reason_code="privacy",
        at=clinic.at,
    )
    assert clinic.intent(draft).state == State.HELD
    clinic.deliver()
    assert clinic.written() == []
    review.release(proposal_id=draft.pk, reviewer=clinic.person("ansah"), at=clinic.at)
    assert clinic.intent(draft).state == State.PENDING_APPROVAL
    assert not OutboxEntry.objects.filter(closed_at__isnull=True).exists()


@pytest.mark.req("003-37")
def test_a_resting_draft_is_checked_again_and_put_up_by_a_person(clinic):
    proposal = clinic.propose(lane="draft")
    clinic.screen(proposal)
    assert clinic.intent(proposal).state == State.VALIDATED
    with pytest.raises(review.NotPending):
        decide(clinic, proposal)
    first = clinic.intent(proposal).current_screening_id
    review.promote(proposal_id=proposal.pk, reviewer=clinic.person("reyes"), at=clinic.at)
    intent = clinic.intent(proposal)
    assert intent.state == State.PENDING_APPROVAL
    assert intent.current_screening_id != first
    assert "intent:review:promoted" in tags_of(intent)
    decide(clinic, proposal)
    assert clinic.intent(proposal).state == State.APPROVED


def test_a_person_of_another_organisation_decides_nothing_here(clinic, draft):
    from intents.governance.opening import open_workspace

    with transaction.atomic():
        other = open_workspace(name="Elsewhere", actor=INSTALLATION, at=clinic.at, time_zone="UTC")
    stranger = clinic.person("reyes")
    stranger = Membership(
        tenant=other, user=stranger.user, role="REVIEWER", clinical_role="PRESCRIBER"
    )
    with pytest.raises(review.NotAllowed):
        review.approve(
            proposal_id=draft.pk,
            reviewer=stranger,
            form=clinic.form(clinic.page(draft)),
            at=clinic.at,
        )
    nothing_happened(clinic, draft)


def test_what_is_in_flight_is_decided_no_more(clinic, draft):
    decide(clinic, draft)
    for act in (
        lambda: decide(clinic, draft),
        lambda: edit(clinic, draft, "Other words."),
        lambda: review.reject(
            proposal_id=draft.pk,
            reviewer=clinic.person("reyes"),
            reason_code="not-wanted",
            at=clinic.at,
        ),
    ):
        with pytest.raises(review.NotPending):
            act()
    assert clinic.intent(draft).state in IN_FLIGHT


def test_every_refusal_is_a_plain_sentence_with_a_code_of_its_own():
    refusals = [
        value
        for value in vars(review).values()
        if isinstance(value, type) and issubclass(value, review.ReviewRefused)
    ]
    assert len({each.code for each in refusals}) == len(refusals)
    for each in refusals:
        assert each.sentence.endswith("."), each
