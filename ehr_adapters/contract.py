"""The values that cross between the pipeline and one EHR's adapter; frozen and pure.

What is stored (Baseline, Snapshot, WirePlan) has `to_json()` and `from_json()` that give back an equal
value; bodies are bytes and travel as base64.
"""

import base64
import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Self

from ehr_adapters.canonical.comparing import comparison_json
from ehr_adapters.capabilities import CapabilitySet, FindMethod
from ehr_adapters.identities import (
    PatientIdentity,
    PersonName,
    VisitState,
    birth_dates_are_close,
    name_key,
    one_edit_apart,
)
from ehr_adapters.plain_json import comparable_differences, plain_value, sha256_json
from ehr_adapters.wire import (
    TAG_SYSTEM,
    Remark,
    Slot,
    Tag,
    WirePlan,
    WireRequest,
    short_forms_in,
)

__all__ = [
    "TAG_SYSTEM",
    "AccessToken",
    "Baseline",
    "Connection",
    "CopyCard",
    "FindHit",
    "FindResult",
    "NameAlikes",
    "PatientIdentity",
    "PersonName",
    "QuarantineBounds",
    "ReadRequest",
    "Remark",
    "Slot",
    "Snapshot",
    "Tag",
    "Unreadable",
    "VisitState",
    "WirePlan",
    "WireRequest",
    "WriteReceipt",
    "birth_dates_are_close",
    "comparable_differences",
    "name_key",
    "one_edit_apart",
    "short_forms_in",
]

# --- a connection --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class QuarantineBounds:
    """How long absence proves nothing, in seconds: what a token lives, what processing and indexing take.

    None means: what the capability declares, or for the token what the identity provider said.
    """

    token_life_seconds: int | None = None
    processing_bound_seconds: int | None = None
    index_lag_seconds: int | None = None

    def total(self, *, token_life: int, processing_bound: int, index_lag: int) -> int:
        """The whole quarantine, with the connection's own bounds before the declared ones."""
        return (
            (self.token_life_seconds if self.token_life_seconds is not None else token_life)
            + (
                self.processing_bound_seconds
                if self.processing_bound_seconds is not None
                else processing_bound
            )
            + (self.index_lag_seconds if self.index_lag_seconds is not None else index_lag)
        )


@dataclass(frozen=True, slots=True)
class Connection:
    """One tenant's endpoint of one EHR, as the gateway hands it over.

    `credential_ref` is the name of the signing key, `private_key_pem` its PEM text, looked up by the
    gateway; `secrets` are what else its file holds, by name: passwords for interfaces that know no keys.
    Neither appears in a repr. Times are in seconds. `capabilities` are those found by the last
    probe, or None: then the adapter's own declaration holds.
    """

    kind: str
    base_url: str
    token_url: str
    client_id: str
    id: str = ""
    name: str = ""
    environment: str = "sandbox"
    credential_ref: str = ""
    private_key_pem: str = field(default="", repr=False)
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)
    key_id: str = ""
    alg: str = "ES384"
    settings: Mapping[str, Any] = field(default_factory=dict)
    time_zone: str = "UTC"
    connect_timeout: float = 3.0
    read_timeout: float = 10.0
    deadline: float = 20.0
    quarantine: QuarantineBounds = field(default_factory=QuarantineBounds)
    staged_patience_days: int = 14
    capabilities: CapabilitySet | None = None

    def settings_hash(self) -> str:
        """SHA-256 over everything that shapes what is rendered; no secret goes in."""
        return sha256_json(
            {
                "kind": self.kind,
                "base_url": self.base_url,
                "environment": self.environment,
                "settings": dict(self.settings),
                "time_zone": self.time_zone,
            }
        )


@dataclass(frozen=True, slots=True)
class AccessToken:
    """A token and what it is good for. `scope` is what was granted, `asked` what was asked for.

    `server` is the address that the sign-in sent us on to, where it is not the connection's own.
    """

    value: str = field(repr=False)
    scope: str
    asked: str
    expires_at: datetime
    lifetime_seconds: int
    server: str = ""

    @property
    def digest(self) -> str:
        """What audit may keep of it."""
        return hashlib.sha256(self.value.encode()).hexdigest()


