"""Doses and frequencies: what they come to, how they are said, and what contradicts them."""

from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ehr_adapters.canonical import dosing
from ehr_adapters.canonical.base import same_value, words

pytestmark = pytest.mark.once


def amount(value: str, unit: str = "mg") -> dict[str, Any]:
    return {"value": value, "unit": unit}


def often(times: int, per: int, unit: str, **more: Any) -> dict[str, Any]:
    return {"times": times, "per": per, "unit": unit, **more}


def taken(value: str, times: int, per: int, unit: str, **more: Any) -> dict[str, Any]:
    return {"dose": amount(value), "frequency": often(times, per, unit), **more}


ONCE, TWICE = often(1, 1, "d"), often(2, 1, "d")


class TestADailyDose:
    @pytest.mark.parametrize(
        ("content", "said"),
        [
            (taken("10", 1, 1, "d"), "10 mg per day"),
            (taken("500", 2, 1, "d"), "1000 mg per day"),
            (taken("2.5", 1, 12, "h"), "5 mg per day"),
            (taken("15", 1, 1, "wk"), "15 mg per week"),
            (taken("5", 7, 1, "wk"), "35 mg per week"),
            (taken("20", 1, 2, "d"), "70 mg per week"),
            (taken("5", 1, 1, "mo"), "5 mg per month"),
            (
                {"dose": amount("5"), "frequency": often(1, 1, "d", weekdays=["mon", "thu"])},
                "10 mg per week",
            ),
            (
                {"dose": {"low": amount("5"), "high": amount("10")}, "frequency": TWICE},
                "10 to 20 mg per day",
            ),
            (taken("2", 3, 1, "d", as_needed={"needed": True}), "up to 6 mg per day"),
            (
                taken(
                    "1000", 6, 1, "d", as_needed={"needed": True, "max_per_day": amount("4", "g")}
                ),
                "up to 4000 mg per day",
            ),
            ({"dose": amount("18", "[iU]"), "frequency": ONCE}, "18 units per day"),
            ({"dose": amount("125", "ug"), "frequency": ONCE}, "125 mcg per day"),
        ],
    )
    def test_is_said_for_the_time_in_which_it_is_taken(
        self, content: dict[str, Any], said: str
    ) -> None:
        found = dosing.daily_dose(content)
        assert found is not None
        assert found.words == said

    @pytest.mark.parametrize("content", [{}, {"dose": amount("5")}, {"frequency": ONCE}])
    def test_of_what_is_not_known_is_none(self, content: dict[str, Any]) -> None:
        assert dosing.daily_dose(content) is None
        assert dosing.dose_ratio(content, taken("5", 1, 1, "d")) is None

    @pytest.mark.parametrize(
        ("before", "after", "ratio"),
        [
            (taken("10", 1, 1, "d"), taken("20", 1, 1, "d"), Fraction(2)),
            (taken("500", 2, 1, "d"), taken("1000", 1, 1, "d"), Fraction(1)),
            (taken("5", 1, 1, "d"), taken("40", 1, 1, "wk"), Fraction(8, 7)),
            (taken("15", 1, 1, "wk"), taken("15", 1, 1, "d"), Fraction(7)),
            (
                {"dose": amount("1", "g"), "frequency": ONCE},
                taken("500", 1, 1, "d"),
                Fraction(1, 2),
            ),
            (taken("8", 1, 1, "d"), {"dose": amount("8", "mL"), "frequency": ONCE}, None),
            (taken("8", 1, 1, "d"), taken("8", 1, 1, "mo"), None),
            (
                taken("10", 1, 1, "d"),
                {"dose": {"low": amount("10"), "high": amount("30")}, "frequency": ONCE},
                Fraction(3),
            ),
        ],
    )
    def test_is_compared_over_the_same_time(
        self, before: dict[str, Any], after: dict[str, Any], ratio: Fraction | None
    ) -> None:
        assert dosing.dose_ratio(before, after) == ratio

    def test_of_methotrexate_by_mistake_is_seven_doses_a_week(self) -> None:
        assert dosing.doses_per_week(taken("15", 1, 1, "wk")) == 1
        assert dosing.doses_per_week(taken("15", 1, 1, "d")) == 7
        assert dosing.doses_per_week({"frequency": often(1, 1, "wk", weekdays=["mon", "fri"])}) == 2
        assert dosing.doses_per_week({}) is None

    @pytest.mark.parametrize(
        ("before", "after", "said"),
        [
            (
                taken("10", 1, 1, "d"),
                taken("20", 1, 1, "d"),
                "dose doubled: 10 mg per day to 20 mg per day",
            ),
            (
                taken("5", 7, 1, "wk"),
                taken("40", 1, 1, "wk"),
                "dose 1.14 times as much: 35 mg per week to 40 mg per week",
            ),
            (
                taken("5", 1, 1, "d"),
                taken("5", 8, 1, "wk"),
                "dose 1.14 times as much: 35 mg per week to 40 mg per week",
            ),
            (
                taken("10", 1, 1, "d"),
                taken("5", 1, 1, "d"),
                "dose halved: 10 mg per day to 5 mg per day",
            ),
            (taken("500", 2, 1, "d"), taken("500", 1, 12, "h"), ""),
            (
                taken("8", 1, 1, "d"),
                {"dose": amount("8", "mL"), "frequency": ONCE},
                "dose not comparable: 8 mg per day to 8 mL per day",
            ),
        ],
    )
    def test_change_is_a_sentence(
        self, before: dict[str, Any], after: dict[str, Any], said: str
    ) -> None:
        assert dosing.change_words(before, after) == said


