"""Lapsed leases, looks into the chart, ends of approvals and alarms: `reconciliation` and `worklist`, likewise.

Each function mirrors one of production's, which its docstring names: what is decided is production's own.
"""

from dataclasses import replace
from datetime import datetime, timedelta

from audit.actors import ActorKind
from ehr_adapters import errors
from ehr_adapters.capabilities import Finality, FindMethod
from intents.lifecycle import State
from intents.pipeline.delivery import deciding, owning
from intents.pipeline.delivery.looking import (
    ALARMS,
    DISCREPANCY_ALARM,
    is_not_taken_up,
    next_look,
)
from intents.pipeline.delivery.records import LeaseLapsed, Looked, OutOfPlace, ReadBack
from intents.pipeline.delivery.words import Difference, Seen
from tests.simulation.database import Row
from tests.simulation.dispatching import drain
from tests.simulation.world import Process, World

STAGED_EVERY = timedelta(hours=6)
STAGED_PATIENCE = timedelta(days=1)
LONGEST_PAUSE = timedelta(hours=1)


def sweep(world: World) -> float:
    """`reconciliation.settle_due`, `worklist.expire_due` and the periodic wake of dispatch.

    Returns in how many seconds there is something to sweep for next: production sweeps every few seconds,
    and what it does in between changes nothing.
    """
    at = world.wall
    db = world.db
    due = world.has_taken_over()
    next_at = at + LONGEST_PAUSE
    for row in db.rows.values():
        state = row.state
        if state == State.SUBMITTED:
            if owning.is_lapsed(row.lease_until, at=at):
                _sweep_lease(world, row, at=at)
            elif row.lease_until is not None:
                next_at = min(next_at, row.lease_until)
        elif state in _LOOKED_FOR:
            if row.number not in world.looking:
                look_at = _next_look(world, row, at=at)
                if look_at is not None and look_at <= at:
                    world.looking.add(row.number)
                    world.start(look(world, row.number, at=at))
                elif look_at is not None:
                    next_at = min(next_at, look_at)
        elif state in _ENDS_BY_ITSELF and row.expires is not None:
            is_early = row.not_before is not None and row.not_before > at
            if row.expires <= at:
                _expire(world, row, at=at)
                next_at = min(next_at, at + world.poll)
            elif state == State.FAILED:
                next_at = min(next_at, row.expires)
            elif is_early and row.not_before is not None:
                next_at = min(next_at, row.not_before, row.expires)
            else:
                due = due or world.tick >= db.hold_until
                next_at = min(next_at, at + world.poll, row.expires)
        if state in ALARMS or row.open:
            next_at = min(next_at, _tell(world, row, at=at))
    if due:
        world.start(drain(world))
    return (next_at - at).total_seconds()


_LOOKED_FOR = frozenset({State.UNCERTAIN, State.ACCEPTED})
_ENDS_BY_ITSELF = frozenset({State.APPROVED, State.FAILED})


def _sweep_lease(world: World, row: Row, *, at: datetime) -> None:
    """`reconciliation.sweeping._sweep`: a lapsed lease means that nobody knows."""
    event = LeaseLapsed(attempt_id=row.attempt_id, tick=world.tick)
    decision = deciding.decide(world.db.delivery(row), event)
    world.db.carry_out(row, decision, actor=ActorKind.SCHEDULER, at=at, attempt=row.attempt_id)
    world.committed(row)


def _next_look(world: World, row: Row, *, at: datetime) -> datetime | None:
    # Asked at every sweep, and it says another thing only when one of these has changed.
    of = row.state, row.since, row.looked_at, len(row.open), world.jump
    if row.next_look[0] != of:
        when = next_look(
            world.db.delivery(row),
            since=row.since,
            last_looked_at=row.looked_at,
            at=at,
            staged_every=STAGED_EVERY,
        )
        row.next_look = of, when
    return row.next_look[1]


def _expire(world: World, row: Row, *, at: datetime) -> None:
    if world.has_taken_over():
        return
    if not row.closed and row.lease_until is not None and row.lease_until > at:
        return
    row.closed, row.lease_until = True, None
    world.db.advance(row, State.EXPIRED, actor=ActorKind.SCHEDULER, at=at, reason="expired")
    world.committed(row)


