"""An order: what may be said of it, how it stands in FHIR R4, and in the practice EHR over HTTP."""

from collections.abc import Iterator
from typing import Any

import pytest

from ehr_adapters import registry
from ehr_adapters.canonical.base import (
    ChangeInvalid,
    fhir_type_of,
    fhir_types,
    kind_model,
    parse_change,
    words,
)
from ehr_adapters.canonical.codes import CVX, LOINC, RXNORM, SNOMED
from ehr_adapters.canonical.exact_json import dumps, loads
from ehr_adapters.canonical.fhir_r4 import Destination, from_fhir, to_fhir
from ehr_adapters.canonical.strict_r4 import check
from ehr_adapters.capabilities import CapabilitySet, Finality
from ehr_adapters.contract import TAG_SYSTEM
from ehr_adapters.errors import CannotBeCarried
from intents.pipeline import matching
from tests.ehr_adapters.contents import SAMPLES
from tests.ehr_adapters.fake_ehr import AT, OLD_TAG, FakeEhr, draft_order, threaded_server
from tests.ehr_adapters.practice import Practice, fresh_practice, practice
from tests.ehr_adapters.stage import Stage

__all__ = ["fresh_practice", "practice"]
pytestmark = pytest.mark.once

LAB = SAMPLES["order", "create"]
LISINOPRIL_20 = {
    "category": "prescription",
    "code": {"system": RXNORM, "code": "29046", "display": "lisinopril"},
    "dose": {"value": "20", "unit": "mg"},
    "route": "26643006",
    "frequency": {"times": 1, "per": 1, "unit": "d"},
    "sig_text": "Take 1 tablet (20 mg) by mouth once daily.",
    "quantity": {"value": "90", "unit": "{tablet}"},
    "refills": 3,
    "days_supply": 90,
    "priority": "routine",
    "status": "draft",
}


def destination(current: dict[str, Any] | None = None) -> Destination:
    return Destination(
        patient="Patient/pa-1",
        tag_system=TAG_SYSTEM,
        tag_value=OLD_TAG.uuid,
        tag_short=OLD_TAG.short,
        current=current,
    )


def issues(content: dict[str, Any]) -> list[tuple[str, str]]:
    with pytest.raises(ChangeInvalid) as refused:
        parse_change("order", "create", content)
    return [(i.pointer, i.code) for i in refused.value.issues]


class TestWhatMayBeSaid:
    @pytest.mark.parametrize(
        ("content", "expected"),
        [
            (LAB | {"status": "active"}, [("/status", "not-in-this-interaction")]),
            (LAB | {"code": {"system": RXNORM, "code": "29046"}}, [("/code/system", "unknown-system")]),
            (LAB | {"dose": {"value": "1", "unit": "mg"}}, [("/dose", "contradiction")]),
            (LAB | {"side": "7771000"}, [("/side", "contradiction")]),
            (LAB | {"replaces": "MedicationRequest/1"}, [("/replaces", "bad-reference")]),
            (LISINOPRIL_20 | {"replaces": "ServiceRequest/1"}, [("/replaces", "bad-reference")]),
            (LISINOPRIL_20 | {"replaces": "MedicationStatement/1"}, [("/replaces", "bad-reference")]),
            (LISINOPRIL_20 | {"refills": -1}, [("/refills", "wrong-type")]),
            (LISINOPRIL_20 | {"dose": {"value": "10", "unit": "mg"}}, [("/sig_text", "contradiction")]),
            (
                {name: value for name, value in LISINOPRIL_20.items() if name not in {"dose", "route"}},
                [("/dose", "missing"), ("/route", "missing")],
            ),
        ],
    )  # fmt: skip
    def test_that_cannot_be_is_refused(
        self, content: dict[str, Any], expected: list[tuple[str, str]]
    ) -> None:
        assert issues(content) == expected

    @pytest.mark.parametrize(
        ("category", "code", "system"),
        [
            ("lab", "2823-3", LOINC),
            ("vaccine", "140", CVX),
            ("prescription", "29046", RXNORM),
            ("procedure", "71388002", SNOMED),
        ],
    )
    def test_a_bare_code_is_of_the_system_whose_form_it_has(
        self, category: str, code: str, system: str
    ) -> None:
        base = LISINOPRIL_20 if category == "prescription" else LAB
        said = parse_change("order", "create", base | {"category": category, "code": code})
        assert said.model_dump_canonical()["code"]["system"] == system

    def test_nothing_signs_releases_or_sends_an_order(self) -> None:
        assert {str(one) for one in kind_model("order").rules} == {"create", "cancel"}

    def test_only_a_draft_is_cancelled(self) -> None:
        cancel = parse_change("order", "cancel", {})
        assert cancel.model_dump_canonical() == {"status": "cancelled"}
        assert cancel.conflicts_with({"status": "draft"}) == ()
        for status in ("active", "completed", "cancelled"):
            assert [i.code for i in cancel.conflicts_with({"status": status})] == ["not-a-draft"]

    def test_is_said_in_words(self) -> None:
        assert words("order", "days_supply", 90) == "90 days"
        assert words("order", "quantity", {"value": "90", "unit": "{tablet}"}) == "90 tablets"
        assert words("order", "status", "draft") == "draft, not signed"

    @pytest.mark.parametrize(
        ("content", "target", "type_name"),
        [
            (LAB, "", "ServiceRequest"),
            (LISINOPRIL_20, "", "MedicationRequest"),
            ({}, "MedicationRequest/1", "MedicationRequest"),
            ({}, "ServiceRequest/1", "ServiceRequest"),
            ({}, "Patient/1", "ServiceRequest"),
        ],
    )
    def test_a_scope_names_the_type_of_the_one_entry(
        self, content: dict[str, Any], target: str, type_name: str
    ) -> None:
        assert fhir_type_of("order", content, target=target) == type_name

    def test_types_follow_what_is_made_and_what_is_kept(self) -> None:
        both = ("ServiceRequest", "MedicationRequest")
        assert fhir_types("order", "create") == fhir_types("order", "cancel") == both
        assert fhir_types("medication", "create") == ("MedicationStatement",)
        assert fhir_types("medication", "update") == ("MedicationStatement", "MedicationRequest")


