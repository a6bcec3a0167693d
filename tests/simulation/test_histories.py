"""A short run of the simulation, and proof that it catches the bugs it exists for."""

import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace

import pytest

from ehr_adapters import errors
from ehr_adapters.capabilities import FindMethod
from intents.lifecycle import State
from intents.pipeline.delivery import attempt as protocol
from intents.pipeline.delivery import deciding, rulings
from intents.pipeline.delivery.records import Decision, Delivery, Requeue
from intents.pipeline.delivery.words import Phase, Seen
from tests.environment import ROOT
from tests.simulation import ehr, history

pytestmark = pytest.mark.once


@pytest.mark.req("003-55")
def test_no_history_duplicates_loses_or_writes_what_was_not_approved():
    figures = [history.run(seed) for seed in range(1500)]
    assert sum(f.changes for f in figures) == 4500
    assert sum(f.written for f in figures) > 1000
    assert sum(f.resent for f in figures) > 500


def test_a_seed_plays_the_same_history_twice():
    assert history.run(77) == history.run(77)


def no_quarantine(patch: pytest.MonkeyPatch) -> None:
    original = deciding._looked
    patch.setattr(deciding, "_looked", lambda d, e: original(replace(d, quarantine_until=0), e))


def lapsed_lease_back_to_the_outbox(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(
        deciding,
        "_lapsed",
        lambda d, _: Decision(
            replace(d, state=State.APPROVED, attempt_id=""), (Requeue(history.START),)
        ),
    )


def timeout_taken_for_not_sent(patch: pytest.MonkeyPatch) -> None:
    patch.setitem(
        rulings.RULINGS,  # type: ignore[arg-type]  # read-only by its type alone
        errors.TimedOutAfterSend,
        rulings.Ruling(State.APPROVED, Phase.NOT_SENT, "not-sent"),
    )


def server_fault_taken_for_a_refusal(patch: pytest.MonkeyPatch) -> None:
    patch.setitem(
        rulings.RULINGS,  # type: ignore[arg-type]  # read-only by its type alone
        errors.ServerError,
        rulings.Ruling(State.FAILED, Phase.REFUSED, "not-permitted"),
    )


def could_not_look_taken_for_absent(patch: pytest.MonkeyPatch) -> None:
    original = deciding._looked

    def looked(delivery: Delivery, event):
        if event.seen == Seen.COULD_NOT_LOOK:
            event = replace(event, seen=Seen.NONE, method=FindMethod.EXACT)
        return original(delivery, event)

    patch.setattr(deciding, "_looked", looked)


def opaque_writes_sent_again(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(FindMethod, "miss_proves", property(lambda _: True))
    patch.setattr(Delivery, "may_resend", property(lambda _: True))


def unowned_attempts_recorded(patch: pytest.MonkeyPatch) -> None:
    original = deciding._ended
    patch.setattr(
        deciding,
        "_ended",
        lambda d, e: original(replace(d, state=State.SUBMITTED, attempt_id=e.attempt_id), e),
    )


def ownership_not_checked_before_sending(patch: pytest.MonkeyPatch) -> None:
    original = history.History._answer

    def answer(self, worker, ask):
        if isinstance(ask, protocol.StillMine):
            return protocol.Reply(value="")
        return original(self, worker, ask)

    patch.setattr(history.History, "_answer", answer)
    patch.setattr(ehr, "TOKEN_LIFE", 400)


def tokens_that_outlive_the_quarantine(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(ehr, "TOKEN_LIFE", 400)


def late_commits_beyond_the_declared_bound(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(ehr, "PROCESSING", 120)


def no_search_before_sending_again(patch: pytest.MonkeyPatch) -> None:
    original = history.History._answer

    def answer(self, worker, ask):
        if isinstance(ask, protocol.Search):
            return protocol.Reply(value=Seen.NONE)
        return original(self, worker, ask)

    patch.setattr(history.History, "_answer", answer)


def no_hold_after_a_failover(patch: pytest.MonkeyPatch) -> None:
    original = history.History._fail_over

    def fail_over(self):
        original(self)
        self.hold_until = 0

    patch.setattr(history.History, "_fail_over", fail_over)


def half_a_plan_taken_for_refused(patch: pytest.MonkeyPatch) -> None:
    original = deciding._failed_attempt
    patch.setattr(
        deciding,
        "_failed_attempt",
        lambda d, e, error: original(d, replace(e, acknowledged=0), error),
    )


def kill_switch_not_looked_at_before_sending(patch: pytest.MonkeyPatch) -> None:
    original = history.History._answer

    def answer(self, worker, ask):
        reply = original(self, worker, ask)
        return protocol.Reply(value="") if reply.value == "switched-off" else reply

    patch.setattr(history.History, "_answer", answer)


def uncertain_for_ever(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Delivery, "may_resend", property(lambda _: False))
    patch.setattr(Delivery, "needs_a_person", property(lambda _: False))


PLANTED: list[Callable[[pytest.MonkeyPatch], None]] = [
    no_quarantine,
    lapsed_lease_back_to_the_outbox,
    timeout_taken_for_not_sent,
    server_fault_taken_for_a_refusal,
    could_not_look_taken_for_absent,
    opaque_writes_sent_again,
    unowned_attempts_recorded,
    ownership_not_checked_before_sending,
    tokens_that_outlive_the_quarantine,
    late_commits_beyond_the_declared_bound,
    no_search_before_sending_again,
    no_hold_after_a_failover,
    half_a_plan_taken_for_refused,
    kill_switch_not_looked_at_before_sending,
    uncertain_for_ever,
]


def _play(*, histories: int) -> None:
    for seed in range(histories):
        history.run(seed)


@pytest.mark.parametrize("bug", PLANTED, ids=lambda bug: bug.__name__)
def test_a_planted_bug_is_caught(bug, monkeypatch):
    bug(monkeypatch)
    with pytest.raises((history.Violated, deciding.OutOfPlace, KeyError)):
        _play(histories=6000)


def test_the_command_prints_one_line_of_figures():
    done = subprocess.run(
        [sys.executable, "-m", "tests.simulation", "--histories", "20", "--seed", "5"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.count("\n") == 1
    assert done.stdout.startswith("20 histories from seed 5 in ")
    assert "0 violations" in done.stdout


def test_a_failing_seed_prints_the_command_that_replays_it(monkeypatch, capsys):
    from tests.simulation import __main__ as command

    lapsed_lease_back_to_the_outbox(monkeypatch)
    assert command.main(["--histories", "4000", "--seed", "0"]) == 1
    said = capsys.readouterr().out
    seed = said.split(":")[0].removeprefix("seed ")
    assert f"replay: python -m tests.simulation --histories 1 --seed {seed}" in said
    assert command.main(["--histories", "1", "--seed", seed]) == 1
