"""The text of a change: its difference, its statements, and the quotes behind each of them."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from intents.models import EvidenceItem, Finding
from intents.pipeline.diffing import Change, Run, text_diff
from intents.pipeline.presentation import quoting
from intents.pipeline.presentation.opened import Numbers, OpenedChange
from intents.pipeline.presentation.page import (
    ADD,
    KEEP,
    KEEP_WAITING,
    LEAVE_OUT,
    TAKE_OUT,
    Check,
    Option,
    Piece,
    SectionView,
    Statement,
)
from intents.pipeline.support.sentences import statements as statement_spans


def draw_sections(
    one: OpenedChange,
    after: Mapping[str, Any],
    *,
    letters: Mapping[str, str],
    not_written: Mapping[str, str],
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
                not_written=not_written,
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
    not_written: Mapping[str, str],
    sources: Mapping[Any, quoting.OpenSource],
    number: int,
) -> Statement:
    words = text[start:end]
    deciding = [f for f in flags if f.needs_decision]
    undone = reports in not_written
    support = "supported"
    if any(i.method == "inferred" for i in evidence):
        support = "inferred"
    if not evidence:
        # What a reviewer wrote stands on their own word, which the page says; findings about it follow.
        support = "own" if one.version.author_kind == "REVIEWER" else "absent"
    for flag in flags:
        for kind in ("contradicted", "absent", "unavailable"):
            if kind in flag.code:
                support = kind
    check = None
    if deciding or undone or (support == "absent" and one.version.author_kind != "REVIEWER"):
        short = words if len(words) <= 60 else words[:57].rstrip() + "…"
        check = Check(
            key=f"{one.intent.ref}:statement:{pointer}:{start}-{end}",
            need=f"“{short}”",
            label=f"statement {number}",
            options=_answers(support, reports, waiting=not_written.get(reports, "")),
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


def left_out_statements(
    one: OpenedChange, *, sources: Mapping[Any, quoting.OpenSource], numbers: Numbers
) -> tuple[Statement, ...]:
    """Facts of a source that the draft lacks: findings at "source:<ref>#<start>-<end>"."""
    by_ref = {source.ref: source for source in sources.values()}
    out = []
    for finding in one.findings:
        ref, _, span = finding.expression.removeprefix("source:").partition("#")
        source = by_ref.get(ref)
        if finding.code != "left-out" or source is None:
            continue
        start, _, end = span.partition("-")
        quote = source.quote(start=int(start), end=int(end), method="")
        out.append(
            Statement(
                number=numbers(),
                pointer=finding.expression,
                start=int(start),
                end=int(end),
                text="",
                support="left-out",
                remark=finding.diagnostics,
                quotes=(quote,),
                check=Check(
                    key=f"{one.intent.ref}:left-out:{ref}:{start}-{end}",
                    need=f"“{quote.marked[:60]}”",
                    label="a fact that the draft leaves out",
                    options=(Option(ADD, "Add to the note"), Option(LEAVE_OUT, "Leave out")),
                )
                if finding.needs_decision
                else None,
            )
        )
    return tuple(out)


def _answers(support: str, reports: str, *, waiting: str) -> tuple[Option, ...]:
    """What may become of a statement in doubt; `waiting` says how, if what it reports waits in the EHR."""
    return (
        Option(TAKE_OUT, "Take it out"),
        *([Option(KEEP_WAITING, waiting)] if waiting else []),
        Option(KEEP, _keep_words(support, reports)),
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
