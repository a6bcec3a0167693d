"""Counted checks: a run that never asked about an invariant has shown nothing about it."""

from collections import Counter

# Of the twelve, I2, I4 and I11 are also checked millions of times on the decision core alone (tests.simulation).
NUMBERS = tuple(f"I{number}" for number in range(1, 13))


class Broken(AssertionError):
    """Something that must always hold does not. The text begins with its number."""


class Checks:
    """How often each invariant was asked about."""

    def __init__(self) -> None:
        self.asked: Counter[str] = Counter()

    def hold(self, condition: object, what: str) -> None:
        """Raise `Broken` with `what`, which begins with "I1:" to "I12:", unless the condition is true."""
        self.asked[what.partition(":")[0]] += 1
        if not condition:
            raise Broken(what)
