"""The demo's made-up clinic: a workspace, its people, its connections to the practice EHRs, one agent.

Everything is made through the same mutators that the admin uses, and is in the audit log.
"""

import json
import re
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from audit.actors import Actor, ActorKind
from intents.governance.models import (
    Agent,
    AgentCredential,
    AgentRelease,
    ClinicalRole,
    EhrConnection,
    EhrIdentity,
    Membership,
    Profession,
    Role,
    ScopeGrant,
    Tenant,
    User,
)
from intents.governance.opening import open_workspace
from intents.governance.tenancy import tenant_context
from intents.management.keypairs import make_key_pair
from intents.management.practice_fronts import FRONTS, Front

WORKSPACE = "Northgate Health"
AGENT = "Visit scribe"
CLERK = "Hand-over clerk"
INSTALLATION = Actor(kind=ActorKind.INSTALLATION, id="system:installation", name="Installation")
CONSULTATIONS = Path("examples") / "consultations"
HANDOVERS = Path("examples") / "handovers"


class PracticeUnreachable(Exception):
    """The practice EHR does not answer, or not as it should."""


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody of the made-up staff. `practitioner` is their key in the practice EHRs' directory."""

    email: str
    name: str
    what: str
    role: str
    clinical_role: str = ClinicalRole.NONE
    profession: str = ""
    practitioner: str = ""
    lead: bool = False
    staff: bool = False


PEOPLE = (
    Person("reyes@northgate.example", "Dr A. Reyes", "prescriber, decides drafts", Role.REVIEWER,
           ClinicalRole.PRESCRIBER, Profession.PHYSICIAN, "prescriber_one"),
    Person("lam@northgate.example", "Dr J. Lam", "prescriber, clinical lead", Role.REVIEWER,
           ClinicalRole.PRESCRIBER, Profession.PHYSICIAN, "prescriber_two", lead=True),
    Person("vasik@northgate.example", "M. Vasik", "pharmacist", Role.REVIEWER,
           ClinicalRole.LICENSED, Profession.PHARMACIST, "pharmacist"),
    Person("brandt@northgate.example", "L. Brandt", "nurse", Role.REVIEWER,
           ClinicalRole.LICENSED, Profession.NURSE, "nurse"),
    Person("quill@northgate.example", "S. Quill", "medical assistant", Role.REVIEWER,
           ClinicalRole.ASSISTANT, practitioner="assistant"),
    Person("ferro@northgate.example", "D. Ferro", "registration clerk", Role.REVIEWER,
           ClinicalRole.REGISTRATION, practitioner="clerk"),
    Person("ansah@northgate.example", "H. Ansah", "compliance: audit and integrity", Role.COMPLIANCE,
           practitioner="compliance"),
    Person("singh@northgate.example", "R. Singh", "operator: work list, stopping writes", Role.OPERATOR),
    Person("dahl@northgate.example", "K. Dahl", "administrator: agents, connections, people", Role.ADMIN,
           staff=True),
)  # fmt: skip


