"""`python -m examples.scribe FILE [FILE]`: read a consultation, draft its note, send it to the portal.

Settings come as JSON from a file or from standard input (`--settings -`): portal, token_url, client_id,
key_file, connection, patient (id, family, birth_date, given, sex, mrn) and encounter.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from examples import portal_client as client
from examples.scribe import composing, transcript

MISTAKES = (
    transcript.UnableToReadConsultation,
    composing.NothingToDraft,
    client.PortalRefused,
    client.UnableToReachPortal,
    client.SettingsIncomplete,
)


def main(arguments: list[str] | None = None) -> int:
    """Exit code 0 if every consultation became a draft; each mistake is one plain sentence."""
    options = _options(arguments)
    try:
        settings = client.read_settings(options.settings)
        consultations = _consultations(options.files, options.row)
        portal = None if options.dry_run else client.portal_of(settings)
        taken = None if portal is None else _destination(portal=portal, settings=settings)
    except MISTAKES as mistake:
        print(mistake, file=sys.stderr)
        return 1
    several = len(consultations) > 1
    made = 0
    for read in consultations:
        try:
            for consultation in read():
                several = several or made > 0
                body = composing.compose(
                    transcript=consultation,
                    destination=settings,
                    accepts_problems=taken is None or taken["problems"],
                    provisional=taken is not None and taken["provisional"],
                )
                if options.json:
                    print(json.dumps(body, ensure_ascii=False), flush=True)
                elif portal is None:
                    print(composing.as_text(body), flush=True)
                if portal is not None:
                    print(client.send(portal=portal, body=body, wait=options.wait), flush=True)
                made += 1
        except MISTAKES as mistake:
            print(mistake, file=sys.stderr)
            if not several:
                return 1
            options.failed = True
    if several or made > 1:
        print(f"{made} drafts", flush=True)
    return 1 if options.failed else 0


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="examples.scribe", description=__doc__)
    parser.add_argument(
        "files",
        nargs="+",
        type=Path,
        help="a text, one or two TextGrids, a CSV, or a folder of them",
    )
    parser.add_argument("--row", help="the encounter_id of a row of the CSV; without it, every row")
    parser.add_argument("--settings", help="a JSON file, or - for standard input")
    parser.add_argument("--dry-run", action="store_true", help="draft, and send nothing")
    parser.add_argument("--json", action="store_true", help="print the whole proposal")
    parser.add_argument(
        "--wait", type=float, default=0, help="seconds to wait for the portal's checks"
    )
    parser.set_defaults(failed=False)
    return parser.parse_args(arguments)


def _consultations(files: list[Path], row: str | None) -> list[Any]:
    """One reader for each consultation; a file that is not there is said at once."""
    for path in files:
        if not path.exists():
            raise transcript.UnableToReadConsultation(f"There is no file {path}.")
    if len(files) == 1 and files[0].is_dir():
        groups = transcript.in_folder(folder=files[0])
    else:
        groups = [files]
    return [lambda group=group: transcript.read(paths=group, row=row) for group in groups]


def _destination(*, portal: client.Portal, settings: dict[str, Any]) -> dict[str, bool]:
    """Whether the connection takes notes and problems today, and as what."""
    portal.schema("note")
    for connection in portal.connections():
        if connection["connection"] == settings["connection"]:
            accepted = {
                (a["kind"], a["interaction"]): a
                for a in connection["accepts"]
                if a["accepted"] and a["granted"]
            }
            if ("note", "create") not in accepted:
                raise client.PortalRefused(
                    f"The connection {settings['connection']} takes no new notes from this agent today."
                )
            problem = accepted.get(("problem", "create"))
            # Where a new problem only waits for somebody to accept it, it is provisional until then.
            return {
                "problems": problem is not None,
                "provisional": problem is not None and problem["finality"].lower() == "staged",
            }
    raise client.PortalRefused(f"This agent has no connection named {settings['connection']}.")


if __name__ == "__main__":
    sys.exit(main())
