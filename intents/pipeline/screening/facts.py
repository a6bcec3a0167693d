"""The facts that the rules ask about, and the rules in force."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any

from audit.actors import ActorKind
from ehr_adapters.canonical import base as canonical
from ehr_adapters.capabilities import Capability
from ehr_adapters.contract import Baseline, PatientIdentity
from intents.governance import consent, scopes
from intents.governance.models import Agent, EhrConnection, PolicyVersion
from intents.lifecycle import Lane
from intents.models import Intent, IntentVersion, Screening
from intents.pipeline.policy import PolicyContext, Verdict, evaluate
from intents.pipeline.validation import IDENTITY_HOLDS, Draft, Finding

NO_GRANT = "none"
_CONSENT = {
    consent.Consent.PERMIT: "permit",
    consent.Consent.DENY: "deny",
    consent.Consent.NONE: "none",
}
# Kinds about which no rule asks for doses, reactions or recipients: those facts do not apply to them.
_PLAIN_KINDS = frozenset({"note", "problem"})


@dataclass(frozen=True, slots=True)
class Decided:
    """A verdict, the rules that gave it, what the patient's directives said, and when it was asked for."""

    verdict: Verdict
    policy_version: PolicyVersion
    consent: consent.ConsentAnswer
    moment: str = "screening"


class NoRulesInForce(RuntimeError):
    """The tenant has no policy in force: nothing can be decided, and so nothing may be written."""


def decide(
    *,
    intent: Intent,
    version: IntentVersion,
    draft: Draft,
    baseline: Baseline | None,
    capability: Capability | None,
    findings: Iterable[Finding],
    at: datetime,
) -> Decided:
    """What the rules in force say about a draft with these findings. Raises `NoRulesInForce`."""
    found = tuple(findings)
    standing = _standing(intent=intent, version=version, at=at)
    context = replace(
        _content_facts(intent, draft=draft, baseline=baseline),
        **standing.facts,
        **_chart_facts(draft=draft, baseline=baseline, at=at),
        **_destination_facts(capability),
        holds=frozenset(f.code for f in found if f.holds),
        identity="doubtful" if any(f.code in IDENTITY_HOLDS for f in found) else "verified",
        confidence=min(
            (c.confidence for c in draft.evidence if c.confidence is not None), default=-1
        ),
        contradicted=any("contradicted" in f.code for f in found),
        unsupported=any(f.code.endswith(("-absent", "-unavailable")) for f in found),
    )
    return _asked(context, standing=standing, intent=intent, at=at)


def policy_now(
    *, intent: Intent, screening: Screening, at: datetime, moment: str = "approval"
) -> Decided:
    """The rules of this moment on the facts of a screening, with today's agent, grants, consent, connection.

    `moment`: approval or claim. Raises `NoRulesInForce`, also where the screening has no verdict to start from.
    """
    earlier = screening.verdicts.filter(moment="screening").order_by("-at", "-id").first()
    if earlier is None:
        raise NoRulesInForce("The change was never put to the rules.")
    standing = _standing(intent=intent, version=screening.version, at=at)
    context = replace(PolicyContext.from_input(earlier.phi_json("input")), **standing.facts)
    return replace(_asked(context, standing=standing, intent=intent, at=at), moment=moment)


@dataclass(frozen=True, slots=True)
class _Standing:
    """What can change from one minute to the next without the draft or the chart changing."""

    facts: Mapping[str, Any]
    consent: consent.ConsentAnswer


def _asked(context: PolicyContext, *, standing: _Standing, intent: Intent, at: datetime) -> Decided:
    rules = PolicyVersion.in_force(tenant_id=intent.tenant_id, at=at)
    if rules is None:
        raise NoRulesInForce("No rules are in force.")
    verdict = evaluate(context, policy_text=rules.content, schema_text=rules.schema)
    return Decided(verdict=verdict, policy_version=rules, consent=standing.consent)


# --- who asks, by what right ---------------------------------------------------------------------


def _standing(*, intent: Intent, version: IntentVersion, at: datetime) -> _Standing:
    proposal, connection = intent.proposal, intent.connection
    agent, release, tenant = proposal.agent, proposal.agent_release, intent.tenant
    held = _grant(intent=intent, agent=agent, connection=connection, at=at)
    purpose = held.grant.purpose if held else ""
    answer = consent.ask(
        connection=connection,
        patient_ref=proposal.patient_ref,
        purpose=purpose,
        kind=intent.change_kind,
        interaction=intent.interaction,
        at=at,
    )
    requested, granted = _lanes(intent=intent, version=version, held=held)
    return _Standing(
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
        fhir_type=canonical.fhir_type(intent.change_kind),
        letter=scopes.CREATE if intent.interaction == "create" else scopes.UPDATE,
        fields=content.keys() - fixed - {"encounter", "amends"},
        facts=facts,
        encounter_ref=intent.proposal.encounter_ref or str(content.get("encounter", "")),
    )