class TestAFrequency:
    @pytest.mark.parametrize(
        ("frequency", "said"),
        [
            (ONCE, "once a day"),
            (TWICE, "twice a day"),
            (often(3, 1, "d"), "3 times a day"),
            (often(1, 12, "h"), "every 12 hours"),
            (often(1, 1, "h"), "once an hour"),
            (often(1, 2, "d"), "every 2 days"),
            (often(2, 2, "wk"), "twice every 2 weeks"),
            (often(1, 1, "wk", weekdays=["mon"]), "once a week on Monday"),
            (often(3, 1, "wk", weekdays=["fri", "mon", "wed"]), "3 times a week on Monday, Wednesday and Friday"),
            (often(2, 1, "d", clock_times=["20:00", "08:00"]), "twice a day at 08:00 and 20:00"),
            (often(1, 1, "d", when=["HS"]), "once a day at bedtime"),
            (often(1, 1, "mo"), "once a month"),
        ],
    )  # fmt: skip
    def test_is_said_as_a_pharmacist_says_it(self, frequency: dict[str, Any], said: str) -> None:
        assert words("medication", "frequency", frequency) == said

    @pytest.mark.parametrize(
        ("one", "other", "same"),
        [
            (TWICE, often(1, 12, "h"), True),
            (often(7, 1, "wk"), ONCE, True),
            (often(1, 1, "wk"), often(1, 7, "d"), True),
            (often(2, 1, "d", clock_times=["08:00", "14:00"]), often(1, 12, "h"), False),
            (often(2, 1, "d", clock_times=["08:00", "20:00"]), TWICE, False),
            (often(1, 1, "d", when=["HS"]), ONCE, False),
            (
                often(1, 1, "d", weekdays=["sat", "sun"]),
                often(2, 1, "wk", weekdays=["sun", "sat"]),
                True,
            ),
            (often(1, 1, "wk", weekdays=["mon"]), often(1, 1, "wk", weekdays=["tue"]), False),
            (often(1, 1, "mo"), often(1, 4, "wk"), False),
        ],
    )
    def test_compares_after_reduction(
        self, one: dict[str, Any], other: dict[str, Any], same: bool
    ) -> None:
        assert same_value("medication", "frequency", one, other) is same

    @given(
        times=st.integers(1, 9),
        per=st.integers(1, 9),
        unit=st.sampled_from(["h", "d", "wk"]),
        factor=st.integers(1, 9),
    )
    def test_says_the_same_in_a_multiple_of_its_time(
        self, times: int, per: int, unit: str, factor: int
    ) -> None:
        one, many = often(times, per, unit), often(times * factor, per * factor, unit)
        assert same_value("order", "frequency", one, many)
        assert dosing.doses_per_week({"frequency": one}) == dosing.doses_per_week(
            {"frequency": many}
        )


