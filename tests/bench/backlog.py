"""Approved entries in any number, each with evidence of its own that dispatch verifies.

One draft goes through the real pipeline: received, screened against the bench's EHR, approved, in a signed
checkpoint. `copies` makes others of it for other patients: new ids, the patient's own data key, the columns
sealed for their new rows, the frozen requests with the new patient and tag, a statement signed for exactly
these fields, an audit event over the hashes of exactly these rows; the production sequencer then gives the
events their leaves. Dispatch finds nothing missing: every check of `dispatch.verifying` is made on each.

`tail` lengthens the queue behind them without sealing anything: live entries with intents, shards and leaves
of their own, so that a claim has to tell them apart like any other. They are due later than every copy and no
measurement sends one; what they measure is what a claim costs in front of a long queue.
"""

import base64
import json
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from tests.bench.ehr import CLINICIAN, PATIENT, VISIT

_PROTOTYPE = 0
_CHUNK = 250


def logical_ids(serial: int) -> tuple[str, str]:
    """Patient and visit of one copy: of one length, so that no text changes its size."""
    return f"{PATIENT}{serial:09d}", f"{VISIT}{serial:09d}"


@dataclass(frozen=True, slots=True)
class Made:
    """What a raw client needs to make the same calls as one copy: the ids that stand in them."""

    serial: int
    tag: str
    tag_short: str


# --- a workspace with one approved draft -----------------------------------------------------------


def furnish(*, ehr: str, at_once: int) -> None:
    """Workspace, people, agent, a connection to the bench's EHR, and the prototype, approved."""
    from django.db import transaction
    from django.utils import timezone

    from intents.governance.models import (
        Agent,
        AgentCredential,
        EhrConnection,
        EhrIdentity,
        Membership,
        ScopeGrant,
        User,
    )
    from intents.governance.opening import open_workspace
    from intents.governance.tenancy import tenant_context
    from intents.management.clinic import INSTALLATION
    from intents.management.keypairs import make_key_pair

    at = timezone.now()
    by = {"actor": INSTALLATION, "at": at}
    with transaction.atomic():
        tenant = open_workspace(name="Bench", undo_seconds=0, **by)
        with tenant_context(tenant.pk):
            key = _key_folder() / "bench-ehr.pem"
            make_key_pair(key)
            connection = EhrConnection.add(
                tenant=tenant, name="bench-r4", kind="generic_r4", base_url=f"{ehr}/fhir",
                token_url=f"{ehr}/token", client_id="bench", alg="ES384", credential_ref=key.name,
                environment="sandbox", writes_at_once=at_once, **by,
            )  # fmt: skip
            agent = Agent.admit(tenant=tenant, name="Bench agent", **by)
            ScopeGrant.grant(
                agent=agent, connection=connection, scope="system/DocumentReference.c", lane="suggest", **by
            )  # fmt: skip
            AgentCredential.issue_key(
                agent=agent, lane="suggest", public_key=make_key_pair(_key_folder() / "bench-agent.pem"),
                expires_at=at + timedelta(days=1), **by,
            )  # fmt: skip
            user = User.add(email="reviewer@bench.example", name="Dr B. Ench", **by)
            Membership.grant(
                tenant=tenant, user=user, role="REVIEWER", clinical_role="PRESCRIBER", profession="PHYSICIAN", **by
            )  # fmt: skip
            EhrIdentity.link(
                user=user, connection=connection, practitioner_ref=f"Practitioner/{CLINICIAN}", verified_by="bench", **by
            )  # fmt: skip
    with tenant_context(tenant.pk):
        approve(receive(_PROTOTYPE))


def receive(serial: int) -> Any:
    """One draft, received and screened."""
    from django.utils import timezone

    from intents.governance.models import AgentCredential
    from intents.pipeline import intake, screening
    from tests.bench.intake import _body

    patient, visit = logical_ids(serial)
    body = json.loads(_body())
    body["patient"]["id"], body["encounter"] = patient, visit
    proposal, _ = intake.receive(
        credential=AgentCredential.objects.get(),
        lane="suggest",
        key=str(uuid.uuid4()),
        raw_body=json.dumps(body).encode(),
        at=timezone.now(),
    )
    for intent in proposal.intents.all():
        screening.screen(intent_id=intent.pk, at=timezone.now())
    return proposal


