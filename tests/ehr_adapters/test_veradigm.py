"""Veradigm's FHIR side under the common contract, and what is said to Unity, byte by byte."""

import json
from collections.abc import Mapping
from typing import Any, ClassVar

import pytest

from ehr_adapters import registry
from ehr_adapters.base import EhrAdapter
from ehr_adapters.canonical.base import parse_change
from ehr_adapters.canonical.codes import ICD10CM, LOINC, SNOMED
from ehr_adapters.capabilities import CapabilitySet, Finality, FindMethod, RetryClass
from ehr_adapters.contract import Baseline, Connection, ReadRequest, Tag, WirePlan
from ehr_adapters.errors import (
    AdapterMisconfigured,
    CannotBeCarried,
    ContentRefused,
    NotPermitted,
    PatientMoved,
    ServerError,
    TokenRejected,
)
from ehr_adapters.fhir_reading import is_redacted
from ehr_adapters.http import Reply
from ehr_adapters.vendors.veradigm.replies import entry_id, meaning_of, read_reply
from tests.ehr_adapters.contract import TAG, AdapterContract
from tests.ehr_adapters.fake_ehr import AT, FakeEhr

UNITY: dict[str, Any] = {
    "unity_url": "http://127.0.0.1:9/Unity",
    "unity_appname": "Northgate.Portal",
    "unity_user": "svc-notes",
    "unity_users": {"Practitioner/pr-1": "areyes"},
    "problem_transport": "unity",
    "allergy_transport": "unity",
    "unity_allergens": {"rxnorm 7980": "Penicillins", "snomed 91936005": "Penicillins (class)"},
    "unity_task_targets": {"Practitioner/pr-1": "areyes", "CareTeam/ct-1": "Team12"},
}


class TestVeradigm(AdapterContract):
    kind = "veradigm"


class UnityStage:
    """Plans for Unity are made without any network but the reading of the FHIR side."""

    kind: ClassVar[str] = "veradigm"
    settings: ClassVar[Mapping[str, Any]] = UNITY
    granted: ClassVar[str | None] = None
    server = AdapterContract.server
    ehr = AdapterContract.ehr

    @pytest.fixture
    def adapter(self, ehr: FakeEhr) -> EhrAdapter:
        return registry.get_adapter(ehr.connection(self.kind, settings=self.settings))

    @staticmethod
    def baseline(adapter: EhrAdapter, kind: str) -> Baseline:
        return adapter.read(ReadRequest(patient="pa-1", kind=kind, at=AT, encounter="en-1"))

    def plan(self, adapter: EhrAdapter, kind: str, **content: Any) -> WirePlan:
        whole = WHOLE[kind] | content
        change = parse_change(kind, "create", whole)
        return adapter.render(change, tag=TAG, baseline=self.baseline(adapter, kind))


NOTE: dict[str, Any] = {
    "type": "11506-3",
    "status": "unsigned",
    "author": "Practitioner/pr-1",
    "date": "2026-11-20T08:41:02-06:00",
    "sections": [{"title": "Plan", "text": 'BP ≥ 140 & <150>\n====\n"Follow up."'}],
}
PROBLEM: dict[str, Any] = {
    "code": [{"system": ICD10CM, "code": "N18.31", "display": "CKD <stage> 3a & more"}],
    "category": "problem-list-item",
    "clinical_status": "active",
    "verification": "confirmed",
    "onset": "2026-10-05",
    "note": "Said so\ntoday.",
}


ALLERGY: dict[str, Any] = {
    "substance": "7980",
    "category": "medication",
    "clinical_status": "active",
    "verification": "unconfirmed",
    "note": "Told today.",
}
TASK: dict[str, Any] = {
    "title": "Call about <potassium> & more",
    "owner": "CareTeam/ct-1",
    "due": "2026-11-30",
    "priority": "urgent",
    "description": "\nDue: never\n\nPriority: none",
}
WHOLE = {"note": NOTE, "problem": PROBLEM, "allergy": ALLERGY, "task": TASK}


