"""The athenahealth adapter against its practice EHR, over HTTP: every row, and every fault of its interface."""

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qsl

import pytest

from ehr_adapters import oauth, registry
from ehr_adapters.base import EhrAdapter
from ehr_adapters.canonical.base import parse_change
from ehr_adapters.canonical.codes import ICD10CM, RXNORM, SNOMED
from ehr_adapters.capabilities import CapabilitySet, RetryClass
from ehr_adapters.contract import Baseline, ReadRequest, Snapshot, Tag, WirePlan
from ehr_adapters.errors import (
    AdapterError,
    AdapterMisconfigured,
    CannotBeCarried,
    ConnectionLost,
    ContentRefused,
    NotPermitted,
    RateLimited,
    TokenUnavailable,
    Unreachable,
    Unsupported,
    VersionConflict,
)
from ehr_adapters.vendors.athenahealth import budget
from intents.pipeline import matching
from tests.ehr_adapters.contents import SAMPLES
from tests.ehr_adapters.practice import Practice, fresh_practice, practice
from tests.ehr_adapters.stage import Stage

__all__ = ["fresh_practice", "practice"]
pytestmark = [pytest.mark.once, pytest.mark.req("003-60")]

CANARY = "canary-of-the-payload"
ASTHMA = {"system": SNOMED, "code": "195967001", "display": "Asthma (disorder)"}


SULFA = {"system": RXNORM, "code": "10180", "display": "sulfamethoxazole"}
NAPROXEN = {"system": RXNORM, "code": "7258", "display": "naproxen 500 mg tablet"}


class AthenaStage(Stage):
    """The adapter connected to one practice, at P1's open visit."""

    def __init__(self, practice: Practice, *, who: str = "P1", **settings: Any) -> None:
        settings = {"practice_id": "195900", "token_mints_per_minute": 1000} | settings
        super().__init__(practice, "athenahealth", who=who, **settings)
        self.connection = replace(self.connection, time_zone="America/New_York")

    def note(self, **more: Any) -> WirePlan:
        content = {
            "type": "11506-3",
            "status": "unsigned",
            "author": self.people["staff"]["prescriber_one"]["practitioner"],
            "date": self.at.replace(second=0, microsecond=0).isoformat(),
            "sections": [{"title": "Plan", "text": f"{CANARY}\nBP ≥ 140\n====\nFollow up."}],
        } | more
        return self.create("note", content)

    def problem(self, **more: Any) -> WirePlan:
        content = {
            "code": ASTHMA,
            "category": "problem-list-item",
            "clinical_status": "active",
            "verification": "confirmed",
            "note": CANARY,
            "onset": "2026-11-02",
        } | more
        return self.create("problem", content)

    def vitals(self, **more: Any) -> WirePlan:
        content = {
            "readings": [
                {"code": "8480-6", "value": {"value": "154", "unit": "mm[Hg]"}},
                {"code": "8462-4", "value": {"value": "92", "unit": "mm[Hg]"}},
                {"code": "29463-7", "value": {"value": "172.5", "unit": "[lb_av]"}},
                {"code": "8310-5", "value": {"value": "38.4", "unit": "Cel"}},
            ],
            "effective_at": self.at.replace(second=0, microsecond=0).isoformat(),
            "origin": "measured",
        } | more
        return self.create("vitals", content)

    def task(self, **more: Any) -> WirePlan:
        content = {
            "title": "Call about the potassium",
            "owner": f"Practitioner/{self.people['staff']['nurse']['practitioner']}",
            "due": "2026-11-24",
            "description": f"{CANARY}\nAsk how she feels.",
        } | more
        return self.create("task", content)

    def allergy(self, **more: Any) -> WirePlan:
        content = {
            "substance": SULFA,
            "category": "medication",
            "clinical_status": "active",
            "verification": "confirmed",
            "reactions": [
                {
                    "manifestation": {
                        "system": SNOMED, "code": "271807003", "display": "Eruption of skin (disorder)",
                    },
                    "severity": "moderate",
                }
            ],
            "note": CANARY,
        } | more  # fmt: skip
        return self.create("allergy", {k: v for k, v in content.items() if v is not None})

    def medication(self, **more: Any) -> WirePlan:
        content = {
            "drug": NAPROXEN,
            "dose": {"value": "500", "unit": "mg"},
            "route": "26643006",
            "frequency": {"times": 2, "per": 1, "unit": "d"},
            "sig_text": "Take with food.",
            "start": "2026-11-20",
            "status": "active",
            "note": CANARY,
        } | more
        return self.create("medication", content)

    def looked_up(self, kind: str, interaction: str, target: str, content: Any) -> WirePlan:
        baseline = self.read(kind, interaction=interaction, target=target, content=content)
        change = parse_change(kind, interaction, content)
        return self.adapter.render(change, tag=Tag.mint(), baseline=baseline)

    def create(self, kind: str, content: dict[str, Any]) -> WirePlan:
        return self.looked_up(kind, "create", "", content)

    def seeded(self, name: str) -> str:
        if name == "patient":
            return f"Patient/{self.people[self.who]['patient']}"
        return self.people[self.who]["entries"][name]

    def found(self, plan: WirePlan) -> Any:
        return self.adapter.find([plan.tag], plan, since=self.at - timedelta(minutes=5), at=self.at)

    def differences(self, plan: WirePlan, held: Snapshot) -> list[str]:
        capability = self.adapter.capabilities.get(plan.kind, plan.interaction)
        found = matching.compare(held, plan=plan, capability=capability)
        return [one.pointer for one in found]

    def spoil(self, fault: str, plan: WirePlan, **more: Any) -> None:
        path = plan.steps[0].path.split("/", 2)[2] + "$"
        method = plan.steps[0].method
        self.practice.fault(fault, vendor="athenahealth", method=method, path=path, **more)


