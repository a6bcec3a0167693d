"""A day at the made-up clinic, with both practice EHRs behind it."""

from types import SimpleNamespace
from typing import Any

import pytest
from django.utils import timezone

from tests.factories import Clinic, clinic  # noqa: F401  fixture
from tests.journeys.day import Clock, Day


@pytest.fixture(autouse=True)
def _patient_readings(settings: Any) -> None:
    """A machine under load answers late; no journey but those about silence is about that."""
    settings.EHR_REVIEW_READ_SECONDS = 10.0


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The clock that every page and every record asks for the moment."""
    moving = Clock(timezone.now)
    monkeypatch.setattr(timezone, "now", moving.now)
    # The sign-in library notes when somebody signed in by the machine's clock.
    monkeypatch.setattr(
        "allauth.account.internal.flows.login.time",
        SimpleNamespace(time=lambda: moving.now().timestamp()),
    )
    return moving


@pytest.fixture
def day(clinic: Clinic, clock: Clock) -> Day:  # noqa: F811
    return Day(clinic, clock)