class TestWhatIsSaidToUnity(UnityStage):
    def test_a_note_is_unsigned_plain_text_under_its_author(self, adapter: EhrAdapter) -> None:
        plan = self.plan(adapter, "note")
        [step] = plan.steps
        said = json.loads(step.body)
        assert list(said) == [
            "Action", "AppUserID", "Appname", "PatientID", "Token", "Parameter1", "Parameter2", "Parameter3",
            "Parameter4", "Parameter5", "Parameter6", "Data",
        ]  # fmt: skip
        assert (said["Action"], said["AppUserID"]) == ("SaveNote", "areyes")
        assert (said["Parameter2"], said["Parameter3"], said["Parameter4"]) == (
            "Progress Note",
            "Unsigned",
            "N",
        )
        assert said["PatientID"] == "pa-1"
        assert TAG.short in said["Parameter1"].splitlines()[-1]
        assert plan.finality is Finality.FILED_UNSIGNED
        assert {r.pointer for r in plan.not_carried} == {"/encounter", "/date"}

    def test_final_is_never_said(self, adapter: EhrAdapter) -> None:
        assert b"Final" not in self.plan(adapter, "note").steps[0].body

    def test_only_the_session_token_is_left_open(self, adapter: EhrAdapter) -> None:
        for kind in WHOLE:
            plan = self.plan(adapter, kind)
            [slot] = plan.steps[0].slots
            assert (slot.source, slot.from_step) == ("session_token", None)
            filled = plan.steps[0].filled({slot.marker: 'a"b'})
            assert json.loads(filled)["Token"] == 'a"b'
            assert WirePlan.from_json(json.loads(json.dumps(plan.to_json()))) == plan

    def test_a_problem_is_a_form_that_reads_back(self, adapter: EhrAdapter) -> None:
        plan = self.plan(adapter, "problem")
        said = json.loads(plan.steps[0].body)["Parameter1"]
        assert said.startswith("<saveproblemsdatarequest><saveproblemsdata ")
        assert 'fieldid="onset" value1="10/05/2026"' in said
        read = adapter.parse(plan).model_dump_canonical()
        assert read == PROBLEM
        assert plan.find is FindMethod.MATCH
        assert adapter.capabilities.get("problem", "create").retry is RetryClass.S4

    @pytest.mark.parametrize(
        ("kind", "content", "place"),
        [
            ("problem", {"verification": "provisional"}, "/verification"),
            ("problem", {"clinical_status": "relapse"}, "/clinical_status"),
            ("problem", {"category": "encounter-diagnosis"}, "/category"),
            ("problem", {"side": "7771000"}, "/side"),
            ("problem", {"code": {"system": SNOMED, "code": "431857002"}}, "/code"),
            ("problem", {"code": [{"system": ICD10CM, "code": "N18.31"}]}, "/code/0/display"),
            ("allergy", {"substance": "723"}, "/substance"),
            ("allergy", {"criticality": "high"}, "/criticality"),
            ("allergy", {"clinical_status": "inactive"}, "/clinical_status"),
            ("allergy", {"category": "food"}, "/category"),
            ("allergy", {"reactions": [{"manifestation": "247472004"}]}, "/reactions"),
            ("task", {"owner": "Practitioner/pr-9"}, "/owner"),
        ],
    )
    def test_what_has_no_place_refuses(
        self, adapter: EhrAdapter, kind: str, content: dict[str, Any], place: str
    ) -> None:
        with pytest.raises(CannotBeCarried) as refused:
            self.plan(adapter, kind, **content)
        assert place in {issue.pointer for issue in refused.value.issues}

    def test_an_allergy_is_named_as_the_ehr_names_it(self, adapter: EhrAdapter) -> None:
        plan = self.plan(adapter, "allergy")
        said = json.loads(plan.steps[0].body)
        assert 'name="AllergyName" value="Penicillins"' in said["Parameter2"]
        assert TAG.short in said["Parameter6"]
        assert adapter.parse(plan).model_dump_canonical()["substance"]["code"] == "7980"

    def test_a_task_has_the_mark_in_subject_and_comment(self, adapter: EhrAdapter) -> None:
        plan = self.plan(adapter, "task")
        said = json.loads(plan.steps[0].body)
        assert (said["Parameter1"], said["Parameter2"]) == ("Misc", "Team12")
        assert TAG.short in said["Parameter4"]
        assert TAG.short in said["Parameter5"]
        assert adapter.parse(plan).model_dump_canonical() == TASK | {"status": "requested"}
        assert plan.finality is Finality.SENT_FOR_ACTION
        assert plan.find is FindMethod.NONE

    def test_what_may_be_transmitted_at_once_is_switched_off(self, adapter: EhrAdapter) -> None:
        for kind in ("order", "message"):
            capability = adapter.capabilities.lookup(kind, "create")
            assert capability is not None
            assert not capability.supported
            assert capability.degrade == ("copy_card",)

    def test_a_partial_date_is_said_to_be_left_out(self, adapter: EhrAdapter) -> None:
        plan = self.plan(adapter, "problem", onset="2026-10")
        assert "/onset" in {remark.pointer for remark in plan.not_carried}
        assert "onset" not in adapter.parse(plan).named_fields

    def test_an_author_without_an_ehr_user_refuses(self, adapter: EhrAdapter) -> None:
        with pytest.raises(CannotBeCarried):
            self.plan(adapter, "note", author="Practitioner/pr-9")

    def test_a_kind_of_note_without_a_document_type_refuses(self, ehr: FakeEhr) -> None:
        settings = {**UNITY, "unity_document_types": {"11488-4": "Consultation"}}
        adapter = registry.get_adapter(ehr.connection("veradigm", settings=settings))
        with pytest.raises(CannotBeCarried):
            self.plan(adapter, "note")

    def test_unitys_own_number_is_taken_where_a_system_is_named(self, ehr: FakeEhr) -> None:
        settings = {**UNITY, "unity_patient_system": "urn:unity"}
        adapter = registry.get_adapter(ehr.connection("veradigm", settings=settings))
        with pytest.raises(CannotBeCarried):
            self.plan(adapter, "note")
        numbers = ehr.resources["Patient/pa-1"]["identifier"]
        ehr.resources["Patient/pa-1"]["identifier"] = [
            *numbers,
            {"system": "urn:unity", "value": "39"},
        ]
        assert json.loads(self.plan(adapter, "note").steps[0].body)["PatientID"] == "39"

    def test_an_action_may_have_another_name_or_none(self, ehr: FakeEhr) -> None:
        named = {**UNITY, "unity_actions": {"note": "SaveV11Note", "problem": ""}}
        adapter = registry.get_adapter(ehr.connection("veradigm", settings=named))
        assert json.loads(self.plan(adapter, "note").steps[0].body)["Action"] == "SaveV11Note"
        assert not adapter.capabilities.may("problem", "create")