class TestWords:
    @pytest.mark.parametrize(
        ("name", "value", "said"),
        [
            ("dose", amount("10"), "10 mg"),
            ("dose", amount("10.0"), "10 mg"),
            ("dose", amount("0.50"), "0.5 mg"),
            ("dose", amount("100"), "100 mg"),
            ("dose", amount("18", "[iU]"), "18 units"),
            ("dose", amount("1", "[iU]"), "1 unit"),
            ("dose", amount("75", "ug"), "75 mcg"),
            ("dose", amount("18", "U"), "18 enzyme units (U)"),
            ("dose", {"low": amount("5"), "high": amount("10")}, "5 to 10 mg"),
            ("units_taken", amount("1", "{tablet}"), "1 tablet"),
            ("units_taken", amount("1.5", "{tablet}"), "1.5 tablets"),
            ("as_needed", {"needed": False}, "no"),
            (
                "as_needed",
                {"needed": True, "reason": "pain", "max_per_day": amount("6", "{tablet}")},
                "as needed for pain, at most 6 tablets a day",
            ),
        ],
    )
    def test_leave_no_letter_to_be_misread(self, name: str, value: Any, said: str) -> None:
        assert words("medication", name, value) == said
        assert words("order", name, value) == said

    @given(st.fractions(min_value=0, max_value=10**6))
    def test_of_a_number_have_no_trailing_zero(self, number: Fraction) -> None:
        said = dosing.decimal_words(number)
        assert abs(Fraction(said) - number) <= Fraction(1, 2000)
        assert "." not in said or not said.endswith("0")


