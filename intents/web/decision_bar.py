"""What approving does, for whom and where, and what is left before it: the words of the decision bar."""

from dataclasses import dataclass
from datetime import datetime

from django.utils import timezone

from ehr_adapters.canonical.base import kind_names
from intents.lifecycle import State
from intents.pipeline import presentation
from intents.web.wording import counted


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of the decision bar's sentence."""

    text: str
    strong: bool = False


def left(seen: presentation.ReviewPage, states: list[State]) -> str:
    """What is left to do, beside the decision."""
    if seen.checks:
        return f"0 of {len(seen.checks)} checks done. Next: {seen.checks[0].need}"
    if State.PENDING_APPROVAL in states:
        return "Nothing is left to check. Nothing is written until you approve."
    if State.VALIDATED in states:
        return "A prepared draft: nothing is written unless it is put up and approved."
    return "Nothing of this draft can be approved. Nothing is written."


def title(seen: presentation.ReviewPage) -> str:
    """What the draft is about, over everything."""
    if len(seen.cards) == 1:
        return seen.cards[0].heading
    return f"{counted(len(seen.cards), 'change')} to check"


def chart_line(seen: presentation.ReviewPage, *, at: datetime) -> str:
    """When the chart was read, and when it was compared again."""
    reads = [card.read_at for card in seen.cards if card.read_at]
    if not reads:
        return ""
    local = timezone.localtime(min(reads))
    return f"read {local:%H:%M}, compared again {timezone.localtime(at):%H:%M}"


def approve_for(seen: presentation.ReviewPage) -> str:
    """Whom the button names: with a name-alike, more than the family name."""
    banner = seen.banner
    if banner.alike:
        return f"{banner.family}, {banner.given}, born {banner.born}"
    return banner.family


# What approving does to changes of each finality, as the decision bar says it.
_WRITES = {
    "filed": ("writes ", ""),
    "filed_unsigned": ("files ", "unsigned "),
    "staged": ("puts ", "waiting "),
    "sent_for_action": ("sends ", ""),
}


def sentence(seen: presentation.ReviewPage) -> list[Part]:
    """What approving does, for whom and where, in one sentence."""
    pending = [card for card in seen.cards if card.state == State.PENDING_APPROVAL]
    parts: list[Part] = []
    for finality, (verb, adjective) in _WRITES.items():
        mine = [card for card in pending if card.finality == finality]
        for kind in dict.fromkeys(card.kind for card in mine):
            number = sum(card.kind == kind for card in mine)
            parts += [
                Part("; " if parts else ""),
                Part(verb if parts else verb.capitalize()),
                Part(
                    counted(number, *(f"{adjective}{name}" for name in kind_names(kind))),
                    strong=True,
                ),
            ]
        if mine and finality == "staged":
            parts.append(Part(" into the EHR’s waiting list"))
    if not parts:
        parts = [Part("Nothing of this draft waits for approval")]
    banner = seen.banner
    return [
        *parts,
        Part(", for "),
        Part(banner.name, strong=True),
        Part(f", born {banner.born}, MRN {banner.mrn or 'not given'}, in "),
        Part(seen.destination, strong=True),
        Part("."),
    ]
