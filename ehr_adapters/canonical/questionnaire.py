"""The answers to a questionnaire: what was asked and answered, by whom and when, never scored by hand."""

from collections.abc import Iterable, Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, Strict, StrictBool, StrictInt
from pydantic_core import PydanticCustomError

from ehr_adapters.canonical.declaration import (
    ChangeIssue,
    ChartChange,
    ChartField,
    Column,
    Comparison,
    Control,
    Interaction,
    InteractionRule,
    Owner,
    Risk,
)
from ehr_adapters.canonical.of_every_kind import EncounterField, SensitivityField
from ehr_adapters.canonical.scoring import (
    computed_score,
    known_form,
    self_harm_positive,
    total_item,
)
from ehr_adapters.canonical.types import (
    Code,
    Entries,
    Instant,
    Part,
    Quantity,
    Reference,
    SingleLine,
    Text,
)

__all__ = [
    "Answer",
    "FormOf",
    "Questionnaire",
    "Score",
    "computed_score",
    "known_form",
    "self_harm_positive",
    "total_item",
]

MOST_ANSWERS = 400


def _address(text: str) -> str:
    if "|" in text or any(character.isspace() for character in text):
        raise PydanticCustomError(
            "bad-form", "A form's id holds no blanks, and its version is said apart."
        )
    return text


def _answered(answers: tuple[object, ...]) -> tuple[object, ...]:
    return Entries(1, MOST_ANSWERS)(answers)


class FormOf(Part):
    """Which form was answered, in which version, and by which of the EHR's assignments."""

    id: Annotated[
        SingleLine,
        AfterValidator(_address),
        Column(label="Form", control=Control.LINE, max_length=400),
    ]
    version: Annotated[
        SingleLine | None,
        Column(label="Version", control=Control.LINE, max_length=60, lead="version"),
    ] = None
    assignment: Annotated[
        Reference | None,
        Column(
            label="Assignment",
            control=Control.REFERENCE,
            refers_to=("ServiceRequest", "CarePlan"),
            lead="assigned by",
        ),
    ] = None


class Answer(Part):
    """One answer; several answers to one question are several of these."""

    link_id: Annotated[SingleLine, Column(label="Item", control=Control.LINE, max_length=200)]
    question: Annotated[
        Text | None, Column(label="Question", control=Control.LINE, max_length=2000)
    ] = None
    value: Annotated[
        Code | Quantity | StrictBool | StrictInt | Text,
        Column(label="Answer", control=Control.LINE, max_length=8000),
    ]


class Score(Part):
    """The score of the whole form, and how it is reckoned."""

    value: Annotated[StrictInt, Column(label="Score", control=Control.NUMBER)]
    method: Annotated[
        SingleLine | None, Column(label="Reckoned by", control=Control.LINE, max_length=200)
    ] = None


def _scattered(answers: Iterable[Mapping[str, Any]]) -> Iterable[ChangeIssue]:
    """Several answers to one item stand together and repeat its question."""
    seen: dict[str, Any] = {}
    before = None
    for index, answer in enumerate(answers):
        link_id = answer["link_id"]
        if link_id in seen and (before != link_id or seen[link_id] != answer.get("question")):
            yield ChangeIssue(
                f"/answers/{index}",
                "contradiction",
                "Several answers to one item stand together, under the same question.",
            )
        seen[link_id] = answer.get("question")
        before = link_id


