"""Giving one entry to one worker: what may be sent now, in which order, and what has to wait.

A claim is a short transaction that leases the entry; nothing is sent and nothing is recorded as sent
by it. Whatever forbids sending is looked at here, so that nobody leases in vain, and looked at again
by dispatch, which trusts nothing of this.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from uuid import UUID, uuid4

from django.conf import settings
from django.db import connection as database
from django.db import transaction
from django.db.models import Count, Exists, OuterRef, Q

from audit.actors import Actor, ActorKind
from audit.models import LogLeaf
from intents.governance import switches
from intents.governance.models import EhrConnection
from intents.governance.tenancy import tenant_context
from intents.lifecycle import WRITTEN, State
from intents.models import Intent, OutboxEntry, Tick, WriteLedgerEntry
from intents.models.ledger import SHORTEST_TICK
from intents.pipeline.delivery import owning, words
from intents.pipeline.delivery.looking import BREAKER_AFTER, Answer, breaker_opens_until
from intents.pipeline.delivery.owning import LEASE
from intents.pipeline.delivery.words import Phase
from intents.pipeline.outbox.waking import wake
from intents.queries import stages

_CHUNK = 50
_MOST = 1000
_DISPATCHER = Actor.system(ActorKind.DISPATCHER)


@dataclass(frozen=True, slots=True)
class Claimed:
    """One entry, leased to one attempt until the lease lapses."""

    tenant_id: UUID
    intent_id: UUID
    entry_id: UUID
    attempt_id: UUID


def ticks(seconds: float) -> int:
    """So many seconds in ticks of the portal's clock, by the shortest tick that it ever makes."""
    return owning.ticks_of(seconds, shortest=settings.TICK_SECONDS * SHORTEST_TICK)


def is_lapsed(entry: OutboxEntry, *, at: datetime) -> bool:
    """Nobody holds a valid lease on the entry."""
    return owning.is_lapsed(entry.lease_until, at=at)


def lapsed(*, at: datetime) -> Q:
    """`is_lapsed` as a condition of a query on entries."""
    return Q(lease_until__isnull=True) | Q(lease_until__lte=at) | Q(lease_until__gt=at + LEASE)


# --- claiming -------------------------------------------------------------------------------------


def claim(*, at: datetime) -> Claimed | None:
    """Lease the entry whose turn it is, of any tenant, or None when nothing may be sent now."""
    return next(iter(claim_some(at=at, most=1)), None)


def claim_some(*, at: datetime, most: int) -> list[Claimed]:
    """Lease up to `most` entries whose turn it is, of any tenant, at most one of each shard.

    Compare-and-set under row locks: two workers never hold one entry, nor two entries of one shard.
    Changes that can no longer be sent, because one that they report failed, are held on the way.
    """
    if Tick.is_sending_held():
        return []
    look = _Look(at=at)
    claimed: list[Claimed] = []
    for chunk in _candidates(look, first=most):
        look.read(chunk)
        chosen: list[OutboxEntry] = []
        for entry in chunk:
            if len(claimed) + len(chosen) == most:
                break
            if look.may_go(entry, beside=chosen):
                chosen.append(entry)
        leased = _lease(chosen, share=look.share, at=at)
        # Where somebody else had them first, the next chunk serves as many as are missing.
        look.give_back(chosen, but=leased)
        claimed += leased
        if len(claimed) == most:
            break
    return claimed


def _candidates(look: "_Look", *, first: int) -> Iterator[list[OutboxEntry]]:
    """Entries that are due, oldest first, without those that their own shard makes wait: a few more than
    are wanted at first, then more at once, none of a connection that is known to have no room."""
    at = look.at
    live = OutboxEntry.unscoped.filter(closed_at__isnull=True)
    neighbours = live.filter(shard_key=OuterRef("shard_key")).exclude(pk=OuterRef("pk"))
    being_sent = neighbours.filter(Q(intent__state=State.SUBMITTED) | ~lapsed(at=at))
    # What may or may not be in the chart blocks the same entry, and the same kind for the patient.
    unknown = neighbours.filter(
        _alike(kind=OuterRef("intent__change_kind"), target=OuterRef("intent__target_key")),
        intent__state=State.UNCERTAIN,
    )
    due = (
        live.filter(
            lapsed(at=at),
            not_before__lte=at,
            intent__state=State.APPROVED,
            intent__approval_expires_at__gt=at,
            tenant__is_active=True,
            tenant__write_back_enabled=True,
            connection__write_back_enabled=True,
        )
        .filter(~Exists(being_sent), ~Exists(unknown))
        .select_related("intent__proposal__agent", "connection")
        .order_by("not_before", "id")
    )
    seen, size = 0, min(2 * first + 2, _CHUNK)
    while seen < _MOST:
        chunk = list(due.exclude(connection_id__in=look.without_room())[:size])
        yield chunk
        if len(chunk) < size:
            return
        last = chunk[-1]
        due = due.filter(
            Q(not_before__gt=last.not_before) | Q(not_before=last.not_before, id__gt=last.pk),
            # Says the same again in a form that the index takes as where to begin.
            not_before__gte=last.not_before,
        )
        seen, size = seen + size, _CHUNK


