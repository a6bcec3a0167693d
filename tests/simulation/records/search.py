"""The machine looks for each planted bug by itself. Long: run by `python -m tests.simulation.records --planted`."""

from collections.abc import Callable

import pytest
from django.db import connection

from tests.simulation.records.invariants import Broken
from tests.simulation.records.machine import Records
from tests.simulation.records.planted import PLANTED, Planted
from tests.simulation.records.running import Length, play


@pytest.mark.parametrize("bug", PLANTED, ids=lambda bug: bug.name)
def test_the_machine_finds_it_by_itself(
    bug: Planted, machine: Callable[[], type[Records]], monkeypatch: pytest.MonkeyPatch
) -> None:
    bug.plant(monkeypatch)
    made = machine()
    length = Length.of_environment(examples=100, steps=20)
    found = "not caught"
    try:
        play(made, length)
    except Exception as noticed:  # noqa: BLE001 - what the product itself refuses to do is a catch as well
        said = str(noticed) if isinstance(noticed, Broken) else type(noticed).__name__
        found = said.partition(":")[0].partition("\n")[0]
    print(
        f"\nplanted {bug.name} on {connection.vendor}: {found} "
        f"(history {made.totals.first_failed} of at most {length.examples})"
    )
    assert made.totals.first_failed
