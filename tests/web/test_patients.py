"""Drafts for one patient: found with a reason, shown in four groups, and looking is recorded."""

import pytest

from audit import timeline
from intents.governance.models import Role
from intents.lifecycle import State
from tests.web import made_up


@pytest.fixture
def client(inside, browser):
    return browser(inside.person(Role.REVIEWER))


@pytest.mark.req("001-76")
def test_finding_a_patient_needs_a_reason_that_is_recorded(draft, inside, client, happened):
    made = draft()
    refused = client.post("/patients/", {"q": "okonkwo", "why": ""}).content.decode()
    assert "Nothing was searched" in refused
    assert f"/patients/{made.proposal.pk}/" not in refused
    found = client.post("/patients/", {"q": "okonkwo", "why": "she called"}).content.decode()
    assert f"/patients/{made.proposal.pk}/" in found
    (event,) = happened("intent:patient:searched")
    body = timeline.details(event.pk, tenant_id=str(inside.tenant.pk))
    assert body == {"reason": "she called", "found": 1}


def test_the_page_groups_the_drafts_and_is_no_chart_viewer(draft, client, happened):
    made = draft()
    for state in (State.SUBMITTED, State.RECONCILED, State.REJECTED):
        draft(state=state)
    draft(patient=made_up.Patient("pat-2", "Petrov", "Alexei", mrn="1"))
    html = client.get(f"/patients/{made.proposal.pk}/").content.decode()
    places = [
        html.index(words)
        for words in (
            "<span>Waiting</span>",
            "<span>Approved, on the way</span>",
            "<span>Written</span>",
            "<span>Rejected, blocked or withdrawn</span>",
        )
    ]
    assert places == sorted(places)
    assert html.count('class="drow"') == 4
    assert "PETROV" not in html
    assert "OKONKWO, Ngozi" in html
    (event,) = happened("intent:phi:viewed")
    assert event.patient_token == made.proposal.patient_token
