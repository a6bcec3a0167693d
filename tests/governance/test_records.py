"""Every change of a governance record is in its history and in the audit log, with who and why."""

import pytest
from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone

from audit.actors import Actor, ActorKind
from audit.insert_only import guarded_models
from audit.models import AuditEvent
from audit.recording import OutsideTransaction
from audit.tags import AuditTag
from intents.governance.history import HistoryWithoutActor, create_recorded, history_row
from intents.governance.models import EhrConnection, Membership, PolicyVersion, Tenant, User
from intents.governance.models.record import Governed, NotChangeable
from tests.governance.conftest import AT, BY

ADA = Actor(kind=ActorKind.ADMINISTRATOR, id="ada", name="Ada Lovelace")


class TestAChange:
    @pytest.mark.req("003-71")
    def test_is_kept_with_actor_moment_and_reason(self, clinic):
        with transaction.atomic():
            clinic.change(actor=ADA, at=AT, reason="they asked", undo_seconds=20)
        row = clinic.history.order_by("-history_id").first()
        event = AuditEvent.objects.get(tag="governance:tenant:changed")

        assert (row.actor_name, row.history_date, row.history_change_reason) == (
            "Ada Lovelace",
            AT,
            "they asked",
        )
        assert (event.actor_id, event.at, event.tenant_id) == ("ada", AT, str(clinic.pk))
        assert [(r["table"], r["id"]) for r in event.rows] == [
            ("governance_historicaltenant", str(row.pk))
        ]

    def test_does_not_lend_its_reason_to_the_next_one(self, clinic):
        with transaction.atomic():
            clinic.change(actor=ADA, at=AT, reason="they asked", undo_seconds=20)
            clinic.change(**BY, undo_seconds=25)
        row = clinic.history.order_by("-history_id").first()

        assert (row.actor_name, row.history_change_reason) == ("Installation", None)

    @pytest.mark.django_db(transaction=True)
    def test_outside_a_transaction_is_refused_and_not_saved(self, clinic):
        with pytest.raises(OutsideTransaction):
            clinic.change(**BY, undo_seconds=99)

        clinic.refresh_from_db()
        assert clinic.undo_seconds == 10

    def test_that_is_none_leaves_no_trace(self, clinic):
        with transaction.atomic():
            clinic.change(**BY, undo_seconds=clinic.undo_seconds)

        assert clinic.history.count() == 1

    def test_of_what_is_fixed_is_refused(self, clinic, add_connection, add_person):
        connection, member = add_connection(clinic), add_person(clinic, "Ada")
        for record, column in (
            (connection, "tenant"),
            (connection, "kind"),
            (connection, "write_back_enabled"),
            (member, "user"),
            (clinic, "id"),
            (member.user, "password"),
            (member.user, "is_active"),
        ):
            with pytest.raises(NotChangeable):
                record.change(**{column: "x"}, **BY)

    def test_without_anybody_named_is_refused(self, clinic):
        clinic.undo_seconds = 99
        with pytest.raises(HistoryWithoutActor), transaction.atomic():
            clinic.save()

    def test_that_makes_no_sense_is_refused(self, clinic, add_person, add_connection):
        nurse = add_person(clinic, "Ada", clinical_role="ASSISTANT")
        connection = add_connection(clinic)
        for record, columns in (
            (clinic, {"time_zone": "Mars/Olympus"}),
            (nurse, {"clinical_lead": True}),
            (nurse, {"role": "KING"}),
            (connection, {"base_url": "https://ehr.example/fhir"}),
            (connection, {"credential_ref": "../key.pem"}),
            (connection, {"environment": "live"}),
        ):
            with pytest.raises(ValidationError), transaction.atomic():
                record.change(**columns, **BY)

    def test_is_one_among_many_only_for_that_record(self, clinic, other_clinic):
        with transaction.atomic():
            clinic.change(**BY, undo_seconds=20)

        assert (clinic.history.count(), other_clinic.history.count()) == (2, 1)