@pytest.fixture(autouse=True)
def _nothing_counted_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(oauth, "read_tokens", oauth.ReadTokens())
    monkeypatch.setattr("ehr_adapters.vendors.athenahealth.twins.budgets", budget.Budgets())


@pytest.fixture
def athena(fresh_practice: Practice) -> AthenaStage:
    fresh_practice.settings("athenahealth", token_mints_per_minute=1000)
    return AthenaStage(fresh_practice)


class TestWhatItSays:
    def test_a_note_is_filed_open_found_by_its_tag_and_equal(self, athena: AthenaStage) -> None:
        plan = athena.note()
        reference = athena.send(plan)
        held = athena.entry("note", reference)
        assert held.carries(plan.tag)
        assert athena.differences(plan, held) == []
        assert held.canonical["status"] == "unsigned"
        assert held.canonical["type"]["code"] == "11506-3"
        assert [hit.snapshot.reference for hit in athena.found(plan).hits] == [reference]
        # A miss would prove nothing: nobody has shown yet that such documents are listed.
        other = replace(plan, tag=Tag.mint())
        assert (athena.found(other).complete, athena.found(other).hits) == (False, ())
        shown = athena.practice.resources(vendor="athenahealth", id=reference.rpartition("/")[2])[
            0
        ]["content"]
        # The tag stands where staff sees it, and in the last line of the text.
        assert plan.tag.short in shown["_v1"]["internalnote"]

    def test_a_problem_is_written_by_its_snomed_code_and_matched(self, athena: AthenaStage) -> None:
        plan = athena.problem()
        assert plan.steps[0].body.startswith(
            b"departmentid=1&snomedcode=195967001&startdate=11%2F02"
        )
        reference = athena.send(plan)
        held = athena.entry("problem", reference)
        assert athena.differences(plan, held) == []
        assert held.ids == {
            "read": reference.rpartition("/")[2], "write": reference.rpartition("-")[2],
        }  # fmt: skip
        equal = [h for h in athena.found(plan).hits if not athena.differences(plan, h.snapshot)]
        assert [hit.snapshot.reference for hit in equal] == [reference]
        # The same again is another one: nothing is ever sent twice.
        assert athena.send(plan) != reference
        assert athena.adapter.capabilities.get("problem", "create").retry is RetryClass.S4

    def test_a_diagnosis_goes_to_the_open_visit_with_both_codes(self, athena: AthenaStage) -> None:
        plan = athena.problem(
            category="encounter-diagnosis", onset="2026",
            code=[{"system": ICD10CM, "code": "J45.909"}, ASTHMA],
        )  # fmt: skip
        said = athena.adapter.parse(plan).model_dump_canonical()
        assert [one["code"] for one in said["code"]] == ["J45.909", "195967001"]
        reference = athena.send(plan)
        equal = [h for h in athena.found(plan).hits if not athena.differences(plan, h.snapshot)]
        assert [hit.snapshot.reference for hit in equal] == [reference]

    def test_an_update_sends_what_it_names_and_leaves_a_colleagues_words(
        self, athena: AthenaStage
    ) -> None:
        target = athena.seeded("ckd")
        plan = athena.change("problem", target, note="Stable, seen today.", onset="2024-02-12")
        athena.practice.lever(
            "edit_as_colleague", vendor="athenahealth", patient="P1", entry="ckd",
            set={"/bodySite": [{"coding": [{"system": SNOMED, "code": "7771000"}]}]},
        )  # fmt: skip
        assert athena.send(plan) == target
        held = athena.entry("problem", target)
        assert held.canonical["note"] == "Stable, seen today."
        assert held.canonical["side"]["code"] == "7771000"
        [hit] = athena.found(plan).hits
        assert hit.snapshot.reference == target

    def test_what_the_interface_cannot_say_is_refused_or_told(self, athena: AthenaStage) -> None:
        for content, pointer in (
            ({"verification": "provisional"}, "/verification"),
            ({"clinical_status": "inactive"}, "/clinical_status"),
            ({"code": {"system": ICD10CM, "code": "J45.909"}}, "/code"),
        ):
            with pytest.raises(CannotBeCarried) as refused:
                athena.problem(**content)
            assert pointer in [issue.pointer for issue in refused.value.issues]
        plan = athena.problem(severity="mild", onset="2026-11", sensitivity="restricted")
        places = {remark.pointer for remark in plan.not_carried}
        assert places == {"/severity", "/onset", "/sensitivity", "/encounter"}
        assert b"2026" not in plan.steps[0].body
        with pytest.raises(CannotBeCarried):
            athena.change("problem", athena.seeded("ckd"), verification="refuted")
        with pytest.raises(CannotBeCarried):
            athena.change("problem", athena.seeded("ckd"), severity="mild")
        with pytest.raises(Unsupported) as unsupported:
            athena.change("problem", athena.seeded("ckd"), "resolve", abatement="2026-11-20")
        assert "copy card" in unsupported.value.sentence

    def test_a_task_is_a_patient_case_with_its_due_date_in_words(self, athena: AthenaStage) -> None:
        plan = athena.task(priority="stat")
        fields = dict(parse_qsl(plan.steps[0].body.decode()))
        assert fields["priority"] == "1"
        assert "Due: 2026-11-24" in fields["internalnote"]
        assert [remark.pointer for remark in plan.not_carried] == ["/priority", "/encounter"]
        reference = athena.send(plan)
        [hit] = athena.found(plan).hits
        assert (hit.snapshot.reference, hit.tag) == (reference, plan.tag)
        assert athena.differences(plan, hit.snapshot) == []
        with pytest.raises(CannotBeCarried) as refused:
            athena.task(description="x" * 3950)
        assert "4000" in refused.value.sentence
        with pytest.raises(CannotBeCarried):
            athena.task(owner="Organization/team-1")

    def test_a_questionnaire_goes_by_fhir_the_one_thing_it_takes(self, athena: AthenaStage) -> None:
        plan = athena.create("questionnaire", SAMPLES["questionnaire", "create"])
        assert plan.steps[0].path == "QuestionnaireResponse"
        reference = athena.send(plan)
        equal = [h for h in athena.found(plan).hits if not athena.differences(plan, h.snapshot)]
        assert [hit.snapshot.reference for hit in equal] == [reference]

    @pytest.mark.fault("athenahealth.put-without-id", "athenahealth.own-numbers")
    def test_an_allergy_goes_by_athenas_own_numbers_and_twice_is_once(
        self, athena: AthenaStage
    ) -> None:
        plan = athena.allergy()
        remarks = {remark.pointer for remark in plan.remarks if remark.code == "replaced"}
        assert remarks == {"/substance", "/reactions"}
        fields = dict(parse_qsl(plan.steps[0].body.decode()))
        [one] = json.loads(fields["allergies"])
        assert one["allergenname"] == "sulfamethoxazole"
        assert one["allergenid"].isdigit()
        assert athena.found(plan).hits == ()
        assert athena.found(plan).complete
        assert athena.send(plan) == athena.send(plan) == ""
        [hit] = athena.found(plan).hits
        assert athena.differences(plan, hit.snapshot) == []
        assert len(athena.practice.resources(
            vendor="athenahealth", type="AllergyIntolerance", patient="P1"
        )) == 2  # fmt: skip

    def test_an_update_of_an_allergy_says_all_of_it_again(self, athena: AthenaStage) -> None:
        target = athena.seeded("allergy_penicillin")
        plan = athena.looked_up("allergy", "update", target, {"note": "As a child."})
        said = athena.adapter.parse(plan).model_dump_canonical()
        assert said["reactions"][0]["severity"] == "mild"
        athena.send(plan)
        [hit] = athena.found(plan).hits
        assert athena.differences(plan, hit.snapshot) == []
        held = athena.entry("allergy", target)
        assert held.canonical["note"] == "As a child."
        assert held.canonical["substance"]["code"] == "70618"

    def test_a_medication_goes_by_number_with_directions_in_words(
        self, athena: AthenaStage
    ) -> None:
        plan = athena.medication()
        fields = dict(parse_qsl(plan.steps[0].body.decode()))
        assert fields["medicationid"].isdigit()
        assert fields["unstructuredsig"] == (
            "500 mg; Oral route (26643006); twice a day. Take with food."
        )
        said = {one.pointer for one in plan.remarks if one.code == "replaced"}
        assert said >= {"/drug", "/dose", "/route", "/frequency"}
        reference = athena.send(plan)
        equal = [h for h in athena.found(plan).hits if not athena.differences(plan, h.snapshot)]
        assert [hit.snapshot.reference for hit in equal] == [reference]

    def test_a_list_entry_is_ended_with_its_reason_and_a_prescription_is_not_changed(
        self, athena: AthenaStage
    ) -> None:
        with pytest.raises(CannotBeCarried):
            athena.change(
                "medication", athena.seeded("lisinopril"), dose={"value": "20", "unit": "mg"}
            )
        athena.who = "P6"
        target = athena.seeded("metformin")
        plan = athena.change(
            "medication", target, "discontinue", end="2026-11-19", status_reason="Nausea"
        )
        assert athena.send(plan) == target
        [hit] = athena.found(plan).hits
        assert athena.differences(plan, hit.snapshot) == []
        assert hit.snapshot.canonical["status"] == "stopped"
        with pytest.raises(CannotBeCarried) as refused:
            athena.change(
                "medication", athena.seeded("metformin"), "discontinue",
                end="2026", status_reason="Nausea",
            )  # fmt: skip
        assert refused.value.issues

    def test_contact_data_goes_by_field_and_identity_never(self, athena: AthenaStage) -> None:
        target = athena.seeded("patient")
        phones = [
            {"number": "555-0199", "use": "home"},
            {"number": "555-0200", "use": "mobile"},
        ]
        plan = athena.change("demographics", target, phone=phones, email="n.okonkwo@mail.example")
        assert athena.send(plan) == target
        [hit] = athena.found(plan).hits
        assert athena.differences(plan, hit.snapshot) == []
        assert hit.snapshot.canonical["address"]["lines"] == "14 Larkfield Road"
        for content in (
            {"family": "OTHER"},
            {"email": None},
            {"phone": [{"number": "555-0200", "use": "work"}]},
            {"phone": [{"number": "5" * 21, "use": "home"}, phones[1]]},
            {"address": {"city": "Elsewhere"}},
        ):
            with pytest.raises(CannotBeCarried):
                athena.change("demographics", target, **content)

    def test_a_name_that_is_not_in_the_list_or_not_alone_is_refused(
        self, athena: AthenaStage
    ) -> None:
        unknown = {"system": RXNORM, "code": "723", "display": "moonbeam"}
        for content, pointer in (
            ({"substance": unknown}, "/substance"),
            ({"substance": {"system": RXNORM, "code": "10180"}}, "/substance"),
            ({"criticality": "high"}, "/criticality"),
            ({"verification": "unconfirmed"}, "/verification"),
            (
                {"substance": "716186003", "reactions": None},
                "/substance",
            ),
        ):
            with pytest.raises(CannotBeCarried) as refused:
                athena.allergy(**content)
            assert pointer in [issue.pointer for issue in refused.value.issues]
        denied = {"system": SNOMED, "code": "409137002"}
        athena.who = "P12"
        plan = athena.allergy(substance=denied, reactions=None, note=None)
        assert plan.steps[0].body.endswith(b"nkda=true")
        athena.send(plan)
        [hit] = athena.found(plan).hits
        assert athena.differences(plan, hit.snapshot) == []

    def test_vital_signs_go_in_groups_in_the_practices_units(self, athena: AthenaStage) -> None:
        plan = athena.vitals()
        [(name, text)] = parse_qsl(plan.steps[0].body.decode())
        groups = json.loads(text)
        assert name == "vitals"
        assert [[one["value"] for one in group] for group in groups] == [
            ["154", "92"], ["78244.683825"], ["101.12"],
        ]  # fmt: skip
        said = athena.adapter.parse(plan).model_dump_canonical()
        assert said["readings"][2]["value"] == {"value": "78.244683825", "unit": "kg"}
        assert athena.send(plan) == ""
        equal = [h for h in athena.found(plan).hits if not athena.differences(plan, h.snapshot)]
        assert len(equal) == 1
        assert equal[0].snapshot.canonical["effective_at"]
        # What the nurse measured before is there as well, and is something else.
        assert len(athena.found(plan).hits) == 2

    def test_vital_signs_need_an_open_visit_and_say_what_is_lost(self, athena: AthenaStage) -> None:
        plan = athena.vitals(note="After rest.", origin="device")
        places = {remark.pointer for remark in plan.not_carried}
        assert places == {"/note", "/origin"}
        athena.practice.lever("close_visit", vendor="athenahealth", patient="P1", locked=True)
        with pytest.raises(ContentRefused) as refused:
            athena.send(plan)
        assert refused.value.vendor_code == "visit-closed"
        with pytest.raises(CannotBeCarried):
            athena.vitals()

    @pytest.mark.req("002-46")
    def test_vital_signs_whose_answer_was_lost_are_for_a_person(self, athena: AthenaStage) -> None:
        plan = athena.vitals()
        athena.spoil("drop-after-commit", plan)
        with pytest.raises(ConnectionLost):
            athena.send(plan)
        match = matching.judge(
            athena.found(plan),
            plan=plan,
            tags=[plan.tag],
            capability=athena.adapter.capabilities.get("vitals", "create"),
            baseline=None,
        )
        assert match.verdict is matching.Verdict.COLLEAGUE_EQUAL
        assert not plan.find.hit_proves

    def test_a_time_that_comes_twice_is_refused(self, athena: AthenaStage) -> None:
        with pytest.raises(CannotBeCarried) as refused:
            athena.note(date="2026-11-01T05:30:00Z")
        assert refused.value.issues[0].code == "ambiguous-time"
        plan = athena.note(date="2026-11-01T13:30:00Z")
        assert b"11/01/2026" in plan.steps[0].body
        assert b"08:30" in plan.steps[0].body

    def test_a_plan_survives_storage_byte_for_byte(self, athena: AthenaStage) -> None:
        for plan in (athena.note(), athena.problem()):
            stored = WirePlan.from_json(json.loads(json.dumps(plan.to_json())))
            assert stored == plan
            assert athena.adapter.parse(stored) == athena.adapter.parse(plan)
            with pytest.raises(AdapterMisconfigured):
                athena.adapter.parse(replace(plan, adapter="other"))


