"""The values that cross between the pipeline and one EHR's adapter; frozen and pure.

What is stored (Baseline, Snapshot, WirePlan) has `to_json()` and `from_json()` that give back an equal
value; bodies are bytes and travel as base64.
"""

import base64
import hashlib
import json
import re
import unicodedata
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, Self

from ehr_adapters.capabilities import CapabilitySet, Finality, FindMethod

# --- the portal's own identifier -----------------------------------------------------------------

TAG_SYSTEM = "urn:reviewportal:tag"
_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_SHORT = re.compile(r"[0-9A-HJKMNP-TV-Z]{4}(?:-[0-9A-HJKMNP-TV-Z]{4}){2}")


@dataclass(frozen=True, slots=True)
class Tag:
    """The portal's identifier of one intent version: a random UUID and its short form.

    The short form is 60 bits of the UUID as 12 Crockford base-32 characters, "4F7K-9QXD-2M8T": what fits
    into a line of text that a person may have to read aloud.
    """

    uuid: str

    def __post_init__(self) -> None:
        object.__setattr__(self, "uuid", str(uuid.UUID(self.uuid)))

    @classmethod
    def mint(cls) -> Self:
        """A fresh tag; random, so it says nothing about patient or content."""
        return cls(str(uuid.uuid4()))

    @property
    def system(self) -> str:
        return TAG_SYSTEM

    @property
    def token(self) -> str:
        """The FHIR search token, `system|value`."""
        return f"{TAG_SYSTEM}|{self.uuid}"

    @property
    def short(self) -> str:
        # The last 60 bits of a version 4 UUID are all random (its fixed bits lie above).
        number = uuid.UUID(self.uuid).int & ((1 << 60) - 1)
        letters = "".join(_CROCKFORD[(number >> shift) & 31] for shift in range(55, -5, -5))
        return f"{letters[0:4]}-{letters[4:8]}-{letters[8:12]}"

    def to_json(self) -> str:
        return self.uuid


