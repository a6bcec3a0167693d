"""What operators ask: is it up, is it ready and if not why, how much waits where."""

from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from audit import insert_only
from intents.models import Heartbeat

pytestmark = pytest.mark.django_db(transaction=True)


def beat(*names: str, ago: float = 0) -> None:
    for name in names:
        Heartbeat.beat(name, at=timezone.now() - timedelta(seconds=ago))


def test_the_process_answers():
    assert Client().get("/healthz").content == b"ok\n"


def test_it_is_ready_when_every_part_is_there():
    beat("worker", "sequencer")
    answer = Client().get("/readyz")
    assert answer.status_code == 200
    assert set(answer.json()["checks"].values()) == {"ok"}


@pytest.mark.parametrize("part", ["worker", "sequencer"])
def test_a_part_that_was_not_seen_for_a_minute_is_named(part):
    beat("worker", "sequencer")
    beat(part, ago=61)
    answer = Client().get("/readyz")
    assert answer.status_code == 503
    checks = answer.json()["checks"]
    assert checks.pop(part) == "not seen for 60 s"
    assert set(checks.values()) == {"ok"}


def test_a_missing_trigger_is_named():
    beat("worker", "sequencer")
    insert_only.uninstall()
    try:
        answer = Client().get("/readyz")
        assert answer.status_code == 503
        assert "insert-only triggers are missing" in answer.json()["checks"]["insert_only"]
    finally:
        insert_only.install()
    assert Client().get("/readyz").status_code == 200


def test_metrics_are_read_from_loopback_or_with_the_token(settings):
    assert Client().get("/metrics").status_code == 200
    assert Client(REMOTE_ADDR="192.0.2.7").get("/metrics").status_code == 403
    settings.METRICS_TOKEN = "made-up-token"
    assert Client().get("/metrics").status_code == 403
    assert (
        Client(REMOTE_ADDR="192.0.2.7")
        .get("/metrics", headers={"Authorization": "Bearer made-up-token"})
        .status_code
        == 200
    )


@pytest.mark.req("003-50")
def test_metrics_count_changes_and_name_nobody(clinic):
    proposal = clinic.propose()
    clinic.screen(proposal)
    said = Client().get("/metrics").content.decode()
    assert 'reviewportal_intents{kind="generic_r4",state="PENDING_APPROVAL"} 1.0' in said
    who = clinic.patient("P1")
    for secret in (who["family"], who["patient"], who["mrn"], "Reyes", "dizz"):
        assert secret.lower() not in said.lower()


def test_only_reading_is_answered():
    assert Client().post("/readyz").status_code == 405
