"""The practice EHRs as the demo connects to them: addresses, settings, and credentials of made-up services."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from intents.management.keypairs import make_key_pair

Directory = Mapping[str, Any]

# The scribe's sections and the fields of the practice's own template for them: (section, page, page name,
# ordinal, field). AdvancedMD takes notes into templates only.
_TEMPLATE = (
    ("Presenting complaint", 1, "History", 228101, "Presenting complaint"),
    ("History", 1, "History", 228102, "History"),
    ("Past medical and family history", 1, "History", 228103, "Past medical and family history"),
    ("Medication and allergies", 1, "History", 228104, "Medication and allergies"),
    ("Social history", 1, "History", 228105, "Social history"),
    ("Subjective", 1, "History", 228106, "Subjective"),
    ("Background", 1, "History", 228107, "Background"),
    ("Examination and results", 2, "Findings and plan", 228111, "Examination and results"),
    ("Objective", 2, "Findings and plan", 228112, "Objective"),
    ("Assessment", 2, "Findings and plan", 228113, "Assessment"),
    ("Assessment and plan", 2, "Findings and plan", 228114, "Assessment and plan"),
    ("Plan", 2, "Findings and plan", 228115, "Plan"),
)
# The columns of its scheduler, and its numbers for two types of appointment.
_COLUMNS = {1: "prescriber_one", 2: "prescriber_two"}
_APPOINTMENTS = {11: "FOLLOWUP", 12: "ROUTINE"}


def _nothing_set(practice: str, directory: Directory) -> dict[str, Any]:
    del practice, directory
    return {}


@dataclass(frozen=True, slots=True)
class Front:
    """One practice EHR and the connection to it. `base` and `token` are paths below its address.

    `settings` are made from its address and its directory; `secrets` are what its credential file holds beside
    the key, and a "client_secret" among them is what the practice EHR knows the portal by; `unmapped` names the
    staff whose identity in this EHR nobody has verified.
    """

    vendor: str
    kind: str
    name: str
    title: str
    base: str
    token: str
    alg: str = "ES384"
    time_zone: str = "America/Chicago"
    settings: Callable[[str, Directory], dict[str, Any]] = _nothing_set
    secrets: Mapping[str, str] | None = None
    unmapped: frozenset[str] = frozenset()

    def make_credential(self, folder: Path) -> tuple[str, str]:
        """A new key pair for this connection: (name of its file in the key folder, public half as PEM)."""
        path = folder / f"{self.name}.pem"
        path.unlink(missing_ok=True)
        public = make_key_pair(path, rsa=self.alg == "RS384")
        if self.secrets is None:
            return path.name, public
        held = folder / f"{self.name}.json"
        held.unlink(missing_ok=True)
        held.touch(mode=0o600)
        held.write_text(json.dumps({"private_key": path.read_text(), **self.secrets}))
        path.unlink()
        return held.name, public


def _athenahealth(practice: str, directory: Directory) -> dict[str, Any]:
    del practice, directory
    return {"practice_id": "195900", "token_mints_per_minute": 50}


def _veradigm(practice: str, directory: Directory) -> dict[str, Any]:
    staff = directory["staff"]
    return {
        "unity_url": f"{practice}/veradigm/Unity",
        "unity_appname": "Northgate.Portal",
        "unity_user": "svc-backend",
        "unity_users": {
            f"Practitioner/{staff[name]['practitioner']}": staff[name]["user"]
            for name in ("prescriber_one", "prescriber_two")
        },
        "unity_patient_system": "http://veradigm.example/unity/patient",
        "unity_task_targets": {
            f"Practitioner/{one['practitioner']}": one["user"] for one in staff.values()
        },
    }


def _advancedmd(practice: str, directory: Directory) -> dict[str, Any]:
    staff = directory["staff"]
    numbers = [one["practitioner"] for one in staff.values()]
    return {
        "office_code": "990175",
        "app_name": "PORTALTEST",
        "login_url": f"{practice}/advancedmd/practicemanager/xmlrpc/processrequest.aspx",
        "cluster_origins": [practice],
        "note_templates": [
            {
                "type": "11506-3",
                "name": "Office Visit",
                "fields": [
                    {
                        "section": section,
                        "page": page,
                        "page_name": words,
                        "ordinal": ordinal,
                        "name": name,
                    }
                    for section, page, words, ordinal, name in _TEMPLATE
                ],
            }
        ],
        "profiles": {number: number for number in numbers},
        "scheduler_columns": [
            {
                "provider": staff[name]["practitioner"],
                "column": number,
                "profile": int(staff[name]["practitioner"].removeprefix("prof")),
            }
            for number, name in _COLUMNS.items()
        ],
        "appointment_types": [
            {"code": code, "number": number} for number, code in _APPOINTMENTS.items()
        ],
    }


FRONTS = (
    Front(
        "generic", "generic_r4", "northgate-r4", "Northgate R4 (practice)",
        "/generic/fhir/R4", "/generic/oauth2/token",
    ),
    Front(
        "epic", "epic", "epic-northgate", "Epic Northgate (practice)",
        "/epic/api/FHIR/R4", "/epic/oauth2/token",
    ),
    Front(
        "athenahealth", "athenahealth", "athena-northgate", "athenahealth Northgate (practice)",
        "/athenahealth/fhir/r4", "/athenahealth/oauth2/token",
        time_zone="America/New_York", settings=_athenahealth, unmapped=frozenset({"prescriber_two"}),
    ),
    Front(
        "eclinicalworks", "eclinicalworks", "ecw-northgate", "eClinicalWorks Northgate (practice)",
        "/eclinicalworks/fhir/r4/NRTHGA", "/eclinicalworks/oauth/oauth2/token", alg="RS384",
    ),
    Front(
        "advancedmd", "advancedmd", "advancedmd-northgate", "AdvancedMD Northgate (practice)",
        "/advancedmd/v1/r4/175", "/advancedmd/v1/oauth2/token",
        time_zone="America/Denver", settings=_advancedmd,
        secrets={"username": "PORTAL", "password": "made-up-and-public"},
    ),
    Front(
        "veradigm", "veradigm", "veradigm-northgate", "Veradigm Northgate (practice)",
        "/veradigm/fhirroute/fhir/CP00101",
        "/veradigm/fhirroute/authorizationV2/CP00101/connect/token",
        time_zone="America/Chicago", settings=_veradigm,
        secrets={
            "unity_username": "svc-portal",
            "unity_password": "practice-service",
            **{
                f"unity_password.{user}": f"practice-{user}"
                for user in ("areyes", "jlam", "svc-backend")
            },
        },
    ),
)  # fmt: skip
