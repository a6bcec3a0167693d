"""What can be said about a chart: declarations, parsing, schema, layout, characters, comparison."""

import json
import unicodedata
from typing import Any

import jsonschema
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as run_settings
from hypothesis import strategies as st

from ehr_adapters.canonical.base import (
    ChangeInvalid,
    Comparison,
    Risk,
    all_kinds,
    changed_fields,
    fhir_type,
    field_spec,
    fields,
    forbidden_characters,
    interactions,
    json_schema,
    parse_change,
    same_value,
    visible,
    visible_text,
    words,
)
from ehr_adapters.canonical.codes import ICD10CM, LOINC, SNOMED, is_well_formed
from ehr_adapters.canonical.fhir_r4 import Destination, from_fhir, to_fhir
from ehr_adapters.canonical.note import (
    REFERENCE_LINE,
    comment_text,
    note_text,
    read_comment_text,
    read_note_text,
)
from ehr_adapters.canonical.strict_r4 import is_valid
from ehr_adapters.contract import TAG_SYSTEM, Tag
from tests.ehr_adapters.contents import CANARY, CONTENTS, SAMPLES, sections, text
from tests.ehr_adapters.fake_ehr import condition, document

pytestmark = pytest.mark.once

# A busy machine is no failure of what is tested.
UNHURRIED = run_settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])

NOTE = SAMPLES["note", "create"]
PROBLEM = SAMPLES["problem", "create"]


def issues(kind: str, interaction: str, content: Any) -> list[tuple[str, str]]:
    with pytest.raises(ChangeInvalid) as refused:
        parse_change(kind, interaction, content)
    assert all(i.sentence.endswith(".") for i in refused.value.issues)
    return [(i.pointer, i.code) for i in refused.value.issues]


# Fields that no element of FHIR R4 carries: a remark says so on the page.
WITHOUT_ELEMENT = {
    ("note", "mode"),
    ("note", "attachments"),
    ("note", "patient_release"),
    ("medication", "entry"),
    ("medication", "taken"),
    ("appointment", "patient_told"),
    ("message", "carries"),
    ("message", "reply_allowed"),
}


class TestADeclaration:
    def test_says_everything_about_every_field_once(self) -> None:
        for kind in all_kinds():
            for spec in fields(kind):
                assert spec.label
                assert spec.risk in Risk
                assert spec.element or (kind, spec.name) in WITHOUT_ELEMENT
                if spec.compare is Comparison.EXACT and spec.control == "choice":
                    assert spec.choices
            for interaction in interactions(kind):
                names = {s.name for s in fields(kind, interaction)}
                assert {s.name for s in fields(kind, interaction) if s.required} <= names

    def test_names_the_fhir_type_of_each_kind(self) -> None:
        expected = {
            "note": "DocumentReference",
            "problem": "Condition",
            "allergy": "AllergyIntolerance",
            "medication": "MedicationStatement",
            "order": "ServiceRequest",
            "vitals": "Observation",
            "result": "Observation",
            "task": "Task",
            "message": "Communication",
            "appointment": "Appointment",
            "care_plan": "CarePlan",
            "questionnaire": "QuestionnaireResponse",
            "encounter": "Encounter",
            "demographics": "Patient",
        }
        assert {kind: fhir_type(kind) for kind in all_kinds()} == {
            kind: expected[kind] for kind in all_kinds()
        }

    def test_a_pointer_into_a_field_finds_its_field(self) -> None:
        assert field_spec("note", "/sections/0/text").label == "Sections"
        with pytest.raises(KeyError):
            field_spec("note", "/nothing")


