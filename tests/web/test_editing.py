"""The edit form gives back what it was given, for every kind of change, and what a person typed."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ehr_adapters.canonical.base import (
    Interaction,
    all_kinds,
    interactions,
    kind_model,
    parse_change,
    same_value,
)
from intents.web.editing import ChangeForm
from tests.ehr_adapters.contents import CONTENTS

pytestmark = pytest.mark.once

LATEX = {"system": "http://snomed.info/sct", "code": "111088007", "display": "Latex"}
WHEAL = {"system": "http://snomed.info/sct", "code": "247472004", "display": "Wheal"}
ALLERGY = {
    "substance": LATEX,
    "category": "environment",
    "clinical_status": "active",
    "verification": "unconfirmed",
    "reactions": [{"manifestation": WHEAL, "severity": "mild"}],
}


def posted(form: ChangeForm, **typed: str) -> dict[str, list[str] | str]:
    """What a browser sends for the form as it is shown, with some fields typed over."""
    data: dict[str, list[str] | str] = {}
    for name in form.fields:
        value = form[name].value()
        if value is not None:
            data[form.add_prefix(name)] = (
                [str(one) for one in value] if isinstance(value, list) else str(value)
            )
    return data | {form.add_prefix(name): value for name, value in typed.items()}


def edited(kind: str, interaction: str, content: dict, **typed: str) -> dict:
    shown = ChangeForm(kind=kind, interaction=interaction, content=content, prefix="c1")
    from django.http import QueryDict

    sent = QueryDict(mutable=True)
    for name, value in posted(shown, **typed).items():
        sent.setlist(name, value if isinstance(value, list) else [value])
    form = ChangeForm(sent, kind=kind, interaction=interaction, content=content, prefix="c1")
    assert form.is_valid(), form.errors
    return form.edited()


EVERY = [(k, str(i)) for k in all_kinds() for i in interactions(k) if (k, str(i)) in CONTENTS]


@pytest.mark.parametrize(("kind", "interaction"), EVERY, ids=[f"{k} {i}" for k, i in EVERY])
@settings(max_examples=15, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_saving_without_a_change_changes_nothing(kind, interaction, data):
    drawn = data.draw(CONTENTS[kind, interaction])
    if "amends" in kind_model(kind).rules[Interaction(interaction)].required:
        drawn = {**drawn, "amends": "DocumentReference/do-1"}
    content = parse_change(kind, interaction, drawn).model_dump_canonical()
    out = edited(kind, interaction, content)
    again = parse_change(kind, interaction, out).model_dump_canonical()
    assert content.keys() == again.keys()
    different = [n for n in content if not same_value(kind, n, content[n], again[n])]
    assert different == []


def test_a_further_reaction_is_added_and_an_emptied_one_goes():
    with_two = edited(
        "allergy",
        "create",
        ALLERGY,
        **{"reactions-1-manifestation": "39579001", "reactions-1-severity": "severe"},
    )
    assert [r["manifestation"]["code"] for r in with_two["reactions"]] == ["247472004", "39579001"]
    parse_change("allergy", "create", with_two)
    none = edited(
        "allergy", "create", ALLERGY,
        **{"reactions-0-manifestation": "", "reactions-0-severity": ""},
    )  # fmt: skip
    assert "reactions" not in none


def test_the_members_of_one_value_stand_together_and_a_further_row_is_folded():
    form = ChangeForm(kind="allergy", interaction="create", content=ALLERGY, prefix="c1")
    groups = {group.title: group for group in form.groups() if group.title}
    assert set(groups) == {"Reaction", "Reaction: add one"}
    assert not groups["Reaction"].folded
    assert groups["Reaction: add one"].folded


def test_an_order_of_a_test_asks_for_no_dose():
    content = {
        "category": "lab",
        "code": {"system": "http://loinc.org", "code": "2823-3", "display": "Potassium"},
        "priority": "routine",
        "status": "draft",
    }
    names = set(ChangeForm(kind="order", interaction="create", content=content).fields)
    assert not any(name.startswith(("dose", "frequency", "refills", "quantity")) for name in names)
