"""What an agent learns afterwards: its own proposals, decisions and answers, and nobody else's."""

import json
from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from allauth.idp.oidc.models import Token
from django.db import transaction
from django.test import Client
from django.utils import timezone

from audit.actors import Actor, ActorKind
from intents.governance import switches
from intents.governance.models import AgentCredential, Membership, User
from intents.governance.tenancy import tenant_context
from intents.lifecycle import State
from intents.models import (
    Finding,
    Intent,
    IntentVersion,
    OutboxEntry,
    ReviewDecision,
    Screening,
    WriteLedgerEntry,
)
from tests.api.conftest import INSTALLER, note, problem, proposal
from tests.api.test_proposals import code_of
from tests.intents.delivery_fixtures import overwrite

pytestmark = pytest.mark.django_db


def by():
    return {"actor": INSTALLER, "at": timezone.now()}


def advance(tenant, intent_id, *path):
    """Move a change along the lifecycle as the parts of the system would."""
    actors = {
        State.VALIDATED: ActorKind.VALIDATOR,
        State.PENDING_APPROVAL: ActorKind.POLICY,
        State.APPROVED: ActorKind.REVIEWER,
        State.SUBMITTED: ActorKind.DISPATCHER,
        State.ACCEPTED: ActorKind.DISPATCHER,
    }
    with tenant_context(tenant.pk), transaction.atomic():
        intent = Intent.lock(intent_id)
        for state in path:
            intent.advance(state, actor=Actor.system(actors[state]), at=timezone.now())
        return intent


def screen(tenant, intent_id, *, findings=()):
    """A screening row without a chart, for findings to hang on."""
    with tenant_context(tenant.pk), transaction.atomic():
        intent = Intent.lock(intent_id)
        screening = Screening(
            tenant=tenant,
            version_id=intent.current_version_id,
            number=1,
            connection_settings_hash="0" * 64,
            adapter_version="1",
            capabilities_hash="0" * 64,
            created_at=timezone.now(),
        )
        screening.save()
        for position, columns in enumerate(findings):
            Finding(
                tenant=tenant,
                screening=screening,
                position=position,
                **{"severity": "warning", "code": "x", "diagnostics": "A sentence."} | columns,
            ).save()
        intent.change(current_screening=screening, **by())
        return screening


APPROVED = (State.VALIDATED, State.PENDING_APPROVAL, State.APPROVED)


class TestStatus:
    def test_shows_each_change_with_its_findings(self, scribe, clinic):
        made = scribe.propose(proposal(changes=[problem(), note()])).json()
        screen(clinic[0], made["changes"][0]["id"], findings=[{"code": "dose-doubled"}])
        answer = scribe.get(f"/api/v1/proposals/{made['id']}")

        assert answer.status_code == 200
        change = answer.json()["changes"][0]
        assert change["findings"] == [
            {
                "severity": "warning",
                "code": "dose-doubled",
                "expression": "",
                "diagnostics": "A sentence.",
                "needs_decision": False,
            }
        ]
        assert (change["decision"], change["delivery"]) == (None, None)

    def test_is_open_then_in_flight_then_ended(self, scribe, clinic):
        made = scribe.propose(proposal()).json()
        change = made["changes"][0]["id"]
        path = f"/api/v1/proposals/{made['id']}"
        assert scribe.get(path).json()["state"] == "open"

        advance(clinic[0], change, *APPROVED)
        assert scribe.get(path).json()["state"] == "in_flight"

        advance(clinic[0], change, State.SUBMITTED, State.ACCEPTED)
        assert scribe.get(path).json()["state"] == "ended"

    def test_holds_no_clinical_content(self, scribe):
        made = scribe.propose(proposal(changes=[problem(), note()])).json()
        shown = scribe.get(f"/api/v1/proposals/{made['id']}").content.decode()

        for word in ("Ostervane", "knee", "M17.11", "P9"):
            assert word not in shown

    def test_of_nothing_is_not_found(self, scribe):
        assert code_of(scribe.get(f"/api/v1/proposals/{uuid4()}")) == (404, "not-found")
        assert code_of(scribe.get("/api/v1/proposals/1")) == (404, "not-found")