class TestParsing:
    @pytest.mark.req("002-54")
    @UNHURRIED
    @given(data=st.data())
    def test_takes_what_the_schema_takes(self, data: st.DataObject) -> None:
        kind, interaction = data.draw(st.sampled_from(sorted(CONTENTS)))
        content = data.draw(CONTENTS[kind, interaction])
        if (kind, interaction) == ("note", "amend"):
            content = {**content, "amends": "DocumentReference/d-1"}
        jsonschema.validate(content, json_schema(kind, interaction))
        change = parse_change(kind, interaction, content)
        again = parse_change(kind, interaction, change.model_dump_canonical())
        assert again == change
        assert (
            json.loads(json.dumps(change.model_dump_canonical())) == change.model_dump_canonical()
        )

    @pytest.mark.req("003-45")
    def test_refuses_unknown_fields_with_a_pointer(self) -> None:
        assert issues("note", "create", NOTE | {"a/b~c": 1}) == [("/a~1b~0c", "unknown-field")]
        nested = NOTE | {"sections": [{"title": "A", "text": "b", "colour": "red"}]}
        assert issues("note", "create", nested) == [("/sections/0/colour", "unknown-field")]
        assert issues("problem", "resolve", {"abatement": "2026", "code": "N18.31"}) == [
            ("/code", "not-in-this-interaction")
        ]

    @pytest.mark.parametrize(
        ("kind", "interaction", "content", "expected"),
        [
            (
                "note",
                "create",
                {},
                [("/sections", "missing"), ("/status", "missing"), ("/type", "missing")],
            ),
            (
                "note",
                "create",
                NOTE | {"status": "signed"},
                [("/status", "not-in-this-interaction")],
            ),
            ("note", "create", NOTE | {"type": "11506-9"}, [("/type/code", "malformed-code")]),
            ("note", "create", NOTE | {"type": "8867-4"}, [("/type/code", "unknown-code")]),
            ("note", "create", NOTE | {"sections": []}, [("/sections", "too-few")]),
            ("note", "create", NOTE | {"date": "2026-11-20"}, [("/date", "bad-instant")]),
            ("note", "create", NOTE | {"date": "2026-11-20T08:00:00"}, [("/date", "bad-instant")]),
            ("note", "create", NOTE | {"date": "2026-02-30T08:00:00Z"}, [("/date", "bad-instant")]),
            ("note", "create", NOTE | {"author": "Patient/1"}, [("/author", "bad-reference")]),
            ("note", "create", NOTE | {"encounter": "../1"}, [("/encounter", "bad-reference")]),
            ("note", "create", NOTE | {"type": None}, [("/type", "missing")]),
            ("note", "create", [], [("", "wrong-type")]),
            ("note", "delete", NOTE, [("", "unknown-interaction")]),
            ("poem", "create", NOTE, [("", "unknown-kind")]),
            ("problem", "create", PROBLEM | {"onset": "2026-13"}, [("/onset", "bad-date")]),
            ("problem", "create", PROBLEM | {"onset": 2026}, [("/onset", "wrong-type")]),
            (
                "problem",
                "create",
                PROBLEM | {"clinical_status": "resolved"},
                [("/abatement", "missing")],
            ),
            (
                "problem",
                "create",
                PROBLEM | {"abatement": "2026"},
                [("/abatement", "contradiction")],
            ),
            (
                "problem",
                "create",
                PROBLEM | {"clinical_status": "inactive", "onset": "2026-03", "abatement": "2025"},
                [("/abatement", "contradiction")],
            ),
            (
                "problem",
                "create",
                PROBLEM
                | {
                    "code": [
                        {"system": ICD10CM, "code": "N18.30"},
                        {"system": ICD10CM, "code": "N18.31"},
                    ]
                },
                [("/code", "contradiction")],
            ),
            (
                "problem",
                "create",
                PROBLEM | {"code": {"system": "urn:mine", "code": "x"}},
                [("/code/0/system", "unknown-system")],
            ),
            (
                "problem",
                "create",
                PROBLEM | {"code": {"system": SNOMED, "code": "38341004"}},
                [("/code/0/code", "malformed-code")],
            ),
            ("problem", "create", PROBLEM | {"side": "26643006"}, [("/side/code", "unknown-code")]),
            ("problem", "create", PROBLEM | {"note": "x" * 451}, [("/note", "too-long")]),
            ("problem", "update", {}, [("", "empty")]),
            ("problem", "update", {"verification": None}, [("/verification", "missing")]),
            ("problem", "update", {"clinical_status": "recurrence"}, [("/onset", "missing")]),
            (
                "problem",
                "update",
                {"clinical_status": "resolved"},
                [("/clinical_status", "not-in-this-interaction")],
            ),
            (
                "problem",
                "resolve",
                {"abatement": "2026", "clinical_status": "active"},
                [("/clinical_status", "contradicts-interaction")],
            ),
        ],
    )
    def test_says_where_and_why(
        self, kind: str, interaction: str, content: Any, expected: list[tuple[str, str]]
    ) -> None:
        assert sorted(issues(kind, interaction, content)) == sorted(expected)

    def test_no_issue_repeats_a_value(self) -> None:
        content = NOTE | {"date": CANARY, "status": CANARY, "author": CANARY, "type": CANARY}
        with pytest.raises(ChangeInvalid) as refused:
            parse_change("note", "create", content)
        assert CANARY not in str(refused.value)
        assert CANARY not in json.dumps(refused.value.issues)

    def test_completes_bare_codes_and_ids(self) -> None:
        note = parse_change("note", "create", NOTE | {"encounter": "e-1", "author": "p-1"})
        said = note.model_dump_canonical()
        assert said["type"] == {"system": LOINC, "code": "11506-3", "display": "Progress note"}
        assert (said["encounter"], said["author"]) == ("Encounter/e-1", "Practitioner/p-1")
        problem = parse_change("problem", "create", PROBLEM | {"code": "431857002"})
        assert problem.model_dump_canonical()["code"] == [{"system": SNOMED, "code": "431857002"}]

    def test_a_known_codes_words_are_never_the_agents(self) -> None:
        content = NOTE | {
            "type": {"system": LOINC, "code": "11506-3", "display": "Discharge summary"}
        }
        said = parse_change("note", "create", content).model_dump_canonical()
        assert said["type"]["display"] == "Progress note"

    def test_line_ends_become_one_form_and_nothing_else_changes(self) -> None:
        content = NOTE | {"sections": [{"title": "A", "text": "a\r\nb\rc  \n\u00a0d\u0301"}]}
        said = parse_change("note", "create", content).model_dump_canonical()
        assert said["sections"][0]["text"] == "a\nb\nc  \n\u00a0d\u0301"

    def test_the_portal_fills_only_what_is_missing(self) -> None:
        change = parse_change("note", "create", NOTE)
        filled = change.completed(author="other", encounter="e-9", date=None, nonsense=1)
        assert filled.author == "Practitioner/pr-1"
        assert filled.encounter == "Encounter/e-9"
        assert change.encounter is None

    def test_spans_of_acts_lie_in_their_text(self) -> None:
        for span, valid in (([0, 2], True), ([0, 3], False), ([1, 1], False), ([-1, 1], False)):
            content = NOTE | {
                "sections": [{"title": "A", "text": "ab", "acts": [{"span": span, "change": "c2"}]}]
            }
            if valid:
                parse_change("note", "create", content)
            else:
                assert issues("note", "create", content) == [
                    ("/sections/0/acts/0/span", "bad-span")
                ]


