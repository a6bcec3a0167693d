"""What the rules are told about medicines, allergies and messages, from draft and chart alone."""

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ehr_adapters.contract import Baseline, PatientIdentity, Snapshot
from intents.pipeline import policy
from intents.pipeline.clinical import medicines
from intents.pipeline.clinical.doses import UNKNOWN_DOSES_PER_WEEK
from intents.pipeline.screening.facts.chart import is_under_18
from intents.pipeline.screening.facts.content import content_facts
from tests.unit.charts import (
    ADULT,
    AT,
    CONTENTS,
    ICD,
    LOINC,
    MALE,
    NGOZI,
    SNOMED,
    a_chart,
    a_draft,
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
)
from tests.unit.test_policy import STARTER

pytestmark = pytest.mark.once

ORAL = code(SNOMED, "26643006")
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
}


def facts(
    kind: str,
    content: dict[str, Any],
    chart: Baseline | None = None,
    interaction: str = "create",
    **more: Any,
) -> policy.PolicyContext:
    draft = a_draft(kind, content, interaction, **more)
    return content_facts("c1", draft=draft, baseline=a_chart() if chart is None else chart, at=AT)


class TestTheIngredients:
    @pytest.mark.parametrize(
        ("drug", "expected", "known"),
        [
            ("29046", {"29046"}, True),
            ("314076", {"29046"}, True),
            ("202991", {"4603"}, True),
            ("999999", set(), False),
        ],
        ids=["an ingredient", "a product of the table", "a brand of the table", "neither"],
    )
    def test_are_those_that_the_reviewed_table_knows(self, drug, expected, known):
        for kind, content in (
            ("medication", LISINOPRIL | {"drug": rx(drug)}),
            ("order", PRESCRIPTION | {"code": rx(drug)}),
        ):
            found = facts(kind, content)
            assert (found.ingredients, found.ingredients_known) == (expected, known)

    def test_are_those_of_the_ehrs_own_coding_of_the_same_product(self):
        coding = {"coding": [rx("999999"), rx("6809")]}
        held = taking("999999", raw={"medicationCodeableConcept": coding})
        found = facts("medication", LISINOPRIL | {"drug": rx("999999")}, a_chart(held))
        assert (found.ingredients, found.ingredients_known) == ({"6809"}, True)
        changed = facts("medication", {"dose": amount("5")}, a_chart(target=held), "update")
        assert (changed.ingredients, changed.ingredients_known) == ({"6809"}, True)

    def test_of_a_contained_medication_count(self):
        inner = {
            "resourceType": "Medication",
            "code": {"coding": [rx("999999")]},
            "ingredient": [{"itemCodeableConcept": {"coding": [rx("11289")]}}],
        }
        held = taking("999999", raw={"contained": [inner]})
        assert facts("medication", {"note": "x"}, a_chart(target=held), "update").ingredients == {
            "11289"
        }

    def test_of_a_drug_without_a_code_are_unknown(self):
        content = {k: v for k, v in LISINOPRIL.items() if k != "drug"}
        assert facts("medication", content).ingredients_known is False

    @pytest.mark.parametrize("category", ["lab", "imaging", "referral", "procedure", "equipment"])
    def test_are_not_asked_of_an_order_that_gives_no_medicine(self, category):
        found = facts("order", {"category": category, "code": code(LOINC, "2823-3")})
        assert (found.ingredients, found.ingredients_known) == (frozenset(), True)
        assert (found.dose_change, found.allergy_conflict, found.egfr_state) == ("n/a",) * 3

    def test_of_an_order_of_an_unknown_category_are_asked_for(self):
        assert facts("order", {"category": "something"}).ingredients_known is False

    def test_in_the_rules_are_all_in_the_table(self):
        named = {
            token.strip().strip('"')
            for part in STARTER.split("ingredients.contains")[1:]
            for token in part[part.index("(") + 1 : part.index(")")].strip("[]\n ").split(",")
        }
        assert {each.strip("[] \n") for each in named if each.strip()} <= set(medicines.INGREDIENTS)

    def test_that_the_findings_speak_of_are_those_of_the_rules(self):
        def listed(rule: str) -> set[str]:
            body = STARTER.split(f'@id("{rule}")')[1].split(";")[0]
            inner = body.split("containsAny(")[1].split("]")[0]
            return {token.strip().strip('["') for token in inner.split(",")} - {""}

        assert listed("MED-05") == listed("MED-06") == medicines.RENALLY_CLEARED
        assert listed("MED-07") == medicines.TERATOGENS


