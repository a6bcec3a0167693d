"""Is what is stored what was approved? Asked before anything is sent; one changed byte is an answer.

The statement is verified with the public key, every field of it is compared with the stored rows, and
the rows with the hashes that the approval's audit event, itself under a signed checkpoint, holds.
Nothing that this module relies on is taken on the word of a column that could have been changed.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from django.db import models

from audit import merkle
from audit.leaves import leaf_text
from audit.models import AuditEvent, LogLeaf
from audit.recording import row_hash
from audit.sequencing import is_checkpointed
from audit.tags import APPROVALS, VOIDS_APPROVAL
from ehr_adapters.contract import WirePlan
from intents.governance import approval_key
from intents.governance.encryption import CannotUnseal
from intents.lifecycle import Tier
from intents.models import Intent, OutboxEntry, ReviewDecision, Screening, WriteLedgerEntry
from intents.pipeline import gateway, outbox, sealing
from intents.pipeline.delivery.facts import Fact, unsettled
from intents.pipeline.sealing import Seal, Statement, StatementForged


class EvidenceBroken(Exception):
    """What is stored is not what was approved. `check` names what failed; it holds no content."""

    def __init__(self, check: str) -> None:
        super().__init__(f"The stored evidence of the approval does not hold: {check}.")
        self.check = check


class NotYetProven(Exception):
    """The approval is not under a signed checkpoint yet: wait for the sequencer."""


@dataclass(frozen=True, slots=True)
class Verified:
    """What may be sent, and the statements that allow it, first to last."""

    plan: WirePlan
    statements: tuple[Statement, ...]


def verify(*, intent: Intent, entry: OutboxEntry) -> Verified:
    """The plan that was approved. Raises `EvidenceBroken` or `NotYetProven`; sends and writes nothing."""
    screening, decision = entry.screening, entry.decision
    events = list(AuditEvent.objects.filter(intent_id=str(intent.pk)))
    leaves = {
        leaf.event_id: leaf
        for leaf in LogLeaf.objects.filter(event_id__in=[event.pk for event in events])
    }
    event = _approval_event(intent, entry, events=events)
    approvals = _approvals(intent, screening=screening, decision=decision)
    _check_events(events, leaves=leaves)
    _check_rows(event, rows=[*approvals, screening, screening.version])
    plan = _plan(screening)
    hashes = {plan.payload_hash(), screening.payload_hash, entry.payload_hash}
    hashes |= {each.payload_hash for each in approvals}
    if len(hashes) != 1:
        raise EvidenceBroken("payload hash")
    statements = tuple(
        _statement(intent, screening=screening, plan=plan, decision=each) for each in approvals
    )
    _check_ledger(intent, events=events)
    if not is_checkpointed(event.pk):
        if LogLeaf.objects.filter(event_id=event.pk).exists():
            raise EvidenceBroken("signed log")
        raise NotYetProven
    _check_not_voided(event, events=events, leaves=leaves)
    return Verified(plan=plan, statements=statements)


def _plan(screening: Screening) -> WirePlan:
    try:
        stored = screening.phi_json("wire_plan")
        return WirePlan.from_json(stored)
    except (CannotUnseal, ValueError, KeyError, TypeError):
        raise EvidenceBroken("wire plan") from None


def _approval_event(
    intent: Intent, entry: OutboxEntry, *, events: Sequence[AuditEvent]
) -> AuditEvent:
    event = next((each for each in events if each.pk == entry.approval_event_id), None)
    if event is None or event.tag not in APPROVALS or event.tenant_id != str(intent.tenant_id):
        raise EvidenceBroken("approval event")
    return event


def _approvals(
    intent: Intent, *, screening: Screening, decision: ReviewDecision
) -> list[ReviewDecision]:
    """The decisions that carry this approval: the last of them is the entry's own.

    A decision without a person has no sealed statement, and nothing is sent on it.
    """
    if _is_foreign(intent, screening=screening, decision=decision):
        raise EvidenceBroken("screening")
    if decision.reviewer_id is None:
        raise EvidenceBroken("approver")
    given = list(
        ReviewDecision.objects.filter(
            screening=screening, kind__in=("approve", "second"), round=decision.round
        ).select_related("reviewer__user")
    )
    people = {each.reviewer.user_id for each in given if each.reviewer is not None}
    if decision.pk not in {each.pk for each in given}:
        raise EvidenceBroken("decision")
    needed = 2 if intent.tier == Tier.DUAL_APPROVAL else 1
    if len(people) < needed or len(people) != len(given):
        raise EvidenceBroken("number of approvals")
    return given


def _is_foreign(intent: Intent, *, screening: Screening, decision: ReviewDecision) -> bool:
    """Do entry, decision, screening and intent belong to different changes?"""
    return (
        decision.screening_id != screening.pk
        or screening.version.intent_id != intent.pk
        or intent.current_screening_id != screening.pk
        or intent.current_version_id != screening.version_id
    )


def _statement(
    intent: Intent, *, screening: Screening, plan: WirePlan, decision: ReviewDecision
) -> Statement:
    seal = Seal(
        statement=decision.statement.encode(),
        signature=decision.signature,
        key_id=decision.key_id,
    )
    for key in approval_key.public_keys():
        if sealing.key_id(public_key=key) != decision.key_id:
            continue
        try:
            statement = sealing.verify(seal, public_key=key)
        except StatementForged:
            raise EvidenceBroken("signature") from None
        break
    else:
        raise EvidenceBroken("approval key")
    stored = outbox.stored_fields(intent, screening=screening, plan=plan)
    stored |= {
        "view_hash": decision.view_hash,
        "payload_hash": decision.payload_hash,
        "checks": sealing.stated_checks(decision.checks),
        "approver_id": str(decision.reviewer.user_id) if decision.reviewer else "",
        "decided_at": decision.decided_at,
        "meaning": (
            sealing.APPROVED_FOR_FILING if decision.kind == "approve" else sealing.SECOND_CHECK
        ),
    }
    differing = sealing.differences(statement, stored=stored)
    if differing:
        raise EvidenceBroken(f"statement: {', '.join(differing)}")
    return statement


def _check_events(events: Sequence[AuditEvent], *, leaves: Mapping[UUID, LogLeaf]) -> None:
    """The columns of this change's events still say what their leaves say, and the leaves what was logged.

    Everything below reads columns of events: rows and their hashes, tags, which change they are about.
    """
    for event in events:
        leaf_hash = merkle.leaf_hash(event.leaf.encode()).hex()
        logged = leaves.get(event.pk)
        if leaf_text(event) != event.leaf or (logged is not None and logged.leaf_hash != leaf_hash):
            raise EvidenceBroken("audit event")


def _check_rows(event: AuditEvent, *, rows: Iterable[models.Model]) -> None:
    """The rows that the approval rests on still have the hashes that the log holds."""
    recorded = {(row["table"], row["id"]): row["sha256"] for row in event.rows}
    for row in rows:
        place = (type(row)._meta.db_table, str(row.pk))
        if recorded.get(place) != row_hash(row):
            raise EvidenceBroken(f"row of {place[0]}")


def _check_ledger(intent: Intent, *, events: Sequence[AuditEvent]) -> None:
    """No fact about earlier attempts was changed, added or taken away, and none is unsettled.

    Whether a change may be sent rests on the ledger: an attempt whose outcome is not known to be
    "nothing was written" must not be followed by another.
    """
    table = WriteLedgerEntry._meta.db_table
    recorded: dict[str, str] = {}
    for event in events:
        recorded |= {row["id"]: row["sha256"] for row in event.rows if row["table"] == table}
    facts = list(WriteLedgerEntry.objects.filter(intent=intent).order_by("at", "step"))
    if {str(fact.pk) for fact in facts} != set(recorded):
        raise EvidenceBroken("write ledger: entries")
    if any(recorded[str(fact.pk)] != row_hash(fact) for fact in facts):
        raise EvidenceBroken("write ledger: content")
    if unsettled(Fact(f.attempt_id, f.phase, f.outcome, f.entry_id) for f in facts):
        raise EvidenceBroken("write ledger: an earlier attempt is not settled")


def _check_not_voided(
    approval: AuditEvent, *, events: Sequence[AuditEvent], leaves: Mapping[UUID, LogLeaf]
) -> None:
    """Nothing took the approval back after it was given."""
    voids = {tag.value for tag in VOIDS_APPROVAL}
    given = leaves.get(approval.pk)
    if given is None:
        raise NotYetProven  # it got its leaf just now: the next look knows all of them
    for event in events:
        # An event without a leaf is younger than every one that has a leaf.
        leaf = leaves.get(event.pk)
        if event.tag in voids and (leaf is None or leaf.index > given.index):
            raise EvidenceBroken("approval was taken back")


def leads_elsewhere(intent: Intent, *, screening: Screening) -> bool:
    """Was the connection set up differently when the change was shown?"""
    return gateway.settings_hash(connection=intent.connection) != screening.connection_settings_hash
