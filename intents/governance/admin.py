"""The administration of who may ask for what. Every save goes through a mutator that audits."""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db import models, transaction
from django.http import HttpRequest
from django.utils import timezone

from audit.actors import Actor
from intents.governance.administering import (
    MutatorAdmin,
    actor_of_request,
    is_superuser,
    membership_of,
    mutating,
    tenant_of_request,
)
from intents.governance.first_sign_in import sign_in_link
from intents.governance.middleware import TENANT_KEY
from intents.governance.models import (
    Agent,
    AgentCredential,
    AgentRelease,
    ConsentDirective,
    CredentialMethod,
    EhrIdentity,
    Membership,
    ScopeGrant,
    Tenant,
    User,
)
from intents.governance.opening import open_workspace
from intents.governance.roles import may_administer
from intents.governance.tenancy import current_tenant

# --- workspaces and people ---------------------------------------------------------------------------


@admin.register(Tenant)
class TenantAdmin(MutatorAdmin):
    list_display = ("name", "is_active", "write_back_enabled", "autonomy_enabled", "time_zone")
    add_fields = ("name", "time_zone")
    actions = ("work_here",)

    def get_queryset(self, request: HttpRequest) -> "models.QuerySet[Tenant]":
        rows = super().get_queryset(request)
        return rows if is_superuser(request) else rows.filter(pk=current_tenant())

    def has_add_permission(self, request: HttpRequest) -> bool:
        return is_superuser(request)

    def changeable(self, request: HttpRequest, obj: Any) -> frozenset[str]:
        # Closing a workspace and letting rules approve by themselves is for the installation.
        own = frozenset({"is_active", "autonomy_enabled", "name"})
        return Tenant.CHANGEABLE if is_superuser(request) else Tenant.CHANGEABLE - own

    def create(self, form: Any, *, actor: Actor, at: Any, request: HttpRequest) -> Tenant:
        return open_workspace(
            name=form.cleaned_data["name"],
            time_zone=form.cleaned_data["time_zone"],
            actor=actor,
            at=at,
        )

    @admin.action(description="Work in this workspace")
    def work_here(self, request: HttpRequest, chosen: "models.QuerySet[Tenant]") -> None:
        if not is_superuser(request):
            raise PermissionDenied
        tenant = chosen.first()
        if tenant is not None:
            request.session[TENANT_KEY] = str(tenant.pk)
            self.message_user(request, f"You now administer {tenant.name}.")


@admin.register(User)
class UserAdmin(MutatorAdmin):
    list_display = ("name", "email", "is_active", "is_staff", "is_superuser")
    search_fields = ("name", "email")
    add_fields = ("email", "name", "title")
    actions = ("make_sign_in_link", "deactivate", "reactivate")

    def may(self, request: HttpRequest) -> bool:
        return is_superuser(request) or may_administer(membership_of(request))

    def get_queryset(self, request: HttpRequest) -> "models.QuerySet[User]":
        rows = super().get_queryset(request)
        if is_superuser(request):
            return rows
        return rows.filter(
            pk__in=Membership.objects.values("user")  # of this workspace, by its context
        )

    def changeable(self, request: HttpRequest, obj: Any) -> frozenset[str]:
        if is_superuser(request):
            return User.CHANGEABLE
        if not self.is_theirs(obj):
            return frozenset()
        return frozenset({"name", "title"})

    def is_theirs(self, user: User) -> bool:
        """True if the person works in no other workspace and administers no installation."""
        return not user.is_superuser and not (
            Membership.unscoped.filter(user=user).exclude(tenant_id=current_tenant()).exists()
        )

    def create(self, form: Any, *, actor: Actor, at: Any, request: HttpRequest) -> User:
        data = form.cleaned_data
        return User.add(
            email=data["email"], name=data["name"], title=data["title"], actor=actor, at=at
        )

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        if obj is None:
            return self.add_fields
        return ("email", "name", "title", "is_active", "is_staff", "is_superuser", "created_at")

    @admin.action(description="Make a one-time sign-in link for a new person")
    def make_sign_in_link(self, request: HttpRequest, chosen: "models.QuerySet[User]") -> None:
        for user in chosen:
            if user.has_usable_password():
                self.message_user(request, f"{user} signs in already.", messages.WARNING)
            else:
                self.message_user(request, f"{user}: {sign_in_link(user)}")

    @admin.action(description="Close the account")
    def deactivate(self, request: HttpRequest, chosen: "models.QuerySet[User]") -> None:
        self._each(request, chosen, "deactivate")

    @admin.action(description="Open a closed account again")
    def reactivate(self, request: HttpRequest, chosen: "models.QuerySet[User]") -> None:
        self._each(request, chosen, "reactivate")

    def _each(self, request: HttpRequest, chosen: "models.QuerySet[User]", mutator: str) -> None:
        actor, at = actor_of_request(request), timezone.now()
        with transaction.atomic():
            for pk in list(chosen.values_list("pk", flat=True)):
                user = User.lock(pk)
                if not (is_superuser(request) or self.is_theirs(user)):
                    self.message_user(
                        request,
                        f"{user} also works elsewhere: end the membership instead.",
                        messages.ERROR,
                    )
                    continue
                getattr(user, mutator)(actor=actor, at=at)


