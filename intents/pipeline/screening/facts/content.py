"""What a draft says, together with the entry that it changes. Pure."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from ehr_adapters.contract import Baseline
from intents.pipeline.clinical import sensitivity
from intents.pipeline.policy import PolicyContext
from intents.pipeline.screening.facts.allergies import allergy_facts
from intents.pipeline.screening.facts.medicines import medicine_facts
from intents.pipeline.screening.facts.messages import message_facts
from intents.pipeline.validation import Draft


def content_facts(
    change_id: str, *, draft: Draft, baseline: Baseline | None, at: datetime
) -> PolicyContext:
    """The facts that follow from draft and chart alone; who asks and where it goes is left open."""
    target = baseline.target if baseline else None
    before = dict(target.canonical) if target and draft.interaction != "amend" else {}
    after = draft.change.applied_to(before) if draft.change else {**before, **draft.content}
    return PolicyContext(
        change_id=change_id,
        kind=draft.kind,
        interaction=draft.interaction,
        category=_category(draft.kind, after),
        mode=str(draft.content.get("mode") or "append") if draft.kind == "note" else "",
        sensitivity=sensitivity.strictest(
            str(after.get("sensitivity") or "normal"), sensitivity.of_visit(baseline)
        ),
        fields=frozenset(draft.content),
        codes=frozenset(_codes(after)),
        written_by_portal=draft.own_target,
        **medicine_facts(draft, after=after, baseline=baseline, at=at),
        **allergy_facts(draft, before=before, after=after),
        **message_facts(draft, after=after),
    )


def _category(kind: str, after: Mapping[str, Any]) -> str | None:
    """The value that the rules tell notes, problems and orders apart by; None where the chart does not say it."""
    if kind == "note":
        return str((after.get("type") or {}).get("code", ""))
    if kind == "problem":
        return after.get("category")
    if kind == "medication":
        return str(after.get("entry") or "")
    return str(after.get("category") or "")


def _codes(value: Any) -> Iterable[str]:
    if isinstance(value, Mapping):
        if isinstance(value.get("code"), str) and "system" in value:
            yield value["code"]
        for part in value.values():
            yield from _codes(part)
    elif isinstance(value, (list, tuple)):
        for part in value:
            yield from _codes(part)