class TestTenants:
    @pytest.mark.req("001-115", "003-27")
    def test_see_nothing_of_each_other(self, scribe, stranger, add_program):
        made = scribe.propose(proposal()).json()["id"]
        nowhere = stranger.get(f"/api/v1/proposals/{uuid4()}")
        colleague = add_program(name="colleague")

        for other in (stranger, colleague):
            seen = other.get(f"/api/v1/proposals/{made}")
            assert (seen.status_code, seen.content) == (404, nowhere.content)
            withdrawn = other.post(f"/api/v1/proposals/{made}/withdraw", b"")
            assert code_of(withdrawn) == (404, "not-found")
            assert other.get("/api/v1/proposals").json()["proposals"] == []
            assert other.get("/api/v1/feedback").json()["items"] == []

    def test_reach_their_own_connection_by_the_same_name(self, scribe, stranger):
        ours, theirs = scribe.propose(proposal()), stranger.propose(proposal())

        assert (ours.status_code, theirs.status_code) == (201, 201)
        assert scribe.get(f"/api/v1/proposals/{theirs.json()['id']}").status_code == 404


class TestTheList:
    def test_is_newest_first_in_pages(self, scribe, monkeypatch):
        monkeypatch.setattr("intents.queries.agents.cursors.PAGE_SIZE", 2)
        made = [scribe.propose(proposal()).json()["id"] for _ in range(5)]
        seen, after = [], None
        for _ in range(5):
            page = scribe.get("/api/v1/proposals", **({"after": after} if after else {})).json()
            seen += [each["id"] for each in page["proposals"]]
            after = page["next"]
            if after is None:
                break

        assert seen == made[::-1]

    def test_is_filtered_by_derived_state(self, scribe, clinic):
        opened, moving, ended = (scribe.propose(proposal()).json() for _ in range(3))
        advance(clinic[0], moving["changes"][0]["id"], *APPROVED)
        scribe.post(f"/api/v1/proposals/{ended['id']}/withdraw", b"")

        for state, one in (("open", opened), ("in_flight", moving), ("ended", ended)):
            found = scribe.get("/api/v1/proposals", state=state).json()["proposals"]
            assert [each["id"] for each in found] == [one["id"]]
        assert code_of(scribe.get("/api/v1/proposals", state="PENDING")) == (400, "bad-request")

    @pytest.mark.parametrize("cursor", ["x", "!!!", "W10", "WyJhIiwgImIiXQ", "e30", "\u00e9"])
    def test_refuses_a_cursor_that_it_never_gave(self, scribe, cursor):
        for path in ("/api/v1/proposals", "/api/v1/feedback"):
            assert code_of(scribe.get(path, after=cursor)) == (400, "cursor-malformed")


class TestWithdrawing:
    def test_cancels_every_open_change_and_may_be_repeated(self, scribe):
        made = scribe.propose(proposal(changes=[problem(), note()])).json()["id"]
        path = f"/api/v1/proposals/{made}/withdraw"
        first, again = scribe.post(path, b""), scribe.post(path, b"")

        assert (first.status_code, again.status_code) == (200, 200)
        assert [c["state"] for c in first.json()["changes"]] == ["CANCELLED", "CANCELLED"]
        assert first.json() == again.json()

    def test_is_refused_once_anything_was_approved(self, scribe, clinic):
        made = scribe.propose(proposal(changes=[problem(), note()])).json()
        advance(clinic[0], made["changes"][1]["id"], *APPROVED)
        answer = scribe.post(f"/api/v1/proposals/{made['id']}/withdraw", b"")

        assert code_of(answer) == (409, "already-sent")
        states = [
            c["state"] for c in scribe.get(f"/api/v1/proposals/{made['id']}").json()["changes"]
        ]
        assert states == ["DRAFTED", "APPROVED"]

    def test_is_for_the_lane_that_it_came_by(self, scribe):
        made = scribe.propose(proposal()).json()["id"]
        with transaction.atomic():
            scribe.credential = AgentCredential.issue_key(
                agent=scribe.agent,
                lane="draft",
                public_key=scribe.credential.public_key,
                expires_at=timezone.now() + timedelta(days=1),
                **by(),
            )
        answer = scribe.post(f"/api/v1/proposals/{made}/withdraw", b"")

        assert code_of(answer) == (403, "wrong-lane")

    def test_needs_the_lanes_scope(self, scribe):
        made = scribe.propose(proposal()).json()["id"]
        token = scribe.sign_in("portal/status")
        answer = Client().post(
            f"/api/v1/proposals/{made}/withdraw", headers={"Authorization": f"Bearer {token}"}
        )

        assert code_of(answer) == (403, "scope-not-granted")
        assert 'error="insufficient_scope"' in answer["WWW-Authenticate"]


