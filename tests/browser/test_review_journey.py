"""From the queue to the chart in a real browser: seen, checked, approved by keyboard, written, read back."""

import base64
import io
from datetime import timedelta

import pytest
from django.core.management import call_command
from django.utils import timezone

from audit import sequencing
from intents.lifecycle import State
from intents.models import Screening
from intents.pipeline import dispatch, reconciliation
from tests.environment import ROOT

pytestmark = [pytest.mark.browser, pytest.mark.once, pytest.mark.xdist_group("browser")]

CONSULTATION = ROOT / "examples" / "consultations"


def boxes_in_view(page, selector):
    """Every visible box that matches lies inside the window, clear of the bars that stick."""
    return page.evaluate(
        """(selector) => {
            const bar = document.querySelector('.decide')?.getBoundingClientRect();
            const bottom = bar ? bar.top : innerHeight;
            return [...document.querySelectorAll(selector)].filter(e => e.getClientRects().length)
                .map(e => e.getBoundingClientRect())
                .map(r => r.top >= 0 && r.bottom <= bottom + 1 && r.left >= 0 && r.right <= innerWidth + 1);
        }""",
        selector,
    )


def finish_by_keyboard(page):
    """Make every check with the keyboard alone, then approve, no faster than somebody who reads."""
    page.wait_for_timeout(1100)
    for _ in range(60):
        if page.locator("#approve").get_attribute("aria-disabled") != "true":
            break
        page.keyboard.press("n")
        focused = page.evaluate("document.activeElement.type")
        if focused == "checkbox":
            page.keyboard.press("Space")
        elif focused == "radio":
            # The first option is the safest; keeping the words needs the last one.
            name = page.evaluate("document.activeElement.name")
            page.locator(f'input[name="{name}"]').last.focus()
            page.keyboard.press("Space")
    page.keyboard.press("a")
    assert page.evaluate("document.activeElement.id") == "approve"
    with page.expect_navigation():
        page.keyboard.press("Enter")
    assert page.url.endswith("/delivery/"), page.locator(".notice").all_inner_texts()


@pytest.mark.req("000-59", "000-61", "004-19")
def test_a_consultation_becomes_a_note_in_the_chart(portal, scribe, new_tab):
    file = CONSULTATION / "okonkwo-dizzy-on-standing.txt"
    proposal = scribe(file)
    portal.screen(proposal, at=timezone.now())
    assert {i.state for i in portal.intents(proposal)} == {State.PENDING_APPROVAL}

    tab = new_tab()
    page = tab.page
    tab.sign_in("Dr A. Reyes")
    tab.open("/queue/")
    page.locator("a.open").first.click()
    page.wait_for_url(f"**/intents/{proposal.pk}/")

    # Patient, change, old and new, and a quote are on the first screen.
    assert "OKONKWO, Ngozi" in page.locator(".pt .who").inner_text()
    assert boxes_in_view(page, ".pt .who") == [True]
    assert all(boxes_in_view(page, "[data-delta]"))
    assert any(boxes_in_view(page, ".why mark"))
    assert any(boxes_in_view(page, ".will dd, .will .claim"))
    assert page.locator(".decide").inner_text().count("OKONKWO") >= 1

    finish_by_keyboard(page)
    assert "Sending in" in page.locator("main").inner_text()

    moment = timezone.now() + timedelta(seconds=61)
    sequencing.sequence(at=moment)
    dispatch.drain(at=moment)
    reconciliation.settle_due(at=moment + timedelta(seconds=1))
    sequencing.sequence(at=moment + timedelta(seconds=2))

    # The practice EHR's own log holds the sealed bytes, exactly once.
    writes = [
        e for e in portal.practice.log()
        if e["method"] in ("POST", "PUT") and e["vendor"] and "oauth2" not in e["path"]
    ]  # fmt: skip
    intents = portal.intents(proposal)
    assert len(writes) == len(intents)
    sealed = {
        step["body"]
        for screening in Screening.objects.filter(pk__in=[i.current_screening_id for i in intents])
        for step in screening.phi_json("wire_plan")["steps"]
    }
    assert {e["body"] for e in writes} == sealed
    assert all(base64.b64decode(body) for body in sealed)

    tab.open(f"/intents/{proposal.pk}/delivery/")
    assert "Filed, not signed" in page.locator("main").inner_text()

    compliance = new_tab()
    compliance.sign_in("H. Ansah")
    compliance.open(f"/audit/?by=correlation&key={proposal.correlation_id}")
    told = compliance.page.locator("main").inner_text()
    for step in (
        "received",
        "read the patient",
        "frozen",
        "approved this exact change",
        "read back",
    ):
        assert step in told, step
    for who in ("Visit scribe", "Dr A. Reyes"):
        assert who in told

    said = io.StringIO()
    call_command("verify_audit", stdout=said)  # raises unless every leaf, checkpoint and row holds
    assert tab.complaints == []
    assert compliance.complaints == []
    assert tab.foreign == []
