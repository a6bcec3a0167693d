"""`hold_sending`: say that the database was restored or taken over, where the portal cannot notice it."""

from typing import Any

from django.core.management.base import BaseCommand, CommandParser
from django.utils import timezone

from intents.management.naming import OPERATOR
from intents.pipeline import dispatch


class Command(BaseCommand):
    help = (
        "Hold all sending for one quarantine after the database was restored or taken over: every change is "
        "looked for in its EHR before it is sent. Ends by itself."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--restored", action="store_true", required=True)

    def handle(self, *args: Any, **options: Any) -> None:
        held_for = dispatch.hold_as_restored(actor=OPERATOR, at=timezone.now())
        self.stdout.write(f"held: nothing is sent for {round(held_for.total_seconds())} s")
