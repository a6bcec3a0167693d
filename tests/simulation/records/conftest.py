"""A database and an EHR that each history empties for itself."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.test import TransactionTestCase
from django.utils import timezone

from tests.ehr_adapters.practice import SESSION_START, Practice
from tests.simulation.records.machine import Records, machine_for


@pytest.fixture
def machine(
    transactional_db: None, practice: Practice, settings: Any, tmp_path: Path
) -> Callable[[], type[Records]]:
    """Makes a machine; each of its histories begins with an empty log, database and EHR."""
    settings.DEMO_MODE = True
    settings.REQUIRE_MFA_TO_DECIDE = False
    # Long enough for a busy machine: an answer that is late for real is late beyond the simulated bounds.
    settings.EHR_TIMEOUT_SECONDS = 3.0
    # The secret of an agent is hashed for a second, which no history is about.
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    count = iter(range(10**9))

    def empty() -> None:
        TransactionTestCase()._fixture_teardown()  # type: ignore[attr-defined]  # Django's own, by its private name
        folder = tmp_path / str(next(count))
        settings.AUDIT_WITNESS_FILE = folder / "checkpoints.jsonl"
        # Attempts of a history that was emptied would read as a database that has forgotten them.
        settings.ATTEMPT_WITNESS_DIR = folder
        practice.reset(seed=True, everything=True, now=SESSION_START)
        # An EHR that does not know conditional creates: what is sent twice is there twice.
        practice.settings("generic", conditional_create="ignored")

    return lambda: machine_for(
        practice=practice,
        empty=empty,
        at=lambda: timezone.now().replace(microsecond=0) - timedelta(hours=1),
    )
