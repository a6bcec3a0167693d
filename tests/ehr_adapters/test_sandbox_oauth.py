"""Tokens of the practice EHR: what a backend service must prove, and what a token then allows."""

import json
import time
import uuid

import jwt
import pytest
import requests
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from tests.ehr_adapters.practice import (
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


@pytest.fixture(params=["generic", "epic"])
def service(request: pytest.FixtureRequest, fresh_practice: Practice) -> Backend:
    return fresh_practice.client(request.param)


class TestTokenRequest:
    def test_is_granted_for_a_signed_assertion(self, service):
        reply = service.ask_token()
        assert reply.status_code == 200
        granted = reply.json()
        assert granted["token_type"] == "Bearer"
        assert granted["expires_in"] == service.practice.token_seconds
        assert reply.headers["Cache-Control"] == "no-store"

    def test_is_granted_for_rs384_and_for_a_pem(self, service):
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        public = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(key.public_key()))
        order = {
            "vendor": service.vendor,
            "client_id": service.client_id,
            "scope": "system/*.cruds",
        }
        service.practice.control("POST", "clients", {**order, "jwks": {"keys": [public]}})
        assert service.ask_token(service.assertion(key=key, alg="RS384")).status_code == 200
        service.practice.control("POST", "clients", {**order, "pem": service.pem()})
        assert service.ask_token().status_code == 200

    @pytest.mark.parametrize(
        "claims",
        [
            {"iss": "somebody"},
            {"sub": "somebody"},
            {"aud": "https://elsewhere.example/token"},
            {"aud": None},
            {"exp": -1},  # relative to now, in seconds
            {"exp": 3600},
            {"exp": None},
            {"exp": "tomorrow"},
            {"jti": None},
            {"jti": ""},
            {"jti": "x" * 256},
        ],
        ids=lambda claims: ",".join(f"{name}={str(value)[:12]}" for name, value in claims.items()),
    )
    def test_is_refused_for_a_wrong_claim(self, service, claims):
        if isinstance(claims.get("exp"), int):
            claims = {"exp": int(time.time()) + claims["exp"]}
        reply = service.ask_token(service.assertion(**claims))
        assert reply.status_code == (401 if service.vendor == "generic" else 400)
        assert reply.json()["error"] == "invalid_client"

    def test_is_refused_for_another_key_another_algorithm_and_no_jwt(self, service):
        for assertion in (
            service.assertion(key=ec.generate_private_key(ec.SECP384R1())),
            service.assertion(key=ec.generate_private_key(ec.SECP256R1()), alg="ES256"),
            service.assertion(
                key="a shared secret of a decent length that HS384 is content with, really",
                alg="HS384",
            ),
            "not.a.jwt",
        ):
            assert service.ask_token(assertion).json()["error"] == "invalid_client"

    def test_is_refused_for_an_assertion_used_before(self, service):
        assertion = service.assertion()
        assert service.ask_token(assertion).status_code == 200
        assert "jti" in service.ask_token(assertion).json()["error_description"]

    def test_is_refused_for_another_grant(self, service):
        reply = service.ask_token(grant_type="password")
        assert (reply.status_code, reply.json()["error"]) == (400, "unsupported_grant_type")
        assert requests.get(service.token_url, timeout=10).status_code == 405

    def test_is_refused_by_epic_for_a_long_jti_and_without_a_background_user(self, fresh_practice):
        epic = fresh_practice.client("epic", background_user=False)
        assert epic.ask_token(epic.assertion(jti="j" * 152)).json()["error"] == "invalid_client"
        reply = epic.ask_token()
        assert (reply.status_code, reply.json()["error"]) == (400, "unauthorized_client")


class TestRegistration:
    @pytest.mark.parametrize("key", [{}, {"pem": "nonsense"}, {"jwk": {"kty": "oct", "k": "AAAA"}}])
    def test_refuses_what_is_no_public_key(self, practice, key):
        assert practice.try_control("POST", "clients", {"client_id": "c", **key}).status_code == 400

    def test_refuses_a_private_key(self, practice):
        private = json.loads(
            jwt.algorithms.ECAlgorithm.to_jwk(ec.generate_private_key(ec.SECP384R1()))
        )
        assert (
            practice.try_control("POST", "clients", {"client_id": "c", "jwk": private}).status_code
            == 400
        )


class TestToken:
    def test_expires_and_is_refused_afterwards(self, service):
        patient = service.practice.directory(service.vendor)["P1"]["patient"]
        assert service.get(f"Patient/{patient}").status_code == 200
        service.practice.lever("expire_tokens", vendor=service.vendor)
        expired = service.get(f"Patient/{patient}")
        assert expired.status_code == 401
        assert "invalid_token" in expired.headers["WWW-Authenticate"]
        service.forget_token()
        assert service.get(f"Patient/{patient}").status_code == 200

    def test_may_be_brought_nearer_to_its_end(self, service):
        patient = service.practice.directory(service.vendor)["P1"]["patient"]
        service.token()
        service.practice.lever("expire_tokens", seconds=10)
        assert service.get(f"Patient/{patient}").status_code == 200
        service.practice.lever("expire_tokens", seconds=3600)
        assert service.get(f"Patient/{patient}").status_code == 401

    def test_lives_as_long_as_the_setting_or_the_client_says(self, service):
        service.practice.settings(service.vendor, token_seconds=7)
        assert service.ask_token().json()["expires_in"] == 7
        own = service.practice.client(service.vendor, token_seconds=11)
        assert own.ask_token().json()["expires_in"] == 11

    def test_of_one_front_is_nothing_at_the_other(self, service):
        other = service.practice.client("epic" if service.vendor == "generic" else "generic")
        reply = service.get(
            "Patient", headers={"Authorization": f"Bearer {other.token()}"}, family="OKONKWO"
        )
        assert reply.status_code == 401

    @pytest.mark.parametrize("sent", ["", "Bearer", "Bearer nonsense", "Basic abc"])
    def test_is_required(self, service, sent):
        headers = {"Authorization": sent} if sent else {}
        assert (
            requests.get(f"{service.base}/Patient/1", headers=headers, timeout=10).status_code
            == 401
        )