class TestFeedback:
    def edit(self, tenant, intent_id, *, at, **changed):
        with tenant_context(tenant.pk), transaction.atomic():
            first = IntentVersion.objects.get(intent=intent_id)
            version = IntentVersion(
                tenant=tenant,
                intent_id=intent_id,
                number=2,
                author_kind="REVIEWER",
                author_id="p",
                author_name="Adaeze",
                content_hash="0" * 64,
                tag=uuid4(),
                tag_short=str(uuid4())[:14],
                created_at=at,
            )
            content = first.phi_json("content") | changed
            version.set_phi("content", content, patient_ref="P9")
            version.save()

    def test_tells_what_a_reviewer_changed_by_pointers(self, scribe, clinic):
        made = scribe.propose(proposal(changes=[problem(), note()])).json()["changes"]
        long_ago = timezone.now() - timedelta(minutes=1)
        self.edit(clinic[0], made[0]["id"], at=long_ago, verification="provisional", note="watch")
        page = scribe.get("/api/v1/feedback").json()

        assert [(i["event"], i["ref"], i["changed_fields"]) for i in page["items"]] == [
            ("edited", "c1", ["/verification", "/note"])
        ]
        assert "watch" not in json.dumps(page)
        after = scribe.get("/api/v1/feedback", after=page["next"]).json()
        assert (after["items"], after["next"]) == ([], page["next"])

        self.edit(
            clinic[0], made[1]["id"], at=long_ago + timedelta(seconds=1), sensitivity="normal"
        )
        later = scribe.get("/api/v1/feedback", after=page["next"]).json()
        assert [i["ref"] for i in later["items"]] == ["n1"]

    # PostgreSQL alters no table in a transaction whose deferred constraints are still to be checked.
    @pytest.mark.django_db(transaction=True)
    def test_says_that_an_altered_version_cannot_be_compared(self, scribe, clinic):
        made = scribe.propose(proposal()).json()["changes"][0]["id"]
        self.edit(clinic[0], made, at=timezone.now() - timedelta(minutes=1), note="watch")
        altered = IntentVersion.unscoped.get(intent=made, number=1)
        overwrite(
            "intents_intentversion", "content", pk=altered.pk, change=lambda sealed: sealed[:-4]
        )
        answer = scribe.get("/api/v1/feedback")
        assert answer.status_code == 200
        assert [i["changed_fields"] for i in answer.json()["items"]] == [None]

    def test_waits_until_no_earlier_fact_can_come(self, scribe, clinic):
        made = scribe.propose(proposal()).json()["changes"][0]["id"]
        self.edit(clinic[0], made, at=timezone.now(), note="watch")

        assert scribe.get("/api/v1/feedback").json() == {"items": [], "next": None}


@pytest.fixture
def reviewer(clinic):
    with transaction.atomic():
        user = User.add(email="ada@example.org", name="Ada", **by())
        return Membership.grant(
            tenant=clinic[0], user=user, role="REVIEWER", clinical_role="PRESCRIBER", **by()
        )