class TestHistory:
    def test_of_every_record_is_insert_only(self):
        guarded = set(guarded_models())

        for model in Governed.__subclasses__():
            if not model._meta.abstract:
                assert model.history.model in guarded

    def test_of_many_at_once_equals_that_of_each(self, clinic, db):
        moment = timezone.now()
        common = {"kind": "epic", "base_url": "http://127.0.0.1:1/x"}
        many = [
            EhrConnection(tenant=clinic, name=f"c{i}", created_at=moment, **common)
            for i in range(2)
        ]
        with transaction.atomic():
            rows = create_recorded(many, actor=ADA, at=AT, reason="bulk")
        one = EhrConnection(tenant=clinic, name="c9", created_at=moment, **common)
        with transaction.atomic():
            one.keep(tag=AuditTag.GOVERNANCE_CONNECTION_ADDED, actor=ADA, at=AT, reason="bulk")
        skipped = {"history_id", "id", "name", "created_at"}

        def columns(row):
            return {
                f.attname: getattr(row, f.attname)
                for f in row._meta.concrete_fields
                if f.attname not in skipped
            }

        assert columns(rows[0]) == columns(history_row(one))
        assert [each.history.count() for each in many] == [1, 1]

    def test_of_people_leaves_out_passwords_and_sign_ins(self, db):
        with transaction.atomic():
            user = User.add(email="Ada@Example.org", name="Ada", password="x" * 20, **BY)
        user.last_login = timezone.now()
        user.save(update_fields=["last_login"])
        user.set_password("y" * 20)
        user.save(update_fields=["password"])

        assert user.history.count() == 1
        assert not hasattr(user.history.first(), "password")


class TestRules:
    def test_are_one_version_at_a_time_and_a_tenants_own_first(self, clinic, other_clinic):
        common = {"schema": "{}", "proposed_by": "a", "approved_by": "b", **BY}
        later = AT.replace(hour=18)
        with transaction.atomic():
            PolicyVersion.activate(tenant=None, content="all", **common)
            first = PolicyVersion.activate(tenant=clinic, content="one", **common)
            second = PolicyVersion.activate(
                tenant=clinic, content="two", **(common | {"at": later})
            )

        assert (first.version, second.version) == (1, 2)
        assert PolicyVersion.in_force(tenant_id=clinic.pk, at=AT).content == "one"
        assert PolicyVersion.in_force(tenant_id=clinic.pk, at=later).content == "two"
        assert PolicyVersion.in_force(tenant_id=other_clinic.pk, at=AT).content == "all"
        assert PolicyVersion.in_force(tenant_id=clinic.pk, at=AT.replace(year=2000)) is None


class TestPeople:
    def test_have_one_account_whatever_the_letters(self, db):
        with transaction.atomic():
            User.add(email="Ada@Example.org", name="Ada", **BY)
        with pytest.raises(ValidationError, match="already"), transaction.atomic():
            User.add(email="ada@example.ORG", name="Ada", **BY)

        assert User.objects.get_by_natural_key("ADA@example.org").name == "Ada"

    def test_are_given_an_ended_role_again(self, clinic, add_person):
        member = add_person(clinic, "Ada")
        with transaction.atomic():
            member.end(**BY)
            again = Membership.grant(tenant=clinic, user=member.user, role="AUDITOR", **BY)

        assert (again.pk, again.role, again.is_active) == (member.pk, "AUDITOR", True)


class TestConnections:
    def test_keep_the_last_probe_and_tell_only_of_news(self, clinic, add_connection):
        connection = add_connection(clinic)
        with transaction.atomic():
            for _ in range(2):
                connection.note_probe(capabilities={"a": 1}, withdrawn=(), restored=(), **BY)
            connection.note_probe(capabilities={"a": 2}, withdrawn=(), restored=(), **BY)

        assert AuditEvent.objects.filter(tag="governance:connection:probed").count() == 2
        assert connection.probed_at == AT
        assert connection.quarantine_seconds == 300 + 300 + 900

    def test_of_one_name_are_one(self, clinic, other_clinic, add_connection):
        add_connection(clinic)
        with pytest.raises(ValidationError, match="already"):
            add_connection(clinic)
        assert add_connection(other_clinic).name == "generic"
        assert Tenant.objects.count() == 2
