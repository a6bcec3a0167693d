"""What a change says about a medicine, beside the chart that it is for. Pure.

A kind that gives no medicine has these facts as "not applicable". What cannot be known about a medicine is
never the harmless value: unknown ingredients, an unknown dose, allergies that could not be read.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from ehr_adapters.contract import Baseline
from intents.pipeline.clinical import allergies, doses, medicines, observed
from intents.pipeline.clinical.values import mapping, text
from intents.pipeline.validation import Draft

NOT_ABOUT_MEDICINE: Mapping[str, Any] = {
    "ingredients": frozenset(),
    "ingredients_known": True,
    "route": "",
    "dose_change": "n/a",
    "doses_per_week": 0,
    "allergy_conflict": "n/a",
    "duplicate_entries": 0,
    "egfr": -1,
    "egfr_state": "n/a",
    "pregnancy": "n/a",
}


def medicine_facts(
    draft: Draft, *, after: Mapping[str, Any], baseline: Baseline | None, at: datetime
) -> dict[str, Any]:
    if draft.kind == "order" and after.get("category") == "vaccine":
        return _vaccine_facts(draft, after=after, baseline=baseline)
    if not medicines.is_about_medicine(draft.kind, after):
        return dict(NOT_ABOUT_MEDICINE)
    medicine = medicines.medicine_of(
        draft.kind,
        after,
        entry=baseline.target if baseline else None,
        baseline=baseline,
    )
    facts = {
        **NOT_ABOUT_MEDICINE,
        "ingredients": medicine.ingredients or frozenset(),
        "ingredients_known": medicine.ingredients is not None,
        "route": text(mapping(medicine.content.get("route")).get("code")),
    }
    if draft.interaction not in {"create", "update"}:
        return facts
    egfr = observed.last_egfr(baseline)
    return {
        **facts,
        "dose_change": doses.change_of(
            draft.kind, draft.interaction, medicine, content=after, baseline=baseline
        ).value,
        "doses_per_week": doses.doses_per_week(medicine.content),
        "allergy_conflict": allergies.against(medicine, baseline=baseline).conflict.value,
        "duplicate_entries": _entries_of(medicine, baseline),
        "egfr": egfr.value,
        "egfr_state": egfr.state.value,
        "pregnancy": observed.pregnancy(baseline, at=at).value,
    }


def _vaccine_facts(
    draft: Draft, *, after: Mapping[str, Any], baseline: Baseline | None
) -> dict[str, Any]:
    """A vaccine has no ingredient in the table; allergies count as for a medicine."""
    facts = dict(NOT_ABOUT_MEDICINE)
    if draft.interaction == "create":
        vaccine = medicines.medicine_of("order", after)
        facts["allergy_conflict"] = allergies.against(vaccine, baseline=baseline).conflict.value
    return facts


def _entries_of(medicine: medicines.Medicine, baseline: Baseline | None) -> int:
    """How many entries of the chart hold this medicine."""
    if baseline is None:
        return 0
    return sum(one.is_same(medicine) for one in medicines.taken(baseline))
