"""Allergies: what may be said of them, and how they stand in FHIR."""

import copy
from typing import Any, ClassVar

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as run_settings
from hypothesis import strategies as st

from ehr_adapters.canonical.allergy import denied_category, is_active
from ehr_adapters.canonical.base import (
    ChangeInvalid,
    ChartChange,
    changed_fields,
    parse_change,
    same_value,
    words,
)
from ehr_adapters.canonical.codes import RXNORM, SNOMED
from ehr_adapters.canonical.fhir_r4 import Destination, FhirForm, from_fhir, to_fhir
from ehr_adapters.canonical.strict_r4 import check
from ehr_adapters.contract import TAG_SYSTEM
from tests.ehr_adapters.contents import CONTENTS, SAMPLES
from tests.ehr_adapters.fake_ehr import allergy

pytestmark = pytest.mark.once

UNHURRIED = run_settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
NEW = SAMPLES["allergy", "create"]
NONE_KNOWN = {
    "substance": "716186003",
    "category": "medication",
    "clinical_status": "active",
    "verification": "confirmed",
}


def issues(interaction: str, content: Any) -> list[tuple[str, str]]:
    with pytest.raises(ChangeInvalid) as refused:
        parse_change("allergy", interaction, content)
    return [(i.pointer, i.code) for i in refused.value.issues]


def said(change: ChartChange, current: dict[str, Any] | None = None) -> FhirForm:
    return to_fhir(
        change,
        Destination(
            patient="Patient/pa-1",
            tag_system=TAG_SYSTEM,
            tag_value="tag",
            tag_short="short",
            current=current,
        ),
    )


def update(content: dict[str, Any], **held: Any) -> FhirForm:
    return said(parse_change("allergy", "update", content), allergy(**held))


class TestWhatMayBeSaid:
    @pytest.mark.parametrize(
        ("interaction", "content", "expected"),
        [
            ("create", {}, ["category", "clinical_status", "substance", "verification"]),
            ("create", NEW | {"clinical_status": "resolved"}, ["clinical_status"]),
            ("create", NEW | {"verification": "refuted"}, ["verification"]),
            ("create", NEW | {"substance": "E11.9"}, ["substance/code"]),
            ("create", NEW | {"category": "animal"}, ["category"]),
            ("create", NEW | {"reactions": []}, ["reactions"]),
            ("create", NEW | {"reactions": [{"severity": "mild"}]}, ["reactions/0/manifestation"]),
            (
                "create",
                NEW | {"reactions": [{"manifestation": "247472005"}]},
                ["reactions/0/manifestation/code"],
            ),
            (
                "create",
                NEW | {"reactions": [{"manifestation": "247472004", "severity": "fatal"}]},
                ["reactions/0/severity"],
            ),
            ("create", NEW | {"reactions": [{"manifestation": "247472004"}] * 2}, ["reactions"]),
            ("create", NEW | {"note": "x" * 451}, ["note"]),
            ("update", {}, [""]),
            ("update", {"substance": None}, ["substance"]),
            ("update", {"verification": "refuted"}, ["note"]),
            ("update", {"clinical_status": "resolved"}, ["clinical_status"]),
            ("resolve", {"criticality": "low"}, ["criticality"]),
            ("create", NONE_KNOWN | {"criticality": "low"}, ["criticality"]),
            (
                "create",
                NONE_KNOWN | {"reactions": [{"manifestation": "247472004"}]},
                ["reactions"],
            ),
        ],
    )
    def test_is_refused_at_its_place(
        self, interaction: str, content: dict[str, Any], expected: list[str]
    ) -> None:
        assert [
            pointer.removeprefix("/") for pointer, _ in issues(interaction, content)
        ] == expected

    def test_a_bare_code_is_a_drug_or_else_a_concept_of_snomed_ct(self) -> None:
        for code, system in (("723", RXNORM), ("111088007", SNOMED), ("716186003", SNOMED)):
            begun = NONE_KNOWN if code == "716186003" else NEW
            change = parse_change("allergy", "create", begun | {"substance": code})
            assert change.model_dump_canonical()["substance"]["system"] == system

    def test_disproving_needs_a_reason_and_resolving_does_not_refute(self) -> None:
        refuted = parse_change(
            "allergy", "update", {"verification": "refuted", "note": "Tolerated a full course."}
        )
        now = {"clinical_status": "active", "verification": "confirmed"}
        assert not is_active(refuted.applied_to(now))
        resolved = parse_change("allergy", "resolve", {}).applied_to(now)
        assert resolved == {"clinical_status": "resolved", "verification": "confirmed"}
        never = parse_change("allergy", "entered-in-error", {}).applied_to(now)
        assert never == {"verification": "entered-in-error"}

    @pytest.mark.parametrize(
        ("interaction", "content", "current", "code"),
        [
            (
                "update",
                {"substance": "723"},
                {"substance": {"system": RXNORM, "code": "70618"}},
                "another-fact",
            ),
            ("update", {"substance": "723"}, {}, "another-fact"),
            (
                "update",
                {"note": "x"},
                {"verification": "entered-in-error"},
                "target-entered-in-error",
            ),
            ("resolve", {}, {"clinical_status": "resolved"}, "already-resolved"),
            (
                "update",
                {"criticality": "high"},
                {"substance": {"system": SNOMED, "code": "716186003"}},
                "contradiction",
            ),
        ],
    )
    def test_what_does_not_fit_the_entry_says_so(
        self, interaction: str, content: dict[str, Any], current: dict[str, Any], code: str
    ) -> None:
        found = parse_change("allergy", interaction, content).conflicts_with(current)
        assert [i.code for i in found] == [code]

    def test_naming_the_same_substance_is_no_conflict(self) -> None:
        now = {"substance": {"system": RXNORM, "code": "723", "display": "Amoxicillin"}}
        change = parse_change("allergy", "update", {"substance": "723", "criticality": "high"})
        assert change.conflicts_with(now) == ()


