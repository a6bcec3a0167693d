"""Made-up contents of every kind and interaction, as hypothesis strategies."""

import string
from datetime import date, datetime
from typing import Any

from hypothesis import strategies as st

from ehr_adapters.canonical import codes, dosing
from ehr_adapters.canonical.characters import forbidden_characters, unwritable_characters

# Lines that a careless layout would take for its own.
TRAPS = st.sampled_from(
    [
        "====",
        " =",
        "  ===  ",
        "= =",
        "Plan",
        "Plan\n====",
        "",
        " ",
        "AI-assisted draft, filed after clinician review. Ref 4F7K-9QXD-2M8T",
        "Ref 4F7K-9QXD-2M8T",
        "-----",
        "BP ≥ 140/90, 2½ tablets, 5 µg, −3 °C",
        "\ttabbed",
        "ends with blanks   ",
    ]
)


def _writable(text: str) -> bool:
    return not forbidden_characters(text) and not unwritable_characters(text)


words = st.text(
    st.characters(exclude_categories=("Cs",), exclude_characters="\r"), max_size=30
).filter(_writable)
text = (
    st.lists(st.one_of(TRAPS, words), min_size=1, max_size=8)
    .map("\n".join)
    .filter(lambda value: bool(value.strip()) and _writable(value))
)
title = (
    st.text(st.characters(exclude_categories=("Cs", "Cc", "Zl", "Zp")), min_size=1, max_size=40)
    .map(str.strip)
    .filter(
        lambda value: any(c.isalnum() for c in value) and _writable(value) and "\n" not in value
    )
)
ids = st.text(string.ascii_letters + string.digits + "-.", min_size=1, max_size=20).filter(
    lambda value: value not in {".", ".."}
)
instants = st.datetimes(
    min_value=datetime(2000, 1, 1),
    max_value=datetime(2030, 1, 1),
).map(lambda moment: moment.replace(microsecond=0).isoformat() + "-06:00")
dates = st.one_of(
    st.integers(1950, 2026).map(str),
    st.dates(
        min_value=date(1950, 1, 1),
        max_value=date(2026, 1, 1),
    ).map(lambda day: day.isoformat()[:7]),
    st.dates(
        min_value=date(1950, 1, 1),
        max_value=date(2026, 1, 1),
    ).map(lambda day: day.isoformat()),
)
sensitivity = st.sampled_from(["normal", "restricted", "very-restricted"])
line = words.map(lambda value: value.replace("\n", " ").strip()).filter(bool)

ICD = st.sampled_from(["N18.30", "N18.31", "I12.9", "E11.9", "M17.11", "I48.91"]).flatmap(
    lambda code: line.map(
        lambda display: {"system": codes.ICD10CM, "code": code, "display": display}
    )
)
SNOMED = st.sampled_from(["38341003", "431857002", "700378005"]).flatmap(
    lambda code: line.map(
        lambda display: {"system": codes.SNOMED, "code": code, "display": display}
    )
)

sections = st.lists(st.fixed_dictionaries({"title": title, "text": text}), min_size=1, max_size=4)


def _optional(
    required: dict[str, Any], optional: dict[str, Any]
) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries(required, optional=optional)


note_create = _optional(
    {
        "type": st.sampled_from(["11506-3", "34117-2", "11488-4", "18842-5"]),
        "status": st.just("unsigned"),
        "sections": sections,
    },
    {
        "date": instants,
        "author": ids.map(lambda value: f"Practitioner/{value}"),
        "sensitivity": sensitivity,
    },
)
note_update = _optional(
    {"mode": st.sampled_from(["append", "replace"]), "sections": sections},
    {"date": instants, "sensitivity": sensitivity},
)
problem_code = st.one_of(
    ICD.map(lambda one: [one]), SNOMED.map(lambda one: [one]), st.tuples(ICD, SNOMED).map(list)
)
verification = st.sampled_from(
    ["unconfirmed", "provisional", "differential", "confirmed", "refuted"]
)
_problem_optional = {
    "side": st.sampled_from(["7771000", "24028007", "51440002"]),
    "severity": st.one_of(st.just("6736007"), line),
    "stage": line,
    "onset": dates,
    "note": st.text(
        st.characters(exclude_categories=("Cs", "Cc")), min_size=1, max_size=200
    ).filter(lambda value: bool(value.strip()) and _writable(value)),
    "sensitivity": sensitivity,
}
problem_create = _optional(
    {
        "code": problem_code,
        "category": st.sampled_from(["problem-list-item", "encounter-diagnosis"]),
        "clinical_status": st.sampled_from(["active", "relapse", "inactive", "remission"]),
        "verification": verification,
    },
    _problem_optional,
)
problem_update = _optional(
    {},
    {
        "code": problem_code,
        "verification": verification,
        "clinical_status": st.sampled_from(["active", "relapse", "inactive", "remission"]),
        **{k: v for k, v in _problem_optional.items() if k != "side"},
        "severity": st.one_of(st.none(), line),
        "stage": st.one_of(st.none(), line),
        "onset": st.one_of(st.none(), dates),
    },
).filter(bool)
problem_resolve = _optional({"abatement": st.just("2026-10")}, {"note": _problem_optional["note"]})

