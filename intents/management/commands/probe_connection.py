"""`probe_connection`: ask one EHR what it admits today, and print how that differs from what is declared."""

from collections.abc import Iterator
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from ehr_adapters.capabilities import Capability
from ehr_adapters.errors import AdapterError, AdapterMisconfigured
from intents.governance.tenancy import tenant_context
from intents.management.naming import OPERATOR, find_connection, find_tenant
from intents.pipeline import gateway
from intents.pipeline.gateway import Probed

_WEAKER = ("finality", "version_check", "conditional_create", "find", "retry")


class Command(BaseCommand):
    help = (
        "Ask one EHR what it admits, by reading alone; print what is declared and what was found."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name", help="name or id of the connection")
        parser.add_argument("--tenant", default="", help="name or id of the workspace")
        parser.add_argument(
            "--try-on",
            default="",
            metavar="PATIENT",
            help="id of a patient for tests: tries by writing to it what the EHR really does",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        tenant = find_tenant(options["tenant"]) if options["tenant"] else None
        connection = find_connection(options["name"], tenant=tenant)
        if options["try_on"] and connection.environment == "LIVE":
            raise CommandError("Nothing is tried by writing on a live connection.")
        with tenant_context(connection.tenant_id):
            try:
                if options["try_on"]:
                    for sentence in gateway.try_on(
                        connection_id=connection.pk,
                        patient=options["try_on"],
                        actor=OPERATOR,
                        at=timezone.now(),
                    ):
                        self.stdout.write(f"tried: {sentence}")
                probed = gateway.probe(
                    connection_id=connection.pk, actor=OPERATOR, at=timezone.now()
                )
            except (AdapterError, AdapterMisconfigured) as refused:
                raise CommandError(
                    f"{connection.name} could not be asked ({type(refused).__name__}); "
                    "what was found before stays in force."
                ) from None
        for line in _lines(connection.name, probed):
            self.stdout.write(line)


def _lines(name: str, probed: Probed) -> Iterator[str]:
    offered = [c for c in probed.declared if c.supported]
    held = [c for c in offered if probed.found.may(c.kind, c.interaction)]
    yield f"{name}: {len(offered)} declared, {len(held)} found"
    for sentence in probed.found.evidence:
        yield f"asked: {sentence}"
    for capability in offered:
        found = probed.found.lookup(capability.kind, capability.interaction)
        yield from _difference(capability, found)
    takes = "taken" if probed.found.provenance else "not taken"
    if probed.declared.provenance:
        yield f"FHIR Provenance: {takes}"
    for what, names in (("withdrawn", probed.withdrawn), ("offered again", probed.restored)):
        if names:
            yield f"new since the last look, {what}: {', '.join(names)}"


def _difference(declared: Capability, found: Capability | None) -> Iterator[str]:
    what = f"{declared.kind} {declared.interaction}"
    if found is None or not found.supported:
        yield f"not offered: {what}. {found.sentence if found else ''}".rstrip()
        return
    weaker = [
        f"{attribute} {_word(getattr(declared, attribute))} -> {_word(getattr(found, attribute))}"
        for attribute in _WEAKER
        if getattr(declared, attribute) != getattr(found, attribute)
    ]
    if weaker:
        yield f"weaker: {what}: {', '.join(weaker)}"


def _word(value: Any) -> str:
    return {True: "yes", False: "no"}.get(value, "") if isinstance(value, bool) else str(value)
