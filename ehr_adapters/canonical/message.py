"""The message to a patient or to a named proxy. It cannot be taken back."""

import re
from collections.abc import Iterable, Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, Field, Strict, StrictBool
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
from ehr_adapters.canonical.types import Entries, Part, Reference, SingleLine, Text

CARRIES = ("none", "result", "medication-change", "diagnosis")

# The shape of a language tag (BCP 47), not its registry.
_LANGUAGE = re.compile(r"[A-Za-z]{2,8}(?:-[A-Za-z0-9]{1,8})*")


def _language(tag: str) -> str:
    if not _LANGUAGE.fullmatch(tag):
        raise PydanticCustomError("bad-language", "A language is a BCP 47 tag: en, es-MX.")
    return tag


def _several(carried: tuple[str, ...]) -> tuple[object, ...]:
    return Entries(1, len(CARRIES))(carried)


Language = Annotated[SingleLine, Field(max_length=35), AfterValidator(_language)]


class Recipient(Part):
    """The patient, or a proxy by name or by the EHR's own entry for that person."""

    who: Annotated[
        Literal["patient", "proxy"],
        Column(
            label="Recipient",
            control=Control.CHOICE,
            words=(("patient", "the patient"), ("proxy", "a proxy")),
        ),
    ]
    name: Annotated[
        SingleLine | None,
        Column(label="Proxy's name", control=Control.LINE, max_length=200),
    ] = None
    person: Annotated[
        Reference | None,
        Column(
            label="Proxy's entry",
            control=Control.REFERENCE,
            refers_to=("RelatedPerson",),
            lead="entry",
        ),
    ] = None


class Message(ChartChange):
    """A message that the EHR delivers."""

    kind: ClassVar[str] = "message"
    label: ClassVar[str] = "Message"
    fhir_type: ClassVar[str] = "Communication"
    named_by: ClassVar[tuple[str, ...]] = ("subject",)
    brief: ClassVar[tuple[str, ...]] = ("to", "subject", "carries")

    to: Annotated[
        Recipient | None,
        ChartField(
            label="To",
            risk=Risk.HIGH,
            owner=Owner.PORTAL,
            control=Control.PART,
            compare=Comparison.PART,
            element="recipient",
            part=Recipient,
        ),
    ] = None
    subject: Annotated[
        SingleLine | None,
        ChartField(
            label="Subject",
            risk=Risk.HIGH,
            owner=Owner.PORTAL,
            control=Control.LINE,
            compare=Comparison.TEXT,
            element="topic",
            max_length=200,
        ),
    ] = None
    body: Annotated[
        Text | None,
        ChartField(
            label="Message",
            risk=Risk.HIGH,
            owner=Owner.PORTAL,
            control=Control.TEXT,
            compare=Comparison.TEXT,
            element="payload",
            max_length=8000,
        ),
    ] = None
    in_reply_to: Annotated[
        Reference | None,
        ChartField(
            label="Answers",
            risk=Risk.MEDIUM,
            owner=Owner.EHR,
            control=Control.REFERENCE,
            compare=Comparison.REFERENCE,
            element="inResponseTo",
            refers_to=("Communication",),
        ),
    ] = None
    language: Annotated[
        Language | None,
        ChartField(
            label="Language",
            risk=Risk.MEDIUM,
            owner=Owner.PORTAL,
            control=Control.LINE,
            compare=Comparison.EXACT,
            element="language",
            max_length=35,
        ),
    ] = None
    carries: Annotated[
        Annotated[
            tuple[Literal["none", "result", "medication-change", "diagnosis"], ...],
            Strict(strict=False),
            AfterValidator(_several),
        ]
        | None,
        ChartField(
            label="What it tells",
            risk=Risk.HIGH,
            owner=Owner.PORTAL,
            control=Control.CHOICES,
            compare=Comparison.SET,
            words=(
                ("none", "none of these"),
                ("result", "a result"),
                ("medication-change", "a change of a medicine"),
                ("diagnosis", "a diagnosis"),
            ),
            portal_only=True,
        ),
    ] = None
    reply_allowed: Annotated[
        StrictBool | None,
        ChartField(
            label="May be answered",
            risk=Risk.LOW,
            owner=Owner.PORTAL,
            control=Control.YES_NO,
            compare=Comparison.EXACT,
        ),
    ] = None
    encounter: EncounterField = None
    sensitivity: SensitivityField = None

    rules: ClassVar[Mapping[Interaction, InteractionRule]] = {
        Interaction.CREATE: InteractionRule(
            required=frozenset({"to", "subject", "body", "carries"}),
            optional=frozenset(
                {"in_reply_to", "language", "reply_allowed", "encounter", "sensitivity"}
            ),
            needs_target=False,
            meaning="a message that cannot be taken back",
        ),
    }

    @classmethod
    def own_issues(
        cls, *, interaction: Interaction, content: Mapping[str, Any]
    ) -> Iterable[ChangeIssue]:
        del interaction
        to = content["to"]
        if to["who"] == "proxy" and not (to.get("name") or to.get("person")):
            yield ChangeIssue("/to/name", "missing", "A proxy is named.")
        if to["who"] == "patient" and (to.get("name") or to.get("person")):
            yield ChangeIssue("/to", "contradiction", "The patient is not named as a proxy is.")
        carried = content["carries"]
        if "none" in carried and len(set(carried)) > 1:
            yield ChangeIssue(
                "/carries",
                "contradiction",
                "A message that tells none of these tells nothing else.",
            )


