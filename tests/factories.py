"""Builders for journeys: everything goes through the pipeline, so no test lives in an impossible state.

def test_something(clinic):                       # needs the database; the practice EHR is real
    proposal = clinic.propose(patient="P1", changes=[clinic.note("Seen today.")])
    clinic.screen(proposal)
    clinic.approve(proposal, by="reyes")
    clinic.deliver()
"""

import base64
import json
import uuid
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import transaction
from django.utils import timezone

from audit import sequencing
from intents.governance.models import (
    Agent,
    AgentCredential,
    EhrConnection,
    Membership,
    ScopeGrant,
    Tenant,
    User,
)
from intents.governance.tenancy import enter_tenant, leave_tenant
from intents.management import clinic as furnishing
from intents.models import Intent, Proposal, Tick
from intents.pipeline import dispatch, intake, presentation, reconciliation, review, screening
from tests.ehr_adapters.practice import Practice

SOURCE = (
    "Clinician: What brings you in today?\n"
    "Patient: I get dizzy if I get up too quick, maybe once or twice a week.\n"
    "Clinician: Any cough?\n"
    "Patient: No, no cough.\n"
    "Patient: Home readings have been around 152 over 90, most mornings.\n"
    "Clinician: So this is orthostatic dizziness. Let us repeat potassium and creatinine in two weeks.\n"
)
R42 = {
    "system": "http://hl7.org/fhir/sid/icd-10-cm",
    "code": "R42",
    "display": "Dizziness and giddiness",
}


# Making a connection takes its time, so the others wait until a journey asks for them.
_USUAL = ("generic",)