def approve(proposal: Any) -> datetime:
    """As a careful person's browser would; the moment at which the approval was committed."""
    from django.utils import timezone

    from intents.governance.models import Membership
    from intents.models import Proposal
    from intents.pipeline import presentation, review

    at = timezone.now()
    page = presentation.build(proposal=Proposal.objects.get(pk=proposal.pk), at=at)
    review.approve(
        proposal_id=proposal.pk,
        reviewer=Membership.objects.select_related("user", "tenant").get(),
        form=review.DecisionForm(
            view_hash=page.view_hash,
            payload_hashes=page.payload_hashes(),
            checks={check.key: check.accepted[0] for check in page.checks},
            opened_at=at - timedelta(seconds=30),
            authenticated_at=at - timedelta(minutes=2),
            authentication_method="bench",
        ),
        at=at,
    )
    return timezone.now()


def _key_folder() -> Path:
    from django.conf import settings

    return Path(settings.KEY_DIR)


# --- copies ---------------------------------------------------------------------------------------


def copies(*, first: int, count: int, due: datetime) -> list[Made]:
    """Approved, checkpointed entries for the patients `first` onwards, due from `due` on in this order."""
    from django.utils import timezone

    from audit import sequencing
    from intents.governance.models import Tenant
    from intents.governance.tenancy import tenant_context

    tenant = Tenant.objects.get()
    out: list[Made] = []
    with tenant_context(tenant.pk):
        if not _templates:
            # Once, while the prototype waits to be sent itself.
            _templates.append(_Template())
        (template,) = _templates
        for start in range(first, first + count, _CHUNK):
            serials = range(start, min(start + _CHUNK, first + count))
            out += template.copy(serials, due=due)
    # As many under one checkpoint as a busy clinic approves between two of them.
    while sequencing.sequence(at=timezone.now(), limit=20):
        pass
    return out


