"""The system check that refuses to run where records could be changed."""

from collections.abc import Sequence

from django.core.checks import CheckMessage, Error, Warning  # noqa: A004 - Django's name
from django.db import OperationalError

from audit import insert_only


def check_triggers(*, databases: Sequence[str] | None = None, **_: object) -> list[CheckMessage]:
    """audit.E001 for each insert-only table that could be changed; silent before the first migrate.

    `migrate` names the databases that it is about to work on. It puts the triggers back, so there
    the same finding is the warning audit.W001 and does not stop it.
    """
    try:
        missing = insert_only.missing_triggers()
    except OperationalError:
        # Without a database there is no record to change; whoever needs one will say so.
        return []
    if not missing:
        return []
    kind, number = (Warning, "audit.W001") if databases else (Error, "audit.E001")
    return [
        kind(
            f"Insert-only triggers are missing or altered: {'; '.join(missing)}.",
            hint="Find out who removed them; `manage.py migrate` installs them again.",
            id=number,
        )
    ]
