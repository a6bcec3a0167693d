"""A day at the clinic: the clock, what runs in the background, people at their screens, the EHR, the log.

    def test_something(day):
        proposal = day.clinic.propose()
        day.background()                         # everything that runs by itself, once
        reyes = day.desk("reyes")
        reyes.approve(proposal)
        day.forward(minutes=1)                   # the clock of the portal; nobody waits
        day.background()

Pages ask the clock for the moment, so the clock is moved; the portal's own ticks move with it.
"""

import base64
import io
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.management import call_command
from django.test import Client

from audit import sequencing
from audit.timeline import Axis, TimelineEvent, events
from intents.lifecycle import State
from intents.models import Intent, Proposal, Tick
from intents.pipeline import dispatch, outbox, reconciliation, screening, worklist
from tests.api.conftest import Program, private_key, public_pem
from tests.factories import Clinic
from tests.journeys.screen import Button, NotOnThePage, Screen

# What happens to every change that is approved and taken, whatever it is; each by somebody.
USUAL = (
    "intent:proposal:received",
    "intent:baseline:read",
    "intent:wire:frozen",
    "intent:validation:passed",
    "intent:policy:decided",
    "intent:phi:viewed",
    "intent:review:claimed",
    "intent:review:approved",
    "intent:write:enqueued",
    "intent:write:submitted",
    "intent:write:accepted",
)


class Clock:
    """The machine's clock, and how far the journey is ahead of it."""

    def __init__(self, real: Callable[[], datetime]) -> None:
        self._real, self.ahead = real, timedelta()

    def now(self) -> datetime:
        return self._real() + self.ahead


class Day:
    """Everything that a journey sees and does."""

    def __init__(self, clinic: Clinic, clock: Clock) -> None:
        self.clinic, self.clock = clinic, clock
        self.practice = clinic.practice
        self._desks: dict[str, Desk] = {}

    # --- time ----------------------------------------------------------------------------------------

    @property
    def now(self) -> datetime:
        return self.clock.now()

    def forward(self, **span: float) -> datetime:
        """Let time go on: the clock, and the portal's own ticks of one second each."""
        passed = timedelta(**span)
        self.clock.ahead += passed
        Tick.advance(at=self.now, by=int(passed.total_seconds()))
        return self.now

    # --- what runs by itself -----------------------------------------------------------------------------

    def background(self) -> None:
        """What the scheduler starts, once each: screening, the log, sending, looking, expiry."""
        screening.screen_due(at=self.now)
        sequencing.sequence(at=self.now)
        dispatch.drain(at=self.now)
        reconciliation.settle_due(at=self.now)
        dispatch.file_due(at=self.now)
        worklist.expire_due(at=self.now)
        sequencing.sequence(at=self.now)

    def send(self) -> None:
        """Only the log and the sending: nobody looks afterwards."""
        sequencing.sequence(at=self.now)
        dispatch.drain(at=self.now)
        sequencing.sequence(at=self.now)

    def after_undo(self) -> None:
        """The undo time is over, and everything runs."""
        self.forward(seconds=61)
        self.background()

    def after_quarantine(self, proposal: Proposal, ref: str = "c1") -> None:
        """Until absence proves something about the last attempt, and everything runs twice."""
        connection = self.intent(proposal, ref).connection
        self.forward(seconds=outbox.ticks(connection.quarantine_seconds) + 600)
        self.background()
        self.forward(seconds=60)
        self.background()

    # --- drafts ------------------------------------------------------------------------------------------

    def program(self, lane: str = "suggest") -> Program:
        """The clinic's agent as its makers see it: a key of its own, and the public API."""
        return Program(
            credential=self.clinic.credential_of(public_pem(lane), lane=lane),
            key=private_key(lane),
            portal=settings.PORTAL_URL,
        )

    def propose(self, *changes: Mapping[str, Any], lane: str = "suggest", **body: Any) -> Proposal:
        """An agent's draft, received and screened by the background."""
        proposal = self.clinic.propose(changes or None, lane=lane, at=self.now, **body)
        screening.screen_due(at=self.now)
        return proposal

    def intent(self, proposal: Proposal, ref: str = "c1") -> Intent:
        return self.clinic.intent(proposal, ref)

    def state(self, proposal: Proposal, ref: str = "c1") -> State:
        return State(self.intent(proposal, ref).state)

    def states(self, proposal: Proposal) -> dict[str, str]:
        return {intent.ref: intent.state for intent in self.clinic.intents(proposal)}

    def reason(self, proposal: Proposal, ref: str = "c1") -> str:
        """The code of why a change is where it is."""
        return self.intent(proposal, ref).reason.split(":")[0]

    # --- people ------------------------------------------------------------------------------------------

    def desk(self, name: str) -> "Desk":
        """Where this person sits; signed in the first time they are asked for."""
        if name not in self._desks:
            self._desks[name] = Desk(self, name)
        return self._desks[name]

    # --- the EHR -----------------------------------------------------------------------------------------

    def writes(self, vendor: str = "generic") -> list[dict[str, Any]]:
        """The writes that reached the EHR, whatever it answered; searches and sign-ins aside."""
        return [
            entry
            for entry in self.practice.log(vendor=vendor)
            if entry["method"] in ("POST", "PUT", "PATCH", "DELETE")
            and "oauth2" not in entry["path"]
            and "_search" not in entry["path"]
        ]

    def held(
        self, kind: str = "DocumentReference", *, patient: str = "P1", vendor: str = "generic"
    ) -> list[dict[str, Any]]:
        """What the EHR holds that the portal wrote."""
        return self.clinic.written(vendor=vendor, patient=patient, kind=kind)

    def entry(self, reference: str, *, vendor: str = "generic") -> dict[str, Any]:
        """One entry of the EHR as it is stored now: content, version, author."""
        kind, _, key = reference.partition("/")
        [found] = [
            each
            for each in self.practice.resources(vendor=vendor, type=kind, id=key)
            if each["content"]["id"] == key
        ]
        return found

    # --- the log -----------------------------------------------------------------------------------------

    def story(self, proposal: Proposal, ref: str = "") -> list[TimelineEvent]:
        """What the log tells of a draft, oldest first; with `ref` of one of its changes."""
        by, value = (
            (Axis.INTENT, self.intent(proposal, ref).pk) if ref else (Axis.PROPOSAL, proposal.pk)
        )
        return events(
            by=by,
            value=str(value),
            tenant_id=str(self.clinic.tenant.pk),
            newest_first=False,
            limit=None,
        )

    def told(self, proposal: Proposal, ref: str = "") -> list[str]:
        """The tags of the story, in order."""
        return [event.tag for event in self.story(proposal, ref)]

    def check_usual(self, proposal: Proposal, *beside: str) -> None:
        """The story holds the usual events and these, in this order, each with who and by what right."""
        story = self.story(proposal)
        told = [event.tag for event in story]
        place = -1
        for tag in (*USUAL, *beside):
            assert tag in told[place + 1 :], f"{tag} is missing after {told[: place + 1]}: {told}"
            place = told.index(tag, place + 1)
        for event in story:
            assert event.actor_name, event.tag
            assert event.actor_id, event.tag
            assert event.sentence.endswith("."), event.tag
            assert event.authority, f"{event.tag} by {event.actor_name} names no authority"

    def check_log(self) -> None:
        """Every leaf, checkpoint, signature and row holds; raises otherwise."""
        sequencing.sequence(at=self.now)
        call_command("verify_audit", stdout=io.StringIO())