# --- reading -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ReadRequest:
    """What to read before a change. References may be bare ids or "Type/id"; `at` is stamped on what is read.

    `context` asks for entries beside the change's own kind: "allergies", "medications", "problems", "results"
    (kidney function, potassium, INR), "weights", "pregnancy".
    `deadline` in seconds bounds the whole reading; None means the connection's own. `content` is what the
    change will say, for an EHR that keeps its own numbers for drugs and substances and has to look them up.
    """

    patient: str
    kind: str
    at: datetime
    interaction: str = "create"
    encounter: str = ""
    target: str = ""
    practitioner: str = ""
    neighbourhood: bool = True
    context: tuple[str, ...] = ()
    deadline: float | None = None
    content: Mapping[str, Any] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One entry as read.

    `raw` are the EHR's bytes; `patient` the reference of whom it is about; `canonical` its value in the fields of `kind` ({} where the portal has no such
    kind); `comparable` the JSON without the connection's server-owned fields, over which the hashes are
    taken; `uncarried` the FHIR paths that the canonical value leaves out; `tags` every portal tag in it, as
    UUIDs from identifiers and short forms from text; `display` label and words for a reader.
    """

    role: str
    resource_type: str
    id: str
    raw: bytes = field(repr=False)
    read_at: datetime
    kind: str = ""
    patient: str = ""
    canonical: Mapping[str, Any] = field(default_factory=dict, repr=False)
    comparable: Mapping[str, Any] = field(default_factory=dict, repr=False)
    version_id: str = ""
    last_updated: str = ""
    ids: Mapping[str, str] = field(default_factory=dict)
    uncarried: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    display: tuple[tuple[str, str], ...] = field(default=(), repr=False)

    @property
    def reference(self) -> str:
        return f"{self.resource_type}/{self.id}"

    @property
    def hash_whole(self) -> str:
        """SHA-256 over everything but what the server itself owns."""
        return sha256_json(self.comparable)

    def hash_touched(self, names: Iterable[str]) -> str:
        """SHA-256 over the named canonical fields, with status and verification whatever is named.

        Values count as they compare: another display of the same code, or another line end, changes nothing.
        """
        touched = {*names, "status", "clinical_status", "verification"}
        return sha256_json(
            {
                name: comparison_json(self.kind, name, self.canonical[name])
                for name in sorted(touched)
                if name in self.canonical
            }
        )

    def carries(self, tag: Tag) -> bool:
        return tag.uuid in self.tags or tag.short in self.tags

    def to_json(self) -> dict[str, Any]:
        return {
            "role": self.role,
            "resource_type": self.resource_type,
            "id": self.id,
            "raw": base64.b64encode(self.raw).decode(),
            "read_at": self.read_at.isoformat(),
            "kind": self.kind,
            "patient": self.patient,
            "canonical": plain_value(self.canonical),
            "comparable": plain_value(self.comparable),
            "version_id": self.version_id,
            "last_updated": self.last_updated,
            "ids": dict(self.ids),
            "uncarried": list(self.uncarried),
            "tags": list(self.tags),
            "display": [list(pair) for pair in self.display],
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        values = dict(data)
        values["raw"] = base64.b64decode(values["raw"])
        values["read_at"] = datetime.fromisoformat(values["read_at"])
        values["uncarried"] = tuple(values["uncarried"])
        values["tags"] = tuple(values["tags"])
        values["display"] = tuple((str(label), str(words)) for label, words in values["display"])
        return cls(**values)


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A part that could not be read, and why: never the same as "there is none".

    `what` is a stable word: "practitioner", "problems", "notes", or a name of a context.
    """

    what: str
    reason: str
    sentence: str

    def to_json(self) -> dict[str, str]:
        return {"what": self.what, "reason": self.reason, "sentence": self.sentence}


