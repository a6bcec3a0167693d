"""The whole check of the stored log: reads the database and the witness, and lets `verification`
judge. For the integrity page and for `verify_audit`."""

import hmac
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice

from django.conf import settings
from django.db import connection, transaction
from django.db.models import Exists, OuterRef

from audit import checkpoint, insert_only, keys, stored_rows, vault, verification, witness
from audit.encoding import canonical_time
from audit.leaves import leaf_text
from audit.models import AuditEvent, Checkpoint, EventBody, LogLeaf, PendingEvent
from audit.tags import AuditTag
from audit.verification import (
    Break,
    BreakKind,
    LogReport,
    RecordedRow,
    Step,
    StoredCheckpoint,
    StoredLeaf,
    Witnessed,
)
from audit.witness import WitnessUnavailable

_CHUNK = 500


@dataclass(frozen=True, slots=True)
class IntegrityReport:
    """What was checked, and everything that does not hold; empty `breaks` means unbroken."""

    logs: tuple[LogReport, ...]
    events: int
    pending: int
    breaks: tuple[Break, ...]

    @property
    def holds(self) -> bool:
        return not self.breaks

    @property
    def first(self) -> Break | None:
        """The first broken thing: the one to look at, since later ones may follow from it."""
        return self.breaks[0] if self.breaks else None


def check(*, logs: Sequence[str] | None = None) -> IntegrityReport:
    """Recompute everything: leaves, roots, signatures, witness, bodies, stored records, approvals
    and triggers; of the named logs, or of all of them.

    Reads one consistent state of the database and holds up no writer. Changes nothing; the caller
    records that it was done.
    """
    # Before the database: a checkpoint is witnessed after its commit, so a head that is read first
    # cannot be newer than what is read then.
    witnessed = _witnessed()
    with snapshot():
        names = sorted(set(stored_logs()) | set(witnessed)) if logs is None else list(logs)
        reports = tuple(_check_log(name, witnessed.get(name, [])) for name in names)
        breaks = [
            broken
            for report in reports
            for broken in report.breaks
            if not (broken.kind == BreakKind.UNWITNESSED and _witnessed_meanwhile(broken.log))
        ]
        for name in names:
            breaks += _readable(name, _unlogged(name))
            breaks += _readable(name, _contents(name))
        breaks += _readable(
            "",
            verification.verify_rows(
                recorded=(row for name in names for row in _recorded_rows(name)),
                is_insert_only=insert_only.is_guarded,
                current=_current_rows,
            ),
        )
        breaks += [
            Break(
                BreakKind.TRIGGER_MISSING, f"An insert-only trigger is missing or altered, {name}."
            )
            for name in insert_only.missing_triggers()
        ]
        return IntegrityReport(
            logs=reports,
            events=AuditEvent.objects.filter(log__in=names).count(),
            pending=PendingEvent.objects.filter(log__in=names).count(),
            breaks=tuple(breaks),
        )


@contextmanager
def snapshot() -> Iterator[None]:
    """One state of the database for all reads, without a lock that a writer would wait for."""
    if connection.in_atomic_block:
        yield
    elif connection.vendor == "sqlite":
        # Not atomic(): its BEGIN IMMEDIATE would take the write lock for as long as this lasts.
        with connection.cursor() as cursor:
            cursor.execute("BEGIN DEFERRED")
            try:
                yield
            finally:
                cursor.execute("ROLLBACK")
    else:
        with transaction.atomic():
            with connection.cursor() as cursor:
                cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
            yield


def _witnessed() -> dict[str, list[Witnessed]]:
    found: dict[str, list[Witnessed]] = {}
    try:
        for head in witness.heads():
            found.setdefault(head.log, []).append(
                Witnessed(size=head.size, root=head.root, note=head.note)
            )
    except WitnessUnavailable:
        # Every log then reports that no checkpoint of it is witnessed.
        return {}
    return found


def _witnessed_meanwhile(log: str) -> bool:
    """A log that began between the two readings is not unwitnessed."""
    try:
        return witness.latest(log) is not None
    except WitnessUnavailable:
        return False


