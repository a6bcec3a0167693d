"""The one door to the EHRs: from a connection's row to an adapter's answers."""

from dataclasses import replace
from datetime import timedelta

import pytest
from django.db import transaction

from audit.actors import Actor, ActorKind
from audit.models import AuditEvent
from ehr_adapters.errors import AdapterMisconfigured, Unreachable, Unsupported
from intents.governance.models import EhrConnection
from intents.management import clinic as furnishing
from intents.pipeline import gateway

SOMEBODY = Actor.system(ActorKind.INSTALLATION)


def change(connection: EhrConnection, at, **columns: object) -> EhrConnection:
    with transaction.atomic():
        connection.change(actor=SOMEBODY, at=at, **columns)
    return EhrConnection.objects.get(pk=connection.pk)


def read(clinic, connection: EhrConnection, **more: object):
    return gateway.read(
        connection=connection,
        patient_ref=clinic.patient("P1")["patient"],
        kind="problem",
        interaction="create",
        at=clinic.at,
        **more,
    )


class TestKindsAndSettings:
    def test_are_those_of_the_adapters(self):
        assert {"generic_r4", "epic"} < set(gateway.kinds())
        assert gateway.vendor_name("epic") == "Epic"
        assert gateway.settings_schema("epic")["type"] == "object"
        assert gateway.check_settings(kind="generic_r4", settings={}) == ()
        ((pointer, sentence),) = gateway.check_settings(kind="generic_r4", settings={"colour": 1})
        assert pointer == "/colour"
        assert sentence.endswith(".")

    @pytest.mark.parametrize("number", ["195900", 195900])
    def test_take_a_number_with_or_without_quotes(self, number):
        """`--set practice_id=195900` is JSON, and so is a number typed into the administration."""
        settings = {"practice_id": number, "department_id": number}
        assert gateway.check_settings(kind="athenahealth", settings=settings) == ()

    def test_shape_the_hash_and_what_can_be_said(self, clinic):
        before = clinic.connection()
        hashed = gateway.settings_hash(connection=before)
        cap = gateway.capability(connection=before, kind="note", interaction="create").length_caps
        after = change(before, clinic.at, settings={"notes_cap": 5000})
        assert gateway.settings_hash(connection=after) != hashed
        narrower = gateway.capability(connection=after, kind="note", interaction="create")
        assert narrower.length_caps == (("/sections", 5000),) != cap

    def test_do_not_let_a_title_shape_the_hash(self, clinic):
        before = clinic.connection()
        hashed = gateway.settings_hash(connection=before)
        after = change(before, clinic.at, title="Another name")
        assert gateway.settings_hash(connection=after) == hashed

    @pytest.mark.req("000-42")
    def test_say_no_to_what_no_adapter_declares(self, clinic):
        with pytest.raises(Unsupported):
            gateway.capability(
                connection=clinic.connection("epic"), kind="problem", interaction="update"
            )


class TestKeys:
    @pytest.mark.parametrize("name", ["", "../secret_key.txt", "a/b.pem", ".hidden"])
    def test_are_names_and_never_paths(self, clinic, name):
        connection = clinic.connection()
        connection.credential_ref = name
        with pytest.raises(AdapterMisconfigured):
            read(clinic, connection)

    def test_that_are_missing_are_named(self, clinic):
        connection = clinic.connection()
        connection.credential_ref = "gone.pem"
        with pytest.raises(AdapterMisconfigured, match=r"gone\.pem"):
            read(clinic, connection)

    def test_are_not_needed_to_render_or_to_show(self, clinic):
        baseline = read(clinic, clinic.connection())
        intent = clinic.screen(clinic.propose([clinic.problem()]))[0]
        intent.connection.credential_ref = ""
        from ehr_adapters.contract import Tag, WirePlan

        plan = WirePlan.from_json(intent.current_screening.phi_json("wire_plan"))
        parsed = gateway.parse(connection=intent.connection, plan=plan)
        again = gateway.render(
            connection=intent.connection,
            change=parsed,
            tag=Tag(str(intent.current_version.tag)),
            baseline=baseline,
        )
        assert again.payload_hash() == plan.payload_hash()


@pytest.mark.req("003-90")
class TestTheWayOut:
    def test_of_a_live_connection_leads_to_listed_hosts_only(self, clinic, settings):
        connection = clinic.connection()
        connection.environment = "LIVE"
        connection.base_url, connection.token_url = "https://ehr.example/r4", ""
        with pytest.raises(AdapterMisconfigured, match="EHR_EGRESS_HOSTS"):
            read(clinic, connection)
        settings.EHR_EGRESS_HOSTS = ["ehr.example"]
        with pytest.raises((AdapterMisconfigured, Unreachable)) as refused:
            read(clinic, connection)
        assert "EHR_EGRESS_HOSTS" not in str(refused.value)


class TestReading:
    def test_for_a_page_never_raises_and_says_why(self, clinic):
        intent = clinic.screen(clinic.propose())[0]
        found = gateway.read_for_review(intent=intent, at=clinic.at)
        assert found.baseline.identity.family == "OKONKWO"
        clinic.practice.fault("drop-before-commit", times=None)
        silent = gateway.read_for_review(intent=intent, at=clinic.at)
        assert (silent.baseline, silent.error) == (None, "Unreachable")
        assert silent.sentence
        intent.connection.credential_ref = "gone.pem"
        assert gateway.read_for_review(intent=intent, at=clinic.at).error == "AdapterMisconfigured"

    def test_for_a_page_gives_up_at_its_deadline(self, clinic):
        intent = clinic.screen(clinic.propose())[0]
        clinic.practice.fault("timeout-before-commit", method="GET", ms=20000, times=None)
        assert gateway.read_for_review(intent=intent, at=clinic.at, deadline=0.3).baseline is None


class TestAProbe:
    def test_keeps_what_each_ehr_admits_and_tells_it_once(self, clinic):
        clinic.connection("epic")
        assert gateway.probe_due(at=clinic.at) == 2
        found = clinic.connection()
        assert found.probed_at == clinic.at
        assert found.capabilities["evidence"]
        told = AuditEvent.objects.filter(tag="governance:connection:probed").count()
        gateway.probe_due(at=clinic.at + timedelta(hours=1))
        assert clinic.connection().probed_at == clinic.at + timedelta(hours=1)
        assert AuditEvent.objects.filter(tag="governance:connection:probed").count() == told == 2

    def test_that_is_not_answered_takes_nothing_away(self, clinic):
        gateway.probe_due(at=clinic.at)
        kept = clinic.connection().capabilities
        clinic.practice.fault("drop-before-commit", times=None)
        assert gateway.probe_due(at=clinic.at + timedelta(hours=1)) == 0
        assert clinic.connection().capabilities == kept


def test_a_practice_connection_with_a_client_secret_signs_in_by_it(clinic):
    usual = next(one for one in furnishing.FRONTS if one.vendor == "athenahealth")
    by_secret = replace(
        usual, name="athena-by-secret", secrets={"client_secret": "made-up-and-public"}
    )
    with transaction.atomic():
        connection = furnishing.connect(
            by_secret,
            tenant=clinic.tenant,
            practice=clinic.practice.root,
            directory=clinic.practice.control("GET", "directory"),
            at=clinic.at,
        )
    baseline = gateway.read(
        connection=connection,
        patient_ref=clinic.patient("P1", "athenahealth")["patient"],
        kind="problem",
        interaction="create",
        at=clinic.at,
    )
    assert baseline.identity.family == "OKONKWO"
