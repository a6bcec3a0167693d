"""Taking the log out: lines for people and programs, and a bundle that proves itself.

Whoever exports a timeline records it (`audit:export:made`); `bundle` records itself.
"""

import base64
import csv
import io
import json
import shutil
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from pathlib import Path

from django.conf import settings
from django.db import transaction
from django.db.models import Q

from audit import checkpoint, integrity, keys, vault, witness
from audit.actors import Actor
from audit.encoding import canonical_text, canonical_time
from audit.models import DEPLOYMENT_LOG, AuditEvent, Checkpoint, EventBody
from audit.recording import record
from audit.tags import AuditTag
from audit.timeline import TimelineEvent

FORMAT = "reviewportal-audit-1"
_VERIFIER = Path(__file__).with_name("verify_audit.py")
_COLUMNS = [field.name for field in fields(TimelineEvent)]
# A spreadsheet runs a cell that begins like this as a formula.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")

_READ_ME = """\
An audit log, exported at {made_at} from {origin}.

To check it, on any machine with Python 3.10 or later:

    python3 verify_audit.py .

Read verify_audit.py first: it is one file and shares no code with the product. It prints the
fingerprints of the signing keys; compare them with those you were given by another way. If you keep
your own copy of witnessed checkpoints, add --witness FILE.

manifest.json            the logs, their origins and the public keys
log-*/events.jsonl       one line a leaf, in order; leaves outside the selection are bare hashes
log-*/checkpoints.jsonl  the signed tree heads
log-*/witness.jsonl      the tree heads that the witness outside the database had seen
"""


class ExportFolderNotEmpty(ValueError):
    """An export goes into a new or empty folder, so that nothing in it can be mistaken for the log."""


@dataclass(frozen=True, slots=True)
class BundleSummary:
    """What a bundle holds."""

    folder: Path
    logs: tuple[str, ...]
    leaves: int
    disclosed: int
    checkpoints: int


def json_lines(events: Iterable[TimelineEvent]) -> Iterator[str]:
    """One canonical JSON object and a newline for each event; times in UTC."""
    for event in events:
        yield canonical_text(_values(event)) + "\n"


def csv_lines(events: Iterable[TimelineEvent]) -> Iterator[str]:
    """A header and one CSV line (RFC 4180) for each event; times in UTC, no cell runs as a formula."""
    yield _csv_line(_COLUMNS)
    for event in events:
        values = _values(event)
        yield _csv_line([_cell(values[name]) for name in _COLUMNS])


def bundle(
    *,
    folder: Path,
    actor: Actor,
    at: datetime,
    reason: str,
    logs: Sequence[str] | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    bodies: bool = True,
) -> BundleSummary:
    """Write what an auditor needs to check logs alone: leaves, checkpoints, keys and the verifier.

    All logs, or the named ones. With `since` or `until`, the events of that time (by `at`) and the
    whole history of every change that occurs in it are disclosed, and the other leaves are bare
    hashes, so that the proof stays whole. `bodies` adds ids, codes, hashes and times behind the
    leaves as far as they were not destroyed. Records `audit:export:made` in each log, with `reason`.
    Raises ExportFolderNotEmpty.
    """
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    if any(folder.iterdir()):
        raise ExportFolderNotEmpty(f"{folder} is not empty.")
    seen: dict[str, list[witness.WitnessedHead]] = {}
    for head in witness.heads():
        seen.setdefault(head.log, []).append(head)
    summaries = []
    with integrity.snapshot():
        names = integrity.stored_logs() if logs is None else list(logs)
        for name in names:
            place = folder / f"log-{name}"
            place.mkdir()
            disclosed = _selection(name, since=since, until=until)
            summaries.append(_write_log(place, name, disclosed=disclosed, bodies=bodies))
            _write_lines(
                place / "witness.jsonl",
                ({"log": one.log, "note": one.note} for one in seen.get(name, [])),
            )
    origin = settings.AUDIT_ORIGIN
    manifest = {
        "format": FORMAT,
        "made_at": canonical_time(at),
        # Whether every log is here, and whether every leaf of them is disclosed.
        "all_logs": logs is None,
        "all_leaves": since is None and until is None,
        "public_keys": [base64.b64encode(key).decode() for key in keys.public_keys()],
        "logs": [
            {
                "log": name,
                "folder": f"log-{name}",
                "origin": (of_log := checkpoint.origin_of(base=origin, log=name)),
                "verifier_keys": [
                    checkpoint.verifier_key(origin=of_log, public_key=key)
                    for key in keys.public_keys()
                ],
            }
            for name in names
        ],
    }
    (folder / "manifest.json").write_text(json.dumps(manifest, indent=2) + "\n")
    (folder / "README.txt").write_text(_READ_ME.format(made_at=canonical_time(at), origin=origin))
    shutil.copyfile(_VERIFIER, folder / _VERIFIER.name)
    with transaction.atomic():
        for name, (leaves, count, _) in zip(names, summaries, strict=True):
            record(
                tag=AuditTag.AUDIT_EXPORT_MADE,
                actor=actor,
                at=at,
                tenant_id=None if name == DEPLOYMENT_LOG else name,
                body={"reason": reason, "leaves": leaves, "disclosed": count, "bodies": bodies},
            )
    return BundleSummary(
        folder=folder,
        logs=tuple(names),
        leaves=sum(leaves for leaves, _, _ in summaries),
        disclosed=sum(count for _, count, _ in summaries),
        checkpoints=sum(count for _, _, count in summaries),
    )


