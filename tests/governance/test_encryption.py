"""Sealed columns open in their own place and nowhere else."""

import base64
import json
import stat
from uuid import uuid4

import pytest
from django.core.management import call_command
from django.db import transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from audit.models import AuditEvent
from intents.governance import encryption
from intents.governance.encryption import CannotUnseal, KeyRingUnusable, seal, unseal
from intents.governance.models import DataKey
from tests.governance.conftest import AT, BY

pytestmark = pytest.mark.django_db

PLACE = {"table": "intents_proposal", "row_id": "r1", "column": "summary"}
property_test = settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


class TestSealing:
    @pytest.mark.req("001-72")
    @property_test
    @given(text=st.text(), patient=st.text(min_size=1, max_size=40))
    def test_returns_every_text_unchanged(self, clinic, text, patient):
        sealed = seal(text, tenant_id=clinic.pk, patient_ref=patient, **PLACE)

        assert unseal(sealed, tenant_id=clinic.pk, **PLACE) == text

    @property_test
    @given(
        moved=st.sampled_from(["table", "row_id", "column"]),
        elsewhere=st.text(
            alphabet=st.characters(whitelist_categories=["Ll", "Nd"]), min_size=1, max_size=12
        ),
    )
    def test_refuses_a_ciphertext_copied_to_another_place(self, clinic, moved, elsewhere):
        sealed = seal("stays here", tenant_id=clinic.pk, patient_ref="P1", **PLACE)
        place = {**PLACE, moved: elsewhere}

        if place != PLACE:
            with pytest.raises(CannotUnseal):
                unseal(sealed, tenant_id=clinic.pk, **place)

    def test_refuses_a_ciphertext_copied_to_another_tenant(self, clinic, other_clinic):
        sealed = seal("stays here", tenant_id=clinic.pk, patient_ref="P1", **PLACE)

        with pytest.raises(CannotUnseal):
            unseal(sealed, tenant_id=other_clinic.pk, **PLACE)

    def test_refuses_a_data_key_row_copied_to_another_tenant(self, clinic, other_clinic):
        sealed = seal("stays here", tenant_id=clinic.pk, patient_ref="P1", **PLACE)
        DataKey.unscoped.update(tenant=other_clinic)

        with pytest.raises(CannotUnseal):
            unseal(sealed, tenant_id=other_clinic.pk, **PLACE)

    def test_refuses_a_ciphertext_renamed_to_another_patients_key(self, clinic):
        first = seal("one", tenant_id=clinic.pk, patient_ref="P1", **PLACE)
        second = seal("two", tenant_id=clinic.pk, patient_ref="P2", **PLACE)
        spliced = ".".join([*second.split(".")[:2], *first.split(".")[2:]])

        with pytest.raises(CannotUnseal):
            unseal(spliced, tenant_id=clinic.pk, **PLACE)

    @property_test
    @given(position=st.integers(min_value=0), flip=st.integers(min_value=1, max_value=255))
    def test_refuses_a_ciphertext_with_any_byte_changed(self, clinic, position, flip):
        sealed = seal("lisinopril 10 mg", tenant_id=clinic.pk, patient_ref="P1", **PLACE)
        version, key_id, nonce, body = sealed.split(".")
        raw = bytearray(base64.urlsafe_b64decode(nonce + body + "=" * (-len(nonce + body) % 4)))
        raw[position % len(raw)] ^= flip
        nonce, body = encryption._b64(bytes(raw[:12])), encryption._b64(bytes(raw[12:]))

        with pytest.raises(CannotUnseal):
            unseal(f"{version}.{key_id}.{nonce}.{body}", tenant_id=clinic.pk, **PLACE)

    @property_test
    @given(text=st.text())
    def test_refuses_text_that_was_never_sealed(self, clinic, text):
        for forged in (text, f"v1.{text}", f"v1.{uuid4()}.{text}.{text}"):
            with pytest.raises(CannotUnseal):
                unseal(forged, tenant_id=clinic.pk, **PLACE)

    def test_never_repeats_itself(self, clinic):
        seen = {seal("x", tenant_id=clinic.pk, patient_ref="P1", **PLACE) for _ in range(50)}

        assert len(seen) == 50

    def test_uses_one_key_a_patient_and_one_query_inside_patient_key(
        self, clinic, django_assert_num_queries
    ):
        seal("x", tenant_id=clinic.pk, patient_ref="P1", **PLACE)
        seal("x", tenant_id=clinic.pk, patient_ref="P2", **PLACE)
        assert DataKey.unscoped.count() == 2

        with (
            django_assert_num_queries(1),
            encryption.patient_key(tenant_id=clinic.pk, patient_ref="P1"),
        ):
            for _ in range(10):
                seal("x", tenant_id=clinic.pk, patient_ref="P1", **PLACE)

    def test_does_not_keep_a_key_that_was_rolled_back(self, clinic):
        with transaction.atomic():
            seal("lost", tenant_id=clinic.pk, patient_ref="P1", **PLACE)
            transaction.set_rollback(True)
        assert not DataKey.unscoped.exists()

        sealed = seal("kept", tenant_id=clinic.pk, patient_ref="P1", **PLACE)
        encryption._memory.forget()

        assert unseal(sealed, tenant_id=clinic.pk, **PLACE) == "kept"


