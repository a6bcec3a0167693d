"""Findings about one draft, from values alone: identity, chart, wording, sources."""

from dataclasses import replace
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ehr_adapters.canonical.base import ChangeInvalid, parse_change
from ehr_adapters.capabilities import Capability
from ehr_adapters.contract import (
    Baseline,
    PatientIdentity,
    Snapshot,
    Unreadable,
    VisitState,
)
from ehr_adapters.errors import CannotBeCarried, Issue, Unsupported
from intents.pipeline import validation
from intents.pipeline.support.assertions import asserted
from intents.pipeline.support.judging import Because, Quote, SourceText, Support, judge, judge_entry
from intents.pipeline.support.omissions import left_out
from intents.pipeline.support.quantities import numbers, sides_named, spoken_numbers
from intents.pipeline.support.sentences import statements
from intents.pipeline.validation import Cited, Draft, Sibling, Waiting

pytestmark = pytest.mark.once

AT = datetime(2026, 11, 20, 15, 0, tzinfo=UTC)
SOURCE = (
    "Clinician: Any dizziness?\n"
    "Patient: Yes, I get dizzy when I stand up.\n"
    "Clinician: Chest pain?\n"
    "Patient: No.\n"
    "Patient: I take ten milligrams of lisinopril every morning.\n"
    "Patient: My mother had breast cancer.\n"
    "Clinician: The right knee is swollen. This might be gout.\n"
    "Clinician: There is no evidence of pulmonary embolism.\n"
    "Patient: There is diabetes in my family. My wife says I had a fever.\n"
)
SOURCES = {"s1": SourceText("s1", "transcript", SOURCE)}
NGOZI = PatientIdentity(
    id="7",
    family="OKONKWO",
    given=("Ngozi",),
    birth_date="1957-03-14",
    sex="female",
    mrns=(("", "220744163"),),
)
VISIT = VisitState(id="e1", patient="Patient/7", status="in-progress", open=True)
CHART = Baseline(read_at=AT, identity=NGOZI, visit=VISIT)
ICD = "http://hl7.org/fhir/sid/icd-10-cm"
CREATES = Capability("problem", "create", labels_carried=("sensitivity",))


def code(value: str, display: str) -> dict[str, str]:
    return {"system": ICD, "code": value, "display": display}


GOUT = {
    "code": [code("M10.9", "Gout, unspecified")],
    "category": "problem-list-item",
    "clinical_status": "active",
    "verification": "confirmed",
}


def cited(
    quote: str, path: str = "/code", span: tuple[int, int] | None = None, **more: Any
) -> Cited:
    start = SOURCE.index(quote)
    return Cited(path, Quote("s1", start, start + len(quote), **more), span)


def a_draft(kind: str, interaction: str, content: dict[str, Any], **more: Any) -> Draft:
    change, issues = None, ()
    try:
        change = parse_change(kind, interaction, content)
    except ChangeInvalid as invalid:
        issues = invalid.issues
    asserted_identity = {"family": "Okonkwo", "birth_date": "1957-03-14"}
    return Draft(
        kind=kind,
        interaction=interaction,
        content=change.model_dump_canonical() if change else content,
        change=change,
        change_issues=issues,
        asserted=more.pop("asserted", asserted_identity),
        sources=more.pop("sources", SOURCES),
        **more,
    )


def a_note(text: str, *quotes: str, **more: Any) -> Draft:
    content = {
        "type": "11506-3",
        "status": "unsigned",
        "sections": [{"title": "Subjective", "text": text, **more.pop("section", {})}],
    }
    spans = statements(text)
    evidence = [
        cited(quote, "/sections/0/text", spans[i]) for i, quote in enumerate(quotes) if quote
    ]
    return a_draft("note", "create", content, evidence=more.pop("evidence", evidence), **more)


def a_problem(
    content: dict[str, Any] | None = None, interaction: str = "create", **more: Any
) -> Draft:
    evidence = more.pop("evidence", [cited("right knee is swollen")])
    return a_draft("problem", interaction, content or GOUT, evidence=evidence, **more)