class TestTheDose:
    @pytest.mark.parametrize(
        ("before", "after", "expected"),
        [
            ({"dose": amount("10")}, {"dose": amount("20")}, "within"),
            ({"dose": amount("10")}, {"dose": amount("20.1")}, "more-than-double"),
            ({"dose": amount("10")}, {"dose": amount("5")}, "within"),
            ({"dose": amount("10")}, {"dose": amount("4.9")}, "less-than-half"),
            ({"dose": amount("10")}, {"dose": amount("10")}, "within"),
            ({"dose": amount("10")}, {"dose": amount("0.02", "g")}, "within"),
            ({"dose": amount("10")}, {"dose": amount("10", "mL")}, "other-unit"),
            ({"dose": amount("10")}, {"frequency": often(2)}, "within"),
            ({"dose": amount("10")}, {"frequency": often(3)}, "more-than-double"),
            ({"frequency": often(1, 1, "wk")}, {"frequency": often(1)}, "more-than-double"),
            ({"frequency": often(1)}, {"frequency": often(1, 1, "wk")}, "less-than-half"),
            ({"dose": None}, {"dose": amount("10")}, "unknown"),
            ({"frequency": None}, {"dose": amount("20")}, "unknown"),
            ({"dose": {"value": "ten", "unit": "mg"}}, {"dose": amount("20")}, "unknown"),
            ({"dose": amount("5")}, {"note": "well"}, "within"),
        ],
    )
    def test_of_a_changed_entry_stands_beside_the_entrys_own(self, before, after, expected):
        chart = a_chart(target=taking("29046", **before))
        assert facts("medication", after, chart, "update").dose_change == expected

    @pytest.mark.parametrize(("dose", "expected"), [("20", "within"), ("30", "more-than-double")])
    def test_of_an_order_stands_beside_the_entry_that_it_replaces(self, dose, expected):
        held = taking("29046")
        content = PRESCRIPTION | {"dose": amount(dose), "replaces": held.reference}
        assert facts("order", content, a_chart(held, taking("29046", "40"))).dose_change == expected

    def test_that_replaces_an_entry_that_was_not_read_is_unknown(self):
        content = PRESCRIPTION | {"replaces": "MedicationRequest/gone"}
        assert facts("order", content).dose_change == "unknown"

    def test_of_a_new_medicine_is_new_and_of_one_that_is_taken_is_compared(self):
        assert facts("medication", LISINOPRIL).dose_change == "new"
        assert facts("medication", LISINOPRIL, a_chart(taking("6809"))).dose_change == "new"
        taken = facts("medication", LISINOPRIL, a_chart(taking("29046", "5")))
        assert taken.dose_change == "more-than-double"
        ended = a_chart(taking("29046", "5", status="stopped"))
        assert facts("medication", LISINOPRIL, ended).dose_change == "new"

    def test_beside_two_entries_or_an_unread_list_is_unknown(self):
        twice = a_chart(taking("29046"), taking("29046"))
        assert facts("medication", LISINOPRIL, twice).dose_change == "unknown"
        unread = a_chart(unread=("medications",))
        assert facts("medication", LISINOPRIL, unread).dose_change == "unknown"

    @pytest.mark.parametrize(
        ("frequency", "expected"),
        [
            (often(1, 1, "wk"), 1),
            (often(1), 7),
            (often(2), 14),
            (often(1, 2, "d"), 4),
            (often(1, 1, "mo"), 1),
            (None, UNKNOWN_DOSES_PER_WEEK),
            ({"times": "often"}, UNKNOWN_DOSES_PER_WEEK),
        ],
        ids=["weekly", "daily", "twice a day", "every other day", "monthly", "unsaid", "odd"],
    )
    def test_is_taken_so_many_times_a_week_rounded_up(self, frequency, expected):
        content = LISINOPRIL | {"frequency": frequency}
        assert facts("medication", content).doses_per_week == expected

    def test_is_no_matter_where_a_medicine_ends(self):
        found = facts(
            "medication", {"end": "2026-11-20"}, a_chart(target=taking("11289")), "discontinue"
        )
        assert (found.dose_change, found.doses_per_week) == ("n/a", 0)
        assert found.ingredients == {"11289"}


