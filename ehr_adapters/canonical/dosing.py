"""How much of a medicine, by which way, how often: declared once for list entries and for prescriptions. Pure.

What is reckoned from it (the dose a day, its ratio to another) is exact and only shown: it is never sent.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, Strict, StrictBool
from pydantic_core import PydanticCustomError

from ehr_adapters.canonical import units
from ehr_adapters.canonical.codes import SNOMED
from ehr_adapters.canonical.declaration import (
    ChangeIssue,
    ChartField,
    Column,
    Comparison,
    Control,
    Owner,
    Risk,
)
from ehr_adapters.canonical.types import (
    Code,
    Entries,
    Part,
    Quantity,
    QuantityRange,
    Text,
    WholeNumber,
)

FIELDS = ("dose", "units_taken", "route", "frequency", "as_needed", "sig_text")

WEEKDAYS = (
    ("mon", "Monday"),
    ("tue", "Tuesday"),
    ("wed", "Wednesday"),
    ("thu", "Thursday"),
    ("fri", "Friday"),
    ("sat", "Saturday"),
    ("sun", "Sunday"),
)
# FHIR R4, value set event-timing: the moments of a day that directions name.
MOMENTS = (
    ("MORN", "in the morning"),
    ("NOON", "at noon"),
    ("AFT", "in the afternoon"),
    ("EVE", "in the evening"),
    ("NIGHT", "at night"),
    ("HS", "at bedtime"),
    ("WAKE", "on waking"),
    ("C", "with meals"),
    ("AC", "before meals"),
    ("PC", "after meals"),
)
_PERIODS = (("h", "hours"), ("d", "days"), ("wk", "weeks"), ("mo", "months"))
_HOURS = {"h": 1, "d": 24, "wk": 168}
_CLOCK = re.compile(r"(?:[01][0-9]|2[0-3]):[0-5][0-9]")


def _clock_time(text: str) -> str:
    if not _CLOCK.fullmatch(text):
        raise PydanticCustomError("bad-time", "A time of day is hh:mm, from 00:00 to 23:59.")
    return text


def _no_repeats(entries: tuple[Any, ...]) -> tuple[Any, ...]:
    if len(set(entries)) != len(entries):
        raise PydanticCustomError("repeated", "Each stands here once.")
    return entries


ClockTime = Annotated[str, AfterValidator(_clock_time)]
Weekday = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
Moment = Literal["MORN", "NOON", "AFT", "EVE", "NIGHT", "HS", "WAKE", "C", "AC", "PC"]


class Frequency(Part):
    """So many times in so much time, on which days, at which times of the day."""

    times: Annotated[
        Annotated[WholeNumber, Field(ge=1, le=99)], Column(label="Times", control=Control.LINE)
    ]
    per: Annotated[
        Annotated[WholeNumber, Field(ge=1, le=999)], Column(label="In", control=Control.LINE)
    ]
    unit: Annotated[
        Literal["h", "d", "wk", "mo"],
        Column(label="Unit of time", control=Control.CHOICE, words=_PERIODS),
    ]
    weekdays: Annotated[
        Annotated[
            tuple[Weekday, ...],
            Strict(strict=False),
            AfterValidator(Entries(1, 7)),
            AfterValidator(_no_repeats),
        ]
        | None,
        Column(label="On", control=Control.CHOICES, words=WEEKDAYS),
    ] = None
    clock_times: Annotated[
        Annotated[
            tuple[ClockTime, ...],
            Strict(strict=False),
            AfterValidator(Entries(1, 24)),
            AfterValidator(_no_repeats),
        ]
        | None,
        Column(label="At", control=Control.LINE),
    ] = None
    when: Annotated[
        Annotated[
            tuple[Moment, ...],
            Strict(strict=False),
            AfterValidator(Entries(1, 6)),
            AfterValidator(_no_repeats),
        ]
        | None,
        Column(label="When in the day", control=Control.CHOICES, words=MOMENTS),
    ] = None


class AsNeeded(Part):
    """Taken when there is a need, for what, and how much in a day at most."""

    needed: Annotated[StrictBool, Column(label="As needed", control=Control.YES_NO)]
    reason: Annotated[
        Annotated[Text, Field(max_length=200)] | None,
        Column(label="Needed for", control=Control.LINE, max_length=200),
    ] = None
    max_per_day: Annotated[
        Quantity | None,
        Column(
            label="At most in a day",
            control=Control.QUANTITY,
            units=tuple(dict.fromkeys((*units.DRUG, *units.TAKEN_AS))),
        ),
    ] = None


Dose = Annotated[
    Quantity | QuantityRange | None,
    ChartField(
        label="Dose",
        risk=Risk.HIGH,
        owner=Owner.SHARED,
        control=Control.QUANTITY,
        compare=Comparison.QUANTITY,
        element="dosage.doseAndRate",
        units=units.DRUG,
        or_range=True,
    ),
]
UnitsTaken = Annotated[
    Quantity | None,
    ChartField(
        label="Taken as",
        risk=Risk.HIGH,
        owner=Owner.SHARED,
        control=Control.QUANTITY,
        compare=Comparison.QUANTITY,
        element="dosage.doseAndRate",
        units=units.TAKEN_AS,
    ),
]
Route = Annotated[
    Code | None,
    ChartField(
        label="Route",
        risk=Risk.HIGH,
        owner=Owner.SHARED,
        control=Control.CODE,
        compare=Comparison.CODE,
        element="dosage.route",
        systems=(SNOMED,),
    ),
]
HowOften = Annotated[
    Frequency | None,
    ChartField(
        label="How often",
        risk=Risk.HIGH,
        owner=Owner.SHARED,
        control=Control.PART,
        compare=Comparison.PART,
        element="dosage.timing",
        part=Frequency,
    ),
]
WhenNeeded = Annotated[
    AsNeeded | None,
    ChartField(
        label="As needed",
        risk=Risk.HIGH,
        owner=Owner.SHARED,
        control=Control.PART,
        compare=Comparison.PART,
        element="dosage.asNeeded",
        part=AsNeeded,
    ),
]
SigText = Annotated[
    Text | None,
    ChartField(
        label="Instructions",
        risk=Risk.HIGH,
        owner=Owner.SHARED,
        control=Control.TEXT,
        compare=Comparison.TEXT,
        element="dosage.text",
        max_length=1000,
    ),
]

# --- how much in which time ------------------------------------------------------------------------

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


def daily_dose(content: Mapping[str, Any]) -> PeriodDose | None:
    """What the dose and the frequency come to in a day; in a week where it is not taken every day, in a month
    for monthly schedules. None where one of them is not known."""
    amounts, schedule = _amounts(content.get("dose")), _schedule(content.get("frequency"))
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
    one, other = _per_week(daily_dose(before)), _per_week(daily_dose(after))
    if one is None or other is None or one.period != other.period:
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
    amounts = _amounts(content.get("dose"))
    return amounts[2] if amounts else ""


def _per_week(dose: PeriodDose | None) -> PeriodDose | None:
    if dose is None or dose.period != "d":
        return dose
    return PeriodDose(dose.low * 7, dose.high * 7, dose.unit, "wk", dose.up_to)


def _amounts(dose: Any) -> tuple[Fraction, Fraction, str] | None:
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


# --- comparing -------------------------------------------------------------------------------------


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


# --- words -----------------------------------------------------------------------------------------

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
            return f"{_trimmed(low['value'])} to {amount_words(high)}"
        return f"{amount_words(low)} to {amount_words(high)}"
    return units.amount_words(_trimmed(amount["value"]), amount["unit"])


def compared_as(name: str, value: Any) -> Any:
    """A dosing field's value in the form in which it is compared, for the kinds that hold it."""
    return reduced(value) if name == "frequency" else value


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


