"""The check of docs/fault-matrix.md can fail: for a row without a test, a mark for nothing, a fault nobody plays."""

from dataclasses import replace

import pytest

from tests.fault_matrix.page import PAGE, collect, page
from tests.fault_matrix.practices import EACH_FAULT, SIX, Practices
from tests.fault_matrix.rows import FACTS, ROWS, Fact, Row
from tests.fault_matrix.sources import Sources

pytestmark = pytest.mark.once


@pytest.fixture(scope="module")
def sources() -> Sources:
    return Sources.read()


@pytest.fixture(scope="module")
def practices() -> Practices:
    return Practices.read()


def complaints(sources, practices, rows=ROWS, facts=FACTS):
    return collect(sources, practices, rows, facts).complaints


def with_file(sources: Sources, text: str, path: str = "tests/journeys/test_planted.py") -> Sources:
    return Sources({**sources.texts, path: text})


def without(sources: Sources, path: str, words: str) -> Sources:
    assert words in sources.texts[path]
    return Sources({**sources.texts, path: sources.texts[path].replace(words, "")})


def test_every_row_has_a_test_and_the_page_is_the_one_that_is_written(sources, practices):
    matrix = collect(sources, practices)
    assert matrix.complaints == []
    assert PAGE.read_text(encoding="utf-8") == page(matrix)


def test_a_row_without_a_test_is_named(sources, practices):
    planted = Row("meteor", "A meteor hits the server", "`UNCERTAIN`", "Whoever is left.")
    assert complaints(sources, practices, (*ROWS, planted)) == ["the row meteor has no test"]
    habit = Fact("epic", "whispers", "Answers are whispered")
    assert complaints(sources, practices, facts=(*FACTS, habit)) == [
        "the habit epic.whispers has no test"
    ]


def test_a_mark_that_is_taken_away_leaves_its_row_without_a_test(sources, practices):
    bare = without(
        sources,
        "tests/journeys/test_background_stumbles.py",
        '@pytest.mark.fault("scheduler-down")\n',
    )
    assert complaints(bare, practices) == ["the row scheduler-down has no test"]


def test_a_mark_that_names_nothing_and_one_that_is_on_no_test_are_named(sources, practices):
    misspelt = with_file(
        sources,
        "import pytest\n\n\n@pytest.mark.fault('clock-jmp')\ndef test_it(): ...\n",
    )
    assert complaints(misspelt, practices) == [
        "tests/journeys/test_planted.py::test_it: nothing is called 'clock-jmp'"
    ]
    helper = with_file(
        sources, "import pytest\n\n\n@pytest.mark.fault('clock-jump')\ndef helper(): ...\n"
    )
    assert complaints(helper, practices) == [
        "tests/journeys/test_planted.py:4: the mark 'clock-jump' is on no test"
    ]


def test_what_a_practice_ehr_learns_and_nobody_plays_is_named(sources, practices):
    found = complaints(
        sources,
        replace(practices, scripted={**practices.scripted, "sulking": "says nothing for a day"}),
    )
    assert found == [
        f"the scripted fault sulking of {vendor} has no test" for vendor in practices.switches
    ]
    switched = {**practices.switches, "epic": (*practices.switches["epic"], "moody")}
    assert complaints(sources, replace(practices, switches=switched)) == [
        "the switch epic.moody of a practice EHR has no test"
    ]
    numbered = {**practices.numbers, "advancedmd": (*practices.numbers["advancedmd"], "1099")}
    assert complaints(sources, replace(practices, numbers=numbered)) == [
        "the refusal advancedmd.1099 has no test"
    ]


def test_a_contract_that_lost_its_test_or_a_vendor_is_named(sources, practices):
    renamed = Sources(
        {
            **sources.texts,
            "tests/ehr_adapters/practice_contract.py": sources.texts[
                "tests/ehr_adapters/practice_contract.py"
            ].replace(f"def {EACH_FAULT}(", "def check_each_fault("),
        }
    )
    assert f"names {SIX}::TestEpic::{EACH_FAULT}, which does not exist" in "\n".join(
        complaints(renamed, practices)
    )
    fewer = {key: test for key, test in practices.played.items() if key != ("epic", "conflict")}
    assert complaints(sources, replace(practices, played=fewer)) == [
        "the scripted fault conflict of epic has no test"
    ]


def test_the_practices_own_tables_are_found(practices):
    assert {"late-commit", "search-lag", "mangled-content"} <= practices.scripted.keys()
    assert len(practices.switches) == 6
    assert "59159" in practices.numbers["epic"]
    assert "139" in practices.numbers["eclinicalworks"]
    assert len(practices.played) == 6 * (len(practices.scripted) - 1), "all but search-lag"
