"""An EHR switches off what it took so far: agent, reviewer and rules know after the next look, without a deploy."""

import io

import pytest
from django.core.management import CommandError, call_command

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


# --- by hand, at the operator's terminal -----------------------------------------------------------------


def probed(name: str, *more: str) -> list[str]:
    out = io.StringIO()
    call_command("probe_connection", name, *more, stdout=out)
    return out.getvalue().splitlines()


def test_an_operator_asks_one_ehr_and_reads_how_it_differs_from_what_is_declared(day, caplog):
    name = day.clinic.connection().name
    first = probed(name)
    assert first[0] == f"{name}: 37 declared, 37 found"
    assert "FHIR Provenance: taken" in first
    assert not [line for line in first if line.startswith(("not offered", "weaker", "new"))]

    day.practice.settings(
        "generic",
        not_offered=["Condition.update", "Provenance.create"],
        conditional_create="ignored",
    )
    with caplog.at_level("WARNING"):
        second = probed(name)
    assert second[0] == f"{name}: 37 declared, 34 found"
    assert (
        "not offered: problem update. The EHR's own statement does not offer update of Condition."
        in second
    )
    assert "FHIR Provenance: not taken" in second
    assert [line for line in second if line.startswith("weaker: note create:")] == [
        "weaker: note create: conditional_create yes -> no"
    ]
    gone = "problem entered-in-error, problem resolve, problem update"
    assert f"new since the last look, withdrawn: {gone}" in second
    assert "What an EHR offers has changed" in caplog.text
    assert told(day)["withdrawn"] == gone.split(", ")
    assert not offered(day)["problem update"]
    day.check_log()


def test_an_ehr_that_does_not_answer_the_operator_loses_nothing(day):
    gateway.probe_due(at=day.now)
    day.practice.fault("drop-before-commit", vendor="generic", times=None)
    with pytest.raises(CommandError, match="stays in force"):
        probed(day.clinic.connection().name)
    assert offered(day)["problem update"]


def test_what_is_tried_on_a_patient_for_tests_strengthens_the_retry_class_and_leaves_no_problem(
    day,
):
    patient = day.clinic.patient("P12")["patient"]
    name = day.clinic.connection().name
    lines = probed(name, "--try-on", patient)
    assert any(line.startswith("tried: ") and "1 found" in line for line in lines)
    connection = day.clinic.connection()
    assert connection.settings["conditional_create_probed"] == day.now.date().isoformat()
    assert (
        gateway.capability(connection=connection, kind="note", interaction="create").retry == "S2"
    )
    [made] = [
        each["content"]
        for each in day.practice.resources(vendor="generic", type="Condition")
        if "Z02.9" in str(each["content"])
    ]
    assert made["verificationStatus"]["coding"][0]["code"] == "entered-in-error"

    # What another server stands behind the address the next day is not taken on trust.
    day.practice.settings("generic", conditional_create="ignored")
    probed(name, "--try-on", patient)
    connection = day.clinic.connection()
    assert "conditional_create_probed" not in connection.settings
    assert (
        gateway.capability(connection=connection, kind="note", interaction="create").retry == "S3"
    )


def test_nothing_is_tried_on_a_live_connection(day):
    connection = day.clinic.connection()
    type(connection).objects.filter(pk=connection.pk).update(environment="LIVE")
    with pytest.raises(CommandError, match="live"):
        probed(connection.name, "--try-on", "x")
