"""Two organisations in one portal: one sees nothing of the other, by page, by API, by id or by log."""

import re
import uuid

import pytest
from django.db import transaction
from django.test import Client
from django.urls import get_resolver

from audit.timeline import Axis, events
from intents.governance.models import (
    Agent,
    AgentCredential,
    KillSwitch,
    Membership,
    Role,
    ScopeGrant,
    User,
)
from intents.governance.opening import open_workspace
from intents.governance.tenancy import tenant_context
from intents.lifecycle import State
from intents.management import clinic as furnishing
from intents.models import Discrepancy
from tests.api.conftest import Program, private_key, public_pem
from tests.journeys.day import Desk

SECRETS = ("OKONKWO", "Ngozi", "14-Mar-1957", "1957-03-14", "4471908213", "dizziness", "R42")


@pytest.fixture
def other(day, settings):
    """Another organisation with one person of every role, a connection to the same EHR and an agent."""
    at = day.now
    by = {"actor": furnishing.INSTALLATION, "at": at}
    with transaction.atomic():
        tenant = open_workspace(name="Southgate Health", time_zone="UTC", **by)
        with tenant_context(tenant.pk):
            connection = furnishing.connect(
                furnishing.Front(
                    "generic", "generic_r4", "southgate-r4", "Southgate R4",
                    "/generic/fhir/R4", "/generic/oauth2/token",
                ),
                tenant=tenant, practice=day.practice.root,
                directory=day.practice.control("GET", "directory"), at=at,
            )  # fmt: skip
            people = {}
            for role in Role.values:
                user = User.add(
                    email=f"{role.lower()}@southgate.example", name=f"{role} of Southgate", **by
                )
                clinical = (
                    {"clinical_role": "PRESCRIBER", "profession": "PHYSICIAN"}
                    if role == Role.REVIEWER
                    else {}
                )
                people[role] = Membership.grant(
                    tenant=tenant, user=user, role=role, **clinical, **by
                )
            agent = Agent.admit(tenant=tenant, name="Southgate scribe", lane_ceiling="commit", **by)
            for scope in furnishing.EXAMPLE_AGENTS[0].scopes:
                ScopeGrant.grant(
                    agent=agent, connection=connection, scope=scope, lane="commit", **by
                )
            credential = AgentCredential.issue_key(
                agent=agent, lane="suggest", public_key=public_pem("southgate"),
                expires_at=at.replace(year=at.year + 1), **by,
            )  # fmt: skip
    program = Program(
        credential=credential, key=private_key("southgate"), portal=settings.PORTAL_URL
    )
    return tenant, people, program


class Stranger(Desk):
    """Somebody of the other organisation at their own screen."""

    def __init__(self, day, membership):
        self.day, self.membership, self.name = day, membership, membership.user.email
        self.client = Client(enforce_csrf_checks=True)
        self.sign_in()


@pytest.fixture
def things(day):
    """One of everything of Northgate's: drafts in several states, a difference, a switch."""
    waiting = day.propose(day.clinic.problem())
    held = day.propose(day.clinic.note(), who={"birth_date": "1957-03-15"})
    written = day.propose(day.clinic.note("Reports dizziness on getting up quickly."))
    day.desk("reyes").approve(written)
    day.practice.fault(
        "dropped-field", vendor="generic", method="POST", path="DocumentReference", field="type",
        echo="sent",
    )  # fmt: skip
    day.after_undo()
    difference = Discrepancy.objects.get()
    with transaction.atomic():
        switch = KillSwitch.engage(
            target="CONNECTION", reason="drill", connection=day.clinic.connection("epic"),
            actor=furnishing.INSTALLATION, at=day.now,
        )  # fmt: skip
    assert day.state(waiting) == State.PENDING_APPROVAL
    assert day.state(held) == State.HELD
    return {
        "proposal_id": [waiting.pk, held.pk, written.pk],
        "intent_id": [day.intent(waiting).pk, day.intent(written).pk],
        "discrepancy_id": [difference.pk],
        "switch_id": [switch.pk],
        "connection_id": [day.clinic.connection().pk],
    }


