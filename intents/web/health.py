"""For operators and load balancers: is the process up, is the product ready, how is it doing."""

import ipaddress
import os
from collections.abc import Callable
from datetime import timedelta

from celery import current_app
from django.conf import settings
from django.db import DatabaseError, connection
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils import timezone
from django.views.decorators.http import require_safe
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.core import CollectorRegistry

from audit import insert_only
from intents.models import Heartbeat
from intents.queries.metrics import PortalCollector

_SEEN_WITHIN = timedelta(seconds=60)


@require_safe
def healthz(request: HttpRequest) -> HttpResponse:
    """The process answers."""
    return HttpResponse("ok\n", content_type="text/plain")


def _database() -> str:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    return ""


def _triggers() -> str:
    missing = insert_only.missing_triggers()
    return f"insert-only triggers are missing: {', '.join(missing[:3])}" if missing else ""


def _broker() -> str:
    if settings.CELERY_BROKER_URL.startswith("filesystem"):
        folder = str(settings.CELERY_BROKER_TRANSPORT_OPTIONS["data_folder_out"])
        return "" if os.access(folder, os.W_OK) else "the broker's folder cannot be written"
    with current_app.connection_for_write() as broker:
        broker.ensure_connection(max_retries=1, timeout=2)
    return ""


def _seen(name: str) -> Callable[[], str]:
    def check() -> str:
        beat = Heartbeat.objects.filter(name=name, at__gte=timezone.now() - _SEEN_WITHIN).exists()
        return "" if beat else "not seen for 60 s"

    return check


_CHECKS: dict[str, Callable[[], str]] = {
    "database": _database,
    "insert_only": _triggers,
    "broker": _broker,
    "worker": _seen("worker"),
    "sequencer": _seen("sequencer"),
}


@require_safe
def readyz(request: HttpRequest) -> JsonResponse:
    """200 when every part that a write needs is there; 503 names the part that is not."""
    answer: dict[str, str] = {}
    for name, check in _CHECKS.items():
        try:
            answer[name] = check() or "ok"
        except DatabaseError:
            answer[name] = "the database does not answer"
        except OSError:
            answer[name] = "no connection"
    ready = all(value == "ok" for value in answer.values())
    return JsonResponse({"ready": ready, "checks": answer}, status=200 if ready else 503)


def _may_scrape(request: HttpRequest) -> bool:
    token = settings.METRICS_TOKEN
    if token:
        return request.headers.get("Authorization", "") == f"Bearer {token}"
    try:
        return ipaddress.ip_address(request.META.get("REMOTE_ADDR", "")).is_loopback
    except ValueError:
        return False


@require_safe
def metrics(request: HttpRequest) -> HttpResponse:
    """Prometheus text: counts and ages by state and connection kind; no patient or person labels."""
    if not _may_scrape(request):
        return HttpResponse("Metrics are read from loopback or with the token.\n", status=403)
    registry = CollectorRegistry()
    registry.register(PortalCollector())
    return HttpResponse(generate_latest(registry), content_type=CONTENT_TYPE_LATEST)
