"""The exchange of one attempt: its questions answered with the real EHR. No transaction is open.

No database connection is held while an EHR takes its time.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.db import transaction

from ehr_adapters.contract import AccessToken, Baseline, PatientIdentity, WriteReceipt
from ehr_adapters.errors import AdapterError, AdapterMisconfigured, Unreachable
from intents.lifecycle import State
from intents.models import Intent, OutboxEntry, Tick
from intents.pipeline import gateway, matching, outbox, screening
from intents.pipeline.delivery import attempt as protocol
from intents.pipeline.delivery import owning
from intents.pipeline.delivery.faults import fault_point
from intents.pipeline.delivery.words import Seen
from intents.pipeline.dispatch import permitting
from intents.pipeline.dispatch.beginning import DISPATCHER, Begun, is_switched_off
from intents.pipeline.screening import BESIDE, DESTINATION, Freshness

logger = logging.getLogger(__name__)

# Clocks of two machines may differ: a search reaches back a little further than the first attempt.
_SKEW = timedelta(minutes=5)


@dataclass(slots=True)
class Exchange:
    """Answers the questions of one attempt with the real EHR, and keeps what was seen."""

    begun: Begun
    clock: Callable[[], datetime]
    tokens: list[AccessToken] = field(default_factory=list)
    receipts: list[WriteReceipt] = field(default_factory=list)
    error: AdapterError | None = None
    match: matching.Match | None = None

    def play(self) -> protocol.Ending:
        run = protocol.attempt(self.begun.delivery, steps=len(self.begun.plan.steps))
        ask = next(run)
        while True:
            try:
                ask = run.send(self._reply(ask))
            except StopIteration as stop:
                ending: protocol.Ending = stop.value
                return ending

    def _reply(self, ask: protocol.Ask) -> protocol.Reply:
        try:
            return protocol.Reply(value=self._answer(ask))
        except AdapterError as error:
            self.error = error
            return protocol.Reply(error=type(error), retry_after=error.retry_after)
        except AdapterMisconfigured:
            return protocol.Reply(error=AdapterMisconfigured)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is no evidence about the chart
            logger.error(
                "an attempt met an error of the portal's own",
                extra={
                    "intent_id": str(self.begun.intent.pk),
                    "ask": type(ask).__name__,
                    "error": type(error).__name__,
                },
            )
            return protocol.Reply(error=type(error))

    def _answer(self, ask: protocol.Ask) -> object:
        begun = self.begun
        match ask:
            case protocol.GetToken():
                gateway.let_go_of_database()
                fault_point("before_token")
                self.tokens = [
                    gateway.authenticate(connection=begun.intent.connection, step=step)
                    for step in begun.plan.steps
                ]
                return True
            case protocol.ReadChart():
                fault_point("before_reading")
                return self._moved()
            case protocol.Search():
                fault_point("before_search")
                return self._search()
            case protocol.StillMine():
                fault_point("before_check")
                return self._still_mine()
            case protocol.Submit(step=number):
                gateway.let_go_of_database()
                fault_point("before_send")
                receipt = gateway.submit(
                    connection=begun.intent.connection,
                    step=begun.plan.steps[number],
                    token=self.tokens[number],
                    earlier=tuple(self.receipts) if begun.plan.steps[number].slots else (),
                )
                fault_point("after_send")
                if receipt.acknowledged:
                    self.receipts.append(receipt)
                return receipt.acknowledged

    def _moved(self) -> str:
        """ "" when the chart is as it was approved on, else the code of what moved."""
        begun = self.begun
        fresh = screening.fresh_check_intent(
            intent=begun.intent, at=self.clock(), screening=begun.entry.screening
        )
        match fresh.freshness:
            case Freshness.UNCHANGED:
                return ""
            case Freshness.SILENT:
                raise Unreachable
            case Freshness.WHOLE_DIFFERS if BESIDE in fresh.fields:
                return "beside-changed"
            case Freshness.WHOLE_DIFFERS:
                # Frozen bytes of a whole entry would undo what a colleague changed beside it.
                undoes = fresh.whole_resource and bool(begun.intent.target_ref)
                return "target-changed" if undoes else ""
            case Freshness.TOUCHED_DIFFERS:
                return "target-changed" if begun.intent.target_ref else "neighbourhood-changed"
            case Freshness.MOVED if DESTINATION in fresh.fields:
                return "unsupported"
            case Freshness.MOVED:
                return _what_moved(self._baseline(), fresh.baseline)

    def _baseline(self) -> Baseline | None:
        return screening.baseline_of(self.begun.entry.screening)

    def _search(self) -> Seen:
        begun = self.begun
        gateway.let_go_of_database()
        found = gateway.find(
            connection=begun.intent.connection,
            tags=begun.tags,
            plan=begun.plan,
            since=begun.first_sent_at - _SKEW,
            at=self.clock(),
        )
        baseline = self._baseline()
        self.match = matching.judge(
            found,
            plan=begun.plan,
            tags=begun.tags,
            capability=begun.capability,
            baseline=baseline.target if baseline else None,
        )
        return Seen[self.match.verdict.name]

    def _still_mine(self) -> str:
        """The last look before the socket: may it still be written, is the row ours, is writing on?

        The rules take the longest to ask, so they come first: nothing but the socket follows the switches.
        Where the token lives longer than the connection is configured for, the end of the quarantine
        that it would need is put down first: a worker that falls asleep here may still send with it.
        """
        begun, at = self.begun, self.clock()
        withdrawn = self._withdrawn(at=at)
        if withdrawn:
            return withdrawn
        intent = Intent.objects.select_related("tenant", "connection", "proposal__agent").get(
            pk=begun.intent.pk
        )
        entry = OutboxEntry.objects.get(pk=begun.entry.pk)
        answer = owning.last_look(
            state=State(intent.state),
            mine=self._owns(entry, at=at),
            is_switched_off=is_switched_off(intent),
            approval_expires_at=intent.approval_expires_at,
            at=at,
        )
        if answer:
            return answer
        lives = [owning.TokenLife(each.expires_at, each.lifetime_seconds) for each in self.tokens]
        longest = owning.longest_life(lives, at=at)
        if longest <= intent.connection.token_life_seconds:
            return ""
        bounds = intent.connection.processing_bound_seconds + intent.connection.index_lag_seconds
        with transaction.atomic():
            entry = OutboxEntry.lock(begun.entry.pk)
            if not self._owns(entry, at=at):
                return "lost"
            entry.change(
                actor=DISPATCHER,
                at=at,
                reason="long-lived token",
                quarantine_until_tick=Tick.now() + outbox.ticks(longest + bounds),
            )
        return ""

    def _withdrawn(self, *, at: datetime) -> str:
        """ "" when everything that the approval rests on still holds, else the code of what does not."""
        intent = Intent.objects.select_related(
            "tenant", "connection", "proposal__agent", "proposal__agent_release"
        ).get(pk=self.begun.intent.pk)
        intent.proposal.connection = intent.connection
        now = permitting.standing(intent, self.begun.entry, at=at, since=self.begun.answer)
        if now.withdrawn is None:
            return ""
        # The claim kept a verdict that allowed it; this one is why it was stopped after all.
        with transaction.atomic():
            permitting.keep(now, self.begun.entry, at=at)
        return now.withdrawn.code

    def _owns(self, entry: OutboxEntry, *, at: datetime) -> bool:
        return entry.attempt_id == self.begun.attempt_id and not outbox.is_lapsed(entry, at=at)


def _what_moved(then: Baseline | None, now: Baseline | None) -> str:
    """Which of patient, visit and entry is no longer what it was, as a code."""
    if now is None or now.identity is None or now.identity.merged:
        return "patient-moved"
    if then is None or then.identity is None or _person(then.identity) != _person(now.identity):
        return "patient-changed"
    before, after = then.visit, now.visit
    if before and (not after or (before.patient, before.open) != (after.patient, after.open)):
        return "encounter-changed"
    return "target-changed"


def _person(identity: PatientIdentity) -> tuple[object, ...]:
    return (
        identity.family,
        identity.given,
        identity.birth_date,
        identity.sex,
        identity.mrns,
        identity.active,
        identity.deceased,
    )
