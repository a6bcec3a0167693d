"""The Epic adapter: the contract, its declared "no", its numbers."""

from typing import ClassVar

import pytest

from ehr_adapters import registry
from ehr_adapters.base import EhrAdapter
from ehr_adapters.canonical.base import parse_change
from ehr_adapters.canonical.exact_json import loads
from ehr_adapters.capabilities import Finality, FindMethod, RetryClass
from ehr_adapters.contract import ReadRequest
from ehr_adapters.errors import (
    AlreadyThere,
    CannotBeCarried,
    ContentRefused,
    NotPermitted,
    PatientMoved,
    RateLimited,
    ServerError,
    UnreadableReply,
)
from ehr_adapters.vendors.epic.numbers import EPIC_CODES
from ehr_adapters.vendors.epic.rows.clinical import COMMENT_LENGTH
from tests.ehr_adapters.contract import TAG, AdapterContract
from tests.ehr_adapters.fake_ehr import AT, FakeEhr, document, outcome

pytestmark = pytest.mark.once


class TestEpic(AdapterContract):
    kind: ClassVar[str] = "epic"
    # Epic passes over the scope that is asked for and grants what the app is registered for.
    granted: ClassVar[str | None] = (
        "system/DocumentReference.write system/Condition.write "
        "system/AllergyIntolerance.write system/Observation.write "
        "system/QuestionnaireResponse.write system/Patient.read openid"
    )

    @pytest.mark.req("001-53")
    def test_a_note_is_filed_unsigned_and_a_problem_staged(self) -> None:
        declared = self.declared()
        note, problem = declared.get("note", "create"), declared.get("problem", "create")
        assert (note.finality, note.find) == (Finality.FILED_UNSIGNED, FindMethod.SCAN)
        assert (problem.finality, problem.find) == (Finality.STAGED, FindMethod.NONE)
        assert note.retry is problem.retry is RetryClass.S4
        probed = registry.declared_capabilities("epic", {"drafts_listed_probed": "2026-11-20"})
        assert probed.get("note", "create").retry is RetryClass.S3

    def test_a_note_is_one_plain_text_in_its_visit_and_never_final(
        self, adapter: EhrAdapter, ehr: FakeEhr
    ) -> None:
        plan = self.plan(adapter, ehr, "note", "create")
        resource = loads(plan.steps[0].body)
        assert resource["docStatus"] == "preliminary"
        assert [c["attachment"]["contentType"] for c in resource["content"]] == ["text/plain"]
        assert resource["context"]["encounter"] == [{"reference": "Encounter/en-1"}]
        assert "identifier" not in resource
        assert "meta" not in resource

    def test_a_note_without_a_visit_is_refused(self, adapter: EhrAdapter, ehr: FakeEhr) -> None:
        baseline = adapter.read(ReadRequest(patient="pa-1", kind="note", at=AT))
        change = parse_change("note", "create", self.sample("note", "create"))
        with pytest.raises(CannotBeCarried) as refused:
            adapter.render(change, tag=TAG, baseline=baseline)
        assert refused.value.issues[0].pointer == "/encounter"

    @pytest.mark.parametrize(
        ("field", "value", "pointer"),
        [
            ("category", "encounter-diagnosis", "/category"),
            ("verification", "confirmed", "/verification"),
            ("clinical_status", "inactive", "/clinical_status"),
            ("code", "N18.31", "/code/0/display"),
        ],
    )
    def test_what_epic_would_refuse_is_refused_here(
        self, adapter: EhrAdapter, ehr: FakeEhr, field: str, value: str, pointer: str
    ) -> None:
        baseline = self.baseline(adapter, ehr, "problem", "create")
        content = self.sample("problem", "create") | {field: value}
        with pytest.raises(CannotBeCarried) as refused:
            adapter.render(parse_change("problem", "create", content), tag=TAG, baseline=baseline)
        assert [i.pointer for i in refused.value.issues] == [pointer]

    def test_the_comment_with_the_reference_line_fits_epics_450(
        self, adapter: EhrAdapter, ehr: FakeEhr
    ) -> None:
        baseline = self.baseline(adapter, ehr, "problem", "create")
        cap = dict(self.declared().get("problem", "create").length_caps)["/note"]
        content = self.sample("problem", "create") | {"note": "x" * cap}
        plan = adapter.render(
            parse_change("problem", "create", content), tag=TAG, baseline=baseline
        )
        [note] = loads(plan.steps[0].body)["note"]
        assert len(note["text"]) == COMMENT_LENGTH
        assert note["text"].endswith(f"Ref {TAG.short}")
        content = content | {"note": "x" * (cap + 1)}
        with pytest.raises(CannotBeCarried):
            adapter.render(parse_change("problem", "create", content), tag=TAG, baseline=baseline)

    def test_what_epic_does_not_take_is_said(self, adapter: EhrAdapter, ehr: FakeEhr) -> None:
        baseline = self.baseline(adapter, ehr, "problem", "create")
        content = self.sample("problem", "create") | {
            "side": "7771000",
            "severity": "6736007",
            "stage": "3a",
            "sensitivity": "restricted",
        }
        plan = adapter.render(
            parse_change("problem", "create", content), tag=TAG, baseline=baseline
        )
        pointers = {r.pointer for r in plan.not_carried}
        assert {"/side", "/severity", "/stage", "/sensitivity", "/encounter"} == pointers
        declared = set(self.declared().get("problem", "create").not_carried)
        assert pointers <= declared

    @pytest.mark.fault("epic.bare-201")
    def test_only_201_with_a_location_is_an_acknowledgement(
        self, adapter: EhrAdapter, ehr: FakeEhr
    ) -> None:
        plan = self.plan(adapter, ehr, "note", "create")
        token = adapter.authenticate(plan.steps[0])
        ehr.answer_write(201, b"", Location="DocumentReference/e.abc-1")
        receipt = adapter.submit(plan.steps[0], token=token)
        assert (receipt.reference, receipt.version_id) == ("DocumentReference/e.abc-1", "")
        ehr.answer_write(201, {"resourceType": "DocumentReference", "id": "x"})
        with pytest.raises(UnreadableReply):
            adapter.submit(plan.steps[0], token=token)
        ehr.answer_write(200, b"", Location="DocumentReference/e.abc-1")
        with pytest.raises(UnreadableReply):
            adapter.submit(plan.steps[0], token=token)

    @pytest.mark.parametrize("number", sorted(EPIC_CODES))
    def test_each_number_of_epics_has_its_branch_and_a_sentence(
        self, adapter: EhrAdapter, ehr: FakeEhr, number: str
    ) -> None:
        plan = self.plan(adapter, ehr, "problem", "create")
        status = 500 if number == "59177" else 400
        ehr.answer_write(status, outcome("processing", number=number, text="as Epic says it"))
        with pytest.raises(EPIC_CODES[number].branch) as raised:
            adapter.submit(plan.steps[0], token=adapter.authenticate(plan.steps[0]))
        assert raised.value.vendor_code == number
        assert raised.value.sentence.endswith(".")
        assert "as Epic says it" not in raised.value.sentence
        assert "as Epic says it" in raised.value.vendor_text

    @pytest.mark.fault("epic.vitals-twice")
    def test_59189_means_already_there_only_with_code_and_instant(
        self, adapter: EhrAdapter, ehr: FakeEhr
    ) -> None:
        plan = self.plan(adapter, ehr, "problem", "create")
        for place, branch in (("code/instant", AlreadyThere), ("", ContentRefused)):
            ehr.answer_write(400, outcome("duplicate", number="59189", place=place))
            with pytest.raises(branch):
                adapter.submit(plan.steps[0], token=adapter.authenticate(plan.steps[0]))

    def test_a_number_inside_a_fault_of_the_server_proves_nothing(
        self, adapter: EhrAdapter, ehr: FakeEhr
    ) -> None:
        plan = self.plan(adapter, ehr, "problem", "create")
        ehr.answer_write(500, outcome("processing", number="59159"))
        with pytest.raises(ServerError):
            adapter.submit(plan.steps[0], token=adapter.authenticate(plan.steps[0]))

    @pytest.mark.fault("epic.merged-redirect")
    def test_a_merged_patient_is_known_by_the_number_in_a_redirect(
        self, adapter: EhrAdapter, ehr: FakeEhr
    ) -> None:
        plan = self.plan(adapter, ehr, "note", "create")
        ehr.answer_write(301, outcome("processing", number="4107"), Location="Patient/other")
        with pytest.raises(PatientMoved):
            adapter.submit(plan.steps[0], token=adapter.authenticate(plan.steps[0]))
        ehr.answer_read(301, outcome("processing", number="4107"), Location="Patient/other")
        with pytest.raises(PatientMoved):
            adapter.read(ReadRequest(patient="pa-1", kind="note", at=AT))

    @pytest.mark.fault("epic.empty-403")
    def test_an_empty_403_is_a_matter_of_registration(
        self, adapter: EhrAdapter, ehr: FakeEhr
    ) -> None:
        plan = self.plan(adapter, ehr, "note", "create")
        ehr.answer_write(403, b"")
        with pytest.raises(NotPermitted):
            adapter.submit(plan.steps[0], token=adapter.authenticate(plan.steps[0]))

    def test_the_cap_of_documents_waits_a_day(self, adapter: EhrAdapter, ehr: FakeEhr) -> None:
        plan = self.plan(adapter, ehr, "note", "create")
        ehr.answer_write(400, outcome("throttled", number="4135"))
        with pytest.raises(RateLimited) as raised:
            adapter.submit(plan.steps[0], token=adapter.authenticate(plan.steps[0]))
        assert raised.value.retry_after == 86400

    def test_a_text_behind_an_address_is_read_for_the_scan(
        self, adapter: EhrAdapter, ehr: FakeEhr
    ) -> None:
        plan = self.plan(adapter, ehr, "note", "create")
        sent = loads(plan.steps[0].body)
        data = sent["content"][0]["attachment"]["data"]
        ehr.resources["Binary/b-1"] = {
            "resourceType": "Binary",
            "id": "b-1",
            "contentType": "text/plain",
            "data": data,
        }
        held = document(id="new-1", identifier=[])
        held["content"] = [{"attachment": {"contentType": "text/plain", "url": "Binary/b-1"}}]
        ehr.resources["DocumentReference/new-1"] = held
        adapter = registry.get_adapter(
            ehr.connection("epic", settings={"drafts_listed_probed": "2026-11-20"})
        )
        found = adapter.find([TAG], plan, since=AT, at=AT)
        assert [h.snapshot.id for h in found.hits] == ["new-1"]
        assert found.complete
        del ehr.resources["Binary/b-1"]
        found = adapter.find([TAG], plan, since=AT, at=AT)
        assert found.hits == ()
        assert found.complete is False

    @pytest.mark.req("002-46")
    def test_a_list_without_the_draft_proves_nothing_until_drafts_are_known_to_be_listed(
        self, ehr: FakeEhr
    ) -> None:
        for settings, complete in (({}, False), ({"drafts_listed_probed": "2026-11-20"}, True)):
            adapter = registry.get_adapter(ehr.connection("epic", settings=settings))
            plan = self.plan(adapter, ehr, "note", "create")
            found = adapter.find([TAG], plan, since=AT, at=AT)
            assert found.hits == ()
            assert found.complete is complete
