"""What was written is changed, removed or doubled in the chart later: noticed, listed, never overwritten."""

import pytest

from intents.lifecycle import State
from intents.models import Discrepancy
from intents.pipeline import reconciliation
from tests.journeys.medicines import recorded
from tests.journeys.test_one_of_three_refused_by_athena import ATHENA, SAID, vitals

DOCUMENT = "DocumentReference"


def written(day, *changes, vendor="generic", **more):
    proposal = day.propose(*changes, vendor=vendor, **more)
    day.desk("reyes").approve(proposal)
    day.after_undo()
    assert day.state(proposal) == State.RECONCILED, day.reason(proposal)
    return proposal


def next_day(day):
    day.forward(days=1, minutes=1)
    return reconciliation.watch_due(at=day.now)


def kinds():
    return [each.kind for each in Discrepancy.objects.order_by("opened_at")]


@pytest.mark.req("004-59", "004-60")
def test_a_colleagues_change_of_what_was_written_is_listed_owned_and_left_alone(day):
    proposal = written(day, day.clinic.problem())
    reference = day.intent(proposal).resource_ref
    assert next_day(day) == 1
    assert kinds() == []
    day.practice.lever(
        "edit_as_colleague",
        vendor="generic",
        reference=reference,
        changes={"clinicalStatus": {"coding": [{"system": CLINICAL, "code": "inactive"}]}},
    )
    now = day.entry(reference)["content"]
    assert reconciliation.watch_due(at=day.now) == 0, "once a day"
    assert next_day(day) == 1
    [found] = Discrepancy.objects.all()
    assert (found.kind, found.owner, found.paths) == (
        "human-edited",
        "Dr A. Reyes",
        ["/clinical_status"],
    )
    singh = day.desk("singh")
    listed = singh.open("/worklist/").text
    assert "Chart differs 1" in listed
    assert "Somebody changed the entry in the EHR after it was written." in listed
    assert "never overwritten" in listed
    assert "The chart differs from what was approved." in day.desk("reyes").delivery(proposal).text
    assert "intent:discrepancy:opened" in day.told(proposal)

    # A person settles it; the same is not told again, another change is.
    singh.press(
        singh.delivery(proposal),
        "Settle the difference",
        resolution="ehr-is-right",
        evidence="Problem list, 09:10: Dr Lam set it inactive after the visit",
    )
    assert "Nothing needs a person" in singh.open("/worklist/").text
    next_day(day)
    assert len(kinds()) == 1
    day.practice.lever(
        "edit_as_colleague",
        vendor="generic",
        reference=reference,
        changes={"clinicalStatus": {"coding": [{"system": CLINICAL, "code": "remission"}]}},
    )
    next_day(day)
    assert kinds() == ["human-edited", "human-edited"]
    assert len(day.writes()) == 1
    assert day.entry(reference)["content"]["code"] == now["code"]
    day.check_log()


CLINICAL = "http://terminology.hl7.org/CodeSystem/condition-clinical"


def test_a_signature_and_a_field_beside_are_nobodys_trouble(day):
    note = written(day, day.clinic.note())
    problem = written(day, day.clinic.problem())
    day.practice.lever("sign", vendor="generic", reference=day.intent(note).resource_ref)
    day.practice.lever(
        "edit_as_colleague",
        vendor="generic",
        reference=day.intent(problem).resource_ref,
        changes={"onsetDateTime": "2026-11"},
    )
    assert next_day(day) == 2
    assert kinds() == []


def test_what_is_gone_from_the_chart_is_listed_and_not_written_again(day):
    proposal = written(day, day.clinic.note())
    day.practice.lever("remove", vendor="generic", reference=day.intent(proposal).resource_ref)
    assert next_day(day) == 1
    assert kinds() == ["missing"]
    assert "The entry was not found in the EHR." in day.desk("singh").open("/worklist/").text
    day.background()
    assert len(day.writes()) == 1


@pytest.mark.req("001-26")
def test_two_entries_of_one_change_are_found_by_their_tag(day):
    proposal = written(day, day.clinic.note())
    [held] = day.held()
    twin = {key: value for key, value in held["content"].items() if key not in ("id", "meta")}
    day.practice.lever("add_resource", vendor="generic", resource=twin)
    assert next_day(day) == 1
    assert kinds() == ["duplicate"]
    listed = day.desk("singh").open("/worklist/").text
    assert "The chart holds this more than once." in listed
    assert "Nothing is removed by machine." in listed
    [opened] = [e for e in day.story(proposal) if e.tag == "intent:discrepancy:opened"]
    assert opened.actor_name == "Reconciler"
    assert len(day.held()) == 2
    day.check_log()


def test_a_connection_that_wants_no_watching_is_left_in_peace(day):
    from django.db import transaction

    from intents.governance.models import EhrConnection
    from intents.management.clinic import INSTALLATION

    proposal = written(day, day.clinic.note())
    with transaction.atomic():
        connection = EhrConnection.lock(day.intent(proposal).connection_id)
        connection.change(
            actor=INSTALLATION, at=day.now, settings={**connection.settings, "watch_days": 0}
        )
    day.practice.lever("remove", vendor="generic", reference=day.intent(proposal).resource_ref)
    assert next_day(day) == 0
    assert kinds() == []


@pytest.mark.req("001-26")
def test_where_the_ehr_keeps_no_tag_equal_content_shows_the_double(day):
    day.clinic.connection(ATHENA)
    day.clinic.allow("system/Observation.c", vendor=ATHENA)
    proposal = day.propose(vitals(day), vendor=ATHENA, sources=recorded(SAID))
    day.desk("reyes").approve(proposal)
    day.after_undo()
    day.forward(minutes=20)
    day.background()
    assert day.state(proposal) == State.RECONCILED
    assert next_day(day) == 1
    assert kinds() == []
    [twin] = [
        {
            key: value
            for key, value in each["content"].items()
            if key not in ("id", "meta") and not key.startswith("_")
        }
        for each in day.practice.resources(vendor=ATHENA, type="Observation")
        if each["content"]["id"] == day.intent(proposal).resource_ref.partition("/")[2]
    ]
    day.practice.lever("add_resource", vendor=ATHENA, resource=twin)
    assert next_day(day) == 1
    assert kinds() == ["duplicate"]
    assert "The chart holds this more than once." in day.desk("singh").open("/worklist/").text
    assert len(day.writes(ATHENA)) == 1
