"""May it still be written? Who approved it, who drafted it, the rules and the patient's consent, as of now.

Asked at the claim and again just before the socket: what was allowed when it was approved may not be any
more a moment later.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from audit.actors import Actor, ActorKind
from intents.governance import roles
from intents.lifecycle import Tier
from intents.models import Intent, OutboxEntry, PolicyVerdict
from intents.pipeline import screening
from intents.pipeline.screening.facts import Decided, NoRulesInForce

# Another machine's clock may be a little ahead of this attempt's: what somebody there has just put into force
# or taken back counts at once, and not only when this clock gets there. It can only stop a write sooner.
_CLOCKS_APART = timedelta(seconds=5)


@dataclass(frozen=True, slots=True)
class Withdrawn:
    """Why it may not be written any more: a code of delivery's reasons, and the rules where they decided."""

    code: str
    actor: Actor | None = None


@dataclass(frozen=True, slots=True)
class Standing:
    """What holds now: why it may not be written (None: it may), and what the rules said, if asked."""

    withdrawn: Withdrawn | None
    answer: Decided | None = None


def standing(
    intent: Intent, entry: OutboxEntry, *, at: datetime, since: Decided | None = None
) -> Standing:
    """Does every person, program, rule and directive that the approval rests on still allow it at `at`?

    Only reads: what the rules said is for the caller to keep, with `keep`. `since`: what they said at the claim.
    """
    for decision in entry.screening.decisions.filter(
        round=entry.decision.round, kind__in=("approve", "second")
    ).select_related("reviewer__user", "reviewer__tenant"):
        if decision.reviewer is not None and not roles.permits(
            decision.reviewer, roles.Permission.DECIDE
        ):
            return Standing(Withdrawn("approver-suspended"))
    if not intent.proposal.agent.enabled:
        return Standing(Withdrawn("agent-suspended"))
    try:
        answer = screening.policy_now(
            intent=intent, screening=entry.screening, at=at + _CLOCKS_APART, since=since
        )
    except NoRulesInForce:
        nobody = Actor.system(ActorKind.POLICY).with_authority("no rules in force")
        return Standing(Withdrawn("rules-tightened", nobody))
    code = screening.no_longer_allowed(
        answer, screening=entry.screening, tier=Tier(intent.tier), asked=answer is since
    )
    if not code:
        return Standing(None, answer)
    return Standing(Withdrawn(code, screening.policy_actor(answer)), answer)


def keep(standing: Standing, entry: OutboxEntry, *, at: datetime) -> PolicyVerdict | None:
    """Store what the rules said. Must be called in a transaction."""
    if standing.answer is None:
        return None
    return screening.keep_verdict(standing.answer, screening=entry.screening, moment="claim", at=at)