class TestRotation:
    @pytest.mark.req("001-73")
    def test_wraps_every_data_key_again_and_leaves_the_columns_alone(self, clinic):
        sealed = {
            name: seal(name, tenant_id=clinic.pk, patient_ref=name, **PLACE) for name in "abcde"
        }
        before = dict(DataKey.unscoped.values_list("pk", "wrapped"))

        assert encryption.rotate(**BY, limit=3) == 3
        assert encryption.rewrap(limit=3) == 2
        assert encryption.rewrap() == 0

        encryption._memory.forget()
        after = dict(DataKey.unscoped.values_list("pk", "wrapped"))
        assert before.keys() == after.keys()
        assert all(before[key] != after[key] for key in before)
        assert set(DataKey.unscoped.values_list("ring_key", flat=True)) == {"k2"}
        for name, text in sealed.items():
            assert unseal(text, tenant_id=clinic.pk, **PLACE) == name

    def test_lets_the_old_ring_key_go_afterwards(self, clinic):
        sealed = seal("x", tenant_id=clinic.pk, patient_ref="P1", **PLACE)
        encryption.rotate(**BY)
        path = encryption.ring_path()
        ring = json.loads(path.read_text())
        del ring["keys"]["k1"]
        path.write_text(json.dumps(ring))
        encryption._memory.forget()

        assert unseal(sealed, tenant_id=clinic.pk, **PLACE) == "x"

    def test_keeps_the_tokens_that_audit_knows_a_patient_by(self, clinic):
        before = encryption.patient_token(tenant_id=clinic.pk, patient_ref="P1")
        encryption.rotate(**BY)

        assert encryption.patient_token(tenant_id=clinic.pk, patient_ref="P1") == before

    def test_continues_an_unfinished_rotation_before_starting_another(self, clinic):
        for name in "abc":
            seal("x", tenant_id=clinic.pk, patient_ref=name, **PLACE)
        encryption.rotate(**BY, limit=1)
        encryption.rotate(**BY, limit=5)

        assert encryption.key_ring().current == "k2"

    def test_is_a_command_that_finishes_what_it_began(self, clinic, capsys):
        for name in "abc":
            seal("x", tenant_id=clinic.pk, patient_ref=name, **PLACE)
        call_command("rotate_column_keys")

        assert "3 data keys" in capsys.readouterr().out
        assert set(DataKey.unscoped.values_list("ring_key", flat=True)) == {"k2"}
        assert AuditEvent.objects.filter(tag="governance:key:rotated").count() == 1


