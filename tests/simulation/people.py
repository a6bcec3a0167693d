"""What people do: approve, take back, look into the EHR and settle, retry, give up.

They look at what the EHR's own screen shows at that moment: what is committed, and not what is still being
processed. Each function mirrors one of `review` or `reconciliation.settling`.
"""

from datetime import timedelta

from audit.actors import ActorKind
from ehr_adapters.capabilities import FindMethod
from intents.lifecycle import State
from intents.pipeline.delivery import deciding
from intents.pipeline.delivery.records import (
    ApprovalLapsed,
    Attested,
    Retried,
    Settled,
    TooEarly,
)
from tests.simulation.database import Row
from tests.simulation.ehr import CANARY
from tests.simulation.invariants import Approved
from tests.simulation.world import World

UNDO = timedelta(seconds=10)
_IN_FLIGHT = (State.APPROVED, State.SUBMITTED, State.UNCERTAIN)


def _is_target_busy(world: World, row: Row) -> bool:
    """`outbox.check_target_is_free`."""
    return bool(row.target) and any(
        other is not row and other.target == row.target and other.state in _IN_FLIGHT
        for other in world.db.rows.values()
    )


def approve(world: World, number: int, *, life: float) -> bool:
    """`review.approve`: the last required approval, of exactly these bytes; False while the target is busy."""
    row = world.db.rows[number]
    if row.state != State.PENDING_APPROVAL or _is_target_busy(world, row):
        return row.state != State.PENDING_APPROVAL
    at = world.wall
    row.round += 1
    row.approvers = ("Dr Reyes", "Dr Okafor")[: row.people_needed]
    row.expires = at + timedelta(seconds=life)
    row.body = [f"{CANARY} {number}/{step}" for step in range(len(row.body))]
    row.approved_body = tuple(row.body)
    row.base = world.ehrs[row.connection].version_of(number)
    row.entry += 1
    row.closed, row.not_before, row.created_at = False, at + UNDO, at
    row.attempts, row.attempt_id = 0, ""
    row.lease_until = row.quarantine_until = None
    world.truth.approved[number, row.round] = Approved(
        row.approved_body, row.expires, row.approvers, row.people_needed, row.author
    )
    row.approval_event = len(world.db.log.events)
    world.db.advance(row, State.APPROVED, actor=ActorKind.REVIEWER, at=at, reason="approved")
    world.wake_sequencer()
    world.committed(row)
    return True


def undo(world: World, row: Row) -> None:
    """`review.undo`: back to the queue, as long as the undo time runs."""
    at = world.wall
    if row.state != State.APPROVED or row.closed or row.attempts:
        return
    if row.not_before is None or at >= row.not_before:
        return
    _take_back(world, row, State.PENDING_APPROVAL, reason="undone")


def recall(world: World, row: Row) -> None:
    """`review.recall`: ends an approved change of which no attempt has begun."""
    held = world.has_taken_over() or world.tick < world.db.hold_until
    if row.state == State.APPROVED and not held:
        _take_back(world, row, State.CANCELLED, reason="recalled")


def _take_back(world: World, row: Row, to: State, *, reason: str) -> None:
    row.closed, row.lease_until = True, None
    world.truth.approved[row.number, row.round].withdrawn_at = world.now
    world.db.advance(row, to, actor=ActorKind.REVIEWER, at=world.wall, reason=reason)
    world.committed(row)


def visit(world: World) -> None:
    """A person goes through the work list."""
    world.truth.check_work_list(world.db, now=world.now)
    for row in world.db.rows.values():
        if row.state == State.UNCERTAIN:
            if world.db.delivery(row).needs_a_person or row.open:
                attest(world, row)
        elif row.state == State.FAILED:
            retry(world, row)
        elif row.state == State.ACCEPTED and not row.open:
            if row.find == FindMethod.NONE or not row.find.hit_proves:
                confirm(world, row)
        elif row.open:
            resolve(world, row)


def attest(world: World, row: Row) -> None:
    """`operator_settle` of an unknown outcome: it is there, or it is not."""
    ehr = world.ehrs[row.connection]
    held = ehr.steps_of(row.number, world.now)
    there = bool(held)
    if there and len(held) < len(row.body) and world.tick < (row.quarantine_until or 0):
        return  # the rest may still come
    if not there and world.has_taken_over():
        return
    resend = not there and world.chance(0.4)
    delivery = world.db.delivery(row)
    at, tick = world.wall, world.tick
    try:
        said = Attested(there=there, resend=resend, at=at, tick=tick)
        decision = deciding.decide(delivery, said)
    except TooEarly:
        return
    except ApprovalLapsed:
        said = Attested(there=there, resend=False, at=at, tick=tick)
        decision = deciding.decide(delivery, said)
    attempt = row.attempt_id or str(row.entry)
    if there:
        ehr.complete_by_hand(row.number, body=row.body, now=world.now)
        row.looked_at = None
    reference = ehr.reference_of(row.number) if there and world.chance(0.5) else None
    world.db.carry_out(
        row,
        decision,
        actor=ActorKind.OPERATOR,
        at=at,
        attempt=attempt,
        reference=reference,
    )
    if not there:
        row.open.clear()
    world.committed(row)


def confirm(world: World, row: Row) -> None:
    """`operator_settle` of an acknowledged change that cannot be read back."""
    said = Attested(there=True, resend=False, at=world.wall, tick=world.tick)
    _settle(world, row, said)


def resolve(world: World, row: Row) -> None:
    """`operator_resolve`, of every difference of the change."""
    ehr = world.ehrs[row.connection]
    if row.state != State.ACCEPTED:
        if ehr.steps_of(row.number, world.now) and not world.faulty:
            return  # the person has seen it; what becomes of it is a new draft
        row.open.clear()
        world.db.note(row, actor=ActorKind.OPERATOR, reason="noted")
        world.committed(row)
        return
    ehr.complete_by_hand(row.number, body=row.body, now=world.now)
    row.open.clear()
    _settle(world, row, Settled())


def _settle(world: World, row: Row, said: Attested | Settled) -> None:
    decision = deciding.decide(world.db.delivery(row), said)
    world.db.carry_out(
        row,
        decision,
        actor=ActorKind.OPERATOR,
        at=world.wall,
        attempt=row.attempt_id or str(row.entry),
    )
    world.committed(row)


def retry(world: World, row: Row) -> None:
    """`operator_resend`, or `operator_give_up`, of what is known not to be written."""
    if world.chance(0.4):
        _give_up(world, row)
        return
    if _is_target_busy(world, row):
        return
    try:
        decision = deciding.decide(world.db.delivery(row), Retried(at=world.wall))
    except ApprovalLapsed:
        return
    world.db.advance(
        row,
        decision.delivery.state,
        actor=ActorKind.OPERATOR,
        at=world.wall,
        reason=decision.reason,
    )
    row.entry += 1
    row.closed, row.not_before, row.created_at = False, world.wall, world.wall
    row.attempts, row.attempt_id = 0, ""
    row.lease_until = row.quarantine_until = None
    world.committed(row)


def _give_up(world: World, row: Row) -> None:
    row.closed = True
    world.db.advance(
        row, State.CANCELLED, actor=ActorKind.OPERATOR, at=world.wall, reason="given-up"
    )
    world.committed(row)
