"""Doses and frequencies as it is safe to read them: "mcg", "units", no trailing zeros. Pure."""

from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

from ehr_adapters.canonical import units
from ehr_adapters.canonical.doses.fields import MOMENTS, WEEKDAYS
from ehr_adapters.canonical.doses.reckoning import (
    daily_dose,
    decimal_words,
    dose_ratio,
    trimmed,
)

_ONE = {"h": "hour", "d": "day", "wk": "week", "mo": "month"}
_ARTICLE = {"h": "an hour", "d": "a day", "wk": "a week", "mo": "a month"}
_TIMES = {1: "once", 2: "twice"}


def frequency_words(frequency: Mapping[str, Any]) -> str:
    """ "twice a day", "every 12 hours", "once a week on Monday", "twice a day at 08:00 and 20:00"."""
    times, per, unit = frequency["times"], frequency["per"], frequency["unit"]
    often = _TIMES.get(times, f"{times} times")
    if per == 1:
        said = f"{often} {_ARTICLE[unit]}"
    else:
        every = f"every {per} {_ONE[unit]}s"
        said = every if times == 1 else f"{often} {every}"
    parts = [said]
    days = [words for day, words in WEEKDAYS if day in (frequency.get("weekdays") or ())]
    if days:
        parts.append(f"on {_listed(days)}")
    moments = [words for code, words in MOMENTS if code in (frequency.get("when") or ())]
    if moments:
        parts.append(_listed(moments))
    if frequency.get("clock_times"):
        parts.append(f"at {_listed(sorted(frequency['clock_times']))}")
    return " ".join(parts)


def as_needed_words(value: Mapping[str, Any]) -> str:
    """ "as needed for pain, at most 6 tablets a day"; "no" for what is taken on a schedule."""
    if not value["needed"]:
        return "no"
    words = "as needed"
    if value.get("reason"):
        words += f" for {value['reason']}"
    most = value.get("max_per_day")
    return f"{words}, at most {amount_words(most)} a day" if most else words


def amount_words(amount: Mapping[str, Any]) -> str:
    """A dose as it is safe to read: "10 mg", never "10.0 mg"; "1 to 2 tablets"."""
    if "low" in amount:
        low, high = amount["low"], amount["high"]
        if low["unit"] == high["unit"]:
            return f"{trimmed(low['value'])} to {amount_words(high)}"
        return f"{amount_words(low)} to {amount_words(high)}"
    return units.amount_words(trimmed(amount["value"]), amount["unit"])


def words_of(name: str, value: Any) -> str | None:
    """The words of a dosing field's value, for the kinds that hold it; None: as for every kind."""
    if not isinstance(value, Mapping):
        return None
    match name:
        case "dose" | "units_taken":
            return amount_words(value)
        case "frequency":
            return frequency_words(value)
        case "as_needed":
            return as_needed_words(value)
    return None


def change_words(before: Mapping[str, Any], after: Mapping[str, Any]) -> str:
    """What becomes of the dose in a sentence: "dose doubled: 10 mg per day to 20 mg per day"; "" if it stays."""
    old, new = daily_dose(before), daily_dose(after)
    ratio = dose_ratio(before, after)
    if old is None or new is None or ratio == 1:
        return ""
    if old.period != new.period:
        # Nobody compares a day with a week.
        old, new = old.in_a_week, new.in_a_week
    if ratio is None:
        return f"dose not comparable: {old.words} to {new.words}"
    return f"dose {ratio_words(ratio)}: {old.words} to {new.words}"


def ratio_words(ratio: Fraction) -> str:
    """ "doubled", "halved", "3 times as much", "1.14 times as much", "0.75 times as much"."""
    if ratio == 2:
        return "doubled"
    if ratio == Fraction(1, 2):
        return "halved"
    return f"{decimal_words(ratio, places=2)} times as much"


def _listed(parts: Sequence[str]) -> str:
    return " and ".join([", ".join(parts[:-1]), parts[-1]]) if len(parts) > 1 else "".join(parts)
