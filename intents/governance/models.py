"""Who may ask for what, and who may decide: people, tenants, connections, agents and their grants.

Every record has history and changes only through its mutators, which write history and audit in the
caller's transaction. People and programs are deactivated, never deleted.
"""

import uuid
from typing import Any

from django.contrib.auth.models import AbstractBaseUser, BaseUserManager, PermissionsMixin
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Lower

from intents.governance.history import ActorRecords
from intents.governance.tenancy import TenantOwned


class LaneCeiling(models.TextChoices):
    """The values of `lifecycle.Lane`, ordered: how far an agent may go."""

    DRAFT = "draft"
    SUGGEST = "suggest"
    COMMIT = "commit"


class Environment(models.TextChoices):
    SANDBOX = "SANDBOX"
    TEST = "TEST"
    LIVE = "LIVE"


class Rollout(models.TextChoices):
    SHADOW = "SHADOW"
    TEST_PATIENTS = "TEST_PATIENTS"
    CANARY = "CANARY"
    LIVE = "LIVE"


class Role(models.TextChoices):
    """What a person does here. What each role permits: `roles.PERMISSIONS`."""

    REVIEWER = "REVIEWER"
    COMPLIANCE = "COMPLIANCE"
    OPERATOR = "OPERATOR"
    ADMIN = "ADMIN"
    AUDITOR = "AUDITOR"
    SUPPORT = "SUPPORT"


class ClinicalRole(models.TextChoices):
    """What a reviewer may decide about: `roles.DECIDERS`."""

    PRESCRIBER = "PRESCRIBER"
    LICENSED = "LICENSED"
    ASSISTANT = "ASSISTANT"
    REGISTRATION = "REGISTRATION"
    NONE = "NONE"


class Profession(models.TextChoices):
    """Told apart only where a rule needs it: a pharmacist may give a second check on drugs."""

    PHYSICIAN = "PHYSICIAN"
    NURSE = "NURSE"
    PHARMACIST = "PHARMACIST"
    OTHER = "OTHER"


class CredentialMethod(models.TextChoices):
    """How a program proves who it is (the names of the OAuth registry)."""

    PRIVATE_KEY_JWT = "private_key_jwt"
    CLIENT_SECRET_BASIC = "client_secret_basic"  # noqa: S105 - the name of a method


class ConsentDecision(models.TextChoices):
    PERMIT = "PERMIT"
    DENY = "DENY"


class SwitchTarget(models.TextChoices):
    DEPLOYMENT = "DEPLOYMENT"
    TENANT = "TENANT"
    CONNECTION = "CONNECTION"
    AGENT = "AGENT"
    KIND = "KIND"


def _one_of(field: str, choices: type[models.TextChoices], name: str) -> models.CheckConstraint:
    return models.CheckConstraint(condition=Q(**{f"{field}__in": choices.values}), name=name)


class UserManager(BaseUserManager["User"]):
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


class User(AbstractBaseUser, PermissionsMixin):
    """A person. Signs in by email address; what the person may do is said by `Membership`."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    email = models.EmailField(unique=True)
    name = models.CharField(max_length=200)
    title = models.CharField(max_length=100, blank=True, default="")
    is_active = models.BooleanField(default=True)
    is_staff = models.BooleanField(default=False)
    # Single-key shortcuts can be turned off (WCAG 2.1.4); a preference, so not in history.
    single_keys = models.BooleanField(default=True)
    created_at = models.DateTimeField(auto_now_add=True)

    objects = UserManager()
    # A sign-in saves `last_login`; neither that nor the password's hash belongs in history.
    history = ActorRecords(
        anonymous=True, excluded_fields=["password", "last_login", "single_keys"]
    )

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
        fields = kwargs.get("update_fields")
        if fields is not None and set(fields) <= {"last_login", "password", "single_keys"}:
            self.skip_history_when_saving = True
        try:
            super().save(*args, **kwargs)
        finally:
            self.__dict__.pop("skip_history_when_saving", None)


class Tenant(models.Model):
    """The covered entity's workspace. Nothing crosses its border."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.CharField(max_length=200, unique=True)
    is_active = models.BooleanField(default=True)
    write_back_enabled = models.BooleanField(default=True)
    autonomy_enabled = models.BooleanField(default=False)
    # private_key_jwt is the rule; a shared secret only where this says so.
    client_secret_allowed = models.BooleanField(default=False)
    time_zone = models.CharField(max_length=64, default="UTC")
    # An approved change waits this long before it is sent, so that it can be undone.
    undo_seconds = models.PositiveIntegerField(default=10)
    message_undo_seconds = models.PositiveIntegerField(default=60)
    # An upper bound over the expiry per kind.
    approval_window_hours = models.PositiveIntegerField(default=24)
    audit_retention_years = models.PositiveIntegerField(default=10)
    draft_retention_days = models.PositiveIntegerField(default=365)
    created_at = models.DateTimeField(auto_now_add=True)

    history = ActorRecords()

    def __str__(self) -> str:
        return self.name


