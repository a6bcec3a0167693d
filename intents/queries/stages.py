"""What the stage of a connection keeps back, asked of one approved change."""

from datetime import datetime
from zoneinfo import ZoneInfo

from intents.governance import rollout
from intents.governance.models import EhrConnection, Rollout
from intents.models import Intent, WriteLedgerEntry


def why_not_sent(connection: EhrConnection, intent: Intent) -> str:
    """The code of delivery's reasons why the stage does not send this change at all; "" when it does."""
    return rollout.why_not_sent(
        connection=connection,
        patient_ref=intent.proposal.patient_ref,
        agent_name=intent.proposal.agent.name,
        change_kind=intent.change_kind,
    )


def is_full_today(connection: EhrConnection, *, but: Intent, at: datetime) -> bool:
    """Has a canary begun to send as many changes as it may today, by the clock of the practice?

    Another attempt for a change that was begun today counts once.
    """
    if connection.rollout != Rollout.CANARY:
        return False
    midnight = at.astimezone(ZoneInfo(connection.time_zone)).replace(
        hour=0, minute=0, second=0, microsecond=0
    )
    begun = (
        WriteLedgerEntry.objects.filter(
            entry__connection=connection, phase=WriteLedgerEntry.Phase.SENT, at__gte=midnight
        )
        .exclude(intent=but)
        .order_by()
        .values("intent")
        .distinct()
        .count()
    )
    return begun >= connection.canary_per_day
