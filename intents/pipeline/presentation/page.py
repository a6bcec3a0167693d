"""The shapes of the review page: plain frozen values that a template only has to print."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from datetime import datetime

from audit.encoding import canonical_bytes, sha256_hex

# Not part of what is approved: when something was looked at, and what only helps to find the way.
_NOT_SEALED = frozenset({"read_at", "unchanged_at", "about", "sources", "notices", "open_reason"})


@dataclass(frozen=True, slots=True)
class Option:
    """One answer of a choice. The first option of a choice is the safest."""

    value: str
    words: str


@dataclass(frozen=True, slots=True)
class Check:
    """Something a person must answer before approving: a tick (no options) or a choice."""

    key: str
    # what is left to do, in words: "next: 20 mg once daily"
    need: str
    label: str
    options: tuple[Option, ...] = ()

    @property
    def accepted(self) -> tuple[str, ...]:
        """The answers with which the change may be approved as it is shown."""
        return tuple(o.value for o in self.options if o.value not in REWRITES) or ("yes",)


TAKE_OUT = "take-out"
KEEP = "keep"
KEEP_WAITING = "keep-waiting"
ADD = "add"
LEAVE_OUT = "leave-out"
# Answers that change the words: a new version is made, checked and shown before it can be approved.
REWRITES = frozenset({TAKE_OUT, ADD})


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of shown text: how it changes, and which statement it belongs to (0: none)."""

    text: str
    change: str = "same"
    statement: int = 0
    flagged: bool = False


@dataclass(frozen=True, slots=True)
class Quote:
    """Words of a source: `marked` is quoted, `before` and `after` are what surrounds it."""

    source: str
    title: str
    speaker: str
    at: str
    before: str
    marked: str
    after: str
    method: str


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement of a draft and where it comes from.

    `support`: supported, inferred, absent (not in the source), contradicted (against the source),
    unavailable, or own (a reviewer's words). `remark` says what the separate check found.
    """

    number: int
    pointer: str
    start: int
    end: int
    text: str
    support: str
    remark: str
    quotes: tuple[Quote, ...]
    reports: str = ""
    check: Check | None = None

    @property
    def flagged(self) -> bool:
        return self.check is not None


@dataclass(frozen=True, slots=True)
class Row:
    """One field: its words now and as they will be; "" is "not there"."""

    name: str
    label: str
    now: str
    will_be: str
    changed: bool
    risk: str


@dataclass(frozen=True, slots=True)
class SectionView:
    """One section of a text: as it is now and as it will be."""

    title: str
    now: tuple[Piece, ...]
    will_be: tuple[Piece, ...]


@dataclass(frozen=True, slots=True)
class ContextEntry:
    """Another entry of the chart that bears on this change."""

    label: str
    words: str
    long_text: str = ""


@dataclass(frozen=True, slots=True)
class CopyView:
    """The exact words and values for typing a change into the EHR, where the portal cannot write it."""

    title: str
    place: str
    lines: tuple[tuple[str, str], ...]
    sentence: str


@dataclass(frozen=True, slots=True)
class Card:
    """One change: in the chart now, will be written, where it comes from."""

    letter: str
    intent_id: str
    ref: str
    kind: str
    interaction: str
    heading: str
    state: str
    risk: str
    delta: str
    rows: tuple[Row, ...]
    sections: tuple[SectionView, ...]
    statements: tuple[Statement, ...]
    left_out: tuple[Statement, ...]
    checks: tuple[Check, ...]
    remarks: tuple[str, ...]
    findings: tuple[str, ...]
    context: tuple[ContextEntry, ...]
    finality: str
    finality_words: str
    author: str
    payload_hash: str
    is_new: bool
    version: int
    edited_by: str
    read_at: datetime | None = None
    # the exact request, for "about this draft"
    requests: tuple[tuple[str, str, str], ...] = ()
    can_drop: bool = False
    copy: CopyView | None = None
    # what became of it, where nothing is left to decide; "" while something is
    status: str = ""
    # what stands over the values: that they will be written, or that they will not
    lead: str = "Will be written"

    @property
    def changed_rows(self) -> tuple[Row, ...]:
        return tuple(r for r in self.rows if r.changed)

    @property
    def same_rows(self) -> tuple[Row, ...]:
        return tuple(r for r in self.rows if not r.changed)


@dataclass(frozen=True, slots=True)
class Banner:
    """Whose chart: always from the portal's own read of the EHR."""

    name: str
    family: str
    given: str
    born: str
    age: str
    sex: str
    mrn: str
    allergy_label: str
    allergy_text: str
    allergy_unknown: bool
    destination: str
    visit: str
    alike: str
    name_title: str = ""
    photo: str = ""


@dataclass(frozen=True, slots=True)
class SourceView:
    """A whole source as lines of (time, speaker, pieces), quoted words marked."""

    ref: str
    title: str
    kind: str
    lines: tuple[tuple[str, str, tuple[Piece, ...]], ...]


@dataclass(frozen=True, slots=True)
class ReviewPage:
    """Everything on the review page of one proposal."""

    proposal_id: str
    banner: Banner
    cards: tuple[Card, ...]
    tier: str
    risk: str
    destination: str
    ehr: str
    drafted: str
    reasons: tuple[str, ...]
    sources: tuple[SourceView, ...] = ()
    about: Mapping[str, str] = field(default_factory=dict)
    notices: tuple[str, ...] = ()
    # what is filed beside the changes, and when; part of what is approved
    beside: str = ""

    @property
    def checks(self) -> tuple[Check, ...]:
        """Every check of the page, in the order in which it is read."""
        return tuple(check for card in self.cards for check in card.checks)

    def open_checks(self, answers: Mapping[str, str]) -> tuple[Check, ...]:
        """The checks that `answers` leaves open. An answer that asks for a change is still open."""
        return tuple(c for c in self.checks if answers.get(c.key, "") not in c.accepted)

    @property
    def view_hash(self) -> str:
        """SHA-256 over everything shown that bears on the decision."""
        return sha256_hex(canonical_bytes(_plain(self)))

    def payload_hashes(self) -> dict[str, str]:
        """Intent id to the hash of its frozen bytes, for the changes that can be decided."""
        return {card.intent_id: card.payload_hash for card in self.cards if card.payload_hash}

    def statements(self) -> Iterator[Statement]:
        for card in self.cards:
            yield from card.statements


def _plain(value: object) -> object:
    if is_dataclass(value) and not isinstance(value, type):
        return {
            f.name: _plain(getattr(value, f.name))
            for f in fields(value)
            if f.name not in _NOT_SEALED
        }
    if isinstance(value, tuple | list):
        return [_plain(v) for v in value]
    if isinstance(value, Mapping):
        return {str(k): _plain(v) for k, v in value.items()}
    return value
