"""Which connections of an organisation accept writes now, and who stopped the others, why."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db.models import Q

from intents.governance import rollout, switches
from intents.governance.models import EhrConnection, KillSwitch, Rollout, SwitchTarget, Tenant
from intents.lifecycle import State
from intents.models import Intent, OutboxEntry, Proposal, Tick
from intents.queries import stages


@dataclass(frozen=True, slots=True)
class Stop:
    """One engaged kill switch, in words. `tenant_id` None: it reaches beyond this organisation."""

    id: UUID
    tenant_id: UUID | None
    what: str
    reason: str
    by: str
    since: datetime
    release_asked: bool
    asked_by: str
    asked_by_id: UUID | None


STAGE_WORDS = {
    Rollout.SHADOW: "Shadow",
    Rollout.TEST_PATIENTS: "Test patients",
    Rollout.CANARY: "Canary",
    Rollout.LIVE: "Live",
}
# What is sent at a stage, for a page about the connection.
STAGE_SENTENCES = {
    Rollout.SHADOW: "Everything runs but the sending: nothing is written.",
    Rollout.TEST_PATIENTS: "Only the listed test patients are written to.",
    Rollout.CANARY: "Only a first small share is written, so many a day.",
    Rollout.LIVE: "Everything that is approved is written.",
}
_KEPT_BACK = {
    "stage-shadow": "is in shadow: approving sends nothing",
    "stage-test-patients": "writes to its test patients only: approving this sends nothing",
    "stage-canary": "writes a first small share only, and this is not in it: approving sends nothing",
}


@dataclass(frozen=True, slots=True)
class ConnectionStatus:
    """One connection: does it write, and if not, what stops it."""

    id: UUID
    title: str
    kind: str
    practice: bool
    writing: bool
    switched_off: bool
    stops: tuple[Stop, ...]
    probed_at: datetime | None
    stage: str
    stage_sentence: str


def _what(switch: KillSwitch) -> str:
    if switch.target == SwitchTarget.DEPLOYMENT:
        return "everything"
    if switch.target == SwitchTarget.TENANT:
        return "this organisation"
    if switch.target == SwitchTarget.CONNECTION:
        return str(switch.connection)
    if switch.target == SwitchTarget.AGENT:
        return f"drafts of {switch.agent}"
    return f"changes of the kind {switch.change_kind.replace('_', ' ')}"


def _stop(switch: KillSwitch) -> Stop:
    asked = switch.release_asked_by
    return Stop(
        id=switch.pk,
        tenant_id=switch.tenant_id,
        what=_what(switch),
        reason=switch.reason,
        by=switch.engaged_by,
        since=switch.engaged_at,
        release_asked=asked is not None,
        asked_by=str(asked) if asked else "",
        asked_by_id=asked.pk if asked else None,
    )


def connections(*, tenant: Tenant) -> list[ConnectionStatus]:
    """Every connection with what stops it: a switch over it, its own setting, or the organisation's."""
    engaged = switches.engaged(tenant_id=tenant.pk)
    whole = [s for s in engaged if s.target in (SwitchTarget.DEPLOYMENT, SwitchTarget.TENANT)]
    found = []
    for connection in EhrConnection.objects.order_by("title", "name"):
        own = [s for s in engaged if s.connection_id == connection.pk]
        off = not (connection.write_back_enabled and tenant.write_back_enabled)
        found.append(
            ConnectionStatus(
                id=connection.pk,
                title=str(connection),
                kind=connection.kind,
                practice=connection.environment == "SANDBOX",
                writing=not (off or own or whole),
                switched_off=off,
                stops=tuple(_stop(s) for s in [*own, *whole]),
                probed_at=connection.probed_at,
                stage=STAGE_WORDS[Rollout(connection.rollout)],
                stage_sentence=STAGE_SENTENCES[Rollout(connection.rollout)],
            )
        )
    return found


def stops(*, tenant: Tenant) -> list[Stop]:
    """Everything that is stopped, the latest first."""
    return [_stop(switch) for switch in switches.engaged(tenant_id=tenant.pk)]


def stage_notices(*, proposal: Proposal) -> list[str]:
    """What a reviewer has to know of the connection's stage before deciding; nothing where all is sent."""
    codes = {
        rollout.why_not_sent(
            connection=proposal.connection,
            patient_ref=proposal.patient_ref,
            agent_name=proposal.agent.name,
            change_kind=kind,
        )
        for kind in proposal.intents.values_list("change_kind", flat=True)
    }
    return [f"{proposal.connection} {_KEPT_BACK[code]}." for code in sorted(codes - {""})]


HELD_AFTER_RESTORE = (
    "The database was restored, or another server took it over. Nothing is sent for one quarantine; then each "
    "change is looked for in the EHR before it is sent."
)


def restore_notices() -> list[str]:
    """What everybody has to know while sending is held after a restore."""
    return [HELD_AFTER_RESTORE] if Tick.is_sending_held() else []


def why_waiting(*, intent: Intent, at: datetime) -> str:
    """Why an approved change is held back though its turn has come, as a sentence; "" if nothing does.

    Told from the same facts as the claim of an entry uses: whoever is told "being sent" for hours
    would send it by hand as well.
    """
    switch = switches.stopping(
        tenant_id=intent.tenant_id,
        connection_id=intent.connection_id,
        agent_id=intent.proposal.agent_id,
        change_kind=intent.change_kind,
    )
    if switch is not None:
        return (
            f"Writing is stopped for {_what(switch)}, by {switch.engaged_by}: “{switch.reason}”. "
            "When it goes on, this is compared with the chart again and sent."
        )
    if not (intent.connection.write_back_enabled and intent.tenant.write_back_enabled):
        return f"Writing to {intent.connection} is switched off by an administrator."
    if Tick.is_sending_held():
        return HELD_AFTER_RESTORE
    if stages.is_full_today(intent.connection, but=intent, at=at):
        return (
            f"{intent.connection} has been sent as many changes today as its stage allows. "
            "This is sent tomorrow, if the approval lasts."
        )
    entry = OutboxEntry.objects.filter(intent=intent, closed_at__isnull=True).first()
    if entry is None:
        return ""
    unknown = OutboxEntry.objects.filter(
        Q(intent__change_kind=intent.change_kind)
        | (Q(intent__target_key=intent.target_key) & ~Q(intent__target_key="")),
        closed_at__isnull=True,
        shard_key=entry.shard_key,
        intent__state=State.UNCERTAIN,
    )
    if unknown.exists():
        return (
            "An earlier write for this patient has an unknown outcome. This is sent when that is "
            "settled; the work list has it."
        )
    return ""


def sentence(found: Iterable[ConnectionStatus]) -> tuple[str, bool]:
    """The state in the bar, and whether every connection writes."""
    rows = list(found)
    on = sum(row.writing for row in rows)
    if not rows:
        return "No connection", False
    if on == len(rows):
        return "Writing on", True
    return (f"Writing on for {on} of {len(rows)}" if on else "Writing stopped"), False