class MembershipForm(forms.ModelForm):
    """People are named by their address: a list would show who works in other workspaces."""

    email = forms.EmailField(required=False, help_text="The address that the person signs in with.")

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        if self.instance._state.adding:
            data["user"] = User.objects.filter(email=(data.get("email") or "").lower()).first()
            if data["user"] is None:
                self.add_error("email", "There is no person with this address; add them first.")
        return data


@admin.register(Membership)
class MembershipAdmin(MutatorAdmin):
    form = MembershipForm
    list_display = ("user", "role", "clinical_role", "profession", "clinical_lead", "is_active")
    list_select_related = ("user",)
    add_fields = ("email", "role", "clinical_role", "profession", "clinical_lead")
    actions = ("end",)

    def create(self, form: Any, *, actor: Actor, at: Any, request: HttpRequest) -> Membership:
        data = form.cleaned_data
        return Membership.grant(
            tenant=tenant_of_request(),
            user=data["user"],
            role=data["role"],
            clinical_role=data["clinical_role"],
            profession=data["profession"],
            clinical_lead=data["clinical_lead"],
            actor=actor,
            at=at,
        )

    end = mutating("End the membership", lambda row, actor, at: row.end(actor=actor, at=at))


def members() -> "models.QuerySet[User]":
    """The people of the workspace in force."""
    return User.objects.filter(pk__in=Membership.objects.values("user")).order_by("name")


@admin.register(EhrIdentity)
class EhrIdentityAdmin(MutatorAdmin):
    list_display = ("user", "connection", "practitioner_ref", "verified_by", "revoked_at")
    list_select_related = ("user", "connection")
    add_fields = ("user", "connection", "practitioner_ref", "ehr_user")
    actions = ("unlink",)

    def formfield_for_foreignkey(self, db_field: Any, request: Any, **kwargs: Any) -> Any:
        if db_field.name == "user":
            kwargs["queryset"] = members()
        return super().formfield_for_foreignkey(db_field, request, **kwargs)

    def create(self, form: Any, *, actor: Actor, at: Any, request: HttpRequest) -> EhrIdentity:
        data = form.cleaned_data
        return EhrIdentity.link(
            user=data["user"],
            connection=data["connection"],
            practitioner_ref=data["practitioner_ref"],
            ehr_user=data["ehr_user"],
            actor=actor,
            at=at,
        )

    unlink = mutating("End the link", lambda row, actor, at: row.unlink(actor=actor, at=at))


# --- agents ------------------------------------------------------------------------------------------