class TestAChangeOnAnEntry:
    def test_absent_is_left_and_none_is_taken_away(self) -> None:
        now = {"note": "x", "onset": "2020", "clinical_status": "active"}
        change = parse_change("problem", "update", {"note": None, "onset": "2021"})
        assert change.applied_to(now) == {"onset": "2021", "clinical_status": "active"}
        assert changed_fields("problem", now, change.applied_to(now)) == ("onset", "note")

    def test_what_was_never_true_has_no_status(self) -> None:
        change = parse_change("problem", "entered-in-error", {})
        assert change.applied_to({"clinical_status": "active", "verification": "confirmed"}) == {
            "verification": "entered-in-error"
        }

    @pytest.mark.parametrize(
        ("interaction", "content", "current", "code"),
        [
            (
                "update",
                {"side": "7771000"},
                {"side": {"system": SNOMED, "code": "24028007"}},
                "another-fact",
            ),
            (
                "update",
                {"note": "x"},
                {"verification": "entered-in-error"},
                "target-entered-in-error",
            ),
            ("update", {"clinical_status": "active"}, {"abatement": "2020"}, "contradiction"),
            ("resolve", {"abatement": "2026"}, {"clinical_status": "resolved"}, "already-resolved"),
        ],
    )
    def test_that_does_not_fit_says_so(
        self, interaction: str, content: dict[str, Any], current: dict[str, Any], code: str
    ) -> None:
        found = parse_change("problem", interaction, content).conflicts_with(current)
        assert [i.code for i in found] == [code]


