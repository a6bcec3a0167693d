"""The administration of connections, policies and kill switches, and a look at drafts.

No state of a draft can be edited here, and no clinical content is shown: those are the review pages.
"""

from pathlib import Path
from typing import Any

from django import forms
from django.conf import settings
from django.contrib import admin
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import models
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html, format_html_join

from audit.actors import Actor
from ehr_adapters.canonical.base import all_kinds
from intents.governance import switches
from intents.governance.administering import (
    MutatorAdmin,
    ReadOnlyAdmin,
    is_superuser,
    membership_of,
    mutating,
    tenant_of_request,
)
from intents.governance.models import (
    EhrConnection,
    KillSwitch,
    PolicyVersion,
    Promotion,
    SwitchTarget,
    User,
)
from intents.governance.roles import Permission
from intents.governance.rollout import MayNotPromote
from intents.governance.switches import MayNotSwitch
from intents.governance.tenancy import current_tenant
from intents.lifecycle import IN_FLIGHT, State
from intents.models import Intent, Proposal
from intents.pipeline import gateway, promoting

_MOST_WAITING = 200

# --- connections -------------------------------------------------------------------------------------


class ConnectionForm(forms.ModelForm):
    """Asks the adapters which kinds there are and whether the settings are right for the kind."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        if "kind" in self.fields:
            self.fields["kind"] = forms.ChoiceField(
                choices=[(kind, gateway.vendor_name(kind)) for kind in gateway.kinds()]
            )

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        kind = data.get("kind") or self.instance.kind
        if kind in gateway.kinds() and isinstance(data.get("settings"), dict):
            for pointer, sentence in gateway.check_settings(kind=kind, settings=data["settings"]):
                self.add_error("settings", f"{pointer}: {sentence}")
        key = data.get("credential_ref", "")
        if key and "/" not in key and not (Path(settings.KEY_DIR) / key).is_file():
            self.add_error("credential_ref", "There is no key of this name in the key folder.")
        if settings.DEMO_MODE and data.get("environment", "SANDBOX") != "SANDBOX":
            self.add_error("environment", "The demo reaches practice EHRs only.")
        return data


@admin.register(EhrConnection)
class EhrConnectionAdmin(MutatorAdmin):
    form = ConnectionForm
    list_display = (
        "title",
        "name",
        "kind",
        "environment",
        "rollout",
        "write_back_enabled",
        "probed_at",
    )
    readonly_extras = ("next_stage",)
    add_fields = (
        "name",
        "title",
        "kind",
        "environment",
        "base_url",
        "token_url",
        "client_id",
        "alg",
        "credential_ref",
        "settings",
        "time_zone",
        "test_patients",
        "canary_percent",
        "canary_patients",
        "canary_kinds",
        "canary_agents",
        "canary_per_day",
        "connect_timeout_seconds",
        "read_timeout_seconds",
        "token_life_seconds",
        "processing_bound_seconds",
        "index_lag_seconds",
        "staged_patience_days",
        "writes_at_once",
    )
    actions = ("suspend", "resume")
    formfield_overrides = {models.URLField: {"assume_scheme": "https"}}

    def create(self, form: Any, *, actor: Actor, at: Any, request: HttpRequest) -> EhrConnection:
        columns = {name: form.cleaned_data[name] for name in self.add_fields}
        return EhrConnection.add(tenant=tenant_of_request(), **columns, actor=actor, at=at)

    @admin.display(description="What the next stage asks for")
    def next_stage(self, connection: EhrConnection) -> str:
        """Shown or missing; moving on is done by two people on the page of connections."""
        shown = tuple(promoting.evidence(connection, at=timezone.now()))
        if not shown:
            return "There is no further stage."
        return format_html(
            '<ul>{}</ul><a href="{}">Stages of the connections</a>',
            format_html_join(
                "",
                "<li>{}: {}</li>",
                (("shown" if each.holds else "missing", str(each)) for each in shown),
            ),
            reverse("writing"),
        )

    suspend = mutating("Switch writing off", lambda row, actor, at: row.suspend(actor=actor, at=at))
    resume = mutating("Switch writing on", lambda row, actor, at: row.resume(actor=actor, at=at))


@admin.register(Promotion)
class PromotionAdmin(MutatorAdmin):
    """Wishes for the next stage of a connection: one person asks on its page, another agrees."""

    list_display = ("__str__", "reason", "asked_by", "asked_at", "agreed_by", "agreed_at")
    list_select_related = ("connection", "asked_by", "agreed_by")
    actions = ("agree",)

    @admin.action(description="Agree to the next stage (the second person)")
    def agree(self, request: HttpRequest, chosen: "models.QuerySet[Promotion]") -> None:
        for pk in list(chosen.values_list("pk", flat=True)):
            try:
                promoting.agree(
                    promotion_id=pk,
                    user=_person(request),
                    membership=membership_of(request),
                    at=timezone.now(),
                )
            except ValidationError as refused:
                self.message_user(request, " ".join(refused.messages), "ERROR")
            except (promoting.EvidenceMissing, MayNotPromote) as refused:
                self.message_user(request, str(refused), "ERROR")
            else:
                self.message_user(request, "The connection is at its next stage.")


# --- rules -------------------------------------------------------------------------------------------


@admin.register(PolicyVersion)
class PolicyVersionAdmin(ReadOnlyAdmin):
    list_display = (
        "version",
        "tenant",
        "content_hash",
        "approved_by",
        "active_from",
        "active_until",
    )

    def get_queryset(self, request: HttpRequest) -> "models.QuerySet[PolicyVersion]":
        rows = super().get_queryset(request).select_related("tenant")
        if is_superuser(request):
            return rows
        return rows.filter(models.Q(tenant=current_tenant()) | models.Q(tenant__isnull=True))


# --- kill switches -----------------------------------------------------------------------------------


class KillSwitchForm(forms.ModelForm):
    """The target's workspace is the one that the administrator works in."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        if "change_kind" in self.fields:
            self.fields["change_kind"] = forms.ChoiceField(
                choices=[("", "")] + [(kind, kind) for kind in all_kinds()], required=False
            )

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        if data.get("target") != SwitchTarget.DEPLOYMENT:
            self.instance.tenant_id = current_tenant()
        return data


