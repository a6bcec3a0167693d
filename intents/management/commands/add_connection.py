"""`add_connection`: a tenant's connection to one EHR, refused where the administration would refuse it."""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import transaction
from django.utils import timezone

from intents.governance.models import EhrConnection
from intents.governance.tenancy import tenant_context
from intents.management.naming import OPERATOR, find_tenant, sentences
from intents.pipeline import gateway


class Command(BaseCommand):
    help = "Add a connection to an EHR, and print its id."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--tenant", required=True, help="name or id of the workspace")
        parser.add_argument("--kind", required=True, help=f"one of {', '.join(gateway.kinds())}")
        parser.add_argument("--name", required=True, help="what agents call it")
        parser.add_argument("--title", default="", help="what people call it")
        parser.add_argument("--base-url", required=True)
        parser.add_argument(
            "--environment", default="sandbox", type=str.lower, choices=["sandbox", "test", "live"]
        )
        parser.add_argument("--token-url", default="")
        parser.add_argument("--client-id", default="")
        parser.add_argument(
            "--key", default="", help="private key: a file, or the name of one in the key folder"
        )
        parser.add_argument("--alg", default="ES384", choices=["ES384", "RS384"])
        parser.add_argument("--time-zone", default="UTC")
        parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", dest="pairs")

    def handle(self, *args: Any, **options: Any) -> None:
        tenant = find_tenant(options["tenant"])
        kind = options["kind"]
        if kind not in gateway.kinds():
            raise CommandError(f"{kind} is not one of {', '.join(gateway.kinds())}.")
        own_settings = dict(_pair(text) for text in options["pairs"])
        wrong = gateway.check_settings(kind=kind, settings=own_settings)
        if wrong:
            raise CommandError(" ".join(f"{pointer}: {sentence}" for pointer, sentence in wrong))
        if settings.DEMO_MODE and options["environment"] != "sandbox":
            raise CommandError("The demo reaches practice EHRs only.")
        key = _find_key(options["key"], connection=options["name"]) if options["key"] else None
        try:
            with tenant_context(tenant.pk), transaction.atomic():
                connection = EhrConnection.add(
                    tenant=tenant,
                    name=options["name"],
                    title=options["title"],
                    kind=kind,
                    base_url=options["base_url"],
                    environment=options["environment"],
                    token_url=options["token_url"],
                    client_id=options["client_id"],
                    alg=options["alg"],
                    time_zone=options["time_zone"],
                    settings=own_settings,
                    credential_ref=key.name if key else "",
                    actor=OPERATOR,
                    at=timezone.now(),
                )
                if key:
                    key.keep()
        except ValidationError as refused:
            raise CommandError(sentences(refused)) from None
        self.stdout.write(f"connection: {connection.name} ({connection.kind})")
        self.stdout.write(f"id: {connection.pk}")


def _pair(text: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise CommandError(f"--set takes KEY=VALUE, not {text}.")
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value


@dataclass(frozen=True, slots=True)
class _Key:
    """A private key on its way into the key folder, or there already."""

    name: str
    source: Path | None = None

    def keep(self) -> None:
        if self.source is not None:
            target = Path(settings.KEY_DIR) / self.name
            shutil.copyfile(self.source, target)
            target.chmod(0o600)


def _find_key(given: str, *, connection: str) -> _Key:
    folder = Path(settings.KEY_DIR)
    if "/" not in given and (folder / given).is_file():
        return _Key(given)
    source = Path(given)
    if not source.is_file():
        raise CommandError(f"There is no key file {given}.")
    if source.resolve().parent == folder.resolve():
        return _Key(source.name)
    name = f"{connection}{source.suffix or '.pem'}"
    if (folder / name).exists():
        raise CommandError(f"The key folder holds {name} already; name that one.")
    return _Key(name, source)
