"""A steady trickle of approved changes, through the production pipeline, whatever is broken just now."""

import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from uuid import UUID

from django.db import Error as DatabaseTrouble
from django.db import connections
from django.utils import timezone
from kombu.exceptions import OperationalError as BrokerTrouble

from intents.governance.tenancy import tenant_context
from intents.lifecycle import State
from intents.models import Intent, Proposal
from intents.pipeline.review import NotAllowed, ReviewRefused
from tests.factories import Clinic

_OPEN_AT_ONCE = 40
_ON_THEIR_WAY = (
    State.DRAFTED,
    State.VALIDATED,
    State.PENDING_APPROVAL,
    State.APPROVED,
    State.SUBMITTED,
)
# One in so many goes to an EHR that keeps no tag: an unknown outcome there is always a person's.
_UNSEARCHABLE = 12


class Load(threading.Thread):
    """Proposes notes and approves what screening lets through, until told to stop.

    `approved` holds what the portal has said is approved: none of it may be lost.
    """

    def __init__(
        self, clinic: Clinic, *, seed: int, at_once: int = _OPEN_AT_ONCE,
        unsearchable: int = _UNSEARCHABLE,
    ) -> None:  # fmt: skip
        super().__init__(daemon=True)
        self._clinic, self._random, self._at_once = clinic, random.Random(seed), at_once
        self._unsearchable = unsearchable
        self._stopping = threading.Event()
        self._patients = {
            vendor: [
                name
                for name, known in clinic.practice.directory(vendor).items()
                if "patient" in known
            ]
            for vendor in ("generic", "epic")
        }
        self._asked_for: dict[UUID, tuple[str, str]] = {}
        self._reviewer: dict[str, str] = {}
        self._tried: set[UUID] = set()
        self._number = 0
        self.approved: dict[UUID, str] = {}
        self.interrupted: Counter[str] = Counter()

    def run(self) -> None:
        with tenant_context(self._clinic.tenant.pk):
            while not self._stopping.is_set():
                try:
                    if not self._step():
                        self._stopping.wait(0.2)
                except (DatabaseTrouble, BrokerTrouble, OSError) as trouble:
                    # What every web process does: this request failed, the next one tries again.
                    self.interrupted[type(trouble).__name__] += 1
                    connections.close_all()
                    self._stopping.wait(0.2)
        connections.close_all()

    def stock(self, *, approvals: int, seconds: float) -> None:
        """Wait until so many are approved, so that the first fault meets a day that is under way."""
        end = time.monotonic() + seconds
        while len(self.approved) < approvals and time.monotonic() < end:
            time.sleep(0.2)

    def stop(self) -> None:
        self._stopping.set()
        self.join(timeout=120)
        if self.is_alive():
            raise RuntimeError("The load did not stop.")

    def _step(self) -> bool:
        waiting = (
            Intent.objects.filter(state=State.PENDING_APPROVAL)
            .exclude(pk__in=self._tried)
            .select_related("proposal")
            .order_by("created_at")
            .first()
        )
        if waiting is not None:
            self._approve(waiting)
            return True
        self._leave_out_the_unwritable()
        underway = Intent.objects.filter(state__in=_ON_THEIR_WAY).exclude(pk__in=self._tried)
        if underway.count() >= self._at_once:
            return False
        self._propose()
        return True

    def _propose(self) -> None:
        self._number += 1
        vendor = "epic" if self._number % self._unsearchable == 0 else "generic"
        patient = self._random.choice(self._patients[vendor])
        text = (
            "Reports dizziness on getting up quickly. Denies cough. "
            f"Entry {self._number} of the day."
        )
        proposal = self._clinic.propose(
            [self._clinic.note(text)], patient=patient, vendor=vendor, at=timezone.now()
        )
        self._asked_for[proposal.pk] = vendor, patient
        # As the request does that receives it; what is interrupted here is left to the screeners' sweep.
        self._clinic.screen(proposal, at=timezone.now())

    def _leave_out_the_unwritable(self) -> None:
        """A closed visit, a patient who has died: what screening stopped is not drafted again."""
        stopped = Intent.objects.filter(state__in=[State.HELD, State.REJECTED]).exclude(
            pk__in=self._tried | set(self.approved)
        )
        for intent in stopped:
            self._tried.add(intent.pk)
            vendor, name = self._asked_for.get(intent.proposal_id, ("", ""))
            if name in self._patients.get(vendor, ()):
                self._patients[vendor].remove(name)

    def _approve(self, intent: Intent) -> None:
        proposal = Proposal.objects.get(pk=intent.proposal_id)
        known = self._reviewer.get(proposal.patient_ref, "")
        for name in [known] if known else ["reyes", "lam"]:
            try:
                self._clinic.approve(proposal, by=name, at=timezone.now())
            except NotAllowed:
                continue
            except ReviewRefused:
                # The chart or the draft moved while it was decided: a person looks again.
                break
            self._reviewer[proposal.patient_ref] = name
            self.approved[intent.pk] = str(intent.current_screening_id)
            return
        self._tried.add(intent.pk)


def settled(*, seconds: float, keep: Callable[[], None]) -> bool:
    """Wait until no approved change is on its way any more; False if some still are. `keep` runs each round."""
    from tests.chaos.judge import underway

    end = time.monotonic() + seconds
    while underway():
        keep()
        if time.monotonic() > end:
            return False
        time.sleep(0.5)
    return True
