"""How a kind of change is declared, and the registry of kinds. Pure.

A field is declared once, in its kind's model: the declaration gives the JSON Schema that an agent
generates against, the label and control of the edit form, the risk of changing it, who owns it, how two
values compare, and which FHIR element carries it.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from functools import cache
from typing import Any, ClassVar, NamedTuple, Self

from pydantic import BaseModel, ConfigDict, Field

from ehr_adapters.canonical import codes
from ehr_adapters.canonical.fields import (
    ChartField,
    Column,
    Comparison,
    Control,
    FieldSpec,
    Owner,
    Risk,
)
from ehr_adapters.canonical.types import Part

__all__ = [
    "ChangeInvalid",
    "ChangeIssue",
    "ChartChange",
    "ChartField",
    "Column",
    "Comparison",
    "Control",
    "FieldSpec",
    "Interaction",
    "InteractionRule",
    "Owner",
    "Risk",
    "all_kinds",
    "change_risk",
    "columns_of",
    "declared_fields",
    "fhir_type",
    "fhir_type_of",
    "fhir_types",
    "field_spec",
    "fields",
    "interaction_rule",
    "interactions",
    "kind_label",
    "kind_model",
    "kind_names",
    "makes_entry",
]


class Interaction(StrEnum):
    """What is done to an entry; there is no delete."""

    CREATE = "create"
    UPDATE = "update"
    AMEND = "amend"
    ENTERED_IN_ERROR = "entered-in-error"
    DISCONTINUE = "discontinue"
    RESOLVE = "resolve"
    CANCEL = "cancel"
    COMMENT = "comment"


@dataclass(frozen=True, slots=True)
class InteractionRule:
    """Which fields one interaction takes.

    `fixed` values follow from the word itself ("resolve" sets the status) and need not be sent;
    `choices` narrows a field's values; `removable` fields may be sent as null: take it away; `beside`: the
    target stays as it is and an entry of its own is made beside it, as an addendum is.
    """

    required: frozenset[str] = frozenset()
    optional: frozenset[str] = frozenset()
    removable: frozenset[str] = frozenset()
    fixed: tuple[tuple[str, str], ...] = ()
    choices: tuple[tuple[str, tuple[str, ...]], ...] = ()
    needs_target: bool = True
    beside: bool = False
    meaning: str = ""

    @property
    def allowed(self) -> frozenset[str]:
        return self.required | self.optional | self.removable | {name for name, _ in self.fixed}

    @property
    def makes_entry(self) -> bool:
        """A new entry comes of it; else an entry that exists is changed."""
        return self.beside or not self.needs_target


class ChangeIssue(NamedTuple):
    """One reason why a content is no change: RFC 6901 pointer, stable code, sentence without the value."""

    pointer: str
    code: str
    sentence: str


class ChangeInvalid(ValueError):
    """The content cannot be taken as this change; `issues` name every place."""

    def __init__(self, issues: Sequence[ChangeIssue]) -> None:
        self.issues = tuple(issues)
        super().__init__("; ".join(f"{i.pointer or '/'}: {i.code}" for i in self.issues))


class ChartChange(BaseModel):
    """One typed change to one entry of a chart.

    A field that is absent is left as it is; a field that is None is taken away. Unknown fields are refused.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    kind: ClassVar[str]
    label: ClassVar[str]
    fhir_type: ClassVar[str]
    # Further FHIR types in which entries of this kind are kept, and those as which new ones are made.
    also_kept_as: ClassVar[tuple[str, ...]] = ()
    also_made_as: ClassVar[tuple[str, ...]] = ()
    rules: ClassVar[Mapping[Interaction, InteractionRule]]
    # The fields that name an entry of this kind, and those that say it in one line, in order of reading.
    # One entry and several, in a sentence; empty where the kind's own word takes an "s".
    names: ClassVar[tuple[str, str] | tuple[()]] = ()
    # How grave a change of this kind is as a whole (clinical model, roles and tiers); None: as its gravest field.
    approval_risk: ClassVar[Risk | None] = None
    named_by: ClassVar[tuple[str, ...]]
    brief: ClassVar[tuple[str, ...]]
    # The fields that are changed only in entries that the portal made.
    own_words: ClassVar[frozenset[str]] = frozenset()
    # The field that names whose act this is in the EHR, filled by the portal and approved only by that person.
    author_field: ClassVar[str] = ""

    interaction: Interaction = Field(exclude=True)

    @property
    def rule(self) -> InteractionRule:
        return self.rules[self.interaction]

    @property
    def named_fields(self) -> frozenset[str]:
        """The names of the fields that this change says something about."""
        return frozenset(self.model_fields_set - {"interaction"})

    def model_dump_canonical(self) -> dict[str, Any]:
        """The content as plain JSON values: only what is given, None where something is taken away."""
        return self.model_dump(mode="json", exclude_unset=True, exclude={"interaction"})

    def completed(self, **portal_fields: Any) -> Self:
        """This change with the fields that the portal fills, where the agent left them out."""
        missing = {
            n: v
            for n, v in portal_fields.items()
            if v is not None and n in self.rule.allowed and n not in self.named_fields
        }
        if not missing:
            return self
        from ehr_adapters.canonical.parsing import parse_change

        content = {**self.model_dump_canonical(), **missing}
        return parse_change(self.kind, self.interaction, content)  # type: ignore[return-value]  # a change of the same kind comes back

    def reckoned(self) -> Mapping[str, Any]:
        """The fields that follow from the others, which the portal fills where they are left out."""
        return {}

    def applied_to(self, current: Mapping[str, Any]) -> dict[str, Any]:
        """The entry's canonical value after this change, given its value now ({} for a new entry)."""
        after = {**current, **self.model_dump_canonical()}
        return {name: value for name, value in after.items() if value is not None}

    def conflicts_with(self, current: Mapping[str, Any]) -> tuple[ChangeIssue, ...]:
        """Why this change does not fit the entry as it is now; empty when it does."""
        del current
        return ()

    def refused_beside(self, entries: Iterable[Mapping[str, Any]]) -> tuple[ChangeIssue, ...]:
        """Why this change cannot be made beside the active entries of its kind, given their values."""
        del entries
        return ()

    def stands_beside(self, entries: Iterable[Mapping[str, Any]]) -> tuple[ChangeIssue, ...]:
        """What a reader must be told of the active entries of the kind that this change leaves standing."""
        del entries
        return ()

    def misfits(self, *, at: datetime, visit: tuple[str, str] | None) -> tuple[ChangeIssue, ...]:
        """Why this change does not fit the moment at which it is made, or the beginning and end of its visit."""
        del at, visit
        return ()

    def belongs_to(self, *, visit: tuple[str, str]) -> bool:
        """Is a new entry an entry of the visit with this beginning and end, where the change names none?"""
        del visit
        return True

    @classmethod
    def fhir_type_of(cls, content: Mapping[str, Any]) -> str:
        """The FHIR type of a new entry with this content."""
        del content
        return cls.fhir_type

    @classmethod
    def systems_of(cls, name: str, content: Mapping[str, Any]) -> tuple[str, ...]:
        """The code systems that a field takes beside the rest of a content, where that decides; else ()."""
        del name, content
        return ()

    @classmethod
    def staged_state(cls, content: Mapping[str, Any]) -> str:
        """What became of an entry that somebody in the EHR was to accept or sign, by its value there:
        "waiting", "accepted" or "declined"."""
        del content
        return "accepted"

    @classmethod
    def compared_as(cls, name: str, value: Any) -> Any:
        """A value in the form in which it is compared, for shapes that can say the same in several ways."""
        del name
        return value

    @classmethod
    def not_asked(cls, content: Mapping[str, Any]) -> frozenset[str]:
        """Fields that an entry like this has no use for: a form leaves them out unless they say something."""
        del content
        return frozenset()

    @classmethod
    def words_of(cls, name: str, value: Any) -> str | None:
        """Words for a value of a shape that only this kind has; None: as for every kind."""
        del name, value
        return None

    @classmethod
    def own_issues(
        cls, *, interaction: Interaction, content: Mapping[str, Any]
    ) -> Iterable[ChangeIssue]:
        """Rules between fields of one kind; `content` has passed the rules of each field."""
        del interaction, content
        return ()


