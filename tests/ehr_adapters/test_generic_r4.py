"""The generic FHIR R4 adapter: the contract, and what its settings change."""

from typing import Any, ClassVar

import pytest

from ehr_adapters import registry
from ehr_adapters.base import EhrAdapter
from ehr_adapters.canonical.base import parse_change
from ehr_adapters.capabilities import RetryClass
from ehr_adapters.errors import AlreadyThere, CannotBeCarried, NotPermitted, VersionConflict
from tests.ehr_adapters.contract import TAG, AdapterContract
from tests.ehr_adapters.fake_ehr import FakeEhr, condition, document

pytestmark = pytest.mark.once


class TestGenericR4(AdapterContract):
    kind: ClassVar[str] = "generic_r4"

    def test_probes_strengthen_the_retry_class(self) -> None:
        plain = registry.declared_capabilities("generic_r4")
        assert plain.get("note", "create").retry is RetryClass.S3
        assert plain.get("problem", "update").retry is RetryClass.S3
        probed = registry.declared_capabilities(
            "generic_r4",
            {"conditional_create_probed": "2026-11-20", "stale_if_match_probed": "2026-11-20"},
        )
        assert probed.get("note", "create").retry is RetryClass.S2
        assert probed.get("problem", "update").retry is RetryClass.S1

    def test_409_on_an_update_is_a_version_conflict_only_where_shown(self, ehr: FakeEhr) -> None:
        for settings, branch in (
            ({}, AlreadyThere),
            ({"conflict_means_version": True}, VersionConflict),
        ):
            adapter = registry.get_adapter(ehr.connection("generic_r4", settings=settings))
            plan = self.plan(adapter, ehr, "problem", "update")
            ehr.answer_write(409)
            with pytest.raises(branch):
                adapter.submit(plan.steps[0], token=adapter.authenticate(plan.steps[0]))
            ehr.write_answer = None

    def test_200_on_a_conditional_create_is_already_there_and_names_it(
        self, adapter: EhrAdapter, ehr: FakeEhr
    ) -> None:
        plan = self.plan(adapter, ehr, "problem", "create")
        ehr.answer_write(200, {"resourceType": "Condition", "id": "co-5"})
        with pytest.raises(AlreadyThere) as there:
            adapter.submit(plan.steps[0], token=adapter.authenticate(plan.steps[0]))
        assert there.value.reference == "Condition/co-5"

    def test_the_id_may_stand_in_the_body_and_the_version_in_the_etag(
        self, adapter: EhrAdapter, ehr: FakeEhr
    ) -> None:
        plan = self.plan(adapter, ehr, "problem", "create")
        ehr.answer_write(201, {"resourceType": "Condition", "id": "co-5"}, ETag='W/"12"')
        receipt = adapter.submit(plan.steps[0], token=adapter.authenticate(plan.steps[0]))
        assert (receipt.reference, receipt.version_id) == ("Condition/co-5", "12")
        location = f"{ehr.base_url}/Condition/co-6/_history/3"
        ehr.answer_write(201, b"", Location=location)
        receipt = adapter.submit(plan.steps[0], token=adapter.authenticate(plan.steps[0]))
        assert (receipt.reference, receipt.version_id) == ("Condition/co-6", "3")

    def test_an_update_answered_with_another_entry_is_not_acknowledged(
        self, adapter: EhrAdapter, ehr: FakeEhr
    ) -> None:
        from ehr_adapters.errors import UnreadableReply

        plan = self.plan(adapter, ehr, "problem", "update")
        ehr.answer_write(200, {"resourceType": "Condition", "id": "co-other"})
        with pytest.raises(UnreadableReply):
            adapter.submit(plan.steps[0], token=adapter.authenticate(plan.steps[0]))

    def test_a_wider_grant_is_refused_unless_the_connection_accepts_it(self, ehr: FakeEhr) -> None:
        ehr.granted = "system/*.cruds"
        open_handed = ehr.connection("generic_r4", settings={"accept_wider_grant": True})
        adapter = registry.get_adapter(open_handed)
        plan = self.plan(adapter, ehr, "problem", "create")
        assert adapter.authenticate(plan.steps[0]).scope == "system/*.cruds"
        strict = registry.get_adapter(ehr.connection("generic_r4"))
        with pytest.raises(NotPermitted):
            strict.authenticate(plan.steps[0])

    def test_a_server_that_passes_over_the_identifier_proves_no_absence(
        self, adapter: EhrAdapter, ehr: FakeEhr
    ) -> None:
        from tests.ehr_adapters.fake_ehr import AT

        plan = self.plan(adapter, ehr, "problem", "create")
        ehr.searches["Condition"] = lambda _: [condition(id="other")]
        found = adapter.find([TAG], plan, since=AT, at=AT)
        assert found.hits == ()
        assert found.complete is False
        ehr.searches["Condition"] = lambda _: []
        assert adapter.find([TAG], plan, since=AT, at=AT).complete is True

    def test_a_note_that_was_edited_in_the_ehr_is_not_rewritten(
        self, adapter: EhrAdapter, ehr: FakeEhr
    ) -> None:
        ehr.resources["DocumentReference/do-1"] = document(text="typed by a colleague")
        baseline = self.baseline(adapter, ehr, "note", "update")
        change = parse_change("note", "update", self.sample("note", "update"))
        with pytest.raises(CannotBeCarried) as refused:
            adapter.render(change, tag=TAG, baseline=baseline)
        assert refused.value.issues[0].code == "foreign-note"

    def test_a_signed_note_is_not_updated_and_an_unsigned_one_not_amended(
        self, adapter: EhrAdapter, ehr: FakeEhr
    ) -> None:
        for signed, interaction, code in (
            (True, "update", "target-signed"),
            (False, "amend", "target-unsigned"),
        ):
            ehr.resources["DocumentReference/do-1"] = document(signed=signed)
            from ehr_adapters.contract import ReadRequest
            from tests.ehr_adapters.fake_ehr import AT

            baseline = adapter.read(
                ReadRequest(patient="pa-1", kind="note", at=AT, encounter="en-1", target="do-1")
            )
            change = parse_change("note", interaction, self.sample("note", interaction))
            with pytest.raises(CannotBeCarried) as refused:
                adapter.render(change, tag=TAG, baseline=baseline)
            assert refused.value.issues[0].code == code

    def test_decimals_of_other_fields_go_back_as_they_came(
        self, adapter: EhrAdapter, ehr: FakeEhr
    ) -> None:
        from werkzeug import Response

        raw = (
            b'{"resourceType":"Condition","id":"co-1","meta":{"versionId":"7"},'
            b'"subject":{"reference":"Patient/pa-1"},"clinicalStatus":{"coding":[{"system":'
            b'"http://terminology.hl7.org/CodeSystem/condition-clinical","code":"active"}]},'
            b'"extension":[{"url":"urn:x","valueDecimal":1.00},{"url":"urn:y","valueDecimal":1e-3}]}'
        )
        usual = FakeEhr._read

        def read(request: Any) -> Response:
            if request.path.endswith("/Condition/co-1"):
                return Response(raw, headers={"Content-Type": "application/fhir+json"})
            return usual(ehr, request)

        ehr.read_answer = read
        plan = self.plan(adapter, ehr, "problem", "update")
        assert b'"valueDecimal":1.00' in plan.steps[0].body
        assert b'"valueDecimal":1e-3' in plan.steps[0].body

    def test_characters_outside_the_repertoire_are_replaced_by_the_table_or_refused(
        self, ehr: FakeEhr
    ) -> None:
        adapter = registry.get_adapter(
            ehr.connection("generic_r4", settings={"repertoire": "ascii"})
        )
        baseline = self.baseline(adapter, ehr, "note", "create")
        content = self.sample("note", "create")
        content["sections"] = [{"title": "Plan", "text": "BP ≥ 140, 5 µg, 2½ tablets"}]
        plan = adapter.render(parse_change("note", "create", content), tag=TAG, baseline=baseline)
        said = adapter.parse(plan).model_dump_canonical()["sections"][0]["text"]
        assert said == "BP >= 140, 5 mcg, 2 1/2 tablets"
        assert [r.code for r in plan.remarks] == ["replaced"]
        for text in ("5 µmol/L", "漢"):
            content["sections"] = [{"title": "Plan", "text": text}]
            with pytest.raises(CannotBeCarried) as refused:
                adapter.render(parse_change("note", "create", content), tag=TAG, baseline=baseline)
            assert refused.value.issues[0].code == "outside-repertoire"
            assert refused.value.issues[0].pointer == "/sections/0/text"

    def test_a_note_that_is_too_long_is_refused_with_the_count(self, ehr: FakeEhr) -> None:
        adapter = registry.get_adapter(ehr.connection("generic_r4", settings={"notes_cap": 1000}))
        baseline = self.baseline(adapter, ehr, "note", "create")
        content = self.sample("note", "create")
        content["sections"] = [{"title": "Plan", "text": "x" * 1000}]
        with pytest.raises(CannotBeCarried) as refused:
            adapter.render(parse_change("note", "create", content), tag=TAG, baseline=baseline)
        assert "1004" in refused.value.sentence
        assert refused.value.issues[0].pointer == "/sections"

    def test_what_has_no_place_is_said(self, adapter: EhrAdapter, ehr: FakeEhr) -> None:
        content = self.sample("note", "create") | {
            "patient_release": {"when": "later", "reason": "after the visit"}
        }
        content["sections"] = [
            {
                "title": "Plan",
                "text": "x",
                "code": {"system": "http://loinc.org", "code": "18776-5"},
            }
        ]
        baseline = self.baseline(adapter, ehr, "note", "create")
        plan = adapter.render(parse_change("note", "create", content), tag=TAG, baseline=baseline)
        assert {r.pointer for r in plan.not_carried} == {"/sections/0/code", "/patient_release"}

    def test_a_new_code_takes_the_codes_of_other_systems_along_and_says_so(
        self, adapter: EhrAdapter, ehr: FakeEhr
    ) -> None:
        held = condition()
        held["code"]["coding"].append({"system": "http://snomed.info/sct", "code": "431857002"})
        ehr.resources["Condition/co-1"] = held
        baseline = self.baseline(adapter, ehr, "problem", "update")
        change = parse_change(
            "problem",
            "update",
            {
                "code": {
                    "system": "http://hl7.org/fhir/sid/icd-10-cm",
                    "code": "N18.31",
                    "display": "CKD 3a",
                }
            },
        )
        plan = adapter.render(change, tag=TAG, baseline=baseline)
        assert [(r.code, r.pointer) for r in plan.remarks] == [
            ("removed", "/code"),
            ("removed", ""),
        ]
