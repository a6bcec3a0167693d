"""The Celery app, its queues and the beat schedule. The database is the queue; messages only wake."""

import os

from celery import Celery
from kombu import transport

# `filesystem://` means the broker whose messages appear whole.
transport.TRANSPORT_ALIASES["filesystem"] = "reviewportal.filebroker:Transport"

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "reviewportal.settings")

app = Celery("reviewportal")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