class TestAnAllergy:
    AMOXICILLIN = LISINOPRIL | {"drug": rx("723", "amoxicillin")}

    @pytest.mark.parametrize(
        ("substance", "expected"),
        [
            (rx("723", "amoxicillin"), "conflict"),
            (rx("70618", "penicillin"), "conflict"),
            (code(SNOMED, "764146007", "Penicillin (substance)"), "conflict"),
            (code(SNOMED, "372687004", "Amoxicillin (substance)"), "conflict"),
            (rx("999999", "Ampicillin 250 mg"), "conflict"),
            (code(SNOMED, "387170002", "Cephalosporin"), "none"),
            (rx("10180", "sulfamethoxazole"), "none"),
            (code(SNOMED, "111088007", "Latex (substance)"), "none"),
            (code(SNOMED, "716186003", "No known allergy"), "none"),
            ({}, "unreadable"),
            ("penicillin", "conflict"),
        ],
        ids=lambda v: str(v.get("display") or v) if isinstance(v, dict) else v,
    )
    def test_stands_against_a_medicine_by_ingredient_class_or_name(self, substance, expected):
        found = facts("medication", self.AMOXICILLIN, a_chart(allergy(substance)))
        assert found.allergy_conflict == expected

    @pytest.mark.parametrize(
        ("drug", "substance"),
        [
            ("3423", rx("2670", "codeine")),
            ("10180", code(SNOMED, "387406002", "Sulfonamide (substance)")),
            ("3827", rx("29046", "lisinopril")),
            ("7258", code(SNOMED, "372665008", "NSAID")),
        ],
    )
    def test_to_one_of_a_class_counts_for_all_of_it(self, drug, substance):
        content = LISINOPRIL | {"drug": rx(drug)}
        found = facts("medication", content, a_chart(allergy(substance)))
        assert found.allergy_conflict == "conflict"

    @pytest.mark.parametrize(
        "over",
        [
            {"clinical_status": "inactive"},
            {"clinical_status": "resolved"},
            {"verification": "refuted"},
            {"verification": "entered-in-error"},
        ],
    )
    def test_that_is_over_or_disproved_does_not_count(self, over):
        chart = a_chart(allergy(rx("723"), **over))
        assert facts("medication", self.AMOXICILLIN, chart).allergy_conflict == "none"

    @pytest.mark.parametrize(
        "chart",
        [
            a_chart(unread=("allergies",)),
            a_chart(contexts=()),
            a_chart(contexts=("medications",)),
        ],
        ids=["not read", "nothing looked for", "allergies not looked for"],
    )
    def test_that_could_not_be_read_is_unreadable_and_never_none(self, chart):
        assert facts("medication", LISINOPRIL, chart).allergy_conflict == "unreadable"
        assert facts("order", PRESCRIPTION, chart).allergy_conflict == "unreadable"
        vaccine = {"category": "vaccine", "code": code("http://hl7.org/fhir/sid/cvx", "140")}
        assert facts("order", vaccine, chart).allergy_conflict == "unreadable"

    def test_of_the_ehrs_own_coding_counts(self):
        raw = {"code": {"coding": [rx("723")]}, "clinicalStatus": {"coding": [{"code": "active"}]}}
        held = an_entry("allergies", "", {}, raw=raw)
        assert facts("medication", self.AMOXICILLIN, a_chart(held)).allergy_conflict == "conflict"


