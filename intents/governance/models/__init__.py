"""Who may ask for what, and who may decide. Each record's whole life is on its own page.

Every record has history and changes only through its mutators, which write history and audit in the
caller's transaction. People and programs are deactivated, never deleted.
"""

from intents.governance.models.agent import Agent, AgentCredential, AgentRelease, ScopeGrant
from intents.governance.models.choices import (
    ClinicalRole,
    ConsentDecision,
    CredentialMethod,
    Environment,
    LaneCeiling,
    Profession,
    Role,
    Rollout,
    SwitchTarget,
)
from intents.governance.models.connection import EhrConnection
from intents.governance.models.keys import DataKey, UsedAssertion
from intents.governance.models.people import EhrIdentity, Membership, User
from intents.governance.models.promotion import Promotion
from intents.governance.models.rules import ConsentDirective, PolicyVersion
from intents.governance.models.switch import KillSwitch
from intents.governance.models.tenant import Tenant

__all__ = [
    "Agent",
    "AgentCredential",
    "AgentRelease",
    "ClinicalRole",
    "ConsentDecision",
    "ConsentDirective",
    "CredentialMethod",
    "DataKey",
    "EhrConnection",
    "EhrIdentity",
    "Environment",
    "KillSwitch",
    "LaneCeiling",
    "Membership",
    "PolicyVersion",
    "Profession",
    "Promotion",
    "Role",
    "Rollout",
    "ScopeGrant",
    "SwitchTarget",
    "Tenant",
    "UsedAssertion",
    "User",
]
