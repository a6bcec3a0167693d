"""Tags, identities, hashes: the frozen values between the pipeline and an adapter."""

import re
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as run_settings
from hypothesis import strategies as st

from ehr_adapters.capabilities import Capability, CapabilitySet, FindMethod, RetryClass
from ehr_adapters.contract import (
    Connection,
    PatientIdentity,
    PersonName,
    QuarantineBounds,
    Slot,
    Snapshot,
    Tag,
    WireRequest,
    birth_dates_are_close,
    comparable_differences,
    name_key,
    one_edit_apart,
    short_forms_in,
)
from ehr_adapters.errors import AdapterError, Unsupported
from ehr_adapters.plain_json import sha256_json

pytestmark = pytest.mark.once

# A busy machine is no failure of what is tested.
UNHURRIED = run_settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])

ADA = PatientIdentity(
    id="p-1",
    family="Featherstone-Oyelaran",
    given=("Zoë", "Ann"),
    birth_date="1957-03-14",
    sex="female",
    mrns=(("urn:mrn", "220744163"),),
    previous_names=(PersonName("Kestrel"),),
)


class TestATag:
    @UNHURRIED
    @given(st.uuids(version=4))
    def test_has_a_short_form_of_sixty_bits(self, number: object) -> None:
        tag = Tag(str(number))
        assert re.fullmatch(r"[0-9A-HJKMNP-TV-Z]{4}(-[0-9A-HJKMNP-TV-Z]{4}){2}", tag.short)
        assert short_forms_in(f"x\nRef {tag.short}") == (tag.short,)
        assert short_forms_in(f"x\nRef {tag.short}Z") == ()

    def test_two_tags_differ(self) -> None:
        tags = [Tag.mint() for _ in range(200)]
        assert len({t.short for t in tags}) == 200

    def test_is_one_however_it_is_spelt(self) -> None:
        tag = Tag.mint()
        assert Tag(tag.uuid.upper()) == tag


class TestAnIdentity:
    @pytest.mark.req("003-09")
    @pytest.mark.parametrize(
        ("asserted", "differing"),
        [
            ({}, ()),
            ({"family": "FEATHERSTONE OYELARAN"}, ()),
            ({"family": "kestrel"}, ()),
            ({"family": "Kestrel-Featherstone"}, ("family",)),
            ({"given": "Zoe"}, ()),
            ({"given": "zoë ann"}, ()),
            ({"given": "Ann"}, ("given",)),
            ({"birth_date": "1957-03-14", "sex": "female", "mrn": "220-744-163"}, ()),
            ({"birth_date": "1957-04-13"}, ("birth_date",)),
            ({"sex": "male", "mrn": "220744136"}, ("sex", "mrn")),
        ],
    )
    def test_names_what_disagrees(
        self, asserted: dict[str, str], differing: tuple[str, ...]
    ) -> None:
        assert ADA.disagreements(**asserted) == differing

    @pytest.mark.parametrize(
        ("other", "alike"),
        [
            (replace(ADA, id="p-2"), True),
            (replace(ADA, id="p-2", mrns=(), birth_date="1957-04-13"), True),
            (replace(ADA, id="p-2", mrns=(), birth_date="1957-03-41"), True),
            (replace(ADA, id="p-2", mrns=(), birth_date="1958-03-01"), True),
            (replace(ADA, id="p-2", mrns=(), birth_date="1960-03-14"), False),
            (replace(ADA, id="p-2", mrns=(), birth_date=""), True),
            (PatientIdentity("p-2", "Other", mrns=(("urn:mrn", "220744136"),)), True),
            (PatientIdentity("p-2", "Other", mrns=(("urn:else", "220744136"),)), False),
            (PatientIdentity("p-2", "Kestrel", birth_date="1957-03-14"), True),
            (replace(ADA, id="p-2", replaced_by="Patient/p-1"), False),
            (ADA, False),
        ],
    )
    def test_knows_who_could_be_taken_for_it(self, other: PatientIdentity, alike: bool) -> None:
        assert ADA.is_name_alike(other) is alike

    def test_survives_storage(self) -> None:
        assert PatientIdentity.from_json(ADA.to_json()) == ADA

    def test_names_compare_without_case_accents_and_marks(self) -> None:
        assert name_key("O’Brien-Smith") == name_key("obrien smith")
        assert name_key("Łukasz Ørsted") == name_key("lukasz orsted")

    def test_edits_and_dates(self) -> None:
        assert one_edit_apart("12345", "12354")
        assert one_edit_apart("12345", "1235")
        assert not one_edit_apart("12345", "12345")
        assert not one_edit_apart("12345", "54321")
        assert birth_dates_are_close("1957-03-04", "1957-04-03")
        assert not birth_dates_are_close("1957-03-04", "1959-04-03")


