"""How many calls a minute AdvancedMD does not bill, and how many of them this process has used.

Source: integrators' notes on the AdvancedMD Connect API, tiers per office key: what changed since a time
1 and 60 a minute, charting and demographics 12 and 120, everything else 24 and 120 (working hours in
Denver, and else); calls beyond are billed one by one, not refused.
"""

import threading
import time
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from ehr_adapters.errors import RateLimited

CALLS_PER_MINUTE: tuple[tuple[int, int], ...] = ((1, 60), (12, 120), (24, 120))
_DENVER = ZoneInfo("America/Denver")
_FRIDAY, _OPENS, _CLOSES = 4, 6, 18
_CHARTING = ("add", "upd", "save", "getdemographic", "upload", "scheduler")


def tier_of(action: str) -> int:
    """1, 2 or 3: which limit an action counts against."""
    if action.startswith("getupdated"):
        return 1
    return 2 if action.startswith(_CHARTING) else 3


def is_busy(at: datetime) -> bool:
    """Monday to Friday, six to six, in Denver."""
    local = at.astimezone(_DENVER)
    return local.weekday() <= _FRIDAY and _OPENS <= local.hour < _CLOSES


class Budget:
    """Calls of this process, by office and tier, in the minute of the clock."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._used: dict[tuple[str, int, int], int] = {}

    def spend(
        self, *, office: str, action: str, limits: tuple[tuple[int, int], ...], at: datetime
    ) -> None:
        """Counts one call; raises `RateLimited`, without counting, where it would be billed."""
        tier = tier_of(action)
        minute = int(at.timestamp()) // 60
        free = limits[tier - 1][0 if is_busy(at) else 1]
        with self._lock:
            for key in [one for one in self._used if one[2] != minute]:
                del self._used[key]
            used = self._used.get((office, tier, minute), 0)
            if used >= free:
                raise RateLimited(
                    "The calls that AdvancedMD does not bill are used up for this minute.",
                    connection_kind="advancedmd",
                    interaction=action,
                    retry_after=60 - at.timestamp() % 60,
                )
            self._used[office, tier, minute] = used + 1


def now() -> datetime:
    """The clock of the wire: budgets and message times follow it, whatever a review pretends."""
    return datetime.fromtimestamp(time.time(), UTC)


budget = Budget()
