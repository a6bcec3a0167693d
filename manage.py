#!/usr/bin/env python
"""Django's command-line entry point."""

import os
import sys
from pathlib import Path

from intents.management import installation


def main() -> None:
    try:
        meant = installation.settings_for(
            arguments=sys.argv[1:], environment=os.environ, base=Path(__file__).resolve().parent
        )
    except installation.NothingInstalled as refusal:
        sys.exit(str(refusal))
    if meant:
        sys.stderr.write(f"On the demo in {meant['VAR_DIR']}.\n")
        os.environ.update(meant)
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "reviewportal.settings")
    from django.core.management import execute_from_command_line

    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
