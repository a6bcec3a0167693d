"""Agents sign in by a signed assertion that is short, fresh and used once; tokens are narrow and short."""

import hashlib
import hmac
import json
from datetime import timedelta

import jwt
import pytest
from allauth.idp.oidc.models import Client as OidcClient
from allauth.idp.oidc.models import Token
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from django.core.exceptions import ValidationError
from django.db import transaction
from django.test import Client
from django.utils import timezone
from jwt.utils import base64url_encode

from audit.models import AuditEvent
from intents.governance.models import Agent, AgentCredential, UsedAssertion
from tests.api.conftest import INSTALLER, basic, post_form, private_key

pytestmark = pytest.mark.django_db


def post(form, **extra):
    return post_form("/oauth/token", form, **extra)


def by():
    return {"actor": INSTALLER, "at": timezone.now()}


class TestAToken:
    @pytest.mark.req("000-21", "002-24", "004-37")
    def test_lives_at_most_300_seconds_and_opens_one_lane(self, scribe):
        answer = post(scribe.form())

        assert answer.status_code == 200
        assert answer["Cache-Control"] == "no-store"
        body = answer.json()
        assert body["token_type"] == "Bearer"
        assert 0 < body["expires_in"] <= 300
        assert body["scope"] == "portal/suggest portal/status"
        token = Token.objects.get()
        assert token.client_id == str(scribe.credential.pk)
        assert token.expires_at <= timezone.now() + timedelta(seconds=300)
        assert body["access_token"] not in str(token.__dict__)

    def test_lives_no_longer_than_its_credential(self, scribe):
        AgentCredential.unscoped.update(expires_at=timezone.now() + timedelta(seconds=30))

        assert post(scribe.form()).json()["expires_in"] <= 30

    def test_can_be_asked_for_less_but_not_for_more(self, scribe):
        less = post(scribe.form() | {"scope": "portal/status"})
        assert less.json()["scope"] == "portal/status"

        for scope in (
            "portal/commit",
            "portal/suggest portal/draft",
            "openid",
            "system/Condition.c",
        ):
            more = post(scribe.form() | {"scope": scope})
            assert more.status_code == 400
            assert more.json()["error"] == "invalid_scope"

    def test_is_for_this_portal_only(self, scribe, settings):
        assert post(scribe.form() | {"resource": settings.PORTAL_URL}).status_code == 200
        other = post(scribe.form() | {"resource": "https://ehr.example"})

        assert (other.status_code, other.json()["error"]) == (400, "invalid_target")

    def test_is_audited_with_the_credential_and_without_itself(self, scribe):
        value = post(scribe.form()).json()["access_token"]
        event = AuditEvent.objects.get(tag="governance:token:issued")

        assert event.actor_id == str(scribe.agent.pk)
        assert event.tenant_id == str(scribe.credential.tenant_id)
        assert value not in event.leaf

    def test_of_the_past_is_cleared_away(self, scribe):
        post(scribe.form())
        Token.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
        post(scribe.form())

        assert Token.objects.count() == 1


