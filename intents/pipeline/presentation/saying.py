"""How a value, a moment and a reference of one change are said on its card."""

from typing import Any
from zoneinfo import ZoneInfo

from ehr_adapters.canonical import base as canonical
from ehr_adapters.contract import Baseline, Snapshot
from intents.governance.models import EhrIdentity
from intents.pipeline.presentation.banner import day, display, moment, visit_words
from intents.pipeline.presentation.opened import OpenedChange
from intents.pipeline.presentation.page import ContextEntry


def zone_of(one: OpenedChange) -> ZoneInfo:
    return ZoneInfo(one.intent.tenant.time_zone)


def value_words(one: OpenedChange, name: str, value: Any) -> str:
    """A field's value for the reader of this change; "" for none."""
    if value is None:
        return ""
    kind = one.intent.change_kind
    spec = canonical.field_spec(kind, name)
    if name == "encounter" and one.baseline.visit and str(value).endswith(one.baseline.visit.id):
        return visit_words(one.baseline, zone=zone_of(one))
    if spec.control is canonical.Control.REFERENCE:
        listed = value if isinstance(value, list) else [value]
        return "; ".join(_named(one, str(reference)) for reference in listed)
    return _said(kind, spec, value, zone=zone_of(one))


def _said(kind: str, spec: canonical.FieldSpec, value: Any, *, zone: ZoneInfo) -> str:
    if spec.control is canonical.Control.INSTANT:
        return moment(str(value), zone=zone)
    if spec.control is canonical.Control.DATE:
        return day(str(value))
    return canonical.words(kind, spec.name, value)


def _named(one: OpenedChange, reference: str) -> str:
    """Whom or what a reference names: an entry that was read, a colleague with an account here, else its id."""
    if one.baseline.practitioner and one.baseline.practitioner.reference == reference:
        return display(one.baseline.practitioner) or reference
    for snapshot in _entries(one.baseline):
        if snapshot.reference == reference:
            return entry_words(snapshot, zone=zone_of(one))
    known = (
        EhrIdentity.objects.filter(connection=one.intent.connection, practitioner_ref=reference)
        .select_related("user")
        .first()
    )
    return known.user.name if known else reference


def _entries(baseline: Baseline) -> tuple[Snapshot, ...]:
    return (*baseline.neighbourhood, *((baseline.target,) if baseline.target else ()))


def entry_words(snapshot: Snapshot, *, zone: ZoneInfo) -> str:
    """An entry of the chart in one line: its own fields where the portal knows its kind."""
    kind, held = snapshot.kind, snapshot.canonical
    parts = []
    if kind and held:
        specs = {spec.name: spec for spec in canonical.fields(kind)}
        parts = [
            _said(kind, specs[name], held[name], zone=zone)
            for name in canonical.kind_model(kind).brief
            if held.get(name) is not None
        ]
    return ", ".join(parts) or display(snapshot) or snapshot.reference


def context_entry(snapshot: Snapshot, *, zone: ZoneInfo, label: str = "") -> ContextEntry:
    """An entry of the chart as it stands beside a change; a note with its whole text."""
    text = "\n\n".join(f"{s['title']}\n{s['text']}" for s in snapshot.canonical.get("sections", ()))
    return ContextEntry(
        label=label or (canonical.kind_label(snapshot.kind) if snapshot.kind else ""),
        words=entry_words(snapshot, zone=zone),
        long_text=text,
    )
