"""The adapters against the practice EHR, over HTTP, with its faults and what colleagues do there."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from ehr_adapters import registry
from ehr_adapters.base import EhrAdapter
from ehr_adapters.canonical.base import changed_fields, parse_change
from ehr_adapters.canonical.codes import ICD10CM
from ehr_adapters.contract import (
    Baseline,
    Connection,
    ReadRequest,
    Tag,
    WirePlan,
    comparable_differences,
)
from ehr_adapters.errors import (
    CannotBeCarried,
    NotPermitted,
    VersionConflict,
)
from tests.ehr_adapters.practice import Practice, fresh_practice, practice

__all__ = ["fresh_practice", "practice"]
pytestmark = [pytest.mark.once, pytest.mark.req("003-60")]

KINDS = {"generic": "generic_r4", "epic": "epic"}


class Stage:
    """One adapter connected to one front of the practice EHR, and its patient P1."""

    def __init__(self, practice: Practice, vendor: str, **settings: Any) -> None:
        self.practice, self.vendor = practice, vendor
        backend = practice.client(vendor)
        self.at = datetime.now(UTC)
        self.connection = Connection(
            kind=KINDS[vendor],
            base_url=backend.base,
            token_url=backend.token_url,
            client_id=backend.client_id,
            private_key_pem=backend.key.private_bytes(
                Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
            ).decode(),
            settings=settings,
            read_timeout=20.0,
            deadline=30.0,
        )
        self.people = practice.directory(vendor)

    @property
    def adapter(self) -> EhrAdapter:
        return registry.get_adapter(self.connection)

    def read(self, kind: str, who: str = "P1", **more: Any) -> Baseline:
        person = self.people[who]
        return self.adapter.read(
            ReadRequest(
                patient=person["patient"],
                encounter=person["encounter"],
                kind=kind,
                at=self.at,
                **more,
            )
        )

    def note(self, who: str = "P1", **more: Any) -> WirePlan:
        content = {
            "type": "11506-3",
            "status": "unsigned",
            "author": self.people["staff"]["prescriber_one"]["practitioner"],
            "date": self.at.isoformat(timespec="seconds"),
            "sections": [{"title": "Plan", "text": "BP ≥ 140\n====\nFollow up."}],
        } | more
        return self.adapter.render(
            parse_change("note", "create", content), tag=Tag.mint(), baseline=self.read("note", who)
        )

    def problem(self, who: str = "P1", **more: Any) -> WirePlan:
        content = {
            "code": {"system": ICD10CM, "code": "R42", "display": "Dizziness and giddiness"},
            "category": "problem-list-item",
            "clinical_status": "active",
            "verification": "provisional",
            "note": "Said so today.",
        } | more
        return self.adapter.render(
            parse_change("problem", "create", content),
            tag=Tag.mint(),
            baseline=self.read("problem", who),
        )

    def change(self, target: str, interaction: str = "update", **content: Any) -> WirePlan:
        kind = "note" if target.startswith("DocumentReference") else "problem"
        baseline = self.read(kind, interaction=interaction, target=target)
        return self.adapter.render(
            parse_change(kind, interaction, content), tag=Tag.mint(), baseline=baseline
        )

    def send(self, plan: WirePlan) -> str:
        step = plan.steps[0]
        return self.adapter.submit(step, token=self.adapter.authenticate(step)).reference

    def held(self, plan: WirePlan) -> list[str]:
        """Every entry that this plan's tag is found in; fails unless the search was complete."""
        found = self.adapter.find(
            [plan.tag], plan, since=self.at - timedelta(minutes=5), at=self.at
        )
        assert found.complete, found.reason
        return [hit.snapshot.reference for hit in found.hits]


@pytest.fixture
def generic(fresh_practice: Practice) -> Stage:
    return Stage(fresh_practice, "generic")


@pytest.fixture
def epic(fresh_practice: Practice) -> Stage:
    return Stage(fresh_practice, "epic")


