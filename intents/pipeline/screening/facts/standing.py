"""Who asks, by what right: facts that can change while draft and chart stay as they are."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from audit.actors import ActorKind
from ehr_adapters.canonical import base as canonical
from intents.governance import consent, scopes
from intents.governance.models import Agent, EhrConnection
from intents.lifecycle import Lane
from intents.models import Intent, IntentVersion
from intents.queries import stages

NO_GRANT = "none"
# HL7 v3 PurposeOfUse, as the grants have it.
_TREATMENT = "TREAT"
_CONSENT = {
    consent.Consent.PERMIT: "permit",
    consent.Consent.DENY: "deny",
    consent.Consent.NONE: "none",
}


@dataclass(frozen=True, slots=True)
class Standing:
    """What can change from one minute to the next without the draft or the chart changing."""

    facts: Mapping[str, Any]
    consent: consent.ConsentAnswer


def standing_of(*, intent: Intent, version: IntentVersion, at: datetime) -> Standing:
    proposal, connection = intent.proposal, intent.connection
    agent, release, tenant = proposal.agent, proposal.agent_release, intent.tenant
    held = _grant(intent=intent, agent=agent, connection=connection, at=at)
    asked_by_person = bool(intent.corrects_id) or _was_begun_by_a_person(intent)
    purpose = held.grant.purpose if held else (_TREATMENT if asked_by_person else "")
    answer = consent.ask(
        connection=connection,
        patient_ref=proposal.patient_ref,
        purpose=purpose,
        kind=intent.change_kind,
        interaction=intent.interaction,
        at=at,
    )
    requested, granted = _lanes(intent=intent, version=version, held=held)
    return Standing(
        facts={
            "agent_id": str(agent.pk),
            "agent_enabled": agent.enabled,
            "model_known": bool(
                release
                and release.active_from <= at
                and (release.active_until is None or release.active_until > at)
            ),
            "requested_lane": requested,
            "granted_lane": granted,
            "autonomy_enabled": tenant.autonomy_enabled,
            "connection_kind": connection.kind,
            "environment": connection.environment,
            "rollout": connection.rollout,
            "sent_at_stage": not stages.why_not_sent(connection, intent),
            "connection_admits": tenant.write_back_enabled and connection.write_back_enabled,
            "purpose": purpose,
            "consent": _CONSENT[answer.consent],
        },
        consent=answer,
    )


def _grant(
    *, intent: Intent, agent: Agent, connection: EhrConnection, at: datetime
) -> scopes.Held | None:
    """The grant that holds today for what the agent asked for. What a person changed since is not asked of it."""
    first = intent.versions.order_by("number").first()
    content: Mapping[str, Any] = first.phi_json("content") if first else {}
    facts = {
        name: value
        for name, value in content.items()
        if isinstance(value, str) and name in {"category", "status", "clinical_status", "mode"}
    }
    facts.setdefault("status", facts.get("clinical_status", ""))
    rule = canonical.kind_model(intent.change_kind).rules[canonical.Interaction(intent.interaction)]
    fixed = {name for name, _ in rule.fixed}
    return scopes.find_held(
        scopes.live_grants(agent=agent, connection=connection, at=at),
        lane_ceiling=agent.lane_ceiling,
        fhir_type=canonical.fhir_type_of(intent.change_kind, content, target=intent.target_ref),
        letter=scopes.CREATE if intent.interaction == "create" else scopes.UPDATE,
        fields=content.keys() - fixed - {"encounter", "amends"},
        facts=facts,
        encounter_ref=intent.proposal.encounter_ref or str(content.get("encounter", "")),
    )


def _lanes(*, intent: Intent, version: IntentVersion, held: scopes.Held | None) -> tuple[str, str]:
    """(asked for, granted). What a person promoted or wrote goes to a reviewer, however narrow the agent's lane."""
    if intent.corrects_id or _was_begun_by_a_person(intent):
        # Asked for by a person whose role may; no agent's grant is behind it, and a reviewer decides.
        return Lane.SUGGEST.value, Lane.SUGGEST.value
    if held is None:
        return intent.lane, NO_GRANT
    by_person = version.author_kind != ActorKind.AGENT
    promoted = intent.lane != Lane.DRAFT and intent.proposal.lane == Lane.DRAFT
    if by_person or promoted:
        return Lane.SUGGEST.value, Lane.SUGGEST.value
    return intent.lane, held.lane.value


def _was_begun_by_a_person(intent: Intent) -> bool:
    """Did a reviewer draft it, as the way for a change that cannot be written?"""
    first = intent.versions.order_by("number").first()
    return first is not None and first.author_kind == ActorKind.REVIEWER
