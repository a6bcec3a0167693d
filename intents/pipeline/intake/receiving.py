"""Receive a proposal: one transaction from the agent's live rights to the recorded drafts."""

import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import Q

from audit.actors import Actor, ActorKind
from audit.recording import record
from audit.tags import AuditTag
from ehr_adapters.contract import Tag
from intents.governance import scopes
from intents.governance.encryption import patient_key
from intents.governance.history import create_recorded
from intents.governance.models import AgentCredential, AgentRelease, EhrConnection
from intents.governance.tenancy import tenant_context
from intents.lifecycle import OPEN, State, check_transition
from intents.models import EvidenceItem, Intent, IntentVersion, Proposal, Source
from intents.pipeline import outbox, worklist
from intents.pipeline.intake import strict_json
from intents.pipeline.intake.body import Issue, ProposalBody, read_body
from intents.pipeline.intake.checking import (
    CheckedChange,
    ProposalInvalid,
    check_changes,
    check_characters,
    check_evidence,
    text_hash,
)

_KEY = re.compile(r"[\x21-\x7e]{1,255}")


class AgentRefused(PermissionError):
    """The credential, its agent or its tenant is not good (any more)."""


class WrongLane(PermissionError):
    """The credential opens another lane than the one that was asked for."""


class ScopeNotGranted(PermissionError):
    """No live grant lets this agent ask for one of the changes; `pointers` name which."""

    def __init__(self, pointers: Sequence[str]) -> None:
        self.pointers = tuple(pointers)
        super().__init__("; ".join(pointers))


class ProposalKeyMalformed(ValueError):
    """The key is missing or not 1 to 255 visible ASCII characters."""


class ProposalKeyReused(ValueError):
    """The key was used before, for another body."""


class ProposalTooLarge(ValueError):
    """The body is larger than a proposal may be."""


@dataclass(frozen=True, slots=True)
class _Admitted:
    """A proposal that passed every check, with the grants that let each change in."""

    body: ProposalBody
    connection: EhrConnection
    changes: Sequence[CheckedChange]
    held: Sequence[scopes.Held]
    replaces: Proposal | None


def receive(
    *, credential: AgentCredential, lane: str, key: str, raw_body: bytes, at: datetime
) -> tuple[Proposal, bool]:
    """Record what an agent proposes; (proposal, True), or (the earlier one, False) for a repetition.

    `raw_body` is the request's bytes: their SHA-256 decides what "the same body" is. Everything is
    stored in one transaction, or nothing is. Kill switches do not stop intake: they stop writing.

    Raises AgentRefused, WrongLane, ProposalKeyMalformed, ProposalKeyReused, ProposalTooLarge,
    NotStrictJson, BodyInvalid, ProposalInvalid and ScopeNotGranted; none repeats clinical content.
    """
    if _KEY.fullmatch(key) is None:
        raise ProposalKeyMalformed("The Idempotency-Key has 1 to 255 visible ASCII characters.")
    if len(raw_body) > settings.MAX_PROPOSAL_BYTES:
        raise ProposalTooLarge("A proposal has at most one MiB.")
    fingerprint = hashlib.sha256(raw_body).hexdigest()
    with tenant_context(credential.tenant_id):
        try:
            with transaction.atomic():
                good = authenticate(credential_id=credential.pk, lane=lane, at=at)
                earlier = _earlier(good, lane=lane, key=key, fingerprint=fingerprint)
                if earlier is not None:
                    return earlier, False
                admitted = _admit(raw_body, credential=good, lane=lane, at=at)
                proposal = _store(
                    admitted, credential=good, lane=lane, key=key, fingerprint=fingerprint, at=at
                )
                outbox.wake("screening")
                return proposal, True
        except IntegrityError:
            # A twin with the same key was stored between our look and our insert.
            earlier = _earlier(credential, lane=lane, key=key, fingerprint=fingerprint)
            if earlier is None:
                raise
            return earlier, False


