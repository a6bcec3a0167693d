"""An EHR that misbehaves in every documented way, and knows the truth.

It keeps within the bounds that its connection is configured with (`Bounds`), and honours `If-Match` and
conditional creates only where the row says that it does. Times are seconds since the history began, by
the true clock; the portal never sees them.
"""

import math
from dataclasses import dataclass, field
from random import Random

from ehr_adapters import errors
from ehr_adapters.capabilities import Finality, FindMethod
from intents.pipeline.delivery.words import Seen

# What no open column, event or reason may ever repeat.
CANARY = "Zitronenfalter"


@dataclass(slots=True)
class Bounds:
    """What a connection is configured with, in seconds."""

    token_life: int
    processing: int
    index_lag: int

    @property
    def quarantine(self) -> int:
        return self.token_life + self.processing + self.index_lag


@dataclass(slots=True)
class Effect:
    """One entry in the chart that the portal caused."""

    number: int
    step: int
    body: str
    reference: str
    visible_from: float
    mangled: bool = False
    # waits in the EHR for somebody there to accept it
    waiting: bool = False
    # typed by a person in the EHR, who completed what was there in part
    by_hand: bool = False


@dataclass(slots=True)
class Token:
    """`said` is what the portal reads of its life; the truth is `expires`."""

    expires: float


@dataclass(slots=True)
class Target:
    """An entry that exists already: whose content it holds ("" is what it was), and its version."""

    holder: int | None = None
    version: int = 0
    equal_to: int | None = None


@dataclass(slots=True)
class Order:
    """What the EHR has to know of a change to play its part; nothing of it is taken from the database."""

    number: int
    steps: int
    find: FindMethod
    finality: Finality
    target: str
    is_fenced: bool
    is_marked: bool


_SILENT = (
    (errors.Unreachable, "before"),
    (errors.RateLimited, "before"),
    (errors.TokenRejected, "before"),
    (errors.ContentRefused, "before"),
    (errors.NotPermitted, "before"),
    (errors.TimedOutAfterSend, "before"),
    (errors.ConnectionLost, "before"),
    (errors.ServerError, "before"),
    (errors.ServerError, "after"),
    (errors.ServerError, "after"),
    (errors.TimedOutAfterSend, "after"),
    (errors.TimedOutAfterSend, "after"),
    (errors.ConnectionLost, "after"),
    (errors.UnreadableReply, "after"),
    (errors.Redirected, "before"),
    (errors.TimedOutAfterSend, "late"),
    (errors.TimedOutAfterSend, "late"),
    (errors.ConnectionLost, "late"),
    (errors.ServerError, "late"),
    (errors.AlreadyThere, "before"),
    (errors.AlreadyThere, "repeated"),
    (errors.AlreadyThere, "repeated"),
    (None, "no id"),
    (None, "mangled"),
    (None, "mangled"),
    (KeyError, "after"),
)


