"""What a change needs before it may be written, decided by Cedar rules that people can read.

One pure, total function: the facts, the rules and their schema in, a verdict out. The rules answer
yes or no, so a tier costs one question each, and all three are asked in one batch: may this be
written after two approvals, after one, at once? The first No from the strict end is the tier. Whatever
the engine cannot evaluate without an error, and whatever fact is missing, is BLOCKED.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from enum import StrEnum
from functools import lru_cache
from importlib.metadata import version
from typing import Any

from cedarpy import (
    AuthzResult,
    Decision,
    PolicySet,
    Schema,
    is_authorized_batch,
    policies_to_json_str,
    validate_policies,
)

from audit.encoding import canonical_bytes, sha256_hex
from intents.lifecycle import Lane, Tier, effective_lane

ENGINE = f"cedarpy {version('cedarpy')}"

AFTER_TWO = "commit_after_two_approvals"
AFTER_ONE = "commit_after_approval"
AT_ONCE = "commit"

# Reasons that no rule of the policy text gives.
NO_RULE = "DEFAULT-DENY"
MISSING_FACT = "MISSING-FACT"
NOT_EVALUABLE = "NOT-EVALUABLE"


class Outcome(StrEnum):
    """Where the verdict places a change at screening; values are states of `lifecycle.State`."""

    PENDING_APPROVAL = "PENDING_APPROVAL"
    APPROVED = "APPROVED"
    HELD = "HELD"
    REJECTED = "REJECTED"
    # the draft lane rests here until a person promotes it
    VALIDATED = "VALIDATED"


class Risk(StrEnum):
    """How dangerous a change is to get wrong: the friction of the review page follows it."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyContext:
    """Every fact that rules may ask about. None means that nobody knows: a missing fact blocks.

    "Not applicable" is a value of its own ("n/a", -1, an empty set), so that a rule about medicines
    can be asked about a note. Sets of codes are RxNorm, SNOMED CT, LOINC or ICD-10-CM codes as text.
    """

    # who asks, and how far it may go; lanes: draft, suggest, commit; granted also none
    agent_id: str | None = None
    agent_enabled: bool | None = None
    model_known: bool | None = None
    requested_lane: str | None = None
    granted_lane: str | None = None
    autonomy_enabled: bool | None = None
    # where it would go
    connection_kind: str | None = None
    environment: str | None = None
    rollout: str | None = None
    sent_at_stage: bool | None = None  # is this change among those that the stage sends
    connection_admits: bool | None = None
    finality: str | None = None
    retry_class: str | None = None
    label_carried: bool | None = None
    # what it is
    change_id: str | None = None
    kind: str | None = None
    interaction: str | None = None
    category: str | None = None
    mode: str | None = None
    sensitivity: str | None = None
    fields: frozenset[str] | None = None
    codes: frozenset[str] | None = None
    written_by_portal: bool | None = None
    # whose chart, by what right
    purpose: str | None = None
    consent: str | None = None  # permit, deny, none (no directive applies)
    identity: str | None = None  # verified, doubtful
    encounter: str | None = None  # open, closed, none, unknown
    under_18: bool | None = None
    deceased: bool | None = None
    holds: frozenset[str] | None = None
    # what it rests on: per cent, -1 where the agent said nothing
    confidence: int | None = None
    contradicted: bool | None = None
    unsupported: bool | None = None
    # medicines and orders
    ingredients: frozenset[str] | None = None
    ingredients_known: bool | None = None
    route: str | None = None
    dose_change: str | None = (
        None  # n/a, new, within, more-than-double, less-than-half, other-unit, unknown
    )
    doses_per_week: int | None = None
    allergy_conflict: str | None = None  # n/a, none, conflict, unreadable
    duplicate_entries: int | None = None
    egfr: int | None = None
    egfr_state: str | None = None  # n/a, known, not-recorded, unreadable
    pregnancy: str | None = None  # n/a, yes, no, not-recorded, unreadable
    # allergies
    lowers_allergy: bool | None = None
    no_known_allergies: bool | None = None
    # messages
    recipient: str | None = None  # patient, proxy, ""
    carries: frozenset[str] | None = None

    def missing(self) -> tuple[str, ...]:
        """The names of the facts that nobody supplied."""
        return tuple(f.name for f in fields(self) if getattr(self, f.name) is None)

    def as_input(self) -> dict[str, Any]:
        """The facts as JSON: what the engine is given, and what is stored with the verdict."""
        out: dict[str, Any] = {}
        for item in fields(self):
            value = getattr(self, item.name)
            if value is not None:
                out[item.name] = sorted(value) if isinstance(value, frozenset) else value
        return out

    @classmethod
    def from_input(cls, data: Mapping[str, Any]) -> "PolicyContext":
        """The facts of a stored verdict, so that it can be decided again under other rules."""
        facts: dict[str, Any] = {
            name: frozenset(value) if isinstance(value, list) else value
            for name, value in data.items()
        }
        return cls(**facts)


