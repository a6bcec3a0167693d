"""Drafts for the pages: received by the real intake, then brought to a state by the records' mutators.

The chart is made up here instead of being read, so that no page test needs an EHR.
"""

import hashlib
import json
import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction

from audit.actors import Actor, ActorKind
from audit.models import AuditEvent
from ehr_adapters.canonical.base import parse_change
from ehr_adapters.contract import Baseline, PatientIdentity, Snapshot, Tag
from intents.governance.models import (
    Agent,
    AgentCredential,
    AgentRelease,
    EhrConnection,
    Membership,
    ScopeGrant,
    Tenant,
)
from intents.governance.roles import actor_of
from intents.lifecycle import RejectedBy, State, Tier
from intents.models import (
    Discrepancy,
    Intent,
    OutboxEntry,
    Proposal,
    ReviewDecision,
    Screening,
    WriteLedgerEntry,
)
from intents.pipeline import gateway, intake

INSTALLER = Actor.system(ActorKind.INSTALLATION)
VALIDATOR = Actor.system(ActorKind.VALIDATOR)
POLICY = Actor.system(ActorKind.POLICY)
DISPATCHER = Actor.system(ActorKind.DISPATCHER)
RECONCILER = Actor.system(ActorKind.RECONCILER)
ICD10CM = "http://hl7.org/fhir/sid/icd-10-cm"

_Phase = WriteLedgerEntry.Phase


@dataclass(frozen=True)
class Patient:
    """A made-up patient, as the EHR has them."""

    id: str = "pat-1"
    family: str = "Okonkwo"
    given: str = "Ngozi"
    birth_date: str = "1957-03-14"
    sex: str = "female"
    mrn: str = "4471908213"

    @property
    def identity(self) -> PatientIdentity:
        return PatientIdentity(
            id=self.id,
            family=self.family,
            given=(self.given,),
            birth_date=self.birth_date,
            sex=self.sex,
            mrns=(("urn:mrn", self.mrn),),
        )


@dataclass(frozen=True)
class Draft:
    """One draft with its first change, as the database has them now."""

    proposal: Proposal

    @property
    def intent(self) -> Intent:
        return Intent.unscoped.select_related("current_version").get(
            proposal=self.proposal, position=0
        )

    @property
    def url(self) -> str:
        return f"/intents/{self.proposal.pk}/"


def problem(code: str = "R42", display: str = "Dizziness and giddiness") -> dict[str, Any]:
    """A new entry of the problem list."""
    return {
        "ref": "c1",
        "kind": "problem",
        "interaction": "create",
        "content": {
            "code": [{"system": ICD10CM, "code": code, "display": display}],
            "category": "problem-list-item",
            "clinical_status": "active",
            "verification": "provisional",
        },
    }


def problem_update(**content: Any) -> dict[str, Any]:
    """A change of a problem that the chart holds."""
    return {
        "ref": "c1",
        "kind": "problem",
        "interaction": "update",
        "target": "Condition/ckd",
        "content": content,
    }


def note(text: str = "Reports dizziness on standing.") -> dict[str, Any]:
    """A new unsigned note."""
    return {
        "ref": "n1",
        "kind": "note",
        "interaction": "create",
        "content": {
            "type": "11506-3",
            "status": "unsigned",
            "sensitivity": "normal",
            "sections": [{"title": "Assessment and plan", "text": text}],
        },
    }


CHART_PROBLEM = {
    "code": [{"system": ICD10CM, "code": "N18.30", "display": "Chronic kidney disease, stage 3"}],
    "category": "problem-list-item",
    "clinical_status": "active",
    "verification": "confirmed",
}


def credential_of(tenant: Tenant, connection: EhrConnection, *, at: datetime) -> AgentCredential:
    """The organisation's one agent, made when first asked for."""
    existing = AgentCredential.objects.first()
    if existing:
        return existing
    by: dict[str, Any] = {"actor": INSTALLER, "at": at - timedelta(days=1)}
    with transaction.atomic():
        agent = Agent.admit(tenant=tenant, name="Visit scribe", **by)
        AgentRelease.approve(
            agent=agent, version="3.2", model_name="made-up", model_version="1", **by
        )
        for scope in ("Condition.c", "Condition.u", "DocumentReference.c"):
            ScopeGrant.grant(
                agent=agent, connection=connection, scope=f"system/{scope}", lane="suggest", **by
            )
        return AgentCredential.issue_key(
            agent=agent,
            lane="suggest",
            public_key=_public_key(),
            expires_at=at + timedelta(days=365),
            **by,
        )


