"""Is what the EHR holds what was sent? Only what was declared is forgiven."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ehr_adapters.capabilities import Capability, Finality, FindMethod, RetryClass, Transformation
from ehr_adapters.contract import FindHit, FindResult, Snapshot, Tag, WirePlan, WireRequest
from intents.pipeline import matching
from intents.pipeline.delivery.words import Seen
from intents.pipeline.matching import Difference, Match, Verdict

pytestmark = pytest.mark.once

AT = datetime(2026, 11, 20, 15, 0, tzinfo=UTC)
TAG, EARLIER, STRANGER = Tag.mint(), Tag.mint(), Tag.mint()
SENT = {
    "resourceType": "Condition",
    "code": {"coding": [{"system": "s", "code": "N18.31", "display": "CKD 3a"}], "text": "CKD 3a"},
    "note": [{"text": "line one  \r\nline two"}],
    "recordedDate": "2026-11-20",
}
CAPABILITY = Capability(
    kind="problem",
    interaction="create",
    find=FindMethod.EXACT,
    retry=RetryClass.S3,
    server_owned=("recordedDate",),
    transformations=(
        Transformation("code", "display", "Epic writes its own words for a code."),
        Transformation("note.text", "line_ends", "Line ends are rewritten."),
    ),
)
PLAN = WirePlan(
    adapter="generic_r4",
    adapter_version="1",
    kind="problem",
    interaction="create",
    steps=(WireRequest("POST", "Condition", (), b"{}", "create", "system/Condition.c"),),
    tag=TAG,
    finality=Finality.FILED,
    find=FindMethod.EXACT,
    patient="Patient/1",
    comparable=SENT,
)


def entry(comparable: dict | None = None, *, id: str = "1", tags: tuple[str, ...] = ()) -> Snapshot:
    return Snapshot(
        role="target",
        resource_type="Condition",
        id=id,
        raw=b"{}",
        read_at=AT,
        comparable=SENT if comparable is None else comparable,
        tags=tags,
    )


def found(
    *hits: FindHit, method: FindMethod = FindMethod.EXACT, complete: bool = True
) -> FindResult:
    return FindResult(method=method, since=AT, until=AT, complete=complete, hits=hits)


def judge(result: FindResult, *, baseline: Snapshot | None = None) -> Match:
    return matching.judge(
        result, plan=PLAN, tags=[TAG, EARLIER], capability=CAPABILITY, baseline=baseline
    )


OTHER = {**SENT, "code": {"coding": [{"system": "s", "code": "N18.30"}]}}


@pytest.mark.parametrize(
    ("result", "verdict"),
    [
        (found(FindHit(entry(), TAG)), Verdict.OURS_EQUAL),
        (found(FindHit(entry(), EARLIER)), Verdict.OURS_EQUAL),
        (found(FindHit(entry(tags=(TAG.short,)))), Verdict.OURS_EQUAL),
        (found(FindHit(entry(OTHER), TAG)), Verdict.OURS_DIFFERENT),
        (found(FindHit(entry(), STRANGER)), Verdict.NONE),
        (found(FindHit(entry())), Verdict.NONE),
        (found(), Verdict.NONE),
        (found(complete=False), Verdict.COULD_NOT_LOOK),
        (found(FindHit(entry(), TAG), complete=False), Verdict.OURS_EQUAL),
        (found(FindHit(entry(id="1"), TAG), FindHit(entry(id="2"), TAG)), Verdict.AMBIGUOUS),
        (found(FindHit(entry(id="1"), TAG), FindHit(entry(id="1"), EARLIER)), Verdict.OURS_EQUAL),
        (found(method=FindMethod.NONE), Verdict.COULD_NOT_LOOK),
        (found(FindHit(entry()), method=FindMethod.KEY), Verdict.COLLEAGUE_EQUAL),
        (found(FindHit(entry(tags=(TAG.uuid,))), method=FindMethod.KEY), Verdict.OURS_EQUAL),
        (found(FindHit(entry(OTHER)), method=FindMethod.KEY), Verdict.COLLEAGUE_DIFFERENT),
        (found(FindHit(entry()), method=FindMethod.MATCH), Verdict.COLLEAGUE_EQUAL),
        (found(FindHit(entry(OTHER)), method=FindMethod.MATCH), Verdict.NONE),
        (
            found(FindHit(entry(id="1")), FindHit(entry(id="2")), method=FindMethod.MATCH),
            Verdict.AMBIGUOUS,
        ),
    ],
)
def test_a_search_has_its_verdict(result, verdict):
    assert judge(result).verdict == verdict


@pytest.mark.parametrize(
    ("now", "verdict"),
    [
        (entry(OTHER), Verdict.NONE),
        (entry(), Verdict.COLLEAGUE_EQUAL),
        (entry({**OTHER, "onset": "2020"}), Verdict.COLLEAGUE_DIFFERENT),
        (entry({**SENT, "onset": "2020"}, tags=(TAG.uuid,)), Verdict.OURS_DIFFERENT),
    ],
)
def test_a_target_that_equals_the_baseline_was_not_written(now, verdict):
    result = found(FindHit(now), method=FindMethod.TARGET)
    assert judge(result, baseline=entry(OTHER)).verdict == verdict


def test_a_target_that_is_gone_is_somebody_elses_doing():
    assert judge(found(method=FindMethod.TARGET)).verdict == Verdict.COLLEAGUE_DIFFERENT


def differences(comparable: dict) -> tuple[Difference, ...]:
    return matching.compare(entry(comparable), plan=PLAN, capability=CAPABILITY)


@pytest.mark.parametrize(
    "comparable",
    [
        {**SENT, "recordedDate": "2027-01-01"},
        {name: value for name, value in SENT.items() if name != "recordedDate"},
        {**SENT, "code": {"coding": [{"system": "s", "code": "N18.31", "display": "other words"}]}},
        {**SENT, "note": [{"text": "line one\nline two \n"}]},
    ],
)
def test_what_is_declared_is_forgiven(comparable):
    assert differences(comparable) == ()


@pytest.mark.parametrize(
    ("comparable", "difference"),
    [
        ({**SENT, "status": "x"}, Difference("/status")),
        ({n: v for n, v in SENT.items() if n != "note"}, Difference("/note", missing=True)),
        ({**SENT, "note": []}, Difference("/note/0", missing=True)),
        ({**SENT, "note": [*SENT["note"], {"text": "y"}]}, Difference("/note/1")),
        ({**SENT, "note": [{"text": "line one line two"}]}, Difference("/note/0/text")),
        (
            {**SENT, "code": {"coding": [{"system": "s", "code": "N18.30"}]}},
            Difference("/code/coding/0/code"),
        ),
    ],
)
def test_what_is_not_declared_is_named_by_its_place(comparable, difference):
    assert differences(comparable) == (difference,)


def test_only_what_was_left_out_counts_as_dropped():
    dropped = judge(found(FindHit(entry({**SENT, "note": []}), TAG)))
    assert dropped.only_missing
    assert dropped.paths == ["/note/0"]
    assert not judge(found(FindHit(entry(OTHER), TAG))).only_missing


def test_one_and_the_text_one_are_different_values():
    for ours, theirs in ((1, True), (1, "1"), (None, "")):
        plan = replace(PLAN, comparable={"value": ours})
        assert matching.compare(entry({"value": theirs}), plan=plan, capability=CAPABILITY)


def test_an_unknown_rule_forgives_nothing():
    capability = replace(
        CAPABILITY, server_owned=(), transformations=(Transformation("note", "whatever", "-"),)
    )
    assert matching.compare(entry({**SENT, "note": []}), plan=PLAN, capability=capability)


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3)
    ),
    max_leaves=12,
)
PLAIN = Capability(kind="problem", interaction="create")


@given(st.dictionaries(st.text(max_size=4), values), st.dictionaries(st.text(max_size=4), values))
def test_without_forgiveness_two_entries_match_exactly_when_they_are_the_same(one, two):
    plan = replace(PLAN, comparable=one)
    same = matching.compare(entry(two), plan=plan, capability=PLAIN) == ()
    assert same == (repr(sorted_form(one)) == repr(sorted_form(two)))


def sorted_form(value):
    if isinstance(value, dict):
        return {name: sorted_form(value[name]) for name in sorted(value)}
    if isinstance(value, list):
        return [sorted_form(item) for item in value]
    return value


def test_delivery_speaks_the_same_words():
    assert {seen.name: seen.value for seen in Seen} == {v.name: v.value for v in Verdict}