@dataclass(frozen=True, slots=True)
class Reason:
    """One rule that decided: its `@id`, the sentence that a person reads, and where it permits its `@risk`."""

    rule: str
    sentence: str
    risk: str = ""

    def to_json(self) -> dict[str, str]:
        told = {"rule": self.rule, "reason": self.sentence}
        return told | {"risk": self.risk} if self.risk else told


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the rules say about one change, why, under which rules and from which facts."""

    tier: Tier
    lane: Lane | None
    outcome: Outcome
    risk: Risk
    reasons: tuple[Reason, ...]
    policy_hash: str
    input_hash: str
    input: Mapping[str, Any]
    engine: str = ENGINE

    @property
    def sentence(self) -> str:
        """The first reason: rules name the strictest first."""
        return self.reasons[0].sentence if self.reasons else ""


@dataclass(frozen=True, slots=True)
class _Rules:
    """Prepared once per text: parsing is most of the cost of a question."""

    policies: PolicySet
    schema: Schema
    facts: frozenset[str]
    annotations: Mapping[str, Mapping[str, str]]


@lru_cache(maxsize=64)
def _prepare(policy_text: str, schema_text: str) -> _Rules:
    parsed = json.loads(policies_to_json_str(policy_text))["staticPolicies"]
    return _Rules(
        policies=PolicySet.from_str(policy_text),
        schema=Schema.from_json_str(schema_text),
        facts=frozenset(json.loads(schema_text)[""]["commonTypes"]["Facts"]["attributes"]),
        annotations={
            name: {k: v or "" for k, v in rule.get("annotations", {}).items()}
            for name, rule in parsed.items()
        },
    )


def policy_hash(policy_text: str) -> str:
    """SHA-256 of the rules' text, as stored with every verdict."""
    return sha256_hex(policy_text.encode())


def check_policy(*, policy_text: str, schema_text: str) -> tuple[str, ...]:
    """What is wrong with proposed rules; empty when they may be put up for approval.

    They must parse, fit the schema, and give every rule an `@id` of its own and an `@reason`.
    """
    try:
        rules = _prepare(policy_text, schema_text)
    except (ValueError, KeyError, TypeError) as error:
        return (f"The rules or their schema cannot be read: {error}",)
    problems = [str(e) for e in validate_policies(policy_text, schema_text).errors]
    seen: set[str] = set()
    for name, notes in rules.annotations.items():
        rule = notes.get("id", "")
        if not rule or rule in seen:
            problems.append(f"{name}: every rule has an @id of its own.")
        seen.add(rule)
        if not notes.get("reason"):
            problems.append(f"{rule or name}: every rule has an @reason, a sentence for people.")
        if notes.get("risk", Risk.HIGH) not in list(Risk):
            problems.append(f"{rule or name}: @risk is low, medium or high.")
    if rules.facts != {f.name for f in fields(PolicyContext)}:
        problems.append("The schema's facts are not those that the portal supplies.")
    return tuple(problems)


def evaluate(context: PolicyContext, *, policy_text: str, schema_text: str) -> Verdict:
    """The verdict on one change. Never raises: what cannot be decided is BLOCKED."""
    facts = context.as_input()
    tier, reasons, risk, holds = _decide(
        context, facts, policy_text=policy_text, schema_text=schema_text
    )
    lane = _lane(context, tier)
    return Verdict(
        tier=tier,
        lane=lane,
        outcome=Outcome.HELD if holds else _place(context, tier=tier, lane=lane),
        risk=risk,
        reasons=reasons,
        policy_hash=policy_hash(policy_text),
        input_hash=_hash(facts),
        input=facts,
    )


def _hash(facts: Mapping[str, Any]) -> str:
    return sha256_hex(canonical_bytes(facts))