class TestTwinEntries:
    def test_of_one_ingredient_are_counted(self):
        chart = a_chart(taking("4603"), taking("202991"), taking("6809"))
        content = LISINOPRIL | {"drug": rx("4603")}
        assert facts("medication", content, chart).duplicate_entries == 2
        assert facts("medication", LISINOPRIL, chart).duplicate_entries == 0

    def test_count_once_where_one_was_made_from_the_other(self):
        order = taking("4603", entry="prescription")
        listed = taking("4603", raw={"basedOn": [{"reference": order.reference}]})
        content = LISINOPRIL | {"drug": rx("4603")}
        assert facts("medication", content, a_chart(order, listed)).duplicate_entries == 1

    def test_count_the_entry_that_is_changed_and_not_those_that_are_over(self):
        held = taking("4603")
        chart = a_chart(held, taking("4603", status="stopped"), target=held)
        assert facts("medication", {"dose": amount("5")}, chart, "update").duplicate_entries == 1


class TestKidneyFunction:
    @pytest.mark.parametrize(
        ("entries", "expected"),
        [
            ([egfr("24", "2026-11-20T08:00:00-05:00")], (24, "known")),
            ([egfr("29.9", "2026-11-20")], (29, "known")),
            ([egfr("24", "2026-11-20"), egfr("60", "2026-10-01")], (24, "known")),
            ([egfr("24", "2026-11-20", "preliminary"), egfr("60", "2026-10-01")], (60, "known")),
            ([egfr("24", "2026-11-20", "corrected"), egfr("60", "2026-10-01")], (24, "known")),
            ([egfr("24", "2026-11-20", "entered-in-error")], (-1, "not-recorded")),
            ([egfr("24", "2026-11-20", "unknown"), egfr("60", "2026-10-01")], (-1, "unreadable")),
            ([egfr("30", "2026-11-20", comparator="<")], (29, "known")),
            ([egfr("15", "2026-11-20", comparator="<=")], (15, "known")),
            ([egfr("60", "2026-11-20", comparator="<")], (-1, "unreadable")),
            ([egfr("60", "2026-11-20", comparator=">")], (60, "known")),
            ([egfr("", "2026-11-20")], (-1, "unreadable")),
            ([egfr("24", "some day")], (-1, "unreadable")),
            ([egfr("60", "2026-11-20"), egfr("24", "2026-11-20")], (24, "known")),
            ([], (-1, "not-recorded")),
        ],
    )
    def test_is_the_last_settled_egfr(self, entries, expected):
        found = facts("medication", LISINOPRIL, a_chart(*entries))
        assert (found.egfr, found.egfr_state) == expected

    def test_that_could_not_be_read_is_unreadable(self):
        chart = a_chart(egfr("60", "2026-11-20"), unread=("results",))
        assert facts("medication", LISINOPRIL, chart).egfr_state == "unreadable"

    def test_is_known_where_only_older_pages_are_missing(self):
        newest_first = (egfr("24", "2026-11-20"), egfr("60", "2026-10-01"))
        chart = a_chart(*newest_first, unread=("results",), reason="too many pages")
        assert facts("medication", LISINOPRIL, chart).egfr == 24
        oldest_first = a_chart(
            *reversed(newest_first), unread=("results",), reason="too many pages"
        )
        assert facts("medication", LISINOPRIL, oldest_first).egfr_state == "unreadable"


