"""From pending events to a signed log: contiguous leaves, one root, one signature, a witness.

Writers take no shared lock. The sequencer alone gives events their places, one at a time per log.
It reads whatever is pending and deletes exactly what it has sequenced. It never remembers the last
id, because ids are handed out before commit and a slow transaction shows up late with a small one.
"""

import hashlib
import logging
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

from django.conf import settings
from django.db import IntegrityError, connection, transaction

from audit import checkpoint, keys, merkle, witness
from audit.checkpoint import CheckpointInvalid, TreeHead
from audit.models import AuditEvent, Checkpoint, LogLeaf, PendingEvent
from audit.witness import WitnessMovedOn, WitnessRefused, WitnessUnavailable

logger = logging.getLogger(__name__)

# How old the newest checkpoint of an idle log may become before the same tree is signed again, so
# that "nothing happened since" is said under a signature too.
IDLE = timedelta(minutes=15)
_CHUNK = 500
# A witness that was away for long is caught up over several runs.
_HANDED_OVER_AT_ONCE = 500


class LogBroken(RuntimeError):
    """The stored log contradicts its own last checkpoint or the witness. Nothing more is signed;
    run `verify_audit`, and do not repair or delete anything."""


@dataclass(frozen=True, slots=True)
class LogStatus:
    """How a log stands: its newest checkpoint, what waits for a leaf, and what was witnessed."""

    log: str
    size: int
    root: str
    signed_at: datetime | None
    pending: int
    oldest_pending_at: datetime | None
    witnessed_size: int | None


def sequence(*, at: datetime, log: str | None = None, limit: int = 5000) -> int:
    """Give up to `limit` pending events of each log their leaves, sign a checkpoint of it, hand it to
    the witness, and return how many leaves were made.

    `log` restricts it to one log. Safe to run at any time by any number of processes. A log that is
    idle gets a fresh signature every `IDLE`. A witness that does not answer is an alarm in the log
    file and gets what it missed later. Raises LogBroken, after the other logs have had their turn,
    when a log cannot be continued honestly. Must not be called inside a transaction.
    """
    made = 0
    broken: LogBroken | None = None
    for name in [log] if log else _logs():
        try:
            made += _extend(name, at=at, limit=limit)
            _hand_over(name)
        except LogBroken as trouble:
            logger.critical("audit log cannot be continued", extra={"log": name})
            broken = broken or trouble
    if broken:
        raise broken
    return made


def is_checkpointed(event_id: UUID | str) -> bool:
    """Is this event proved to be under a signed checkpoint?

    Not a look at a column: the leaf is made from the stored event, and the leaves since the
    checkpoint before are hashed up to the root that the log's key signed.
    """
    leaf = LogLeaf.objects.filter(event_id=event_id).first()
    event = AuditEvent.objects.filter(pk=event_id).only("leaf", "log").first()
    if leaf is None or event is None or event.log != leaf.log:
        return False
    stored = merkle.leaf_hash(event.leaf.encode())
    of_log = Checkpoint.objects.filter(log=leaf.log)
    covering = of_log.filter(tree_size__gt=leaf.index).order_by("tree_size", "id").first()
    if covering is None:
        return False
    before = of_log.filter(tree_size__lte=leaf.index).order_by("-tree_size", "-id").first()
    try:
        tree = _tree(before)
        hashes = _leaf_hashes(leaf.log, start=tree.size, end=covering.tree_size)
        offset = leaf.index - tree.size
        # The edge of the checkpoint before needs no trust: hashed up to the signed root it is right.
        return (
            hashes[offset : offset + 1] == [stored]
            and tree.extend(hashes).root() == _head(covering).root
            and tree.size == covering.tree_size
        )
    except (CheckpointInvalid, ValueError, TypeError):
        return False


def status(log: str) -> LogStatus:
    """How one log stands, for people. Says nothing about whether it is unbroken."""
    last = _last(log)
    waiting = PendingEvent.objects.filter(log=log).order_by("recorded_at")
    oldest = waiting.first()
    try:
        witnessed = witness.latest(log)
    except WitnessUnavailable:
        witnessed = None
    return LogStatus(
        log=log,
        size=last.tree_size if last else 0,
        root=last.root if last else merkle.EMPTY_ROOT.hex(),
        signed_at=last.at if last else None,
        pending=waiting.count(),
        oldest_pending_at=oldest.recorded_at if oldest else None,
        witnessed_size=witnessed.size if witnessed else None,
    )


def _logs() -> list[str]:
    names = set(PendingEvent.objects.order_by().values_list("log", flat=True).distinct())
    # One index look-up per log; DISTINCT would read every checkpoint there ever was.
    name = ""
    while found := (
        Checkpoint.objects.filter(log__gt=name)
        .order_by("log")
        .values_list("log", flat=True)
        .first()
    ):
        name = found
        names.add(name)
    return sorted(names)


def _extend(log: str, *, at: datetime, limit: int) -> int:
    if not _due(log, at=at):
        return 0
    with transaction.atomic(durable=True):
        _lock(log)
        last = _last(log)
        pending = list(PendingEvent.objects.filter(log=log).order_by("id")[:limit])
        # Asked again under the lock: another sequencer may have done it meanwhile.
        if not pending and (last is None or at - last.at < IDLE):
            return 0
        tree = _checked_tree(log, last)
        leaves = [
            LogLeaf(
                log=log, index=tree.size + place, event_id=row.event_id, leaf_hash=row.leaf_hash
            )
            for place, row in enumerate(pending)
        ]
        try:
            LogLeaf.objects.bulk_create(leaves, batch_size=_CHUNK)
        except IntegrityError:
            raise LogBroken(f"An event that waits for log {log} has a leaf already.") from None
        tree.extend(bytes.fromhex(row.leaf_hash) for row in pending)
        signed_at = at.astimezone(UTC).replace(microsecond=0)
        note = checkpoint.sign(
            TreeHead(origin=_origin(log), size=tree.size, root=tree.root(), at=signed_at),
            key=keys.signing_key(),
        )
        Checkpoint(
            log=log,
            tree_size=tree.size,
            root=tree.root().hex(),
            edge=[node.hex() for node in tree.edge],
            note=note,
            at=signed_at,
        ).save()
        for start in range(0, len(pending), _CHUNK):
            # By exact id: `id <= last` would delete an event that was committed meanwhile.
            chunk = [row.pk for row in pending[start : start + _CHUNK]]
            PendingEvent.objects.filter(pk__in=chunk).delete()
    return len(pending)


