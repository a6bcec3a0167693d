"""The audit timeline: found by patient, person, encounter or correlation, and looking is an event."""

import re
from datetime import UTC, datetime, timedelta
from io import BytesIO
from zipfile import ZipFile

import pytest

from audit import sequencing, timeline
from audit.models import AuditEvent
from intents.governance.models import Role
from intents.lifecycle import State
from intents.web.timeline import lines_of
from tests.web import made_up


@pytest.fixture
def auditor(inside):
    return inside.person(Role.COMPLIANCE)


@pytest.fixture(autouse=True)
def own_witness(settings, tmp_path):
    settings.AUDIT_WITNESS_FILE = tmp_path / "witness.jsonl"


def search(client, by, **form):
    return client.post(f"/audit/?by={by}", form)


class TestASearchForAPatient:
    @pytest.mark.req("001-78", "003-58")
    def test_is_refused_without_a_reason(self, draft, auditor, browser, happened):
        draft()
        response = search(browser(auditor), "patient", value="okonkwo", why=" ")
        assert "say why you are looking" in response.content.decode()
        assert happened("audit:search:ran") == []

    @pytest.mark.req("001-78", "000-77", "001-77")
    def test_is_recorded_with_its_reason_and_leads_to_an_address_without_a_name(
        self, draft, inside, auditor, browser, happened
    ):
        made = draft(state=State.RECONCILED)
        client = browser(auditor)
        response = search(client, "patient", value="Okonkwo Ngozi", why="Complaint C-2291")
        token = made.proposal.patient_token
        assert response["Location"] == f"/audit/?by=patient&key={token}"
        (event,) = happened("audit:search:ran")
        body = timeline.details(event.pk, tenant_id=str(inside.tenant.pk))
        assert body["reason"] == "Complaint C-2291"
        assert body["keys"] == [token]
        html = client.get(response["Location"]).content.decode()
        assert "A reviewer approved this exact change" in html
        assert "Dizziness and giddiness" in html
        assert len(happened("audit:log:viewed")) == 1

    def test_an_address_from_elsewhere_asks_for_the_reason_first(
        self, draft, auditor, browser, happened
    ):
        made = draft()
        client = browser(auditor)
        address = f"/audit/?by=patient&key={made.proposal.patient_token}"
        html = client.get(address).content.decode()
        assert "Say why you are looking" in html
        assert "was received" not in html
        assert happened("audit:log:viewed") == []
        response = search(
            client, "patient", key=made.proposal.patient_token, why="Follow-up of a complaint"
        )
        assert "was received" in client.get(response["Location"]).content.decode()

    def test_offers_the_choice_between_name_alikes(self, draft, auditor, browser):
        draft()
        draft(patient=made_up.Patient("pat-2", birth_date="1957-04-13", mrn="4471908231"))
        html = search(browser(auditor), "patient", value="okonkwo", why="x").content.decode()
        assert "Which one?" in html
        assert "14-Mar-1957" in html
        assert "13-Apr-1957" in html

    def test_keeps_no_reason_and_no_name_in_the_session(self, draft, auditor, browser):
        draft()
        client = browser(auditor)
        search(client, "patient", value="okonkwo", why="Complaint C-2291")
        stored = str(dict(client.session.items()))
        assert "C-2291" not in stored
        assert "okonkwo" not in stored.lower()


class TestOtherWays:
    @pytest.mark.req("002-32", "001-119")
    def test_by_encounter_with_a_reason(self, draft, auditor, browser):
        draft()
        client = browser(auditor)
        assert "say why" in search(client, "encounter", value="enc-1", why="").content.decode()
        response = search(client, "encounter", value="enc-1", why="Complaint")
        assert "was received" in client.get(response["Location"]).content.decode()

    @pytest.mark.req("003-52")
    def test_by_person_and_by_agent(self, draft, inside, auditor, browser):
        draft(state=State.APPROVED)
        client = browser(auditor)
        reviewer = inside.person(Role.REVIEWER)
        response = search(client, "actor", value=str(reviewer.user_id))
        html = client.get(response["Location"]).content.decode()
        assert "A reviewer approved this exact change" in html
        assert "A proposed change was received" not in html

    def test_by_correlation_id(self, draft, auditor, browser):
        made = draft()
        client = browser(auditor)
        response = search(client, "correlation", value=made.proposal.correlation_id)
        assert "was received" in client.get(response["Location"]).content.decode()

    def test_words_that_are_no_id_never_get_into_an_address(self, draft, auditor, browser):
        draft()
        response = search(browser(auditor), "correlation", value="Okonkwo, Ngozi")
        assert response.status_code == 200
        assert "Nothing found" in response.content.decode()

    def test_a_way_that_does_not_exist_is_not_found(self, auditor, browser):
        assert browser(auditor).get("/audit/?by=mood").status_code == 404

    def test_a_period_limits_what_is_shown(self, draft, auditor, browser):
        made = draft()
        client = browser(auditor)
        response = search(client, "correlation", value=made.proposal.correlation_id)
        tomorrow = (datetime.now(UTC) + timedelta(days=2)).date().isoformat()
        html = client.get(f"{response['Location']}&since={tomorrow}").content.decode()
        assert "was received" not in html
        assert client.get(f"{response['Location']}&since=soon").status_code == 404