class TestPregnancy:
    @staticmethod
    def status(answer: dict[str, str], when: str = "2026-11-11T13:00:00-05:00") -> Snapshot:
        return an_entry(
            "pregnancy",
            "result",
            {
                "code": code(LOINC, "82810-3"),
                "value": answer,
                "collected_at": when,
                "status": "final",
            },
        )

    def told(self, *entries: Snapshot, who: PatientIdentity = ADULT, **more: Any) -> str | None:
        return facts("medication", LISINOPRIL, a_chart(*entries, identity=who, **more)).pregnancy

    def test_is_yes_by_a_problem_or_by_its_status(self):
        assert self.told(problem(code(SNOMED, "77386006"))) == "yes"
        assert self.told(problem(code(ICD, "Z34.92"))) == "yes"
        assert self.told(problem(code(ICD, "O09.90"))) == "yes"
        assert self.told(self.status(code(SNOMED, "77386006"))) == "yes"
        assert self.told(self.status(code(LOINC, "LA15173-0")), who=MALE) == "yes"

    def test_is_not_yes_when_the_problem_is_over_or_disproved(self):
        over = problem(code(SNOMED, "77386006"), clinical_status="resolved")
        disproved = problem(code(SNOMED, "77386006"), verification="refuted")
        assert self.told(over) == self.told(disproved) == "not-recorded"

    def test_is_no_for_a_month(self):
        not_pregnant = code(LOINC, "LA26683-5")
        assert self.told(self.status(not_pregnant)) == "no"
        assert self.told(self.status(not_pregnant, "2026-09-01")) == "not-recorded"

    def test_is_unreadable_where_it_could_not_be_looked_for_or_understood(self):
        assert self.told(unread=("pregnancy",)) == "unreadable"
        assert self.told(contexts=("allergies",)) == "unreadable"
        assert self.told(self.status(code(LOINC, "LA4489-6"))) == "unreadable"

    def test_is_not_asked_of_men_and_of_the_old(self):
        assert self.told(who=MALE) == "n/a"
        assert self.told(who=NGOZI) == "n/a"
        assert self.told() == "not-recorded"


class TestAWarning:
    ENTRY = {
        "substance": rx("723"),
        "clinical_status": "active",
        "verification": "confirmed",
        "criticality": "high",
        "type": "allergy",
        "reactions": [{"manifestation": code(SNOMED, "39579001"), "severity": "severe"}],
    }

    def lowered(
        self, change: dict[str, Any], interaction: str = "update", **entry: Any
    ) -> bool | None:
        target = an_entry("target", "allergy", self.ENTRY | entry)
        return facts("allergy", change, a_chart(target=target), interaction).lowers_allergy

    @pytest.mark.parametrize(
        "change",
        [
            {"clinical_status": "inactive"},
            {"verification": "refuted"},
            {"verification": "unconfirmed"},
            {"criticality": "low"},
            {"criticality": "unable-to-assess"},
            {"criticality": None},
            {"type": "intolerance"},
            {"reactions": []},
            {"reactions": [{"manifestation": code(SNOMED, "247472004"), "severity": "severe"}]},
            {"reactions": [{"manifestation": code(SNOMED, "39579001"), "severity": "mild"}]},
        ],
        ids=str,
    )
    def test_that_is_taken_away_or_made_weaker_is_told(self, change):
        assert self.lowered(change) is True

    @pytest.mark.parametrize(
        "change",
        [
            {"note": "again today"},
            {"criticality": "high"},
            {"reactions": [*ENTRY["reactions"], {"manifestation": code(SNOMED, "247472004")}]},
        ],
        ids=["a comment", "the same", "a further sign"],
    )
    def test_that_stays_as_strong_is_not(self, change):
        assert self.lowered(change) is False

    def test_whose_strength_was_not_recorded_may_not_be_called_harmless(self):
        assert self.lowered({"criticality": "low"}, criticality=None) is True
        assert self.lowered({"criticality": "high"}, criticality=None) is False

    @pytest.mark.parametrize("interaction", ["resolve", "entered-in-error"])
    def test_that_ends_is_told(self, interaction):
        assert self.lowered({}, interaction) is True

    def test_of_none_known_is_told_as_such_and_its_end_takes_no_warning_away(self):
        none = {"substance": code(SNOMED, "716186003"), "category": "medication"}
        assert facts("allergy", none).no_known_allergies is True
        assert self.lowered({}, "resolve", **none) is False
        assert facts("allergy", self.ENTRY).no_known_allergies is False
        assert facts("allergy", self.ENTRY).lowers_allergy is False