# --- the vocabulary of a message ---------------------------------------------------------------------

_NUMBERED = (
    r"\d+(?:[.,]\d+)?\s*(?:mmol/l|mg/dl|µg/l|g/dl|g/l|ng/ml|u/l|iu/l|ml/min|mmhg|%|kg)(?![a-z])"
)
_TAKEN = (
    r"(?:dose|doses|dosage|tablets?|pills?|capsules?|puffs?|injections?|insulin|medicines?|medications?|"
    r"prescriptions?|antibiotics?|units|\d+(?:[.,]\d+)?\s*(?:mg|mcg|µg|g|ml|units))"
)
_CHANGED = (
    r"(?:start|starting|begin|stop|stopping|stopped|increase|increased|increasing|raise|raised|decrease|"
    r"decreased|decreasing|reduce|reduced|reducing|lower|lowered|double|doubled|halve|halved|change|changed|"
    r"changing|switch|switched|switching|replace|replaced|skip|pause|hold|discontinue|discontinued|restart|"
    r"take|taking|use|using)"
)
_SUGGESTS: Mapping[str, re.Pattern[str]] = {
    "result": re.compile(
        rf"\b(?:results?|lab(?:s|oratory)?|blood (?:test|work|count)s?|biops(?:y|ies)|x-?rays?|scans?|mri|"
        rf"ultrasound|mammogram|culture|screening|(?:test(?:s|ed)?|swab|smear)\b.{{0,40}}\b(?:positive|negative|"
        rf"normal|abnormal|came back)|came back|hba1c|a1c|inr|creatinine|potassium|cholesterol|egfr|psa|tsh)\b"
        rf"|{_NUMBERED}",
        re.IGNORECASE | re.DOTALL,
    ),
    "medication-change": re.compile(
        rf"\b{_CHANGED}\b[^.!?\n]{{0,80}}?(?<![a-z]){_TAKEN}(?![a-z])"
        rf"|(?<![a-z]){_TAKEN}(?![a-z])[^.!?\n]{{0,60}}?\b(?:instead|no longer|twice|once|every|"
        r"increased|decreased|reduced|stopped|doubled|halved|changed)\b",
        re.IGNORECASE,
    ),
    "diagnosis": re.compile(
        r"\b(?:diagnos(?:is|ed|es|tic of)|you have (?:an? |the )?"
        r"(?!an?\b|the\b|appointments?\b|any\b|been\b|to\b|not\b|no\b|questions?\b|messages?\b)[a-z]|consistent with|suggests? that you|means (?:that )?you have|cancer|tumou?r|malignan(?:t|cy)|"
        r"confirm(?:s|ed)? that you|condition called|suffer(?:ing)? from)",
        re.IGNORECASE,
    ),
}

_EMERGENCY = re.compile(
    r"\b(?:(?:call|dial|ring|phone)\s+(?:9-?1-?1|999|112|000|an?\s+ambulance|emergency)|ambulance|"
    r"(?:9-1-1|911)\b|emergency (?:room|department|services?|care|number)|"
    r"(?:go|come|get|head|drive|take) (?:[a-z]+ ){0,3}?(?:to|into) (?:the |an? |your )?(?:nearest |local )?(?:er|ed|a&e|casualty|emergency|hospital|urgent care)\b|"
    r"seek (?:immediate|emergency|urgent)(?: medical)? (?:care|help|attention|treatment)|"
    r"life[- ]threatening|medical emergency)",
    re.IGNORECASE,
)


def suggested_by(text: str) -> dict[str, tuple[tuple[int, int], ...]]:
    """What the words of a message seem to tell, with the places (code points): a suspicion, never a proof.

    Keys are those of `carries` other than "none". What is suggested and not declared needs a decision.
    """
    found = {
        what: tuple(match.span() for match in pattern.finditer(text))
        for what, pattern in _SUGGESTS.items()
    }
    return {what: spans for what, spans in found.items() if spans}


def undeclared(content: Mapping[str, Any]) -> dict[str, tuple[tuple[int, int], ...]]:
    """What subject or body suggest and `carries` does not declare; places are in subject, line end, body."""
    text = f"{content.get('subject') or ''}\n{content.get('body') or ''}"
    declared = set(content.get("carries") or ())
    return {what: spans for what, spans in suggested_by(text).items() if what not in declared}


def emergency_advice(text: str) -> tuple[tuple[int, int], ...]:
    """The places (code points) where a message gives advice for an emergency: that is a telephone call."""
    return tuple(match.span() for match in _EMERGENCY.finditer(text))


def recipient_of(content: Mapping[str, Any]) -> str:
    """ "patient" or "proxy"; "" when the content does not say it."""
    to = content.get("to")
    return str(to.get("who") or "") if isinstance(to, Mapping) else ""