def authenticate(*, credential_id: UUID, lane: str | None, at: datetime) -> AgentCredential:
    """The credential with its agent and tenant as they are now, or AgentRefused or WrongLane.

    `lane` None: any lane will do.
    """
    credential = (
        AgentCredential.unscoped.select_related("agent__tenant").filter(pk=credential_id).first()
    )
    if (
        credential is None
        or not credential.is_good(at=at)
        or not credential.agent.enabled
        or not credential.agent.tenant.is_active
    ):
        raise AgentRefused("The credential is not good any more.")
    if lane is not None and credential.lane != lane:
        raise WrongLane(f"This credential opens the lane {credential.lane}.")
    return credential


def _earlier(
    credential: AgentCredential, *, lane: str, key: str, fingerprint: str
) -> Proposal | None:
    earlier = Proposal.objects.filter(agent=credential.agent_id, proposal_key=key).first()
    if earlier is None:
        return None
    if earlier.body_fingerprint != fingerprint or earlier.lane != lane:
        raise ProposalKeyReused("This Idempotency-Key was used for another proposal.")
    return earlier


# --- admitting ---------------------------------------------------------------------------------------


def _admit(raw_body: bytes, *, credential: AgentCredential, lane: str, at: datetime) -> _Admitted:
    document = strict_json.read(raw_body)
    check_characters(document)
    body = read_body(document)
    connection = EhrConnection.objects.filter(name=body.connection).first()
    grants = (
        scopes.live_grants(agent=credential.agent, connection=connection, at=at)
        if connection is not None
        else []
    )
    if connection is None or not grants:
        # An agent is not told which connections exist beside its own.
        raise ScopeNotGranted(["/connection"])
    checked = check_changes(body)
    held = _held(checked, grants=grants, body=body, credential=credential, lane=lane)
    check_evidence(body, checked)
    return _Admitted(
        body=body,
        connection=connection,
        changes=checked,
        held=held,
        replaces=_named_to_replace(body, credential=credential),
    )


def _held(
    checked: Iterable[CheckedChange],
    *,
    grants: Sequence[Any],
    body: ProposalBody,
    credential: AgentCredential,
    lane: str,
) -> list[scopes.Held]:
    held = []
    refused = []
    for index, each in enumerate(checked):
        found = scopes.find_held(
            grants,
            lane_ceiling=credential.agent.lane_ceiling,
            fhir_type=each.fhir_type,
            letter=each.letter,
            fields=each.body.content.keys(),
            facts=each.facts,
            encounter_ref=body.encounter or str(each.content.get("encounter", "")),
        )
        if found is None or not scopes.reaches(found.lane, at_least=lane):
            refused.append(f"/changes/{index}")
        else:
            held.append(found)
    if refused:
        raise ScopeNotGranted(refused)
    return held


def _named_to_replace(body: ProposalBody, *, credential: AgentCredential) -> Proposal | None:
    if body.supersedes is None:
        return None
    try:
        proposal = Proposal.objects.filter(
            pk=UUID(body.supersedes), agent=credential.agent_id, intents__state__in=OPEN
        ).first()
    except ValueError:
        proposal = None
    if proposal is None:
        raise ProposalInvalid(
            "proposal-invalid",
            [Issue("/supersedes", "unknown-reference", "No open proposal of yours has this id.")],
        )
    return proposal


# --- storing -----------------------------------------------------------------------------------------


