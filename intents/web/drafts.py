"""A draft in one line, for lists: whose chart, what would change, what needs attention.

The review page itself is drawn by `pipeline.presentation` from the frozen bytes. Lists show the same
change from the stored content against the portal's own read of the chart. Every word that came from
outside is shown with its invisible characters made visible.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from typing import Any

from ehr_adapters.canonical.base import (
    Control,
    FieldSpec,
    Interaction,
    Risk,
    change_risk,
    changed_fields,
    fields,
    kind_label,
    makes_entry,
    visible_text,
    words,
)
from intents.governance.encryption import CannotUnseal, PhiRecord
from intents.lifecycle import RejectedBy, State, Tier
from intents.models import Intent, Proposal
from intents.pipeline.clinical.observed import weighs_a_child
from intents.web import wording

# A line is a line: longer values are cut here and read in full on the draft's own page.
_LONGEST = 90
_CODED = (Control.CODE, Control.CODES)
_SEXES = {"male": ("Male", "M"), "female": ("Female", "F"), "other": ("Other", "other")}


@dataclass(frozen=True, slots=True)
class Whose:
    """Whose chart a draft is about. `asserted`: as the agent gave it, not yet compared with the EHR."""

    name: str
    born: str
    age: str
    sex: str
    sex_letter: str
    mrn: str
    asserted: bool

    @property
    def age_sex(self) -> str:
        return " ".join(part for part in (self.age, self.sex_letter) if part)


@dataclass(frozen=True, slots=True)
class Delta:
    """One change in words: `old` and `new` are empty where there is nothing on that side."""

    subject: str
    verb: str = ""
    old: str = ""
    new: str = ""
    more: str = ""

    @property
    def plain(self) -> str:
        """The change as running text, for a heading."""
        sides = " → ".join(part for part in (self.old, self.new) if part)
        return f"{self.subject}{self.verb}{' ' if sides else ''}{sides}"


@dataclass(frozen=True, slots=True)
class Flag:
    """Something about a draft that is not as usual."""

    text: str
    tone: str = ""


# --- whose chart -------------------------------------------------------------------------------------


def whose(proposal: Proposal, *, on: date) -> Whose:
    """Name, birth date, sex and MRN: from the portal's own read, else as the agent asserted them."""
    for intent in proposal.intents.all():
        baseline = baseline_of(intent)
        identity = baseline.get("identity") if baseline else None
        if identity:
            return _whose(
                family=identity["family"],
                given=" ".join(identity["given"]),
                birth_date=identity["birth_date"],
                sex=identity["sex"],
                mrn=identity["mrns"][0][1] if identity["mrns"] else "",
                on=on,
                asserted=False,
            )
    said = opened(proposal, "asserted_identity") or {}
    return _whose(
        family=said.get("family", ""),
        given=said.get("given", ""),
        birth_date=said.get("birth_date", ""),
        sex=said.get("sex", ""),
        mrn=said.get("mrn", ""),
        on=on,
        asserted=True,
    )


def _whose(
    *, family: str, given: str, birth_date: str, sex: str, mrn: str, on: date, asserted: bool
) -> Whose:
    born, age = birth(birth_date, on=on)
    long_sex, letter = _SEXES.get(sex, ("", ""))
    name = ", ".join(part for part in (visible_text(family).upper(), visible_text(given)) if part)
    return Whose(
        name=name or "Name not known",
        born=born,
        age=age,
        sex=long_sex,
        sex_letter=letter,
        mrn=visible_text(mrn),
        asserted=asserted,
    )


def birth(value: str, *, on: date) -> tuple[str, str]:
    """A FHIR date of birth in words and the age on a day: ("14-Mar-1957", "69y"); partial dates stay partial."""
    try:
        born = date.fromisoformat(value)
    except ValueError:
        return visible_text(value), ""
    years = on.year - born.year - ((on.month, on.day) < (born.month, born.day))
    if years >= 2:
        return wording.day(born), f"{years}y"
    months = (on.year - born.year) * 12 + on.month - born.month - (on.day < born.day)
    return wording.day(born), f"{max(0, months)}m"


