"""Could a measured value be another unit, or another patient's? Pure."""

from collections.abc import Iterable
from datetime import datetime

from ehr_adapters.contract import Baseline
from intents.pipeline.clinical.observed import last_weight, weight_in
from intents.pipeline.clinical.values import moment
from intents.pipeline.validation.draft import Draft
from intents.pipeline.validation.findings import Finding, question

# A weight that differs by more than a fifth from the last one is asked about.
_A_FIFTH = 5


def check_measurements(draft: Draft, *, baseline: Baseline, at: datetime) -> Iterable[Finding]:
    """A weight far from the last one: pounds written as kilograms, or the reverse."""
    if draft.kind != "vitals" or draft.interaction not in {"create", "update"}:
        return
    drafted = weight_in(draft.content)
    if drafted is None:
        return
    position, kilograms = drafted
    last = last_weight(baseline, before=moment(draft.content.get("effective_at")) or at)
    if last is not None and abs(kilograms - last.kilograms) * _A_FIFTH > last.kilograms:
        yield question(
            "weight-differs",
            "This weight differs by more than a fifth from the last one: is it lb or kg?",
            f"/readings/{position}/value",
        )