def an_entry(content: dict[str, Any], **more: Any) -> Snapshot:
    return Snapshot(
        **{
            "role": "neighbour",
            "resource_type": "Condition",
            "id": "c9",
            "raw": b"{}",
            "read_at": AT,
            "kind": "problem",
            "patient": "Patient/7",
            "canonical": content,
            **more,
        }
    )


def check(draft: Draft, baseline: Baseline | None = CHART, **more: Any) -> list[validation.Finding]:
    given_parts = {
        "alikes": None,
        "capability": CREATES,
        "plan": None,
        "refusal": None,
        "at": AT,
    } | more
    return list(validation.check(draft, baseline=baseline, **given_parts))


def found(draft: Draft, baseline: Baseline | None = CHART, **more: Any) -> list[tuple[str, str]]:
    return [(f.code, f.expression) for f in check(draft, baseline, **more)]


class TestTheContent:
    @pytest.mark.req("002-50", "003-45")
    def test_is_refused_by_place_where_it_is_no_such_change(self):
        draft = a_problem({**GOUT, "clinical_status": "sleepy", "colour": "red"})
        errors = [f for f in check(draft) if f.severity == "error"]
        assert {(f.code, f.expression) for f in errors} == {
            ("unknown-code", "/clinical_status"),
            ("unknown-field", "/colour"),
        }
        assert not any("sleepy" in f.diagnostics for f in errors)

    def test_is_refused_with_the_destinations_reasons(self):
        too_long = CannotBeCarried(
            issues=[Issue("too-long", "/note", "Comment has 451 characters.")]
        )
        never = Unsupported("Epic takes no update of a problem.")
        assert ("too-long", "/note") in found(a_problem(), refusal=too_long)
        unsupported = next(f for f in check(a_problem(), refusal=never) if f.code == "unsupported")
        assert (unsupported.severity, unsupported.diagnostics) == ("error", never.sentence)

    def test_has_every_invisible_character_told(self):
        assert ("invisible-character", "/note") in found(
            a_problem({**GOUT, "note": "sto\u200bp it"}, evidence=[cited("right knee is swollen")])
        )

    @pytest.mark.parametrize(
        ("text", "unsafe"),
        [
            ("Lisinopril 5.0 mg.", True),
            ("Lisinopril .5 mg.", True),
            ("Glargine 18U at night.", True),
            ("Lisinopril 5 mg QD.", True),
            ("Lisinopril 0.5 mg daily.", False),
            ("Potassium 5.0 today.", False),
            ("US of the kidneys.", False),
        ],
    )
    def test_has_notations_told_that_are_mistaken(self, text, unsafe):
        assert ("unsafe-notation" in {c for c, _ in found(a_note(text))}) is unsafe

    def test_may_not_lie_in_the_future(self):
        ahead = a_problem({**GOUT, "onset": "2027"})
        assert ("in-the-future", "/onset") in found(ahead)
        assert ("in-the-future", "/onset") not in found(a_problem({**GOUT, "onset": "2026"}))
        note = a_note("Well.", "")
        late = replace(note, content={**note.content, "date": "2026-11-20T15:06:00+00:00"})
        soon = replace(note, content={**note.content, "date": "2026-11-20T15:04:00+00:00"})
        assert ("in-the-future", "/date") in found(late)
        assert ("in-the-future", "/date") not in found(soon)


class TestThePatient:
    def test_who_is_inactive_or_merged_or_dead_holds_the_draft(self):
        for changed, expected in [
            ({"active": False}, "patient-inactive"),
            ({"replaced_by": "Patient/8"}, "patient-merged"),
            ({"deceased": True}, "patient-deceased"),
        ]:
            held = check(a_problem(), replace(CHART, identity=replace(NGOZI, **changed)))
            assert [f.code for f in held if f.holds] == [expected]

    def test_is_not_asked_about_where_the_chart_needed_no_reading(self):
        assert not [f for f in check(a_problem(), None) if f.expression.startswith("/patient")]


