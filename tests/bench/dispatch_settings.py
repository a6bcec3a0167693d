"""The product's settings, with sending in a queue of its own, so that it can be measured by itself."""

from reviewportal.settings import *  # noqa: F403 - the product's settings, with what follows changed
from reviewportal.settings import CELERY_TASK_ROUTES

CELERY_TASK_ROUTES = {**CELERY_TASK_ROUTES, "intents.dispatch_due": {"queue": "dispatch"}}
