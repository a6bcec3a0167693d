"""What the practice EHR remembers. Every row names its vendor: two charts of one person are two charts."""

from typing import ClassVar, Self

from django.db import models


class SandboxRow(models.Model):
    """A table of the practice EHR."""

    objects: ClassVar[models.Manager[Self]] = models.Manager()

    class Meta:
        abstract = True


class SandboxResource(SandboxRow):
    """One entry of one vendor's chart in its present version."""

    vendor = models.CharField(max_length=16)
    type = models.CharField(max_length=40)
    fhir_id = models.CharField(max_length=64)
    version = models.PositiveIntegerField()
    content = models.TextField()  # exact JSON, without server-made meta
    patient_id = models.CharField(
        max_length=64, blank=True
    )  # the patient it speaks of, "" when none
    author = models.CharField(max_length=100)  # who filed this version, in words
    removed = models.BooleanField(default=False)
    locked = models.BooleanField(default=False)  # a visit whose chart part takes no more entries
    updated_at = models.DateTimeField()
    # Index lag: the entry is in the chart and readable by id, but no search shows it yet.
    searchable_at = models.DateTimeField(null=True)
    searchable_after_request = models.BigIntegerField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["vendor", "type", "fhir_id"], name="sandbox_one_entry_per_id"
            )
        ]
        indexes = [models.Index(fields=["vendor", "type", "patient_id"], name="sandbox_by_patient")]


class SandboxVersion(SandboxRow):
    """Every version an entry ever had, the present one included."""

    resource = models.ForeignKey(SandboxResource, on_delete=models.CASCADE, related_name="versions")
    version = models.PositiveIntegerField()
    verb = models.CharField(max_length=10)  # create, update, remove
    content = models.TextField()
    author = models.CharField(max_length=100)
    at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["resource", "version"], name="sandbox_one_row_per_version"
            )
        ]


class SandboxIdentifier(SandboxRow):
    """Identifiers of present versions: the index behind a search for a tag."""

    resource = models.ForeignKey(
        SandboxResource, on_delete=models.CASCADE, related_name="identifiers"
    )
    system = models.CharField(max_length=255, blank=True)
    value = models.CharField(max_length=255)

    class Meta:
        indexes = [models.Index(fields=["value", "system"], name="sandbox_by_identifier")]


class SandboxStaged(SandboxRow):
    """Something a vendor took in but shows to nobody until a clinician there accepts it."""

    vendor = models.CharField(max_length=16)
    type = models.CharField(max_length=40)
    fhir_id = models.CharField(max_length=64)
    patient_id = models.CharField(max_length=64)
    content = models.TextField()
    author = models.CharField(max_length=100)
    state = models.CharField(max_length=10, default="waiting")  # waiting, accepted, declined
    at = models.DateTimeField()
    settled_at = models.DateTimeField(null=True)
    settled_by = models.CharField(max_length=100, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["vendor", "type", "fhir_id"], name="sandbox_one_staged_per_id"
            )
        ]


class SandboxFault(SandboxRow):
    """Scripted misbehaviour: applied to matching requests until `times` is used up."""

    vendor = models.CharField(max_length=16)  # "*" for every front
    kind = models.CharField(max_length=40)
    method = models.CharField(max_length=10)  # "*" for every method
    path = models.CharField(max_length=255)  # regular expression over the path below the base
    skip = models.PositiveIntegerField(default=0)  # matching requests still to let pass
    times = models.PositiveIntegerField(
        null=True
    )  # matching requests still to spoil; null: all of them
    params = models.TextField(default="{}")  # exact JSON: decimals keep their digits
    applied = models.PositiveIntegerField(default=0)


class SandboxRequest(SandboxRow):
    """The log: each request as it came in and what it did to the chart."""

    at = models.DateTimeField()
    vendor = models.CharField(max_length=16)
    method = models.CharField(max_length=10)
    base = models.CharField(max_length=255)  # the front's absolute address
    path = models.TextField()  # below the base, query included
    headers = models.JSONField(default=dict)  # never the bearer
    body = models.BinaryField(null=True)  # exactly as received; null where it holds a credential
    body_sha256 = models.CharField(max_length=64)
    client_id = models.CharField(max_length=100, blank=True)
    scope = models.TextField(blank=True)  # of the token that was used
    status = models.PositiveIntegerField(null=True)  # null: no status line was sent
    committed = models.JSONField(default=list)  # "Type/id/_history/v"
    staged = models.JSONField(default=list)  # "Type/id"
    fault = models.CharField(max_length=40, blank=True)

    class Meta:
        indexes = [models.Index(fields=["vendor", "method"], name="sandbox_log_by_method")]


class SandboxLate(SandboxRow):
    """A request that was answered with a failure and is filed later all the same."""

    request = models.OneToOneField(SandboxRequest, on_delete=models.CASCADE, related_name="late")
    due_at = models.DateTimeField(null=True)
    due_after_request = models.BigIntegerField(
        null=True
    )  # null with due_at null: only by the lever
    state = models.CharField(max_length=10, default="waiting")  # waiting, committed, refused
    settled_at = models.DateTimeField(null=True)
    status = models.PositiveIntegerField(null=True)  # what the late filing would have answered


class SandboxClient(SandboxRow):
    """A registered backend service."""

    vendor = models.CharField(max_length=16)
    client_id = models.CharField(max_length=100)
    keys = models.JSONField(default=list)  # public JWKs
    scope = models.TextField(blank=True)  # registered SMART scopes
    apis = models.JSONField(default=list)  # Epic: "Condition.Create" ...
    token_seconds = models.PositiveIntegerField(null=True)
    background_user = models.BooleanField(default=True)  # Epic: mapped by the customer
    missing_security_points = models.JSONField(
        default=list
    )  # Epic: APIs answered 403 insufficient_scope

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["vendor", "client_id"], name="sandbox_one_client_per_id"
            )
        ]


class SandboxToken(SandboxRow):
    """An access token, by its hash."""

    client = models.ForeignKey(SandboxClient, on_delete=models.CASCADE, related_name="tokens")
    sha256 = models.CharField(max_length=64, unique=True)
    scope = models.TextField()
    expires_at = models.DateTimeField()


class SandboxAssertion(SandboxRow):
    """A client assertion that was used; its `jti` is good for nothing until it has expired."""

    client = models.ForeignKey(SandboxClient, on_delete=models.CASCADE, related_name="assertions")
    jti = models.CharField(max_length=255)
    expires_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["client", "jti"], name="sandbox_assertion_used_once")
        ]


class SandboxName(SandboxRow):
    """The directory: what the practice calls an entry, and where each vendor keeps it."""

    vendor = models.CharField(max_length=16)
    group = models.CharField(max_length=40)  # P1 ... P16, or "staff"
    name = models.CharField(max_length=60)
    type = models.CharField(max_length=40)
    fhir_id = models.CharField(max_length=64)
    details = models.JSONField(default=dict)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["vendor", "group", "name"], name="sandbox_one_name_per_vendor"
            )
        ]


class SandboxSetting(SandboxRow):
    """One switch of one vendor's behaviour, set through the control surface."""

    vendor = models.CharField(max_length=16)
    key = models.CharField(max_length=40)
    value = models.JSONField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["vendor", "key"], name="sandbox_one_value_per_setting")
        ]
