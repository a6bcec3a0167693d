"""The practice's plain R4 front: what a write-back client may rely on, and what it is refused."""

import base64
import hashlib
import json
import threading
from concurrent.futures import ThreadPoolExecutor

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


@pytest.fixture
def r4(fresh_practice: Practice) -> Backend:
    return fresh_practice.client("generic")


@pytest.fixture
def p1(r4: Backend) -> dict:
    return r4.practice.directory()["P1"]


class TestCreate:
    def test_answers_201_with_an_absolute_location_etag_and_the_entry(self, r4, p1):
        reply = r4.post("Condition", problem(p1["patient"]))
        assert reply.status_code == 201
        created = reply.json()
        assert reply.headers["Location"] == f"{r4.base}/Condition/{created['id']}/_history/1"
        assert reply.headers["ETag"] == 'W/"1"'
        assert "Last-Modified" in reply.headers
        assert created["meta"]["versionId"] == "1"
        assert r4.get(f"Condition/{created['id']}").json() == created

    @pytest.mark.parametrize(
        ("preference", "body"), [("minimal", ""), ("OperationOutcome", "OperationOutcome")]
    )
    def test_answers_as_the_client_prefers(self, r4, p1, preference, body):
        reply = r4.post(
            "Condition", problem(p1["patient"]), headers={"Prefer": f"return={preference}"}
        )
        assert reply.status_code == 201
        assert (reply.json()["resourceType"] if reply.text else "") == body
        assert reply.headers["ETag"] == 'W/"1"'

    def test_assigns_the_id_itself(self, r4, p1):
        reply = r4.post("Condition", problem(p1["patient"], id="mine"))
        assert reply.status_code == 201
        assert reply.json()["id"] != "mine"

    def test_keeps_decimals_as_sent(self, r4, p1):
        body = json.dumps(vital(p1["patient"], p1["encounter"])).replace(
            '"value": 72', '"value": 72.50'
        )
        created = r4.post("Observation", body.encode())
        assert created.status_code == 201
        assert '"value":72.50' in r4.get(f"Observation/{created.json()['id']}").text

    @pytest.mark.parametrize(
        ("body", "status"),
        [
            (b"not json", 400),
            (b'{"resourceType":"Condition","resourceType":"Condition"}', 400),
            (b'{"resourceType":"Observation"}', 400),
            (b'["Condition"]', 400),
            (b'{"resourceType":"Condition","id":"no such/id"}', 400),
            (b"\xff\xfe", 400),
        ],
    )
    def test_refuses_what_is_not_one_resource_of_the_type(self, r4, body, status):
        reply = r4.post("Condition", body)
        assert reply.status_code == status
        assert reply.json()["resourceType"] == "OperationOutcome"
        assert r4.practice.log()[-1]["committed"] == []

    @pytest.mark.parametrize(
        "wrong",
        [
            {"subject": None},
            {"diagnosis": "x"},
            {"clinicalStatus": {"coding": [{"code": "banana"}]}},
            {"onsetDateTime": "2026-02-30T10:00"},
            {"onsetDateTime": "2026-02", "onsetString": "February"},
            {"abatementDateTime": "2026-01-01"},
            {"verificationStatus": {"coding": [{"code": "entered-in-error"}]}},
            {"note": {"text": "not a list"}},
            {"code": []},
        ],
    )
    def test_refuses_what_breaks_the_form(self, r4, p1, wrong):
        body = {
            key: value
            for key, value in (problem(p1["patient"]) | wrong).items()
            if value is not None
        }
        reply = r4.post("Condition", body)
        assert reply.status_code == 422, reply.text
        assert reply.json()["issue"][0]["expression"][0].startswith("Condition.")

    def test_refuses_an_unknown_patient_and_the_visit_of_another(self, r4, p1):
        assert r4.post("Condition", problem("nobody")).status_code == 422
        other = r4.practice.directory()["P2"]
        reply = r4.post(
            "Condition",
            problem(p1["patient"], encounter={"reference": f"Encounter/{other['encounter']}"}),
        )
        assert reply.status_code == 422

    def test_refuses_an_entry_in_a_locked_visit(self, r4):
        p9 = r4.practice.directory()["P9"]
        reply = r4.post("DocumentReference", note(p9["patient"], p9["encounter"]))
        assert reply.status_code == 423
        assert reply.json()["issue"][0]["code"] == "lock-error"

    def test_refuses_a_content_type_that_is_not_json(self, r4, p1):
        reply = r4.post("Condition", problem(p1["patient"]), headers={"Content-Type": "text/plain"})
        assert reply.status_code == 415


