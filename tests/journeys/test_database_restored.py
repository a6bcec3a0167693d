"""The database loses its last commits: what it forgot is noticed, held, looked for, and never sent twice."""

import io
import sqlite3

import pytest
from django.core.management import call_command
from django.db import connection

from audit import sequencing
from audit.models import AuditEvent
from intents.lifecycle import State
from intents.models import Tick
from intents.pipeline import dispatch

SENTENCE = "The database was restored, or another server took it over."


class Backup:
    """The whole database as it is now, and back again: with SQLite's own backup, with PostgreSQL's copies."""

    def __init__(self) -> None:
        if connection.vendor == "sqlite":
            self.copy = sqlite3.connect(":memory:")
            connection.connection.backup(self.copy)
        else:
            self._administer(
                "DROP DATABASE IF EXISTS {copy}", "CREATE DATABASE {copy} TEMPLATE {name}"
            )

    def restore(self) -> None:
        if connection.vendor == "sqlite":
            self.copy.backup(connection.connection)
        else:
            self._administer("DROP DATABASE {name}", "ALTER DATABASE {copy} RENAME TO {name}")

    @staticmethod
    def _administer(*commands: str) -> None:
        name = connection.settings_dict["NAME"]
        connection.close()
        with connection._nodb_cursor() as cursor:
            for command in commands:
                cursor.execute(command.format(name=f'"{name}"', copy=f'"{name}_copy"'))


@pytest.fixture
def approved(day):
    proposal = day.propose(day.clinic.note())
    day.desk("reyes").approve(proposal)
    day.forward(seconds=61)
    return proposal


def sent_and_forgotten(day, proposal):
    """The request leaves and the EHR is slow with it; the database then is as it was before."""
    day.practice.fault(
        "late-commit", vendor="generic", method="POST", path="^DocumentReference", answer="drop"
    )
    # What is lost comes after the last signed checkpoint; a larger loss stops the log itself.
    sequencing.sequence(at=day.now)
    backup = Backup()
    dispatch.drain(at=day.now)
    assert day.state(proposal) == State.UNCERTAIN
    assert len(day.writes()) == 1
    backup.restore()
    assert day.state(proposal) == State.APPROVED
    assert day.held() == []


def causes(day):
    held = AuditEvent.objects.filter(tag="intent:sending:held", tenant_id=str(day.clinic.tenant.pk))
    return [(each.actor_kind, each.tag) for each in held]


@pytest.mark.req("003-94")
def test_a_forgotten_request_is_noticed_by_itself_and_nothing_leaves_for_one_quarantine(
    day, approved
):
    sent_and_forgotten(day, approved)
    for _ in range(3):
        day.background()
        day.forward(seconds=2)
    assert day.state(approved) == State.APPROVED
    assert len(day.writes()) == 1
    assert len(causes(day)) == 1, "told once"
    reyes = day.desk("reyes")
    assert SENTENCE in reyes.delivery(approved).text
    assert "Sending is held." in reyes.open("/queue/").text
    assert "Sending is held." in day.desk("singh").open("/worklist/").text

    # The EHR carries it out meanwhile; then the search before sending finds it.
    day.practice.lever("commit_late", vendor="generic")
    day.forward(seconds=Tick.hold_left() + 1)
    day.background()
    day.forward(seconds=60)
    day.background()
    assert day.state(approved) == State.RECONCILED
    assert (len(day.writes()), len(day.held())) == (1, 1)
    assert SENTENCE not in reyes.open("/queue/").text
    day.check_log()


def test_on_another_machine_a_person_says_so_and_what_no_search_finds_is_a_persons(
    day, settings, tmp_path
):
    opaque = day.propose(day.clinic.problem(vendor="epic"), vendor="epic")
    day.desk("reyes").approve(opaque)
    day.forward(seconds=61)
    settings.ATTEMPT_WITNESS_DIR = tmp_path
    told = io.StringIO()
    call_command("hold_sending", "--restored", stdout=told)
    assert "held: nothing is sent for" in told.getvalue()
    assert (day.state(opaque), day.reason(opaque)) == (State.HELD, "database-restored")
    note = day.propose(day.clinic.note())
    day.desk("reyes").approve(note)
    day.after_undo()
    assert day.state(note) == (State.RECONCILED if not Tick.hold_left() else State.APPROVED)
    day.forward(seconds=Tick.hold_left() + 1)
    day.background()
    assert day.state(note) in (State.ACCEPTED, State.RECONCILED)
    assert day.writes("epic") == []


def test_an_ordinary_day_is_never_held(day):
    for patient in ("P1", "P3"):
        proposal = day.propose(day.clinic.note(), patient=patient)
        day.desk("reyes").approve(proposal)
        day.after_undo()
        assert day.state(proposal) == State.RECONCILED
    assert causes(day) == []