class TestWhatUnityAnswers:
    @pytest.mark.parametrize(
        ("text", "branch"),
        [
            ("You have been logged out due to inactivity.", TokenRejected),
            ("Action is not valid for this license", NotPermitted),
            ("Object reference not set to an instance of an object.", ContentRefused),
            ("The chart is locked by another user.", ContentRefused),
            ("The patient has been merged into another record.", PatientMoved),
            ("Timeout expired. The timeout period elapsed.", ServerError),
            ("Something nobody has seen before", ServerError),
        ],
    )
    def test_each_text_has_its_branch(self, text: str, branch: type[Exception]) -> None:
        assert meaning_of(text).branch is branch
        assert meaning_of(text).sentence.endswith(".")

    def test_an_unknown_text_is_a_refusal_only_where_a_setting_says_so(self) -> None:
        assert meaning_of("Hm", unknown_means="refused").branch is ContentRefused

    @pytest.mark.parametrize(
        ("body", "rows", "error"),
        [
            (b'[{"savenoteinfo":[{"DocumentID":"4711"}]}]', 1, ""),
            (b'[{"Error":"no"}]', 0, "no"),
            (b'[{"savenoteinfo":[{"Error":"no"}]}]', 1, "no"),
            (b'[{"otherinfo":[{"DocumentID":"4711"}]}]', 0, ""),
            (b'{"savenoteinfo":[{}]}', 0, ""),
            (b"<html>", 0, ""),
            (b"", 0, ""),
        ],
    )
    def test_a_reply_is_rows_or_an_error_or_nothing(
        self, body: bytes, rows: int, error: str
    ) -> None:
        read = read_reply(Reply(200, {}, body), action="SaveNote")
        assert (len(read.rows), read.error) == (rows, error)

    def test_the_new_entrys_number_is_found_whatever_it_is_called(self) -> None:
        assert entry_id(({"Status": "x", "DocumentID": "4711"},)) == "4711"
        assert entry_id(({"transid": "12"},)) == "12"
        assert entry_id(({"Status": "x"},)) == ""


