"""What stops the start, or is warned about: a connection that must not be used, rules that cannot be
asked, a task nobody knows, keys beside the data."""

import os
import subprocess
import sys
from importlib import import_module, reload
from typing import Any

import pytest
from celery.signals import worker_init
from django.core import checks as django_checks
from django.core.management import call_command
from django.core.management.base import SystemCheckError
from django.db import OperationalError, connections, transaction

from intents import checks
from intents.governance.models import EhrConnection, PolicyVersion, Tenant
from intents.governance.opening import open_workspace
from intents.management.clinic import INSTALLATION
from intents.pipeline import outbox
from reviewportal.celery import refuse_to_work
from tests.environment import ROOT

BASE = "https://fhir.example/R4"


@pytest.fixture
def tenant(db, now) -> Tenant:
    return open_workspace(name="Northgate", actor=INSTALLATION, at=now, time_zone="UTC")


@pytest.fixture
def stored(tenant, now):
    """Store a connection as it must not be: a past version of the code, or SQL, could have."""

    def store(name: str = "main", **columns: Any) -> EhrConnection:
        good = {"kind": "generic_r4", "environment": "LIVE", "base_url": BASE}
        connection = EhrConnection.add(tenant=tenant, name=name, actor=INSTALLATION, at=now, **good)
        EhrConnection.unscoped.filter(pk=connection.pk).update(**columns)
        return connection

    return store


def found(**options: Any) -> list[tuple[str, int]]:
    return [(each.id, each.level) for each in checks.check_connections(**options)]


class TestConnections:
    def test_a_connection_that_can_be_used_is_not_mentioned(self, stored):
        stored()
        assert found() == []

    @pytest.mark.parametrize(
        ("number", "columns"),
        [
            ("intents.E001", {"kind": "fax"}),
            ("intents.E002", {"settings": {"no_such_setting": 1}}),
            ("intents.E003", {"base_url": "http://fhir.example/R4"}),
            ("intents.E003", {"environment": "TEST", "token_url": "http://fhir.example/token"}),
        ],
    )
    def test_each_that_cannot_be_used_stops_the_start(self, stored, number, columns):
        stored(**columns)
        assert found() == [(number, django_checks.ERROR)]

    def test_it_is_named_and_what_is_wrong_with_it_is_said(self, stored, tenant):
        stored(kind="fax", settings={"practice_token": "not to be repeated"})
        (message,) = checks.check_connections()
        assert (
            message.msg
            == f"Connection main of tenant {tenant.pk}: there is no adapter of kind fax."
        )
        assert "generic_r4" in message.hint
        assert "not to be repeated" not in str(message)

    def test_a_setting_is_named_without_its_value(self, stored):
        stored(settings={"no_such_setting": "not to be repeated"})
        (message,) = checks.check_connections()
        assert "/no_such_setting" in message.msg
        assert "not to be repeated" not in str(message)

    @pytest.mark.parametrize(
        ("columns", "wrong"),
        [
            ({"environment": "LIVE"}, True),
            ({"environment": "TEST"}, True),
            ({"environment": "SANDBOX", "base_url": BASE}, True),
            (
                {
                    "environment": "SANDBOX",
                    "base_url": "http://127.0.0.1:8001/R4",
                    "token_url": "https://fhir.example/token",
                },
                True,
            ),
            ({"environment": "SANDBOX", "base_url": "http://127.0.0.1:8001/R4"}, False),
            ({"environment": "SANDBOX", "base_url": "http://localhost:8001/R4"}, False),
        ],
    )
    def test_the_demo_reaches_practice_systems_on_this_machine_only(
        self, stored, settings, columns, wrong
    ):
        stored(**columns)
        assert found() == []
        settings.DEMO_MODE = True
        assert found() == ([("intents.E004", django_checks.ERROR)] if wrong else [])

    def test_connections_of_every_tenant_are_asked(self, stored, now):
        stored(kind="fax")
        other = open_workspace(name="Southgate", actor=INSTALLATION, at=now, time_zone="UTC")
        connection = EhrConnection.add(
            tenant=other, name="main", kind="generic_r4", environment="LIVE", base_url=BASE,
            actor=INSTALLATION, at=now,
        )  # fmt: skip
        EhrConnection.unscoped.filter(pk=connection.pk).update(kind="pigeon")
        assert len(found()) == 2

    def test_they_do_not_stop_migrate(self, stored):
        stored(kind="fax")
        assert found(databases=["default"]) == [("intents.W001", django_checks.WARNING)]

    def test_they_can_be_asked_alone(self, stored):
        stored(kind="fax")
        with pytest.raises(SystemCheckError, match=r"intents\.E001"):
            call_command("check", tags=[checks.CONNECTIONS])

    def test_a_database_that_does_not_answer_is_somebody_elses_finding(self, monkeypatch):
        def silent(*_: object) -> None:
            raise OperationalError("no connection")

        monkeypatch.setattr(checks.connection.introspection, "table_names", silent)
        assert found() == []

    @pytest.mark.parametrize("server", ["reviewportal.wsgi", "reviewportal.asgi"])
    def test_a_web_server_starts_only_where_the_checks_hold(self, stored, monkeypatch, server):
        closed = []
        monkeypatch.setattr(connections, "close_all", lambda: closed.append(True))
        stored()
        module = reload(import_module(server))
        assert closed
        stored(name="other", kind="fax")
        with pytest.raises(SystemCheckError, match=r"intents\.E001"):
            reload(module)

    def test_a_worker_starts_only_where_the_checks_hold(self, stored, monkeypatch):
        closed = []
        monkeypatch.setattr(connections, "close_all", lambda: closed.append(True))
        assert refuse_to_work in worker_init._live_receivers(None)
        stored()
        refuse_to_work()
        assert closed
        stored(name="other", kind="fax")
        with pytest.raises(SystemExit, match=r"intents\.E001"):
            refuse_to_work()