def _public_key() -> str:
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP384R1()).public_key()
    return key.public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    ).decode()


def make_draft(
    *,
    tenant: Tenant,
    connection: EhrConnection,
    reviewer: Membership,
    at: datetime,
    changes: list[dict[str, Any]] | None = None,
    patient: Patient = Patient(),
    state: State = State.PENDING_APPROVAL,
    tier: Tier = Tier.APPROVAL,
    due_in: timedelta = timedelta(hours=1),
    not_before: timedelta = timedelta(minutes=-1),
    rejected_by: RejectedBy = RejectedBy.POLICY,
    finality: str = "",
    discrepancy: str = "",
) -> Draft:
    """A draft whose changes are all in `state`. `not_before` counts from now, `due_in` from `at`."""
    credential = credential_of(tenant, connection, at=at)
    body = {
        "connection": connection.name,
        "patient": {
            "id": patient.id,
            "family": patient.family,
            "given": patient.given,
            "birth_date": patient.birth_date,
            "sex": patient.sex,
            "mrn": patient.mrn,
        },
        "encounter": "enc-1",
        "task_type": "visit-note",
        "summary": "Draft of the visit",
        "model": {"name": "made-up", "version": "1", "prompt_hash": "sha256:0"},
        "all_or_nothing": False,
        "sources": [],
        "changes": [
            {"evidence": [], "depends_on": [], **change} for change in changes or [problem()]
        ],
    }
    proposal, _ = intake.receive(
        credential=credential,
        lane="suggest",
        key=uuid.uuid4().hex,
        raw_body=json.dumps(body).encode(),
        at=at,
    )
    for intent in Intent.unscoped.filter(proposal=proposal).order_by("position"):
        with transaction.atomic():
            _bring(
                intent.pk,
                to=state,
                tier=tier,
                reviewer=reviewer,
                patient=patient,
                at=at,
                due_at=at + due_in,
                not_before=at + not_before,
                rejected_by=rejected_by,
                finality=finality,
                discrepancy=discrepancy,
            )
    return Draft(Proposal.unscoped.get(pk=proposal.pk))


def screen(intent: Intent, *, patient: Patient, at: datetime) -> Screening:
    """A made-up chart and the real frozen request for the change."""
    target = None
    if intent.target_ref:
        target = Snapshot(
            role="target",
            resource_type="Condition",
            id=intent.target_ref.split("/")[1],
            raw=b'{"resourceType": "Condition"}',
            read_at=at,
            kind="problem",
            canonical=CHART_PROBLEM,
            comparable={},
            version_id="4",
        )
    baseline = Baseline(read_at=at, identity=patient.identity, target=target)
    version = intent.current_version
    assert version is not None
    change = parse_change(intent.change_kind, intent.interaction, version.phi_json("content"))
    plan = None
    if target is None:
        plan = gateway.render(
            connection=intent.connection,
            change=change,
            tag=Tag(str(version.tag)),
            baseline=baseline,
        )
    screening = Screening(
        tenant_id=intent.tenant_id,
        version=version,
        number=version.screenings.count() + 1,
        target_version="4" if target else "",
        connection_settings_hash="0",
        adapter_version="1",
        capabilities_hash="0",
        payload_hash=plan.payload_hash() if plan else hashlib.sha256(b"made up").hexdigest(),
        finality=str(plan.finality) if plan else "filed",
        created_at=at,
    )
    screening.set_phi("baseline", baseline.to_json(), patient_ref=patient.id)
    if plan:
        screening.set_phi("wire_plan", plan.to_json(), patient_ref=patient.id)
    screening.save(force_insert=True)
    return screening


