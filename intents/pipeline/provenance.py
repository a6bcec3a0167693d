"""The FHIR Provenance of an approved version: who made it, who answers for it, what it rests on. Pure.

R4, with the codes of its own value sets:

* agent.type, http://terminology.hl7.org/CodeSystem/provenance-participant-type (R4 Provenance.agent.type):
  the program that put the draft together is its *assembler*, whoever approved it its *verifier*, a person
  whose words replaced the program's its *author*.
* activity, http://terminology.hl7.org/CodeSystem/v3-DataOperation (R4 value set provenance-activity-type).
* reason, AIAST of http://terminology.hl7.org/CodeSystem/v3-ObservationValue: artificial intelligence took
  part. That a person has looked is said by the verifier, never by the label.
* entity.role, http://hl7.org/fhir/provenance-entity-role.

It holds ids, hashes and the names of those who acted; nothing of what the change says. There is no
Provenance.signature: that element is a signature over the target resource, and what a person signed is the
approval statement over the exact request. The statement is named by its hash instead.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from audit.encoding import canonical_time
from ehr_adapters.contract import WirePlan

# The portal's own identifier systems.
AGENT_SYSTEM = "urn:reviewportal:agent"
PERSON_SYSTEM = "urn:reviewportal:person"
SHA256_SYSTEM = "urn:reviewportal:sha-256"
CORRELATION_SYSTEM = "urn:reviewportal:correlation"
PROVENANCE_SYSTEM = "urn:reviewportal:provenance"
POLICY_PREFIX = "urn:reviewportal:policy:"

_TERMINOLOGY = "http://terminology.hl7.org/CodeSystem/"
_PARTICIPANTS = f"{_TERMINOLOGY}provenance-participant-type"
_OPERATIONS = f"{_TERMINOLOGY}v3-DataOperation"
_OBSERVATION_VALUES = f"{_TERMINOLOGY}v3-ObservationValue"
# What an interaction does to the entry, in the words of v3-DataOperation.
_ACTIVITIES: Mapping[str, tuple[str, str]] = {
    "create": ("CREATE", "create"),
    # An addendum is a document of its own.
    "amend": ("CREATE", "create"),
    "update": ("UPDATE", "revise"),
    "comment": ("APPEND", "append"),
    "discontinue": ("ABORT", "abort"),
    "cancel": ("CANCEL", "cancel"),
    "resolve": ("COMPLETE", "complete"),
    "entered-in-error": ("NULLIFY", "nullify"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """The agent that drafted: its id and name, its release, and the model as it declared it."""

    id: str
    name: str
    release: str = ""
    model: str = ""
    prompt_hash: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """Somebody who took part. `practitioner` is their reference in this EHR, "" where they have none."""

    id: str
    name: str
    role: str = ""
    practitioner: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Used:
    """Something that the change rests on, by the hash of its content; `kind` says what it is."""

    kind: str
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Approved:
    """Everything that the Provenance of one approved version says. Moments are aware datetimes."""

    key: str
    plan: WirePlan
    program: Program
    verifiers: Sequence[Person]
    author: Person | None
    sources: Sequence[Used]
    statements: Sequence[str]
    policy_hash: str
    correlation_id: str
    decided_at: datetime
    recorded_at: datetime


def compose(approved: Approved) -> dict[str, Any]:
    """The Provenance as a FHIR R4 resource. The entry is named by the portal's tag, and by its id if it has one."""
    plan = approved.plan
    code, display = _ACTIVITIES[plan.interaction]
    return {
        "resourceType": "Provenance",
        "meta": {"tag": [{"system": PROVENANCE_SYSTEM, "code": approved.key}]},
        "contained": [_device(approved.program)],
        "target": [_target(plan)],
        "occurredDateTime": _moment(approved.decided_at),
        "recorded": _moment(approved.recorded_at),
        "policy": [f"{POLICY_PREFIX}{approved.policy_hash}"],
        "reason": [_concept(_OBSERVATION_VALUES, "AIAST", "Artificial Intelligence asserted")],
        "activity": _concept(_OPERATIONS, code, display),
        "agent": [
            {
                "type": _concept(_PARTICIPANTS, "assembler", "Assembler"),
                "role": [{"text": "Artificial intelligence"}],
                "who": {"reference": "#program", "display": approved.program.name},
            },
            *([_agent(approved.author, "author", "Author")] if approved.author else []),
            *(_agent(person, "verifier", "Verifier") for person in approved.verifiers),
        ],
        "entity": list(_entities(approved)),
    }


def with_written(
    provenance: Mapping[str, Any], *, reference: str, version: str = ""
) -> dict[str, Any]:
    """The same, about the entry that the EHR wrote: by its reference, of that version if it gave one."""
    [target] = provenance["target"]
    place = f"{reference}/_history/{version}" if reference and version else reference
    return {**provenance, "target": [{**target, "reference": place} if place else dict(target)]}


def _target(plan: WirePlan) -> dict[str, Any]:
    # The type that the request writes; a transport that is not FHIR has none.
    type_name = plan.target.partition("/")[0] or str(plan.comparable.get("resourceType", ""))
    target: dict[str, Any] = {"reference": plan.target} if plan.target else {}
    if type_name:
        target["type"] = type_name
    return {**target, "identifier": {"system": plan.tag.system, "value": plan.tag.uuid}}


def _device(program: Program) -> dict[str, Any]:
    versions = (("release", program.release), ("model", program.model))
    device: dict[str, Any] = {
        "resourceType": "Device",
        "id": "program",
        "identifier": [{"system": AGENT_SYSTEM, "value": program.id}],
        "deviceName": [{"name": program.name, "type": "user-friendly-name"}],
    }
    told = [{"type": {"text": what}, "value": value} for what, value in versions if value]
    return {**device, "version": told} if told else device


def _agent(person: Person, code: str, display: str) -> dict[str, Any]:
    who: dict[str, Any] = {
        "identifier": {"system": PERSON_SYSTEM, "value": person.id},
        "display": person.name,
    }
    if person.practitioner:
        who = {"reference": person.practitioner, **who}
    agent: dict[str, Any] = {"type": _concept(_PARTICIPANTS, code, display)}
    if person.role:
        agent["role"] = [{"text": person.role}]
    return {**agent, "who": who}


def _entities(approved: Approved) -> Sequence[dict[str, Any]]:
    plan, program = approved.plan, approved.program
    found = [_used("source", one.sha256, one.kind) for one in approved.sources]
    if program.prompt_hash:
        sha256 = program.prompt_hash.removeprefix("sha256:")
        found.append(_used("derivation", sha256, "Prompts of the program"))
    if plan.target:
        version = plan.expected_version
        what = f"{plan.target}/_history/{version}" if version else plan.target
        found.append({"role": "revision", "what": {"reference": what}})
    found += [_used("source", one, "Signed approval statement") for one in approved.statements]
    found.append(_used("source", plan.payload_hash(), "Request as it was approved"))
    found.append(
        {
            "role": "source",
            "what": {
                "identifier": {"system": CORRELATION_SYSTEM, "value": approved.correlation_id},
                "display": "Draft",
            },
        }
    )
    return found


def _used(role: str, sha256: str, display: str) -> dict[str, Any]:
    return {
        "role": role,
        "what": {"identifier": {"system": SHA256_SYSTEM, "value": sha256}, "display": display},
    }


def _concept(system: str, code: str, display: str) -> dict[str, Any]:
    return {"coding": [{"system": system, "code": code, "display": display}]}


def _moment(moment: datetime) -> str:
    return canonical_time(moment)
