"""One change as a card: what the frozen bytes say, beside the chart and the quoted sources."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ehr_adapters.canonical import base as canonical
from ehr_adapters.contract import Baseline, NameAlikes, Snapshot, WirePlan
from intents.lifecycle import State, Tier
from intents.models import EvidenceItem, Finding, Intent, IntentVersion, PolicyVerdict, Screening
from intents.pipeline import gateway
from intents.pipeline.diffing import Change, Run, text_diff
from intents.pipeline.presentation import quoting
from intents.pipeline.presentation.banner import display, visit_words
from intents.pipeline.presentation.page import (
    KEEP,
    TAKE_OUT,
    Card,
    Check,
    ContextEntry,
    Option,
    Piece,
    Row,
    SectionView,
    Statement,
)
from intents.pipeline.support.sentences import statements as statement_spans
from intents.queries.status import finality_sentence

RISK_OF_TIER = {Tier.DUAL_APPROVAL: "dual", Tier.BLOCKED: "stop"}
_RISK_WORDS = {"H": "high", "M": "med", "L": "low"}


@dataclass(frozen=True, slots=True)
class OpenedChange:
    """One change with everything unsealed that its card needs."""

    intent: Intent
    version: IntentVersion
    screening: Screening
    baseline: Baseline
    alikes: NameAlikes | None
    plan: WirePlan | None
    content: Mapping[str, Any]
    evidence: tuple[EvidenceItem, ...]
    findings: tuple[Finding, ...]
    verdict: PolicyVerdict | None

    @property
    def change(self) -> canonical.ChartChange:
        """What the frozen bytes say; without them what was drafted, which then cannot be approved."""
        if self.plan is not None:
            return gateway.parse(connection=self.intent.connection, plan=self.plan)
        return canonical.parse_change(
            self.intent.change_kind, self.intent.interaction, dict(self.content)
        )

    @property
    def now(self) -> Mapping[str, Any]:
        target = self.baseline.target
        return target.canonical if target and self.intent.interaction != "amend" else {}


def change_of(*, intent: Intent, screening: Screening) -> canonical.ChartChange:
    """The change that a screening's frozen bytes say."""
    plan = WirePlan.from_json(screening.phi_json("wire_plan"))
    return gateway.parse(connection=intent.connection, plan=plan)


class Numbers:
    """Numbers of the statements, one after the other down the page."""

    def __init__(self) -> None:
        self.last = 0

    def __call__(self) -> int:
        self.last += 1
        return self.last


def draw_card(
    one: OpenedChange,
    *,
    letters: Mapping[str, str],
    sources: Mapping[Any, quoting.OpenSource],
    ehr: str,
    numbers: Numbers,
) -> Card:
    intent, change = one.intent, one.change
    after = change.applied_to(one.now)
    is_new = intent.interaction in ("create", "amend")
    statements: list[Statement] = []
    sections: list[SectionView] = []
    if "sections" in after:
        sections = _sections(
            one, after, letters=letters, sources=sources, numbers=numbers, into=statements
        )
    rows = _rows(one, after)
    statements += _field_statements(one, sources=sources, numbers=numbers)
    field_checks = _field_checks(one, rows, is_new=is_new)
    general = _general_findings(one)
    finding_checks = tuple(
        Check(
            key=f"{intent.ref}:finding:{f.code}:{f.expression}",
            need=f.diagnostics,
            label=f"Seen: {f.diagnostics}",
        )
        for f in general
        if f.needs_decision
    )
    statement_checks = tuple(s.check for s in statements if s.check)
    risk = _card_risk(one, rows)
    finality = one.plan.finality.value if one.plan else ""
    return Card(
        letter=letters[intent.ref],
        intent_id=str(intent.pk),
        ref=intent.ref,
        kind=intent.change_kind,
        interaction=intent.interaction,
        heading=_heading(one, after),
        state=intent.state,
        risk=risk,
        delta=_delta(one, rows, after),
        rows=rows,
        sections=tuple(sections),
        statements=tuple(statements),
        left_out=(),
        checks=(*field_checks, *statement_checks, *finding_checks) if _decidable(intent) else (),
        remarks=tuple(r.sentence for r in one.plan.remarks) if one.plan else (),
        findings=tuple(f.diagnostics for f in general),
        context=_context(one),
        finality=finality,
        finality_words=(
            finality_sentence(finality, connection_title=ehr)
            if finality
            else "Nothing is sent for this change."
        ),
        author=_author(one, after),
        payload_hash=one.screening.payload_hash,
        is_new=is_new,
        version=one.version.number,
        edited_by=one.version.author_name if one.version.number > 1 else "",
        read_at=one.baseline.read_at,
        requests=tuple(
            (step.method, step.path, step.body.decode("utf-8", "replace"))
            for step in (one.plan.steps if one.plan else ())
        ),
        can_drop=_decidable(intent) and not intent.proposal.all_or_nothing,
    )


