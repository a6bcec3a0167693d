"""The contract of adapters, six times: each against its own practice EHR over HTTP."""

from typing import Any, ClassVar

import pytest

from ehr_adapters.contract import Baseline
from ehr_adapters.errors import (
    AlreadyThere,
    ContentRefused,
    NotPermitted,
    PatientMoved,
    ServerError,
    UnreadableReply,
    VersionConflict,
)
from ehr_adapters.vendors.advancedmd import budget as amd_budget
from ehr_adapters.vendors.advancedmd import session
from ehr_adapters.vendors.athenahealth import budget as athena_budget
from tests.ehr_adapters import narrowing
from tests.ehr_adapters.advancedmd import MANY, TEMPLATE
from tests.ehr_adapters.practice import fresh_practice, practice
from tests.ehr_adapters.practice_contract import Fault, PracticeContract, Row, but
from tests.ehr_adapters.stage import Stage

__all__ = ["fresh_practice", "practice"]
pytestmark = pytest.mark.once


# Answers that tell nothing of an entry whose id the portal has named itself.
ID_IS_OURS: dict[tuple[str, str], tuple[Fault, str]] = {
    (name, "*"): (
        but(name, UnreadableReply, None),
        "FHIR R4, RESTful API 3.1.0.4.1: an update may be answered without a body; its id is the client's.",
    )
    for name in ("an empty answer", "no Location", "no id")
}


class TestGeneric(PracticeContract):
    vendor = "generic"
    proven: ClassVar[dict[str, Any]] = {
        "conditional_create_probed": "2026-11-20",
        "stale_if_match_probed": "2026-11-20",
    }
    proven_practice: ClassVar[dict[str, Any]] = {"conditional_create": "atomic"}
    unproven_practice: ClassVar[dict[str, Any]] = {"conditional_create": "ignored"}
    once_only: ClassVar[dict[str, str]] = {
        "message create": "FHIR R4, If-None-Exist is sent with it; what a patient has read is not taken back.",
    }
    otherwise = ID_IS_OURS
    seeded: ClassVar[dict[str, str]] = {"result": "potassium_2d"}

    @staticmethod
    def waits(row: Row) -> bool:
        """An order is in the chart as a draft."""
        return row.kind != "order"


class TestEpic(PracticeContract):
    vendor = "epic"
    unlabelled = "No page of Epic on FHIR lists meta.security among what a create keeps."
    ways: ClassVar[dict[str, dict[str, Any]]] = {"": {"drafts_listed_probed": "2026-11-20"}}
    practice_settings: ClassVar[dict[str, Any]] = {"drafts_listed": True}
    otherwise: ClassVar[dict[tuple[str, str], tuple[Fault, str]]] = {
        ("a merged patient", "*"): (
            but("a merged patient", PatientMoved),
            "Epic on FHIR, error codes: 4107 names the patient's surviving record.",
        ),
    }

    def sample(self, stage: Stage, row: Row, number: int) -> dict[str, Any]:
        content = narrowing.for_epic(row.kind, super().sample(stage, row, number))
        if row.kind == "questionnaire":
            content["form"]["assignment"] = self.assigned(stage, content["form"]["id"])
        return content

    @staticmethod
    def assigned(stage: Stage, form: str) -> str:
        """An order for the form: Epic takes answers to what is assigned."""
        order = {
            "resourceType": "ServiceRequest",
            "status": "active",
            "intent": "order",
            "instantiatesCanonical": [form],
            "subject": {"reference": f"Patient/{stage.people[stage.who]['patient']}"},
        }
        added = stage.practice.lever("add_resource", vendor="epic", resource=order)
        return str(added["reference"])

    def admissible(
        self, stage: Stage, row: Row, content: dict[str, Any], baseline: Baseline
    ) -> dict[str, Any]:
        return narrowing.for_epic(row.kind, content)