# --- what would change ---------------------------------------------------------------------------------


def baseline_of(intent: Intent) -> dict[str, Any]:
    """The portal's own read behind the current screening; {} before the first."""
    screening = intent.current_screening
    if screening is None or not screening.baseline:
        return {}
    return opened(screening, "baseline") or {}


def opened(record: PhiRecord, column: str) -> Any:
    """The JSON of a sealed column; None where what is stored cannot be opened any more.

    A list must not fall with one of its rows. What cannot be opened is never sent: dispatch looks itself.
    """
    try:
        return record.phi_json(column)
    except CannotUnseal:
        return None


@dataclass(frozen=True, slots=True)
class ChangeLine:
    """One change of a list: its delta, and its risk as the weight of ink.

    `risk` is low, med, high, dual or stop; "" before the rules have spoken.
    """

    delta: Delta
    risk: str


def line_of(intent: Intent) -> ChangeLine:
    """One change in chart terms, with what stands in the chart now."""
    kind = intent.change_kind
    if intent.current_version is None:
        return ChangeLine(Delta(kind_label(kind)), "")
    content: dict[str, Any] | None = opened(intent.current_version, "content")
    if content is None:
        return ChangeLine(Delta(kind_label(kind), ", what is stored cannot be opened"), "high")
    target: dict[str, Any] = {}
    if not makes_entry(kind, intent.interaction):
        target = (baseline_of(intent).get("target") or {}).get("canonical") or {}
    after = {name: value for name, value in {**target, **content}.items() if value is not None}
    specs = {spec.name: spec for spec in fields(kind)}
    changed = [specs[name] for name in changed_fields(kind, target, after)]
    # What the change says first, whose words and which visit it hangs on last.
    changed.sort(key=lambda spec: spec.control in {Control.REFERENCE, Control.REFERENCES})
    delta = _delta(intent, specs=specs, target=target, after=after, changed=changed)
    risk = _risk(intent, changed)
    if risk in ("low", "med") and kind == "vitals":
        screening, identity = intent.current_screening, baseline_of(intent).get("identity") or {}
        born = str(identity.get("birth_date") or "")
        if screening and weighs_a_child(kind, after, birth_date=born, at=screening.created_at):
            risk = "high"
    return ChangeLine(delta, risk)


def _delta(
    intent: Intent,
    *,
    specs: dict[str, FieldSpec],
    target: dict[str, Any],
    after: dict[str, Any],
    changed: list[FieldSpec],
) -> Delta:
    label = kind_label(intent.change_kind)
    verb = _VERBS.get(intent.interaction, f", {intent.interaction.replace('-', ' ')}")
    principal = _principal(specs, target or after)
    subject = _said(principal, (target or after).get(principal.name)) if principal else ""
    if makes_entry(intent.change_kind, intent.interaction):
        extra = [s for s in changed if s.control is Control.SECTIONS]
        more = ", ".join(_said(spec, after[spec.name]) for spec in extra)
        return Delta(label, verb, new=subject or "new entry", more=more)
    if not changed:
        return Delta(label, verb, old=subject)
    first = changed[0]
    rest = len(changed) - 1
    named = principal is None or first.name == principal.name
    return Delta(
        label if named else f"{label} {subject}",
        verb if named else f"{verb}, {first.label.lower()}",
        old=_said(first, target.get(first.name)),
        new=_said(first, after.get(first.name)),
        more=f"and {wording.counted(rest, 'more field')}" if rest else "",
    )


_VERBS: dict[str, str] = {
    Interaction.CREATE: ", add",
    Interaction.UPDATE: "",
    Interaction.AMEND: ", addendum",
    Interaction.DISCONTINUE: ", end",
    Interaction.RESOLVE: ", resolve",
    Interaction.CANCEL: ", cancel",
    Interaction.COMMENT: ", comment",
    Interaction.ENTERED_IN_ERROR: ", mark as entered in error",
}


