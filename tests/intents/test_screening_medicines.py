"""Medicines and orders against the practice EHR: what of the chart counts, and what the rules make of it."""

from collections.abc import Mapping
from typing import Any

import pytest
from django.db import transaction

from ehr_adapters.canonical.codes import LOINC, RXNORM, SNOMED
from intents.governance.models import ScopeGrant
from intents.lifecycle import RejectedBy, State, Tier
from intents.management import clinic as furnishing
from intents.models import Intent, PolicyVerdict
from intents.pipeline import review, screening, worklist
from intents.pipeline.screening import BESIDE, Freshness

SCOPES = ("Observation", "MedicationRequest", "MedicationStatement", "ServiceRequest", "AllergyIntolerance", "Communication")  # fmt: skip
ORAL = {"system": SNOMED, "code": "26643006"}
DAILY = {"times": 1, "per": 1, "unit": "d"}
TEXT = "Clinician: We agreed on this today, as I said before: {words}.\n"


@pytest.fixture
def prescribing(clinic):
    """The clinic, whose agent may draft medicines, orders, allergies and messages."""
    with transaction.atomic():
        for kind in SCOPES:
            for letter in "cu":
                ScopeGrant.grant(
                    agent=clinic.agent,
                    connection=clinic.connection(),
                    scope=f"system/{kind}.{letter}",
                    lane="commit",
                    actor=furnishing.INSTALLATION,
                    at=clinic.at,
                )
    return clinic


def rx(code: str, name: str) -> dict[str, str]:
    return {"system": RXNORM, "code": code, "display": name}


def quoted(words: str) -> dict[str, Any]:
    """Sources and evidence that say these words."""
    text = TEXT.format(words=words)
    source = {"ref": "s1", "kind": "transcript", "title": "Visit", "text": text}
    return {"sources": [source], "text": text}


def send(
    clinic: Any,
    kind: str,
    content: Mapping[str, Any],
    *,
    patient: str,
    words: str,
    path: str = "",
    interaction: str = "create",
    target: str = "",
    **body: Any,
) -> Intent:
    """A draft of one change whose source says `words`, after screening."""
    said = quoted(words)
    start = said["text"].index(words)
    change: dict[str, Any] = {
        "ref": "c1",
        "kind": kind,
        "interaction": interaction,
        "content": dict(content),
        "evidence": [
            {
                "path": path or ("/drug" if kind == "medication" else "/code"),
                "source": "s1",
                "start": start,
                "end": start + len(words),
                "quote": words,
                "method": "derived",
                "confidence": 0.9,
            }
        ],
    }
    if target:
        change["target"] = target
    proposal = clinic.propose([change], patient=patient, sources=said["sources"], **body)
    return clinic.screen(proposal)[0]


def entry(clinic: Any, patient: str, name: str) -> str:
    return str(clinic.patient(patient)["entries"][name])


def an_order(drug: Mapping[str, str], dose: str, unit: str = "mg", **more: Any) -> dict[str, Any]:
    return {
        "category": "prescription",
        "code": dict(drug),
        "dose": {"value": dose, "unit": unit},
        "route": ORAL,
        "frequency": DAILY,
        "priority": "routine",
        "status": "draft",
    } | more


def a_medicine(drug: Mapping[str, str], dose: str, unit: str = "mg", **more: Any) -> dict[str, Any]:
    return {
        "drug": dict(drug),
        "dose": {"value": dose, "unit": unit},
        "route": ORAL,
        "frequency": DAILY,
        "status": "active",
    } | more


def verdict(intent: Intent) -> PolicyVerdict:
    return PolicyVerdict.objects.filter(screening=intent.current_screening).latest("at")


def rules(intent: Intent) -> list[str]:
    return [reason["rule"] for reason in verdict(intent).reasons]


def facts(intent: Intent) -> dict[str, Any]:
    return dict(verdict(intent).phi_json("input"))


