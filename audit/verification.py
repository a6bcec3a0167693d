"""Does the log still say what it said? Recomputed from what is handed in; knows no table. Pure.

`integrity` reads the database and hands it over. `verify_audit.py` is the second implementation,
for auditors. Each names the first broken thing it finds in each log and goes on to the next log.
"""

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import islice

from audit import checkpoint, merkle
from audit.checkpoint import CheckpointInvalid
from audit.tags import APPROVALS, VOIDS_APPROVAL, AuditTag

_CHUNK = 500


class BreakKind(StrEnum):
    """What is wrong. The sentence of a Break says it to a person."""

    EVENT_CHANGED = "EVENT_CHANGED"
    EVENT_MISSING = "EVENT_MISSING"
    EVENT_INSERTED = "EVENT_INSERTED"
    LEAF_CHANGED = "LEAF_CHANGED"
    LEAF_MISSING = "LEAF_MISSING"
    LEAF_INSERTED = "LEAF_INSERTED"
    ORDER_CHANGED = "ORDER_CHANGED"
    TRUNCATED = "TRUNCATED"
    CHECKPOINT_CHANGED = "CHECKPOINT_CHANGED"
    CHECKPOINT_MISSING = "CHECKPOINT_MISSING"
    ROLLED_BACK = "ROLLED_BACK"
    REWRITTEN = "REWRITTEN"
    UNWITNESSED = "UNWITNESSED"
    BODY_CHANGED = "BODY_CHANGED"
    BODY_MISSING = "BODY_MISSING"
    ROW_CHANGED = "ROW_CHANGED"
    ROW_MISSING = "ROW_MISSING"
    SENT_UNAPPROVED = "SENT_UNAPPROVED"
    TRIGGER_MISSING = "TRIGGER_MISSING"
    UNREADABLE = "UNREADABLE"


@dataclass(frozen=True, slots=True)
class Break:
    """One thing that does not hold: where, and in words. `index` is the leaf's number, from 0."""

    kind: BreakKind
    sentence: str
    log: str = ""
    index: int | None = None
    event_id: str = ""
    table: str = ""
    row_id: str = ""


@dataclass(frozen=True, slots=True)
class StoredLeaf:
    """A leaf as stored, its event's text (None: the event is gone) and the text that the event's
    other columns give (None: the same)."""

    index: int
    event_id: str
    leaf_hash: str
    leaf: str | None
    from_columns: str | None = None


@dataclass(frozen=True, slots=True)
class StoredCheckpoint:
    """A checkpoint's columns as stored."""

    size: int
    root: str
    edge: Sequence[str]
    note: str


@dataclass(frozen=True, slots=True)
class Witnessed:
    """What the witness remembers of one checkpoint."""

    size: int
    root: str
    note: str


@dataclass(frozen=True, slots=True)
class LogReport:
    """What one log came to. `leaves` are stored; of them, the first `proved` are beyond doubt, since
    they lie under a signed root that was recomputed; `root` is that of the leaves up to the break."""

    log: str
    leaves: int
    checkpoints: int
    witnessed: int
    proved: int
    root: str
    breaks: tuple[Break, ...]


def verify_log(
    *,
    log: str,
    origin: str,
    public_keys: Sequence[bytes],
    leaves: Iterable[StoredLeaf],
    checkpoints: Sequence[StoredCheckpoint],
    witnessed: Sequence[Witnessed],
) -> LogReport:
    """Hash every leaf again, in order, and compare with every checkpoint and every witnessed head.

    `leaves` come in order of index, `checkpoints` in order of size. Judges up to the first break in
    the leaves, because nothing after it can be proved, and counts the rest.
    """
    tree = merkle.CompactRange()
    roots = {0: tree.root().hex()}
    wanted = {head.size for head in witnessed}
    breaks: list[Break] = []
    signed = iter(checkpoints)
    next_signed = next(signed, None)
    proved = 0

    def check_signed() -> bool:
        """Every checkpoint over exactly the leaves so far; False when one does not hold."""
        nonlocal next_signed, proved
        while next_signed is not None and next_signed.size == tree.size:
            wrong = _wrong_with(
                next_signed, tree=tree, first=proved, origin=origin, public_keys=public_keys
            )
            if wrong:
                kind, sentence = wrong
                breaks.append(Break(kind, sentence, log, proved))
                return False
            proved = tree.size
            next_signed = next(signed, None)
        return True

    sound = check_signed()
    stored = 0
    for leaf in leaves:
        stored += 1
        if not sound:
            continue
        found = _wrong_leaf(leaf, expected=tree.size, log=log)
        if found:
            breaks.append(found)
            sound = False
            continue
        tree.append(bytes.fromhex(leaf.leaf_hash))
        if tree.size in wanted:
            roots[tree.size] = tree.root().hex()
        sound = check_signed()
    if sound:
        breaks.extend(_ends(log, tree=tree, beyond=next_signed, proved=proved))
    breaks.extend(
        _against_witness(
            log,
            sound=sound and not breaks,
            size=tree.size,
            roots=roots,
            notes={stored.note for stored in checkpoints},
            witnessed=witnessed,
            checkpoints=len(checkpoints),
        )
    )
    return LogReport(
        log=log,
        leaves=stored,
        checkpoints=len(checkpoints),
        witnessed=len(witnessed),
        proved=proved,
        root=tree.root().hex(),
        breaks=tuple(breaks),
    )