class TestDestruction:
    def test_makes_one_patients_text_unreadable_for_good(self, clinic):
        gone = seal("gone", tenant_id=clinic.pk, patient_ref="P1", **PLACE)
        kept = seal("kept", tenant_id=clinic.pk, patient_ref="P2", **PLACE)
        assert unseal(gone, tenant_id=clinic.pk, **PLACE) == "gone"

        assert encryption.destroy(tenant_id=clinic.pk, patient_ref="P1", at=AT)

        with pytest.raises(CannotUnseal):
            unseal(gone, tenant_id=clinic.pk, **PLACE)
        with pytest.raises(CannotUnseal):
            seal("new", tenant_id=clinic.pk, patient_ref="P1", **PLACE)
        assert unseal(kept, tenant_id=clinic.pk, **PLACE) == "kept"
        assert not encryption.destroy(tenant_id=clinic.pk, patient_ref="P1", at=AT)


class TestTheRing:
    def test_is_a_file_only_its_owner_reads(self, clinic):
        encryption.key_ring()

        assert stat.S_IMODE(encryption.ring_path().stat().st_mode) == 0o600

    def test_is_not_made_anew_when_stored_data_needs_the_lost_one(self, clinic):
        seal("x", tenant_id=clinic.pk, patient_ref="P1", **PLACE)
        encryption.ring_path().unlink()

        with pytest.raises(KeyRingUnusable):
            encryption.key_ring()

    @pytest.mark.parametrize(
        "text", ["", "{}", "[]", '{"current": "k1", "keys": {}, "tokens": ""}']
    )
    def test_is_refused_when_it_is_not_one(self, clinic, text):
        encryption.ring_path().write_text(text)

        with pytest.raises(KeyRingUnusable):
            encryption.key_ring()

    def test_of_another_installation_opens_nothing(self, clinic):
        sealed = seal("x", tenant_id=clinic.pk, patient_ref="P1", **PLACE)
        path = encryption.ring_path()
        ring = json.loads(path.read_text())
        ring["keys"]["k1"] = base64.b64encode(b"\0" * 32).decode()
        path.write_text(json.dumps(ring))
        encryption._memory.forget()

        with pytest.raises(CannotUnseal):
            unseal(sealed, tenant_id=clinic.pk, **PLACE)

    def test_does_not_show_its_keys_when_printed(self, clinic):
        ring = encryption.key_ring()

        assert "keys" not in repr(ring)
        assert "tokens" not in repr(ring)


class TestTokens:
    @pytest.mark.once
    def test_differ_by_tenant_and_by_reference(self, clinic, other_clinic):
        tokens = {
            encryption.patient_token(tenant_id=tenant.pk, patient_ref=ref)
            for tenant in (clinic, other_clinic)
            for ref in ("P1", "P2")
        }

        assert len(tokens) == 4
        assert all(len(token) == 32 for token in tokens)


class TestSealedFields:
    @pytest.mark.once
    def test_refuse_text_that_was_not_sealed(self):
        field = encryption.PhiTextField(name="summary")

        with pytest.raises(ValueError, match="sealed text only"):
            field.get_prep_value("Take 10 mg")
        assert field.get_prep_value("") == ""

    def test_open_again_only_in_the_record_they_were_set_on(self, clinic):
        from intents.models import Proposal

        first, second = Proposal(tenant=clinic), Proposal(tenant=clinic)
        first.set_phi("summary", "Visit note", patient_ref="P1")
        first.set_phi("asserted_identity", {"family": "Okonkwo"}, patient_ref="P1")
        second.summary = first.summary

        assert first.phi("summary") == "Visit note"
        assert first.phi_json("asserted_identity") == {"family": "Okonkwo"}
        with pytest.raises(CannotUnseal):
            second.phi("summary")
        assert second.phi("asserted_identity") == ""
        with pytest.raises(TypeError, match="not a sealed column"):
            first.set_phi("task_type", "x", patient_ref="P1")
