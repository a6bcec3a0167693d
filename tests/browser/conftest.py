"""Real Chromium against a live server, the practice EHRs behind it, the example agent in front."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from intents.management import clinic as furnishing
from intents.management.keypairs import make_key_pair
from intents.models import Proposal
from tests.environment import ROOT
from tests.factories import Clinic

_FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip


def _chromium() -> str | None:
    return (
        os.environ.get("CHROMIUM")
        or shutil.which("chromium")
        or shutil.which("chromium-browser")
        or shutil.which("google-chrome")
    )


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    path = _chromium()
    if path is None:
        if os.environ.get("REQUIRE_BROWSER") == "1":
            pytest.fail("REQUIRE_BROWSER=1 and no Chromium is installed")
        pytest.skip("no Chromium found; install it, or name it in CHROMIUM")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=_FLAGS)
        yield browser
        browser.close()


class Tab:
    """One page, with everything that must not happen on it collected."""

    def __init__(self, page: Any, base: str) -> None:
        self.page, self.base = page, base
        self.complaints: list[str] = []
        self.foreign: list[str] = []
        page.on(
            "console",
            lambda m: self.complaints.append(m.text) if m.type in ("error", "warning") else None,
        )
        page.on("pageerror", lambda e: self.complaints.append(str(e)))
        page.on(
            "request", lambda r: self.foreign.append(r.url) if not r.url.startswith(base) else None
        )

    def open(self, path: str) -> Any:
        self.page.goto(path if path.startswith("http") else self.base + path)
        return self.page

    def sign_in(self, name: str) -> None:
        """Choose who you are on the demo's sign-in page."""
        self.open("/login/")
        self.page.get_by_role("button", name=name).click()
        self.page.wait_for_load_state()


@pytest.fixture
def portal(live_server: Any, clinic: Clinic, settings: Any) -> Clinic:
    """The clinic at the live server's address."""
    settings.PORTAL_URL = live_server.url
    settings.CSRF_TRUSTED_ORIGINS = [live_server.url]
    clinic.url = live_server.url
    return clinic


@pytest.fixture
def new_tab(chromium: Any, portal: Clinic) -> Iterator[Any]:
    contexts = []

    def make(
        *, width: int = 1280, height: int = 800, theme: str = "light", script: bool = True
    ) -> Tab:
        context = chromium.new_context(
            viewport={"width": width, "height": height},
            color_scheme=theme,
            java_script_enabled=script,
            reduced_motion="reduce",
        )
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(15_000)
        return Tab(page, portal.url)

    yield make
    for context in contexts:
        context.close()


@pytest.fixture
def scribe(portal: Clinic, tmp_path: Path) -> Any:
    """Send a consultation through the public API with the example agent; returns its proposal."""
    key_file = tmp_path / "agents" / "visit-scribe.pem"
    credential = portal.credential_of(make_key_pair(key_file))
    state = {
        "portal": portal.url,
        "practice": portal.practice.root,
        "tenant": str(portal.tenant.pk),
        "agents": {
            furnishing.AGENT: {
                "client_id": str(credential.pk),
                "key_file": str(key_file),
                "token_url": f"{portal.url}/oauth/token",
            }
        },
        "connections": {front.vendor: front.name for front in furnishing.FRONTS},
        "default_agent": furnishing.AGENT,
        "default_connection": furnishing.FRONTS[0].name,
        "patients": {
            front.name: furnishing.patients(
                portal.practice.control("GET", "directory"), front.vendor
            )
            for front in furnishing.FRONTS
        },
    }
    (tmp_path / "demo.json").write_text(json.dumps(state))

    def send(file: Path, *arguments: str) -> Proposal:
        before = set(Proposal.objects.values_list("pk", flat=True))
        done = subprocess.run(
            [sys.executable, "manage.py", "visit", "--transcript", str(file), *arguments],
            cwd=ROOT,
            env={**os.environ, "DEMO_DIR": str(tmp_path)},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr + done.stdout
        (new,) = set(Proposal.objects.values_list("pk", flat=True)) - before
        assert f"/intents/{new}/" in done.stdout
        return Proposal.objects.get(pk=new)

    return send
