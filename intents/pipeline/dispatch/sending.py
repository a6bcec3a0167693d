"""One attempt against the real EHR.

Three parts, as in the fault matrix: the beginning (one short transaction that verifies everything and
commits the fact of sending), the exchange (no transaction, no database connection held), and the end
(one transaction that records the outcome if the attempt still owns the row). A process that dies
anywhere leaves either an untouched entry or a lease that lapses into UNCERTAIN.
"""

import logging
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from time import monotonic
from uuid import UUID

from django.db import connection as database
from django.db import transaction

from audit.actors import Actor, ActorKind
from audit.recording import record
from audit.tags import AuditTag
from ehr_adapters.capabilities import Capability
from ehr_adapters.contract import AccessToken, Tag, WirePlan, WriteReceipt
from ehr_adapters.errors import AdapterError, AdapterMisconfigured, Unreachable, Unsupported
from intents.governance import roles, switches
from intents.governance.tenancy import tenant_context
from intents.lifecycle import State, Tier, strictest
from intents.models import Intent, OutboxEntry, Tick, WriteLedgerEntry
from intents.pipeline import gateway, matching, outbox, screening
from intents.pipeline.delivery import attempt as protocol
from intents.pipeline.delivery import words
from intents.pipeline.delivery.deciding import decide
from intents.pipeline.delivery.faults import fault_point
from intents.pipeline.delivery.records import (
    AttemptEnded,
    Began,
    Delivery,
    OutOfPlace,
    StrayAnswer,
)
from intents.pipeline.delivery.words import Phase, Seen
from intents.pipeline.dispatch.verifying import (
    EvidenceBroken,
    NotYetProven,
    Verified,
    leads_elsewhere,
    verify,
)
from intents.pipeline.outbox import Claimed, Facts
from intents.pipeline.policy import Outcome
from intents.pipeline.screening import Freshness

logger = logging.getLogger(__name__)

_DISPATCHER = Actor.system(ActorKind.DISPATCHER)
_POLICY = Actor.system(ActorKind.POLICY)
# Clocks of two machines may differ: a search reaches back a little further than the first attempt.
_SKEW = timedelta(minutes=5)


def send(*, claimed: Claimed, at: datetime) -> None:
    """Send one leased entry, once, and record how it ended. Never raises for what an EHR does.

    Must not be called inside a transaction: the fact of sending is committed before the network.
    """
    started = monotonic()

    def clock() -> datetime:
        return at + timedelta(seconds=monotonic() - started)

    with tenant_context(claimed.tenant_id):
        begun = _begin(claimed, at=at)
        if begun is None:
            return
        fault_point("after_claim")
        exchange = _Exchange(begun, clock=clock)
        ending = exchange.play()
        fault_point("before_record")
        _record(begun, ending, exchange, at=clock())


# --- the beginning --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Begun:
    """What the exchange needs, read in the transaction that committed the beginning."""

    intent: Intent
    entry: OutboxEntry
    attempt_id: UUID
    plan: WirePlan
    capability: Capability
    delivery: Delivery
    tags: tuple[Tag, ...]
    first_sent_at: datetime


class _NotNow(Exception):
    """Nothing is wrong, but it may not be sent at this moment: the entry waits."""


class _Stop(Exception):
    """It must not be sent: `code` of delivery's reasons, and whose decision that is."""

    def __init__(
        self, code: str, *, to: State, actor: Actor = _DISPATCHER, check: str = ""
    ) -> None:
        super().__init__(code)
        self.code, self.to, self.actor, self.check = code, to, actor, check


def _begin(claimed: Claimed, *, at: datetime) -> _Begun | None:
    fault_point("before_claim")
    with transaction.atomic(durable=True):
        intent = Intent.lock(claimed.intent_id)
        entry = OutboxEntry.lock(claimed.entry_id)
        if (
            entry.attempt_id != claimed.attempt_id
            or entry.closed_at is not None
            or outbox.is_lapsed(entry, at=at)
            or intent.state != State.APPROVED
        ):
            return None
        try:
            verified = _check(intent, entry, at=at)
            capability = _capability(intent)
        except _NotNow:
            _give_back(entry, at=at)
            return None
        except _Stop as stop:
            _stop(intent, entry, stop, at=at)
            return None
        begun = _commit_beginning(
            intent, entry, verified.plan, capability, attempt_id=claimed.attempt_id, at=at
        )
        fault_point("before_claim_commit")
    return begun


