"""What contradicts itself in the dosing fields of one content. Pure."""

import re
from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from typing import Any

from ehr_adapters.canonical import units
from ehr_adapters.canonical.declaration import ChangeIssue
from ehr_adapters.canonical.doses.reckoning import amounts_of, doses_per_week
from ehr_adapters.canonical.doses.spoken import spoken_amounts, spoken_frequencies

_DANGEROUS_UNIT = re.compile(r"(?<![0-9.,])[0-9]+(?:\.[0-9]+)?[ \t]*(?:U|IU|iu|u)\b(?!\.?S\b)")


def issues(content: Mapping[str, Any]) -> Iterator[ChangeIssue]:
    """What contradicts itself in the dosing fields of one content."""
    for name in ("dose", "units_taken"):
        yield from amount_issues(name, content.get(name))
    frequency = content.get("frequency")
    if frequency:
        yield from _frequency_issues(frequency)
    needed = content.get("as_needed")
    if needed and not needed["needed"] and (needed.get("reason") or needed.get("max_per_day")):
        yield ChangeIssue(
            "/as_needed", "contradiction", "What is not taken as needed has no need and no limit."
        )
    if content.get("sig_text"):
        yield from _sig_issues(content["sig_text"], content)


def amount_issues(name: str, amount: Any) -> Iterator[ChangeIssue]:
    """What is wrong with one amount of a medicine, or a range of it, whatever it is for."""
    if not amount:
        return
    ends = (
        [("/low", amount["low"]), ("/high", amount["high"])] if "low" in amount else [("", amount)]
    )
    for place, end in ends:
        if Fraction(end["value"]) <= 0:
            yield ChangeIssue(f"/{name}{place}/value", "bad-amount", "More than nothing is needed.")
        if "." in end["value"] and end["value"].endswith("0"):
            yield ChangeIssue(
                f"/{name}{place}/value",
                "trailing-zero",
                "A zero at the end is misread as ten times the dose: leave it out.",
            )
    if "low" in amount:
        known = amounts_of(amount)
        if known is None or known[0] >= known[1]:
            yield ChangeIssue(
                f"/{name}",
                "contradiction",
                "A range goes from less to more, in units that compare.",
            )


def _frequency_issues(frequency: Mapping[str, Any]) -> Iterator[ChangeIssue]:
    unit, per, times = frequency["unit"], frequency["per"], frequency["times"]
    days, clock = frequency.get("weekdays") or (), frequency.get("clock_times") or ()
    if days and not (unit == "wk" or (unit == "d" and per == 1)):
        yield ChangeIssue(
            "/frequency/weekdays",
            "contradiction",
            "Days of the week go with a number of times a week, or a day.",
        )
    elif days and unit == "wk" and times % len(days):
        yield ChangeIssue(
            "/frequency/weekdays",
            "contradiction",
            "The number of times a week does not fit the days that are named.",
        )
    if clock and frequency.get("when"):
        yield ChangeIssue(
            "/frequency/when",
            "contradiction",
            "Either times of day or moments of the day: not both.",
        )
    if clock:
        a_day = times / (len(days) or 1) if unit == "wk" else times
        if unit == "h" or (per != 1 and unit == "d") or a_day != len(clock):
            yield ChangeIssue(
                "/frequency/clock_times",
                "contradiction",
                "As many times of day are needed as it is taken in a day.",
            )


def _sig_issues(text: str, content: Mapping[str, Any]) -> Iterator[ChangeIssue]:
    if _DANGEROUS_UNIT.search(text):
        yield ChangeIssue(
            "/sig_text",
            "unsafe-abbreviation",
            "“U” is misread as a zero: write “units”.",
        )
    stated = spoken_amounts(text)
    for name in ("dose", "units_taken"):
        amount = content.get(name)
        if amount and not _is_stated(amount, stated, content):
            yield ChangeIssue(
                "/sig_text",
                "contradiction",
                f"The instructions state an amount that is not the one under “{_LABELS[name]}”.",
            )
    frequency = content.get("frequency")
    often = spoken_frequencies(text)
    if frequency and often and not (content.get("as_needed") or {}).get("needed"):
        per_week = [doses_per_week({"frequency": one}) for one in often]
        if doses_per_week(content) not in per_week:
            yield ChangeIssue(
                "/sig_text",
                "contradiction",
                "The instructions state another frequency than “How often”.",
            )


# What is counted, not measured: millilitres are either.
_COUNTED = frozenset(unit for unit in units.TAKEN_AS if unit not in units.DRUG)
_LABELS = {"dose": "Dose", "units_taken": "Taken as"}


def _is_stated(
    amount: Mapping[str, Any],
    stated: Sequence[tuple[Fraction, str]],
    content: Mapping[str, Any],
) -> bool:
    """Nothing of the same dimension is stated, or something that comes to this amount is."""
    ends = [amount["low"], amount["high"]] if "low" in amount else [amount]
    alike = [s for s in stated if units.same_dimension(s[1], ends[0]["unit"])]
    if not alike:
        return True
    wanted = {units.base_value(end["value"], end["unit"])[1] for end in ends}
    numbers = {units.base_amount(number, unit) for number, unit in alike}
    if wanted & numbers or ends[0]["unit"] in _COUNTED:
        return bool(wanted & numbers)
    # "2 tablets of 10 mg": so many of a strength.
    counts = {number for number, unit in stated if unit in _COUNTED}
    taken = content.get("units_taken")
    if taken and taken["unit"] in _COUNTED:
        counts.add(Fraction(taken["value"]))
    return any(count * number in wanted for count in counts for number in numbers)