class Clinic:
    """The made-up clinic with the practice EHRs behind it."""

    def __init__(self, practice: Practice, *, at: datetime) -> None:
        self.practice, self.at = practice, at
        self.tenant: Tenant = furnishing.open_clinic(
            practice=practice.root,
            directory=practice.control("GET", "directory"),
            at=at,
            fronts=[front for front in furnishing.FRONTS if front.vendor in _USUAL],
        )
        self._token = enter_tenant(self.tenant.pk)
        self._credentials: dict[str, AgentCredential] = {}
        self._admit()

    @transaction.atomic
    def _admit(self) -> None:
        at = self.at
        self.agent = Agent.admit(
            tenant=self.tenant,
            name="Visit scribe",
            owner=User.objects.get(email="dahl@northgate.example"),
            lane_ceiling="commit",
            actor=furnishing.INSTALLATION,
            at=at,
        )
        for connection in EhrConnection.objects.all():
            self._grant(connection)

    def _grant(self, connection: EhrConnection) -> None:
        for scope in dict.fromkeys(s for one in furnishing.EXAMPLE_AGENTS for s in one.scopes):
            ScopeGrant.grant(
                agent=self.agent,
                connection=connection,
                scope=scope,
                lane="commit",
                actor=furnishing.INSTALLATION,
                at=self.at,
            )

    def close(self) -> None:
        leave_tenant(self._token)

    # --- who ---------------------------------------------------------------------------------------

    def person(self, name: str) -> Membership:
        """A member of staff by the first part of their address: "reyes", "lam", "ansah" ..."""
        return Membership.objects.select_related("user", "tenant").get(
            user__email=f"{name}@northgate.example"
        )

    @transaction.atomic
    def credential(self, lane: str = "suggest") -> AgentCredential:
        if lane not in self._credentials:
            from cryptography.hazmat.primitives.asymmetric import ec
            from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

            key = ec.generate_private_key(ec.SECP384R1())
            with transaction.atomic():
                self._credentials[lane] = AgentCredential.issue_key(
                    agent=self.agent,
                    lane=lane,
                    public_key=key.public_key()
                    .public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
                    .decode(),
                    expires_at=self.at + timedelta(days=30),
                    actor=furnishing.INSTALLATION,
                    at=self.at,
                )
        return self._credentials[lane]

    @transaction.atomic
    def credential_of(self, public_key: str, *, lane: str = "suggest") -> AgentCredential:
        """A credential for a key pair whose private half somebody else holds."""
        return AgentCredential.issue_key(
            agent=self.agent,
            lane=lane,
            public_key=public_key,
            expires_at=self.at + timedelta(days=30),
            actor=furnishing.INSTALLATION,
            at=self.at,
        )

    @transaction.atomic
    def allow(self, *scopes: str, vendor: str = "generic") -> None:
        """Further scopes for the agent, on one connection."""
        for scope in scopes:
            ScopeGrant.grant(
                agent=self.agent,
                connection=self.connection(vendor),
                scope=scope,
                lane="commit",
                actor=furnishing.INSTALLATION,
                at=self.at,
            )

    def connection(self, vendor: str = "generic") -> EhrConnection:
        """The connection to one practice EHR; the rarer ones are made when they are first asked for."""
        front = next(f for f in furnishing.FRONTS if f.vendor == vendor)
        found = EhrConnection.objects.filter(name=front.name).first()
        return found or self._connect(front)

    @transaction.atomic
    def _connect(self, front: furnishing.Front) -> EhrConnection:
        connection = furnishing.connect(
            front,
            tenant=self.tenant,
            practice=self.practice.root,
            directory=self.practice.control("GET", "directory"),
            at=self.at,
        )
        self._grant(connection)
        return connection

    def patient(self, logical: str, vendor: str = "generic") -> dict[str, Any]:
        """The practice's directory entry: patient, encounter, encounters, entries, family ..."""
        return self.practice.directory(vendor)[logical]

    # --- what --------------------------------------------------------------------------------------

    def note(
        self,
        *texts: str,
        ref: str = "c1",
        quotes: Mapping[str, str] | None = None,
        interaction: str = "create",
        **more: Any,
    ) -> dict[str, Any]:
        """A note whose n-th text is a section; `quotes` maps words of a text to words of SOURCE."""
        texts = texts or ("Reports dizziness on getting up quickly. Denies cough.",)
        titles = ("Subjective", "Assessment and plan", "Plan", "Other")
        evidence = []
        for words, quote in (
            quotes
            or {
                "Reports dizziness on getting up quickly.": "I get dizzy if I get up too quick",
                "Denies cough.": "Any cough?\nPatient: No, no cough.",
            }
        ).items():
            for index, text in enumerate(texts):
                start = text.find(words)
                if start >= 0:
                    place = SOURCE.index(quote)
                    evidence.append(
                        {
                            "path": f"/sections/{index}/text",
                            "span": [start, start + len(words)],
                            "source": "s1",
                            "start": place,
                            "end": place + len(quote),
                            "quote": quote,
                            "method": "derived",
                            "confidence": 0.9,
                        }
                    )
        content = {
            "type": "11506-3",
            "status": "unsigned",
            "sensitivity": "normal",
            "sections": [{"title": titles[i], "text": text} for i, text in enumerate(texts)],
        }
        return {
            "ref": ref,
            "kind": "note",
            "interaction": interaction,
            "content": content | more.pop("content", {}),
            "evidence": evidence,
        } | more

    def problem(
        self, *, ref: str = "c1", vendor: str = "generic", interaction: str = "create", **more: Any
    ) -> dict[str, Any]:
        """Dizziness as a new problem; for Epic provisional, as Epic asks."""
        quote = "this is orthostatic dizziness"
        place = SOURCE.index(quote)
        content = {
            "code": [R42],
            "category": "problem-list-item",
            "clinical_status": "active",
            "verification": "provisional" if vendor == "epic" else "confirmed",
        }
        change: dict[str, Any] = {
            "ref": ref,
            "kind": "problem",
            "interaction": interaction,
            "content": more.pop("content", content),
            "evidence": [
                {
                    "path": "/code" if interaction == "create" else "/verification",
                    "source": "s1",
                    "start": place,
                    "end": place + len(quote),
                    "quote": quote,
                    "method": "derived",
                    "confidence": 0.9,
                }
            ],
        }
        return change | more

    def body(
        self,
        changes: Sequence[Mapping[str, Any]],
        *,
        patient: str = "P1",
        vendor: str = "generic",
        who: Mapping[str, Any] | None = None,
        **more: Any,
    ) -> dict[str, Any]:
        """A proposal for a patient of the practice. `who` replaces parts of what it says of them; None
        leaves a part out."""
        known = self.patient(patient, vendor)
        said = {
            "id": known["patient"],
            "family": known["family"],
            "birth_date": known["birth_date"],
            "given": known["given"],
            "sex": known["gender"],
            "mrn": known["mrn"],
        } | dict(who or {})
        return {
            "connection": self.connection(vendor).name,
            "patient": {part: value for part, value in said.items() if value is not None},
            "encounter": known["encounter"],
            "task_type": "visit-note",
            "summary": "Draft of today's visit note",
            "model": {
                "name": "transparent-rules",
                "version": "1",
                "prompt_hash": "sha256:" + "0" * 64,
            },
            "sources": [
                {
                    "ref": "s1",
                    "kind": "transcript",
                    "title": "Visit recording",
                    "text": SOURCE,
                    "segments": _segments(),
                }
            ],
            "changes": list(changes),
        } | more

    # --- the journey ---------------------------------------------------------------------------------

    def propose(
        self,
        changes: Sequence[Mapping[str, Any]] | None = None,
        *,
        lane: str = "suggest",
        at: datetime | None = None,
        **body: Any,
    ) -> Proposal:
        """Received, not yet screened."""
        proposal, created = intake.receive(
            credential=self.credential(lane),
            lane=lane,
            key=str(uuid.uuid4()),
            raw_body=json.dumps(self.body(changes or [self.note()], **body)).encode(),
            at=at or self.at,
        )
        assert created
        return proposal

    def screen(self, proposal: Proposal, *, at: datetime | None = None) -> list[Intent]:
        for intent in self.intents(proposal):
            screening.screen(intent_id=intent.pk, at=at or self.at)
        return self.intents(proposal)

    def intents(self, proposal: Proposal) -> list[Intent]:
        return list(
            Intent.objects.filter(proposal=proposal)
            .select_related("current_version", "current_screening", "connection", "proposal")
            .order_by("position")
        )

    def intent(self, proposal: Proposal, ref: str = "c1") -> Intent:
        return next(i for i in self.intents(proposal) if i.ref == ref)

    def page(self, proposal: Proposal, *, at: datetime | None = None) -> presentation.ReviewPage:
        return presentation.build(proposal=Proposal.objects.get(pk=proposal.pk), at=at or self.at)

    def form(
        self, seen: presentation.ReviewPage, *, at: datetime | None = None, **answers: str
    ) -> review.DecisionForm:
        """The decision as a careful person's browser would send it: every check made, 30 s on the page."""
        moment = at or self.at
        made = {check.key: check.accepted[0] for check in seen.checks}
        return review.DecisionForm(
            view_hash=seen.view_hash,
            payload_hashes=seen.payload_hashes(),
            checks=made | answers,
            opened_at=moment - timedelta(seconds=30),
            authenticated_at=moment - timedelta(minutes=2),
            authentication_method="demo",
        )

    def approve(
        self, proposal: Proposal, *, by: str = "reyes", at: datetime | None = None
    ) -> list[Intent]:
        moment = at or self.at
        review.approve(
            proposal_id=proposal.pk,
            reviewer=self.person(by),
            form=self.form(self.page(proposal, at=moment), at=moment),
            at=moment,
        )
        return self.intents(proposal)

    def ready(self, *, by: str = "reyes", at: datetime | None = None, **body: Any) -> Proposal:
        """Proposed, screened and approved."""
        proposal = self.propose(at=at, **body)
        self.screen(proposal, at=at)
        self.approve(proposal, by=by, at=at)
        return proposal

    def deliver(self, *, at: datetime | None = None, sweeps: int = 1) -> datetime:
        """Checkpoint, send what is due after the undo time, and reconcile; returns the moment after."""
        moment = (at or self.at) + timedelta(seconds=61)
        sequencing.sequence(at=moment)
        dispatch.drain(at=moment)
        for _ in range(sweeps):
            moment += timedelta(seconds=1)
            reconciliation.settle_due(at=moment)
        sequencing.sequence(at=moment)
        return moment

    def pass_ticks(self, number: int, *, at: datetime | None = None) -> datetime:
        """Let the portal's own clock go on, one second a tick; returns the moment after."""
        moment = (at or self.at) + timedelta(seconds=number)
        Tick.advance(at=moment, by=number)
        return moment

    def written(
        self, *, vendor: str = "generic", patient: str = "P1", kind: str = "DocumentReference"
    ) -> list[Any]:
        """What the practice EHR holds that the portal wrote: entries with its tag system or Ref line."""
        found = self.practice.resources(
            vendor=vendor, type=kind, patient=self.patient(patient, vendor)["patient"]
        )
        return [
            r
            for r in found
            if "reviewportal:tag" in json.dumps(r["content"]) or _carries_reference(r["content"])
        ]


