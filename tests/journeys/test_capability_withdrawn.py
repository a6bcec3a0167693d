"""An EHR switches off what it took so far: agent, reviewer and rules know after the next look, without a deploy."""

import pytest

from audit import timeline
from audit.models import AuditEvent
from intents.lifecycle import RejectedBy, State
from intents.pipeline import gateway
from intents.queries import agents


def offered(day) -> dict[str, bool]:
    """What the agent is told that the connection takes."""
    [view] = [
        each
        for each in agents.connections(
            agent=day.clinic.agent,
            capabilities_of=lambda one: gateway.capabilities_for(connection=one),
            at=day.now,
        )
        if each.connection == day.clinic.connection().name
    ]
    return {f"{each.kind} {each.interaction}": each.accepted for each in view.accepts}


def told(day) -> dict[str, list[str]]:
    """What the log says of the last look that found something new."""
    event = AuditEvent.objects.filter(tag="governance:connection:probed").latest("recorded_at")
    return timeline.details(event.pk, tenant_id=str(day.clinic.tenant.pk))


def resolve_ckd(day):
    return day.clinic.problem(
        interaction="update",
        target=day.clinic.patient("P1")["entries"]["ckd"],
        content={"clinical_status": "inactive"},
        evidence=[],
    )


@pytest.mark.req("000-42")
def test_an_update_that_is_offered_no_longer_is_neither_offered_nor_approvable_nor_sent(day):
    gateway.probe_due(at=day.now)
    assert offered(day)["problem update"]
    waiting = day.propose(resolve_ckd(day))
    assert day.state(waiting) == State.PENDING_APPROVAL
    approved = day.propose(
        day.clinic.problem(
            interaction="update",
            target=day.clinic.patient("P6")["entries"]["diabetes"],
            content={"clinical_status": "inactive"},
            evidence=[],
        ),
        patient="P6",
    )
    day.desk("reyes").approve(approved)
    assert day.state(approved) == State.APPROVED

    day.practice.settings("generic", not_offered=["Condition.update"])
    day.forward(hours=1)
    gateway.probe_due(at=day.now)

    assert not offered(day)["problem update"]
    assert offered(day)["problem create"]
    assert told(day)["withdrawn"] == [
        "problem entered-in-error", "problem resolve", "problem update",
    ]  # fmt: skip
    stops = day.desk("singh").open("/connections/").text
    assert "3 not offered" in stops
    assert "The EHR's own statement does not offer update of Condition." in stops

    # What was waiting cannot be approved any more, and says so; what was approved is not sent.
    page = day.desk("reyes").review(waiting)
    assert page.url.endswith("/conflict/")
    assert "does not offer update" in page.text
    assert day.state(waiting) == State.HELD
    day.after_undo()
    assert (day.state(approved), day.reason(approved)) == (State.FAILED, "unsupported")
    assert day.writes() == []

    # What is drafted now ends as a card to type from, whoever looks.
    later = day.propose(resolve_ckd(day))
    assert day.intent(later).rejected_by == RejectedBy.VALIDATION
    assert "does not offer update" in day.intent(later).reason

    day.practice.settings("generic", not_offered=[])
    gateway.probe_due(at=day.now)
    assert offered(day)["problem update"]
    assert "problem update" in told(day)["restored"]
