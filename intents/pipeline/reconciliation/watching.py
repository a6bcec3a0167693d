"""What became of written entries later: changed in the chart, gone, or there twice. Nothing is put back.

Each entry is looked at once a day for as long as its connection says. What a person has settled is not
told again until the chart changes once more.
"""

import logging
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import F, Q

from audit.encoding import sha256_hex
from audit.tags import AuditTag
from ehr_adapters.canonical import base as canonical
from ehr_adapters.capabilities import Finality, FindMethod
from ehr_adapters.contract import Snapshot
from ehr_adapters.errors import AdapterError, AdapterMisconfigured
from intents.governance.models import EhrConnection
from intents.governance.tenancy import tenant_context
from intents.lifecycle import WRITTEN, State
from intents.models import Discrepancy, Intent
from intents.pipeline import gateway, matching, screening
from intents.pipeline.matching import Verdict
from intents.pipeline.reconciliation.looking import (
    RECONCILER,
    Subject,
    read_back,
    search,
    subject_of,
)

logger = logging.getLogger(__name__)

_DAYS = 30
_EVERY = 86_400
_FILED = (Finality.FILED.value, Finality.FILED_UNSIGNED.value)
_Kind = Discrepancy.Kind


def watch_due(*, at: datetime, limit: int = 200) -> int:
    """Look at the written entries whose day has come, of every tenant; how many could be looked at.

    Must not be called inside a transaction. A chart that does not answer is asked again next time.
    """
    looked = 0
    for connection in EhrConnection.unscoped.filter(tenant__is_active=True):
        days = int(connection.settings.get("watch_days", _DAYS))
        every = timedelta(seconds=int(connection.settings.get("watch_every_seconds", _EVERY)))
        due = (
            Intent.unscoped.filter(
                connection=connection,
                state=State.RECONCILED,
                state_changed_at__gt=at - timedelta(days=days),
            )
            .filter(
                Q(last_looked_at__isnull=True)
                | Q(last_looked_at__lte=at - every)
                | Q(last_looked_at__gt=at)
            )
            .order_by(F("last_looked_at").asc(nulls_first=True), "pk")
        )
        for tenant_id, intent_id in list(due.values_list("tenant_id", "pk")[:limit]):
            with tenant_context(tenant_id):
                looked += _watched(intent_id, at=at)
    return looked


def _watched(intent_id: UUID, *, at: datetime) -> bool:
    try:
        return _watch(intent_id, at=at)
    except Exception as error:  # noqa: BLE001 - one entry must not stop the sweep of all others
        logger.error(
            "a written entry could not be looked at",
            extra={"intent_id": str(intent_id), "error": type(error).__name__},
        )
        return False


def _watch(intent_id: UUID, *, at: datetime) -> bool:
    subject = subject_of(intent_id)
    if subject is None:
        return False
    doubles = _doubles(subject, at=at)
    match = read_back(subject, at=at)
    entry = match.entry
    if match.verdict == Verdict.COULD_NOT_LOOK and not doubles:
        return False
    with transaction.atomic(durable=True):
        intent = Intent.lock(intent_id)
        if intent.state != State.RECONCILED:
            return False
        if len(doubles) > 1:
            _tell(subject, _Kind.DUPLICATE, seen=doubles, at=at)
        if match.verdict == Verdict.NONE and intent.finality in _FILED:
            _tell(subject, _Kind.MISSING, seen=(), at=at)
        elif entry is not None and not _is_ours_since(intent, entry.reference):
            _compare(subject, intent, entry, differs=bool(match.differences), at=at)
        intent.note_look(at=at)
    return True


def _compare(
    subject: Subject, intent: Intent, entry: Snapshot, *, differs: bool, at: datetime
) -> None:
    paths = _moved(subject, entry) if differs else []
    if paths:
        _tell(
            subject,
            _Kind.HUMAN_EDITED,
            seen=(entry.reference, entry.hash_whole),
            reference=entry.reference,
            paths=paths,
            at=at,
        )
    elif entry.version_id and intent.resource_version not in ("", entry.version_id):
        intent.change(actor=RECONCILER, at=at, resource_version=entry.version_id)
        intent.note(
            tag=AuditTag.INTENT_DRIFT_SEEN, actor=RECONCILER, at=at, version=entry.version_id
        )