@dataclass(slots=True)
class FaultyEhr:
    """One connection's EHR: what it holds, what it will commit late, how often it misbehaves."""

    random: Random
    bounds: Bounds
    trouble: float
    orders: dict[int, Order] = field(default_factory=dict)
    effects: dict[int, list[Effect]] = field(default_factory=dict)
    targets: dict[str, Target] = field(default_factory=dict)
    late: list[tuple[float, int, Effect, int]] = field(default_factory=list)
    moved: str = ""
    moved_at: float = math.inf
    checks_tokens: bool = True
    # changes that a colleague once wrote by chance as they were meant: from when, until when
    equals: dict[int, list[tuple[float, float]]] = field(default_factory=dict)
    requests: int = 0

    def expect(self, order: Order) -> None:
        self.orders[order.number] = order
        self.effects[order.number] = []
        if order.target:
            self.targets.setdefault(order.target, Target())

    def version_of(self, number: int) -> int:
        target = self.targets.get(self.orders[number].target)
        return target.version if target else 0

    def lets_in(self, token: Token, *, now: float) -> bool:
        """Whoever comes with a token that has run out is turned away."""
        return now < token.expires or not self.checks_tokens

    # --- what is asked --------------------------------------------------------------------------------

    def read(self, number: int, *, base: int, now: float) -> str:
        """What has moved since the change was approved, as a code; "" when nothing has."""
        self._settle(now)
        if self._fails(0.3):
            raise self._error(self.random.choice((errors.Unreachable, errors.RateLimited)))
        if self.moved:
            return self.moved
        target = self.targets.get(self.orders[number].target)
        if target is not None and target.version != base and self._shows(target, now=now):
            return "target-changed"
        return ""

    def submit(
        self, number: int, *, token: Token, step: int, body: str, base: int, now: float
    ) -> str:
        """The id of the new entry, "" for an answer without one. Whatever the answer, the truth is here."""
        self._settle(now)
        self.requests += 1
        if not self.lets_in(token, now=now):
            raise self._error(errors.TokenRejected)
        if self.moved == "patient-moved":
            raise self._error(errors.PatientMoved)
        fault, when = None, "at once"
        if self._fails(1.0):
            fault, when = _SILENT[int(self.random.random() * len(_SILENT))]
        if when == "repeated":
            fault = self._answer_of_a_repeater(number)
        if when == "before" and fault is not None:
            raise self._error(fault)
        self.requests += 1
        effect = Effect(
            number,
            step,
            body,
            reference=self.orders[number].target or f"{number}.{self.requests}",
            visible_from=now,
            mangled=when == "mangled",
            waiting=self.orders[number].finality == Finality.STAGED,
        )
        if when == "late":
            moment = now + self.random.random() * self.bounds.processing
            self.late.append((moment, self.requests, effect, base))
        else:
            refusal = self._commit(effect, base=base, now=now)
            if refusal is not None:
                raise self._error(refusal)
        if fault is not None:
            raise self._error(fault) if fault is not KeyError else KeyError(CANARY)
        return "" if when == "no id" else effect.reference

    def find(self, number: int, *, method: FindMethod, base: int, now: float) -> Seen:
        """What a search by `method` shows now; entries become visible after the index's lag."""
        self._settle(now)
        if method == FindMethod.NONE:
            return Seen.COULD_NOT_LOOK
        if self._fails(0.4):
            if self._fails(0.5):
                raise self._error(errors.Unreachable)
            return Seen.COULD_NOT_LOOK  # a list that was cut off
        order = self.orders[number]
        if order.target:
            return self._target(order, base=base, now=now)
        hits = [each for each in self.effects[number] if each.visible_from <= now]
        if not hits:
            return Seen.NONE
        if len({each.step for each in hits}) < len(hits):
            return Seen.AMBIGUOUS
        if method == FindMethod.MATCH:
            return Seen.NONE if hits[0].mangled else Seen.COLLEAGUE_EQUAL
        if order.is_marked:
            return Seen.OURS_DIFFERENT if hits[0].mangled else Seen.OURS_EQUAL
        return Seen.COLLEAGUE_DIFFERENT if hits[0].mangled else Seen.COLLEAGUE_EQUAL

    def find_by_id(self, number: int, *, reference: str, now: float) -> Seen:
        """The entry under the id that the EHR itself has named, which no index is needed for.

        What later requests of the same plan added to it is read along.
        """
        self._settle(now)
        if self._fails(0.4):
            return Seen.COULD_NOT_LOOK
        for each in self.effects[number]:
            if each.reference == reference:
                if each.waiting:
                    return Seen.NONE
                if self._overwritten(each):
                    return Seen.OURS_DIFFERENT
                mangled = any(part.mangled for part in self.effects[number])
                return Seen.OURS_DIFFERENT if mangled else Seen.OURS_EQUAL
        return Seen.NONE

    def reference_of(self, number: int) -> str:
        """The id of the entry that a search shows."""
        held = self.effects[number]
        return held[0].reference if held else ""

    def was_equal(self, number: int) -> bool:
        """Has the chart ever held, from somebody else, what this change says?"""
        return bool(self.equals.get(number))

    def read_equal(self, number: int, *, at: float) -> bool:
        """Did the chart hold at that moment, from somebody else, what this change says?"""
        return any(begun <= at < ended for begun, ended in self.equals.get(number, ()))

    def is_waiting(self, number: int) -> bool:
        return any(each.waiting for each in self.effects[number])

    # --- what people and other programs do there ---------------------------------------------------------

    def edit(self, key: str, *, equal_to: int | None, now: float) -> None:
        """A colleague writes the entry; by chance the same as the change would have."""
        target = self.targets[key]
        self._end_of_equal(target, now=now)
        target.holder, target.version, target.equal_to = None, target.version + 1, equal_to
        if equal_to is not None:
            self.equals.setdefault(equal_to, []).append((now, math.inf))

    def _end_of_equal(self, target: Target, *, now: float) -> None:
        """The entry is written anew: what a colleague had put there is no longer what it says."""
        if target.equal_to is not None:
            begun, _ = self.equals[target.equal_to].pop()
            self.equals[target.equal_to].append((begun, max(begun, now)))

    def take_up(self, now: float) -> None:
        """Somebody accepts what waits in the EHR."""
        self._settle(now)
        for held in self.effects.values():
            for each in held:
                each.waiting = False

    def complete_by_hand(self, number: int, *, body: list[str], now: float) -> None:
        """A person types what a half-written plan lacks."""
        self._settle(now)
        held = {each.step for each in self.effects[number]}
        for step in range(self.orders[number].steps):
            if step not in held:
                typed = Effect(number, step, body[step], "by hand", now, by_hand=True)
                self.effects[number].append(typed)

    def steps_of(self, number: int, now: float) -> list[int]:
        """The truth: which steps of this change took effect."""
        self._settle(now)
        return sorted(each.step for each in self.effects[number])

    # --- the parts ----------------------------------------------------------------------------------------

    def _settle(self, now: float) -> None:
        if not self.late:
            return
        due = sorted(each for each in self.late if each[0] <= now)
        if due:
            self.late = [each for each in self.late if each[0] > now]
            for moment, _, effect, base in due:
                self._commit(effect, base=base, now=moment)

    def _commit(self, effect: Effect, *, base: int, now: float) -> type[errors.AdapterError] | None:
        order = self.orders[effect.number]
        target = self.targets.get(order.target)
        if order.is_fenced:
            if target is not None and target.version != base:
                return errors.VersionConflict
            if target is None and any(
                each.step == effect.step for each in self.effects[effect.number]
            ):
                return errors.AlreadyThere
        lag = self.random.random() * self.bounds.index_lag if self.trouble else 0.0
        if order.is_fenced and target is not None:
            lag = 0.0  # who compares versions reads the entry itself, not an index
        effect.visible_from = now + lag
        self.effects[effect.number].append(effect)
        if target is not None:
            self._end_of_equal(target, now=now)
            target.holder, target.version = effect.number, target.version + 1
            target.equal_to = None
        return None

    def _shows(self, target: Target, *, now: float) -> bool:
        """Is the present content of the entry in the index yet?"""
        if target.holder is None:
            return True
        return self.effects[target.holder][-1].visible_from <= now

    def _target(self, order: Order, *, base: int, now: float) -> Seen:
        target = self.targets[order.target]
        held = self.effects[order.number]
        if target.version == base or not self._shows(target, now=now):
            return Seen.NONE
        if target.holder == order.number:
            if held[-1].mangled:
                return Seen.OURS_DIFFERENT if order.is_marked else Seen.COLLEAGUE_DIFFERENT
            return Seen.OURS_EQUAL if order.is_marked else Seen.COLLEAGUE_EQUAL
        if target.equal_to == order.number:
            return Seen.COLLEAGUE_EQUAL
        return Seen.COLLEAGUE_DIFFERENT

    def _overwritten(self, effect: Effect) -> bool:
        target = self.targets.get(self.orders[effect.number].target)
        return target is not None and target.holder != effect.number

    def _answer_of_a_repeater(self, number: int) -> type[errors.AdapterError]:
        """Something between the portal and the chart sent the request twice: the second one is answered."""
        order = self.orders[number]
        if not (order.is_fenced and order.is_marked):
            # Without a mark an equal entry is taken for a colleague's, whoever caused it.
            return errors.TimedOutAfterSend
        return errors.VersionConflict if order.target else errors.AlreadyThere

    def _error(self, kind: type[errors.AdapterError]) -> errors.AdapterError:
        return kind(
            retry_after=self.random.random() * 60 if kind is errors.RateLimited else None,
            vendor_text=CANARY,
            vendor_code="E-17",
        )

    def _fails(self, weight: float) -> bool:
        return self.random.random() < self.trouble * weight