class TestDecisionsAndAnswers:
    """What people and the EHR said, in the status and in the feedback."""

    def decide(self, tenant, intent_id, reviewer, *, at, kind="approve", **columns):
        screening = screen(tenant, intent_id)
        with tenant_context(tenant.pk), transaction.atomic():
            decision = ReviewDecision(
                tenant=tenant,
                screening=screening,
                reviewer=reviewer,
                kind=kind,
                decided_at=at,
                **columns,
            )
            decision.set_phi("note", "the patient said otherwise", patient_ref="P9")
            decision.save()
            return decision

    def answer(self, tenant, intent_id, decision, *, at, phase, **facts):
        with tenant_context(tenant.pk), transaction.atomic():
            intent = Intent.objects.get(pk=intent_id)
            entry = OutboxEntry.objects.filter(intent=intent).first() or OutboxEntry.put(
                tenant=tenant,
                intent=intent,
                screening=decision.screening,
                decision=decision,
                approval_event_id=uuid4(),
                connection_id=intent.connection_id,
                shard_key="s",
                tag=uuid4(),
                payload_hash="0" * 64,
                not_before=at,
                actor=INSTALLER,
                at=at,
            )
            WriteLedgerEntry.write(
                entry=entry,
                attempt_id=UUID(int=1),
                phase=phase,
                actor=INSTALLER,
                at=at,
                tick=1,
                evidence="seen in the chart" if phase == "ATTESTED" else "",
                patient_ref="P9",
                **facts,
            )

    def test_of_a_rejection_are_its_code_without_its_note(self, scribe, clinic, reviewer):
        made = scribe.propose(proposal()).json()
        change = made["changes"][0]["id"]
        then = timezone.now() - timedelta(minutes=1)
        self.decide(clinic[0], change, reviewer, at=then, kind="reject", reason_code="wrong-fact")
        status = scribe.get(f"/api/v1/proposals/{made['id']}")
        page = scribe.get("/api/v1/feedback")

        assert status.json()["changes"][0]["decision"] == {
            "outcome": "reject",
            "reason_code": "wrong-fact",
            "edited": False,
            "decided_at": status.json()["changes"][0]["decision"]["decided_at"],
        }
        assert [(i["event"], i["reason_code"]) for i in page.json()["items"]] == [
            ("rejected", "wrong-fact")
        ]
        for shown in (status, page):
            assert "otherwise" not in shown.content.decode()
            assert "Ada" not in shown.content.decode()

    def test_of_the_ehr_are_told_in_order(self, scribe, clinic, reviewer):
        made = scribe.propose(proposal()).json()
        change = made["changes"][0]["id"]
        start = timezone.now() - timedelta(minutes=1)
        decision = self.decide(clinic[0], change, reviewer, at=start)
        for seconds, phase, facts in (
            (1, "SENT", {}),
            (2, "UNKNOWN", {"status_code": 504}),
            (3, "FOUND", {}),
            (4, "READ_BACK", {"status_code": 200, "vendor_code": "ok"}),
        ):
            self.answer(
                clinic[0],
                change,
                decision,
                at=start + timedelta(seconds=seconds),
                phase=phase,
                **facts,
            )
        page = scribe.get("/api/v1/feedback").json()
        delivery = scribe.get(f"/api/v1/proposals/{made['id']}").json()["changes"][0]["delivery"]

        assert [i["event"] for i in page["items"]] == [
            "approved",
            "ehr-unknown",
            "ehr-found",
            "ehr-read-back",
        ]
        assert (delivery["phase"], delivery["attempts"], delivery["status_code"]) == (
            "READ_BACK",
            1,
            200,
        )
        assert scribe.get("/api/v1/feedback", after=page["next"]).json()["items"] == []

    def test_come_in_pages_without_a_gap(self, scribe, clinic, reviewer, monkeypatch):
        monkeypatch.setattr("intents.queries.agents.cursors.PAGE_SIZE", 2)
        made = scribe.propose(proposal(changes=[problem(ref=f"c{n}") for n in range(5)])).json()
        then = timezone.now() - timedelta(minutes=1)
        for change in made["changes"]:
            # One moment for all: the cursor has to tell them apart.
            self.decide(clinic[0], change["id"], reviewer, at=then)
        seen, after = [], None
        for _ in range(4):
            page = scribe.get("/api/v1/feedback", **({"after": after} if after else {})).json()
            seen += [item["ref"] for item in page["items"]]
            after = page["next"]

        assert sorted(seen) == ["c0", "c1", "c2", "c3", "c4"]


