"""Scope strings mean one thing, and a grant admits nothing beyond what it says."""

import contextlib
from datetime import timedelta

import pytest
from django.core.exceptions import ValidationError
from django.db import transaction
from hypothesis import given
from hypothesis import strategies as st

from intents.governance import scopes
from intents.governance.models import ScopeGrant
from intents.governance.scopes import Scope, ScopeMalformed, ScopeNotGrantable
from tests.governance.conftest import AT, BY


@pytest.mark.once
class TestParsing:
    def test_reads_the_form_of_smart_2(self):
        assert scopes.parse("system/Condition.cu?category=problem-list-item") == Scope(
            context="system",
            resource_type="Condition",
            letters=frozenset("cu"),
            narrowed_by=(("category", "problem-list-item"),),
        )

    @pytest.mark.parametrize(
        "text",
        [
            "",
            "system/Condition",
            "system/Condition.",
            "system/Condition.uc",
            "system/Condition.write",
            "system/condition.c",
            "System/Condition.c",
            "system/Condition.c ",
            "system/Condition.c?",
            "system/Condition.c?category",
            'system/Condition.c?category="x"',
            "Condition.c",
            "portal/suggest",
            "system/Condition.c\nsystem/Patient.c",
        ],
    )
    def test_refuses_every_other_text(self, text):
        with pytest.raises(ScopeMalformed):
            scopes.parse(text)

    @given(st.text())
    def test_never_fails_in_another_way(self, text):
        with contextlib.suppress(ScopeMalformed):
            scopes.parse(text)

    @pytest.mark.req("003-34")
    @pytest.mark.parametrize(
        "text",
        [
            "patient/Condition.c",
            "user/Condition.c",
            "system/*.c",
            "system/Condition.r",
            "system/Condition.d",
            "system/Condition.crud",
            "system/Condition.s",
        ],
    )
    def test_grants_neither_reads_nor_deletes_nor_everything(self, text):
        with pytest.raises(ScopeNotGrantable):
            scopes.check_grantable(text)


@pytest.fixture
def ask(inside, add_connection, add_agent):
    """Ask what an agent with these grants holds for one change."""
    connection = add_connection(inside)
    agent = add_agent(inside, lane_ceiling="commit")

    def ask_for(
        grants,
        *,
        fhir_type="Condition",
        letter="c",
        fields=("code", "category"),
        facts=None,
        encounter_ref="",
        ceiling="commit",
        at=AT,
    ):
        with transaction.atomic():
            for grant in grants:
                ScopeGrant.grant(
                    agent=agent, connection=connection, **{"lane": "suggest"} | grant, **BY
                )
        return scopes.find_held(
            scopes.live_grants(agent=agent, connection=connection, at=at),
            lane_ceiling=ceiling,
            fhir_type=fhir_type,
            letter=letter,
            fields=fields,
            facts=facts or {},
            encounter_ref=encounter_ref,
        )

    return ask_for


class TestHolding:
    def test_needs_a_grant(self, ask):
        assert ask([]) is None

    @pytest.mark.req("000-19", "003-35")
    def test_is_of_one_type_and_one_interaction(self, ask):
        held = ask([{"scope": "system/Condition.c"}])

        assert held.lane == "suggest"
        assert held.grant.scope == "system/Condition.c"
        assert ask([], fhir_type="DocumentReference") is None
        assert ask([], letter="u") is None

    def test_takes_the_farthest_lane_but_never_above_the_ceiling(self, ask):
        assert ask([{"scope": "system/Condition.c", "lane": "draft"}]).lane == "draft"
        assert ask([{"scope": "system/Condition.cu", "lane": "commit"}]).lane == "commit"
        assert ask([], ceiling="suggest").lane == "suggest"

    def test_is_narrowed_by_facts_and_a_missing_fact_refuses(self, ask):
        grant = {"scope": "system/Condition.c?category=problem-list-item"}

        assert ask([grant], facts={"category": "problem-list-item"}) is not None
        assert ask([], facts={"category": "encounter-diagnosis"}) is None
        assert ask([], facts={}) is None

    def test_is_limited_to_fields(self, ask):
        assert ask([{"scope": "system/Condition.c", "fields": ["code"]}]) is None
        assert ask([], fields=["code"]) is not None

    def test_is_limited_to_states(self, ask):
        grant = {"scope": "system/Condition.c", "resource_states": ["active"]}

        assert ask([grant], facts={"status": "resolved"}) is None
        assert ask([], facts={"status": "active"}) is not None

    @pytest.mark.req("003-36")
    def test_is_limited_to_a_context_and_an_unknown_limit_refuses(self, ask):
        grant = {"scope": "system/Condition.c", "context_limits": {"encounter_required": True}}

        assert ask([grant]) is None
        assert ask([], encounter_ref="e-1") is not None

    def test_is_refused_by_a_limit_that_nobody_knows(self, ask):
        grant = {"scope": "system/Condition.c", "context_limits": {"weekdays": "only"}}

        assert ask([grant], encounter_ref="e-1") is None

    def test_ends_with_the_grant(self, ask):
        until = AT + timedelta(hours=1)
        grant = {"scope": "system/Condition.c", "active_until": until}

        assert ask([grant], at=until - timedelta(seconds=1)) is not None
        assert ask([], at=until) is None
        assert ask([], at=AT - timedelta(seconds=1)) is None

    @pytest.mark.req("001-116")
    def test_ends_when_the_grant_is_revoked(self, ask):
        held = ask([{"scope": "system/Condition.c"}])
        with transaction.atomic():
            held.grant.revoke(actor=BY["actor"], at=AT + timedelta(minutes=1))

        assert ask([], at=AT + timedelta(minutes=1)) is None


class TestGranting:
    def test_refuses_what_nobody_may_be_granted(self, inside, add_connection, add_agent):
        agent, connection = add_agent(inside), add_connection(inside)

        for scope in ("system/*.c", "nonsense"):
            with pytest.raises(ValidationError), transaction.atomic():
                ScopeGrant.grant(
                    agent=agent, connection=connection, scope=scope, lane="suggest", **BY
                )