@cache
def _models() -> dict[str, type[ChartChange]]:
    # The kinds import this module, so they are looked up when they are first asked for.
    from ehr_adapters.canonical.allergy import Allergy
    from ehr_adapters.canonical.appointment import Appointment
    from ehr_adapters.canonical.care_plan import CarePlan
    from ehr_adapters.canonical.demographics import Demographics
    from ehr_adapters.canonical.encounter import Encounter
    from ehr_adapters.canonical.medication import Medication
    from ehr_adapters.canonical.message import Message
    from ehr_adapters.canonical.note import Note
    from ehr_adapters.canonical.order import Order
    from ehr_adapters.canonical.problem import Problem
    from ehr_adapters.canonical.questionnaire import Questionnaire
    from ehr_adapters.canonical.result import Result
    from ehr_adapters.canonical.task import Task
    from ehr_adapters.canonical.vitals import Vitals

    return {
        model.kind: model
        for model in (
            Note,
            Problem,
            Allergy,
            Medication,
            Order,
            Vitals,
            Result,
            Task,
            Message,
            Appointment,
            CarePlan,
            Questionnaire,
            Encounter,
            Demographics,
        )
    }


def all_kinds() -> tuple[str, ...]:
    """The kinds of change that the portal can say, in the order in which screens list them."""
    return tuple(_models())


def kind_model(kind: str) -> type[ChartChange]:
    """The model of a kind; raises `ChangeInvalid` for a kind that the portal does not have."""
    model = _models().get(kind)
    if model is None:
        raise ChangeInvalid(
            [ChangeIssue("", "unknown-kind", "The portal has no such kind of change.")]
        )
    return model


def kind_label(kind: str) -> str:
    return kind_model(kind).label


