"""The facts that the rules ask about, and the rules in force.

`standing` is what can change while draft and chart stay as they are, `content` what the draft says, `medicines`
what it says about a medicine beside this chart, `messages` whom it tells what, `chart` whose chart it is.
"""

from intents.pipeline.screening.facts.chart import is_under_18
from intents.pipeline.screening.facts.deciding import (
    NO_GRANT,
    Decided,
    NoRulesInForce,
    decide,
    no_longer_allowed,
    policy_now,
)

__all__ = [
    "NO_GRANT",
    "Decided",
    "NoRulesInForce",
    "decide",
    "is_under_18",
    "no_longer_allowed",
    "policy_now",
]
