"""The AdvancedMD adapter against its practice EHR, over HTTP, with its faults."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from ehr_adapters import oauth
from ehr_adapters.canonical.base import changed_fields
from ehr_adapters.contract import comparable_differences
from ehr_adapters.errors import (
    AdapterMisconfigured,
    AlreadyThere,
    CannotBeCarried,
    RateLimited,
    TokenRejected,
    TokenUnavailable,
)
from ehr_adapters.vendors.advancedmd import session
from tests.ehr_adapters.advancedmd import AmdStage
from tests.ehr_adapters.practice import Practice, fresh_practice, practice

__all__ = ["fresh_practice", "practice"]
pytestmark = [pytest.mark.once, pytest.mark.req("003-60")]


@pytest.fixture
def amd(fresh_practice: Practice) -> AmdStage:
    return AmdStage(fresh_practice)


class TestEveryInteraction:
    def test_a_problem_is_added_changed_and_ended_and_reads_back_equal(self, amd: AmdStage) -> None:
        plans = [amd.create("problem", amd.problem())]
        listed = amd.send(plans[0])
        assert amd.held(plans[0]) == [listed]
        for interaction, content in (
            ("update", {"onset": None, "clinical_status": "inactive", "note": "Less so."}),
            ("update", {"clinical_status": "active", "note": None}),
            ("resolve", {"abatement": "2026-11-19"}),
        ):
            plan = amd.change("problem", listed, interaction, **content)
            assert amd.send(plan) == listed
            entry = amd.entry("problem", listed)
            assert comparable_differences(plan.comparable, entry.comparable) == ()
            said = amd.adapter.parse(plan).model_dump_canonical()
            assert changed_fields("problem", said, entry.canonical) == ()
            assert amd.held(plan) == [listed]

    def test_an_entry_of_the_practice_keeps_what_the_row_has_no_place_for(
        self, amd: AmdStage
    ) -> None:
        target = amd.people["P1"]["entries"]["ckd"]
        amd.practice.lever(
            "edit_as_colleague",
            vendor="advancedmd",
            reference=target,
            changes={"severity": {"text": "mild"}},
        )
        plan = amd.change("problem", target, note="Seen today.")
        amd.send(plan)
        entry = amd.entry("problem", target)
        assert comparable_differences(plan.comparable, entry.comparable) == ()
        assert (entry.canonical["severity"], entry.canonical["note"]) == ("mild", "Seen today.")

    def test_a_note_is_filed_unsigned_in_the_fields_of_its_template(self, amd: AmdStage) -> None:
        plan = amd.create("note", amd.note())
        reference = amd.send(plan)
        # Nothing of it is shown, so nothing is taken for absent.
        found = amd.adapter.find([plan.tag], plan, since=amd.at, at=amd.at)
        assert (found.complete, found.hits) == (False, ())
        [stored] = amd.practice.resources(vendor="advancedmd", id=reference.split("/")[1])
        assert stored["content"]["docStatus"] == "preliminary"
        assert stored["content"]["author"] == [{"reference": amd.author}]

    def test_where_notes_are_listed_one_is_found_by_its_last_line(
        self, fresh_practice: Practice
    ) -> None:
        amd = AmdStage(fresh_practice, notes_listed_probed="2026-11-20")
        fresh_practice.settings("advancedmd", notes_listed=True)
        plan = amd.create("note", amd.note())
        reference = amd.send(plan)
        assert amd.held(plan) == [reference]
        entry = amd.entry("note", reference)
        assert comparable_differences(plan.comparable, entry.comparable) == ()
        said = amd.adapter.parse(plan).model_dump_canonical()
        assert changed_fields("note", said, entry.canonical) == ()
        assert "BP >= 140 & rising <fast>" in said["sections"][0]["text"]


class TestPatients:
    def test_contact_data_is_changed_and_the_rest_stays(self, amd: AmdStage) -> None:
        target = f"Patient/{amd.people['P1']['patient']}"
        for content in (
            {"phone": [{"number": "555-0999", "use": "home"}], "email": "n@okonkwo.example"},
            {"address": {"lines": "2 New Street", "city": "Northgate", "postal_code": "00418"}},
            {"email": None},
        ):
            plan = amd.change("demographics", target, **content)
            assert amd.send(plan) == target
            entry = amd.entry("demographics", target)
            assert comparable_differences(plan.comparable, entry.comparable) == ()
            said = amd.adapter.parse(plan).model_dump_canonical()
            assert changed_fields("demographics", said, entry.canonical) == ()
            assert amd.held(plan) == [target]
        assert entry.canonical["family"] == "OKONKWO"
        assert entry.canonical["phone"] == [{"number": "555-0999", "use": "home"}]


class TestCarePlans:
    def test_a_plan_is_filed_and_found_by_its_title(self, amd: AmdStage) -> None:
        content = {
            "title": "Blood pressure & weight",
            "status": "active",
            "goals": [{"text": "Below 130/80"}],
            "activities": [{"text": "Measure at home"}],
        }
        plan = amd.create("care_plan", content)
        reference = amd.send(plan)
        assert amd.held(plan) == [reference]
        entry = amd.entry("care_plan", reference)
        assert comparable_differences(plan.comparable, entry.comparable) == ()
        said = amd.adapter.parse(plan).model_dump_canonical()
        assert changed_fields("care_plan", said, entry.canonical) == ()


class TestAppointments:
    def booking(self, amd: AmdStage, **more: Any) -> dict[str, Any]:
        day = (amd.at + timedelta(days=14)).date().isoformat()
        return {
            "type": "FOLLOWUP",
            "provider": amd.author,
            "start": f"{day}T09:00:00-07:00",
            "minutes": 20,
        } | more

    def test_is_booked_found_by_its_time_and_cancelled(self, amd: AmdStage) -> None:
        plan = amd.create("appointment", self.booking(amd))
        assert amd.send(plan) == ""
        [reference] = amd.held(plan)
        entry = amd.entry("appointment", reference)
        assert comparable_differences(plan.comparable, entry.comparable) == ()
        said = amd.adapter.parse(plan).model_dump_canonical()
        assert changed_fields("appointment", said, entry.canonical) == ()
        cancel = amd.change("appointment", reference, "cancel")
        amd.send(cancel)
        entry = amd.entry("appointment", reference)
        assert comparable_differences(cancel.comparable, entry.comparable) == ()
        assert entry.canonical["status"] == "cancelled"
        assert amd.held(plan) == []

    def test_a_time_that_is_taken_is_already_there_and_whose_it_is_can_be_seen(
        self, fresh_practice: Practice
    ) -> None:
        other = AmdStage(fresh_practice, who="P5")
        other.send(other.create("appointment", self.booking(other)))
        amd = AmdStage(fresh_practice)
        plan = amd.create("appointment", self.booking(amd))
        with pytest.raises(AlreadyThere):
            amd.send(plan)
        found = amd.adapter.find([plan.tag], plan, since=amd.at, at=amd.at)
        [hit] = found.hits
        assert hit.snapshot.patient == f"Patient/{amd.people['P5']['patient']}"
        assert comparable_differences(plan.comparable, hit.snapshot.comparable)


class TestFaults:
    @pytest.mark.parametrize("fault", ["no-id", "no-location"])
    def test_a_success_without_a_number_is_a_success(self, amd: AmdStage, fault: str) -> None:
        plan = amd.create("problem", amd.problem())
        token = amd.adapter.authenticate(plan.steps[0])
        amd.practice.fault(fault, vendor="advancedmd", path="addehrproblem")
        receipt = amd.adapter.submit(plan.steps[0], token=token)
        assert (receipt.acknowledged, receipt.reference) == (True, "")
        assert len(amd.held(plan)) == 1

    def test_a_session_that_ends_between_login_and_sending_writes_nothing(
        self, amd: AmdStage
    ) -> None:
        plan = amd.create("problem", amd.problem())
        token = amd.adapter.authenticate(plan.steps[0])
        amd.practice.lever("expire_tokens", vendor="advancedmd")
        with pytest.raises(TokenRejected):
            amd.adapter.submit(plan.steps[0], token=token)
        assert amd.held(plan) == []
        fresh = amd.adapter.authenticate(plan.steps[0])
        assert fresh.value != token.value
        amd.adapter.submit(plan.steps[0], token=fresh)
        assert len(amd.held(plan)) == 1

    @pytest.mark.fault("advancedmd.two-logins")
    def test_a_practice_that_moves_to_another_server_is_followed_by_a_new_login(
        self, amd: AmdStage
    ) -> None:
        plan = amd.create("problem", amd.problem())
        token = amd.adapter.authenticate(plan.steps[0])
        amd.practice.settings("advancedmd", cluster=17)
        with pytest.raises(TokenRejected):
            amd.adapter.submit(plan.steps[0], token=token)
        fresh = amd.adapter.authenticate(plan.steps[0])
        assert "/api-17/" in fresh.server
        amd.adapter.submit(plan.steps[0], token=fresh)

    def test_the_second_login_of_a_minute_waits(self, amd: AmdStage) -> None:
        amd.practice.settings("advancedmd", logins_per_minute=1)
        [step] = amd.create("problem", amd.problem()).steps
        amd.adapter.authenticate(step)
        session.sessions = session.Sessions()
        with pytest.raises(RateLimited) as slowed:
            amd.adapter.authenticate(step)
        assert slowed.value.retry_after == 60

    def test_a_wrong_password_gives_no_session_and_no_reading(
        self, amd: AmdStage, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        [step] = amd.create("problem", amd.problem()).steps
        amd.connection = replace(
            amd.connection, secrets={**amd.connection.secrets, "password": "guess"}
        )
        with pytest.raises(TokenUnavailable) as refused:
            amd.adapter.authenticate(step)
        assert refused.value.vendor_code == "1002"
        monkeypatch.setattr(oauth, "read_tokens", oauth.ReadTokens())
        with pytest.raises(TokenUnavailable):
            amd.read("problem")

    def test_a_server_that_is_not_listed_gets_neither_password_nor_session(
        self, fresh_practice: Practice
    ) -> None:
        amd = AmdStage(fresh_practice, cluster_origins=["http://127.0.0.1:9"])
        [step] = amd.create("problem", amd.problem()).steps
        with pytest.raises(AdapterMisconfigured):
            amd.adapter.authenticate(step)
        asked = fresh_practice.log(vendor="advancedmd", path="^processrequest")
        assert asked == []


class TestWhatTheChartSays:
    @pytest.mark.req("003-65", "002-77")
    def test_a_merged_patient_is_not_written_to(self, fresh_practice: Practice) -> None:
        fresh_practice.lever("merge", vendor="advancedmd", loser="P14", survivor="P13")
        amd = AmdStage(fresh_practice, who="P14")
        with pytest.raises(CannotBeCarried):
            amd.create("problem", amd.problem())

    def test_the_name_alike_is_found(self, amd: AmdStage) -> None:
        identity = amd.read("problem", neighbourhood=False).identity
        assert identity is not None
        alikes = amd.adapter.find_name_alikes(identity, at=amd.at)
        assert [one.id for one in alikes.candidates] == [amd.people["P2"]["patient"]]

    def test_what_the_statement_does_not_show_is_taken_away(self, amd: AmdStage) -> None:
        declared = {one.key for one in amd.adapter.declared(amd.adapter.settings) if one.supported}  # type: ignore[attr-defined]  # every adapter has them
        found = amd.adapter.discover(at=amd.at)
        assert {one.key for one in found if one.supported} == declared
        amd.practice.settings("advancedmd", not_offered=["Condition.search-type"])
        found = amd.adapter.discover(at=amd.at + timedelta(hours=1))
        assert {kind for kind, _ in declared} - {
            kind for kind, _ in (one.key for one in found if one.supported)
        } == {"problem"}