def kind_names(kind: str) -> tuple[str, str]:
    """What a sentence calls one entry of the kind, and several."""
    return kind_model(kind).names or (kind, f"{kind}s")


def fhir_type(kind: str) -> str:
    """The FHIR type by which a scope names this kind, also for destinations that do not speak FHIR."""
    return kind_model(kind).fhir_type


def fhir_types(kind: str, interaction: str | None = None) -> tuple[str, ...]:
    """All FHIR types in which entries of this kind are kept, the usual one first.

    With an interaction that makes an entry: those as which it may be made.
    """
    model = kind_model(kind)
    is_new = interaction is not None and makes_entry(kind, interaction)
    return (model.fhir_type, *(model.also_made_as if is_new else model.also_kept_as))


def fhir_type_of(kind: str, content: Mapping[str, Any], *, target: str = "") -> str:
    """The FHIR type by which a scope names one change: that of its target ("Type/id"), else of the new entry."""
    named = target.partition("/")[0]
    return named if named in fhir_types(kind) else kind_model(kind).fhir_type_of(content)


def interactions(kind: str) -> tuple[Interaction, ...]:
    return tuple(kind_model(kind).rules)


def makes_entry(kind: str, interaction: str) -> bool:
    """Does a new entry come of this interaction? Else an entry that exists is changed."""
    return interaction_rule(kind_model(kind), interaction).makes_entry


@cache
def declared_fields(model: type[ChartChange]) -> Mapping[str, ChartField]:
    return {
        name: next(m for m in info.metadata if isinstance(m, ChartField))
        for name, info in model.model_fields.items()
        if name != "interaction"
    }


def columns_of(part: type[Part] | None) -> tuple[tuple[str, Column], ...]:
    """(name, declaration) of each member of a structured value, in their order of reading."""
    if part is None:
        return ()
    return tuple(
        (name, column)
        for name, info in part.model_fields.items()
        for column in info.metadata
        if isinstance(column, Column)
    )


def interaction_rule(model: type[ChartChange], interaction: str) -> InteractionRule:
    try:
        return model.rules[Interaction(interaction)]
    except (ValueError, KeyError):
        raise ChangeInvalid(
            [
                ChangeIssue(
                    "", "unknown-interaction", f"A {model.label.lower()} has no such interaction."
                )
            ]
        ) from None


def _spec(
    model: type[ChartChange], name: str, declared: ChartField, rule: InteractionRule
) -> FieldSpec:
    words_of = dict(declared.words)
    values = dict(rule.choices).get(name) or tuple(words_of) or declared.options
    return FieldSpec(
        kind=model.kind,
        name=name,
        label=declared.label,
        risk=declared.risk,
        owner=declared.owner,
        control=declared.control,
        compare=declared.compare,
        element=declared.element,
        required=name in rule.required,
        removable=name in rule.removable,
        choices=tuple((v, words_of.get(v) or _option_words(declared, v)) for v in values),
        systems=declared.systems,
        units=declared.units,
        or_range=declared.or_range,
        or_beyond=declared.or_beyond,
        or_text=declared.or_text,
        refers_to=declared.refers_to,
        columns=columns_of(declared.part),
        filled_by_portal=declared.filled_by_portal,
        portal_only=declared.portal_only,
        absent_means=declared.absent_means,
        max_length=declared.max_length,
    )


def _option_words(declared: ChartField, value: str) -> str:
    system = declared.systems[0] if declared.systems else ""
    return codes.display_of(system=system, code=value) or value


@cache
def fields(kind: str, interaction: str | None = None) -> tuple[FieldSpec, ...]:
    """The fields of a kind in their order of reading; with an interaction, only those it takes."""
    model = kind_model(kind)
    rule = InteractionRule() if interaction is None else interaction_rule(model, interaction)
    return tuple(
        _spec(model, name, declared, rule)
        for name, declared in declared_fields(model).items()
        if interaction is None or name in rule.allowed
    )


# Which visit it belongs to and who may see it: they weigh nothing beside what is said.
_BESIDE = frozenset({"encounter", "sensitivity"})
_WEIGHT = (Risk.LOW, Risk.MEDIUM, Risk.HIGH)


def change_risk(kind: str, interaction: str, changed: Iterable[str]) -> Risk:
    """How grave a change of these fields is for the person who decides about it."""
    model = kind_model(kind)
    if interaction in {Interaction.AMEND, Interaction.ENTERED_IN_ERROR}:
        return Risk.HIGH
    if model.approval_risk is not None:
        return model.approval_risk
    declared = declared_fields(model)
    named = [declared[name].risk for name in changed if name in declared and name not in _BESIDE]
    return max(named, key=_WEIGHT.index, default=Risk.LOW)


def field_spec(kind: str, name: str) -> FieldSpec:
    """One field; `name` may be a pointer into it ("/sections/0/text")."""
    first = name.removeprefix("/").split("/", 1)[0]
    return _by_name(kind)[first]


@cache
def _by_name(kind: str) -> Mapping[str, FieldSpec]:
    return {spec.name: spec for spec in fields(kind)}