def _alike(*, kind: OuterRef | str, target: OuterRef | str) -> Q:
    """Entries of the same kind of change, or of the same entry in the chart."""
    return Q(intent__change_kind=kind) | (Q(intent__target_key=target) & ~Q(intent__target_key=""))


@dataclass(frozen=True, slots=True)
class _Share:
    """What one connection is given now: `leased` attempts are on their way, `room` more may go."""

    leased: int = 0
    room: int = 0


def _share(connection: EhrConnection, *, at: datetime) -> _Share:
    """No room when it is silent, asked to slow down, or busy enough."""
    leased = _leased([connection.pk], at=at).get(connection.pk, 0)
    room = connection.most_writes_at_once - leased
    if room <= 0:
        return _Share(leased)
    rows = list(
        WriteLedgerEntry.unscoped.filter(
            entry__connection=connection,
            phase__in=[Phase.ACKNOWLEDGED, Phase.REFUSED, Phase.NOT_SENT, Phase.UNKNOWN],
        )
        .order_by("-at", "-id")
        .values_list("phase", "outcome", "at", "entry__not_before")[: 4 * BREAKER_AFTER]
    )
    if not rows:
        return _Share(leased, room)
    if rows[0][1] == "RateLimited" and rows[0][3] > at:
        return _Share(leased)
    until = breaker_opens_until([Answer(Phase(row[0]), row[1], row[2]) for row in rows])
    if until is None:
        return _Share(leased, room)
    # Half-open after that: one attempt at a time, which begins with a reading.
    return _Share(leased, 0 if at < until or leased > 0 else 1)


def _leased(connection_ids: Iterable[UUID], *, at: datetime) -> dict[UUID, int]:
    """How many attempts are on their way, by connection."""
    counted = (
        OutboxEntry.unscoped.filter(
            connection_id__in=connection_ids, closed_at__isnull=True, lease_until__isnull=False
        )
        .exclude(lapsed(at=at))
        .order_by()
        .values_list("connection_id")
        .annotate(number=Count("pk"))
    )
    return dict(counted)


class Turn(StrEnum):
    """Whether a change may be sent now, has to wait for others, or stops for a person."""

    GO = "go"
    WAIT = "wait"
    HOLD = "hold"


