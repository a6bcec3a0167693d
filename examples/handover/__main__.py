"""`python -m examples.handover SHEET`: read a hand-over sheet, propose its lines, send them to the portal."""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from examples import portal_client as client
from examples.handover import composing, sheet

MISTAKES = (
    sheet.UnableToReadSheet,
    composing.NothingToPropose,
    client.PortalRefused,
    client.UnableToReachPortal,
    client.SettingsIncomplete,
)


def main(arguments: list[str] | None = None) -> int:
    """Exit code 0 if the sheet became a draft; a mistake is one plain sentence."""
    options = _options(arguments)
    try:
        settings = client.read_settings(options.settings)
        read = sheet.read(path=options.file)
        portal = None if options.dry_run else client.portal_of(settings)
        accepted = {*options.kinds} if portal is None else _accepted(portal, settings=settings)
        body, left_out = composing.compose(sheet=read, destination=settings, accepted=accepted)
        for sentence in left_out:
            print(sentence, file=sys.stderr)
        if portal is None:
            print(json.dumps(body, ensure_ascii=False, indent=2))
        else:
            print(client.send(portal=portal, body=body, wait=options.wait))
    except MISTAKES as mistake:
        print(mistake, file=sys.stderr)
        return 1
    return 0


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="examples.handover", description=__doc__)
    parser.add_argument("file", type=Path, help="a hand-over sheet: labelled lines of plain text")
    parser.add_argument("--settings", help="a JSON file, or - for standard input")
    parser.add_argument("--dry-run", action="store_true", help="print the proposal, send nothing")
    parser.add_argument(
        "--kinds",
        nargs="*",
        default=["allergy", "vitals", "medication", "task", "result", "order"],
        help="with --dry-run: what the connection would take",
    )
    parser.add_argument(
        "--wait", type=float, default=0, help="seconds to wait for the portal's checks"
    )
    return parser.parse_args(arguments)


def _accepted(portal: client.Portal, *, settings: dict[str, Any]) -> set[str]:
    """The kinds of which the connection takes new entries from this agent today."""
    for connection in portal.connections():
        if connection["connection"] == settings["connection"]:
            return {
                each["kind"]
                for each in connection["accepts"]
                if each["accepted"] and each["granted"] and each["interaction"] == "create"
            }
    raise client.PortalRefused(f"This agent has no connection named {settings['connection']}.")


if __name__ == "__main__":
    sys.exit(main())