@admin.register(KillSwitch)
class KillSwitchAdmin(MutatorAdmin):
    """One person engages; two different people release."""

    needs = Permission.STOP_WRITING
    form = KillSwitchForm
    list_display = ("__str__", "reason", "engaged_by", "release_asked_by", "released_by")
    list_select_related = ("connection", "agent", "release_asked_by", "released_by")
    add_fields = ("target", "connection", "agent", "change_kind", "reason")
    readonly_extras = ("in_flight",)
    actions = ("ask_release", "agree_to_release")

    def get_queryset(self, request: HttpRequest) -> "models.QuerySet[KillSwitch]":
        rows = super().get_queryset(request)
        if is_superuser(request):
            return rows
        return rows.filter(models.Q(tenant=current_tenant()) | models.Q(tenant__isnull=True))

    def has_add_permission(self, request: HttpRequest) -> bool:
        return current_tenant() is not None and super().has_add_permission(request)

    def create(self, form: Any, *, actor: Actor, at: Any, request: HttpRequest) -> KillSwitch:
        data = form.cleaned_data
        wide = data["target"] == SwitchTarget.DEPLOYMENT
        tenant = None if wide else tenant_of_request()
        try:
            who = switches.check_may_engage(
                user=_person(request),
                membership=membership_of(request),
                tenant_id=tenant.pk if tenant else None,
            )
        except MayNotSwitch as refused:
            raise ValidationError(str(refused)) from None
        named = data["target"] in {SwitchTarget.TENANT, SwitchTarget.KIND}
        return switches.engage(
            target=data["target"],
            tenant=tenant if named else None,
            connection=data["connection"],
            agent=data["agent"],
            change_kind=data["change_kind"],
            reason=data["reason"],
            actor=who,
            at=at,
        )

    @admin.display(description="Approved or being sent")
    def in_flight(self, switch: KillSwitch) -> str:
        """What had been approved before the stop: it will not be sent, or may still arrive."""
        # What may still arrive comes first: no number of changes that only wait hides one of these.
        rows = Intent.unscoped.filter(state__in=IN_FLIGHT).order_by(
            models.Case(models.When(state=State.APPROVED, then=1), default=0), "state_changed_at"
        )
        for column in ("tenant", "connection"):
            if getattr(switch, f"{column}_id"):
                rows = rows.filter(**{column: getattr(switch, f"{column}_id")})
        if switch.agent_id:
            rows = rows.filter(proposal__agent=switch.agent_id)
        if switch.change_kind:
            rows = rows.filter(change_kind=switch.change_kind)
        waiting = rows.filter(state=State.APPROVED).count()
        sent = rows.exclude(state=State.APPROVED).count()
        # Every write that may still arrive, and as many of those that wait as one can read.
        found = list(rows[: sent + min(waiting, _MOST_WAITING)])
        if not found:
            return "nothing"
        return format_html(
            "{} being sent or of unknown outcome, {} approved and not sent<ul>{}</ul>",
            sent,
            waiting,
            format_html_join(
                "",
                "<li>{} {}: {}, since {}</li>",
                (
                    (each.change_kind, each.pk, each.state, f"{each.state_changed_at:%H:%M:%S} UTC")
                    for each in found
                ),
            ),
        )

    def _switch(self, request: HttpRequest, chosen: Any, call: Any, done: str) -> None:
        for pk in list(chosen.values_list("pk", flat=True)):
            try:
                call(
                    switch_id=pk,
                    user=_person(request),
                    membership=membership_of(request),
                    at=timezone.now(),
                )
            except (ValidationError, MayNotSwitch) as refused:
                sentence = (
                    " ".join(refused.messages)
                    if isinstance(refused, ValidationError)
                    else str(refused)
                )
                self.message_user(request, sentence, "ERROR")
            else:
                self.message_user(request, done)

    @admin.action(description="Ask for the release (the first of two people)")
    def ask_release(self, request: HttpRequest, chosen: Any) -> None:
        self._switch(request, chosen, switches.ask_release, "A second person has to agree now.")

    @admin.action(description="Agree to the release (the second person)")
    def agree_to_release(self, request: HttpRequest, chosen: Any) -> None:
        self._switch(request, chosen, switches.release, "Released: writing goes on.")


