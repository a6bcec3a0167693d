"""An EHR that misbehaves in every documented way, and knows the truth."""

from dataclasses import dataclass, field
from random import Random

from ehr_adapters import errors
from ehr_adapters.capabilities import FindMethod
from intents.pipeline.delivery.words import Seen

# The bounds that a connection is configured with, in ticks. The EHR keeps within them.
TOKEN_LIFE = 12
PROCESSING = 15
INDEX_LAG = 10
QUARANTINE = TOKEN_LIFE + PROCESSING + INDEX_LAG + 1


@dataclass(slots=True)
class Effect:
    """One entry in the chart that the portal caused."""

    intent: int
    step: int
    body: str
    visible_from: int
    mangled: bool = False


@dataclass(slots=True)
class Token:
    expires: int


@dataclass(slots=True)
class FaultyEhr:
    """What it holds, what it will commit late, and how often it misbehaves (`trouble`, 0 to 1)."""

    random: Random
    trouble: float
    now: int = 0
    effects: list[Effect] = field(default_factory=list)
    late: list[tuple[int, Effect]] = field(default_factory=list)

    def advance(self) -> None:
        self.now += 1
        due = [effect for moment, effect in self.late if moment <= self.now]
        self.late = [(moment, effect) for moment, effect in self.late if moment > self.now]
        self.effects += due

    def token(self) -> Token | type[BaseException]:
        if self._fails(0.3):
            return errors.TokenUnavailable
        return Token(expires=self.now + TOKEN_LIFE)

    def read(self, token: Token) -> type[BaseException] | None:
        if token.expires <= self.now:
            return errors.TokenRejected
        if self._fails(0.3):
            return self.random.choice([errors.Unreachable, errors.RateLimited])
        return None

    def submit(
        self, *, token: Token, intent: int, step: int, body: str
    ) -> type[BaseException] | None:
        """None: 201 with an id. Whatever the answer, the truth is in `effects` and `late`."""
        if token.expires <= self.now:
            return errors.TokenRejected
        if not self._fails(1.0):
            self._commit(intent, step, body)
            return None
        fault = self.random.choice(
            [
                "unreachable",
                "rate limited",
                "refused",
                "dropped",
                "500 after commit",
                "timeout after commit",
                "late",
                "late",
                "no id",
                "mangled",
                "lost before commit",
                "lost after commit",
            ]
        )
        match fault:
            case "unreachable":
                return errors.Unreachable
            case "rate limited":
                return errors.RateLimited
            case "refused":
                return errors.ContentRefused
            case "dropped":
                return errors.TimedOutAfterSend
            case "lost before commit":
                return errors.ConnectionLost
            case "late":
                lag = self.random.randint(0, INDEX_LAG)
                moment = self.now + self.random.randint(1, PROCESSING)
                effect = Effect(intent, step, body, visible_from=moment + lag)
                self.late.append((moment, effect))
                return self.random.choice([errors.TimedOutAfterSend, errors.ServerError])
            case "mangled":
                self._commit(intent, step, body, mangled=True)
                return None
        self._commit(intent, step, body)
        return {
            "500 after commit": errors.ServerError,
            "timeout after commit": errors.TimedOutAfterSend,
            "lost after commit": errors.ConnectionLost,
            "no id": errors.UnreadableReply,
        }[fault]

    def find(self, *, intent: int, method: FindMethod) -> Seen:
        """What a search by `method` shows now; entries become visible after the index's lag."""
        if self._fails(0.3):
            return Seen.COULD_NOT_LOOK
        if method == FindMethod.NONE:
            return Seen.COULD_NOT_LOOK
        hits = [e for e in self.effects if e.intent == intent and e.visible_from <= self.now]
        if len(hits) > 1:
            return Seen.AMBIGUOUS
        if not hits:
            return Seen.NONE
        if hits[0].mangled:
            return Seen.OURS_DIFFERENT
        return Seen.OURS_EQUAL if method != FindMethod.MATCH else Seen.COLLEAGUE_EQUAL

    def holds(self, intent: int) -> list[int]:
        """The truth: which steps of this change took effect."""
        return sorted(effect.step for effect in self.effects if effect.intent == intent)

    def complete_by_hand(self, *, intent: int, steps: int) -> None:
        """A person types what a half-written plan lacks."""
        for step in set(range(steps)) - set(self.holds(intent)):
            self.effects.append(Effect(intent, step, f"{intent}/{step}", visible_from=self.now))

    def _commit(self, intent: int, step: int, body: str, *, mangled: bool = False) -> None:
        lag = self.random.randint(0, INDEX_LAG) if self.trouble else 0
        self.effects.append(
            Effect(intent, step, body, visible_from=self.now + lag, mangled=mangled)
        )

    def _fails(self, weight: float) -> bool:
        return self.random.random() < self.trouble * weight
