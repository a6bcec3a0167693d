"""A denial beats every permission, and what nobody said is its own answer."""

from datetime import timedelta

import pytest
from django.db import transaction

from audit.models import AuditEvent
from intents.governance import consent
from intents.governance.models import ConsentDirective
from tests.governance.conftest import AT, BY


@pytest.fixture
def connection(inside, add_connection):
    return add_connection(inside)


def enter(connection, decision, **columns):
    with transaction.atomic():
        return ConsentDirective.enter(
            connection=connection,
            patient_ref="P1",
            decision=decision,
            source="paper form",
            **columns,
            **BY,
        )


def ask(connection, *, patient_ref="P1", purpose="TREAT", kind="note", interaction="create", at=AT):
    return consent.ask(
        connection=connection,
        patient_ref=patient_ref,
        purpose=purpose,
        kind=kind,
        interaction=interaction,
        at=at,
    )


class TestConsent:
    def test_is_unknown_without_a_directive(self, connection):
        assert ask(connection) == consent.ConsentAnswer(consent.Consent.NONE, ())

    def test_is_denied_when_any_directive_denies(self, connection):
        enter(connection, "PERMIT")
        denial = enter(connection, "DENY", actions=["note:create"])

        assert ask(connection) == consent.ConsentAnswer("DENY", (str(denial.pk),))
        assert ask(connection, interaction="amend").consent == "PERMIT"
        assert ask(connection, patient_ref="P2").consent == "NONE"

    @pytest.mark.req("000-48")
    def test_is_for_a_purpose(self, connection):
        enter(connection, "PERMIT", purposes=["TREAT"], actions=["note"])

        assert ask(connection).consent == "PERMIT"
        assert ask(connection, purpose="HRESCH").consent == "NONE"
        assert ask(connection, kind="problem").consent == "NONE"

    @pytest.mark.req("000-97")
    def test_ends_when_it_is_withdrawn(self, connection):
        permit = enter(connection, "PERMIT")
        later = AT + timedelta(hours=1)
        with transaction.atomic():
            permit.end(actor=BY["actor"], at=later)

        assert ask(connection, at=later - timedelta(seconds=1)).consent == "PERMIT"
        assert ask(connection, at=later).consent == "NONE"

    def test_is_of_one_connection(self, connection, add_connection, inside):
        enter(connection, "DENY")

        assert ask(add_connection(inside, "other")).consent == "NONE"

    def test_reaches_the_log_without_the_patients_reference(self, connection):
        enter(connection, "DENY")
        event = AuditEvent.objects.get(tag="governance:consent:recorded")

        assert len(event.patient_token) == 32
        assert "P1" not in event.leaf
