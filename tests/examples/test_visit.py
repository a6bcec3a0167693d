"""`manage.py visit`: one command from a consultation to the address of its draft."""

import json
from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from tests.examples import consultations, draft_checks
from tests.examples.portal import PROPOSAL_ID, FakePortal, running

pytestmark = pytest.mark.once

VISIT = consultations.DEMO / "okonkwo-dizzy-on-standing.txt"


@pytest.fixture
def demo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakePortal]:
    """A demo folder whose state names a portal that runs."""
    monkeypatch.setenv("DEMO_DIR", str(tmp_path))
    monkeypatch.delenv("PORTAL_URL", raising=False)
    with running(folder=tmp_path) as (portal, key_file):
        ngozi = {
            "logical": "P1", "id": "p-1", "family": "OKONKWO", "given": "Ngozi", "birth_date": "1957-03-14", "sex": "female", "mrn": "1",
            "encounter": "e-1",
        }  # fmt: skip
        state = {
            "portal": portal.origin, "practice": "", "tenant": "t",
            "agents": {"Visit scribe": {"client_id": "agent", "key_file": str(key_file), "token_url": f"{portal.origin}/oauth/token"}},
            "connections": {"generic": "northgate-r4"}, "default_agent": "Visit scribe", "default_connection": "northgate-r4",
            "patients": {"northgate-r4": [ngozi, {**ngozi, "logical": "P2", "id": "p-2"}]},
        }  # fmt: skip
        (tmp_path / "demo.json").write_text(json.dumps(state), encoding="utf-8")
        yield portal


def visit(*arguments: str, **options: Any) -> list[str]:
    out = StringIO()
    call_command("visit", "--transcript", *arguments, stdout=out, **options)
    return out.getvalue().splitlines()


