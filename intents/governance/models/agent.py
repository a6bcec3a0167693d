"""Programs that propose: what they are, how they prove it, and what they may ask for."""

import secrets
import uuid
from collections.abc import Iterable
from datetime import datetime
from typing import Any, Self

from allauth.idp.oidc.models import Client, Token
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from django.contrib.auth.hashers import make_password
from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import F, Q

from audit.actors import Actor, ActorKind
from audit.tags import AuditTag
from intents.governance import scopes
from intents.governance.history import ActorRecords
from intents.governance.models.choices import CredentialMethod, LaneCeiling, one_of
from intents.governance.models.connection import EhrConnection
from intents.governance.models.people import User
from intents.governance.models.record import Governed
from intents.governance.models.tenant import Tenant
from intents.governance.tenancy import TenantOwned

# RFC 7518, section 3.1; SMART App Launch 2.2 asks for these two.
ALGORITHMS = ("ES384", "RS384")


class Agent(TenantOwned, Governed):
    """A program that proposes. It has an owner who answers for it, and a ceiling."""

    CHANGEABLE = frozenset({"name", "owner", "lane_ceiling"})

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
            one_of("lane_ceiling", LaneCeiling, "agent_lane_ceiling_known"),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def actor(self) -> Actor:
        """This agent as the actor of an event, on behalf of its owner."""
        return Actor(
            kind=ActorKind.AGENT,
            id=str(self.pk),
            name=self.name,
            on_behalf_of=str(self.owner_id or ""),
        )

    # --- factories and mutators ------------------------------------------------------------------

    @classmethod
    def admit(
        cls,
        *,
        tenant: Tenant,
        name: str,
        actor: Actor,
        at: datetime,
        lane_ceiling: str = LaneCeiling.SUGGEST,
        owner: User | None = None,
    ) -> Self:
        """A new agent. It can do nothing before it has a credential and a grant."""
        if cls.unscoped.filter(tenant=tenant, name=name).exists():
            raise ValidationError({"name": "There is an agent of this name already."})
        agent = cls(tenant=tenant, name=name, owner=owner, lane_ceiling=lane_ceiling)
        agent.keep(
            tag=AuditTag.GOVERNANCE_AGENT_ADDED, actor=actor, at=at, lane_ceiling=lane_ceiling
        )
        return agent

    def change(self, *, actor: Actor, at: datetime, reason: str = "", **columns: object) -> None:
        changed = self.set_columns(columns)
        if changed:
            self.keep(
                tag=AuditTag.GOVERNANCE_AGENT_CHANGED,
                actor=actor,
                at=at,
                reason=reason,
                changed=changed,
                lane_ceiling=self.lane_ceiling,
            )

    def suspend(self, *, actor: Actor, at: datetime, reason: str = "") -> None:
        """From the next request on the agent is refused, whatever tokens it holds."""
        if self.enabled:
            self.enabled = False
            self.keep(tag=AuditTag.GOVERNANCE_AGENT_SUSPENDED, actor=actor, at=at, reason=reason)

    def resume(self, *, actor: Actor, at: datetime, reason: str = "") -> None:
        if not self.enabled:
            self.enabled = True
            self.keep(tag=AuditTag.GOVERNANCE_AGENT_RESUMED, actor=actor, at=at, reason=reason)


class AgentRelease(TenantOwned, Governed):
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

    @classmethod
    def approve(
        cls,
        *,
        agent: Agent,
        version: str,
        model_name: str,
        model_version: str,
        actor: Actor,
        at: datetime,
        prompt_hash: str = "",
    ) -> Self:
        """State that this combination was looked at and may be used, from now on."""
        if cls.unscoped.filter(agent=agent, version=version).exists():
            raise ValidationError({"version": "There is a release of this version already."})
        release = cls(
            tenant_id=agent.tenant_id,
            agent=agent,
            version=version,
            model_name=model_name,
            model_version=model_version,
            prompt_hash=prompt_hash,
            approved_by=actor.name,
            active_from=at,
        )
        release.keep(
            tag=AuditTag.GOVERNANCE_AGENT_RELEASED,
            actor=actor,
            at=at,
            agent=str(agent.pk),
            model_name=model_name,
            model_version=model_version,
            prompt_hash=prompt_hash,
        )
        return release

    def end(self, *, actor: Actor, at: datetime, reason: str = "") -> None:
        if self.active_until is None or self.active_until > at:
            self.active_until = max(at, self.active_from)
            self.keep(
                tag=AuditTag.GOVERNANCE_AGENT_CHANGED,
                actor=actor,
                at=at,
                reason=reason,
                agent=str(self.agent_id),
                ended_release=self.version,
            )

    @classmethod
    def of(
        cls, *, agent: Agent, model_name: str, model_version: str, prompt_hash: str, at: datetime
    ) -> Self | None:
        """The approved release that a proposal's declaration names, or None: unknown.

        A release approved without a prompt hash stands for every prompt of that model version.
        """
        return (
            cls.objects.filter(
                agent=agent,
                model_name=model_name,
                model_version=model_version,
                prompt_hash__in=["", prompt_hash],
                active_from__lte=at,
            )
            .filter(Q(active_until__isnull=True) | Q(active_until__gt=at))
            .order_by("-prompt_hash", "-active_from")
            .first()
        )


