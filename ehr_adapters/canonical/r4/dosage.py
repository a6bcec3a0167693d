"""The directions of a medicine as a Dosage, and back: for list entries and for prescriptions. Pure.

An entry has one line of directions here. Where an EHR keeps several (a rising dose, two strengths), none of
them is read as "the" dose, and none is changed.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ehr_adapters.canonical import codes, dosing, units
from ehr_adapters.canonical.r4.building import Writer, refused
from ehr_adapters.canonical.r4.parts import Taken, Uncarried, concept_of, objects
from ehr_adapters.canonical.r4.quantities import UCUM, quantity_of, read_quantity

_RATE_TYPE = "http://terminology.hl7.org/CodeSystem/dose-rate-type"
_CALCULATED = {"coding": [{"system": _RATE_TYPE, "code": "calculated"}]}
_COUNTED = frozenset(unit for unit in units.TAKEN_AS if unit not in units.DRUG)
_A_DAY = {"value": 1, "unit": "day", "system": UCUM, "code": "d"}
_OF_FREQUENCY = ("frequency", "period", "periodUnit", "dayOfWeek", "timeOfDay", "when")
_BOUNDS = ("boundsPeriod", "boundsDuration", "boundsRange")
# FHIR R4, value set timing-abbreviation: the schedules that have only one meaning.
_GTS = "http://terminology.hl7.org/CodeSystem/v3-GTSAbbreviation"
_SPOKEN_CODES: Mapping[str, tuple[int, int, str]] = {
    "QD": (1, 1, "d"),
    "BID": (2, 1, "d"),
    "TID": (3, 1, "d"),
    "QID": (4, 1, "d"),
    "QOD": (1, 2, "d"),
    "Q1H": (1, 1, "h"),
    "Q2H": (1, 2, "h"),
    "Q3H": (1, 3, "h"),
    "Q4H": (1, 4, "h"),
    "Q6H": (1, 6, "h"),
    "Q8H": (1, 8, "h"),
    "WK": (1, 1, "wk"),
    "MO": (1, 1, "mo"),
}

# --- writing ---------------------------------------------------------------------------------------


def dosage_writers(element: str) -> dict[str, Writer]:
    """The writers of the dosing fields; `element` is the resource's list of directions."""
    return {name: _into(element, put) for name, put in _PUTS.items()}


def _into(element: str, put: Callable[[dict[str, Any], Any], Iterable[Uncarried]]) -> Writer:
    def write(resource: dict[str, Any], value: Any) -> Iterable[Uncarried]:
        return put(only_dosage(resource, element), value)

    return write


def only_dosage(resource: dict[str, Any], element: str) -> dict[str, Any]:
    """The one line of directions, made where there is none; raises `ChangeInvalid` where there are several."""
    lines: Any = resource.setdefault(element, [])
    if not isinstance(lines, list) or lines != objects(lines) or len(lines) > 1:
        raise refused(
            "/dose",
            "several-dosages",
            "The entry does not hold one line of directions: which of them changes can only be said in the EHR.",
        )
    if not lines:
        lines.append({})
    line: dict[str, Any] = lines[0]
    return line


def _put_text(line: dict[str, Any], value: str | None) -> Iterable[Uncarried]:
    line.pop("_text", None)
    if value is None:
        line.pop("text", None)
    else:
        line["text"] = value
    return ()


def _put_route(line: dict[str, Any], value: Mapping[str, Any]) -> Iterable[Uncarried]:
    held = objects((line.get("route") or {}).get("coding"))
    if not any((c.get("system"), c.get("code")) == (value["system"], value["code"]) for c in held):
        line["route"] = concept_of([value])
    return ()


def _put_as_needed(line: dict[str, Any], value: Mapping[str, Any] | None) -> Iterable[Uncarried]:
    held = line.get("asNeededCodeableConcept") or {}
    for name in ("asNeededBoolean", "_asNeededBoolean", "asNeededCodeableConcept"):
        line.pop(name, None)
    if read_maximum(line.get("maxDosePerPeriod")):
        del line["maxDosePerPeriod"]
    if value is not None:
        if value.get("reason"):
            line["asNeededCodeableConcept"] = {"text": value["reason"]}
        else:
            line["asNeededBoolean"] = value["needed"]
        if value.get("max_per_day"):
            line["maxDosePerPeriod"] = {
                "numerator": quantity_of(value["max_per_day"]),
                "denominator": dict(_A_DAY),
            }
    if held.get("coding"):
        yield Uncarried("/as_needed", "The code of what it was needed for goes away.", removed=True)