class TestNoKnownAllergies:
    ACTIVE: ClassVar[dict[str, Any]] = {
        "substance": {"system": RXNORM, "code": "723"},
        "category": "medication",
        "clinical_status": "active",
    }

    def test_is_refused_beside_an_active_entry(self) -> None:
        change = parse_change("allergy", "create", NONE_KNOWN)
        assert [i.code for i in change.refused_beside([self.ACTIVE])] == [
            "none-known-beside-active"
        ]
        for ended in (
            {"clinical_status": "resolved"},
            {"verification": "refuted"},
            {"verification": "entered-in-error"},
        ):
            assert change.refused_beside([self.ACTIVE | ended]) == ()

    def test_of_one_category_stands_beside_an_allergy_of_another(self) -> None:
        no_food = parse_change(
            "allergy", "create", NONE_KNOWN | {"substance": "429625007", "category": "food"}
        )
        assert no_food.refused_beside([self.ACTIVE]) == ()
        assert no_food.refused_beside([self.ACTIVE | {"category": "food"}])
        without = {k: v for k, v in self.ACTIVE.items() if k != "category"}
        assert no_food.refused_beside([without])

    def test_an_allergy_beside_it_says_that_both_will_stand(self) -> None:
        change = parse_change("allergy", "create", NEW)
        held = parse_change("allergy", "create", NONE_KNOWN).model_dump_canonical()
        assert [i.code for i in change.stands_beside([held])] == ["both-stand"]
        assert change.stands_beside([held | {"clinical_status": "inactive"}]) == ()
        assert change.stands_beside([self.ACTIVE]) == ()

    def test_is_told_from_a_substance(self) -> None:
        said_none = parse_change("allergy", "create", NONE_KNOWN).model_dump_canonical()
        assert denied_category(said_none) == ""
        assert denied_category(self.ACTIVE) is None
        assert words("allergy", "substance", said_none["substance"]) == (
            "No known allergy (716186003)"
        )


