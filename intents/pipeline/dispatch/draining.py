"""Take what is due from the outbox until nothing is."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import suppress
from datetime import datetime, timedelta
from queue import Empty, SimpleQueue
from threading import Lock
from time import monotonic

from audit.actors import Actor
from ehr_adapters.errors import AdapterMisconfigured, Unsupported
from intents.governance.tenancy import tenant_context
from intents.lifecycle import State
from intents.models import Intent, OutboxEntry
from intents.pipeline import gateway, outbox
from intents.pipeline.delivery import owning
from intents.pipeline.dispatch.sending import send
from intents.pipeline.outbox import Claimed

# A place that has become free waits this long for others, so that a claim is worth its statements.
_GATHERING = 0.005
# Wakes of other stages go out together, this often at most.
_WAKING = 0.25


def drain(*, at: datetime, limit: int = 100) -> int:
    """Send what may be sent now, one entry after the other; returns how many were taken.

    Any number of workers may drain at once: a claim gives each entry to one. `limit` lets a worker
    return to its queue. Must not be called inside a transaction.
    """
    clock = _clock(at)
    _notice_failover(at=at)
    taken = 0
    while taken < limit:
        moment = clock()
        claimed = outbox.claim(at=moment)
        if claimed is None:
            break
        send(claimed=claimed, at=moment)
        taken += 1
    return taken


def drain_at_once(*, at: datetime, threads: int, limit: int = 2000) -> int:
    """`drain` with up to `threads` attempts on their way at once; how many were taken.

    An attempt spends nearly all its time waiting for the EHR. One call of this works in a process at a
    time; another tells it to look again and returns 0. Whoever finds all places taken wakes a fellow.
    """
    _desk.events.put(None)
    clock = _clock(at)
    taken = 0
    # What is put there after the last look of whoever works is taken up here, or by them.
    while not _desk.events.empty() and _desk.busy.acquire(blocking=False):
        try:
            taken += _desk.work(clock, threads=threads, limit=limit)
        finally:
            _desk.busy.release()
        if taken >= limit:
            # The worker returns to its queue, where this is waiting then.
            outbox.wake("dispatch")
            break
    return taken


class _Desk:
    """The attempts of this process: who is on the way, and what there is to look at."""

    def __init__(self) -> None:
        self.busy = Lock()
        # An attempt that has ended, or None: look into the outbox.
        self.events: SimpleQueue[Future[None] | None] = SimpleQueue()
        self._pools: dict[int, ThreadPoolExecutor] = {}
        # What the attempts want woken beside dispatch, and when that was last said.
        self._to_wake: set[str] = set()
        self._woke_at = 0.0

    def work(self, clock: Callable[[], datetime], *, threads: int, limit: int) -> int:
        pool = self._pools.get(threads)
        if pool is None:
            pool = ThreadPoolExecutor(max_workers=threads, thread_name_prefix="dispatch")
            self._pools[threads] = pool
        running: set[Future[None]] = set()
        taken = 0
        has_called = False
        try:
            _notice_failover(at=clock())
            while True:
                self._gather(running)
                free = min(threads - len(running), limit - taken)
                claimed = outbox.claim_some(at=clock(), most=free) if free else []
                for one in claimed:
                    attempt = pool.submit(self._send, one, clock)
                    running.add(attempt)
                    attempt.add_done_callback(self.events.put)
                taken += len(claimed)
                if claimed and len(running) == threads and not has_called:
                    has_called = True
                    outbox.wake("dispatch")
                if not running:
                    return taken
                gateway.let_go_of_database()
                self._wait(running)
        finally:
            wait(running)
            self._wake()

    def _send(self, claimed: Claimed, clock: Callable[[], datetime]) -> None:
        try:
            with outbox.heard_by(self._hear):
                # Now, not when it was claimed: the life of a token is counted from here.
                send(claimed=claimed, at=clock())
        finally:
            gateway.let_go_of_database()

    def _hear(self, queue: str) -> None:
        # That this attempt has ended is an event, after which this worker looks for what is due anyway.
        if queue != "dispatch":
            self._to_wake.add(queue)

    def _wake(self) -> None:
        self._woke_at = monotonic()
        while self._to_wake:
            outbox.wake(self._to_wake.pop())

    def _wait(self, running: set[Future[None]]) -> None:
        """Until something happens; what is to be woken meanwhile is woken in time."""
        while True:
            due = self._woke_at + _WAKING - monotonic()
            if self._to_wake and due <= 0:
                self._wake()
            try:
                # What an attempt wants woken comes right before its own end.
                event = self.events.get(timeout=max(due, 0) if self._to_wake else None)
            except Empty:
                continue
            self._take(event, running)
            return

    def _gather(self, running: set[Future[None]]) -> None:
        """What else happens now and within the next moments, so that one claim serves several places."""
        ends = monotonic() + (_GATHERING if running else 0)
        with suppress(Empty):
            while True:
                self._take(self.events.get(timeout=max(0, ends - monotonic())), running)

    def _take(self, event: Future[None] | None, running: set[Future[None]]) -> None:
        if event is not None and event in running:
            running.discard(event)
            event.result()


_desk = _Desk()


def _clock(at: datetime) -> Callable[[], datetime]:
    """The moment that was passed in, and the time that has passed since."""
    started = monotonic()
    return lambda: at + timedelta(seconds=monotonic() - started)


def hold_as_restored(*, actor: Actor, at: datetime) -> timedelta:
    """A person declares that the database was restored or taken over; how long sending is held."""
    return outbox.declare_restored(actor=actor, at=at, beside=_hold_what_no_search_finds)


def _notice_failover(*, at: datetime) -> None:
    outbox.notice_failover(at=at, beside=_hold_what_no_search_finds)


# An approval that ends sooner than this after a hold might lapse before the search before sending has
# shown what the database forgot.
_SEARCH_TIME = timedelta(hours=1)


def _hold_what_no_search_finds(held_for: timedelta, at: datetime) -> None:
    """After a failover: a change that may have been sent, and that nobody could find again, is a person's."""
    # Also what is not due yet: the wall clock may have been set back since it was sent.
    waiting = OutboxEntry.unscoped.filter(closed_at__isnull=True, intent__state=State.APPROVED)
    for tenant_id, intent_id in list(waiting.order_by("pk").values_list("tenant_id", "intent_id")):
        with tenant_context(tenant_id):
            intent = Intent.objects.select_related("connection").get(pk=intent_id)
            expires = intent.approval_expires_at
            if not _is_findable(intent) or (expires and expires < at + held_for + _SEARCH_TIME):
                outbox.hold(intent_id, code="database-restored", at=at, even_leased=True)


def _is_findable(intent: Intent) -> bool:
    try:
        capability = gateway.capability(
            connection=intent.connection,
            kind=intent.change_kind,
            interaction=intent.interaction,
        )
    except (Unsupported, AdapterMisconfigured):
        return False
    return owning.is_findable(retry=capability.retry, find=capability.find)