def _carries_reference(content: Mapping[str, Any]) -> bool:
    """Does a note's text end with the portal's reference line?"""
    texts = [
        base64.b64decode(c["attachment"].get("data", "")).decode("utf-8", "replace")
        for c in content.get("content", [])
    ]
    return any("filed after clinician review" in text for text in texts)


def _segments() -> list[dict[str, Any]]:
    out, position = [], 0
    for number, line in enumerate(SOURCE.splitlines(keepends=True)):
        speaker, _, _ = line.partition(":")
        out.append(
            {
                "start": position,
                "end": position + len(line.rstrip("\n")),
                "speaker": speaker,
                "at": f"00:00:{number * 7:02d}",
            }
        )
        position += len(line)
    return out


@pytest.fixture
def clinic(
    transactional_db: None,
    fresh_practice: Practice,
    settings: Any,
) -> Iterator[Clinic]:
    """A furnished clinic on an empty database, with the practice EHR newly seeded."""
    settings.DEMO_MODE = True
    settings.REQUIRE_MFA_TO_DECIDE = False
    # The practice dates its charts by the machine's clock, so journeys start there too.
    with transaction.atomic():
        made = Clinic(fresh_practice, at=timezone.now().replace(microsecond=0))
    try:
        yield made
    finally:
        made.close()
