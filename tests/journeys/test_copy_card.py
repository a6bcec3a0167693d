"""What an EHR cannot take is refused with the reason, and leaves a card to type from."""

import pytest
from django.test import Client

from intents.lifecycle import RejectedBy, State


@pytest.mark.req("000-42")
def test_a_problem_update_that_epic_does_not_take_becomes_a_card_to_type_from(clinic):
    target = clinic.patient("P1", "epic")["entries"]["ckd"]
    finer = {
        "system": "http://hl7.org/fhir/sid/icd-10-cm",
        "code": "N18.31",
        "display": "Chronic kidney disease, stage 3a",
    }
    proposal = clinic.propose(
        [
            clinic.note(),
            clinic.problem(
                ref="c2",
                interaction="update",
                target=target,
                content={"code": [finer]},
                evidence=[],
            ),
        ],
        vendor="epic",
    )
    clinic.screen(proposal)
    refused = clinic.intent(proposal, "c2")
    assert (refused.state, refused.rejected_by) == (State.REJECTED, RejectedBy.VALIDATION)
    assert "Epic" in refused.reason

    browser = Client()
    browser.force_login(
        clinic.person("reyes").user, backend="django.contrib.auth.backends.ModelBackend"
    )
    page = browser.get(f"/intents/{proposal.pk}/").content.decode()
    card = page[page.index('class="copy"') :]
    assert "Chronic kidney disease, stage 3a" in card
    assert "N18.31" in card
    assert "nothing is sent from here" in card
    clinic.approve(proposal)
    clinic.deliver()
    assert clinic.intent(proposal).state in (State.ACCEPTED, State.RECONCILED)
    writes = [e for e in clinic.practice.log(vendor="epic") if e["method"] == "PUT"]
    assert writes == []
