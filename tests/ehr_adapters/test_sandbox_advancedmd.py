"""AdvancedMD's practice EHR, oddity by oddity."""

import json
import re
from typing import Any
from xml.etree import ElementTree as ET

import pytest
import requests

from tests.ehr_adapters.advancedmd import OFFICE, PASSWORD, USER
from tests.ehr_adapters.practice import READY_SECONDS, Backend, Practice, fresh_practice, practice

__all__ = ["fresh_practice", "practice"]
pytestmark = pytest.mark.once

BASE = -2147221504
PROBLEM = '<problem icd10code="R42" description="Dizziness" status="Active"/>'
FIELD = '<field pageindex="2" ordinal="228115" fieldname="Plan" value="{}"/>'


class Connect:
    """A client of the older interface that makes every mistake it is told to."""

    def __init__(self, practice: Practice) -> None:
        self.practice, self.root = practice, f"{practice.root}/advancedmd"
        self.people = practice.directory("advancedmd")
        self.patient = self.people["P1"]["patient"]
        self.server, self.token = "", ""

    def post(self, url: str, body: str, **headers: str) -> requests.Response:
        named = {"Content-Type": "text/xml; charset=ISO-8859-1", "Accept": "text/xml"}
        more = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.practice.http.post(
            url, data=body.encode("iso-8859-1"), headers=named | more, timeout=READY_SECONDS
        )

    def log_in(self, url: str = "", **changed: str) -> requests.Response:
        who = {"username": USER, "psw": PASSWORD, "officecode": OFFICE, "appname": "TESTAPP"}
        written = " ".join(f'{name}="{value}"' for name, value in (who | changed).items())
        message = (
            f'<ppmdmsg action="login" class="login" msgtime="11/20/2026 08:00:00 AM" {written}/>'
        )
        return self.post(url or f"{self.root}/practicemanager/xmlrpc/processrequest.aspx", message)

    def enter(self) -> "Connect":
        """Both steps."""
        named = context(self.log_in())
        self.server = str(named.get("webserver"))
        self.token = str(context(self.log_in(self.door)).text)
        return self

    @property
    def door(self) -> str:
        return f"{self.server}/xmlrpc/processrequest.aspx"

    def say(
        self, action: str, inside: str = "", *, token: str | None = None, **attributes: str
    ) -> Any:
        named = {"class": "api", "patientid": self.patient, **attributes}
        written = " ".join(f'{name.rstrip("_")}="{value}"' for name, value in named.items())
        shown = self.token if token is None else token
        body = f'<ppmdmsg action="{action}" {written}><usercontext>{shown}</usercontext>{inside}</ppmdmsg>'
        return self.post(self.door, body)

    def note(self, *fields: str, **attributes: str) -> Any:
        author = self.people["staff"]["prescriber_one"]["practitioner"]
        named = {"templatename": "Office Visit", "profileid": author, **attributes}
        inside = "".join(fields or (FIELD.format("Follow up."),))
        page = f'<pagelist><page pageindex="2"><fieldlist>{inside}</fieldlist></page></pagelist>'
        return self.say("addehrnote", page, **named)


def tree(reply: requests.Response) -> ET.Element:
    assert reply.status_code == 200, reply.text
    assert reply.headers["Content-Type"] == "text/xml; charset=ISO-8859-1"
    return ET.fromstring(reply.content)


def context(reply: requests.Response) -> ET.Element:
    found = tree(reply).find(".//usercontext")
    assert found is not None
    return found


def succeeded(reply: requests.Response) -> bool:
    results = tree(reply).find("Results")
    return results is not None and results.get("success") == "1"


def number(reply: requests.Response) -> int:
    code = tree(reply).findtext(".//code")
    assert code is not None
    assert not succeeded(reply)
    return int(code)


@pytest.fixture
def outside(fresh_practice: Practice) -> Connect:
    fresh_practice.settings("advancedmd", logins_per_minute=100)
    return Connect(fresh_practice)


@pytest.fixture
def connect(outside: Connect) -> Connect:
    return outside.enter()