def decimal_words(number: Fraction, *, places: int = 3) -> str:
    """The number in decimals, rounded where it has no end, without trailing zeros."""
    return _trimmed(f"{float(round(number, places)):.{places}f}")


def _trimmed(decimal: str) -> str:
    return decimal.rstrip("0").rstrip(".") if "." in decimal else decimal


def _listed(parts: Sequence[str]) -> str:
    return " and ".join([", ".join(parts[:-1]), parts[-1]]) if len(parts) > 1 else "".join(parts)


# --- rules between the fields ----------------------------------------------------------------------


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
        known = _amounts(amount)
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


# --- the directions in words -----------------------------------------------------------------------

_SPOKEN_UNITS = {
    "mg": "mg",
    "milligram": "mg",
    "milligrams": "mg",
    "mcg": "ug",
    "µg": "ug",
    "μg": "ug",
    "ug": "ug",
    "microgram": "ug",
    "micrograms": "ug",
    "g": "g",
    "gram": "g",
    "grams": "g",
    "ml": "mL",
    "milliliter": "mL",
    "milliliters": "mL",
    "millilitre": "mL",
    "millilitres": "mL",
    "unit": "[iU]",
    "units": "[iU]",
    "meq": "meq",
    "mmol": "mmol",
    "tablet": "{tablet}",
    "tablets": "{tablet}",
    "tab": "{tablet}",
    "tabs": "{tablet}",
    "capsule": "{capsule}",
    "capsules": "{capsule}",
    "puff": "{puff}",
    "puffs": "{puff}",
    "drop": "{drop}",
    "drops": "{drop}",
    "patch": "{patch}",
    "patches": "{patch}",
}
_VULGAR = {"½": Fraction(1, 2), "¼": Fraction(1, 4), "¾": Fraction(3, 4), "⅓": Fraction(1, 3)}
_NUMBER = r"(?:(?P<whole>(?:[0-9]{1,3}(?:,[0-9]{3})+|[0-9]+)(?:\.[0-9]+)?)(?:/(?P<below>[1-9][0-9]*))? ?(?P<part>[½¼¾⅓])?|(?P<only>[½¼¾⅓]))"
# "400 mg per 5 mL" and "100 units/mL" are strengths, "1000 mg/day" a limit: none of them is what is taken at once.
_AMOUNT = re.compile(
    rf"(?<![0-9.,/]){_NUMBER}[ \t]*-?(?P<unit>{'|'.join(sorted(_SPOKEN_UNITS, key=len, reverse=True))})"
    r"(?![A-Za-zµμ])(?!\s*(?:/|per\b))",
    re.IGNORECASE,
)
_DANGEROUS_UNIT = re.compile(r"(?<![0-9.,])[0-9]+(?:\.[0-9]+)?[ \t]*(?:U|IU|iu|u)\b(?!\.?S\b)")
_OFTEN = re.compile(
    r"\b(?:(?P<often>once|twice|three times|four times|five times|six times|[0-9]{1,2} times)[ -]"
    r"(?:(?:a|per|each|every|in a|in one) )?(?P<period>day|daily|week|weekly|month|monthly)"
    r"|every (?P<number>[0-9]{1,3}) ?(?P<every>hour|day|week|month)s?"
    r"|every (?P<other>other) (?P<second>day|week)"
    r"|(?P<alone>daily|weekly|monthly))\b",
    re.IGNORECASE,
)
_SPOKEN_TIMES = {
    "once": 1,
    "twice": 2,
    "three times": 3,
    "four times": 4,
    "five times": 5,
    "six times": 6,
}
_SPOKEN_PERIODS = {
    "hour": "h",
    "day": "d",
    "daily": "d",
    "week": "wk",
    "weekly": "wk",
    "month": "mo",
    "monthly": "mo",
}


