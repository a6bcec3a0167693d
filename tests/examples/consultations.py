"""Where the tests find consultations: the demo's own, made-up ones in other styles, and the public corpora."""

import json
import os
from pathlib import Path
from typing import Any

from examples.scribe import composing, transcript
from examples.scribe.transcript import Transcript

ROOT = Path(__file__).resolve().parents[2]
DEMO = ROOT / "examples" / "consultations"
MADE_UP = Path(__file__).parent / "made_up"
SHARED = Path(os.environ.get("SHARED_DATA", str(ROOT.parent / "shared" / "data")))
PRIMOCK = SHARED / "primock57" / "transcripts"
ACI = SHARED / "aci-bench" / "encounters.csv"
MANIFEST = json.loads((DEMO / "manifest.json").read_text(encoding="utf-8"))


def own() -> list[Transcript]:
    """Every consultation that lives in this repository."""
    groups = transcript.in_folder(folder=DEMO) + transcript.in_folder(folder=MADE_UP)
    return [each for group in groups for each in transcript.read(paths=group)]


def public() -> list[Transcript]:
    """Every consultation of the corpora beside the checkout; none where they are not there."""
    found: list[Transcript] = []
    if PRIMOCK.is_dir():
        for group in transcript.in_folder(folder=PRIMOCK):
            found += transcript.read(paths=group)
    if ACI.is_file():
        found += transcript.read(paths=[ACI])
    return found


def proposal(consultation: Transcript, **options: Any) -> dict[str, Any]:
    """What the scribe would send."""
    settings = {"destination": {}, "accepts_problems": True, "provisional": False} | options
    return composing.compose(transcript=consultation, **settings)
