"""What a reviewer does with a change that its EHR does not take, or that the rules block, beside typing it.

A task for somebody who can do it, or a line in the note of the same draft. Either is a change of its own: it is
checked, shown and decided about like any other, and nothing is written by asking for it. The words are those
of the page. A task asks nothing of the agent's grants: a person wants it, and the rules decide about it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

from django.db import transaction

from ehr_adapters.canonical.base import (
    ChangeInvalid,
    Interaction,
    kind_label,
    kind_model,
    parse_change,
)
from ehr_adapters.canonical.task import SUBJECTS
from ehr_adapters.contract import Tag
from intents.governance import roles
from intents.governance.history import create_recorded
from intents.governance.models import EhrConnection, EhrIdentity, Membership
from intents.lifecycle import Lane, RejectedBy, State, check_transition
from intents.models import Intent, IntentVersion, Proposal
from intents.pipeline import gateway, presentation, screening, worklist
from intents.pipeline.review.editing import edit
from intents.pipeline.review.locking import check_reviewer, lock_draft
from intents.pipeline.review.refusals import ContentInvalid, NotAllowed, NotPending

_SECTION = "To be entered by hand"


@dataclass(frozen=True, slots=True)
class Doer:
    """Somebody who could do it in the EHR: `reference` is who they are there."""

    membership_id: str
    name: str
    reference: str


def may_pass_on(intent: Intent) -> bool:
    """Was the change refused because its EHR does not take it, or by the rules? A note is never passed on."""
    screening_row = intent.current_screening
    if intent.state != State.REJECTED or screening_row is None or intent.change_kind == "note":
        return False
    if intent.rejected_by == RejectedBy.POLICY:
        return True
    return intent.rejected_by == RejectedBy.VALIDATION and any(
        finding.code == "unsupported" for finding in screening_row.findings.all()
    )


def doers(*, connection: EhrConnection) -> Sequence[Doer]:
    """The prescribers whom this EHR knows, by name; nobody where it takes no tasks."""
    if not gateway.capabilities_for(connection=connection).may("task", "create"):
        return ()
    known = dict(
        EhrIdentity.objects.filter(connection=connection, revoked_at__isnull=True)
        .exclude(practitioner_ref="")
        .values_list("user_id", "practitioner_ref")
    )
    members = Membership.objects.filter(
        clinical_role=roles.ClinicalRole.PRESCRIBER, user_id__in=known
    ).select_related("user")
    return sorted(
        (
            Doer(str(one.pk), one.user.name or one.user.email, known[one.user_id])
            for one in members
            if roles.may_review(one)
        ),
        key=lambda doer: doer.name,
    )


def was_passed_on(intent: Intent) -> bool:
    """Is there a task for it already?"""
    return intent.proposal.intents.filter(ref=_task_ref(intent)).exists()


def note_beside(intent: Intent) -> Intent | None:
    """The note of the same draft that waits for a decision and can take a line; None where there is none."""
    return (
        intent.proposal.intents.filter(change_kind="note", state=State.PENDING_APPROVAL)
        .exclude(interaction=Interaction.ENTERED_IN_ERROR.value)
        .order_by("position")
        .first()
    )


def send_as_task(*, intent_id: UUID | str, to: str, reviewer: Membership, at: datetime) -> Intent:
    """Draft a task for a prescriber (`Doer.membership_id`) that says the change; the task as it stands then.

    Raises a `ReviewRefused`. Must not be called inside a transaction.
    """
    asked = Intent.objects.select_related("proposal", "connection").get(pk=intent_id)
    doer = next((d for d in doers(connection=asked.connection) if d.membership_id == to), None)
    if doer is None:
        raise NotAllowed("Choose who is to do it.")
    lines = _said(asked, at=at)
    with transaction.atomic(durable=True):
        proposal, intents = lock_draft(asked.proposal_id)
        check_reviewer(reviewer, proposal=proposal, at=at)
        [intent] = [each for each in intents if each.pk == asked.pk]
        if not may_pass_on(intent) or proposal.all_or_nothing:
            raise NotPending
        if was_passed_on(intent):
            raise NotAllowed("There is a task for it already.")
        task = _draft_task(
            intent, doer=doer, lines=lines, last=max(i.position for i in intents),
            reviewer=reviewer, at=at,
        )  # fmt: skip
    return screening.screen(intent_id=task.pk, at=at, deadline=screening.IN_REQUEST)


def put_into_note(*, intent_id: UUID | str, reviewer: Membership, at: datetime) -> Intent:
    """Say in the note of the same draft what somebody has to enter by hand; the note as it stands then.

    The note becomes a new version, which is checked and shown again. Raises a `ReviewRefused`. Must not be
    called inside a transaction.
    """
    asked = Intent.objects.select_related("proposal", "connection").get(pk=intent_id)
    note = note_beside(asked)
    if note is None or note.current_version is None or not may_pass_on(asked):
        raise NotPending
    line = f"{_heading(asked)}: {'; '.join(_said(asked, at=at))}."
    content = dict(note.current_version.phi_json("content"))
    sections = [dict(one) for one in content.get("sections") or ()]
    place = next((one for one in sections if one.get("title") == _SECTION), None)
    if place is None:
        sections.append({"title": _SECTION, "text": line})
    elif line in place["text"].splitlines():
        raise NotAllowed("The note says it already.")
    else:
        place["text"] = f"{place['text']}\n{line}"
    current = note.current_screening
    return edit(
        intent_id=note.pk,
        reviewer=reviewer,
        content={**content, "sections": sections},
        payload_hash=current.payload_hash if current else "",
        at=at,
    )


# --- the parts ------------------------------------------------------------------------------------


def _task_ref(intent: Intent) -> str:
    return f"{intent.ref[:58]}-task"


def _heading(intent: Intent) -> str:
    rule = kind_model(intent.change_kind).rules[Interaction(intent.interaction)]
    return f"{kind_label(intent.change_kind)}, {rule.meaning}"


def _said(intent: Intent, *, at: datetime) -> list[str]:
    """The values of the change in the words of its page, and what the chart holds instead."""
    page = presentation.build(proposal=intent.proposal, at=at)
    [card] = [one for one in page.cards if one.intent_id == str(intent.pk)]
    return [
        f"{row.label}: {row.will_be or 'nothing'}" + (f" (now {row.now})" if row.now else "")
        for row in card.changed_rows
    ]


def _draft_task(
    intent: Intent,
    *,
    doer: Doer,
    lines: Sequence[str],
    last: int,
    reviewer: Membership,
    at: datetime,
) -> Intent:
    proposal: Proposal = intent.proposal
    why = intent.reason.partition(": ")[2] or intent.reason
    content: dict[str, object] = {
        "title": f"By hand: {_heading(intent)}",
        "owner": doer.reference,
        "due": at.astimezone(ZoneInfo(proposal.tenant.time_zone)).date().isoformat(),
        "description": "\n".join((*lines, f"Not written from the portal. {why}")),
    }
    if intent.target_ref.partition("/")[0] in SUBJECTS:
        content["about"] = [intent.target_ref]
    try:
        change = parse_change("task", Interaction.CREATE, content)
    except ChangeInvalid as invalid:
        raise ContentInvalid(invalid.issues) from None
    said = change.model_dump_canonical()
    actor = roles.actor_of(reviewer)
    edge = check_transition(current=None, to=State.DRAFTED, actor=actor.kind)
    expires_at = worklist.due_at(kind="task", received_at=at, tenant=proposal.tenant, content=said)
    task = Intent(
        id=uuid4(),
        tenant_id=proposal.tenant_id,
        proposal=proposal,
        connection=intent.connection,
        ref=_task_ref(intent),
        position=last + 1,
        change_kind="task",
        interaction=Interaction.CREATE.value,
        lane=Lane.SUGGEST.value,
        state=State.DRAFTED,
        due_at=expires_at,
        expires_at=expires_at,
        state_changed_at=at,
        created_at=at,
    )
    tag = Tag.mint()
    version = IntentVersion.compose(
        task,
        number=1,
        content=said,
        patient_ref=proposal.patient_ref,
        tag=(UUID(tag.uuid), tag.short),
        actor=actor,
        at=at,
    )
    task.current_version = version
    history = create_recorded([task], actor=actor, at=at)
    version.save(force_insert=True)
    proposal.note(
        tag=edge.tag,
        actor=actor,
        at=at,
        rows=(*history, version),
        to=State.DRAFTED.value,
        instead_of=str(intent.pk),
        changes=[
            {
                "intent": str(task.pk),
                "kind": task.change_kind,
                "interaction": task.interaction,
                "content": version.content_hash,
                "tag": str(version.tag),
            }
        ],
    )
    return task