class TestTheChart:
    @pytest.mark.req("003-23")
    @pytest.mark.parametrize(
        ("entry", "same"),
        [
            ({}, True),
            ({"category": "encounter-diagnosis"}, False),
            ({"category": None}, True),
            ({"side": {"system": "http://snomed.info/sct", "code": "7771000"}}, True),
            ({"code": [code("M10.00", "Idiopathic gout")]}, False),
        ],
        ids=["the same", "a visit's diagnosis", "no category", "one side given", "another code"],
    )
    def test_holding_the_same_problem_refuses_a_second(self, entry, same):
        held = {k: v for k, v in (GOUT | entry).items() if v is not None}
        codes = [c for c, _ in found(a_problem(), replace(CHART, neighbourhood=(an_entry(held),)))]
        assert ("duplicate" in codes) is same

    def test_holding_it_for_the_other_side_is_another_thing(self):
        left = GOUT | {"side": {"system": "http://snomed.info/sct", "code": "7771000"}}
        right = a_problem(GOUT | {"side": "24028007"})
        assert "duplicate" not in dict(
            found(right, replace(CHART, neighbourhood=(an_entry(left),)))
        )

    def test_holding_our_own_write_is_no_duplicate(self):
        own = an_entry(GOUT, tags=("tag-1",))
        draft = a_problem(own_tags=frozenset({"tag-1"}))
        assert "duplicate" not in dict(found(draft, replace(CHART, neighbourhood=(own,))))

    def test_where_it_waits_unseen_refuses_a_second(self):
        waiting = a_problem(waiting=[Waiting(content=GOUT, interaction="create", staged=True)])
        assert "duplicate-waiting" in dict(found(waiting))

    def test_that_could_not_be_read_asks_before_something_is_added(self):
        blind = replace(CHART, unreadable=(Unreadable("problems", "Unreachable", "Not read."),))
        (finding,) = [f for f in check(a_problem(), blind) if f.code == "unreadable"]
        assert finding.needs_decision

    def test_with_other_words_for_the_code_asks(self):
        known = an_entry(
            GOUT | {"code": [code("M10.9", "Gout")], "category": "encounter-diagnosis"}
        )
        draft = a_problem(GOUT | {"code": [code("M10.9", "Appendicitis")]})
        assert ("display-differs", "/code/0") in found(
            draft, replace(CHART, neighbourhood=(known,))
        )

    @pytest.mark.parametrize(
        ("display", "side", "expected"),
        [
            ("Osteoarthritis of right knee", "7771000", "side-differs"),
            ("Osteoarthritis of right knee", "24028007", ""),
            ("Osteoarthritis of right knee", "", ""),
            ("Osteoarthritis of knee", "", "side-missing"),
            ("Chronic kidney disease", "", ""),
        ],
    )
    def test_and_the_side_of_the_body_have_to_agree(self, display, side, expected):
        content = GOUT | {"code": [code("M17.9", display)]} | ({"side": side} if side else {})
        codes = {c for c, _ in found(a_problem(content))}
        assert codes & {"side-differs", "side-missing"} == ({expected} if expected else set())

    def test_refuses_to_change_a_note_that_was_not_filed_from_here(self):
        note = an_entry({"status": "unsigned"}, kind="note", resource_type="DocumentReference")
        content = {"mode": "append", "sections": [{"title": "Plan", "text": "Rest."}]}
        draft = a_draft("note", "update", content)
        chart = replace(CHART, target=note)
        assert "not-own-note" in dict(found(draft, chart))
        assert "not-own-note" not in dict(found(replace(draft, own_target=True), chart))

    def test_with_a_write_on_its_way_to_the_entry_holds_the_next(self):
        draft = a_problem({"verification": "provisional"}, "update", target_in_flight=True)
        held = check(draft, replace(CHART, target=an_entry(GOUT)))
        assert [f.code for f in held if f.holds] == ["target-in-flight"]

    def test_asks_before_restricted_content_loses_its_label(self):
        draft = a_problem(GOUT | {"sensitivity": "restricted"})
        bare = replace(CREATES, labels_carried=())
        assert "label-not-carried" not in dict(found(draft))
        assert "label-not-carried" in dict(found(draft, capability=bare))


