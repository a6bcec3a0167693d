"""Record a draft that a person asked for, to take a written change back. It is checked like any other."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

from django.db import transaction

from audit.actors import Actor, ActorKind
from audit.encoding import canonical_bytes, sha256_hex
from audit.tags import AuditTag
from ehr_adapters.canonical import base as canonical
from ehr_adapters.contract import Tag
from intents.governance.encryption import patient_key
from intents.governance.history import create_recorded
from intents.governance.models import Agent, Membership
from intents.governance.roles import actor_of, may_review
from intents.lifecycle import WRITTEN, Lane, State, check_transition
from intents.models import Intent, IntentVersion, Proposal
from intents.pipeline import outbox, worklist

# In whose name corrections are listed. It has no key, so no program can speak for it.
CORRECTIONS = "Corrections"


class NotCorrectable(Exception):
    """`sentence` says why no draft was made."""

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence)
        self.sentence = sentence


def draft_correction(
    *,
    corrects_id: UUID | str,
    interaction: str,
    target_ref: str,
    content: Mapping[str, Any],
    member: Membership,
    reason: str,
    at: datetime,
) -> Proposal:
    """One draft with one change, by this person, that names the change which it corrects.

    Raises NotCorrectable; then nothing is stored.
    """
    if not may_review(member):
        raise NotCorrectable("Your role does not ask for corrections.")
    if not reason.strip():
        raise NotCorrectable("Say why it is taken back.")
    change = canonical.parse_change(_kind(corrects_id), interaction, dict(content))
    said = change.model_dump_canonical()
    actor = actor_of(member)
    edge = check_transition(current=None, to=State.DRAFTED, actor=actor.kind)
    with transaction.atomic():
        corrected = Intent.lock(corrects_id)
        if corrected.state not in WRITTEN:
            raise NotCorrectable("Only a change that is in the EHR can be taken back.")
        if corrected.corrected_by.exclude(state__in=_ENDED).exists():
            raise NotCorrectable("A draft that takes it back was made already.")
        with patient_key(tenant_id=corrected.tenant_id, patient_ref=corrected.proposal.patient_ref):
            proposal = _proposal(corrected, said, reason=reason, at=at)
            intent, version = _intent(
                corrected, proposal, said, interaction, target_ref, actor=actor, at=at
            )
        history = create_recorded([proposal], actor=actor, at=at)
        history += create_recorded([intent], actor=actor, at=at)
        IntentVersion.objects.bulk_create([version])
        proposal.note(
            tag=edge.tag,
            actor=actor,
            at=at,
            rows=(*history, version),
            to=State.DRAFTED.value,
            lane=proposal.lane,
            corrects=str(corrected.pk),
            changes=[
                {
                    "intent": str(intent.pk),
                    "kind": intent.change_kind,
                    "interaction": intent.interaction,
                    "content": version.content_hash,
                    "tag": str(version.tag),
                }
            ],
        )
        corrected.note(
            tag=AuditTag.INTENT_CORRECTION_DRAFTED,
            actor=actor,
            at=at,
            by_proposal=str(proposal.pk),
            by=str(intent.pk),
        )
        outbox.wake("screening")
    return proposal


_ENDED = (State.REJECTED, State.EXPIRED, State.CANCELLED, State.SUPERSEDED)


def _kind(intent_id: UUID | str) -> str:
    return str(Intent.objects.values_list("change_kind", flat=True).get(pk=intent_id))


def _corrections(corrected: Intent, *, at: datetime) -> Agent:
    found = Agent.objects.filter(name=CORRECTIONS).first()
    return found or Agent.admit(
        tenant=corrected.tenant, name=CORRECTIONS, actor=Actor.system(ActorKind.INTAKE), at=at
    )


def _proposal(corrected: Intent, said: Mapping[str, Any], *, reason: str, at: datetime) -> Proposal:
    before = corrected.proposal
    proposal = Proposal(
        tenant_id=corrected.tenant_id,
        connection=corrected.connection,
        agent=_corrections(corrected, at=at),
        lane=Lane.SUGGEST,
        patient_ref=before.patient_ref,
        encounter_ref=before.encounter_ref,
        proposal_key=str(uuid4()),
        body_fingerprint=sha256_hex(canonical_bytes(dict(said))),
        task_type="correction",
        correlation_id=before.correlation_id,
        received_at=at,
    )
    proposal.set_phi(
        "asserted_identity",
        before.phi_json("asserted_identity") or {},
        patient_ref=before.patient_ref,
    )
    proposal.set_phi("summary", reason.strip(), patient_ref=before.patient_ref)
    return proposal


def _intent(
    corrected: Intent,
    proposal: Proposal,
    said: Mapping[str, Any],
    interaction: str,
    target_ref: str,
    *,
    actor: Actor,
    at: datetime,
) -> tuple[Intent, IntentVersion]:
    due = worklist.due_at(
        kind=corrected.change_kind, received_at=at, tenant=corrected.tenant, content=said
    )
    intent = Intent(
        tenant_id=corrected.tenant_id,
        proposal=proposal,
        connection=corrected.connection,
        ref="c1",
        position=0,
        depends_on=[],
        change_kind=corrected.change_kind,
        interaction=interaction,
        target_ref=target_ref,
        target_key=target_ref,
        corrects=corrected,
        lane=Lane.SUGGEST,
        state=State.DRAFTED,
        due_at=due,
        expires_at=due,
        state_changed_at=at,
        created_at=at,
    )
    tag = Tag.mint()
    version = IntentVersion.compose(
        intent,
        number=1,
        content=said,
        patient_ref=proposal.patient_ref,
        tag=(UUID(tag.uuid), tag.short),
        actor=actor,
        at=at,
    )
    intent.current_version = version
    return intent, version
