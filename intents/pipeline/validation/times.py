"""Nothing has happened in the future, and nothing new is asked for in the past. Pure."""

from collections.abc import Iterable
from datetime import datetime, timedelta

from intents.pipeline.clinical.values import moment, text
from intents.pipeline.validation.draft import Draft
from intents.pipeline.validation.findings import Finding, error, question

# Clocks of EHR and portal differ a little.
_CLOCKS = timedelta(minutes=5)
# Fields that tell when something happened, by kind; the others may lie ahead.
_HAPPENED = {
    "note": ("date",),
    "problem": ("onset", "abatement"),
    "allergy": ("last_seen",),
    "vitals": ("effective_at",),
    "result": ("collected_at",),
    "questionnaire": ("answered_at",),
    "encounter": ("start", "end"),
}
# Fields that say when something is to be done, for what is new.
_AHEAD = {"order": ("when",), "task": ("due",), "appointment": ("start",)}
_DATE = 10


def check_times(draft: Draft, *, at: datetime) -> Iterable[Finding]:
    for name in _HAPPENED.get(draft.kind, ()):
        if _is_ahead(text(draft.content.get(name)), at=at):
            what = "time" if len(text(draft.content[name])) > _DATE else "date"
            yield error("in-the-future", f"The {what} lies in the future.", f"/{name}")
    if draft.interaction == "create":
        for name in _AHEAD.get(draft.kind, ()):
            if _is_behind(text(draft.content.get(name)), at=at):
                yield question("in-the-past", "This asks for something in the past.", f"/{name}")


def _is_ahead(value: str, *, at: datetime) -> bool:
    if len(value) > _DATE:
        when = moment(value)
        return when is not None and when > at + _CLOCKS
    # The practice's own day may be a day ahead of Greenwich.
    tomorrow = (at + timedelta(days=1)).date().isoformat()
    return bool(value) and value > tomorrow[: len(value)]


def _is_behind(value: str, *, at: datetime) -> bool:
    if len(value) > _DATE:
        when = moment(value)
        return when is not None and when < at - _CLOCKS
    yesterday = (at - timedelta(days=1)).date().isoformat()
    return bool(value) and value < yesterday[: len(value)]