def short_forms_in(text: str) -> tuple[str, ...]:
    """Every tag short form that follows the word "Ref" in a text, in order."""
    return tuple(
        match.group(0).removeprefix("Ref").strip()
        for match in re.finditer(rf"Ref\s+{_SHORT.pattern}(?![0-9A-Za-z-])", text)
    )


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
    gateway; it never appears in a repr. Times are in seconds. `capabilities` are those found by the last
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
        return _sha256_json(
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
    """A bearer token and what it is good for. `scope` is what was granted, `asked` what was asked for."""

    value: str = field(repr=False)
    scope: str
    asked: str
    expires_at: datetime
    lifetime_seconds: int

    @property
    def digest(self) -> str:
        """What audit may keep of it."""
        return hashlib.sha256(self.value.encode()).hexdigest()


# --- people and visits ---------------------------------------------------------------------------


def name_key(text: str) -> str:
    """A name without case, accents, punctuation and spaces: what two spellings are compared by."""
    decomposed = unicodedata.normalize("NFKD", text.translate(_UNDECOMPOSED))
    return "".join(c for c in decomposed if c.isalnum()).casefold()


# Letters that Unicode does not decompose but that registries spell with plain ones.
_UNDECOMPOSED = str.maketrans(
    {
        "ø": "o",
        "Ø": "O",
        "ł": "l",
        "Ł": "L",
        "đ": "d",
        "Đ": "D",
        "æ": "ae",
        "Æ": "AE",
        "œ": "oe",
        "Œ": "OE",
    }
)


@dataclass(frozen=True, slots=True)
class PersonName:
    family: str
    given: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        return {"family": self.family, "given": list(self.given)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        return cls(family=data["family"], given=tuple(data["given"]))


@dataclass(frozen=True, slots=True)
class PatientIdentity:
    """Who the EHR says a patient is. Dates are FHIR dates, partial ones stay partial.

    `replaced_by` is the reference of the record that this one was merged into, else "".
    `mrns` are (system, value) pairs, medical record numbers first.
    """

    id: str
    family: str
    given: tuple[str, ...] = ()
    birth_date: str = ""
    sex: str = ""
    mrns: tuple[tuple[str, str], ...] = ()
    previous_names: tuple[PersonName, ...] = ()
    active: bool = True
    replaced_by: str = ""
    deceased: bool = False
    deceased_date: str = ""
    other_links: tuple[str, ...] = ()

    @property
    def reference(self) -> str:
        return f"Patient/{self.id}"

    @property
    def merged(self) -> bool:
        return bool(self.replaced_by)

    def disagreements(
        self,
        *,
        family: str = "",
        given: str = "",
        birth_date: str = "",
        sex: str = "",
        mrn: str = "",
    ) -> tuple[str, ...]:
        """Which of the asserted parts do not agree with the EHR: "family", "given" ...; empty ones are not asked.

        Names compare without case, accents and punctuation; any previous name may serve. A given name
        agrees when it is the first given name, or all of them, of one of the names.
        """
        names = (PersonName(self.family, self.given), *self.previous_names)
        out = []
        if family and not any(name_key(n.family) == name_key(family) for n in names):
            out.append("family")
        if given and not any(_given_agrees(n.given, given) for n in names):
            out.append("given")
        if birth_date and birth_date != self.birth_date:
            out.append("birth_date")
        if sex and sex != self.sex:
            out.append("sex")
        if mrn and not any(_mrn_key(value) == _mrn_key(mrn) for _, value in self.mrns):
            out.append("mrn")
        return tuple(out)

    def is_name_alike(self, other: "PatientIdentity") -> bool:
        """Another person who could be taken for this one.

        The same family name with a birth date equal, transposed or within a year, or a record number
        one edit away. Records merged with each other are one person.
        """
        if other.id == self.id or self.reference in {other.replaced_by, *other.other_links}:
            return False
        if self.replaced_by == other.reference or other.reference in self.other_links:
            return False
        mine = {name_key(n) for n in (self.family, *(p.family for p in self.previous_names)) if n}
        theirs = {
            name_key(n) for n in (other.family, *(p.family for p in other.previous_names)) if n
        }
        if mine & theirs and birth_dates_are_close(self.birth_date, other.birth_date):
            return True
        return any(
            one_edit_apart(_mrn_key(a), _mrn_key(b))
            for system_a, a in self.mrns
            for system_b, b in other.mrns
            if system_a == system_b
        )

    def to_json(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "family": self.family,
            "given": list(self.given),
            "birth_date": self.birth_date,
            "sex": self.sex,
            "mrns": [list(pair) for pair in self.mrns],
            "previous_names": [n.to_json() for n in self.previous_names],
            "active": self.active,
            "replaced_by": self.replaced_by,
            "deceased": self.deceased,
            "deceased_date": self.deceased_date,
            "other_links": list(self.other_links),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        values = dict(data)
        values["given"] = tuple(values["given"])
        values["mrns"] = tuple((str(s), str(v)) for s, v in values["mrns"])
        values["previous_names"] = tuple(PersonName.from_json(n) for n in values["previous_names"])
        values["other_links"] = tuple(values["other_links"])
        return cls(**values)


def _given_agrees(held: Sequence[str], asserted: str) -> bool:
    if not held:
        return False
    return name_key(asserted) in {name_key(held[0]), name_key(" ".join(held))}


def _mrn_key(value: str) -> str:
    return "".join(c for c in value if c.isalnum()).casefold()


def birth_dates_are_close(one: str, other: str) -> bool:
    """Equal, with day and month or two digits swapped, or at most a year apart; unknown is close."""
    if not one or not other or len(one) < 10 or len(other) < 10:
        return one[:4] == other[:4] or not one or not other
    if one == other:
        return True
    digits_one, digits_other = one.replace("-", ""), other.replace("-", "")
    if (one[:4], one[5:7], one[8:10]) == (other[:4], other[8:10], other[5:7]):
        return True
    differing = [i for i in range(8) if digits_one[i] != digits_other[i]]
    if (
        len(differing) == 2
        and digits_one[differing[0]] == digits_other[differing[1]]
        and digits_one[differing[1]] == digits_other[differing[0]]
    ):
        return True
    try:
        return abs((date.fromisoformat(one) - date.fromisoformat(other)).days) <= 366
    except ValueError:
        return False


def one_edit_apart(one: str, other: str) -> bool:
    """One character replaced, added, left out, or two neighbours swapped."""
    if one == other or not one or not other or abs(len(one) - len(other)) > 1:
        return False
    if len(one) == len(other):
        differing = [i for i in range(len(one)) if one[i] != other[i]]
        if len(differing) == 1:
            return True
        return (
            len(differing) == 2
            and one[differing[0]] == other[differing[1]]
            and one[differing[1]] == other[differing[0]]
        )
    short, long = sorted((one, other), key=len)
    return any(long[:i] + long[i + 1 :] == short for i in range(len(long)))


@dataclass(frozen=True, slots=True)
class VisitState:
    """One visit as the EHR has it. `open` = writing that needs an open visit is possible now."""

    id: str
    patient: str
    status: str = ""
    visit_class: str = ""
    start: str = ""
    end: str = ""
    providers: tuple[str, ...] = ()
    open: bool = False

    @property
    def reference(self) -> str:
        return f"Encounter/{self.id}"

    def to_json(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "patient": self.patient,
            "status": self.status,
            "visit_class": self.visit_class,
            "start": self.start,
            "end": self.end,
            "providers": list(self.providers),
            "open": self.open,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        return cls(**{**data, "providers": tuple(data["providers"])})


# --- reading -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ReadRequest:
    """What to read before a change. References may be bare ids or "Type/id"; `at` is stamped on what is read.

    `deadline` in seconds bounds the whole reading; None means the connection's own.
    """

    patient: str
    kind: str
    at: datetime
    interaction: str = "create"
    encounter: str = ""
    target: str = ""
    practitioner: str = ""
    neighbourhood: bool = True
    deadline: float | None = None


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One entry as read.

    `raw` are the EHR's bytes; `canonical` its value in the fields of `kind` ({} where the portal has no such
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
        return _sha256_json(self.comparable)

    def hash_touched(self, names: Iterable[str]) -> str:
        """SHA-256 over the named canonical fields, with status and verification whatever is named."""
        touched = {*names, "status", "clinical_status", "verification"}
        return _sha256_json({n: self.canonical[n] for n in sorted(touched) if n in self.canonical})

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
            "canonical": _plain(self.canonical),
            "comparable": _plain(self.comparable),
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

    `what` is a stable word: "practitioner", "problems", "notes", "allergies", "medications", "results".
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
    "practitioner"); `unreadable` what it would not or could not show. A patient or target that cannot be
    *reached* is no Baseline at all: `read` raises.
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

    def neighbours(self, kind: str) -> tuple[Snapshot, ...]:
        return tuple(s for s in self.neighbourhood if s.kind == kind)

    def hash_neighbourhood(self, kind: str) -> str:
        """SHA-256 over (reference, whole hash) of the active entries of one kind: the version of a create."""
        return _sha256_json(sorted([s.reference, s.hash_whole] for s in self.neighbours(kind)))

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
class Slot:
    """A declared gap in a frozen body: `marker` stands there exactly once and is filled at send.

    `source` is "session_token", "sent_at" or "earlier_id" (the id that step `from_step` was answered with).
    """

    marker: str
    source: str
    from_step: int | None = None

    def to_json(self) -> dict[str, Any]:
        return {"marker": self.marker, "source": self.source, "from_step": self.from_step}


@dataclass(frozen=True, slots=True)
class WireRequest:
    """One exact request: `path` is relative to the connection's base, `headers` are those that matter.

    `label` says it for people ("create DocumentReference"); `scope` is the narrowest scope that serves it.
    """

    method: str
    path: str
    headers: tuple[tuple[str, str], ...]
    body: bytes = field(repr=False)
    label: str
    scope: str
    slots: tuple[Slot, ...] = ()

    def header(self, name: str) -> str:
        return next((v for n, v in self.headers if n.lower() == name.lower()), "")

    def filled(self, values: Mapping[str, str]) -> bytes:
        """The body with every slot filled from `values` (marker -> text); nothing else can change."""
        body = self.body
        for slot in self.slots:
            marker = slot.marker.encode()
            if body.count(marker) != 1:
                raise ValueError("A slot's marker must stand exactly once in the body.")
            body = body.replace(marker, json.dumps(values[slot.marker])[1:-1].encode())
        return body

    def request_hash(self) -> str:
        return _sha256_json(self._hashed())

    def _hashed(self) -> list[Any]:
        return [
            self.method,
            self.path,
            [list(pair) for pair in self.headers],
            base64.b64encode(self.body).decode(),
        ]

    def to_json(self) -> dict[str, Any]:
        return {
            "method": self.method,
            "path": self.path,
            "headers": [list(pair) for pair in self.headers],
            "body": base64.b64encode(self.body).decode(),
            "label": self.label,
            "scope": self.scope,
            "slots": [s.to_json() for s in self.slots],
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        return cls(
            method=data["method"],
            path=data["path"],
            headers=tuple((str(n), str(v)) for n, v in data["headers"]),
            body=base64.b64decode(data["body"]),
            label=data["label"],
            scope=data["scope"],
            slots=tuple(Slot(**s) for s in data["slots"]),
        )


@dataclass(frozen=True, slots=True)
class Remark:
    """Something about the plan that a reviewer must be told, at a pointer into the canonical change.

    `code`: "not-carried" (this field is not sent to this EHR), "replaced" (characters replaced by the
    destination's table), "removed" (something of the current entry goes with the change).
    """

    code: str
    pointer: str
    sentence: str

    def to_json(self) -> dict[str, str]:
        return {"code": self.code, "pointer": self.pointer, "sentence": self.sentence}


@dataclass(frozen=True, slots=True)
class WirePlan:
    """The exact requests that will be sent, frozen before review.

    `comparable` is what the written entry should look like on read-back, in the form of
    `Snapshot.comparable`. The hash covers method, path, headers and body of every step; slots stand in it
    as their markers.
    """

    adapter: str
    adapter_version: str
    kind: str
    interaction: str
    steps: tuple[WireRequest, ...]
    tag: Tag
    finality: Finality
    find: FindMethod
    patient: str
    encounter: str = ""
    target: str = ""
    expected_version: str = ""
    touched: tuple[str, ...] = ()
    remarks: tuple[Remark, ...] = ()
    comparable: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @property
    def not_carried(self) -> tuple[Remark, ...]:
        """What the destination cannot hold: a line on the screen, never an omission."""
        return tuple(r for r in self.remarks if r.code == "not-carried")

    def payload_hash(self) -> str:
        return _sha256_json([step._hashed() for step in self.steps])

    def to_json(self) -> dict[str, Any]:
        return {
            "adapter": self.adapter,
            "adapter_version": self.adapter_version,
            "kind": self.kind,
            "interaction": self.interaction,
            "steps": [s.to_json() for s in self.steps],
            "tag": self.tag.uuid,
            "finality": str(self.finality),
            "find": str(self.find),
            "patient": self.patient,
            "encounter": self.encounter,
            "target": self.target,
            "expected_version": self.expected_version,
            "touched": list(self.touched),
            "remarks": [r.to_json() for r in self.remarks],
            "comparable": _plain(self.comparable),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        values = dict(data)
        values["steps"] = tuple(WireRequest.from_json(s) for s in values["steps"])
        values["tag"] = Tag(values["tag"])
        values["finality"] = Finality(values["finality"])
        values["find"] = FindMethod(values["find"])
        values["touched"] = tuple(values["touched"])
        values["remarks"] = tuple(Remark(**r) for r in values["remarks"])
        return cls(**values)


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


# --- bytes for hashing ---------------------------------------------------------------------------


def _plain(value: Any) -> Any:
    """Mappings and sequences as plain dicts and lists; floats are refused, decimals must be text."""
    if isinstance(value, Mapping):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(v) for v in value]
    if value is None or isinstance(value, (str, bool, int)):
        return value
    raise TypeError(f"{type(value).__name__} has no exact JSON form here.")


def _sha256_json(value: Any) -> str:
    text = json.dumps(_plain(value), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
