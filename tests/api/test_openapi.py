"""The OpenAPI document says what the API does: every answer here is held against it."""

import json
import re
from uuid import uuid4

import pytest
from django.test import Client
from jsonschema import Draft202012Validator, FormatChecker
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

from intents.api.urls import urlpatterns
from tests.api.conftest import note, post_form, problem, proposal

pytestmark = pytest.mark.django_db


@pytest.fixture
def document(db):
    answer = Client().get("/api/schema/")
    assert answer.status_code == 200
    return json.loads(answer.content)


def check(document, method, template, answer):
    """Raise unless the answer is one that the document describes."""
    operation = document["paths"][template][method]
    response = operation["responses"][str(answer.status_code)]
    media_type = answer["Content-Type"].split(";")[0]
    schema = response["content"][media_type]["schema"]
    registry = Registry().with_resource(
        "urn:api", Resource.from_contents(document, default_specification=DRAFT202012)
    )
    pointed = json.loads(json.dumps(schema).replace('"#/', '"urn:api#/'))
    Draft202012Validator(pointed, registry=registry, format_checker=FormatChecker()).validate(
        answer.json()
    )


class TestTheDocument:
    def test_is_openapi_3_1(self, document):
        assert document["openapi"].startswith("3.1")
        assert document["components"]["securitySchemes"]["agentToken"]["type"] == "oauth2"

    @pytest.mark.parametrize("wanted", ["application/json", "application/yaml"])
    def test_is_served_under_the_plain_media_types_too(self, wanted):
        answer = Client().get("/api/schema/", headers={"Accept": wanted})
        assert answer.status_code == 200
        assert answer["Content-Type"].startswith(wanted)

    def test_is_also_served_as_yaml(self, db):
        answer = Client().get("/api/schema/", headers={"Accept": "application/vnd.oai.openapi"})

        assert answer.content.startswith(b"openapi: 3.1")

    def test_names_every_address_of_the_door(self, document):
        addresses = {
            "/" + re.sub(r"<\w+:(\w+)>", r"{\1}", str(each.pattern))
            for each in urlpatterns
            if each.name not in {"not-found", "schema"}
        }

        assert addresses == set(document["paths"])

    def test_shows_three_lanes_as_three_addresses(self, document):
        for lane in ("draft", "suggest", "commit"):
            operation = document["paths"][f"/api/v1/{lane}/proposals"]["post"]
            assert operation["security"] == [{"agentToken": [f"portal/{lane}"]}]
            header = next(p for p in operation["parameters"] if p["name"] == "Idempotency-Key")
            assert header["required"] is True

    def test_is_produced_without_a_warning(self, capsys, db):
        Client().get("/api/schema/")

        assert "Warning" not in capsys.readouterr().err


class TestAnswers:
    def test_are_those_of_the_document(self, document, scribe, add_program, settings):
        status_only = {"Authorization": f"Bearer {scribe.sign_in('portal/status')}"}
        made = scribe.propose(proposal(changes=[problem(), note()]), key="k")
        one = f"/api/v1/proposals/{made.json()['id']}"
        lane = "/api/v1/suggest/proposals"
        cases = [
            ("post", "/oauth/token", post_form("/oauth/token", scribe.form())),
            ("post", "/oauth/token", post_form("/oauth/token", {"grant_type": "x"})),
            ("post", "/oauth/token", post_form("/oauth/token", scribe.form(jti=None))),
            ("get", "/.well-known/oauth-authorization-server", None),
            ("get", "/.well-known/oauth-protected-resource", None),
            ("get", "/api/v1/problems/{code}", Client().get("/api/v1/problems/not-json")),
            ("get", "/api/v1/problems/{code}", Client().get("/api/v1/problems/none")),
            ("get", "/api/v1/kinds", scribe.get("/api/v1/kinds")),
            ("get", "/api/v1/kinds", Client().get("/api/v1/kinds")),
            ("get", "/api/v1/kinds/{kind}/schema", scribe.get("/api/v1/kinds/note/schema")),
            ("get", "/api/v1/kinds/{kind}/schema", scribe.get("/api/v1/kinds/no/schema")),
            ("get", "/api/v1/connections", scribe.get("/api/v1/connections")),
            ("post", lane, made),
            ("post", lane, scribe.propose(proposal(changes=[problem(), note()]), key="k")),
            ("post", lane, scribe.propose(b"{", key="k2")),
            ("post", lane, scribe.propose(b"{", key="k")),
            ("post", lane, scribe.propose(b" " * (settings.MAX_PROPOSAL_BYTES + 1))),
            ("post", lane, scribe.propose(proposal(extra=1))),
            ("post", lane, scribe.propose(proposal(connection="nowhere"))),
            ("post", lane, scribe.propose(proposal(), key="")),
            (
                "post",
                lane,
                Client().post(lane, "x", content_type="text/plain", headers=scribe.headers()),
            ),
            (
                "post",
                "/api/v1/draft/proposals",
                scribe.propose(proposal(), lane="draft"),
            ),
            (
                "post",
                "/api/v1/commit/proposals",
                add_program(lane="commit").propose(proposal()),
            ),
            ("get", "/api/v1/proposals", scribe.get("/api/v1/proposals")),
            ("get", "/api/v1/proposals", scribe.get("/api/v1/proposals", after="x")),
            ("get", "/api/v1/proposals/{proposal_id}", scribe.get(one)),
            (
                "get",
                "/api/v1/proposals/{proposal_id}",
                scribe.get(f"/api/v1/proposals/{uuid4()}"),
            ),
            ("get", "/api/v1/feedback", scribe.get("/api/v1/feedback")),
            ("get", "/api/v1/feedback", scribe.get("/api/v1/feedback", after="x")),
            (
                "post",
                "/api/v1/proposals/{proposal_id}/withdraw",
                Client().post(f"{one}/withdraw", headers=status_only),
            ),
            (
                "post",
                "/api/v1/proposals/{proposal_id}/withdraw",
                scribe.post(f"{one}/withdraw", b""),
            ),
        ]
        for method, template, answer in cases:
            check(document, method, template, answer or Client().get(template))

    def test_to_too_many_requests_are_in_it_too(self, document, scribe, settings):
        headers = scribe.headers()
        settings.AGENT_REQUESTS_PER_MINUTE = 1
        for _ in range(2):
            answer = Client().get("/api/v1/kinds", headers=headers)
        check(document, "get", "/api/v1/kinds", answer)
