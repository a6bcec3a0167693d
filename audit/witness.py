"""A memory outside the database: every checkpoint is handed to a file that only ever grows.

The file is settings.AUDIT_WITNESS_FILE, one JSON object a line. Put it where the database's owner
cannot write: another account, another machine, write-once storage, or a folder that a log shipper
reads. It takes a checkpoint only when the log's key signed it and the new tree begins with the tree
it saw last, as a C2SP witness does, so a restored old backup is refused here.
"""

import fcntl
import json
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from threading import Lock
from typing import IO

from django.conf import settings

from audit import checkpoint, merkle


class WitnessRefused(RuntimeError):
    """The tree is smaller than, or does not begin with, the tree that was witnessed before."""


class WitnessMovedOn(RuntimeError):
    """Another process handed over a checkpoint meanwhile: look again, and prove from there."""


class WitnessUnavailable(RuntimeError):
    """The witness cannot be read or written just now. Nothing is lost: hand it over again later."""


@dataclass(frozen=True, slots=True)
class WitnessedHead:
    """One checkpoint as the witness keeps it."""

    log: str
    size: int
    root: str
    at: str
    note: str


@dataclass(slots=True)
class _Seen:
    """What this process has read of the file already, so that a long file is read once."""

    inode: int = 0
    offset: int = 0
    latest: dict[str, WitnessedHead] = field(default_factory=dict)


_seen: dict[Path, _Seen] = {}
_guard = Lock()


def latest(log: str) -> WitnessedHead | None:
    """The newest head that was witnessed for a log. Raises WitnessUnavailable."""
    with _opened() as (_, seen):
        return seen.latest.get(log)


def heads(log: str | None = None) -> Iterator[WitnessedHead]:
    """Every witnessed head, oldest first, of one log or of all. Raises WitnessUnavailable."""
    try:
        with _path().open("rb") as handle:
            for line in handle:
                head = _parsed(line)
                if head is not None and log in (None, head.log):
                    yield head
    except FileNotFoundError:
        return
    except OSError:
        raise WitnessUnavailable("The witness file cannot be read.") from None


def witness(
    *,
    log: str,
    note: str,
    public_keys: Sequence[bytes],
    old: WitnessedHead | None,
    old_edge: Iterable[bytes],
    new_leaves: Iterable[bytes],
) -> WitnessedHead:
    """Take one checkpoint, once it is proved to continue the last one, and force it to the disk.

    `old` is what `latest` said. `old_edge` and `new_leaves` are the proof from there: the right edge
    of that tree, and the leaf hashes since. A log's first checkpoint needs none. Raises
    WitnessMovedOn when `old` is no longer the latest, WitnessRefused when the proof does not hold,
    CheckpointInvalid for a note the log did not sign, WitnessUnavailable.
    """
    origin = checkpoint.origin_of(base=settings.AUDIT_ORIGIN, log=log)
    head = checkpoint.open_note(note, origin=origin, public_keys=public_keys)
    with _opened() as (handle, seen):
        if seen.latest.get(log) != old:
            raise WitnessMovedOn(f"Another checkpoint of log {log} was witnessed meanwhile.")
        if old is not None:
            _check_continues(old, head, old_edge=old_edge, new_leaves=new_leaves)
        taken = WitnessedHead(
            log=log, size=head.size, root=head.root.hex(), at=_time(head.at), note=note
        )
        line = json.dumps(
            {"log": log, "size": taken.size, "root": taken.root, "at": taken.at, "note": note},
            ensure_ascii=False,
        )
        handle.seek(0, os.SEEK_END)
        # A line cut short by a power failure is closed first, and skipped by every reader.
        start = "\n" if handle.tell() != seen.offset else ""
        handle.write(f"{start}{line}\n".encode())
        handle.flush()
        os.fsync(handle.fileno())
        seen.offset = handle.tell()
        seen.latest[log] = taken
        return taken


def _check_continues(
    before: WitnessedHead,
    head: checkpoint.TreeHead,
    *,
    old_edge: Iterable[bytes],
    new_leaves: Iterable[bytes],
) -> None:
    if head.size < before.size:
        raise WitnessRefused(
            f"Log {before.log} was witnessed with {before.size} leaves and now shows {head.size}: "
            "an old copy of the database was put back, or its end was cut off."
        )
    try:
        tree = merkle.CompactRange(size=before.size, edge=old_edge)
    except ValueError:
        raise WitnessRefused(
            f"No proof leads from the witnessed tree of log {before.log}."
        ) from None
    if tree.root().hex() != before.root:
        raise WitnessRefused(
            f"The first {before.size} leaves of log {before.log} are not those that were witnessed."
        )
    tree.extend(new_leaves)
    if tree.size != head.size or tree.root() != head.root:
        raise WitnessRefused(
            f"Log {before.log} with {head.size} leaves does not continue the {before.size} witnessed."
        )


def _path() -> Path:
    return Path(settings.AUDIT_WITNESS_FILE)


@contextmanager
def _opened() -> Iterator[tuple[IO[bytes], _Seen]]:
    """The file, locked against other processes, with all that stands in it read."""
    path = _path()
    try:
        with _guard:
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("a+b") as handle:
                fcntl.flock(handle, fcntl.LOCK_EX)
                yield handle, _caught_up(path, handle)
    except OSError as error:
        raise WitnessUnavailable(
            f"The witness file cannot be used: {os.strerror(error.errno or 0)}."
        ) from None


def _caught_up(path: Path, handle: IO[bytes]) -> _Seen:
    status = os.fstat(handle.fileno())
    seen = _seen.get(path)
    if seen is None or seen.inode != status.st_ino or seen.offset > status.st_size:
        seen = _seen[path] = _Seen(inode=status.st_ino)
    handle.seek(seen.offset)
    for line in handle:
        if not line.endswith(b"\n"):
            break
        seen.offset += len(line)
        head = _parsed(line)
        if head is not None:
            seen.latest[head.log] = head
    return seen


def _parsed(line: bytes) -> WitnessedHead | None:
    try:
        values = json.loads(line)
        return WitnessedHead(
            log=str(values["log"]),
            size=int(values["size"]),
            root=str(values["root"]),
            at=str(values["at"]),
            note=str(values["note"]),
        )
    except (ValueError, KeyError, TypeError):
        # A line cut short by a power failure. Whether all checkpoints are there is for verification.
        return None


def _time(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")
