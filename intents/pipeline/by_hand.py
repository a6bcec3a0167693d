"""Changes that an EHR does not take: a person types them from the copy card, and the chart is watched.

Nothing is written from here. What the chart shows later is a match of content, so it says "the chart
holds it", not "this person typed it".
"""

import logging
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import transaction

from audit.actors import Actor, ActorKind
from ehr_adapters.canonical import base as canonical
from ehr_adapters.contract import Baseline, Snapshot
from ehr_adapters.errors import AdapterError, AdapterMisconfigured
from intents.governance.encryption import CannotUnseal
from intents.governance.models import Membership
from intents.governance.roles import actor_of, may_review, why_not_review
from intents.governance.tenancy import tenant_context
from intents.lifecycle import RejectedBy, State
from intents.models import HandEntry, Intent
from intents.pipeline import gateway, worklist
from intents.pipeline.validation import Draft, find_duplicate
from intents.pipeline.validation.duplicates import is_same_thing

logger = logging.getLogger(__name__)

_RECONCILER = Actor.system(ActorKind.RECONCILER)


class NotByHand(RuntimeError):
    """This change is not one that a person types; `sentence` says why."""

    def __init__(self, sentence: str) -> None:
        self.sentence = sentence
        super().__init__(sentence)


def is_for_hands(intent: Intent) -> bool:
    """Was the change refused because its EHR does not take it from outside?"""
    screening = intent.current_screening
    return (
        intent.state == State.REJECTED
        and intent.rejected_by == RejectedBy.VALIDATION
        and screening is not None
        and any(finding.code == "unsupported" for finding in screening.findings.all())
    )


def declare_done(*, intent_id: UUID | str, member: Membership, at: datetime) -> HandEntry:
    """A person who may decide about the change says that they typed it. Raises `NotByHand`."""
    if not may_review(member):
        raise NotByHand(why_not_review(member))
    with transaction.atomic():
        intent = Intent.lock(intent_id)
        if not is_for_hands(intent):
            raise NotByHand("This change is not one to type by hand.")
        if why := worklist.why_not_decide(intent, member):
            raise NotByHand(why)
        return HandEntry.declare(intent=intent, member=member, actor=actor_of(member), at=at)


def watch_due(*, at: datetime, limit: int = 50) -> int:
    """Look into the charts for what people said that they typed; how many were seen.

    Must not be called inside a transaction. A chart that cannot be read is looked at again later.
    """
    due = (
        HandEntry.unscoped.filter(next_look_at__lte=at)
        .order_by("next_look_at", "pk")
        .values_list("tenant_id", "pk")[:limit]
    )
    seen = 0
    for tenant_id, entry_id in list(due):
        with tenant_context(tenant_id):
            seen += _watch(entry_id, at=at)
    return seen


def _watch(entry_id: UUID, *, at: datetime) -> bool:
    entry = HandEntry.objects.select_related(
        "intent__proposal", "intent__connection", "intent__current_version"
    ).get(pk=entry_id)
    found = _in_chart(entry.intent, at=at)
    with transaction.atomic():
        entry = HandEntry.objects.select_for_update(of=("self",)).get(pk=entry_id)
        if entry.next_look_at is None:
            return False
        if found is not None:
            entry.note_seen(reference=found.reference, actor=_RECONCILER, at=at)
            return True
        if at >= entry.watch_until:
            entry.give_up(actor=_RECONCILER, at=at)
        else:
            entry.look_again(at=at)
    return False


def _in_chart(intent: Intent, *, at: datetime) -> Snapshot | None:
    """The entry that holds what the change says; None where none does, or where nobody could look."""
    gateway.let_go_of_database()
    try:
        content = intent.current_version.phi_json("content") if intent.current_version else {}
        now = gateway.read(
            connection=intent.connection,
            patient_ref=intent.proposal.patient_ref,
            kind=intent.change_kind,
            interaction=intent.interaction,
            encounter_ref=intent.proposal.encounter_ref,
            target_ref=intent.target_ref,
            context=("medications",) if _is_prescription(intent.change_kind, content) else (),
            at=at,
        )
    except (AdapterError, AdapterMisconfigured, CannotUnseal) as failed:
        logger.info(
            "a chart could not be looked at",
            extra={"intent_id": str(intent.pk), "error": type(failed).__name__},
        )
        return None
    return holding(now, intent=intent, content=content)


def holding(now: Baseline, *, intent: Intent, content: Mapping[str, Any]) -> Snapshot | None:
    """The entry of a chart that says what the change says: the changed one, or a new one beside the others."""
    kind = intent.change_kind
    if intent.target_ref and not canonical.makes_entry(kind, intent.interaction):
        target = now.target
        if target is None:
            return None
        rule = canonical.kind_model(kind).rules[canonical.Interaction(intent.interaction)]
        wanted = {**dict(rule.fixed), **content}
        skipped = {spec.name for spec in canonical.fields(kind) if spec.portal_only}
        same = all(
            canonical.same_value(kind, name, target.canonical.get(name), value)
            for name, value in wanted.items()
            if name not in skipped
        )
        return target if same else None
    if _is_prescription(kind, content):
        return _prescribed(now, content)
    draft = Draft(kind=kind, interaction="create", content=content)
    for each in now.neighbours(kind):
        if kind == "note":
            found = _holds_text(each, content)
        else:
            found = find_duplicate(draft, baseline=replace(now, neighbourhood=(each,))) is not None
        if found:
            return each
    return None


def _is_prescription(kind: str, content: Mapping[str, Any]) -> bool:
    return kind == "order" and content.get("category") == "prescription"


def _prescribed(now: Baseline, order: Mapping[str, Any]) -> Snapshot | None:
    """The entry of the medication list that a typed prescription became: signed, it is an order no more."""
    replaced = order.get("replaces")
    wanted = {**order, "drug": order.get("code")}
    wanted.pop("replaces", None)
    for each in (*now.neighbours("order"), *now.context("medications")):
        if each.reference == replaced:
            continue
        content = wanted if each.kind == "medication" else {**order, "replaces": None}
        held = {**each.canonical, "replaces": None}
        if is_same_thing(each.kind or "order", content, held, entry=each):
            return each
    return None


def _holds_text(note: Snapshot, content: Mapping[str, Any]) -> bool:
    """Do all sections stand in the note? A person who types sets titles and blanks as they like."""
    held = _plain(" ".join(section["text"] for section in note.canonical.get("sections", ())))
    sections = content.get("sections") or ()
    return bool(sections) and all(_plain(section["text"]) in held for section in sections)


def _plain(text: str) -> str:
    return " ".join(canonical.normal_text(text).split())