def _principal(specs: dict[str, FieldSpec], value: dict[str, Any]) -> FieldSpec | None:
    """The field that names the entry: its first coded one, else the first that says anything."""
    said = [s for s in specs.values() if value.get(s.name) is not None and not s.portal_only]
    coded = next((spec for spec in said if spec.control in _CODED), None)
    return coded or (said[0] if said else None)


def _said(spec: FieldSpec, value: Any) -> str:
    if value is None:
        return ""
    if spec.control is Control.SECTIONS:
        return wording.counted(len(value), "section")
    if spec.control is Control.REFERENCES:
        return wording.counted(len(value), "entry", "entries")
    if spec.control is Control.REFERENCE:
        return (
            f"another {spec.refers_to[0].lower()}" if len(spec.refers_to) == 1 else "another entry"
        )
    text = " ".join(visible_text(words(spec.kind, spec.name, value)).split())
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST].rstrip()}…"


_WEIGHT = ("", "low", "med", "high", "dual", "stop")
_RISK: dict[Risk, str] = {Risk.LOW: "low", Risk.MEDIUM: "med", Risk.HIGH: "high"}
_RULE_RISK = {"low": "low", "medium": "med", "high": "high"}


def _risk(intent: Intent, changed: list[FieldSpec]) -> str:
    if intent.state == State.REJECTED and intent.rejected_by == RejectedBy.POLICY:
        return "stop"
    if intent.tier in (Tier.BLOCKED, ""):
        return "stop" if intent.tier else ""
    if intent.tier == Tier.DUAL_APPROVAL:
        return "dual"
    fields = _RISK[
        change_risk(intent.change_kind, intent.interaction, [spec.name for spec in changed])
    ]
    return heaviest([fields, _RULE_RISK.get(_rule_risk(intent), "")])


def _rule_risk(intent: Intent) -> str:
    """What the clinic's rules say about it, as they were last asked."""
    asked = intent.current_screening.verdicts.all() if intent.current_screening else ()
    newest = max(asked, key=lambda verdict: (verdict.at, verdict.pk), default=None)
    return newest.rule_risk if newest else ""


def heaviest(risks: list[str]) -> str:
    """The risk of a whole draft is that of its riskiest change."""
    return max(risks, key=_WEIGHT.index, default="")


# --- what needs attention ---------------------------------------------------------------------------------


# What a finding that needs a decision is called in a list: (end of its code, one, many, tone).
_CALLED: tuple[tuple[str, str, str, str], ...] = (
    ("-contradicted", "against the source", "against the source", "flag"),
    ("-absent", "not in the source", "not in the source", "flag"),
    ("-unavailable", "source not available", "sources not available", "bad"),
    ("act-not-written", "reports what is not written", "report what is not written", "flag"),
    ("act-without-change", "reports what is not drafted", "report what is not drafted", "flag"),
    ("left-out", "fact left out", "facts left out", "warn"),
)


def is_kept_back(intent: Intent) -> bool:
    """Approved, and kept back by the stage that its connection is at (`governance.rollout`)."""
    return intent.reason.startswith("stage-")


def flags_of(intents: Iterable[Intent]) -> list[Flag]:
    """Exceptions only: what a person will have to decide, a chart that moved, what is blocked."""
    found: list[Flag] = []
    counted: Counter[tuple[str, str, str]] = Counter()
    for intent in intents:
        if intent.state == State.HELD and is_kept_back(intent):
            found.append(Flag("Kept back by the stage", ""))
        elif intent.state == State.HELD:
            found.append(Flag("Stopped: needs a person", "bad"))
        if intent.state == State.REJECTED and intent.rejected_by == RejectedBy.POLICY:
            found.append(Flag("Cannot be approved", "bad"))
        screening = intent.current_screening
        for finding in screening.findings.all() if screening else ():
            if finding.needs_decision:
                counted[_called(finding.code)] += 1
    found += [
        Flag(f"{number} {one if number == 1 else many}", tone)
        for (one, many, tone), number in counted.items()
    ]
    return list(dict.fromkeys(found))


def _called(code: str) -> tuple[str, str, str]:
    for ending, one, many, tone in _CALLED:
        if code.endswith(ending):
            return one, many, tone
    return "to decide", "to decide", "flag"