class TestInFhir:
    def test_a_service_is_valid_and_reads_back(self) -> None:
        content = LAB | {
            "category": "imaging",
            "code": {"system": SNOMED, "code": "168537006", "display": "Plain X-ray"},
            "side": "24028007",
            "replaces": "ServiceRequest/7",
            "indication": "Condition/5",
            "requester": "Practitioner/pr-1",
            "encounter": "Encounter/en-1",
        }
        change = parse_change("order", "create", content)
        form = to_fhir(change, destination())
        assert check(form.resource, only_scope=True) == ()
        assert form.uncarried == ()
        assert (form.resource["status"], form.resource["intent"]) == ("draft", "proposal")
        read = from_fhir(loads(dumps(form.resource)), tag_system=TAG_SYSTEM)
        assert read.content == change.model_dump_canonical()
        assert (read.uncarried, read.tags) == ((), (OLD_TAG.uuid,))

    def test_a_prescription_is_a_proposal_that_names_what_it_replaces(self) -> None:
        change = parse_change(
            "order",
            "create",
            LISINOPRIL_20 | {"replaces": "MedicationRequest/10", "when": "2026-11-21"},
        )
        form = to_fhir(change, destination())
        resource = form.resource
        assert check(resource) == ()
        assert resource["resourceType"] == "MedicationRequest"
        assert (resource["status"], resource["intent"]) == ("draft", "proposal")
        assert resource["priorPrescription"] == {"reference": "MedicationRequest/10"}
        assert resource["dispenseRequest"]["expectedSupplyDuration"]["code"] == "d"
        read = from_fhir(loads(dumps(resource)), kind="order", tag_system=TAG_SYSTEM)
        assert read.content == change.model_dump_canonical()
        assert read.uncarried == ()

    def test_a_cancelled_draft_keeps_everything_else(self) -> None:
        held = draft_order(extension=[{"url": "urn:x", "valueDecimal": 1}])
        form = to_fhir(parse_change("order", "cancel", {}), destination(held))
        assert form.resource.pop("status") == "revoked"
        del held["status"]
        form.resource["meta"] = held["meta"]
        assert form.resource == held
        prescribed = to_fhir(parse_change("order", "create", LISINOPRIL_20), destination()).resource
        again = to_fhir(parse_change("order", "cancel", {}), destination(prescribed)).resource
        assert again["status"] == "cancelled"
        for resource in (form.resource | {"status": "revoked"}, again):
            assert from_fhir(resource, kind="order").content["status"] == "cancelled"

    def test_a_strangers_order_is_read_and_nothing_of_it_goes_unseen(self) -> None:
        form = from_fhir(
            {
                "resourceType": "ServiceRequest",
                "status": "unknown",
                "intent": "order",
                "category": [{"coding": [{"system": SNOMED, "code": "108252007"}]}, {"text": "x"}],
                "code": {
                    "coding": [
                        {"system": SNOMED, "code": "271236005"},
                        {"system": LOINC, "code": "2823-3"},
                    ]
                },
                "subject": {"reference": "Patient/pa-1"},
                "bodySite": [{"coding": [{"system": SNOMED, "code": "72696002"}]}],
                "occurrencePeriod": {"start": "2026"},
                "requester": {"reference": "Organization/1"},
            }
        )
        assert form.content == {
            "category": "lab",
            "code": {"system": LOINC, "code": "2823-3"},
        }
        assert {one.place for one in form.uncarried} == {
            "status",
            "intent",
            "category[0].text",
            "code.coding[0].system",
            "code.coding[0].code",
            "bodySite[0].coding[0].system",
            "bodySite[0].coding[0].code",
            "occurrencePeriod.start",
            "requester.reference",
        }