def stored_logs() -> list[str]:
    """The name of every log of which anything is stored."""
    names: set[str] = set()
    for model in (AuditEvent, LogLeaf, Checkpoint, PendingEvent):
        names.update(model.objects.order_by().values_list("log", flat=True).distinct())
    return sorted(names)


def _readable(log: str, found: Iterable[Break]) -> list[Break]:
    """What was found; a stored value that no release of ours ever wrote is itself a break."""
    breaks: list[Break] = []
    try:
        breaks.extend(found)
    except (ValueError, TypeError):
        breaks.append(_unreadable(log))
    return breaks


def _unreadable(log: str) -> Break:
    return Break(
        BreakKind.UNREADABLE, "A stored value is not in any form that was ever written here.", log
    )


def _check_log(log: str, witnessed: Sequence[Witnessed]) -> LogReport:
    try:
        return _verified(log, witnessed)
    except (ValueError, TypeError):
        return LogReport(
            log=log,
            leaves=0,
            checkpoints=0,
            witnessed=len(witnessed),
            proved=0,
            root="",
            breaks=(_unreadable(log),),
        )


def _verified(log: str, witnessed: Sequence[Witnessed]) -> LogReport:
    stored = Checkpoint.objects.filter(log=log).order_by("tree_size", "at", "id")
    return verification.verify_log(
        log=log,
        origin=checkpoint.origin_of(base=settings.AUDIT_ORIGIN, log=log),
        public_keys=keys.public_keys(),
        leaves=(
            StoredLeaf(
                index=leaf.index,
                event_id=str(leaf.event_id),
                leaf_hash=leaf.leaf_hash,
                leaf=event.leaf if event else None,
                from_columns=_from_columns(event) if event else None,
            )
            for leaf, event in _leaves(log)
        ),
        checkpoints=[
            StoredCheckpoint(size=one.tree_size, root=one.root, edge=one.edge, note=one.note)
            for one in stored.iterator()
        ],
        witnessed=witnessed,
    )


def _from_columns(event: AuditEvent) -> str:
    try:
        return leaf_text(event)
    except (TypeError, ValueError, AttributeError):
        return ""


def _leaves(log: str) -> Iterator[tuple[LogLeaf, AuditEvent | None]]:
    """Leaves in order, each with its event. By key and not by offset: a gap must not shift them."""
    after = -1
    while chunk := list(
        LogLeaf.objects.filter(log=log, index__gt=after).order_by("index")[:_CHUNK]
    ):
        events = AuditEvent.objects.in_bulk([leaf.event_id for leaf in chunk])
        for leaf in chunk:
            yield leaf, events.get(leaf.event_id)
        after = chunk[-1].index


def _unlogged(log: str) -> Iterator[Break]:
    """Events that no leaf and no pending row speaks of, and pending rows without their event."""
    of_event = {"event_id": OuterRef("pk")}
    stray = AuditEvent.objects.filter(
        ~Exists(LogLeaf.objects.filter(log=OuterRef("log"), **of_event)),
        ~Exists(PendingEvent.objects.filter(log=OuterRef("log"), **of_event)),
        log=log,
    )
    for event_id in stray.order_by("recorded_at").values_list("pk", flat=True).iterator():
        yield Break(
            BreakKind.EVENT_INSERTED,
            f"The event {event_id} is stored, but has no leaf and does not wait for one: it was put "
            "in beside the log, or its leaf was removed.",
            log,
            event_id=str(event_id),
        )
    for pending in PendingEvent.objects.filter(log=log).order_by("id").iterator():
        event = AuditEvent.objects.filter(pk=pending.event_id).first()
        if event is None:
            yield Break(
                BreakKind.EVENT_MISSING,
                f"The event {pending.event_id} waits for its leaf and has been removed.",
                log,
                event_id=str(pending.event_id),
            )
        elif _from_columns(event) != event.leaf:
            yield Break(
                BreakKind.EVENT_CHANGED,
                f"Columns of the event {event.pk}, which waits for its leaf, were changed.",
                log,
                event_id=str(event.pk),
            )


