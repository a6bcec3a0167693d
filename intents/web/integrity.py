"""Is the record unbroken? The head of the log, full checks, and the proof for an auditor to take away."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from zipfile import ZIP_DEFLATED, ZipFile

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_POST, require_safe

from audit import export, integrity, sequencing, timeline, vault
from audit.models import Checkpoint
from audit.recording import record
from audit.tags import AuditTag
from audit.timeline import Axis, TimelineEvent
from audit.witness import WitnessUnavailable
from intents.governance.roles import Permission, actor_of, permits
from intents.models import Proposal
from intents.queries.provenance import add_provenance
from intents.web import wording
from intents.web.access import PortalRequest, page

# A web request recomputes logs up to this size; longer ones are checked by the command.
_MOST_CHECKED = 20_000


@dataclass(frozen=True, slots=True)
class Badge:
    """Whether the record is known to be unbroken, and since when."""

    words: str
    tone: str
    sign: str
    note: str


def record_looking(
    request: PortalRequest, tag: AuditTag, *, proposal: Proposal | None = None, **body: object
) -> None:
    """Looking at the audit is an event too."""
    with transaction.atomic():
        record(
            tag=tag,
            actor=actor_of(request.membership),
            at=timezone.now(),
            tenant_id=str(request.membership.tenant_id),
            proposal_id=str(proposal.pk) if proposal else "",
            correlation_id=proposal.correlation_id if proposal else "",
            patient_token=proposal.patient_token if proposal else "",
            body=body,
        )


@dataclass(frozen=True, slots=True)
class LastCheck:
    """The last full check of a log: how many events it covered and what it found."""

    at: datetime
    by: str
    events: int
    first_break: str
    first_index: int | None

    @property
    def holds(self) -> bool:
        return not self.first_break


def last_check(*, tenant_id: str) -> LastCheck | None:
    """What the last full check of this organisation's log said; None before the first."""
    ran = timeline.events(
        by=Axis.PERIOD, tenant_id=tenant_id, tags=[AuditTag.AUDIT_VERIFICATION_RAN], limit=1
    )
    if not ran:
        return None
    try:
        body = timeline.details(ran[0].id, tenant_id=tenant_id) or {}
    except vault.BodyUnreadable:
        # An altered answer is no answer.
        return None
    index = body.get("first_index")
    return LastCheck(
        at=ran[0].at,
        by=ran[0].actor_name,
        events=int(str(body.get("leaves", 0))),
        first_break=str(body.get("first_break", "")),
        first_index=index if isinstance(index, int) else None,
    )


def badge_for(events: Sequence[TimelineEvent], *, tenant_id: str) -> Badge:
    """Unbroken, not checked yet, or broken at event N: by the last full check that covers these events."""
    check = last_check(tenant_id=tenant_id)
    when = f"checked {wording.moment(timezone.localtime(check.at))}" if check else "never checked"
    if check and not check.holds:
        place = f" at event {check.first_index + 1:,}" if check.first_index is not None else ""
        return Badge(f"Record broken{place}", "bad", "✕", when)
    covered = check and all(e.index is not None and e.index < check.events for e in events)
    if covered:
        return Badge("Record unbroken", "ok", "✓", when)
    return Badge("Not checked yet", "", "?", when)


@require_safe
@page("integrity")
def integrity_page(request: PortalRequest) -> HttpResponse:
    """The head of the log, the last full check, what waits, and the signed heads."""
    tenant_id = str(request.membership.tenant_id)
    status = sequencing.status(tenant_id)
    heads = Checkpoint.objects.filter(log=tenant_id).order_by("-tree_size", "-at")
    return render(
        request,
        "audit/integrity.html",
        {
            "status": status,
            "check": last_check(tenant_id=tenant_id),
            "badge": badge_for((), tenant_id=tenant_id),
            "heads": [
                {
                    "at": head.at,
                    "size": head.tree_size,
                    "root": head.root,
                    "seen": status.witnessed_size is not None
                    and head.tree_size <= status.witnessed_size,
                }
                for head in heads[:12]
            ],
            "head_count": heads.count(),
            "may_export": permits(request.membership, Permission.EXPORT_AUDIT),
            "zone": request.membership.tenant.time_zone,
        },
    )


@require_POST
@page("integrity")
def check_now(request: PortalRequest) -> HttpResponse:
    """Recompute the whole log of this organisation, and record that and what it found."""
    tenant_id = str(request.membership.tenant_id)
    if sequencing.status(tenant_id).size > _MOST_CHECKED:
        messages.warning(
            request,
            f"The record has more than {_MOST_CHECKED:,} events. An operator checks it with "
            "“manage.py verify_audit”; the result appears here.",
        )
        return redirect("integrity")
    report = integrity.check(logs=[tenant_id])
    first = report.first
    record_looking(
        request,
        AuditTag.AUDIT_VERIFICATION_RAN,
        leaves=sum(log.leaves for log in report.logs),
        root=next((log.root for log in report.logs), ""),
        first_break=first.kind.value if first else "",
        first_index=first.index if first else None,
    )
    if first:
        messages.error(request, f"The record does not hold. {first.sentence}")
    else:
        messages.success(request, f"Everything holds: {report.events:,} events.")
    return redirect("integrity")


@require_POST
@page("integrity")
def export_proof(request: PortalRequest) -> HttpResponse:
    """The auditor's bundle of this organisation's log, with its own verifier, as one file."""
    if not permits(request.membership, Permission.EXPORT_AUDIT):
        raise PermissionDenied
    why = request.POST.get("why", "").strip()
    if not why:
        messages.error(request, "Nothing was exported: say why, and for whom.")
        return redirect("integrity")
    with TemporaryDirectory() as folder:
        place = Path(folder) / "bundle"
        try:
            export.bundle(
                folder=place,
                actor=actor_of(request.membership),
                at=timezone.now(),
                reason=why,
                logs=[str(request.membership.tenant_id)],
            )
            add_provenance(place, tenant_ids=[request.membership.tenant_id])
        except WitnessUnavailable:
            messages.error(request, "Nothing was exported: the outside copy does not answer.")
            return redirect("integrity")
        packed = Path(folder) / "proof.zip"
        with ZipFile(packed, "w", ZIP_DEFLATED) as archive:
            for path in sorted(place.rglob("*")):
                if path.is_file():
                    archive.write(path, path.relative_to(place))
        content = packed.read_bytes()
    name = f"audit-proof-{timezone.now():%Y%m%d-%H%M}.zip"
    return HttpResponse(
        content,
        content_type="application/zip",
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
    )