class TestARequest:
    def test_a_slot_is_filled_once_and_nothing_else_changes(self) -> None:
        step = WireRequest(
            method="POST",
            path="x",
            headers=(),
            body=b'{"t":"@@T@@","n":"@@N@@"}',
            label="",
            scope="",
            slots=(Slot("@@T@@", "session_token"),),
        )
        assert step.filled({"@@T@@": 'a"b'}) == b'{"t":"a\\"b","n":"@@N@@"}'
        assert WireRequest.from_json(step.to_json()) == step
        with pytest.raises(ValueError):
            replace(step, body=b"@@T@@ @@T@@").filled({"@@T@@": "x"})


class TestComparableForms:
    def test_name_each_difference_by_its_place(self) -> None:
        sent = {"a": {"b": [1, {"c": "x"}]}, "d/e": "1", "same": True}
        held = {"a": {"b": [1, {"c": "y"}]}, "d/e": 1, "same": True, "more": None}
        assert comparable_differences(sent, held) == ("/a/b/1/c", "/d~1e", "/more")
        assert comparable_differences(sent, dict(sent)) == ()
        assert comparable_differences([1], [1, 2]) == ("",)
        assert comparable_differences(True, 1) == ("",)

    def test_floats_have_no_hash(self) -> None:
        with pytest.raises(TypeError):
            sha256_json({"v": 1.5})


class TestASnapshot:
    def test_counts_what_was_touched_as_it_compares(self) -> None:
        def held(**canonical: object) -> Snapshot:
            return Snapshot(
                role="target",
                resource_type="Condition",
                id="c",
                raw=b"",
                read_at=datetime(2026, 11, 20, tzinfo=UTC),
                kind="problem",
                canonical={"clinical_status": "active", **canonical},
            )

        code = {"system": "http://snomed.info/sct", "code": "431857002"}
        one = held(code=[code], note="a\r\n", onset="2020")
        shown = held(code=[{**code, "display": "other words"}], note="a", onset="2020")
        assert one.hash_touched(["code", "note"]) == shown.hash_touched(["note", "code"])
        assert one.hash_touched(["onset"]) != held(onset="2021").hash_touched(["onset"])
        # Status and verification count whatever was touched.
        ended = replace(one, canonical={**one.canonical, "clinical_status": "resolved"})
        assert one.hash_touched(["note"]) != ended.hash_touched(["note"])


class TestCapabilities:
    def test_what_is_not_there_is_refused_with_a_sentence(self) -> None:
        declared = CapabilitySet(
            [Capability("note", "amend", supported=False, sentence="By hand.")], vendor="X"
        )
        for kind, interaction, sentence in (
            ("note", "amend", "By hand."),
            ("note", "create", "X offers no way to create a note from outside."),
        ):
            assert not declared.may(kind, interaction)
            with pytest.raises(Unsupported) as refused:
                declared.get(kind, interaction)
            assert refused.value.sentence == sentence

    def test_a_capability_is_declared_once(self) -> None:
        with pytest.raises(ValueError):
            CapabilitySet([Capability("note", "create"), Capability("note", "create")])

    def test_only_proof_allows_sending_again(self) -> None:
        assert not FindMethod.MATCH.miss_proves
        assert not FindMethod.NONE.hit_proves
        assert not RetryClass.S4.may_resend
        assert not RetryClass.S6.may_resend
        assert RetryClass.S1.may_resend


class TestAConnection:
    def test_never_shows_its_key(self) -> None:
        connection = Connection(
            kind="generic_r4",
            base_url="https://ehr.example/r4",
            token_url="https://ehr.example/token",
            client_id="c",
            private_key_pem="SECRET",
        )
        assert "SECRET" not in repr(connection)
        other = replace(connection, private_key_pem="OTHER")
        assert connection.settings_hash() == other.settings_hash()
        assert connection.settings_hash() != replace(connection, base_url="x").settings_hash()

    def test_the_quarantine_takes_the_connections_own_bounds_first(self) -> None:
        declared = {"token_life": 300, "processing_bound": 120, "index_lag": 900}
        assert QuarantineBounds().total(**declared) == 1320
        assert QuarantineBounds(5, 10, 5).total(**declared) == 20


def test_an_error_shows_no_words_of_the_ehr() -> None:
    error = AdapterError(vendor_text="clinical words", status=422, vendor_code="59111")
    shown = f"{error} {error!r} {error.args} {error.facts()}"
    assert "clinical words" not in shown
    assert error.name == "AdapterError"