def _put_frequency(line: dict[str, Any], value: Mapping[str, Any]) -> Iterable[Uncarried]:
    timing = line.get("timing") or {}
    held = timing.get("repeat") or {}
    repeat: dict[str, Any] = {name: held[name] for name in _BOUNDS if name in held}
    repeat |= {
        "frequency": value["times"],
        "period": value["per"],
        "periodUnit": value["unit"],
    }
    if value.get("weekdays"):
        repeat["dayOfWeek"] = value["weekdays"]
    if value.get("clock_times"):
        repeat["timeOfDay"] = [f"{one}:00" for one in value["clock_times"]]
    if value.get("when"):
        repeat["when"] = value["when"]
    line["timing"] = {"repeat": repeat}
    if {*timing} - {"repeat"} or {*held} - {*_BOUNDS, *_OF_FREQUENCY}:
        yield Uncarried(
            "/frequency", "What else the entry says of the schedule goes away.", removed=True
        )


def _put_dose(line: dict[str, Any], value: Mapping[str, Any]) -> Iterable[Uncarried]:
    amount = (
        {"doseRange": {"low": quantity_of(value["low"]), "high": quantity_of(value["high"])}}
        if "low" in value
        else {"doseQuantity": quantity_of(value)}
    )
    _set_amount(line, "dose", amount)
    return ()


def _put_units(line: dict[str, Any], value: Mapping[str, Any] | None) -> Iterable[Uncarried]:
    amount = value and {"type": _CALCULATED, "doseQuantity": quantity_of(value)}
    _set_amount(line, "units_taken", amount)
    return ()


def _set_amount(line: dict[str, Any], role: str, amount: Mapping[str, Any] | None) -> None:
    """The amount of a role in the place of the one that is there; its rate and everything else stay."""
    amounts: list[dict[str, Any]] = line.setdefault("doseAndRate", [])
    index = next((i for i, one in enumerate(amounts) if _role_of(one) == role), None)
    if index is not None:
        left = {k: v for k, v in amounts[index].items() if k not in {"doseQuantity", "doseRange"}}
        if amount is not None:
            amounts[index] = left | dict(amount)
        elif {*left} - {"type"}:
            amounts[index] = left
        else:
            del amounts[index]
    elif amount is not None:
        amounts.insert(0 if role == "dose" else len(amounts), dict(amount))
    if not amounts:
        del line["doseAndRate"]


_PUTS: Mapping[str, Callable[[dict[str, Any], Any], Iterable[Uncarried]]] = {
    "dose": _put_dose,
    "units_taken": _put_units,
    "route": _put_route,
    "frequency": _put_frequency,
    "as_needed": _put_as_needed,
    "sig_text": _put_text,
}

# --- reading ---------------------------------------------------------------------------------------


def read_dosage(taken: Taken, element: str, content: dict[str, Any]) -> None:
    """The dosing fields of a resource's only line of directions; of several, their words alone."""
    lines = taken.value.get(element)
    if not isinstance(lines, list) or not lines:
        return
    if len(lines) > 1:
        texts = [one.get("text") for one in objects(lines)]
        if all(isinstance(text, str) and text.strip() for text in texts):
            content["sig_text"] = "\n".join(map(str, texts))
        return
    line = lines[0]
    if not isinstance(line, dict):
        return
    inner = Taken(line, base_url=taken.base_url)
    text = line.get("text")
    if isinstance(text, str) and text.strip():
        content["sig_text"] = inner.pop("text")
    route = inner.code_of("route", (codes.SNOMED,))
    if route:
        content["route"] = route[0]
    found = {
        **_amounts(line),
        "frequency": read_frequency(line.get("timing")),
        "as_needed": _as_needed(line),
    }
    content.update({name: value for name, value in found.items() if value is not None})


