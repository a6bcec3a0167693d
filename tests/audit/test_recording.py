"""The only writer: in the transaction of what it tells of, without patient data in the leaf."""

import json
import uuid
from datetime import datetime, timedelta

import pytest
from django.contrib.contenttypes.models import ContentType
from django.db import connection, transaction

from audit import integrity, merkle, sequencing, stored_rows, vault
from audit.actors import Actor, ActorKind
from audit.encoding import NotCanonical, canonical_bytes, sha256_hex
from audit.leaves import leaf_text
from audit.models import AuditEvent, EventBody, LogLeaf, PendingEvent
from audit.recording import OutsideTransaction, record, row_hash, shred
from audit.stored_rows import RowMissing
from audit.tags import AuditTag
from tests.audit.conftest import DOCTOR, LOG, SCRIBE, as_owner

pytestmark = pytest.mark.django_db


@pytest.mark.django_db(transaction=True)
class TestTheTransaction:
    @pytest.mark.req("000-106", "004-74")
    def test_is_required(self, now):
        with pytest.raises(OutsideTransaction):
            record(tag=AuditTag.INTENT_RECEIVED, actor=SCRIBE, at=now, tenant_id=LOG)
        with pytest.raises(OutsideTransaction):
            shred(event_ids=[], actor=DOCTOR, at=now, tenant_id=LOG, reason="r")
        assert not AuditEvent.objects.exists()

    def test_that_is_rolled_back_leaves_nothing(self, now):
        with transaction.atomic():
            record(tag=AuditTag.INTENT_RECEIVED, actor=SCRIBE, at=now, tenant_id=LOG, body={"a": 1})
            transaction.set_rollback(True)
        for model in (AuditEvent, PendingEvent, EventBody):
            assert not model.objects.exists()


class TestTheEvent:
    @pytest.mark.req("000-71", "003-47", "003-48")
    def test_holds_who_what_when_for_whom_and_on_what_authority(self, note, now):
        actor = Actor(
            ActorKind.AGENT, "agent-7", "Visit scribe", on_behalf_of="person-3", authority="scope x"
        )
        event = note(
            AuditTag.INTENT_WIRE_FROZEN,
            actor=actor,
            proposal_id="p-1",
            correlation_id="c-1",
            patient_token="ab12",
            encounter_token="cd34",
        )
        event.refresh_from_db()
        leaf = json.loads(event.leaf)
        assert leaf == {
            "v": 1,
            "log": LOG,
            "event": str(event.id),
            "tag": "intent:wire:frozen",
            "actor": {
                "kind": "AGENT",
                "id": "agent-7",
                "name_sha256": sha256_hex(b"Visit scribe"),
                "on_behalf_of": "person-3",
                "authority": "scope x",
            },
            "at": "2026-11-20T15:00:00.000000Z",
            "recorded_at": leaf["recorded_at"],
            "tenant": LOG,
            "proposal": "p-1",
            "intent": "intent-1",
            "correlation": "c-1",
            "patient": "ab12",
            "encounter": "cd34",
            "rows": [],
            "body": "",
        }
        assert event.actor_name == "Visit scribe"

    def test_makes_the_same_leaf_again_from_its_stored_columns(self, note):
        event = note(body={"a": 1})
        stored = AuditEvent.objects.get(pk=event.pk)
        assert leaf_text(stored) == event.leaf == stored.leaf

    def test_waits_with_the_hash_of_its_leaf(self, note):
        event = note()
        pending = PendingEvent.objects.get()
        assert pending.event_id == event.id
        assert pending.leaf_hash == merkle.leaf_hash(event.leaf.encode()).hex()

    def test_without_a_tenant_goes_to_the_log_of_the_deployment(self, note):
        event = note(tenant_id=None)
        assert (event.log, event.tenant_id) == ("deployment", "")

    @pytest.mark.parametrize("tenant_id", ["a/b", "a b", "a+b", "x" * 65, "a\n"])
    def test_of_a_tenant_that_cannot_name_a_log_is_refused(self, note, tenant_id):
        with pytest.raises(ValueError, match="plain text"):
            note(tenant_id=tenant_id)

    def test_shows_when_the_callers_clock_was_off(self, note, now):
        event = note(at=now - timedelta(days=400))
        assert event.recorded_at - event.at > timedelta(days=300)

    def test_at_a_time_without_a_zone_is_refused(self, note):
        with pytest.raises(NotCanonical):
            note(at=datetime(2026, 11, 20, 15))


