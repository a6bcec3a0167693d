"""What a connection may still ask of athenaOne: tokens a minute, calls a second, calls a day.

New tokens are capped for each minute of the clock and then refused until it is over; calls are counted for
the day and start again at midnight GMT (athenahealth API, Best Practices). What is over the limit is not
sent at all: `RateLimited`, with the time to wait. The count is this process's own; the day's comes from the
header of each answer.
"""

import threading
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field

from ehr_adapters.errors import RateLimited
from ehr_adapters.http import HttpClient, Reply

_MINUTE, _DAY = 60, 86_400


@dataclass(slots=True)
class Budget:
    """One client's use of one installation."""

    minute: int = 0
    mints: int = 0
    mints_closed_until: float = 0.0
    day_closed_until: float = 0.0
    calls: deque[float] = field(default_factory=deque)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def mint(self, *, most: int, at: float) -> None:
        """Counts one token to be asked for. Raises `RateLimited`."""
        with self.lock:
            minute = int(at // _MINUTE)
            if minute != self.minute:
                self.minute, self.mints = minute, 0
            over = (minute + 1) * _MINUTE - at
            if self.mints >= most or at < self.mints_closed_until:
                raise RateLimited(
                    "athenaOne gives no more tokens this minute.",
                    connection_kind="athenahealth",
                    vendor_code="token-limit",
                    retry_after=over,
                )
            self.mints += 1

    def call(self, *, most: int, at: float) -> None:
        """Counts one call to be made. Raises `RateLimited`."""
        with self.lock:
            if at < self.day_closed_until:
                raise RateLimited(
                    "athenaOne takes no more calls from the portal today.",
                    connection_kind="athenahealth",
                    vendor_code="daily-quota",
                    retry_after=self.day_closed_until - at,
                )
            while self.calls and self.calls[0] <= at - 1:
                self.calls.popleft()
            if len(self.calls) >= most:
                raise RateLimited(
                    "The portal asks athenaOne too often.",
                    connection_kind="athenahealth",
                    vendor_code="call-limit",
                    retry_after=max(0.05, self.calls[0] + 1 - at),
                )
            self.calls.append(at)

    def heard(self, reply: Reply, *, minting: bool, header: str, at: float) -> None:
        """Takes to heart what an answer says of the limits."""
        with self.lock:
            if minting and reply.status == 429:
                self.mints_closed_until = (at // _MINUTE + 1) * _MINUTE
            if not minting and reply.header(header).strip() == "0":
                self.day_closed_until = (at // _DAY + 1) * _DAY


class Budgets:
    """The budgets of this process, by installation and client."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: dict[tuple[str, str], Budget] = {}

    def of(self, token_url: str, client_id: str) -> Budget:
        with self._lock:
            return self._kept.setdefault((token_url, client_id), Budget())


budgets = Budgets()


class BudgetedClient(HttpClient):
    """A client that does not send what the limits forbid; `exchange` raises `RateLimited` as well."""

    def __init__(
        self,
        inner: HttpClient,
        *,
        budget: Budget,
        token_url: str,
        mints: int,
        calls: int,
        header: str,
    ) -> None:
        self._inner = inner
        self._budget = budget
        self._token_url = token_url
        self._mints, self._calls, self._header = mints, calls, header

    def close(self) -> None:
        self._inner.close()

    def exchange(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        body: bytes | None = None,
        deadline: float,
    ) -> Reply:
        minting = url == self._token_url
        if minting:
            self._budget.mint(most=self._mints, at=time.time())
        else:
            self._budget.call(most=self._calls, at=time.time())
        reply = self._inner.exchange(method, url, headers=headers, body=body, deadline=deadline)
        self._budget.heard(reply, minting=minting, header=self._header, at=time.time())
        return reply
