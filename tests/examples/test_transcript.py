"""Consultations as they are found on a disk."""

from pathlib import Path

import pytest

from examples.scribe import transcript
from tests.examples import consultations

pytestmark = pytest.mark.once

GRID = (
    consultations.MADE_UP / "cough_doctor.TextGrid",
    consultations.MADE_UP / "cough_patient.TextGrid",
)


def spoken(read: transcript.Transcript) -> list[tuple[str, str]]:
    return [(turn.speaker, read.words_of(turn)) for turn in read.turns]


class TestPlainText:
    @pytest.mark.parametrize(
        "text",
        [
            "Doctor: Hello.\nPatient: Hi, doc: it's me.\n",
            "[Doctor] Hello.\r\n[Patient] Hi, doc: it's me.\r\n",
            "[00:00:01] Doctor: Hello.\n[00:00:03] Patient: Hi, doc: it's me.\n",
            "**Doctor:** Hello.\n\n**Patient:** Hi, doc: it's me.",
        ],
    )
    def test_has_labels_of_several_kinds(self, text: str) -> None:
        read = transcript.from_text(text=text, title="t")

        assert spoken(read) == [("Doctor", "Hello."), ("Patient", "Hi, doc: it's me.")]
        assert read.text == text

    def test_goes_on_over_lines_without_a_label(self) -> None:
        read = transcript.from_text(
            text="Doctor: First.\nAnd more.\nBlood pressure: 120/80.\nPatient: Yes.", title="t"
        )

        assert spoken(read) == [
            ("Doctor", "First.\nAnd more.\nBlood pressure: 120/80."),
            ("Patient", "Yes."),
        ]

    def test_takes_names_for_speakers_that_speak_twice(self) -> None:
        read = transcript.from_text(
            text="Ana Lopez: Hello.\nMr Brown: Hi.\nAna Lopez: Bye.\nMr Brown: Bye.", title="t"
        )

        assert [turn.speaker for turn in read.turns] == ["Ana Lopez", "Mr Brown"] * 2

    def test_keeps_the_times(self) -> None:
        read = transcript.from_text(
            text="[00:01:02] Doctor: Hello.\n[01:00:03] Patient: Hi.", title="t"
        )

        assert [turn.at for turn in read.turns] == [62.0, 3603.0]

    @pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
    def test_is_read_in_the_encodings_that_occur(self, tmp_path: Path, encoding: str) -> None:
        path = tmp_path / "visit.txt"
        path.write_bytes("Doctor: Café, Zoë?\nPatient: Oui – 38 °C.\n".encode(encoding))

        (read,) = transcript.read(paths=[path])

        assert read.text == "Doctor: Café, Zoë?\nPatient: Oui – 38 °C.\n"

    @pytest.mark.parametrize(
        ("text", "sentence"),
        [
            ("", "is empty"),
            (" \n", "is empty"),
            ("Just words.", "no line that begins with a speaker"),
        ],
    )
    def test_without_a_consultation_is_refused_in_a_sentence(
        self, text: str, sentence: str
    ) -> None:
        with pytest.raises(transcript.UnableToReadConsultation, match=sentence):
            transcript.from_text(text=text, title="visit")


class TestTextGrid:
    def test_pair_is_merged_by_time_with_every_word_kept(self) -> None:
        (read,) = transcript.read(paths=list(GRID))

        assert spoken(read)[:3] == [
            ("Doctor", "Good afternoon. How can I help?"),
            (
                "Patient",
                "Hi. Um, I've had this like, really bad cough, and <UNIN/> my chest feels quite tight.",
            ),
            ("Doctor", "OK. How long have you had the cough?"),
        ]
        assert [turn.at for turn in read.turns] == sorted(
            turn.at for turn in read.turns if turn.at is not None
        )
        assert read.title == "cough"

    def test_in_the_short_format_with_two_tiers_is_read_too(self, tmp_path: Path) -> None:
        path = tmp_path / "visit.TextGrid"
        tiers = [
            ("Doctor", [(0, 1, 'Say ""ah"".'), (1, 2, "")]),
            ("Patient", [(0, 1, ""), (1, 2, "Ah.")]),
        ]
        lines = [
            'File type = "ooTextFile"',
            'Object class = "TextGrid"',
            "",
            "0",
            "2",
            "<exists>",
            "2",
        ]
        for name, intervals in tiers:
            lines += ['"IntervalTier"', f'"{name}"', "0", "2", str(len(intervals))]
            for start, end, words in intervals:
                lines += [str(start), str(end), f'"{words}"']
        path.write_text("\n".join(lines), encoding="utf-16")

        (read,) = transcript.read(paths=[path])

        assert spoken(read) == [("Doctor", 'Say "ah".'), ("Patient", "Ah.")]

    def test_that_is_something_else_is_refused(self, tmp_path: Path) -> None:
        path = tmp_path / "visit.TextGrid"
        path.write_text("hello", encoding="utf-8")

        with pytest.raises(transcript.UnableToReadConsultation, match="not a Praat TextGrid"):
            transcript.read(paths=[path])

    def test_that_breaks_off_is_refused(self, tmp_path: Path) -> None:
        path = tmp_path / "visit.TextGrid"
        path.write_text(
            'File type = "ooTextFile"\nObject class = "TextGrid"\n0\n2\n<exists>\n1\n"IntervalTier"\n"D"\n0\n2\n5\n0\n1\n"a"',
            encoding="utf-8",
        )

        with pytest.raises(transcript.UnableToReadConsultation, match="breaks off"):
            transcript.read(paths=[path])


class TestCsv:
    @pytest.fixture
    def table(self, tmp_path: Path) -> Path:
        path = tmp_path / "visits.csv"
        path.write_text(
            'encounter_id,dialogue\nA1,"[doctor] hello\n[patient] hi"\nA2,"[doctor] bye\n[patient] bye"\n',
            encoding="utf-8",
        )
        return path

    def test_gives_the_row_that_was_asked_for(self, table: Path) -> None:
        (read,) = transcript.read(paths=[table], row="A2")

        assert read.title == "A2"
        assert read.text == "[doctor] bye\n[patient] bye"

    def test_gives_every_row_without_one(self, table: Path) -> None:
        assert [read.title for read in transcript.read(paths=[table])] == ["A1", "A2"]

    def test_without_that_row_is_refused(self, table: Path) -> None:
        with pytest.raises(
            transcript.UnableToReadConsultation, match="no row whose encounter_id is A3"
        ):
            transcript.read(paths=[table], row="A3")

    def test_without_dialogue_is_refused(self, tmp_path: Path) -> None:
        path = tmp_path / "other.csv"
        path.write_text("a,b\n1,2\n", encoding="utf-8")

        with pytest.raises(transcript.UnableToReadConsultation, match="no column named dialogue"):
            transcript.read(paths=[path])


class TestFiles:
    def test_of_a_folder_are_grouped_by_consultation(self) -> None:
        names = [
            [path.name for path in group]
            for group in transcript.in_folder(folder=consultations.MADE_UP)
        ]

        assert ["cough_doctor.TextGrid", "cough_patient.TextGrid"] in names
        assert ["run_on.txt"] in names

    def test_that_do_not_belong_together_are_refused(self) -> None:
        with pytest.raises(transcript.UnableToReadConsultation, match="pairs"):
            transcript.read(paths=[consultations.MADE_UP / "run_on.txt"] * 2)

    def test_of_a_folder_without_any_are_missed(self, tmp_path: Path) -> None:
        with pytest.raises(transcript.UnableToReadConsultation, match="holds no"):
            transcript.in_folder(folder=tmp_path)