class TestDirections:
    @pytest.mark.parametrize(
        ("text", "found"),
        [
            ("Take 1 tablet (10 mg) by mouth", [("1", "{tablet}"), ("10", "mg")]),
            ("Give 8 mL (640 mg)", [("8", "mL"), ("640", "mg")]),
            ("1,000 mg", [("1000", "mg")]),
            ("½ tablet or 2½ tablets", [("1/2", "{tablet}"), ("5/2", "{tablet}")]),
            ("75 µg, 75 mcg", [("75", "ug"), ("75", "ug")]),
            ("400 mg per 5 mL, 100 units/mL", [("5", "mL")]),
            ("for 7 days, room 10", []),
        ],
    )
    def test_state_amounts_in_digits(self, text: str, found: list[tuple[str, str]]) -> None:
        assert dosing.spoken_amounts(text) == tuple((Fraction(n), unit) for n, unit in found)

    @pytest.mark.parametrize(
        ("more", "text", "codes"),
        [
            ({}, "Take 1 tablet (10 mg) by mouth once daily.", []),
            ({}, "Take two of the small ones every morning.", []),
            ({}, "Take 20 mg once daily.", ["contradiction"]),
            ({}, "Take 10 mg twice daily.", ["contradiction"]),
            ({}, "Take 10 mg every 24 hours.", []),
            ({}, "Take 10 mg ONCE A WEEK.", ["contradiction"]),
            ({"as_needed": {"needed": True}}, "10 mg, at most 3 times a day.", []),
            ({"units_taken": amount("2", "{tablet}")}, "Take 2 tablets of 5 mg.", []),
            ({"units_taken": amount("2", "{tablet}")}, "Take 1 tablet.", ["contradiction"]),
            ({}, "Inject 10U daily", ["unsafe-abbreviation"]),
            ({}, "Inject 10 IU daily", ["unsafe-abbreviation"]),
        ],
    )
    def test_do_not_contradict_the_fields(
        self, more: dict[str, Any], text: str, codes: list[str]
    ) -> None:
        found = dosing.issues({**taken("10", 1, 1, "d"), **more, "sig_text": text})
        assert [issue.code for issue in found] == codes

    def test_millilitres_are_no_milligrams(self) -> None:
        content = taken("8", 2, 1, "d", sig_text="Give 8 mL (640 mg) by mouth twice daily.")
        assert [issue.pointer for issue in dosing.issues(content)] == ["/sig_text"]

    @pytest.mark.parametrize(
        ("content", "pointer", "code"),
        [
            ({"dose": amount("18.0", "[iU]")}, "/dose/value", "trailing-zero"),
            ({"dose": amount("0")}, "/dose/value", "bad-amount"),
            ({"dose": {"low": amount("10"), "high": amount("5")}}, "/dose", "contradiction"),
            ({"frequency": often(1, 6, "h", weekdays=["mon"])}, "/frequency/weekdays", "contradiction"),
            ({"frequency": often(3, 1, "wk", weekdays=["mon", "thu"])}, "/frequency/weekdays", "contradiction"),
            ({"frequency": often(2, 1, "d", clock_times=["08:00"])}, "/frequency/clock_times", "contradiction"),
            (
                {"frequency": often(1, 1, "d", clock_times=["08:00"], when=["HS"])},
                "/frequency/when",
                "contradiction",
            ),
            ({"as_needed": {"needed": False, "reason": "pain"}}, "/as_needed", "contradiction"),
        ],
    )  # fmt: skip
    def test_that_cannot_be_are_refused(
        self, content: dict[str, Any], pointer: str, code: str
    ) -> None:
        assert [(i.pointer, i.code) for i in dosing.issues(content)] == [(pointer, code)]


class TestAStrength:
    @pytest.mark.parametrize(
        ("product", "amount", "unit", "per", "per_unit"),
        [
            ("lisinopril 10 mg tablet", 10, "mg", 1, "{tablet}"),
            ("Amoxicillin suspension 400 mg per 5 mL", 400, "mg", 5, "mL"),
            ("insulin glargine 100 units/mL pen", 100, "[iU]", 1, "mL"),
            ("albuterol inhaler 90 mcg per puff", 90, "ug", 1, "{puff}"),
            ("levothyroxine 75 µg tablet", 75, "ug", 1, "{tablet}"),
        ],
    )
    def test_stands_in_the_products_name(
        self, product: str, amount: int, unit: str, per: int, per_unit: str
    ) -> None:
        assert dosing.strength_in(product) == dosing.Strength(
            Fraction(amount), unit, Fraction(per), per_unit
        )

    @pytest.mark.parametrize("product", ["lisinopril", "Hyzaar 50 mg / 12.5 mg tablet", "10 mg"])
    def test_that_is_not_plain_is_not_known(self, product: str) -> None:
        assert dosing.strength_in(product) is None

    def test_says_whether_what_is_taken_comes_to_the_dose(self) -> None:
        tablet = dosing.strength_in("lisinopril 10 mg tablet")
        right = {"dose": amount("20"), "units_taken": amount("2", "{tablet}")}
        assert dosing.units_disagree(right, tablet) is False
        assert dosing.units_disagree(right | {"dose": amount("0.02", "g")}, tablet) is False
        assert dosing.units_disagree(right | {"dose": amount("10")}, tablet) is True
        suspension = dosing.strength_in("amoxicillin suspension 400 mg per 5 mL")
        assert dosing.units_disagree({"dose": amount("640"), "units_taken": amount("8", "mL")}, suspension) is False  # fmt: skip
        assert dosing.units_disagree(right, suspension) is None
        assert dosing.units_disagree(right, None) is None