class Questionnaire(ChartChange):
    """A questionnaire's answers."""

    kind: ClassVar[str] = "questionnaire"
    label: ClassVar[str] = "Questionnaire"
    fhir_type: ClassVar[str] = "QuestionnaireResponse"
    named_by: ClassVar[tuple[str, ...]] = ("form",)
    brief: ClassVar[tuple[str, ...]] = ("form", "answered_by", "answered_at", "score")

    form: Annotated[
        FormOf | None,
        ChartField(
            label="Form",
            risk=Risk.HIGH,
            owner=Owner.EHR,
            control=Control.PART,
            compare=Comparison.PART,
            element="questionnaire basedOn",
            part=FormOf,
        ),
    ] = None
    answered_by: Annotated[
        Literal["patient", "proxy", "clinician"] | None,
        ChartField(
            label="Answered by",
            risk=Risk.HIGH,
            owner=Owner.PORTAL,
            control=Control.CHOICE,
            compare=Comparison.EXACT,
            element="source",
            words=(
                ("patient", "the patient"),
                ("proxy", "a proxy"),
                ("clinician", "a clinician"),
            ),
        ),
    ] = None
    answered_at: Annotated[
        Instant | None,
        ChartField(
            label="Answered at",
            risk=Risk.MEDIUM,
            owner=Owner.PORTAL,
            control=Control.INSTANT,
            compare=Comparison.INSTANT,
            element="authored",
        ),
    ] = None
    answers: Annotated[
        Annotated[tuple[Answer, ...], Strict(strict=False), AfterValidator(_answered)] | None,
        ChartField(
            label="Answers",
            risk=Risk.HIGH,
            owner=Owner.PORTAL,
            control=Control.PARTS,
            compare=Comparison.LIST,
            element="item",
            part=Answer,
        ),
    ] = None
    score: Annotated[
        Score | None,
        ChartField(
            label="Score",
            risk=Risk.HIGH,
            owner=Owner.PORTAL,
            control=Control.PART,
            compare=Comparison.PART,
            element="item",
            part=Score,
            filled_by_portal=True,
        ),
    ] = None
    encounter: EncounterField = None
    sensitivity: SensitivityField = None

    rules: ClassVar[Mapping[Interaction, InteractionRule]] = {
        Interaction.CREATE: InteractionRule(
            required=frozenset({"form", "answered_by", "answered_at", "answers"}),
            optional=frozenset({"score", "encounter", "sensitivity"}),
            needs_target=False,
            meaning="a new set of answers",
        ),
        Interaction.AMEND: InteractionRule(
            required=frozenset({"form", "answers"}),
            optional=frozenset({"answered_by", "answered_at", "score", "sensitivity"}),
            meaning="corrected answers; the old ones stay readable as an earlier version",
        ),
    }

    def conflicts_with(self, current: Mapping[str, Any]) -> tuple[ChangeIssue, ...]:
        before, after = current.get("form"), self.form
        if before and after and (before.get("id") or "") != after.id:
            return (
                ChangeIssue("/form/id", "another-fact", "Answers to another form are a new entry."),
            )
        return ()

    def reckoned(self) -> Mapping[str, Any]:
        return {"score": computed_score(self.model_dump_canonical())}

    def applied_to(self, current: Mapping[str, Any]) -> dict[str, Any]:
        """As for every kind; the score of the old answers is not the score of the new ones, and a question
        that is not said again stays as it was asked."""
        after = super().applied_to(current)
        asked = {
            one["link_id"]: one["question"]
            for one in current.get("answers") or ()
            if one.get("question")
        }
        if "answers" in self.named_fields:
            after["answers"] = [
                one
                if one.get("question") or one["link_id"] not in asked
                else {**one, "question": asked[one["link_id"]]}
                for one in after["answers"]
            ]
        if "answers" in self.named_fields and "score" not in self.named_fields:
            after.pop("score", None)
        return after

    @classmethod
    def compared_as(cls, name: str, value: Any) -> Any:
        """A score is its number; yes is not one."""
        if name == "score" and isinstance(value, Mapping):
            return {"value": str(value.get("value"))}
        if name == "answers":
            # An answer belongs to its item wherever it stands.
            return sorted(
                (
                    {**one, "value": f"={one['value']}"} if isinstance(one["value"], bool) else one
                    for one in value
                ),
                key=lambda one: str(one["link_id"]),
            )
        return value

    @classmethod
    def own_issues(
        cls, *, interaction: Interaction, content: Mapping[str, Any]
    ) -> Iterable[ChangeIssue]:
        del interaction
        form = known_form(content)
        yield from _scattered(content["answers"])
        for index, answer in enumerate(content["answers"]):
            if form is not None and answer["link_id"].rsplit("/", 1)[-1] == form.total:
                yield ChangeIssue(
                    f"/answers/{index}", "contradiction", "The score stands in its own field."
                )
        score = content.get("score")
        if not score:
            return
        reckoned = computed_score(content)
        if reckoned is None:
            yield ChangeIssue(
                "/score",
                "not-reckoned",
                "This score cannot be reckoned from the answers: leave it out."
                if form is None
                else "The score cannot be reckoned: an item is unanswered or its answer is not understood.",
            )
        elif score["value"] != reckoned["value"]:
            yield ChangeIssue(
                "/score/value",
                "wrong-score",
                f"The answers add up to another score ({reckoned['method']}).",
            )
