"""Whether approved drafts are being sent: one page, stop by one person, release by two."""

from uuid import UUID

from django.contrib import messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.http import require_POST, require_safe

from ehr_adapters.canonical.base import kind_label
from intents.governance import switches
from intents.governance.models import EhrConnection, KillSwitch, SwitchTarget
from intents.governance.roles import Permission, permits
from intents.pipeline import gateway
from intents.queries import writing
from intents.web.access import PortalRequest, page


@require_safe
@page("writing")
def writing_page(request: PortalRequest) -> HttpResponse:
    """Every connection with its state, and everything that is stopped."""
    membership = request.membership
    may_release = permits(membership, Permission.RELEASE_WRITING)
    me = request.user.pk
    listed = [
        {
            "id": stop.id,
            "what": stop.what,
            "since": stop.since,
            "by": stop.by,
            "reason": stop.reason,
            "asked_by": stop.asked_by,
            "may_ask": may_release and stop.tenant_id is not None and not stop.asked_by,
            "may_release": (
                may_release
                and stop.tenant_id is not None
                and stop.asked_by_id is not None
                and stop.asked_by_id != me
            ),
        }
        for stop in writing.stops(tenant=membership.tenant)
    ]
    return render(
        request,
        "intents/writing.html",
        {
            "connections": [
                (status, _not_offered(status.id))
                for status in writing.connections(tenant=membership.tenant)
            ],
            "switches": listed,
            "may_stop": permits(membership, Permission.STOP_WRITING),
            "zone": membership.tenant.time_zone,
        },
    )


def _not_offered(connection_id: UUID) -> list[str]:
    """What the EHR did not offer when it was last asked, though its adapter could say it: one sentence each."""
    connection = EhrConnection.objects.get(pk=connection_id)
    return [
        f"{kind_label(each.kind)}, {each.interaction}: {each.sentence}"
        for each in gateway.withdrawn(connection=connection)
    ]


@require_POST
@page("writing")
def stop_writing(request: PortalRequest, connection_id: UUID) -> HttpResponse:
    """One person stops writing to one connection, at once, with a reason that reviewers read."""
    connection = get_object_or_404(EhrConnection.objects, pk=connection_id)
    reason = request.POST.get("reason", "").strip()
    if not reason:
        messages.error(request, "Nothing was stopped: give a reason, which reviewers will read.")
        return redirect("writing")
    try:
        actor = switches.check_may_engage(
            user=request.user, membership=request.membership, tenant_id=connection.tenant_id
        )
    except switches.MayNotSwitch:
        raise PermissionDenied from None
    switches.engage(
        target=SwitchTarget.CONNECTION,
        connection=connection,
        reason=reason,
        actor=actor,
        at=timezone.now(),
    )
    messages.success(
        request, f"Writing to {connection} is stopped. What was sent may still arrive."
    )
    return redirect("writing")


def _switch(request: HttpRequest, switch_id: UUID) -> UUID:
    """The switch's id, if it is one of this organisation's; a stranger's looks like none at all."""
    tenant_id = request.membership.tenant_id  # type: ignore[attr-defined]
    if not KillSwitch.objects.filter(pk=switch_id, tenant_id=tenant_id).exists():
        raise Http404
    return switch_id


@require_POST
@page("writing")
def ask_release(request: PortalRequest, switch_id: UUID) -> HttpResponse:
    """The first of two people asks for writing to go on."""
    try:
        switches.ask_release(
            switch_id=_switch(request, switch_id),
            user=request.user,
            membership=request.membership,
            at=timezone.now(),
        )
    except switches.MayNotSwitch:
        raise PermissionDenied from None
    except ValidationError as error:
        messages.error(request, " ".join(error.messages))
    else:
        messages.success(request, "The release was asked for. A second person has to agree.")
    return redirect("writing")


@require_POST
@page("writing")
def release_writing(request: PortalRequest, switch_id: UUID) -> HttpResponse:
    """The second person, who is not the first, agrees and writing goes on."""
    try:
        switches.release(
            switch_id=_switch(request, switch_id),
            user=request.user,
            membership=request.membership,
            at=timezone.now(),
        )
    except switches.MayNotSwitch:
        raise PermissionDenied from None
    except ValidationError as error:
        messages.error(request, " ".join(error.messages))
    else:
        left = writing.stops(tenant=request.membership.tenant)
        messages.success(
            request,
            "This stop is released; another still holds writing back, see below."
            if left
            else "Writing goes on. Each draft is compared with the chart again first.",
        )
    return redirect("writing")
