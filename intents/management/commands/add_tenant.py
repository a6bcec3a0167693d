"""`add_tenant --name T`: a workspace with the starter policy."""

from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from intents.governance.opening import open_workspace
from intents.management.naming import OPERATOR, sentences


class Command(BaseCommand):
    help = "Open a workspace with the starter policy, and print its id."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--name", required=True)
        parser.add_argument("--time-zone", default="UTC", help="such as America/Chicago")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            tenant = open_workspace(
                name=options["name"],
                time_zone=options["time_zone"],
                actor=OPERATOR,
                at=timezone.now(),
            )
        except ValidationError as refused:
            raise CommandError(sentences(refused)) from None
        self.stdout.write(f"workspace: {tenant.name}")
        self.stdout.write(f"id: {tenant.pk}")
