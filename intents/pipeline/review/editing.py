"""Changing the words: a new version, its evidence carried over, screened again in the request.

Every approval of the earlier version is void, because a statement names the version. Nothing of what
was edited is approved in the same gesture: the page shows it again first.
"""

import copy
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

from django.db import transaction

from audit.actors import Actor
from audit.tags import AuditTag
from ehr_adapters.canonical.base import ChangeInvalid, kind_model, parse_change
from ehr_adapters.contract import Tag
from intents.governance import roles
from intents.governance.models import Membership
from intents.lifecycle import State
from intents.models import EvidenceItem, Intent, IntentVersion
from intents.pipeline import screening, worklist
from intents.pipeline.presentation.quoting import carried_over
from intents.pipeline.review.locking import check_reviewer, lock_draft
from intents.pipeline.review.refusals import (
    ContentInvalid,
    NotAllowed,
    NotPending,
    PageOutOfDate,
)


def edit(
    *,
    intent_id: UUID | str,
    reviewer: Membership,
    content: Mapping[str, Any],
    payload_hash: str,
    at: datetime,
) -> Intent:
    """Save other content as a new version and check it at once; returns the change as it stands then.

    `payload_hash` is that of what the person was looking at: a newer screening refuses the edit. While
    the EHR does not answer, the change stays DRAFTED and is checked by a worker. Must not be called
    inside a transaction.
    """
    with transaction.atomic(durable=True):
        intent = _lock_editable(intent_id, reviewer=reviewer, at=at)
        refusal = worklist.why_not_decide(intent, reviewer)
        if refusal:
            raise NotAllowed(refusal)
        current = intent.current_screening
        if current is not None and payload_hash and current.payload_hash != payload_hash:
            raise PageOutOfDate
        _new_version(intent, content=content, reviewer=reviewer, at=at)
    return screening.screen(intent_id=intent_id, at=at, deadline=screening.IN_REQUEST)


def take_over_as_author(*, intent_id: UUID | str, reviewer: Membership, at: datetime) -> Intent:
    """Put the reviewer's own name on the change, so that they may approve it (C3)."""
    with transaction.atomic(durable=True):
        intent = _lock_editable(intent_id, reviewer=reviewer, at=at)
        field = kind_model(intent.change_kind).author_field
        identity = roles.identity_of(user=reviewer.user, connection=intent.connection)
        if not field:
            raise NotAllowed("This kind of change carries no author.")
        if identity is None:
            raise NotAllowed("You have no verified identity in this EHR.")
        if not worklist.may_take_over(intent, reviewer):
            raise NotAllowed("Your clinical role does not answer for this kind of change.")
        content = {**_content(intent), field: identity.practitioner_ref}
        _new_version(intent, content=content, reviewer=reviewer, at=at)
        intent.note(tag=AuditTag.INTENT_REVIEW_ADOPTED, actor=roles.actor_of(reviewer), at=at)
    return screening.screen(intent_id=intent_id, at=at, deadline=screening.IN_REQUEST)


# --- the parts ------------------------------------------------------------------------------------


def _lock_editable(intent_id: UUID | str, *, reviewer: Membership, at: datetime) -> Intent:
    proposal_id = Intent.objects.values_list("proposal_id", flat=True).get(pk=intent_id)
    proposal, intents = lock_draft(proposal_id)
    check_reviewer(reviewer, proposal=proposal, at=at)
    [intent] = [each for each in intents if str(each.pk) == str(intent_id)]
    if intent.state not in (State.PENDING_APPROVAL, State.HELD):
        raise NotPending
    return intent


def _content(intent: Intent) -> dict[str, Any]:
    if intent.current_version is None:
        raise NotPending
    content = intent.current_version.phi_json("content")
    return dict(content)