class TestWhatItReads:
    def test_both_ids_the_department_and_the_state_of_the_visit(self, athena: AthenaStage) -> None:
        baseline = athena.read("problem")
        assert baseline.patient is not None
        assert baseline.encounter is not None
        assert baseline.patient.ids["read"].startswith("a-195900.E-")
        assert baseline.patient.ids["write"].isdigit()
        assert baseline.patient.ids["department"] == "1"
        assert baseline.encounter.ids["state"] == "OPEN"
        assert {s.canonical["code"][-1]["code"] for s in baseline.neighbours("problem")} == {
            "I12.9", "433144002",
        }  # fmt: skip
        assert Baseline.from_json(json.loads(json.dumps(baseline.to_json()))) == baseline
        for who, state, is_open in (("P6", "REVIEW", True), ("P9", "CLOSED", False)):
            athena.who = who
            other = athena.read("problem")
            assert other.encounter is not None
            assert other.visit is not None
            assert (other.encounter.ids["state"], other.visit.open) == (state, is_open)

    def test_unknown_is_told_from_unreachable(self, athena: AthenaStage) -> None:
        request = ReadRequest(
            patient="nobody",
            kind="problem",
            at=athena.at,
            encounter="none",
            target="Condition/none",
        )
        assert athena.adapter.read(request).missing == ("patient", "encounter", "target")
        for fault, branch in (
            ("unavailable", Unreachable),
            ("rate-limited", RateLimited),
            ("html-reply", Unreachable),
        ):
            athena.practice.fault(fault, vendor="athenahealth", path="chart/encounter", times=None)
            with pytest.raises(branch):
                athena.read("problem")
            athena.practice.clear_faults()

    def test_what_the_list_hides_is_named_not_taken_for_absent(self, athena: AthenaStage) -> None:
        athena.practice.fault("unavailable", vendor="athenahealth", path="problems", times=None)
        baseline = athena.read("problem")
        assert [part.what for part in baseline.unreadable] == ["problems"]
        with pytest.raises(Unreachable):
            athena.read("problem", interaction="update", target=athena.seeded("ckd"))

    def test_the_department_of_the_connection_serves_where_no_visit_says_one(
        self, fresh_practice: Practice
    ) -> None:
        fresh_practice.settings("athenahealth", token_mints_per_minute=1000)
        stage = AthenaStage(fresh_practice, who="P12", department_id="21")
        baseline = stage.read("problem")
        assert baseline.patient is not None
        assert baseline.patient.ids["department"] == "21"

    def test_a_connection_without_practice_or_with_another_base_is_set_up_wrongly(
        self, athena: AthenaStage
    ) -> None:
        for connection in (
            replace(athena.connection, settings={}),
            replace(athena.connection, base_url=athena.practice.root),
            replace(athena.connection, time_zone="Nowhere/Here"),
        ):
            athena.connection = connection
            with pytest.raises((AdapterMisconfigured, AdapterError)):
                athena.read("problem")