def _lanes(*, intent: Intent, version: IntentVersion, held: scopes.Held | None) -> tuple[str, str]:
    """(asked for, granted). What a person promoted or wrote goes to a reviewer, however narrow the agent's lane."""
    if held is None:
        return intent.lane, NO_GRANT
    by_person = version.author_kind != ActorKind.AGENT
    promoted = intent.lane != Lane.DRAFT and intent.proposal.lane == Lane.DRAFT
    if by_person or promoted:
        return Lane.SUGGEST.value, Lane.SUGGEST.value
    return intent.lane, held.lane.value


# --- what it says, about whom, to where ------------------------------------------------------------


def _content_facts(intent: Intent, *, draft: Draft, baseline: Baseline | None) -> PolicyContext:
    target = baseline.target if baseline else None
    before = dict(target.canonical) if target and not draft.is_new else {}
    after = draft.change.applied_to(before) if draft.change else {**before, **draft.content}
    context = PolicyContext(
        change_id=str(intent.pk),
        kind=draft.kind,
        interaction=draft.interaction,
        category=_category(draft.kind, after),
        mode=str(draft.content.get("mode") or "append") if draft.kind == "note" else "",
        sensitivity=str(after.get("sensitivity") or "normal"),
        fields=frozenset(draft.content),
        codes=frozenset(_codes(after)),
        written_by_portal=draft.own_target,
    )
    if draft.kind not in _PLAIN_KINDS:
        # Doses, reactions, recipients: until somebody supplies these facts, such a kind stays blocked.
        return context
    return replace(
        context,
        ingredients=frozenset(),
        ingredients_known=True,
        route="",
        dose_change="n/a",
        doses_per_week=0,
        allergy_conflict="n/a",
        duplicate_entries=0,
        egfr=-1,
        egfr_state="n/a",
        pregnancy="n/a",
        lowers_allergy=False,
        no_known_allergies=False,
        recipient="",
        carries=frozenset(),
    )


def _category(kind: str, after: Mapping[str, Any]) -> str | None:
    """The value that the rules tell notes and problems apart by; None where the chart does not say it."""
    if kind == "note":
        return str((after.get("type") or {}).get("code", ""))
    if kind == "problem":
        return after.get("category")
    return str(after.get("category") or "")


def _codes(value: Any) -> Iterable[str]:
    if isinstance(value, Mapping):
        if isinstance(value.get("code"), str) and "system" in value:
            yield value["code"]
        for part in value.values():
            yield from _codes(part)
    elif isinstance(value, (list, tuple)):
        for part in value:
            yield from _codes(part)


def _chart_facts(*, draft: Draft, baseline: Baseline | None, at: datetime) -> dict[str, Any]:
    identity = baseline.identity if baseline else None
    return {
        "under_18": is_under_18(identity, at=at) if identity else None,
        "deceased": identity.deceased if identity else None,
        "encounter": _encounter(draft, baseline),
    }


def _encounter(draft: Draft, baseline: Baseline | None) -> str:
    if not draft.encounter_ref:
        return "none"
    if baseline is None or baseline.visit is None:
        return "unknown"
    return "open" if baseline.visit.open else "closed"


def is_under_18(identity: PatientIdentity, *, at: datetime) -> bool | None:
    """By the latest day that a partial birth date allows; None without a birth date."""
    parts = identity.birth_date.split("-")
    if not parts[0].isdigit():
        return None
    year = int(parts[0])
    month = int(parts[1]) if len(parts) > 1 else 12
    day = int(parts[2]) if len(parts) > 2 else 28
    today = at.date()
    try:
        birthday = date(year + 18, month, day)
    except ValueError:
        # Born on 29 February: of age on 1 March where there is no such day.
        birthday = date(year + 18, 3, 1)
    return today < birthday


def _destination_facts(capability: Capability | None) -> dict[str, Any]:
    """None, and so blocked, for a destination that does not take this kind of change."""
    if capability is None:
        return {}
    return {
        "finality": capability.finality.value,
        "retry_class": capability.retry.value,
        "label_carried": "sensitivity" in capability.labels_carried,
    }