def _decidable(intent: Intent) -> bool:
    return intent.state == State.PENDING_APPROVAL


# --- fields --------------------------------------------------------------------------------------


def _rows(one: OpenedChange, after: Mapping[str, Any]) -> tuple[Row, ...]:
    kind = one.intent.change_kind
    out = []
    for spec in canonical.fields(kind):
        if spec.name == "sections" or spec.portal_only:
            continue
        now, will = one.now.get(spec.name), after.get(spec.name)
        if now is None and will is None:
            continue
        out.append(
            Row(
                name=spec.name,
                label=spec.label,
                now=_words(one, spec.name, now),
                will_be=_words(one, spec.name, will),
                changed=not canonical.same_value(kind, spec.name, now, will),
                risk=spec.risk.value,
            )
        )
    return tuple(out)


def _words(one: OpenedChange, name: str, value: Any) -> str:
    if value is None:
        return ""
    if name == "encounter" and one.baseline.visit and str(value).endswith(one.baseline.visit.id):
        return visit_words(one.baseline)
    if name == "author" and one.baseline.practitioner:
        return display(one.baseline.practitioner) or str(value)
    return canonical.words(one.intent.change_kind, name, value)


def _field_checks(one: OpenedChange, rows: Sequence[Row], *, is_new: bool) -> tuple[Check, ...]:
    """One tick per changed value of high risk; one for a whole new entry. The tick repeats the value."""
    if one.intent.change_kind == "note":
        return ()
    ref = one.intent.ref
    high = [
        r
        for r in rows
        if r.changed and r.risk == "H" and r.name not in ("encounter", "sensitivity")
    ]
    if is_new:
        words = ", ".join(r.will_be for r in high if r.name != "category")
        if not words:
            return ()
        return (Check(key=f"{ref}:entry", need=words, label=f"{_capital(words)}, is right"),)
    return tuple(
        Check(
            key=f"{ref}:field:{r.name}",
            need=r.label,
            label=(
                f"{r.label}: {r.will_be or 'none'}, instead of {r.now}, is right"
                if r.now
                else f"{r.label}: {r.will_be} is right"
            ),
        )
        for r in high
    )


def _field_statements(
    one: OpenedChange, *, sources: Mapping[Any, quoting.OpenSource], numbers: Numbers
) -> list[Statement]:
    """The evidence of structured fields, one statement a field."""
    out = []
    by_path: dict[str, list[EvidenceItem]] = {}
    for item in one.evidence:
        if not item.path.startswith("/sections/"):
            by_path.setdefault(item.path, []).append(item)
    for path, items in by_path.items():
        out.append(
            Statement(
                number=numbers(),
                pointer=path,
                start=0,
                end=0,
                text="",
                support="inferred" if any(i.method == "inferred" for i in items) else "supported",
                remark="",
                quotes=tuple(
                    sources[i.source_id].quote(start=i.start, end=i.end, method=i.method)
                    for i in items
                ),
            )
        )
    return out


# --- text ----------------------------------------------------------------------------------------


