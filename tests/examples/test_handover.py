"""The second example agent: what a line says in full becomes a change, and nothing else does."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from ehr_adapters.canonical.base import all_kinds, parse_change
from examples.handover import composing, lines, sheet

ROOT = Path(__file__).resolve().parents[2]
AT = "2026-11-20T09:15:00-06:00"
KINDS = {"allergy", "vitals", "medication", "task", "result", "order"}
UNDERSTOOD = {
    "allergy": "latex, wheals, mild, told by patient",
    "blood pressure": f"154/92 mmHg at {AT}",
    "pulse": f"78 at {AT}",
    "takes": "metformin 500 mg by mouth twice a day",
    "task": "book the eye screening by 2026-12-01, for Practitioner/17",
    "outside result": f"potassium 4.9 mmol/L, Riverside Laboratory, taken {AT}",
    "laboratory order": "potassium on 2026-12-04",
}

pytestmark = pytest.mark.once


@pytest.mark.parametrize(("label", "said"), UNDERSTOOD.items(), ids=list(UNDERSTOOD))
def test_a_line_that_says_everything_becomes_a_change_that_the_portal_takes(label, said):
    change = lines.change_of(label, said)
    assert change is not None
    kind, content = change
    if kind in all_kinds():
        parse_change(kind, "create", content)


@pytest.mark.parametrize(
    ("label", "said"),
    [
        ("allergy", "latex, wheals"),
        ("allergy", "moonlight, wheals, mild, told by patient"),
        ("allergy", "no latex, wheals, mild, told by patient"),
        ("blood pressure", "154/92 at noon"),
        ("blood pressure", f"154/92/70 mmHg at {AT}"),
        ("pulse", f"78 or 87 at {AT}"),
        ("pulse", f"078 at {AT}"),
        ("takes", "metformin 500 mg"),
        ("takes", "metformin 500 mg by mouth whenever"),
        ("takes", "metformin .5 mg by mouth twice a day"),
        ("outside result", f"potassium 4.9 mg/dL, Riverside Laboratory, taken {AT}"),
        ("outside result", f"potassium 4.9, Riverside Laboratory, taken {AT}"),
        ("laboratory order", "something on 2026-12-04"),
        ("task", "book the eye screening"),
        ("task", "book the eye screening by 2026-12-01, for somebody"),
        ("mood", "good"),
    ],
)
def test_a_line_that_leaves_a_doubt_becomes_nothing(label, said):
    assert lines.change_of(label, said) is None


def test_every_change_quotes_its_whole_line_and_what_is_left_out_is_named(tmp_path):
    file = tmp_path / "sheet.txt"
    file.write_text(
        "Patient: MADE UP\r\n\r\nPulse: 78 at "
        + AT
        + "\r\nAllergy: moonlight\r\nTask: call by 2026-12-01, for Practitioner/17\r\n"
    )
    read = sheet.read(path=file)
    body, left_out = composing.compose(sheet=read, destination={}, accepted={"vitals"})
    [change] = body["changes"]
    for evidence in change["evidence"]:
        assert read.text[evidence["start"] : evidence["end"]] == evidence["quote"]
        assert evidence["quote"] == f"Pulse: 78 at {AT}"
    assert {e["path"] for e in change["evidence"]} == {f"/{name}" for name in change["content"]}
    assert [sentence.rpartition(": ")[2] for sentence in left_out] == ["“allergy”.", "“task”."]


@pytest.mark.parametrize("content", [b"no labels here", b"\xff\xfe"])
def test_what_is_no_sheet_is_one_plain_sentence(tmp_path, content):
    file = tmp_path / "sheet.txt"
    file.write_bytes(content)
    done = subprocess.run(
        [sys.executable, "-m", "examples.handover", str(file), "--dry-run"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "sheet.txt" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_demos_own_sheets_are_understood_whole():
    folder = ROOT / "examples" / "handovers"
    for entry in json.loads((folder / "manifest.json").read_text())["sheets"]:
        text = (folder / entry["file"]).read_text()
        for found, meant in (("{T-30min}", AT), ("{T-2d}", AT), ("{T-5d}", AT)):
            text = text.replace(found, meant)
        text = text.replace("{staff:assistant}", "17")
        for count in (1, 14, 16, 21):
            text = text.replace(f"{{day+{count}}}", "2026-12-01")
        labelled = [line for line in text.splitlines() if ": " in line]
        told = [line.partition(": ") for line in labelled]
        unknown = [
            label
            for label, _, said in told
            if label.casefold() not in {"patient", "written by"}
            and lines.change_of(label.casefold(), said) is None
        ]
        assert unknown == [], entry["file"]
