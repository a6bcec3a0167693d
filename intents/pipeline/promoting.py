"""Taking a connection to its next stage: what has to be shown first, and the two people who do it.

Each stage has to show its own record. The list is made from what is stored, anew for the person who asks
and for the one who agrees; whatever is missing is named, and nothing moves.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.db import transaction
from django.db.models import Count, Q

from audit.models import PendingEvent
from ehr_adapters.canonical import base as canonical
from ehr_adapters.errors import AdapterMisconfigured
from intents.governance import rollout
from intents.governance.models import (
    EhrConnection,
    KillSwitch,
    Membership,
    Promotion,
    Rollout,
    ScopeGrant,
    SwitchTarget,
    User,
)
from intents.governance.scopes import CREATE, UPDATE, parse
from intents.lifecycle import State
from intents.models import Discrepancy, Intent, WriteLedgerEntry
from intents.pipeline import gateway
from intents.pipeline.delivery.words import Phase

# So many changes have to have gone well at a stage before the next one; and days, where days matter.
ENOUGH = {Rollout.SHADOW: 10, Rollout.TEST_PATIENTS: 10, Rollout.CANARY: 50}
DAYS = {Rollout.SHADOW: 0, Rollout.TEST_PATIENTS: 1, Rollout.CANARY: 7}
# An hourly probe that was missed for longer than this says nothing about today.
_FRESH = timedelta(hours=24)
# The sequencer signs within seconds; what waits for longer is not in the signed log.
_SEQUENCED = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class Evidence:
    """One thing that has to be shown: what, whether it is, and the figures."""

    what: str
    holds: bool
    figure: str = ""

    def __str__(self) -> str:
        return f"{self.what}: {self.figure}" if self.figure else self.what


class EvidenceMissing(Exception):
    """The next stage has not been earned yet; `missing` says what for."""

    def __init__(self, missing: tuple[Evidence, ...]) -> None:
        self.missing = missing
        super().__init__(f"Missing: {'; '.join(str(each) for each in missing)}.")


def ask(
    *,
    connection_id: UUID | str,
    reason: str,
    user: User,
    membership: Membership | None,
    at: datetime,
) -> Promotion:
    """The first of two people asks for the next stage, with what they checked by hand.

    Raises EvidenceMissing, MayNotPromote and ValidationError; then nothing is changed.
    """
    with transaction.atomic():
        connection = EhrConnection.lock(connection_id)
        actor = rollout.check_may_promote(user=user, membership=membership, connection=connection)
        shown = _checked(connection, at=at)
        return Promotion.ask(
            connection=connection, reason=reason, evidence=shown, user=user, actor=actor, at=at
        )


def agree(
    *, promotion_id: UUID | str, user: User, membership: Membership | None, at: datetime
) -> Promotion:
    """The second person, who is not the first, agrees: the connection is at its next stage.

    Raises as `ask`: what held when it was asked for has to hold still.
    """
    with transaction.atomic():
        wish = Promotion.lock(promotion_id)
        connection = EhrConnection.lock(wish.connection_id)
        actor = rollout.check_may_promote(user=user, membership=membership, connection=connection)
        wish.agree(evidence=_checked(connection, at=at), user=user, actor=actor, at=at)
    return wish


def _checked(connection: EhrConnection, *, at: datetime) -> list[str]:
    found = tuple(evidence(connection, at=at))
    missing = tuple(each for each in found if not each.holds)
    if missing:
        raise EvidenceMissing(missing)
    return [str(each) for each in found]


# --- what has to be shown -------------------------------------------------------------------------


def evidence(connection: EhrConnection, *, at: datetime) -> Iterator[Evidence]:
    """Everything that the next stage asks for, shown or not; nothing at the last stage."""
    stage = Rollout(connection.rollout)
    if stage.following is None:
        return
    yield from _record_of(connection, stage, at=at)
    yield from _nothing_open(connection)
    yield from _set_up(connection, at=at)
    yield from _prepared(connection, stage.following)
    waiting = PendingEvent.objects.filter(recorded_at__lt=at - _SEQUENCED).count()
    yield Evidence(
        "Every event is in the signed log",
        not waiting,
        f"{waiting} wait longer than 5 min" if waiting else "",
    )


def _record_of(connection: EhrConnection, stage: Rollout, *, at: datetime) -> Iterator[Evidence]:
    """What went well at this stage, and whether it did for long enough."""
    since = connection.rollout_since or connection.created_at
    here = Intent.objects.filter(connection=connection, state_changed_at__gte=since)
    if stage == Rollout.SHADOW:
        good = here.filter(
            Q(state__in=[State.HELD, State.EXPIRED]), reason__startswith="stage-shadow"
        ).count()
        what = "Changes approved in shadow, with the request that would have been sent"
    else:
        read_back = WriteLedgerEntry.objects.filter(
            entry__connection=connection, phase=Phase.READ_BACK, at__gte=since
        )
        good = here.filter(state=State.RECONCILED, pk__in=read_back.values("intent")).count()
        what = "Changes written at this stage and read back equal"
    yield Evidence(what, good >= ENOUGH[stage], f"{good} of {ENOUGH[stage]}")
    if DAYS[stage]:
        days = (at - since).days
        yield Evidence("Days at this stage", days >= DAYS[stage], f"{days} of {DAYS[stage]}")
    if stage == Rollout.SHADOW:
        return
    yield _differed(connection, since)
    if stage == Rollout.TEST_PATIENTS:
        taken_back = here.filter(
            corrects__isnull=False, state__in=[State.ACCEPTED, State.RECONCILED]
        ).exists()
        yield Evidence("Taking a written change back was tried", taken_back)


def _differed(connection: EhrConnection, since: datetime) -> Evidence:
    """Writes that came out otherwise than approved, whoever settled them since."""
    serious = (Discrepancy.Kind.DROPPED, Discrepancy.Kind.ALTERED, Discrepancy.Kind.DUPLICATE)
    wrong = Discrepancy.objects.filter(
        intent__connection=connection, kind__in=serious, opened_at__gte=since
    ).count()
    return Evidence("No write came out otherwise than approved", not wrong, f"{wrong} did")


def _nothing_open(connection: EhrConnection) -> Iterator[Evidence]:
    counted = Intent.objects.filter(connection=connection).aggregate(
        unknown=Count("pk", filter=Q(state=State.UNCERTAIN)),
        failed=Count("pk", filter=Q(state=State.FAILED)),
    )
    differences = Discrepancy.objects.filter(
        intent__connection=connection, resolved_at__isnull=True
    ).count()
    for what, number in (
        ("No outcome is unknown", counted["unknown"]),
        ("No approved change is left unsent", counted["failed"]),
        ("No difference from the chart is open", differences),
    ):
        yield Evidence(what, not number, f"{number} open" if number else "")


def _set_up(connection: EhrConnection, *, at: datetime) -> Iterator[Evidence]:
    probed = connection.probed_at
    fresh = probed is not None and timedelta() <= at - probed <= _FRESH
    yield Evidence(
        "The EHR said within 24 hours what it admits",
        fresh,
        "" if fresh else (f"last on {probed:%d-%b-%Y %H:%M} UTC" if probed else "never asked"),
    )
    try:
        gateway.check_credential(connection=connection)
    except AdapterMisconfigured as missing:
        yield Evidence("The connection's key is in the key folder", False, str(missing))
    else:
        yield Evidence("The connection's key is in the key folder", True)
    beyond = sorted(_granted_beyond(connection, at=at))
    yield Evidence(
        "The EHR admits everything that agents are granted here",
        not beyond,
        f"not {', '.join(beyond)}" if beyond else "",
    )
    stopped = (
        KillSwitch.objects.filter(released_at__isnull=True)
        .filter(
            Q(target=SwitchTarget.DEPLOYMENT)
            | Q(target=SwitchTarget.TENANT, tenant_id=connection.tenant_id)
            | Q(target=SwitchTarget.CONNECTION, connection=connection)
        )
        .exists()
    )
    yield Evidence(
        "Nothing stops writing to it",
        not stopped and connection.write_back_enabled and connection.tenant.write_back_enabled,
    )


def _granted_beyond(connection: EhrConnection, *, at: datetime) -> set[str]:
    """Scopes of live grants under which the EHR would take nothing, by its last answer."""
    admitted = {
        (fhir_type, CREATE if each.interaction == "create" else UPDATE)
        for each in gateway.capabilities_for(connection=connection)
        if each.supported
        for fhir_type in canonical.fhir_types(each.kind, each.interaction)
    }
    live = ScopeGrant.objects.filter(connection=connection, active_from__lte=at).filter(
        Q(active_until__isnull=True) | Q(active_until__gt=at)
    )
    return {
        grant.scope
        for grant in live
        if any(
            (scope.resource_type, letter) not in admitted
            for scope in [parse(grant.scope)]
            for letter in scope.letters
        )
    }


def _prepared(connection: EhrConnection, following: Rollout) -> Iterator[Evidence]:
    """What the next stage needs to know: for whom it writes."""
    if following == Rollout.TEST_PATIENTS:
        number = len(connection.test_patients)
        yield Evidence("Test patients are listed", number > 0, f"{number} listed")
    elif following == Rollout.CANARY:
        chosen = connection.canary_percent > 0 or bool(connection.canary_patients)
        yield Evidence("The canary's patients are chosen", chosen)
        yield Evidence(
            "The canary may write",
            connection.canary_per_day > 0,
            f"{connection.canary_per_day} a day",
        )
