"""AdvancedMD's practice EHR as a test partner: the connection's settings, and a stage on it."""

import json
import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from ehr_adapters.canonical.codes import ICD10CM
from ehr_adapters.contract import Connection
from ehr_adapters.vendors.advancedmd import budget, session
from tests.ehr_adapters import stage
from tests.ehr_adapters.fake_ehr import FakeEhr
from tests.ehr_adapters.practice import Practice

OFFICE, USER, PASSWORD = "990175", "PORTAL", "made-up-and-public"
# Sections of ours and the fields of the practice's template for progress notes.
FIELDS = (
    (1, "History", 228102, "History"),
    (1, "History", 228106, "Subjective"),
    (2, "Findings and plan", 228113, "Assessment"),
    (2, "Findings and plan", 228115, "Plan"),
)
TEMPLATE = {
    "type": "11506-3",
    "name": "Office Visit",
    "fields": [
        {"section": name, "page": page, "page_name": words, "ordinal": ordinal, "name": name}
        for page, words, ordinal, name in FIELDS
    ],
}
MANY = [[1000, 1000]] * 3


def settings(root: str, **more: Any) -> dict[str, Any]:
    """The settings of a connection to a server at `root`."""
    return {
        "office_code": OFFICE,
        "app_name": "PORTALTEST",
        "login_url": f"{root}/advancedmd/practicemanager/xmlrpc/processrequest.aspx",
        "cluster_origins": [root],
        "note_templates": [TEMPLATE],
        "calls_per_minute": MANY,
        **more,
    }


class AmdStage(stage.Stage):
    """AdvancedMD and the patient `who` of the practice; every stage begins without a session."""

    def __init__(self, practice: Practice, *, who: str = "P1", **more: Any) -> None:
        practice.settings("advancedmd", logins_per_minute=1000)
        people = practice.directory("advancedmd")
        author = people["staff"]["prescriber_one"]["practitioner"]
        column = {"provider": author, "column": 1, "profile": int(author.removeprefix("prof"))}
        own = settings(
            practice.root,
            profiles={author: author},
            scheduler_columns=[column],
            appointment_types=[
                {"code": "FOLLOWUP", "number": 11},
                {"code": "ROUTINE", "number": 12},
            ],
        )
        own |= more
        super().__init__(practice, "advancedmd", who=who, **own)
        self.connection = replace(
            self.connection,
            secrets={"username": USER, "password": PASSWORD},
            time_zone="America/Denver",
        )
        self.author = f"Practitioner/{author}"
        session.sessions = session.Sessions()
        budget.budget = budget.Budget()

    def problem(self, **more: Any) -> dict[str, Any]:
        return {
            "code": {"system": ICD10CM, "code": "R42", "display": "Dizziness & giddiness"},
            "category": "problem-list-item",
            "clinical_status": "active",
            "verification": "confirmed",
            "onset": "2026-11-02",
            "note": 'Said "so"\ntoday.',
        } | more

    def note(self, **more: Any) -> dict[str, Any]:
        return {
            "type": "11506-3",
            "status": "unsigned",
            "author": self.author,
            "date": self.at.isoformat(timespec="seconds"),
            "sections": [
                {"title": "Assessment", "text": 'BP ≥ 140 & rising <fast>\n\t"really"'},
                {"title": "Plan", "text": "Follow up.\n\nIn two weeks."},
            ],
        } | more


# --- a scripted AdvancedMD -----------------------------------------------------------------------

APP = "PORTALTEST"
LOGIN = "/advancedmd/practicemanager/xmlrpc/processrequest.aspx"
REST = f"/advancedmd/api/api-1/{APP}/"
DOOR = f"/advancedmd/processrequest/api-1/{APP}/xmlrpc/processrequest.aspx"


def success(inside: str = "", **attributes: str) -> str:
    more = "".join(f' {name}="{value}"' for name, value in attributes.items())
    return f'<PPMDResults><Results success="1"{more}>{inside}</Results><Error/></PPMDResults>'


def fault(code: str, *, text: str = "", inside: str = "", flag: str = "") -> str:
    return (
        f"<PPMDResults><Results{flag}>{inside}</Results><Error><Fault><detail><code>{code}</code>"
        f"<description>{text}</description></detail></Fault></Error></PPMDResults>"
    )


class AmdFake(FakeEhr):
    """A scripted practice: both steps of the login, one door for writes, FHIR for reads."""

    def __init__(self, server: HTTPServer, *, granted: str | None = None) -> None:
        super().__init__(server, granted=granted)
        self.logins: list[tuple[str, bytes]] = []
        self.login_answer: Callable[[Request], Response] | None = None

    @property
    def root(self) -> str:
        return self.server.url_for("").rstrip("/")

    @property
    def home(self) -> str:
        """The practice's own server, as the login names it."""
        return f"{self.root}{DOOR.removesuffix('/xmlrpc/processrequest.aspx')}"

    def connection(self, kind: str, **more: Any) -> Connection:
        secrets = {"username": USER, "password": PASSWORD}
        return super().connection(
            kind,
            **{"secrets": secrets, **more, "settings": settings(self.root, **more["settings"])},
        )

    @property
    def writes(self) -> list[tuple[str, str, dict[str, str], bytes]]:
        return [r for r in super().writes if b'action="login"' not in r[3]]

    def answer_login(self, status: int, body: str = "", **headers: str) -> None:
        self.login_answer = self._canned(status, body, headers)

    def _handle(self, request: Request) -> Response:
        if request.path not in {LOGIN, DOOR} and not request.path.startswith(REST):
            return super()._handle(request)
        headers = {k.lower(): v for k, v in request.headers.items()}
        body = request.get_data()
        self.requests.append((request.method, request.full_path, headers, body))
        if b'action="login"' in body:
            return self._login(request)
        return self.write_answer(request) if self.write_answer else self._write(request)

    def _login(self, request: Request) -> Response:
        self.logins.append((request.path, request.get_data()))
        if self.login_answer is not None:
            return self.login_answer(request)
        named = f'<usercontext webserver="{self.home}"'
        if request.path == LOGIN:
            told = fault("-2147220476", inside=f"{named}/>")
        else:
            told = success(f"{named}>{OFFICE}session+{len(self.logins)}/=</usercontext>")
        return Response(told, headers={"Content-Type": "text/xml; charset=ISO-8859-1"})

    def _write(self, request: Request) -> Response:
        if request.path.startswith(REST):
            number = re.search(r"/([0-9]+)/cancel$", request.path)
            told = json.dumps({"id": int(number[1]) if number else 771})
            return Response(told, headers={"Content-Type": "application/json"})
        held = re.search(rb'<(?:problem|patient) id="([^"]+)"', request.get_data())
        told = success(f'<entry id="{held[1].decode() if held else "new-1"}"/>')
        return Response(told, headers={"Content-Type": "text/xml; charset=ISO-8859-1"})
