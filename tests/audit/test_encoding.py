"""Canonical JSON: equal values have the same bytes, and what has no exact form is refused."""

import json
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from enum import Enum
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit.actors import Actor, ActorKind
from audit.encoding import NotCanonical, canonical_bytes, canonical_text, sha256_hex
from audit.tags import APPROVALS, VOIDS_APPROVAL, AuditTag, describe

pytestmark = pytest.mark.once

_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: (
        st.lists(inner) | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner)
    ),
    max_leaves=20,
)


def test_keys_are_sorted_and_nothing_is_padded():
    assert canonical_bytes({"b": [1, True, None], "a": {"z": "", "é": "ü"}}) == (
        '{"a":{"z":"","é":"ü"},"b":[1,true,null]}'.encode()
    )


@given(_values)
def test_it_is_json_that_says_the_same(value):
    assert json.loads(canonical_bytes(value)) == value


@given(st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), st.integers()))
def test_order_of_insertion_does_not_matter(value):
    backwards = dict(reversed(value.items()))
    assert canonical_bytes(value) == canonical_bytes(backwards)


def test_a_decimal_keeps_its_exact_text():
    assert canonical_text([Decimal("1.50"), Decimal("1.5")]) == '["1.50","1.5"]'


def test_a_moment_has_one_text_in_every_zone():
    summer = timezone(timedelta(hours=-5))
    assert canonical_text(datetime(2026, 11, 20, 3, 31, 7, tzinfo=summer)) == (
        '"2026-11-20T08:31:07.000000Z"'
    )
    assert canonical_text(date(2026, 11, 20)) == '"2026-11-20"'


def test_ids_and_enum_members_are_their_text():
    assert canonical_text({"t": AuditTag.INTENT_RECEIVED, "id": UUID(int=1)}) == (
        '{"id":"00000000-0000-0000-0000-000000000001","t":"intent:proposal:received"}'
    )


@pytest.mark.parametrize(
    "value",
    [
        1.5,
        float("nan"),
        Decimal("NaN"),
        Decimal("Infinity"),
        datetime(2026, 11, 20, 8, 31),
        b"bytes",
        {1, 2},
        {1: "a key that is no text"},
        {"deep": [{"er": 0.1}]},
        "\ud800",
        Enum("Odd", {"A": 1.5}).A,
        object(),
    ],
)
def test_what_has_no_exact_form_is_refused(value):
    with pytest.raises(NotCanonical):
        canonical_bytes(value)


def test_a_refusal_names_the_place_and_not_the_value():
    with pytest.raises(NotCanonical) as refusal:
        canonical_bytes({"dose": [{"amount": 12.75}]})
    assert "dose" in str(refusal.value)
    assert "12.75" not in str(refusal.value)


def test_a_hash_is_lower_case_hexadecimal():
    assert sha256_hex(b"") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


class TestTags:
    def test_each_is_subject_aspect_action_and_fits_its_column(self):
        for tag in AuditTag:
            subject, aspect, action = tag.value.split(":")
            assert subject in {"intent", "governance", "session", "audit"}
            assert aspect.isidentifier()
            assert action.isidentifier()
            assert len(tag.value) <= 64

    @pytest.mark.req("000-73")
    def test_each_has_a_sentence_of_its_own(self):
        sentences = [tag.sentence for tag in AuditTag]
        assert len(set(sentences)) == len(sentences)
        assert all(text[0].isupper() and text.endswith(".") for text in sentences)

    def test_none_is_lost_as_an_alias_of_another(self):
        assert len(AuditTag.__members__) == len(list(AuditTag))

    def test_a_stored_tag_is_described_and_an_unknown_one_is_shown(self):
        assert describe("intent:write:found") == AuditTag.INTENT_WRITE_FOUND.sentence
        assert "intent:future:thing" in describe("intent:future:thing")

    def test_an_approval_is_not_also_the_end_of_one(self):
        assert not APPROVALS & VOIDS_APPROVAL


class TestActors:
    def test_a_part_of_the_system_has_a_fixed_id(self):
        actor = Actor.system(ActorKind.DISPATCHER)
        assert (actor.id, actor.name) == ("system:dispatcher", "Dispatcher")

    def test_acting_under_an_authority_makes_another_value(self):
        actor = Actor.system(ActorKind.POLICY)
        assert actor.with_authority("rule NOTE-01").authority == "rule NOTE-01"
        assert not actor.authority

    def test_people_are_told_from_programs(self):
        assert {kind for kind in ActorKind if kind.is_person} == {
            ActorKind.REVIEWER,
            ActorKind.COMPLIANCE,
            ActorKind.OPERATOR,
            ActorKind.ADMINISTRATOR,
        }
