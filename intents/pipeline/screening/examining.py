"""All the work of screening one change, with nothing written: chart, frozen bytes, findings, verdict."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from audit.encoding import canonical_bytes, sha256_hex
from ehr_adapters.canonical.base import ChangeInvalid, ChartChange
from ehr_adapters.capabilities import Capability, CapabilitySet
from ehr_adapters.contract import Baseline, NameAlikes, Tag, WirePlan
from ehr_adapters.errors import AdapterError, AdapterMisconfigured, PatientMoved, Unsupported
from intents.governance.models import EhrConnection, EhrIdentity
from intents.models import Intent
from intents.pipeline import gateway, validation
from intents.pipeline.screening.contexts import contexts_of
from intents.pipeline.screening.drafts import draft_of, was_written_here
from intents.pipeline.screening.facts import Decided, NoRulesInForce, decide
from intents.pipeline.validation import Draft, Finding, Severity

# What a person is made to wait when screening runs in their request, in seconds.
IN_REQUEST = 5.0
NOT_ANSWERING = "Being checked, EHR not answering."


@dataclass(frozen=True, slots=True)
class Examined:
    """What was found about one version of one change. `unanswered` says why nothing was.

    `state` and `screening_id` are those at the beginning: what is found is good only while they hold.
    """

    intent_id: UUID
    version_id: UUID | None
    state: str
    screening_id: UUID | None
    unanswered: str = ""
    retry_after: float | None = None
    baseline: Baseline | None = field(default=None, repr=False)
    alikes: NameAlikes | None = field(default=None, repr=False)
    plan: WirePlan | None = field(default=None, repr=False)
    author: str = ""
    findings: tuple[Finding, ...] = ()
    decided: Decided | None = field(default=None, repr=False)
    settings_hash: str = ""
    capabilities_hash: str = ""
    adapter_version: str = ""

    @property
    def errors(self) -> tuple[Finding, ...]:
        return tuple(f for f in self.findings if f.severity is Severity.ERROR)

    @property
    def holds(self) -> tuple[Finding, ...]:
        return tuple(f for f in self.findings if f.holds)


def examine(
    *,
    intent: Intent,
    at: datetime,
    deadline: float | None = None,
    content: Mapping[str, Any] | None = None,
    baseline: Baseline | None = None,
) -> Examined:
    """Read, render, validate and decide, outside every transaction.

    `deadline` in seconds bounds the time for the EHR; None leaves it to the connection. With `content`
    the answer is about an edit that is not recorded yet. With `baseline` the chart is not read again.
    """
    clock = _Clock(deadline)
    connection, version = intent.connection, intent.current_version
    start = Examined(
        intent_id=intent.pk,
        version_id=intent.current_version_id,
        state=intent.state,
        screening_id=intent.current_screening_id,
    )
    if version is None:
        return replace(start, unanswered="The change has no content.")
    try:
        capabilities = gateway.capabilities_for(connection=connection)
        draft = draft_of(intent=intent, version=version, content=content, capabilities=capabilities)
        start = replace(
            start,
            settings_hash=gateway.settings_hash(connection=connection),
            capabilities_hash=sha256_hex(canonical_bytes(capabilities.to_json())),
            adapter_version=capabilities.version,
        )
        return _examined(
            start,
            intent=intent,
            draft=draft,
            tag=Tag(str(version.tag)) if content is None else Tag.mint(),
            capabilities=capabilities,
            baseline=baseline,
            clock=clock,
            at=at,
        )
    except AdapterMisconfigured:
        return replace(start, unanswered=gateway.NOT_SET_UP)
    except NoRulesInForce:
        return replace(start, unanswered="No rules are in force, so nothing can be decided.")


class _Clock:
    """How much of the time for the EHR is left."""

    def __init__(self, seconds: float | None) -> None:
        self._ends_at = None if seconds is None else time.monotonic() + seconds

    @property
    def left(self) -> float | None:
        return None if self._ends_at is None else max(0.1, self._ends_at - time.monotonic())


def _examined(
    start: Examined,
    *,
    intent: Intent,
    draft: Draft,
    tag: Tag,
    capabilities: CapabilitySet,
    baseline: Baseline | None,
    clock: _Clock,
    at: datetime,
) -> Examined:
    capability, refusal = _capability(capabilities, draft)
    alikes: NameAlikes | None = None
    moved: tuple[Finding, ...] = ()
    if draft.change is not None:
        try:
            baseline = baseline or read_chart(
                intent=intent, draft=draft, at=at, deadline=clock.left
            )
        except PatientMoved as error:
            moved = (_moved(error),)
        except AdapterError as error:
            if refusal is None:
                return replace(start, unanswered=NOT_ANSWERING, retry_after=error.retry_after)
    drafted = draft.change
    if baseline is not None and drafted is not None:
        alikes = _alikes(intent, baseline=baseline, clock=clock, at=at)
        draft = replace(draft, own_target=was_written_here(intent=intent, target=baseline.target))
        change, baseline, notes = _with_author(
            intent, change=drafted, baseline=baseline, clock=clock, at=at
        )
        plan, refusal = _rendered(
            intent, change=change, tag=tag, baseline=baseline, refusal=refusal
        )
        author = str(change.model_dump_canonical().get(change.author_field) or "")
    else:
        plan, notes, author = None, (), ""
    findings = (
        *moved,
        *validation.check(
            draft,
            baseline=baseline,
            alikes=alikes,
            capability=capability,
            plan=plan,
            refusal=refusal,
            at=at,
        ),
        *notes,
    )
    found = replace(
        start, baseline=baseline, alikes=alikes, plan=plan, author=author, findings=findings
    )
    if found.errors:
        return found
    version = intent.current_version
    assert version is not None
    return replace(
        found,
        decided=decide(
            intent=intent,
            version=version,
            draft=draft,
            baseline=baseline,
            capability=capability,
            findings=findings,
            at=at,
        ),
    )


def _capability(
    capabilities: CapabilitySet, draft: Draft
) -> tuple[Capability | None, AdapterError | None]:
    try:
        return capabilities.get(draft.kind, draft.interaction), None
    except Unsupported as error:
        return None, error


def _moved(error: PatientMoved) -> Finding:
    return Finding(
        severity=Severity.WARNING,
        code="patient-merged",
        diagnostics=error.sentence[:500],
        expression="/patient/id",
        holds=True,
    )


def read_chart(*, intent: Intent, draft: Draft, at: datetime, deadline: float | None) -> Baseline:
    """What the EHR holds around a draft. Raises the adapters' errors."""
    return gateway.read(
        connection=intent.connection,
        patient_ref=draft.patient_ref,
        kind=draft.kind,
        interaction=draft.interaction,
        encounter_ref=draft.encounter_ref,
        target_ref=intent.target_ref,
        context=contexts_of(draft.kind),
        content=draft.content,
        at=at,
        deadline=deadline,
    )