class AgentCredential(TenantOwned, Governed):
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
            one_of("lane", LaneCeiling, "credential_lane_known"),
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

    def is_good(self, *, at: datetime) -> bool:
        """True while neither expired nor revoked and its lane is within the agent's ceiling."""
        return (
            self.revoked_at is None
            and self.expires_at > at
            and scopes.reaches(self.agent.lane_ceiling, at_least=self.lane)
        )

    # --- factories and mutators ------------------------------------------------------------------

    @classmethod
    def issue_key(
        cls,
        *,
        agent: Agent,
        lane: str,
        public_key: str,
        expires_at: datetime,
        actor: Actor,
        at: datetime,
        alg: str = "ES384",
    ) -> Self:
        """A credential proved by a private key that the portal never sees."""
        check_public_key(public_key, alg=alg)
        return cls._issue(
            agent=agent,
            lane=lane,
            expires_at=expires_at,
            actor=actor,
            at=at,
            method=CredentialMethod.PRIVATE_KEY_JWT,
            alg=alg,
            public_key=public_key,
        )

    @classmethod
    def issue_secret(
        cls, *, agent: Agent, lane: str, expires_at: datetime, actor: Actor, at: datetime
    ) -> tuple[Self, str]:
        """A credential proved by a secret, where the tenant allows it; the secret is returned once."""
        if not agent.tenant.client_secret_allowed:
            raise ValidationError({"method": "This organisation does not allow shared secrets."})
        secret = secrets.token_urlsafe(48)
        credential = cls._issue(
            agent=agent,
            lane=lane,
            expires_at=expires_at,
            actor=actor,
            at=at,
            method=CredentialMethod.CLIENT_SECRET_BASIC,
            alg="",
            secret_hash=make_password(secret),
        )
        return credential, secret

    @classmethod
    def _issue(cls, *, agent: Agent, lane: str, actor: Actor, at: datetime, **columns: Any) -> Self:
        if not scopes.reaches(agent.lane_ceiling, at_least=lane):
            raise ValidationError({"lane": "The lane lies above this agent's ceiling."})
        credential = cls(tenant_id=agent.tenant_id, agent=agent, lane=lane, **columns)
        if credential.expires_at <= at:
            raise ValidationError({"expires_at": "The credential would be expired already."})
        credential.keep(
            tag=AuditTag.GOVERNANCE_CREDENTIAL_ISSUED,
            actor=actor,
            at=at,
            agent=str(agent.pk),
            lane=lane,
            method=credential.method,
        )
        # What proves this client is kept above; the library's own secret is one that nothing equals.
        client = Client(
            id=str(credential.pk),
            name=agent.name[:100],
            type=Client.Type.CONFIDENTIAL,
            secret=make_password(None),
        )
        client.set_scopes([f"portal/{lane}", "portal/status"])
        client.set_grant_types([Client.GrantType.CLIENT_CREDENTIALS])
        client.set_response_types([])
        client.save()
        return credential

    def revoke(self, *, actor: Actor, at: datetime, reason: str = "") -> None:
        """From now on the credential and every token made with it are refused."""
        if self.revoked_at is None:
            self.revoked_at = at
            self.keep(
                tag=AuditTag.GOVERNANCE_CREDENTIAL_REVOKED,
                actor=actor,
                at=at,
                reason=reason,
                agent=str(self.agent_id),
                lane=self.lane,
            )
            Token.objects.filter(client_id=str(self.pk)).delete()


