"""Consultations as they are found: plain text, Praat TextGrid, or a row of a CSV file.

Plain text and CSV are sent as they are. A TextGrid has no running text, so one is laid out from its
intervals, one interval a line; the words of an interval are never altered.
"""

import csv
import io
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

ROLE_WORDS = re.compile(
    r"(?i)^(?:the[ _])?(?:doctor|dr|gp|clinician|physician|provider|nurse|pharmacist|consultant|"
    r"therapist|physio\w*|midwife|patient|pt|client|mother|father|mum|mom|dad|wife|husband|partner|"
    r"daughter|son|parent|carer|caregiver|guardian|guest|companion|relative|interpreter)\b"
)
LABELLED = re.compile(
    r"^[ \t]*(?:[\[(]?\d{1,2}:\d{2}(?::\d{2})?(?:[.,]\d+)?[\])]?[ \t]*(?:-[ \t]*)?)?\**"
    r"(?:\[(?P<bracketed>[^\]\n]{1,40})\]:?|(?P<plain>[^\W\d_][^:\n\[\]]{0,39}?)[ \t]*\**:)\**[ \t]*",
    re.MULTILINE,
)
CLOCK = re.compile(r"(\d{1,2}):(\d{2})(?::(\d{2}))?")
INTERVAL = re.compile(
    r'xmin\s*=\s*(?P<start>[\d.eE+-]+)\s+xmax\s*=\s*(?P<end>[\d.eE+-]+)\s+text\s*=\s*"(?P<text>(?:[^"]|"")*)"'
)
TIER = re.compile(r'class\s*=\s*"(?P<kind>\w+)"\s+name\s*=\s*"(?P<name>(?:[^"]|"")*)"')
SHORT_VALUE = re.compile(r'"(?:[^"]|"")*"|<exists>|[-+]?\d[\d.eE+-]*')


class UnableToReadConsultation(Exception):
    """The file does not hold a consultation that can be read. The message is for a person."""


@dataclass(frozen=True, slots=True)
class Turn:
    """One stretch of speech. `start` and `end` are code points of the transcript's text."""

    speaker: str
    start: int
    end: int
    at: float | None = None  # seconds from the beginning, where the recording says
    until: float | None = None


@dataclass(frozen=True, slots=True)
class Transcript:
    """The text that is sent as the source, and where in it each speaker speaks."""

    title: str
    text: str
    turns: tuple[Turn, ...]

    def words_of(self, turn: Turn) -> str:
        """What was said in the turn, exactly."""
        return self.text[turn.start : turn.end]


def read(*, paths: list[Path], row: str | None = None) -> list[Transcript]:
    """Every consultation in the files: one, unless it is a CSV without `row`."""
    if any(path.suffix.lower() == ".textgrid" for path in paths):
        return [_from_text_grids(paths=paths)]
    if len(paths) != 1:
        raise UnableToReadConsultation("Only TextGrid files go in pairs, one a speaker.")
    (path,) = paths
    if path.suffix.lower() == ".csv":
        return _from_csv(path=path, row=row)
    if row is not None:
        raise UnableToReadConsultation(f"{path.name} has no rows: --row is for CSV files.")
    return [from_text(text=_decode(path=path), title=path.stem)]


def in_folder(*, folder: Path) -> list[list[Path]]:
    """The consultations of a folder, as lists of files that belong together."""
    groups: dict[str, list[Path]] = {}
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() == ".textgrid":
            groups.setdefault(re.sub(r"(?i)[_-](doctor|patient)$", "", path.stem), []).append(path)
        elif path.suffix.lower() in {".txt", ".csv"}:
            groups[path.name] = [path]
    if not groups:
        raise UnableToReadConsultation(f"{folder} holds no .txt, .csv or .TextGrid file.")
    return list(groups.values())


def from_text(*, text: str, title: str) -> Transcript:
    """`Speaker: words` or `[speaker] words` lines; a line without a speaker continues the turn."""
    if not text.strip():
        raise UnableToReadConsultation(f"{title} is empty.")
    found = list(LABELLED.finditer(text))
    often = Counter((match["bracketed"] or match["plain"]).strip().lower() for match in found)

    # "Blood pressure: 120/80" inside a turn is not a speaker; a speaker has a role or speaks twice.
    def is_speaker(match: re.Match[str]) -> bool:
        label = (match["bracketed"] or match["plain"]).strip()
        return bool(ROLE_WORDS.match(label)) or (
            often[label.lower()] > 1 and len(label.split()) <= 4
        )

    labels = [match for match in found if is_speaker(match)]
    turns = []
    for index, match in enumerate(labels):
        limit = labels[index + 1].start() if index + 1 < len(labels) else len(text)
        end = match.end() + len(text[match.end() : limit].rstrip())
        clock = CLOCK.search(match.group(0))
        turns.append(
            Turn(
                speaker=(match["bracketed"] or match["plain"]).strip(),
                start=match.end(),
                end=end,
                at=_seconds(clock) if clock else None,
            )
        )
    turns = [turn for turn in turns if turn.end > turn.start]
    if not turns:
        raise UnableToReadConsultation(
            f"{title} has no line that begins with a speaker, as in “Doctor: Good morning.”"
        )
    return Transcript(title=title, text=text, turns=tuple(turns))


