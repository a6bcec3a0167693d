"""Every scripted fault: what the client sees, and what is in the chart afterwards."""

import base64
import contextlib
import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import requests

from tests.ehr_adapters.practice import (
    TAG_SYSTEM,
    Backend,
    Practice,
    fresh_practice,
    note,
    practice,
    problem,
    vital,
)

__all__ = ["fresh_practice", "practice"]
pytestmark = pytest.mark.once

NO_ANSWER = (requests.ConnectionError, requests.Timeout)


@pytest.fixture
def r4(fresh_practice: Practice) -> Backend:
    return fresh_practice.client("generic")


@pytest.fixture
def p1(r4: Backend) -> dict:
    return r4.practice.directory()["P1"]


def tagged(r4: Backend, tag: str = "f") -> list[dict]:
    return r4.found("Condition", identifier=f"{TAG_SYSTEM}|{tag}")


def send(r4: Backend, p1: dict, tag: str = "f", **more) -> requests.Response:
    return r4.post("Condition", problem(p1["patient"], tag=tag), **more)


class TestLostAnswers:
    @pytest.mark.parametrize(
        ("kind", "filed"),
        [
            ("drop-before-commit", 0),
            ("drop-after-commit", 1),
            ("timeout-before-commit", 0),
            ("timeout-after-commit", 1),
        ],
    )
    def test_leave_what_their_name_says(self, r4, p1, kind, filed):
        r4.token()
        r4.practice.fault(kind, vendor="generic", method="POST", path="^Condition", ms=200)
        with pytest.raises(NO_ANSWER):
            send(r4, p1)
        entry = r4.practice.log(method="POST", path="^Condition")[-1]
        assert (entry["status"], entry["fault"], len(entry["committed"])) == (None, kind, filed)
        assert len(tagged(r4)) == filed

    def test_can_be_silent_beyond_the_clients_patience(self, r4, p1):
        r4.token()
        r4.practice.fault("timeout-after-commit", method="POST")
        started = time.monotonic()
        with pytest.raises(requests.Timeout):
            send(r4, p1, timeout=0.3)
        assert time.monotonic() - started < 5
        assert len(tagged(r4)) == 1

    def test_stop_in_the_middle_of_a_body(self, r4, p1):
        r4.practice.fault("truncated-body", method="POST", path="Condition")
        with pytest.raises(requests.exceptions.ChunkedEncodingError):
            send(r4, p1)
        assert len(tagged(r4)) == 1


class TestServerErrors:
    @pytest.mark.parametrize(
        ("kind", "filed"), [("error-before-commit", 0), ("error-after-commit", 1)]
    )
    def test_leave_what_their_name_says(self, r4, p1, kind, filed):
        r4.practice.fault(kind, method="POST", path="Condition")
        reply = send(r4, p1)
        assert (reply.status_code, reply.json()["resourceType"]) == (500, "OperationOutcome")
        assert len(tagged(r4)) == filed

    def test_may_carry_another_status(self, r4, p1):
        r4.practice.fault("error-after-commit", method="POST", status=504)
        assert send(r4, p1).status_code == 504
        assert len(tagged(r4)) == 1