class EhrConnection(TenantOwned):
    """One tenant's endpoint of one EHR. `name` is what agents and people call it."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.SlugField(max_length=60)
    title = models.CharField(max_length=120, blank=True, default="")
    kind = models.CharField(max_length=40)
    base_url = models.URLField(max_length=500)
    token_url = models.URLField(max_length=500, blank=True, default="")
    client_id = models.CharField(max_length=200, blank=True, default="")
    alg = models.CharField(max_length=10, default="ES384")
    # The name of a key file in KEY_DIR; never a secret.
    credential_ref = models.CharField(max_length=120, blank=True, default="")
    environment = models.CharField(
        max_length=10, choices=Environment.choices, default=Environment.SANDBOX
    )
    rollout = models.CharField(max_length=20, choices=Rollout.choices, default=Rollout.LIVE)
    settings = models.JSONField(default=dict, blank=True)
    time_zone = models.CharField(max_length=64, default="UTC")
    # Configuration, not the switch: `KillSwitch` stops writing in an emergency.
    write_back_enabled = models.BooleanField(default=True)
    connect_timeout_seconds = models.FloatField(default=5.0)
    read_timeout_seconds = models.FloatField(default=15.0)
    # Absence proves nothing before the sum of these has passed: token life, the EHR's own
    # processing, and how late its index shows what it holds.
    token_life_seconds = models.PositiveIntegerField(default=300)
    processing_bound_seconds = models.PositiveIntegerField(default=300)
    index_lag_seconds = models.PositiveIntegerField(default=900)
    staged_patience_days = models.PositiveIntegerField(default=14)
    # What the last probe found, with its evidence; empty until the first probe.
    capabilities = models.JSONField(default=dict, blank=True)
    probed_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    # Probes come every hour; their answer is kept, not each answer's history.
    history = ActorRecords(excluded_fields=["capabilities", "probed_at"])

    class Meta:
        verbose_name = "connection"
        constraints = [
            models.UniqueConstraint(fields=["tenant", "name"], name="connection_name_per_tenant"),
            _one_of("environment", Environment, "connection_environment_known"),
            _one_of("rollout", Rollout, "connection_rollout_known"),
        ]

    def __str__(self) -> str:
        return self.title or self.name

    @property
    def quarantine_seconds(self) -> int:
        """How long absence proves nothing after an attempt."""
        return self.token_life_seconds + self.processing_bound_seconds + self.index_lag_seconds


class Membership(TenantOwned):
    """One person's role in one tenant."""

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
            _one_of("role", Role, "membership_role_known"),
            _one_of("clinical_role", ClinicalRole, "membership_clinical_role_known"),
            _one_of("profession", Profession, "membership_profession_known"),
        ]

    def __str__(self) -> str:
        return f"{self.user} ({self.get_role_display()})"


class EhrIdentity(TenantOwned):
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


class Agent(TenantOwned):
    """A program that proposes. It has an owner who answers for it, and a ceiling."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.CharField(max_length=120)
    owner = models.ForeignKey(
        User, on_delete=models.PROTECT, null=True, blank=True, related_name="agents"
    )
    enabled = models.BooleanField(default=True)
    lane_ceiling = models.CharField(
        max_length=10, choices=LaneCeiling.choices, default=LaneCeiling.SUGGEST
    )
    created_at = models.DateTimeField(auto_now_add=True)

    history = ActorRecords()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["tenant", "name"], name="agent_name_per_tenant"),
            _one_of("lane_ceiling", LaneCeiling, "agent_lane_ceiling_known"),
        ]

    def __str__(self) -> str:
        return self.name


class AgentRelease(TenantOwned):
    """One approved combination of program version, model and prompt."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    agent = models.ForeignKey(Agent, on_delete=models.PROTECT, related_name="releases")
    version = models.CharField(max_length=60)
    model_name = models.CharField(max_length=120)
    model_version = models.CharField(max_length=120)
    prompt_hash = models.CharField(max_length=100, blank=True, default="")
    approved_by = models.CharField(max_length=200)
    active_from = models.DateTimeField()
    active_until = models.DateTimeField(null=True, blank=True)

    history = ActorRecords()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["agent", "version"], name="release_version_per_agent"),
        ]

    def __str__(self) -> str:
        return f"{self.agent} {self.version}"


