"""The state of one delivery, what can happen to it, and what has to be written then. Pure."""

from dataclasses import dataclass
from datetime import datetime

from ehr_adapters.capabilities import Finality, FindMethod, RetryClass
from intents.lifecycle import State
from intents.pipeline.delivery.words import Difference, Phase, Seen


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """One approved change on its way. Built from the stored rows, decided on, written back.

    `maybe_sent`: some attempt may have reached the EHR (it was sent, and not known to be refused).
    `quarantine_ticks`: how long absence proves nothing after an attempt; `lag_ticks`: how long an
    acknowledged entry may stay invisible. `last_outcome`: the error class of the attempt before.
    """

    state: State
    retry: RetryClass
    find: FindMethod
    finality: Finality
    approval_expires_at: datetime
    quarantine_ticks: int
    lag_ticks: int = 0
    attempts: int = 0
    attempt_id: str = ""
    maybe_sent: bool = False
    partial: bool = False
    last_outcome: str = ""
    quarantine_until: int | None = None

    @property
    def may_resend(self) -> bool:
        """After proven absence the machine may send again."""
        return self.retry.may_resend and self.find.miss_proves and not self.partial

    @property
    def needs_a_person(self) -> bool:
        """Only a person can settle an unknown outcome of this change by its absence."""
        return self.state == State.UNCERTAIN and not self.may_resend


@dataclass(frozen=True, slots=True, kw_only=True)
class Began:
    """An attempt owns the entry and is committed to the ledger; nothing has left yet."""

    attempt_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptEnded:
    """How one attempt ended.

    Exactly one of: acknowledged (all of `steps`), `error`, `seen` (found before sending), `stopped`
    (a code of REASONS, before sending). With `error`, `on_wire` says whether a request of it may have
    left, `acknowledged` how many steps were answered, `seen` what a search afterwards showed.
    """

    attempt_id: str
    at: datetime
    tick: int
    steps: int = 1
    acknowledged: int = 0
    on_wire: bool = False
    error: type[BaseException] | None = None
    seen: Seen | None = None
    stopped: str = ""
    # the row belongs to somebody else by now: nothing may be recorded but this
    abandoned: bool = False
    retry_after: float | None = None
    jitter: float = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseLapsed:
    """Nobody has answered for this attempt in time."""

    attempt_id: str
    tick: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Looked:
    """A search for a change whose outcome is unknown. `tick` was read before the search began."""

    seen: Seen
    method: FindMethod
    at: datetime
    tick: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadBack:
    """An acknowledged change was looked at again.

    `difference` names what kind of differing it is; `overdue`: it has waited in the EHR for someone
    to accept it longer than the connection's patience.
    """

    seen: Seen
    at: datetime
    tick: int
    difference: Difference = Difference.ALTERED
    overdue: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Attested:
    """A person looked into the EHR and says, with evidence, what is there."""

    there: bool
    resend: bool
    at: datetime
    tick: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """A person settled the last open discrepancy; the entry in the EHR stands."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Retried:
    """An operator sends a failed change again."""

    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class StrayAnswer:
    """An attempt that no longer owns the row reports. `known_entry`: the entry that it was answered
    with is the one already recorded for this change."""

    attempt_id: str
    acknowledged: bool
    known_entry: bool = False


Event = (
    Began
    | AttemptEnded
    | LeaseLapsed
    | Looked
    | ReadBack
    | Attested
    | Settled
    | Retried
    | StrayAnswer
)


@dataclass(frozen=True, slots=True)
class Ledger:
    """Write this fact about the attempt. `outcome`: an error's class name, or what was seen."""

    phase: Phase
    outcome: str = ""


@dataclass(frozen=True, slots=True)
class Requeue:
    """Back in the outbox, not before this moment, without an owner."""

    not_before: datetime


@dataclass(frozen=True, slots=True)
class Quarantine:
    """Absence proves nothing before this tick."""

    until_tick: int


@dataclass(frozen=True, slots=True)
class CloseEntry:
    """Nothing will be sent from this entry any more."""


@dataclass(frozen=True, slots=True)
class OpenDiscrepancy:
    """What the EHR holds differs from what was approved: a person settles it."""

    kind: Difference


@dataclass(frozen=True, slots=True)
class LookNow:
    """There is new evidence: look without waiting for the next turn."""


Effect = Ledger | Requeue | Quarantine | CloseEntry | OpenDiscrepancy | LookNow


@dataclass(frozen=True, slots=True)
class Decision:
    """The state afterwards, what has to be written beside it, and why."""

    delivery: Delivery
    effects: tuple[Effect, ...] = ()
    reason: str = ""


class OutOfPlace(Exception):
    """The event cannot happen in this state: somebody else moved the change first."""


class TooEarly(Exception):
    """Absence proves nothing yet: the EHR may still be processing what was sent."""


class ApprovalLapsed(Exception):
    """The approval has run out; the change has to be drafted and approved again."""