class TestKinds:
    def test_are_listed_with_a_schema_each(self, scribe, settings):
        kinds = scribe.get("/api/v1/kinds").json()["kinds"]

        assert {"note", "problem"} <= {each["kind"] for each in kinds}
        for each in kinds:
            path = each["schema"].removeprefix(settings.PORTAL_URL)
            answer = scribe.get(path)
            assert answer.status_code == 200
            assert answer.json()["$schema"] == "https://json-schema.org/draft/2020-12/schema"

    def test_have_a_schema_an_interaction(self, scribe):
        path = "/api/v1/kinds/problem/schema"

        assert scribe.get(path, interaction="resolve").json()["type"] == "object"
        for answer in (
            scribe.get(path, interaction="amend"),
            scribe.get("/api/v1/kinds/horoscope/schema"),
        ):
            assert code_of(answer) == (404, "not-found")


class TestConnections:
    def test_are_those_with_a_live_grant(self, scribe, add_program, clinic):
        shown = scribe.get("/api/v1/connections").json()["connections"]
        assert [each["connection"] for each in shown] == ["generic"]
        assert shown[0]["writing"] is True
        accepted = {
            (each["kind"], each["interaction"]): (each["accepted"], each["granted"])
            for each in shown[0]["accepts"]
        }
        assert accepted["note", "create"] == (True, True)

        assert add_program(name="bare", scopes={}).get("/api/v1/connections").json() == {
            "connections": []
        }

    def test_say_when_writing_is_stopped(self, scribe, clinic):
        switches.engage(target="CONNECTION", connection=clinic[1], reason="drill", **by())

        assert scribe.get("/api/v1/connections").json()["connections"][0]["writing"] is False


class TestAuthentication:
    def ask(self, authorization, **extra):
        headers = {"Authorization": authorization} if authorization is not None else {}
        return Client().get("/api/v1/kinds", headers=headers, **extra)

    @pytest.mark.parametrize(
        "authorization", [None, "", "Bearer", "Bearer x", "Basic eDp5", "bearer\tx", "Bearer  "]
    )
    def test_is_needed_and_challenged(self, db, settings, authorization):
        answer = self.ask(authorization)

        assert code_of(answer) == (401, "not-authenticated")
        assert answer["WWW-Authenticate"].startswith("Bearer ")
        assert (
            f"{settings.PORTAL_URL}/.well-known/oauth-protected-resource"
            in (answer["WWW-Authenticate"])
        )

    @pytest.mark.req("002-26", "001-116")
    @pytest.mark.parametrize(
        "end",
        [
            "expired",
            "revoked",
            "suspended",
            "closed",
            "lowered",
            "deleted",
            "other-audience",
            "no-audience",
            "other-lane",
            "of-a-person",
            "no-expiry",
        ],
    )
    def test_ends_at_once_with_whatever_it_rests_on(self, scribe, clinic, end, django_user_model):
        headers = scribe.headers()
        assert self.ask(headers["Authorization"]).status_code == 200
        token = Token.objects.get()
        with transaction.atomic():
            match end:
                case "expired":
                    Token.objects.update(expires_at=timezone.now())
                case "no-expiry":
                    Token.objects.update(expires_at=None)
                case "deleted":
                    token.delete()
                case "revoked":
                    scribe.credential.revoke(**by())
                    assert not Token.objects.exists()
                    # Even a token that survived its credential opens nothing.
                    token.save(force_insert=True)
                case "suspended":
                    scribe.agent.suspend(**by())
                case "closed":
                    clinic[0].change(is_active=False, **by())
                case "lowered":
                    scribe.agent.change(lane_ceiling="draft", **by())
                case "other-audience":
                    token.set_resources(["https://elsewhere.example"])
                    token.save()
                case "no-audience":
                    token.set_resources([])
                    token.save()
                case "other-lane":
                    token.set_scopes(["portal/commit", "portal/status"])
                    token.save()
                case "of-a-person":
                    token.user = django_user_model.objects.create_user("a@b.example", name="A")
                    token.save()
        answer = self.ask(headers["Authorization"])

        assert code_of(answer) == (401, "not-authenticated")
        assert 'error="invalid_token"' in answer["WWW-Authenticate"]

    def test_is_not_taken_from_the_address_or_the_body(self, scribe):
        token = scribe.sign_in()

        assert Client().get("/api/v1/kinds", {"access_token": token}).status_code == 401

    def test_ignores_a_session(self, scribe, django_user_model):
        admin = django_user_model.objects.create_superuser("a@b.example", "x" * 16, name="A")
        client = Client()
        client.force_login(admin, backend="django.contrib.auth.backends.ModelBackend")

        assert client.get("/api/v1/kinds").status_code == 401
        for method in (client.post, client.put, client.delete):
            assert method("/api/v1/suggest/proposals").status_code == 401


