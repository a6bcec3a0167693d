"""What every test may use: a fixed moment, no sockets but loopback, triggers that survive a flush."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from django.db import connection as default_connection
from django.db import connections, transaction
from django.test import TransactionTestCase

from tests.ehr_adapters.practice import fresh_practice, practice  # noqa: F401  fixtures
from tests.ehr_adapters.strangers import strangers  # noqa: F401  fixture
from tests.factories import clinic  # noqa: F401  fixture

# A weekday morning in the practice; tests move time by passing another moment, never by waiting.
NOW = datetime(2026, 11, 20, 15, 0, tzinfo=UTC)

# Made once by migrate, and needed by every test.
_KEPT = {"django_migrations", "django_content_type", "auth_permission", "sqlite_sequence"}


def _empty_tables(self: TransactionTestCase) -> None:
    """Empty what a transactional test left behind.

    Django's own flush empties every table and runs post_migrate again: seconds a test with insert-only
    triggers on most tables. This empties the tables that hold rows, and is the only place that takes
    triggers away; each is put back as it was.
    """
    for alias in self._databases_names(include_mirrors=False):
        connection = connections[alias]
        tables = set(connection.introspection.table_names()) - _KEPT
        with connection.cursor() as cursor:
            quoted = {table: connection.ops.quote_name(table) for table in tables}
            full = []
            names = sorted(quoted)
            # SQLite takes 500 parts of a compound at most; PostgreSQL any number.
            for start in range(0, len(names), 200):
                question = " UNION ALL ".join(
                    f"SELECT '{t}' WHERE EXISTS (SELECT 1 FROM {quoted[t]})"
                    for t in names[start : start + 200]
                )
                cursor.execute(question)
                full += [row[0] for row in cursor.fetchall()]
            if full:
                empty = _empty_sqlite if connection.vendor == "sqlite" else _empty_postgresql
                empty(connection, cursor, full)


def _empty_sqlite(connection: Any, cursor: Any, tables: list[str]) -> None:
    marks = ", ".join(["%s"] * len(tables))
    with connection.constraint_checks_disabled(), transaction.atomic(using=connection.alias):
        cursor.execute(
            f"SELECT name, sql FROM sqlite_master WHERE type = 'trigger' AND tbl_name IN ({marks})",
            tables,
        )
        triggers = cursor.fetchall()
        for name, _ in triggers:
            cursor.execute(f"DROP TRIGGER {connection.ops.quote_name(name)}")
        for table in tables:
            cursor.execute(f"DELETE FROM {connection.ops.quote_name(table)}")
        for _, sql in triggers:
            connection.connection.execute(sql)


def _empty_postgresql(connection: Any, cursor: Any, tables: list[str]) -> None:
    quote = connection.ops.quote_name
    cursor.execute(
        "SELECT c.relname, t.tgname FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid "
        "WHERE NOT t.tgisinternal AND t.tgenabled = 'A' AND c.relname = ANY(%s)",
        [tables],
    )
    always = cursor.fetchall()
    with transaction.atomic(using=connection.alias):
        # Foreign keys are triggers too: as a replica, rows go in any order. Those that are enabled
        # always would still refuse.
        cursor.execute("SET LOCAL session_replication_role = replica")
        for table, trigger in always:
            cursor.execute(f"ALTER TABLE {quote(table)} DISABLE TRIGGER {quote(trigger)}")
        for table in tables:
            cursor.execute(f"DELETE FROM {quote(table)}")
        for table, trigger in always:
            cursor.execute(f"ALTER TABLE {quote(table)} ENABLE ALWAYS TRIGGER {quote(trigger)}")


TransactionTestCase._fixture_teardown = _empty_tables  # type: ignore[method-assign]  # in place of Django's own


@pytest.fixture
def now() -> datetime:
    return NOW


@pytest.fixture(autouse=True)
def _witness_of_its_own(settings: Any, tmp_path: Path) -> None:
    """Each test starts with an empty log; a witness that remembers another one would stop it."""
    settings.AUDIT_WITNESS_FILE = tmp_path / "witness" / "checkpoints.jsonl"


@pytest.fixture(autouse=True, scope="session")
def _witness_of_attempts(tmp_path_factory: pytest.TempPathFactory) -> None:
    from django.conf import settings

    settings.ATTEMPT_WITNESS_DIR = tmp_path_factory.mktemp("attempts")


@pytest.fixture(autouse=True)
def _loopback_only(request: pytest.FixtureRequest) -> Iterator[None]:
    from pytest_socket import enable_socket, socket_allow_hosts

    socket_allow_hosts(["127.0.0.1", "::1", "localhost"], allow_unix_socket=True)
    yield
    enable_socket()


def pytest_collection_modifyitems(config: Any, items: list[Any]) -> None:
    """Leave out what is about the other database; browser journeys and real workers last, so that
    what is cheap fails first."""
    left_out = [
        item
        for item in items
        if (only := item.get_closest_marker("only")) and only.args[0] != default_connection.vendor
    ]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in set(left_out)]
    items.sort(
        key=lambda item: (
            bool(item.get_closest_marker("browser")) * 2 + bool(item.get_closest_marker("celery"))
        )
    )