def _seconds(clock: re.Match[str]) -> float:
    first, second = int(clock[1]), int(clock[2])
    if clock[3] is None:
        return float(first * 60 + second)
    return float(first * 3600 + second * 60 + int(clock[3]))


def _decode(*, path: Path) -> str:
    try:
        data = path.read_bytes()
    except OSError as refusal:
        raise UnableToReadConsultation(f"{path} cannot be read: {refusal.strerror}.") from None
    encodings = ("utf-16",) if data[:2] in {b"\xff\xfe", b"\xfe\xff"} else ("utf-8-sig", "cp1252")
    for encoding in encodings:
        try:
            return data.decode(encoding)
        except UnicodeDecodeError:
            continue
    raise UnableToReadConsultation(f"{path.name} is not text in UTF-8, UTF-16 or Windows-1252.")


def _from_csv(*, path: Path, row: str | None) -> list[Transcript]:
    csv.field_size_limit(2**24)
    rows = csv.DictReader(io.StringIO(_decode(path=path), newline=""))
    columns = {name.strip().lower(): name for name in rows.fieldnames or []}
    if "dialogue" not in columns:
        raise UnableToReadConsultation(f"{path.name} has no column named dialogue.")
    identifier = columns.get("encounter_id")
    found = []
    for number, values in enumerate(rows, start=1):
        name = (values.get(identifier) if identifier else None) or str(number)
        if row is None or name.strip() == row:
            found.append((name.strip(), values.get(columns["dialogue"]) or ""))
    if not found:
        raise UnableToReadConsultation(
            f"{path.name} has no row whose encounter_id is {row}."
            if row is not None
            else f"{path.name} has no rows."
        )
    return [from_text(text=dialogue, title=name) for name, dialogue in found]


def _from_text_grids(*, paths: list[Path]) -> Transcript:
    if any(path.suffix.lower() != ".textgrid" for path in paths) or len(paths) > 2:
        raise UnableToReadConsultation("A consultation is one or two TextGrid files.")
    spoken: list[tuple[float, float, str, str]] = []
    for number, path in enumerate(paths, start=1):
        tiers = _tiers(text=_decode(path=path), name=path.name)
        for tier, intervals in tiers:
            label = _speaker_of(path=path, tier=tier, number=number, alone=len(tiers) == 1)
            spoken += [
                (start, end, label, " ".join(words.split("\n")).strip())
                for start, end, words in intervals
                if words.strip()
            ]
    if not spoken:
        raise UnableToReadConsultation(f"{paths[0].name} is empty: nobody speaks in it.")
    text, turns = "", []
    for start, end, label, words in sorted(spoken, key=lambda item: (item[0], item[1])):
        text += f"{label}: "
        turns.append(
            Turn(speaker=label, start=len(text), end=len(text) + len(words), at=start, until=end)
        )
        text += f"{words}\n"
    title = re.sub(r"(?i)[_-](doctor|patient)$", "", paths[0].stem)
    return Transcript(title=title, text=text, turns=tuple(turns))


def _speaker_of(*, path: Path, tier: str, number: int, alone: bool) -> str:
    if alone:
        named = re.search(r"(?i)[_-](doctor|patient|clinician|nurse|mother|father)$", path.stem)
        if named:
            return named.group(1).capitalize()
    if tier and tier.lower() not in {"speaker", "words", "text", "transcript"}:
        return tier.strip()
    return f"Speaker {number}"


def _tiers(*, text: str, name: str) -> list[tuple[str, list[tuple[float, float, str]]]]:
    """Interval tiers of a TextGrid in Praat's long or short text format."""
    if "TextGrid" not in text[:300]:
        raise UnableToReadConsultation(f"{name} is not a Praat TextGrid in text format.")
    heads = list(TIER.finditer(text))
    if not heads:
        return _short_tiers(text=text, name=name)
    tiers = []
    for index, head in enumerate(heads):
        if head["kind"] != "IntervalTier":
            continue
        body = text[head.end() : heads[index + 1].start() if index + 1 < len(heads) else len(text)]
        tiers.append(
            (
                head["name"].replace('""', '"'),
                [
                    (float(m["start"]), float(m["end"]), m["text"].replace('""', '"'))
                    for m in INTERVAL.finditer(body)
                ],
            )
        )
    return tiers


def _short_tiers(*, text: str, name: str) -> list[tuple[str, list[tuple[float, float, str]]]]:
    values = SHORT_VALUE.findall(text)
    tiers = []
    try:
        position = values.index('"IntervalTier"')
        while position < len(values) and values[position] == '"IntervalTier"':
            label, count = values[position + 1][1:-1], int(values[position + 4])
            position += 5
            intervals = []
            for _ in range(count):
                start, end, words = values[position : position + 3]
                intervals.append((float(start), float(end), words[1:-1].replace('""', '"')))
                position += 3
            tiers.append((label, intervals))
    except (ValueError, IndexError):
        raise UnableToReadConsultation(f"{name} breaks off: it is not a whole TextGrid.") from None
    return tiers