class TestTheLayout:
    @pytest.mark.req("001-86")
    @UNHURRIED
    @given(written=sections)
    def test_reads_back_to_the_letter(self, written: list[dict[str, str]]) -> None:
        tag = Tag("7b0e3c0a-9d0b-4c5e-8a41-5b2c1d0e9f33")
        laid_out = note_text(sections=written, short=tag.short)
        assert read_note_text(laid_out) == (written, tag.short)
        assert laid_out.endswith(REFERENCE_LINE + tag.short)
        # Carriers add line ends of their own and a last line end.
        assert read_note_text(laid_out.replace("\n", "\r\n") + "\r\n") == (written, tag.short)

    @UNHURRIED
    @given(written=text)
    def test_any_other_text_is_not_taken_for_ours(self, written: str) -> None:
        if not written.rstrip().split("\n")[-1].startswith(REFERENCE_LINE):
            assert read_note_text(written) is None

    def test_is_plain_reading(self) -> None:
        laid_out = note_text(
            sections=[
                {"title": "Assessment", "text": "BP above target."},
                {"title": "Plan", "text": "Repeat labs.\n====="},
            ],
            short="4F7K-9QXD-2M8T",
        )
        assert laid_out == (
            "Assessment\n==========\nBP above target.\n\n"
            "Plan\n====\nRepeat labs.\n =====\n\n"
            "AI-assisted draft, filed after clinician review. Ref 4F7K-9QXD-2M8T"
        )

    @UNHURRIED
    @given(comment=st.text(st.characters(exclude_categories=("Cs", "Cc")), max_size=80))
    def test_a_comment_carries_the_reference_and_gives_it_back(self, comment: str) -> None:
        assert read_comment_text(comment_text(text=comment, short="4F7K-9QXD-2M8T")) == (
            comment,
            "4F7K-9QXD-2M8T",
        )
        assert read_comment_text("typed by hand") == ("typed by hand", "")


