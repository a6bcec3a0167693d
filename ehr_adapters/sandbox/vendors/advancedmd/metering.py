"""What a minute of calls costs: tiers, working hours in Denver, logins, and the counter of billed calls.

The request log is the meter: what a call was counted as stands in its `scope`.
"""

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from ehr_adapters.sandbox import behaviour
from ehr_adapters.sandbox.models import SandboxRequest

_DENVER = ZoneInfo("America/Denver")
_WEEKEND = 5
_OPENS, _CLOSES = 6, 18
_SECOND_TIER = ("add", "upd", "save", "getdemographic", "getehr", "upload", "scheduler")
LOGIN = "login"


def tier_of(action: str) -> int:
    """Which limit an action counts against. Reports of everything that changed are the dearest."""
    if action == "getehrtemplates":
        return 3
    if action.startswith("getupdated"):
        return 1
    return 2 if action.startswith(_SECOND_TIER) else 3


def free_calls(*, tier: int, at: datetime) -> int:
    """How many calls of a tier in this minute are not billed."""
    local = at.astimezone(_DENVER)
    busy = local.weekday() < _WEEKEND and _OPENS <= local.hour < _CLOSES
    limits = behaviour.of(behaviour.ADVANCEDMD, "free_calls")
    return int(limits[tier - 1][0 if busy else 1])


def counted(*, action: str, at: datetime) -> str:
    """What a call goes down as: "tier2 addehrproblem", with "billed" beyond the minute's free calls."""
    tier = tier_of(action)
    minute = at.replace(second=0, microsecond=0)
    before = SandboxRequest.objects.filter(
        vendor=behaviour.ADVANCEDMD, at__gte=minute, scope__startswith=f"tier{tier} "
    ).count()
    billed = " billed" if before >= free_calls(tier=tier, at=at) else ""
    return f"tier{tier} {action}{billed}"


def may_log_in(*, at: datetime) -> bool:
    """Is there a login left in this minute?"""
    recent = SandboxRequest.objects.filter(
        vendor=behaviour.ADVANCEDMD, at__gt=at - timedelta(minutes=1), scope=LOGIN
    ).count()
    return recent < int(behaviour.of(behaviour.ADVANCEDMD, "logins_per_minute"))