def _commit_beginning(
    intent: Intent,
    entry: OutboxEntry,
    plan: WirePlan,
    capability: Capability,
    *,
    attempt_id: UUID,
    at: datetime,
) -> _Begun:
    tick = Tick.now()
    before = outbox.delivery_of(intent=intent, entry=entry, capability=capability)
    first = (
        WriteLedgerEntry.objects.filter(intent=intent, phase=Phase.SENT)
        .order_by("at")
        .values_list("at", flat=True)
        .first()
    )
    later = [
        WriteLedgerEntry.write(
            entry=entry,
            attempt_id=attempt_id,
            phase=WriteLedgerEntry.Phase.SENT,
            actor=_DISPATCHER,
            at=at,
            tick=tick,
            step=number,
            request_hash=step.request_hash(),
            endpoint=step.path.split("/")[0],
            token_scope=step.scope,
        )
        for number, step in enumerate(plan.steps)
        if number
    ]
    step = plan.steps[0]
    outbox.carry_out(
        decide(before, Began(attempt_id=str(attempt_id))),
        intent=intent,
        entry=entry,
        attempt_id=attempt_id,
        actor=_DISPATCHER,
        at=at,
        tick=tick,
        facts=Facts(
            step=0,
            request_hash=step.request_hash(),
            endpoint=step.path.split("/")[0],
            token_scope=step.scope,
            also_recorded=tuple(later),
        ),
    )
    tags = tuple(Tag(str(tag)) for tag in intent.versions.values_list("tag", flat=True))
    return _Begun(
        intent=intent,
        entry=entry,
        attempt_id=attempt_id,
        plan=plan,
        capability=capability,
        delivery=before,
        tags=tags,
        first_sent_at=first or at,
    )


def _check(intent: Intent, entry: OutboxEntry, *, at: datetime) -> Verified:
    """Everything that must hold at the moment of sending, none of it on the word of the claim."""
    if _is_switched_off(intent):
        raise _NotNow
    if intent.approval_expires_at is None or at >= intent.approval_expires_at:
        raise _NotNow  # the scheduler ends it
    try:
        verified = verify(intent=intent, entry=entry)
    except NotYetProven:
        outbox.wake("sequencer")
        raise _NotNow from None
    except EvidenceBroken as broken:
        raise _Stop("evidence-broken", to=State.HELD, check=broken.check) from None
    if leads_elsewhere(intent, screening=entry.screening):
        raise _Stop("connection-changed", to=State.HELD)
    for decision in entry.screening.decisions.filter(
        round=entry.decision.round, kind__in=("approve", "second")
    ):
        if decision.reviewer is not None and not roles.permits(
            decision.reviewer, roles.Permission.DECIDE
        ):
            raise _Stop("approver-suspended", to=State.HELD)
    if not intent.proposal.agent.enabled:
        raise _Stop("agent-suspended", to=State.HELD)
    _ask_the_rules(intent, entry, at=at)
    return verified


def _ask_the_rules(intent: Intent, entry: OutboxEntry, *, at: datetime) -> None:
    """Rules and consent again, as they are now: what was allowed at approval may not be any more."""
    answer = screening.policy_now(intent=intent, screening=entry.screening, at=at, moment="claim")
    screening.keep_verdict(answer, screening=entry.screening, at=at)
    approved = Tier(intent.tier)
    now_stricter = strictest([approved, answer.verdict.tier]) != approved
    by_policy = entry.decision.reviewer_id is None
    allowed = (
        Outcome.APPROVED
        if by_policy
        else answer.verdict.outcome
        if answer.verdict.outcome in (Outcome.PENDING_APPROVAL, Outcome.APPROVED, Outcome.VALIDATED)
        else None
    )
    if now_stricter or answer.verdict.outcome != allowed:
        raise _Stop("rules-tightened", to=State.HELD, actor=_POLICY)


