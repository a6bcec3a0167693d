"""Who a patient is and how to reach them. Who they are is changed in the EHR; contact data may be updated here."""

from collections.abc import Iterable, Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, Strict, StrictBool
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
from ehr_adapters.canonical.message import Language
from ehr_adapters.canonical.of_every_kind import SAYS_NOTHING, SensitivityField
from ehr_adapters.canonical.types import Entries, Part, PartialDate, SingleLine, Text

# What says who the patient is; the rest says how to reach them.
IDENTITY = frozenset(
    {"family", "given", "previous_names", "birth_date", "sex", "identifiers", "deceased"}
)


def _few(listed: tuple[object, ...]) -> tuple[object, ...]:
    return Entries(1, 30)(listed)


def _mail(text: str) -> str:
    local, _, domain = text.rpartition("@")
    if not local or "." not in domain or any(character.isspace() for character in text):
        raise PydanticCustomError("bad-email", "An e-mail address is name@domain.")
    return text


def _number(text: str) -> str:
    if sum(character.isdigit() for character in text) < 3:
        raise PydanticCustomError("bad-number", "A telephone number has digits.")
    return text


class Name(Part):
    """A name as it once was."""

    family: Annotated[SingleLine, Column(label="Family name", control=Control.LINE, max_length=200)]
    given: Annotated[
        SingleLine | None, Column(label="Given names", control=Control.LINE, max_length=200)
    ] = None


class Identified(Part):
    """One number of the patient, and whose number it is."""

    system: Annotated[
        SingleLine | None, Column(label="Whose number", control=Control.LINE, max_length=400)
    ] = None
    value: Annotated[SingleLine, Column(label="Number", control=Control.LINE, max_length=200)]


class Telephone(Part):
    """One telephone number."""

    number: Annotated[
        SingleLine,
        AfterValidator(_number),
        Column(label="Number", control=Control.LINE, max_length=60),
    ]
    use: Annotated[
        Literal["home", "work", "mobile"] | None,
        Column(
            label="Where",
            control=Control.CHOICE,
            words=(("home", "at home"), ("work", "at work"), ("mobile", "mobile")),
        ),
    ] = None


class Address(Part):
    """Where the patient lives or takes post."""

    lines: Annotated[Text | None, Column(label="Street", control=Control.TEXT, max_length=400)] = (
        None
    )
    city: Annotated[
        SingleLine | None, Column(label="Town", control=Control.LINE, max_length=200)
    ] = None
    state: Annotated[
        SingleLine | None, Column(label="State", control=Control.LINE, max_length=100)
    ] = None
    postal_code: Annotated[
        SingleLine | None, Column(label="Postal code", control=Control.LINE, max_length=20)
    ] = None
    country: Annotated[
        SingleLine | None, Column(label="Country", control=Control.LINE, max_length=100)
    ] = None


class Contact(Part):
    """Somebody to turn to for the patient."""

    name: Annotated[SingleLine, Column(label="Name", control=Control.LINE, max_length=200)]
    relationship: Annotated[
        SingleLine | None, Column(label="Relationship", control=Control.LINE, max_length=200)
    ] = None
    phone: Annotated[
        SingleLine | None, Column(label="Telephone", control=Control.LINE, max_length=60)
    ] = None


def _parts(label: str, element: str, part: type[Part], risk: Risk, owner: Owner) -> ChartField:
    return ChartField(
        label=label,
        risk=risk,
        owner=owner,
        control=Control.PARTS,
        compare=Comparison.SET,
        element=element,
        part=part,
    )