@dataclass(slots=True)
class _Look:
    """What is known while one claim is made; read for many entries at a time."""

    at: datetime
    share: dict[UUID, _Share] = field(default_factory=dict)
    # chosen so far, by connection
    taken: Counter[UUID] = field(default_factory=Counter)
    stopped: dict[tuple[object, ...], bool] = field(default_factory=dict)
    logged: set[UUID] = field(default_factory=set)
    siblings: dict[UUID, list[Intent]] = field(default_factory=dict)

    def read(self, chunk: Sequence[OutboxEntry]) -> None:
        events = [entry.approval_event_id for entry in chunk]
        self.logged |= set(
            LogLeaf.objects.filter(event_id__in=events).values_list("event_id", flat=True)
        )
        proposals = {entry.intent.proposal_id for entry in chunk}
        for sibling in Intent.unscoped.filter(proposal_id__in=proposals):
            self.siblings.setdefault(sibling.proposal_id, []).append(sibling)

    def may_go(self, entry: OutboxEntry, *, beside: Sequence[OutboxEntry]) -> bool:
        """Nothing known forbids leasing it together with those chosen already."""
        if any(entry.shard_key == other.shard_key for other in beside):
            return False
        if entry.connection_id not in self.share:
            self.share[entry.connection_id] = _share(entry.connection, at=self.at)
        if self._is_full(entry.connection_id) or self._is_stopped(entry):
            return False
        with tenant_context(entry.tenant_id):
            kept_back = stages.why_not_sent(entry.connection, entry.intent)
            if kept_back:
                hold(entry.intent_id, code=kept_back, at=self.at)
                return False
            if stages.is_full_today(entry.connection, but=entry.intent, at=self.at):
                return False
            turn = _turn(entry.intent, entry, among=self.siblings.get(entry.intent.proposal_id, ()))
            if turn is Turn.HOLD:
                hold(entry.intent_id, code="reported-change-failed", at=self.at)
        if turn is not Turn.GO:
            return False
        if entry.approval_event_id not in self.logged:
            # The approval is not in the signed log yet; sequencing wakes dispatch when it is.
            wake("sequencer")
            return False
        self.taken[entry.connection_id] += 1
        return True

    def give_back(self, chosen: Iterable[OutboxEntry], *, but: Iterable[Claimed]) -> None:
        """What was chosen and not leased takes no room."""
        leased = {claimed.entry_id for claimed in but}
        self.taken.subtract(each.connection_id for each in chosen if each.pk not in leased)

    def without_room(self) -> list[UUID]:
        """The connections that were looked at and take no more."""
        return [each for each in self.share if self._is_full(each)]

    def _is_full(self, connection_id: UUID) -> bool:
        return self.taken[connection_id] >= self.share[connection_id].room

    def _is_stopped(self, entry: OutboxEntry) -> bool:
        intent = entry.intent
        what = (
            entry.tenant_id,
            entry.connection_id,
            intent.proposal.agent_id,
            intent.change_kind,
        )
        if what not in self.stopped:
            self.stopped[what] = bool(
                switches.stopping(
                    tenant_id=entry.tenant_id,
                    connection_id=entry.connection_id,
                    agent_id=intent.proposal.agent_id,
                    change_kind=intent.change_kind,
                )
            )
        return self.stopped[what]


def _lease(
    chosen: Sequence[OutboxEntry], *, share: Mapping[UUID, _Share], at: datetime
) -> list[Claimed]:
    """Lease those of them, of one shard each, that nobody else has taken meanwhile.

    Several workers together keep to a connection's share: it is counted again under a lock.
    """
    if not chosen:
        return []
    keys = [entry.pk for entry in chosen]
    with transaction.atomic():
        connections = {entry.connection_id for entry in chosen}
        _lock_connections(connections)
        leased = Counter(_leased(connections, at=at))
        shards = _lock_shards([entry.shard_key for entry in chosen])
        intents = set(
            Intent.unscoped.select_for_update(of=("self",), skip_locked=True)
            .filter(
                pk__in=[entry.intent_id for entry in chosen],
                state=State.APPROVED,
                approval_expires_at__gt=at,
            )
            .values_list("pk", flat=True)
        )
        locked = set(
            OutboxEntry.unscoped.select_for_update(of=("self",), skip_locked=True)
            .filter(lapsed(at=at), pk__in=keys, closed_at__isnull=True, not_before__lte=at)
            .values_list("pk", flat=True)
        )
        busy = set(
            OutboxEntry.unscoped.filter(
                Q(intent__state=State.SUBMITTED) | ~lapsed(at=at),
                shard_key__in=shards,
                closed_at__isnull=True,
            )
            .exclude(pk__in=keys)
            .values_list("shard_key", flat=True)
        )
        mine = []
        for entry in chosen:
            given = share[entry.connection_id]
            if (
                entry.shard_key in shards - busy
                and entry.intent_id in intents
                and entry.pk in locked
                and leased[entry.connection_id] < given.leased + given.room
            ):
                leased[entry.connection_id] += 1
                mine.append(entry)
        attempts = {entry.pk: uuid4() for entry in mine}
        OutboxEntry.lease_all(attempts, until=at + LEASE, tick=Tick.now())
    return [
        Claimed(
            tenant_id=entry.tenant_id,
            intent_id=entry.intent_id,
            entry_id=entry.pk,
            attempt_id=attempts[entry.pk],
        )
        for entry in mine
    ]


def _lock_connections(connection_ids: Iterable[UUID]) -> None:
    """Until the transaction ends nobody else leases entries of these connections."""
    if database.vendor != "postgresql":
        return  # SQLite: the transaction holds the only write lock there is
    with database.cursor() as cursor:
        for number in sorted(each.int for each in connection_ids):
            cursor.execute(
                "SELECT pg_advisory_xact_lock(%s)",
                [int.from_bytes((number >> 64).to_bytes(8), signed=True)],
            )


