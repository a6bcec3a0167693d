"""What a Unity reply says of the chart: rows, or an error in free text, both with HTTP 200.

The texts are those that published clients of Unity look for, and plain words for the same matter; a text
that is not in the table proves nothing, unless the connection's settings say otherwise.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ehr_adapters.canonical.exact_json import NotStrictJson, loads
from ehr_adapters.errors import (
    AdapterError,
    AlreadyThere,
    ContentRefused,
    NotPermitted,
    PatientMoved,
    ServerError,
    TokenRejected,
    VersionConflict,
)
from ehr_adapters.http import Reply

_CORRECT = "Correct the draft; the refused one is kept."
_ADMINISTRATOR = "Ask the Veradigm administrator; the draft is kept."


@dataclass(frozen=True, slots=True)
class UnityText:
    """What an error text means: a code of ours, the branch, a sentence for a clinician, the next step."""

    pattern: str
    code: str
    branch: type[AdapterError]
    sentence: str = ""
    next_step: str = ""


# The first that is found in the text counts.
UNITY_TEXTS: tuple[UnityText, ...] = (
    UnityText(
        r"logged out due to inactivity|session (?:has )?(?:expired|timed out)|security token",
        "logged-out",
        TokenRejected,
        "Veradigm had ended the portal's session. Nothing was written.",
    ),
    UnityText(
        r"not valid for this licen[sc]e|not licen[sc]ed",
        "not-licensed",
        NotPermitted,
        "This practice's licence does not let the portal do this in Veradigm. Nothing was written.",
        _ADMINISTRATOR,
    ),
    UnityText(
        r"not (?:been )?authenticated|not authori[sz]ed|access (?:is )?denied|not have (?:permission|rights)",
        "not-permitted",
        NotPermitted,
        "Veradigm does not permit this user to do this. Nothing was written.",
        _ADMINISTRATOR,
    ),
    UnityText(
        r"\bmerged\b",
        "patient-merged",
        PatientMoved,
        "In Veradigm this patient's record is now part of another record. Nothing was written.",
    ),
    UnityText(
        r"changed by another user|modified by another",
        "changed",
        VersionConflict,
        "Somebody changed the entry in Veradigm. Nothing was written.",
    ),
    UnityText(
        r"\blocked\b",
        "locked",
        ContentRefused,
        "The chart is locked in Veradigm. Nothing was written.",
        "Try again when the chart is free.",
    ),
    UnityText(
        r"already exists|duplicate",
        "duplicate",
        AlreadyThere,
        "Veradigm says that it already holds this.",
    ),
    UnityText(
        r"patient (?:was |is )?not found|invalid patient",
        "patient-unknown",
        ContentRefused,
        "Veradigm does not find the patient. Nothing was written.",
        "Check which patient the draft is for.",
    ),
    UnityText(
        r"timeout|timed out|deadlock|unavailable|connection",
        "server-trouble",
        ServerError,
        "Veradigm had a fault of its own. It is not known whether it wrote the change.",
    ),
    UnityText(
        r"object reference not set|null reference",
        "malformed",
        ContentRefused,
        "Veradigm could not read the draft. Nothing was written.",
        _ADMINISTRATOR,
    ),
    UnityText(
        r"not (?:a )?valid|invalid|required|missing|not found|does not exist|too long",
        "refused",
        ContentRefused,
        "Veradigm did not accept something in the draft. Nothing was written.",
        _CORRECT,
    ),
)

_UNKNOWN_TEXT = UnityText(
    "",
    "unknown-text",
    ServerError,
    "Veradigm answered with an error that the portal does not know. It is not known whether it wrote the change.",
)
_REFUSED_TEXT = UnityText(
    "",
    "unknown-text",
    ContentRefused,
    "Veradigm refused the change with a reason that the portal does not know. Nothing was written.",
    _ADMINISTRATOR,
)


def meaning_of(text: str, *, unknown_means: str = "unknown") -> UnityText:
    """What an error text means; `unknown_means` ("unknown", "refused") decides for texts not in the table."""
    for known in UNITY_TEXTS:
        if re.search(known.pattern, text, re.IGNORECASE):
            return known
    return _REFUSED_TEXT if unknown_means == "refused" else _UNKNOWN_TEXT


@dataclass(frozen=True, slots=True)
class UnityReply:
    """A reply taken apart: the rows of the action, and the error text; both "none" for anything unreadable."""

    rows: tuple[Mapping[str, Any], ...] = ()
    error: str = ""


def read_reply(reply: Reply, *, action: str) -> UnityReply:
    """The rows under "<action>info" and the error, wherever in the reply one stands."""
    if "html" in reply.header("content-type").lower():
        return UnityReply()
    try:
        value = loads(reply.body)
    except NotStrictJson:
        return UnityReply()
    if not isinstance(value, list):
        return UnityReply()
    rows: list[Mapping[str, Any]] = []
    errors: list[str] = []
    for item in value:
        if not isinstance(item, dict):
            continue
        errors += [str(v) for k, v in item.items() if k.lower() == "error" and v]
        for name, listed in item.items():
            if name.lower() != f"{action.lower()}info" or not isinstance(listed, list):
                continue
            for row in listed:
                if isinstance(row, dict):
                    rows.append(row)
                    errors += [str(v) for k, v in row.items() if k.lower() == "error" and v]
    return UnityReply(tuple(rows), "\n".join(errors))


# What a row may call the number of the new entry.
_ID_NAMES = re.compile(
    r"(?:document|problem|allergy|vitals?|trans|task|entry|rx)?_?id", re.IGNORECASE
)


def entry_id(rows: tuple[Mapping[str, Any], ...]) -> str:
    """Unity's number of what was filed; "" when the reply names none."""
    for row in rows:
        for name, value in row.items():
            if _ID_NAMES.fullmatch(name) and re.fullmatch(r"[A-Za-z0-9\-.]{1,64}", str(value)):
                return str(value)
    return ""
