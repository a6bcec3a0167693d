"""The commands of an installation: what they make, what they refuse, what they print."""

import io
import stat
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from intents.governance.models import (
    AgentCredential,
    EhrConnection,
    KillSwitch,
    Membership,
    PolicyVersion,
    ScopeGrant,
    Tenant,
    User,
)
from intents.governance.tenancy import tenant_context

pytestmark = pytest.mark.django_db


def argv(options):
    """The options as an operator types them: True is a flag, each item of a list is given."""
    words = []
    for name, value in options.items():
        flag = "--set" if name == "pairs" else f"--{name.replace('_', '-')}"
        if value is True:
            words.append(flag)
        elif isinstance(value, list):
            for item in value:
                words += [flag, *(item if isinstance(item, list) else [item])]
        else:
            words += [flag, str(value)]
    return words


def run(command, /, **options):
    """The lines that a command prints, as {first word: the rest} and as text."""
    out = io.StringIO()
    call_command(command, *argv(options), stdout=out)
    text = out.getvalue()
    pairs = (line.split(": ", 1) for line in text.splitlines() if ": " in line)
    return {"text": text, **dict(pairs)}


@pytest.fixture
def workspace(db):
    return Tenant.objects.get(pk=run("add_tenant", name="Northgate")["id"])


@pytest.fixture
def connection(workspace):
    return EhrConnection.unscoped.get(pk=add_connection()["id"])


def add_connection(**options):
    return run(
        "add_connection",
        **{
            "tenant": "Northgate",
            "kind": "generic_r4",
            "name": "generic",
            "base_url": "http://127.0.0.1:8001/generic/fhir/R4",
        }
        | options,
    )


class TestAddTenant:
    def test_opens_a_workspace_with_the_starter_policy(self, workspace):
        policy = PolicyVersion.objects.get(tenant=workspace)

        assert (policy.version, policy.approved_by) == (1, "installation")

    def test_refuses_a_taken_name_and_a_zone_that_is_none(self, workspace):
        for options in ({"name": "Northgate"}, {"name": "South", "time_zone": "Mars/Olympus"}):
            with pytest.raises(CommandError):
                run("add_tenant", **options)


class TestAddPerson:
    def add(self, **options):
        return run(
            "add_person",
            **{
                "tenant": "Northgate",
                "email": "Adaeze@Example.org",
                "role": "reviewer",
                "clinical_role": "prescriber",
            }
            | options,
        )

    def test_gives_a_role_and_prints_a_link_that_works_once(self, workspace, settings):
        printed = self.add(name="Adaeze Eze")["text"].splitlines()
        user = User.objects.get(email="adaeze@example.org")
        with tenant_context(workspace.pk):
            membership = Membership.objects.get(user=user)

        assert (membership.role, membership.clinical_role) == ("REVIEWER", "PRESCRIBER")
        assert not user.has_usable_password()
        assert not user.is_staff
        assert printed[-1].startswith(f"{settings.PORTAL_URL}/account/password/link/")

    def test_lets_administrators_into_the_administration(self, workspace):
        self.add(role="admin", clinical_role="none")

        assert User.objects.get().is_staff
        assert not User.objects.get().is_superuser

    def test_gives_a_known_person_a_role_in_another_workspace(self, workspace):
        self.add()
        run("add_tenant", name="Southgate")
        self.add(tenant="Southgate", role="auditor", clinical_role="none")

        assert User.objects.count() == 1
        assert Membership.unscoped.count() == 2

    def test_refuses_an_unknown_workspace(self, db):
        with pytest.raises(CommandError, match="no workspace"):
            self.add()


class TestAddConnection:
    def test_is_a_sandbox_on_this_machine_unless_said_otherwise(self, connection):
        assert (connection.environment, connection.kind) == ("SANDBOX", "generic_r4")

    @pytest.mark.parametrize(
        "options",
        [
            {"base_url": "https://ehr.example/fhir"},
            {"base_url": "http://127.0.0.1.example/fhir"},
            {"environment": "live", "base_url": "http://ehr.example/fhir"},
            {"environment": "test", "base_url": "http://127.0.0.1:8001/fhir"},
            {"base_url": "http://user:pw@127.0.0.1/fhir"},
            {"base_url": "http://127.0.0.1/fhir?x=1"},
            {"token_url": "https://elsewhere.example/token"},
            {"base_url": "file:///etc/passwd"},
            {"kind": "horoscope"},
            {"name": "no good"},
            {"pairs": ["no-such-setting=1"]},
            {"pairs": ["novalue"]},
            {"key": "/nowhere/key.pem"},
            {"time_zone": "Mars/Olympus"},
        ],
        ids=str,
    )
    def test_refuses_what_would_be_unsafe_or_make_no_sense(self, workspace, options):
        with pytest.raises(CommandError):
            add_connection(**options)
        assert not EhrConnection.unscoped.exists()

    def test_refuses_a_name_that_is_taken(self, connection):
        with pytest.raises(CommandError, match="already"):
            add_connection()

    def test_takes_a_live_one_over_tls(self, workspace):
        made = add_connection(environment="live", base_url="https://ehr.example/fhir")

        assert EhrConnection.unscoped.get(pk=made["id"]).environment == "LIVE"

    def test_keeps_the_demo_to_practice_ehrs(self, workspace, settings):
        settings.DEMO_MODE = True
        with pytest.raises(CommandError, match="practice"):
            add_connection(environment="live", base_url="https://ehr.example/fhir")

    def test_copies_the_key_into_the_key_folder(self, workspace, settings, tmp_path):
        key = tmp_path / "mine.pem"
        key.write_text("key")
        made = add_connection(key=str(key))
        kept = Path(settings.KEY_DIR) / "generic.pem"

        assert EhrConnection.unscoped.get(pk=made["id"]).credential_ref == "generic.pem"
        assert kept.read_text() == "key"
        assert stat.S_IMODE(kept.stat().st_mode) == 0o600
        assert add_connection(name="two", key="generic.pem")["id"]

    def test_keeps_no_key_of_a_connection_that_was_refused(self, workspace, settings, tmp_path):
        key = tmp_path / "mine.pem"
        key.write_text("key")
        with pytest.raises(CommandError):
            add_connection(key=str(key), base_url="https://ehr.example/fhir")

        assert not (Path(settings.KEY_DIR) / "generic.pem").exists()