def spoken_amounts(text: str) -> tuple[tuple[Fraction, str], ...]:
    """(number, UCUM code) of every amount that a text states in digits; strengths ("400 mg per 5 mL") are none."""
    found = []
    for match in _AMOUNT.finditer(text):
        if match["only"]:
            number = _VULGAR[match["only"]]
        else:
            number = Fraction(match["whole"].replace(",", "")) / int(match["below"] or 1)
            number += _VULGAR.get(match["part"] or "", 0)
        found.append((number, _SPOKEN_UNITS[match["unit"].lower()]))
    return tuple(found)


def spoken_frequencies(text: str) -> tuple[dict[str, Any], ...]:
    """Every frequency that a text states plainly: "twice a day", "every 12 hours", "weekly"."""
    found = []
    for match in _OFTEN.finditer(text):
        if match["often"]:
            spoken = match["often"].lower()
            times = _SPOKEN_TIMES.get(spoken) or int(spoken.split()[0])
            period = _SPOKEN_PERIODS[match["period"].lower()]
            found.append({"times": times, "per": 1, "unit": period})
        elif match["number"]:
            unit = _SPOKEN_PERIODS[match["every"].lower()]
            found.append({"times": 1, "per": int(match["number"]), "unit": unit})
        elif match["other"]:
            found.append({"times": 1, "per": 2, "unit": _SPOKEN_PERIODS[match["second"].lower()]})
        else:
            found.append({"times": 1, "per": 1, "unit": _SPOKEN_PERIODS[match["alone"].lower()]})
    return tuple(one for one in found if one["times"] and one["per"])


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
    if wanted & numbers:
        return True
    # "2 tablets of 10 mg": so many of a strength.
    counts = {number for number, unit in stated if unit in units.TAKEN_AS}
    taken = content.get("units_taken")
    if taken:
        counts.add(Fraction(taken["value"]))
    return any(count * number in wanted for count in counts for number in numbers)