def _selection(log: str, *, since: datetime | None, until: datetime | None) -> Q | None:
    """Which events of the log are disclosed; None is all of them."""
    if since is None and until is None:
        return None
    period = Q(log=log)
    if since is not None:
        period &= Q(at__gte=since)
    if until is not None:
        period &= Q(at__lt=until)
    intents = AuditEvent.objects.filter(period).exclude(intent_id="").values("intent_id")
    return period | Q(log=log, intent_id__in=intents)


def _write_log(place: Path, log: str, *, disclosed: Q | None, bodies: bool) -> tuple[int, int, int]:
    """Leaves and checkpoints of one log; how many leaves, disclosed leaves and checkpoints."""
    vault_keys = keys.vault_keys()
    chosen = (
        None
        if disclosed is None
        else set(AuditEvent.objects.filter(disclosed).values_list("pk", flat=True))
    )
    counted = {"leaves": 0, "disclosed": 0, "checkpoints": 0}

    def entries() -> Iterator[dict[str, object]]:
        for leaf, event, stored in integrity.leaves_with_bodies(log):
            entry: dict[str, object] = {"index": leaf.index, "leaf_hash": leaf.leaf_hash}
            counted["leaves"] += 1
            if event is not None and (chosen is None or event.pk in chosen):
                counted["disclosed"] += 1
                entry |= {"leaf": event.leaf, "actor_name": event.actor_name}
                if bodies and stored is not None and stored.sealed:
                    entry |= _disclosed_body(stored, vault_keys)
            yield entry

    def notes() -> Iterator[dict[str, object]]:
        stored = Checkpoint.objects.filter(log=log).order_by("tree_size", "at", "id")
        for note in stored.values_list("note", flat=True).iterator():
            counted["checkpoints"] += 1
            yield {"note": note}

    _write_lines(place / "events.jsonl", entries())
    _write_lines(place / "checkpoints.jsonl", notes())
    return counted["leaves"], counted["disclosed"], counted["checkpoints"]


def _disclosed_body(stored: EventBody, vault_keys: dict[str, bytes]) -> dict[str, object]:
    try:
        opening = vault.unseal(stored, vault_keys=vault_keys)
    except vault.BodyUnreadable:
        # The export shows what is there. That a body no longer opens is verify_audit's to say.
        return {}
    if opening is None:
        return {}
    return {"body": opening.body.decode(), "body_key": opening.key.hex()}


def _write_lines(path: Path, entries: Iterable[dict[str, object]]) -> None:
    with path.open("w", encoding="utf-8") as handle:
        handle.writelines(json.dumps(entry, ensure_ascii=False) + "\n" for entry in entries)


def _values(event: TimelineEvent) -> dict[str, object]:
    values = asdict(event)
    values["rows"] = [
        {"table": table, "id": row_id, "sha256": sha256} for table, row_id, sha256 in event.rows
    ]
    return values


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, datetime):
        return canonical_time(value)
    text = canonical_text(value) if isinstance(value, list) else str(value)
    return f"'{text}" if text.startswith(_FORMULA) else text


def _csv_line(cells: Sequence[str]) -> str:
    line = io.StringIO()
    csv.writer(line, lineterminator="\r\n").writerow(cells)
    return line.getvalue()
