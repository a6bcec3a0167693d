"""One change as a card: what the frozen bytes say, beside the chart and the quoted sources."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from ehr_adapters.canonical import base as canonical
from ehr_adapters.contract import Snapshot
from intents.lifecycle import CLOSED, IN_FLIGHT, WRITTEN, State, Tier
from intents.models import EvidenceItem, Finding, Intent
from intents.pipeline import gateway
from intents.pipeline.clinical.observed import weighs_a_child
from intents.pipeline.presentation import quoting
from intents.pipeline.presentation.medicines import dose_sentences
from intents.pipeline.presentation.opened import Numbers, OpenedChange
from intents.pipeline.presentation.page import (
    Card,
    Check,
    ContextEntry,
    CopyView,
    Row,
    SectionView,
    Statement,
)
from intents.pipeline.presentation.saying import context_entry, value_words, zone_of
from intents.pipeline.presentation.texts import draw_sections, left_out_statements
from intents.pipeline.support.sentences import statements as statement_spans
from intents.queries.status import decided_words, finality_sentence

_NOT_WRITTEN = "Not written"
RISK_OF_TIER = {Tier.DUAL_APPROVAL: "dual", Tier.BLOCKED: "stop"}
_RISK_WORDS = {"H": "high", "M": "med", "L": "low"}
_RULE_RISK = {"high": "high", "medium": "med", "low": "low"}
# What is done to an entry, before its name.
_ACTS = {
    "create": "{kind}, new",
    "resolve": "{kind} resolved",
    "discontinue": "{kind}, ended",
    "cancel": "{kind}, cancelled",
    "comment": "{kind}, comment",
    "entered-in-error": "{kind}, entered in error",
}


def draw_card(
    one: OpenedChange,
    *,
    letters: Mapping[str, str],
    not_written: Mapping[str, str],
    sources: Mapping[Any, quoting.OpenSource],
    ehr: str,
    numbers: Numbers,
) -> Card:
    intent, change = one.intent, one.change
    after = _after(one, change)
    is_new = canonical.makes_entry(intent.change_kind, intent.interaction)
    statements: list[Statement] = []
    sections: list[SectionView] = []
    if "sections" in after:
        sections = draw_sections(
            one,
            after,
            letters=letters,
            not_written=not_written,
            sources=sources,
            numbers=numbers,
            into=statements,
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
    left_out = left_out_statements(one, sources=sources, numbers=numbers)
    statement_checks = tuple(s.check for s in (*statements, *left_out) if s.check)
    remarks = dose_sentences(one, after, ehr=ehr)
    remarks += tuple(r.sentence for r in one.plan.remarks) if one.plan else ()
    risk = _card_risk(one, rows)
    finality = one.plan.finality.value if one.plan else ""
    copy = _copy(one, change)
    lead = _lead(State(intent.state), by_hand=copy is not None, ehr=ehr)
    said = {*remarks, copy.sentence if copy else ""}
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
        left_out=left_out,
        checks=(*field_checks, *statement_checks, *finding_checks) if _decidable(intent) else (),
        remarks=remarks,
        findings=tuple(f.diagnostics for f in general if f.diagnostics not in said),
        context=_context(one),
        finality=finality,
        finality_words=(
            finality_sentence(finality, connection_title=ehr)
            if finality and lead != _NOT_WRITTEN
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
        copy=copy,
        status=decided_words(
            state=intent.state,
            rejected_by=intent.rejected_by,
            finality=finality,
            connection_title=ehr,
        ),
        lead=lead,
        can_drop=_decidable(intent) and not intent.proposal.all_or_nothing,
    )


def _lead(state: State, *, by_hand: bool, ehr: str) -> str:
    if by_hand:
        return f"Cannot be written to {ehr}"
    if state in (*IN_FLIGHT, *WRITTEN):
        return "Approved already"
    return _NOT_WRITTEN if state in (*CLOSED, State.FAILED) else "Will be written"


def _copy(one: OpenedChange, change: canonical.ChartChange) -> CopyView | None:
    """The card to type from, for a change that this EHR does not take from outside."""
    unsupported = next((f for f in one.findings if f.code == "unsupported"), None)
    if unsupported is None:
        return None
    card = gateway.copy_card(
        connection=one.intent.connection,
        change=change,
        baseline=one.baseline,
        sentence=unsupported.diagnostics,
    )
    # Who types it knows no ids of entries: what they name is said as on the rest of the page.
    named = {}
    for name, value in change.model_dump_canonical().items():
        spec = canonical.field_spec(one.intent.change_kind, name)
        if spec.control is canonical.Control.REFERENCE and value:
            as_id = canonical.words(one.intent.change_kind, name, value)
            named[spec.label, as_id] = (spec.label, value_words(one, name, value))
    return CopyView(
        title=card.title,
        place=card.place,
        lines=tuple(named.get(line, line) for line in card.lines),
        sentence=card.sentence,
    )


def _after(one: OpenedChange, change: canonical.ChartChange) -> dict[str, Any]:
    """The entry as it will stand: the frozen bytes of a change hold the whole entry."""
    if one.plan is None:
        return change.applied_to(one.now)
    return {name: v for name, v in change.model_dump_canonical().items() if v is not None}


def _decidable(intent: Intent) -> bool:
    return intent.state == State.PENDING_APPROVAL


# --- fields --------------------------------------------------------------------------------------


def _rows(one: OpenedChange, after: Mapping[str, Any]) -> tuple[Row, ...]:
    kind = one.intent.change_kind
    out = []
    for spec in canonical.fields(kind):
        if spec.name == "sections":
            continue
        # What is meant for the portal alone is not in the frozen bytes, and decides all the same.
        will = (one.content if spec.portal_only else after).get(spec.name)
        now = None if spec.portal_only else one.now.get(spec.name)
        if now is None and will is None:
            continue
        out.append(
            Row(
                name=spec.name,
                label=spec.label,
                now=value_words(one, spec.name, now),
                will_be=value_words(one, spec.name, will),
                changed=not canonical.same_value(kind, spec.name, now, will),
                risk=spec.risk.value,
            )
        )
    return tuple(out)


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
        named = canonical.kind_model(one.intent.change_kind).named_by
        told = [r for r in rows if r.changed and (r in high or (high and r.name in named))]
        words = ", ".join(r.will_be for r in told if r.name != "category")
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
    """The evidence of structured fields: one statement for all fields that the same words speak for."""
    by_words: dict[tuple[Any, ...], list[EvidenceItem]] = {}
    by_path: dict[str, list[EvidenceItem]] = {}
    for item in one.evidence:
        if not item.path.startswith("/sections/"):
            by_path.setdefault(item.path, []).append(item)
    for items in by_path.values():
        spans = tuple(sorted((str(i.source_id), i.start, i.end) for i in items))
        by_words.setdefault(spans, []).extend(items)
    out = []
    for items in by_words.values():
        paths = list(dict.fromkeys(i.path for i in items))
        quoted = {(i.source_id, i.start, i.end): i for i in items}
        out.append(
            Statement(
                number=numbers(),
                pointer=", ".join(paths),
                start=0,
                end=0,
                text="For: " + ", ".join(dict.fromkeys(_label(one, path) for path in paths)),
                support="inferred" if any(i.method == "inferred" for i in items) else "supported",
                remark="",
                quotes=tuple(
                    sources[i.source_id].quote(start=i.start, end=i.end, method=i.method)
                    for i in quoted.values()
                ),
            )
        )
    return out


def _label(one: OpenedChange, path: str) -> str:
    try:
        return canonical.field_spec(one.intent.change_kind, path).label
    except KeyError:
        return path


def _general_findings(one: OpenedChange) -> list[Finding]:
    # Who else could be meant stands over the whole page.
    return [f for f in one.findings if "#" not in f.expression and f.code != "name-alike"]


# --- words ---------------------------------------------------------------------------------------


def _heading(one: OpenedChange, after: Mapping[str, Any]) -> str:
    kind, interaction = one.intent.change_kind, one.intent.interaction
    if kind == "note":
        name = value_words(one, "type", after.get("type") or one.now.get("type")) or "note"
        return {"create": f"{name}, new", "amend": f"Addendum to {name}"}.get(interaction, name)
    model = canonical.kind_model(kind)
    said = {**one.now, **after}
    name = ", ".join(
        value_words(one, n, said[n]) for n in model.named_by if said.get(n) is not None
    )
    act = _ACTS.get(interaction, "").format(kind=model.label)
    return f"{act or model.label}: {name}" if name else act or model.label


def _delta(one: OpenedChange, rows: Sequence[Row], after: Mapping[str, Any]) -> str:
    if "sections" in after:
        count = sum(len(statement_spans(s["text"])) for s in after["sections"])
        sections = len(after["sections"])
        return (
            f"{count} statement{'s' if count != 1 else ''} in "
            f"{sections} section{'s' if sections != 1 else ''}"
        )
    changed = [r for r in rows if r.changed]
    if one.now:
        return "; ".join(f"{r.label}: {r.now or 'none'} → {r.will_be or 'none'}" for r in changed)
    brief = canonical.kind_model(one.intent.change_kind).brief
    return ", ".join(r.will_be for r in changed if r.name in brief)


def _card_risk(one: OpenedChange, rows: Sequence[Row]) -> str:
    if one.verdict:
        special = RISK_OF_TIER.get(Tier(one.verdict.tier))
        if special:
            return special
    changed = [r.name for r in rows if r.changed]
    identity = one.baseline.identity
    if weighs_a_child(
        one.intent.change_kind,
        {**one.now, **one.content},
        birth_date=identity.birth_date if identity else "",
        at=one.baseline.read_at,
    ):
        return "high"
    fields = _RISK_WORDS[
        canonical.change_risk(one.intent.change_kind, one.intent.interaction, changed)
    ]
    # The clinic's rules may ask for more care than the fields do, never for less.
    rules = _RULE_RISK.get(one.verdict.rule_risk, "low") if one.verdict else "low"
    return highest((fields, rules))


def highest(risks: Iterable[str]) -> str:
    order = ("low", "med", "high", "dual", "stop")
    return max(risks, key=order.index, default="low")


def _author(one: OpenedChange, after: Mapping[str, Any]) -> str:
    field = one.change.author_field
    return value_words(one, field, after[field]) if after.get(field) else ""


# What a prescriber looks at beside a medicine or an order: LOINC codes of potassium, creatinine, eGFR (by
# four formulas), INR and haemoglobin A1c.
_BESIDE_MEDICINES = (
    "2823-3", "2160-0", "62238-1", "33914-3", "48642-3", "98979-8", "6301-6", "4548-4",
)  # fmt: skip
_MOST_ENTRIES = 12


def _context(one: OpenedChange) -> tuple[ContextEntry, ...]:
    """What the chart holds beside the change: entries of the same kind, newest first, and what matters to it."""
    zone = zone_of(one)
    entries = [*one.baseline.neighbours(one.intent.change_kind)]
    target = one.baseline.target
    if target is not None and one.intent.interaction == "amend":
        entries = [target, *(e for e in entries if e.reference != target.reference)]
    elif target is not None:
        entries = [e for e in entries if e.reference != target.reference]
    out = [context_entry(each, zone=zone) for each in entries]
    if one.intent.change_kind in {"medication", "order"}:
        out += [
            context_entry(each, zone=zone, label="Result")
            for each in _newest_results(one.baseline.context("results"))
        ]
    return tuple(out[:_MOST_ENTRIES])


def _newest_results(results: Iterable[Snapshot]) -> Iterable[Snapshot]:
    """The newest of each test that a prescriber looks at, in the order of the list."""
    newest: dict[str, Snapshot] = {}
    for each in results:
        code = (each.canonical.get("code") or {}).get("code", "")
        if code in _BESIDE_MEDICINES:
            held = newest.get(code)
            if held is None or _taken(held) < _taken(each):
                newest[code] = each
    return [newest[code] for code in _BESIDE_MEDICINES if code in newest]


def _taken(result: Snapshot) -> datetime:
    try:
        then = datetime.fromisoformat(str(result.canonical.get("collected_at", "")))
    except ValueError:
        return datetime.min.replace(tzinfo=UTC)
    return then if then.tzinfo else then.replace(tzinfo=UTC)


def _capital(words: str) -> str:
    return words[:1].upper() + words[1:]
