"""Golden workflow 15, Veradigm's half: Unity says its refusals with HTTP 200, and they are refusals all the same."""

import json

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from django.conf import settings
from django.db import transaction

from ehr_adapters.capabilities import Finality
from intents.governance.models import EhrConnection, EhrIdentity, ScopeGrant
from intents.lifecycle import State
from intents.management import clinic as furnishing
from tests.journeys.day import text_of

NAME = "veradigm-unity"


@pytest.fixture
def unity(day, monkeypatch):
    """The day with a connection to Veradigm that writes notes through Unity."""
    practice = day.practice
    backend = practice.client("veradigm", client_id="portal-unity")
    staff = practice.directory("veradigm")["staff"]
    people = {f"Practitioner/{each['practitioner']}": each["user"] for each in staff.values()}
    held = {
        "private_key": backend.key.private_bytes(
            Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
        ).decode(),
        "unity_username": "svc-portal",
        "unity_password": "practice-service",
        **{f"unity_password.{user}": f"practice-{user}" for user in people.values()},
    }
    settings.KEY_DIR.mkdir(parents=True, exist_ok=True)
    (settings.KEY_DIR / f"{NAME}.json").write_text(json.dumps(held))
    with transaction.atomic():
        connection = EhrConnection.add(
            tenant=day.clinic.tenant,
            name=NAME,
            title="Veradigm Northgate (practice)",
            kind="veradigm",
            base_url=backend.base,
            token_url=backend.token_url,
            client_id=backend.client_id,
            credential_ref=f"{NAME}.json",
            environment="sandbox",
            time_zone="America/Chicago",
            settings={
                "unity_url": f"{practice.root}/veradigm/Unity",
                "unity_appname": "Northgate.Portal",
                "unity_user": "svc-backend",
                "unity_users": people,
                "unity_patient_system": "http://veradigm.example/unity/patient",
            },
            token_life_seconds=5,
            processing_bound_seconds=10,
            index_lag_seconds=5,
            actor=furnishing.INSTALLATION,
            at=day.now,
        )
        for name in ("reyes", "lam"):
            person = day.clinic.person(name)
            key = {"reyes": "prescriber_one", "lam": "prescriber_two"}[name]
            EhrIdentity.link(
                user=person.user,
                connection=connection,
                practitioner_ref=f"Practitioner/{staff[key]['practitioner']}",
                actor=furnishing.INSTALLATION,
                at=day.now,
                verified_by="made-up clinic",
            )
        for scope in ("system/DocumentReference.c", "system/Condition.c", "system/Condition.u"):
            ScopeGrant.grant(
                agent=day.clinic.agent,
                connection=connection,
                scope=scope,
                lane="commit",
                actor=furnishing.INSTALLATION,
                at=day.now,
            )
    front = furnishing.Front("veradigm", "veradigm", NAME, NAME, "", "")
    others = tuple(each for each in furnishing.FRONTS if each.vendor != "veradigm")
    monkeypatch.setattr(furnishing, "FRONTS", (*others, front))
    return day


def sent(day):
    """A note that was approved and is on its way."""
    proposal = day.propose(day.clinic.note(), vendor="veradigm")
    assert day.state(proposal) == State.PENDING_APPROVAL, day.intent(proposal).reason
    day.desk("reyes").approve(proposal)
    return proposal


def unity_writes(day):
    return [
        each
        for each in day.practice.log(vendor="veradigm", path="MagicJson")
        if each["body"] is not None
    ]


@pytest.mark.req("003-55")
def test_200_with_an_error_is_a_refusal_and_nothing_is_said_to_be_written(unity):
    proposal = sent(unity)
    unity.practice.fault(
        "outcome",
        vendor="veradigm",
        path="MagicJson/SaveNote",
        text="The document type is not valid.",
    )
    unity.after_undo()
    assert unity.state(proposal) == State.REJECTED
    assert len(unity_writes(unity)) == 1, "never sent again"
    assert unity.held(vendor="veradigm") == []
    page = unity.desk("reyes").delivery(proposal)
    assert "Veradigm did not accept something in the draft. Nothing was written." in page.text
    story = unity.told(proposal)
    assert story.index("intent:write:submitted") < story.index("intent:write:refused")
    unity.after_quarantine(proposal)
    assert len(unity_writes(unity)) == 1
    unity.check_log()


@pytest.mark.req("002-46")
def test_an_error_that_nobody_knows_leaves_the_outcome_unknown(unity):
    proposal = sent(unity)
    unity.practice.fault(
        "outcome", vendor="veradigm", path="MagicJson/SaveNote", text="Hm.", commit=True
    )
    unity.after_undo()
    unity.forward(seconds=60)
    unity.background()
    unity.forward(seconds=60)
    unity.background()
    assert unity.state(proposal) == State.RECONCILED, "found by its last line"
    assert len(unity_writes(unity)) == 1
    assert "intent:write:uncertain" in unity.told(proposal)


def test_a_note_is_filed_unsigned_and_read_back_from_the_other_interface(unity):
    proposal = sent(unity)
    unity.after_undo()
    unity.forward(seconds=60)
    unity.background()
    assert unity.state(proposal) == State.RECONCILED
    assert unity.intent(proposal).finality == Finality.FILED_UNSIGNED
    [filed] = (each["content"] for each in unity.held(vendor="veradigm"))
    assert filed["docStatus"] == "preliminary"
    assert "AI-assisted draft" in text_of(filed).splitlines()[-1]
    page = unity.desk("reyes").delivery(proposal)
    assert "your signature is needed" in page.text
    unity.check_log()


@pytest.mark.req("003-65")
def test_without_versions_a_colleagues_edit_is_seen_by_the_whole_entrys_hash(unity):
    target = unity.clinic.patient("P1", "veradigm")["entries"]["ckd"]
    change = unity.clinic.problem(
        interaction="update", target=target, content={"clinical_status": "inactive"}, evidence=[]
    )
    proposal = unity.propose(change, vendor="veradigm")
    assert unity.state(proposal) == State.PENDING_APPROVAL, unity.intent(proposal).reason
    unity.desk("reyes").approve(proposal)
    unity.practice.lever(
        "edit_as_colleague", vendor="veradigm", reference=target, comment="Seen by a colleague."
    )
    unity.after_undo()
    assert (unity.state(proposal), unity.reason(proposal)) == (State.HELD, "target-changed")
    assert not [one for one in unity.practice.log(vendor="veradigm") if one["method"] == "PUT"]
    kept = unity.entry(target, vendor="veradigm")["content"]
    assert kept["note"][-1]["text"] == "Seen by a colleague."