comment = _problem_optional["note"]
people = ids.map(lambda value: f"Practitioner/{value}")
task_words = {
    "priority": st.sampled_from(["routine", "urgent", "asap", "stat"]),
    "about": st.lists(
        st.builds(
            "/".join, st.tuples(st.sampled_from(["Condition", "Observation", "Communication"]), ids)
        ),
        min_size=1,
        max_size=4,
        unique=True,
    ),
    "description": comment,
}
task_create = _optional(
    {"title": line, "owner": people, "due": dates}, {**task_words, "sensitivity": sensitivity}
)
task_update = _optional(
    {},
    {
        "title": line,
        "owner": people,
        "due": dates,
        "status": st.sampled_from(["requested", "accepted", "in-progress", "completed"]),
        **{name: st.one_of(st.none(), value) for name, value in task_words.items()},
        "sensitivity": sensitivity,
    },
).filter(bool)

substance = st.sampled_from(
    [(codes.RXNORM, "723"), (codes.RXNORM, "70618"), (codes.SNOMED, "111088007")]
).flatmap(
    lambda one: line.map(lambda display: {"system": one[0], "code": one[1], "display": display})
)
reactions = st.lists(
    st.fixed_dictionaries(
        {"manifestation": st.sampled_from(["247472004", "39579001"])},
        optional={"severity": st.sampled_from(["mild", "moderate", "severe"]), "onset": dates},
    ),
    min_size=1,
    max_size=3,
    unique_by=lambda one: (one["manifestation"], one.get("onset")),
)
allergy_certainty = st.sampled_from(["unconfirmed", "confirmed"])
_allergy_optional = {
    "type": st.sampled_from(["allergy", "intolerance"]),
    "criticality": st.sampled_from(["low", "high", "unable-to-assess"]),
    "reactions": reactions,
    "reported_by": st.sampled_from(["patient", "relative", "clinician"]),
    "last_seen": dates,
    "note": comment,
    "sensitivity": sensitivity,
}
allergy_create = _optional(
    {
        "substance": substance,
        "category": st.sampled_from(["medication", "food", "environment", "biologic"]),
        "clinical_status": st.sampled_from(["active", "inactive"]),
        "verification": allergy_certainty,
    },
    _allergy_optional,
)
allergy_update = _optional(
    {},
    {
        "clinical_status": st.sampled_from(["active", "inactive"]),
        "verification": allergy_certainty,
        "category": st.sampled_from(["medication", "food"]),
        "sensitivity": sensitivity,
        **{
            name: st.one_of(st.none(), strategy)
            for name, strategy in _allergy_optional.items()
            if name != "sensitivity"
        },
    },
).filter(bool)

message_create = _optional(
    {
        "to": st.one_of(
            st.just({"who": "patient"}),
            st.fixed_dictionaries(
                {"who": st.just("proxy"), "name": line},
                optional={"person": ids.map(lambda value: f"RelatedPerson/{value}")},
            ),
        ),
        "subject": line,
        "body": text,
        "carries": st.sampled_from([["none"], ["result"], ["result", "medication-change"]]),
    },
    {
        "in_reply_to": ids.map(lambda value: f"Communication/{value}"),
        "language": st.sampled_from(["en", "es-MX", "zh-Hant"]),
        "reply_allowed": st.booleans(),
        "sensitivity": sensitivity,
    },
)