_SCOPES = (
    "system/DocumentReference.c", "system/DocumentReference.u",
    "system/Condition.c", "system/Condition.u",
)  # fmt: skip
_CLERK_SCOPES = (
    "system/AllergyIntolerance.c", "system/Observation.c", "system/MedicationStatement.c",
    "system/ServiceRequest.c", "system/Task.c",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class ExampleAgent:
    """One of the example agents: what it may ask for, and what stands for its model."""

    name: str
    model: str
    scopes: tuple[str, ...]
    key: str


EXAMPLE_AGENTS = (
    ExampleAgent(AGENT, "transparent-rules", _SCOPES, "visit-scribe.pem"),
    ExampleAgent(CLERK, "hand-over-rules", _CLERK_SCOPES, "hand-over-clerk.pem"),
)


def furnish(*, portal: str, practice: str, folder: Path) -> bool:
    """Make the clinic if it is not there; True if it was made now. Writes `demo.json` for `visit`."""
    call(practice, "POST", "seed", {})
    # Every process of the portal signs in for itself; the practice would let one in a minute in.
    call(practice, "POST", "settings", {"advancedmd": {"logins_per_minute": 30}})
    directory = call(practice, "GET", "directory")
    at = timezone.now()
    tenant = Tenant.objects.filter(name=WORKSPACE).first()
    made = tenant is None
    with transaction.atomic():
        if tenant is None:
            tenant = open_clinic(practice=practice, directory=directory, at=at)
            with tenant_context(tenant.pk):
                for example in EXAMPLE_AGENTS:
                    admit(example, tenant=tenant, folder=folder, at=at)
        else:
            with tenant_context(tenant.pk):
                _move_connections(practice=practice, directory=directory, at=at)
    with tenant_context(tenant.pk):
        _write_state(
            portal=portal, practice=practice, folder=folder, tenant=tenant, directory=directory
        )
    return made


@transaction.atomic
def open_clinic(
    *,
    practice: str,
    directory: Mapping[str, Any],
    at: datetime,
    fronts: Sequence[Front] = FRONTS,
) -> Tenant:
    """The workspace with its people and a connection to each practice EHR."""
    tenant = open_workspace(name=WORKSPACE, actor=INSTALLATION, at=at, time_zone="UTC")
    with tenant_context(tenant.pk):
        for person in PEOPLE:
            _hire(person, tenant=tenant, at=at)
        for front in fronts:
            connect(front, tenant=tenant, practice=practice, directory=directory, at=at)
    return tenant


def _hire(person: Person, *, tenant: Tenant, at: datetime) -> None:
    user = User.add(
        email=person.email, name=person.name, actor=INSTALLATION, at=at, is_staff=person.staff
    )
    profession = {"profession": person.profession} if person.profession else {}
    Membership.grant(
        tenant=tenant,
        user=user,
        role=person.role,
        actor=INSTALLATION,
        at=at,
        clinical_role=person.clinical_role,
        clinical_lead=person.lead,
        **profession,
    )


def connect(
    front: Front, *, tenant: Tenant, practice: str, directory: Mapping[str, Any], at: datetime
) -> EhrConnection:
    """A sandbox connection with a credential of its own, registered with the practice EHR, and who is who there."""
    reference, public = front.make_credential(settings.KEY_DIR)
    client = f"reviewportal-{front.name}"
    secret = (front.secrets or {}).get("client_secret", "")
    known_by = {"secret": secret} if secret else {"pem": public}
    call(
        practice,
        "POST",
        "clients",
        {"vendor": front.vendor, "client_id": client, "scope": "system/*.cruds", **known_by},
    )
    connection = EhrConnection.add(
        tenant=tenant,
        name=front.name,
        title=front.title,
        kind=front.kind,
        base_url=practice + front.base,
        token_url=practice + front.token,
        client_id=client,
        alg=front.alg,
        credential_ref=reference,
        environment="sandbox",
        time_zone=front.time_zone,
        settings=_settings_of(front, practice=practice, directory=directory),
        # Bounds of the practice: its tokens live 5 s, and it files and indexes at once.
        token_life_seconds=5,
        processing_bound_seconds=10,
        index_lag_seconds=5,
        actor=INSTALLATION,
        at=at,
    )
    for person in PEOPLE:
        user = User.objects.filter(email=person.email).first()
        reference = _practitioner(directory, front.vendor, person.practitioner)
        if user is not None and reference and person.practitioner not in front.unmapped:
            EhrIdentity.link(
                user=user,
                connection=connection,
                practitioner_ref=reference,
                actor=INSTALLATION,
                at=at,
                verified_by="made-up clinic",
            )
    return connection


def _settings_of(front: Front, *, practice: str, directory: Mapping[str, Any]) -> dict[str, Any]:
    # In production what waits in an EHR is looked for daily; a demo is watched for minutes.
    watched = {"staged_look_seconds": 15}
    return watched | front.settings(practice, directory[front.vendor])


def admit(example: ExampleAgent, *, tenant: Tenant, folder: Path, at: datetime) -> AgentCredential:
    """An example agent: the suggest lane, its scopes on every connection, a key pair of its own."""
    key_file = folder / "agents" / example.key
    key_file.unlink(missing_ok=True)
    owner = User.objects.get(email="dahl@northgate.example")
    agent = Agent.admit(tenant=tenant, name=example.name, owner=owner, actor=INSTALLATION, at=at)
    AgentRelease.approve(
        agent=agent,
        version="1.0",
        model_name=example.model,
        model_version="1",
        actor=INSTALLATION,
        at=at,
    )
    for connection in EhrConnection.objects.all():
        for scope in example.scopes:
            ScopeGrant.grant(
                agent=agent,
                connection=connection,
                scope=scope,
                lane="suggest",
                actor=INSTALLATION,
                at=at,
            )
    return AgentCredential.issue_key(
        agent=agent,
        lane="suggest",
        public_key=make_key_pair(key_file),
        expires_at=at + timedelta(days=365),
        actor=INSTALLATION,
        at=at,
    )


def _move_connections(*, practice: str, directory: Mapping[str, Any], at: datetime) -> None:
    """The practice may listen on another port than last time."""
    for front in FRONTS:
        connection = EhrConnection.objects.get(name=front.name)
        connection.change(
            actor=INSTALLATION,
            at=at,
            reason="the practice EHR listens elsewhere",
            base_url=practice + front.base,
            token_url=practice + front.token,
            settings=connection.settings
            | _settings_of(front, practice=practice, directory=directory),
        )


def _write_state(
    *, portal: str, practice: str, folder: Path, tenant: Tenant, directory: Mapping[str, Any]
) -> None:
    """`demo.json`: what `manage.py visit` needs to find the demo. Made-up patients only."""
    credentials = {
        credential.agent.name: credential
        for credential in AgentCredential.objects.filter(revoked_at__isnull=True).select_related(
            "agent"
        )
    }
    state = {
        "portal": portal,
        "practice": practice,
        "tenant": str(tenant.pk),
        "agents": {
            example.name: {
                "client_id": str(credentials[example.name].pk),
                "key_file": str(folder / "agents" / example.key),
                "token_url": f"{portal}/oauth/token",
            }
            for example in EXAMPLE_AGENTS
            if example.name in credentials
        },
        "connections": {front.vendor: front.name for front in FRONTS},
        "default_agent": AGENT,
        "default_connection": FRONTS[0].name,
        "patients": {front.name: patients(directory, front.vendor) for front in FRONTS},
        "staff": {
            front.name: {
                name: one["practitioner"] for name, one in directory[front.vendor]["staff"].items()
            }
            for front in FRONTS
        },
    }
    path = folder / "demo.json"
    path.write_text(json.dumps(state, indent=2), encoding="utf-8")
    path.chmod(0o600)


def patients(directory: Mapping[str, Any], vendor: str) -> list[dict[str, str]]:
    """The made-up patients of one practice EHR, as `visit` names them."""
    return [
        {
            "logical": logical,
            "id": entry["patient"],
            "family": entry["family"],
            "given": entry["given"],
            "birth_date": entry["birth_date"],
            "sex": entry["gender"],
            "mrn": entry["mrn"],
            "encounter": entry["encounter"],
        }
        for logical, entry in directory[vendor].items()
        if "patient" in entry
    ]


def _practitioner(directory: Mapping[str, Any], vendor: str, key: str) -> str:
    colleague = directory[vendor]["staff"].get(key)
    return f"Practitioner/{colleague['practitioner']}" if colleague else ""


def visits() -> list[list[str]]:
    """The commands that send in the demo's drafts: a consultation or a hand-over sheet each."""
    state = json.loads((settings.VAR_DIR / "demo.json").read_text(encoding="utf-8"))
    names = {front.kind: front.name for front in FRONTS}

    def destination(entry: Mapping[str, str]) -> list[str]:
        connection = names[entry["connection"]]
        patient = next(p for p in state["patients"][connection] if p["logical"] == entry["patient"])
        return ["--connection", connection, "--patient", patient["id"]]

    out = []
    for entry in _manifest(CONSULTATIONS)["consultations"]:
        file = settings.BASE_DIR / CONSULTATIONS / entry["file"]
        out.append(["visit", "--transcript", str(file), *destination(entry)])
    for entry in _manifest(HANDOVERS)["sheets"]:
        connection = names[entry["connection"]]
        file = _filled(
            settings.BASE_DIR / HANDOVERS / entry["file"],
            copy=settings.VAR_DIR / "handovers" / connection / entry["file"],
            staff=state["staff"][connection],
            at=timezone.now(),
        )
        out.append(["hand_over", "--sheet", str(file), *destination(entry)])
    return out


_STAFF = re.compile(r"\{staff:(?P<name>[a-z_]+)\}")


def _manifest(folder: Path) -> Any:
    return json.loads((settings.BASE_DIR / folder / "manifest.json").read_text(encoding="utf-8"))


_MOMENT = re.compile(r"\{(?P<from>T|day)(?P<count>[+-][0-9]+)(?P<unit>min|d)?\}")


def _filled(sheet: Path, *, copy: Path, staff: Mapping[str, str], at: datetime) -> Path:
    """A copy of a sheet for one EHR: moments counted from `at` ("{T-30min}" a time, "{day+14}" a day), and
    people under their ids there ("{staff:nurse}")."""

    def moment(found: re.Match[str]) -> str:
        count = int(found["count"])
        span = timedelta(minutes=count) if found["unit"] == "min" else timedelta(days=count)
        then = (at + span).replace(microsecond=0)
        return then.date().isoformat() if found["from"] == "day" else then.isoformat()

    text = _MOMENT.sub(moment, sheet.read_text(encoding="utf-8"))
    text = _STAFF.sub(lambda found: staff[found["name"]], text)
    copy.parent.mkdir(parents=True, exist_ok=True)
    copy.write_text(text, encoding="utf-8")
    return copy


def call(practice: str, method: str, name: str, body: Mapping[str, Any] | None = None) -> Any:
    """One order to the practice EHRs' control surface."""
    request = urllib.request.Request(  # noqa: S310  a loopback address that we started ourselves
        f"{practice}/_practice/{name}",
        method=method,
        data=json.dumps(body).encode() if body is not None else None,
        headers={"Content-Type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310
            return json.load(answer)
    except (urllib.error.URLError, OSError, ValueError) as error:
        raise PracticeUnreachable(
            f"The practice EHR did not do what was asked ({name})."
        ) from error