def codes(intent: Intent, **only: object) -> set[str]:
    return {f.code for f in intent.current_screening.findings.filter(**only)}


LISINOPRIL = rx("29046", "lisinopril")


class TestADoseDoubled:
    """P1 takes lisinopril 10 mg daily by prescription; eGFR 51, potassium 5.1."""

    def doubled(self, clinic: Any, dose: str = "20", **more: Any) -> Intent:
        content = an_order(LISINOPRIL, dose, replaces=entry(clinic, "P1", "lisinopril"), **more)
        return send(
            clinic, "order", content, patient="P1", words=f"lisinopril {dose} mg once daily"
        )

    @pytest.mark.req("000-58")
    def test_goes_to_one_prescriber_with_its_facts_on_record(self, prescribing):
        intent = self.doubled(prescribing)
        assert (intent.state, intent.tier, intent.reason) == (
            State.PENDING_APPROVAL, Tier.APPROVAL, "",
        )  # fmt: skip
        assert rules(intent) == ["ORDER-01"]
        known = facts(intent)
        assert {
            name: known[name]
            for name in (
                "ingredients", "dose_change", "doses_per_week", "allergy_conflict",
                "duplicate_entries", "egfr", "egfr_state", "pregnancy", "route",
            )
        } == {
            "ingredients": ["29046"], "dose_change": "within", "doses_per_week": 7,
            "allergy_conflict": "none", "duplicate_entries": 1, "egfr": 51, "egfr_state": "known",
            "pregnancy": "n/a", "route": "26643006",
        }  # fmt: skip
        assert codes(intent, needs_decision=True) == set()

    def test_by_more_than_twice_goes_to_two(self, prescribing):
        intent = self.doubled(prescribing, "21")
        assert (intent.tier, rules(intent)[0]) == (Tier.DUAL_APPROVAL, "MED-03")

    def test_without_saying_what_it_replaces_asks(self, prescribing):
        intent = send(
            prescribing,
            "order",
            an_order(LISINOPRIL, "20"),
            patient="P1",
            words="lisinopril 20 mg once daily",
        )
        assert codes(intent, needs_decision=True) == {"same-medicine"}
        assert facts(intent)["dose_change"] == "within"

    def test_is_rejected_where_the_allergies_cannot_be_read(self, prescribing):
        prescribing.practice.fault(
            "error-before-commit", method="GET", path=r"AllergyIntolerance\?", times=None
        )
        intent = self.doubled(prescribing)
        prescribing.practice.clear_faults()
        assert (intent.state, intent.rejected_by) == (State.REJECTED, RejectedBy.POLICY)
        assert rules(intent) == ["INTERACTION-02"]

    @pytest.mark.req("001-90")
    def test_asks_where_the_other_medicines_cannot_be_read(self, prescribing):
        prescribing.practice.fault(
            "error-before-commit", method="GET", path=r"MedicationStatement\?", times=None
        )
        intent = self.doubled(prescribing)
        prescribing.practice.clear_faults()
        assert "unreadable" in codes(intent, needs_decision=True)
        assert facts(intent)["dose_change"] == "within", "the entry itself was read"


