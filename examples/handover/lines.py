"""One line of a sheet as one change: (kind, content), or nothing when the line is not understood whole."""

import re
from collections.abc import Callable
from typing import Any

from examples.handover import vocabulary as known

Change = tuple[str, dict[str, Any]]

_NUMBER = r"(?:0|[1-9][0-9]*)(?:\.[0-9]+)?"
_AT = r"(?P<at>[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:Z|[+-][0-9]{2}:[0-9]{2}))"
_DAY = r"(?P<day>[0-9]{4}-[0-9]{2}-[0-9]{2})"


def change_of(label: str, said: str) -> Change | None:
    """What a line proposes; None when a word of it is not known."""
    rule = _RULES.get(label)
    if rule is None and label in known.MEASUREMENTS:
        return _measurement(label, said)
    return rule(said) if rule else None


def _allergy(said: str) -> Change | None:
    """ "latex, anaphylaxis, severe, told by patient" """
    parts = [part.strip().casefold() for part in said.split(",")]
    told = {"told by patient": "patient", "told by relative": "relative", "seen here": "clinician"}
    if len(parts) != 4 or parts[0] not in known.SUBSTANCES or parts[1] not in known.REACTIONS:
        return None
    if parts[2] not in {"mild", "moderate", "severe"} or parts[3] not in told:
        return None
    system, code, display, category = known.SUBSTANCES[parts[0]]
    reaction, words = known.REACTIONS[parts[1]]
    return "allergy", {
        "substance": {"system": system, "code": code, "display": display},
        "type": "allergy",
        "category": category,
        "clinical_status": "active",
        "verification": "unconfirmed",
        "reactions": [
            {
                "manifestation": {"system": known.SNOMED, "code": reaction, "display": words},
                "severity": parts[2],
            }
        ],
        "reported_by": told[parts[3]],
    }


def _pressure(said: str) -> Change | None:
    """ "154/92 mmHg at 2026-11-20T09:15:00-06:00" """
    found = re.fullmatch(
        rf"(?P<high>[1-9][0-9]{{1,2}})/(?P<low>[1-9][0-9]{{1,2}}) mmHg at {_AT}", said
    )
    if found is None:
        return None
    readings = [
        {"code": code, "value": {"value": found[name], "unit": known.PRESSURE_UNIT}}
        for code, name in ((known.SYSTOLIC, "high"), (known.DIASTOLIC, "low"))
    ]
    return _vitals(readings, found["at"])


def _measurement(label: str, said: str) -> Change | None:
    """ "78 at 2026-11-20T09:15:00-06:00", in the unit that the measurement has here"""
    code, unit = known.MEASUREMENTS[label]
    found = re.fullmatch(rf"(?P<value>{_NUMBER}) at {_AT}", said)
    if found is None:
        return None
    return _vitals([{"code": code, "value": {"value": found["value"], "unit": unit}}], found["at"])


def _vitals(readings: list[dict[str, Any]], at: str) -> Change:
    return "vitals", {
        "readings": readings,
        "effective_at": at,
        "origin": "measured",
        "status": "final",
    }


def _takes(said: str) -> Change | None:
    """ "metformin 500 mg by mouth twice a day" """
    found = re.fullmatch(
        rf"(?P<drug>[a-z]+) (?P<dose>{_NUMBER}) mg (?P<route>by mouth) (?P<often>.+)", said
    )
    if (
        found is None
        or found["drug"] not in known.MEDICINES
        or found["often"] not in known.FREQUENCIES
    ):
        return None
    code, display = known.MEDICINES[found["drug"]]
    times, per, unit = known.FREQUENCIES[found["often"]]
    return "medication", {
        "drug": {"system": known.RXNORM, "code": code, "display": display},
        "dose": {"value": found["dose"], "unit": "mg"},
        "route": known.ROUTES[found["route"]],
        "frequency": {"times": times, "per": per, "unit": unit},
        "status": "active",
        "taken": "yes",
    }


def _task(said: str) -> Change | None:
    """ "book the eye screening by 2026-12-01, for Practitioner/17" """
    found = re.fullmatch(rf"(?P<title>.+) by {_DAY}, for (?P<owner>Practitioner/\S+)", said)
    if found is None:
        return None
    title = found["title"]
    return "task", {
        "title": title[:1].upper() + title[1:],
        "owner": found["owner"],
        "due": found["day"],
        "priority": "routine",
        "status": "requested",
    }


def _result(said: str) -> Change | None:
    """ "potassium 4.9 mmol/L, Riverside Laboratory, taken 2026-11-18T07:40:00-06:00" """
    found = re.fullmatch(
        rf"(?P<test>[A-Za-z0-9]+) (?P<value>{_NUMBER})(?: (?P<unit>\S+))?, (?P<lab>[^,]+), taken {_AT}",
        said,
    )
    test = known.TESTS.get(found["test"].casefold()) if found else None
    if found is None or test is None:
        return None
    code, display, unit = test
    if found["unit"] not in {unit, None} or (found["unit"] is None and not unit.startswith("{")):
        return None
    return "result", {
        "code": {"system": known.LOINC, "code": code, "display": display},
        "value": {"value": found["value"], "unit": unit},
        "collected_at": found["at"],
        "performer": found["lab"],
        "document": {"source": "Hand-over sheet", "page": 1},
    }


def _lab_order(said: str) -> Change | None:
    """ "potassium on 2026-12-04" """
    found = re.fullmatch(rf"(?P<test>[A-Za-z0-9]+) on {_DAY}", said)
    test = known.TESTS.get(found["test"].casefold()) if found else None
    if found is None or test is None:
        return None
    code, display, _ = test
    return "order", {
        "category": "lab",
        "code": {"system": known.LOINC, "code": code, "display": display},
        "priority": "routine",
        "when": found["day"],
        "status": "draft",
    }


_RULES: dict[str, Callable[[str], Change | None]] = {
    "allergy": _allergy,
    "blood pressure": _pressure,
    "takes": _takes,
    "task": _task,
    "outside result": _result,
    "laboratory order": _lab_order,
}
