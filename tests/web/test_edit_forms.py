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
