"""The switches of each vendor's behaviour: what a documentation leaves open, or a probe should find out."""

from typing import Any

from django.conf import settings

from ehr_adapters.sandbox.models import SandboxSetting

GENERIC = "generic"
EPIC = "epic"
VERADIGM = "veradigm"
ATHENA = "athenahealth"
ADVANCEDMD = "advancedmd"
ECW = "eclinicalworks"
VENDORS = (GENERIC, EPIC, VERADIGM, ATHENA, ADVANCEDMD, ECW)

_TOKEN_SECONDS = settings.PRACTICE_TOKEN_SECONDS  # type: ignore[misc]  # of this process alone

# Rows that this customer has built and mapped for vitals: LOINC codes.
FLOWSHEET_ROWS = [
    "85354-9", "8480-6", "8462-4", "8867-4", "9279-1", "8310-5", "8302-2", "29463-7", "39156-5", "59408-5",
]  # fmt: skip

DEFAULTS: dict[str, dict[str, Any]] = {
    GENERIC: {
        "token_seconds": _TOKEN_SECONDS,
        # atomic: looked up and filed in one step; indexed: looked up in the lagging index, so a race
        # files twice; ignored: the header means nothing.
        "conditional_create": "atomic",
        "version_check": True,  # false: a stale If-Match is not noticed
        "bare_creates": False,  # true: 201 without body and version, its Location relative to the base
        "update_creates": False,
        "identifiers_kept": True,
        "security_labels_kept": True,  # meta.security comes back
        "not_offered": [],  # "Condition.update": taken out of /metadata and refused
        "index_lag_ms": 0,
    },
    EPIC: {
        "token_seconds": _TOKEN_SECONDS,
        "identifiers_kept": False,  # unknown; no is the safe assumption
        "drafts_listed": False,  # unknown whether a search shows unsigned notes; reading by id does
        "flowsheet_rows": FLOWSHEET_ROWS,
        "not_offered": [],
        "index_lag_ms": 0,
    },
    VERADIGM: {
        "token_seconds": _TOKEN_SECONDS,
        "identifiers_kept": False,  # unknown; no is the safe assumption
        "drafts_listed": True,  # inferred: a search shows unsigned notes as well
        # both, location, body or empty: what the answer to a FHIR create names is not documented.
        "create_answer": "both",
        # Rows that the client may not see are marked as redacted instead of left out: these types.
        "redacted_types": [],
        "not_offered": [],
        "index_lag_ms": 0,
        "unity_idle_seconds": 1200,
        # Actions that this practice has licensed; the others are answered with an Error.
        "unity_licence": [
            "GetServerInfo",
            "GetUserAuthentication",
            "SaveNote",
            "SaveProblemsData",
            "SaveAllergy",
            "SaveDocumentImage",
            "SaveTask",
        ],
    },
    ATHENA: {
        "token_seconds": _TOKEN_SECONDS,
        "identifiers_kept": True,
        "conditional_create": "ignored",
        "token_mints_per_minute": 50,  # 50 in production, 5 in preview; then 429 until the minute is over
        "calls_per_day": 50_000,  # until midnight GMT
        "merged_patient_refused": False,  # what a write to a merged record does is not documented
        "closed_visit_error": "The encounter is closed.",  # the exact words are not documented
        "not_offered": [],
        "index_lag_ms": 0,
    },
    ADVANCEDMD: {
        "token_seconds": _TOKEN_SECONDS,  # of the FHIR side
        "session_seconds": 86_400,  # of the other interface; about a day is reported
        "logins_per_minute": 1,
        "cluster": 802,  # the server of this practice; a session is good for nothing on another
        "office_code": "990175",
        "user": "PORTAL",
        "password": "made-up-and-public",
        # Calls a minute that are not billed, of tier 1, 2 and 3: in working hours, and else.
        "free_calls": [[1, 60], [12, 120], [24, 120]],
        "short_fault_numbers": False,  # the same fault is written 1025 and -2147220479
        "notes_listed": False,  # unknown whether an unsigned note can be read back
        "identifiers_kept": False,
        "not_offered": [],
        "index_lag_ms": 0,
    },
    ECW: {
        "token_seconds": min(300, _TOKEN_SECONDS),  # 300 in the documented example
        "calls_per_minute": 250,  # of the clock, for tokens and everything else together
        "default_user": True,  # false: nobody is set up under whom a write is filed (308)
        "identifiers_kept": False,  # unknown; no is the safe assumption
        "notes_listed": False,  # unknown whether a delivered note is served by itself
        "repertoire": "ascii",  # which characters are "unsupported" is not documented
        "not_offered": [],
        "index_lag_ms": 0,
    },
}


class UnknownSetting(ValueError):
    """No such switch, or not a value it takes; the sentence names it."""


def of(vendor: str, key: str) -> Any:
    """The switch's present value."""
    row = SandboxSetting.objects.filter(vendor=vendor, key=key).first()
    return DEFAULTS[vendor][key] if row is None else row.value


def all_of(vendor: str) -> dict[str, Any]:
    """Every switch of a vendor."""
    own = dict(SandboxSetting.objects.filter(vendor=vendor).values_list("key", "value"))
    return DEFAULTS[vendor] | own


def change(*, vendor: str, key: str, value: Any) -> None:
    """Sets a switch; it stays set over restarts, until `reset`. Raises UnknownSetting."""
    if key not in DEFAULTS.get(vendor, {}):
        raise UnknownSetting(f"{vendor} has no setting {key!r}")
    default = DEFAULTS[vendor][key]
    if type(value) is not type(default):
        raise UnknownSetting(f"{key} takes a value like {default!r}")
    if key == "conditional_create" and value not in {"atomic", "indexed", "ignored"}:
        raise UnknownSetting("conditional_create is atomic, indexed or ignored")
    SandboxSetting.objects.update_or_create(vendor=vendor, key=key, defaults={"value": value})
