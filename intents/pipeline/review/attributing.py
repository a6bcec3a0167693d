"""Who made an approved version and who answers for it: stored with the approval, in its transaction."""

from collections.abc import Sequence
from datetime import datetime
from uuid import uuid4

from audit.actors import ActorKind
from audit.encoding import canonical_bytes, sha256_hex
from ehr_adapters.contract import WirePlan
from intents.governance import roles
from intents.governance.models import User
from intents.models import Intent, Proposal, ProvenanceRecord, ReviewDecision
from intents.pipeline import gateway, provenance, sealing
from intents.pipeline.provenance import Approved, Person, Program, Used


def keep_provenance(
    intent: Intent,
    *,
    plan: WirePlan,
    approvals: Sequence[ReviewDecision],
    policy_hash: str,
    at: datetime,
) -> ProvenanceRecord:
    """The Provenance of the version that these decisions approve, and the request that files it.

    The caller names the row in the approval's audit event, so that filing can rely on its bytes.
    """
    decision = approvals[-1]
    record = ProvenanceRecord(
        id=uuid4(),
        tenant_id=intent.tenant_id,
        intent=intent,
        screening=decision.screening,
        decision=decision,
        created_at=at,
    )
    proposal = intent.proposal
    resource = provenance.compose(
        Approved(
            key=str(record.pk),
            plan=plan,
            program=_program(proposal),
            verifiers=[_verifier(each, intent) for each in approvals],
            author=_author(intent, decision),
            sources=[
                Used(kind=s.kind, sha256=s.text_sha256) for s in proposal.sources.order_by("ref")
            ],
            statements=[
                sealing.Statement.from_canonical(each.statement.encode()).hash()
                for each in approvals
            ],
            policy_hash=policy_hash,
            correlation_id=proposal.correlation_id,
            decided_at=decision.decided_at,
            recorded_at=at,
        )
    )
    record.set_phi("resource", resource, patient_ref=proposal.patient_ref)
    record.resource_hash = sha256_hex(canonical_bytes(resource))
    request = gateway.provenance_request(
        connection=intent.connection,
        provenance=resource,
        written=plan.target or plan.steps[0].path,
    )
    if request is not None:
        record.set_phi("request", request.to_json(), patient_ref=proposal.patient_ref)
        record.request_hash = request.request_hash()
    record.save(force_insert=True)
    return record


def _program(proposal: Proposal) -> Program:
    release = proposal.agent_release
    model = proposal.model or {}
    return Program(
        id=str(proposal.agent_id),
        name=proposal.agent.name,
        release=release.version if release else "",
        model=" ".join(str(model[n]) for n in ("name", "version") if model.get(n)),
        prompt_hash=str(model.get("prompt_hash") or (release.prompt_hash if release else "")),
    )


def _verifier(decision: ReviewDecision, intent: Intent) -> Person:
    member = decision.reviewer
    if member is None:
        raise ValueError("Nobody verified what no person approved.")
    return _person(member.user, intent, role=member.clinical_role)


def _author(intent: Intent, decision: ReviewDecision) -> Person | None:
    """The person whose words the approved version has; None where they are the program's own."""
    version = decision.screening.version
    if version.author_kind == ActorKind.AGENT:
        return None
    user = User.objects.filter(pk=version.author_id).first()
    return _person(user, intent) if user else Person(id=version.author_id, name=version.author_name)


def _person(user: User, intent: Intent, *, role: str = "") -> Person:
    known = roles.identity_of(user=user, connection=intent.connection)
    return Person(
        id=str(user.pk),
        name=user.name or user.email,
        role=role.lower(),
        practitioner=known.practitioner_ref if known else "",
    )