amounts = st.sampled_from(["0.5", "2.5", "5", "10", "37.5", "100", "1000"])
dose = st.one_of(
    st.builds(
        lambda value, unit: {"value": value, "unit": unit},
        amounts,
        st.sampled_from(["mg", "ug", "g", "mL", "[iU]", "meq"]),
    ),
    st.just({"low": {"value": "5", "unit": "mg"}, "high": {"value": "10", "unit": "mg"}}),
)
units_taken = st.builds(
    lambda value, unit: {"value": value, "unit": unit},
    st.sampled_from(["0.5", "1", "1.5", "2"]),
    st.sampled_from(["{tablet}", "{capsule}", "mL", "{puff}", "{drop}", "{patch}"]),
)
routes = st.sampled_from(
    ["26643006", {"system": codes.SNOMED, "code": "34206005", "display": "Subcutaneous route"}]
)
frequency = st.one_of(
    _optional(
        {"times": st.integers(1, 6), "per": st.just(1), "unit": st.just("d")},
        {"when": st.lists(st.sampled_from(["MORN", "EVE", "HS", "AC"]), min_size=1, unique=True)},
    ),
    st.builds(
        lambda per, unit: {"times": 1, "per": per, "unit": unit},
        st.integers(1, 48),
        st.sampled_from(["h", "d", "wk", "mo"]),
    ),
    st.sampled_from(
        [
            {"times": 1, "per": 1, "unit": "wk", "weekdays": ["mon"]},
            {"times": 2, "per": 2, "unit": "wk", "weekdays": ["mon", "thu"]},
            {"times": 1, "per": 1, "unit": "d", "weekdays": ["sat", "sun"]},
            {"times": 2, "per": 1, "unit": "d", "clock_times": ["08:00", "20:30"]},
        ]
    ),
)
as_needed = st.one_of(
    st.just({"needed": False}),
    _optional(
        {"needed": st.just(True)},
        {
            "reason": line,
            "max_per_day": st.one_of(units_taken, st.just({"value": "4", "unit": "g"})),
        },
    ),
)
# Words without a number or a frequency: what states one is held against the fields, in a test of its own.
sig_text = comment.filter(
    lambda value: (
        not any(character.isnumeric() for character in value)
        and not dosing.spoken_frequencies(value)
    )
)
drug = st.sampled_from(["29046", "314076", "6809", "11289"]).flatmap(
    lambda code: line.map(
        lambda display: {"system": codes.RXNORM, "code": code, "display": display}
    )
)
reasons = st.one_of(
    line, st.just({"system": codes.SNOMED, "code": "422587007", "display": "Nausea"})
)
indication = st.one_of(line, ids.map(lambda value: f"Condition/{value}"))
_dosing = {"dose": dose, "route": routes, "frequency": frequency}
_dosing_optional = {"units_taken": units_taken, "as_needed": as_needed, "sig_text": sig_text}
_medication_optional = {
    **_dosing_optional,
    "start": st.sampled_from(["2019", "2019-05", "2019-05-17"]),
    "end": st.sampled_from(["2026", "2026-12", "2026-12-31"]),
    "indication": indication,
    "taken": st.sampled_from(["yes", "no", "differently", "unknown"]),
    "note": comment,
    "sensitivity": sensitivity,
}
_standing = st.one_of(
    st.sampled_from([{"status": "active"}, {"status": "completed"}]),
    st.builds(
        lambda status, reason: {"status": status, "status_reason": reason},
        st.sampled_from(["on-hold", "not-taken"]),
        reasons,
    ),
)
medication_create = st.builds(
    lambda content, standing: content | standing,
    _optional({"drug": drug, **_dosing}, _medication_optional),
    _standing,
)
medication_update = st.builds(
    lambda content, standing: content | standing,
    _optional(
        {},
        {
            **_dosing,
            "sensitivity": sensitivity,
            **{
                name: st.one_of(st.none(), strategy)
                for name, strategy in _medication_optional.items()
                if name != "sensitivity"
            },
        },
    ),
    st.one_of(st.just({}), _standing),
).filter(bool)
medication_discontinue = _optional(
    {"end": st.sampled_from(["2026", "2026-11-19"]), "status_reason": reasons}, {"note": comment}
)

_order = {"priority": st.sampled_from(["routine", "urgent", "asap", "stat"])}
_order_optional = {
    "indication": ids.map(lambda value: f"Condition/{value}"),
    "when": dates,
    "requester": ids.map(lambda value: f"Practitioner/{value}"),
    "instructions": comment,
    "sensitivity": sensitivity,
}