class TestFhirBothWays:
    def test_what_has_no_field_is_listed(self) -> None:
        form = from_fhir(condition(recorder={"reference": "Practitioner/1"}))
        assert form.content == {
            "code": [{"system": ICD10CM, "code": "N18.30", "display": "CKD stage 3"}],
            "category": "problem-list-item",
            "clinical_status": "active",
            "verification": "confirmed",
            "onset": "2020-03",
            "note": "first words",
        }
        assert [one.place for one in form.uncarried] == [
            "extension[0].url",
            "extension[0].valueDecimal",
            "recordedDate",
            "recorder.reference",
        ]

    def test_a_foreign_note_is_one_text_without_a_title(self) -> None:
        form = from_fhir(document(text="typed by a colleague"), tag_system=TAG_SYSTEM)
        assert form.content["sections"] == [{"title": "", "text": "typed by a colleague"}]

    def test_a_type_without_a_kind_is_refused(self) -> None:
        with pytest.raises(ChangeInvalid):
            from_fhir({"resourceType": "Slot"})

    def test_a_time_of_day_in_a_date_is_reported(self) -> None:
        form = from_fhir(condition(onsetDateTime="2020-03-04T10:00:00Z"))
        assert form.content["onset"] == "2020-03-04"
        assert "onsetDateTime" in [one.place for one in form.uncarried]

    def test_an_age_that_goes_away_with_a_date_is_said(self) -> None:
        held = condition(onsetAge={"value": 63, "unit": "a"})
        del held["onsetDateTime"]
        change = parse_change("problem", "update", {"onset": "2020"})
        form = to_fhir(
            change,
            Destination(
                patient="Patient/pa-1",
                tag_system=TAG_SYSTEM,
                tag_value="x",
                tag_short="y",
                current=held,
            ),
        )
        assert "onsetAge" not in form.resource
        assert [(u.place, u.removed) for u in form.uncarried] == [("/onset", True), ("", True)]

    def test_what_was_never_true_never_ended(self) -> None:
        held = condition(
            abatementDateTime="2026-01-01",
            clinicalStatus={
                "coding": [
                    {
                        "system": "http://terminology.hl7.org/CodeSystem/condition-clinical",
                        "code": "resolved",
                    }
                ]
            },
        )
        form = to_fhir(
            parse_change("problem", "entered-in-error", {}),
            Destination(
                patient="Patient/pa-1",
                tag_system=TAG_SYSTEM,
                tag_value="x",
                tag_short="y",
                current=held,
            ),
        )
        assert not {"clinicalStatus", "abatementDateTime"} & form.resource.keys()
        assert [(u.place, u.removed) for u in form.uncarried] == [("/abatement", True), ("", True)]
        assert is_valid(form.resource)

    @staticmethod
    def _commented(content: dict[str, Any], *, notes: list[dict[str, str]]) -> Any:
        return to_fhir(
            parse_change("problem", "update", content),
            Destination(
                patient="Patient/pa-1",
                tag_system=TAG_SYSTEM,
                tag_value="x",
                tag_short="y",
                current=condition(note=notes),
            ),
        )

    def test_new_words_do_not_stand_under_an_old_author(self) -> None:
        old = {"text": "old", "authorString": "Dr Lam", "time": "2020-01-01T00:00:00Z"}
        form = self._commented({"note": "new"}, notes=[old])
        assert form.resource["note"] == [{"text": "new"}]
        assert [(u.place, u.removed) for u in form.uncarried] == [("/note", True), ("", True)]

    def test_which_of_several_comments_changes_cannot_be_said(self) -> None:
        several = [{"text": "first"}, {"text": "second", "authorString": "Dr Lam"}]
        with pytest.raises(ChangeInvalid) as refused:
            self._commented({"note": "new"}, notes=several)
        assert [(i.pointer, i.code) for i in refused.value.issues] == [
            ("/note", "several-comments")
        ]

    def test_every_comment_is_shown_and_stays_when_something_else_changes(self) -> None:
        several = [{"text": "first"}, {"text": "second", "authorString": "Dr Lam"}]
        form = self._commented({"clinical_status": "inactive"}, notes=several)
        assert form.resource["note"] == several
        assert from_fhir(form.resource).content["note"] == "first\n\nsecond"


class TestCharacters:
    @pytest.mark.req("003-25")
    def test_every_deceiving_code_point_is_refused_in_every_text(self) -> None:
        deceiving = [*range(0x202A, 0x202F), *range(0x2066, 0x206A), *range(0xE0000, 0xE0080)]
        for number in deceiving:
            assert forbidden_characters(f"ab{chr(number)}c") == ((2, f"U+{number:04X}"),)
        for place in ("title", "text"):
            section = {"title": "A", "text": "b"} | {place: "a\u202eb"}
            assert issues("note", "create", NOTE | {"sections": [section]}) == [
                (f"/sections/0/{place}", "forbidden-character")
            ]
        assert issues("problem", "create", PROBLEM | {"note": "a\U000e0041"}) == [
            ("/note", "forbidden-character")
        ]
        assert forbidden_characters("BP ≥ 140, µg, ½, Zoë, 漢字, עברית") == ()

    def test_every_invisible_code_point_is_refused_or_shown(self) -> None:
        for number in range(0x110000):
            character = chr(number)
            if unicodedata.category(character) not in {"Cf", "Cc", "Co"} or character in "\n\r\t":
                continue
            assert any(s.name for s in visible(character)), f"U+{number:04X}"

    @UNHURRIED
    @given(st.text())
    def test_showing_loses_nothing(self, shown: str) -> None:
        assert "".join(s.text for s in visible(shown)) == shown

    def test_names_what_it_shows(self) -> None:
        assert visible_text("a\u200bb") == "a[U+200B ZERO WIDTH SPACE]b"