class TestConditionalCreate:
    @pytest.mark.fault("generic.conditional-create")
    def test_files_once_and_then_points_at_the_first(self, r4, p1):
        tag = {"If-None-Exist": f"identifier={TAG_SYSTEM}|t-1"}
        first = r4.post("Condition", problem(p1["patient"], tag="t-1"), headers=tag)
        again = r4.post("Condition", problem(p1["patient"], tag="t-1"), headers=tag)
        assert (first.status_code, again.status_code) == (201, 200)
        assert again.headers["Location"] == first.headers["Location"]
        assert r4.practice.log()[-1]["committed"] == []

    @pytest.mark.fault("generic.conditional-create")
    def test_refuses_when_several_match(self, r4, p1):
        for _ in range(2):
            assert r4.post("Condition", problem(p1["patient"], tag="t-2")).status_code == 201
        tag = {"If-None-Exist": f"identifier={TAG_SYSTEM}|t-2"}
        assert (
            r4.post("Condition", problem(p1["patient"], tag="t-2"), headers=tag).status_code == 412
        )

    def test_refuses_a_condition_that_it_cannot_evaluate(self, r4, p1):
        for condition in ("colour=red", "identifier=", "recorded-date=tuesday", "?"):
            reply = r4.post(
                "Condition", problem(p1["patient"]), headers={"If-None-Exist": condition}
            )
            assert reply.status_code == 400

    def test_files_one_entry_for_many_at_the_same_moment(self, r4, p1):
        r4.token()
        rounds, together = 15, 8
        barrier = threading.Barrier(together)

        def send(_: int) -> list[int]:
            statuses = []
            with requests.Session() as own:
                for number in range(rounds):
                    tag = {"If-None-Exist": f"identifier={TAG_SYSTEM}|race-{number}"}
                    body = problem(p1["patient"], tag=f"race-{number}")
                    barrier.wait(30)
                    statuses.append(r4.post("Condition", body, headers=tag, http=own).status_code)
            return statuses

        with ThreadPoolExecutor(together) as pool:
            per_sender = list(pool.map(send, range(together)))
        for statuses in zip(*per_sender, strict=True):
            assert sorted(statuses) == [200] * (together - 1) + [201]

    def test_can_be_switched_off_to_prove_that_a_probe_notices(self, r4, p1):
        r4.practice.settings("generic", conditional_create="ignored")
        tag = {"If-None-Exist": f"identifier={TAG_SYSTEM}|t-3"}
        for _ in range(2):
            assert (
                r4.post("Condition", problem(p1["patient"], tag="t-3"), headers=tag).status_code
                == 201
            )

    @pytest.mark.fault("generic.bare-201")
    def test_can_be_answered_with_nothing_but_a_relative_location(self, r4, p1):
        r4.practice.settings("generic", bare_creates=True)
        reply = r4.post("Condition", problem(p1["patient"]))
        assert (reply.status_code, reply.content) == (201, b"")
        assert "ETag" not in reply.headers
        assert r4.get(reply.headers["Location"]).status_code == 200
        assert reply.headers["Location"].startswith("Condition/")


class TestUpdate:
    def test_makes_the_next_version_and_keeps_the_first(self, r4, p1):
        created = r4.post("Condition", problem(p1["patient"])).json()
        path = f"Condition/{created['id']}"
        reply = r4.put(
            path, created | {"recordedDate": "2026-11-20"}, headers={"If-Match": 'W/"1"'}
        )
        assert reply.status_code == 200
        assert reply.headers["ETag"] == 'W/"2"'
        assert "recordedDate" not in r4.get(f"{path}/_history/1").json()
        assert r4.get(f"{path}/_history/2").json() == r4.get(path).json()
        history = r4.get(f"{path}/_history").json()
        assert [entry["request"]["method"] for entry in history["entry"]] == ["PUT", "POST"]

    @pytest.mark.fault("generic.stale-if-match")
    def test_refuses_a_stale_version(self, r4, p1):
        created = r4.post("Condition", problem(p1["patient"])).json()
        path = f"Condition/{created['id']}"
        assert r4.put(path, created, headers={"If-Match": 'W/"1"'}).status_code == 200
        stale = r4.put(path, created, headers={"If-Match": 'W/"1"'})
        assert stale.status_code == 412
        assert stale.json()["issue"][0]["code"] == "conflict"
        assert r4.get(path).headers["ETag"] == 'W/"2"'

    def test_lets_one_of_many_concurrent_writers_win(self, r4, p1):
        created = r4.post("Condition", problem(p1["patient"])).json()

        def send(_: int) -> int:
            with requests.Session() as own:
                headers = {"If-Match": 'W/"1"'}
                return r4.put(
                    f"Condition/{created['id']}", created, headers=headers, http=own
                ).status_code

        with ThreadPoolExecutor(8) as pool:
            statuses = list(pool.map(send, range(24)))
        assert sorted(statuses) == [200] + [412] * 23

    def test_refuses_another_id_an_unknown_id_and_a_malformed_version(self, r4, p1):
        created = r4.post("Condition", problem(p1["patient"])).json()
        path = f"Condition/{created['id']}"
        assert r4.put(path, created | {"id": "other"}).status_code == 400
        assert r4.put(path, problem(p1["patient"])).status_code == 400
        assert r4.put(path, created, headers={"If-Match": "latest"}).status_code == 400
        assert r4.put("Condition/unknown", problem(p1["patient"], id="unknown")).status_code == 405

    def test_creates_by_update_where_that_is_switched_on(self, r4, p1):
        r4.practice.settings("generic", update_creates=True)
        assert r4.put("Condition/mine", problem(p1["patient"], id="mine")).status_code == 201
        assert r4.get("Condition/mine").status_code == 200

    def test_overwrites_a_stale_version_where_the_check_is_switched_off(self, r4, p1):
        r4.practice.settings("generic", version_check=False)
        created = r4.post("Condition", problem(p1["patient"])).json()
        for _ in range(2):
            reply = r4.put(f"Condition/{created['id']}", created, headers={"If-Match": 'W/"1"'})
            assert reply.status_code == 200


