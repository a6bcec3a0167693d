"""Is the chart still what the draft was made for? Asked when a person looks, approves, and before sending."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from django.conf import settings

from ehr_adapters.canonical import base as canonical
from ehr_adapters.contract import Baseline, WirePlan
from ehr_adapters.errors import AdapterError, AdapterMisconfigured, PatientMoved
from intents.lifecycle import State
from intents.models import Intent, Proposal, Screening
from intents.pipeline import gateway
from intents.pipeline.screening.contexts import (
    changed_beside,
    contexts_to_look_at_again,
    is_whole,
    unread_now,
)
from intents.pipeline.screening.drafts import encounter_of, own_tags, waiting_for
from intents.pipeline.screening.examining import IN_REQUEST, Examined, examine
from intents.pipeline.screening.filing import Outcomes, hold_moved, load, refile
from intents.pipeline.screening.stored import baseline_of, plan_of
from intents.pipeline.validation import Draft, find_duplicate, speaks_of

# A page may ask for several changes at once; the EHR is not to be stormed.
_AT_ONCE = 4
# What a FreshRead names when not the chart moved, but what the EHR takes.
DESTINATION = "destination"
# What it names when allergies or medicines beside the change were changed.
BESIDE = "beside"


class Freshness(StrEnum):
    """What a new look at the chart says about a draft."""

    UNCHANGED = "unchanged"
    # something beside what the draft reads or writes; a whole-resource transport renders it again
    WHOLE_DIFFERS = "whole-differs"
    # what the draft reads or writes, or the same thing is there now: the conflict page
    TOUCHED_DIFFERS = "touched-differs"
    # patient merged or changed, visit closed or gone, entry gone, or no longer taken by the EHR
    MOVED = "moved"
    SILENT = "silent"


@dataclass(frozen=True, slots=True)
class FreshRead:
    """One new look for one change. `fields` are those that differ; `sentence` says it without content."""

    intent_id: UUID
    freshness: Freshness
    sentence: str = ""
    fields: tuple[str, ...] = ()
    whole_resource: bool = False
    baseline: Baseline | None = field(default=None, repr=False)


def fresh_check(
    *, proposal: Proposal, at: datetime, deadline: float | None = None
) -> list[FreshRead]:
    """One look per change that waits for a decision; writes nothing. `deadline` bounds all of it (2 s)."""
    intents = [
        load(pk)
        for pk in proposal.intents.filter(state=State.PENDING_APPROVAL)
        .order_by("position")
        .values_list("pk", flat=True)
    ]
    seconds = settings.EHR_REVIEW_READ_SECONDS if deadline is None else deadline
    return _look(intents, at=at, deadline=seconds)


def fresh_check_intent(
    *,
    intent: Intent,
    at: datetime,
    deadline: float | None = None,
    screening: Screening | None = None,
) -> FreshRead:
    """One look for one change against a screening of it (its current one unless another is given).

    Outside a transaction, no database connection is held while the EHR is asked.
    """
    held = screening or intent.current_screening
    if held is None:
        raise ValueError("The change was never screened.")
    visit = _visit(intent)
    gateway.let_go_of_database()
    seen = _ask(intent, visit, at=at, deadline=deadline)
    return _compared(intent, held, seen)


def refresh(
    *, proposal_id: UUID | str, at: datetime, deadline: float | None = None
) -> list[FreshRead]:
    """Look, and act on it: what moved is HELD, what changed beside the draft is screened again.

    For the review page and for the press on Approve; outside a transaction. A change that was screened
    again says so by WHOLE_DIFFERS: the page that the person saw is out of date.
    """
    proposal = Proposal.objects.get(pk=proposal_id)
    reads = fresh_check(proposal=proposal, at=at, deadline=deadline)
    return [_acted_on(read, at=at) for read in reads]


def _acted_on(read: FreshRead, *, at: datetime) -> FreshRead:
    if read.freshness in (Freshness.UNCHANGED, Freshness.SILENT):
        return read
    intent = load(read.intent_id)
    if read.freshness in (Freshness.TOUCHED_DIFFERS, Freshness.MOVED):
        hold_moved(
            intent=intent,
            screening_id=intent.current_screening_id,
            at=at,
            sentence=read.sentence,
            fields=list(read.fields),
            how=read.freshness.value,
        )
        return read
    done = refile(_examined_again(intent, read.baseline, at=at), intent=intent, at=at)
    if done.outcome is Outcomes.HELD:
        return FreshRead(
            read.intent_id,
            Freshness.TOUCHED_DIFFERS,
            done.sentence,
            read.fields,
            read.whole_resource,
            read.baseline,
        )
    if done.outcome is Outcomes.UNANSWERED:
        return FreshRead(read.intent_id, Freshness.SILENT, done.sentence)
    return read


def _examined_again(intent: Intent, baseline: Baseline | None, *, at: datetime) -> Examined:
    """With the chart as it was just read, where that was all of it; else it is read once more, as a whole."""
    whole = baseline is not None and is_whole(intent.change_kind, baseline)
    if whole:
        return examine(intent=intent, at=at, baseline=baseline)
    return examine(intent=intent, at=at, deadline=IN_REQUEST)


# --- looking -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Seen:
    baseline: Baseline | None = None
    moved: str = ""
    silent: str = ""


def _look(intents: Sequence[Intent], *, at: datetime, deadline: float) -> list[FreshRead]:
    """Reads side by side, so that a page with five changes waits as long as one with one."""
    screened = [(i, i.current_screening) for i in intents if i.current_screening is not None]
    calls = [(i, s, _visit(i)) for i, s in screened]
    if len(calls) < 2:
        seen = [_ask(i, visit, at=at, deadline=deadline) for i, _, visit in calls]
    else:
        # No thread but this one touches the database.
        with ThreadPoolExecutor(max_workers=_AT_ONCE) as pool:
            seen = list(
                pool.map(lambda call: _ask(call[0], call[2], at=at, deadline=deadline), calls)
            )
    return [_compared(i, s, one) for (i, s, _), one in zip(calls, seen, strict=True)]


def _visit(intent: Intent) -> str:
    version = intent.current_version
    return encounter_of(intent, version.phi_json("content") if version else {})


def _ask(intent: Intent, visit: str, *, at: datetime, deadline: float | None) -> _Seen:
    try:
        return _Seen(
            gateway.read(
                connection=intent.connection,
                patient_ref=intent.proposal.patient_ref,
                kind=intent.change_kind,
                interaction=intent.interaction,
                encounter_ref=visit,
                target_ref=intent.target_ref,
                context=contexts_to_look_at_again(intent.change_kind),
                at=at,
                deadline=deadline,
            )
        )
    except PatientMoved as error:
        return _Seen(moved=error.sentence)
    except AdapterError as error:
        return _Seen(silent=error.sentence)
    except AdapterMisconfigured:
        return _Seen(silent=gateway.NOT_SET_UP)


# --- comparing -----------------------------------------------------------------------------------


def _compared(intent: Intent, screening: Screening, seen: _Seen) -> FreshRead:
    if seen.silent:
        return FreshRead(intent.pk, Freshness.SILENT, seen.silent)
    if seen.moved or seen.baseline is None:
        return FreshRead(intent.pk, Freshness.MOVED, seen.moved, ("patient",))
    then, now, plan = baseline_of(screening), seen.baseline, plan_of(screening)
    if then is None or plan is None:
        return FreshRead(
            intent.pk, Freshness.MOVED, "The change was never rendered.", ("target",), baseline=now
        )
    capability = gateway.capabilities_for(connection=intent.connection).lookup(
        intent.change_kind, intent.interaction
    )
    if capability is not None and not capability.supported:
        # The EHR was asked since: what it does not offer now is not put before anybody.
        return FreshRead(
            intent.pk, Freshness.MOVED, capability.sentence, (DESTINATION,), baseline=now
        )
    whole = capability is None or capability.whole_resource
    needs_open = capability is None or capability.needs_open_encounter
    for what, why in (
        ("patient", _patient_moved(then, now)),
        ("encounter", _visit_moved(intent, then, now, needs_open=needs_open)),
        ("target", _entry_moved(then, now)),
    ):
        if why:
            return FreshRead(intent.pk, Freshness.MOVED, why, (what,), whole, now)
    freshness, sentence, fields = (
        _target(intent, then=then, now=now, plan=plan)
        if intent.target_ref
        else _neighbourhood(intent, then=then, now=now)
    )
    if freshness in (Freshness.UNCHANGED, Freshness.WHOLE_DIFFERS):
        if unread_now(intent.change_kind, then=then, now=now):
            return FreshRead(
                intent.pk, Freshness.SILENT, "Allergies or medicines could not be read."
            )
        if changed_beside(intent, then=then, now=now):
            freshness, fields = Freshness.WHOLE_DIFFERS, (*fields, BESIDE)
            sentence = "Allergies or medicines of the patient were changed in the EHR."
    return FreshRead(intent.pk, freshness, sentence, fields, whole, now)


def _patient_moved(then: Baseline, now: Baseline) -> str:
    """Why the patient is no longer the draft's; "" when it is."""
    before, patient = then.identity, now.identity
    if patient is None or before is None:
        return "The EHR has no patient with this id any more."
    if patient.merged:
        return "This patient's record is now part of another record."
    if patient.deceased and not before.deceased:
        return "The patient was recorded as deceased."
    if not patient.active and before.active:
        return "This patient's record is no longer active."
    mrn = before.mrns[0][1] if before.mrns else ""
    given = before.given[0] if before.given else ""
    if patient.disagreements(
        family=before.family, given=given, birth_date=before.birth_date, sex=before.sex, mrn=mrn
    ):
        return "The patient's name, birth date, sex or record number was changed."
    return ""


