"""`manage.py verify_audit`: does the audit log still hold? Exit 0 only if everything does."""

import getpass
from argparse import ArgumentParser
from datetime import datetime
from pathlib import Path

from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError, transaction
from django.utils import timezone

from audit import export, integrity
from audit.actors import Actor, ActorKind
from audit.models import DEPLOYMENT_LOG, AuditEvent
from audit.recording import record
from audit.tags import AuditTag
from audit.witness import WitnessUnavailable
from intents.queries.provenance import add_provenance


class Command(BaseCommand):
    help = (
        "Recompute every leaf, checkpoint, signature, body and recorded row of the audit log, and "
        "compare with the witness. Names the first broken thing."
    )
    # The check for missing triggers would stop this command, whose business it is to report them.
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--export",
            type=Path,
            metavar="DIR",
            help="also write a bundle that its own verify_audit.py checks without this project",
        )

    def handle(self, *_: object, **options: object) -> None:
        at = timezone.now()
        actor = _operator()
        report = integrity.check()
        for log in report.logs:
            self.stdout.write(
                f"log {log.log}: {log.proved} of {log.leaves} leaves proved, "
                f"{log.checkpoints} checkpoints, {log.witnessed} witnessed, root {log.root}"
            )
        if report.pending:
            self.stdout.write(f"{report.pending} events wait for their leaf.")
        folder = options["export"]
        if isinstance(folder, Path):
            self._export(folder, actor=actor, at=at)
        self._record(report, actor=actor, at=at)
        if report.first is not None:
            more = len(report.breaks) - 1
            self.stdout.write(
                f"BROKEN: {_place(report.first)}{report.first.sentence}{_record_of(report.first)}"
            )
            if more:
                self.stdout.write(f"and {more} more after it.")
            raise CommandError("The audit log does not hold. Do not repair or delete anything.")
        self.stdout.write(f"Everything holds: {report.events} events in {len(report.logs)} logs.")

    def _export(self, folder: Path, *, actor: Actor, at: datetime) -> None:
        try:
            made = export.bundle(folder=folder, actor=actor, at=at, reason="verify_audit --export")
            add_provenance(folder, tenant_ids=[n for n in made.logs if n != DEPLOYMENT_LOG])
        except (export.ExportFolderNotEmpty, WitnessUnavailable) as refusal:
            raise CommandError(str(refusal)) from None
        self.stdout.write(
            f"Exported {made.leaves} leaves to {folder}. Check with: python3 "
            f"{folder / 'verify_audit.py'} {folder}"
        )

    def _record(self, report: integrity.IntegrityReport, *, actor: Actor, at: datetime) -> None:
        stored = set(integrity.stored_logs())
        first = {broken.log: broken.kind for broken in reversed(report.breaks)}
        try:
            with transaction.atomic():
                for log in report.logs:
                    if log.log not in stored:
                        continue
                    record(
                        tag=AuditTag.AUDIT_VERIFICATION_RAN,
                        actor=actor,
                        at=at,
                        tenant_id=None if log.log == DEPLOYMENT_LOG else log.log,
                        body={
                            "leaves": log.leaves,
                            "root": log.root,
                            "first_break": first.get(log.log, ""),
                        },
                    )
        except DatabaseError:
            # A copy that is examined may be read-only; the result counts all the same.
            self.stderr.write("This check could not be recorded in the log itself.")


def _place(broken: integrity.Break) -> str:
    return f"log {broken.log}: " if broken.log else ""


def _record_of(broken: integrity.Break) -> str:
    """The stored record of a broken leaf, for whoever has to look at it; rows name theirs themselves."""
    if broken.table or not broken.event_id:
        return ""
    return f" (table {AuditEvent._meta.db_table}, id {broken.event_id})"


def _operator() -> Actor:
    try:
        name = getpass.getuser()
    except (KeyError, OSError):
        name = "unknown"
    return Actor(kind=ActorKind.OPERATOR, id=f"os:{name}", name=name)
