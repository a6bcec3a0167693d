"""What validation is told about one change: content, sources, evidence, and what stands around it. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ehr_adapters.canonical.base import ChangeIssue, ChartChange, makes_entry
from ehr_adapters.contract import Baseline
from intents.pipeline.support.judging import Quote, SourceText


@dataclass(frozen=True, slots=True)
class Cited:
    """One quoted span and the place in the content that rests on it."""

    path: str
    quote: Quote
    span: tuple[int, int] | None = None
    confidence: int | None = None


@dataclass(frozen=True, slots=True)
class Sibling:
    """Another change of the same proposal: whether it is going to be written, and as what."""

    ref: str
    content: Mapping[str, Any] = field(repr=False)
    going: bool = True
    finality: str = ""
    kind: str = ""
    interaction: str = ""


@dataclass(frozen=True, slots=True)
class Waiting:
    """A change of this patient that went out from here and that the EHR does not show (yet)."""

    content: Mapping[str, Any] = field(repr=False)
    interaction: str
    staged: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """One version of one change with all that belongs to it.

    `change` is None where the content is no such change; `change_issues` then say why. `asserted` is the
    identity that the agent gave. `agent_statements` are the statements as the agent wrote them; None
    while nobody has edited the draft. `own_target`: the entry to be changed was written by the portal;
    `visit_cleared`: a
    person released it although its visit is closed. `own_tags`: what carries one of them in the chart is this change itself.
    """

    kind: str
    interaction: str
    content: Mapping[str, Any] = field(repr=False)
    change: ChartChange | None = field(default=None, repr=False)
    change_issues: Sequence[ChangeIssue] = ()
    patient_ref: str = ""
    encounter_ref: str = ""
    asserted: Mapping[str, str] = field(default_factory=dict, repr=False)
    sources: Mapping[str, SourceText] = field(default_factory=dict, repr=False)
    source_patients: Mapping[str, str] = field(default_factory=dict, repr=False)
    evidence: Sequence[Cited] = ()
    siblings: Mapping[str, Sibling] = field(default_factory=dict)
    waiting: Sequence[Waiting] = ()
    agent_statements: frozenset[str] | None = None
    own_target: bool = False
    own_tags: frozenset[str] = frozenset()
    target_in_flight: bool = False
    visit_cleared: bool = False

    @property
    def is_new(self) -> bool:
        return makes_entry(self.kind, self.interaction)


def resulting(draft: Draft, *, baseline: Baseline | None) -> Mapping[str, Any]:
    """The entry as it would be: the draft over the entry that it changes."""
    target = baseline.target if baseline else None
    before = dict(target.canonical) if target and draft.interaction != "amend" else {}
    return draft.change.applied_to(before) if draft.change else {**before, **draft.content}
