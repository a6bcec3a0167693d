"""Every page of the first thread and of the operators: no axe violation of any impact, light and dark, narrow and wide."""

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.db import transaction
from django.utils import timezone

from intents.governance.models import EhrConnection
from intents.lifecycle import State
from intents.management.clinic import INSTALLATION

pytestmark = [pytest.mark.browser, pytest.mark.once, pytest.mark.xdist_group("browser")]

SIZES = [(390, 844), (1280, 800)]
THEMES = ["light", "dark"]


def violations(page):
    found = Axe().run(page).response["violations"]
    return [(v["id"], v["impact"], v["nodes"][0]["html"][:160]) for v in found]


def pages(portal):
    """Address of each page, by name, after a little history has been made."""
    waiting = portal.propose([portal.note(), portal.problem(ref="c2")], at=timezone.now())
    portal.screen(waiting, at=timezone.now())
    sent = portal.ready(at=timezone.now())
    portal.deliver(at=timezone.now())
    held = portal.propose(patient="P2", at=timezone.now())
    portal.screen(held, at=timezone.now())
    stopped = portal.propose(at=timezone.now(), encounter=portal.patient("P2")["encounter"])
    portal.screen(stopped, at=timezone.now())
    assert portal.intent(stopped).state == State.HELD
    return {
        "queue": "/queue/",
        "review": f"/intents/{waiting.pk}/",
        "edit": f"/intents/{waiting.pk}/edit/",
        "reject": f"/intents/{waiting.pk}/reject/",
        "conflict": f"/intents/{stopped.pk}/conflict/",
        "delivery": f"/intents/{sent.pk}/delivery/",
        "history": f"/intents/{sent.pk}/history/",
    }, sent


@pytest.mark.req("001-56")
def test_no_page_has_a_violation(portal, new_tab):
    addresses, sent = pages(portal)
    audit = {
        "timeline": f"/audit/?by=correlation&key={sent.correlation_id}",
        "integrity": "/audit/integrity/",
    }
    operating = {"worklist": "/worklist/", "connections": "/connections/"}
    with transaction.atomic():
        EhrConnection.lock(portal.connection().pk).go_back(
            to="CANARY", actor=INSTALLATION, at=timezone.now(), reason="Of the test"
        )
    found = {}
    for theme in THEMES:
        for width, height in SIZES:
            tab = new_tab(width=width, height=height, theme=theme)
            tab.open("/login/")
            found["sign in", theme, width] = violations(tab.page)
            tab.sign_in("Dr A. Reyes")
            for name, address in addresses.items():
                tab.open(address)
                found[name, theme, width] = violations(tab.page)
            officer = new_tab(width=width, height=height, theme=theme)
            officer.sign_in("H. Ansah")
            for name, address in audit.items():
                officer.open(address)
                found[name, theme, width] = violations(officer.page)
            operator = new_tab(width=width, height=height, theme=theme)
            operator.sign_in("R. Singh")
            for name, address in operating.items():
                operator.open(address)
                found[name, theme, width] = violations(operator.page)
            assert operator.complaints == []
            assert tab.complaints == []
            assert officer.complaints == []
    assert {key: what for key, what in found.items() if what} == {}


def test_a_planted_violation_is_found(new_tab):
    tab = new_tab()
    tab.open("/login/")
    tab.page.evaluate("document.body.insertAdjacentHTML('beforeend', '<img src=\"/favicon.ico\">')")
    assert "image-alt" in {v[0] for v in violations(tab.page)}
    tab.page.evaluate("document.querySelectorAll('img').forEach(i => i.remove())")


def test_a_planted_inline_script_is_stopped_and_reported(new_tab):
    tab = new_tab()
    tab.open("/login/")
    tab.page.evaluate(
        "const s = document.createElement('script'); s.textContent = 'window.planted = 1'; document.head.append(s)"
    )
    assert tab.page.evaluate("window.planted") is None
    assert any("Content Security Policy" in line for line in tab.complaints)
