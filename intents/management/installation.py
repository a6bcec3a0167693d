"""Which installation a command means. Pure but for a look at which files exist; imports no settings.

A demo is an installation in a folder of its own, while the settings' defaults name the folder around
it. Someone who runs the demo and then types `manage.py verify_audit` means the demo, and nothing else
is there to be meant.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

# Commands that act on an installation which is already there. `migrate` and the checks make or read
# the default one, and keep meaning it.
ON_AN_INSTALLATION = frozenset(
    {
        "add_agent",
        "add_connection",
        "add_person",
        "add_tenant",
        "kill",
        "probe_connection",
        "rotate_column_keys",
        "verify_audit",
    }
)
# Each of these says by itself which installation is meant.
_NAMING = ("VAR_DIR", "DATA_DIR", "KEY_DIR", "DATABASE_URL", "PORTAL_URL", "DEMO_MODE")
# An SQLite file in which nothing was made yet is at most one page long.
_ONE_PAGE = 4096


class NothingInstalled(Exception):
    """There is no installation that the command could act on."""


def demo_folder(*, environment: Mapping[str, str], base: Path) -> Path:
    """Where the demo keeps its data: `DEMO_DIR`, else `var/demo`."""
    return Path(environment.get("DEMO_DIR") or base / "var" / "demo").resolve()


def demo_environment(*, folder: Path, portal: str) -> dict[str, str]:
    """The settings of a demo in this folder, answering at this origin."""
    return {
        "DEMO_MODE": "1",
        "DEMO_DIR": str(folder),
        "VAR_DIR": str(folder),
        "PORTAL_URL": portal,
    }


def settings_for(
    *, arguments: Sequence[str], environment: Mapping[str, str], base: Path
) -> dict[str, str]:
    """Settings to add for this command line: the demo's where only a demo can be meant, else none.

    Raises `NothingInstalled` for a command that needs an installation where there is neither.
    """
    if not arguments or arguments[0] not in ON_AN_INSTALLATION:
        return {}
    if {"-h", "--help"} & set(arguments) or any(environment.get(name) for name in _NAMING):
        return {}
    if not environment.get("DEMO_DIR") and _has_content(base / "var" / "data" / "portal.sqlite3"):
        return {}
    folder = demo_folder(environment=environment, base=base)
    try:
        state = json.loads((folder / "demo.json").read_text(encoding="utf-8"))
        return demo_environment(folder=folder, portal=str(state["portal"]))
    except FileNotFoundError:
        raise NothingInstalled(
            "Nothing is installed here yet. Start the demo with: make demo. Or set DATABASE_URL and "
            "the other settings of README.md, and run: manage.py migrate"
        ) from None
    except (OSError, ValueError, KeyError, TypeError):
        raise NothingInstalled(
            f"{folder / 'demo.json'} cannot be read. Start the demo again with: make demo"
        ) from None


def _has_content(path: Path) -> bool:
    # What is not checkpointed yet stands beside the file.
    parts = (path, path.with_name(path.name + "-wal"))
    return any(part.exists() and part.stat().st_size > _ONE_PAGE for part in parts)