def _amounts(line: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for one in objects(line.get("doseAndRate")):
        role = _role_of(one)
        if not role or role in found:
            continue
        found[role] = _amount_of(one)
        one.pop("doseQuantity", None)
        one.pop("doseRange", None)
        if role == "units_taken" and one.get("type") == _CALCULATED:
            del one["type"]
    return found


def _role_of(one: Any) -> str:
    """ "units_taken" for what is counted, or was reckoned from the dose; "dose" for any other amount."""
    amount = _amount_of(one)
    if amount is None:
        return ""
    unit = amount.get("unit", "")
    if unit in _COUNTED or (one.get("type") == _CALCULATED and unit in units.TAKEN_AS):
        return "units_taken"
    return "dose"


def _amount_of(one: Any) -> dict[str, Any] | None:
    if not isinstance(one, Mapping):
        return None
    if "doseQuantity" in one:
        quantity = read_quantity(one["doseQuantity"])
        return None if quantity is None or "comparator" in quantity else quantity
    ends = one.get("doseRange")
    if not isinstance(ends, Mapping):
        return None
    low, high = read_quantity(ends.get("low")), read_quantity(ends.get("high"))
    return {"low": low, "high": high} if low and high else None


def read_frequency(timing: Any) -> dict[str, Any] | None:
    """The frequency of a Timing; what was read is taken out of it.

    None, and everything left, where the schedule says more than a frequency can ("every 4 to 6 hours").
    """
    if not isinstance(timing, dict):
        return None
    repeat = timing.get("repeat")
    if repeat and not isinstance(repeat, dict):
        return None
    if not repeat or "period" not in repeat:
        return None if repeat and {*repeat} - {*_BOUNDS} else _coded_frequency(timing)
    if {*repeat} - {*_BOUNDS, *_OF_FREQUENCY}:
        return None
    # R4, data types, Timing: without a frequency it is once in the period.
    times, per, unit = repeat.get("frequency", 1), repeat["period"], repeat.get("periodUnit")
    whole = _whole(per)
    if not isinstance(times, int) or whole is None or unit not in ("h", "d", "wk", "mo"):
        return None
    frequency: dict[str, Any] = {"times": times, "per": whole, "unit": unit}
    days, clock, moments = (repeat.get(n) or [] for n in ("dayOfWeek", "timeOfDay", "when"))
    if not all(isinstance(one, list) for one in (days, clock, moments)):
        return None
    if days:
        frequency["weekdays"] = days
    if clock:
        if not all(isinstance(one, str) and one.endswith(":00") for one in clock):
            return None
        frequency["clock_times"] = [one[:5] for one in clock]
    if moments:
        if any(str(one) not in dict(dosing.MOMENTS) for one in moments):
            return None
        frequency["when"] = moments
    for name in _OF_FREQUENCY:
        repeat.pop(name, None)
    return frequency


def _coded_frequency(timing: dict[str, Any]) -> dict[str, Any] | None:
    inner = Taken({"code": timing.get("code")})
    code = inner.status_of("code", _GTS, tuple(_SPOKEN_CODES))
    if not code:
        return None
    del timing["code"]
    times, per, unit = _SPOKEN_CODES[code]
    return {"times": times, "per": per, "unit": unit}


def _whole(number: Any) -> int | None:
    try:
        return int(number) if int(number) == number else None
    except (TypeError, ValueError, OverflowError):
        return None


def _as_needed(line: dict[str, Any]) -> dict[str, Any] | None:
    concept = line.get("asNeededCodeableConcept")
    needed: dict[str, Any]
    if isinstance(line.get("asNeededBoolean"), bool):
        needed = {"needed": line.pop("asNeededBoolean")}
    elif isinstance(concept, dict):
        needed = {"needed": True}
        words = concept.get("text") or next(
            (c["display"] for c in objects(concept.get("coding")) if c.get("display")), None
        )
        if isinstance(words, str) and words.strip():
            needed["reason"] = words
            concept.pop("text", None)
    else:
        return None
    maximum = read_maximum(line.get("maxDosePerPeriod"))
    if maximum and needed["needed"]:
        needed["max_per_day"] = maximum
        del line["maxDosePerPeriod"]
    return needed


def read_maximum(ratio: Any) -> dict[str, Any] | None:
    """The most in a day that a Ratio says; None for a maximum over any other time."""
    if not isinstance(ratio, Mapping) or {*ratio} - {"numerator", "denominator"}:
        return None
    amount = read_quantity(ratio.get("numerator"))
    over = read_quantity(ratio.get("denominator"))
    if amount is None or over is None or "comparator" in amount:
        return None
    hours = units.converted(over["value"], over["unit"], "h")
    return amount if hours == 24 else None
