"""Three writes whose outcome is unknown, in a real browser: one is found, one is sent once more, one is settled.

Time passes by the portal's clock and its ticks; nobody waits. What was written is read from the practice EHR's
own log.
"""

import pytest

from intents.lifecycle import State
from tests.journeys.conftest import clock
from tests.journeys.day import Day

__all__ = ["clock"]
pytestmark = [pytest.mark.browser, pytest.mark.once, pytest.mark.xdist_group("browser")]

UNKNOWN = "It may be in the EHR, or not."
EVIDENCE = "Reconcile Problems of the patient, 14:10, looked through the whole list"


@pytest.fixture
def day(portal, clock):
    return Day(portal, clock)


class Seat:
    """A person and their browser; whoever was signed out for idleness signs in again."""

    def __init__(self, tab, name):
        self.tab, self.name = tab, name
        tab.sign_in(name)

    def open(self, path):
        page = self.tab.open(path)
        if "/login/" in page.url:
            self.tab.sign_in(self.name)
            page = self.tab.open(path)
        return page

    def read(self, path):
        return self.open(path).locator("main").inner_text()


def lost(day, change, fault, path, vendor="generic"):
    """An approved change whose answer never came."""
    proposal = day.clinic.ready(changes=[change], vendor=vendor, at=day.now)
    day.practice.fault(fault, vendor=vendor, method="POST", path=path)
    return proposal


def effects(day, vendor):
    """The requests after which the EHR held something else than before, by its own log."""
    return [each for each in day.practice.log(vendor=vendor) if each["committed"] or each["staged"]]


@pytest.mark.req("000-81", "001-22", "001-26", "002-38", "002-46", "003-55", "004-20")
@pytest.mark.fault("answer-lost")
def test_unknown_outcomes_are_found_or_sent_once_more_or_settled_by_a_person(day, new_tab):
    found = lost(day, day.clinic.problem(), "error-after-commit", "^Condition")
    absent = lost(day, day.clinic.note(), "drop-before-commit", "^DocumentReference")
    opaque = lost(
        day, day.clinic.problem(vendor="epic"), "error-after-commit", "^Condition", vendor="epic"
    )
    day.forward(seconds=61)
    day.send()

    # The clinician finds all three in the queue; none of them offers to send again.
    reyes = Seat(new_tab(), "Dr A. Reyes")
    page = reyes.open("/queue/")
    page.get_by_role("link", name="Outcome unknown").click()
    page.wait_for_url("**/queue/?view=unknown")
    assert page.locator("#qlist a.open").count() == 3
    page.locator("#qlist a.open").first.click()
    page.wait_for_url("**/delivery/")
    for proposal in (found, absent, opaque):
        text = reyes.read(f"/intents/{proposal.pk}/delivery/")
        assert "Outcome unknown" in text
        assert UNKNOWN in text
        assert reyes.tab.page.get_by_role("button", name="again").count() == 0

    # The portal looks: one is there by its mark, and is read back a minute later.
    day.background()
    assert "found in the chart" in reyes.read(f"/intents/{found.pk}/delivery/")
    day.forward(seconds=60)
    day.background()
    assert "Written and read back" in reyes.read(f"/intents/{found.pk}/delivery/")
    assert "Outcome unknown" in reyes.read(f"/intents/{absent.pk}/delivery/")
    assert len(day.writes()) == 2, "what was not found so soon is not sent again"

    # After the quarantine the other is proven absent, and sent once more.
    day.after_quarantine(absent)
    text = reyes.read(f"/intents/{absent.pk}/delivery/")
    assert "2 attempts" in text
    assert "Filed, not signed" in text or "Written and read back" in text

    # Nobody can look into Epic's holding tank: the operator finds it on the work list, and looks there.
    singh = Seat(new_tab(), "R. Singh")
    page = singh.open("/worklist/")
    row = page.locator("tr[data-item]")
    assert row.count() == 1
    for words in ("Outcome unknown", "Dr A. Reyes", "Epic Northgate"):
        assert words in row.inner_text()
    row.get_by_role("link").click()
    page.wait_for_url(f"**/intents/{opaque.pk}/delivery/**")
    text = page.locator("main").inner_text()
    for words in ("What to look for", "OKONKWO, Ngozi, born 14-Mar-1957", "Its mark"):
        assert words in text
    page.get_by_label("What you saw, with its time").fill(EVIDENCE)
    page.get_by_role("button", name="It is there", exact=True).click()
    page.wait_for_load_state()
    text = page.locator("main").inner_text()
    assert "Waiting in the EHR for someone to accept it" in text
    assert "Settled. Your answer is recorded under your name." in page.locator("body").inner_text()
    assert "Nothing needs a person" in singh.read("/worklist/")

    # Exactly once, by the EHRs' own logs.
    states = [day.state(each) for each in (found, absent, opaque)]
    assert states == [State.RECONCILED, State.RECONCILED, State.ACCEPTED]
    assert [each["path"].split("/")[0] for each in effects(day, "generic")] == [
        "Condition",
        "DocumentReference",
    ]
    problem, first, second = day.writes()
    assert (problem["path"], first["body_sha256"]) == ("Condition", second["body_sha256"])
    assert len(effects(day, "epic")) == len(day.writes("epic")) == 1
    assert (len(day.held("Condition")), len(day.held())) == (1, 1)

    # The log tells who settled the third, and by what right.
    officer = Seat(new_tab(), "H. Ansah")
    told = officer.read(f"/audit/?by=correlation&key={opaque.correlation_id}")
    for words in ("R. Singh", "role OPERATOR"):
        assert words in told
    day.check_log()
    for seat in (reyes, singh, officer):
        assert (seat.tab.complaints, seat.tab.foreign) == ([], [])