class _Template:
    """The prototype's rows and its unsealed texts, read once."""

    def __init__(self) -> None:
        from audit.models import AuditEvent
        from intents.models import Intent, PolicyVerdict, Proposal, ReviewDecision

        self.patient, self.visit = logical_ids(_PROTOTYPE)
        self.proposal = Proposal.objects.get(patient_ref=self.patient)
        self.intent = Intent.objects.select_related(
            "tenant", "connection", "current_version", "current_screening"
        ).get(proposal=self.proposal)
        self.version, self.screening = self.intent.current_version, self.intent.current_screening
        self.verdict = PolicyVerdict.objects.get(screening=self.screening, moment="screening")
        self.decision = ReviewDecision.objects.get(screening=self.screening)
        self.entry = self.intent.outbox_entries.get()
        self.event = AuditEvent.objects.get(pk=self.entry.approval_event_id)
        self.texts = {
            (row._meta.db_table, column): row.phi(column)
            for row, columns in (
                (self.proposal, ("asserted_identity", "summary")),
                (self.version, ("content",)),
                (self.screening, ("baseline", "name_alikes", "wire_plan")),
                (self.verdict, ("input",)),
            )
            for column in columns
        }

    def copy(self, serials: Sequence[int], *, due: datetime) -> list[Made]:
        from django.db import transaction
        from django.utils import timezone

        from audit import merkle
        from audit.leaves import leaf_text
        from audit.models import AuditEvent, PendingEvent
        from audit.stored_rows import row_hashes
        from intents.models import (
            Intent,
            IntentVersion,
            OutboxEntry,
            PolicyVerdict,
            Proposal,
            ReviewDecision,
            Screening,
        )

        made: list[Made] = []
        rows: dict[Any, list[Any]] = {
            model: []
            for model in (
                Proposal,
                Intent,
                IntentVersion,
                Screening,
                PolicyVerdict,
                ReviewDecision,
                OutboxEntry,
            )
        }
        with transaction.atomic():
            for place, serial in enumerate(serials):
                one, built = self._one(serial, due=due + timedelta(microseconds=place))
                made.append(one)
                for row in built:
                    rows[type(row)].append(row)
            pointers = [(i, i.current_version_id, i.current_screening_id) for i in rows[Intent]]
            for intent, _, _ in pointers:
                intent.current_version_id = intent.current_screening_id = None
            for model in (
                Proposal,
                Intent,
                IntentVersion,
                Screening,
                PolicyVerdict,
                ReviewDecision,
                OutboxEntry,
            ):
                model._base_manager.bulk_create(rows[model])
            for intent, version, screening in pointers:
                intent.current_version_id, intent.current_screening_id = version, screening
            Intent._base_manager.bulk_update(rows[Intent], ["current_version", "current_screening"])
            hashes = {
                model: row_hashes(
                    table=model._meta.db_table, ids=[str(row.pk) for row in rows[model]]
                )
                for model in (ReviewDecision, Screening, IntentVersion, Intent)
            }
            events, pending = [], []
            for each in zip(
                *(rows[m] for m in (Intent, IntentVersion, Screening, ReviewDecision, OutboxEntry)),
                strict=True,
            ):
                intent, version, screening, decision, entry = each
                event = _copy(self.event, pk=entry.approval_event_id)
                event.intent_id, event.proposal_id = str(intent.pk), str(intent.proposal_id)
                event.patient_token = intent.proposal.patient_token
                event.encounter_token = intent.proposal.encounter_token
                event.recorded_at = timezone.now()
                event.body_commitment = ""
                event.rows = [
                    {
                        "table": type(row)._meta.db_table,
                        "id": str(row.pk),
                        "sha256": hashes[type(row)][str(row.pk)],
                    }
                    for row in (decision, screening, version)
                ]
                event.leaf = leaf_text(event)
                events.append(event)
                pending.append(
                    PendingEvent(
                        log=event.log, event_id=event.pk, recorded_at=event.recorded_at,
                        leaf_hash=merkle.leaf_hash(event.leaf.encode()).hex(),
                    )
                )  # fmt: skip
            AuditEvent._base_manager.bulk_create(events)
            PendingEvent.objects.bulk_create(pending)
        return made

    def _one(self, serial: int, *, due: datetime) -> tuple[Made, list[Any]]:
        import secrets

        from audit.encoding import canonical_bytes, sha256_hex
        from ehr_adapters.contract import Tag, WirePlan
        from intents.governance import approval_key, encryption
        from intents.pipeline import outbox, sealing

        patient, visit = logical_ids(serial)
        tag = Tag(str(uuid.uuid4()))
        swap = {
            self.patient: patient,
            self.visit: visit,
            str(self.version.tag): tag.uuid,
            self.version.tag_short: tag.short,
        }
        proposal = _copy(self.proposal)
        proposal.patient_ref, proposal.encounter_ref = patient, visit
        proposal.proposal_key = proposal.correlation_id = str(proposal.pk)
        intent = _copy(self.intent)
        intent.proposal, intent.approval_expires_at = proposal, self.intent.approval_expires_at
        version = _copy(self.version)
        version.intent, version.tag, version.tag_short = intent, uuid.UUID(tag.uuid), tag.short
        screening = _copy(self.screening)
        screening.version = version
        verdict = _copy(self.verdict)
        verdict.screening = screening
        intent.current_version, intent.current_screening = version, screening
        with encryption.patient_key(tenant_id=proposal.tenant_id, patient_ref=patient):
            for row, column in (
                (proposal, "asserted_identity"), (proposal, "summary"), (version, "content"),
                (screening, "baseline"), (screening, "name_alikes"), (screening, "wire_plan"), (verdict, "input"),
            ):  # fmt: skip
                text = self.texts[row._meta.db_table, column]
                if text:
                    value = (
                        _swapped(json.loads(text), swap) if text[:1] in "{[" else put(text, swap)
                    )
                    row.set_phi(column, value, patient_ref=patient)
            version.content_hash = sha256_hex(canonical_bytes(version.phi_json("content")))
            plan = WirePlan.from_json(screening.phi_json("wire_plan"))
            screening.payload_hash = plan.payload_hash()
            stated = sealing.Statement.from_canonical(self.decision.statement.encode())
            fields = {name: getattr(stated, name) for name in stated.__slots__}
            fields |= outbox.stored_fields(intent, screening=screening, plan=plan)
            fields["nonce"] = secrets.token_hex(16)
        seal = sealing.sign(sealing.Statement(**fields), private_key=_private_key(approval_key))  # type: ignore[arg-type]  # the fields that sign() takes, by name
        decision = _copy(self.decision)
        decision.screening, decision.payload_hash = screening, screening.payload_hash
        decision.statement, decision.signature, decision.key_id = (
            seal.statement.decode(),
            seal.signature,
            seal.key_id,
        )
        entry = _copy(self.entry)
        entry.intent, entry.screening, entry.decision = intent, screening, decision
        entry.approval_event_id = uuid.uuid4()
        entry.shard_key = outbox.shard_key(connection_id=intent.connection_id, patient_ref=patient)
        entry.tag, entry.payload_hash, entry.not_before = version.tag, screening.payload_hash, due
        return Made(serial, tag.uuid, tag.short), [
            proposal,
            intent,
            version,
            screening,
            verdict,
            decision,
            entry,
        ]


_templates: list[_Template] = []
_key: list[bytes] = []


