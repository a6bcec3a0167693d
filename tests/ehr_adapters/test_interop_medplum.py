"""The generic adapter against a FHIR server that this project did not write."""

from dataclasses import replace

import pytest

from ehr_adapters.base import EhrAdapter
from ehr_adapters.canonical import codes
from ehr_adapters.canonical.base import changed_fields, parse_change
from ehr_adapters.capabilities import RetryClass
from ehr_adapters.contract import (
    ReadRequest,
    Tag,
    WirePlan,
    comparable_differences,
)
from ehr_adapters.errors import (
    AdapterError,
    AlreadyThere,
    ContentRefused,
    NotPermitted,
    OutcomeUnknown,
    TokenRejected,
    TokenUnavailable,
    VersionConflict,
)
from tests.ehr_adapters.strangers import AT, Server, adapter, chart, request, server

__all__ = ["adapter", "chart", "server"]
pytestmark = [pytest.mark.once, pytest.mark.interop]


def note_plan(adapter: EhrAdapter, chart: dict[str, str]) -> WirePlan:
    change = parse_change(
        "note",
        "create",
        {
            "type": "11506-3",
            "status": "unsigned",
            "sensitivity": "normal",
            "date": "2026-11-20T08:41:02-06:00",
            "author": chart["practitioner"],
            "sections": [{"title": "Plan", "text": "BP ≥ 140\n====\n5 µg"}],
        },
    )
    return adapter.render(change, tag=Tag.mint(), baseline=adapter.read(request(chart, "note")))


def problem_plan(adapter: EhrAdapter, chart: dict[str, str]) -> WirePlan:
    change = parse_change(
        "problem",
        "create",
        {
            "code": {"system": codes.ICD10CM, "code": "N18.30", "display": "CKD stage 3"},
            "category": "problem-list-item",
            "clinical_status": "active",
            "verification": "confirmed",
            "onset": "2020-03",
            "note": "eGFR 52",
        },
    )
    return adapter.render(change, tag=Tag.mint(), baseline=adapter.read(request(chart, "problem")))


def update_plan(adapter: EhrAdapter, chart: dict[str, str], target: str) -> WirePlan:
    change = parse_change(
        "problem",
        "update",
        {"code": {"system": codes.ICD10CM, "code": "N18.31", "display": "CKD stage 3a"}},
    )
    baseline = adapter.read(request(chart, "problem", interaction="update", target=target))
    return adapter.render(change, tag=Tag.mint(), baseline=baseline)


def send(adapter: EhrAdapter, plan: WirePlan) -> str:
    step = plan.steps[0]
    receipt = adapter.submit(step, token=adapter.authenticate(step))
    assert receipt.version_id
    return receipt.reference