class TestTheLogin:
    def test_the_first_door_names_the_practices_server_and_gives_nothing(
        self, outside: Connect
    ) -> None:
        reply = outside.log_in()
        assert number(reply) == -2147220476
        assert context(reply).get("webserver") == f"{outside.root}/processrequest/api-802/TESTAPP"
        assert not context(reply).text

    def test_the_second_gives_a_session_good_for_what_follows(self, connect: Connect) -> None:
        assert succeeded(connect.say("addehrproblem", PROBLEM))

    def test_another_server_sends_on_once_more(self, outside: Connect) -> None:
        outside.server = f"{outside.root}/processrequest/api-17/TESTAPP"
        assert number(outside.log_in(outside.door)) == -2147220476
        outside.enter()
        outside.server = outside.server.replace("api-802", "api-17")
        assert number(outside.say("getehrtemplates")) == -2147220476

    @pytest.mark.fault("advancedmd.fault-in-200")
    @pytest.mark.parametrize(
        "changed",
        [{"psw": "x"}, {"username": "x"}, {"officecode": "1"}, {"appname": "API"}, {"appname": ""}],
    )
    def test_who_is_not_known_is_told_so_with_200(
        self, outside: Connect, changed: dict[str, str]
    ) -> None:
        assert number(outside.log_in(**changed)) - BASE in {1002, 1003}

    def test_one_login_a_minute_then_429(self, outside: Connect) -> None:
        outside.practice.settings("advancedmd", logins_per_minute=1)
        outside.enter()
        assert outside.log_in().status_code == 200
        assert outside.log_in(outside.door).status_code == 429

    def test_the_log_keeps_no_password(self, connect: Connect) -> None:
        entries = connect.practice.log(vendor="advancedmd")
        assert [one["body"] for one in entries] == [None, None]
        assert PASSWORD not in json.dumps(entries)

    @pytest.mark.fault("advancedmd.session-ends")
    def test_a_session_ends_in_the_middle(self, connect: Connect) -> None:
        assert succeeded(connect.say("addehrproblem", PROBLEM))
        connect.practice.lever("expire_tokens", vendor="advancedmd")
        reply = connect.say("addehrproblem", PROBLEM)
        assert number(reply) == -2147220479
        connect.practice.settings("advancedmd", short_fault_numbers=True)
        assert number(connect.say("addehrproblem", PROBLEM)) == 1025


class TestTheSession:
    @pytest.mark.parametrize("where", ["nowhere", "header", "cookie"])
    def test_in_xml_it_stands_in_the_body_and_nowhere_else(
        self, connect: Connect, where: str
    ) -> None:
        headers = {
            "nowhere": {},
            "header": {"Authorization": f"Bearer {connect.token}"},
            "cookie": {"Cookie": f"token={connect.token}"},
        }[where]
        body = f'<ppmdmsg action="addehrproblem" class="api" patientid="{connect.patient}">{PROBLEM}</ppmdmsg>'
        reply = connect.post(connect.door, body, **headers)
        assert reply.status_code == 400
        assert "token" in reply.text

    @pytest.mark.fault("advancedmd.lists-collapse")
    def test_in_json_it_is_a_cookie_and_lists_of_one_collapse(self, connect: Connect) -> None:
        asked = json.dumps({"ppmdmsg": {"@action": "getehrtemplates", "@class": "api"}})
        kinds = {"Content_Type": "application/json", "Accept": "application/json"}
        assert connect.post(connect.door, asked, **kinds).status_code == 400
        reply = connect.post(connect.door, asked, Cookie=f"token={connect.token}", **kinds)
        results = reply.json()["PPMDResults"]["Results"]
        assert results["@success"] == "1"
        visit, telephone = results["templatelist"]["template"]
        assert isinstance(visit["pagelist"]["page"], list)
        field = telephone["pagelist"]["page"]["fieldlist"]["field"]
        assert (field["@fieldname"], field["@ordinal"]) == ("Call", "331201")

    def test_a_message_that_is_none_is_400(self, connect: Connect) -> None:
        for body in ("", "<x/>", "<ppmdmsg", '<!DOCTYPE a [<!ENTITY b "c">]><ppmdmsg action="x"/>'):
            assert connect.post(connect.door, body).status_code == 400
        assert connect.post(connect.door, "{}", Content_Type="application/json").status_code == 400


