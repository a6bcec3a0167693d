from django.apps import AppConfig
from django.core import checks
from django.db.models.signals import post_migrate, pre_migrate


class GovernanceConfig(AppConfig):
    name = "intents.governance"
    label = "governance"
    verbose_name = "Governance"

    def ready(self) -> None:
        from audit import insert_only
        from intents.governance import tenant_guards
        from intents.governance.checks import check_tenant_guards

        for model in self.get_models():
            if hasattr(model, "tracked_fields"):
                insert_only.register(model)
        # No sender: a table of any app may have been rebuilt.
        pre_migrate.connect(tenant_guards.uninstall, dispatch_uid="governance.tenant_guards")
        post_migrate.connect(tenant_guards.install, dispatch_uid="governance.tenant_guards")
        checks.register(check_tenant_guards)
