"""Two organisations on one EHR: Northgate as every journey knows it, and Southgate, which must not see it."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from django.conf import settings
from django.db import transaction

from intents.governance.models import (
    Agent,
    AgentCredential,
    ClinicalRole,
    EhrConnection,
    EhrIdentity,
    Membership,
    Profession,
    Role,
    ScopeGrant,
    Tenant,
    User,
)
from intents.governance.opening import open_workspace
from intents.governance.tenancy import enter_tenant, leave_tenant, tenant_context
from intents.management import clinic as furnishing
from tests.ehr_adapters.practice import Practice
from tests.factories import SOURCE, Clinic

# What stands in the drafts and must stand nowhere but in sealed columns and in the EHR.
SPOKEN = ("marblewren", "quillfeather", "thornapple")
CANARIES = (*SPOKEN, "OKONKWO", "Ngozi")
_SPOKEN = "Patient: I keep a marblewren at home, and she is well.\n"
TEXT = SOURCE + _SPOKEN
_ALLERGY = "She came out in hives after ibuprofen"
_ALLERGY_LINE = f"Clinician: {_ALLERGY}, as I said before.\n"

ICD = "http://hl7.org/fhir/sid/icd-10-cm"
RXNORM = "http://www.nlm.nih.gov/research/umls/rxnorm"
# One for each problem of a patient: an EHR that holds the same already is another story.
PROBLEMS = (
    ("R42", "Dizziness and giddiness"),
    ("R51.9", "Headache, unspecified"),
    ("R53.83", "Other fatigue"),
    ("R63.4", "Abnormal weight loss"),
    ("M54.50", "Low back pain, unspecified"),
    ("R05.9", "Cough, unspecified"),
)
DRUGS = (("5640", "ibuprofen"), ("1191", "aspirin"), ("161", "acetaminophen"))
_SCOPES = (
    "system/DocumentReference.c", "system/DocumentReference.u", "system/Condition.c",
    "system/Condition.u", "system/AllergyIntolerance.c", "system/AllergyIntolerance.u",
)  # fmt: skip


class Organisation(Clinic):
    """Northgate: two connections, the whole staff. Nothing of it is in force outside `inside()`."""

    domain = "northgate.example"
    vendors = ("generic", "epic")
    patients = ("P1", "P8", "P14")
    # by turns: whose visit it is, another prescriber who leads, and people of other roles
    deciders = ("reyes", "lam", "brandt", "vasik")
    compliance, operator, admin = "ansah", "singh", "dahl"

    def __init__(self, practice: Practice, *, at: datetime) -> None:
        super().__init__(practice, at=at)
        self.allow("system/AllergyIntolerance.c", vendor="generic")
        self._known = {vendor: practice.directory(vendor) for vendor in self.vendors}
        self.credential()
        self.close()

    @contextmanager
    def inside(self) -> Iterator["Organisation"]:
        """As a door of this organisation."""
        with tenant_context(self.tenant.pk):
            yield self

    def person(self, name: str) -> Membership:
        return Membership.objects.select_related("user", "tenant").get(
            user__email=f"{name}@{self.domain}"
        )

    def patient(self, logical: str, vendor: str = "generic") -> dict[str, Any]:
        return self._known[vendor][logical]

    # --- drafts -------------------------------------------------------------------------------------

    def sources(self) -> list[dict[str, Any]]:
        return [
            {
                "ref": "s1",
                "kind": "transcript",
                "title": "Visit with quillfeather",
                "text": TEXT + _ALLERGY_LINE,
            }
        ]

    def a_note(self, ref: str) -> dict[str, Any]:
        text = "Reports dizziness on getting up quickly. Denies cough. Keeps a marblewren at home."
        made = self.note(text, ref=ref)
        start, place = text.index("Keeps"), TEXT.index("I keep a marblewren at home")
        made["evidence"].append(
            {
                "path": "/sections/0/text",
                "span": [start, len(text)],
                "source": "s1",
                "start": place,
                "end": place + len("I keep a marblewren at home"),
                "quote": "I keep a marblewren at home",
                "method": "derived",
                "confidence": 0.9,
            }
        )
        return made

    def a_problem(self, ref: str, *, vendor: str, number: int) -> dict[str, Any]:
        code, display = PROBLEMS[number % len(PROBLEMS)]
        made = self.problem(ref=ref, vendor=vendor)
        made["content"]["code"] = [{"system": ICD, "code": code, "display": display}]
        return made

    def _condition(self, patient: str) -> str:
        """A problem that a clinician of the practice has entered."""
        entries = self.patient(patient)["entries"].values()
        return [each for each in entries if each.startswith("Condition/")][-1]

    def an_update(self, ref: str, *, patient: str, number: int) -> dict[str, Any]:
        """An entry that a clinician made, changed."""
        target = self._condition(patient)
        verification = ("provisional", "confirmed", "differential")[number % 3]
        return self.problem(
            ref=ref, interaction="update", target=target, content={"verification": verification}
        )

    def an_erasure(self, ref: str, *, patient: str) -> dict[str, Any]:
        """Somebody else's entry marked as never true: two people decide."""
        target = self._condition(patient)
        return self.problem(
            ref=ref, interaction="entered-in-error", target=target, content={}, evidence=[]
        )

    def an_allergy(self, ref: str, *, number: int) -> dict[str, Any]:
        code, name = DRUGS[number % len(DRUGS)]
        place = (TEXT + _ALLERGY_LINE).index(_ALLERGY)
        return {
            "ref": ref,
            "kind": "allergy",
            "interaction": "create",
            "content": {
                "substance": {"system": RXNORM, "code": code, "display": name},
                "category": "medication",
                "clinical_status": "active",
                "verification": "confirmed",
            },
            "evidence": [
                {
                    "path": "/substance",
                    "source": "s1",
                    "start": place,
                    "end": place + len(_ALLERGY),
                    "quote": _ALLERGY,
                    "method": "derived",
                    "confidence": 0.9,
                }
            ],
        }