class TestTheBody:
    def test_is_committed_to_and_kept_encrypted(self, note):
        event = note(body={"code": "not-in-clear-anywhere"})
        stored = EventBody.objects.get()
        assert "not-in-clear-anywhere" not in stored.sealed + event.leaf
        assert vault.content_of(event.id) == {"code": "not-in-clear-anywhere"}
        opening = vault.unseal(stored, vault_keys=vault.keys.vault_keys())
        assert opening.commitment() == event.body_commitment

    def test_of_the_same_content_is_committed_to_differently_each_time(self, note):
        first, second = note(body={"code": "x"}), note(body={"code": "x"})
        assert first.body_commitment != second.body_commitment

    def test_moved_to_another_event_does_not_open(self, note):
        first, second = note(body={"a": 1}), note(body={"a": 2})
        taken = EventBody.objects.get(pk=first.pk).sealed
        EventBody.objects.filter(pk=second.pk).update(sealed=taken)
        with pytest.raises(vault.BodyUnreadable):
            vault.content_of(second.pk)

    @pytest.mark.parametrize("sealed", ["v9.a.b.c", "nonsense", "v1.unknown.AA.AA", "v1.....", "é"])
    def test_that_was_altered_does_not_open(self, note, sealed):
        event = note(body={"a": 1})
        EventBody.objects.filter(pk=event.pk).update(sealed=sealed)
        with pytest.raises(vault.BodyUnreadable):
            vault.content_of(event.pk)

    def test_without_an_exact_form_is_refused(self, note):
        with pytest.raises(NotCanonical):
            note(body={"dose": 1.5})

    def test_that_is_empty_needs_no_vault(self, note):
        event = note(body={})
        assert event.body_commitment == ""
        assert vault.content_of(event.pk) is None


class TestShredding:
    def test_destroys_the_body_and_leaves_every_proof(self, note, now):
        event, kept = note(body={"code": "x"}), note(body={"code": "y"})
        sequencing.sequence(at=now)
        count = shred(event_ids=[event.pk], actor=DOCTOR, at=now, tenant_id=LOG, reason="retention")
        sequencing.sequence(at=now)
        assert count == 1
        assert vault.content_of(event.pk) is None
        assert vault.content_of(kept.pk) == {"code": "y"}
        assert integrity.check().breaks == ()
        told = AuditEvent.objects.get(tag="audit:body:shredded")
        assert vault.content_of(told.pk) == {"events": [str(event.pk)], "reason": "retention"}

    def test_twice_is_told_once(self, note, now):
        event = note(body={"code": "x"})
        for expected in (1, 0):
            assert expected == shred(
                event_ids=[event.pk], actor=DOCTOR, at=now, tenant_id=LOG, reason="retention"
            )
        assert AuditEvent.objects.filter(tag="audit:body:shredded").count() == 1

    def test_reaches_no_other_tenants_bodies(self, note, now):
        event = note(body={"code": "x"}, tenant_id="clinic-2")
        assert not shred(event_ids=[event.pk], actor=DOCTOR, at=now, tenant_id=LOG, reason="r")
        assert vault.content_of(event.pk) == {"code": "x"}