class TestAStatement:
    """Held against SOURCE."""

    @pytest.mark.req("001-91", "000-11")
    @pytest.mark.parametrize(
        ("text", "quote", "expected"),
        [
            ("Denies dizziness.", "I get dizzy when I stand up", Because.NEGATION),
            ("Denies dizziness.", "", Because.NEGATION),
            ("Reports chest pain.", "No.", Because.NEGATION),
            ("Takes lisinopril 20 mg daily.", "ten milligrams of lisinopril", Because.NUMBER),
            ("The left knee is swollen.", "The right knee is swollen", Because.SIDE),
            ("Has breast cancer in the family.", "My mother had breast cancer", None),
            ("Has a dog and two cats.", "", Because.NO_QUOTE),
            ("Weighs 83 kg.", "The right knee is swollen", Because.NUMBER_ABSENT),
            (
                "Reviewed hearing test results today.",
                "The right knee is swollen",
                Because.NO_OVERLAP,
            ),
            ("Reports dizziness on standing.", "I get dizzy when I stand up", None),
            ("Denies chest pain.", "No.", None),
            ("Takes lisinopril 10 mg every morning.", "ten milligrams of lisinopril", None),
            ("The right knee is swollen.", "The right knee is swollen", None),
            ("If dizziness gets worse, call.", "I get dizzy when I stand up", None),
        ],
    )
    def test_is_supported_or_not_for_one_reason(self, text, quote, expected):
        quotes = [cited(quote).quote] if quote else []
        judgement = judge(text, quotes=quotes, sources=SOURCES)
        assert judgement.because is expected
        assert (judgement.support is Support.SUPPORTED) is (expected is None)

    def test_against_the_source_names_the_place_where_the_source_says_otherwise(self):
        judgement = judge("Denies dizziness.", quotes=[], sources=SOURCES)
        assert SOURCE[judgement.start : judgement.end] == "dizziness"

    def test_that_was_inferred_needs_no_word_in_common(self):
        quote = cited("The right knee is swollen", method="inferred").quote
        assert (
            judge("Gouty arthritis likely there.", quotes=[quote], sources=SOURCES).because is None
        )

    def test_whose_source_is_gone_says_so(self):
        gone = [Quote("s2", 0, 5)]
        assert judge("Well.", quotes=gone, sources=SOURCES).support is Support.UNAVAILABLE

    def test_of_several_is_asked_about_alone_at_its_own_place(self):
        draft = a_note("Denies dizziness. Denies chest pain.", "I get dizzy when I stand up", "No.")
        asked = [(f.code, f.expression) for f in check(draft) if f.needs_decision]
        assert asked == [("statement-contradicted", "/sections/0/text#0-17")]

    def test_that_a_person_wrote_needs_no_source_but_may_not_contradict_it(self):
        draft = a_note(
            "Denies dizziness. Has a dog.", evidence=[], agent_statements=frozenset({"Old words."})
        )
        asked = [f.code for f in check(draft) if f.needs_decision]
        assert asked == ["statement-contradicted"]

    def test_never_has_its_words_in_a_finding(self):
        draft = a_note("Takes lisinopril 20 mg daily. Denies dizziness.", "ten milligrams", "")
        for finding in check(draft):
            assert not {"lisinopril", "20", "dizz"} & set(finding.diagnostics.lower().split())