def _moved(subject: Subject, entry: Snapshot) -> list[str]:
    """The fields that were written and say something else now; what a colleague changed beside them, and
    a signature that was owed, are nobody's trouble."""
    kind = subject.intent.change_kind
    said = gateway.parse(
        connection=subject.intent.connection, plan=subject.plan
    ).model_dump_canonical()
    rule = canonical.kind_model(kind).rules[canonical.Interaction(subject.intent.interaction)]
    version: Mapping[str, Any] = subject.screening.version.phi_json("content") or {}
    written = {*version, *(name for name, _ in rule.fixed)} & {*said}
    portal_only = {spec.name for spec in canonical.fields(kind) if spec.portal_only}
    if subject.intent.finality == Finality.FILED_UNSIGNED and (
        entry.canonical.get("status") == "signed"
    ):
        written -= {"status"}
    return [
        f"/{name}"
        for name in sorted(written - portal_only)
        if not canonical.same_value(kind, name, entry.canonical.get(name), said[name])
    ]


def _is_ours_since(intent: Intent, reference: str) -> bool:
    """Has the portal itself written to the entry after this change, or may it be doing so now?"""
    others = Intent.objects.filter(connection_id=intent.connection_id).exclude(pk=intent.pk)
    about = others.filter(Q(target_ref=reference) | Q(resource_ref=reference))
    return about.filter(
        Q(state__in=(State.SUBMITTED, State.UNCERTAIN))
        | Q(
            state__in=(*WRITTEN, State.SUPERSEDED),
            state_changed_at__gte=intent.state_changed_at,
        )
    ).exists()


def _doubles(subject: Subject, *, at: datetime) -> tuple[str, ...]:
    """References of the entries that this one change made: by tag, or by equal content beside those that
    stood there before; none where neither can be told."""
    intent = subject.intent
    method = subject.plan.find
    if not canonical.makes_entry(intent.change_kind, intent.interaction) or method not in (
        FindMethod.EXACT,
        FindMethod.SCAN,
        FindMethod.MATCH,
    ):
        return ()
    try:
        hits = [hit.snapshot for hit in search(subject, at=at).hits]
    except (AdapterError, AdapterMisconfigured):
        return ()
    if method == FindMethod.MATCH:
        ours = _equal(subject, hits)
    else:
        ours = [hit for hit in hits if any(hit.carries(tag) for tag in subject.tags)]
    return tuple(sorted({hit.reference for hit in ours}))


def _equal(subject: Subject, hits: Sequence[Snapshot]) -> list[Snapshot]:
    before = screening.baseline_of(subject.screening)
    known = {each.reference for each in before.neighbourhood} if before else set()
    return [
        hit
        for hit in hits
        if hit.reference not in known
        and not matching.compare(hit, plan=subject.plan, capability=subject.capability)
    ]


def _tell(
    subject: Subject,
    kind: Discrepancy.Kind,
    *,
    seen: Sequence[str],
    at: datetime,
    reference: str = "",
    paths: list[str] | None = None,
) -> None:
    """Open a difference for who approved, unless a person has settled this very one."""
    intent = subject.intent
    seen_hash = sha256_hex(" ".join(seen).encode())
    if Discrepancy.objects.filter(intent=intent, kind=kind, seen_hash=seen_hash).exists():
        return
    reviewer = subject.entry.decision.reviewer
    Discrepancy.open(
        intent=intent,
        kind=kind,
        actor=RECONCILER,
        at=at,
        owner=reviewer.user.name if reviewer is not None else "",
        paths=paths,
        resource_ref=reference,
        seen_hash=seen_hash,
    )
