"""The kinds of administration page: looked at only, or saved through mutators.

Pages are open by role, not by Django's own permissions: an administrator of a workspace sees that
workspace; a superuser chooses one first. Nothing is deleted, and history cannot be rewritten.
"""

from collections.abc import Callable
from typing import Any, ClassVar

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import models, transaction
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils import timezone
from simple_history.admin import SimpleHistoryAdmin

from audit.actors import Actor
from intents.governance.models import Membership, Tenant, User
from intents.governance.roles import Permission, actor_of, actor_of_user, permits
from intents.governance.tenancy import TenantOwned, current_tenant

Action = Callable[[Any, HttpRequest, "models.QuerySet[Any]"], None]


def membership_of(request: HttpRequest) -> Membership | None:
    """The membership that `TenantMiddleware` found for this request."""
    membership: Membership | None = getattr(request, "membership", None)
    return membership


def actor_of_request(request: HttpRequest) -> Actor:
    """Who acts here: the person in their role, or an administrator of the installation."""
    membership = membership_of(request)
    if membership is not None:
        return actor_of(membership)
    if not isinstance(request.user, User):
        raise PermissionDenied
    return actor_of_user(request.user)


def is_superuser(request: HttpRequest) -> bool:
    return bool(request.user.is_active and request.user.is_superuser)


def tenant_of_request() -> Tenant:
    """The workspace that the administrator works in."""
    tenant_id = current_tenant()
    if tenant_id is None:
        raise PermissionDenied
    return Tenant.objects.get(pk=tenant_id)


class RoleAdmin(SimpleHistoryAdmin):
    """Open to those whose role permits it. Shows, and keeps history readable but not writable."""

    # Which permission of a role opens the page; a superuser has it in the workspace they chose.
    needs: ClassVar[Permission] = Permission.ADMINISTER
    object_history_list_template = "admin/history_list.html"
    show_facets = admin.ShowFacets.NEVER
    list_per_page = 50

    def may(self, request: HttpRequest) -> bool:
        if issubclass(self.model, TenantOwned) and current_tenant() is None:
            return False
        return is_superuser(request) or permits(membership_of(request), self.needs)

    def has_module_permission(self, request: HttpRequest) -> bool:
        return self.may(request)

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self.may(request)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def revert_disabled(self, request: HttpRequest, obj: Any = None) -> bool:
        return True

    def history_form_view(
        self, request: HttpRequest, object_id: str, version_id: str, extra_context: Any = None
    ) -> HttpResponse:
        if request.method != "GET":
            raise PermissionDenied
        return super().history_form_view(request, object_id, version_id, extra_context)


class ReadOnlyAdmin(RoleAdmin):
    """Records that are looked at here and changed elsewhere, or never."""

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        raise PermissionDenied


class MutatorAdmin(RoleAdmin):
    """Records that change through mutators: `create()` makes one, `change_record()` changes one."""

    # The fields of the form that makes a record; the others cannot be set then.
    add_fields: ClassVar[tuple[str, ...]] = ()

    def has_add_permission(self, request: HttpRequest) -> bool:
        return bool(self.add_fields) and self.may(request)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return bool(self.model.CHANGEABLE) and self.may(request)

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        if obj is None:
            return self.add_fields
        shown = [
            field.name
            for field in self.model._meta.concrete_fields
            if field.name not in {"id", "tenant", "password", "secret_hash", "last_login"}
        ]
        return [*shown, *self.readonly_extras]

    readonly_extras: ClassVar[tuple[str, ...]] = ()

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        if obj is None:
            return ()
        changeable = self.changeable(request, obj)
        return [name for name in self.get_fields(request, obj) if name not in changeable]

    def changeable(self, request: HttpRequest, obj: Any) -> frozenset[str]:
        """Which columns this person may change of this record."""
        found: frozenset[str] = self.model.CHANGEABLE
        return found

    def create(self, form: Any, *, actor: Actor, at: Any, request: HttpRequest) -> Any:
        """Make the record that the form describes, by the model's factory."""
        raise PermissionDenied

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        by: dict[str, Any] = {"actor": actor_of_request(request), "at": timezone.now()}
        if change:
            record = self.model.lock(obj.pk)
            record.change(**{name: form.cleaned_data[name] for name in form.changed_data}, **by)
        else:
            record = self.create(form, request=request, **by)
        # The library goes on with the object that its form made; it shall be the stored one.
        obj.__dict__.update(record.__dict__)

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: Any = None,
    ) -> Any:
        try:
            return super().changeform_view(request, object_id, form_url, extra_context)
        except ValidationError as refused:
            # What only the mutator knows; the transaction was rolled back on the way here.
            self.message_user(request, " ".join(refused.messages), messages.ERROR)
            return HttpResponseRedirect(request.get_full_path())


def mutating(description: str, call: Callable[[Any, Actor, Any], None]) -> Action:
    """An action of the list that calls a mutator on each chosen record, all or none."""

    @admin.action(description=description)
    def act(self: RoleAdmin, request: HttpRequest, chosen: "models.QuerySet[Any]") -> None:
        if not self.may(request):
            raise PermissionDenied
        actor, at = actor_of_request(request), timezone.now()
        try:
            with transaction.atomic():
                for pk in list(chosen.values_list("pk", flat=True)):
                    call(self.model.lock(pk), actor, at)
        except ValidationError as refused:
            self.message_user(request, " ".join(refused.messages), messages.ERROR)
            return
        self.message_user(request, f"{description}: done.")

    return act
