"""Findings about medicines, orders, allergies, measurements, messages and answers, from values alone."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ehr_adapters.canonical.base import ChangeInvalid, parse_change
from ehr_adapters.contract import Baseline, PatientIdentity, Snapshot
from intents.pipeline import validation
from intents.pipeline.support.judging import Quote, SourceText
from intents.pipeline.validation import Cited, Draft, Finding, Sibling, Waiting
from tests.unit.charts import (
    AT,
    LOINC,
    SNOMED,
    a_chart,
    allergy,
    amount,
    an_entry,
    charts,
    code,
    egfr,
    often,
    problem,
    rx,
    taking,
    weight,
)

pytestmark = pytest.mark.once

SOURCE = (
    "Clinician: We will double the lisinopril to 20 mg once daily.\n"
    "Clinician: Give her eight millilitres, 8 mL, twice a day.\n"
    "Clinician: Blood pressure was 154 over 92, and she weighs 78 kg.\n"
    "Patient: My mother is allergic to penicillin.\n"
    "Patient: I had hives from sumatriptan.\n"
    "Clinician: Repeat the potassium in two weeks.\n"
)
SOURCES = {"s1": SourceText("s1", "transcript", SOURCE)}
ORAL = code(SNOMED, "26643006")
CHILD = PatientIdentity(id="7", family="MARROWBY", birth_date="2020-11-20", sex="female")
BABY = replace(CHILD, birth_date="2025-06-01")
LISINOPRIL = {
    "drug": rx("29046", "lisinopril"),
    "dose": amount("20"),
    "route": ORAL,
    "frequency": often(1),
    "status": "active",
}
PRESCRIPTION = {
    "category": "prescription",
    "code": rx("29046", "lisinopril"),
    "dose": amount("20"),
    "route": ORAL,
    "frequency": often(1),
    "priority": "routine",
    "status": "draft",
}


def cited(quote: str, path: str, **more: Any) -> Cited:
    start = SOURCE.index(quote)
    return Cited(path, Quote("s1", start, start + len(quote), **more))


def a_draft(kind: str, content: dict[str, Any], interaction: str = "create", **more: Any) -> Draft:
    try:
        change = parse_change(kind, interaction, content)
    except ChangeInvalid as invalid:
        raise AssertionError([(i.pointer, i.sentence) for i in invalid.issues]) from None
    quoted = cited("double the lisinopril to 20 mg once daily", more.pop("path", ""))
    return Draft(
        kind=kind,
        interaction=interaction,
        content=change.model_dump_canonical(),
        change=change,
        patient_ref="Patient/7",
        asserted={"family": "Okonkwo"},
        sources=SOURCES,
        evidence=more.pop("evidence", [quoted]),
        **more,
    )


def check(draft: Draft, chart: Baseline | None = None) -> list[Finding]:
    return list(
        validation.check(
            draft,
            baseline=a_chart() if chart is None else chart,
            alikes=None,
            capability=None,
            plan=None,
            refusal=None,
            at=AT,
        )
    )


def asked(draft: Draft, chart: Baseline | None = None) -> dict[str, str]:
    """Code and place of every question."""
    return {f.code: f.expression for f in check(draft, chart) if f.needs_decision}


def errors(draft: Draft, chart: Baseline | None = None) -> dict[str, str]:
    return {f.code: f.expression for f in check(draft, chart) if f.severity == "error"}


def told(draft: Draft, chart: Baseline | None = None) -> set[str]:
    return {f.code for f in check(draft, chart)}


class TestAMedicine:
    def test_that_nothing_speaks_against_has_no_question(self):
        assert asked(a_draft("medication", LISINOPRIL)) == {}
        assert asked(a_draft("order", PRESCRIPTION)) == {}

    def test_is_told_when_an_allergy_stands_against_it(self):
        chart = a_chart(allergy(rx("29046", "lisinopril")))
        assert "allergy-conflict" in told(a_draft("medication", LISINOPRIL), chart)
        assert "allergy-conflict" in told(a_draft("order", PRESCRIPTION), chart)
        assert "allergy-conflict" not in told(
            a_draft("medication", LISINOPRIL), a_chart(allergy(rx("723")))
        )

    def test_asks_about_a_related_class_and_about_what_it_cannot_compare(self):
        amoxicillin = a_draft("medication", LISINOPRIL | {"drug": rx("723", "amoxicillin")})
        related = a_chart(allergy(rx("2231", "cephalexin")))
        strange = a_chart(allergy(rx("999999", "Zorvatib")))
        latex = a_chart(allergy(code(SNOMED, "111088007", "Latex"), category="environment"))
        assert asked(amoxicillin, related) == {"allergy-related": "/drug"}
        assert asked(amoxicillin, strange) == {"allergy-uncompared": "/drug"}
        assert asked(amoxicillin, latex) == {}

    def test_asks_about_a_vaccine_too(self):
        vaccine = {"category": "vaccine", "code": code("http://hl7.org/fhir/sid/cvx", "140"), "priority": "routine", "status": "draft"}  # fmt: skip
        chart = a_chart(allergy(rx("999999", "Zorvatib")))
        assert "allergy-uncompared" in asked(a_draft("order", vaccine), chart)

    def test_that_is_taken_already_asks_and_in_the_same_dose_is_refused(self):
        draft = a_draft("medication", LISINOPRIL)
        assert asked(draft, a_chart(taking("29046", "10"))) == {"same-medicine": "/drug"}
        assert "duplicate" in errors(draft, a_chart(taking("29046", "20")))
        assert "duplicate" in errors(draft, a_chart(taking("314076", "20")))
        assert errors(draft, a_chart(taking("29046", "20", status="stopped"))) == {}
        both = a_chart(taking("29046", "10"), taking("314076", "10"))
        assert "held-twice" in told(draft, both)

    def test_that_replaces_the_entry_asks_nothing(self):
        held = taking("29046", "10", entry="prescription")
        held = replace(held, resource_type="MedicationRequest")
        draft = a_draft("order", PRESCRIPTION | {"replaces": held.reference})
        assert asked(draft, a_chart(held)) == {}
        assert asked(a_draft("order", PRESCRIPTION), a_chart(held)) == {"same-medicine": "/code"}

    def test_that_waits_in_the_ehr_already_is_refused(self):
        waiting = [Waiting(content=LISINOPRIL, interaction="create", staged=True)]
        assert "duplicate-waiting" in errors(a_draft("medication", LISINOPRIL, waiting=waiting))

    def test_beside_a_list_that_could_not_be_read_asks(self):
        for draft in (a_draft("medication", LISINOPRIL), a_draft("order", PRESCRIPTION)):
            assert "unreadable" in asked(draft, a_chart(unread=("medications",)))
        changed = a_draft("medication", {"dose": amount("20")}, "update")
        chart = a_chart(target=taking("29046"), unread=("medications",))
        assert "unreadable" in asked(changed, chart)

    @pytest.mark.parametrize(
        ("entries", "expected"),
        [
            ([], {"kidney-function-unknown"}),
            ([egfr("60", "2025-10-01")], {"kidney-function-old"}),
            ([egfr("60", "2026-10-01")], set()),
            ([egfr("24", "2026-11-20")], set()),
        ],
        ids=["none", "old", "recent", "low: the rules ask two people"],
    )
    def test_that_leaves_by_the_kidneys_asks_for_their_function(self, entries, expected):
        metformin = a_draft("medication", LISINOPRIL | {"drug": rx("6809", "metformin")})
        assert set(asked(metformin, a_chart(*entries))) == expected
        assert asked(a_draft("medication", LISINOPRIL), a_chart(*entries)) == {}

    @pytest.mark.parametrize(
        ("who", "when", "expected"),
        [
            (CHILD, None, "weight-unknown"),
            (CHILD, "2026-08-21", "weight-old"),
            (CHILD, "2026-08-23", ""),
            (BABY, "2026-10-19", "weight-old"),
            (BABY, "2026-10-23", ""),
        ],
        ids=["none", "child, 91 days", "child, 89 days", "baby, 32 days", "baby, 28 days"],
    )
    def test_for_a_child_asks_for_a_weight_that_is_new_enough(self, who, when, expected):
        entries = [weight("18.2", when)] if when else []
        found = asked(a_draft("medication", LISINOPRIL), a_chart(*entries, identity=who))
        assert set(found) == ({expected} if expected else set())

    def test_does_not_ask_for_the_weight_of_an_adult(self):
        assert asked(a_draft("medication", LISINOPRIL), a_chart()) == {}

    def test_asks_whether_milligrams_were_meant_where_the_same_number_is_a_volume(self):
        suspension = LISINOPRIL | {"drug": rx("723", "amoxicillin"), "dose": amount("8")}
        wrong = suspension | {"sig_text": "Give 8 mL by mouth once daily."}
        assert "mg-or-ml" in asked(a_draft("medication", wrong, evidence=[cited("8 mL", "/dose")]))
        taken = suspension | {"units_taken": amount("8", "mL")}
        assert "mg-or-ml" in asked(a_draft("medication", taken))
        right = taken | {"dose": amount("640")}
        assert "mg-or-ml" not in asked(a_draft("medication", right))

    def test_asks_when_what_is_taken_does_not_come_to_the_dose(self):
        drug = rx("723", "amoxicillin suspension 400 mg per 5 mL")
        right = LISINOPRIL | {
            "drug": drug, "dose": amount("640"), "units_taken": amount("8", "mL"),
        }  # fmt: skip
        assert "strength-differs" not in asked(a_draft("medication", right))
        wrong = right | {"dose": amount("400")}
        assert asked(a_draft("medication", wrong))["strength-differs"] == "/units_taken"

    def test_needs_a_source_and_its_numbers_in_one(self):
        assert asked(a_draft("medication", LISINOPRIL, evidence=[]))["field-absent"] == "/drug"
        forty = a_draft("medication", LISINOPRIL | {"dose": amount("40")})
        assert asked(forty) == {"field-contradicted": "/dose"}
        changed = a_draft("medication", {"dose": amount("20")}, "update", path="/frequency")
        assert asked(changed, a_chart(target=taking("29046"))) == {}
        unquoted = a_draft("medication", {"dose": amount("20")}, "update", path="/note")
        assert asked(unquoted, a_chart(target=taking("29046"))) == {"field-absent": "/dose"}

    def test_that_ends_asks_none_of_this(self):
        ended = {"end": "2026-11-20", "status_reason": "Cough"}
        chart = a_chart(target=taking("6809"), unread=("medications",), identity=CHILD)
        assert asked(a_draft("medication", ended, "discontinue"), chart) == {}

    def test_never_has_its_values_in_a_finding(self):
        chart = a_chart(allergy(rx("29046", "lisinopril")), taking("29046", "7"))
        for finding in check(a_draft("order", PRESCRIPTION, evidence=[]), chart):
            words = set(finding.diagnostics.lower().replace(".", " ").split())
            assert not {"lisinopril", "20", "7", "mg"} & words, finding


class TestAnOrder:
    KNEE = code(LOINC, "36554-4", "XR Knee Views")
    XRAY = {"category": "imaging", "code": KNEE, "priority": "routine", "status": "draft"}
    RIGHT_KNEE = problem(
        code("http://hl7.org/fhir/sid/icd-10-cm", "M17.11", "Osteoarthritis, right knee"),
        side=code(SNOMED, "24028007"),
    )

    def xray(self, side: str = "", **more: Any) -> Draft:
        content = self.XRAY | ({"side": side} if side else {}) | more
        return a_draft("order", content)

    @pytest.mark.parametrize(
        ("side", "expected"),
        [("7771000", {"side-differs": "/side"}), ("24028007", {}), ("51440002", {}), ("", {"side-missing": "/side"})],
        ids=["left", "right", "both", "unsaid"],
    )  # fmt: skip
    def test_is_for_the_side_of_its_problem(self, side, expected):
        assert asked(self.xray(side), a_chart(self.RIGHT_KNEE)) == expected

    def test_that_names_its_problem_is_held_against_that_one_alone(self):
        left = problem(
            code("http://hl7.org/fhir/sid/icd-10-cm", "M17.12", "Osteoarthritis, left knee")
        )
        left = replace(left, resource_type="Condition")
        chart = a_chart(self.RIGHT_KNEE, left)
        assert asked(self.xray("7771000", indication=left.reference), chart) == {}
        assert "side-differs" in asked(self.xray("24028007", indication=left.reference), chart)

    def test_whose_name_tells_a_side_is_held_against_it_too(self):
        named = self.XRAY | {"code": code(LOINC, "36554-4", "XR Knee - left Views")}
        assert "side-differs" in asked(a_draft("order", named), a_chart(self.RIGHT_KNEE))
        assert "side-differs" in asked(a_draft("order", named | {"side": "24028007"}))

    def test_of_another_part_of_the_body_is_not_the_problems_matter(self):
        hip = self.XRAY | {"code": code(LOINC, "36554-4", "XR Hip Views"), "side": "7771000"}
        assert asked(a_draft("order", hip), a_chart(self.RIGHT_KNEE)) == {}

    def test_that_is_there_already_is_refused(self):
        draft = self.xray("24028007", when="2026-12-04")
        held = an_entry("neighbour", "order", draft.content)
        assert "duplicate" in errors(draft, a_chart(held))
        other_day = an_entry("neighbour", "order", {**draft.content, "when": "2027-01-04"})
        assert errors(draft, a_chart(other_day)) == {}

    def test_for_a_day_that_is_over_asks(self):
        assert asked(self.xray("24028007", when="2026-11-01")) == {"in-the-past": "/when"}
        assert asked(self.xray("24028007", when="2026-11-20")) == {}


class TestAnAllergy:
    SUMATRIPTAN = {
        "substance": rx("37418", "sumatriptan"),
        "category": "medication",
        "clinical_status": "active",
        "verification": "confirmed",
    }

    def draft(self, **more: Any) -> Draft:
        evidence = more.pop("evidence", [cited("I had hives from sumatriptan", "/substance")])
        return a_draft(
            "allergy", self.SUMATRIPTAN | more.pop("content", {}), evidence=evidence, **more
        )

    def test_that_the_source_tells_has_no_question(self):
        assert asked(self.draft()) == {}

    def test_of_a_relative_is_against_the_source(self):
        penicillin = {"substance": rx("70618", "penicillin")}
        evidence = [cited("My mother is allergic to penicillin", "/substance")]
        assert asked(self.draft(content=penicillin, evidence=evidence)) == {
            "field-contradicted": "/substance"
        }

    def test_that_the_chart_holds_is_refused_whichever_way_it_is_coded(self):
        for substance in (rx("37418"), code(SNOMED, "395897006", "Sumatriptan")):
            held = allergy(substance, reactions=[])
            held = replace(held, role="neighbour")
            assert "duplicate" in errors(self.draft(), a_chart(held)), substance
        over = replace(allergy(rx("37418"), clinical_status="resolved"), role="neighbour")
        assert errors(self.draft(), a_chart(over)) == {}

    def test_that_waits_to_be_accepted_is_refused(self):
        waiting = [Waiting(content=self.SUMATRIPTAN, interaction="create", staged=True)]
        assert "duplicate-waiting" in errors(self.draft(waiting=waiting))

    def test_beside_allergies_that_could_not_be_read_asks(self):
        assert "unreadable" in asked(self.draft(), a_chart(unread=("allergies",)))


class TestAMeasurement:
    @staticmethod
    def weighed(value: str, unit: str = "kg") -> Draft:
        content = {
            "readings": [{"code": code(LOINC, "29463-7"), "value": amount(value, unit)}],
            "effective_at": "2026-11-20T14:30:00+00:00",
            "origin": "measured",
        }
        evidence = [cited("she weighs 78 kg", "/readings")]
        return a_draft("vitals", content, evidence=evidence, agent_statements=frozenset())

    @pytest.mark.parametrize(
        ("value", "unit", "differs"),
        [
            ("40", "kg", True),
            ("21.84", "kg", False),
            ("21.85", "kg", True),
            ("14.55", "kg", True),
            ("40", "[lb_av]", False),
        ],
    )
    def test_of_the_weight_asks_when_it_is_a_fifth_from_the_last(self, value, unit, differs):
        chart = a_chart(
            weight("18.2", "2026-08-01T10:00:00Z"), weight("40", "2025-08-01T10:00:00Z")
        )
        found = asked(self.weighed(value, unit), chart)
        assert ("weight-differs" in found) is differs

    def test_of_the_weight_is_not_compared_with_itself_or_with_nothing(self):
        assert "weight-differs" not in asked(self.weighed("40"))
        later = a_chart(weight("18.2", "2026-11-20T14:45:00+00:00"))
        assert "weight-differs" not in asked(self.weighed("40"), later)

    def test_that_the_chart_holds_for_that_instant_is_refused(self):
        held = replace(weight("78", "2026-11-20T09:30:00-05:00"), role="neighbour")
        assert "duplicate" in errors(self.weighed("78"), a_chart(held))
        other = replace(weight("78", "2026-11-20T09:31:00-05:00"), role="neighbour")
        assert errors(self.weighed("78"), a_chart(other)) == {}

    def test_whose_number_no_source_gives_asks(self):
        draft = replace(self.weighed("87"), agent_statements=None)
        assert asked(draft) == {"field-contradicted": "/readings/0/value"}
        assert asked(replace(self.weighed("78"), agent_statements=None)) == {}


class TestAMessage:
    @staticmethod
    def message(
        body: str, *carries: str, subject: str = "Your visit", to: str = "patient"
    ) -> Draft:
        content = {
            "to": {"who": to} | ({"name": "Tunde Adeye"} if to == "proxy" else {}),
            "subject": subject,
            "body": body,
            "carries": list(carries or ("none",)),
        }
        return a_draft("message", content, agent_statements=frozenset())

    @pytest.mark.parametrize(
        "body",
        [
            "If it gets worse, call 911.",
            "Please go to the emergency room now.",
            "Seek immediate medical attention.",
        ],
    )
    def test_with_advice_for_an_emergency_is_refused(self, body):
        assert errors(self.message(body)) == {"emergency-advice": "/body"}
        assert errors(self.message("Please book a visit.")) == {}

    def test_that_tells_more_than_it_declares_asks(self):
        body = "Your potassium came back at 5.1 mmol/L."
        assert asked(self.message(body)) == {"carries-differs": "/carries#result"}
        assert asked(self.message(body, "result")) == {}

    def test_is_held_against_its_sources_statement_by_statement(self):
        draft = replace(self.message("Please book a visit."), agent_statements=None, evidence=[])
        assert asked(draft) == {"statement-absent": "/body#0-20"}


class TestAnswers:
    @staticmethod
    def answered(value: Any, **more: Any) -> Draft:
        content = {
            "form": {"id": "Questionnaire/phq-9"},
            "answered_by": "patient",
            "answered_at": "2026-11-20T14:00:00+00:00",
            "answers": [
                {"link_id": "44250-9", "value": code(LOINC, "LA6568-5")},
                {"link_id": "44260-8", "value": value},
            ],
        }
        return a_draft("questionnaire", content, **more)

    @staticmethod
    def task(due: str, **more: Any) -> dict[str, Sibling]:
        parts = {"kind": "task", "interaction": "create", "content": {"due": due}, "going": True}
        return {"c2": Sibling(ref="c2", **(parts | more))}

    def test_about_self_harm_that_are_not_a_plain_no_ask_for_a_task_today(self):
        assert asked(self.answered(code(LOINC, "LA6568-5"))) == {}
        for positive in (code(LOINC, "LA6569-3"), "several days", "unclear"):
            assert "self-harm-without-task" in asked(self.answered(positive)), positive

    @pytest.mark.parametrize(
        ("due", "more", "enough"),
        [
            ("2026-11-20", {}, True),
            ("2026-11-27", {}, False),
            ("2026-11", {}, False),
            ("2026-11-20", {"going": False}, False),
            ("2026-11-20", {"kind": "note"}, False),
            ("2026-11-20", {"interaction": "cancel"}, False),
        ],
    )
    def test_are_answered_by_a_task_that_is_going_to_be_written(self, due, more, enough):
        draft = self.answered(code(LOINC, "LA6570-1"), siblings=self.task(due, **more))
        assert ("self-harm-without-task" in asked(draft)) is not enough

    def test_were_not_given_in_the_future(self):
        late = self.answered(code(LOINC, "LA6568-5"))
        late = replace(late, content={**late.content, "answered_at": "2026-11-20T16:00:00+00:00"})
        assert errors(late) == {"in-the-future": "/answered_at"}


class TestARestrictedVisit:
    def test_asks_before_something_unmarked_is_added_to_it(self):
        label = {"meta": {"security": [{"code": "R"}]}}
        chart = a_chart(encounter=an_entry("encounter", "", {}, raw=label))
        task = {"title": "Call back", "owner": "Practitioner/p1", "due": "2026-11-20"}
        assert asked(a_draft("task", task), chart) == {"visit-restricted": "/sensitivity"}
        marked = a_draft("task", task | {"sensitivity": "restricted"})
        assert asked(marked, chart) == {}


def test_a_task_that_stands_there_already_is_refused():
    task = {"title": "Call back", "owner": "Practitioner/p1", "due": "2026-11-20"}
    draft = a_draft("task", task)
    held: Snapshot = an_entry("neighbour", "task", draft.content)
    assert "duplicate" in errors(draft, a_chart(held))
    other = an_entry("neighbour", "task", {**draft.content, "due": "2026-11-27"})
    assert errors(draft, a_chart(other)) == {}


# --- whatever a chart holds ------------------------------------------------------------------------

DRAFTS = {
    "medication": lambda: a_draft("medication", LISINOPRIL),
    "order": lambda: a_draft("order", PRESCRIPTION),
    "x-ray": lambda: TestAnOrder().xray("7771000"),
    "allergy": lambda: TestAnAllergy().draft(),
    "weight": lambda: TestAMeasurement.weighed("40"),
    "message": lambda: TestAMessage.message("Please book a visit."),
    "answers": lambda: TestAnswers.answered("several days"),
    "a changed dose": lambda: a_draft("medication", {"dose": amount("20")}, "update"),
}


@settings(max_examples=100, deadline=None)
@given(draft=st.sampled_from(sorted(DRAFTS)), chart=charts())
def test_no_chart_makes_the_checks_fail(draft, chart):
    for finding in check(DRAFTS[draft](), chart):
        assert finding.code
        assert finding.diagnostics.endswith((".", "?"))
