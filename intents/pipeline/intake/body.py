"""The envelope of a proposal: every field, its form and its limit. Pure.

What a change says about the chart is not checked here but by the canonical model. An unknown field
anywhere is an issue, with its RFC 6901 pointer; no issue repeats a value.
"""

import re
from collections.abc import Iterable, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Any, Literal, NamedTuple
from uuid import UUID

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    ValidationError,
    WithJsonSchema,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import PydanticCustomError, core_schema

from intents.pipeline.intake.strict_json import pointer_part

MAX_CHANGES = 50
MAX_SOURCES = 50
MAX_EVIDENCE = 500
MAX_SOURCE_CHARACTERS = 600_000


class Issue(NamedTuple):
    """One reason why a proposal is refused: pointer, stable code, sentence without the value."""

    pointer: str
    code: str
    sentence: str


class _Form:
    """A text's form: a pattern over the whole text, and the sentence for one that has another form."""

    def __init__(self, pattern: str, sentence: str) -> None:
        self._pattern = re.compile(pattern)
        self._sentence = sentence

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> core_schema.CoreSchema:
        return core_schema.no_info_after_validator_function(self._check, handler(source))

    def __get_pydantic_json_schema__(
        self, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        return {**handler(schema), "pattern": f"^(?:{self._pattern.pattern})$"}

    def _check(self, value: str) -> str:
        if self._pattern.fullmatch(value) is None:
            raise PydanticCustomError("malformed", self._sentence)
        return value


def _day(value: str) -> str:
    try:
        read = date.fromisoformat(value)
    except ValueError:
        read = None
    if read is None or read.isoformat() != value:
        raise PydanticCustomError("malformed", "This is a date, as 1957-03-14.")
    return value


def _moment(value: str) -> str:
    try:
        offset = datetime.fromisoformat(value).utcoffset()
    except ValueError:
        offset = None
    if offset is None:
        raise PydanticCustomError(
            "malformed", "This is a time with its offset, as 2026-11-20T08:41:02-06:00."
        )
    return value


def _share(value: Decimal | int) -> Decimal | int:
    if not 0 <= value <= 1:
        raise PydanticCustomError("malformed", "This is a number from 0 to 1.")
    return value


_NOT_BLANK = _Form(r"[\s\S]*\S[\s\S]*", "This is empty.")
PersonName = Annotated[str, Field(min_length=1, max_length=200), _NOT_BLANK]
RecordNumber = Annotated[str, Field(min_length=1, max_length=64), _NOT_BLANK]
Summary = Annotated[str, Field(max_length=2000)]
Title = Annotated[str, Field(max_length=300)]
Label = Annotated[str, Field(max_length=100)]
Id = Annotated[
    str, _Form(r"[A-Za-z0-9\-.]{1,64}", "This is an id of the EHR: letters, digits, - and dot.")
]
Ref = Annotated[
    str, _Form(r"[A-Za-z0-9_.\-]{1,64}", "A ref has 1 to 64 letters, digits, dots, - or _.")
]
Reference = Annotated[
    str,
    _Form(r"[A-Z][A-Za-z]{1,63}/[A-Za-z0-9\-.]{1,64}", "This is a reference, as Condition/123."),
]
Slug = Annotated[
    str, _Form(r"[A-Za-z0-9][A-Za-z0-9_.\-]{0,59}", "This has 1 to 60 letters, digits, - or _.")
]
Name = Annotated[str, _Form(r"[ -~]{1,120}", "This has 1 to 120 printable ASCII characters.")]
Day = Annotated[str, AfterValidator(_day), Field(json_schema_extra={"format": "date"})]
Moment = Annotated[str, AfterValidator(_moment), Field(json_schema_extra={"format": "date-time"})]
Share = Annotated[
    Decimal | int,
    AfterValidator(_share),
    WithJsonSchema({"type": "number", "minimum": 0, "maximum": 1}),
]
Offset = Annotated[int, Field(ge=0, le=10_000_000)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Patient(_Part):
    id: Id
    family: PersonName
    birth_date: Day
    given: PersonName | None = None
    sex: Literal["male", "female", "other", "unknown"] | None = None
    mrn: RecordNumber | None = None


class Model(_Part):
    name: Name
    version: Name
    prompt_hash: Name | None = None


class Segment(_Part):
    start: Offset
    end: Offset
    speaker: Label | None = None
    at: Label | None = None


class SourceBody(_Part):
    ref: Ref
    kind: Literal["transcript", "document", "chart", "message"]
    title: Title = ""
    patient: Id | None = None
    recorded_at: Moment | None = None
    text: Annotated[str, Field(min_length=1, max_length=MAX_SOURCE_CHARACTERS)]
    segments: Annotated[list[Segment], Field(max_length=20_000)] = []


class EvidenceBody(_Part):
    path: Annotated[
        str, _Form(r"(?:/[^/]{1,64}){0,12}", "This is a JSON pointer, as /sections/0/text.")
    ]
    span: Annotated[list[Offset], Field(min_length=2, max_length=2)] | None = None
    source: Ref
    start: Offset
    end: Offset
    quote: Annotated[str, Field(min_length=1, max_length=MAX_SOURCE_CHARACTERS)]
    method: Literal["copied", "derived", "inferred"]
    confidence: Share | None = None


class ChangeBody(_Part):
    ref: Ref
    kind: Ref
    interaction: Ref
    target: Reference | None = None
    content: dict[str, Any]
    evidence: Annotated[list[EvidenceBody], Field(max_length=MAX_EVIDENCE)] = []
    depends_on: Annotated[list[Ref], Field(max_length=MAX_CHANGES)] = []


class ProposalBody(_Part):
    """What `POST /api/v1/<lane>/proposals` takes."""

    connection: Slug
    patient: Patient
    encounter: Id | None = None
    task_type: Slug | None = None
    summary: Summary = ""
    model: Model | None = None
    all_or_nothing: bool = False
    supersedes: (
        Annotated[str, _Form(r"[0-9a-fA-F-]{36}", "This is the id of a proposal.")] | None
    ) = None
    sources: Annotated[list[SourceBody], Field(max_length=MAX_SOURCES)] = []
    changes: Annotated[list[ChangeBody], Field(min_length=1, max_length=MAX_CHANGES)]

    @property
    def supersedes_id(self) -> UUID | None:
        return UUID(self.supersedes) if self.supersedes else None


class BodyInvalid(ValueError):
    """The document is not a proposal; `issues` name every place."""

    def __init__(self, issues: Sequence[Issue]) -> None:
        self.issues = tuple(issues)
        super().__init__("; ".join(f"{issue.pointer or '/'}: {issue.code}" for issue in issues))


def read_body(document: Any) -> ProposalBody:
    """The proposal that the document is, or `BodyInvalid`."""
    try:
        return ProposalBody.model_validate(document)
    except ValidationError as refused:
        raise BodyInvalid(
            list(_issues(refused.errors(include_url=False, include_input=False)))
        ) from None


_SENTENCES = {
    "extra_forbidden": ("unknown-field", "There is no such field here."),
    "missing": ("missing", "This is needed."),
    "literal_error": ("unknown-value", "This is none of the values that are possible here."),
    "too_short": ("too-few", "There are too few of these."),
    "too_long": ("too-many", "There are too many of these."),
    "string_too_short": ("too-short", "This is empty."),
    "string_too_long": ("too-long", "This text is too long."),
    "greater_than_equal": ("malformed", "This number is too small."),
    "less_than_equal": ("malformed", "This number is too large."),
}
# A union names its branch in the location of an error; only names and indices belong in a pointer.
_BRANCHES = re.compile(r"decimal|int|function-after\[.*\]|constrained-.*|nullable.*")


def _issues(errors: Iterable[Any]) -> Iterable[Issue]:
    seen = set()
    for error in errors:
        kind = str(error["type"])
        code, sentence = _SENTENCES.get(kind, ("wrong-type", "The value has the wrong type."))
        if kind == "malformed":
            code, sentence = kind, str(error["msg"])
        pointer = "".join(
            f"/{pointer_part(str(part))}"
            for part in error["loc"]
            if isinstance(part, int) or not _BRANCHES.fullmatch(part)
        )
        if (pointer, code) not in seen:
            seen.add((pointer, code))
            yield Issue(pointer, code, sentence)
