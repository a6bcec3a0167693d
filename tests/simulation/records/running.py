"""How long a run is, and how it is played: by Hypothesis, the same histories each time unless a seed says others."""

import math
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

import hypothesis
from hypothesis import HealthCheck, Phase
from hypothesis.stateful import run_state_machine_as_test

from tests.simulation.records.machine import Records


@dataclass(frozen=True, slots=True)
class Length:
    """At most so many histories, of at most so many steps, none of them begun after so many minutes.

    `seed` None: the histories that the machine itself stands for. `replay`: version and blob of one failure.
    """

    examples: int
    steps: int
    minutes: float = math.inf
    seed: int | None = None
    shrink: bool = False
    replay: tuple[str, str] | None = None

    @classmethod
    def of_environment(cls, *, examples: int, steps: int, seed: int | None = None) -> Self:
        """RECORDS_EXAMPLES, _STEPS, _MINUTES, _SEED, _SHRINK and _REPLAY, else what is given."""
        said: Mapping[str, str] = os.environ
        version, _, blob = said.get("RECORDS_REPLAY", "").partition(" ")
        return cls(
            examples=int(said.get("RECORDS_EXAMPLES") or examples),
            steps=int(said.get("RECORDS_STEPS") or steps),
            minutes=float(said.get("RECORDS_MINUTES") or math.inf),
            seed=int(said["RECORDS_SEED"]) if said.get("RECORDS_SEED") else seed,
            shrink=bool(said.get("RECORDS_SHRINK")),
            replay=(version, blob) if blob else None,
        )


def play(made: type[Records], length: Length) -> None:
    """Let Hypothesis choose the steps; raises what the first failing history raised, with its steps."""
    made.until = time.monotonic() + 60 * length.minutes
    if length.replay is not None:
        made = hypothesis.reproduce_failure(*length.replay)(made)
    elif length.seed is not None:
        made = hypothesis.seed(length.seed)(made)
    run_state_machine_as_test(
        made,
        settings=hypothesis.settings(
            max_examples=length.examples,
            stateful_step_count=length.steps,
            derandomize=length.seed is None and length.replay is None,
            database=None,
            deadline=None,
            phases=[Phase.generate, *([Phase.shrink] if length.shrink else [])],
            report_multiple_bugs=False,
            suppress_health_check=list(HealthCheck),
            print_blob=True,
        ),
    )