class TestAgainstAnotherServer:
    @pytest.mark.req("003-60")
    def test_a_note_is_written_once_found_and_equal(
        self, adapter: EhrAdapter, chart: dict[str, str]
    ) -> None:
        plan = note_plan(adapter, chart)
        reference = send(adapter, plan)
        found = adapter.find([plan.tag], plan, since=AT, at=AT)
        assert found.complete
        [hit] = found.hits
        assert hit.snapshot.reference == reference
        assert comparable_differences(plan.comparable, hit.snapshot.comparable) == ()
        assert (
            changed_fields(
                "note", adapter.parse(plan).model_dump_canonical(), hit.snapshot.canonical
            )
            == ()
        )
        with pytest.raises(AlreadyThere) as there:
            send(adapter, plan)
        assert there.value.reference == reference
        assert len(adapter.find([plan.tag], plan, since=AT, at=AT).hits) == 1

    @pytest.mark.req("002-40")
    def test_an_update_is_fenced_by_the_version(
        self, server: Server, adapter: EhrAdapter, chart: dict[str, str]
    ) -> None:
        target = send(adapter, problem_plan(adapter, chart))
        plan = update_plan(adapter, chart, target)
        colleague = server.raw("GET", target)
        colleague["note"] = [{"text": "seen by a colleague"}]
        server.raw("PUT", target, colleague)
        with pytest.raises(VersionConflict):
            send(adapter, plan)
        held = adapter.read_entry(kind="problem", reference=target, at=AT)
        assert held is not None
        assert held.canonical["note"] == "seen by a colleague"
        again = update_plan(adapter, chart, target)
        send(adapter, again)
        [hit] = adapter.find([again.tag], again, since=AT, at=AT).hits
        assert comparable_differences(again.comparable, hit.snapshot.comparable) == ()
        assert hit.snapshot.canonical["code"][0]["code"] == "N18.31"
        assert hit.snapshot.canonical["note"] == "seen by a colleague"
        with pytest.raises(VersionConflict):
            send(adapter, again)

    @pytest.mark.req("003-55", "002-46")
    def test_a_reply_that_comes_too_late_is_unknown_and_then_found(
        self, server: Server, adapter: EhrAdapter, chart: dict[str, str]
    ) -> None:
        # Every other way to lose a reply is met by every kind in test_interop_kinds.
        fault, sender = "delay-after-commit", server.adapter(read_timeout=0.3)
        for plan in (note_plan(adapter, chart), problem_plan(adapter, chart)):
            token = adapter.authenticate(plan.steps[0])
            server.fault(fault, method="POST", path="^(DocumentReference|Condition)", ms=900)
            with pytest.raises(OutcomeUnknown):
                sender.submit(plan.steps[0], token=token)
            server.clear_faults()
            found = adapter.find([plan.tag], plan, since=AT, at=AT)
            assert found.complete
            assert len(found.hits) == 1
            assert comparable_differences(plan.comparable, found.hits[0].snapshot.comparable) == ()

    @pytest.mark.parametrize(("fault", "branch"), [("401", TokenRejected), ("412", AlreadyThere)])
    def test_what_failed_before_the_commit_is_absent(
        self,
        server: Server,
        adapter: EhrAdapter,
        chart: dict[str, str],
        fault: str,
        branch: type[AdapterError],
    ) -> None:
        plan = problem_plan(adapter, chart)
        token = adapter.authenticate(plan.steps[0])
        server.fault(fault, method="POST", path="^Condition")
        with pytest.raises(branch):
            adapter.submit(plan.steps[0], token=token)
        found = adapter.find([plan.tag], plan, since=AT, at=AT)
        assert found.complete
        assert found.hits == ()
        assert send(adapter, plan)

    def test_what_the_server_validates_away_is_refused(
        self, adapter: EhrAdapter, chart: dict[str, str]
    ) -> None:
        plan = problem_plan(adapter, chart)
        step = replace(plan.steps[0], body=plan.steps[0].body.replace(b'"subject"', b'"nonsense"'))
        with pytest.raises(ContentRefused) as refused:
            adapter.submit(step, token=adapter.authenticate(step))
        assert "eGFR" not in str(refused.value)

    def test_a_token_says_what_it_may_and_no_more(
        self, server: Server, adapter: EhrAdapter, chart: dict[str, str]
    ) -> None:
        note, problem = note_plan(adapter, chart), problem_plan(adapter, chart)
        token = adapter.authenticate(note.steps[0])
        assert token.scope == "system/DocumentReference.c"
        with pytest.raises(NotPermitted):
            adapter.submit(problem.steps[0], token=token)
        server.fault("503", path="oauth2")
        with pytest.raises(TokenUnavailable):
            adapter.authenticate(note.steps[0])

    def test_what_is_missing_is_told_from_what_is_there(
        self, adapter: EhrAdapter, chart: dict[str, str]
    ) -> None:
        baseline = adapter.read(
            ReadRequest(patient="nobody", kind="problem", at=AT, target="Condition/none")
        )
        assert baseline.missing == ("patient", "target")
        baseline = adapter.read(request(chart, "problem", context=("allergies", "medications")))
        assert (baseline.missing, baseline.unreadable) == ((), ())
        assert baseline.visit is not None
        assert baseline.visit.open
        assert baseline.identity is not None
        assert baseline.identity.family == chart["family"]

    def test_name_alikes_are_found(
        self, server: Server, adapter: EhrAdapter, chart: dict[str, str]
    ) -> None:
        other = server.raw(
            "POST",
            "Patient",
            {
                "resourceType": "Patient",
                "name": [{"family": chart["family"].upper(), "given": ["Ida"]}],
                "birthDate": "1957-04-13",
            },
        )["id"]
        identity = adapter.read(request(chart, "problem", neighbourhood=False)).identity
        assert identity is not None
        alikes = adapter.find_name_alikes(identity, at=AT)
        assert [c.id for c in alikes.candidates] == [other]

    def test_a_page_that_hides_the_rest_is_not_taken_for_the_whole(
        self, server: Server, adapter: EhrAdapter, chart: dict[str, str]
    ) -> None:
        for _ in range(5):
            send(adapter, problem_plan(adapter, chart))
        assert len(adapter.read(request(chart, "problem")).neighbourhood) == 5
        # This server gives the total and one page, without a link to the next.
        paged = server.adapter(settings={"page_size": 2}).read(request(chart, "problem"))
        assert [u.what for u in paged.unreadable] == ["problems"]

    def test_the_servers_own_statement_admits_what_is_declared(self, adapter: EhrAdapter) -> None:
        found = adapter.discover(at=AT)
        assert found.may("note", "create")
        assert found.get("problem", "update").retry is RetryClass.S1
        assert found.evidence

    @pytest.mark.req("000-42")
    def test_a_probe_proves_what_a_retry_rests_on(
        self, server: Server, chart: dict[str, str]
    ) -> None:
        plain = server.adapter(settings={})
        assert plain.capabilities.get("problem", "create").retry is RetryClass.S3
        result = plain.probe(patient=chart["patient"], at=AT)
        assert result.settings == {
            "conditional_create_probed": "2026-11-20",
            "stale_if_match_probed": "2026-11-20",
            "conflict_means_version": False,
        }
        assert "1 found" in result.evidence[0]
        probed = server.adapter(settings=result.applied_to({"page_size": 20}))
        assert probed.capabilities.get("problem", "create").retry is RetryClass.S2
        assert probed.capabilities.get("problem", "update").retry is RetryClass.S1
        # Nothing of the probe stands in the chart as a problem.
        assert plain.read(request(chart, "problem")).neighbourhood == ()