class TestAVisit:
    def test_ends_with_the_address_of_its_draft(self, demo: FakePortal) -> None:
        lines = visit(str(VISIT))

        assert lines[-1] == f"{demo.origin}/intents/{PROPOSAL_ID}/"
        assert "note: pending approval" in lines

    def test_is_of_the_first_patient_unless_another_is_named(self, demo: FakePortal) -> None:
        visit(str(VISIT))
        visit(str(VISIT), "--patient", "p-2")

        (_, first), (_, second) = demo.proposals
        assert first["patient"] == {
            "id": "p-1",
            "family": "OKONKWO",
            "birth_date": "1957-03-14",
            "given": "Ngozi",
            "sex": "female",
            "mrn": "1",
        }
        assert first["encounter"] == "e-1"
        assert first["sources"][0]["patient"] == "p-1"
        assert second["patient"]["id"] == "p-2"

    def test_makes_two_drafts_when_it_is_told_twice(self, demo: FakePortal) -> None:
        visit(str(VISIT))
        visit(str(VISIT))

        assert len({key for key, _ in demo.proposals}) == 2

    def test_sends_what_it_prints(self, demo: FakePortal) -> None:
        lines = visit(str(VISIT), "--json")

        assert json.loads(lines[0]) == demo.proposals[0][1]
        assert draft_checks.faults(json.loads(lines[0]), VISIT.read_text(encoding="utf-8")) == []

    @pytest.mark.parametrize(
        ("finality", "verification"), [("filed", "confirmed"), ("staged", "provisional")]
    )
    def test_proposes_a_problem_as_the_connection_takes_it(
        self, demo: FakePortal, finality: str, verification: str
    ) -> None:
        demo.finality = finality

        visit(str(VISIT))

        (problem,) = [
            change for change in demo.proposals[0][1]["changes"] if change["kind"] == "problem"
        ]
        assert problem["content"]["verification"] == verification

    def test_only_drafts_when_it_is_told_to_send_nothing(self, demo: FakePortal) -> None:
        lines = visit(str(VISIT), "--dry-run")

        assert demo.proposals == []
        assert lines[0] == "Presenting complaint"

    def test_needs_no_demo_to_draft(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("DEMO_DIR", str(tmp_path / "nowhere"))

        assert visit(str(VISIT), "--dry-run", "--json")

    def test_reads_a_pair_of_textgrids(self, demo: FakePortal) -> None:
        visit(
            str(consultations.MADE_UP / "cough_doctor.TextGrid"),
            str(consultations.MADE_UP / "cough_patient.TextGrid"),
        )

        assert demo.proposals[0][1]["sources"][0]["text"].startswith("Doctor: Good afternoon.")

    def test_of_a_folder_is_of_every_consultation_in_it(self, demo: FakePortal) -> None:
        lines = visit(str(consultations.MADE_UP))

        assert lines[-1] == "6 drafts"
        assert len(demo.proposals) == 6

    def test_of_a_csv_is_of_every_row(self, demo: FakePortal, tmp_path: Path) -> None:
        words = (consultations.MADE_UP / "run_on.txt").read_text(encoding="utf-8")
        table = tmp_path / "visits.csv"
        table.write_text(f'encounter_id,dialogue\nA1,"{words}"\nA2,"{words}"\n', encoding="utf-8")

        assert visit(str(table))[-1] == "2 drafts"
        assert visit(str(table), "--row", "A2")[-1].startswith(demo.origin)


class TestAMistake:
    @pytest.mark.parametrize(
        ("arguments", "sentence"),
        [
            (["nothing.txt"], "There is no file"),
            ([str(VISIT), "--row", "A1"], "has no rows"),
            ([str(VISIT), "--patient", "P99"], "no made-up patient P99"),
            ([str(VISIT), "--agent", "Nobody"], "no agent named Nobody. It has: Visit scribe."),
            ([str(VISIT), "--connection", "elsewhere"], "no connection named elsewhere"),
            ([str(VISIT), str(VISIT)], "pairs"),
        ],
    )
    def test_is_told_in_a_sentence(
        self, demo: FakePortal, arguments: list[str], sentence: str
    ) -> None:
        with pytest.raises(CommandError, match=sentence):
            visit(*arguments)
        assert demo.proposals == []

    def test_of_an_empty_file(self, demo: FakePortal, tmp_path: Path) -> None:
        path = tmp_path / "empty.txt"
        path.touch()

        with pytest.raises(CommandError, match="empty is empty"):
            visit(str(path))

    def test_of_a_consultation_that_says_nothing(self, demo: FakePortal, tmp_path: Path) -> None:
        path = tmp_path / "hello.txt"
        path.write_text("Doctor: Hello.\nPatient: Hello.\n", encoding="utf-8")

        with pytest.raises(CommandError, match="says nothing that could be put into a note"):
            visit(str(path))

    def test_of_one_row_leaves_the_others(self, demo: FakePortal, tmp_path: Path) -> None:
        words = (consultations.MADE_UP / "run_on.txt").read_text(encoding="utf-8")
        folder = tmp_path / "visits"
        folder.mkdir()
        (folder / "a.txt").write_text("Doctor: Hello.\nPatient: Hello.\n", encoding="utf-8")
        (folder / "b.txt").write_text(words, encoding="utf-8")

        with pytest.raises(CommandError, match="says nothing"):
            visit(str(folder))
        assert len(demo.proposals) == 1

    def test_of_the_portal_is_its_own_sentence(self, demo: FakePortal) -> None:
        demo.answers = [
            (403, {}, {"title": "Refused", "detail": "This agent may not do that here."})
        ]

        with pytest.raises(CommandError, match=r"^This agent may not do that here\.$"):
            visit(str(VISIT))

    def test_of_a_connection_that_takes_no_notes(self, demo: FakePortal) -> None:
        demo.notes_accepted = False

        with pytest.raises(CommandError, match="takes no new notes"):
            visit(str(VISIT))

    def test_of_a_demo_that_was_never_started(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("DEMO_DIR", str(tmp_path / "nowhere"))

        with pytest.raises(CommandError, match="make demo"):
            visit(str(VISIT))

    def test_of_a_portal_that_is_not_there(self, demo: FakePortal, tmp_path: Path) -> None:
        state = tmp_path / "demo.json"
        state.write_text(
            state.read_text(encoding="utf-8").replace(demo.origin, "http://127.0.0.1:9"),
            encoding="utf-8",
        )

        with pytest.raises(CommandError, match="cannot be reached"):
            visit(str(VISIT))
