"""A second example agent: each line of a hand-over sheet becomes a proposed change in the demo."""

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from intents.management import example_agent
from intents.management.clinic import CLERK


class Command(BaseCommand):
    help = "Propose the lines of a hand-over sheet with the second example agent."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--sheet", required=True, metavar="FILE", help="labelled lines of text")
        example_agent.add_destination(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        arguments = [str(Path(options["sheet"]).resolve()), "--wait", str(options["wait"])]
        if options["dry_run"]:
            arguments.append("--dry-run")
        offline = options["dry_run"] and not example_agent.state_file().exists()
        told = {} if offline else example_agent.told(options, agent=CLERK)
        example_agent.run(self, module="examples.handover", arguments=arguments, told=told)
