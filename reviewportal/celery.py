"""The Celery app, its queues and the beat schedule. The database is the queue; messages only wake."""

import os

from celery import Celery
from celery.signals import worker_init
from kombu import transport
from kombu.transport import redis

from reviewportal import sweeping

# `filesystem://` means the broker whose messages appear whole.
transport.TRANSPORT_ALIASES["filesystem"] = "reviewportal.filebroker:Transport"
# Wake-ups that were fetched and not begun when Redis went away need not go back: the sweep makes up for them.
# kombu would try, over the connection that is gone, and the worker would end on that.
redis.Channel.do_restore = False

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "reviewportal.settings")
# Celery's own run of the system checks forgets what it finds; `refuse_to_work` runs them instead.
os.environ.setdefault("CELERY_SKIP_CHECKS", "1")

app = Celery("reviewportal")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
sweeping.install(app)


@worker_init.connect
def refuse_to_work(**_: object) -> None:
    """A worker starts only where the system checks hold; raises SystemExit with what does not."""
    from django.core.management.base import BaseCommand, SystemCheckError
    from django.db import connections

    try:
        BaseCommand().check()
    except SystemCheckError as refused:
        # Of all that a receiver raises, Celery passes on only this.
        raise SystemExit(str(refused)) from None
    # The pool forks after this and must not share what the checks opened.
    connections.close_all()
    for each in connections.all(initialized_only=True):
        if hasattr(each, "close_pool"):
            each.close_pool()
