"""Whether approved drafts are being sent: one page, stop by one person, release by two.

The same page takes a connection from stage to stage: on by two people who are shown what is missing, back
by one.
"""

from collections.abc import Callable
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.http import require_POST, require_safe

from ehr_adapters.canonical.base import kind_label
from intents.governance import rollout, switches
from intents.governance.models import EhrConnection, KillSwitch, Promotion, Rollout, SwitchTarget
from intents.governance.roles import Permission, permits
from intents.pipeline import gateway, promoting
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
            "stages": _stages(request),
            "switches": listed,
            "may_stop": permits(membership, Permission.STOP_WRITING),
            "zone": membership.tenant.time_zone,
        },
    )


def _stages(request: PortalRequest) -> list[dict[str, Any]]:
    """Each connection's stage, what the next one asks for, and what this person may do about it."""
    may = permits(request.membership, Permission.RELEASE_WRITING)
    found = []
    for connection in EhrConnection.objects.select_related("tenant").order_by("title", "name"):
        stage = Rollout(connection.rollout)
        shown = tuple(promoting.evidence(connection, at=timezone.now()))
        wish = rollout.open_promotion(connection)
        earlier = list(Rollout)[: list(Rollout).index(stage)]
        found.append(
            {
                "connection": connection,
                "words": writing.STAGE_WORDS[stage],
                "sentence": writing.STAGE_SENTENCES[stage],
                "since": connection.rollout_since,
                "next": writing.STAGE_WORDS[stage.following] if stage.following else "",
                "evidence": shown,
                "missing": sum(not each.holds for each in shown),
                "wish": wish,
                "may": may,
                "may_agree": may and wish is not None and wish.asked_by_id != request.user.pk,
                "earlier": [(each.value, writing.STAGE_WORDS[each]) for each in reversed(earlier)],
            }
        )
    return found


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
    tenant_id = request.membership.tenant_id  # type: ignore[attr-defined]  # set by the middleware
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


# --- stages ---------------------------------------------------------------------------------------


def _staged(request: PortalRequest, act: Callable[[], object], *, done: str) -> HttpResponse:
    """Do one step of a promotion; what refuses it is shown as it is."""
    try:
        act()
    except rollout.MayNotPromote:
        raise PermissionDenied from None
    except promoting.EvidenceMissing as refused:
        messages.error(request, f"Not yet. {refused}")
    except ValidationError as refused:
        messages.error(request, " ".join(refused.messages))
    else:
        messages.success(request, done)
    return redirect("writing")


@require_POST
@page("writing")
def ask_promotion(request: PortalRequest, connection_id: UUID) -> HttpResponse:
    """The first of two people asks to take a connection to its next stage."""
    connection = get_object_or_404(EhrConnection.objects, pk=connection_id)
    return _staged(
        request,
        lambda: promoting.ask(
            connection_id=connection.pk,
            reason=request.POST.get("reason", ""),
            user=request.user,
            membership=request.membership,
            at=timezone.now(),
        ),
        done="Asked for. A second person has to agree.",
    )


@require_POST
@page("writing")
def agree_promotion(request: PortalRequest, promotion_id: UUID) -> HttpResponse:
    """The second person, who is not the first, agrees and the connection is at its next stage."""
    wish = get_object_or_404(Promotion.objects, pk=promotion_id)
    return _staged(
        request,
        lambda: promoting.agree(
            promotion_id=wish.pk,
            user=request.user,
            membership=request.membership,
            at=timezone.now(),
        ),
        done=f"{wish.connection} is at its next stage: {wish.get_after_display().lower()}.",
    )


@require_POST
@page("writing")
def withdraw_promotion(request: PortalRequest, promotion_id: UUID) -> HttpResponse:
    """The wish for the next stage is taken back."""
    wish = get_object_or_404(Promotion.objects, pk=promotion_id)
    return _staged(
        request,
        lambda: rollout.withdraw(
            promotion_id=wish.pk,
            user=request.user,
            membership=request.membership,
            at=timezone.now(),
        ),
        done="Taken back. The connection stays at its stage.",
    )


@require_POST
@page("writing")
def go_back(request: PortalRequest, connection_id: UUID) -> HttpResponse:
    """One person takes a connection back to an earlier stage, at once, with a reason."""
    connection = get_object_or_404(EhrConnection.objects, pk=connection_id)
    return _staged(
        request,
        lambda: rollout.go_back(
            connection_id=connection.pk,
            to=request.POST.get("to", ""),
            reason=request.POST.get("reason", ""),
            user=request.user,
            membership=request.membership,
            at=timezone.now(),
        ),
        done=f"{connection} is back at an earlier stage.",
    )