def _wrong_leaf(leaf: StoredLeaf, *, expected: int, log: str) -> Break | None:
    def broken(kind: BreakKind, sentence: str, index: int) -> Break:
        return Break(kind, sentence, log, index, leaf.event_id)

    if leaf.index != expected:
        kind = BreakKind.LEAF_MISSING if leaf.index > expected else BreakKind.LEAF_INSERTED
        return broken(
            kind,
            f"Leaf {expected} is missing: after {expected} leaves comes leaf {leaf.index}.",
            expected,
        )
    if leaf.leaf is None:
        return broken(
            BreakKind.EVENT_MISSING, f"The event of leaf {expected} has been removed.", expected
        )
    if merkle.leaf_hash(leaf.leaf.encode()).hex() != leaf.leaf_hash:
        return broken(
            BreakKind.EVENT_CHANGED,
            f"The event of leaf {expected} no longer has the hash that was recorded for it.",
            expected,
        )
    if leaf.from_columns is not None and leaf.from_columns != leaf.leaf:
        return broken(
            BreakKind.EVENT_CHANGED,
            f"Columns of the event of leaf {expected} no longer say what its leaf says.",
            expected,
        )
    return None


def _wrong_with(
    stored: StoredCheckpoint,
    *,
    tree: merkle.CompactRange,
    first: int,
    origin: str,
    public_keys: Sequence[bytes],
) -> tuple[BreakKind, str] | None:
    """What is wrong with a checkpoint over the leaves in the tree, of which `first` are proved."""
    try:
        head = checkpoint.open_note(stored.note, origin=origin, public_keys=public_keys)
    except CheckpointInvalid as invalid:
        return (
            BreakKind.CHECKPOINT_CHANGED,
            f"The checkpoint over {tree.size} leaves does not hold. {invalid}",
        )
    if head.size != stored.size or head.root.hex() != stored.root:
        return (
            BreakKind.CHECKPOINT_CHANGED,
            f"The checkpoint over {tree.size} leaves is stored beside a note that says otherwise.",
        )
    if head.root != tree.root():
        span = (
            f"Leaf {first} does"
            if first == tree.size - 1
            else f"Leaves {first} to {tree.size - 1} do"
        )
        return (
            BreakKind.ORDER_CHANGED,
            f"{span} not give the root that was signed: changed, exchanged, inserted or left out.",
        )
    if [node.hex() for node in tree.edge] != list(stored.edge):
        return (
            BreakKind.CHECKPOINT_CHANGED,
            f"The right edge stored with the checkpoint over {tree.size} leaves is not the tree's.",
        )
    return None


def _ends(
    log: str, *, tree: merkle.CompactRange, beyond: StoredCheckpoint | None, proved: int
) -> Iterator[Break]:
    if beyond is not None:
        yield Break(
            BreakKind.TRUNCATED,
            f"The log holds {tree.size} leaves, but a checkpoint over {beyond.size} was signed: "
            f"leaf {tree.size} and what followed it were cut off.",
            log,
            tree.size,
        )
    elif proved < tree.size:
        yield Break(
            BreakKind.LEAF_INSERTED,
            f"Leaf {proved} and what follows it lie under no signed checkpoint.",
            log,
            proved,
        )


def _against_witness(
    log: str,
    *,
    sound: bool,
    size: int,
    roots: Mapping[int, str],
    notes: set[str],
    witnessed: Sequence[Witnessed],
    checkpoints: int,
) -> Iterator[Break]:
    # The very first checkpoint may be on its way to the witness at this moment; a second is made
    # only after the first was handed over.
    if not witnessed and checkpoints > 1:
        yield Break(
            BreakKind.UNWITNESSED,
            "The witness holds no checkpoint of this log, so a cut-off end could not be noticed.",
            log,
        )
    for head in witnessed:
        if head.size > size and (sound or not checkpoints):
            yield Break(
                BreakKind.ROLLED_BACK,
                f"The log holds {size} leaves, but {head.size} were witnessed: its end was cut off, "
                "or an old copy of the database was put back.",
                log,
                size,
            )
            return
        if head.size in roots and roots[head.size] != head.root:
            yield Break(
                BreakKind.REWRITTEN,
                f"The first {head.size} leaves are not those that were witnessed.",
                log,
                0,
            )
            return
        if head.note not in notes and sound:
            yield Break(
                BreakKind.CHECKPOINT_MISSING,
                f"A checkpoint over {head.size} leaves was witnessed and has been removed.",
                log,
                head.size,
            )
            return