class TestTheMeter:
    @pytest.mark.fault("advancedmd.billed-calls")
    def test_calls_beyond_the_free_ones_are_carried_out_and_billed(self, connect: Connect) -> None:
        connect.practice.settings("advancedmd", free_calls=[[1, 1], [2, 2], [1, 1]])
        for _ in range(4):
            assert succeeded(connect.say("addehrproblem", PROBLEM))
        for _ in range(2):
            assert succeeded(connect.say("getehrtemplates"))
        counted = [one["scope"] for one in connect.practice.log(vendor="advancedmd")][2:]
        # The minute of the clock may turn between two calls, once.
        assert sum(each.endswith(" billed") for each in counted) in {1, 2, 3}
        assert {re.sub(" billed$", "", one) for one in counted} == {
            "tier2 addehrproblem",
            "tier3 getehrtemplates",
        }


class TestProblems:
    def held(self, connect: Connect, reply: requests.Response) -> dict[str, Any]:
        entry = tree(reply).find(".//problem")
        assert entry is not None
        assert re.fullmatch(r"prob\d{9}", str(entry.get("id")))
        [row] = connect.practice.resources(vendor="advancedmd", id=entry.get("id"))
        return row["content"]

    def test_a_problem_is_filed_as_it_was_said(self, connect: Connect) -> None:
        row = (
            '<problem icd10code="R42" snomedcode="404640003" description="Dizziness &amp; more" status="Inactive" '
            'onsetdate="11/02/2026" comments="a&#10;b"/>'
        )
        content = self.held(connect, connect.say("addehrproblem", row))
        assert [one["code"] for one in content["code"]["coding"]] == ["R42", "404640003"]
        assert content["code"]["text"] == "Dizziness & more"
        assert content["clinicalStatus"]["coding"][0]["code"] == "inactive"
        assert content["onsetDateTime"] == "2026-11-02"
        assert content["note"] == [{"text": "a\nb"}]

    def test_an_update_changes_what_it_names_and_takes_away_what_is_empty(
        self, connect: Connect
    ) -> None:
        first = connect.say(
            "addehrproblem", PROBLEM.replace("/>", ' comments="a" onsetdate="01/02/2026"/>')
        )
        entry = tree(first).find(".//problem")
        assert entry is not None
        row = f'<problem id="{entry.get("id")}" comments="" status="Resolved" resolveddate="11/19/2026"/>'
        content = self.held(connect, connect.say("updateehrproblem", row))
        assert "note" not in content
        assert (content["onsetDateTime"], content["abatementDateTime"]) == (
            "2026-01-02",
            "2026-11-19",
        )

    @pytest.mark.parametrize(
        ("row", "told"),
        [
            ("", 1013),
            ('<problem description="x"/>', 1014),
            ('<problem icd10code="R42" onsetdate="2026-11-02"/>', 1014),
            ('<problem icd10code="R42" status="active"/>', 1014),
        ],
    )
    def test_what_is_not_understood_is_refused(self, connect: Connect, row: str, told: int) -> None:
        assert number(connect.say("addehrproblem", row)) - BASE == told
        assert connect.practice.log(vendor="advancedmd")[-1]["committed"] == []

    def test_a_problem_of_another_patient_is_not_found(self, connect: Connect) -> None:
        other = connect.people["P2"]["entries"]["asthma"].split("/")[1]
        row = f'<problem id="{other}" comments="x"/>'
        assert number(connect.say("updateehrproblem", row)) - BASE == 1011
        assert number(connect.say("addehrproblem", PROBLEM, patientid="pat1")) - BASE == 1010
        assert number(connect.say("savecharges")) - BASE == 1001