def _sections(
    one: OpenedChange,
    after: Mapping[str, Any],
    *,
    letters: Mapping[str, str],
    sources: Mapping[Any, quoting.OpenSource],
    numbers: Numbers,
    into: list[Statement],
) -> list[SectionView]:
    now_by_title = {s["title"]: s["text"] for s in one.now.get("sections", ())}
    drafted = list(one.content.get("sections", ()))
    out = []
    for index, section in enumerate(after["sections"]):
        title, text = section["title"], section["text"]
        pointer = f"/sections/{index}/text"
        original = drafted[index]["text"] if index < len(drafted) else ""
        spans = statement_spans(text)
        evidence = quoting.evidence_by_span(one.evidence, pointer=pointer, old=original, new=text)
        flags = _statement_findings(one.findings, pointer=pointer, old=original, new=text)
        acts = drafted[index].get("acts") or () if index < len(drafted) else ()
        numbered: dict[tuple[int, int], tuple[int, bool]] = {}
        for start, end in spans:
            statement = _statement(
                one,
                pointer=pointer,
                text=text,
                start=start,
                end=end,
                evidence=[i for a, b, i in evidence if a < end and start < b],
                flags=[f for a, b, f in flags if a < end and start < b],
                reports=_reported(acts, start=start, end=end, letters=letters),
                sources=sources,
                number=numbers(),
            )
            into.append(statement)
            numbered[(start, end)] = (statement.number, statement.flagged)
        before = now_by_title.pop(title, "")
        runs = text_diff(before, text) if before else (Run(Change.SAME, text),)
        out.append(
            SectionView(
                title=title,
                now=quoting.pieces(runs, side="old", numbers={}) if before else (),
                will_be=quoting.pieces(runs, side="new", numbers=numbered),
                title_is_new=not before,
            )
        )
    out += [
        SectionView(title=title, now=(Piece(text=text, change=Change.REMOVED.value),), will_be=())
        for title, text in now_by_title.items()
    ]
    return out


def _statement_findings(
    findings: Iterable[Finding], *, pointer: str, old: str, new: str
) -> list[tuple[int, int, Finding]]:
    """Findings about a statement: their expression is "<pointer>#<start>-<end>" in the drafted text."""
    mine = []
    for finding in findings:
        path, _, span = finding.expression.partition("#")
        if path != pointer or "-" not in span:
            continue
        start, _, end = span.partition("-")
        mine.append(((int(start), int(end)), finding))
    moved = quoting.carried_over(old, new, [span for span, _ in mine])
    return [(a, b, f) for (a, b), (_, f) in zip(moved, mine, strict=True)]


def _statement(
    one: OpenedChange,
    *,
    pointer: str,
    text: str,
    start: int,
    end: int,
    evidence: Sequence[EvidenceItem],
    flags: Sequence[Finding],
    reports: str,
    sources: Mapping[Any, quoting.OpenSource],
    number: int,
) -> Statement:
    words = text[start:end]
    deciding = [f for f in flags if f.needs_decision]
    support = "supported"
    if any(i.method == "inferred" for i in evidence):
        support = "inferred"
    if not evidence:
        support = "absent"
    for flag in flags:
        for kind in ("contradicted", "absent", "unavailable"):
            if kind in flag.code:
                support = kind
    check = None
    if deciding or (support == "absent" and one.version.author_kind != "REVIEWER"):
        short = words if len(words) <= 60 else words[:57].rstrip() + "…"
        check = Check(
            key=f"{one.intent.ref}:statement:{pointer}:{start}-{end}",
            need=f"“{short}”",
            label=f"statement {number}",
            options=(Option(TAKE_OUT, "Take it out"), Option(KEEP, _keep_words(support, reports))),
        )
    return Statement(
        number=number,
        pointer=pointer,
        start=start,
        end=end,
        text=words,
        support=support,
        remark=" ".join(dict.fromkeys(f.diagnostics for f in flags)),
        quotes=tuple(
            sources[i.source_id].quote(start=i.start, end=i.end, method=i.method) for i in evidence
        ),
        reports=reports,
        check=check,
    )