class AgentCredential(TenantOwned):
    """One way in for one agent, into exactly one lane.

    The sign-in library's `Client` with the same id only carries the tokens; whether the credential
    is good is asked here, at every request.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    agent = models.ForeignKey(Agent, on_delete=models.PROTECT, related_name="credentials")
    lane = models.CharField(max_length=10, choices=LaneCeiling.choices)
    method = models.CharField(
        max_length=30, choices=CredentialMethod.choices, default=CredentialMethod.PRIVATE_KEY_JWT
    )
    alg = models.CharField(max_length=10, blank=True, default="ES384")
    public_key = models.TextField(blank=True, default="")
    secret_hash = models.CharField(max_length=200, blank=True, default="")
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField()
    revoked_at = models.DateTimeField(null=True, blank=True)

    history = ActorRecords(excluded_fields=["secret_hash"])

    class Meta:
        constraints = [
            _one_of("lane", LaneCeiling, "credential_lane_known"),
            models.CheckConstraint(
                condition=(
                    Q(method="private_key_jwt", secret_hash="") & ~Q(public_key="")
                    | Q(method="client_secret_basic", public_key="") & ~Q(secret_hash="")
                ),
                name="credential_key_or_secret",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.agent}, {self.lane}"


class ScopeGrant(TenantOwned):
    """What an agent may ask for on one connection, up to which lane. Looked up live, every time."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    agent = models.ForeignKey(Agent, on_delete=models.PROTECT, related_name="grants")
    connection = models.ForeignKey(EhrConnection, on_delete=models.PROTECT, related_name="grants")
    # SMART App Launch 2.2 section on scopes: system/DocumentReference.c
    scope = models.CharField(max_length=200)
    lane = models.CharField(max_length=10, choices=LaneCeiling.choices, default=LaneCeiling.SUGGEST)
    # Empty list: every field or state of the kind.
    fields = models.JSONField(default=list, blank=True)
    resource_states = models.JSONField(default=list, blank=True)
    # {"encounter_required": true} is the only limit known today; an unknown one refuses.
    context_limits = models.JSONField(default=dict, blank=True)
    purpose = models.CharField(max_length=20, default="TREAT")
    active_from = models.DateTimeField()
    active_until = models.DateTimeField(null=True, blank=True)

    history = ActorRecords()

    class Meta:
        constraints = [
            _one_of("lane", LaneCeiling, "grant_lane_known"),
            models.CheckConstraint(
                condition=Q(active_until__isnull=True) | Q(active_until__gte=F("active_from")),
                name="grant_interval_forward",
            ),
        ]
        indexes = [models.Index(fields=["agent", "connection"])]

    def __str__(self) -> str:
        return f"{self.scope} for {self.agent}"


class ConsentDirective(TenantOwned):
    """What a patient permits or denies, for a purpose, for a time."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    connection = models.ForeignKey(EhrConnection, on_delete=models.PROTECT, related_name="+")
    patient_ref = models.CharField(max_length=200)
    decision = models.CharField(max_length=10, choices=ConsentDecision.choices)
    # Empty list: every purpose (HL7 PurposeOfUse codes) or every action (kind, or kind:interaction).
    purposes = models.JSONField(default=list, blank=True)
    actions = models.JSONField(default=list, blank=True)
    source = models.CharField(max_length=200)
    active_from = models.DateTimeField()
    active_until = models.DateTimeField(null=True, blank=True)

    history = ActorRecords()

    class Meta:
        constraints = [
            _one_of("decision", ConsentDecision, "consent_decision_known"),
            models.CheckConstraint(
                condition=Q(active_until__isnull=True) | Q(active_until__gte=F("active_from")),
                name="consent_interval_forward",
            ),
        ]
        indexes = [models.Index(fields=["connection", "patient_ref"])]

    def __str__(self) -> str:
        return f"{self.get_decision_display()} ({self.source})"


class PolicyVersion(models.Model):
    """One version of the rules, of one tenant or of all. Its content never changes."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    tenant = models.ForeignKey(
        Tenant, on_delete=models.PROTECT, null=True, blank=True, related_name="policies"
    )
    version = models.PositiveIntegerField()
    content = models.TextField()
    content_hash = models.CharField(max_length=64)
    # The Cedar schema the content was checked against, and the decision tables shipped with it.
    schema = models.TextField()
    tests = models.JSONField(default=list, blank=True)
    proposed_by = models.CharField(max_length=200)
    approved_by = models.CharField(max_length=200)
    active_from = models.DateTimeField()
    active_until = models.DateTimeField(null=True, blank=True)

    history = ActorRecords()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["tenant", "version"], name="policy_version_per_tenant"),
            models.UniqueConstraint(
                fields=["version"],
                condition=Q(tenant__isnull=True),
                name="policy_version_of_all",
            ),
        ]

    def __str__(self) -> str:
        return f"policy {self.version}"