def _is_switched_off(intent: Intent) -> bool:
    """A kill switch at any level, or writing switched off for the tenant or the connection."""
    return not (
        intent.tenant.write_back_enabled
        and intent.tenant.is_active
        and intent.connection.write_back_enabled
        and intent.connection.rollout != "SHADOW"
    ) or bool(
        switches.stopping(
            tenant_id=intent.tenant_id,
            connection_id=intent.connection_id,
            agent_id=intent.proposal.agent_id,
            change_kind=intent.change_kind,
        )
    )


def _capability(intent: Intent) -> Capability:
    try:
        return gateway.capability(
            connection=intent.connection,
            kind=intent.change_kind,
            interaction=intent.interaction,
        )
    except Unsupported:
        raise _Stop("unsupported", to=State.FAILED) from None
    except AdapterMisconfigured:
        raise _Stop("misconfigured", to=State.FAILED) from None


def _give_back(entry: OutboxEntry, *, at: datetime) -> None:
    entry.change(
        actor=_DISPATCHER,
        at=at,
        reason="not now",
        attempt_id=None,
        lease_until=None,
        not_before=at + timedelta(seconds=1),
    )


def _stop(intent: Intent, entry: OutboxEntry, stop: _Stop, *, at: datetime) -> None:
    reason = words.reason(stop.code)
    intent.advance(
        stop.to,
        actor=stop.actor,
        at=at,
        reason=reason,
        detail={"code": stop.code, "check": stop.check, "payload_hash": entry.payload_hash},
    )
    entry.close(actor=_DISPATCHER, at=at, reason=reason)
    if stop.code == "evidence-broken":
        logger.critical(
            "stored evidence of an approval does not hold; nothing was sent",
            extra={"intent_id": str(intent.pk), "check": stop.check},
        )
        record(
            tag=AuditTag.INTENT_EVIDENCE_BROKEN,
            actor=_DISPATCHER,
            at=at,
            tenant_id=str(intent.tenant_id),
            proposal_id=str(intent.proposal_id),
            intent_id=str(intent.pk),
            correlation_id=intent.proposal.correlation_id,
            body={"check": stop.check, "entry": str(entry.pk)},
        )


# --- the exchange ---------------------------------------------------------------------------------


@dataclass(slots=True)
class _Exchange:
    """Answers the questions of one attempt with the real EHR, and keeps what was seen."""

    begun: _Begun
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
                fault_point("before_token")
                _let_go()
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
                _let_go()
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
            case Freshness.WHOLE_DIFFERS:
                return "target-changed" if fresh.whole_resource else ""
            case Freshness.TOUCHED_DIFFERS:
                return "target-changed" if begun.intent.target_ref else "neighbourhood-changed"
            case Freshness.MOVED:
                return _what_moved(fresh.fields)

    def _search(self) -> Seen:
        begun = self.begun
        _let_go()
        found = gateway.find(
            connection=begun.intent.connection,
            tags=begun.tags,
            plan=begun.plan,
            since=begun.first_sent_at - _SKEW,
            at=self.clock(),
        )
        baseline = screening.baseline_of(begun.entry.screening)
        self.match = matching.judge(
            found,
            plan=begun.plan,
            tags=begun.tags,
            capability=begun.capability,
            baseline=baseline.target,
        )
        return Seen[self.match.verdict.name]

    def _still_mine(self) -> str:
        """The last look before the socket: does this attempt own the row, and is writing on?

        Where the token lives longer than the connection is configured for, the end of the quarantine
        that it would need is put down first: a worker that falls asleep here may still send with it.
        """
        begun, at = self.begun, self.clock()
        intent = Intent.objects.select_related("tenant", "connection", "proposal").get(
            pk=begun.intent.pk
        )
        with transaction.atomic():
            entry = OutboxEntry.lock(begun.entry.pk)
            if (
                entry.attempt_id != begun.attempt_id
                or intent.state != State.SUBMITTED
                or outbox.is_lapsed(entry, at=at)
            ):
                return "lost"
            if _is_switched_off(intent):
                return "switched-off"
            usual = intent.connection.token_life_seconds
            longest = max(
                ((token.expires_at - at).total_seconds() for token in self.tokens), default=0.0
            )
            if longest > usual:
                bounds = (
                    intent.connection.processing_bound_seconds + intent.connection.index_lag_seconds
                )
                entry.change(
                    actor=_DISPATCHER,
                    at=at,
                    reason="long-lived token",
                    quarantine_until_tick=Tick.now() + outbox.ticks(longest + bounds),
                )
        return ""