def _person(request: HttpRequest) -> User:
    if not isinstance(request.user, User):
        raise PermissionDenied
    return request.user


# --- drafts ------------------------------------------------------------------------------------------


class DraftAdmin(ReadOnlyAdmin):
    """Ids, codes and times of a draft, with its history. Nothing here comes from a chart."""

    date_hierarchy = None

    @admin.display(description="Timeline")
    def timeline(self, row: Any) -> str:
        proposal_id = row.pk if isinstance(row, Proposal) else row.proposal_id
        return format_html(
            '<a href="{}">every event of this draft</a>',
            reverse("draft_history", kwargs={"proposal_id": proposal_id}),
        )


@admin.register(Proposal)
class ProposalAdmin(DraftAdmin):
    list_display = ("id", "agent", "connection", "lane", "task_type", "received_at")
    list_select_related = ("agent", "connection")
    fields = (
        "id",
        "agent",
        "agent_release",
        "connection",
        "lane",
        "task_type",
        "model",
        "all_or_nothing",
        "correlation_id",
        "received_at",
        "claimed_until",
        "timeline",
    )
    readonly_fields = fields


@admin.register(Intent)
class IntentAdmin(DraftAdmin):
    list_display = ("id", "change_kind", "interaction", "state", "tier", "state_changed_at")
    list_filter = ("state", "change_kind")
    fields = (
        "id",
        "proposal",
        "ref",
        "change_kind",
        "interaction",
        "lane",
        "state",
        "rejected_by",
        "reason",
        "tier",
        "finality",
        "screen_attempts",
        "due_at",
        "expires_at",
        "approval_expires_at",
        "state_changed_at",
        "created_at",
        "timeline",
    )
    readonly_fields = fields


# --- nothing else --------------------------------------------------------------------------------------

# The libraries register pages that save past every mutator: tokens, factors, groups, sessions. This
# app is loaded last, so their registrations are known here.
_OURS = frozenset({"audit", "governance", "intents"})
for _model in [m for m in admin.site._registry if m._meta.app_label not in _OURS]:
    admin.site.unregister(_model)
