"""Answers that may not only be filed. Pure."""

from collections.abc import Iterable
from datetime import datetime, timedelta

from ehr_adapters.canonical.scoring import self_harm_positive
from intents.pipeline.clinical.values import text
from intents.pipeline.validation.draft import Draft, Sibling
from intents.pipeline.validation.findings import Finding, question


def check_questionnaire(draft: Draft, *, at: datetime) -> Iterable[Finding]:
    """A positive answer about self-harm is answered the same day: by a task in the same draft, or by a person."""
    if draft.kind != "questionnaire" or draft.interaction not in {"create", "amend"}:
        return
    if self_harm_positive(draft.content) and not any(
        _is_task_today(one, at=at) for one in draft.siblings.values()
    ):
        yield question(
            "self-harm-without-task",
            "An answer about self-harm is positive or unclear, and the draft makes no task for today.",
            "/answers",
        )


def _is_task_today(sibling: Sibling, *, at: datetime) -> bool:
    due = text(sibling.content.get("due"))
    # The practice's own day may be a day ahead of Greenwich.
    tomorrow = (at + timedelta(days=1)).date().isoformat()
    return (
        sibling.kind == "task"
        and sibling.interaction == "create"
        and sibling.going
        and len(due) >= 10
        and due[:10] <= tomorrow
    )