def _decide(
    context: PolicyContext, facts: Mapping[str, Any], *, policy_text: str, schema_text: str
) -> tuple[Tier, tuple[Reason, ...], Risk, bool]:
    """Tier, reasons, risk; and whether what blocks only asks for somebody to clear it."""
    missing = context.missing()
    if missing:
        return _blocked(
            MISSING_FACT, f"A fact that the rules need is missing: {', '.join(missing)}."
        )
    try:
        rules = _prepare(policy_text, schema_text)
        two, one, now = is_authorized_batch(
            [
                {
                    "principal": {"type": "Agent", "id": str(context.agent_id)},
                    "action": {"type": "Action", "id": action},
                    "resource": {"type": "Change", "id": str(context.change_id)},
                    "context": dict(facts),
                }
                for action in (AFTER_TWO, AFTER_ONE, AT_ONCE)
            ],
            rules.policies,
            [],
            rules.schema,
        )
    except (ValueError, KeyError, TypeError, RecursionError):
        return _blocked(NOT_EVALUABLE, "The rules could not be evaluated, so nothing is allowed.")
    answers = (two, one, now)
    if any(a.diagnostics.errors or a.decision is Decision.NoDecision for a in answers):
        # A forbid that errors is skipped by the engine: without this line it would loosen.
        return _blocked(NOT_EVALUABLE, "The rules could not be evaluated, so nothing is allowed.")
    if not two.allowed:
        return Tier.BLOCKED, _reasons(rules, two) or _default_deny(), Risk.HIGH, _holds(rules, two)
    if not one.allowed:
        return Tier.DUAL_APPROVAL, _reasons(rules, one, two), Risk.HIGH, False
    if not now.allowed:
        return Tier.APPROVAL, _reasons(rules, one), _risk(rules, one), False
    return Tier.AUTONOMOUS, _reasons(rules, now), _risk(rules, now), False


def _blocked(rule: str, sentence: str) -> tuple[Tier, tuple[Reason, ...], Risk, bool]:
    return Tier.BLOCKED, (Reason(rule, sentence),), Risk.HIGH, False


def _holds(rules: _Rules, answer: AuthzResult) -> bool:
    """Every rule that forbids is marked `@hold`: a doubt that a person can clear, not a refusal."""
    names = answer.diagnostics.reasons
    return bool(names) and all("hold" in rules.annotations.get(name, {}) for name in names)


def _default_deny() -> tuple[Reason, ...]:
    return (Reason(NO_RULE, "No rule allows this change, and what is not allowed is refused."),)


def _reasons(rules: _Rules, *answers: AuthzResult) -> tuple[Reason, ...]:
    """The deciding rules of each answer in turn, by rule id within one: independent of text order."""
    out: list[Reason] = []
    for answer in answers:
        notes = [rules.annotations.get(name, {}) for name in answer.diagnostics.reasons]
        found = {
            Reason(n.get("id", ""), n.get("reason", ""), _risk_of(n) if answer.allowed else "")
            for n in notes
        }
        out += sorted(found - set(out), key=lambda r: (r.rule, r.sentence))
    return tuple(out)


def _risk(rules: _Rules, answer: AuthzResult) -> Risk:
    """The highest `@risk` of the rules that allowed it."""
    named = [_risk_of(rules.annotations.get(name, {})) for name in answer.diagnostics.reasons]
    return max(named, key=list(Risk).index, default=Risk.HIGH)


def _risk_of(notes: Mapping[str, str]) -> Risk:
    """A rule without a `@risk` counts as high."""
    return Risk(notes.get("risk", Risk.HIGH))


def _lane(context: PolicyContext, tier: Tier) -> Lane | None:
    if context.requested_lane not in list(Lane) or context.granted_lane not in list(Lane):
        return None
    return effective_lane(
        requested=Lane(context.requested_lane), granted=Lane(context.granted_lane), tier=tier
    )


def _place(context: PolicyContext, *, tier: Tier, lane: Lane | None) -> Outcome:
    """Where the change goes. Doubt about whose chart this is comes first: the facts may be another's."""
    if context.identity == "doubtful":
        return Outcome.HELD
    if tier is Tier.BLOCKED or lane is None:
        return Outcome.REJECTED
    if context.holds:
        return Outcome.HELD
    if lane is Lane.DRAFT:
        return Outcome.VALIDATED
    if tier is Tier.AUTONOMOUS and lane is Lane.COMMIT and context.autonomy_enabled:
        return Outcome.APPROVED
    return Outcome.PENDING_APPROVAL