def _bring(
    intent_id: uuid.UUID,
    *,
    to: State,
    tier: Tier,
    reviewer: Membership,
    patient: Patient,
    at: datetime,
    due_at: datetime,
    not_before: datetime,
    rejected_by: RejectedBy,
    finality: str,
    discrepancy: str,
) -> None:
    """Along the table of transitions to the wanted state, each step audited by `advance`."""
    intent = Intent.lock(intent_id)
    if to == State.DRAFTED:
        return
    screening = screen(intent, patient=patient, at=at)
    intent.advance(State.VALIDATED, actor=VALIDATOR, at=at, current_screening=screening)
    if to == State.VALIDATED:
        return
    if to == State.REJECTED and rejected_by == RejectedBy.POLICY:
        intent.advance(
            State.REJECTED,
            actor=POLICY,
            at=at,
            reason="A rule forbids it.",
            rejected_by=rejected_by,
            tier=Tier.BLOCKED,
        )
        return
    intent.advance(State.PENDING_APPROVAL, actor=POLICY, at=at, tier=tier, due_at=due_at)
    if to == State.PENDING_APPROVAL:
        return
    if to == State.HELD:
        intent.advance(State.HELD, actor=VALIDATOR, at=at, reason="target-changed")
        return
    if to == State.REJECTED and rejected_by == RejectedBy.REVIEWER:
        decision = decide(intent, screening, reviewer=reviewer, kind="reject", at=at)
        intent.advance(
            State.REJECTED,
            actor=actor_of(reviewer),
            at=at,
            rows=[decision],
            rejected_by=rejected_by,
        )
        return
    decision = decide(intent, screening, reviewer=reviewer, kind="approve", at=at)
    payload = {"payload_hash": screening.payload_hash}
    intent.advance(
        State.APPROVED,
        actor=actor_of(reviewer),
        at=at,
        rows=[decision],
        detail=payload,
        approval_expires_at=at + timedelta(hours=24),
    )
    event = AuditEvent.objects.get(tag="intent:review:approved", intent_id=str(intent.pk))
    assert intent.current_version is not None
    entry = OutboxEntry.put(
        actor=actor_of(reviewer),
        at=at,
        tenant_id=intent.tenant_id,
        intent=intent,
        screening=screening,
        decision=decision,
        approval_event_id=event.pk,
        connection=intent.connection,
        shard_key="made-up",
        tag=intent.current_version.tag,
        payload_hash=screening.payload_hash,
        not_before=not_before,
    )
    if to == State.APPROVED:
        return
    attempt = uuid.uuid4()
    fact: dict[str, Any] = {"entry": entry, "attempt_id": attempt, "at": at, "tick": 1}
    WriteLedgerEntry.write(phase=_Phase.SENT, actor=DISPATCHER, **fact)
    intent.advance(State.SUBMITTED, actor=DISPATCHER, at=at, detail=payload)
    if to == State.SUBMITTED:
        return
    if to == State.UNCERTAIN:
        WriteLedgerEntry.write(phase=_Phase.UNKNOWN, actor=DISPATCHER, status_code=502, **fact)
        intent.advance(State.UNCERTAIN, actor=DISPATCHER, at=at, reason="outcome-unknown")
        return
    if to in (State.REJECTED, State.FAILED):
        code = 422 if to == State.REJECTED else 403
        WriteLedgerEntry.write(phase=_Phase.REFUSED, actor=DISPATCHER, status_code=code, **fact)
        entry.close(actor=DISPATCHER, at=at, reason="refused")
        if to == State.REJECTED:
            intent.advance(
                State.REJECTED,
                actor=DISPATCHER,
                at=at,
                reason="refused-content",
                rejected_by=RejectedBy.EHR,
            )
        else:
            intent.advance(State.FAILED, actor=DISPATCHER, at=at, reason="not-permitted")
        return
    WriteLedgerEntry.write(phase=_Phase.ACKNOWLEDGED, actor=DISPATCHER, status_code=201, **fact)
    entry.close(actor=DISPATCHER, at=at, reason="acknowledged")
    intent.advance(
        State.ACCEPTED,
        actor=DISPATCHER,
        at=at,
        reason="acknowledged",
        finality=finality or screening.finality,
        resource_ref="Condition/new",
        resource_version="1",
    )
    if discrepancy:
        Discrepancy.open(
            intent=intent, kind=discrepancy, actor=RECONCILER, at=at, paths=["/clinical_status"]
        )
    if to == State.RECONCILED:
        WriteLedgerEntry.write(phase=_Phase.READ_BACK, actor=RECONCILER, **fact)
        intent.advance(State.RECONCILED, actor=RECONCILER, at=at, reason="read-back-equal")


def decide(
    intent: Intent, screening: Screening, *, reviewer: Membership, kind: str, at: datetime
) -> ReviewDecision:
    """One person's decision about one screening."""
    decision = ReviewDecision(
        tenant_id=intent.tenant_id,
        screening=screening,
        reviewer=reviewer,
        kind=kind,
        decided_at=at,
        payload_hash=screening.payload_hash,
        checks={"c1:entry": "yes"},
    )
    decision.save(force_insert=True)
    return decision