def _tell(world: World, row: Row, *, at: datetime) -> datetime:
    """`reconciliation.sweeping._raise_alarms`: once, what has waited too long for a person.

    Returns when the next alarm of this change is due.
    """
    waits: list[tuple[str, datetime, timedelta]] = []
    if row.state in ALARMS:
        code, patience = ALARMS[row.state]
        waits.append((code, row.since, patience))
    code, patience = DISCREPANCY_ALARM
    waits += [(code, opened, patience) for _, opened in row.open.values()]
    next_at = at + LONGEST_PAUSE
    for code, since, patience in waits:
        if any(moment >= since for _, moment in row.told):
            continue
        if since > at - patience:
            next_at = min(next_at, since + patience)
            continue
        row.told.append((code, at))
        world.db.note(row, actor=ActorKind.SCHEDULER, reason="told")
        world.committed(row)
    return next_at


def look(world: World, number: int, *, at: datetime) -> Process:
    """`reconciliation.settle` and `confirm`: search without a transaction, then write if nothing moved."""
    try:
        world.need_database()
        row = world.db.rows[number]
        state, since, attempt = row.state, row.since, row.attempt_id
        tick = world.tick
        ehr = world.ehrs[row.connection]
        method = row.find
        if state == State.UNCERTAIN:
            seen, method = _search(world, row)
        else:
            seen = _read_back(world, row)
        read_at = world.now
        reference = ehr.reference_of(number)
        world.note(f"change {number} looked at while {state}: {seen}")
        yield "after the look"
        world.need_database()
        row = world.db.rows[number]
        moved_on = (row.state, row.since, row.attempt_id) != (state, since, attempt)
        if moved_on or world.has_taken_over():
            return
        delivery = world.db.delivery(row)
        event: Looked | ReadBack
        if state == State.UNCERTAIN:
            event = Looked(seen=seen, method=method, at=at, tick=tick)
        else:
            overdue = is_not_taken_up(delivery, since=since, patience=STAGED_PATIENCE, at=at)
            event = ReadBack(seen=seen, at=at, tick=tick, overdue=overdue)
        try:
            decision = deciding.decide(delivery, event)
        except OutOfPlace:
            return
        row.looked_at = at
        if decision.delivery.state == State.RECONCILED:
            if row.open.keys() - {Difference.MISSING}:
                # It is equal now, but a person has not settled yet what was seen before.
                decision = replace(decision, delivery=delivery, effects=(), reason="")
            else:
                row.open.clear()
                world.truth.read_at[number] = read_at
        if decision.delivery.state == State.ACCEPTED and state == State.UNCERTAIN:
            row.looked_at = None
        world.db.carry_out(
            row,
            decision,
            actor=ActorKind.RECONCILER,
            at=at,
            attempt=attempt,
            reference=reference if seen in _ENTRY_SEEN else None,
        )
        if decision.effects:
            world.committed(row)
    finally:
        world.looking.discard(number)
        when = _next_look(world, world.db.rows[number], at=world.wall)
        if when is not None:
            world.expect(max(2.0, (when - world.wall).total_seconds()))


_ENTRY_SEEN = frozenset({Seen.OURS_EQUAL, Seen.COLLEAGUE_EQUAL})


def _search(world: World, row: Row) -> tuple[Seen, FindMethod]:
    ehr = world.ehrs[row.connection]
    if row.stray:
        seen = ehr.find_by_id(row.number, reference=row.stray, now=world.now)
        if seen in (Seen.OURS_EQUAL, Seen.OURS_DIFFERENT):
            return seen, FindMethod.EXACT
    try:
        return ehr.find(row.number, method=row.find, base=row.base, now=world.now), row.find
    except errors.AdapterError:
        return Seen.COULD_NOT_LOOK, row.find


def _read_back(world: World, row: Row) -> Seen:
    ehr = world.ehrs[row.connection]
    waits = row.finality == Finality.STAGED and ehr.is_waiting(row.number)
    if row.reference and row.reads_by_id:
        seen = ehr.find_by_id(row.number, reference=row.reference, now=world.now)
        if seen != Seen.NONE or row.find == FindMethod.NONE:
            return Seen.NONE if waits and seen in _ENTRY_SEEN else seen
    if row.find != FindMethod.NONE:
        try:
            seen = ehr.find(row.number, method=row.find, base=row.base, now=world.now)
        except errors.AdapterError:
            return Seen.COULD_NOT_LOOK
        if seen in _ENTRY_SEEN and waits:
            return Seen.NONE
        if seen != Seen.COLLEAGUE_EQUAL or row.find.hit_proves:
            return seen
    return Seen.NONE if row.finality == Finality.STAGED else Seen.COULD_NOT_LOOK
