"""What intake can know about a proposal without looking into the chart. Pure.

The changes parse, their references lead somewhere inside the proposal, every quote stands verbatim at
its offsets, and no text holds a character that makes a reader see other words than a machine does.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ehr_adapters.canonical import base as canonical
from intents.pipeline.intake.body import ChangeBody, EvidenceBody, Issue, ProposalBody
from intents.pipeline.intake.strict_json import strings


@dataclass(frozen=True, slots=True)
class CheckedChange:
    """One change as it will be recorded: the agent's part and the canonical content of it."""

    body: ChangeBody
    change: canonical.ChartChange
    content: Mapping[str, Any]
    target_ref: str

    @property
    def kind(self) -> str:
        return self.body.kind

    @property
    def fhir_type(self) -> str:
        return canonical.fhir_type_of(self.body.kind, self.content, target=self.target_ref)

    @property
    def letter(self) -> str:
        """The interaction in a SMART scope: create is `c`, every other act is `u`."""
        return "c" if self.body.interaction == canonical.Interaction.CREATE else "u"

    @property
    def facts(self) -> dict[str, str]:
        """The coded values that a grant may be narrowed by."""
        found = {
            name: value
            for name, value in self.content.items()
            if isinstance(value, str) and name in {"category", "status", "clinical_status", "mode"}
        }
        # What a grant calls the state of an entry; a problem keeps it under its own name.
        found.setdefault("status", found.get("clinical_status", ""))
        return found


class ProposalInvalid(ValueError):
    """The proposal is refused as a whole; `issues` name every place, `code` the kind of problem."""

    def __init__(self, code: str, issues: Sequence[Issue]) -> None:
        self.code = code
        self.issues = tuple(issues)
        super().__init__("; ".join(f"{issue.pointer or '/'}: {issue.code}" for issue in issues))


def check_characters(document: Any) -> None:
    """Raise `ProposalInvalid` for bidirectional overrides and tag characters anywhere, names included."""
    issues = [
        Issue(pointer, "forbidden-character", f"{name} at position {offset} is not accepted.")
        for pointer, text in strings(document)
        if not text.isascii()
        for offset, name in canonical.forbidden_characters(text)
    ]
    if issues:
        raise ProposalInvalid("forbidden-character", issues)


def check_changes(body: ProposalBody) -> list[CheckedChange]:
    """The changes in their canonical form, or `ProposalInvalid`."""
    issues: list[Issue] = []
    checked: list[CheckedChange] = []
    for index, change in enumerate(body.changes):
        place = f"/changes/{index}"
        target, target_issues = _target(change, place=place)
        issues += target_issues
        content = dict(change.content)
        rule = _rule_of(change)
        if rule is not None:
            if body.encounter and "encounter" in rule.allowed and rule.makes_entry:
                # The proposal's visit holds for every new entry whose content names none. An entry
                # that exists keeps its own visit, unless the agent asks to change just that.
                content.setdefault("encounter", body.encounter)
            if target and "amends" in rule.required:
                content.setdefault("amends", target)
        try:
            parsed = canonical.parse_change(change.kind, change.interaction, content)
        except canonical.ChangeInvalid as refused:
            issues += [_placed(issue, place=place) for issue in refused.issues]
            continue
        checked.append(
            CheckedChange(
                body=change,
                change=parsed,
                content=parsed.model_dump_canonical(),
                target_ref=target,
            )
        )
    issues += _reference_issues(body)
    if not issues:
        for index, each in enumerate(checked):
            issues += _act_issues(each, refs={one.ref for one in body.changes}, index=index)
    if issues:
        raise ProposalInvalid("proposal-invalid", issues)
    return checked


def check_evidence(body: ProposalBody, checked: Sequence[CheckedChange]) -> None:
    """Raise `ProposalInvalid` unless each quote is what its source says, at its place.

    Offsets count Unicode code points. A path or span that leads nowhere in the change is refused too:
    evidence that belongs to no value would look like support on the page.
    """
    texts = {source.ref: source.text for source in body.sources}
    issues: list[Issue] = []
    verbatim = True
    for index, each in enumerate(checked):
        for number, evidence in enumerate(each.body.evidence):
            place = f"/changes/{index}/evidence/{number}"
            issues += _path_issues(each, evidence, place=place)
            text = texts.get(evidence.source)
            if text is None:
                issues.append(
                    Issue(f"{place}/source", "unknown-reference", "No source has this ref.")
                )
            elif not evidence.start < evidence.end <= len(text):
                verbatim = False
                issues.append(
                    Issue(place, "evidence-not-verbatim", "The offsets lie outside the source.")
                )
            elif text[evidence.start : evidence.end] != evidence.quote:
                verbatim = False
                issues.append(
                    Issue(
                        f"{place}/quote",
                        "evidence-not-verbatim",
                        "The quote is not the source's text at these offsets.",
                    )
                )
    if issues:
        raise ProposalInvalid("proposal-invalid" if verbatim else "evidence-not-verbatim", issues)