def _store(
    admitted: _Admitted,
    *,
    credential: AgentCredential,
    lane: str,
    key: str,
    fingerprint: str,
    at: datetime,
) -> Proposal:
    """Everything the proposal holds, in a number of statements that its size does not change."""
    agent = credential.agent
    body = admitted.body
    authorities = sorted({held.authority for held in admitted.held})
    actor = agent.actor.with_authority("; ".join(authorities)[:500])
    edge = check_transition(current=None, to=State.DRAFTED, actor=actor.kind)
    with patient_key(tenant_id=agent.tenant_id, patient_ref=body.patient.id):
        proposal = _proposal(
            admitted, credential=credential, lane=lane, key=key, fingerprint=fingerprint, at=at
        )
        sources = [_source(each, proposal=proposal, at=at) for each in body.sources]
        intents, versions, evidence = _drafts(
            admitted, proposal=proposal, sources=sources, lane=lane, actor=actor, at=at
        )
    history = create_recorded([proposal], actor=actor, at=at)
    Source.objects.bulk_create(sources)
    # An intent points to its first version, which is stored a moment later in this transaction.
    history += create_recorded(intents, actor=actor, at=at)
    IntentVersion.objects.bulk_create(versions)
    EvidenceItem.objects.bulk_create(evidence)
    proposal.note(
        tag=edge.tag,
        actor=actor,
        at=at,
        rows=(*history, *sources, *versions, *evidence),
        to=State.DRAFTED.value,
        lane=lane,
        credential=str(credential.pk),
        fingerprint=fingerprint,
        release=str(proposal.agent_release_id or ""),
        changes=[
            {
                "intent": str(intent.pk),
                "kind": intent.change_kind,
                "interaction": intent.interaction,
                "content": version.content_hash,
                "tag": str(version.tag),
                "scope": held.grant.scope,
            }
            for intent, version, held in zip(intents, versions, admitted.held, strict=True)
        ],
    )
    _supersede(admitted, proposal=proposal, intents=intents, at=at)
    return proposal


def _proposal(
    admitted: _Admitted,
    *,
    credential: AgentCredential,
    lane: str,
    key: str,
    fingerprint: str,
    at: datetime,
) -> Proposal:
    agent, body = credential.agent, admitted.body
    declared = body.model.model_dump(exclude_none=True) if body.model else {}
    release = (
        AgentRelease.of(
            agent=agent,
            model_name=body.model.name,
            model_version=body.model.version,
            prompt_hash=body.model.prompt_hash or "",
            at=at,
        )
        if body.model
        else None
    )
    proposal = Proposal(
        tenant_id=agent.tenant_id,
        connection=admitted.connection,
        agent=agent,
        agent_release=release,
        credential_id=str(credential.pk),
        lane=lane,
        patient_ref=body.patient.id,
        encounter_ref=body.encounter or "",
        proposal_key=key,
        body_fingerprint=fingerprint,
        task_type=body.task_type or "",
        model=declared,
        all_or_nothing=body.all_or_nothing,
        supersedes=admitted.replaces,
        correlation_id=str(uuid4()),
        received_at=at,
    )
    identity = body.patient.model_dump(exclude_none=True, exclude={"id"})
    proposal.set_phi("asserted_identity", identity, patient_ref=body.patient.id)
    if body.summary:
        proposal.set_phi("summary", body.summary, patient_ref=body.patient.id)
    return proposal


def _source(body: Any, *, proposal: Proposal, at: datetime) -> Source:
    source = Source(
        tenant_id=proposal.tenant_id,
        proposal=proposal,
        ref=body.ref,
        kind=body.kind,
        patient_ref=body.patient or "",
        text_sha256=text_hash(body.text),
        recorded_at=datetime.fromisoformat(body.recorded_at) if body.recorded_at else None,
        extracted_at=at,
    )
    source.set_phi("text", body.text, patient_ref=proposal.patient_ref)
    if body.title:
        source.set_phi("title", body.title, patient_ref=proposal.patient_ref)
    if body.segments:
        segments = [each.model_dump(exclude_none=True) for each in body.segments]
        source.set_phi("segments", segments, patient_ref=proposal.patient_ref)
    return source


