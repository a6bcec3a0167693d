"""The edit form of every kind: what nobody touched comes back as it was."""

import pytest
from django.http import QueryDict

from ehr_adapters.canonical.base import parse_change
from intents.web.editing import ChangeForm
from tests.ehr_adapters.contents import SAMPLES

pytestmark = pytest.mark.once


@pytest.mark.parametrize(("kind", "interaction"), sorted(SAMPLES))
def test_an_untouched_form_gives_back_what_it_was_given(kind: str, interaction: str) -> None:
    sample = {
        name: value for name, value in SAMPLES[kind, interaction].items() if value is not None
    }
    if (kind, interaction) == ("note", "amend"):
        sample["amends"] = "DocumentReference/do-1"
    _comes_back(kind, interaction, sample)


def _comes_back(kind: str, interaction: str, sample: dict[str, object]) -> None:
    content = parse_change(kind, interaction, sample).model_dump_canonical()
    shown = ChangeForm(kind=kind, interaction=interaction, content=content)
    data = QueryDict(mutable=True)
    for name, field in shown.fields.items():
        initial = shown.get_initial_for_field(field, name)
        if isinstance(initial, list):
            data.setlist(name, initial)
        elif initial is not None:
            data[name] = initial
    form = ChangeForm(data, kind=kind, interaction=interaction, content=content)
    assert form.is_valid(), form.errors
    assert parse_change(kind, interaction, form.edited()).model_dump_canonical() == content


OFTEN = [
    {"times": 2, "per": 1, "unit": "wk", "weekdays": ["mon", "thu"]},
    {"times": 2, "per": 1, "unit": "d", "clock_times": ["08:00", "20:30"]},
    {"times": 1, "per": 1, "unit": "d", "when": ["HS"]},
]


@pytest.mark.parametrize("frequency", OFTEN)
def test_days_and_times_of_a_schedule_come_back_too(frequency: dict[str, object]) -> None:
    needed = {"needed": True, "reason": "pain", "max_per_day": {"value": "4", "unit": "g"}}
    sample = SAMPLES["medication", "create"] | {
        "frequency": frequency,
        "as_needed": needed,
        "sig_text": "With water.",
        "dose": {"low": {"value": "5", "unit": "mg"}, "high": {"value": "10", "unit": "mg"}},
    }
    _comes_back("medication", "create", sample)


def test_the_numbers_of_a_prescription_come_back_too() -> None:
    sample = {
        "category": "prescription",
        "code": "29046",
        "dose": {"value": "20", "unit": "mg"},
        "route": "26643006",
        "frequency": {"times": 1, "per": 1, "unit": "d"},
        "quantity": {"value": "90", "unit": "{tablet}"},
        "refills": 0,
        "days_supply": 90,
        "priority": "routine",
        "status": "draft",
    }
    _comes_back("order", "create", sample)
