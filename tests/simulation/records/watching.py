"""What must hold after every step (I1 to I12), asked of the stored rows and of the EHR, not of the code that made them.

The watch keeps its own account: which rows were committed by which transaction, which leaves each log
had, which request the EHR got while which switch was on. Nothing here trusts a conclusion of the product.
"""

import logging
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.apps import apps
from django.conf import settings
from django.db import connection as database
from django.db import models, transaction
from django.db.models import Q
from django.db.models.signals import post_save

from audit import checkpoint, keys, merkle, vault
from audit.models import AuditEvent, Checkpoint, EventBody, LogLeaf
from audit.tags import AuditTag
from intents.governance.tenancy import TenantOwned
from intents.lifecycle import IN_FLIGHT, WRITTEN, State
from intents.models import (
    Discrepancy,
    Intent,
    OutboxEntry,
    ReviewDecision,
    WriteLedgerEntry,
)
from tests.simulation.records.organisations import CANARIES
from tests.simulation.records.wire import Wire
from tests.simulation.records.world import World

_UNKNOWN_ALARM = timedelta(minutes=15)
_OURS = ("intents", "audit", "ehr_adapters")
# Megabytes of sealed text hold five letters in a row by chance, whatever their case.
_LONG_WORDS = tuple(word for word in CANARIES if len(word) > 6)
_MAYBE_IN_CHART = (State.SUBMITTED, State.UNCERTAIN, State.ACCEPTED)
_AS_IF_NEVER_SENT = (
    State.DRAFTED, State.VALIDATED, State.PENDING_APPROVAL, State.CANCELLED, State.EXPIRED
)  # fmt: skip
_HISTORY = Intent.history.model  # type: ignore[attr-defined]  # every intent has a history


class _Commits(logging.Handler):
    """What one transaction wrote of transitions and events, once it is committed; and every log line."""

    def __init__(self) -> None:
        super().__init__(level=logging.DEBUG)
        self.transitions: list[tuple[object, Any]] = []
        self.events: list[tuple[object, AuditEvent]] = []
        self.lines: list[str] = []
        # errors of the portal's own that it survived: no fault of an EHR may cause one
        self.errors: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        if record.levelno >= logging.ERROR and record.name.partition(".")[0] in _OURS:
            self.errors.append(f"{record.getMessage()} ({vars(record).get('error', '')})")
        self.lines.append(f"{record.getMessage()} {vars(record)}")

    def saved(self, sender: type[models.Model], instance: Any, **_: Any) -> None:
        if sender not in (_HISTORY, AuditEvent):
            return
        block = database.atomic_blocks[0]
        kept = self.transitions if sender is _HISTORY else self.events
        transaction.on_commit(lambda: kept.append((block, instance)))