class TestWhatItIsAnswered:
    @pytest.mark.fault("athenahealth.false-success")
    def test_a_success_with_false_inside_is_a_refusal(self, athena: AthenaStage) -> None:
        plan = athena.problem()
        token = athena.adapter.authenticate(plan.steps[0])
        athena.spoil("outcome", plan, commit=False)
        with pytest.raises(ContentRefused) as refused:
            athena.adapter.submit(plan.steps[0], token=token)
        assert refused.value.status == 200

    @pytest.mark.fault("athenahealth.closed-visit")
    def test_a_closed_visit_is_said_in_words(self, athena: AthenaStage) -> None:
        plan = athena.problem(category="encounter-diagnosis", onset="2026-11-02")
        athena.practice.lever("close_visit", vendor="athenahealth", patient="P1", locked=True)
        with pytest.raises(ContentRefused) as refused:
            athena.send(plan)
        assert refused.value.vendor_code == "visit-closed"
        assert "closed" in refused.value.sentence
        with pytest.raises(CannotBeCarried):
            athena.problem(category="encounter-diagnosis")

    @pytest.mark.fault("athenahealth.closed-visit")
    def test_the_words_for_a_closed_visit_are_a_setting_and_without_it_still_a_refusal(
        self, athena: AthenaStage
    ) -> None:
        athena.practice.settings("athenahealth", closed_visit_error="Charting has ended.")
        plan = athena.problem(category="encounter-diagnosis", onset="2026-11-02")
        athena.practice.lever("close_visit", vendor="athenahealth", patient="P1", locked=True)
        with pytest.raises(ContentRefused) as unknown:
            athena.send(plan)
        assert unknown.value.vendor_code != "visit-closed"
        assert "Charting has ended." in unknown.value.vendor_text
        settings = {**athena.connection.settings, "closed_visit_words": "charting has ended"}
        athena.connection = replace(athena.connection, settings=settings)
        with pytest.raises(ContentRefused) as known:
            athena.send(plan)
        assert known.value.vendor_code == "visit-closed"

    def test_missing_fields_point_into_the_change(self, athena: AthenaStage) -> None:
        plan = athena.problem()
        step = replace(plan.steps[0], body=b"departmentid=1")
        with pytest.raises(ContentRefused) as refused:
            athena.adapter.submit(step, token=athena.adapter.authenticate(step))
        assert refused.value.vendor_code == "missing-fields"
        assert [issue.pointer for issue in refused.value.issues] == ["/code"]

    def test_a_problem_that_is_gone_is_a_conflict(self, athena: AthenaStage) -> None:
        plan = athena.change("problem", athena.seeded("ckd"), note="Seen.")
        athena.practice.lever("remove", vendor="athenahealth", patient="P1", entry="ckd")
        with pytest.raises(VersionConflict):
            athena.send(plan)

    @pytest.mark.parametrize("fault", ["dropped-field", "mangled-content"])
    def test_altered_content_is_seen_on_read_back(self, athena: AthenaStage, fault: str) -> None:
        plan = athena.problem()
        order = {"field": "note"} if fault == "dropped-field" else {"set": {"/note/0/text": "x"}}
        athena.spoil(fault, plan, **order)
        held = athena.entry("problem", athena.send(plan))
        assert athena.differences(plan, held) == ["/note"]

    def test_not_being_able_to_look_is_never_absence(self, athena: AthenaStage) -> None:
        for plan in (athena.note(), athena.problem()):
            for fault in ("unavailable", "rate-limited", "html-reply", "expired-token"):
                athena.practice.fault(fault, vendor="athenahealth", method="GET", times=None)
                found = athena.found(plan)
                athena.practice.clear_faults()
                assert found.complete is False
                assert found.reason
                assert found.hits == ()


