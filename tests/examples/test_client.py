"""The agent at the portal's public door."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from examples import portal_client as client
from tests.examples.portal import PROPOSAL_ID, FakePortal, running

pytestmark = pytest.mark.once


@pytest.fixture
def door(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[FakePortal, client.Portal]]:
    monkeypatch.setattr(client.time, "sleep", lambda _: None)
    with running(folder=tmp_path) as (portal, key_file):
        yield (
            portal,
            client.Portal(
                origin=portal.origin,
                token_url=f"{portal.origin}/oauth/token",
                client_id="agent",
                key_file=key_file,
            ),
        )


class TestSignIn:
    def test_proves_the_agent_with_a_short_lived_assertion(
        self, door: tuple[FakePortal, client.Portal]
    ) -> None:
        portal, agent = door

        agent.connections()

        (form,), (claims,) = portal.forms, portal.claims
        assert form["grant_type"] == "client_credentials"
        assert form["scope"] == "portal/suggest portal/status"
        assert claims["iss"] == claims["sub"] == "agent"
        assert claims["exp"] - claims["iat"] <= 300

    def test_is_done_once_and_never_twice_with_one_assertion(
        self, door: tuple[FakePortal, client.Portal]
    ) -> None:
        portal, agent = door

        agent.connections()
        agent.connections()
        agent.token_ends = 0.0
        agent.connections()

        assert len(portal.claims) == 2
        assert portal.claims[0]["jti"] != portal.claims[1]["jti"]

    def test_that_is_refused_is_told_in_the_portals_words(
        self, door: tuple[FakePortal, client.Portal]
    ) -> None:
        _, agent = door
        agent.client_id = "stranger"

        with pytest.raises(client.PortalRefused, match="The client was not proved"):
            agent.connections()

    def test_without_a_key_is_told_plainly(
        self, door: tuple[FakePortal, client.Portal], tmp_path: Path
    ) -> None:
        _, agent = door
        agent.key_file = tmp_path / "nothing.pem"
        with pytest.raises(client.PortalRefused, match="cannot be read"):
            agent.connections()
        agent.key_file.write_text("no key", encoding="utf-8")
        with pytest.raises(client.PortalRefused, match="not a private key"):
            agent.connections()


class TestProposing:
    def test_carries_its_key(self, door: tuple[FakePortal, client.Portal]) -> None:
        portal, agent = door

        answer = agent.propose(body={"summary": "draft"}, key="k1")

        assert answer["id"] == PROPOSAL_ID
        assert portal.proposals == [("k1", {"summary": "draft"})]
        assert agent.address(proposal_id=PROPOSAL_ID) == f"{portal.origin}/intents/{PROPOSAL_ID}/"

    @pytest.mark.parametrize("status", [429, 502, 503, 504])
    def test_is_repeated_with_the_same_key_where_the_portal_asks_for_patience(
        self, door: tuple[FakePortal, client.Portal], status: int
    ) -> None:
        portal, agent = door
        portal.answers = [(status, {"Retry-After": "1"}, {})] * 2

        agent.propose(body={"summary": "draft"}, key="k1")

        assert [key for key, _ in portal.proposals] == ["k1"]

    def test_that_is_refused_is_told_with_its_places(
        self, door: tuple[FakePortal, client.Portal]
    ) -> None:
        portal, agent = door
        problem = {
            "detail": "The proposal is refused.",
            "errors": [{"pointer": "/changes/0", "detail": "This is needed."}],
        }
        portal.answers = [(422, {"Content-Type": "application/problem+json"}, problem)]

        with pytest.raises(
            client.PortalRefused, match=r"The proposal is refused\. /changes/0: This is needed\."
        ):
            agent.propose(body={}, key="k1")

    def test_to_something_that_is_no_portal_is_told(
        self, door: tuple[FakePortal, client.Portal]
    ) -> None:
        portal, agent = door
        portal.answers = [(200, {"Content-Type": "text/html"}, "<html>")]

        with pytest.raises(client.UnableToReachPortal, match="is not the portal"):
            agent.propose(body={}, key="k1")

    def test_to_nobody_is_told(
        self, tmp_path: Path, door: tuple[FakePortal, client.Portal]
    ) -> None:
        _, agent = door
        agent.origin, agent.token_url = "http://127.0.0.1:9", "http://127.0.0.1:9/oauth/token"

        with pytest.raises(
            client.UnableToReachPortal, match=r"http://127\.0\.0\.1:9 cannot be reached"
        ):
            agent.propose(body={}, key="k1")
