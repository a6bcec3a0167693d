"""The project: wiring, no behaviour."""

from reviewportal.celery import app as celery_app

__all__ = ["celery_app"]