class TestWhatTheEhrOffers:
    @staticmethod
    def _found(ehr: FakeEhr, **types: list[str]) -> CapabilitySet:
        offers = [
            {
                "type": name,
                "interaction": [{"code": code} for code in codes],
                "conditionalCreate": name != "MedicationRequest",
            }
            for name, codes in types.items()
        ]
        ehr.answer_read(
            200,
            {
                "resourceType": "CapabilityStatement",
                "fhirVersion": "4.0.1",
                "rest": [{"mode": "server", "resource": offers}],
            },
        )
        return registry.get_adapter(ehr.connection("generic_r4")).discover(at=AT)

    @pytest.fixture
    def ehr(self) -> Iterator[FakeEhr]:
        with threaded_server() as server:
            yield FakeEhr(server)

    def test_one_of_the_types_of_a_kind_is_enough(self, ehr: FakeEhr) -> None:
        found = self._found(ehr, MedicationRequest=["create", "update"])
        assert found.may("order", "create")
        assert found.may("medication", "discontinue")
        # A new list entry is never a MedicationRequest: that would be an order.
        assert not found.may("medication", "create")
        assert not self._found(ehr, Condition=["create", "update"]).may("order", "create")

    def test_the_weakest_of_the_types_counts(self, ehr: FakeEhr) -> None:
        services = self._found(ehr, ServiceRequest=["create"])
        assert services.get("order", "create").conditional_create
        both = self._found(ehr, ServiceRequest=["create"], MedicationRequest=["create"])
        assert not both.get("order", "create").conditional_create


class TestInThePractice:
    @pytest.fixture
    def stage(self, fresh_practice: Practice) -> Stage:
        return Stage(fresh_practice, "generic")

    def test_a_draft_waits_until_somebody_signs_it(self, stage: Stage) -> None:
        [now] = stage.read("medication").neighbours("medication")
        plan = stage.create("order", LISINOPRIL_20 | {"replaces": now.reference})
        assert plan.finality is Finality.STAGED
        assert plan.steps[0].scope == "system/MedicationRequest.c"
        drafted = stage.send(plan)
        assert stage.held(plan) == [drafted]
        entry = stage.entry("order", drafted)
        order = kind_model("order")
        assert order.staged_state(entry.canonical) == "waiting"
        # Nothing of the chart's own entry has changed, and the draft is no medication yet.
        [still] = stage.read("medication").neighbours("medication")
        assert still.canonical["dose"] == {"value": "10", "unit": "mg"}
        assert [o.reference for o in stage.read("order").neighbours("order")] == [drafted]
        stage.practice.lever("sign", vendor="generic", patient="P1", reference=drafted)
        signed = stage.entry("order", drafted)
        assert order.staged_state(signed.canonical) == "accepted"
        capability = stage.adapter.capabilities.get("order", "create")
        assert matching.compare(signed, plan=plan, capability=capability) == ()
        [replaced] = stage.read("medication").neighbours("medication")
        assert replaced.reference == drafted
        assert stage.entry("medication", now.reference).canonical["status"] == "stopped"

    def test_what_was_changed_before_signing_is_seen(self, stage: Stage) -> None:
        plan = stage.create("order", LISINOPRIL_20)
        drafted = stage.send(plan)
        stage.practice.lever(
            "edit_as_colleague",
            vendor="generic",
            reference=drafted,
            set={"/dosageInstruction/0/doseAndRate/0/doseQuantity/value": 15},
        )
        stage.practice.lever("sign", vendor="generic", patient="P1", reference=drafted)
        capability = stage.adapter.capabilities.get("order", "create")
        [place] = matching.compare(stage.entry("order", drafted), plan=plan, capability=capability)
        assert "doseQuantity" in place.pointer

    def test_the_portals_own_draft_is_cancelled(self, stage: Stage) -> None:
        drafted = stage.send(stage.create("order", LAB))
        plan = stage.change("order", drafted, "cancel")
        stage.send(plan)
        entry = stage.entry("order", drafted)
        assert entry.canonical["status"] == "cancelled"
        assert kind_model("order").staged_state(entry.canonical) == "declined"
        with pytest.raises(CannotBeCarried) as refused:
            stage.change("order", drafted, "cancel")
        assert [i.code for i in refused.value.issues] == ["not-a-draft"]

    def test_nobody_elses_draft_is_cancelled(self, stage: Stage) -> None:
        made = stage.backend.post(
            "ServiceRequest",
            {
                "resourceType": "ServiceRequest",
                "status": "draft",
                "intent": "proposal",
                "code": {"text": "Somebody's own"},
                "subject": {"reference": f"Patient/{stage.people['P1']['patient']}"},
            },
        ).json()
        with pytest.raises(CannotBeCarried) as refused:
            stage.change("order", f"ServiceRequest/{made['id']}", "cancel")
        assert [i.code for i in refused.value.issues] == ["foreign-entry"]