def check_public_key(pem: str, *, alg: str) -> None:
    """Raise ValidationError unless `pem` is a public key that `alg` can be verified with."""
    if alg not in ALGORITHMS:
        raise ValidationError({"alg": "Assertions are signed with ES384 or RS384."})
    try:
        key = load_pem_public_key(pem.encode())
    except ValueError:
        raise ValidationError({"public_key": "This is not a public key in PEM form."}) from None
    if alg == "ES384":
        fits = isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, ec.SECP384R1)
    else:
        fits = isinstance(key, rsa.RSAPublicKey) and key.key_size >= 2048
    if not fits:
        raise ValidationError(
            {"public_key": "ES384 needs a key on P-384; RS384 needs RSA of 2048 bits or more."}
        )


class ScopeGrant(TenantOwned, Governed):
    """What an agent may ask for on one connection, up to which lane. Looked up live, every time."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    agent = models.ForeignKey(Agent, on_delete=models.PROTECT, related_name="grants")
    connection = models.ForeignKey(EhrConnection, on_delete=models.PROTECT, related_name="grants")
    # SMART App Launch 2.2: system/DocumentReference.c
    scope = models.CharField(max_length=200)
    lane = models.CharField(max_length=10, choices=LaneCeiling.choices, default=LaneCeiling.SUGGEST)
    # Empty list: every field or state of the kind.
    fields = models.JSONField(default=list, blank=True)
    resource_states = models.JSONField(default=list, blank=True)
    # `encounter_required` (true) or `encounter` (one reference); any other limit refuses.
    context_limits = models.JSONField(default=dict, blank=True)
    purpose = models.CharField(max_length=20, default="TREAT")
    active_from = models.DateTimeField()
    active_until = models.DateTimeField(null=True, blank=True)

    history = ActorRecords()

    class Meta:
        constraints = [
            one_of("lane", LaneCeiling, "grant_lane_known"),
            models.CheckConstraint(
                condition=Q(active_until__isnull=True) | Q(active_until__gte=F("active_from")),
                name="grant_interval_forward",
            ),
        ]
        indexes = [models.Index(fields=["agent", "connection"])]

    def __str__(self) -> str:
        return f"{self.scope} for {self.agent}"

    @classmethod
    def grant(
        cls,
        *,
        agent: Agent,
        connection: EhrConnection,
        scope: str,
        lane: str,
        actor: Actor,
        at: datetime,
        reason: str = "",
        fields: Iterable[str] = (),
        resource_states: Iterable[str] = (),
        context_limits: dict[str, object] | None = None,
        purpose: str = "TREAT",
        active_until: datetime | None = None,
    ) -> Self:
        """Let an agent ask for one thing. Raises ValidationError for what nobody may be granted."""
        try:
            scopes.check_grantable(scope)
        except (scopes.ScopeMalformed, scopes.ScopeNotGrantable) as refusal:
            raise ValidationError({"scope": str(refusal)}) from None
        grant = cls(
            tenant_id=agent.tenant_id,
            agent=agent,
            connection=connection,
            scope=scope,
            lane=lane,
            fields=list(fields),
            resource_states=list(resource_states),
            context_limits=context_limits or {},
            purpose=purpose,
            active_from=at,
            active_until=active_until,
        )
        grant.keep(
            tag=AuditTag.GOVERNANCE_SCOPE_GRANTED,
            actor=actor,
            at=at,
            reason=reason,
            agent=str(agent.pk),
            connection=str(connection.pk),
            scope=scope,
            lane=lane,
        )
        return grant

    def revoke(self, *, actor: Actor, at: datetime, reason: str = "") -> None:
        """Take the permission away, from this moment on."""
        if self.active_until is None or self.active_until > at:
            self.active_until = max(at, self.active_from)
            self.keep(
                tag=AuditTag.GOVERNANCE_SCOPE_REVOKED,
                actor=actor,
                at=at,
                reason=reason,
                agent=str(self.agent_id),
                scope=self.scope,
            )

    def check_sense(self) -> None:
        if not (self.connection_id and self.agent_id):
            return
        if self.connection.tenant_id != self.agent.tenant_id:
            raise ValidationError({"connection": "The connection belongs to another workspace."})