class TestAMedicineThatIsStopped:
    """By the rules, with the reason in words."""

    def test_amoxicillin_for_somebody_allergic_to_it(self, prescribing):
        drug = rx("723", "amoxicillin")
        intent = send(
            prescribing, "order", an_order(drug, "640"), patient="P3", words="amoxicillin 640 mg"
        )
        assert (intent.state, intent.rejected_by) == (State.REJECTED, RejectedBy.POLICY)
        assert rules(intent) == ["INTERACTION-01"]
        assert "allergy" in intent.reason
        assert "allergy-conflict" in codes(intent)

    def test_amoxicillin_for_her_twin_needs_two_people(self, prescribing):
        drug = rx("723", "amoxicillin")
        intent = send(
            prescribing, "order", an_order(drug, "640"), patient="P4", words="amoxicillin 640 mg"
        )
        assert (intent.tier, rules(intent)[0]) == (Tier.DUAL_APPROVAL, "MED-04")
        assert codes(intent, needs_decision=True) == set()

    def test_hydromorphone_by_an_order(self, prescribing):
        drug = rx("3423", "hydromorphone")
        intent = send(
            prescribing, "order", an_order(drug, "4"), patient="P7", words="hydromorphone 4 mg"
        )
        assert (intent.state, intent.rejected_by) == (State.REJECTED, RejectedBy.POLICY)
        assert rules(intent)[0] == "CONTROLLED-01"

    def test_methotrexate_every_day(self, prescribing):
        drug = rx("6851", "methotrexate")
        intent = send(
            prescribing, "medication", a_medicine(drug, "15"), patient="P10", words="methotrexate 15 mg"
        )  # fmt: skip
        assert (intent.state, intent.rejected_by) == (State.REJECTED, RejectedBy.POLICY)
        assert "METHOTREXATE-01" in rules(intent)
        weekly = send(
            prescribing,
            "medication",
            a_medicine(drug, "15", frequency={"times": 1, "per": 1, "unit": "wk"}),
            patient="P10",
            words="methotrexate 15 mg",
        )
        assert (weekly.tier, set(rules(weekly))) == (Tier.DUAL_APPROVAL, {"MED-01", "MED-07", "MED-08"})  # fmt: skip
        assert facts(weekly)["pregnancy"] == "yes"

    @pytest.mark.req("001-90")
    def test_furosemide_that_the_chart_holds_twice(self, prescribing):
        drug = rx("4603", "furosemide")
        intent = send(
            prescribing, "order", an_order(drug, "80"), patient="P11", words="furosemide 80 mg"
        )
        assert (intent.state, rules(intent)) == (State.REJECTED, ["INTERACTION-03"])
        assert facts(intent)["duplicate_entries"] == 2

    def test_a_medicine_that_nobody_reviewed(self, prescribing):
        drug = rx("999999", "zorvatib")
        intent = send(
            prescribing, "order", an_order(drug, "5"), patient="P1", words="zorvatib 5 mg"
        )
        assert (intent.state, rules(intent)) == (State.REJECTED, ["MED-02"])

    def test_a_refill_for_somebody_who_died(self, prescribing):
        drug = rx("17767", "amlodipine")
        intent = send(
            prescribing, "order", an_order(drug, "5"), patient="P16", words="amlodipine 5 mg"
        )
        assert intent.state in (State.REJECTED, State.HELD)
        assert "patient-deceased" in codes(intent, holds=True)
        assert "GATE-05" in rules(intent)


class TestAMedicineForTwoPeople:
    def test_metformin_at_an_egfr_under_30(self, prescribing):
        content = an_order(
            rx("6809", "metformin"), "500",
            replaces=entry(prescribing, "P11", "metformin"), frequency={"times": 2, "per": 1, "unit": "d"},
        )  # fmt: skip
        intent = send(
            prescribing, "order", content, patient="P11", words="metformin 500 mg twice a day"
        )
        assert (intent.state, intent.tier) == (State.PENDING_APPROVAL, Tier.DUAL_APPROVAL)
        assert rules(intent)[0] == "MED-05"
        assert facts(intent)["egfr"] == 24


class TestAnOrderForASide:
    """P9's right knee hurts."""

    def xray(self, clinic: Any, side: str) -> Intent:
        content = {
            "category": "imaging",
            "code": {"system": LOINC, "code": "36554-4", "display": "XR Knee Views"},
            "side": side,
            "priority": "routine",
            "status": "draft",
        }
        return send(
            clinic, "order", content, patient="P9", words="an x-ray of the knee", encounter=None
        )

    def test_that_the_problem_does_not_name_is_one_question(self, prescribing):
        left, right = self.xray(prescribing, "7771000"), self.xray(prescribing, "24028007")
        assert (left.tier, rules(left)) == (Tier.APPROVAL, ["ORDER-01"])
        assert codes(left, needs_decision=True) == {"side-differs"}
        assert codes(right, needs_decision=True) == set()