# --- the product's strength ------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Strength:
    """So much of the drug in so much of the product: 10 mg in 1 {tablet}, 400 mg in 5 mL; exact."""

    amount: Fraction
    unit: str
    per: Fraction
    per_unit: str


_STRENGTH = re.compile(
    rf"(?<![0-9.,]){_NUMBER}[ \t]*(?P<unit>{'|'.join(sorted(_SPOKEN_UNITS, key=len, reverse=True))})"
    r"[ \t]*(?:(?:/|per|in)[ \t]*(?P<per>[0-9]+(?:\.[0-9]+)?)?[ \t]*)?"
    r"(?P<product>ml|tablet|capsule|puff|actuation|drop|patch)?",
    re.IGNORECASE,
)
_FORMS = re.compile(r"\b(tablet|capsule|puff|patch)(?:s|es)?\b", re.IGNORECASE)


def strength_in(words: str) -> Strength | None:
    """The strength that a product's name states: "lisinopril 10 mg tablet", "amoxicillin 400 mg per 5 mL".

    None where it states none, or several (a combination): then nothing can be reckoned.
    """
    found = [m for m in _STRENGTH.finditer(words) if not m["only"]]
    if len(found) != 1:
        return None
    match = found[0]
    amount, unit = Fraction(match["whole"].replace(",", "")), _SPOKEN_UNITS[match["unit"].lower()]
    product = (match["product"] or "").lower()
    if not product:
        forms = {form.lower() for form in _FORMS.findall(words)}
        if len(forms) != 1:
            return None
        product = forms.pop()
    per_unit = {"ml": "mL", "actuation": "{puff}"}.get(product, f"{{{product}}}")
    if units.same_dimension(unit, per_unit):
        return None
    return Strength(amount, unit, Fraction(match["per"] or 1), per_unit)


def dose_by_units(
    units_taken: Mapping[str, Any], strength: Strength
) -> tuple[Fraction, str] | None:
    """(amount, UCUM code) that so many units of a product come to; None for units that it is not counted in."""
    taken = units.converted(units_taken["value"], units_taken["unit"], strength.per_unit)
    return None if taken is None else (taken * strength.amount / strength.per, strength.unit)


def units_disagree(content: Mapping[str, Any], strength: Strength | None) -> bool | None:
    """Does “taken as” come to another amount than the dose, by the product's strength? None: not known."""
    dose, taken = content.get("dose"), content.get("units_taken")
    if not dose or not taken or strength is None or "low" in dose:
        return None
    reckoned = dose_by_units(taken, strength)
    if reckoned is None or not units.same_dimension(reckoned[1], dose["unit"]):
        return None
    return units.base_amount(*reckoned) != units.base_value(dose["value"], dose["unit"])[1]
