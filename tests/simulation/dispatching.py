"""One attempt after the other, with the faulty EHR: `dispatch`, over the modelled rows.

Each function mirrors one of production's, which its docstring names: what is decided is production's own.
A `yield` is a place where the process may be killed, stopped for long, or overtaken by anything else;
between two of them stands one transaction, or one call to an EHR.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from audit.actors import ActorKind
from ehr_adapters import errors
from ehr_adapters.capabilities import FindMethod
from intents.lifecycle import State
from intents.pipeline.delivery import attempt as protocol
from intents.pipeline.delivery import deciding, owning
from intents.pipeline.delivery.facts import unsettled
from intents.pipeline.delivery.records import Began, Delivery, OutOfPlace, StrayAnswer
from tests.simulation import claiming
from tests.simulation.database import Row
from tests.simulation.ehr import Token
from tests.simulation.invariants import Sending
from tests.simulation.world import START, DatabaseDown, Process, World

AT_MOST = 100


def drain(world: World) -> Process:
    """`dispatch.drain`: one entry after the other until nothing may be sent."""
    began, first = world.now, world.wall

    def clock() -> datetime:
        return first + timedelta(seconds=world.now - began)

    world.need_database()
    claiming.notice_failover(world, at=clock())
    for _ in range(AT_MOST):
        world.need_database()
        row = claiming.claim(world, at=clock())
        if row is None:
            return
        number, attempt_id = row.number, row.attempt_id
        yield "before the beginning"
        world.need_database()
        begun = _begin(world, number, attempt_id, at=clock())
        if begun is None:
            continue
        exchange = Exchange(world, number, attempt_id, clock)
        exchange.serial = world.truth.begun(number)
        steps = protocol.attempt(begun, steps=len(exchange.body))
        ask = next(steps)
        while True:
            yield type(ask).__name__
            reply = exchange.reply(ask)
            if world.tell is not None:
                said = reply.value if reply.error is None else reply.error.__name__
                world.note(f"change {number} attempt {attempt_id[:4]} {ask}: {said!r}")
            try:
                ask = steps.send(reply)
            except StopIteration as stop:
                ending: protocol.Ending = stop.value
                exchange.is_over()
                break
            if exchange.is_cut_off:
                yield "after sending"
        yield "before the outcome"
        if not ending.abandoned:
            world.need_database()
            _record(world, exchange, ending, at=clock())


def _begin(world: World, number: int, attempt_id: str, *, at: datetime) -> Delivery | None:
    """`dispatch.beginning.begin`: verify everything, commit the fact of sending."""
    db = world.db
    row = db.rows[number]
    if (
        row.attempt_id != attempt_id
        or row.closed
        or owning.is_lapsed(row.lease_until, at=at)
        or row.state != State.APPROVED
    ):
        return None
    is_too_late = row.expires is None or at >= row.expires
    turn = claiming.turn_at_beginning(world, row, at=at)
    if world.is_stopped(row) or is_too_late or turn == "wait":
        row.attempt_id, row.lease_until = "", None
        row.not_before = at + timedelta(seconds=1)
        world.committed(row)
        return None
    failed = "reported-change-failed" if turn == "hold" else ""
    code = failed or _evidence(world, row) or _withdrawn(row)
    if code:
        actor = ActorKind.POLICY if code == "rules-tightened" else ActorKind.DISPATCHER
        db.advance(row, State.HELD, actor=actor, at=at, reason=code)
        row.closed, row.lease_until = True, None
        world.committed(row)
        return None
    before = db.delivery(row)
    decision = deciding.decide(before, Began(attempt_id=attempt_id))
    if before.maybe_sent:
        world.resent += 1
    db.carry_out(row, decision, actor=ActorKind.DISPATCHER, at=at, attempt=attempt_id)
    world.committed(row)
    return before


def _evidence(world: World, row: Row) -> str:
    """`dispatch.verifying.verify`, as far as a model without signatures has it."""
    holds = (
        _are_bytes_as_approved(row)
        and _are_people_enough(row)
        and world.db.log.holds(row.approval_event)
        and not unsettled(row.facts)
    )
    return "" if holds else "evidence-broken"


def _are_bytes_as_approved(row: Row) -> bool:
    return tuple(row.body) == row.approved_body


def _are_people_enough(row: Row) -> bool:
    people = set(row.approvers)
    return len(people) == len(row.approvers) >= row.people_needed and row.author not in people


def _withdrawn(row: Row) -> str:
    """`dispatch.permitting.standing`: what the approval rested on and no longer holds, as a code."""
    return row.stopped_by


@dataclass(slots=True)
class Exchange:
    """`dispatch.exchange.Exchange`: the questions of one attempt, answered with the faulty EHR."""

    world: World
    number: int
    attempt_id: str
    clock: Callable[[], datetime]
    # which attempt this really is, whatever it is called
    serial: int = 0
    connection: int = 0
    base: int = 0
    round: int = 0
    begun_at: float = 0.0
    begun_wall: datetime = START
    body: list[str] = field(default_factory=list)
    find: FindMethod = FindMethod.NONE
    token: Token | None = None
    life: owning.TokenLife | None = None
    sending: Sending | None = None
    error: errors.AdapterError | None = None
    receipts: list[str] = field(default_factory=list)
    is_cut_off: bool = False

    def __post_init__(self) -> None:
        # What `Begun` holds: read in the transaction that committed the beginning.
        row = self.world.db.rows[self.number]
        self.connection, self.base, self.round = row.connection, row.base, row.round
        self.begun_at, self.begun_wall = self.world.now, self.clock()
        self.body, self.find = row.body[:], row.find

    def reply(self, ask: protocol.Ask) -> protocol.Reply:
        try:
            return protocol.Reply(value=self._answer(ask))
        except errors.AdapterError as error:
            self.error = error
            return protocol.Reply(error=type(error), retry_after=error.retry_after)
        except (DatabaseDown, KeyError) as error:
            return protocol.Reply(error=type(error))

    def _answer(self, ask: protocol.Ask) -> object:
        world = self.world
        ehr = world.ehrs[self.connection]
        match ask:
            case protocol.GetToken():
                self.token, self.life = world.authenticate(self.connection)
                return True
            case protocol.ReadChart():
                return ehr.read(self.number, base=self.base, now=world.now)
            case protocol.Search():
                return ehr.find(self.number, method=self.find, base=self.base, now=world.now)
            case protocol.StillMine():
                return self._still_mine()
            case protocol.Submit(step=step):
                return self._submit(step)

    def _still_mine(self) -> str:
        world, at = self.world, self.clock()
        world.need_database()
        row = world.db.rows[self.number]
        withdrawn = _withdrawn(row)
        if withdrawn:
            return withdrawn
        mine = row.attempt_id == self.attempt_id and not owning.is_lapsed(row.lease_until, at=at)
        answer = owning.last_look(
            state=row.state,
            mine=mine,
            is_switched_off=world.is_stopped(row),
            approval_expires_at=row.expires,
            at=at,
        )
        self.sending = Sending(self.number, self.begun_at, world.now, at)
        if not answer:
            world.truth.check_owner(self.number, self.serial)
        if answer or self.life is None or self.token is None:
            return answer
        bounds = world.ehrs[self.connection].bounds
        longest = owning.longest_life([self.life], at=at)
        if longest > bounds.token_life:
            until = world.ticks(longest + bounds.processing + bounds.index_lag)
            row.quarantine_until = world.tick + until
        self._may_take_effect(until=self.token.expires)
        return ""

    def _may_take_effect(self, *, until: float) -> None:
        """The truth about this attempt: a request of it may reach the EHR until then."""
        bounds = self.world.ehrs[self.connection].bounds
        ends = self.world.truth.dangerous.setdefault(self.number, {})
        ends[self.attempt_id] = until + bounds.processing + bounds.index_lag

    def is_over(self) -> None:
        """Whatever of its plan it has not sent by now, this attempt sends no more."""
        ends = self.world.truth.dangerous.get(self.number, {})
        if self.attempt_id in ends:
            bounds = self.world.ehrs[self.connection].bounds
            last = self.world.now + bounds.processing + bounds.index_lag
            ends[self.attempt_id] = min(ends[self.attempt_id], last)

    def _submit(self, step: int) -> bool:
        world = self.world
        if self.token is None:
            raise RuntimeError("sent without a token")
        if self.sending is None:
            # Nobody looked: the last look was the beginning of the attempt.
            self.sending = Sending(self.number, self.begun_at, self.begun_at, self.begun_wall)
        is_let_in = world.ehrs[self.connection].lets_in(self.token, now=world.now)
        world.truth.check_request(
            self.sending,
            row=world.db.rows[self.number],
            round_=self.round,
            step=step,
            body=self.body[step],
            connection=self.connection,
            is_let_in=is_let_in,
            moved_at=world.ehrs[self.connection].moved_at,
            now=world.now,
        )
        self.is_cut_off = True
        if is_let_in and step == len(self.body) - 1:
            self._may_take_effect(until=world.now)
        receipt = world.ehrs[self.connection].submit(
            self.number,
            token=self.token,
            step=step,
            body=self.body[step],
            base=self.base,
            now=world.now,
        )
        if receipt:
            self.receipts.append(receipt)
        return bool(receipt)


def _record(world: World, exchange: Exchange, ending: protocol.Ending, *, at: datetime) -> None:
    """`dispatch.ending.record_outcome`: the outcome if the attempt owns the row, else stray evidence."""
    db = world.db
    row = db.rows[exchange.number]
    delivery = db.delivery(row)
    event = ending.at(
        attempt_id=exchange.attempt_id,
        steps=len(exchange.body),
        at=at,
        tick=world.tick,
        jitter=world.random.random(),
    )
    open_facts = ""
    reference = ""
    if ending.error is not None and exchange.error is not None:
        open_facts = repr(exchange.error.facts())
    elif ending.seen is not None:
        reference = world.ehrs[exchange.connection].reference_of(exchange.number)
    elif ending.on_wire and exchange.receipts:
        reference = exchange.receipts[-1]
    if ending.seen is not None and ending.error is not None:
        reference = world.ehrs[exchange.connection].reference_of(exchange.number)
    try:
        decision = deciding.decide(delivery, event)
        world.truth.check_owner(row.number, exchange.serial)
    except OutOfPlace:
        if not ending.on_wire:
            return
        stray = StrayAnswer(
            attempt_id=exchange.attempt_id,
            acknowledged=ending.error is None,
            known_entry=bool(reference) and reference == row.reference,
        )
        decision = deciding.decide(delivery, stray)
    if decision.delivery.state == State.ACCEPTED and row.state != State.ACCEPTED:
        row.looked_at = None
    db.carry_out(
        row,
        decision,
        actor=ActorKind.DISPATCHER,
        at=at,
        attempt=exchange.attempt_id,
        open_facts=open_facts,
        reference=reference,
    )
    world.committed(row)
