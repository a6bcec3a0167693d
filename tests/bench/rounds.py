"""Limit and ours in turn, round after round; the median of the rounds' ratios, or "too noisy"."""

import statistics
from collections.abc import Callable
from dataclasses import asdict, dataclass

NOISE = 2.0  # the limit itself moving by more than this between rounds says nothing about us


@dataclass(frozen=True, slots=True)
class Round:
    limit: float
    ours: float

    @property
    def ratio(self) -> float:
        return self.ours / self.limit


@dataclass(frozen=True, slots=True)
class Result:
    """One goal. `unit` is that of limit and ours; `at_most` says in which direction the goal lies."""

    name: str
    unit: str
    goal: float | None
    at_most: bool
    rounds: tuple[Round, ...]
    remark: str = ""

    @property
    def ratio(self) -> float:
        return statistics.median(r.ratio for r in self.rounds)

    @property
    def verdict(self) -> str:
        limits = [r.limit for r in self.rounds]
        if max(limits) > NOISE * min(limits):
            return "too noisy"
        if self.goal is None:
            return "no goal"
        reached = self.ratio <= self.goal if self.at_most else self.ratio >= self.goal
        return "reached" if reached else "missed"

    def lines(self) -> list[str]:
        sign = "<=" if self.at_most else ">="
        wanted = f"goal {sign} {self.goal:g}" if self.goal is not None else "printed beside"
        out = [f"{self.name}: {self.ratio:.2f} ({wanted}), {self.verdict}"]
        out += [
            f"  round {n}: limit {r.limit:,.1f} {self.unit}, ours {r.ours:,.1f} {self.unit}, ratio {r.ratio:.2f}"
            for n, r in enumerate(self.rounds, start=1)
        ]
        if self.remark:
            out.append(f"  {self.remark}")
        return out

    def as_json(self) -> dict[str, object]:
        return {**asdict(self), "ratio": self.ratio, "verdict": self.verdict}


def measure(
    *, limit: Callable[[], float], ours: Callable[[], float], rounds: int
) -> tuple[Round, ...]:
    """Run limit and ours in turn."""
    return tuple(Round(limit=limit(), ours=ours()) for _ in range(rounds))
