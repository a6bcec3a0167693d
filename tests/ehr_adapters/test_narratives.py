"""An entry's own text never tells the old state behind a reviewer's back."""

from typing import Any

import pytest

from ehr_adapters.canonical.base import parse_change
from ehr_adapters.canonical.fhir_r4 import Destination, FhirForm, to_fhir
from tests.ehr_adapters.fake_ehr import condition

XHTML = "http://www.w3.org/1999/xhtml"


def told(status: str, inside: str) -> dict[str, Any]:
    return {"status": status, "div": f'<div xmlns="{XHTML}">{inside}</div>'}


def changed(text: Any, content: dict[str, Any], *, interaction: str = "update") -> FhirForm:
    return to_fhir(
        parse_change("problem", interaction, content),
        Destination(
            patient="Patient/pa-1",
            tag_system="urn:x",
            tag_value="x",
            tag_short="y",
            current=condition(text=text),
        ),
    )


def test_a_text_generated_from_the_old_state_is_left_out_and_the_reviewer_is_told():
    form = changed(told("generated", "CKD, confirmed"), {"verification": "provisional"})
    assert "text" not in form.resource
    [said] = form.uncarried
    assert (said.code, said.place) == ("removed", "")
    assert "generated from its old state" in said.sentence
    # Everything else of the entry goes back as it came.
    assert form.resource["extension"] == condition()["extension"]


@pytest.mark.parametrize("status", ["additional", "extensions", "unheard-of", None])
def test_a_text_that_may_say_more_than_the_fields_stays_and_the_reviewer_reads_it(status):
    inside = "<h4>CKD</h4><p>Confirmed, <b>eGFR&nbsp;&lt;&#160;45</b>; patient&#8217;s brother on dialysis<br/>since 2019</p>"
    text = told("generated", inside) | {"status": status}
    form = changed(text, {"verification": "provisional"})
    assert form.resource["text"] == text
    [said] = form.uncarried
    assert said.code == "stays"
    assert "“CKD Confirmed, eGFR < 45; patient’s brother on dialysis since 2019”" in said.sentence


def test_words_that_cannot_be_read_are_not_passed_off_as_none():
    form = changed({"status": "additional", "div": 7}, {"verification": "provisional"})
    assert form.resource["text"] == {"status": "additional", "div": 7}
    assert "could not be read" in form.uncarried[0].sentence


def test_a_text_that_says_nothing_is_not_worth_a_word():
    form = changed(told("empty", "No text"), {"verification": "provisional"})
    assert form.resource["text"]["status"] == "empty"
    assert form.uncarried == ()


def test_a_text_of_what_does_not_change_stays():
    form = changed(told("generated", "CKD, confirmed"), {"verification": "confirmed"})
    assert form.resource["text"] == told("generated", "CKD, confirmed")
    assert form.uncarried == ()


def test_an_entry_that_is_taken_back_no_longer_tells_that_it_is_there():
    form = changed(told("generated", "CKD, active"), {}, interaction="entered-in-error")
    assert "text" not in form.resource
    assert "removed" in [one.code for one in form.uncarried]