class Watch:
    """Looks after each step; `wire` beside it knows what the EHR got."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.wire = Wire(world)
        self._hold = world.checks.hold
        self._commits = _Commits()
        self._states: dict[UUID, str] = {}
        self._sent_again: Counter[UUID] = Counter()
        self._last_history = 0
        self._trees: dict[str, tuple[merkle.CompactRange, str]] = {}
        self._last_checkpoint = 0
        self._ledger: set[UUID] = set()
        self._links = _links_between_tenants()

    @contextmanager
    def watching(self) -> Iterator["Watch"]:
        post_save.connect(self._commits.saved)
        loggers = [logging.getLogger(name) for name in ("", *_OURS)]
        levels = [logger.level for logger in loggers]
        loggers[0].addHandler(self._commits)
        for logger in loggers[1:]:
            logger.setLevel(logging.DEBUG)
        try:
            yield self
        finally:
            post_save.disconnect(self._commits.saved)
            loggers[0].removeHandler(self._commits)
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)

    def look(self) -> None:
        """Everything that holds at any moment."""
        self._transitions_and_events()
        self._checkpoints()
        self.wire.look()
        self._ledger_facts()
        self._queue()
        self._tenants()
        self._owners()
        self._words()

    # --- I5 -------------------------------------------------------------------------------------------

    def _transitions_and_events(self) -> None:
        rows = list(
            _HISTORY.objects.filter(history_id__gt=self._last_history)
            .order_by("history_id")
            .values_list("history_id", "id", "state", "history_type")
        )
        moved = Counter[tuple[UUID, str, str]]()
        for number, intent, state, kind in rows:
            self._last_history = max(self._last_history, number)
            before = self._states.get(intent, "")
            if state != before and kind != "+":
                moved[intent, before, state] += 1
                self._may_follow(intent, before, state)
            self._states[intent] = state
        told, blocks_told = Counter[tuple[UUID, str, str]](), defaultdict(list)
        for block, event in self._commits.events:
            body = vault.content_of(event.pk) or {}
            if "from" in body and "to" in body and event.intent_id:
                move = (UUID(event.intent_id), str(body["from"]), str(body["to"]))
                told[move] += 1
                blocks_told[move].append(block)
        self._hold(
            moved == told, f"I5: {sum(moved.values())} transitions, {sum(told.values())} events"
        )
        self._same_transaction(blocks_told)
        self._commits.events.clear()
        self._commits.transitions.clear()
        current = dict(Intent.unscoped.values_list("pk", "state"))
        self._hold(current == self._states, "I5: a state was changed beside its history")

    def _may_follow(self, intent: UUID, before: str, state: str) -> None:
        """I11, and that nothing is taken back that may be in the chart. The ledger is asked, not the table."""
        if state == State.APPROVED and before == State.PENDING_APPROVAL:
            given = ReviewDecision.unscoped.filter(screening__version__intent_id=intent)
            last = given.filter(kind__in=("approve", "second")).latest("decided_at", "round")
            self.wire.enough_people(
                last.screening_id,
                list(
                    given.filter(
                        kind__in=("approve", "second"),
                        screening_id=last.screening_id,
                        round=last.round,
                    ).select_related("reviewer", "screening__version")
                ),
            )
        if before in _MAYBE_IN_CHART:
            self._hold(state not in _AS_IF_NEVER_SENT, f"I4: {before} became {state}")
        if state != State.APPROVED or before not in _MAYBE_IN_CHART:
            return
        self._sent_again[intent] += 1
        harmless = WriteLedgerEntry.unscoped.filter(
            Q(phase__in=("NOT_SENT", "ABSENT", "REFUSED")) | Q(phase="ATTESTED", outcome="absent"),
            intent_id=intent,
        )
        self._hold(
            harmless.values("attempt_id").distinct().count() >= self._sent_again[intent],
            f"I11: {before} is sent again although nothing says that it is not there",
        )

    def _same_transaction(self, told: dict[tuple[UUID, str, str], list[object]]) -> None:
        wrote = defaultdict(list)
        for block, row in self._commits.transitions:
            wrote[row.id].append((block, row.state))
        for (intent, _, to), blocks in told.items():
            for block in blocks:
                self._hold(
                    (block, to) in wrote[intent], "I5: an event was not committed with its change"
                )

    # --- I6 -------------------------------------------------------------------------------------------

    def _checkpoints(self) -> None:
        for stored in Checkpoint.objects.filter(pk__gt=self._last_checkpoint).order_by("pk"):
            self._last_checkpoint = stored.pk
            tree, root = self._trees.get(stored.log, (merkle.CompactRange(), ""))
            origin = checkpoint.origin_of(base=settings.AUDIT_ORIGIN, log=stored.log)
            head = checkpoint.open_note(stored.note, origin=origin, public_keys=keys.public_keys())
            self._hold(head.size == stored.tree_size >= tree.size, "I6: a checkpoint is smaller")
            leaves = LogLeaf.objects.filter(
                log=stored.log, index__gte=tree.size, index__lt=head.size
            ).order_by("index")
            events = AuditEvent.objects.in_bulk([leaf.event_id for leaf in leaves])
            # Its own copy of the tree, grown by the leaves of the stored events: what was signed
            # before is its beginning, or the root is another.
            tree.extend(merkle.leaf_hash(events[leaf.event_id].leaf.encode()) for leaf in leaves)
            self._hold(tree.size == head.size, "I6: a checkpoint over leaves that are not there")
            self._hold(tree.root() == head.root, "I6: a checkpoint does not extend the one before")
            self._trees[stored.log] = (tree, root)

    # --- I11 and the ledger ---------------------------------------------------------------------------

    def _ledger_facts(self) -> None:
        new = WriteLedgerEntry.unscoped.exclude(pk__in=self._ledger).select_related(
            "entry__connection"
        )
        for fact in new:
            self._ledger.add(fact.pk)
            said_absent = fact.phase == "ABSENT" or (
                fact.phase == "ATTESTED" and fact.outcome == "absent"
            )
            if not said_absent:
                continue
            unknown = (
                WriteLedgerEntry.unscoped.filter(
                    intent_id=fact.intent_id, attempt_id=fact.attempt_id, phase="UNKNOWN"
                )
                .order_by("tick")
                .last()
            )
            self._hold(unknown is not None, "I11: absence of what was never unknown")
            assert unknown is not None
            bound = fact.entry.connection.quarantine_seconds / settings.TICK_SECONDS
            self._hold(
                fact.tick - unknown.tick >= bound, "I11: believed absent within the quarantine"
            )

    # --- I3, I4: states, queue and chart agree --------------------------------------------------------

    def _queue(self) -> None:
        live = Counter(
            OutboxEntry.unscoped.filter(closed_at__isnull=True).values_list("intent_id", flat=True)
        )
        differing = set(Discrepancy.unscoped.values_list("intent_id", flat=True))
        for intent in Intent.unscoped.all():
            waiting = intent.state in IN_FLIGHT
            self._hold(
                live[intent.pk] == int(waiting),
                f"I4: {intent.state} with {live[intent.pk]} entries",
            )
            effects = self.wire.effects_of(intent)
            if intent.state in WRITTEN:
                self._hold(
                    effects == 1 or (not effects and self._was_so_already(intent)),
                    f"I3: {intent.state} without its one effect",
                )
            elif effects and intent.state not in (*IN_FLIGHT, State.SUPERSEDED):
                self._hold(
                    intent.pk in differing, f"I3: {intent.state} although the EHR carried it out"
                )

    @staticmethod
    def _was_so_already(intent: Intent) -> bool:
        """A lost attempt to change an entry that says it already: nobody can tell, and nobody need to."""
        found = WriteLedgerEntry.unscoped.filter(
            intent=intent, phase="FOUND", outcome="colleague-equal"
        )
        return bool(intent.target_ref) and found.exists()

    # --- I9 -------------------------------------------------------------------------------------------

    def _tenants(self) -> None:
        with database.cursor() as cursor:
            cursor.execute(self._links)
            crossed = cursor.fetchall()
        self._hold(not crossed, f"I9: rows of two organisations are linked: {crossed[:3]}")
        owners = dict(Intent.unscoped.values_list("pk", "tenant_id"))
        events = AuditEvent.objects.exclude(intent_id="").values_list("intent_id", "tenant_id")
        for intent, tenant in set(events):
            self._hold(
                str(owners[UUID(intent)]) == tenant, "I9: an event in another organisation's log"
            )

    # --- I12 ------------------------------------------------------------------------------------------

    def _owners(self) -> None:
        for row in Discrepancy.unscoped.filter(resolved_at__isnull=True):
            self._hold(row.owner, f"I12: nobody owns an open difference ({row.kind})")
        stopped = (State.HELD, State.FAILED, State.UNCERTAIN)
        for intent in Intent.unscoped.filter(state__in=stopped):
            self._hold(intent.reason, f"I12: {intent.state} without a reason")

    def alarms(self) -> None:
        """After a sweep: whoever has waited too long has been told of."""
        told = set(
            AuditEvent.objects.filter(tag=AuditTag.INTENT_ESCALATED.value).values_list(
                "intent_id", flat=True
            )
        )
        for intent in Intent.unscoped.filter(
            state=State.UNCERTAIN, state_changed_at__lte=self.world.at - _UNKNOWN_ALARM
        ):
            self._hold(str(intent.pk) in told, "I12: an unknown outcome that nobody was told of")

    # --- I10 ------------------------------------------------------------------------------------------

    def _words(self) -> None:
        for line in self._commits.lines:
            self._hold(
                not any(word in line for word in CANARIES), "I10: a log line tells of the patient"
            )
        self._commits.lines.clear()
        self._hold(not self._commits.errors, f"I4: {'; '.join(self._commits.errors)}")

    def stored_words(self) -> None:
        """No column of any table, and no sealed body of an event, holds a word about the patient."""
        with database.cursor() as cursor:
            for table in database.introspection.table_names(cursor):
                columns = [
                    column.name
                    for column in database.introspection.get_table_description(cursor, table)
                ]
                quoted = [database.ops.quote_name(name) for name in columns]
                tests = " OR ".join(
                    f"CAST({name} AS TEXT) LIKE %s" for name in quoted for _ in _LONG_WORDS
                )
                cursor.execute(
                    f"SELECT COUNT(*) FROM {database.ops.quote_name(table)} WHERE {tests}",
                    [f"%{word}%" for _ in quoted for word in _LONG_WORDS],
                )
                [count] = cursor.fetchone()
                self._hold(not count, f"I10: table {table} tells of the patient in plain text")
        vault_keys = keys.vault_keys()
        for stored in EventBody.objects.all():
            body = str(vault.unseal(stored, vault_keys=vault_keys))
            self._hold(
                not any(word in body for word in CANARIES), "I10: the audit tells of the patient"
            )

    # --- I4 at the end --------------------------------------------------------------------------------

    def settled(self, *, at: datetime) -> Counter[str]:
        """After the faults: each approved change ended, waits in its turn, or is a person's. Counts by state."""
        approved = set(
            ReviewDecision.unscoped.filter(kind__in=("approve", "second")).values_list(
                "screening__version__intent_id", flat=True
            )
        )
        told = set(
            AuditEvent.objects.filter(tag=AuditTag.INTENT_ESCALATED.value).values_list(
                "intent_id", flat=True
            )
        )
        differing = set(
            Discrepancy.unscoped.filter(resolved_at__isnull=True).values_list(
                "intent_id", flat=True
            )
        )
        ends: Counter[str] = Counter()
        for intent in Intent.unscoped.filter(pk__in=approved):
            state = State(intent.state)
            ends[state.value] += 1
            effects = self.wire.effects_of(intent)
            self._hold(
                state is not State.SUBMITTED, "I4: a change is still being sent when all is calm"
            )
            if state is State.UNCERTAIN:
                self._hold(str(intent.pk) in told, "I4: unknown, and nobody was told")
            elif state is State.APPROVED:
                self._hold(
                    self._waits_for_another(intent, at=at), "I4: approved, and nobody sends it"
                )
            elif state is State.ACCEPTED:
                staged = intent.finality == "staged"
                self._hold(
                    staged or intent.pk in differing, "I4: written, and nobody reads it back"
                )
            elif state not in WRITTEN:
                self._hold(
                    effects == 0 or intent.pk in differing,
                    f"I3: {state} although the EHR carried it out",
                )
        return ends

    @staticmethod
    def _waits_for_another(intent: Intent, *, at: datetime) -> bool:
        """Behind an unknown outcome of the same patient, or after a change of its draft that waits."""
        entry = OutboxEntry.unscoped.get(intent=intent, closed_at__isnull=True)
        ahead = OutboxEntry.unscoped.filter(
            shard_key=entry.shard_key, closed_at__isnull=True, intent__state=State.UNCERTAIN
        )
        siblings = Intent.unscoped.filter(proposal=intent.proposal_id).exclude(pk=intent.pk)
        return (
            ahead.exists()
            or entry.not_before > at
            or siblings.exclude(state__in=[State.RECONCILED, State.REJECTED]).exists()
        )


def _links_between_tenants() -> str:
    """One question: is there a row that refers to a row of another organisation?"""
    parts = []
    quote = database.ops.quote_name
    for model in apps.get_models():
        if not issubclass(model, TenantOwned):
            continue
        for field in model._meta.concrete_fields:
            target = field.related_model
            if not isinstance(target, type) or not issubclass(target, TenantOwned):
                continue
            here, there = quote(model._meta.db_table), quote(target._meta.db_table)
            column = quote(field.column)
            parts.append(
                f"SELECT '{model._meta.label}.{field.name}' FROM {here} a JOIN {there} b "
                f"ON a.{column} = b.{quote(target._meta.pk.column)} WHERE a.tenant_id <> b.tenant_id"
            )
    return " UNION ALL ".join(parts)