@admin.register(Agent)
class AgentAdmin(MutatorAdmin):
    list_display = ("name", "enabled", "lane_ceiling", "owner")
    list_select_related = ("owner",)
    add_fields = ("name", "owner", "lane_ceiling")
    actions = ("suspend", "resume")

    def formfield_for_foreignkey(self, db_field: Any, request: Any, **kwargs: Any) -> Any:
        if db_field.name == "owner":
            kwargs["queryset"] = members()
        return super().formfield_for_foreignkey(db_field, request, **kwargs)

    def create(self, form: Any, *, actor: Actor, at: Any, request: HttpRequest) -> Agent:
        data = form.cleaned_data
        return Agent.admit(
            tenant=tenant_of_request(),
            name=data["name"],
            owner=data["owner"],
            lane_ceiling=data["lane_ceiling"],
            actor=actor,
            at=at,
        )

    suspend = mutating("Suspend", lambda row, actor, at: row.suspend(actor=actor, at=at))
    resume = mutating("Admit again", lambda row, actor, at: row.resume(actor=actor, at=at))


@admin.register(AgentRelease)
class AgentReleaseAdmin(MutatorAdmin):
    list_display = (
        "agent",
        "version",
        "model_name",
        "model_version",
        "approved_by",
        "active_until",
    )
    list_select_related = ("agent",)
    add_fields = ("agent", "version", "model_name", "model_version", "prompt_hash")
    actions = ("end",)

    def create(self, form: Any, *, actor: Actor, at: Any, request: HttpRequest) -> AgentRelease:
        return AgentRelease.approve(
            **{name: form.cleaned_data[name] for name in self.add_fields}, actor=actor, at=at
        )

    end = mutating("End the release", lambda row, actor, at: row.end(actor=actor, at=at))


@admin.register(AgentCredential)
class AgentCredentialAdmin(MutatorAdmin):
    list_display = ("agent", "lane", "method", "alg", "expires_at", "revoked_at")
    list_select_related = ("agent",)
    add_fields = ("agent", "lane", "method", "alg", "public_key", "expires_at")
    actions = ("revoke",)

    def create(self, form: Any, *, actor: Actor, at: Any, request: HttpRequest) -> AgentCredential:
        data = form.cleaned_data
        common: dict[str, Any] = {
            "agent": data["agent"],
            "lane": data["lane"],
            "expires_at": data["expires_at"],
            "actor": actor,
            "at": at,
        }
        if data["method"] == CredentialMethod.PRIVATE_KEY_JWT:
            return AgentCredential.issue_key(
                public_key=data["public_key"], alg=data["alg"], **common
            )
        credential, secret = AgentCredential.issue_secret(**common)
        self.message_user(request, f"The secret, shown this once: {secret}", messages.WARNING)
        return credential

    revoke = mutating("Revoke", lambda row, actor, at: row.revoke(actor=actor, at=at))


@admin.register(ScopeGrant)
class ScopeGrantAdmin(MutatorAdmin):
    list_display = ("agent", "connection", "scope", "lane", "purpose", "active_until")
    list_select_related = ("agent", "connection")
    add_fields = (
        "agent",
        "connection",
        "scope",
        "lane",
        "fields",
        "resource_states",
        "context_limits",
        "purpose",
        "active_until",
    )
    actions = ("revoke",)

    def create(self, form: Any, *, actor: Actor, at: Any, request: HttpRequest) -> ScopeGrant:
        return ScopeGrant.grant(
            **{name: form.cleaned_data[name] for name in self.add_fields}, actor=actor, at=at
        )

    revoke = mutating("Take away", lambda row, actor, at: row.revoke(actor=actor, at=at))


# --- patients' word ----------------------------------------------------------------------------------


@admin.register(ConsentDirective)
class ConsentDirectiveAdmin(MutatorAdmin):
    list_display = (
        "connection",
        "patient_ref",
        "decision",
        "source",
        "active_from",
        "active_until",
    )
    list_select_related = ("connection",)
    search_fields = ("patient_ref",)
    add_fields = (
        "connection",
        "patient_ref",
        "decision",
        "purposes",
        "actions",
        "source",
        "active_from",
        "active_until",
    )
    actions = ("end",)

    def create(self, form: Any, *, actor: Actor, at: Any, request: HttpRequest) -> ConsentDirective:
        return ConsentDirective.enter(
            **{name: form.cleaned_data[name] for name in self.add_fields}, actor=actor, at=at
        )

    end = mutating("End the directive", lambda row, actor, at: row.end(actor=actor, at=at))
