"""The part that needs the server's own settings: tables, a furnished workspace, the price of a commit."""

import json
import sys
from pathlib import Path

import django


def main(folder: Path) -> None:
    django.setup()
    from django.core.management import call_command

    from tests.bench import intake

    call_command("migrate", run_syncdb=True, verbosity=0)
    client_id, key_file, body, statements = intake._furnish(folder)
    print(
        json.dumps(
            {
                "client_id": client_id,
                "key_file": str(key_file),
                "body": body,
                "statements": statements,
                "flush_ms": intake._flush_milliseconds(),
            }
        )
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]))