def _service(category: str, code: dict[str, str], **more: Any) -> st.SearchStrategy[dict[str, Any]]:
    replaces = {"replaces": ids.map(lambda value: f"ServiceRequest/{value}")}
    return _optional(
        {
            "category": st.just(category),
            "code": st.just(code),
            "status": st.just("draft"),
            **_order,
        },
        {**_order_optional, **replaces, **more},
    )


order_create = st.one_of(
    _service("lab", {"system": codes.LOINC, "code": "2823-3", "display": "Potassium"}),
    _service(
        "imaging",
        {"system": codes.SNOMED, "code": "168537006", "display": "Plain X-ray"},
        side=st.sampled_from(["7771000", "24028007", "51440002"]),
    ),
    _service("vaccine", {"system": codes.CVX, "code": "140"}),
    _service("referral", {"system": codes.SNOMED, "code": "306206005", "display": "Referral"}),
    _optional(
        {
            "category": st.just("prescription"),
            "code": drug,
            "status": st.just("draft"),
            **_order,
            **_dosing,
        },
        {
            **_order_optional,
            **_dosing_optional,
            "replaces": ids.map(lambda value: f"MedicationRequest/{value}"),
            "quantity": units_taken,
            "refills": st.integers(0, 11),
            "days_supply": st.integers(1, 180),
        },
    ),
)

# In the visit that the scripted EHR holds, which begins at half past eight.
in_the_visit = st.one_of(
    st.integers(30, 59).map(lambda minute: f"2026-11-20T08:{minute}:07-06:00"),
    st.integers(30, 59).map(lambda minute: f"2026-11-20T14:{minute}:00.250Z"),
)
body_site = st.one_of(
    st.just({"system": codes.SNOMED, "code": "368209003", "display": "Right upper arm"}), line
)


def _amount(least: int, most: int, unit: str) -> st.SearchStrategy[dict[str, str]]:
    numbers = st.one_of(
        st.integers(least, most).map(str),
        st.tuples(st.integers(least, most - 1), st.integers(0, 99)).map(
            lambda pair: f"{pair[0]}.{pair[1]:02}"
        ),
    )
    return numbers.map(lambda value: {"value": value, "unit": unit})


_SINGLE = (
    ("8867-4", 20, 200, "/min"),
    ("9279-1", 4, 60, "/min"),
    ("8310-5", 30, 43, "Cel"),
    ("8310-5", 90, 108, "[degF]"),
    ("8302-2", 40, 220, "cm"),
    ("8302-2", 20, 80, "[in_i]"),
    ("29463-7", 2, 250, "kg"),
    ("29463-7", 2000, 9000, "g"),
    ("29463-7", 5, 500, "[lb_av]"),
    ("39156-5", 12, 60, "kg/m2"),
    ("59408-5", 60, 100, "%"),
    ("9843-4", 30, 60, "cm"),
)
one_reading = st.sampled_from(_SINGLE).flatmap(
    lambda one: st.fixed_dictionaries(
        {"code": st.just(one[0]), "value": _amount(*one[1:])},
        optional={"site": body_site, "method": line},
    ).map(lambda reading: [reading])
)
pressure_readings = st.fixed_dictionaries(
    {"high": _amount(100, 240, "mm[Hg]"), "low": _amount(30, 99, "mm[Hg]")},
    optional={"site": body_site},
).map(
    lambda both: [
        {"code": code, "value": both[name], **({"site": both["site"]} if "site" in both else {})}
        for code, name in (("8480-6", "high"), ("8462-4", "low"))
    ]
)
short_comment = line.filter(lambda value: len(value) <= 60)
vitals_create = _optional(
    {
        "readings": st.one_of(one_reading, pressure_readings),
        "effective_at": in_the_visit,
        "origin": st.sampled_from(["measured", "device", "patient-reported"]),
    },
    {"note": short_comment, "sensitivity": sensitivity},
)
vitals_update = _optional(
    {},
    {
        "readings": pressure_readings,
        "effective_at": in_the_visit,
        "origin": st.sampled_from(["measured", "device", "patient-reported"]),
        "note": st.one_of(st.none(), short_comment),
        "sensitivity": sensitivity,
    },
).filter(bool)

