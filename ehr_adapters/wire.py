"""The portal's tag and the exact requests that are frozen before review. Pure."""

import base64
import json
import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from ehr_adapters.capabilities import Finality, FindMethod
from ehr_adapters.plain_json import plain_value, sha256_json

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
        return sha256_json(self._hashed())

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
    destination's table), "removed" (something of the current entry goes with the change), "both-stand"
    (an entry that contradicts this one stays in the chart), "stays" (a text in the entry stays that may tell the
    old state).
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
        return sha256_json([step._hashed() for step in self.steps])

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
            "comparable": plain_value(self.comparable),
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