class TestAnAssertion:
    @pytest.mark.req("003-10")
    def test_is_used_once(self, scribe):
        form = scribe.form()
        assert post(form).status_code == 200
        again = post(form)

        assert again.status_code == 401
        assert again.json()["error"] == "invalid_client"
        assert "WWW-Authenticate" in again
        assert AuditEvent.objects.filter(tag="governance:token:refused").count() == 1

    def test_is_used_once_also_under_another_signature(self, scribe):
        assert post(scribe.form(jti="same")).status_code == 200
        assert post(scribe.form(jti="same")).status_code == 401

    def test_may_share_its_jti_with_another_agents(self, scribe, add_program):
        other = add_program(name="other")

        assert post(scribe.form(jti="same")).status_code == 200
        assert post(other.form(jti="same")).status_code == 200

    def test_is_forgotten_when_it_could_not_be_used_any_more(self, scribe):
        post(scribe.form())
        UsedAssertion.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
        post(scribe.form())

        assert UsedAssertion.objects.count() == 1

    @pytest.mark.req("003-61", "002-75")
    @pytest.mark.parametrize(
        "changed",
        [
            {"exp": -1},
            {"exp": -30},
            {"exp": 320},
            {"exp": 3600},
            {"exp": 290, "iat": -60},
            {"iat": 60},
            {"nbf": 60},
        ],
        ids=str,
    )
    def test_lives_at_most_five_minutes_and_is_not_from_another_time(self, scribe, changed):
        now = int(timezone.now().timestamp())
        moved = {name: now + seconds for name, seconds in changed.items()}
        if changed == {"exp": -1}:
            moved = {"exp": now - 11, "iat": now - 60}

        assert post(scribe.form(**moved)).status_code == 401

    @pytest.mark.parametrize(
        "changed",
        [
            {"aud": "https://elsewhere.example/oauth/token"},
            {"aud": None},
            {"iss": "somebody"},
            {"iss": None},
            {"sub": None},
            {"sub": "11111111-1111-1111-1111-111111111111"},
            {"sub": "not-a-uuid"},
            {"exp": None},
            {"jti": None},
            {"jti": ""},
            {"jti": "x" * 256},
            {"exp": "tomorrow"},
            {"exp": True},
            {"iat": "today"},
        ],
        ids=str,
    )
    def test_says_who_for_whom_and_until_when(self, scribe, changed):
        answer = post(scribe.form(**changed))

        assert answer.status_code == 401
        assert answer.json()["error"] == "invalid_client"
        assert not Token.objects.exists()

    def test_is_signed_by_the_credentials_key(self, scribe):
        assert post(scribe.form(key=private_key("somebody else's"))).status_code == 401

    @pytest.mark.parametrize("alg", ["none", "HS256"])
    def test_is_not_signed_by_an_algorithm_of_its_own_choice(self, scribe, alg):
        key = None if alg == "none" else "x" * 64
        form = scribe.form() | {"client_assertion": jwt.encode(scribe.claims(), key, algorithm=alg)}

        assert post(form).status_code == 401

    def test_signed_with_the_public_key_as_a_secret_is_refused(self, scribe):
        head = base64url_encode(b'{"alg":"HS384","typ":"JWT"}')
        body = base64url_encode(json.dumps(scribe.claims()).encode())
        mac = hmac.new(
            scribe.credential.public_key.encode(), head + b"." + body, hashlib.sha384
        ).digest()
        forged = b".".join([head, body, base64url_encode(mac)]).decode()

        assert post(scribe.form() | {"client_assertion": forged}).status_code == 401

    @pytest.mark.parametrize("text", ["", "x", "a.b.c", "." * 5000, "e30.e30.e30"])
    def test_that_is_none_is_refused(self, scribe, text):
        assert post(scribe.form() | {"client_assertion": text}).status_code == 401

    def test_may_be_signed_with_rsa(self, scribe):
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        pem = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        with transaction.atomic():
            scribe.credential = AgentCredential.issue_key(
                agent=scribe.agent,
                lane="draft",
                public_key=pem.decode(),
                alg="RS384",
                expires_at=timezone.now() + timedelta(days=1),
                **by(),
            )

        assert post(scribe.form(alg="RS384", key=key)).status_code == 200
        assert post(scribe.form(alg="RS256", key=key)).status_code == 401


class TestTheRequest:
    def test_is_for_client_credentials(self, scribe):
        for grant in ("authorization_code", "refresh_token", "password"):
            answer = post(scribe.form() | {"grant_type": grant})
            assert (answer.status_code, answer.json()["error"]) == (400, "unsupported_grant_type")
        form = scribe.form()
        del form["grant_type"]
        assert post(form).json()["error"] == "invalid_request"

    def test_has_each_parameter_once(self, scribe):
        answer = post(scribe.form() | {"scope": ["portal/status", "portal/suggest"]})

        assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")

    def test_names_the_same_client_everywhere(self, scribe, add_program):
        other = add_program(name="other")

        assert post(scribe.form() | {"client_id": str(other.credential.pk)}).status_code == 401
        assert post(scribe.form() | {"client_id": str(scribe.credential.pk)}).status_code == 200

    def test_is_a_small_form(self, scribe):
        json_body = Client().post("/oauth/token", b"{}", content_type="application/json")
        assert json_body.status_code == 415
        assert json_body["Content-Type"] == "application/problem+json"
        assert post({"grant_type": "x" * 70_000}).status_code == 413
        assert Client().get("/oauth/token").status_code == 405

    def test_is_counted(self, scribe, settings):
        settings.AGENT_REQUESTS_PER_MINUTE = 2
        answers = [post(scribe.form()) for _ in range(3)]

        assert [answer.status_code for answer in answers] == [200, 200, 429]
        assert int(answers[2]["Retry-After"]) > 0


