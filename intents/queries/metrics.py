"""Figures for operators: counts and ages, with no label that could name a patient or a person."""

from collections.abc import Iterator

from django.db.models import Count, Min
from django.utils import timezone
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from audit.models import PendingEvent
from intents.models import Discrepancy, Intent, OutboxEntry, Tick


class PortalCollector(Collector):
    """Reads the database when it is scraped, so several web processes answer alike."""

    def collect(self) -> Iterator[GaugeMetricFamily]:
        now = timezone.now()
        intents = GaugeMetricFamily(
            "reviewportal_intents", "Changes by state and EHR kind", labels=["state", "kind"]
        )
        oldest = GaugeMetricFamily(
            "reviewportal_oldest_seconds", "Age of the oldest change in a state", labels=["state"]
        )
        ages: dict[str, float] = {}
        rows = Intent.unscoped.values("state", "connection__kind").annotate(
            n=Count("id"), since=Min("state_changed_at")
        )
        for row in rows.order_by():
            intents.add_metric([row["state"], row["connection__kind"]], row["n"])
            age = (now - row["since"]).total_seconds()
            ages[row["state"]] = max(age, ages.get(row["state"], 0.0))
        for state, age in sorted(ages.items()):
            oldest.add_metric([state], age)
        yield intents
        yield oldest
        yield GaugeMetricFamily(
            "reviewportal_outbox_entries",
            "Approved changes waiting to be sent",
            value=OutboxEntry.unscoped.filter(closed_at__isnull=True).count(),
        )
        yield GaugeMetricFamily(
            "reviewportal_open_discrepancies",
            "Written changes that differ from the chart, unsettled",
            value=Discrepancy.unscoped.filter(resolved_at__isnull=True).count(),
        )
        yield GaugeMetricFamily(
            "reviewportal_unsequenced_events",
            "Audit events not yet under a signed checkpoint",
            value=PendingEvent.objects.count(),
        )
        yield GaugeMetricFamily("reviewportal_tick", "The portal's own clock", value=Tick.now())