class TestAddAgent:
    def add(self, **options):
        return run(
            "add_agent",
            **{
                "tenant": "Northgate",
                "name": "Visit scribe",
                "lane": "suggest",
                "connection": "generic",
                "scope": [["system/DocumentReference.c", "system/Condition.cu"]],
            }
            | options,
        )

    def test_prints_how_the_agent_signs_in(self, connection, settings):
        printed = self.add()
        credential = AgentCredential.unscoped.get(pk=printed["client_id"])
        key = Path(printed["private_key"])

        assert (credential.lane, credential.agent.lane_ceiling) == ("suggest", "suggest")
        assert key.read_text().startswith("-----BEGIN PRIVATE KEY-----")
        assert stat.S_IMODE(key.stat().st_mode) == 0o600
        assert printed["token_url"] == f"{settings.PORTAL_URL}/oauth/token"
        assert set(ScopeGrant.unscoped.values_list("scope", flat=True)) == {
            "system/DocumentReference.c",
            "system/Condition.cu",
        }

    def test_takes_a_public_key_and_then_keeps_no_private_one(self, connection, tmp_path):
        public = tmp_path / "public.pem"
        public.write_text(AgentCredential.unscoped.get(pk=self.add()["client_id"]).public_key)
        printed = self.add(name="other", public_key=str(public))

        assert "private_key" not in printed

    @pytest.mark.parametrize(
        "options",
        [
            {"scope": [["system/*.c"]]},
            {"scope": [["system/Condition.d"]]},
            {"connection": "nowhere"},
            {"tenant": "nowhere"},
            {"owner": "nobody@example.org"},
            {"public_key": "/nowhere.pem"},
            {"model": "nameless"},
            {"alg": "RS384"},
            {"days": 0},
        ],
        ids=str,
    )
    def test_refuses_and_leaves_nothing_behind(self, connection, settings, options):
        with pytest.raises(CommandError):
            self.add(**options)

        assert not AgentCredential.unscoped.exists()
        assert not list(Path(settings.KEY_DIR).glob("agents/*.pem"))

    def test_refuses_a_lane_above_the_ceiling_of_an_agent_that_exists(self, connection):
        self.add()
        with pytest.raises(CommandError, match="ceiling"):
            self.add(lane="commit")
        assert self.add(lane="draft")["client_id"]


class TestKill:
    def kill(self, **options):
        return run("kill", engage=True, reason="drill", **options)

    @pytest.mark.parametrize(
        ("options", "target"),
        [
            ({"connection": "generic"}, "CONNECTION"),
            ({"tenant": "Northgate"}, "TENANT"),
            ({"kind": "note"}, "KIND"),
            ({"kind": "note", "tenant": "Northgate"}, "KIND"),
            ({"deployment": True}, "DEPLOYMENT"),
            ({"connection": "generic", "tenant": "Northgate"}, "CONNECTION"),
        ],
        ids=str,
    )
    def test_stops_one_target(self, connection, options, target):
        printed = self.kill(**options)
        switch = KillSwitch.objects.get(pk=printed["id"])

        assert (switch.target, switch.reason, switch.is_engaged) == (target, "drill", True)
        assert "0 changes" in printed["text"]

    @pytest.mark.parametrize(
        "options",
        [
            {},
            {"connection": "nowhere"},
            {"agent": "nobody"},
            {"tenant": "nowhere"},
            {"deployment": True, "tenant": "Northgate"},
        ],
        ids=str,
    )
    def test_refuses_what_it_cannot_find(self, connection, options):
        with pytest.raises(CommandError):
            self.kill(**options)
        assert not KillSwitch.objects.exists()

    def test_asks_which_workspace_when_names_repeat(self, connection):
        run("add_tenant", name="Southgate")
        add_connection(tenant="Southgate")

        with pytest.raises(CommandError, match="--tenant"):
            self.kill(connection="generic")
        assert self.kill(connection="generic", tenant="Southgate")["id"]
