"""What a dose and a frequency come to: in a day or a week, beside another, in its simplest form. Pure.

Exact, and only shown: nothing of it is sent.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

from ehr_adapters.canonical import units

_HOURS = {"h": 1, "d": 24, "wk": 168}
_PERIOD_WORDS = {"d": "per day", "wk": "per week", "mo": "per month"}


@dataclass(frozen=True, slots=True)
class PeriodDose:
    """How much is taken in a day, a week or a month ("d", "wk", "mo"): exact, from `low` to `high` of `unit`.

    `up_to`: it is taken as needed, so that this is the most of it.
    """

    low: Fraction
    high: Fraction
    unit: str
    period: str
    up_to: bool = False

    @property
    def words(self) -> str:
        """ "20 mg per day", "up to 35 mg per week"."""
        amount = decimal_words(self.high)
        if self.low != self.high and not self.up_to:
            amount = f"{decimal_words(self.low)} to {amount}"
        lead = "up to " if self.up_to else ""
        unit = units.amount_words(decimal_words(self.high), self.unit).partition(" ")[2]
        return f"{lead}{amount} {unit} {_PERIOD_WORDS[self.period]}"

    @property
    def in_a_week(self) -> "PeriodDose":
        """The same over a week; what is taken by the month stays so."""
        if self.period != "d":
            return self
        return replace(self, low=self.low * 7, high=self.high * 7, period="wk")


def daily_dose(content: Mapping[str, Any]) -> PeriodDose | None:
    """What the dose and the frequency come to in a day; in a week where it is not taken every day, in a month
    for monthly schedules. None where one of them is not known."""
    amounts, schedule = amounts_of(content.get("dose")), _schedule(content.get("frequency"))
    if amounts is None or schedule is None:
        return None
    low, high, unit = amounts
    period, times = schedule
    needed = content.get("as_needed") or {}
    up_to = bool(needed.get("needed"))
    low, high = low * times, high * times
    most = needed.get("max_per_day") if up_to else None
    if most and period != "mo":
        limit = units.converted(most["value"], most["unit"], unit)
        if limit is not None:
            # The limit holds for every day; on a weekly schedule, for seven of them.
            high = min(high, limit * (7 if period == "wk" else 1))
            low = min(low, high)
    return PeriodDose(low=low, high=high, unit=unit, period=period, up_to=up_to)


def dose_ratio(before: Mapping[str, Any], after: Mapping[str, Any]) -> Fraction | None:
    """How many times as much `after` comes to as `before`, over the same time.

    Of a range, the end that moves further counts. None where one is not known, where the two are of
    different dimensions (mg and mL), or where a monthly schedule meets another.
    """
    today, then = daily_dose(before), daily_dose(after)
    if today is None or then is None:
        return None
    one, other = today.in_a_week, then.in_a_week
    if one.period != other.period:
        return None
    if not units.same_dimension(one.unit, other.unit):
        return None
    ratios = []
    for name in ("low", "high"):
        start = units.base_amount(getattr(one, name), one.unit)
        if not start:
            return None
        ratios.append(units.base_amount(getattr(other, name), other.unit) / start)
    return max(ratios, key=lambda ratio: max(ratio, 1 / ratio) if ratio else Fraction(10**9))


def doses_per_week(content: Mapping[str, Any]) -> Fraction | None:
    """How many times a week it is taken, as needed at most; a month counts as four weeks. None: not known."""
    schedule = _schedule(content.get("frequency"))
    if schedule is None:
        return None
    period, times = schedule
    return {"d": times * 7, "wk": times, "mo": times / 4}[period]


def dose_unit(content: Mapping[str, Any]) -> str:
    """The UCUM code of the dose, "" where there is none."""
    amounts = amounts_of(content.get("dose"))
    return amounts[2] if amounts else ""


def amounts_of(dose: Any) -> tuple[Fraction, Fraction, str] | None:
    """(least, most, unit) of a dose; both ends of a range in the unit of its upper end."""
    if not isinstance(dose, Mapping):
        return None
    if "low" not in dose:
        return Fraction(dose["value"]), Fraction(dose["value"]), dose["unit"]
    low, high = dose["low"], dose["high"]
    least = units.converted(low["value"], low["unit"], high["unit"])
    return None if least is None else (least, Fraction(high["value"]), high["unit"])


def _schedule(frequency: Any) -> tuple[str, Fraction] | None:
    """("d", times a day) of what is taken every day, else ("wk", times a week) or ("mo", times a month)."""
    if not isinstance(frequency, Mapping):
        return None
    times, per, unit = Fraction(frequency["times"]), frequency["per"], frequency["unit"]
    days = len(frequency.get("weekdays") or ())
    if unit == "mo":
        return "mo", times / per
    if days and unit == "d" and per == 1:
        return "wk", times * days
    if days:
        # Once a week on two days is said for twice: the greater number is the safe one.
        return "wk", max(times, Fraction(days)) * 168 / (per * _HOURS[unit])
    hours = Fraction(per * _HOURS[unit])
    if unit == "wk" or hours / times > 24:
        return "wk", times * 168 / hours
    return "d", times * 24 / hours


def reduced(frequency: Mapping[str, Any]) -> dict[str, Any]:
    """The frequency as it is compared: 2 in a day is 1 in 12 hours, unless the days or times of day are named."""
    unit = frequency["unit"]
    named = {
        name: sorted(frequency[name])
        for name in ("weekdays", "clock_times", "when")
        if frequency.get(name)
    }
    times, per = Fraction(frequency["times"]), Fraction(frequency["per"])
    if "weekdays" in named and unit == "d" and per == 1:
        times, unit = times * len(named["weekdays"]), "wk"
    if unit != "mo":
        per, unit = per * _HOURS[unit], "h"
    interval = per / times
    if named:
        # With named days or times the number of doses at once matters, not only their rate.
        return {"times": str(times), "per": str(per), "unit": unit, **named}
    return {"times": "1", "per": str(interval), "unit": unit}


def decimal_words(number: Fraction, *, places: int = 3) -> str:
    """The number in decimals, rounded where it has no end, without trailing zeros."""
    return trimmed(f"{float(round(number, places)):.{places}f}")


def trimmed(decimal: str) -> str:
    return decimal.rstrip("0").rstrip(".") if "." in decimal else decimal