class TestSettings:
    def test_unity_needs_an_address(self) -> None:
        assert registry.check_settings("veradigm", {"note_transport": "unity"})
        assert registry.check_settings("veradigm", {"product": "somebody else's"})
        assert not registry.check_settings("veradigm", UNITY)

    def test_notes_go_to_unity_where_there_is_one(self) -> None:
        def transport(**settings: Any) -> str:
            found: CapabilitySet = registry.declared_capabilities("veradigm", settings)
            return found.get("note", "create").transport

        assert transport() == "FHIR R4 create"
        assert transport(**UNITY) == "Unity SaveNote"
        assert transport(**UNITY, note_transport="fhir") == "FHIR R4 create"

    def test_an_egress_list_has_unitys_address(self) -> None:
        assert registry.further_addresses("veradigm", UNITY) == (UNITY["unity_url"],)

    def test_a_key_file_without_unitys_passwords_is_a_misconfiguration(self) -> None:
        connection = Connection(
            kind="veradigm",
            base_url="http://127.0.0.1:9",
            token_url="",
            client_id="x",
            settings=UNITY,
        )
        plan_step = registry.get_adapter(connection)
        step = _step()
        with pytest.raises(AdapterMisconfigured):
            plan_step.authenticate(step)

    def test_probed_settings_strengthen_the_class(self) -> None:
        weak = registry.declared_capabilities("veradigm", {})
        strong = registry.declared_capabilities(
            "veradigm",
            {
                "identifiers_kept_probed": "2026-11-01",
                "drafts_listed_probed": "2026-11-01",
            },
        )
        assert weak.get("problem", "create").find is FindMethod.MATCH
        assert strong.get("problem", "create").find is FindMethod.EXACT
        assert strong.get("problem", "create").retry is RetryClass.S3
        assert strong.get("note", "create").retry is RetryClass.S3


def _step() -> Any:
    from ehr_adapters.vendors.veradigm.unity.magic import MAGIC, MagicCall
    from ehr_adapters.wire import WireRequest

    body = MagicCall("SaveNote", "areyes", "1").body(appname="x", token=Tag.mint().uuid)
    return WireRequest("POST", MAGIC, (), body, "Unity SaveNote", "Unity SaveNote")


def test_a_redacted_row_is_known() -> None:
    assert is_redacted({"meta": {"security": [{"code": "REDACTED"}]}})
    assert not is_redacted({"meta": {"security": [{"code": "R"}]}})
    assert not is_redacted({"meta": None})
    assert LOINC