def _due(log: str, *, at: datetime) -> bool:
    if PendingEvent.objects.filter(log=log).exists():
        return True
    last = _last(log)
    return last is not None and at - last.at >= IDLE


def _lock(log: str) -> None:
    """Only one sequencer per log until the transaction ends."""
    if connection.vendor == "postgresql":
        number = int.from_bytes(
            hashlib.sha256(f"reviewportal audit log {log}".encode()).digest()[:8], signed=True
        )
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [number])
    # SQLite: `transaction_mode` IMMEDIATE has taken the only write lock there is.


def _checked_tree(log: str, last: Checkpoint | None) -> merkle.CompactRange:
    """The tree to continue. A log that was tampered with is not signed on."""
    size = last.tree_size if last else 0
    if LogLeaf.objects.filter(log=log, index__gte=size).exists():
        raise LogBroken(f"Log {log} holds leaves that no checkpoint covers, from leaf {size} on.")
    try:
        tree = _tree(last)
        if last is not None and _head(last).root != tree.root():
            raise LogBroken(f"The last checkpoint of log {log} does not match its own signature.")
    except (CheckpointInvalid, ValueError, TypeError):
        raise LogBroken(f"The last checkpoint of log {log} does not hold.") from None
    try:
        seen = witness.latest(log)
    except WitnessUnavailable:
        logger.error("audit witness is not available", extra={"log": log})
        return tree
    if seen is not None and not _was_witnessed(log, seen, tree):
        raise LogBroken(
            f"Log {log} has {tree.size} leaves, but a checkpoint over {seen.size} was witnessed that "
            "is not among its own: an old copy was put back, or the log was changed."
        )
    return tree


def _was_witnessed(log: str, seen: witness.WitnessedHead, tree: merkle.CompactRange) -> bool:
    if seen.size == tree.size:
        return seen.root == tree.root().hex()
    return Checkpoint.objects.filter(log=log, tree_size=seen.size, root=seen.root).exists()


def _hand_over(log: str) -> None:
    """Give the witness every checkpoint that it lacks, oldest first."""
    public_keys = keys.public_keys()
    try:
        for _ in range(_HANDED_OVER_AT_ONCE):
            seen = witness.latest(log)
            missed = _next_missed(log, seen)
            if missed is None:
                return
            # Another sequencer may be handing over too; whoever comes second looks again.
            with suppress(WitnessMovedOn):
                _hand(missed, seen, public_keys=public_keys)
    except WitnessUnavailable:
        logger.error("audit witness is not available", extra={"log": log})
    except (WitnessRefused, CheckpointInvalid, ValueError, TypeError) as refusal:
        raise LogBroken(f"The witness refused log {log}. {refusal}") from refusal


def _hand(
    missed: Checkpoint, seen: witness.WitnessedHead | None, *, public_keys: list[bytes]
) -> None:
    log = missed.log
    old = None
    if seen is not None:
        old = Checkpoint.objects.filter(log=log, tree_size=seen.size).order_by("id").first()
    start = seen.size if seen is not None else missed.tree_size
    witness.witness(
        log=log,
        note=missed.note,
        public_keys=public_keys,
        old=seen,
        old_edge=_tree(old).edge,
        new_leaves=_leaf_hashes(log, start=start, end=missed.tree_size),
    )


def _next_missed(log: str, seen: witness.WitnessedHead | None) -> Checkpoint | None:
    """The oldest checkpoint that came after the one witnessed last."""
    own = Checkpoint.objects.filter(log=log).order_by("id")
    if seen is None:
        return own.first()
    last = own.filter(tree_size=seen.size, note=seen.note).last()
    if last is None:
        if own.exists():
            raise WitnessRefused(f"Its head over {seen.size} leaves is not among the stored ones.")
        return None
    return own.filter(tree_size__gte=seen.size, pk__gt=last.pk).first()


def _last(log: str) -> Checkpoint | None:
    return Checkpoint.objects.filter(log=log).order_by("-tree_size", "-at", "-id").first()


def _tree(stored: Checkpoint | None) -> merkle.CompactRange:
    if stored is None:
        return merkle.CompactRange()
    return merkle.CompactRange(
        size=stored.tree_size, edge=[bytes.fromhex(str(node)) for node in list(stored.edge)]
    )


def _head(stored: Checkpoint) -> TreeHead:
    head = checkpoint.open_note(
        stored.note, origin=_origin(stored.log), public_keys=keys.public_keys()
    )
    if head.size != stored.tree_size:
        raise CheckpointInvalid("Its note speaks of another size.")
    return head


def _leaf_hashes(log: str, *, start: int, end: int) -> list[bytes]:
    return [
        bytes.fromhex(text)
        for text in LogLeaf.objects.filter(log=log, index__gte=start, index__lt=end)
        .order_by("index")
        .values_list("leaf_hash", flat=True)
    ]


def _origin(log: str) -> str:
    return checkpoint.origin_of(base=settings.AUDIT_ORIGIN, log=log)
