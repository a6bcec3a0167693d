"""python -m ehr_adapters.sandbox --port 8001 --data DIR

Starts the practice EHRs on 127.0.0.1 and prints one JSON line, {"ready": true, "port": n}, when they
answer. SIGTERM and SIGINT end the process at once; what was answered is on disk. A port that is taken,
a folder that is in use, or a live deployment: one sentence on stderr and exit code 2.
"""

import argparse
import errno
import fcntl
import json
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import IO, NoReturn


def _stop(sentence: str) -> NoReturn:
    sys.stderr.write(sentence + "\n")
    sys.stderr.flush()
    sys.exit(2)


def _leave(_signal: int, _frame: object) -> None:
    os._exit(0)  # nothing is buffered: every answer was committed before it was sent


def _claim_folder(folder: Path) -> IO[str]:
    """The folder's lock, held as long as the process lives: faults and clocks assume one process."""
    folder.mkdir(parents=True, exist_ok=True)
    handle = (folder / "practice_ehr.lock").open("w")
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        _stop(f"Another practice EHR is using the folder {folder}.")
    return handle


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m ehr_adapters.sandbox", description="Practice EHRs on loopback."
    )
    parser.add_argument(
        "--port", type=int, default=8001, help="0 picks a free port; read it from the ready line"
    )
    parser.add_argument(
        "--data", type=Path, required=True, help="folder of the practice EHR's database"
    )
    parser.add_argument(
        "--token-seconds", type=int, default=5, help="life of an access token (default 5)"
    )
    options = parser.parse_args(argv)

    signal.signal(signal.SIGTERM, _leave)
    signal.signal(signal.SIGINT, _leave)
    # Assigned, not defaulted: the portal's demo exports its own settings module to its children.
    os.environ["DJANGO_SETTINGS_MODULE"] = "ehr_adapters.sandbox.settings"
    os.environ["PRACTICE_EHR_DIR"] = str(options.data)
    os.environ["PRACTICE_TOKEN_SECONDS"] = str(options.token_seconds)
    lock = _claim_folder(options.data)

    from django.core.exceptions import ImproperlyConfigured

    from ehr_adapters.sandbox.server import PracticeServer

    def no_app_yet(*_: object) -> list[bytes]:
        return []

    def close_connections() -> None:
        from django.db import connections

        connections.close_all()

    try:
        server = PracticeServer(port=options.port, app=no_app_yet, on_thread_end=close_connections)
    except OSError as error:
        reason = "is already in use" if error.errno == errno.EADDRINUSE else "cannot be opened"
        _stop(f"Port {options.port} on 127.0.0.1 {reason}. Choose another with --port.")
    try:
        from django.core.checks import run_checks
        from django.core.management import call_command
        from django.core.wsgi import get_wsgi_application

        server.app = get_wsgi_application()
        if problems := run_checks():
            _stop(" ".join(str(problem) for problem in problems))
        call_command("migrate", verbosity=0, interactive=False)
    except ImproperlyConfigured as error:
        _stop(str(error))

    sys.stdout.write(json.dumps({"ready": True, "port": server.server_address[1]}) + "\n")
    sys.stdout.flush()
    with lock:
        server.serve_forever()


if __name__ == "__main__":
    main()
