"""`kill --engage`: stop writing from the command line. Releasing needs two people, in the portal."""

from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from ehr_adapters.canonical.base import all_kinds
from intents.governance import switches
from intents.governance.models import KillSwitch, SwitchTarget
from intents.lifecycle import IN_FLIGHT
from intents.management.naming import (
    OPERATOR,
    find_agent,
    find_connection,
    find_tenant,
    sentences,
)
from intents.models import Intent


class Command(BaseCommand):
    help = "Stop writing; reading and review go on. Two people release it in the portal."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--engage", action="store_true", required=True)
        parser.add_argument("--reason", required=True, help="shown to reviewers")
        parser.add_argument("--tenant", help="the whole workspace, or where the target is")
        target = parser.add_mutually_exclusive_group()
        target.add_argument("--connection")
        target.add_argument("--agent")
        target.add_argument("--kind", choices=all_kinds())
        target.add_argument("--deployment", action="store_true")

    def handle(self, *args: Any, **options: Any) -> None:
        tenant = find_tenant(options["tenant"]) if options["tenant"] else None
        columns: dict[str, Any]
        if options["deployment"]:
            if tenant is not None:
                raise CommandError("--deployment stops every workspace: leave --tenant out.")
            columns = {"target": SwitchTarget.DEPLOYMENT}
        elif options["connection"]:
            connection = find_connection(options["connection"], tenant=tenant)
            columns = {"target": SwitchTarget.CONNECTION, "connection": connection}
        elif options["agent"]:
            agent = find_agent(options["agent"], tenant=tenant)
            columns = {"target": SwitchTarget.AGENT, "agent": agent}
        elif options["kind"]:
            columns = {
                "target": SwitchTarget.KIND,
                "change_kind": options["kind"],
                "tenant": tenant,
            }
        elif tenant is not None:
            columns = {"target": SwitchTarget.TENANT, "tenant": tenant}
        else:
            raise CommandError(
                "Say what to stop: --connection, --agent, --kind, --tenant or --deployment."
            )
        try:
            switch = switches.engage(
                reason=options["reason"], actor=OPERATOR, at=timezone.now(), **columns
            )
        except ValidationError as refused:
            raise CommandError(sentences(refused)) from None
        named = next((str(value) for key, value in columns.items() if key != "target"), "")
        self.stdout.write(f"stopped: {switch.get_target_display().lower()} {named}".rstrip())
        self.stdout.write(f"id: {switch.pk}")
        self.stdout.write(
            f"{_in_flight(switch)} changes are approved or being sent; what had left before this "
            "moment may still arrive."
        )


def _in_flight(switch: KillSwitch) -> int:
    rows = Intent.unscoped.filter(state__in=IN_FLIGHT)
    if switch.tenant_id:
        rows = rows.filter(tenant=switch.tenant_id)
    if switch.connection_id:
        rows = rows.filter(connection=switch.connection_id)
    if switch.agent_id:
        rows = rows.filter(proposal__agent=switch.agent_id)
    if switch.change_kind:
        rows = rows.filter(change_kind=switch.change_kind)
    return rows.count()