class TestAnEntry:
    @pytest.mark.parametrize(
        ("words", "quote", "sure", "expected"),
        [
            (
                "Malignant neoplasm of breast cancer",
                "My mother had breast cancer",
                True,
                Because.SUBJECT,
            ),
            ("Pulmonary embolism", "no evidence of pulmonary embolism", True, Because.NEGATION),
            ("Gout, unspecified", "This might be gout", True, Because.CERTAINTY),
            ("Gout, unspecified", "This might be gout", False, None),
            ("Dizziness and giddiness", "I get dizzy when I stand up", True, None),
            ("Chest pain, unspecified", "Chest pain?", True, Because.NEGATION),
            ("Type 2 diabetes", "There is diabetes in my family", True, Because.SUBJECT),
            ("Fever, unspecified", "My wife says I had a fever", True, None),
            ("Gout", "", True, Because.NO_QUOTE),
        ],
    )
    def test_is_not_made_of_a_relatives_a_denied_or_a_suspected_one(
        self, words, quote, sure, expected
    ):
        quotes = [cited(quote).quote] if quote else []
        assert judge_entry(words, sure=sure, quotes=quotes, sources=SOURCES).because is expected

    def test_is_asked_about_at_its_code(self):
        draft = a_problem(evidence=[cited("This might be gout")])
        assert ("field-contradicted", "/code") in found(draft)

    def test_field_that_is_changed_needs_a_source_of_its_own(self):
        draft = a_problem(
            {"verification": "confirmed"}, "update", evidence=[cited("This might be gout", "/note")]
        )
        assert ("field-absent", "/verification") in found(draft)


class TestAnActReportedInTheText:
    TEXT = "Increase lisinopril to 20 mg daily. Recheck in two weeks."

    def note(self, **more):
        return a_note(self.TEXT, evidence=[], **more)

    def test_that_nothing_in_the_draft_does_is_asked_about(self):
        assert ("act-without-change", "/sections/0/text#0-35") in found(self.note())

    @pytest.mark.parametrize(
        ("sibling", "asked"),
        [
            (Sibling("c2", {}, going=True, finality="filed"), False),
            (Sibling("c2", {}, going=True, finality="staged"), True),
            (Sibling("c2", {}, going=False), True),
            (None, True),
        ],
        ids=["written", "staged", "refused", "dropped"],
    )
    def test_is_asked_about_unless_its_change_is_going_to_be_written(self, sibling, asked):
        section = {"acts": [{"span": [0, 35], "change": "c2"}]}
        draft = self.note(section=section, siblings={"c2": sibling} if sibling else {})
        codes = [c for c, _ in found(draft)]
        assert ("act-not-written" in codes) is asked
        assert "act-without-change" not in codes


class TestWhatWasLeftOut:
    TOLD = (
        "Patient: I passed out in the shop on Monday.\n"
        "Patient: I'm allergic to amoxicillin.\n"
        "Patient: I stopped taking metformin last week.\n"
        "Clinician: If you get chest pain, call us.\n"
        "Patient: My father is allergic to penicillin.\n"
        "Clinician: Any shortness of breath? Patient: No.\n"
    )

    def told(self, draft: str) -> list[str]:
        source = SourceText("s1", "transcript", self.TOLD)
        return [f.what for f in left_out(draft=draft, sources=[source], quotes=[])]

    def test_is_a_warning_sign_an_allergy_and_a_medicine_that_was_stopped(self):
        assert self.told("Seen for a rash.") == ["red-flag", "allergy", "medicine"]

    def test_is_nothing_that_the_draft_names(self):
        draft = "Fainted on Monday. Allergy to amoxicillin. Off metformin since last week."
        assert self.told(draft) == []

    def test_is_nothing_that_was_quoted(self):
        source = SourceText("s1", "transcript", self.TOLD)
        quotes = [Quote("s1", 0, len(self.TOLD))]
        assert left_out(draft="", sources=[source], quotes=quotes) == []

    def test_is_asked_about_once_at_its_place_in_the_source(self):
        draft = a_note("Well.", sources={"s1": SourceText("s1", "transcript", self.TOLD)})
        places = [e for c, e in found(draft) if c == "left-out"]
        assert len(places) == 3
        start, end = places[0].removeprefix("source:s1#").split("-")
        assert self.TOLD[int(start) : int(end)] == "passed out"


