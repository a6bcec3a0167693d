"""Celery shells: each is one call into the pipeline. The database is the queue; a message that is
lost, doubled or forged changes nothing but the moment at which a sweep looks."""

from datetime import timedelta

from celery import shared_task
from django.conf import settings
from django.utils import timezone

from audit import sequencing
from intents.models import Heartbeat, Tick
from intents.pipeline import by_hand, dispatch, gateway, outbox, reconciliation, screening, worklist


@shared_task(name="intents.tick", expires=5)
def tick(**_: object) -> None:
    """Move the portal's own clock; being run at all shows that a worker is alive."""
    at = timezone.now()
    Tick.beat(at=at, period=timedelta(seconds=settings.TICK_SECONDS))
    Heartbeat.beat("worker", at=at)


@shared_task(name="intents.screen_due")
def screen_due(**_: object) -> None:
    screening.screen_due(at=timezone.now())


@shared_task(name="intents.dispatch_due")
def dispatch_due(**_: object) -> None:
    dispatch.drain_at_once(at=timezone.now(), threads=settings.DISPATCH_THREADS)


@shared_task(name="intents.file_provenance_due")
def file_provenance_due(**_: object) -> None:
    dispatch.file_due(at=timezone.now())


@shared_task(name="intents.reconcile_due")
def reconcile_due(**_: object) -> None:
    reconciliation.settle_due(at=timezone.now())


@shared_task(name="intents.watch_written")
def watch_written(**_: object) -> None:
    reconciliation.watch_due(at=timezone.now())


@shared_task(name="intents.watch_by_hand")
def watch_by_hand(**_: object) -> None:
    by_hand.watch_due(at=timezone.now())


@shared_task(name="intents.expire_due")
def expire_due(**_: object) -> None:
    worklist.expire_due(at=timezone.now())


@shared_task(name="intents.sequence")
def sequence(**_: object) -> None:
    """Turn pending audit events into leaves under a signed checkpoint, then wake dispatch."""
    at = timezone.now()
    if sequencing.sequence(at=at):
        outbox.wake("dispatch")
    Heartbeat.beat("sequencer", at=at)


@shared_task(name="intents.probe_connections")
def probe_connections(**_: object) -> None:
    gateway.probe_due(at=timezone.now())