class TestRead:
    def test_tells_unknown_from_removed(self, r4, p1):
        assert r4.get("Condition/unknown").status_code == 404
        r4.practice.lever("remove", patient="P1", entry="ckd")
        gone = r4.get(p1["entries"]["ckd"])
        assert gone.status_code == 410
        assert (
            r4.put(
                p1["entries"]["ckd"], problem(p1["patient"], id=p1["entries"]["ckd"].split("/")[1])
            ).status_code
            == 410
        )
        assert r4.get(f"{p1['entries']['ckd']}/_history/1").status_code == 200
        assert r4.get(f"{p1['entries']['ckd']}/_history/2").status_code == 410

    def test_answers_304_for_a_version_that_is_known(self, r4, p1):
        etag = r4.get(f"Patient/{p1['patient']}").headers["ETag"]
        again = r4.get(f"Patient/{p1['patient']}", headers={"If-None-Match": etag})
        assert (again.status_code, again.text) == (304, "")

    def test_refuses_other_types_methods_and_addresses(self, r4, p1):
        assert r4.get("Spaceship/1").status_code == 404
        assert r4.get(f"Patient/{p1['patient']}/everything").status_code == 404
        assert r4.get(f"Patient/{p1['patient']}/_history/9").status_code == 404
        assert r4.request("DELETE", f"Patient/{p1['patient']}").status_code == 405
        assert r4.request("PATCH", f"Patient/{p1['patient']}", b"[]").status_code == 405
        assert r4.post("", {"resourceType": "Bundle", "type": "transaction"}).status_code == 405


class TestDiscovery:
    def test_describes_itself_without_a_token(self, r4):
        statement = requests.get(f"{r4.base}/metadata", timeout=10).json()
        assert statement["fhirVersion"] == "4.0.1"
        condition = next(
            each for each in statement["rest"][0]["resource"] if each["type"] == "Condition"
        )
        assert condition["conditionalCreate"] is True
        assert {"create", "update", "vread"} <= {each["code"] for each in condition["interaction"]}
        smart = requests.get(f"{r4.base}/.well-known/smart-configuration", timeout=10).json()
        assert smart["token_endpoint"] == r4.token_url
        assert smart["token_endpoint_auth_signing_alg_values_supported"] == ["ES384", "RS384"]


class TestLog:
    def test_keeps_each_request_as_received_without_its_bearer(self, r4, p1):
        body = json.dumps(problem(p1["patient"]), indent=3).encode()
        created = r4.post(
            "Condition",
            body,
            headers={"If-None-Exist": f"identifier={TAG_SYSTEM}|x", "X-Request-Id": "7"},
        )
        entry = r4.practice.log(vendor="generic", method="POST", path="^Condition")[-1]
        assert base64.b64decode(entry["body"]) == body
        assert entry["body_sha256"] == hashlib.sha256(body).hexdigest()
        assert entry["status"] == 201
        assert entry["committed"] == [f"Condition/{created.json()['id']}/_history/1"]
        assert entry["headers"]["if-none-exist"] == f"identifier={TAG_SYSTEM}|x"
        assert entry["headers"]["authorization"] == "Bearer"
        assert entry["client_id"] == r4.client_id
        everything = json.dumps(r4.practice.log())
        assert r4.token() not in everything

    def test_keeps_only_the_hash_of_a_token_request(self, r4):
        assertion = r4.assertion()
        assert r4.ask_token(assertion).status_code == 200
        entry = r4.practice.log(path="^oauth2/token")[-1]
        assert entry["body"] is None
        assert len(entry["body_sha256"]) == 64