class TestAthenahealth(PracticeContract):
    vendor = "athenahealth"
    ways: ClassVar[dict[str, dict[str, Any]]] = {
        "": {
            "token_mints_per_minute": 1000,
            "calls_per_second": 1000,
            "documents_listed_probed": "2026-11-20",
            "cases_listed_probed": "2026-11-20",
        }
    }
    practice_settings: ClassVar[dict[str, Any]] = {"token_mints_per_minute": 1000}
    otherwise: ClassVar[dict[tuple[str, str], tuple[Fault, str]]] = {
        ("200 with a failure inside", "*"): (
            but("200 with a failure inside", ContentRefused),
            "athenahealth API, best practices: a write is answered with success true or false.",
        ),
        ("404", "*"): (
            but("404", ContentRefused, VersionConflict),
            "athenahealth API, errors: 404 names what the call refers to and does not find.",
        ),
        ("404", "allergy"): (
            but("404", VersionConflict),
            "athenahealth API, Allergies: entries are put, and 404 is about what is put.",
        ),
        ("412", "allergy"): (
            but("412", VersionConflict),
            "athenahealth API, Allergies: entries are put, new ones as well.",
        ),
        ("404", "questionnaire"): (
            but("404", NotPermitted),
            "athenahealth FHIR: the one type that is created as FHIR; 404 is about the type.",
        ),
        ("200 with a failure inside", "questionnaire"): (
            but("200 with a failure inside", UnreadableReply),
            "FHIR R4, OperationOutcome: an error beside a success contradicts it.",
        ),
        ("no id", "vitals"): (
            but("no id", None),
            "athenahealth API, Vitals: the answer is success, without an id.",
        ),
        ("no id", "allergy"): (
            but("no id", None),
            "athenahealth API, Allergies: the answer is success, without an id.",
        ),
    }
    seeded: ClassVar[dict[str, str]] = {"allergy": "allergy_penicillin"}

    @pytest.fixture(autouse=True)
    def _nothing_counted(self, monkeypatch: pytest.MonkeyPatch) -> None:
        counted = "ehr_adapters.vendors.athenahealth.twins.budgets"
        monkeypatch.setattr(counted, athena_budget.Budgets())

    def sample(self, stage: Stage, row: Row, number: int) -> dict[str, Any]:
        content = super().sample(stage, row, number)
        person = f"Practitioner/{stage.people['staff']['prescriber_one']['practitioner']}"
        at = stage.at.replace(microsecond=0)
        return narrowing.for_athenahealth(row.kind, content, at=at, person=person)

    def admissible(
        self, stage: Stage, row: Row, content: dict[str, Any], baseline: Baseline
    ) -> dict[str, Any]:
        return narrowing.for_athenahealth(row.kind, content, at=baseline.read_at)

    def altered(self, row: Row) -> tuple[str, dict[str, Any]]:
        """Medications are requests; documents and cases keep what staff sees of them beside R4."""
        field, content = super().altered(row)
        own: dict[str, tuple[str, dict[str, Any]]] = {
            "medication": ("dosageInstruction", {"/dosageInstruction": [{"text": "other"}]}),
            "note": ("_v1", content),
            "task": ("_v1", {"/_v1": {}}),
            "vitals": ("encounter", content),
        }
        return own.get(row.kind, (field, content))

    def must_return(self, row: Row, named: frozenset[str], name: str) -> bool:
        """An entry that is read by FHIR holds more than the other interface speaks of."""
        return row.kind not in {"allergy", "medication", "demographics"} or name in named


class TestEclinicalworks(PracticeContract):
    vendor = "eclinicalworks"
    unlabelled = "No field of the one-entry transaction's guide takes meta.security."
    ways: ClassVar[dict[str, dict[str, Any]]] = {
        "": {
            "messages_reach_patients": True,
            "repertoire": "utf-8",
            "notes_read_back_probed": "2026-11-20",
        }
    }
    practice_settings: ClassVar[dict[str, Any]] = {
        "calls_per_minute": 100_000, "repertoire": "utf-8", "notes_listed": True,
    }  # fmt: skip

    left_out: ClassVar[dict[tuple[str, str], str]] = {
        (
            "read back",
            kind,
        ): "eClinicalWorks FHIR, resources: tasks and messages are sent, not served."
        for kind in ("task", "message")
    }

    def altered(self, row: Row) -> tuple[str, dict[str, Any]]:
        """What is accepted of a medication is a request, and an allergy goes without its note."""
        own: dict[str, tuple[str, dict[str, Any]]] = {
            "medication": ("dosageInstruction", {"/dosageInstruction": [{"text": "other"}]}),
            "allergy": ("criticality", {"/criticality": "low"}),
        }
        return own.get(row.kind) or super().altered(row)

    def sample(self, stage: Stage, row: Row, number: int) -> dict[str, Any]:
        content = super().sample(stage, row, number)
        return narrowing.for_eclinicalworks(row.kind, row.interaction, content)

    def admissible(
        self, stage: Stage, row: Row, content: dict[str, Any], baseline: Baseline
    ) -> dict[str, Any]:
        return narrowing.for_eclinicalworks(row.kind, row.interaction, content)


