"""The clinical note, and its one layout as plain text.

A note travels as a single text. The layout is plain reading for a clinician and still unambiguous:

    Assessment
    ==========
    Blood pressure above target.

    Plan
    ====
    ...

    AI-assisted draft, filed after clinician review. Ref 4F7K-9QXD-2M8T

A line of only equals signs at the left margin underlines a title and nothing else: such a line inside a
section's text is moved one blank to the right, and moved back when the text is read.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, Field, Strict
from pydantic_core import PydanticCustomError

from ehr_adapters.canonical.codes import LOINC
from ehr_adapters.canonical.declaration import (
    ChangeIssue,
    ChartChange,
    ChartField,
    Comparison,
    Control,
    Interaction,
    InteractionRule,
    Owner,
    Risk,
)
from ehr_adapters.canonical.types import (
    Act,
    Code,
    Entries,
    Instant,
    Part,
    Reference,
    SingleLine,
    Text,
)

REFERENCE_LINE = "AI-assisted draft, filed after clinician review. Ref "

NOTE_TYPES = ("11506-3", "34117-2", "11488-4", "18842-5")

SENSITIVITY_WORDS = (
    ("normal", "normal"),
    ("restricted", "restricted"),
    ("very-restricted", "very restricted"),
)


def _titled(text: str) -> str:
    if not any(character.isalnum() for character in text):
        raise PydanticCustomError("not-a-title", "A title needs a letter or a digit.")
    return text


Title = Annotated[SingleLine, Field(max_length=120), AfterValidator(_titled)]


class Section(Part):
    """One section; `acts` say which spans of its text report what other changes perform."""

    title: Title
    text: Text = Field(max_length=200_000)
    code: Code | None = None
    acts: Annotated[tuple[Act, ...], Strict(strict=False)] | None = None


class Attachment(Part):
    """A document that belongs to the note; its bytes are held by the portal, known here by hash."""

    title: SingleLine = Field(max_length=200)
    type: Literal["application/pdf"]
    size: int = Field(ge=1)
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")


class PatientRelease(Part):
    """When the patient may see the note, and why."""

    when: Literal["now", "later", "never"]
    reason: SingleLine = Field(max_length=400)


_ALL_BUT_MODE = frozenset(
    {
        "type",
        "status",
        "encounter",
        "author",
        "date",
        "sections",
        "attachments",
        "patient_release",
        "sensitivity",
    }
)


class Note(ChartChange):
    """A clinical note. The portal files it unsigned; signing happens in the EHR."""

    kind: ClassVar[str] = "note"
    label: ClassVar[str] = "Note"
    fhir_type: ClassVar[str] = "DocumentReference"
    author_field: ClassVar[str] = "author"
    approval_risk: ClassVar[Risk | None] = Risk.MEDIUM
    named_by: ClassVar[tuple[str, ...]] = ("type",)
    brief: ClassVar[tuple[str, ...]] = ("type", "status", "date")

    type: Annotated[
        Code | None,
        ChartField(
            label="Note type",
            risk=Risk.MEDIUM,
            owner=Owner.PORTAL,
            control=Control.CODE,
            compare=Comparison.CODE,
            element="type",
            systems=(LOINC,),
            options=NOTE_TYPES,
        ),
    ] = None
    status: Annotated[
        Literal["unsigned", "signed", "entered-in-error"] | None,
        ChartField(
            label="Signature",
            risk=Risk.HIGH,
            owner=Owner.SHARED,
            control=Control.CHOICE,
            compare=Comparison.EXACT,
            element="docStatus",
            words=(
                ("unsigned", "not signed"),
                ("signed", "signed"),
                ("entered-in-error", "entered in error"),
            ),
        ),
    ] = None
    encounter: Annotated[
        Reference | None,
        ChartField(
            label="Visit",
            risk=Risk.HIGH,
            owner=Owner.EHR,
            control=Control.REFERENCE,
            compare=Comparison.REFERENCE,
            element="context.encounter",
            refers_to=("Encounter",),
        ),
    ] = None
    amends: Annotated[
        Reference | None,
        ChartField(
            label="Amends the note",
            risk=Risk.HIGH,
            owner=Owner.EHR,
            control=Control.REFERENCE,
            compare=Comparison.REFERENCE,
            element="relatesTo",
            refers_to=("DocumentReference",),
        ),
    ] = None
    author: Annotated[
        Reference | None,
        ChartField(
            label="Author",
            risk=Risk.HIGH,
            owner=Owner.SHARED,
            control=Control.REFERENCE,
            compare=Comparison.REFERENCE,
            element="author",
            refers_to=("Practitioner",),
            filled_by_portal=True,
        ),
    ] = None
    date: Annotated[
        Instant | None,
        ChartField(
            label="Date of service",
            risk=Risk.MEDIUM,
            owner=Owner.PORTAL,
            control=Control.INSTANT,
            compare=Comparison.INSTANT,
            element="date",
            filled_by_portal=True,
        ),
    ] = None
    sections: Annotated[
        Annotated[tuple[Section, ...], Strict(strict=False), AfterValidator(Entries(1, 60))] | None,
        ChartField(
            label="Sections",
            risk=Risk.MEDIUM,
            owner=Owner.SHARED,
            control=Control.SECTIONS,
            compare=Comparison.SECTIONS,
            element="content",
        ),
    ] = None
    mode: Annotated[
        Literal["append", "replace"] | None,
        ChartField(
            label="How it is added",
            risk=Risk.HIGH,
            owner=Owner.PORTAL,
            control=Control.CHOICE,
            compare=Comparison.EXACT,
            words=(
                ("append", "added after the text that is there"),
                ("replace", "in place of the whole text that is there"),
            ),
            portal_only=True,
        ),
    ] = None
    attachments: Annotated[
        Annotated[tuple[Attachment, ...], Strict(strict=False), AfterValidator(Entries(1, 10))]
        | None,
        ChartField(
            label="Attachment",
            risk=Risk.MEDIUM,
            owner=Owner.PORTAL,
            control=Control.ATTACHMENTS,
            compare=Comparison.ATTACHMENTS,
        ),
    ] = None
    patient_release: Annotated[
        PatientRelease | None,
        ChartField(
            label="Shown to the patient",
            risk=Risk.HIGH,
            owner=Owner.SHARED,
            control=Control.RELEASE,
            compare=Comparison.EXACT,
        ),
    ] = None
    sensitivity: Annotated[
        Literal["normal", "restricted", "very-restricted"] | None,
        ChartField(
            label="Sensitivity",
            risk=Risk.HIGH,
            owner=Owner.SHARED,
            control=Control.CHOICE,
            compare=Comparison.EXACT,
            element="meta.security",
            words=SENSITIVITY_WORDS,
            absent_means="normal",
        ),
    ] = None

    rules: ClassVar[Mapping[Interaction, InteractionRule]] = {
        Interaction.CREATE: InteractionRule(
            required=frozenset({"type", "status", "sections"}),
            optional=_ALL_BUT_MODE,
            choices=(("status", ("unsigned",)),),
            needs_target=False,
            meaning="a new note, not signed",
        ),
        Interaction.UPDATE: InteractionRule(
            required=frozenset({"mode", "sections"}),
            optional=frozenset({"date", "sensitivity", "encounter"}),
            choices=(("status", ("unsigned",)),),
            meaning="more text, or other text, in an unsigned note that the portal filed",
        ),
        Interaction.AMEND: InteractionRule(
            required=frozenset({"amends", "type", "status", "sections"}),
            optional=_ALL_BUT_MODE,
            choices=(("status", ("unsigned",)),),
            beside=True,
            meaning="an addendum to a signed note",
        ),
        Interaction.ENTERED_IN_ERROR: InteractionRule(
            optional=frozenset({"encounter"}),
            fixed=(("status", "entered-in-error"),),
            meaning="the note was never true",
        ),
    }

    def applied_to(self, current: Mapping[str, Any]) -> dict[str, Any]:
        """As for every kind; appended sections follow those that are there, portal-only parts are left out."""
        after = super().applied_to(current)
        after.pop("mode", None)
        if self.interaction is Interaction.UPDATE and self.mode == "append":
            after["sections"] = [*current.get("sections", []), *after["sections"]]
        return after

    def conflicts_with(self, current: Mapping[str, Any]) -> tuple[ChangeIssue, ...]:
        status = current.get("status")
        if status == "entered-in-error":
            return (
                ChangeIssue(
                    "", "target-entered-in-error", "The note is marked as entered in error."
                ),
            )
        if self.interaction is Interaction.UPDATE and status != "unsigned":
            return (
                ChangeIssue(
                    "", "target-signed", "The note is signed: only an addendum can be added to it."
                ),
            )
        if self.interaction is Interaction.AMEND and status == "unsigned":
            return (
                ChangeIssue(
                    "",
                    "target-unsigned",
                    "The note is not signed yet: an addendum belongs to a signed note.",
                ),
            )
        return ()

    @classmethod
    def words_of(cls, name: str, value: Any) -> str | None:
        if name == "sections":
            return "\n\n".join(f"{s['title']}\n{s['text']}" for s in value)
        if name == "attachments":
            return "; ".join(a["title"] for a in value)
        if name == "patient_release":
            return f"{value['when']}: {value['reason']}"
        return super().words_of(name, value)

    @classmethod
    def own_issues(
        cls, *, interaction: Interaction, content: Mapping[str, Any]
    ) -> Iterable[ChangeIssue]:
        del interaction
        for index, section in enumerate(content.get("sections") or ()):
            for number, act in enumerate(section.get("acts") or ()):
                start, end = act["span"]
                if not 0 <= start < end <= len(section["text"]):
                    yield ChangeIssue(
                        f"/sections/{index}/acts/{number}/span",
                        "bad-span",
                        "The span does not lie inside the section's text.",
                    )


# --- the layout ----------------------------------------------------------------------------------

_UNDERLINE = re.compile(r"=+")
# What a reader, or an EHR that trims line ends, would take for an underline.
_LIKE_UNDERLINE = re.compile(r" *=+[ \t]*")
_MOVED_UNDERLINE = re.compile(r" +=+[ \t]*")
_LAST_LINE = re.compile(
    re.escape(REFERENCE_LINE) + r"(?P<short>[0-9A-HJKMNP-TV-Z]{4}(?:-[0-9A-HJKMNP-TV-Z]{4}){2})"
)


def note_text(*, sections: Sequence[Mapping[str, Any]], short: str) -> str:
    """The note as one plain text; `short` is the short form of the tag. `read_note_text` gives it back."""
    parts = []
    for section in sections:
        title = section["title"]
        lines = [
            " " + line if _LIKE_UNDERLINE.fullmatch(line) else line
            for line in section["text"].split("\n")
        ]
        parts.append("\n".join([title, "=" * len(title), *lines]))
    parts.append(REFERENCE_LINE + short)
    return "\n\n".join(parts)


def read_note_text(text: str) -> tuple[list[dict[str, str]], str] | None:
    """(sections with title and text, short form) of a text in the portal's layout; None for any other text.

    Line ends may have become "\\r\\n" and blanks may have been added at the very end: EHRs do both.
    """
    lines = text.replace("\r\n", "\n").replace("\r", "\n").rstrip(" \t\n").split("\n")
    last = _LAST_LINE.fullmatch(lines[-1])
    if last is None or len(lines) < 5 or lines[-2] != "":
        return None
    body = lines[:-2]
    starts = [
        index
        for index in range(len(body) - 1)
        if _UNDERLINE.fullmatch(body[index + 1])
        and body[index].strip()
        and (index == 0 or body[index - 1] == "")
    ]
    if not starts or starts[0] != 0:
        return None
    sections = []
    for position, start in enumerate(starts):
        is_last = position + 1 == len(starts)
        end = len(body) if is_last else starts[position + 1] - 1
        lines_of_text = [
            line[1:] if _MOVED_UNDERLINE.fullmatch(line) else line for line in body[start + 2 : end]
        ]
        sections.append({"title": body[start], "text": "\n".join(lines_of_text)})
    return sections, last.group("short")


def comment_text(*, text: str, short: str) -> str:
    """A comment that ends with the reference line, for entries that have no other place for the tag."""
    return f"{text}\n\n{REFERENCE_LINE}{short}" if text else f"{REFERENCE_LINE}{short}"


def read_comment_text(text: str) -> tuple[str, str]:
    """(comment, short form) of a comment; the short form is "" where no reference line ends it."""
    unix = text.replace("\r\n", "\n").replace("\r", "\n")
    before, _, last_line = unix.rstrip(" \t\n").rpartition("\n")
    last = _LAST_LINE.fullmatch(last_line)
    if last is None:
        return text, ""
    return before.removesuffix("\n"), last.group("short")