class Demographics(ChartChange):
    """A patient's own data."""

    kind: ClassVar[str] = "demographics"
    label: ClassVar[str] = "Patient data"
    fhir_type: ClassVar[str] = "Patient"
    named_by: ClassVar[tuple[str, ...]] = ("family", "given")
    brief: ClassVar[tuple[str, ...]] = ("family", "given", "birth_date", "phone", "email")

    family: Annotated[
        SingleLine | None,
        ChartField(
            label="Family name",
            risk=Risk.HIGH,
            owner=Owner.EHR,
            control=Control.LINE,
            compare=Comparison.TEXT,
            element="name",
            max_length=200,
        ),
    ] = None
    given: Annotated[
        SingleLine | None,
        ChartField(
            label="Given names",
            risk=Risk.HIGH,
            owner=Owner.EHR,
            control=Control.LINE,
            compare=Comparison.TEXT,
            element="name",
            max_length=200,
        ),
    ] = None
    birth_date: Annotated[
        PartialDate | None,
        ChartField(
            label="Born",
            risk=Risk.HIGH,
            owner=Owner.EHR,
            control=Control.DATE,
            compare=Comparison.DATE,
            element="birthDate",
        ),
    ] = None
    sex: Annotated[
        Literal["female", "male", "other", "unknown"] | None,
        ChartField(
            label="Sex",
            risk=Risk.HIGH,
            owner=Owner.EHR,
            control=Control.CHOICE,
            compare=Comparison.EXACT,
            element="gender",
            words=(
                ("female", "female"),
                ("male", "male"),
                ("other", "other"),
                ("unknown", "unknown"),
            ),
        ),
    ] = None
    identifiers: Annotated[
        Annotated[tuple[Identified, ...], Strict(strict=False), AfterValidator(_few)] | None,
        _parts("Numbers", "identifier", Identified, Risk.HIGH, Owner.EHR),
    ] = None
    deceased: Annotated[
        StrictBool | PartialDate | None,
        ChartField(
            label="Died",
            risk=Risk.HIGH,
            owner=Owner.EHR,
            control=Control.LINE,
            compare=Comparison.EXACT,
            element="deceased",
        ),
    ] = None
    previous_names: Annotated[
        Annotated[tuple[Name, ...], Strict(strict=False), AfterValidator(_few)] | None,
        _parts("Earlier names", "name", Name, Risk.MEDIUM, Owner.SHARED),
    ] = None
    phone: Annotated[
        Annotated[tuple[Telephone, ...], Strict(strict=False), AfterValidator(_few)] | None,
        _parts("Telephone", "telecom", Telephone, Risk.MEDIUM, Owner.SHARED),
    ] = None
    email: Annotated[
        Annotated[SingleLine, AfterValidator(_mail)] | None,
        ChartField(
            label="E-mail",
            risk=Risk.MEDIUM,
            owner=Owner.SHARED,
            control=Control.LINE,
            compare=Comparison.TEXT,
            element="telecom",
            max_length=200,
        ),
    ] = None
    address: Annotated[
        Address | None,
        ChartField(
            label="Address",
            risk=Risk.MEDIUM,
            owner=Owner.SHARED,
            control=Control.PART,
            compare=Comparison.PART,
            element="address",
            part=Address,
        ),
    ] = None
    language: Annotated[
        Language | None,
        ChartField(
            label="Language",
            risk=Risk.MEDIUM,
            owner=Owner.SHARED,
            control=Control.LINE,
            compare=Comparison.EXACT,
            element="communication",
            max_length=35,
        ),
    ] = None
    contacts: Annotated[
        Annotated[tuple[Contact, ...], Strict(strict=False), AfterValidator(_few)] | None,
        _parts("Contacts", "contact", Contact, Risk.MEDIUM, Owner.SHARED),
    ] = None
    sensitivity: SensitivityField = None

    rules: ClassVar[Mapping[Interaction, InteractionRule]] = {
        Interaction.CREATE: InteractionRule(
            required=frozenset({"family", "given", "birth_date", "sex"}),
            optional=frozenset(
                {
                    "identifiers",
                    "previous_names",
                    "phone",
                    "email",
                    "address",
                    "language",
                    "contacts",
                    "sensitivity",
                }
            ),
            needs_target=False,
            meaning="a new patient",
        ),
        Interaction.UPDATE: InteractionRule(
            optional=IDENTITY | {"address", "language", "sensitivity"},
            removable=frozenset({"phone", "email", "contacts"}),
            meaning="data of a patient who stays the same person; merging is done in the EHR",
        ),
    }

    def applied_to(self, current: Mapping[str, Any]) -> dict[str, Any]:
        """As for every kind; a number that names the patient is added, never taken away."""
        after = super().applied_to(current)
        if "identifiers" in self.named_fields:
            named = [*(current.get("identifiers") or ()), *after["identifiers"]]
            after["identifiers"] = [
                one for index, one in enumerate(named) if one not in named[:index]
            ]
        return after

    @classmethod
    def own_issues(
        cls, *, interaction: Interaction, content: Mapping[str, Any]
    ) -> Iterable[ChangeIssue]:
        if interaction is Interaction.UPDATE and not content:
            yield SAYS_NOTHING
        if content.get("address") is not None and not content["address"]:
            yield ChangeIssue("/address", "empty", "An address says something.")
        for name, key in (("phone", "number"), ("contacts", "name")):
            seen: set[str] = set()
            for index, one in enumerate(content.get(name) or ()):
                if one[key] in seen:
                    yield ChangeIssue(
                        f"/{name}/{index}/{key}", "duplicate", "The same stands here twice."
                    )
                seen.add(one[key])