answer_value = st.one_of(
    st.sampled_from(["LA6568-5", "LA6570-1"]).flatmap(
        lambda code: line.map(
            lambda display: {"system": codes.LOINC, "code": code, "display": display}
        )
    ),
    st.sampled_from([{"value": "72.50", "unit": "kg"}, {"value": "8", "unit": "h"}]),
    st.booleans(),
    st.integers(-5, 500),
    line,
)
answers = st.lists(
    st.fixed_dictionaries({"link_id": ids, "value": answer_value}, optional={"question": line}),
    min_size=1,
    max_size=5,
    unique_by=lambda one: one["link_id"],
)
HELD_FORM = {"id": "http://clinic.example/Questionnaire/sleep", "version": "2"}
questionnaire_create = _optional(
    {
        "form": st.fixed_dictionaries(
            {"id": st.just("http://clinic.example/Questionnaire/sleep")},
            optional={
                "version": st.just("2"),
                "assignment": ids.map(lambda value: f"ServiceRequest/{value}"),
            },
        ),
        "answered_by": st.sampled_from(["patient", "proxy", "clinician"]),
        "answered_at": instants,
        "answers": answers,
    },
    {"sensitivity": sensitivity},
)
questionnaire_amend = _optional(
    {"form": st.just(HELD_FORM), "answers": answers},
    {
        "answered_by": st.sampled_from(["patient", "proxy", "clinician"]),
        "answered_at": instants,
        "sensitivity": sensitivity,
    },
)

measured = st.fixed_dictionaries(
    {
        "value": st.one_of(
            st.integers(0, 900).map(str),
            st.tuples(st.integers(0, 90), st.integers(0, 999)).map(lambda p: f"{p[0]}.{p[1]:03}"),
        ),
        "unit": st.sampled_from(["mmol/L", "mg/dL", "{INR}", "m[IU]/L", "mg/g{creat}", "%"]),
    },
    optional={"comparator": st.sampled_from(["<", "<=", ">=", ">"])},
)
result_value = st.one_of(
    measured,
    st.just({"system": codes.SNOMED, "code": "10828004", "display": "Positive"}),
    st.sampled_from(["not detected", "see document", "1+ (trace)\nrepeat"]),
)
result_create = _optional(
    {
        "code": st.sampled_from(["2823-3", "2160-0", "4548-4", "6301-6"]),
        "value": result_value,
        "collected_at": instants.filter(lambda moment: moment < "2026-11-20"),
        "performer": line,
        "document": st.fixed_dictionaries({"source": line, "page": st.integers(1, 9999)}),
    },
    {
        "range": line,
        "flag": st.sampled_from(["low", "normal", "high", "critical"]),
        "comment": comment,
        "sensitivity": sensitivity,
    },
)

_appointment_optional = {
    "slot": ids.map(lambda value: f"Slot/{value}"),
    "mode": st.sampled_from(["in-person", "telephone", "video"]),
    "patient_told": st.booleans(),
    "sensitivity": sensitivity,
}
appointment_type = st.one_of(st.sampled_from(["FOLLOWUP", "ROUTINE"]), line)
places = ids.map(lambda value: f"Location/{value}")
appointment_create = _optional(
    {
        "start": instants,
        "minutes": st.integers(1, 1440),
        "type": appointment_type,
        "provider": people,
    },
    {**_appointment_optional, "location": places, "reason": comment},
)
appointment_update = _optional(
    {},
    {
        "start": instants,
        "minutes": st.integers(1, 1440),
        "type": appointment_type,
        "provider": people,
        "location": st.one_of(st.none(), places),
        "reason": st.one_of(st.none(), comment),
        **{name: value for name, value in _appointment_optional.items() if name != "slot"},
    },
).filter(bool)

