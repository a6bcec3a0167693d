"""What a seed promises, and that the named places of the delivery are all visited."""

import re
from itertools import islice
from pathlib import Path

import pytest

from tests.chaos.faults import PLACES, Chaos
from tests.chaos.scene import Scene
from tests.environment import ROOT

pytestmark = pytest.mark.once


class _NoEhr:
    """The schedule is made before anything is there to be hurt."""

    def another_client(self) -> None:
        return None


def _schedule(seed: int) -> list[str]:
    nothing = Path()
    scene = Scene(nothing, None, None, _NoEhr(), None, None)  # type: ignore[arg-type]  # only its schedule is asked for
    chaos = Chaos(scene, seed)
    actions = [*islice(chaos._signals(), 200), *islice(chaos._outages(), 200)]
    return [action.__name__ for action in actions]


def test_a_seed_has_the_same_faults_in_the_same_order_again():
    assert _schedule(7) == _schedule(7)
    assert _schedule(7) != _schedule(8)


def test_every_kind_of_outage_comes_round_within_a_few_minutes():
    assert {
        "_stop", "_kill", "_cut_database", "_spoil_ehr", "_lose_messages", "_restart_broker",
        "_restart_database", "_restart_ehr", "_fill_disk", "_cut_broker",
    } == set(_schedule(20261120))  # fmt: skip


def test_workers_are_hit_at_every_named_place_of_the_delivery():
    named = {
        place
        for path in (ROOT / "intents").rglob("*.py")
        for place in re.findall(r'fault_point\("(\w+)"\)', path.read_text())
    }

    assert named == set(PLACES)
