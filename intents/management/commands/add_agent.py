"""`add_agent`: a program that may propose, its credential for one lane, and what it may ask for."""

from datetime import timedelta
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import transaction
from django.utils import timezone

from intents.governance.models import (
    Agent,
    AgentCredential,
    AgentRelease,
    LaneCeiling,
    ScopeGrant,
    User,
)
from intents.governance.tenancy import tenant_context
from intents.management.keypairs import make_key_pair
from intents.management.naming import OPERATOR, find_connection, find_tenant, sentences


class Command(BaseCommand):
    help = "Admit an agent to one lane of one connection, and print how it signs in."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--tenant", required=True, help="name or id of the workspace")
        parser.add_argument("--name", required=True)
        parser.add_argument("--lane", required=True, choices=LaneCeiling.values)
        parser.add_argument("--connection", required=True)
        parser.add_argument(
            "--scope",
            action="append",
            nargs="+",
            required=True,
            help="such as system/DocumentReference.c",
        )
        parser.add_argument("--public-key", help="PEM file; without it a key pair is made")
        parser.add_argument("--alg", default="ES384", choices=["ES384", "RS384"])
        parser.add_argument("--days", type=int, default=365, help="how long the credential is good")
        parser.add_argument("--owner", default="", help="address of the person who answers for it")
        parser.add_argument(
            "--model", default="", metavar="NAME:VERSION", help="the model it may declare"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        tenant = find_tenant(options["tenant"])
        connection = find_connection(options["connection"], tenant=tenant)
        at = timezone.now()
        by: dict[str, Any] = {"actor": OPERATOR, "at": at}
        key_file: Path | None = None
        if options["public_key"]:
            public_key = _read(options["public_key"])
        elif options["alg"] != "ES384":
            raise CommandError("A key pair is made for ES384 only: give --public-key.")
        else:
            key_file = _new_key_file(options["name"], lane=options["lane"])
            public_key = make_key_pair(key_file)
        try:
            with tenant_context(tenant.pk), transaction.atomic():
                agent = _agent(options, tenant=tenant, by=by)
                for scope in (each for group in options["scope"] for each in group):
                    ScopeGrant.grant(
                        agent=agent,
                        connection=connection,
                        scope=scope,
                        lane=options["lane"],
                        **by,
                    )
                credential = AgentCredential.issue_key(
                    agent=agent,
                    lane=options["lane"],
                    public_key=public_key,
                    alg=options["alg"],
                    expires_at=at + timedelta(days=options["days"]),
                    **by,
                )
        except (ValidationError, CommandError) as refused:
            if key_file is not None:
                key_file.unlink(missing_ok=True)
            if isinstance(refused, CommandError):
                raise
            raise CommandError(sentences(refused)) from None
        self.stdout.write(f"agent: {agent.name}")
        self.stdout.write(f"id: {agent.pk}")
        self.stdout.write(f"client_id: {credential.pk}")
        self.stdout.write(f"token_url: {settings.PORTAL_URL}/oauth/token")
        self.stdout.write(f"expires_at: {credential.expires_at.isoformat()}")
        if key_file is not None:
            self.stdout.write(f"private_key: {key_file}")


def _agent(options: dict[str, Any], *, tenant: Any, by: dict[str, Any]) -> Agent:
    """The agent of this name, new or (for a further lane or connection) as it is."""
    owner = None
    if options["owner"]:
        owner = User.objects.filter(email=options["owner"].strip().lower()).first()
        if owner is None:
            raise CommandError(f"There is no person with the address {options['owner']}.")
    agent = Agent.objects.filter(name=options["name"]).first()
    if agent is None:
        agent = Agent.admit(
            tenant=tenant, name=options["name"], lane_ceiling=options["lane"], owner=owner, **by
        )
    if options["model"]:
        name, colon, version = options["model"].partition(":")
        if not (name and colon and version):
            raise CommandError("--model takes NAME:VERSION.")
        AgentRelease.approve(
            agent=agent,
            version=f"{name} {version}"[:60],
            model_name=name,
            model_version=version,
            **by,
        )
    return agent


def _read(path: str) -> str:
    try:
        return Path(path).read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError):
        raise CommandError(f"{path} is not a readable PEM file.") from None


def _new_key_file(name: str, *, lane: str) -> Path:
    folder = Path(settings.KEY_DIR) / "agents"
    folder.mkdir(mode=0o700, exist_ok=True)
    safe = "".join(c if c.isalnum() and c.isascii() else "-" for c in name.lower())
    path = folder / f"{safe}-{lane}.pem"
    number = 2
    while path.exists():
        path = folder / f"{safe}-{lane}-{number}.pem"
        number += 1
    return path
