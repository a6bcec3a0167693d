from django.apps import AppConfig


class GovernanceConfig(AppConfig):
    name = "intents.governance"
    label = "governance"
    verbose_name = "Governance"