class TestRefusals:
    @pytest.mark.req("003-65")
    @pytest.mark.parametrize(
        ("kind", "status", "code"),
        [
            ("conflict", 409, "conflict"),
            ("stale-version", 412, "conflict"),
            ("rate-limited", 429, "throttled"),
            ("unavailable", 503, "transient"),
            ("expired-token", 401, "login"),
            ("chart-locked", 423, "lock-error"),
            ("patient-merged", 422, "business-rule"),
        ],
    )
    def test_leave_the_chart_alone(self, r4, p1, kind, status, code):
        r4.practice.fault(kind, method="POST", path="Condition")
        reply = send(r4, p1)
        assert (reply.status_code, reply.json()["issue"][0]["code"]) == (status, code)
        assert tagged(r4) == []
        assert send(r4, p1).status_code == 201

    def test_say_when_to_come_back(self, r4, p1):
        r4.practice.fault("rate-limited", retry_after=7)
        assert send(r4, p1).headers["Retry-After"] == "7"
        r4.practice.fault("unavailable", retry_after=30)
        assert send(r4, p1).headers["Retry-After"] == "30"
        r4.practice.fault("rate-limited", retry_after=None)
        assert "Retry-After" not in send(r4, p1).headers

    def test_of_an_expired_token_name_it(self, r4, p1):
        r4.practice.fault("expired-token")
        assert "invalid_token" in send(r4, p1).headers["WWW-Authenticate"]

    def test_of_epic_speak_its_language(self, fresh_practice):
        epic = fresh_practice.client("epic")
        directory = fresh_practice.directory("epic")
        body = note(directory["P1"]["patient"], directory["P1"]["encounter"])
        fresh_practice.fault("chart-locked", vendor="epic", method="POST")
        locked = epic.post("DocumentReference", body)
        assert (locked.status_code, locked.json()["issue"][0]["details"]["coding"][0]["code"]) == (
            400,
            "59159",
        )
        fresh_practice.fault("patient-merged", vendor="epic", method="POST")
        moved = epic.post("DocumentReference", body)
        assert (moved.status_code, moved.json()["issue"][0]["details"]["coding"][0]["code"]) == (
            302,
            "4107",
        )
        assert moved.headers["Location"].endswith(directory["P13"]["patient"])

    def test_of_a_merged_patient_read_as_replaced_on_the_generic_front(self, r4, p1):
        r4.practice.fault("patient-merged", method="GET", path="^Patient/")
        read = r4.get(f"Patient/{p1['patient']}").json()
        assert read["active"] is False
        assert read["link"][0]["type"] == "replaced-by"
        assert r4.get(f"Patient/{p1['patient']}").json()["active"] is True

    def test_can_be_any_outcome(self, r4, p1):
        r4.practice.fault(
            "outcome", status=400, number="4135", code="too-costly", text="Document cap reached."
        )
        reply = send(r4, p1)
        assert reply.status_code == 400
        assert reply.json()["issue"][0]["details"]["coding"][0]["code"] == "4135"
        r4.practice.fault("outcome", commit=True)
        said_error = send(r4, p1)
        assert (said_error.status_code, said_error.json()["issue"][0]["severity"]) == (200, "error")
        assert len(tagged(r4)) == 1


class TestStrangeAnswers:
    @pytest.mark.parametrize("commit", [True, False])
    @pytest.mark.parametrize(
        ("kind", "status"),
        [("html-reply", 200), ("empty-reply", 200), ("not-json", 201), ("redirect", 307)],
    )
    def test_may_hide_a_filing_or_not(self, r4, p1, kind, status, commit):
        r4.practice.fault(kind, method="POST", commit=commit)
        reply = send(r4, p1)
        assert reply.status_code == (200 if kind == "not-json" and not commit else status)
        with pytest.raises(ValueError):
            reply.json()
        assert len(tagged(r4)) == int(commit)

    def test_redirect_to_another_host(self, r4, p1):
        r4.practice.fault("redirect", status=308)
        reply = send(r4, p1)
        assert reply.status_code == 308
        assert reply.headers["Location"] == "https://ehr.elsewhere.example/Condition"
        assert tagged(r4) == []

    def test_are_said_to_be_a_page(self, r4, p1):
        r4.practice.fault("html-reply")
        reply = send(r4, p1)
        assert reply.headers["Content-Type"].startswith("text/html")
        assert "<title>" in reply.text

    def test_are_in_another_charset_than_they_say(self, r4, p1):
        r4.practice.fault("wrong-charset", method="POST")
        reply = send(r4, p1)
        assert reply.status_code == 201
        assert "utf-16" not in reply.headers["Content-Type"].lower()
        with pytest.raises(ValueError):
            json.loads(reply.content.decode("utf-8"))
        assert json.loads(reply.content.decode("utf-16"))["resourceType"] == "Condition"
        assert len(tagged(r4)) == 1

    def test_leave_out_where_it_was_filed(self, r4, p1):
        r4.practice.fault("no-location", method="POST")
        reply = send(r4, p1)
        assert (reply.status_code, reply.content) == (201, b"")
        assert "Location" not in reply.headers
        r4.practice.fault("no-id", method="POST")
        reply = send(r4, p1)
        assert (reply.status_code, "id" in reply.json(), "Location" in reply.headers) == (
            200,
            False,
            False,
        )
        assert len(tagged(r4)) == 2

    def test_come_late(self, r4, p1):
        r4.practice.fault("slow", method="POST", ms=300)
        started = time.monotonic()
        assert send(r4, p1).status_code == 201
        assert time.monotonic() - started >= 0.3