_measured = st.one_of(
    st.just({}),
    st.fixed_dictionaries(
        {"measure": st.just("4548-4")},
        optional={
            "target": st.sampled_from(
                [
                    {"value": "7.0", "unit": "%", "comparator": "<"},
                    {"value": "130", "unit": "mm[Hg]"},
                ]
            )
        },
    ),
)
goals = st.lists(
    st.tuples(_optional({"text": line}, {"due": dates}), _measured).map(
        lambda two: two[0] | two[1]
    ),
    min_size=1,
    max_size=3,
    unique_by=lambda goal: goal["text"],
)
activities = st.lists(
    _optional({"text": line}, {"who": st.one_of(line, people), "when": line}),
    min_size=1,
    max_size=3,
    unique_by=lambda activity: activity["text"],
)
_care_plan_optional = {
    "category": st.one_of(st.just("734163000"), line),
    "addresses": st.lists(
        ids.map(lambda value: f"Condition/{value}"), min_size=1, max_size=3, unique=True
    ),
    "goals": goals,
    "activities": activities,
}
periods = st.sampled_from(
    [{"start": "2026-11"}, {"start": "2026-11-01", "end": "2027"}, {"end": "2027-02-01"}]
)
care_plan_create = _optional(
    {"title": line, "status": st.sampled_from(["draft", "active", "on-hold"])},
    {**_care_plan_optional, "period": periods, "sensitivity": sensitivity},
)
care_plan_update = _optional(
    {},
    {
        "title": line,
        "status": st.sampled_from(["active", "completed"]),
        "period": periods,
        **{name: st.one_of(st.none(), value) for name, value in _care_plan_optional.items()},
        "sensitivity": sensitivity,
    },
).filter(bool)

encounter_create = _optional(
    {
        "class": st.sampled_from(["telephone", "web"]),
        "status": st.sampled_from(["arrived", "in-progress"]),
        "start": instants,
    },
    {
        "end": st.just("2030-06-01T08:00:00-06:00"),
        "provider": people,
        "location": places,
        "reason": comment,
        "sensitivity": sensitivity,
    },
)

names = st.text("ABCÉabcdeéß-'", min_size=2, max_size=12).filter(
    lambda value: any(c.isalpha() for c in value)
)
_numbers = st.integers(1000, 9_999_999).map(str)
phones = st.lists(
    _optional({"number": _numbers}, {"use": st.sampled_from(["home", "work", "mobile"])}),
    min_size=1,
    max_size=3,
    unique_by=lambda one: one["number"],
)
contact_data = {
    "phone": phones,
    "email": st.sampled_from(["ngozi@clinic.example", "n.o@post.example"]),
    "address": _optional(
        {"city": line},
        {
            "lines": st.lists(line, min_size=1, max_size=2).map("\n".join),
            "state": line.map(lambda value: value[:100]),
            "postal_code": _numbers,
            "country": line.map(lambda value: value[:100]),
        },
    ),
    "language": st.sampled_from(["en", "es-MX", "fr"]),
    "contacts": st.lists(
        _optional({"name": names}, {"relationship": line, "phone": _numbers}),
        min_size=1,
        max_size=3,
        unique_by=lambda one: one["name"],
    ),
}
identity_data = {
    "family": names,
    "given": names,
    "birth_date": dates,
    "sex": st.sampled_from(["female", "male", "other", "unknown"]),
}
previous_names = st.lists(
    _optional({"family": names}, {"given": names}),
    min_size=1,
    max_size=2,
    unique_by=lambda one: (one["family"], one.get("given")),
)
numbers = st.lists(
    _optional({"value": _numbers}, {"system": st.just("urn:clinic:other")}),
    min_size=1,
    max_size=2,
    unique_by=lambda one: (one["value"], one.get("system")),
)
demographics_create = _optional(
    identity_data,
    {
        **contact_data,
        "previous_names": previous_names,
        "identifiers": numbers,
        "sensitivity": sensitivity,
    },
)
demographics_update = _optional(
    {},
    {
        **identity_data,
        **contact_data,
        "phone": st.one_of(st.none(), phones),
        "email": st.one_of(st.none(), contact_data["email"]),
        "contacts": st.one_of(st.none(), contact_data["contacts"]),
        "previous_names": previous_names,
        "identifiers": numbers,
        "deceased": st.one_of(st.booleans(), dates),
        "sensitivity": sensitivity,
    },
).filter(bool)