class KillSwitch(models.Model):
    """Stops writing, not reading. One person engages it; two different people release it."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    target = models.CharField(max_length=12, choices=SwitchTarget.choices)
    # Empty for the deployment; for a kind of change, empty means every tenant.
    tenant = models.ForeignKey(
        Tenant, on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )
    connection = models.ForeignKey(
        EhrConnection, on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )
    agent = models.ForeignKey(
        Agent, on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )
    change_kind = models.CharField(max_length=40, blank=True, default="")
    reason = models.TextField()
    engaged_by = models.CharField(max_length=200)
    engaged_at = models.DateTimeField()
    release_asked_by = models.ForeignKey(
        User, on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )
    release_asked_at = models.DateTimeField(null=True, blank=True)
    released_by = models.ForeignKey(
        User, on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )
    released_at = models.DateTimeField(null=True, blank=True)

    history = ActorRecords()

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=(
                    Q(released_by__isnull=True, released_at__isnull=True)
                    | (
                        Q(
                            released_by__isnull=False,
                            released_at__isnull=False,
                            release_asked_by__isnull=False,
                            release_asked_at__isnull=False,
                        )
                        & ~Q(released_by=F("release_asked_by"))
                    )
                ),
                name="kill_switch_two_people_release",
            ),
            models.CheckConstraint(
                condition=(
                    Q(
                        target="DEPLOYMENT",
                        tenant__isnull=True,
                        connection__isnull=True,
                        agent__isnull=True,
                        change_kind="",
                    )
                    | Q(
                        target="TENANT",
                        tenant__isnull=False,
                        connection__isnull=True,
                        agent__isnull=True,
                        change_kind="",
                    )
                    | Q(
                        target="CONNECTION",
                        tenant__isnull=False,
                        connection__isnull=False,
                        agent__isnull=True,
                        change_kind="",
                    )
                    | Q(
                        target="AGENT",
                        tenant__isnull=False,
                        connection__isnull=True,
                        agent__isnull=False,
                        change_kind="",
                    )
                    | (
                        Q(target="KIND", connection__isnull=True, agent__isnull=True)
                        & ~Q(change_kind="")
                    )
                ),
                name="kill_switch_names_its_target",
            ),
        ]
        indexes = [models.Index(fields=["released_at"])]

    def __str__(self) -> str:
        return f"{self.get_target_display()} stopped at {self.engaged_at:%Y-%m-%d %H:%M}"

    @property
    def is_engaged(self) -> bool:
        return self.released_at is None


class DataKey(TenantOwned):
    """The key of one patient's clinical columns, wrapped by the tenant's key (`encryption.py`).

    Destroying the wrapped key makes every column sealed with it unreadable for good.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    patient_token = models.CharField(max_length=64)
    ring_key = models.CharField(max_length=40)
    wrapped = models.TextField()
    created_at = models.DateTimeField(auto_now_add=True)
    destroyed_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["tenant", "patient_token"], name="data_key_one_per_patient"
            ),
        ]


class UsedAssertion(models.Model):
    """A client assertion's `jti`, kept until it would have expired anyway: each is used once."""

    id = models.BigAutoField(primary_key=True)
    credential = models.ForeignKey(AgentCredential, on_delete=models.CASCADE, related_name="+")
    jti_hash = models.CharField(max_length=64)
    expires_at = models.DateTimeField(db_index=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["credential", "jti_hash"], name="assertion_used_once"),
        ]
