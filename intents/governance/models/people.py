"""People, their roles, and who they are in each EHR."""

import uuid
from datetime import datetime
from typing import Any, Self

from django.contrib.auth.models import AbstractBaseUser, BaseUserManager, PermissionsMixin
from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import Q
from django.db.models.functions import Lower

from audit.actors import Actor
from audit.tags import AuditTag
from intents.governance.history import ActorRecords
from intents.governance.models.choices import ClinicalRole, Profession, Role, one_of
from intents.governance.models.connection import EhrConnection
from intents.governance.models.record import Governed
from intents.governance.models.tenant import Tenant
from intents.governance.tenancy import TenantOwned


class UserManager(BaseUserManager["User"]):
    """What Django's own commands call; the portal's doors use `User.add()`."""

    def create_user(self, email: str, password: str | None = None, **fields: Any) -> "User":
        if not email:
            raise ValueError("A person signs in by email address; it may not be empty.")
        user = self.model(email=self.normalize_email(email).lower(), **fields)
        user.set_password(password)
        user.save(using=self._db)
        return user

    def create_superuser(self, email: str, password: str | None = None, **fields: Any) -> "User":
        return self.create_user(email, password, is_staff=True, is_superuser=True, **fields)

    def get_by_natural_key(self, username: str | None) -> "User":
        return self.get(email=(username or "").lower())


class User(AbstractBaseUser, PermissionsMixin, Governed):
    """A person. Signs in by email address; what the person may do is said by `Membership`."""

    CHANGEABLE = frozenset({"email", "name", "title", "is_staff", "is_superuser"})

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    email = models.EmailField(unique=True)
    name = models.CharField(max_length=200)
    title = models.CharField(max_length=100, blank=True, default="")
    is_active = models.BooleanField(default=True)
    is_staff = models.BooleanField(default=False)
    created_at = models.DateTimeField(auto_now_add=True)

    objects = UserManager()
    # The sign-in library saves people itself; nobody stamped those saves.
    history = ActorRecords(anonymous=True, excluded_fields=["password", "last_login"])

    USERNAME_FIELD = "email"
    REQUIRED_FIELDS = ["name"]

    class Meta:
        verbose_name = "person"
        verbose_name_plural = "people"
        constraints = [
            models.UniqueConstraint(Lower("email"), name="user_email_case_insensitive"),
        ]

    def __str__(self) -> str:
        return self.name or self.email

    def get_full_name(self) -> str:
        return self.name

    def get_short_name(self) -> str:
        return self.name

    def save(self, *args: Any, **kwargs: Any) -> None:
        # A sign-in saves `last_login`; neither that nor the password's hash belongs in history.
        fields = kwargs.get("update_fields")
        if fields is not None and set(fields) <= {"last_login", "password"}:
            self.skip_history_when_saving = True
        try:
            super().save(*args, **kwargs)
        finally:
            self.__dict__.pop("skip_history_when_saving", None)

    # --- factories and mutators ------------------------------------------------------------------

    @classmethod
    def add(
        cls,
        *,
        email: str,
        name: str,
        actor: Actor,
        at: datetime,
        password: str | None = None,
        **columns: object,
    ) -> Self:
        """A new account. Without a password the person signs in by a one-time link first."""
        address = email.strip().lower()
        if cls.objects.filter(email=address).exists():
            raise ValidationError({"email": "There is an account with this address already."})
        user = cls(email=address, name=name)
        user.set_columns(columns)
        user.set_password(password)
        user.keep(tag=AuditTag.GOVERNANCE_PERSON_ADDED, actor=actor, at=at)
        return user

    def change(self, *, actor: Actor, at: datetime, reason: str = "", **columns: object) -> None:
        if "email" in columns:
            columns["email"] = str(columns["email"]).strip().lower()
        changed = self.set_columns(columns)
        if changed:
            self.keep(
                tag=AuditTag.GOVERNANCE_PERSON_CHANGED,
                actor=actor,
                at=at,
                reason=reason,
                changed=changed,
            )

    def deactivate(self, *, actor: Actor, at: datetime, reason: str = "") -> None:
        """Close the account. People are never deleted: their decisions stay theirs."""
        if self.is_active:
            self.is_active = False
            self.keep(tag=AuditTag.GOVERNANCE_PERSON_DEACTIVATED, actor=actor, at=at, reason=reason)

    def reactivate(self, *, actor: Actor, at: datetime, reason: str = "") -> None:
        if not self.is_active:
            self.is_active = True
            self.keep(tag=AuditTag.GOVERNANCE_PERSON_REACTIVATED, actor=actor, at=at, reason=reason)


