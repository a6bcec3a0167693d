"""Waking workers. A message says "look into the database" and nothing else; losing all loses nothing."""

import logging
from collections.abc import Mapping

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


def wake(queue: str) -> None:
    """Wake the workers of one stage once the caller's transaction has committed.

    A broker that is down is logged and ignored: the sweep looks within seconds anyway.
    """
    task = TASKS[queue]
    transaction.on_commit(lambda: _publish(task), robust=True)


def _publish(task: str) -> None:
    try:
        current_app.send_task(task, retry=False, ignore_result=True)
    except (OperationalError, OSError):
        logger.warning("the broker did not take a wake-up", extra={"task": task})