def _contents(log: str) -> Iterator[Break]:
    """Every body opens to its commitment, unless its destruction was recorded; and with the bodies
    open, every submission follows its approval."""
    vault_keys = keys.vault_keys()
    shredded = _shredded(log, vault_keys)
    steps: list[Step] = []
    step_tags = {tag.value for tag in verification.STEP_TAGS}
    for leaf, event, stored in leaves_with_bodies(log):
        if event is None:
            continue
        opening = _opened(stored, vault_keys)
        if event.body_commitment and not (
            opening and hmac.compare_digest(opening.commitment(), event.body_commitment)
        ):
            gone = stored is None or not stored.sealed
            if not gone:
                kind, what = BreakKind.BODY_CHANGED, "is not the one that its event committed to"
            elif str(event.pk) not in shredded:
                kind, what = (
                    BreakKind.BODY_MISSING,
                    "is gone, and no event tells that it was destroyed",
                )
            else:
                kind = None
            if kind is not None:
                sentence = f"The body of leaf {leaf.index} {what}."
                yield Break(kind, sentence, log, leaf.index, str(event.pk))
        if event.tag in step_tags:
            payload_hash = str(opening.content().get("payload_hash", "")) if opening else ""
            steps.append(
                Step(
                    index=leaf.index,
                    event_id=str(event.pk),
                    tag=event.tag,
                    intent_id=event.intent_id,
                    payload_hash=payload_hash,
                )
            )
    sizes = sorted(set(Checkpoint.objects.filter(log=log).values_list("tree_size", flat=True)))
    yield from verification.verify_sends(log=log, steps=steps, sizes=sizes)


def leaves_with_bodies(
    log: str,
) -> Iterator[tuple[LogLeaf, AuditEvent | None, EventBody | None]]:
    """Every leaf of a log in order, with its event and its body as far as they are there."""
    leaves = _leaves(log)
    while chunk := list(islice(leaves, _CHUNK)):
        bodies = EventBody.objects.in_bulk([leaf.event_id for leaf, _ in chunk])
        for leaf, event in chunk:
            yield leaf, event, bodies.get(leaf.event_id)


def _opened(stored: EventBody | None, vault_keys: Mapping[str, bytes]) -> vault.Opening | None:
    try:
        return vault.unseal(stored, vault_keys=vault_keys) if stored else None
    except vault.BodyUnreadable:
        return None


def _shredded(log: str, vault_keys: Mapping[str, bytes]) -> set[str]:
    """Events whose bodies were destroyed, as the events of their destruction tell."""
    told: set[str] = set()
    events = AuditEvent.objects.filter(log=log, tag=AuditTag.AUDIT_BODY_SHREDDED.value)
    for stored in EventBody.objects.filter(pk__in=events.values("pk")).iterator():
        opening = _opened(stored, vault_keys)
        destroyed = opening.content().get("events") if opening else None
        if isinstance(destroyed, list):
            told.update(str(one) for one in destroyed)
    return told


def _recorded_rows(log: str) -> Iterator[RecordedRow]:
    last = -1
    for leaf, event in _leaves(log):
        last = leaf.index
        if event is not None:
            yield from _rows_of(event, leaf.index)
    # Events that wait for a leaf may tell of newer changes to a row, which is as new itself.
    for place, pending in enumerate(PendingEvent.objects.filter(log=log).order_by("id"), last + 1):
        event = AuditEvent.objects.filter(pk=pending.event_id).first()
        if event is not None:
            yield from _rows_of(event, place)


def _rows_of(event: AuditEvent, index: int) -> Iterator[RecordedRow]:
    for row in event.rows if isinstance(event.rows, list) else ():
        # A row that is not in our form was changed with its event, which is reported already.
        if not isinstance(row, dict) or not {"table", "id", "sha256"} <= row.keys():
            continue
        yield RecordedRow(
            log=event.log,
            index=index,
            event_id=str(event.pk),
            recorded_at=canonical_time(event.recorded_at),
            table=row["table"],
            row_id=row["id"],
            sha256=row["sha256"],
        )


def _current_rows(table: str, ids: Sequence[str]) -> Mapping[str, str] | None:
    try:
        return stored_rows.row_hashes(table=table, ids=ids)
    except stored_rows.TableUnknown:
        return None