class Membership(TenantOwned, Governed):
    """One person's role in one tenant."""

    CHANGEABLE = frozenset({"role", "clinical_role", "profession", "clinical_lead"})

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    user = models.ForeignKey(User, on_delete=models.PROTECT, related_name="memberships")
    role = models.CharField(max_length=20, choices=Role.choices)
    clinical_role = models.CharField(
        max_length=20, choices=ClinicalRole.choices, default=ClinicalRole.NONE
    )
    profession = models.CharField(
        max_length=20, choices=Profession.choices, default=Profession.OTHER
    )
    # Settles what two second checks disagree about.
    clinical_lead = models.BooleanField(default=False)
    is_active = models.BooleanField(default=True)
    created_at = models.DateTimeField(auto_now_add=True)

    history = ActorRecords()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["tenant", "user"], name="membership_one_per_tenant"),
            one_of("role", Role, "membership_role_known"),
            one_of("clinical_role", ClinicalRole, "membership_clinical_role_known"),
            one_of("profession", Profession, "membership_profession_known"),
        ]

    def __str__(self) -> str:
        return f"{self.user} ({self.get_role_display()})"

    @classmethod
    def grant(
        cls,
        *,
        tenant: Tenant,
        user: User,
        role: str,
        actor: Actor,
        at: datetime,
        reason: str = "",
        **columns: object,
    ) -> Self:
        """Give a person a role; one that had ended is given again."""
        membership = cls.unscoped.filter(tenant=tenant, user=user).first() or cls(
            tenant=tenant, user=user
        )
        membership.is_active = True
        membership.set_columns({"role": role, **columns})
        membership.keep(
            tag=AuditTag.GOVERNANCE_MEMBERSHIP_GRANTED,
            actor=actor,
            at=at,
            reason=reason,
            role=membership.role,
            clinical_role=membership.clinical_role,
        )
        return membership

    def change(self, *, actor: Actor, at: datetime, reason: str = "", **columns: object) -> None:
        changed = self.set_columns(columns)
        if changed:
            self.keep(
                tag=AuditTag.GOVERNANCE_MEMBERSHIP_CHANGED,
                actor=actor,
                at=at,
                reason=reason,
                changed=changed,
                role=self.role,
                clinical_role=self.clinical_role,
            )

    def end(self, *, actor: Actor, at: datetime, reason: str = "") -> None:
        if self.is_active:
            self.is_active = False
            self.keep(tag=AuditTag.GOVERNANCE_MEMBERSHIP_ENDED, actor=actor, at=at, reason=reason)

    def check_sense(self) -> None:
        if self.clinical_lead and self.clinical_role not in {
            ClinicalRole.PRESCRIBER,
            ClinicalRole.LICENSED,
        }:
            raise ValidationError({"clinical_lead": "A clinical lead is a clinician."})


class EhrIdentity(TenantOwned, Governed):
    """Who a person is in one EHR. Only a verified identity may author what is written there."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    user = models.ForeignKey(User, on_delete=models.PROTECT, related_name="ehr_identities")
    connection = models.ForeignKey(EhrConnection, on_delete=models.PROTECT, related_name="+")
    practitioner_ref = models.CharField(max_length=200)
    ehr_user = models.CharField(max_length=200, blank=True, default="")
    verified_by = models.CharField(max_length=200)
    verified_at = models.DateTimeField()
    revoked_at = models.DateTimeField(null=True, blank=True)

    history = ActorRecords()

    class Meta:
        verbose_name = "EHR identity"
        verbose_name_plural = "EHR identities"
        constraints = [
            models.UniqueConstraint(
                fields=["connection", "user"],
                condition=Q(revoked_at__isnull=True),
                name="ehr_identity_one_per_person",
            ),
            models.UniqueConstraint(
                fields=["connection", "practitioner_ref"],
                condition=Q(revoked_at__isnull=True),
                name="ehr_identity_one_per_practitioner",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.user} in {self.connection}"

    @classmethod
    def link(
        cls,
        *,
        user: User,
        connection: EhrConnection,
        practitioner_ref: str,
        actor: Actor,
        at: datetime,
        ehr_user: str = "",
        verified_by: str = "",
    ) -> Self:
        """State that this person is that practitioner. `verified_by` defaults to the actor."""
        taken = cls.unscoped.filter(connection=connection, revoked_at__isnull=True)
        if taken.filter(user=user).exists():
            raise ValidationError({"user": "This person is linked to the EHR already."})
        if taken.filter(practitioner_ref=practitioner_ref).exists():
            raise ValidationError(
                {"practitioner_ref": "Another person is linked to this practitioner."}
            )
        identity = cls(
            tenant_id=connection.tenant_id,
            user=user,
            connection=connection,
            practitioner_ref=practitioner_ref,
            ehr_user=ehr_user,
            verified_by=verified_by or actor.name,
            verified_at=at,
        )
        identity.keep(tag=AuditTag.GOVERNANCE_PERSON_LINKED, actor=actor, at=at)
        return identity

    def unlink(self, *, actor: Actor, at: datetime, reason: str = "") -> None:
        if self.revoked_at is None:
            self.revoked_at = at
            self.keep(tag=AuditTag.GOVERNANCE_PERSON_UNLINKED, actor=actor, at=at, reason=reason)