def _shard_number(shard_key: str) -> int:
    return int.from_bytes(bytes.fromhex(shard_key)[:8], signed=True)


def _await_shard(shard_key: str) -> None:
    """Until the transaction ends nobody else claims from this shard or begins to send for it.

    Waits for whoever does: a claim that comes to nothing holds it for a moment, and waits for nobody itself.
    """
    if database.vendor != "postgresql":
        return  # SQLite: the transaction holds the only write lock there is
    with database.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_shard_number(shard_key)])


def _lock_shards(shard_keys: Sequence[str]) -> set[str]:
    """Those from which no other transaction is claiming or beginning to send at this moment."""
    if database.vendor != "postgresql":
        return set(shard_keys)  # SQLite: the transaction holds the only write lock there is
    numbers = {_shard_number(key): key for key in shard_keys}
    with database.cursor() as cursor:
        cursor.execute(
            "SELECT number FROM unnest(%s::bigint[]) AS number WHERE pg_try_advisory_xact_lock(number)",
            [list(numbers)],
        )
        return {numbers[number] for (number,) in cursor.fetchall()}


# --- what a change waits for ----------------------------------------------------------------------


# What may still come to be written: whatever reports it waits.
_STILL_OPEN = (
    State.DRAFTED,
    State.VALIDATED,
    State.PENDING_APPROVAL,
    State.APPROVED,
    State.SUBMITTED,
    State.UNCERTAIN,
)


def turn_at_beginning(intent: Intent, entry: OutboxEntry) -> Turn:
    """Is it still the change's turn? Until the transaction ends no other change of its shard can begin.

    A lease alone does not say so: to workers whose wall clock was set back since it was given it is void,
    and they take another change of the shard. What this one reports may have moved on since, too.
    """
    _await_shard(entry.shard_key)
    alike = _alike(kind=intent.change_kind, target=intent.target_key)
    is_in_the_way = (
        OutboxEntry.unscoped.filter(shard_key=entry.shard_key, closed_at__isnull=True)
        .exclude(pk=entry.pk)
        .filter(Q(intent__state=State.SUBMITTED) | (Q(intent__state=State.UNCERTAIN) & alike))
        .exists()
    )
    if is_in_the_way:
        return Turn.WAIT
    return _turn(intent, entry, among=Intent.unscoped.filter(proposal_id=intent.proposal_id))


def _turn(intent: Intent, entry: OutboxEntry, *, among: Iterable[Intent]) -> Turn:
    """Notes go after the changes that they report, and anything after what it depends on."""
    siblings = {sibling.ref: sibling for sibling in among if sibling.pk != intent.pk}
    if not siblings:
        return Turn.GO
    awaited = [siblings[ref] for ref in _reported(intent, entry) if ref in siblings]
    turn = Turn.GO
    for other in awaited:
        state = State(other.state)
        if state in WRITTEN or state == State.SUPERSEDED:
            continue
        if state in _STILL_OPEN:
            turn = Turn.WAIT
        elif other.state_changed_at > entry.created_at:
            return Turn.HOLD
        # Otherwise it had ended before the approval: the reviewer saw that, and decided about it.
    return turn


def _reported(intent: Intent, entry: OutboxEntry) -> set[str]:
    """The refs of the changes that this one depends on or reports."""
    refs = set(intent.depends_on)
    if intent.change_kind == "note":
        content = entry.screening.version.phi_json("content") or {}
        for section in content.get("sections") or ():
            refs.update(str(act["change"]) for act in section.get("acts") or ())
    return refs


def hold(intent_id: UUID, *, code: str, at: datetime, even_leased: bool = False) -> None:
    """Stop an approved change for a person. `code` is one of delivery's reasons.

    Unless an attempt owns it; with `even_leased` also then: that attempt will find that it may not begin.
    """
    with transaction.atomic():
        intent = Intent.lock(intent_id)
        entry = OutboxEntry.objects.filter(intent=intent, closed_at__isnull=True).first()
        if intent.state != State.APPROVED or entry is None:
            return
        if not even_leased and not is_lapsed(entry, at=at):
            return
        reason = words.reason(code)
        intent.advance(State.HELD, actor=_DISPATCHER, at=at, reason=reason)
        OutboxEntry.lock(entry.pk).close(actor=_DISPATCHER, at=at, reason=reason)
