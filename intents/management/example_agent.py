"""Running one of the example agents against the demo: a program of its own, told by the demo's state file."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from intents.management.installation import demo_folder


def add_destination(parser: CommandParser) -> None:
    """Arguments that say who sends, and about whom to where."""
    parser.add_argument("--agent", help="name of the agent; the demo's own by default")
    parser.add_argument("--connection", help="name of the connection")
    parser.add_argument(
        "--patient", help="the EHR's id of the patient, or the practice's name for them (P1)"
    )
    parser.add_argument("--dry-run", action="store_true", help="draft, and send nothing")
    parser.add_argument(
        "--wait", type=float, default=10, help="seconds to wait for the portal's checks"
    )


def run(command: BaseCommand, *, module: str, arguments: list[str], told: dict[str, Any]) -> None:
    """The agent gets what it needs on standard input, not on a command line. Raises CommandError."""
    with subprocess.Popen(
        [sys.executable, "-m", module, *arguments, "--settings", "-"],
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
        command.stdout.write(line)
    lines = complained.strip().splitlines()
    if agent.returncode:
        # A traceback ends in its one telling line; a mistake is one sentence already.
        sentences = lines[-1:] if any(line.startswith("Traceback") for line in lines) else lines
        raise CommandError("\n".join(sentences) or "The agent ended without saying why.")
    for line in lines:
        command.stderr.write(line)


def state_file() -> Path:
    return demo_folder(environment=os.environ, base=settings.BASE_DIR) / "demo.json"


def told(options: dict[str, Any], *, agent: str) -> dict[str, Any]:
    """What an agent must know: where the portal is, who it is, whose chart this is about.

    `agent` is the name of the agent unless the options name another one. Raises CommandError.
    """
    path = state_file()
    try:
        state = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise CommandError(f"The demo has left no {path}. Start it with: make demo") from None
    except (OSError, ValueError):
        raise CommandError(f"{path} cannot be read. Start the demo again with: make demo") from None
    name = options["agent"] or agent
    known = state["agents"].get(name)
    if known is None:
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
        "token_url": known["token_url"],
        "client_id": known["client_id"],
        "key_file": known["key_file"],
        "connection": connection,
        "patient": identity,
        "encounter": patient.get("encounter") or None,
    }
