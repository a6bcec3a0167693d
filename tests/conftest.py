"""What every test may use: a fixed moment, no sockets but loopback, triggers that survive a flush."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from django.test import TransactionTestCase

from audit import insert_only
from tests.ehr_adapters.practice import fresh_practice, practice  # noqa: F401  fixtures
from tests.factories import clinic  # noqa: F401  fixture

# A weekday morning in the practice; tests move time by passing another moment, never by waiting.
NOW = datetime(2026, 11, 20, 15, 0, tzinfo=UTC)

_flush = TransactionTestCase._fixture_teardown


def _teardown(self: TransactionTestCase) -> None:
    # The flush between transactional tests empties tables that refuse to be emptied. It emits
    # post_migrate, which installs the triggers again. Nothing else may drop them.
    insert_only.uninstall()
    _flush(self)


TransactionTestCase._fixture_teardown = _teardown  # type: ignore[method-assign]


@pytest.fixture
def now() -> datetime:
    return NOW


@pytest.fixture(autouse=True)
def _witness_of_its_own(settings: Any, tmp_path: Path) -> None:
    """Each test starts with an empty log; a witness that remembers another one would stop it."""
    settings.AUDIT_WITNESS_FILE = tmp_path / "witness" / "checkpoints.jsonl"


@pytest.fixture(autouse=True)
def _loopback_only(request: pytest.FixtureRequest) -> Iterator[None]:
    from pytest_socket import enable_socket, socket_allow_hosts

    socket_allow_hosts(["127.0.0.1", "::1", "localhost"], allow_unix_socket=True)
    yield
    enable_socket()


def pytest_collection_modifyitems(config: Any, items: list[Any]) -> None:
    """Browser journeys and real workers last: what is cheap fails first."""
    items.sort(
        key=lambda item: (
            bool(item.get_closest_marker("browser")) * 2 + bool(item.get_closest_marker("celery"))
        )
    )