class TestNotes:
    def test_a_note_is_the_fields_of_a_template_and_not_signed(self, connect: Connect) -> None:
        reply = connect.note(FIELD.format("a&#10;b"), notedatetime="11/20/2026 02:16:55 PM")
        entry = tree(reply).find(".//patientnote")
        assert entry is not None
        [row] = connect.practice.resources(vendor="advancedmd", id=entry.get("id"))
        assert row["content"]["docStatus"] == "preliminary"
        assert row["content"]["date"] == "2026-11-20T14:16:55-07:00"

    @pytest.mark.fault("advancedmd.templates-only")
    @pytest.mark.parametrize(
        ("fields", "attributes", "told"),
        [
            ((), {"templatename": "Free text"}, 1012),
            ((FIELD.format("x").replace("228115", "1"),), {}, 1013),
            ((FIELD.format("x").replace("228115", "228101"),), {}, 1013),
            ((FIELD.format("x" * 4001),), {}, 1014),
            ((FIELD.format(" "),), {}, 1014),
            ((), {"profileid": "prof1"}, 1010),
            ((), {"visitid": "vis1"}, 1010),
            ((), {"notedatetime": "2026-11-20"}, 1014),
        ],
    )
    def test_there_is_no_text_outside_of_a_field(
        self, connect: Connect, fields: tuple[str, ...], attributes: dict[str, str], told: int
    ) -> None:
        assert number(connect.note(*fields, **attributes)) - BASE == told

    def test_whether_it_can_be_read_back_is_a_switch(self, connect: Connect) -> None:
        entry = tree(connect.note()).find(".//patientnote")
        assert entry is not None
        r4 = reader(connect.practice)
        for listed, status in ((False, 404), (True, 200)):
            connect.practice.settings("advancedmd", notes_listed=listed)
            assert r4.get(f"DocumentReference/{entry.get('id')}").status_code == status
            found = r4.found("DocumentReference", patient=f"Patient/{connect.patient}")
            assert (entry.get("id") in {one["id"] for one in found}) is listed


class TestOtherEntries:
    def stored(self, connect: Connect, fhir_id: str) -> dict[str, Any]:
        [row] = connect.practice.resources(vendor="advancedmd", id=fhir_id)
        return row["content"]

    def test_a_plan_of_the_health_watcher_is_a_title_and_a_text(self, connect: Connect) -> None:
        plans = '<hmplanlist><hmplan title="Weight" text="Walk&#10;Rest"/></hmplanlist>'
        entry = tree(connect.say("addehrhwplans", plans)).find(".//hmplan")
        assert entry is not None
        content = self.stored(connect, str(entry.get("id")))
        assert (content["title"], content["description"]) == ("Weight", "Walk\nRest")
        assert number(connect.say("addehrhwplans")) - BASE == 1013
        empty = plans.replace("Weight", " ")
        assert number(connect.say("addehrhwplans", empty)) - BASE == 1014

    def test_contact_data_is_changed_where_it_is_named(self, connect: Connect) -> None:
        before = self.stored(connect, connect.patient)
        row = f'<patient id="{connect.patient}" homephone="" email="a@b.example" city="Town"/>'
        assert succeeded(connect.say("updatepatient", row))
        after = self.stored(connect, connect.patient)
        assert after["telecom"] == [{"system": "email", "value": "a@b.example"}]
        assert after["address"][0] == before["address"][0] | {"city": "Town"}
        assert after["name"] == before["name"]
        assert number(connect.say("updatepatient", '<patient id="pat1"/>')) - BASE == 1010