def _drafts(
    admitted: _Admitted,
    *,
    proposal: Proposal,
    sources: Sequence[Source],
    lane: str,
    actor: Actor,
    at: datetime,
) -> tuple[list[Intent], list[IntentVersion], list[EvidenceItem]]:
    by_ref = {source.ref: source for source in sources}
    intents: list[Intent] = []
    versions: list[IntentVersion] = []
    evidence: list[EvidenceItem] = []
    for position, each in enumerate(admitted.changes):
        expires_at = worklist.due_at(
            kind=each.kind, received_at=at, tenant=proposal.tenant, content=each.content
        )
        intent = Intent(
            tenant_id=proposal.tenant_id,
            proposal=proposal,
            connection=admitted.connection,
            ref=each.body.ref,
            position=position,
            depends_on=list(each.body.depends_on),
            change_kind=each.kind,
            interaction=each.body.interaction,
            target_ref=each.target_ref,
            target_key=each.target_ref,
            lane=lane,
            state=State.DRAFTED,
            due_at=expires_at,
            expires_at=expires_at,
            state_changed_at=at,
            created_at=at,
        )
        tag = Tag.mint()
        version = IntentVersion.compose(
            intent,
            number=1,
            content=each.content,
            patient_ref=proposal.patient_ref,
            tag=(UUID(tag.uuid), tag.short),
            actor=actor,
            at=at,
        )
        intent.current_version = version
        intents.append(intent)
        versions.append(version)
        evidence += [
            EvidenceItem(
                tenant_id=proposal.tenant_id,
                version=version,
                position=number,
                path=item.path,
                span_start=item.span[0] if item.span else None,
                span_end=item.span[1] if item.span else None,
                source=by_ref[item.source],
                start=item.start,
                end=item.end,
                excerpt_hash=text_hash(item.quote),
                method=item.method,
                confidence=None if item.confidence is None else int(item.confidence * 100),
                support="supported",
            )
            for number, item in enumerate(each.body.evidence)
        ]
    return intents, versions, evidence


# --- superseding -------------------------------------------------------------------------------------


def _supersede(
    admitted: _Admitted, *, proposal: Proposal, intents: Sequence[Intent], at: datetime
) -> None:
    """End the open drafts of the same agent that this proposal names, or whose target it repeats.

    A draft that a person holds or has edited is never ended: both stand, and the page says that a
    newer one exists.
    """
    targets = [intent.target_key for intent in intents if intent.target_key]
    wanted = Q()
    if admitted.replaces is not None:
        wanted |= Q(proposal=admitted.replaces)
    if targets:
        wanted |= Q(
            connection=admitted.connection,
            proposal__patient_ref=proposal.patient_ref,
            target_key__in=targets,
        )
    if not wanted:
        return
    older = (
        Intent.objects.filter(wanted, proposal__agent=proposal.agent_id, state__in=OPEN)
        .exclude(proposal=proposal)
        .values_list("proposal_id", "pk")
        .order_by("proposal_id", "position")
    )
    by_proposal: dict[UUID, list[UUID]] = {}
    for proposal_id, intent_id in older:
        by_proposal.setdefault(proposal_id, []).append(intent_id)
    actor = Actor.system(ActorKind.INTAKE)
    for proposal_id, intent_ids in by_proposal.items():
        old = Proposal.lock(proposal_id)
        if old.is_claimed(at=at) or _edited_by_a_person(intent_ids):
            continue
        for intent_id in intent_ids:
            intent = Intent.lock(intent_id)
            if intent.state in OPEN:
                intent.advance(
                    State.SUPERSEDED,
                    actor=actor,
                    at=at,
                    reason="superseded",
                    detail={"by_proposal": str(proposal.pk)},
                )


def _edited_by_a_person(intent_ids: Sequence[UUID]) -> bool:
    return (
        IntentVersion.objects.filter(intent__in=intent_ids)
        .exclude(author_kind=ActorKind.AGENT.value)
        .exists()
    )


def note_refusal(*, credential: AgentCredential, code: str, at: datetime) -> None:
    """Record that a proposal was turned away at the door, by its code alone."""
    scope = code == "scope-not-granted"
    with transaction.atomic():
        record(
            tag=AuditTag.GOVERNANCE_SCOPE_REFUSED if scope else AuditTag.INTENT_PROPOSAL_REFUSED,
            actor=credential.agent.actor,
            at=at,
            tenant_id=str(credential.tenant_id),
            body={"code": code, "credential": str(credential.pk)},
        )
