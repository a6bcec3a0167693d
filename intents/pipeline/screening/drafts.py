"""A version of a change with everything that validation and the rules are told about it, from the records."""

from collections.abc import Mapping
from typing import Any

from django.db.models import Q

from audit.actors import ActorKind
from ehr_adapters.canonical import base as canonical
from ehr_adapters.capabilities import CapabilitySet, Finality
from ehr_adapters.contract import Snapshot
from intents.lifecycle import CLOSED, IN_FLIGHT, WRITTEN, State
from intents.models import Finding, Intent, IntentVersion
from intents.pipeline import validation
from intents.pipeline.support.judging import Quote, SourceText
from intents.pipeline.support.sentences import statements
from intents.pipeline.validation import Cited, Draft, Sibling, Waiting


def draft_of(
    *,
    intent: Intent,
    version: IntentVersion,
    content: Mapping[str, Any] | None = None,
    capabilities: CapabilitySet,
) -> Draft:
    """The draft as recorded; with `content`, as an editor would have it."""
    proposal = intent.proposal
    own = dict(version.phi_json("content")) if content is None else dict(content)
    change: canonical.ChartChange | None = None
    issues: tuple[canonical.ChangeIssue, ...] = ()
    try:
        change = canonical.parse_change(intent.change_kind, intent.interaction, own)
        own = change.model_dump_canonical()
    except canonical.ChangeInvalid as invalid:
        issues = invalid.issues
    sources = {
        source.ref: (SourceText(source.ref, source.kind, source.phi("text")), source.patient_ref)
        for source in proposal.sources.all()
    }
    by_person = content is not None or version.author_kind != ActorKind.AGENT
    return Draft(
        kind=intent.change_kind,
        interaction=intent.interaction,
        content=own,
        change=change,
        change_issues=issues,
        patient_ref=proposal.patient_ref,
        encounter_ref=encounter_of(intent, own),
        asserted=proposal.phi_json("asserted_identity") or {},
        sources={ref: text for ref, (text, _) in sources.items()},
        source_patients={ref: patient for ref, (_, patient) in sources.items()},
        evidence=_evidence(version),
        siblings=_siblings(intent, capabilities),
        waiting=waiting_for(intent),
        agent_statements=_agent_statements(intent) if by_person else None,
        target_in_flight=_is_target_in_flight(intent),
        own_tags=own_tags(intent),
        visit_cleared=_is_visit_cleared(intent),
    )


def _is_visit_cleared(intent: Intent) -> bool:
    """It was held for its closed visit before: only a person could let it go on from there."""
    return Finding.objects.filter(
        screening__version__intent=intent, code="encounter-closed", holds=True
    ).exists()


def encounter_of(intent: Intent, content: Mapping[str, Any]) -> str:
    """The visit that the change names, else the proposal's."""
    named = content.get("encounter")
    return named if isinstance(named, str) and named else intent.proposal.encounter_ref


def _evidence(version: IntentVersion) -> list[Cited]:
    return [
        Cited(
            path=item.path,
            span=(
                (item.span_start, item.span_end)
                if item.span_start is not None and item.span_end is not None
                else None
            ),
            quote=Quote(item.source.ref, item.start, item.end, item.method),
            confidence=item.confidence,
        )
        for item in version.evidence.select_related("source").order_by("position")
    ]


def _siblings(intent: Intent, capabilities: CapabilitySet) -> dict[str, Sibling]:
    out = {}
    others = intent.proposal.intents.exclude(pk=intent.pk).select_related("current_version")
    for other in others:
        capability = capabilities.lookup(other.change_kind, other.interaction)
        going = (
            capability is not None
            and capability.supported
            and other.state not in (*CLOSED, State.FAILED)
        )
        out[other.ref] = Sibling(
            ref=other.ref,
            content=other.current_version.phi_json("content") if other.current_version else {},
            going=going,
            finality=capability.finality.value if capability is not None else "",
            kind=other.change_kind,
            interaction=other.interaction,
        )
    return out


def waiting_for(intent: Intent) -> list[Waiting]:
    """Changes of the same kind and patient that went out from here and that the EHR may not show."""
    others = (
        Intent.objects.filter(
            connection_id=intent.connection_id,
            # Said of the draft too, so that the patient is found by index among however many.
            proposal__tenant_id=intent.tenant_id,
            proposal__connection_id=intent.connection_id,
            proposal__patient_ref=intent.proposal.patient_ref,
            change_kind=intent.change_kind,
        )
        .filter(Q(state__in=IN_FLIGHT) | Q(state=State.ACCEPTED, finality=Finality.STAGED.value))
        .exclude(pk=intent.pk)
        .select_related("current_version")
    )
    return [
        Waiting(
            content=other.current_version.phi_json("content"),
            interaction=other.interaction,
            staged=other.state == State.ACCEPTED,
        )
        for other in others
        if other.current_version is not None
    ]


def own_tags(intent: Intent) -> frozenset[str]:
    """The tags of every version of the change, long and short: what carries one is this very change."""
    pairs = intent.versions.values_list("tag", "tag_short")
    return frozenset(str(tag) for pair in pairs for tag in pair)


def _agent_statements(intent: Intent) -> frozenset[str]:
    """Every statement that the agent itself wrote: what else stands in an edited text is a person's."""
    found: set[str] = set()
    for version in intent.versions.filter(author_kind=ActorKind.AGENT):
        drafted = Draft(
            kind=intent.change_kind,
            interaction=intent.interaction,
            content=version.phi_json("content"),
        )
        for _, text in validation.texts(drafted):
            found |= {text[start:end] for start, end in statements(text)}
    return frozenset(found)


def _is_target_in_flight(intent: Intent) -> bool:
    return bool(intent.target_key) and (
        Intent.objects.filter(
            connection_id=intent.connection_id,
            target_key=intent.target_key,
            state__in=IN_FLIGHT,
        )
        .exclude(pk=intent.pk)
        .exists()
    )


def was_written_here(*, intent: Intent, target: Snapshot | None) -> bool:
    """The entry carries a tag of this connection, or a write of this connection was acknowledged with its id."""
    if target is None:
        return False
    written = (*WRITTEN, State.SUPERSEDED)
    by_id = Intent.objects.filter(
        connection_id=intent.connection_id, resource_ref=target.reference, state__in=written
    )
    if by_id.exists():
        return True
    shorts = [tag for tag in target.tags if len(tag) < 32]
    longs = [tag for tag in target.tags if len(tag) >= 32]
    return IntentVersion.objects.filter(
        Q(tag__in=longs) | Q(tag_short__in=shorts),
        intent__connection_id=intent.connection_id,
        intent__proposal__patient_ref=intent.proposal.patient_ref,
    ).exists()