class TestScopesOfTheGenericFront:
    def test_are_granted_as_far_as_registered(self, fresh_practice):
        narrow = fresh_practice.client(
            "generic", scope="system/Condition.rs system/DocumentReference.cruds"
        )
        granted = narrow.ask_token(
            scope="system/*.cruds system/Condition.cruds system/DocumentReference.write"
        )
        assert granted.json()["scope"].split() == [
            "system/Condition.rs",
            "system/DocumentReference.write",
        ]
        refused = narrow.ask_token(scope="system/Observation.c")
        assert (refused.status_code, refused.json()["error"]) == (400, "invalid_scope")
        assert narrow.ask_token(scope="openid").json()["error"] == "invalid_scope"

    def test_decide_each_interaction(self, fresh_practice):
        p1 = fresh_practice.directory()["P1"]
        reader = fresh_practice.client("generic", scope="system/Condition.r")
        path = p1["entries"]["ckd"]
        assert reader.get(path).status_code == 200
        for reply in (
            reader.get("Condition", patient=p1["patient"]),
            reader.post("Condition", problem(p1["patient"])),
            reader.put(path, reader.get(path).json()),
            reader.get(f"Patient/{p1['patient']}"),
        ):
            assert reply.status_code == 403
            assert "insufficient_scope" in reply.headers["WWW-Authenticate"]

    def test_of_the_first_spelling_mean_reading_or_writing(self, fresh_practice):
        p1 = fresh_practice.directory()["P1"]
        old = fresh_practice.client(
            "generic", scope="system/Condition.read system/DocumentReference.write"
        )
        assert old.get("Condition", patient=p1["patient"]).status_code == 200
        assert old.post("Condition", problem(p1["patient"])).status_code == 403
        assert (
            old.post("DocumentReference", note(p1["patient"], p1["encounter"])).status_code == 201
        )
        assert old.get("DocumentReference", patient=p1["patient"]).status_code == 403

    def test_with_a_query_cover_matching_entries_only(self, fresh_practice):
        p1 = fresh_practice.directory()["P1"]
        vitals = fresh_practice.client(
            "generic", scope="system/Observation.crs?category=vital-signs"
        )
        assert vitals.post("Observation", vital(p1["patient"], p1["encounter"])).status_code == 201
        lab = vital(p1["patient"], p1["encounter"]) | {
            "category": [{"coding": [{"code": "laboratory"}]}]
        }
        assert vitals.post("Observation", lab).status_code == 403
        assert vitals.get(p1["entries"]["potassium_2d"]).status_code == 403
        found = vitals.found("Observation", patient=p1["patient"])
        assert found
        assert all(each["category"][0]["coding"][0]["code"] == "vital-signs" for each in found)


class TestScopesOfEpic:
    def test_are_an_echo_of_the_registered_apis_in_the_first_spelling(self, fresh_practice):
        epic = fresh_practice.client("epic", apis=["Condition.Create", "Patient.Read"])
        granted = epic.ask_token(scope="system/*.cruds launch/nothing").json()["scope"]
        assert granted == "system/Condition.write system/Patient.read"

    def test_do_not_decide_but_the_apis_do_with_an_empty_403(self, fresh_practice):
        p1 = fresh_practice.directory("epic")["P1"]
        epic = fresh_practice.client("epic", apis=["Patient.Read"])
        assert epic.get(f"Patient/{p1['patient']}").status_code == 200
        for reply in (
            epic.get("Condition", patient=p1["patient"]),
            epic.post("Condition", problem(p1["patient"], verification="provisional")),
            epic.get("MedicationStatement", patient=p1["patient"]),
        ):
            assert (reply.status_code, reply.content) == (403, b"")
            assert "WWW-Authenticate" not in reply.headers

    def test_do_not_replace_a_security_point(self, fresh_practice):
        p1 = fresh_practice.directory("epic")["P1"]
        epic = fresh_practice.client("epic", missing_security_points=["Condition.Create"])
        reply = epic.post("Condition", problem(p1["patient"], verification="provisional"))
        assert reply.status_code == 403
        assert "insufficient_scope" in reply.headers["WWW-Authenticate"]


def test_a_client_id_is_one_client_for_each_vendor(fresh_practice):
    client_id = f"both-{uuid.uuid4()}"
    generic = fresh_practice.client("generic", client_id=client_id)
    fresh_practice.client("epic", client_id=client_id)
    assert generic.ask_token().status_code == 200
