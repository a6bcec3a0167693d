"""The words that governance records choose from, and the check that a column holds one of them."""

from django.db import models
from django.db.models import Q


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
    """How far writing to a connection has come, in this order."""

    SHADOW = "SHADOW"
    TEST_PATIENTS = "TEST_PATIENTS"
    CANARY = "CANARY"
    LIVE = "LIVE"

    @property
    def following(self) -> "Rollout | None":
        """The next stage; None after the last."""
        stages = list(Rollout)
        place = stages.index(self) + 1
        return stages[place] if place < len(stages) else None


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


def one_of(field: str, choices: type[models.TextChoices], name: str) -> models.CheckConstraint:
    """The database refuses a value that is not one of `choices`."""
    return models.CheckConstraint(condition=Q(**{f"{field}__in": choices.values}), name=name)
