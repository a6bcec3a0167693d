"""The system check that refuses to run where the border between tenants is open."""

from collections.abc import Sequence

from django.core.checks import CheckMessage, Error, Warning  # noqa: A004 - Django's name
from django.db import OperationalError

from intents.governance import tenant_guards


def check_tenant_guards(
    *, databases: Sequence[str] | None = None, **_: object
) -> list[CheckMessage]:
    """governance.E001 for each unguarded reference; a warning where `migrate` is about to add it."""
    try:
        missing = tenant_guards.missing_guards()
    except OperationalError:
        return []
    if not missing:
        return []
    kind, number = (Warning, "governance.W001") if databases else (Error, "governance.E001")
    return [
        kind(
            f"Guards between tenants are missing or altered: {'; '.join(missing)}.",
            hint="`manage.py migrate` installs them again.",
            id=number,
        )
    ]