class TestTheStoryOfOneDraft:
    @pytest.mark.req("000-73", "000-78")
    def test_is_open_to_those_who_may_open_the_draft(self, draft, inside, browser, happened):
        made = draft(state=State.RECONCILED)
        html = browser(inside.person(Role.REVIEWER)).get(f"{made.url}history/").content.decode()
        told = re.findall(r'<div class="txt">([^<]+)</div>', html)
        assert told[0].startswith("A proposed change was received")
        assert "The change was read back from the EHR" in told[-1]
        assert "Visit scribe" in html
        assert "role REVIEWER" in html
        assert made.proposal.correlation_id in html
        assert len(happened("audit:log:viewed")) == 1

    def test_shows_an_auditor_without_clinical_rights_no_clinical_content(
        self, draft, inside, browser
    ):
        made = draft(state=State.RECONCILED)
        html = browser(inside.person(Role.AUDITOR)).get(f"{made.url}history/").content.decode()
        assert "1 change: problem" in html
        assert "Dizziness" not in html
        assert "OKONKWO" not in html

    def test_details_are_shown_on_demand_and_that_is_recorded(
        self, draft, auditor, browser, happened
    ):
        made = draft(state=State.APPROVED)
        client = browser(auditor)
        (approval,) = happened("intent:review:approved")
        html = client.get(f"{made.url}history/?details={approval.pk}").content.decode()
        assert f"payload_hash: {made.intent.current_screening.payload_hash}" in html
        assert len(happened("audit:body:viewed")) == 1


class TestALine:
    def events(self, *minutes):
        start = datetime(2026, 11, 20, 9, 0, tzinfo=UTC)
        return [
            timeline._told(
                [
                    AuditEvent(
                        at=start + timedelta(minutes=minute),
                        recorded_at=start,
                        tag="intent:wire:frozen",
                        actor_kind="REVIEWER" if minute == 43 else "VALIDATOR",
                        actor_name="Dr A. Reyes" if minute == 43 else "Validator",
                        rows=[{"table": "t", "id": "1", "sha256": "ab" * 32}],
                    )
                ]
            )[0]
            for minute in minutes
        ]

    def test_silences_of_more_than_five_minutes_are_drawn(self, db):
        lines = lines_of(self.events(0, 5, 43, 44))
        assert [line.gap for line in lines] == ["", "", "38 min", ""]

    def test_people_are_an_initial_and_machines_a_number(self, db):
        lines = lines_of(self.events(0, 43, 44))
        assert [(line.pin, line.css) for line in lines] == [("1", ""), ("R", "person"), ("2", "")]

    def test_stored_records_are_named_by_their_hash(self, db):
        line = lines_of(self.events(0))[0]
        assert line.hashes == ("t abababababab",)
        assert line.more_hashes == ()


class TestTheBadge:
    """Unbroken, not checked yet, or broken at event N: by the last full check."""

    @pytest.fixture
    def client(self, auditor, browser):
        return browser(auditor)

    def badge(self, client, made):
        html = client.get(f"{made.url}history/").content.decode()
        return re.search(r"Not checked yet|Record unbroken|Record broken[^<]*", html)[0]

    @pytest.mark.django_db(transaction=True)
    def test_goes_from_not_checked_to_unbroken_to_not_checked(self, draft, client):
        made = draft(state=State.VALIDATED)
        assert self.badge(client, made) == "Not checked yet"
        sequencing.sequence(at=datetime.now(UTC))
        answer = client.post("/audit/integrity/check/", follow=True).content.decode()
        assert "Everything holds" in answer
        # The looking above is an event of the draft that came after the check.
        assert self.badge(client, made) in ("Not checked yet", "Record unbroken")
        other = draft(state=State.VALIDATED)
        assert self.badge(client, other) == "Not checked yet"

    @pytest.mark.django_db(transaction=True)
    def test_names_the_event_at_which_the_record_breaks(self, draft, client, happened):
        from audit import insert_only

        made = draft(state=State.VALIDATED)
        sequencing.sequence(at=datetime.now(UTC))
        event = happened("intent:validation:passed")[-1]
        insert_only.uninstall()
        try:
            AuditEvent.objects.filter(pk=event.pk)._raw_delete("default")
        finally:
            insert_only.install()
        answer = client.post("/audit/integrity/check/", follow=True).content.decode()
        assert "The record does not hold." in answer
        assert re.match(r"Record broken at event \d+", self.badge(client, made))


class TestTheProof:
    def test_is_exported_with_its_verifier_and_that_is_recorded(
        self, draft, inside, auditor, browser, happened
    ):
        draft()
        client = browser(auditor)
        response = client.post("/audit/integrity/export/", {"why": "payer audit 2026-Q3"})
        names = ZipFile(BytesIO(b"".join(response))).namelist()
        assert "verify_audit.py" in names
        assert f"log-{inside.tenant.pk}/events.jsonl" in names
        assert not [n for n in names if n.startswith("log-") and str(inside.tenant.pk) not in n]
        assert len(happened("audit:export:made")) == 1

    def test_needs_a_reason_and_the_right(self, inside, browser, happened):
        compliance = browser(inside.person(Role.COMPLIANCE))
        assert compliance.post("/audit/integrity/export/", {"why": ""}).status_code == 302
        admin = browser(inside.person(Role.ADMIN))
        assert admin.post("/audit/integrity/export/", {"why": "x"}).status_code == 403
        assert happened("audit:export:made") == []