def _alikes(
    intent: Intent, *, baseline: Baseline, clock: _Clock, at: datetime
) -> NameAlikes | None:
    if baseline.identity is None:
        return None
    try:
        return gateway.find_name_alikes(
            connection=intent.connection, identity=baseline.identity, at=at, deadline=clock.left
        )
    except AdapterError:
        # Not to have looked is not to have found none.
        return NameAlikes(complete=False)


# --- author --------------------------------------------------------------------------------------


def _with_author(
    intent: Intent, *, change: ChartChange, baseline: Baseline, clock: _Clock, at: datetime
) -> tuple[ChartChange, Baseline, tuple[Finding, ...]]:
    """The change with what the portal fills at rendering: author or requester, and date.

    Author is the visit's responsible clinician: the frozen bytes carry the name, the recorded version
    stays as it was. Only that person can approve; another takes the change over first.
    """
    notes: tuple[Finding, ...] = ()
    field = change.author_field
    if field and field in change.rule.allowed:
        author = change.model_dump_canonical().get(field) or _responsible(
            intent.connection, baseline=baseline
        )
        if not author:
            notes = (_no_author(field),)
        else:
            change = change.completed(**{field: author})
            baseline = _with_practitioner(
                intent, reference=author, baseline=baseline, clock=clock, at=at
            )
    if "date" in change.rule.allowed:
        change = change.completed(date=_date_of_service(intent, baseline=baseline))
    return change, baseline, notes


def _responsible(connection: EhrConnection, *, baseline: Baseline) -> str:
    """The first clinician of the visit who is known here; else the first; "" without any."""
    providers = baseline.visit.providers if baseline.visit else ()
    known = set(
        EhrIdentity.objects.filter(
            connection=connection, practitioner_ref__in=providers, revoked_at__isnull=True
        ).values_list("practitioner_ref", flat=True)
    )
    return next((p for p in providers if p in known), next(iter(providers), ""))


def _no_author(field: str) -> Finding:
    return Finding(
        severity=Severity.WARNING,
        code="no-author",
        diagnostics="The visit names no clinician: somebody has to take this over as its author.",
        expression=f"/{field}",
    )


def _with_practitioner(
    intent: Intent, *, reference: str, baseline: Baseline, clock: _Clock, at: datetime
) -> Baseline:
    """The baseline with the author's own entry, for their name. Without it the page shows the id."""
    try:
        found = gateway.read(
            connection=intent.connection,
            patient_ref=intent.proposal.patient_ref,
            kind=intent.change_kind,
            interaction="create",
            practitioner_ref=reference,
            neighbourhood=False,
            at=at,
            deadline=clock.left,
        )
    except AdapterError:
        return baseline
    return replace(baseline, practitioner=found.practitioner)


def _date_of_service(intent: Intent, *, baseline: Baseline) -> str:
    """The visit's beginning for a new note, where the EHR gives an exact one; else the draft's arrival."""
    begun = baseline.visit.start if baseline.visit and intent.interaction == "create" else ""
    try:
        if datetime.fromisoformat(begun).utcoffset() is not None:
            return begun
    except ValueError:
        pass
    return intent.proposal.received_at.isoformat(timespec="seconds")


# --- bytes ---------------------------------------------------------------------------------------


def _rendered(
    intent: Intent,
    *,
    change: ChartChange,
    tag: Tag,
    baseline: Baseline,
    refusal: AdapterError | None,
) -> tuple[WirePlan | None, AdapterError | None]:
    if refusal is not None:
        return None, refusal
    try:
        plan = gateway.render(
            connection=intent.connection, change=change, tag=tag, baseline=baseline
        )
        # What cannot be read back cannot be shown, and so cannot be approved.
        gateway.parse(connection=intent.connection, plan=plan)
    except AdapterError as error:
        return None, error
    except ChangeInvalid:
        return None, Unsupported("What would be sent to the EHR cannot be read back.")
    return plan, None
