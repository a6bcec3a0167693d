"""The main job from one side: the example agent reads a consultation and sends its draft to the demo."""

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from intents.management import example_agent
from intents.management.clinic import AGENT


class Command(BaseCommand):
    help = (
        "Draft the note of a consultation with the example agent and send it to the running demo."
    )
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--transcript", nargs="+", required=True, metavar="FILE",
            help="plain text, one or two Praat TextGrids, a CSV with a dialogue column, or a folder of them",
        )  # fmt: skip
        parser.add_argument("--row", help="the encounter_id of one row of the CSV")
        parser.add_argument("--json", action="store_true", help="print the whole proposal too")
        example_agent.add_destination(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        arguments = [str(Path(name).resolve()) for name in options["transcript"]]
        if options["row"] is not None:
            arguments += ["--row", options["row"]]
        if options["json"]:
            arguments.append("--json")
        if options["dry_run"]:
            arguments.append("--dry-run")
        arguments += ["--wait", str(options["wait"])]
        # A draft that is not sent can be made without a demo, too.
        offline = options["dry_run"] and not example_agent.state_file().exists()
        told = {} if offline else example_agent.told(options, agent=AGENT)
        example_agent.run(self, module="examples.scribe", arguments=arguments, told=told)