class TestTheLimits:
    def test_tokens_over_the_limit_are_not_even_asked_for(self, athena: AthenaStage) -> None:
        plan = athena.note()
        few = {**athena.connection.settings, "token_mints_per_minute": 1}
        adapter = registry.get_adapter(replace(athena.connection, settings=few))

        def three() -> None:
            for _ in range(3):
                adapter.authenticate(plan.steps[0])

        asked = len(athena.practice.log(vendor="athenahealth", path="oauth2"))
        with pytest.raises(RateLimited) as slowed:
            three()
        assert slowed.value.vendor_code == "token-limit"
        assert 0 < (slowed.value.retry_after or 0) <= 60
        # What was read before counts as well, unless the minute has just turned.
        assert len(athena.practice.log(vendor="athenahealth", path="oauth2")) - asked <= 2

    @pytest.mark.fault("athenahealth.tokens-a-minute")
    def test_a_429_for_a_token_ends_the_minute(self, athena: AthenaStage) -> None:
        plan = athena.note()
        athena.practice.settings("athenahealth", token_mints_per_minute=0)
        with pytest.raises(TokenUnavailable) as none:
            athena.adapter.authenticate(plan.steps[0])
        assert none.value.status == 429
        with pytest.raises((RateLimited, TokenUnavailable)):
            athena.adapter.authenticate(plan.steps[0])

    @pytest.mark.fault("athenahealth.calls-a-day")
    def test_the_last_call_of_the_day_is_the_last(self, athena: AthenaStage) -> None:
        plan = athena.note()
        token = athena.adapter.authenticate(plan.steps[0])
        made = len(athena.practice.log(vendor="athenahealth", path="^(?!oauth2)"))
        athena.practice.settings("athenahealth", calls_per_day=made + 1)
        assert athena.adapter.submit(plan.steps[0], token=token).acknowledged
        before = len(athena.practice.log(vendor="athenahealth"))
        with pytest.raises(RateLimited) as spent:
            athena.adapter.submit(plan.steps[0], token=token)
        assert spent.value.vendor_code == "daily-quota"
        assert len(athena.practice.log(vendor="athenahealth")) == before

    def test_so_many_calls_a_second(self) -> None:
        one = budget.Budget()
        for _ in range(5):
            one.call(most=5, at=1000.0)
        with pytest.raises(RateLimited):
            one.call(most=5, at=1000.5)
        one.call(most=5, at=1001.1)

    def test_a_secret_serves_instead_of_a_key(self, athena: AthenaStage) -> None:
        athena.practice.control(
            "POST",
            "clients",
            {
                "vendor": "athenahealth",
                "client_id": athena.connection.client_id,
                "secret": "made up: ü/+",
                "scope": "system/*.cruds",
            },
        )
        athena.connection = replace(
            athena.connection, private_key_pem="", secrets={"client_secret": "made up: ü/+"}
        )
        assert athena.entry("note", athena.send(athena.note())).canonical["sections"]

    def test_the_scope_of_the_other_interface_must_be_granted(self, athena: AthenaStage) -> None:
        plan = athena.note()
        athena.practice.control(
            "POST",
            "clients",
            {
                "vendor": "athenahealth",
                "client_id": athena.connection.client_id,
                "jwk": athena.backend.jwk(),
                "scope": "system/Patient.rs",
            },
        )
        with pytest.raises((NotPermitted, TokenUnavailable)):
            athena.adapter.authenticate(plan.steps[0])


