"""Two clinics and what can be asked of them: drafts, time, and a wish that may be refused.

Every step takes whole numbers and finds its own target among what is there, so that the choice of steps
never depends on what the product did. What the product refuses in its own words is counted; anything
else that it raises is a failure.
"""

import time
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.core.exceptions import ValidationError

from intents.governance import switches
from intents.lifecycle import State
from intents.models import Intent, Proposal, Tick
from intents.pipeline import intake, reconciliation, review, screening
from intents.pipeline.presentation import NotPresentable
from tests.ehr_adapters.practice import Practice
from tests.simulation.records.invariants import Checks
from tests.simulation.records.organisations import CANARIES, Organisation, Southgate

# What the product may answer to a person or a program that asks for too much.
REFUSALS = (
    review.ReviewRefused, reconciliation.CannotSettle, intake.TooLateToWithdraw, intake.WrongLane,
    intake.NoSuchProposal, intake.AgentRefused, intake.ProposalInvalid, NotPresentable,
    switches.MayNotSwitch, ValidationError,
)  # fmt: skip
# The EHR of the made-up clinic files late within 10 ticks and shows an entry within 5.
SOON = 4


class Clinics:
    """Two organisations, one EHR, one clock, and the counts of what happened."""

    def __init__(self, practice: Practice, *, at: datetime) -> None:
        self.practice, self.at, self.start = practice, at + timedelta(hours=1), at
        self.north = Organisation(practice, at=at)
        self.south = Southgate(practice, at=at)
        self.both: tuple[Organisation, ...] = (self.north, self.south)
        self.figures: Counter[str] = Counter()
        self.checks = Checks()
        self.drafts: list[tuple[Organisation, UUID]] = []
        # what has passed on the clock that nobody can set
        self._passed = 0
        # since the EHR last filed what it holds back
        self._unfiled = 0
        self._merged: set[str] = set()
        # the highest number of the EHR's log when a switch was last engaged, and where the worker was
        self.engaged_after: dict[UUID, int] = {}
        self.asleep_at = ""
        # how many writes each switch may still see: workers that had looked before it was engaged
        self.excused: dict[UUID, int] = {}

    # --- drafts ---------------------------------------------------------------------------------------

    def draft(self, *, org: int, patient: int, kinds: Sequence[int], number: int) -> None:
        """An agent sends one to three changes, and they are screened."""
        who = self.both[org % 2]
        name = who.patients[patient % len(who.patients)]
        # A connection whose EHR cannot be asked afterwards: problems of Epic, and its notes.
        vendor = who.vendors[number % len(who.vendors)] if number % 3 == 0 else "generic"
        with who.inside():
            changes = [
                self._change(who, kind, ref=f"c{place}", patient=name, vendor=vendor, number=number)
                for place, kind in enumerate(kinds)
            ]
            proposal = who.propose(
                _apart(changes), at=self.at, patient=name, vendor=vendor, sources=who.sources(),
                summary="Draft about quillfeather",
            )  # fmt: skip
            self.drafts.append((who, proposal.pk))
            self.figures["drafts"] += 1
            who.screen(proposal, at=self.at)

    def _change(
        self, who: Organisation, kind: int, *, ref: str, patient: str, vendor: str, number: int
    ) -> dict[str, Any]:
        if vendor == "epic":
            return (
                who.a_note(ref)
                if kind % 2
                else who.a_problem(ref, vendor=vendor, number=len(self.drafts))
            )
        match kind % 5:
            case 0:
                return who.a_note(ref)
            case 1:
                return who.a_problem(ref, vendor=vendor, number=len(self.drafts))
            case 2:
                return who.an_allergy(ref, number=len(self.drafts))
            case 3:
                return who.an_update(ref, patient=patient, number=number)
            case _:
                return who.an_erasure(ref, patient=patient)

    def screen_due(self) -> None:
        """The worker that screens takes up what an EHR did not answer about."""
        screening.screen_due(at=self.at)

    # --- decisions ------------------------------------------------------------------------------------

    def _pick(
        self, index: int, *states: State, of: Callable[[Intent], bool] | None = None
    ) -> tuple[Organisation, Proposal, list[Intent]] | None:
        """The index-th of the drafts that have a change in one of these states, oldest first."""
        fitting = []
        for who, proposal_id in self.drafts:
            with who.inside():
                intents = [
                    each
                    for each in Intent.objects.filter(proposal_id=proposal_id, state__in=states)
                    .select_related("current_screening", "current_version", "proposal")
                    .order_by("position")
                    if of is None or of(each)
                ]
            if intents:
                fitting.append((who, intents))
        if not fitting:
            return None
        who, intents = fitting[index % len(fitting)]
        return who, intents[0].proposal, intents

    # --- time -------------------------------------------------------------------------------------------

    def wait(self, *, seconds: int) -> None:
        """Both clocks go on. What the EHR holds back it files within its bounds, which count ticks."""
        first = min(seconds, max(SOON - self._unfiled, 0))
        self._advance(first)
        self._unfiled += first
        if self._unfiled >= SOON:
            self.practice.lever("commit_late")
            self.practice.lever("index_now")
            self._unfiled = 0
        self._advance(seconds - first)

    def _advance(self, seconds: int) -> None:
        if seconds:
            self.at += timedelta(seconds=seconds)
            self._passed += seconds
            Tick.advance(at=self.at, by=seconds)

    def monotonic(self) -> float:
        """The clock by which a worker knows how long it has taken: it goes on while the worker sleeps."""
        return time.monotonic() + self._passed

    def jump(self, *, seconds: int) -> None:
        """The wall clock is set; the portal's own clock is not."""
        if seconds:
            # Never to before the clinics were furnished.
            self.at = max(self.at + timedelta(seconds=seconds), self.start)
            self.figures["clock jumps"] += 1

    def newest_request(self) -> int:
        found = self.practice.control("GET", "log", None, after=10**9, limit=1)
        return int(found["newest"])

    # --- asking -----------------------------------------------------------------------------------------

    def _ask(self, what: str, wish: Callable[[], object]) -> bool:
        """Do it, or be refused in words that tell nothing of the patient. Was it done?"""
        try:
            wish()
        except REFUSALS as refusal:
            self._check_words(refusal)
            self.figures["refused"] += 1
            return False
        self.figures[what] += 1
        return True

    def _check_words(self, refusal: BaseException) -> None:
        said = " ".join((str(refusal), repr(refusal), getattr(refusal, "sentence", "")))
        self.checks.hold(
            not any(word in said for word in CANARIES), "I10: a refusal tells of the patient"
        )


def _apart(changes: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """No two changes of one draft to one entry, and no thing twice: such a draft is refused at the door."""
    kept: dict[str, dict[str, Any]] = {}
    for change in changes:
        place = str(change.get("target") or (change["kind"], change["interaction"]))
        kept.setdefault(place, change)
    return list(kept.values())