def _what_moved(fields: tuple[str, ...]) -> str:
    if "patient" in fields:
        return "patient-changed"
    if "encounter" in fields:
        return "encounter-changed"
    return "target-changed"


def _let_go() -> None:
    """Hold no database connection while an EHR takes its time."""
    if not database.in_atomic_block:
        database.close()


# --- the end --------------------------------------------------------------------------------------


def _record(begun: _Begun, ending: protocol.Ending, exchange: _Exchange, *, at: datetime) -> None:
    """Write the outcome if the attempt still owns the row; otherwise keep it as stray evidence."""
    if ending.abandoned:
        return
    with transaction.atomic(durable=True):
        intent = Intent.lock(begun.intent.pk)
        entry = OutboxEntry.lock(begun.entry.pk)
        tick = Tick.now()
        delivery = outbox.delivery_of(intent=intent, entry=entry, capability=begun.capability)
        event: AttemptEnded = ending.at(
            attempt_id=str(begun.attempt_id),
            steps=len(begun.plan.steps),
            at=at,
            tick=tick,
            jitter=secrets.randbelow(1000) / 1000,
        )
        facts = _facts(begun, ending, exchange)
        try:
            decision = decide(delivery, event)
        except OutOfPlace:
            if not ending.on_wire:
                return
            decision = decide(
                delivery,
                StrayAnswer(
                    attempt_id=str(begun.attempt_id),
                    acknowledged=ending.error is None,
                    known_entry=bool(facts.resource_ref)
                    and facts.resource_ref == intent.resource_ref,
                ),
            )
            outbox.carry_out(
                decision,
                intent=intent,
                entry=entry,
                attempt_id=begun.attempt_id,
                actor=_DISPATCHER,
                at=at,
                tick=tick,
                facts=facts,
            )
            return
        changes: dict[str, object] = {}
        if decision.delivery.state == State.ACCEPTED:
            changes = {
                "finality": begun.plan.finality.value,
                "resource_ref": facts.resource_ref,
                "resource_version": facts.resource_version,
                "last_looked_at": None,
            }
        outbox.carry_out(
            decision,
            intent=intent,
            entry=entry,
            attempt_id=begun.attempt_id,
            actor=_DISPATCHER,
            at=at,
            tick=tick,
            facts=facts,
            **changes,
        )
        fault_point("before_record_commit")
    fault_point("after_record")


def _facts(begun: _Begun, ending: protocol.Ending, exchange: _Exchange) -> Facts:
    """Codes, ids and hashes of how it ended; nothing that the EHR said in words."""
    match, error = exchange.match, exchange.error
    seen = match if ending.seen is not None else None
    receipt = exchange.receipts[-1] if exchange.receipts else None
    if ending.error is not None and error is not None:
        reference = seen.entry.reference if seen and seen.entry else error.reference
        return Facts(
            status_code=error.status,
            vendor_code=error.vendor_code,
            reply_hash=error.reply_sha256,
            resource_ref=reference,
            resource_version=seen.entry.version_id if seen and seen.entry else "",
            paths=tuple(seen.paths) if seen else (),
            detail={"issues": [issue.code for issue in error.issues][:20]} if error.issues else {},
        )
    if ending.seen is not None:
        entry = match.entry if match else None
        return Facts(
            resource_ref=entry.reference if entry else "",
            resource_version=entry.version_id if entry else "",
            paths=tuple(match.paths) if match else (),
        )
    if receipt is not None and ending.on_wire:
        return Facts(
            status_code=receipt.status,
            vendor_code=receipt.vendor_code,
            resource_ref=receipt.reference,
            resource_version=receipt.version_id,
            reply_hash=receipt.reply_sha256,
            endpoint=receipt.endpoint,
            token_scope=receipt.scope,
        )
    return Facts()