class TestAMessage:
    @pytest.mark.parametrize(
        ("to", "expected"),
        [({"who": "patient"}, "patient"), ({"who": "proxy", "name": "A"}, "proxy"), (None, "")],
    )
    def test_goes_to_the_patient_to_a_proxy_or_to_nobody_known(self, to, expected):
        assert facts("message", {"to": to, "body": "Hello."}).recipient == expected

    def test_tells_what_it_declares_and_what_its_words_seem_to_tell(self):
        told = {"to": {"who": "patient"}, "carries": ["none"], "body": "Your INR came back at 1.7."}
        assert facts("message", told).carries == {"result"}
        declared = told | {"carries": ["diagnosis"], "body": "Please book a visit."}
        assert facts("message", declared).carries == {"diagnosis"}

    def test_from_a_restricted_visit_is_restricted(self):
        label = {"meta": {"security": [{"code": "R"}]}}
        chart = a_chart(encounter=an_entry("encounter", "", {}, raw=label))
        assert facts("message", {"body": "Hello."}, chart).sensitivity == "restricted"
        assert facts("message", {"body": "Hello."}).sensitivity == "normal"
        odd = facts("message", {"body": "Hello.", "sensitivity": "secret"})
        assert odd.sensitivity == "restricted"


class TestAge:
    @pytest.mark.parametrize(
        ("born", "expected"),
        [
            ("2008-11-20", False),
            ("2008-11-21", True),
            ("2008-11", True),
            ("2008", True),
            ("2007", False),
            ("", None),
            ("unknown", None),
        ],
    )
    def test_is_that_of_the_latest_day_that_a_partial_birth_date_allows(self, born, expected):
        who = PatientIdentity(id="7", family="X", birth_date=born)
        assert is_under_18(who, at=AT) is expected

    def test_of_somebody_born_on_29_february_comes_on_1_march(self):
        who = PatientIdentity(id="7", family="X", birth_date="2008-02-29")
        assert is_under_18(who, at=datetime(2026, 2, 28, tzinfo=UTC)) is True
        assert is_under_18(who, at=datetime(2026, 3, 1, tzinfo=UTC)) is False


# --- whatever a chart holds ------------------------------------------------------------------------

VALUES = {
    "dose_change": {
        "n/a", "new", "within", "more-than-double", "less-than-half", "other-unit", "unknown",
    },
    "allergy_conflict": {"n/a", "none", "conflict", "unreadable"},
    "egfr_state": {"n/a", "known", "not-recorded", "unreadable"},
    "pregnancy": {"n/a", "yes", "no", "not-recorded", "unreadable"},
    "recipient": {"", "patient", "proxy"},
}  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(
    kind=st.sampled_from(["medication", "order", "allergy", "message", "vitals", "task"]),
    interaction=st.sampled_from(["create", "update", "discontinue", "resolve", "cancel"]),
    content=CONTENTS,
    chart=charts(),
)
def test_no_chart_and_no_content_makes_the_facts_fail_or_leave_their_values(
    kind, interaction, content, chart
):
    found = facts(kind, content, chart, interaction)
    for name, possible in VALUES.items():
        assert getattr(found, name) in possible, name
    if kind in {"medication", "order"} and found.allergy_conflict == "none":
        assert chart.was_read("allergies")
    if found.egfr_state != "known":
        assert found.egfr == -1
    if not found.ingredients:
        assert kind != "medication" or not found.ingredients_known
    assert found.doses_per_week >= 0
    policy.evaluate(found, policy_text=STARTER, schema_text="{}")