class TestRowsOfStoredRecords:
    def test_are_named_with_table_key_and_hash(self, note):
        first = note()
        event = note(rows=[first])
        assert event.rows == [
            {"table": "audit_auditevent", "id": str(first.pk), "sha256": row_hash(first)}
        ]

    def test_are_read_from_the_database_and_not_from_memory(self, note):
        event = note()
        before = row_hash(event)
        event.actor_name = "Somebody else"
        assert row_hash(event) == before

    def test_of_a_record_that_is_not_stored_are_refused(self, note):
        with pytest.raises(RowMissing):
            note(rows=[LogLeaf(pk=99)])

    def test_of_every_insert_only_table_can_be_hashed(self, written):
        for event in written:
            assert len(row_hash(event)) == 64
        assert len(row_hash(LogLeaf.objects.first())) == 64

    def test_hash_is_of_the_canonical_row_without_nulls(self):
        row = ContentType.objects.create(app_label="a", model="m")
        expected = sha256_hex(canonical_bytes({"id": row.pk, "app_label": "a", "model": "m"}))
        assert row_hash(row) == expected

    def test_hash_is_the_same_after_a_column_was_added_that_allows_null(self, note):
        event = note(body={"a": 1})
        row = EventBody.objects.get(pk=event.pk)
        assert row.shredded_at is None
        with connection.cursor() as cursor:
            cursor.execute("SELECT event_id, sealed FROM audit_eventbody")
            event_id, sealed = cursor.fetchone()
        # As if `shredded_at` had not existed when the hash was taken.
        assert row_hash(row) == sha256_hex(
            canonical_bytes({"event_id": event_id, "sealed": sealed})
        )

    def test_leave_out_what_the_model_says_changes_without_an_event(self, monkeypatch):
        row = ContentType.objects.create(app_label="a", model="m")
        monkeypatch.setattr(ContentType, "audit_ignores", ("model",), raising=False)
        before = row_hash(row)
        ContentType.objects.filter(pk=row.pk).update(model="other")
        assert row_hash(row) == before
        ContentType.objects.filter(pk=row.pk).update(app_label="b")
        assert row_hash(row) != before

    def test_of_many_keys_come_in_one_answer_without_the_missing(self, note):
        events = [note() for _ in range(3)]
        ids = [str(event.pk) for event in events]
        found = stored_rows.row_hashes(
            table="audit_auditevent", ids=[*ids, str(uuid.uuid4()), "not a key"]
        )
        assert found == {str(event.pk): row_hash(event) for event in events}
        assert stored_rows.row_hashes(table="audit_auditevent", ids=["not a key"]) == {}

    def test_of_an_unknown_table_are_an_error(self):
        with pytest.raises(stored_rows.TableUnknown):
            stored_rows.row_hashes(table="no_such_table", ids=["1"])

    def test_change_with_any_column(self, note):
        event = note(body={"a": 1}, correlation_id="c", patient_token="p")
        before = row_hash(event)
        changes = {"DateTimeField": "2026-01-01 00:00:00+00:00", "JSONField": "[1]"}
        with as_owner() as run:
            for field in AuditEvent._meta.concrete_fields:
                if field.primary_key:
                    continue
                value = changes.get(field.get_internal_type(), "other")
                run(f"UPDATE audit_auditevent SET {field.column} = %s", value)
                assert row_hash(event) != before, field.column
                before = row_hash(event)


@pytest.mark.once
@pytest.mark.parametrize(
    "value",
    [1.5, b"\x00", memoryview(b"\x00"), timedelta(seconds=3), [1, [2.5]], None, {1}],
)
def test_whatever_a_driver_hands_over_has_one_form(value):
    assert canonical_bytes(stored_rows._plain(value)) == canonical_bytes(stored_rows._plain(value))


@pytest.mark.once
def test_bytes_and_the_same_text_are_told_apart():
    assert stored_rows._plain(b"\x01") != stored_rows._plain("01")
    assert stored_rows._plain(1.0) != stored_rows._plain(1)
    assert stored_rows._plain(datetime(2026, 1, 1)) != stored_rows._plain("2026-01-01T00:00:00")


def test_recording_writes_three_rows_and_reads_none(note, django_assert_num_queries):
    # A savepoint around it, event, pending row and body: nothing that another writer could wait for.
    with django_assert_num_queries(5 if connection.in_atomic_block else 3):
        note(body={"a": 1})
