"""The rules in force, asked about the facts of one change."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from ehr_adapters.capabilities import Capability
from ehr_adapters.contract import Baseline
from intents.governance.consent import Consent, ConsentAnswer
from intents.governance.models import PolicyVersion
from intents.lifecycle import Tier, strictest
from intents.models import Intent, IntentVersion, Screening
from intents.pipeline.policy import Outcome, PolicyContext, Verdict, evaluate
from intents.pipeline.screening.facts.chart import chart_facts, destination_facts
from intents.pipeline.screening.facts.content import content_facts
from intents.pipeline.screening.facts.standing import NO_GRANT, Standing, standing_of
from intents.pipeline.validation import IDENTITY_HOLDS, Draft, Finding

__all__ = ["NO_GRANT", "Decided", "NoRulesInForce", "decide", "no_longer_allowed", "policy_now"]


@dataclass(frozen=True, slots=True)
class Decided:
    """A verdict, the rules that gave it, what the patient's directives said, and when it was asked for."""

    verdict: Verdict
    policy_version: PolicyVersion
    consent: ConsentAnswer
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
    standing = standing_of(intent=intent, version=version, at=at)
    context = replace(
        content_facts(str(intent.pk), draft=draft, baseline=baseline, at=at),
        **standing.facts,
        **chart_facts(draft=draft, baseline=baseline, at=at),
        **destination_facts(capability),
        holds=frozenset(f.code for f in found if f.holds),
        identity="doubtful" if any(f.code in IDENTITY_HOLDS for f in found) else "verified",
        confidence=min(
            (c.confidence for c in draft.evidence if c.confidence is not None), default=-1
        ),
        contradicted=any("contradicted" in f.code for f in found),
        unsupported=any(f.code.endswith(("-absent", "-unavailable")) for f in found),
    )
    return _asked(context, standing=standing, rules=_rules(intent, at=at))


def policy_now(
    *,
    intent: Intent,
    screening: Screening,
    at: datetime,
    moment: str = "approval",
    since: Decided | None = None,
) -> Decided:
    """The rules of this moment on the facts of a screening, with today's agent, grants, consent, connection.

    `moment`: approval or claim. `since`: an earlier answer about the same screening, given back as it is where
    no fact and no rule has changed since, for the rules answer the same question alike. Raises
    `NoRulesInForce`, also where the screening has no verdict to start from.
    """
    before = PolicyContext.from_input(
        since.verdict.input if since is not None else _first_input(screening)
    )
    standing = standing_of(intent=intent, version=screening.version, at=at)
    context = replace(before, **standing.facts)
    rules = _rules(intent, at=at)
    if (
        since is not None
        and context == before
        and (rules.pk, rules.content_hash) == (since.policy_version.pk, since.verdict.policy_hash)
        and standing.consent == since.consent
    ):
        return since
    return replace(_asked(context, standing=standing, rules=rules), moment=moment)


def no_longer_allowed(
    answer: Decided, *, screening: Screening, tier: Tier, asked: bool = False
) -> str:
    """ "" when what was shown under `tier` may still be written, else the code of what does not allow it any more.

    A permission that was there when it was put to the rules before and is gone now stops it also where the rules
    ask for none. `asked`: this very answer was looked at before.
    """
    if not asked and _is_permission_gone(answer, screening=screening):
        return "consent-ended"
    stricter = strictest([tier, answer.verdict.tier]) != tier
    if not stricter and answer.verdict.outcome not in (Outcome.HELD, Outcome.REJECTED):
        return ""
    return "consent-withdrawn" if answer.consent.consent is Consent.DENY else "rules-tightened"


def _is_permission_gone(answer: Decided, *, screening: Screening) -> bool:
    return answer.consent.consent is Consent.NONE and any(
        verdict.phi_json("input").get("consent") == "permit"
        for verdict in screening.verdicts.exclude(moment="claim").exclude(consent_directives=[])
    )


def _first_input(screening: Screening) -> Mapping[str, Any]:
    earlier = screening.verdicts.filter(moment="screening").order_by("-at", "-id").first()
    if earlier is None:
        raise NoRulesInForce("The change was never put to the rules.")
    facts: Mapping[str, Any] = earlier.phi_json("input")
    return facts


def _rules(intent: Intent, *, at: datetime) -> PolicyVersion:
    rules = PolicyVersion.in_force(tenant_id=intent.tenant_id, at=at)
    if rules is None:
        raise NoRulesInForce("No rules are in force.")
    return rules


def _asked(context: PolicyContext, *, standing: Standing, rules: PolicyVersion) -> Decided:
    verdict = evaluate(context, policy_text=rules.content, schema_text=rules.schema)
    return Decided(verdict=verdict, policy_version=rules, consent=standing.consent)