class TestComparison:
    @pytest.mark.parametrize(
        ("kind", "name", "one", "other", "same"),
        [
            ("problem", "note", "a\r\nb  ", "a\nb", True),
            ("problem", "note", "Zoe\u0308", "Zoë", True),
            ("problem", "note", "a b", "ab", False),
            ("problem", "onset", "2020", "2020-01", False),
            (
                "problem",
                "code",
                [{"system": SNOMED, "code": "1"}, {"system": ICD10CM, "code": "A"}],
                [{"system": ICD10CM, "code": "A", "display": "x"}, {"system": SNOMED, "code": "1"}],
                True,
            ),
            (
                "problem",
                "severity",
                {"system": SNOMED, "code": "6736007"},
                {"system": SNOMED, "code": "6736007", "display": "Moderate"},
                True,
            ),
            ("problem", "sensitivity", None, "normal", True),
            ("problem", "sensitivity", None, "restricted", False),
            ("note", "date", "2026-11-20T08:00:00-06:00", "2026-11-20T14:00:00Z", True),
            (
                "note",
                "sections",
                [{"title": "A", "text": "x\n"}],
                [{"title": "A", "text": "x"}],
                True,
            ),
            (
                "note",
                "sections",
                [{"title": "A", "text": "10 mg"}],
                [{"title": "A", "text": "1.0 mg"}],
                False,
            ),
        ],
    )
    def test_goes_by_the_fields_type(
        self, kind: str, name: str, one: Any, other: Any, same: bool
    ) -> None:
        assert same_value(kind, name, one, other) is same

    def test_words_are_for_a_reader(self) -> None:
        assert words("problem", "verification", "refuted") == "ruled out"
        assert (
            words("problem", "code", [{"system": ICD10CM, "code": "N18.31", "display": "CKD 3a"}])
            == "CKD 3a (N18.31)"
        )
        assert words("problem", "side", {"system": SNOMED, "code": "7771000"}) == "Left (7771000)"
        assert words("problem", "note", None) == "none"


class TestCodes:
    def test_a_slip_of_one_digit_is_seen(self) -> None:
        for system, code in ((SNOMED, "38341003"), (SNOMED, "431857002"), (LOINC, "11506-3")):
            assert is_well_formed(system=system, code=code)
            for index, digit in enumerate(code):
                if digit.isdigit():
                    other = code[:index] + str((int(digit) + 1) % 10) + code[index + 1 :]
                    assert not is_well_formed(system=system, code=other), other

    def test_the_schema_is_a_schema_and_refuses_the_unknown(self) -> None:
        for kind in all_kinds():
            whole = json_schema(kind)
            jsonschema.Draft202012Validator.check_schema(whole)
            validator = jsonschema.Draft202012Validator(whole)
            for interaction in interactions(kind):
                content = dict(SAMPLES[kind, str(interaction)])
                if (kind, interaction) == ("note", "amend"):
                    content["amends"] = "DocumentReference/1"
                assert validator.is_valid({"interaction": str(interaction), "content": content})
                assert not validator.is_valid(
                    {"interaction": str(interaction), "content": content | {"more": 1}}
                )
            assert not validator.is_valid({"interaction": "delete", "content": {}})