class TestTheScheduler:
    def ask(self, connect: Connect, method: str = "POST", rest: str = "", **more: Any) -> Any:
        url = connect.server.replace("/processrequest/", "/api/") + "/scheduler/Appointments" + rest
        author = connect.people["staff"]["prescriber_one"]["practitioner"]
        body = {
            "patientid": int(connect.patient.removeprefix("pat")),
            "columnid": 1,
            "profileid": int(author.removeprefix("prof")),
            "startdatetime": "2027-03-02T09:00:00",
            "duration": 20,
            "type": 11,
        }
        headers = more.pop("headers", {"Authorization": f"Bearer {connect.token}"})
        return connect.practice.http.request(
            method, url, json=body | more, headers=headers, timeout=READY_SECONDS
        )

    def test_a_time_in_a_column_is_taken_once(self, connect: Connect) -> None:
        booked = self.ask(connect)
        assert booked.status_code == 201
        assert self.ask(connect).status_code == 409
        assert self.ask(connect, startdatetime="2027-03-02T08:50:00").status_code == 409
        assert self.ask(connect, startdatetime="2027-03-02T09:20:00").status_code == 201
        number = booked.json()["id"]
        assert self.ask(connect, "PUT", f"/{number}/cancel").json() == {"id": number}
        assert self.ask(connect).status_code == 201
        assert self.ask(connect, "PUT", "/1/cancel").status_code == 404
        assert self.ask(connect, "PUT", f"/{number}/checkin").status_code == 404

    def test_the_session_is_a_bearer(self, connect: Connect) -> None:
        cookie = {"Cookie": f"token={connect.token}"}
        assert self.ask(connect, headers=cookie).status_code == 400
        connect.practice.lever("expire_tokens", vendor="advancedmd")
        assert self.ask(connect).status_code == 401

    @pytest.mark.parametrize(
        "wrong",
        [
            {"patientid": "pat45"},
            {"patientid": 1},
            {"columnid": 9},
            {"profileid": 9},
            {"type": 99},
            {"duration": 0},
            {"startdatetime": "03/02/2027 09:00:00 AM"},
        ],
    )
    def test_it_wants_digits_and_the_practices_own_time(
        self, connect: Connect, wrong: dict[str, Any]
    ) -> None:
        assert self.ask(connect, **wrong).status_code == 400


def reader(practice: Practice, **more: Any) -> Backend:
    """A reader of the FHIR side with a token."""
    r4 = practice.client("advancedmd", scope="system/*.read", **more)
    asked = r4.ask_token(username=USER, password=PASSWORD, officekey=OFFICE)
    r4._token = asked.json()["access_token"]
    return r4


class TestTheFhirSide:
    def test_a_token_wants_the_practices_user_and_only_reads(
        self, fresh_practice: Practice
    ) -> None:
        r4 = fresh_practice.client("advancedmd", scope="system/*.cruds")
        assert r4.ask_token().status_code == 400
        asked = {"username": USER, "password": "x", "officekey": OFFICE}
        assert r4.ask_token(**asked).json()["error"] == "invalid_grant"
        granted = r4.ask_token(**(asked | {"password": PASSWORD})).json()
        assert granted["scope"] == "system/*.read"
        refused = r4.ask_token(scope="system/Condition.c", **(asked | {"password": PASSWORD}))
        assert refused.json()["error"] == "invalid_scope"

    def test_it_reads_and_never_writes(self, fresh_practice: Practice) -> None:
        r4 = reader(fresh_practice)
        person = fresh_practice.directory("advancedmd")["P1"]
        assert re.fullmatch(r"pat\d{8}", person["patient"])
        assert re.fullmatch(r"vis\d{8}", person["encounter"])
        patient = r4.get(f"Patient/{person['patient']}").json()
        assert patient["name"][0]["family"] == "OKONKWO"
        assert r4.found("Condition", patient=f"Patient/{person['patient']}")
        assert r4.put(f"Patient/{person['patient']}", patient).status_code == 405
        assert r4.post("Condition", {"resourceType": "Condition"}).status_code == 405
        assert r4.get(f"Patient/{person['patient']}/_history").status_code == 405

    def test_its_statement_has_reading_and_searching_only(self, fresh_practice: Practice) -> None:
        statement = fresh_practice.http.get(
            f"{fresh_practice.base_urls['advancedmd']}/metadata", timeout=READY_SECONDS
        ).json()
        codes = {
            one["code"]
            for resource in statement["rest"][0]["resource"]
            for one in resource["interaction"]
        }
        assert codes == {"read", "search-type"}
