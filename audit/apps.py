from django.apps import AppConfig
from django.core import checks
from django.db.models.signals import post_migrate


class AuditConfig(AppConfig):
    name = "audit"
    label = "audit"
    verbose_name = "Audit"

    def ready(self) -> None:
        from audit import insert_only
        from audit.checks import check_triggers

        # No sender: a table of any app may have been rebuilt.
        post_migrate.connect(insert_only.install, dispatch_uid="audit.insert_only")
        checks.register(check_triggers)
