"""The order: a draft that a prescriber signs, changes or throws away in the EHR. The portal signs none."""

from collections.abc import Iterable, Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from ehr_adapters.canonical import dosing, units
from ehr_adapters.canonical.codes import CVX, LOINC, RXNORM, SNOMED, SYSTEM_NAMES
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
from ehr_adapters.canonical.of_every_kind import EncounterField, SensitivityField
from ehr_adapters.canonical.problem import SIDES
from ehr_adapters.canonical.types import (
    Code,
    PartialDate,
    Quantity,
    Reference,
    Text,
    WholeNumber,
)

PRESCRIPTION = "prescription"
# In which systems the thing ordered is named, by category.
SYSTEMS: Mapping[str, tuple[str, ...]] = {
    "lab": (LOINC, SNOMED),
    "imaging": (LOINC, SNOMED),
    "referral": (SNOMED,),
    "procedure": (SNOMED,),
    "vaccine": (CVX,),
    "equipment": (SNOMED,),
    PRESCRIPTION: (RXNORM,),
}
CATEGORY_WORDS = (
    ("lab", "laboratory test"),
    ("imaging", "imaging"),
    ("referral", "referral"),
    ("procedure", "procedure"),
    ("vaccine", "vaccine"),
    ("equipment", "equipment"),
    (PRESCRIPTION, "prescription"),
)
OF_PRESCRIPTIONS = frozenset({*dosing.FIELDS, "quantity", "refills", "days_supply"})
_SIGNED = frozenset({"active", "on-hold", "completed"})
_ONE_SIDED = frozenset({"imaging", "procedure", "referral", "equipment"})


