"""Whatever a program sends, and however many send it at once: an answer, never a crash or a double."""

import json
import threading
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection as database
from django.db import transaction
from django.test import Client
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from intents.api.errors import from_intake
from intents.governance.tenancy import tenant_context
from intents.models import Intent, Proposal
from intents.pipeline import intake
from tests.api.conftest import note, post_form, problem, proposal

REFUSALS = (
    intake.NotStrictJson,
    intake.BodyInvalid,
    intake.ProposalInvalid,
    intake.ScopeNotGranted,
)
NASTY_TEXT = st.one_of(
    st.text(max_size=40),
    st.sampled_from(
        [
            "\x00",
            "\u202e",
            "\u200b",
            "\U000e0041",
            "\ufffe",
            "'; DROP TABLE intents_intent; --",
            "{{7*7}}",
            "<script>alert(1)</script>",
            "../../../etc/passwd",
            "Condition/1",
            "%s%n",
            "A" * 5000,
        ]
    ),
)
NASTY = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**12), 10**12)
    | st.integers(10**20, 10**22)
    | st.floats(allow_nan=False, allow_infinity=False)
    | NASTY_TEXT,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3)
    ),
    max_leaves=8,
)


def places(value: Any, prefix: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The path of every value in a document."""
    found = [prefix] if prefix else []
    items = (
        value.items()
        if isinstance(value, dict)
        else enumerate(value)
        if isinstance(value, list)
        else ()
    )
    for key, item in items:
        found += places(item, (*prefix, key))
    return found


WHOLE = proposal(changes=[problem(), note(depends_on=["c1"])])
PLACES = places(WHOLE)


@st.composite
def mutilated(draw: st.DrawFn) -> bytes:
    """A good proposal with one to three of its values replaced, removed or added to."""
    body = json.loads(json.dumps(WHOLE))
    for path in draw(st.lists(st.sampled_from(PLACES), min_size=1, max_size=3)):
        place: Any = body
        try:
            for part in path[:-1]:
                place = place[part]
            act = draw(st.sampled_from(["replace", "remove", "add"]))
            if act == "remove":
                del place[path[-1]]
            elif act == "add" and isinstance(place[path[-1]], dict):
                place[path[-1]][draw(st.text(max_size=10))] = draw(NASTY)
            else:
                place[path[-1]] = draw(NASTY)
        except (KeyError, IndexError, TypeError):
            continue
    return json.dumps(body).encode()


@pytest.mark.django_db
class TestHostileInput:
    @settings(
        max_examples=250,
        deadline=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    )
    @given(
        raw=st.one_of(
            mutilated(), st.binary(max_size=200), NASTY.map(lambda v: json.dumps(v).encode())
        )
    )
    def test_is_refused_or_recorded_and_never_crashes(self, scribe, raw):
        code = None
        try:
            with transaction.atomic():
                made, created = intake.receive(
                    credential=scribe.credential,
                    lane="suggest",
                    key=str(uuid4()),
                    raw_body=raw,
                    at=timezone.now(),
                )
        except REFUSALS as refused:
            code = from_intake(refused).code
        if code is None:
            assert created
            with tenant_context(scribe.credential.tenant_id):
                assert set(made.intents.values_list("state", flat=True)) == {"DRAFTED"}
        else:
            assert code in {
                "not-json",
                "proposal-invalid",
                "scope-not-granted",
                "evidence-not-verbatim",
                "forbidden-character",
            }


def at_once(*calls: Any) -> list[Any]:
    """The results of the calls, made by as many threads at the same moment."""
    barrier = threading.Barrier(len(calls))
    results: list[Any] = [None] * len(calls)

    def run(index: int, call: Any) -> None:
        try:
            barrier.wait(timeout=20)
            results[index] = call()
        finally:
            database.close()

    threads = [threading.Thread(target=run, args=each) for each in enumerate(calls)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    return results


@pytest.mark.django_db(transaction=True)
class TestAtOnce:
    def post(self, headers: dict[str, str], body: Any) -> Any:
        return Client().post(
            "/api/v1/suggest/proposals",
            json.dumps(body),
            content_type="application/json",
            headers=headers,
        )

    def test_the_same_proposal_four_times_is_one(self, scribe):
        headers = scribe.headers() | {"Idempotency-Key": "k"}
        answers = at_once(*[lambda: self.post(headers, proposal()) for _ in range(4)])

        assert sorted(a.status_code for a in answers) == [200, 200, 200, 201]
        assert len({a.json()["id"] for a in answers}) == 1
        assert Proposal.unscoped.count() == Intent.unscoped.count() == 1

    def test_four_proposals_under_one_key_are_one(self, scribe):
        headers = scribe.headers() | {"Idempotency-Key": "k"}
        bodies = [proposal(summary=str(number)) for number in range(4)]
        answers = at_once(*[lambda body=body: self.post(headers, body) for body in bodies])

        assert sorted(a.status_code for a in answers) == [201, 409, 409, 409]
        assert Proposal.unscoped.count() == 1

    @pytest.mark.req("003-10")
    def test_an_assertion_four_times_is_one_token(self, scribe):
        form = scribe.form()
        answers = at_once(*[lambda: post_form("/oauth/token", form) for _ in range(4)])

        assert sorted(a.status_code for a in answers) == [200, 401, 401, 401]

    def test_two_patients_first_proposals_share_no_key_and_lose_none(self, scribe):
        headers = scribe.headers()
        bodies = []
        for number in range(4):
            body = proposal()
            body["patient"]["id"] = f"P{number % 2}"
            bodies.append(body)
        answers = at_once(
            *[
                lambda body=body, n=n: self.post(headers | {"Idempotency-Key": f"k{n}"}, body)
                for n, body in enumerate(bodies)
            ]
        )

        assert [a.status_code for a in answers] == [201] * 4
        with tenant_context(scribe.credential.tenant_id):
            assert {p.phi("summary") for p in Proposal.objects.all()} == {"Knee pain"}
