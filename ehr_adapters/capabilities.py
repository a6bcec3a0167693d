"""What an adapter can say to its EHR, declared per kind of change and interaction; no by default."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from enum import StrEnum
from typing import Any, Self

from ehr_adapters.errors import Unsupported


class Finality(StrEnum):
    """What an acknowledged write is, in the EHR's eyes."""

    FILED = "filed"
    FILED_UNSIGNED = "filed_unsigned"
    STAGED = "staged"
    SENT_FOR_ACTION = "sent_for_action"


class FindMethod(StrEnum):
    """How a lost write is looked for; what a hit and a miss prove differs by method."""

    EXACT = "exact"
    SCAN = "scan"
    TARGET = "target"
    KEY = "key"
    MATCH = "match"
    NONE = "none"

    @property
    def hit_proves(self) -> bool:
        """A single equal hit may be taken for ours without a person."""
        return self in {FindMethod.EXACT, FindMethod.SCAN, FindMethod.TARGET, FindMethod.KEY}

    @property
    def miss_proves(self) -> bool:
        """No hit, after the quarantine, is evidence of absence (a target that equals the baseline too)."""
        return self in {FindMethod.EXACT, FindMethod.SCAN, FindMethod.TARGET, FindMethod.KEY}


class RetryClass(StrEnum):
    """How safely the same request may be sent twice."""

    S1 = "S1"  # fences itself: If-Match, or a client-chosen id with If-None-Match
    S2 = "S2"  # atomic conditional create, proven by a concurrency probe
    S3 = "S3"  # plain create with a searchable tag, or an update with a readable target
    S4 = "S4"  # opaque: a person settles an unknown outcome
    S5 = "S5"  # transaction Bundle
    S6 = "S6"  # irreversible: as S4 even if searchable

    @property
    def may_resend(self) -> bool:
        """After proven absence the machine may send again."""
        return self in {RetryClass.S1, RetryClass.S2, RetryClass.S3, RetryClass.S5}

    @property
    def unfenced(self) -> "RetryClass":
        """What is left of it without the EHR's own fence: never more than there was."""
        return RetryClass.S3 if self in {RetryClass.S1, RetryClass.S2} else self


class VersionCheck(StrEnum):
    """How the EHR itself notices that the entry changed in between."""

    IF_MATCH = "if_match"
    NONE = "none"


class Acknowledgement(StrEnum):
    """The least answer that counts as "the EHR took it"."""

    ID_IN_LOCATION_OR_BODY = "id_in_location_or_body"
    CREATED_WITH_LOCATION = "created_with_location"
    OK_WITH_ID = "ok_with_id"
    SUCCESS_FLAG = "success_flag"  # the answer itself says so; an id may be missing


@dataclass(frozen=True, slots=True)
class Transformation:
    """A declared, harmless change that the EHR makes: `path` of the comparable form, `rule`, and why.

    Rules: "ignored" (the EHR rewrites it), "line_ends" (line ends and trailing blanks differ),
    "display" (a coding's display or a concept's text is rewritten; system and code stay), "number" (a
    quantity may lose the zeros at its end), "flowsheet" (a length, mass or temperature is kept in cm, kg or
    degrees Celsius to 0.1, 0.01 and 0.1).
    """

    path: str
    rule: str
    sentence: str


@dataclass(frozen=True, slots=True)
class Capability:
    """One thing that an adapter can say. Times are in seconds; text lengths in characters."""

    kind: str
    interaction: str
    supported: bool = True
    transport: str = ""
    finality: Finality = Finality.FILED
    find: FindMethod = FindMethod.NONE
    retry: RetryClass = RetryClass.S4
    acknowledgement: Acknowledgement = Acknowledgement.ID_IN_LOCATION_OR_BODY
    version_check: VersionCheck = VersionCheck.NONE
    tag_places: tuple[str, ...] = ()
    conditional_create: bool = False
    whole_resource: bool = False
    needs_encounter: bool = False
    needs_open_encounter: bool = False
    read_back_by_id: bool = True
    not_carried: tuple[str, ...] = ()
    length_caps: tuple[tuple[str, int], ...] = ()
    repertoire: str = "utf-8"
    labels_carried: tuple[str, ...] = ()
    server_owned: tuple[str, ...] = ()
    transformations: tuple[Transformation, ...] = ()
    # Elements of something staged that the EHR sets when somebody accepts or signs it.
    set_on_acceptance: tuple[str, ...] = ()
    processing_bound_seconds: int = 120
    index_lag_seconds: int = 900
    degrade: tuple[str, ...] = ("copy_card",)
    sentence: str = ""
    source: str = ""
    source_date: str = ""

    @property
    def key(self) -> tuple[str, str]:
        return self.kind, self.interaction

    def to_json(self) -> dict[str, Any]:
        out: dict[str, Any] = {}
        for item in fields(self):
            value = getattr(self, item.name)
            if item.name == "transformations":
                value = [[t.path, t.rule, t.sentence] for t in value]
            elif isinstance(value, tuple):
                value = [list(part) if isinstance(part, tuple) else part for part in value]
            elif isinstance(value, StrEnum):
                value = str(value)
            out[item.name] = value
        return out

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        values = dict(data)
        for name, enum in _ENUMS.items():
            values[name] = enum(values[name])
        values["transformations"] = tuple(
            Transformation(*part) for part in values["transformations"]
        )
        values["length_caps"] = tuple((str(p), int(n)) for p, n in values["length_caps"])
        for name in ("tag_places", "not_carried", "labels_carried", "server_owned", "degrade"):
            values[name] = tuple(values[name])
        values["set_on_acceptance"] = tuple(values.get("set_on_acceptance", ()))
        return cls(**values)