def _new_version(
    intent: Intent, *, content: Mapping[str, Any], reviewer: Membership, at: datetime
) -> IntentVersion:
    old = intent.current_version
    if old is None:
        raise NotPending
    before = _content(intent)
    try:
        change = parse_change(
            intent.change_kind, intent.interaction, _with_acts(dict(content), before=before)
        )
    except ChangeInvalid as invalid:
        raise ContentInvalid(invalid.issues) from None
    after = change.model_dump_canonical()
    actor = roles.actor_of(reviewer)
    tag = Tag.mint()
    version = IntentVersion.compose(
        intent,
        number=old.number + 1,
        content=after,
        patient_ref=intent.proposal.patient_ref,
        tag=(UUID(tag.uuid), tag.short),
        actor=actor,
        at=at,
    )
    version.save(force_insert=True)
    evidence = _carry_evidence(old, version, before=before, after=after)
    _draft_again(intent, version=version, evidence=evidence, actor=actor, at=at)
    return version


def _draft_again(
    intent: Intent,
    *,
    version: IntentVersion,
    evidence: list[EvidenceItem],
    actor: Actor,
    at: datetime,
) -> None:
    was_held = intent.state == State.HELD
    intent.advance(
        State.DRAFTED,
        actor=actor,
        at=at,
        reason="edited: A reviewer changed it; it is checked again.",
        rows=(version, *evidence),
        detail={"version": version.number, "content": version.content_hash},
        current_version=version,
        screen_not_before=None,
        screen_attempts=0,
        approval_expires_at=None,
    )
    if was_held:
        # The edge from HELD is called a release; that it was edited is an event of its own.
        intent.note(tag=AuditTag.INTENT_REVIEW_EDITED, actor=actor, at=at, version=version.number)


def _with_acts(content: dict[str, Any], *, before: Mapping[str, Any]) -> dict[str, Any]:
    """Sections keep saying which of their words report another change, where the words are still there.

    The edit form carries titles and texts only; a section is the same section by its place.
    """
    sections = content.get("sections")
    if not sections:
        return content
    old_sections = list(before.get("sections") or ())
    out = []
    for index, section in enumerate(sections):
        new = dict(section)
        old = old_sections[index] if index < len(old_sections) else None
        if old is not None and "acts" not in new and old.get("acts"):
            spans = carried_over(
                old["text"], new["text"], [tuple(act["span"]) for act in old["acts"]]
            )
            acts = [
                {**copy.deepcopy(act), "span": [start, end]}
                for act, (start, end) in zip(old["acts"], spans, strict=True)
                if start < end
            ]
            if acts:
                new["acts"] = acts
        out.append(new)
    return {**content, "sections": out}


def _carry_evidence(
    old: IntentVersion,
    version: IntentVersion,
    *,
    before: Mapping[str, Any],
    after: Mapping[str, Any],
) -> list[EvidenceItem]:
    """The evidence of what is still said. What was rewritten stands on the reviewer's own word."""
    items = list(old.evidence.order_by("position"))
    carried: list[EvidenceItem] = []
    for item in items:
        was, now = _at(before, item.path), _at(after, item.path)
        span = (item.span_start, item.span_end)
        if item.span_start is not None and item.span_end is not None:
            if not isinstance(was, str) or not isinstance(now, str):
                continue
            [(start, end)] = carried_over(was, now, [(item.span_start, item.span_end)])
            if start >= end:
                continue
            span = (start, end)
        elif was != now:
            continue
        carried.append(
            EvidenceItem(
                id=uuid4(),
                tenant_id=item.tenant_id,
                version=version,
                position=len(carried),
                path=item.path,
                span_start=span[0],
                span_end=span[1],
                source_id=item.source_id,
                start=item.start,
                end=item.end,
                excerpt_hash=item.excerpt_hash,
                method=item.method,
                confidence=item.confidence,
                support=item.support,
            )
        )
    for item in carried:
        item.save(force_insert=True)
    return carried


def _at(content: Mapping[str, Any], pointer: str) -> Any:
    """The value at an RFC 6901 pointer; None where there is none."""
    value: Any = content
    for part in pointer.split("/")[1:]:
        name = part.replace("~1", "/").replace("~0", "~")
        if isinstance(value, Mapping):
            value = value.get(name)
        elif isinstance(value, list | tuple) and name.isdigit() and int(name) < len(value):
            value = value[int(name)]
        else:
            return None
    return value
