"""Every draft is held against the independent checks: over our own consultations and the public ones."""

import ast
from pathlib import Path

import pytest

from examples.scribe import problems
from examples.scribe.transcript import Transcript
from tests.examples import consultations, draft_checks

pytestmark = pytest.mark.once

PUBLIC = consultations.public()


def _named(consultation: Transcript) -> str:
    return consultation.title


@pytest.mark.parametrize("consultation", consultations.own(), ids=_named)
class TestOurOwnConsultations:
    def test_give_a_draft_that_says_nothing_but_what_it_quotes(
        self, consultation: Transcript
    ) -> None:
        proposal = consultations.proposal(consultation)

        assert draft_checks.faults(proposal, consultation.text) == []

    def test_are_sent_as_they_were_read(self, consultation: Transcript) -> None:
        (source,) = consultations.proposal(consultation)["sources"]

        assert source["text"] == consultation.text
        spoken = [source["text"][part["start"] : part["end"]] for part in source["segments"]]
        assert spoken == [consultation.words_of(turn) for turn in consultation.turns]


@pytest.mark.shared_data
@pytest.mark.skipif(not PUBLIC, reason="the public consultations are not beside the checkout")
class TestThePublicConsultations:
    @pytest.mark.parametrize("consultation", PUBLIC, ids=_named)
    def test_give_a_draft_that_says_nothing_but_what_it_quotes(
        self, consultation: Transcript
    ) -> None:
        proposal = consultations.proposal(consultation)

        assert draft_checks.faults(proposal, consultation.text) == []

    def test_share_no_sentence(self) -> None:
        everything = {
            each.title: consultations.proposal(each) for each in [*PUBLIC, *consultations.own()]
        }

        assert draft_checks.shared_sentences(everything) == []

    def test_give_drafts_that_are_more_than_quotations(self) -> None:
        for consultation in PUBLIC:
            said = draft_checks.statements(consultations.proposal(consultation))
            copied = [
                one
                for one in said
                if draft_checks.QUOTATION.fullmatch(one.text.split(": ")[-1].rstrip("."))
            ]
            assert len(copied) * 2 < len(said), consultation.title


class TestTheDemosConsultations:
    @pytest.mark.parametrize(
        "entry",
        consultations.MANIFEST["consultations"],
        ids=lambda entry: f"{entry['file']}-{entry['connection']}",
    )
    def test_propose_the_problems_that_the_manifest_names(self, entry: dict[str, object]) -> None:
        (consultation,) = [
            one for one in consultations.own() if f"{one.title}.txt" == entry["file"]
        ]
        epic = entry["connection"] == "epic"

        changes = consultations.proposal(consultation, provisional=epic)["changes"]

        named = [change for change in changes if change["kind"] == "problem"]
        assert [change["content"]["code"][0]["code"] for change in named] == entry["problems"]
        assert all(
            change["content"]["verification"] == ("provisional" if epic else "confirmed")
            for change in named
        )
        assert all(len(change["evidence"]) >= 3 for change in named)

    def test_let_the_first_patient_be_dizzy(self) -> None:
        entry, *_ = [
            one for one in consultations.MANIFEST["consultations"] if one["patient"] == "P1"
        ]
        (consultation,) = [
            one for one in consultations.own() if f"{one.title}.txt" == entry["file"]
        ]

        said = draft_checks.statements(consultations.proposal(consultation))

        assert entry["said"]["quote"] in consultation.text
        assert any("dizzy when they stand up" in one.text for one in said)

    def test_are_long_enough_to_be_visits(self) -> None:
        files = {entry["file"] for entry in consultations.MANIFEST["consultations"]}

        for path in consultations.DEMO.glob("*.txt"):
            turns = [line for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
            assert path.name in files
            assert 25 <= len(turns) <= 60, path.name


class TestProblems:
    def test_are_reviewed_codes_that_name_what_they_match(self) -> None:
        assert len({known.code for known in problems.REVIEWED}) == len(problems.REVIEWED)
        for known in problems.REVIEWED:
            assert bool(known.side) == ("left" in known.display or "right" in known.display)

    @pytest.mark.parametrize(
        "words",
        [
            "Doctor: I think you have gout.",
            "Doctor: You don't have gout.",
            "Doctor: The diagnosis is not gout.",
            "Doctor: Your father has gout.",
            "Doctor: It could be gout, so I'll check your urate.",
            "Doctor: Is the diagnosis gout?",
            "Patient: The diagnosis is gout.",
            "Doctor: If the crystals are there, the diagnosis is gout.",
            "Doctor: The diagnosis is gout. Actually, it might not be gout, let's wait for the urate.",
            "Doctor: You have a history of gout.",
            "Doctor: The diagnosis is something called the purple toe.",
        ],
    )
    def test_are_not_proposed_unless_the_clinician_is_sure(self, words: str) -> None:
        assert _proposed(words) == []

    @pytest.mark.parametrize(
        "words",
        [
            "Doctor: The diagnosis is gout.",
            "Doctor: So that confirms gout.",
            "Doctor: I'm going to add gout to your problem list.",
        ],
    )
    def test_are_proposed_where_the_clinician_names_the_diagnosis(self, words: str) -> None:
        assert _proposed(words) == ["M10.9"]

    def test_carry_their_side(self) -> None:
        (change,) = _problems("Doctor: The diagnosis is osteoarthritis of the left knee.")

        assert change["content"]["code"][0]["code"] == "M17.12"
        assert change["content"]["side"]["code"] == "7771000"


def _problems(words: str) -> list[dict[str, object]]:
    from examples.scribe import transcript

    text = f"{words}\nPatient: I've had a swollen left toe since Friday, and it hurts when I walk to the shops.\n"
    changes = consultations.proposal(transcript.from_text(text=text, title="words"))["changes"]
    return [change for change in changes if change["kind"] == "problem"]


def _proposed(words: str) -> list[object]:
    return [change["content"]["code"][0]["code"] for change in _problems(words)]  # type: ignore[index]  # a draft's JSON


class TestTheAgent:
    def test_imports_nothing_from_the_project(self) -> None:
        allowed = {"examples", "requests", "jwt"}
        for path in (consultations.ROOT / "examples").rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
                names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
                for name in names:
                    first = name.split(".")[0]
                    assert first in allowed or first in _standard(), f"{path.name} imports {name}"

    def test_is_not_imported_by_the_project(self) -> None:
        for package in ("intents", "ehr_adapters", "audit", "reviewportal"):
            for path in (consultations.ROOT / package).rglob("*.py"):
                assert "import examples" not in path.read_text(encoding="utf-8")
                assert "from examples" not in path.read_text(encoding="utf-8"), path

    def test_shares_nothing_with_its_checks(self) -> None:
        text = Path(draft_checks.__file__).read_text(encoding="utf-8")

        assert "examples.scribe" not in text


def _standard() -> frozenset[str]:
    import sys

    return frozenset(sys.stdlib_module_names)