class Order(ChartChange):
    """Something asked for: always a draft, never signed, released or sent from here."""

    kind: ClassVar[str] = "order"
    label: ClassVar[str] = "Order"
    fhir_type: ClassVar[str] = "ServiceRequest"
    also_kept_as: ClassVar[tuple[str, ...]] = ("MedicationRequest",)
    also_made_as: ClassVar[tuple[str, ...]] = ("MedicationRequest",)
    named_by: ClassVar[tuple[str, ...]] = ("code",)
    brief: ClassVar[tuple[str, ...]] = ("category", "code", "dose", "frequency", "side", "status")
    author_field: ClassVar[str] = "requester"
    # Only the portal's own drafts are cancelled from here.
    own_words: ClassVar[frozenset[str]] = frozenset({"status"})

    category: Annotated[
        Literal["lab", "imaging", "referral", "procedure", "vaccine", "equipment", "prescription"]
        | None,
        ChartField(
            label="Order",
            risk=Risk.HIGH,
            owner=Owner.PORTAL,
            control=Control.CHOICE,
            compare=Comparison.EXACT,
            element="category",
            words=CATEGORY_WORDS,
        ),
    ] = None
    code: Annotated[
        Code | None,
        ChartField(
            label="What",
            risk=Risk.HIGH,
            owner=Owner.PORTAL,
            control=Control.CODE,
            compare=Comparison.CODE,
            element="code medication",
            systems=(LOINC, SNOMED, RXNORM, CVX),
        ),
    ] = None
    dose: dosing.Dose = None
    units_taken: dosing.UnitsTaken = None
    route: dosing.Route = None
    frequency: dosing.HowOften = None
    as_needed: dosing.WhenNeeded = None
    sig_text: dosing.SigText = None
    quantity: Annotated[
        Quantity | None,
        ChartField(
            label="Quantity",
            risk=Risk.HIGH,
            owner=Owner.PORTAL,
            control=Control.QUANTITY,
            compare=Comparison.QUANTITY,
            element="dispenseRequest.quantity",
            units=tuple(dict.fromkeys((*units.TAKEN_AS, *units.DRUG))),
        ),
    ] = None
    refills: Annotated[
        Annotated[WholeNumber, Field(ge=0, le=99)] | None,
        ChartField(
            label="Refills",
            risk=Risk.HIGH,
            owner=Owner.PORTAL,
            control=Control.NUMBER,
            compare=Comparison.EXACT,
            element="dispenseRequest.numberOfRepeatsAllowed",
        ),
    ] = None
    days_supply: Annotated[
        Annotated[WholeNumber, Field(ge=1, le=999)] | None,
        ChartField(
            label="Days' supply",
            risk=Risk.HIGH,
            owner=Owner.PORTAL,
            control=Control.NUMBER,
            compare=Comparison.EXACT,
            element="dispenseRequest.expectedSupplyDuration",
        ),
    ] = None
    replaces: Annotated[
        Reference | None,
        ChartField(
            label="Instead of",
            risk=Risk.HIGH,
            owner=Owner.EHR,
            control=Control.REFERENCE,
            compare=Comparison.REFERENCE,
            element="replaces priorPrescription",
            refers_to=("MedicationRequest", "ServiceRequest"),
        ),
    ] = None
    indication: Annotated[
        Reference | None,
        ChartField(
            label="For",
            risk=Risk.MEDIUM,
            owner=Owner.SHARED,
            control=Control.REFERENCE,
            compare=Comparison.REFERENCE,
            element="reasonReference reasonCode",
            refers_to=("Condition",),
        ),
    ] = None
    side: Annotated[
        Code | None,
        ChartField(
            label="Side",
            risk=Risk.HIGH,
            owner=Owner.PORTAL,
            control=Control.CODE,
            compare=Comparison.CODE,
            element="bodySite",
            systems=(SNOMED,),
            options=SIDES,
        ),
    ] = None
    priority: Annotated[
        Literal["routine", "urgent", "asap", "stat"] | None,
        ChartField(
            label="Priority",
            risk=Risk.HIGH,
            owner=Owner.PORTAL,
            control=Control.CHOICE,
            compare=Comparison.EXACT,
            element="priority",
            words=(
                ("routine", "routine"),
                ("urgent", "urgent"),
                ("asap", "as soon as possible"),
                ("stat", "immediately"),
            ),
        ),
    ] = None
    when: Annotated[
        PartialDate | None,
        ChartField(
            label="When",
            risk=Risk.MEDIUM,
            owner=Owner.PORTAL,
            control=Control.DATE,
            compare=Comparison.DATE,
            element="occurrence",
        ),
    ] = None
    requester: Annotated[
        Reference | None,
        ChartField(
            label="Ordered by",
            risk=Risk.HIGH,
            owner=Owner.SHARED,
            control=Control.REFERENCE,
            compare=Comparison.REFERENCE,
            element="requester",
            refers_to=("Practitioner",),
            filled_by_portal=True,
        ),
    ] = None
    instructions: Annotated[
        Text | None,
        ChartField(
            label="Instructions",
            risk=Risk.MEDIUM,
            owner=Owner.PORTAL,
            control=Control.TEXT,
            compare=Comparison.TEXT,
            element="note",
            max_length=1000,
        ),
    ] = None
    status: Annotated[
        Literal["draft", "active", "on-hold", "cancelled", "completed", "entered-in-error"] | None,
        ChartField(
            label="Status",
            risk=Risk.HIGH,
            owner=Owner.PORTAL,
            control=Control.CHOICE,
            compare=Comparison.EXACT,
            element="status",
            words=(
                ("draft", "draft, not signed"),
                ("active", "signed"),
                ("on-hold", "on hold"),
                ("cancelled", "cancelled"),
                ("completed", "carried out"),
                ("entered-in-error", "entered in error"),
            ),
        ),
    ] = None
    encounter: EncounterField = None
    sensitivity: SensitivityField = None

    rules: ClassVar[Mapping[Interaction, InteractionRule]] = {
        Interaction.CREATE: InteractionRule(
            required=frozenset({"category", "code", "priority", "status"}),
            optional=frozenset(
                {
                    *OF_PRESCRIPTIONS,
                    "replaces",
                    "indication",
                    "side",
                    "when",
                    "requester",
                    "instructions",
                    "encounter",
                    "sensitivity",
                }
            ),
            choices=(("status", ("draft",)),),
            needs_target=False,
            meaning="a draft order, for a prescriber to sign in the EHR",
        ),
        Interaction.CANCEL: InteractionRule(
            fixed=(("status", "cancelled"),),
            meaning="a draft order of the portal that nobody needs any more",
        ),
    }

    @classmethod
    def not_asked(cls, content: Mapping[str, Any]) -> frozenset[str]:
        return (
            frozenset() if content.get("category") == PRESCRIPTION else frozenset(OF_PRESCRIPTIONS)
        )

    @classmethod
    def fhir_type_of(cls, content: Mapping[str, Any]) -> str:
        return "MedicationRequest" if content.get("category") == PRESCRIPTION else cls.fhir_type

    @classmethod
    def systems_of(cls, name: str, content: Mapping[str, Any]) -> tuple[str, ...]:
        category = content.get("category")
        return SYSTEMS.get(str(category), ()) if name == "code" else ()

    @classmethod
    def staged_state(cls, content: Mapping[str, Any]) -> str:
        if content.get("status") == "draft":
            return "waiting"
        return "accepted" if content.get("status") in _SIGNED else "declined"

    def conflicts_with(self, current: Mapping[str, Any]) -> tuple[ChangeIssue, ...]:
        if current.get("status") == "draft":
            return ()
        return (
            ChangeIssue(
                "",
                "not-a-draft",
                "The order is no draft any more: it is cancelled in the EHR, by whoever may.",
            ),
        )

    @classmethod
    def compared_as(cls, name: str, value: Any) -> Any:
        return dosing.compared_as(name, value)

    @classmethod
    def words_of(cls, name: str, value: Any) -> str | None:
        if name == "quantity":
            return dosing.amount_words(value)
        if name == "days_supply":
            return units.amount_words(str(value), "d")
        return dosing.words_of(name, value)

    @classmethod
    def own_issues(
        cls, *, interaction: Interaction, content: Mapping[str, Any]
    ) -> Iterable[ChangeIssue]:
        if interaction is not Interaction.CREATE:
            return
        category, system = content["category"], content["code"]["system"]
        if system not in SYSTEMS[category]:
            names = " or ".join(SYSTEM_NAMES[one] for one in SYSTEMS[category])
            yield ChangeIssue(
                "/code/system",
                "unknown-system",
                f"What is ordered as {dict(CATEGORY_WORDS)[category]} is named in {names}.",
            )
        if category == PRESCRIPTION:
            yield from _prescription_issues(content)
        else:
            for name in sorted(OF_PRESCRIPTIONS & content.keys()):
                yield ChangeIssue(
                    f"/{name}", "contradiction", "Only a prescription has directions and supplies."
                )
        replaced = content.get("replaces", "").partition("/")[0]
        if replaced and replaced != cls.fhir_type_of(content):
            yield ChangeIssue(
                "/replaces", "bad-reference", "An order replaces one of its own kind."
            )
        if content.get("side") and category not in _ONE_SIDED:
            yield ChangeIssue("/side", "contradiction", "Such an order has no side.")


def _prescription_issues(content: Mapping[str, Any]) -> Iterable[ChangeIssue]:
    for name, label in (("dose", "dose"), ("route", "route"), ("frequency", "frequency")):
        if not content.get(name):
            yield ChangeIssue(f"/{name}", "missing", f"A prescription needs its {label}.")
    yield from dosing.issues(content)
    quantity = content.get("quantity")
    if quantity:
        yield from dosing.amount_issues("quantity", quantity)