CONTENTS: dict[tuple[str, str], st.SearchStrategy[dict[str, Any]]] = {
    ("note", "create"): note_create,
    ("note", "update"): note_update,
    ("note", "amend"): note_create,
    ("note", "entered-in-error"): st.just({}),
    ("problem", "create"): problem_create,
    ("problem", "update"): problem_update,
    ("problem", "resolve"): problem_resolve,
    ("problem", "entered-in-error"): _optional({}, {"note": _problem_optional["note"]}),
    ("medication", "create"): medication_create,
    ("medication", "update"): medication_update,
    ("medication", "discontinue"): medication_discontinue,
    ("medication", "entered-in-error"): _optional({}, {"note": comment}),
    ("order", "create"): order_create,
    ("order", "cancel"): st.just({}),
    ("task", "create"): task_create,
    ("task", "update"): task_update,
    ("task", "cancel"): st.just({}),
    ("message", "create"): message_create,
    ("appointment", "create"): appointment_create,
    ("appointment", "update"): appointment_update,
    ("appointment", "cancel"): _optional(
        {}, {"cancel_reason": comment, "patient_told": st.booleans()}
    ),
    ("care_plan", "create"): care_plan_create,
    ("care_plan", "update"): care_plan_update,
    ("care_plan", "discontinue"): st.just({"period": {"end": "2026-12-01"}}),
    ("encounter", "create"): encounter_create,
    ("demographics", "create"): demographics_create,
    ("demographics", "update"): demographics_update,
    ("questionnaire", "create"): questionnaire_create,
    ("questionnaire", "amend"): questionnaire_amend,
    ("allergy", "create"): allergy_create,
    ("allergy", "update"): allergy_update,
    ("allergy", "resolve"): _optional({}, {"note": comment}),
    ("allergy", "entered-in-error"): _optional({}, {"note": comment}),
    ("vitals", "create"): vitals_create,
    ("vitals", "update"): vitals_update,
    ("vitals", "entered-in-error"): _optional({}, {"note": short_comment}),
    ("result", "create"): result_create,
    ("result", "comment"): st.fixed_dictionaries({"comment": comment}),
}