class TestACredential:
    @pytest.mark.req("001-116")
    @pytest.mark.parametrize("end", ["revoked", "expired", "suspended", "closed", "lowered"])
    def test_that_ended_signs_nobody_in(self, scribe, end):
        with transaction.atomic():
            match end:
                case "revoked":
                    scribe.credential.revoke(**by())
                case "expired":
                    AgentCredential.unscoped.update(expires_at=timezone.now())
                case "suspended":
                    scribe.agent.suspend(**by())
                case "closed":
                    scribe.agent.tenant.change(is_active=False, **by())
                case "lowered":
                    scribe.agent.change(lane_ceiling="draft", **by())

        assert post(scribe.form()).status_code == 401

    def test_has_one_client_with_its_id(self, scribe):
        client = OidcClient.objects.get(pk=str(scribe.credential.pk))

        assert client.get_grant_types() == ["client_credentials"]
        assert client.get_scopes() == ["portal/suggest", "portal/status"]
        assert client.get_redirect_uris() == []

    def test_above_the_agents_ceiling_is_not_issued(self, scribe):
        with transaction.atomic():
            agent = Agent.admit(
                tenant=scribe.agent.tenant, name="low", lane_ceiling="draft", **by()
            )
        with pytest.raises(ValidationError, match="ceiling"), transaction.atomic():
            AgentCredential.issue_key(
                agent=agent,
                lane="suggest",
                public_key=scribe.credential.public_key,
                expires_at=timezone.now() + timedelta(days=1),
                **by(),
            )

    def test_needs_a_strong_key(self, scribe):
        weak = rsa.generate_private_key(public_exponent=65537, key_size=1024)
        pem = weak.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        for key, alg in (
            (pem.decode(), "RS384"),
            (scribe.credential.public_key, "RS384"),
            (pem.decode(), "ES384"),
            ("not a key", "ES384"),
            (scribe.credential.public_key, "ES256"),
        ):
            with pytest.raises(ValidationError), transaction.atomic():
                AgentCredential.issue_key(
                    agent=scribe.agent,
                    lane="draft",
                    public_key=key,
                    alg=alg,
                    expires_at=timezone.now() + timedelta(days=1),
                    **by(),
                )


class TestASecret:
    @pytest.fixture
    def secret(self, scribe):
        with transaction.atomic():
            scribe.agent.tenant.change(client_secret_allowed=True, **by())
            return AgentCredential.issue_secret(
                agent=scribe.agent,
                lane="draft",
                expires_at=timezone.now() + timedelta(days=1),
                **by(),
            )

    def ask(self, credential, secret, **form):
        return post(
            {"grant_type": "client_credentials", **form},
            headers={"Authorization": basic(str(credential.pk), secret)},
        )

    def test_is_accepted_where_the_tenant_allows_it(self, secret):
        answer = self.ask(*secret)

        assert answer.status_code == 200
        assert answer.json()["scope"] == "portal/draft portal/status"

    def test_is_kept_as_a_hash(self, secret):
        credential, value = secret
        assert value not in str(credential.__dict__)

    def test_is_refused_when_it_is_wrong_or_for_nobody(self, secret):
        credential, value = secret
        assert self.ask(credential, value + "x").status_code == 401
        assert self.ask(credential, "").status_code == 401
        credential.pk = "11111111-1111-1111-1111-111111111111"
        assert self.ask(credential, value).status_code == 401

    def test_is_refused_when_the_tenant_does_not_allow_it_any_more(self, secret, scribe):
        with transaction.atomic():
            scribe.agent.tenant.change(client_secret_allowed=False, **by())

        assert self.ask(*secret).status_code == 401
        with pytest.raises(ValidationError), transaction.atomic():
            AgentCredential.issue_secret(
                agent=scribe.agent,
                lane="draft",
                expires_at=timezone.now() + timedelta(days=1),
                **by(),
            )

    def test_is_sent_in_the_header_only_and_not_beside_an_assertion(self, secret, scribe):
        credential, value = secret
        in_form = post(
            {
                "grant_type": "client_credentials",
                "client_id": str(credential.pk),
                "client_secret": value,
            }
        )
        assert in_form.status_code == 401
        assert self.ask(credential, value, **scribe.form()).status_code == 400

    def test_does_not_open_a_credential_that_has_a_key(self, scribe):
        assert self.ask(scribe.credential, "anything").status_code == 401

    @pytest.mark.parametrize("header", ["Basic", "Basic !!!", "Basic Zm9v", "Bearer x", "Digest x"])
    def test_that_is_malformed_is_refused(self, scribe, header):
        answer = post({"grant_type": "client_credentials"}, headers={"Authorization": header})

        assert answer.status_code == 401


class TestMetadata:
    def test_names_the_token_endpoint_and_how_to_prove_oneself(self, client, settings, db):
        found = client.get("/.well-known/oauth-authorization-server").json()

        assert found["issuer"] == settings.PORTAL_URL
        assert found["token_endpoint"] == f"{settings.PORTAL_URL}/oauth/token"
        assert found["token_endpoint_auth_signing_alg_values_supported"] == ["ES384", "RS384"]
        assert found["grant_types_supported"] == ["client_credentials"]
        assert "portal/commit" in found["scopes_supported"]

    def test_names_the_resource(self, client, settings, db):
        found = client.get("/.well-known/oauth-protected-resource").json()

        assert found["resource"] == settings.PORTAL_URL
        assert found["authorization_servers"] == [settings.PORTAL_URL]
        assert found["bearer_methods_supported"] == ["header"]