class TestWhatItDeclares:
    def test_a_look_takes_away_what_the_practice_does_not_let_it_do(
        self, athena: AthenaStage
    ) -> None:
        adapter: EhrAdapter = athena.adapter
        found = adapter.discover(at=athena.at)
        assert {c.key for c in found if c.supported} == {
            c.key for c in adapter.capabilities if c.supported
        }
        assert "2 departments" in " ".join(found.evidence)
        assert CapabilitySet.from_json(json.loads(json.dumps(found.to_json()))) == found
        lost = {**athena.connection.settings, "department_id": "99"}
        other = registry.get_adapter(replace(athena.connection, settings=lost))
        assert not any(c.supported for c in other.discover(at=athena.at) if c.kind == "problem")
        athena.practice.fault("expired-token", vendor="athenahealth", path="departments", times=9)
        assert not any(c.supported for c in adapter.discover(at=athena.at) if c.kind == "note")

    def test_what_the_practice_withdraws_is_neither_offered_nor_written(
        self, athena: AthenaStage
    ) -> None:
        plan = athena.create("questionnaire", SAMPLES["questionnaire", "create"])
        assert athena.adapter.discover(at=athena.at).may("questionnaire", "create")
        athena.practice.settings("athenahealth", not_offered=["QuestionnaireResponse.create"])
        assert not athena.adapter.discover(at=athena.at).may("questionnaire", "create")
        with pytest.raises(NotPermitted):
            athena.send(plan)

    def test_a_proven_list_lets_a_note_be_sent_again(self, athena: AthenaStage) -> None:
        athena.connection = replace(
            athena.connection,
            settings={**athena.connection.settings, "documents_listed_probed": "2026-11-20"},
        )
        plan = athena.note()
        assert athena.adapter.capabilities.get("note", "create").retry is RetryClass.S3
        assert athena.found(plan).complete
        assert athena.found(plan).hits == ()
