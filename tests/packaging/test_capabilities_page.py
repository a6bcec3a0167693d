"""The page of what each EHR takes is printed from the declarations, with a column for each of them."""

from io import StringIO

import pytest
from django.core.management import call_command

from intents.pipeline import gateway

pytestmark = pytest.mark.once


def test_every_kind_of_connection_has_its_own_column_and_section():
    out = StringIO()
    call_command("ehr_capabilities", stdout=out)
    lines = out.getvalue().splitlines()
    [header] = [line for line in lines if line.startswith("| Kind | Interaction |")]
    titles = [title.strip() for title in header.strip("|").split("|")][2:]
    assert len(set(titles)) == len(gateway.kinds())
    assert [line.removeprefix("## ") for line in lines if line.startswith("## ")] == titles
