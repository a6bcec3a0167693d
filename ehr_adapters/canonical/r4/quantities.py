"""Amounts with units (Quantity, Range), written and read the same way by every kind. Pure."""

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from ehr_adapters.canonical import units
from ehr_adapters.canonical.exact_json import ExactDecimal

UCUM = "http://unitsofmeasure.org"

_DECIMAL = re.compile(r"-?(?:0|[1-9][0-9]{0,11})(?:\.[0-9]{1,18})?")
# What EHRs write beside a number in place of a UCUM code, or as the words of one.
_SPELT: Mapping[str, str] = {
    **{unit: unit for unit in units.UNITS},
    **{known.words: unit for unit, known in units.UNITS.items()},
    **{known.one: unit for unit, known in units.UNITS.items() if known.one},
    "µg": "ug",
    "μg": "ug",
    "ml": "mL",
    "tablet(s)": "{tablet}",
    "tab": "{tablet}",
    "capsule(s)": "{capsule}",
    "cap": "{capsule}",
    "unit(s)": "[iU]",
    "puff(s)": "{puff}",
}


def quantity_of(value: Mapping[str, Any]) -> dict[str, Any]:
    """A FHIR Quantity: the decimal exactly as it was written, the unit in words and as a UCUM code."""
    words = units.amount_words(value["value"], value["unit"]).partition(" ")[2]
    quantity: dict[str, Any] = {"value": _number(value["value"])}
    if value.get("comparator"):
        quantity["comparator"] = value["comparator"]
    return quantity | {"unit": words, "system": UCUM, "code": value["unit"]}


def read_quantity(quantity: Any) -> dict[str, Any] | None:
    """The amount that a Quantity says, its decimal as it was sent; None where number or unit cannot be read."""
    if not isinstance(quantity, Mapping):
        return None
    value, unit = _decimal_text(quantity.get("value")), _unit_of(quantity)
    if value is None or unit is None:
        return None
    amount = {"value": value, "unit": unit}
    comparator = quantity.get("comparator")
    return amount | ({"comparator": comparator} if comparator else {})


def _number(text: str) -> ExactDecimal | int:
    return ExactDecimal(text) if "." in text or text.startswith("-0") else int(text)


def _decimal_text(value: Any) -> str | None:
    if isinstance(value, bool) or not isinstance(value, (int, Decimal)):
        return None
    text = value.text if isinstance(value, ExactDecimal) else str(value)
    if not _DECIMAL.fullmatch(text):
        # An exponent says the same number.
        text = format(Decimal(text), "f")
    return text if _DECIMAL.fullmatch(text) else None


def _unit_of(quantity: Mapping[str, Any]) -> str | None:
    code, unit = quantity.get("code"), quantity.get("unit")
    if isinstance(code, str) and quantity.get("system") == UCUM:
        return code
    for spelt in (unit, code):
        if isinstance(spelt, str):
            return _SPELT.get(spelt.strip()) or _SPELT.get(spelt.strip().lower())
    return None