class TestThrottling:
    def test_is_per_agent_and_says_when_to_come_back(self, scribe, add_program, settings):
        settings.AGENT_REQUESTS_PER_MINUTE = 600
        ours, theirs = scribe.headers(), add_program(name="other").headers()
        settings.AGENT_REQUESTS_PER_MINUTE = 2
        answers = [Client().get("/api/v1/kinds", headers=ours) for _ in range(3)]

        assert [a.status_code for a in answers] == [200, 200, 429]
        assert code_of(answers[2]) == (429, "too-many-requests")
        assert 0 < int(answers[2]["Retry-After"]) <= 60
        assert Client().get("/api/v1/kinds", headers=theirs).status_code == 200


class TestErrors:
    def test_are_problems_also_where_nothing_is(self, scribe):
        for path in (
            "/api/",
            "/api/v1/",
            "/api/v2/kinds",
            "/oauth/authorize",
            "/oauth/revoke",
            "/.well-known/openid-configuration",
            "/api/v1/kinds/",
        ):
            for method in ("get", "post", "put", "patch", "delete"):
                answer = getattr(Client(), method)(path)
                assert code_of(answer) == (404, "not-found"), (method, path)

    def test_are_problems_for_a_method_that_is_not_there(self, scribe):
        for path, method in (
            ("/api/v1/kinds", "post"),
            ("/api/v1/suggest/proposals", "get"),
            ("/api/v1/proposals", "delete"),
        ):
            answer = getattr(Client(), method)(path, headers=scribe.headers())
            assert code_of(answer) == (405, "method-not-allowed"), path

    def test_are_problems_for_a_format_that_is_not_served(self, scribe):
        answer = Client().get("/api/v1/kinds", headers=scribe.headers() | {"Accept": "text/html"})

        assert code_of(answer) == (406, "not-acceptable")

    def test_say_nothing_of_a_crash_but_that_it_was_one(self, scribe, monkeypatch, caplog):
        def crash(**_):
            raise RuntimeError("Okonkwo, Ngozi has a secret disease")

        monkeypatch.setattr("intents.pipeline.intake.receive", crash)
        answer = scribe.propose(proposal())

        assert code_of(answer) == (500, "server-error")
        assert "Okonkwo" not in answer.content.decode()
        assert "Okonkwo" not in caplog.text
        logged = [each for each in caplog.records if each.name == "intents.api.errors"]
        assert [each.exception for each in logged] == ["RuntimeError"]

    def test_are_explained_where_their_type_leads(self, scribe, settings):
        answer = scribe.propose(proposal(changes=[]))
        path = answer.json()["type"].removeprefix(settings.PORTAL_URL)
        explained = Client().get(path)

        assert explained.status_code == 200
        assert explained.json()["code"] == "proposal-invalid"
        assert Client().get("/api/v1/problems/nonsense").status_code == 404
