"""How much of a medicine, by which way, how often: the public face of the dosing fields. Pure.

content = {"dose": {"value": "10", "unit": "mg"}, "frequency": {"times": 1, "per": 1, "unit": "d"}}
daily_dose(content), dose_ratio(before, after), doses_per_week(content)   # reckoned, exact
change_words(before, after)                                               # "dose doubled: 10 mg per day to ..."
issues(content)                                                           # what contradicts itself
"""

from typing import Any

from ehr_adapters.canonical.doses.fields import (
    FIELDS,
    MOMENTS,
    WEEKDAYS,
    AsNeeded,
    Dose,
    Frequency,
    HowOften,
    Route,
    SigText,
    UnitsTaken,
    WhenNeeded,
)
from ehr_adapters.canonical.doses.reckoning import (
    PeriodDose,
    daily_dose,
    decimal_words,
    dose_ratio,
    dose_unit,
    doses_per_week,
    reduced,
)
from ehr_adapters.canonical.doses.rules import amount_issues, issues
from ehr_adapters.canonical.doses.spoken import (
    Strength,
    dose_by_units,
    spoken_amounts,
    spoken_frequencies,
    strength_in,
    units_disagree,
)
from ehr_adapters.canonical.doses.wording import (
    amount_words,
    as_needed_words,
    change_words,
    frequency_words,
    ratio_words,
    words_of,
)

__all__ = [
    "FIELDS",
    "MOMENTS",
    "WEEKDAYS",
    "AsNeeded",
    "Dose",
    "Frequency",
    "HowOften",
    "PeriodDose",
    "Route",
    "SigText",
    "Strength",
    "UnitsTaken",
    "WhenNeeded",
    "amount_issues",
    "amount_words",
    "as_needed_words",
    "change_words",
    "compared_as",
    "daily_dose",
    "decimal_words",
    "dose_by_units",
    "dose_ratio",
    "dose_unit",
    "doses_per_week",
    "frequency_words",
    "issues",
    "ratio_words",
    "reduced",
    "spoken_amounts",
    "spoken_frequencies",
    "strength_in",
    "units_disagree",
    "words_of",
]


def compared_as(name: str, value: Any) -> Any:
    """A dosing field's value in the form in which it is compared, for the kinds that hold it."""
    return reduced(value) if name == "frequency" else value