def _visit_moved(intent: Intent, then: Baseline, now: Baseline, *, needs_open: bool) -> str:
    if then.visit is None:
        return ""
    if now.visit is None or now.visit.patient != then.visit.patient:
        return "The visit is no longer this patient's."
    # What changes an entry that exists goes into no visit: that people close theirs is as it should be.
    is_new = canonical.makes_entry(intent.change_kind, intent.interaction)
    matters = needs_open or (is_new and then.visit.open)
    return "The visit was closed." if matters and not now.visit.open else ""


def _entry_moved(then: Baseline, now: Baseline) -> str:
    if then.target is None:
        return ""
    if now.target is None:
        return "The entry is no longer in the EHR."
    return (
        ""
        if now.target.patient == then.target.patient
        else "The entry now belongs to another patient."
    )


def _target(
    intent: Intent, *, then: Baseline, now: Baseline, plan: WirePlan
) -> tuple[Freshness, str, tuple[str, ...]]:
    before, after = then.target, now.target
    if before is None or after is None:
        return Freshness.MOVED, "The entry is no longer in the EHR.", ("target",)
    fields = canonical.changed_fields(intent.change_kind, before.canonical, after.canonical)
    if before.hash_touched(plan.touched) != after.hash_touched(plan.touched):
        return (
            Freshness.TOUCHED_DIFFERS,
            "The entry was changed in the EHR since this was drafted.",
            fields,
        )
    if before.hash_whole != after.hash_whole:
        return Freshness.WHOLE_DIFFERS, "Other parts of the entry were changed in the EHR.", fields
    if plan.expected_version and after.version_id != plan.expected_version:
        return Freshness.WHOLE_DIFFERS, "The entry has a new version with the same content.", ()
    return Freshness.UNCHANGED, "", ()


def _neighbourhood(
    intent: Intent, *, then: Baseline, now: Baseline
) -> tuple[Freshness, str, tuple[str, ...]]:
    """For a new entry: is the same thing there now, or on its way?"""
    unread = {part.what for part in now.unreadable} - {part.what for part in then.unreadable}
    if any(speaks_of(intent.change_kind, what) for what in unread):
        return Freshness.SILENT, "The entries beside this one could not be read.", ()
    version = intent.current_version
    draft = Draft(
        kind=intent.change_kind,
        interaction=intent.interaction,
        content=version.phi_json("content") if version else {},
        waiting=waiting_for(intent),
        own_tags=own_tags(intent),
    )
    duplicate = find_duplicate(draft, baseline=now)
    if duplicate is not None:
        return Freshness.TOUCHED_DIFFERS, duplicate.diagnostics, ()
    kind = intent.change_kind
    if then.hash_neighbourhood(kind) != now.hash_neighbourhood(kind):
        return Freshness.WHOLE_DIFFERS, "Other entries of this kind were changed in the EHR.", ()
    return Freshness.UNCHANGED, "", ()