class TestAdvancedmd(PracticeContract):
    vendor = "advancedmd"
    ways: ClassVar[dict[str, dict[str, Any]]] = {
        "": {
            "calls_per_minute": MANY,
            "notes_listed_probed": "2026-11-20",
            "note_templates": [
                TEMPLATE,
                # What the practice itself has no template for is rendered and not sent.
                *(
                    TEMPLATE | {"type": code, "name": f"Visit {code}"}
                    for code in ("34117-2", "11488-4", "18842-5")
                ),
            ],
        }
    }
    practice_settings: ClassVar[dict[str, Any]] = {"logins_per_minute": 1000, "notes_listed": True}
    otherwise: ClassVar[dict[tuple[str, str], tuple[Fault, str]]] = {
        ("200 with a failure inside", "*"): (
            but("200 with a failure inside", ContentRefused),
            "AdvancedMD API, PPMDResults: a fault with a number in a 200 is a refusal.",
        ),
        ("412", "*"): (
            but("412", AlreadyThere),
            "AdvancedMD API: no version is checked, so a 412 says nothing of one: the chart is asked.",
        ),
        ("404", "*"): (
            but("404", NotPermitted),
            "AdvancedMD API: one door for every message; a 404 is about the door, not about an entry.",
        ),
        ("404", "appointment cancel"): (
            but("404", VersionConflict),
            "AdvancedMD API, scheduler: a cancellation's address names the appointment.",
        ),
        ("200 with a failure inside", "appointment"): (
            but("200 with a failure inside", UnreadableReply),
            "AdvancedMD API, scheduler: an appointment's answer is its JSON; anything else says nothing.",
        ),
        **{
            (name, "*"): (
                but(name, None),
                "AdvancedMD API, PPMDResults: success=1 is the acknowledgement; an id may be missing.",
            )
            for name in ("no Location", "no id")
        },
        **{
            (name, "appointment create"): (
                but(name, UnreadableReply),
                "AdvancedMD API, scheduler: a booking is answered with its number.",
            )
            for name in ("no Location", "no id")
        },
        ("an empty answer", "appointment cancel"): (
            but("an empty answer", None),
            "AdvancedMD API, scheduler: a cancellation names the number itself.",
        ),
    }

    @pytest.fixture(autouse=True)
    def _no_session_yet(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(session, "sessions", session.Sessions())
        monkeypatch.setattr(amd_budget, "budget", amd_budget.Budget())

    def narrowed(self, stage: Stage, row: Row, content: dict[str, Any]) -> dict[str, Any]:
        return narrowing.for_advancedmd(
            row.kind,
            row.interaction,
            content,
            author=f"Practitioner/{stage.people['staff']['prescriber_one']['practitioner']}",
            titles=[one["section"] for one in TEMPLATE["fields"]],  # type: ignore[index]  # JSON of one template
        )

    def sample(self, stage: Stage, row: Row, number: int) -> dict[str, Any]:
        return self.narrowed(stage, row, super().sample(stage, row, number))

    def admissible(
        self, stage: Stage, row: Row, content: dict[str, Any], baseline: Baseline
    ) -> dict[str, Any]:
        return self.narrowed(stage, row, content)


ALLERGY = {
    "substance": {"system": "http://www.nlm.nih.gov/research/umls/rxnorm", "code": "723"},
    "category": "medication",
    "clinical_status": "active",
}


class TestVeradigm(PracticeContract):
    vendor = "veradigm"
    proven: ClassVar[dict[str, Any]] = {
        "identifiers_kept_probed": "2026-11-20",
        "drafts_listed_probed": "2026-11-20",
    }
    proven_practice: ClassVar[dict[str, Any]] = {"identifiers_kept": True}
    ways: ClassVar[dict[str, dict[str, Any]]] = {
        "": {"unity_url": "", "unity_task_targets": {}},
        "by Unity": {
            "problem_transport": "unity",
            "allergy_transport": "unity",
            "unity_allergens": {"rxnorm 723": "Amoxicillin"},
        },
    }
    practice_settings: ClassVar[dict[str, Any]] = {"drafts_listed": True}
    left_out: ClassVar[dict[tuple[str, str], str]] = {
        ("read back", "by Unity task create"): (
            "Veradigm FHIR, resources: tasks are not among them, and Unity's list is not documented."
        ),
    }
    otherwise: ClassVar[dict[tuple[str, str], tuple[Fault, str]]] = {
        **ID_IS_OURS,
        **{
            (name, "by Unity"): (
                but(name, UnreadableReply),
                "Unity, MagicJson: every action answers rows or an Error; nothing else is an answer.",
            )
            for name in ("an empty answer", "no Location", "no id")
        },
        **{
            (name, "by Unity"): (
                but(name, VersionConflict),
                "Unity, MagicJson: told as a changed record in the text of an Error with 200.",
            )
            for name in ("409", "412")
        },
        ("a merged patient", "by Unity"): (
            but("a merged patient", PatientMoved),
            "Unity, MagicJson: told as a merged patient in the text of an Error with 200.",
        ),
        ("400", "by Unity"): (
            but("400", ServerError),
            "Unity: refuses with 200; a 400 is of the gateway before it, and no page says what it means.",
        ),
        ("200 with a failure inside", "by Unity"): (
            but("200 with a failure inside", ServerError),
            "Unity, MagicJson: the texts of an Error are not listed; one that nobody knows is unknown.",
        ),
    }

    def narrowed(self, stage: Stage, row: Row, content: dict[str, Any]) -> dict[str, Any]:
        if not row.way:
            return content
        owner = f"Practitioner/{stage.people['staff']['nurse']['practitioner']}"
        return narrowing.for_unity(row.kind, content, allergy=ALLERGY, owner=owner)

    def sample(self, stage: Stage, row: Row, number: int) -> dict[str, Any]:
        return self.narrowed(stage, row, super().sample(stage, row, number))

    def admissible(
        self, stage: Stage, row: Row, content: dict[str, Any], baseline: Baseline
    ) -> dict[str, Any]:
        return self.narrowed(stage, row, content)