class TestInFhir:
    @pytest.mark.req("001-86")
    @UNHURRIED
    @given(content=st.one_of(CONTENTS["allergy", "create"], st.just(NONE_KNOWN)))
    def test_a_new_entry_reads_back_and_is_valid(self, content: dict[str, Any]) -> None:
        change = parse_change("allergy", "create", content)
        form = said(change)
        assert check(form.resource) == ()
        read = from_fhir(form.resource, tag_system=TAG_SYSTEM)
        assert read.content == change.model_dump_canonical()
        assert (read.uncarried, read.tags) == ((), ("tag",))

    @UNHURRIED
    @given(data=st.data())
    def test_a_changed_entry_reads_back(self, data: st.DataObject) -> None:
        held = allergy()
        now = from_fhir(held).content
        interaction = data.draw(st.sampled_from(["update", "resolve", "entered-in-error"]))
        change = parse_change("allergy", interaction, data.draw(CONTENTS["allergy", interaction]))
        form = said(change, held)
        assert check(form.resource) == ()
        after = from_fhir(form.resource).content
        assert changed_fields("allergy", change.applied_to(now), after) == ()
        assert form.resource["extension"] == held["extension"]
        assert form.resource["code"] == held["code"]

    def test_each_sign_is_a_reaction_of_its_own(self) -> None:
        content = NEW | {
            "reactions": [
                {"manifestation": "247472004", "severity": "mild"},
                {"manifestation": "39579001", "severity": "mild"},
            ]
        }
        form = said(parse_change("allergy", "create", content))
        assert [len(one["manifestation"]) for one in form.resource["reaction"]] == [1, 1]

    def test_what_an_entry_says_more_of_a_reaction_stays_while_the_reaction_stays(self) -> None:
        both = [
            {"manifestation": "247472004", "severity": "mild"},
            {"manifestation": "39579001", "severity": "severe"},
        ]
        form = update({"reactions": both})
        assert form.resource["reaction"][0]["description"] == "within an hour"
        assert len(form.resource["reaction"]) == 2
        assert form.uncarried == ()
        form = update({"reactions": both[1:]})
        assert [one.removed for one in form.uncarried] == [True]
        assert form.uncarried[0].place == "/reactions"
        assert update({"reactions": None}).resource.get("reaction") is None

    def test_a_reaction_that_cannot_be_read_here_is_not_taken_away(self) -> None:
        in_words = {"manifestation": [{"text": "felt strange"}]}
        form = update({"reactions": [{"manifestation": "39579001"}]}, reaction=[in_words])
        assert form.resource["reaction"][0] == in_words
        assert len(form.resource["reaction"]) == 2

    def test_several_signs_of_a_strangers_reaction_are_all_shown(self) -> None:
        def sign(code: str, **more: Any) -> dict[str, Any]:
            return {"coding": [{"system": SNOMED, "code": code}]} | more

        held = allergy(
            reaction=[
                {
                    "manifestation": [sign("247472004"), sign("39579001", text="collapsed")],
                    "onset": "2019-05-02T10:00:00Z",
                    "exposureRoute": {"text": "by mouth"},
                }
            ]
        )
        form = from_fhir(held)
        assert same_value(
            "allergy",
            "reactions",
            form.content["reactions"],
            [
                {"manifestation": {"system": SNOMED, "code": code}, "onset": "2019-05-02"}
                for code in ("39579001", "247472004")
            ],
        )
        assert {one.place for one in form.uncarried} >= {
            "reaction[0].manifestation[0].text",
            "reaction[0].onset",
            "reaction[0].exposureRoute.text",
        }

    def test_who_told_stays_named_unless_somebody_else_is_said_to_have(self) -> None:
        assert update({"reported_by": "clinician"}).resource["asserter"] == {
            "reference": "Practitioner/pr-1"
        }
        form = update({"reported_by": "patient"})
        assert form.resource["asserter"] == {"reference": "Patient/pa-1"}
        assert [one.place for one in form.uncarried] == ["/reported_by"]
        assert "asserter.reference" in [one.place for one in from_fhir(allergy()).uncarried]

    def test_further_categories_that_go_away_are_said(self) -> None:
        assert update({"category": "food"}).uncarried == ()
        form = update({"category": "food"}, category=["medication", "biologic"])
        assert form.resource["category"] == ["food"]
        assert [one.place for one in form.uncarried] == ["/category"]

    def test_both_codes_of_one_substance_stay_in_sight(self) -> None:
        held = copy.deepcopy(allergy())
        held["code"]["coding"].append({"system": SNOMED, "code": "372687004"})
        form = from_fhir(held)
        assert form.content["substance"]["code"] == "70618"
        assert "code.coding[1].code" in [one.place for one in form.uncarried]

    def test_a_display_over_several_lines_is_one_line(self) -> None:
        held = allergy(
            code={"coding": [{"system": RXNORM, "code": "723", "display": " amoxi\n cillin "}]}
        )
        assert from_fhir(held).content["substance"]["display"] == "amoxi cillin"

    def test_what_is_no_value_of_its_field_is_listed_and_not_shown(self) -> None:
        held = allergy(
            code={"coding": [{"system": RXNORM, "code": " 723"}]}, lastOccurrence="yesterday"
        )
        form = from_fhir(held)
        assert not {"substance", "last_seen"} & form.content.keys()
        assert {"code", "lastOccurrence"} <= {one.place for one in form.uncarried}
