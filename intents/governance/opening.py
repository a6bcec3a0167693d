"""Opening a workspace: a tenant that has its rules from the first moment."""

from datetime import datetime
from pathlib import Path

from django.db import transaction

from audit.actors import Actor
from intents.governance.models import PolicyVersion, Tenant

STARTER_POLICY = Path(__file__).with_name("starter.cedar")
POLICY_SCHEMA = Path(__file__).with_name("policy.cedarschema.json")


@transaction.atomic
def open_workspace(*, name: str, actor: Actor, at: datetime, **columns: object) -> Tenant:
    """A tenant with the starter policy in force as version 1, approved by the installation.

    The starter policy grants nothing without a person. Raises ValidationError for a taken name.
    """
    tenant = Tenant.create(name=name, actor=actor, at=at, **columns)
    PolicyVersion.activate(
        tenant=tenant,
        content=STARTER_POLICY.read_text(encoding="utf-8"),
        schema=POLICY_SCHEMA.read_text(encoding="utf-8"),
        proposed_by="installation",
        approved_by="installation",
        actor=actor,
        at=at,
    )
    return tenant