CANARY = "canary-of-the-payload"
SAMPLES: dict[tuple[str, str], dict[str, Any]] = {
    ("note", "create"): {
        "type": "11506-3",
        "status": "unsigned",
        "date": "2026-11-20T08:41:02-06:00",
        "author": "Practitioner/pr-1",
        "sections": [{"title": "Assessment", "text": f"{CANARY}\nBP above target."}],
    },
    ("note", "update"): {
        "mode": "append",
        "sections": [{"title": "Later", "text": f"{CANARY} seen again."}],
    },
    ("note", "amend"): {
        "type": "11506-3",
        "status": "unsigned",
        "sections": [{"title": "Addendum", "text": f"{CANARY} result arrived."}],
    },
    ("note", "entered-in-error"): {},
    ("problem", "create"): {
        "code": [{"system": codes.ICD10CM, "code": "N18.31", "display": "CKD stage 3a"}],
        "category": "problem-list-item",
        "clinical_status": "active",
        "verification": "provisional",
        "note": CANARY,
    },
    ("problem", "update"): {"note": CANARY, "verification": "confirmed"},
    ("problem", "resolve"): {"abatement": "2026-11-02", "note": CANARY},
    ("problem", "entered-in-error"): {"note": CANARY},
    ("medication", "create"): {
        "drug": {"system": codes.RXNORM, "code": "6809", "display": "metformin"},
        "dose": {"value": "500", "unit": "mg"},
        "units_taken": {"value": "1", "unit": "{tablet}"},
        "route": "26643006",
        "frequency": {"times": 2, "per": 1, "unit": "d"},
        "sig_text": f"{CANARY} 1 tablet (500 mg) twice a day with meals.",
        "status": "active",
        "start": "2026-11",
    },
    ("medication", "update"): {
        "dose": {"value": "850", "unit": "mg"},
        "units_taken": None,
        "sig_text": f"{CANARY} 850 mg twice a day with meals.",
    },
    ("medication", "discontinue"): {"end": "2026-11-19", "status_reason": CANARY},
    ("medication", "entered-in-error"): {"note": CANARY},
    ("order", "create"): {
        "category": "lab",
        "code": {"system": codes.LOINC, "code": "2823-3", "display": "Potassium"},
        "priority": "routine",
        "status": "draft",
        "when": "2026-12-04",
        "instructions": CANARY,
    },
    ("order", "cancel"): {},
    ("task", "create"): {
        "title": CANARY,
        "owner": "Practitioner/pr-1",
        "due": "2026-11-27",
        "priority": "routine",
        "about": ["Condition/co-1", "Observation/ob-1"],
        "description": "Ask whether the cough has gone.",
    },
    ("task", "update"): {"description": CANARY, "due": "2026-12-04", "status": "accepted"},
    ("task", "cancel"): {},
    ("message", "create"): {
        "to": {"who": "patient"},
        "subject": "Your question",
        "body": f"{CANARY} Please bring your diary to the next visit.",
        "carries": ["none"],
    },
    ("appointment", "create"): {
        "start": "2026-12-01T09:00:00-06:00",
        "minutes": 20,
        "type": "FOLLOWUP",
        "provider": "Practitioner/pr-1",
        "location": "Location/lo-1",
        "mode": "video",
        "reason": CANARY,
    },
    ("appointment", "update"): {"start": "2026-12-02T09:00:00-06:00", "reason": CANARY},
    ("appointment", "cancel"): {"cancel_reason": CANARY},
    ("care_plan", "create"): {
        "title": "Blood pressure",
        "status": "active",
        "period": {"start": "2026-11-20"},
        "addresses": ["Condition/co-1"],
        "goals": [
            {
                "text": CANARY,
                "measure": {
                    "system": codes.LOINC,
                    "code": "8480-6",
                    "display": "Systolic blood pressure",
                },
                "target": {"value": "130", "unit": "mm[Hg]", "comparator": "<"},
                "due": "2027-02",
            }
        ],
        "activities": [{"text": "Measure at home", "who": "the patient", "when": "each morning"}],
    },
    ("care_plan", "update"): {
        "status": "on-hold",
        "activities": [{"text": CANARY, "who": "Practitioner/pr-1"}],
    },
    ("care_plan", "discontinue"): {"period": {"end": "2026-12-01"}},
    ("encounter", "create"): {
        "class": "telephone",
        "status": "in-progress",
        "start": "2026-11-20T08:30:00-06:00",
        "end": "2026-11-20T08:42:00-06:00",
        "provider": "Practitioner/pr-1",
        "reason": CANARY,
    },
    ("demographics", "create"): {
        "family": CANARY,
        "given": "Ngozi Ada",
        "birth_date": "1957-03-14",
        "sex": "female",
    },
    ("demographics", "update"): {
        "phone": [{"number": "+1 555 0142", "use": "mobile"}],
        "email": "ngozi@clinic.example",
        "contacts": [{"name": CANARY, "relationship": "brother", "phone": "555-0190"}],
    },
    ("questionnaire", "create"): {
        "form": {
            "id": "http://clinic.example/Questionnaire/sleep",
            "version": "2",
            "assignment": "ServiceRequest/sr-1",
        },
        "answered_by": "patient",
        "answered_at": "2026-11-20T08:30:00-06:00",
        "answers": [
            {"link_id": "hours", "question": "Hours of sleep", "value": 6},
            {"link_id": "trouble", "question": "What troubles you", "value": CANARY},
        ],
    },
    ("questionnaire", "amend"): {
        "form": HELD_FORM,
        "answers": [{"link_id": "hours", "value": 7}, {"link_id": "trouble", "value": CANARY}],
    },
    ("allergy", "create"): {
        "substance": {"system": codes.RXNORM, "code": "723", "display": "amoxicillin"},
        "category": "medication",
        "clinical_status": "active",
        "verification": "unconfirmed",
        "criticality": "high",
        "reactions": [{"manifestation": "39579001", "severity": "severe", "onset": "2026-11"}],
        "note": CANARY,
    },
    ("allergy", "update"): {"criticality": "high", "note": CANARY},
    ("allergy", "resolve"): {"note": CANARY},
    ("allergy", "entered-in-error"): {"note": CANARY},
    ("vitals", "create"): {
        "readings": [
            {"code": "8480-6", "value": {"value": "148", "unit": "mm[Hg]"}},
            {"code": "8462-4", "value": {"value": "90", "unit": "mm[Hg]"}},
        ],
        "effective_at": "2026-11-20T08:41:00-06:00",
        "origin": "measured",
        "note": CANARY,
    },
    ("vitals", "update"): {
        "readings": [
            {"code": "8480-6", "value": {"value": "145", "unit": "mm[Hg]"}},
            {"code": "8462-4", "value": {"value": "92", "unit": "mm[Hg]"}},
        ],
        "note": CANARY,
    },
    ("vitals", "entered-in-error"): {"note": CANARY},
    ("result", "create"): {
        "code": "2823-3",
        "value": {"value": "5.10", "unit": "mmol/L"},
        "range": "3.5 to 5.0 mmol/L",
        "flag": "high",
        "collected_at": "2026-11-18T07:40:00-06:00",
        "performer": "St. Osric Hospital Laboratory",
        "document": {"source": "Discharge summary, St. Osric Hospital", "page": 3},
        "comment": CANARY,
    },
    ("result", "comment"): {"comment": CANARY},
}