@dataclass(frozen=True, slots=True)
class Baseline:
    """What the EHR held when we looked.

    `missing` names what the EHR answered it does not have ("patient", "encounter", "target",
    "practitioner"); `unreadable` what it would not or could not show; `contexts` which contexts were looked
    for. A patient or target that cannot be *reached* is no Baseline at all: `read` raises.
    """

    read_at: datetime
    patient: Snapshot | None = None
    encounter: Snapshot | None = None
    target: Snapshot | None = None
    practitioner: Snapshot | None = None
    neighbourhood: tuple[Snapshot, ...] = ()
    identity: PatientIdentity | None = None
    visit: VisitState | None = None
    missing: tuple[str, ...] = ()
    unreadable: tuple[Unreadable, ...] = ()
    contexts: tuple[str, ...] = ()

    def neighbours(self, kind: str) -> tuple[Snapshot, ...]:
        """The active entries of the change's own kind."""
        return tuple(s for s in self.neighbourhood if s.kind == kind and s.role == "neighbour")

    def context(self, what: str) -> tuple[Snapshot, ...]:
        """Entries read to be shown and asked about beside the change: "allergies", "medications", "results"."""
        return tuple(s for s in self.neighbourhood if s.role == what)

    def was_read(self, what: str) -> bool:
        """This context was looked for, and nothing of it was held back: none there means that there is none."""
        return what in self.contexts and all(part.what != what for part in self.unreadable)

    def hash_neighbourhood(self, kind: str) -> str:
        """SHA-256 over (reference, whole hash) of the active entries of one kind: the version of a create."""
        return sha256_json(sorted([s.reference, s.hash_whole] for s in self.neighbours(kind)))

    def to_json(self) -> dict[str, Any]:
        def one(snapshot: Snapshot | None) -> dict[str, Any] | None:
            return snapshot.to_json() if snapshot else None

        return {
            "read_at": self.read_at.isoformat(),
            "patient": one(self.patient),
            "encounter": one(self.encounter),
            "target": one(self.target),
            "practitioner": one(self.practitioner),
            "neighbourhood": [s.to_json() for s in self.neighbourhood],
            "identity": self.identity.to_json() if self.identity else None,
            "visit": self.visit.to_json() if self.visit else None,
            "missing": list(self.missing),
            "unreadable": [u.to_json() for u in self.unreadable],
            "contexts": list(self.contexts),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        def one(value: Mapping[str, Any] | None) -> Snapshot | None:
            return Snapshot.from_json(value) if value else None

        return cls(
            read_at=datetime.fromisoformat(data["read_at"]),
            patient=one(data["patient"]),
            encounter=one(data["encounter"]),
            target=one(data["target"]),
            practitioner=one(data["practitioner"]),
            neighbourhood=tuple(Snapshot.from_json(s) for s in data["neighbourhood"]),
            identity=PatientIdentity.from_json(data["identity"]) if data["identity"] else None,
            visit=VisitState.from_json(data["visit"]) if data["visit"] else None,
            missing=tuple(data["missing"]),
            unreadable=tuple(Unreadable(**u) for u in data["unreadable"]),
            contexts=tuple(data.get("contexts", ())),
        )


@dataclass(frozen=True, slots=True)
class NameAlikes:
    """Other patients who could be taken for this one. `complete` False means: could not look everywhere."""

    candidates: tuple[PatientIdentity, ...] = ()
    complete: bool = True
    checked: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        return {
            "candidates": [c.to_json() for c in self.candidates],
            "complete": self.complete,
            "checked": list(self.checked),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        return cls(
            candidates=tuple(PatientIdentity.from_json(c) for c in data["candidates"]),
            complete=data["complete"],
            checked=tuple(data["checked"]),
        )


# --- writing -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class WriteReceipt:
    """The EHR's answer to one step, acknowledged by the capability's own rule.

    `reference` is "Type/id" when given; `reply_sha256` the hash of the reply's bytes; `scope` what the
    token was granted.
    """

    acknowledged: bool
    status: int
    vendor_code: str = ""
    reference: str = ""
    version_id: str = ""
    reply_sha256: str = ""
    endpoint: str = ""
    scope: str = ""


@dataclass(frozen=True, slots=True)
class FindHit:
    """One entry that may be ours; `tag` is the tag that matched (None for target and match)."""

    snapshot: Snapshot
    tag: Tag | None = None


@dataclass(frozen=True, slots=True)
class FindResult:
    """What a search for a lost write saw. `complete` False means "could not look", never "absent"."""

    method: FindMethod
    since: datetime
    until: datetime
    pages: int = 0
    complete: bool = False
    hits: tuple[FindHit, ...] = ()
    reason: str = ""


@dataclass(frozen=True, slots=True)
class CopyCard:
    """The exact words and values for typing a change into the EHR by hand, and where to type them."""

    title: str
    ehr: str
    place: str
    lines: tuple[tuple[str, str], ...] = field(repr=False)
    sentence: str = ""

    def to_json(self) -> dict[str, Any]:
        return {
            "title": self.title,
            "ehr": self.ehr,
            "place": self.place,
            "lines": [list(pair) for pair in self.lines],
            "sentence": self.sentence,
        }
