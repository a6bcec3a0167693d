"""A clinic whose every part is a process of its own: set up, populated, and taken down again."""

import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from tests.chaos import pace
from tests.chaos.nursery import Member, Nursery
from tests.chaos.parts import BROKERS, DATABASES, Broker, Database, Ehr

if TYPE_CHECKING:
    from tests.factories import Clinic


@dataclass(slots=True)
class Scene:
    """Everything that a run may hurt, and the clinic that works on it."""

    folder: Path
    database: Database
    broker: Broker
    ehr: Ehr
    nursery: Nursery
    clinic: "Clinic"

    def staff(self, *roles: str, **order: object) -> list[Member]:
        return [self.nursery.bear(role, **order) for role in roles]


@contextmanager
def scene(
    *,
    database: str,
    broker: str,
    token_seconds: int = pace.TOKEN_LIFE,
    lease: timedelta = pace.LEASE,
) -> Iterator[Scene]:
    """Start the parts, migrate, furnish the clinic. This process becomes the clinic's web process.

    Once in a process: the settings are read from the environment when Django starts.
    """
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="chaos-")))
        folder.chmod(0o755)
        run = folder / "run"
        run.mkdir(mode=0o700)
        _configure({"VAR_DIR": str(folder), "XDG_RUNTIME_DIR": str(run)})
        under = DATABASES[database](folder)
        stack.callback(under.close)
        wakes = BROKERS[broker](folder)
        stack.callback(wakes.close)
        ehr = Ehr(folder, token_seconds=token_seconds)
        stack.callback(ehr.close)
        _configure({"DATABASE_URL": under.url, "CELERY_BROKER_URL": wakes.url})
        import django

        django.setup()
        from django.core.management import call_command
        from django.db import connections

        from reviewportal.celery import app

        pace.quicken(app, lease=lease)
        call_command("migrate", verbosity=0)
        under.prepare()
        clinic = _furnish(ehr)
        stack.callback(connections.close_all)
        stack.callback(clinic.close)
        nursery = Nursery({**os.environ, "CHAOS_LEASE": str(lease.total_seconds())})
        stack.callback(nursery.close)
        # From here on this thread's connections may be cut while it holds them.
        connections.close_all()
        yield Scene(folder, under, wakes, ehr, nursery, clinic)


def _configure(more: Mapping[str, str]) -> None:
    os.environ.update(
        {
            "DJANGO_SETTINGS_MODULE": "reviewportal.settings",
            "DEMO_MODE": "1",
            "TICK_SECONDS": str(pace.TICK_SECONDS),
            "LOG_LEVEL": "WARNING",
            "DISPATCH_THREADS": "2",
            "SQLITE_SYNCHRONOUS": "NORMAL",
            "EHR_REVIEW_READ_SECONDS": "5",
            **more,
        }
    )
    for name in (
        "KEY_DIR",
        "DATA_DIR",
        "AUDIT_WITNESS_FILE",
        "ATTEMPT_WITNESS_DIR",
        "TEST_POSTGRESQL_URL",
    ):
        os.environ.pop(name, None)


def _furnish(ehr: Ehr) -> "Clinic":
    from django.db import transaction
    from django.utils import timezone

    from intents.management.clinic import INSTALLATION
    from tests.factories import Clinic

    # Conditional creates that mean nothing: what is sent twice is filed twice.
    ehr.practice.settings("generic", conditional_create="ignored")
    clinic = Clinic(ehr.practice, at=timezone.now())
    bounds = {
        "token_life_seconds": pace.TOKEN_LIFE,
        "processing_bound_seconds": pace.PROCESSING_BOUND,
        "index_lag_seconds": pace.INDEX_LAG,
        "connect_timeout_seconds": 2.0,
        "read_timeout_seconds": pace.READ_TIMEOUT,
        "writes_at_once": pace.WRITES_AT_ONCE,
    }
    clinic.connection("epic")
    with transaction.atomic():
        clinic.tenant.change(actor=INSTALLATION, at=clinic.at, undo_seconds=0)
        for vendor in ("generic", "epic"):
            clinic.connection(vendor).change(actor=INSTALLATION, at=clinic.at, **bounds)
    return clinic
