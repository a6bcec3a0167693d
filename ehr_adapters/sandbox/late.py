"""Requests that were answered with a failure and are filed all the same, later."""

from datetime import datetime

from django.db import transaction
from django.db.models import Max, Q

from ehr_adapters.sandbox.exchange import Answer, Call
from ehr_adapters.sandbox.front import Front
from ehr_adapters.sandbox.models import SandboxClient, SandboxLate, SandboxRequest
from ehr_adapters.sandbox.outcomes import RequestRefused


def newest_request() -> int:
    """The number of the newest logged request; 0 before the first."""
    return SandboxRequest.objects.aggregate(newest=Max("pk"))["newest"] or 0


def file_due(*, fronts: dict[str, Front], at: datetime) -> int:
    """Files what has become due by time or by the number of requests; says how many were settled."""
    waiting = SandboxLate.objects.filter(state="waiting")
    if not waiting.exists():
        return 0
    rows = waiting.filter(Q(due_at__lte=at) | Q(due_after_request__lte=newest_request() + 1))
    return sum(settle(row=row, fronts=fronts, at=at) for row in rows.order_by("pk"))


def settle(*, row: SandboxLate, fronts: dict[str, Front], at: datetime) -> int:
    """Carries out one late request now; its log entry then names what it filed. 1 when it did, else 0."""
    with transaction.atomic():
        row = SandboxLate.objects.select_related("request").get(pk=row.pk)
        if row.state != "waiting":
            return 0
        logged = row.request
        front = fronts[logged.vendor]
        answer = _carried_out(front, logged, at)
        logged.committed, logged.staged = answer.committed, answer.staged
        logged.save(update_fields=["committed", "staged"])
        row.state = "committed" if answer.committed or answer.staged else "refused"
        row.status = answer.status
        row.settled_at = at
        row.save()
    return 1


def _carried_out(front: Front, logged: SandboxRequest, at: datetime) -> Answer:
    path, _, query = logged.path.partition("?")
    call = Call(
        vendor=logged.vendor,
        method=logged.method,
        path=path,
        query=query,
        headers=logged.headers,
        body=bytes(logged.body or b""),
        at=at,
        base=logged.base,
        last_request=newest_request(),
        client=SandboxClient.objects.filter(
            vendor=logged.vendor, client_id=logged.client_id
        ).first(),
    )
    call.scope_text = logged.scope
    call.scopes = front.scopes_of(logged.scope)
    try:
        with transaction.atomic():
            return front.carry_out(call)
    except RequestRefused as refusal:
        return Answer(refusal.status)