class TestAMessageToAProxy:
    def test_from_a_restricted_visit_is_refused(self, prescribing):
        content = {
            "to": {"who": "proxy", "name": "Tunde Adeye"},
            "subject": "Visit",
            "body": "Please book a visit.",
            "carries": ["none"],
        }
        intent = send(
            prescribing,
            "message",
            content,
            patient="P15",
            words="Please book a visit",
            path="/body",
        )
        assert (intent.state, intent.rejected_by) == (State.REJECTED, RejectedBy.POLICY)
        assert rules(intent) == ["MSG-03"]


class TestNoKnownAllergies:
    def test_beside_an_active_allergy_is_refused(self, prescribing):
        content = {
            "substance": {"system": SNOMED, "code": "716186003"},
            "category": "environment",
            "clinical_status": "active",
            "verification": "confirmed",
        }
        said = {"words": "no known allergies", "path": "/substance"}
        refused = send(prescribing, "allergy", content, patient="P2", **said)
        assert (refused.state, refused.rejected_by) == (State.REJECTED, RejectedBy.VALIDATION)
        assert "none-known-beside-active" in codes(refused, severity="error")
        again = send(prescribing, "allergy", content, patient="P5", **said)
        assert "duplicate" in codes(again, severity="error")


class TestAWeightInTheWrongUnit:
    def test_of_a_child_is_asked_about(self, prescribing):
        """Ada weighs 18.2 kg, which is 40 lb."""

        def weighed(value: str, unit: str) -> Intent:
            reading = {
                "code": {"system": LOINC, "code": "29463-7"},
                "value": {"value": value, "unit": unit},
            }
            content = {
                "readings": [reading],
                "effective_at": prescribing.at.isoformat(timespec="seconds"),
                "origin": "measured",
            }
            return send(
                prescribing,
                "vitals",
                content,
                patient="P3",
                words="she weighs 40",
                path="/readings",
            )

        wrong, right = weighed("40", "kg"), weighed("40", "[lb_av]")
        assert rules(wrong) == rules(right) == ["VITALS-02"]
        assert codes(wrong, needs_decision=True) == {"weight-differs"}
        assert codes(right, needs_decision=True) == set()


class TestAWarningTakenAway:
    def test_needs_two_people(self, prescribing):
        intent = send(
            prescribing,
            "allergy",
            {"criticality": "unable-to-assess"},
            patient="P3",
            words="how dangerous is not known",
            path="/criticality",
            interaction="update",
            target=entry(prescribing, "P3", "allergy_amoxicillin"),
        )
        assert (intent.state, intent.tier) == (State.PENDING_APPROVAL, Tier.DUAL_APPROVAL)
        assert rules(intent)[0] == "ALLERGY-02"