def addresses(things):
    """Every address of the people's door that names something, filled with each of Northgate's ids."""
    out = []
    for pattern in get_resolver("intents.web.urls").url_patterns:
        text = str(pattern.pattern)
        names = re.findall(r"<uuid:(\w+)>", text)
        if len(names) != 1:
            continue
        out += [
            "/" + text.replace(f"<uuid:{names[0]}>", str(key)) for key in things.get(names[0], ())
        ]
    return out


@pytest.mark.req("001-115", "003-27")
def test_every_page_of_a_draft_is_for_strangers_what_it_is_for_an_id_that_never_was(
    day, other, things
):
    _, people, _ = other
    wanted = addresses(things)
    assert len(wanted) > 40
    for role in (Role.REVIEWER, Role.OPERATOR, Role.COMPLIANCE):
        stranger = Stranger(day, people[role])
        token = stranger.open("/connections/").forms[0].controls[0].value
        for address in wanted:
            nowhere = re.sub(r"[0-9a-f-]{36}", str(uuid.uuid4()), address)
            for method in ("get", "post"):
                asked = [
                    getattr(stranger.client, method)(
                        path, {"csrfmiddlewaretoken": token, "reason": "x", "evidence": "y"}
                    )
                    for path in (address, nowhere)
                ]
                seen, control = asked
                assert seen.status_code == control.status_code, (role, method, address)
                assert seen.status_code in (302, 403, 404, 405), (role, method, address)
                assert seen.get("Location", "").replace(address, "") == control.get(
                    "Location", ""
                ).replace(nowhere, ""), (role, method, address)
                body = seen.content.decode()
                for secret in SECRETS:
                    assert secret not in body, (role, method, address, secret)


@pytest.mark.req("001-115", "003-27")
def test_lists_searches_and_logs_of_one_hold_nothing_of_the_other(day, other, things):
    tenant, people, _ = other
    reviewer, compliance = (
        Stranger(day, people[Role.REVIEWER]),
        Stranger(day, people[Role.COMPLIANCE]),
    )
    for stranger, paths in (
        (
            reviewer,
            ("/queue/", "/worklist/", "/patients/", "/patients/?q=OKONKWO", "/connections/"),
        ),
        (compliance, ("/queue/", "/worklist/", "/audit/", "/audit/integrity/")),
    ):
        for path in paths:
            page = stranger.open(path)
            assert page.status == 200, path
            body = page.html.replace("q=OKONKWO", "").replace('value="OKONKWO"', "")
            for secret in (*SECRETS, "Northgate Health", "northgate-r4", "Reyes"):
                assert secret not in body, (path, secret)
    # The auditor of one searches for a patient of the other, by what is printed on the bracelet.
    found = compliance.press(
        compliance.open("/audit/?by=patient"), "Search", value="4471908213", why="curious"
    )
    assert "Nothing found" in found.text
    log = events(by=Axis.PERIOD, tenant_id=str(tenant.pk), limit=None)
    assert log
    assert not [e for e in log if e.tenant_id != str(tenant.pk)]
    # The same person in the same EHR has another token in each organisation: logs cannot be joined.
    mine = {
        e.patient_token
        for e in events(by=Axis.PERIOD, tenant_id=str(day.clinic.tenant.pk), limit=None)
    }
    assert not (mine & {e.patient_token for e in log}) - {""}


@pytest.mark.req("001-115", "003-27")
def test_an_agent_of_one_learns_nothing_of_the_others_proposals_and_connections(day, other, things):
    _, _, program = other
    for key in things["proposal_id"]:
        answer = program.get(f"/api/v1/proposals/{key}")
        control = program.get(f"/api/v1/proposals/{uuid.uuid4()}")
        assert (answer.status_code, answer.json()["type"]) == (404, control.json()["type"])
        refused = program.post(f"/api/v1/proposals/{key}/withdraw", {}, key="")
        assert refused.status_code == 404
    assert program.get("/api/v1/proposals").json()["proposals"] == []
    for path in ("/api/v1/connections", "/api/v1/feedback"):
        body = program.get(path).content.decode()
        for secret in (*SECRETS, "northgate-r4"):
            assert secret not in body, (path, secret)
    # Naming the other's connection is the same as naming one that does not exist.
    body = day.clinic.body([day.clinic.note()])
    named, nowhere = program.propose(body), program.propose(body | {"connection": "nowhere"})
    assert named.status_code == nowhere.status_code == 403
    assert named.json()["type"] == nowhere.json()["type"]
