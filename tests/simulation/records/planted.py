"""Bugs that are put into the product on purpose, each with what must notice it and a shortest history.

`plant` patches what production runs; `history` takes steps of the machine by hand, as Hypothesis prints
them, and `python -m tests.simulation.records --planted` lets Hypothesis find its own.
"""

import json
import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest
from django.db import models, transaction

from audit import merkle, recording
from audit.actors import ActorKind
from ehr_adapters import errors
from intents import lifecycle
from intents.governance import switches
from intents.governance.models import EhrConnection
from intents.governance.tenancy import TenantManager
from intents.lifecycle import State
from intents.models import Intent
from intents.pipeline import gateway, outbox, presentation, worklist
from intents.pipeline.delivery import deciding, rulings
from intents.pipeline.delivery.records import Decision, Requeue
from intents.pipeline.delivery.words import Phase
from intents.pipeline.dispatch.exchange import Exchange
from intents.pipeline.outbox import recording as outcomes
from intents.pipeline.reconciliation import sweeping
from intents.pipeline.review import approving, rejecting, stopping
from tests.simulation.records import world
from tests.simulation.records.machine import Records
from tests.simulation.records.world import WRITE_FAULTS

NOTE, PROBLEM, ALLERGY, UPDATE, ERASURE = range(5)
# An odd number of no multiple of three: the connection whose EHR can be asked afterwards.
USUAL = 1


@dataclass(frozen=True, slots=True)
class Planted:
    """`breaks` names the invariant that the shortest history ends with."""

    breaks: str
    plant: Callable[[pytest.MonkeyPatch], None]
    history: Callable[[Records], None]

    @property
    def name(self) -> str:
        return self.plant.__name__


def _fault(name: str, **params: object) -> int:
    return next(
        place
        for place, (kind, given) in enumerate(WRITE_FAULTS)
        if kind == name and params.items() <= given.items()
    )


def _day(it: Records, *, kind: int = NOTE, org: int = 0) -> None:
    it.draft_approve_and_send(org=org, patient=0, kinds=[kind], number=USUAL)


def _bad_day(it: Records, fault: int, *, kind: int = NOTE) -> None:
    it.write_into_a_fault(fault=fault, times=4, org=0, patient=0, kind=kind, number=USUAL)


# --- I1: nothing but what was approved ----------------------------------------------------------------


def bytes_written_anew_on_the_way(patch: pytest.MonkeyPatch) -> None:
    original = gateway.submit

    def submit(*, step: Any, **rest: Any) -> Any:
        body = json.dumps(json.loads(step.body), indent=1).encode()
        return original(step=replace(step, body=body), **rest)

    patch.setattr(gateway, "submit", submit)


