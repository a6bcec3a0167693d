"""What the transition table promises, proved over the table."""

from collections import deque

import pytest

from audit.actors import ActorKind
from audit.tags import describe
from intents.lifecycle import (
    CLOSED,
    IN_FLIGHT,
    MEANING,
    OPEN,
    TRANSITIONS,
    WHOSE_TURN,
    WRITTEN,
    InvalidTransition,
    Lane,
    State,
    Tier,
    check_transition,
    effective_lane,
    strictest,
)

pytestmark = pytest.mark.once

ENDS = {*CLOSED, State.RECONCILED}


def _reachable(start: State | None) -> set[State]:
    seen: set[State] = set()
    queue = deque([start])
    while queue:
        for to in TRANSITIONS[queue.popleft()]:
            if to not in seen:
                seen.add(to)
                queue.append(to)
    return seen


def test_every_state_is_reachable():
    assert _reachable(None) == set(State)


@pytest.mark.parametrize("state", [s for s in State if s not in ENDS])
def test_every_state_can_reach_an_end(state):
    assert _reachable(state) & ENDS


@pytest.mark.parametrize("state", CLOSED)
def test_nothing_follows_a_terminal_state(state):
    assert not TRANSITIONS[state]


def test_only_supersession_follows_reconciled():
    assert set(TRANSITIONS[State.RECONCILED]) == {State.SUPERSEDED}


def test_submitted_is_entered_only_from_approved():
    assert {current for current, edges in TRANSITIONS.items() if State.SUBMITTED in edges} == {
        State.APPROVED
    }


@pytest.mark.req("003-64", "003-103")
def test_no_edge_an_agent_may_take_leads_towards_a_write():
    taken_by_agents = {
        to
        for edges in TRANSITIONS.values()
        for to, edge in edges.items()
        if ActorKind.AGENT in edge.actors
    }
    assert not taken_by_agents & {
        State.PENDING_APPROVAL,
        State.APPROVED,
        State.SUBMITTED,
        State.ACCEPTED,
    }
    assert taken_by_agents == {State.DRAFTED, State.CANCELLED}


@pytest.mark.parametrize(
    "state", [State.SUBMITTED, State.UNCERTAIN, State.ACCEPTED, State.RECONCILED]
)
def test_what_may_be_in_the_chart_is_never_cancelled_or_expired(state):
    assert not {State.CANCELLED, State.EXPIRED} & set(TRANSITIONS[state])


@pytest.mark.req("003-55")
def test_an_uncertain_write_is_settled_only_by_reconciliation_or_an_operator():
    for edge in TRANSITIONS[State.UNCERTAIN].values():
        assert edge.actors <= {ActorKind.RECONCILER, ActorKind.OPERATOR}


def test_every_edge_has_an_actor_a_sentence_and_an_audit_tag():
    for edges in TRANSITIONS.values():
        for edge in edges.values():
            assert edge.actors
            assert edge.when
            assert describe(edge.tag)


def test_every_state_is_explained_and_owned():
    assert set(MEANING) == set(WHOSE_TURN) == set(State)


def test_families_do_not_overlap_and_leave_out_only_failed():
    families = [*OPEN, *IN_FLIGHT, *WRITTEN, *CLOSED]
    assert len(families) == len(set(families))
    assert set(State) - set(families) == {State.FAILED}


def test_a_transition_by_the_wrong_actor_is_refused_with_a_sentence():
    with pytest.raises(
        InvalidTransition, match="AGENT may not move an intent from PENDING_APPROVAL to APPROVED"
    ):
        check_transition(current=State.PENDING_APPROVAL, to=State.APPROVED, actor=ActorKind.AGENT)


def test_a_transition_outside_the_table_is_refused():
    with pytest.raises(InvalidTransition, match="DRAFTED is never followed by SUBMITTED"):
        check_transition(current=State.DRAFTED, to=State.SUBMITTED, actor=ActorKind.DISPATCHER)


@pytest.mark.req("000-24")
@pytest.mark.parametrize("requested", list(Lane))
@pytest.mark.parametrize("granted", list(Lane))
@pytest.mark.parametrize("tier", list(Tier))
def test_the_effective_lane_is_never_further_than_any_of_the_three(requested, granted, tier):
    order = list(Lane)
    lane = effective_lane(requested=requested, granted=granted, tier=tier)
    if tier is Tier.BLOCKED:
        assert lane is None
    else:
        assert order.index(lane) <= min(order.index(requested), order.index(granted))
        assert lane is not Lane.COMMIT or tier is Tier.AUTONOMOUS


def test_the_strictest_tier_wins_and_silence_blocks():
    assert strictest([Tier.APPROVAL, Tier.DUAL_APPROVAL, Tier.AUTONOMOUS]) is Tier.DUAL_APPROVAL
    assert strictest([]) is Tier.BLOCKED
