"""What happens in one history beside what people do: workers send and die, the EHR misbehaves."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from audit import sequencing
from intents.governance.models import KillSwitch
from intents.pipeline import dispatch, reconciliation, screening, worklist
from intents.pipeline.delivery import faults
from tests.intents.delivery_fixtures import Killed, kill_at
from tests.simulation.records.people import People

_ENTRIES = "DocumentReference|Condition|AllergyIntolerance"
WRITE_FAULTS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("error-after-commit", {}),
    ("error-before-commit", {}),
    ("drop-after-commit", {}),
    ("drop-before-commit", {}),
    ("late-commit", {"answer": "error", "after_ms": 86_400_000}),
    ("late-commit", {"answer": "drop", "after_ms": 86_400_000}),
    ("rate-limited", {"retry_after": 40}),
    ("unavailable", {"retry_after": 5}),
    ("expired-token", {}),
    ("conflict", {}),
    ("stale-version", {}),
    ("dropped-field", {"echo": "sent"}),
    ("mangled-content", {}),
    ("truncated-body", {}),
    ("no-location", {}),
    ("no-id", {}),
    ("empty-reply", {"commit": False}),
    ("empty-reply", {}),
    ("not-json", {}),
    ("html-reply", {}),
    ("redirect", {}),
    ("chart-locked", {}),
    ("search-lag", {"after_ms": 86_400_000}),
    ("outcome", {"status": 422, "code": "invalid"}),
    ("outcome", {"status": 403, "code": "forbidden"}),
    ("timeout-after-commit", {"ms": 3500}),
)
READ_FAULTS = ("error-before-commit", "drop-before-commit", "rate-limited", "expired-token", "html-reply")  # fmt: skip
PLACES = (
    "before_claim", "before_claim_commit", "after_claim", "before_token", "before_reading",
    "before_search", "before_check", "before_send", "after_send", "before_record",
    "before_record_commit", "after_record",
)  # fmt: skip
# Where a worker may fall asleep: outside of every transaction.
SLEEPS = ("after_claim", "before_token", "before_reading", "before_search", "before_check", "before_send", "after_send", "before_record")  # fmt: skip


# In ticks; the connections are configured for 5.
TOKEN_LIFE = 4


class World(People):
    """Everything that can happen in one history."""

    def sequence(self) -> None:
        sequencing.sequence(at=self.at)

    def drain(self) -> None:
        dispatch.drain(at=self.at)

    def send(self, *, seconds: int = 0) -> None:
        """The undo time passes, the approvals are signed, and what is due is sent."""
        self.wait(seconds=11 + seconds)
        self.sequence()
        self.drain()

    def redeliver(self) -> None:
        """The same messages twice and out of order: send, look, sign, send again."""
        for work in (self.drain, self.reconcile, self.sequence, self.drain, self.drain):
            work()

    def crash(self, *, place: str) -> None:
        """A worker dies on the way; another comes by."""
        self._prepare()
        kill_at(place)
        try:
            self.drain()
        except Killed:
            self.figures["crashes"] += 1
        finally:
            faults.disarm()

    def crash_looking(self) -> None:
        """The reconciler dies between looking and writing."""
        kill_at("after_look")
        try:
            self.reconcile()
        except Killed:
            self.figures["crashes"] += 1
        finally:
            faults.disarm()

    def sleep(self, *, place: str, seconds: int, meanwhile: int) -> None:
        """A worker falls asleep on the way; the world goes on; it wakes and goes on as if nothing were."""
        self._prepare()

        def asleep() -> None:
            faults.disarm()
            self.asleep_at = place
            self.figures["sleeps"] += 1
            fell_asleep = self.at
            self.wait(seconds=seconds)
            meanwhiles: tuple[Callable[[], object], ...] = (
                self.reconcile,
                lambda: self.engage(reach=seconds),
                self.drain,
                lambda: self.colleague(index=seconds, what=0),
                self.sequence,
                lambda: self.undo(index=-1, by=0),
                self.expire,
                self._recover,
                self._recover,
            )
            meanwhiles[meanwhile % len(meanwhiles)]()
            # Only a worker that slept so long still holds a token that it got before.
            if self.at - fell_asleep >= timedelta(seconds=TOKEN_LIFE):
                self.practice.lever("expire_tokens")

        faults.arm(place, asleep)
        try:
            self.drain()
        finally:
            faults.disarm()
            self.asleep_at = ""

    def _recover(self) -> None:
        """Others see that the worker is gone, look for its write until the quarantine is over, and go on."""
        for _ in range(3):
            self.reconcile()
            self.wait(seconds=60)
        self.drain()

    def _prepare(self) -> None:
        self.wait(seconds=11)
        self.sequence()

    def reconcile(self) -> None:
        reconciliation.settle_due(at=self.at)

    def expire(self) -> None:
        worklist.expire_due(at=self.at)

    # --- the EHR ---------------------------------------------------------------------------------------

    def fault(self, *, kind: int, times: int, skip: int) -> None:
        """The EHR will misbehave at one of the next writes."""
        name, params = WRITE_FAULTS[kind % len(WRITE_FAULTS)]
        if name == "dropped-field":
            params = {**params, "field": "type" if kind % 2 else "verificationStatus"}
        self.practice.fault(
            name, method="PUT" if name == "stale-version" else "POST" if times % 3 else "PUT",
            path=_ENTRIES, times=1 + times % 2, skip=skip, **params,
        )  # fmt: skip
        self.figures["faults armed"] += 1

    def read_fault(self, *, kind: int, times: int, skip: int) -> None:
        self.practice.fault(
            READ_FAULTS[kind % len(READ_FAULTS)], method="GET", path=_ENTRIES + "|Patient|Encounter",
            times=1 + times % 3, skip=skip,
        )  # fmt: skip
        self.figures["faults armed"] += 1

    def token_fault(self, *, kind: int, times: int, skip: int) -> None:
        self.practice.fault("error-before-commit", method="POST", path="token", times=1 + times % 2)
        self.figures["faults armed"] += 1

    def colleague(self, *, index: int, what: int) -> None:
        """Somebody in the EHR edits an entry, closes or opens a visit, or two records become one."""
        who = self.both[index % 2]
        name = who.patients[index % len(who.patients)]
        match what % 4:
            case 0:
                target = [
                    each for each in who.patient(name)["entries"].values() if "Condition/" in each
                ][-1]
                self.practice.lever(
                    "edit_as_colleague", vendor="generic", reference=target,
                    comment=f"Seen {index} by a colleague.",
                )  # fmt: skip
            case 1:
                self.practice.lever("close_visit", vendor="generic", patient=name)
            case 2:
                self.practice.lever("reopen_visit", vendor="generic", patient=name)
            case _:
                if not self._merged:
                    self._merged.add("P14")
                    self.practice.lever("merge", vendor="generic", loser="P14", survivor="P13")
        self.figures["by colleagues"] += 1

    # --- the end ----------------------------------------------------------------------------------------

    def calm(self) -> None:
        """The faults stop, every switch is released, and time passes for as long as anything may wait."""
        faults.disarm()
        self.practice.clear_faults()
        self.practice.lever("commit_late")
        self.practice.lever("index_now")
        for switch in KillSwitch.objects.filter(released_at__isnull=True).order_by("engaged_at"):
            self._release(switch)
        for seconds in (60, 400, 1000, 1000, 1000, 1000):
            self.wait(seconds=seconds)
            screening.screen_due(at=self.at)
            for work in (self.sequence, self.drain, self.reconcile, self.expire):
                work()
            self.wait(seconds=30)
            self.reconcile()
        self.sequence()