class TestReading:
    def test_cuts_statements_at_sentences_and_items_but_not_inside_them(self):
        text = "Seen by Dr. Lam at 3.5 h, e.g. today. Well!\n- one\n2. two 1.5 mg.\n\n•\nPlan: rest"
        assert [text[a:b] for a, b in statements(text)] == [
            "Seen by Dr. Lam at 3.5 h, e.g. today.",
            "Well!",
            "one",
            "two 1.5 mg.",
            "Plan: rest",
        ]

    def test_cuts_recordings_that_have_no_capitals(self):
        text = "[doctor] any pain ? [patient] no . i am fine . thanks"
        assert [text[a:b] for a, b in statements(text)] == [
            "[doctor] any pain ?",
            "[patient] no .",
            "i am fine .",
            "thanks",
        ]

    @settings(deadline=None)
    @given(st.text(alphabet="Ab1.!? \n-•)", max_size=60))
    def test_cuts_without_overlap_and_loses_no_letter(self, text):
        spans = statements(text)
        assert all(a < b for a, b in spans)
        assert all(b <= c for (_, b), (c, _) in pairwise(spans))
        inside = {i for a, b in spans for i in range(a, b)}
        assert all(i in inside for i, c in enumerate(text) if c.isalpha())

    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("No fever or chills.", {("fever", False), ("chills", False)}),
            ("Denies cough but reports fever.", {("cough", False), ("fever", True)}),
            ("Fever: no", {("fever", False)}),
            ("I do n't have any nausea.", {("nausea", False)}),
            ("Not sure if it is a fever.", set()),
            ("I used to get headaches.", set()),
            ("Watch for fever.", set()),
            ("Any rash? Yes.", {("rash", True)}),
            ("Any rash? No, none.", {("rash", False)}),
            ("Any rash or fever? Yes.", set()),
            ("Any allergies?\nPatient: Oh, allergies. Uh, no.", {("allergy", False)}),
            ("Any rash?", set()),
            ("[doctor] have you had a cough\n[patient] no", {("cough", False)}),
        ],
    )
    def test_hears_what_is_denied_affirmed_asked_and_left_open(self, text, expected):
        assert {(a.concept, a.affirmed) for a in asserted(text)} == expected

    @pytest.mark.parametrize(
        ("said", "heard"),
        [
            ("ten milligrams", ("10", "mg")),
            ("one fifty four over ninety two", ("154", "")),
            ("one fifty four over ninety two", ("92", "")),
            ("two and a half", ("2", "")),
            ("zero point five milligrams", ("0.5", "mg")),
            ("twenty-five hundred", ("2500", "")),
            ("twice a day", ("2", "")),
            ("a week", ("1", "wk")),
            ("1,250.50 mg", ("1250.5", "mg")),
        ],
    )
    def test_hears_numbers_in_words_and_figures(self, said, heard):
        assert heard in spoken_numbers(said)

    def test_takes_dates_times_codes_and_list_marks_for_no_numbers(self):
        assert numbers("1. On 2026-11-20 at 14:30 for M17.11: BP 154/92, 5 mg") == [
            ("154", ""),
            ("92", ""),
            ("5", "mg"),
        ]

    def test_knows_which_side_is_meant_of_which_part(self):
        assert sides_named("Right knee worse than left knee; all right.") == {
            "knee": {"left", "right"}
        }


@settings(deadline=None)
@given(
    st.text(max_size=200),
    st.text(max_size=200),
    st.lists(st.tuples(st.integers(0, 200), st.integers(0, 200)), max_size=3),
)
def test_judging_answers_about_any_text(statement, source, spans):
    sources = {"s1": SourceText("s1", "transcript", source)}
    quotes = [Quote("s1", min(s), max(s)) for s in spans]
    assert judge(statement, quotes=quotes, sources=sources).support in Support
    judge_entry(statement, sure=True, quotes=quotes, sources=sources)
    left_out(draft=statement, sources=sources.values(), quotes=quotes)


@pytest.mark.parametrize(
    "part", ["dizzy ", "one ", "\n", "dizzy? no. ", "i've just ", "- ", "1,111"]
)
def test_reading_takes_no_longer_per_word_for_a_million_of_them(part):
    # A mebibyte is the most that a proposal can hold; anything quadratic would take hours.
    source = SourceText("s1", "transcript", part * (300_000 // len(part)))
    judge("Denies dizziness for 3 weeks.", quotes=[Quote("s1", 0, 20)], sources={"s1": source})
    left_out(draft="", sources=[source], quotes=[])
