"""Waking workers. A message says "look into the database" and nothing else; losing all loses nothing."""

import logging
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from celery import current_app
from django.db import transaction
from kombu.exceptions import OperationalError

logger = logging.getLogger(__name__)

# What a stage calls the work, and the task that does it. A test compares the names with the
# registered tasks.
TASKS: Mapping[str, str] = {
    "screening": "intents.screen_due",
    "dispatch": "intents.dispatch_due",
    "reconciliation": "intents.reconcile_due",
    "sequencer": "intents.sequence",
}


class _Listener(threading.local):
    instead: Callable[[str], None] | None = None


_listener = _Listener()


def wake(queue: str) -> None:
    """Wake the workers of one stage once the caller's transaction has committed.

    A broker that is down is logged and ignored: the sweep looks within seconds anyway.
    """
    transaction.on_commit(lambda: _woken(queue), robust=True)


@contextmanager
def heard_by(listener: Callable[[str], None]) -> Iterator[None]:
    """In this thread, the stages to wake are told to `listener` instead of the broker.

    A worker that ends a thousand attempts need not say a thousand times what once is enough for.
    """
    before, _listener.instead = _listener.instead, listener
    try:
        yield
    finally:
        _listener.instead = before


def _woken(queue: str) -> None:
    if _listener.instead is not None:
        _listener.instead(queue)
    else:
        _publish(TASKS[queue])


def _publish(task: str) -> None:
    try:
        current_app.send_task(task, retry=False, ignore_result=True)
    except (OperationalError, OSError):
        logger.warning("the broker did not take a wake-up", extra={"task": task})
