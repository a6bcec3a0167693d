"""The form fields of one value, by its declaration, and the value that they give back.

A quantity is a number and a unit; a structured value has a field for each member, a list of them a row
for each entry and one empty row for a further one. An emptied row is taken out.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from django import forms

from ehr_adapters.canonical import codes, units
from ehr_adapters.canonical.base import Column, Control, FieldSpec

SEPARATOR = "|"
_WHOLE = re.compile(r"-?[0-9]{1,18}")
_COMPARATORS = ("<", "<=", ">=", ">")


class TypedCode(forms.CharField):
    """A code typed in; which system it is of follows from its form. Words stand where the field takes words."""

    def __init__(self, column: Column | FieldSpec, **kwargs: Any) -> None:
        self.systems, self.or_text = column.systems, column.or_text
        super().__init__(
            **{"required": False, "max_length": 400 if column.or_text else 20} | kwargs
        )

    def clean(self, value: Any) -> str:
        given = str(super().clean(value)).strip()
        for system in self.systems:
            if codes.is_well_formed(system=system, code=given.upper()):
                return f"{system}{SEPARATOR}{given.upper()}"
        if given and not self.or_text:
            raise forms.ValidationError("This is not the form of such a code.")
        return given


def code_of(key: str) -> dict[str, str]:
    """The code that a key "system|code" names, with the portal's own words where it has some."""
    system, _, code = key.partition(SEPARATOR)
    display = codes.display_of(system=system, code=code)
    return {"system": system, "code": code} | ({"display": display} if display else {})


def key_of(code: Mapping[str, Any]) -> str:
    return f"{code['system']}{SEPARATOR}{code['code']}"


def words_of(code: Mapping[str, Any]) -> str:
    shown = code.get("display") or codes.display_of(system=code["system"], code=code["code"])
    return f"{shown} ({code['code']})" if shown else str(code["code"])


# --- structured values ------------------------------------------------------------------------------------

STRUCTURED = frozenset(
    {Control.QUANTITY, Control.NUMBER, Control.YES_NO, Control.PART, Control.PARTS}
)


@dataclass(frozen=True, slots=True)
class Together:
    """Fields that belong together: the members of one value. `further`: a row that is not there yet."""

    title: str
    fields: Mapping[str, forms.Field]
    further: bool = False


def structured_fields(spec: FieldSpec, value: Any) -> Iterator[Together]:
    """The fields of a quantity, a yes or no, a structured value or each entry of a list of them."""
    if spec.control is Control.PARTS:
        rows = list(value or [])
        for index, row in enumerate(rows):
            title = f"{spec.label} {index + 1}" if len(rows) > 1 else spec.label
            yield Together(title, dict(_member_fields(spec, row, name=f"{spec.name}-{index}")))
        blank = dict(_member_fields(spec, {}, name=f"{spec.name}-{len(rows)}"))
        yield Together(f"{spec.label}: add one", blank, further=True)
    elif spec.control is Control.PART:
        yield Together(spec.label, dict(_member_fields(spec, value or {}, name=spec.name)))
    else:
        plain = _plain_fields(spec, value, name=spec.name, label=spec.label, required=spec.required)
        yield Together("", dict(plain))


def structured_value(spec: FieldSpec, cleaned: Mapping[str, Any], before: Any) -> Any:
    """What the fields of `structured_fields` say; None when they say nothing."""
    if spec.control is Control.PARTS:
        rows = [*(before or []), {}]
        values = [
            _members(spec, cleaned, row, name=f"{spec.name}-{index}")
            for index, row in enumerate(rows)
        ]
        return [value for value in values if value] or None
    if spec.control is Control.PART:
        return _members(spec, cleaned, before or {}, name=spec.name) or None
    return _plain_value(spec, cleaned, before, name=spec.name)


def _member_fields(
    spec: FieldSpec, value: Mapping[str, Any], *, name: str
) -> Iterator[tuple[str, forms.Field]]:
    for member, column in spec.columns:
        yield from _plain_fields(
            column,
            value.get(member),
            name=f"{name}-{member}",
            label=column.label,
            required=False,
        )


def _members(
    spec: FieldSpec, cleaned: Mapping[str, Any], before: Mapping[str, Any], *, name: str
) -> dict[str, Any]:
    declared = dict(spec.columns)
    out = {n: v for n, v in before.items() if n not in declared}
    for member, column in declared.items():
        value = _plain_value(column, cleaned, before.get(member), name=f"{name}-{member}")
        if value is not None:
            out[member] = value
    return out


