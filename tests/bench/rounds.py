"""Limit and ours in turn, round after round; the median of the rounds' ratios, or "too noisy"."""

import statistics
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from typing import Any, Self

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
    # Where the limit is a fixed bound: what told in each round how busy the machine was.
    gauge: tuple[float, ...] = ()

    @property
    def ratio(self) -> float:
        return statistics.median(r.ratio for r in self.rounds)

    @property
    def verdict(self) -> str:
        limits = list(self.gauge) or [r.limit for r in self.rounds]
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
        ratios = [r.ratio for r in self.rounds]
        out.append(
            f"  median of {len(ratios)} rounds, spread {min(ratios):.2f} to {max(ratios):.2f}"
        )
        out += [
            f"  round {n}: limit {r.limit:,.1f} {self.unit}, ours {r.ours:,.1f} {self.unit}, ratio {r.ratio:.2f}"
            for n, r in enumerate(self.rounds, start=1)
        ]
        if self.remark:
            out.append(f"  {self.remark}")
        return out

    def as_json(self) -> dict[str, object]:
        return {**asdict(self), "ratio": self.ratio, "verdict": self.verdict}

    @classmethod
    def from_json(cls, found: dict[str, Any]) -> Self:
        """As `as_json` said it, in another process."""
        columns = {f.name: found[f.name] for f in fields(cls)}
        columns["rounds"] = tuple(Round(**each) for each in found["rounds"])
        columns["gauge"] = tuple(found["gauge"])
        return cls(**columns)


def measure(
    *, limit: Callable[[], float], ours: Callable[[], float], rounds: int
) -> tuple[Round, ...]:
    """Run limit and ours in turn."""
    return tuple(Round(limit=limit(), ours=ours()) for _ in range(rounds))