def _keep_words(support: str, reports: str) -> str:
    if reports:
        return "Keep, I did it in the EHR"
    if support == "absent":
        return "Keep, I said or saw this"
    return "Keep as drafted"


def _reported(
    acts: Iterable[Mapping[str, Any]], *, start: int, end: int, letters: Mapping[str, str]
) -> str:
    """The letter of the change that this statement reports, if it reports one."""
    for act in acts:
        first, last = act["span"]
        if first < end and start < last:
            return letters.get(act["change"], "")
    return ""


def _general_findings(one: OpenedChange) -> list[Finding]:
    return [
        f
        for f in one.findings
        if not f.expression.startswith("/sections/") or "#" not in f.expression
    ]


# --- words ---------------------------------------------------------------------------------------


def _heading(one: OpenedChange, after: Mapping[str, Any]) -> str:
    kind, interaction = one.intent.change_kind, one.intent.interaction
    if kind == "note":
        name = _words(one, "type", after.get("type") or one.now.get("type")) or "note"
        return {"create": f"{name}, new", "amend": f"Addendum to {name}"}.get(interaction, name)
    if kind == "problem":
        name = _words(one, "code", after.get("code") or one.now.get("code"))
        act = {
            "create": "Problem, new",
            "resolve": "Problem resolved",
            "entered-in-error": "Problem, entered in error",
        }
        return f"{act.get(interaction, 'Problem')}: {name}"
    return f"{canonical.kind_label(kind)}: {interaction}"


def _delta(one: OpenedChange, rows: Sequence[Row], after: Mapping[str, Any]) -> str:
    if "sections" in after:
        count = sum(len(statement_spans(s["text"])) for s in after["sections"])
        return f"{count} statement{'s' if count != 1 else ''} in {len(after['sections'])} sections"
    changed = [r for r in rows if r.changed]
    if one.now:
        return "; ".join(f"{r.label}: {r.now or 'none'} → {r.will_be or 'none'}" for r in changed)
    return ", ".join(
        r.will_be for r in changed if r.name in ("code", "clinical_status", "verification")
    )


def _card_risk(one: OpenedChange, rows: Sequence[Row]) -> str:
    if one.verdict:
        special = RISK_OF_TIER.get(Tier(one.verdict.tier))
        if special:
            return special
    if one.intent.interaction in ("amend", "entered-in-error"):
        return "high"
    if one.intent.change_kind == "note":
        return "med"
    return highest(_RISK_WORDS[r.risk] for r in rows if r.changed)


def highest(risks: Iterable[str]) -> str:
    order = ("low", "med", "high", "dual", "stop")
    return max(risks, key=order.index, default="low")


def _author(one: OpenedChange, after: Mapping[str, Any]) -> str:
    return _words(one, "author", after.get("author")) if after.get("author") else ""


def _context(one: OpenedChange) -> tuple[ContextEntry, ...]:
    """What the chart holds beside the change: entries of the same kind, newest first."""
    entries = one.baseline.neighbours(one.intent.change_kind)
    target = one.baseline.target.reference if one.baseline.target else ""
    out = []
    for snapshot in entries:
        if snapshot.reference == target and one.intent.interaction != "amend":
            continue
        out.append(_context_entry(one.intent.change_kind, snapshot))
    if (
        one.intent.interaction == "amend"
        and one.baseline.target
        and target not in {s.reference for s in entries}
    ):
        out.insert(0, _context_entry("note", one.baseline.target))
    return tuple(out[:12])


def _context_entry(kind: str, snapshot: Snapshot) -> ContextEntry:
    display = dict(snapshot.display)
    if kind == "note":
        sections = snapshot.canonical.get("sections", ())
        text = "\n\n".join(f"{s['title']}\n{s['text']}" for s in sections)
        shown = [w for label, w in snapshot.display if label != "text"]
        return ContextEntry(
            label="Note", words=", ".join(shown) or snapshot.reference, long_text=text
        )
    return ContextEntry(
        label=canonical.kind_label(kind), words=", ".join(display.values()) or snapshot.reference
    )


def _capital(words: str) -> str:
    return words[:1].upper() + words[1:]