class Southgate(Organisation):
    """Another organisation whose agent writes into the same EHR, about its own patients."""

    domain = "southgate.example"
    vendors = ("generic",)
    patients = ("P5", "P2")
    deciders = ("okoro", "weiss", "okoro", "weiss")
    compliance, operator, admin = "pruitt", "haas", "moss"

    def __init__(self, practice: Practice, *, at: datetime) -> None:
        self.practice, self.at = practice, at
        self._known = {"generic": practice.directory("generic")}
        self._credentials: dict[str, AgentCredential] = {}
        with transaction.atomic():
            self.tenant: Tenant = open_workspace(
                name="Southgate Health", time_zone="UTC", actor=furnishing.INSTALLATION, at=at
            )
            token = enter_tenant(self.tenant.pk)
            try:
                self._furnish()
                self.credential("suggest")
            finally:
                leave_tenant(token)

    def _furnish(self) -> None:
        by: Mapping[str, Any] = {"actor": furnishing.INSTALLATION, "at": self.at}
        front = furnishing.Front(
            "generic", "generic_r4", "southgate-r4", "Southgate R4",
            "/generic/fhir/R4", "/generic/oauth2/token",
        )  # fmt: skip
        reference, public = front.make_credential(settings.KEY_DIR)
        furnishing.call(
            self.practice.root, "POST", "clients",
            {"vendor": "generic", "client_id": "reviewportal-southgate", "scope": "system/*.cruds",
             "pem": public},
        )  # fmt: skip
        self._connection = EhrConnection.add(
            tenant=self.tenant, name="southgate-r4", title="Southgate R4", kind="generic_r4",
            base_url=self.practice.base_urls["generic"],
            token_url=self.practice.token_urls["generic"], client_id="reviewportal-southgate",
            alg="ES384", credential_ref=reference, environment="sandbox",
            time_zone="America/Chicago", settings={}, token_life_seconds=5,
            processing_bound_seconds=10, index_lag_seconds=5, **by,
        )  # fmt: skip
        doctor = {"clinical_role": ClinicalRole.PRESCRIBER, "profession": Profession.PHYSICIAN}
        staff = self._known["generic"]["staff"]
        for name, role, more in (
            ("okoro", Role.REVIEWER, {**doctor, "clinical_lead": True}),
            ("weiss", Role.REVIEWER, doctor),
            ("pruitt", Role.COMPLIANCE, {}),
            ("haas", Role.OPERATOR, {}),
            ("moss", Role.ADMIN, {}),
        ):
            user = User.add(email=f"{name}@{self.domain}", name=f"{name.title()} of South", **by)
            Membership.grant(tenant=self.tenant, user=user, role=role, **more, **by)
            known = {"okoro": "prescriber_one", "weiss": "prescriber_two"}.get(name)
            if known:
                EhrIdentity.link(
                    user=user, connection=self._connection, verified_by="made-up clinic",
                    practitioner_ref=f"Practitioner/{staff[known]['practitioner']}", **by,
                )  # fmt: skip
        self.agent = Agent.admit(
            tenant=self.tenant, name="Southgate scribe", lane_ceiling="commit", **by
        )
        for scope in _SCOPES:
            ScopeGrant.grant(
                agent=self.agent, connection=self._connection, scope=scope, lane="commit", **by
            )

    def connection(self, vendor: str = "generic") -> EhrConnection:
        return EhrConnection.objects.get(pk=self._connection.pk)
