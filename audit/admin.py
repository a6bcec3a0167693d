"""Search in the log for superusers: nothing can be added, changed or deleted, and looking is recorded."""

from typing import Any

from django.contrib import admin
from django.db import models, transaction
from django.http import HttpRequest, HttpResponse
from django.utils import timezone

from audit.actors import Actor, ActorKind
from audit.models import AuditEvent, Checkpoint
from audit.recording import record
from audit.tags import AuditTag, describe


class _SearchOnly(admin.ModelAdmin):
    """Reads every tenant's log, so it is for superusers alone; tenants have their timeline."""

    actions = None
    list_per_page = 50
    show_full_result_count = False

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:
        return False

    def has_view_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:
        return bool(request.user.is_active and request.user.is_superuser)

    def has_module_permission(self, request: HttpRequest) -> bool:
        return self.has_view_permission(request)

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        if self.has_view_permission(request):
            searched = any(request.GET.values())
            self._note(
                request, AuditTag.AUDIT_SEARCH_RAN if searched else AuditTag.AUDIT_LOG_VIEWED
            )
        return super().changelist_view(request, extra_context)

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        if self.has_view_permission(request):
            self._note(request, AuditTag.AUDIT_LOG_VIEWED, record_id=object_id or "")
        return super().changeform_view(request, object_id, form_url, extra_context)

    def _note(self, request: HttpRequest, tag: AuditTag, *, record_id: str = "") -> None:
        user = request.user
        with transaction.atomic():
            record(
                tag=tag,
                actor=Actor(
                    kind=ActorKind.ADMINISTRATOR, id=str(user.pk), name=user.get_username()
                ),
                at=timezone.now(),
                tenant_id=None,
                # The search terms themselves may name a person: only which fields were used.
                body={
                    "model": self.model._meta.label_lower,
                    "record": record_id,
                    "fields": sorted(key for key, value in request.GET.items() if value),
                },
            )


@admin.register(AuditEvent)
class AuditEventAdmin(_SearchOnly):
    list_display = ("at", "tag", "actor_name", "log", "intent_id")
    list_filter = ("actor_kind",)
    search_fields = (
        "=actor_id",
        "=correlation_id",
        "=proposal_id",
        "=intent_id",
        "=patient_token",
        "=encounter_token",
        "=tag",
    )
    ordering = ("-at",)
    readonly_fields = ("sentence",)

    @admin.display(description="what happened")
    def sentence(self, event: AuditEvent) -> str:
        return describe(event.tag)


@admin.register(Checkpoint)
class CheckpointAdmin(_SearchOnly):
    list_display = ("at", "log", "tree_size", "root")
    search_fields = ("=log", "=root")
    ordering = ("-id",)