def _plain_fields(
    column: Column | FieldSpec, value: Any, *, name: str, label: str, required: bool
) -> Iterator[tuple[str, forms.Field]]:
    match column.control:
        case Control.QUANTITY if _is_other_than_amount(value):
            # A result may be a code or words instead of a number.
            words = words_of(value) if isinstance(value, Mapping) else value
            yield (
                name,
                forms.CharField(
                    label=label, required=False, initial=words, disabled=True, max_length=400
                ),
            )
        case Control.QUANTITY:
            yield from _quantity_fields(column, value, name=name, label=label, required=required)
        case Control.NUMBER:
            yield name, forms.IntegerField(label=label, required=required, initial=value)
        case Control.YES_NO:
            yield (
                name,
                forms.ChoiceField(
                    label=label,
                    required=required,
                    choices=[("", "not stated"), ("yes", "yes"), ("no", "no")],
                    initial={True: "yes", False: "no"}.get(value, ""),
                ),
            )
        case Control.CHOICE:
            choices = column.choices if isinstance(column, FieldSpec) else column.words
            yield (
                name,
                forms.ChoiceField(
                    label=label,
                    required=required,
                    choices=[("", "not stated"), *choices],
                    initial=value or "",
                ),
            )
        case Control.CHOICES:
            choices = column.choices if isinstance(column, FieldSpec) else column.words
            yield (
                name,
                forms.MultipleChoiceField(
                    label=label,
                    required=required,
                    choices=choices,
                    initial=value or [],
                    widget=forms.CheckboxSelectMultiple,
                ),
            )
        case _ if column.systems:
            shown = value["code"] if isinstance(value, Mapping) else value or ""
            names = " or ".join(codes.SYSTEM_NAMES[system] for system in column.systems)
            yield (
                name,
                TypedCode(
                    column,
                    label=label,
                    initial=shown,
                    help_text=words_of(value) if isinstance(value, Mapping) else f"A {names} code.",
                ),
            )
        case Control.REFERENCE:
            return
        case _:
            # An answer may be a code, an amount or a yes: its words are shown, another is not typed in.
            fixed = isinstance(value, (Mapping, bool))
            value = ", ".join(value) if isinstance(value, list) else value
            yield (
                name,
                forms.CharField(
                    label=label,
                    required=required,
                    initial=_shown(value) if fixed else "" if value is None else value,
                    max_length=column.max_length,
                    disabled=fixed,
                    strip=False,
                ),
            )


def _is_other_than_amount(value: Any) -> bool:
    return isinstance(value, str) or (isinstance(value, Mapping) and "code" in value)


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if "code" in value:
        return words_of(value)
    return f"{value.get('value', '')} {units.unit_words(str(value.get('unit', '')))}".strip()


def _quantity_fields(
    column: Column | FieldSpec, value: Any, *, name: str, label: str, required: bool
) -> Iterator[tuple[str, forms.Field]]:
    low = value.get("low", value) if isinstance(value, Mapping) else {}
    high = value.get("high", {}) if isinstance(value, Mapping) else {}
    if column.or_beyond:
        yield (
            f"{name}-comparator",
            forms.ChoiceField(
                label=f"{label}, beyond what could be measured",
                required=False,
                choices=[("", "no"), *((sign, sign) for sign in _COMPARATORS)],
                initial=low.get("comparator") or "",
            ),
        )
    yield (
        f"{name}-value",
        forms.CharField(
            label=label, required=required, initial=low.get("value", ""), max_length=30
        ),
    )
    if column.or_range:
        yield (
            f"{name}-to",
            forms.CharField(
                label=f"{label}, up to",
                required=False,
                initial=high.get("value", ""),
                max_length=30,
            ),
        )
    unit = low.get("unit", "")
    possible = column.units or tuple(units.UNITS)
    choices = [(code, units.unit_words(code)) for code in dict.fromkeys((*possible, unit)) if code]
    yield (
        f"{name}-unit",
        forms.ChoiceField(
            label=f"{label}, unit",
            required=required,
            choices=[("", "not stated"), *choices],
            initial=unit,
        ),
    )


def _plain_value(
    column: Column | FieldSpec, cleaned: Mapping[str, Any], before: Any, *, name: str
) -> Any:
    match column.control:
        case Control.QUANTITY if _is_other_than_amount(before):
            return before
        case Control.QUANTITY:
            return _quantity_value(cleaned, name=name)
        case Control.NUMBER:
            return cleaned[name]
        case Control.YES_NO:
            return {"yes": True, "no": False}.get(cleaned[name])
        case Control.CHOICES:
            return cleaned[name] or None
        case _ if column.systems:
            key = cleaned[name]
            if isinstance(before, Mapping) and key_of(before) == key:
                return before
            return (code_of(key) if SEPARATOR in key else key) or None
        case Control.REFERENCE:
            return before
        case _ if isinstance(before, (Mapping, bool)):
            return before
        case _ if isinstance(before, int) and _WHOLE.fullmatch(str(cleaned[name]).strip()):
            return int(cleaned[name])
        case _:
            return str(cleaned[name]).replace("\r\n", "\n").replace("\r", "\n") or None


def _quantity_value(cleaned: Mapping[str, Any], *, name: str) -> dict[str, Any] | None:
    """An incomplete quantity is given on as it is: the pipeline says what is missing."""
    value, unit = cleaned[f"{name}-value"].strip(), cleaned[f"{name}-unit"]
    upper = (cleaned.get(f"{name}-to") or "").strip()
    comparator = cleaned.get(f"{name}-comparator")
    if not value and not upper:
        return None
    low = {k: v for k, v in (("value", value), ("unit", unit)) if v}
    if upper:
        return {"low": low, "high": {"value": upper} | ({"unit": unit} if unit else {})}
    return low | ({"comparator": comparator} if comparator else {})
