"""Histories over the real records: whatever people, workers, clocks and the EHR do, nothing is lost or doubled."""

import time
from collections.abc import Callable

import pytest
from django.db import connection

from tests.simulation.records.invariants import NUMBERS
from tests.simulation.records.machine import Records
from tests.simulation.records.planted import NOTE, PROBLEM, USUAL
from tests.simulation.records.running import Length, play

LENGTH = Length.of_environment(examples=2, steps=8, seed=1)


@pytest.mark.req("003-55", "001-115", "003-98", "004-57")
def test_no_history_loses_or_doubles_a_write(machine: Callable[[], type[Records]]) -> None:
    """The same histories each time, whatever else of the machine changes, unless RECORDS_SEED names others."""
    made = machine()
    started = time.monotonic()
    try:
        play(made, LENGTH)
    finally:
        seconds = time.monotonic() - started
        print("\n" + made.totals.line(database=connection.vendor, seconds=seconds))
    if LENGTH.replay is not None:
        return
    figures = made.totals.figures
    assert figures["violations"] == 0
    assert figures["steps"] >= min(LENGTH.steps, 8)
    if figures["histories"] < 20:
        return  # too few to be about everything; the day below is
    # A run in which nothing reached the EHR, or no fault did, would show nothing.
    assert figures["writes"] >= figures["histories"]
    assert figures["faults armed"] >= figures["histories"]
    assert made.totals.ends["RECONCILED"] > 0
    assert set(made.totals.asked) == set(NUMBERS)


def test_a_day_with_everything_in_it_holds(machine: Callable[[], type[Records]]) -> None:
    """By hand, as Hypothesis would print it: so that the shortest run asks about each invariant."""
    made = machine()
    it = made()
    a_note = {"org": 0, "kind": NOTE, "number": USUAL}
    it.draft_approve_and_send(org=1, patient=0, kinds=[NOTE, PROBLEM], number=USUAL)
    it.crash(place="before_send", patient=0, **a_note)
    it.wait(seconds=130, jump=0)
    it.work(what="reconcile")
    it.wait(seconds=130, jump=0)
    it.work(what="reconcile")
    it.work(what="redeliver")
    it.sleep(place="before_check", seconds=130, meanwhile=7, patient=1, **a_note)
    it.engage(reach=0)
    it.write_into_a_fault(fault=0, times=4, org=0, patient=0, kind=PROBLEM, number=USUAL)
    it.release_switch(index=0)
    it.wait(seconds=30, jump=-500)
    it.colleague(index=0, what=0)
    it.decide(what="stranger", index=0, by=0)
    it.teardown()
    figures, ends = made.totals.figures, made.totals.ends
    assert (figures["crashes"], figures["sleeps"], figures["violations"]) == (1, 1, 0)
    assert ends == {"RECONCILED": 5}
    # The one that died before sending was sent by another, and the sleeper, once awake, did not send.
    assert figures["writes"] == 5
    assert set(made.totals.asked) == set(NUMBERS)