def text_hash(text: str) -> str:
    """SHA-256 of a text's UTF-8, hexadecimal."""
    return hashlib.sha256(text.encode()).hexdigest()


# --- one change --------------------------------------------------------------------------------------


def _rule_of(change: ChangeBody) -> canonical.InteractionRule | None:
    try:
        model = canonical.kind_model(change.kind)
        return model.rules.get(canonical.Interaction(change.interaction))
    except (canonical.ChangeInvalid, ValueError):
        return None


def _target(change: ChangeBody, *, place: str) -> tuple[str, list[Issue]]:
    rule = _rule_of(change)
    if rule is None:
        return "", []
    pointer = f"{place}/target"
    target = change.target or ""
    if not rule.needs_target:
        if target:
            return "", [Issue(pointer, "not-in-this-interaction", "A new entry has no target.")]
        return "", []
    if not target:
        return "", [Issue(pointer, "missing", "This interaction names the entry it is about.")]
    kept = canonical.fhir_types(change.kind)
    if target.split("/", 1)[0] not in kept:
        return "", [Issue(pointer, "bad-reference", f"The target is a {' or a '.join(kept)}.")]
    amends = change.content.get("amends")
    if isinstance(amends, str) and amends not in {target, target.split("/", 1)[1]}:
        return "", [Issue(pointer, "bad-reference", "The target is the note that is amended.")]
    return target, []


def _placed(issue: canonical.ChangeIssue, *, place: str) -> Issue:
    where = {
        "unknown-kind": f"{place}/kind",
        "unknown-interaction": f"{place}/interaction",
    }.get(issue.code, f"{place}/content{issue.pointer}")
    return Issue(where, issue.code, issue.sentence)


def _act_issues(each: CheckedChange, *, refs: set[str], index: int) -> Iterator[Issue]:
    for number, section in enumerate(each.content.get("sections") or ()):
        for position, act in enumerate(section.get("acts") or ()):
            if act["change"] not in refs - {each.body.ref}:
                yield Issue(
                    f"/changes/{index}/content/sections/{number}/acts/{position}/change",
                    "unknown-reference",
                    "No other change of this proposal has this ref.",
                )


def _path_issues(each: CheckedChange, evidence: EvidenceBody, *, place: str) -> Iterator[Issue]:
    found, value = resolve(each.content, evidence.path)
    if not found:
        found, value = resolve(each.body.content, evidence.path)
    if not found or evidence.path == "":
        yield Issue(f"{place}/path", "unknown-path", "The change has no value at this path.")
        return
    if evidence.span is None:
        return
    start, end = evidence.span
    if not isinstance(value, str) or not start < end <= len(value):
        yield Issue(f"{place}/span", "bad-span", "The span does not lie inside the value's text.")


def resolve(content: Any, pointer: str) -> tuple[bool, Any]:
    """(True, value) at an RFC 6901 pointer, or (False, None)."""
    value = content
    for part in pointer.split("/")[1:]:
        name = part.replace("~1", "/").replace("~0", "~")
        if isinstance(value, Mapping) and name in value:
            value = value[name]
        elif isinstance(value, Sequence) and not isinstance(value, str) and name.isdecimal():
            if str(int(name)) != name or int(name) >= len(value):
                return False, None
            value = value[int(name)]
        else:
            return False, None
    return True, value


# --- between changes ---------------------------------------------------------------------------------


def _reference_issues(body: ProposalBody) -> Iterator[Issue]:
    yield from _repeated([change.ref for change in body.changes], place="/changes")
    yield from _repeated([source.ref for source in body.sources], place="/sources")
    refs = {change.ref for change in body.changes}
    for index, change in enumerate(body.changes):
        for number, wanted in enumerate(change.depends_on):
            if wanted not in refs or wanted == change.ref:
                yield Issue(
                    f"/changes/{index}/depends_on/{number}",
                    "unknown-reference",
                    "No other change of this proposal has this ref.",
                )
    if _in_a_circle({change.ref: change.depends_on for change in body.changes}):
        yield Issue("/changes", "circular-dependency", "Changes depend on each other in a circle.")
    for index, source in enumerate(body.sources):
        for number, segment in enumerate(source.segments):
            if not segment.start <= segment.end <= len(source.text):
                yield Issue(
                    f"/sources/{index}/segments/{number}",
                    "bad-span",
                    "The segment does not lie inside the source's text.",
                )


def _repeated(refs: Sequence[str], *, place: str) -> Iterator[Issue]:
    seen: set[str] = set()
    for index, ref in enumerate(refs):
        if ref in seen:
            yield Issue(f"{place}/{index}/ref", "repeated-ref", "Another one has this ref already.")
        seen.add(ref)


def _in_a_circle(depends_on: Mapping[str, Iterable[str]]) -> bool:
    left = {ref: set(wanted) & set(depends_on) for ref, wanted in depends_on.items()}
    while left:
        free = [ref for ref, wanted in left.items() if not wanted]
        if not free:
            return True
        for ref in free:
            del left[ref]
        for wanted in left.values():
            wanted.difference_update(free)
    return False