# --- stored records ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class RecordedRow:
    """A stored record named in a leaf, with the hash that its row had."""

    log: str
    index: int
    event_id: str
    recorded_at: str
    table: str
    row_id: str
    sha256: str


def verify_rows(
    *,
    recorded: Iterable[RecordedRow],
    is_insert_only: Callable[[str], bool],
    current: Callable[[str, Sequence[str]], Mapping[str, str] | None],
) -> Iterator[Break]:
    """Compare stored records with the hashes in the log.

    `current(table, ids)` gives the hashes of the rows that exist, or None for an unknown table. A row
    of an insert-only table must have the hash of every mention. Another row must have that of its
    newest mention, since each recorded change of it was a mention.
    """
    newest: dict[tuple[str, str], RecordedRow] = {}
    rows = iter(recorded)
    while chunk := list(islice(rows, _CHUNK)):
        fixed = []
        for row in chunk:
            if is_insert_only(row.table):
                fixed.append(row)
                continue
            key = row.table, row.row_id
            before = newest.get(key)
            # Within one log the index is the order; between logs only the recorder's clock is.
            if before is None or (
                row.index > before.index
                if row.log == before.log
                else row.recorded_at > before.recorded_at
            ):
                newest[key] = row
        yield from _compared(fixed, current)
    remaining = iter(newest.values())
    while chunk := list(islice(remaining, _CHUNK)):
        yield from _compared(chunk, current)


def _compared(
    rows: Sequence[RecordedRow],
    current: Callable[[str, Sequence[str]], Mapping[str, str] | None],
) -> Iterator[Break]:
    by_table: dict[str, dict[str, None]] = {}
    for row in rows:
        by_table.setdefault(row.table, {})[row.row_id] = None
    now = {table: current(table, list(ids)) for table, ids in by_table.items()}
    for row in rows:
        found = now[row.table]
        sha256 = None if found is None else found.get(row.row_id)
        if sha256 == row.sha256:
            continue
        kind, what = (
            (BreakKind.ROW_MISSING, "has been removed")
            if sha256 is None
            else (BreakKind.ROW_CHANGED, "no longer has the hash that was recorded for it")
        )
        yield Break(
            kind,
            f"The row {row.row_id} of table {row.table}, named in leaf {row.index}, {what}.",
            row.log,
            row.index,
            row.event_id,
            row.table,
            row.row_id,
        )


# --- nothing sent without an approval ---------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Step:
    """An approval, its end, or a submission, in one log. The hash is empty when the body has none or
    was destroyed."""

    index: int
    event_id: str
    tag: str
    intent_id: str
    payload_hash: str


# The tags a caller has to hand over as steps.
STEP_TAGS = frozenset({*APPROVALS, *VOIDS_APPROVAL, AuditTag.INTENT_WRITE_SUBMITTED})


def verify_sends(*, log: str, steps: Iterable[Step], sizes: Sequence[int]) -> Iterator[Break]:
    """Every submission follows an approval of the same change over the same payload hash, which was
    under a signed checkpoint before the submission and had not been taken back.

    `steps` come in order of index; `sizes` are the sizes of the log's checkpoints, ascending.
    """
    approved: dict[str, list[Step]] = {}
    for step in steps:
        if step.tag in APPROVALS:
            approved.setdefault(step.intent_id, []).append(step)
        elif step.tag in VOIDS_APPROVAL:
            approved.pop(step.intent_id, None)
        elif step.tag == AuditTag.INTENT_WRITE_SUBMITTED:
            given = approved.get(step.intent_id, [])
            same = [
                one
                for one in given
                if not (one.payload_hash and step.payload_hash)
                or one.payload_hash == step.payload_hash
            ]
            if not any(_sealed_before(one.index, step.index, sizes) for one in same):
                why = (
                    "no approval of it was under a signed checkpoint before"
                    if same
                    else "its approval was over other bytes"
                    if given
                    else "nobody had approved it"
                )
                yield Break(
                    BreakKind.SENT_UNAPPROVED,
                    f"Leaf {step.index} records that a change was sent, but {why}.",
                    log,
                    step.index,
                    step.event_id,
                )


def _sealed_before(approval: int, submission: int, sizes: Sequence[int]) -> bool:
    place = bisect_right(sizes, approval)
    return place < len(sizes) and sizes[place] <= submission