class TestRules:
    def test_the_starter_rules_can_be_asked(self, tenant):
        assert checks.check_rules() == []

    @pytest.mark.parametrize(
        ("column", "value", "said"),
        [
            ("content", "permit (", "cannot be read"),
            (
                "content",
                'permit (principal, action, resource) when { context.no_fact == "x" };',
                "rule",
            ),
            ("schema", "{}", "cannot be read"),
        ],
    )
    def test_rules_that_block_everything_are_warned_about(self, tenant, column, value, said):
        PolicyVersion.objects.filter(tenant=tenant).update(**{column: value})
        (message,) = checks.check_rules()
        assert (message.id, message.level) == ("intents.W007", django_checks.WARNING)
        assert f"tenant {tenant.pk}, version 1" in message.msg
        assert said in message.msg

    def test_rules_out_of_force_are_history(self, tenant, now):
        rules = PolicyVersion.objects.get(tenant=tenant)
        PolicyVersion.objects.filter(pk=rules.pk).update(content="permit (")
        with transaction.atomic():
            PolicyVersion.activate(
                tenant=tenant, content=rules.content, schema=rules.schema, actor=INSTALLATION,
                proposed_by="a", approved_by="b", at=now,
            )  # fmt: skip
        assert checks.check_rules() == []


@pytest.mark.once
def test_an_unmigrated_database_is_nobodys_fault(tmp_path):
    done = subprocess.run(
        [sys.executable, "manage.py", "check"],
        cwd=ROOT,
        env={**os.environ, "VAR_DIR": str(tmp_path), "DATABASE_URL": f"sqlite:///{tmp_path}/new"},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert "no issues" in done.stdout + done.stderr


@pytest.mark.once
class TestTasks:
    def test_every_woken_and_every_scheduled_task_is_known(self):
        assert checks.check_tasks() == []

    def test_a_woken_task_that_nobody_knows_stops_the_start(self, monkeypatch):
        monkeypatch.setattr(outbox, "TASKS", {**outbox.TASKS, "faxing": "intents.fax"})
        (message,) = checks.check_tasks()
        assert (message.id, message.level) == ("intents.E005", django_checks.ERROR)
        assert "intents.fax" in message.msg

    def test_a_scheduled_task_that_nobody_knows_stops_the_start(self, settings):
        settings.CELERY_BEAT_SCHEDULE = {"fax": {"task": "intents.fax", "schedule": 1.0}}
        assert [each.id for each in checks.check_tasks()] == ["intents.E005"]


@pytest.mark.once
class TestKeys:
    @pytest.mark.parametrize(
        ("keys", "wrong"),
        [("keys", False), ("data", True), ("data/keys", True), ("data-keys", False)],
    )
    def test_lie_apart_from_the_database(self, settings, monkeypatch, tmp_path, keys, wrong):
        settings.KEY_DIR = tmp_path / keys
        file = tmp_path / "data" / "portal.sqlite3"
        database = {"ENGINE": "django.db.backends.sqlite3", "NAME": str(file)}
        monkeypatch.setitem(settings.DATABASES, "default", database)
        assert [each.id for each in checks.check_keys_lie_apart()] == (
            ["intents.E006"] if wrong else []
        )

    def test_a_database_server_has_no_folder_here(self, settings, monkeypatch):
        database = {"ENGINE": "django.db.backends.postgresql", "NAME": "portal"}
        monkeypatch.setitem(settings.DATABASES, "default", database)
        assert checks.check_keys_lie_apart() == []


def test_they_are_registered():
    registered = django_checks.registry.registry.get_checks()
    assert {checks.check_connections, checks.check_rules, checks.check_tasks} <= set(registered)
    deployed = django_checks.registry.registry.get_checks(include_deployment_checks=True)
    assert checks.check_keys_lie_apart in deployed