def _private_key(approval_key: Any) -> bytes:
    if not _key:
        _key.append(approval_key.signing_key())
    return _key[0]


def _copy(row: Any, *, pk: Any = None) -> Any:
    values = {field.attname: getattr(row, field.attname) for field in row._meta.concrete_fields}
    values[row._meta.pk.attname] = pk or uuid.uuid4()
    return type(row)(**values)


def put(text: str, swap: dict[str, str]) -> str:
    for old, new in swap.items():
        text = text.replace(old, new)
    return text


def _swapped(value: Any, swap: dict[str, str]) -> Any:
    """The same value about another patient; bytes that travel as base64 are opened for it."""
    if isinstance(value, dict):
        return {put(name, swap): _swapped(part, swap) for name, part in value.items()}
    if isinstance(value, list):
        return [_swapped(part, swap) for part in value]
    if not isinstance(value, str):
        return value
    swapped = put(value, swap)
    if swapped == value and len(value) > 40:
        try:
            inner = base64.b64decode(value, validate=True).decode()
        except ValueError:
            return value
        return base64.b64encode(put(inner, swap).encode()).decode()
    return swapped


# --- a long queue behind them ----------------------------------------------------------------------


def tail(count: int) -> None:
    """`count` further live entries, due in the past and after every copy, by the database itself."""
    from django.db import connection

    with connection.cursor() as cursor:
        for statement in _tail_statements(cursor, count):
            cursor.execute(statement)
        cursor.execute("ANALYZE")


def _tail_statements(cursor: Any, count: int) -> Iterator[str]:
    def columns(table: str, **other: str) -> str:
        cursor.execute(
            "SELECT column_name FROM information_schema.columns WHERE table_name = %s AND"
            " table_schema = current_schema() ORDER BY ordinal_position",
            [table],
        )
        names = [
            name for (name,) in cursor.fetchall() if not (table == "audit_logleaf" and name == "id")
        ]
        chosen = ", ".join(other.get(name, f't."{name}"') for name in names)
        return f"INSERT INTO {table} ({', '.join(chr(34) + n + chr(34) for n in names)}) SELECT {chosen}"

    def key(what: str) -> str:
        return f"md5('{what}' || n)::uuid"

    of = f"FROM generate_series(1, {count}) n, "
    yield (
        columns("intents_proposal", id=key("p"), proposal_key="'tail' || n", patient_ref="'tail' || n",
                correlation_id="'tail' || n")
        + f" {of} (SELECT * FROM intents_proposal LIMIT 1) t"
    )  # fmt: skip
    yield (
        columns("intents_intent", id=key("i"), proposal_id=key("p"), current_version_id="NULL",
                current_screening_id="NULL")
        + f" {of} (SELECT * FROM intents_intent WHERE state = 'APPROVED' LIMIT 1) t"
    )  # fmt: skip
    yield (
        columns("intents_outboxentry", id=key("o"), intent_id=key("i"), approval_event_id=key("e"),
                shard_key="md5('s' || n) || md5('t' || n)", not_before="now() - interval '1 second'")
        + f" {of} (SELECT * FROM intents_outboxentry WHERE closed_at IS NULL LIMIT 1) t"
    )  # fmt: skip
    yield (
        columns("audit_logleaf", log="'tail'", index="n", event_id=key("e"))
        + f" {of} (SELECT * FROM audit_logleaf LIMIT 1) t"
    )


def open_tail(count: int) -> None:
    """Let the first `count` of the tail wait, and close the others; then vacuum, so that rounds are alike."""
    from django.db import connection

    first = f"substr(p.proposal_key, 5)::int <= {int(count)}"
    with connection.cursor() as cursor:
        cursor.execute(
            f"UPDATE intents_outboxentry o SET closed_at = CASE WHEN {first} THEN NULL ELSE now() END"
            " FROM intents_intent i JOIN intents_proposal p ON p.id = i.proposal_id"
            " WHERE i.id = o.intent_id AND p.proposal_key LIKE 'tail%%'"
            f" AND (o.closed_at IS NULL) != ({first})"
        )
        cursor.execute("VACUUM ANALYZE intents_outboxentry")


@contextmanager
def noting_commit() -> Iterator[list[float]]:
    """The machine's monotonic moments at which wake-ups left, the first right after the commit."""
    from intents.pipeline.outbox import waking

    moments: list[float] = []
    publish = waking._publish

    def noting(task: str) -> None:
        moments.append(time.monotonic())
        publish(task)

    waking._publish = noting
    try:
        yield moments
    finally:
        waking._publish = publish
