"""Whose turn it is, and what a database that took over may have forgotten: `outbox`, over the modelled rows.

Each function mirrors one of production's, which its docstring names: what is decided is production's own.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta

from audit.actors import ActorKind
from intents.lifecycle import WRITTEN, State
from intents.pipeline.delivery import owning
from intents.pipeline.delivery.looking import BREAKER_AFTER, breaker_opens_until
from tests.simulation.database import Row
from tests.simulation.world import World

AT_ONCE = 3
SEARCH_TIME = timedelta(hours=1)
_STILL_OPEN = frozenset({State.PENDING_APPROVAL, State.APPROVED, State.SUBMITTED, State.UNCERTAIN})


def claim(world: World, *, at: datetime) -> Row | None:
    """`outbox.claim`: lease the entry whose turn it is."""
    db = world.db
    if world.has_taken_over() or world.tick < db.hold_until:
        return None
    alone: dict[int, bool] = {}
    for row in sorted(_candidates(world, at=at), key=_in_line):
        if row.connection not in alone:
            alone[row.connection] = _is_left_alone(world, row.connection, at=at)
        if alone[row.connection] or world.is_stopped(row):
            continue
        turn = _turn(world, row)
        if turn == "hold":
            hold(world, row, code="reported-change-failed", at=at)
        if turn:
            continue
        if not db.log.holds(row.approval_event):
            world.wake_sequencer()
            continue
        row.attempt_id = world.new_attempt_id(row)
        row.lease_until = at + owning.LEASE
        return row
    return None


def _in_line(row: Row) -> tuple[datetime | None, int]:
    return row.not_before, row.number


def _candidates(world: World, *, at: datetime) -> Iterator[Row]:
    rows = world.db.rows.values()
    for row in rows:
        if (
            row.state != State.APPROVED
            or row.closed
            or row.not_before is None
            or row.not_before > at
            or row.expires is None
            or row.expires <= at
            or not owning.is_lapsed(row.lease_until, at=at)
        ):
            continue
        if not any(_is_in_the_way(other, row, at=at) for other in rows):
            yield row


def _is_in_the_way(other: Row, row: Row, *, at: datetime) -> bool:
    """Another live entry of the shard that is being sent, or that nobody knows about and is like this one."""
    if other is row or other.closed or other.shard != row.shard:
        return False
    if other.state == State.SUBMITTED or not owning.is_lapsed(other.lease_until, at=at):
        return True
    alike = other.kind == row.kind or (bool(row.target) and other.target == row.target)
    return other.state == State.UNCERTAIN and alike


def _is_left_alone(world: World, connection: int, *, at: datetime) -> bool:
    leased = sum(
        1
        for row in world.db.rows.values()
        if row.connection == connection
        and not row.closed
        and not owning.is_lapsed(row.lease_until, at=at)
    )
    if leased >= AT_ONCE:
        return True
    given = world.db.answers.get(connection)
    if not given:
        return False
    newest = sorted(given, key=lambda each: each[0].at, reverse=True)[: 4 * BREAKER_AFTER]
    answer, number = newest[0]
    not_before = world.db.rows[number].not_before
    if answer.outcome == "RateLimited" and not_before is not None and not_before > at:
        return True
    until = breaker_opens_until([each for each, _ in newest])
    return until is not None and (at < until or leased > 0)


def turn_at_beginning(world: World, row: Row, *, at: datetime) -> str:
    """`outbox.turn_at_beginning`: as `_turn`, also of what another worker has begun since the claim."""
    others = world.db.rows.values()
    busy = any(
        other.state in (State.SUBMITTED, State.UNCERTAIN) and _is_in_the_way(other, row, at=at)
        for other in others
    )
    return "wait" if busy else _turn(world, row)


def _turn(world: World, row: Row) -> str:
    """ "": go; "wait"; "hold": what it reports has failed since it was approved."""
    if row.depends_on is None:
        return ""
    other = world.db.rows[row.depends_on]
    if other.state in WRITTEN or other.state == State.SUPERSEDED:
        return ""
    if other.state in _STILL_OPEN:
        return "wait"
    return "hold" if other.since > row.created_at else ""


def hold(world: World, row: Row, *, code: str, at: datetime, even_leased: bool = False) -> None:
    """`outbox.hold`: an approved change stops for a person."""
    if row.state != State.APPROVED or row.closed:
        return
    if not even_leased and not owning.is_lapsed(row.lease_until, at=at):
        return
    world.db.advance(row, State.HELD, actor=ActorKind.DISPATCHER, at=at, reason=code)
    row.closed, row.lease_until = True, None
    world.committed(row)


def notice_failover(world: World, *, at: datetime) -> None:
    """`outbox.notice_failover`, and what `dispatch.drain` holds for people then."""
    db = world.db
    if db.timeline == world.timeline:
        return
    db.timeline = world.timeline
    longest = max(ehr.bounds.quarantine for ehr in world.ehrs.values())
    db.hold_until = max(db.hold_until, world.tick + world.ticks(longest))
    for row in db.rows.values():
        if row.state == State.UNCERTAIN and not row.closed and row.quarantine_until is not None:
            row.quarantine_until = max(row.quarantine_until, db.hold_until)
    for row in db.rows.values():
        if row.state != State.APPROVED or row.closed or row.expires is None:
            continue
        soon = row.expires < at + timedelta(seconds=longest) + SEARCH_TIME
        if soon or not owning.is_findable(retry=row.retry, find=row.find):
            hold(world, row, code="database-restored", at=at, even_leased=True)
    world.committed()