def text_of(document: Mapping[str, Any]) -> str:
    """The words of a document as the EHR holds them."""
    [content] = document["content"]
    return base64.b64decode(content["attachment"]["data"]).decode()


class Desk:
    """One person's browser. Opens pages, fills in what they offer, presses what they show."""

    def __init__(self, day: Day, name: str) -> None:
        self.day, self.name = day, name
        self.membership = day.clinic.person(name)
        self.client = Client(enforce_csrf_checks=True)
        self.sign_in()

    def sign_in(self) -> Screen:
        """Choose oneself on the demo's sign-in page."""
        return self.press(self.open("/login/"), self.membership.user.name)

    # --- pages -------------------------------------------------------------------------------------------

    def open(self, path: str) -> Screen:
        """The page at this address, wherever it leads to; an ended session is opened again first."""
        screen = self._shown(self.client.get(path, follow=True), path)
        if screen.url == "/login/" and path != "/login/":
            self.sign_in()
            screen = self._shown(self.client.get(path, follow=True), path)
        return screen

    def press(self, screen: Screen, words: str | Button, **fields: str) -> Screen:
        """Fill in fields of the button's form, press it, and see the page that follows."""
        button = screen.button(words) if isinstance(words, str) else words
        if button.form is None:
            raise NotOnThePage(f"{button.words!r} belongs to no form")
        for name, value in fields.items():
            button.form.fill(name, value)
        pairs = button.form.sent(button)
        data: dict[str, list[str]] = {}
        for name, value in pairs:
            data.setdefault(name, []).append(value)
        send = self.client.post if button.form.method == "post" else self.client.get
        return self._shown(send(button.action, data, follow=True), button.action)

    def _shown(self, response: Any, path: str) -> Screen:
        chain = getattr(response, "redirect_chain", [])
        url = urlsplit(chain[-1][0]).path if chain else urlsplit(path).path
        html = response.content.decode() if "html" in response.get("Content-Type", "") else ""
        return Screen.of(html, url=url, status=response.status_code)

    def review(self, proposal: Proposal) -> Screen:
        return self.open(f"/intents/{proposal.pk}/")

    def delivery(self, proposal: Proposal) -> Screen:
        return self.open(f"/intents/{proposal.pk}/delivery/")

    def history(self, proposal: Proposal) -> Screen:
        return self.open(f"/intents/{proposal.pk}/history/")

    # --- deciding ----------------------------------------------------------------------------------------

    def approve(
        self, proposal: Proposal, *, answers: Mapping[str, str] | None = None, seconds: float = 40
    ) -> Screen:
        """Open the draft, read for a while, tick and answer everything, press Approve.

        `answers` says for each question (by some of its words) which answer (by some of its words).
        """
        screen = self.review(proposal)
        self.check(screen, answers=answers)
        self.day.forward(seconds=seconds)
        screen = self.press(screen, "Approve for")
        if screen.offers("It is still me"):
            # What was ticked is kept; the page is read again and the button pressed again.
            screen = self.press(screen, "It is still me")
            self.day.forward(seconds=2)
            screen = self.press(screen, "Approve for")
        return screen

    def check(self, screen: Screen, *, answers: Mapping[str, str] | None = None) -> None:
        """Tick and answer everything on a review page."""
        screen.tick_all()
        for about, words in (answers or {}).items():
            screen.answer(about, words)