class TestTheGenericFront:
    def test_every_interaction_is_written_read_back_and_equal(self, generic: Stage) -> None:
        note = generic.note()
        filed = generic.send(note)
        assert generic.held(note) == [filed]
        problem = generic.problem()
        listed = generic.send(problem)
        assert generic.held(problem) == [listed]
        steps = [
            generic.change(filed, mode="append", sections=[{"title": "Later", "text": "Called."}])
        ]
        generic.send(steps[-1])
        steps.append(generic.change(listed, verification="confirmed", note=None, onset="2026-11"))
        generic.send(steps[-1])
        steps.append(generic.change(listed, "resolve", abatement="2026-11-20"))
        generic.send(steps[-1])
        for plan in (note, problem):
            entry = generic.adapter.read_entry(
                kind=plan.kind, reference=filed if plan is note else listed, at=generic.at
            )
            assert entry is not None
            assert entry.carries(plan.tag) or plan is problem
        for plan in steps[:1] + steps[-1:]:
            entry = generic.adapter.read_entry(kind=plan.kind, reference=plan.target, at=generic.at)
            assert entry is not None
            assert comparable_differences(plan.comparable, entry.comparable) == ()
            said = generic.adapter.parse(plan).model_dump_canonical()
            assert changed_fields(plan.kind, said, entry.canonical) == ()
        for target in (filed, listed):
            generic.send(generic.change(target, "entered-in-error"))

    def test_an_addendum_is_a_new_document_that_names_the_signed_one(self, generic: Stage) -> None:
        filed = generic.send(generic.note())
        generic.practice.lever("sign", vendor="generic", patient="P1", reference=filed)
        with pytest.raises(CannotBeCarried):
            generic.change(filed, mode="append", sections=[{"title": "Later", "text": "x"}])
        plan = generic.change(
            filed,
            "amend",
            type="11506-3",
            status="unsigned",
            amends=filed,
            sections=[{"title": "Addendum", "text": "Result arrived."}],
        )
        added = generic.send(plan)
        assert generic.held(plan) == [added]
        entry = generic.adapter.read_entry(kind="note", reference=added, at=generic.at)
        assert entry is not None
        assert entry.canonical["amends"] == filed

    @pytest.mark.req("003-65")
    @pytest.mark.fault("generic.stale-if-match")
    def test_a_colleagues_edit_refuses_the_stale_update_and_stays(self, generic: Stage) -> None:
        target = generic.send(generic.problem())
        plan = generic.change(target, verification="confirmed")
        generic.practice.lever(
            "edit_as_colleague",
            vendor="generic",
            patient="P1",
            reference=target,
            changes={"severity": {"text": "mild"}},
        )
        with pytest.raises(VersionConflict):
            generic.send(plan)
        fresh = generic.change(target, verification="confirmed")
        generic.send(fresh)
        entry = generic.adapter.read_entry(kind="problem", reference=target, at=generic.at)
        assert entry is not None
        assert (entry.canonical["severity"], entry.canonical["verification"]) == (
            "mild",
            "confirmed",
        )

    @pytest.mark.req("003-09", "003-65", "002-77")
    def test_the_name_alike_is_found_and_a_merged_patient_is_not_written_to(
        self, generic: Stage
    ) -> None:
        identity = generic.read("problem", neighbourhood=False).identity
        assert identity is not None
        alikes = generic.adapter.find_name_alikes(identity, at=generic.at)
        assert [c.id for c in alikes.candidates] == [generic.people["P2"]["patient"]]
        assert alikes.complete
        generic.practice.lever("merge", loser="P14", survivor="P13")
        person = generic.people["P14"]
        baseline = generic.adapter.read(
            ReadRequest(patient=person["patient"], kind="problem", at=generic.at)
        )
        assert baseline.identity is not None
        assert baseline.identity.replaced_by == f"Patient/{generic.people['P13']['patient']}"
        with pytest.raises(CannotBeCarried):
            generic.adapter.render(
                parse_change(
                    "problem",
                    "create",
                    {
                        "code": "R42",
                        "category": "problem-list-item",
                        "clinical_status": "active",
                        "verification": "confirmed",
                    },
                ),
                tag=Tag.mint(),
                baseline=baseline,
            )

    def test_the_dead_are_known(self, generic: Stage) -> None:
        identity = generic.read("problem", "P16", neighbourhood=False).identity
        assert identity is not None
        assert identity.deceased


class TestTheEpicFront:
    def test_a_note_is_filed_unsigned_and_read_back_by_its_id(self, epic: Stage) -> None:
        plan = epic.note()
        reference = epic.send(plan)
        entry = epic.adapter.read_entry(kind="note", reference=reference, at=epic.at)
        assert entry is not None
        assert entry.carries(plan.tag)
        assert entry.canonical["status"] == "unsigned"
        assert comparable_differences(plan.comparable, entry.comparable) == ()

    @pytest.mark.req("001-53")
    @pytest.mark.fault("epic.holding-tank")
    def test_a_problem_is_staged_and_not_found(self, epic: Stage) -> None:
        plan = epic.problem()
        reference = epic.send(plan)
        assert reference.startswith("Condition/")
        found = epic.adapter.find([plan.tag], plan, since=epic.at, at=epic.at)
        assert (found.complete, found.hits) == (False, ())
        [staged] = [s for s in epic.practice.staged(vendor="epic") if plan.tag.short in str(s)]
        assert staged

    @pytest.mark.fault("epic.notes-twice")
    def test_the_same_note_twice_is_two_notes_so_nothing_is_sent_twice(self, epic: Stage) -> None:
        from ehr_adapters.capabilities import RetryClass

        plan = epic.note()
        assert epic.send(plan) != epic.send(plan)
        assert epic.adapter.capabilities.get("note", "create").retry is RetryClass.S4

    def test_what_the_customer_withdraws_is_neither_offered_nor_written(self, epic: Stage) -> None:
        plan = epic.note()
        assert epic.adapter.discover(at=epic.at).may("note", "create")
        epic.practice.settings("epic", not_offered=["DocumentReference.create"])
        assert not epic.adapter.discover(at=epic.at).may("note", "create")
        with pytest.raises(NotPermitted):
            epic.send(plan)

    @pytest.mark.fault("epic.empty-403")
    def test_what_the_app_is_not_registered_for_is_not_permitted(self, epic: Stage) -> None:
        plan = epic.note()
        step = replace(plan.steps[0], path="Procedure", label="create Procedure")
        with pytest.raises(NotPermitted):
            epic.adapter.submit(step, token=epic.adapter.authenticate(plan.steps[0]))
