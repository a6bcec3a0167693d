"""What a FHIR server really does with equal creates at once and with a stale version: tried on a test patient.

A CapabilityStatement says what a server means to do. A retry class rests on what it does, so a probe writes,
to a patient that exists for this purpose, entries which it marks as entered in error afterwards.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime

from ehr_adapters.base import EhrAdapter, ProbeResult
from ehr_adapters.canonical.base import ChartChange, parse_change
from ehr_adapters.canonical.codes import ICD10CM
from ehr_adapters.contract import Baseline, ReadRequest, Tag, WirePlan
from ehr_adapters.errors import AdapterError, AlreadyThere, VersionConflict


def probe_fhir(
    adapter: EhrAdapter, *, patient: str, at: datetime, creates: int = 100, at_once: int = 10
) -> ProbeResult:
    """Send `creates` equal conditional creates, `at_once` at a time, then one update with a stale version.

    `patient` is a patient for tests: the probe writes to that chart. Raises the adapter's own errors when the
    server cannot be asked at all.
    """
    settings: dict[str, str | bool] = {}
    evidence: list[str] = []
    today = at.date().isoformat()
    baseline = adapter.read(ReadRequest(patient=patient, kind="problem", at=at))
    tag = Tag.mint()
    plan = adapter.render(_probe_change(), tag=tag, baseline=baseline)
    answers = _at_once(lambda: _answer(adapter, plan), times=creates, workers=at_once)
    found = adapter.find([tag], plan, since=at, at=at)
    entries = sorted({hit.snapshot.reference for hit in found.hits})
    counted = ", ".join(f"{answers.count(a)} {a}" for a in sorted(set(answers)))
    evidence.append(
        f"{creates} equal conditional creates, {at_once} at a time: {counted}; {len(entries)} found."
    )
    if found.complete and len(entries) == 1:
        settings["conditional_create_probed"] = today
    if entries:
        outcome = _stale_update(adapter, patient=patient, target=entries[0], at=at)
        evidence.append(f"An update with a stale version: {outcome}.")
        if outcome in {"VersionConflict", "AlreadyThere"}:
            settings["stale_if_match_probed"] = today
            settings["conflict_means_version"] = outcome == "AlreadyThere"
    for reference in entries:
        _withdraw(adapter, patient=patient, target=reference, at=at)
    return ProbeResult(settings=settings, evidence=tuple(evidence))


def probe_what_is_kept(adapter: EhrAdapter, *, patient: str, at: datetime) -> ProbeResult:
    """Write one restricted problem, look for it by the portal's identifier, and read its label.

    `patient` is a patient for tests. `adapter` must create problems by FHIR and look for them by identifier.
    Raises the adapter's own errors when the server cannot be asked at all.
    """
    settings: dict[str, str | bool] = {}
    tag = Tag.mint()
    baseline = adapter.read(ReadRequest(patient=patient, kind="problem", at=at))
    plan = adapter.render(_probe_change(sensitivity="restricted"), tag=tag, baseline=baseline)
    step = plan.steps[0]
    reference = adapter.submit(step, token=adapter.authenticate(step)).reference
    found = adapter.find([tag], plan, since=at, at=at)
    kept = found.complete and [hit.snapshot.reference for hit in found.hits] == [reference]
    entry = adapter.read_entry(kind="problem", reference=reference, at=at)
    labelled = entry is not None and entry.canonical.get("sensitivity") == "restricted"
    today = at.date().isoformat()
    if kept:
        settings["identifiers_kept_probed"] = today
    if labelled:
        settings["labels_kept_probed"] = today
    if entry is not None:
        _withdraw(adapter, patient=patient, target=reference, at=at)
    evidence = (
        f"One new problem: {'found again' if kept else 'not found'} by the portal's identifier.",
        f"Its security label {'came back' if labelled else 'did not come back'}.",
    )
    return ProbeResult(settings=settings, evidence=evidence)


def _probe_change(**more: str) -> ChartChange:
    return parse_change(
        "problem",
        "create",
        {
            "code": {"system": ICD10CM, "code": "Z02.9", "display": "Probe of the connection"},
            "category": "problem-list-item",
            "clinical_status": "inactive",
            "verification": "unconfirmed",
            "note": "Written by a probe of the connection to a patient for tests.",
            **more,
        },
    )


def _answer(adapter: EhrAdapter, plan: WirePlan) -> str:
    step = plan.steps[0]
    try:
        adapter.submit(step, token=adapter.authenticate(step))
    except AdapterError as refused:
        return refused.name
    return "created"


def _at_once(act: Callable[[], str], *, times: int, workers: int) -> list[str]:
    with ThreadPoolExecutor(workers) as pool:
        return list(pool.map(lambda _: act(), range(times)))


def _stale_update(adapter: EhrAdapter, *, patient: str, target: str, at: datetime) -> str:
    """The name of the branch that a stale update becomes, or "accepted"."""
    stale = _update(adapter, patient=patient, target=target, at=at, note="Probe, first update.")
    if not stale.steps[0].header("If-Match"):
        return "no version to match"
    fresh = _update(adapter, patient=patient, target=target, at=at, note="Probe, second update.")
    step = fresh.steps[0]
    adapter.submit(step, token=adapter.authenticate(step))
    step = stale.steps[0]
    try:
        adapter.submit(step, token=adapter.authenticate(step))
    except (VersionConflict, AlreadyThere) as refused:
        # A 409 is told by its own branch: only here it is known to mean a version.
        return refused.name
    except AdapterError as refused:
        return refused.name
    return "accepted"


def _update(adapter: EhrAdapter, *, patient: str, target: str, at: datetime, note: str) -> WirePlan:
    baseline = _baseline(adapter, patient=patient, target=target, at=at, interaction="update")
    change = parse_change("problem", "update", {"note": note})
    return adapter.render(change, tag=Tag.mint(), baseline=baseline)


def _baseline(
    adapter: EhrAdapter, *, patient: str, target: str, at: datetime, interaction: str
) -> Baseline:
    return adapter.read(
        ReadRequest(
            patient=patient,
            kind="problem",
            interaction=interaction,
            target=target,
            at=at,
            neighbourhood=False,
        )
    )


def _withdraw(adapter: EhrAdapter, *, patient: str, target: str, at: datetime) -> None:
    baseline = _baseline(
        adapter, patient=patient, target=target, at=at, interaction="entered-in-error"
    )
    change = parse_change("problem", "entered-in-error", {})
    step = adapter.render(change, tag=Tag.mint(), baseline=baseline).steps[0]
    adapter.submit(step, token=adapter.authenticate(step))
