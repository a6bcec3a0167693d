"""The main job from one side: the example agent reads a consultation and sends its draft to the demo."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from intents.management.installation import demo_folder


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
        parser.add_argument("--agent", help="name of the agent; the demo's own by default")
        parser.add_argument("--connection", help="name of the connection")
        parser.add_argument(
            "--patient", help="the EHR's id of the patient, or the practice's name for them (P1)"
        )
        parser.add_argument("--json", action="store_true", help="print the whole proposal too")
        parser.add_argument("--dry-run", action="store_true", help="draft, and send nothing")
        parser.add_argument(
            "--wait", type=float, default=10, help="seconds to wait for the portal's checks"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        arguments = [str(Path(name).resolve()) for name in options["transcript"]]
        if options["row"] is not None:
            arguments += ["--row", options["row"]]
        if options["json"]:
            arguments.append("--json")
        if options["dry_run"]:
            arguments.append("--dry-run")
        arguments += ["--wait", str(options["wait"])]
        told = _told(options) if not options["dry_run"] or _state_file().exists() else {}
        self._run(arguments=arguments, told=told)

    def _run(self, *, arguments: list[str], told: dict[str, Any]) -> None:
        """The agent is a program of its own: it gets what it needs on standard input, not on a command line."""
        with subprocess.Popen(
            [sys.executable, "-m", "examples.scribe", *arguments, "--settings", "-"],
            cwd=settings.BASE_DIR,
            env={**os.environ, "PYTHONIOENCODING": "utf-8"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
        ) as agent:
            said, complained = agent.communicate(json.dumps(told))
        for line in said.splitlines():
            self.stdout.write(line)
        if agent.returncode:
            lines = complained.strip().splitlines()
            # A traceback ends in its one telling line; a mistake is one sentence already.
            sentences = lines[-1:] if any(line.startswith("Traceback") for line in lines) else lines
            raise CommandError("\n".join(sentences) or "The agent ended without saying why.")


def _state_file() -> Path:
    return demo_folder(environment=os.environ, base=settings.BASE_DIR) / "demo.json"


def _told(options: dict[str, Any]) -> dict[str, Any]:
    """What the agent must know: where the portal is, who it is, whose visit this was."""
    path = _state_file()
    try:
        state = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise CommandError(f"The demo has left no {path}. Start it with: make demo") from None
    except (OSError, ValueError):
        raise CommandError(f"{path} cannot be read. Start the demo again with: make demo") from None
    name = options["agent"] or state["default_agent"]
    agent = state["agents"].get(name)
    if agent is None:
        raise CommandError(
            f"The demo has no agent named {name}. It has: {', '.join(state['agents'])}."
        )
    connection = options["connection"] or state["default_connection"]
    # "epic" is as good a name for the demo's Epic connection as its own.
    connection = state["connections"].get(connection, connection)
    patients = state["patients"].get(connection)
    if patients is None:
        raise CommandError(
            f"The demo has no connection named {connection}. It has: {', '.join(state['patients'])}."
        )
    asked = options["patient"] or "P1"
    patient = next((one for one in patients if asked in {one["id"], one["logical"]}), None)
    if patient is None:
        raise CommandError(f"{connection} has no made-up patient {asked}.")
    identity = {
        field: patient[field]
        for field in ("id", "family", "birth_date", "given", "sex", "mrn")
        if patient.get(field)
    }
    return {
        "portal": os.environ.get("PORTAL_URL") or state["portal"],
        "token_url": agent["token_url"],
        "client_id": agent["client_id"],
        "key_file": agent["key_file"],
        "connection": connection,
        "patient": identity,
        "encounter": patient.get("encounter") or None,
    }
