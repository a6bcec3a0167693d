"""Made-up contents of every kind and interaction, as hypothesis strategies."""

import string
from datetime import date, datetime
from typing import Any

from hypothesis import strategies as st

from ehr_adapters.canonical import codes
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

CONTENTS: dict[tuple[str, str], st.SearchStrategy[dict[str, Any]]] = {
    ("note", "create"): note_create,
    ("note", "update"): note_update,
    ("note", "amend"): note_create,
    ("note", "entered-in-error"): st.just({}),
    ("problem", "create"): problem_create,
    ("problem", "update"): problem_update,
    ("problem", "resolve"): problem_resolve,
    ("problem", "entered-in-error"): _optional({}, {"note": _problem_optional["note"]}),
    ("task", "create"): task_create,
    ("task", "update"): task_update,
    ("task", "cancel"): st.just({}),
    ("message", "create"): message_create,
    ("allergy", "create"): allergy_create,
    ("allergy", "update"): allergy_update,
    ("allergy", "resolve"): _optional({}, {"note": comment}),
    ("allergy", "entered-in-error"): _optional({}, {"note": comment}),
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
}