class TestWhoDecides:
    """Reyes and Lam prescribe, Brandt is a nurse, Vasik a pharmacist; P1's visit is Reyes'."""

    def test_about_an_order_is_whose_name_it_carries(self, prescribing):
        intent = TestADoseDoubled().doubled(prescribing)
        allowed = {
            who
            for who in ("reyes", "lam", "brandt", "vasik")
            if may_decide(prescribing, intent, who)
        }
        assert allowed == {"reyes"}
        assert worklist.may_take_over(intent, prescribing.person("lam"))
        assert not worklist.may_take_over(intent, prescribing.person("brandt"))
        with pytest.raises(review.NotAllowed):
            review.take_over_as_author(
                intent_id=intent.pk, reviewer=prescribing.person("brandt"), at=prescribing.at
            )

    def test_about_a_list_entry_is_a_nurses_too_unless_it_is_high_alert(self, prescribing):
        low, high = (
            send(
                prescribing,
                "medication",
                a_medicine(rx(code, name), dose),
                patient="P6",
                words=f"{name} {dose} mg",
            )
            for code, name, dose in (("17767", "amlodipine", "5"), ("11289", "warfarin", "5"))
        )
        assert (low.tier, high.tier) == (Tier.APPROVAL, Tier.DUAL_APPROVAL)
        assert may_decide(prescribing, low, "brandt")
        assert not may_decide(prescribing, high, "brandt")
        assert may_decide(prescribing, high, "vasik")

    def test_about_a_plain_message_is_the_clinician_of_the_visit(self, prescribing):
        content = {
            "to": {"who": "patient"},
            "subject": "Visit",
            "body": "Please book a visit.",
            "carries": ["none"],
        }
        said = {"patient": "P1", "words": "Please book a visit", "path": "/body"}
        plain = send(prescribing, "message", content, **said)
        telling = send(prescribing, "message", content | {"carries": ["result"]}, **said)
        assert (plain.tier, telling.tier) == (Tier.APPROVAL, Tier.DUAL_APPROVAL)
        assert may_decide(prescribing, plain, "reyes")
        assert not may_decide(prescribing, plain, "lam")
        assert may_decide(prescribing, telling, "lam")


def may_decide(clinic: Any, intent: Intent, who: str) -> bool:
    return worklist.may_decide(intent, clinic.person(who))


def become_allergic(clinic: Any, patient: str) -> None:
    """A colleague records an allergy to penicillin."""
    who = clinic.patient(patient)["patient"]
    allergy = {
        "resourceType": "AllergyIntolerance",
        "clinicalStatus": {"coding": [{"code": "active"}]},
        "verificationStatus": {"coding": [{"code": "confirmed"}]},
        "code": {"coding": [rx("70618", "penicillin")]},
        "patient": {"reference": f"Patient/{who}"},
    }
    clinic.practice.lever("add_resource", vendor="generic", patient=patient, resource=allergy)


class TestALaterLook:
    """The allergies may change while a prescription waits."""

    @pytest.mark.req("003-24")
    def test_at_a_new_allergy_checks_again_and_stops_what_it_forbids(self, prescribing):
        drug = rx("723", "amoxicillin")
        intent = send(
            prescribing, "order", an_order(drug, "500"), patient="P5", words="amoxicillin 500 mg"
        )
        assert intent.state == State.PENDING_APPROVAL, intent.reason
        (same,) = screening.refresh(proposal_id=intent.proposal_id, at=prescribing.at)
        assert same.freshness is Freshness.UNCHANGED
        become_allergic(prescribing, "P5")
        found = screening.fresh_check_intent(intent=intent, at=prescribing.at)
        assert (found.freshness, found.fields) == (Freshness.WHOLE_DIFFERS, (BESIDE,))
        (acted,) = screening.refresh(proposal_id=intent.proposal_id, at=prescribing.at)
        assert acted.freshness is Freshness.TOUCHED_DIFFERS
        held = Intent.objects.get(pk=intent.pk)
        assert held.state == State.HELD
        assert "allergy" in held.reason

    @pytest.mark.req("003-24")
    def test_at_a_new_allergy_after_the_approval_stops_the_sending(self, prescribing):
        drug = rx("723", "amoxicillin")
        intent = send(
            prescribing, "order", an_order(drug, "500"), patient="P5", words="amoxicillin 500 mg"
        )
        prescribing.approve(intent.proposal)
        become_allergic(prescribing, "P5")
        prescribing.deliver()
        held = Intent.objects.get(pk=intent.pk)
        assert (held.state, held.reason.split(":")[0]) == (State.HELD, "beside-changed")
        assert prescribing.written(patient="P5", kind="MedicationRequest") == []