class TestContent:
    @pytest.mark.parametrize("echo", ["sent", "stored"])
    def test_is_filed_without_a_field(self, r4, p1, echo):
        r4.practice.fault("dropped-field", method="POST", field="onsetDateTime", echo=echo)
        reply = r4.post("Condition", problem(p1["patient"], onsetDateTime="2026-11"))
        assert reply.status_code == 201
        assert ("onsetDateTime" in reply.json()) is (echo == "sent")
        assert "onsetDateTime" not in r4.get(f"Condition/{reply.json()['id']}").json()

    def test_loses_a_usual_field_by_itself(self, r4, p1):
        r4.practice.fault("dropped-field", method="PUT")
        created = r4.post("Condition", problem(p1["patient"], note=[{"text": "told today"}])).json()
        assert r4.put(f"Condition/{created['id']}", created).status_code == 200
        assert "note" not in r4.get(f"Condition/{created['id']}").json()

    def test_is_filed_with_another_value(self, r4, p1):
        r4.practice.fault(
            "mangled-content", set={"/code/coding/0/code": "R43", "/note": [{"text": "added"}]}
        )
        created = send(r4, p1).json()
        assert created["code"]["coding"][0]["code"] == "R42"
        read = r4.get(f"Condition/{created['id']}").json()
        assert (read["code"]["coding"][0]["code"], read["note"]) == ("R43", [{"text": "added"}])

    def test_suffers_usual_blunders(self, r4, p1):
        r4.practice.fault("mangled-content", times=2)
        text = "Take 10 mg. Do not take 20 mg."
        filed = r4.post("DocumentReference", note(p1["patient"], p1["encounter"], text)).json()
        read = r4.get(f"DocumentReference/{filed['id']}").json()
        assert (
            base64.b64decode(read["content"][0]["attachment"]["data"]).decode()
            == text[: len(text) // 2]
        )
        weight = r4.post(
            "Observation", vital(p1["patient"], p1["encounter"], code="29463-7", value=(78.4, "kg"))
        ).json()
        assert r4.get(f"Observation/{weight['id']}").json()["valueQuantity"]["value"] == 784.0


class TestManyAtOnce:
    def test_slow_and_silent_requests_keep_nobody_else_waiting(self, r4, p1):
        r4.token()
        r4.practice.fault("slow", method="POST", times=10, ms=1500)
        r4.practice.fault("timeout-before-commit", method="PUT", times=10, ms=1500)

        def write(number: int) -> None:
            with requests.Session() as own, contextlib.suppress(requests.ConnectionError):
                if number % 2:
                    r4.post("Condition", problem(p1["patient"]), http=own)
                else:
                    r4.put(p1["entries"]["ckd"], {}, http=own)

        with ThreadPoolExecutor(20) as pool:
            waiting = [pool.submit(write, number) for number in range(20)]
            started = time.monotonic()
            assert r4.get(f"Patient/{p1['patient']}").status_code == 200
            assert r4.practice.log()
            assert time.monotonic() - started < 1.4
            for each in waiting:
                each.result(30)


class TestLateCommits:
    def test_wait_for_the_lever(self, r4, p1):
        r4.practice.fault("late-commit", method="POST", path="Condition")
        assert send(r4, p1).status_code == 500
        assert tagged(r4) == []
        assert r4.practice.log(method="POST", path="^Condition")[-1]["late"]["state"] == "waiting"
        r4.practice.lever("commit_late")
        assert len(tagged(r4)) == 1
        entry = r4.practice.log(method="POST", path="^Condition")[-1]
        assert entry["late"] == {"state": "committed", "status": 201}
        assert len(entry["committed"]) == 1
        assert r4.practice.lever("commit_late") == {"settled": []}

    def test_come_after_a_number_of_requests(self, r4, p1):
        r4.practice.fault("late-commit", method="POST", path="Condition", after_requests=2)
        assert send(r4, p1).status_code == 500
        assert [len(tagged(r4)) for _ in range(4)] == [0, 0, 1, 1]

    def test_come_after_a_time(self, r4, p1):
        r4.practice.fault(
            "late-commit", method="POST", path="Condition", after_ms=150, answer="unavailable"
        )
        assert send(r4, p1).status_code == 503
        deadline = time.monotonic() + 5
        while not tagged(r4) and time.monotonic() < deadline:
            time.sleep(0.02)
        assert len(tagged(r4)) == 1

    def test_come_once_however_many_ask(self, r4, p1):
        together = 8
        r4.practice.fault(
            "late-commit", method="POST", path="Condition", times=10, after_requests=10
        )
        for number in range(10):
            assert send(r4, p1, tag=f"once-{number}").status_code == 500
        barrier = threading.Barrier(together)

        def ask(_: int) -> None:
            with requests.Session() as own:
                for _ in range(6):
                    barrier.wait(30)
                    r4.get(f"Patient/{p1['patient']}", http=own)

        with ThreadPoolExecutor(together) as pool:
            list(pool.map(ask, range(together)))
        assert [len(tagged(r4, f"once-{number}")) for number in range(10)] == [1] * 10

    @pytest.mark.parametrize("answer", ["drop", "timeout"])
    def test_may_be_answered_by_silence(self, r4, p1, answer):
        r4.token()
        r4.practice.fault("late-commit", method="POST", answer=answer, ms=100)
        with pytest.raises(NO_ANSWER):
            send(r4, p1)
        r4.practice.lever("commit_late")
        assert len(tagged(r4)) == 1

    def test_keep_the_conditions_of_the_request(self, r4, p1):
        r4.practice.fault("late-commit", method="POST", path="Condition")
        tag = {"If-None-Exist": f"identifier={TAG_SYSTEM}|f"}
        assert send(r4, p1, headers=tag).status_code == 500
        assert send(r4, p1, headers=tag).status_code == 201
        r4.practice.lever("commit_late")
        assert len(tagged(r4)) == 1
        assert r4.practice.log(method="POST", path="^Condition")[-2]["late"] == {
            "state": "refused",
            "status": 200,
        }

    def test_are_not_owed_to_a_request_without_a_token(self, r4, p1):
        r4.practice.fault("late-commit", method="POST", path="Condition")
        assert send(r4, p1, headers={"Authorization": "Bearer no"}).status_code == 401
        assert r4.practice.lever("commit_late") == {"settled": []}

    def test_stage_what_epic_would_stage(self, fresh_practice):
        epic = fresh_practice.client("epic")
        patient = fresh_practice.directory("epic")["P1"]["patient"]
        fresh_practice.fault("late-commit", vendor="epic", method="POST", path="Condition")
        assert (
            epic.post("Condition", problem(patient, verification="provisional")).status_code == 500
        )
        assert fresh_practice.staged(vendor="epic", patient="P1") == []
        fresh_practice.lever("commit_late")
        assert len(fresh_practice.staged(vendor="epic", patient="P1")) == 1


class TestSearchLag:
    def test_hides_a_new_entry_from_searches_but_not_from_reading(self, r4, p1):
        r4.practice.fault("search-lag", method="POST", path="Condition")
        created = send(r4, p1).json()
        assert tagged(r4) == []
        assert r4.get(f"Condition/{created['id']}").status_code == 200
        assert r4.practice.lever("index_now")["indexed"] == 1
        assert len(tagged(r4)) == 1

    def test_ends_after_a_number_of_requests(self, r4, p1):
        r4.practice.fault("search-lag", method="POST", path="Condition", after_requests=2)
        send(r4, p1)
        assert [len(tagged(r4)) for _ in range(4)] == [0, 0, 1, 1]

    def test_does_not_fool_an_atomic_conditional_create_but_an_indexed_one(self, r4, p1):
        tag = {"If-None-Exist": f"identifier={TAG_SYSTEM}|f"}
        r4.practice.fault("search-lag", method="POST", path="Condition", times=2)
        assert [send(r4, p1, headers=tag).status_code for _ in range(2)] == [201, 200]
        r4.practice.settings("generic", conditional_create="indexed")
        assert send(r4, p1, headers=tag).status_code == 201
        r4.practice.lever("index_now")
        assert len(tagged(r4)) == 2

    def test_can_be_the_habit_of_a_front(self, r4, p1):
        r4.practice.settings("generic", index_lag_ms=200)
        send(r4, p1)
        assert tagged(r4) == []
        deadline = time.monotonic() + 5
        while not tagged(r4) and time.monotonic() < deadline:
            time.sleep(0.02)
        assert len(tagged(r4)) == 1


class TestScripts:
    def test_meet_the_vendor_method_and_path_that_they_name(self, r4, p1):
        r4.practice.fault("conflict", vendor="epic")
        r4.practice.fault("conflict", method="PUT")
        r4.practice.fault("conflict", path="^Observation")
        assert send(r4, p1).status_code == 201
        assert r4.put(p1["entries"]["ckd"], {}).status_code == 409
        assert r4.get("Observation", patient=p1["patient"]).status_code == 409

    def test_skip_and_count(self, r4, p1):
        r4.practice.fault("conflict", method="POST", path="Condition", skip=1, times=2)
        assert [send(r4, p1).status_code for _ in range(4)] == [201, 409, 409, 201]
        script = r4.practice.control("GET", "faults")["faults"][0]
        assert (script["skip"], script["times"], script["applied"]) == (0, 0, 2)

    def test_may_last_until_they_are_removed(self, r4, p1):
        script = r4.practice.fault("conflict", method="POST", path="Condition", times=None)
        assert [send(r4, p1).status_code for _ in range(3)] == [409] * 3
        r4.practice.control("DELETE", "faults", None, id=script["id"])
        assert send(r4, p1).status_code == 201

    def test_leave_tokens_alone_unless_they_name_them(self, r4):
        r4.practice.fault("conflict", method="POST")
        assert r4.ask_token().status_code == 200
        r4.practice.fault("error-before-commit", path="^oauth2/token", status=502)
        assert r4.ask_token().status_code == 502
        r4.practice.fault("drop-after-commit", path="^oauth2/token")
        with pytest.raises(NO_ANSWER):
            r4.ask_token()

    def test_meet_searches_by_their_query(self, r4, p1):
        r4.practice.fault("unavailable", path="identifier=.*wanted")
        assert r4.get("Condition", patient=p1["patient"]).status_code == 200
        assert r4.get("Condition", identifier="urn:test:tag|wanted").status_code == 503

    @pytest.mark.parametrize(
        "order",
        [
            {"fault": "earthquake"},
            {"fault": "conflict", "path": "("},
            {"fault": "conflict", "vendor": "athena"},
            {"fault": "conflict", "times": 0},
            {"fault": "conflict", "skip": -1},
            {"fault": "conflict", "colour": "red"},
        ],
    )
    def test_are_refused_when_they_cannot_be_followed(self, practice, order):
        reply = practice.try_control("POST", "faults", order)
        assert (reply.status_code, list(reply.json())) == (400, ["error"])

    def test_exist_for_every_kind_that_is_described(self, practice):
        kinds = practice.control("GET", "faults")["kinds"]
        tested = Path(__file__).read_text(encoding="utf-8")
        assert [kind for kind in kinds if f'"{kind}"' not in tested] == []
