"""The draft as the body of a proposal: content, and a quote for every sentence of it."""

import hashlib
from pathlib import Path
from typing import Any

from examples.scribe import drafting, problems
from examples.scribe.transcript import Transcript

MODEL = {"name": "transparent-rules", "version": "1"}
PROGRESS_NOTE = "11506-3"
SOURCE = "s1"


class NothingToDraft(Exception):
    """The consultation holds nothing that the rules can put into a note."""


def compose(
    *,
    transcript: Transcript,
    destination: dict[str, Any],
    accepts_problems: bool,
    provisional: bool,
) -> dict[str, Any]:
    """A proposal for `destination` (connection, patient, encounter).

    `provisional`: this EHR takes a new problem from outside only as provisional.
    """
    note = drafting.draft(transcript=transcript)
    if not note.sentences:
        raise NothingToDraft(f"{transcript.title} says nothing that could be put into a note.")
    changes = [_note(note=note, text=transcript.text)]
    named = (
        problems.diagnoses(clauses=note.reading.clauses, roles=note.reading.cast)
        if accepts_problems
        else []
    )
    changes += [
        _problem(
            diagnosis=diagnosis, ref=f"c{number}", text=transcript.text, provisional=provisional
        )
        for number, diagnosis in enumerate(named, start=2)
    ]
    summary = "Draft of the visit note" + (
        "" if not named else f", and {len(named)} for the problem list"
    )
    if note.reading.cast.exchanged:
        summary += ". The recording seems to have its speakers exchanged: who speaks was judged by what is said"
    patient = destination.get("patient")
    source = {
        "ref": SOURCE, "kind": "transcript", "title": f"Visit recording {transcript.title}"[:300], "text": transcript.text,
        "segments": [
            {"start": turn.start, "end": turn.end, "speaker": turn.speaker[:100], **({"at": _clock(turn.at)} if turn.at is not None else {})}
            for turn in transcript.turns
        ],
    }  # fmt: skip
    if patient:
        source["patient"] = patient["id"]
    body = {
        "connection": destination.get("connection", ""), "patient": patient, "encounter": destination.get("encounter"),
        "task_type": "visit-note", "summary": f"{summary}.", "model": {**MODEL, "prompt_hash": rules_hash()},
        "all_or_nothing": False, "sources": [source], "changes": changes,
    }  # fmt: skip
    return {key: value for key, value in body.items() if value not in (None, "")}


def _note(*, note: drafting.Draft, text: str) -> dict[str, Any]:
    sections: list[dict[str, Any]] = []
    evidence: list[dict[str, Any]] = []
    for number, (title, sentences) in enumerate(note.sections):
        written = ""
        for sentence in sentences:
            written += "\n" if written else ""
            start = len(written)
            written += sentence.text
            evidence += [
                {
                    "path": f"/sections/{number}/text", "span": [start, len(written)], **_quote(text=text, span=span),
                    "method": "copied" if sentence.copied else "derived",
                    "confidence": _confidence(sentence=sentence, note=note),
                }
                for span in sentence.spans
            ]  # fmt: skip
        sections.append({"title": title, "text": written})
    return {
        "ref": "c1", "kind": "note", "interaction": "create",
        "content": {"type": PROGRESS_NOTE, "status": "unsigned", "sensitivity": "normal", "sections": sections},
        "evidence": evidence, "depends_on": [],
    }  # fmt: skip


def _problem(
    *, diagnosis: problems.Diagnosis, ref: str, text: str, provisional: bool
) -> dict[str, Any]:
    known = diagnosis.known
    content: dict[str, Any] = {
        "code": [{"system": problems.ICD10CM, "code": known.code, "display": known.display}],
        "category": "problem-list-item", "clinical_status": "active",
        "verification": "provisional" if provisional else "confirmed", "sensitivity": "normal",
    }  # fmt: skip
    if known.side:
        content["side"] = problems.SIDES[known.side]
    quote = _quote(text=text, span=diagnosis.span)
    told = [path for path in ("code", "side", "clinical_status", "verification") if path in content]
    return {
        "ref": ref, "kind": "problem", "interaction": "create", "content": content,
        "evidence": [{"path": f"/{path}", **quote, "method": "derived", "confidence": 0.9} for path in told], "depends_on": [],
    }  # fmt: skip


def _quote(*, text: str, span: tuple[int, int]) -> dict[str, Any]:
    start, end = span
    return {"source": SOURCE, "start": start, "end": end, "quote": text[start:end]}


def _confidence(*, sentence: drafting.Sentence, note: drafting.Draft) -> float:
    """How sure the rules are: least where speakers had to be guessed, most where words are copied."""
    if note.reading.cast.exchanged:
        return 0.6
    return 0.95 if sentence.copied else 0.85


def _clock(seconds: float) -> str:
    whole = int(seconds)
    return f"{whole // 3600:02}:{whole // 60 % 60:02}:{whole % 60:02}"


def rules_hash() -> str:
    """The rules that wrote the draft, as one hash: where a language model has its prompt."""
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return f"sha256:{digest.hexdigest()}"


def as_text(body: dict[str, Any]) -> str:
    """The proposal for a person to read."""
    lines: list[str] = []
    for change in body["changes"]:
        if change["kind"] == "note":
            for section in change["content"]["sections"]:
                lines += [section["title"], "=" * len(section["title"]), section["text"], ""]
        else:
            code = change["content"]["code"][0]
            lines += [
                f"For the problem list: {code['display']} ({code['code']}), {change['content']['verification']}",
                "",
            ]
    return "\n".join(lines).rstrip()
