"""What must hold before anything runs: connections that can be spoken to, rules that can be asked,
tasks that exist, keys apart.

Every command asks, and `reviewportal` has web servers and workers ask before they start. What reads
connections is silent where there is no table of them yet; to `migrate`, which names its databases and
has to run on a portal that is set up wrongly too, the same findings are warnings.
"""

from collections.abc import Iterator, Sequence
from importlib import import_module
from pathlib import Path
from typing import TypeVar

from celery import current_app
from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register  # noqa: A004 - Django's name
from django.db import OperationalError, ProgrammingError, connection
from django.db.models import Model, QuerySet

from intents.governance.models import EhrConnection, Environment, PolicyVersion
from intents.governance.models.connection import is_loopback
from intents.pipeline import gateway, outbox, policy

_Record = TypeVar("_Record", bound=Model)

# For `manage.py check --tag connections` and `--tag rules`.
CONNECTIONS = "connections"
RULES = "rules"


def install() -> None:
    """Have Django ask, with every command; what only a deployment can get wrong, with --deploy."""
    register(check_connections, CONNECTIONS)
    register(check_rules, RULES)
    register(check_tasks)
    register(check_keys_lie_apart, Tags.security, deploy=True)


# --- connections ---------------------------------------------------------------------------------


def check_connections(*, databases: Sequence[str] | None = None, **_: object) -> list[CheckMessage]:
    """intents.E001 to E004 for each connection that must not be used as it is stored."""
    kind, letter = (Warning, "W") if databases else (Error, "E")
    return [
        kind(
            f"Connection {each.name} of tenant {each.tenant_id}: {sentence}",
            hint=hint,
            id=f"intents.{letter}{number:03}",
        )
        for each in _connections()
        for number, sentence, hint in _wrong_with(each)
    ]


def _connections() -> list[EhrConnection]:
    """Every tenant's."""
    return _stored(
        EhrConnection.unscoped.only(
            "tenant", "name", "kind", "settings", "environment", "base_url", "token_url"
        ).order_by("tenant", "name")
    )


def _stored(rows: QuerySet[_Record]) -> list[_Record]:
    """The rows; none where there is no database or no such table yet."""
    try:
        if rows.model._meta.db_table not in connection.introspection.table_names():
            return []
        return list(rows)
    except (OperationalError, ProgrammingError):
        # A server that does not answer, or a table before its migration. Whoever needs it will say so.
        return []


def _wrong_with(each: EhrConnection) -> Iterator[tuple[int, str, str]]:
    """(number, sentence, what to do)."""
    if each.kind in gateway.kinds():
        for pointer, sentence in gateway.check_settings(kind=each.kind, settings=each.settings):
            yield (
                2,
                f"setting {pointer or '(all)'}: {sentence}",
                "Correct its settings in the admin.",
            )
    else:
        yield (
            1,
            f"there is no adapter of kind {each.kind}.",
            f"This version speaks {', '.join(gateway.kinds())}.",
        )
    addresses = [address for address in (each.base_url, each.token_url) if address]
    practice = each.environment == Environment.SANDBOX and all(map(is_loopback, addresses))
    if each.environment != Environment.SANDBOX and not all(
        address.startswith("https://") for address in addresses
    ):
        yield 3, "a test or live EHR is reached over https only.", "Correct its addresses."
    if settings.DEMO_MODE and not practice:
        yield (
            4,
            "the demo reaches practice EHRs on this machine only.",
            "Switch DEMO_MODE off, or use a database without real connections.",
        )


# --- rules ---------------------------------------------------------------------------------------


def check_rules(**_: object) -> list[CheckMessage]:
    """intents.W007 for rules in force that this version cannot ask: every change would be blocked.

    No more than a warning, because blocking is the safe side and reading and review go on.
    """
    return [
        Warning(
            f"The rules of {f'tenant {each.tenant_id}' if each.tenant_id else 'all tenants'}, version "
            f"{each.version}, block every change: {' '.join(problems)}",
            hint="Put rules in force that fit this version's schema.",
            id="intents.W007",
        )
        for each in _stored(
            PolicyVersion.objects.filter(active_until__isnull=True).only(
                "tenant", "version", "content", "schema"
            )
        )
        if (problems := policy.check_policy(policy_text=each.content, schema_text=each.schema))
    ]


# --- tasks ---------------------------------------------------------------------------------------


def check_tasks(**_: object) -> list[CheckMessage]:
    """intents.E005 for each task that a stage wakes or the schedule starts and no worker knows."""
    import_module("intents.tasks")
    scheduled = {entry["task"] for entry in settings.CELERY_BEAT_SCHEDULE.values()}
    unknown = (set(outbox.TASKS.values()) | scheduled) - set(current_app.tasks)
    return [
        Error(
            f"No worker knows the task {name}, which a stage wakes or the schedule starts.",
            hint="The names in outbox/waking.py, settings.py and tasks.py are the same.",
            id="intents.E005",
        )
        for name in sorted(unknown)
    ]


# --- keys ----------------------------------------------------------------------------------------


def check_keys_lie_apart(**_: object) -> list[CheckMessage]:
    """intents.E006 where a copy of the database's folder would take the keys along."""
    database = settings.DATABASES["default"]
    if not database["ENGINE"].endswith("sqlite3"):
        return []
    folder = Path(database["NAME"]).resolve().parent
    if not Path(settings.KEY_DIR).resolve().is_relative_to(folder):
        return []
    return [
        Error(
            "KEY_DIR lies in the database's folder: whoever copies the folder can read the chart.",
            hint="Set KEY_DIR to a folder elsewhere.",
            id="intents.E006",
        )
    ]
