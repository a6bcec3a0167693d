"""Each planted bug is noticed in its shortest history, by the invariant that it breaks."""

from collections.abc import Callable

import pytest

from tests.simulation.records.invariants import Broken
from tests.simulation.records.machine import Records
from tests.simulation.records.planted import PLANTED, Planted

# By turns, so that the suite is not longer than it has to be; `--planted` searches for all on either.
_BY_TURNS = [
    pytest.param(bug, id=bug.name, marks=pytest.mark.only(("sqlite", "postgresql")[place % 2]))
    for place, bug in enumerate(PLANTED)
]


@pytest.mark.req("004-47")
@pytest.mark.parametrize("bug", _BY_TURNS)
def test_a_planted_bug_is_caught(
    bug: Planted, machine: Callable[[], type[Records]], monkeypatch: pytest.MonkeyPatch
) -> None:
    bug.plant(monkeypatch)
    history = machine()()
    try:
        with pytest.raises(Broken, match=f"^{bug.breaks}:"):
            bug.history(history)
    finally:
        history.failed = True
        history.teardown()