def approval_survives_an_edit(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(
        approving,
        "_check_page",
        lambda proposal, form, at: presentation.build(proposal=proposal, at=at),
    )
    patch.setattr(approving, "_check_payloads", lambda pending, page, form: None)


def _edited_under_the_eyes(it: Records) -> None:
    it.draft(org=0, patient=0, kinds=[NOTE], number=USUAL)
    it.decide(what="approve_what_was_shown", index=0, by=0)


# --- I2, I3: once -------------------------------------------------------------------------------------


def ownership_not_compared_before_sending(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Exchange, "_still_mine", lambda self: "")
    # The token that dies within the quarantine would save it.
    patch.setattr(world, "TOKEN_LIFE", 10_000)


def _woken_after_the_recovery(it: Records) -> None:
    it.sleep(
        place="before_check", seconds=130, meanwhile=7, org=0, patient=0, kind=NOTE, number=USUAL
    )


def sent_again_by_the_client(patch: pytest.MonkeyPatch) -> None:
    original = gateway.submit

    def submit(**asked: Any) -> Any:
        try:
            return original(**asked)
        except errors.ServerError:
            return original(**asked)

    patch.setattr(gateway, "submit", submit)


def server_fault_taken_for_a_refusal(patch: pytest.MonkeyPatch) -> None:
    patch.setitem(
        rulings.RULINGS,  # type: ignore[arg-type]  # read-only by its type alone
        errors.ServerError,
        rulings.Ruling(State.FAILED, Phase.REFUSED, "not-permitted"),
    )


# --- I4: never lost -----------------------------------------------------------------------------------


def undo_after_the_claim(patch: pytest.MonkeyPatch) -> None:
    original = stopping.chosen
    undone = lifecycle.TRANSITIONS[State.APPROVED][State.PENDING_APPROVAL]
    patch.setitem(lifecycle.TRANSITIONS[State.SUBMITTED], State.PENDING_APPROVAL, undone)  # type: ignore[arg-type]  # read-only by its type alone
    patch.setattr(stopping, "_undoable_entry", lambda intent, at: outbox.live_entry(intent))
    patch.setattr(
        stopping,
        "chosen",
        lambda intents, ids, states: original(intents, ids=ids, states=(*states, State.SUBMITTED)),
    )


def _undone_while_it_is_sent(it: Records) -> None:
    it.sleep(place="after_claim", seconds=0, meanwhile=5, org=0, patient=0, kind=NOTE, number=USUAL)


def entry_left_in_the_outbox(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(outbox, "close", lambda intent, actor, at, reason: None)


def _approved_and_undone(it: Records) -> None:
    it.draft(org=0, patient=0, kinds=[NOTE], number=USUAL)
    it.decide(what="approve_and_undo", index=0, by=0)


# --- I5, I6: the audit log ----------------------------------------------------------------------------


def event_outside_the_transaction(patch: pytest.MonkeyPatch) -> None:
    original, note = Intent.advance, Intent.note

    def later(self: Intent, **said: Any) -> None:
        def told() -> None:
            with transaction.atomic():
                note(self, **said)

        transaction.on_commit(told)

    def advance(self: Intent, to: State, **more: Any) -> Any:
        if to != State.ACCEPTED:
            return original(self, to, **more)
        with pytest.MonkeyPatch.context() as inner:
            inner.setattr(Intent, "note", later)
            return original(self, to, **more)

    patch.setattr(Intent, "advance", advance)


def transition_without_an_event(patch: pytest.MonkeyPatch) -> None:
    original = Intent.advance

    def advance(self: Intent, to: State, **more: Any) -> Any:
        if to != State.ACCEPTED:
            return original(self, to, **more)
        with pytest.MonkeyPatch.context() as inner:
            inner.setattr(Intent, "note", lambda self, **said: None)
            return original(self, to, **more)

    patch.setattr(Intent, "advance", advance)


def leaf_of_another_text(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(
        recording, "merkle", SimpleNamespace(leaf_hash=lambda text: merkle.leaf_hash(text + b" "))
    )


# --- I7, I8, I9: who may ------------------------------------------------------------------------------


def switch_not_asked(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(switches, "stopping", lambda **_: None)


def _written_while_switched_off(it: Records) -> None:
    it.engage(reach=0)
    _day(it)


def one_person_approves_twice(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(worklist, "why_not_now", worklist.why_not_decide)


def _two_ticks_of_one_hand(it: Records) -> None:
    it.draft(org=0, patient=0, kinds=[ERASURE], number=USUAL)
    it.decide(what="approve", index=0, by=0)
    it.decide(what="approve", index=0, by=0)
    it.work(what="send")


def tenant_filter_dropped(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(TenantManager, "get_queryset", models.Manager.get_queryset)


def _looked_at_by_a_stranger(it: Records) -> None:
    it.draft(org=0, patient=0, kinds=[NOTE], number=USUAL)
    it.decide(what="stranger", index=0, by=0)


def sent_in_the_name_of_another(patch: pytest.MonkeyPatch) -> None:
    original = gateway.authenticate

    def authenticate(*, connection: EhrConnection, **rest: Any) -> Any:
        other = EhrConnection.unscoped.filter(kind=connection.kind).exclude(pk=connection.pk).get()
        return original(connection=other, **rest)

    patch.setattr(gateway, "authenticate", authenticate)


# --- I10: no word of it -------------------------------------------------------------------------------


def note_of_a_rejection_in_the_log(patch: pytest.MonkeyPatch) -> None:
    original = rejecting._decision

    def decision(intent: Intent, *, note: str, **rest: Any) -> Any:
        logging.getLogger("intents").info("rejected: %s", note)
        return original(intent, note=note, **rest)

    patch.setattr(rejecting, "_decision", decision)


def _rejected(it: Records) -> None:
    it.draft(org=0, patient=0, kinds=[NOTE], number=USUAL)
    it.decide(what="reject", index=0, by=0)


# --- I11: silence proves nothing ----------------------------------------------------------------------


def quarantine_skipped(patch: pytest.MonkeyPatch) -> None:
    original = deciding._looked
    patch.setattr(deciding, "_looked", lambda d, e: original(replace(d, quarantine_until=0), e))


def _filed_late(it: Records) -> None:
    _bad_day(it, _fault("late-commit", answer="error"))
    it.work(what="reconcile")


def lapsed_lease_back_to_the_outbox(patch: pytest.MonkeyPatch) -> None:
    again = Requeue(datetime(2020, 1, 1, tzinfo=UTC))
    patch.setattr(
        deciding,
        "_lapsed",
        lambda d, _: Decision(replace(d, state=State.APPROVED, attempt_id=""), (again,)),
    )
    edges = lifecycle.TRANSITIONS[State.SUBMITTED]
    by_the_sweep = replace(edges[State.APPROVED], actors=frozenset(ActorKind))
    patch.setitem(edges, State.APPROVED, by_the_sweep)  # type: ignore[arg-type]  # read-only by its type alone


# --- I12: somebody knows ------------------------------------------------------------------------------


def difference_without_an_owner(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(outcomes, "_owner_of", lambda entry: "")


def _mangled(it: Records) -> None:
    _bad_day(it, _fault("mangled-content"))
    it.wait(seconds=30, jump=0)
    it.work(what="reconcile")


def alarm_not_raised(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(sweeping, "_raise_alarms", lambda at: None)


def _nobody_can_look(it: Records) -> None:
    it.write_into_a_fault(
        fault=_fault("drop-before-commit"), times=4, org=0, patient=0, kind=PROBLEM + 1, number=3
    )
    it.wait(seconds=1000, jump=0)
    it.work(what="reconcile")


def _lost_on_the_way(it: Records) -> None:
    it.crash(place="after_send", org=0, patient=0, kind=NOTE, number=USUAL)
    it.wait(seconds=130, jump=0)
    it.work(what="reconcile")


PLANTED = (
    Planted("I1", bytes_written_anew_on_the_way, _day),
    Planted("I1", approval_survives_an_edit, _edited_under_the_eyes),
    Planted("I2", ownership_not_compared_before_sending, _woken_after_the_recovery),
    Planted("I3", sent_again_by_the_client, lambda it: _bad_day(it, _fault("error-before-commit"))),
    Planted(
        "I3",
        server_fault_taken_for_a_refusal,
        lambda it: _bad_day(it, _fault("error-after-commit")),
    ),
    Planted("I4", undo_after_the_claim, _undone_while_it_is_sent),
    Planted("I4", entry_left_in_the_outbox, _approved_and_undone),
    Planted("I5", event_outside_the_transaction, _day),
    Planted("I5", transition_without_an_event, _day),
    Planted("I6", leaf_of_another_text, _day),
    Planted("I7", switch_not_asked, _written_while_switched_off),
    Planted("I8", one_person_approves_twice, _two_ticks_of_one_hand),
    Planted("I9", tenant_filter_dropped, _looked_at_by_a_stranger),
    Planted("I9", sent_in_the_name_of_another, _day),
    Planted("I10", note_of_a_rejection_in_the_log, _rejected),
    Planted("I11", quarantine_skipped, _filed_late),
    Planted("I11", lapsed_lease_back_to_the_outbox, _lost_on_the_way),
    Planted("I12", difference_without_an_owner, _mangled),
    Planted("I12", alarm_not_raised, _nobody_can_look),
)