_ENUMS: dict[str, type[StrEnum]] = {
    "finality": Finality,
    "find": FindMethod,
    "retry": RetryClass,
    "acknowledgement": Acknowledgement,
    "version_check": VersionCheck,
}

# What an acknowledgement means, for the screen; `{ehr}` is the connection's title.
FINALITY_SENTENCES: dict[Finality, str] = {
    Finality.FILED: "Filed in {ehr}.",
    Finality.FILED_UNSIGNED: "Filed, not signed: your signature is needed in {ehr}.",
    Finality.STAGED: "Waiting in {ehr} for someone to accept it.",
    Finality.SENT_FOR_ACTION: "Sent to {ehr}.",
}


@dataclass(frozen=True, slots=True)
class CapabilitySet:
    """All that one adapter declares; what is not in it is refused before the network."""

    capabilities: tuple[Capability, ...] = ()
    vendor: str = ""
    version: str = ""
    found_at: str = ""
    evidence: tuple[str, ...] = ()
    # A FHIR Provenance about a write may be filed beside it.
    provenance: bool = False
    _index: dict[tuple[str, str], Capability] = field(
        init=False, repr=False, compare=False, default_factory=dict
    )

    def __init__(
        self,
        capabilities: Iterable[Capability] = (),
        *,
        vendor: str = "",
        version: str = "",
        found_at: str = "",
        evidence: Iterable[str] = (),
        provenance: bool = False,
    ) -> None:
        ordered = tuple(sorted(capabilities, key=lambda c: c.key))
        index = {c.key: c for c in ordered}
        if len(index) != len(ordered):
            raise ValueError("A capability is declared twice.")
        for name, value in (
            ("capabilities", ordered),
            ("vendor", vendor),
            ("version", version),
            ("found_at", found_at),
            ("evidence", tuple(evidence)),
            ("provenance", provenance),
            ("_index", index),
        ):
            object.__setattr__(self, name, value)

    def __iter__(self) -> Iterator[Capability]:
        return iter(self.capabilities)

    def lookup(self, kind: str, interaction: str) -> Capability | None:
        """The declaration, supported or not; None when nothing is declared."""
        return self._index.get((kind, interaction))

    def may(self, kind: str, interaction: str) -> bool:
        found = self.lookup(kind, interaction)
        return found is not None and found.supported

    def get(self, kind: str, interaction: str) -> Capability:
        """The supported capability; raises `Unsupported` with the sentence why otherwise."""
        found = self.lookup(kind, interaction)
        if found is None or not found.supported:
            sentence = found.sentence if found else ""
            raise Unsupported(
                sentence
                or f"{self.vendor or 'This EHR'} offers no way to {interaction} a {kind} from outside.",
                interaction=f"{kind} {interaction}",
            )
        return found

    def narrowed(
        self,
        changed: Mapping[tuple[str, str], Mapping[str, Any]],
        *,
        found_at: str,
        evidence: Iterable[str],
        provenance: bool = False,
    ) -> "CapabilitySet":
        """The same declarations with `changed` attributes per key, and where that is known from.

        `provenance`: the EHR itself says that it takes one. Never assumed, and nothing where none is declared.
        """
        return CapabilitySet(
            (replace(c, **changed.get(c.key, {})) for c in self.capabilities),
            vendor=self.vendor,
            version=self.version,
            found_at=found_at,
            evidence=evidence,
            provenance=self.provenance and provenance,
        )

    def to_json(self) -> dict[str, Any]:
        return {
            "vendor": self.vendor,
            "version": self.version,
            "found_at": self.found_at,
            "evidence": list(self.evidence),
            "provenance": self.provenance,
            "capabilities": [c.to_json() for c in self.capabilities],
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "CapabilitySet":
        return cls(
            (Capability.from_json(c) for c in data["capabilities"]),
            vendor=data["vendor"],
            version=data["version"],
            found_at=data["found_at"],
            evidence=data["evidence"],
            provenance=data.get("provenance", False),
        )
