"""The practice EHR as a Django app of its own process."""

from typing import Any

from django.apps import AppConfig
from django.conf import settings
from django.core.checks import CheckMessage, Error, register
from django.core.exceptions import ImproperlyConfigured

_OWN_SETTINGS = "ehr_adapters.sandbox.settings"


class SandboxConfig(AppConfig):
    """Refuses to be installed into any settings but its own."""

    name = "ehr_adapters.sandbox"
    label = "sandbox"
    verbose_name = "Practice EHR"

    def ready(self) -> None:
        if settings.SETTINGS_MODULE != _OWN_SETTINGS:
            raise ImproperlyConfigured(
                "The practice EHR runs only as its own process (python -m ehr_adapters.sandbox), "
                "never inside another project's INSTALLED_APPS."
            )


@register
def database_is_its_own(**_: Any) -> list[CheckMessage]:
    """sandbox.E001: the practice EHR keeps its charts in its own SQLite file and nowhere else."""
    database = settings.DATABASES["default"]
    if (
        database["ENGINE"] != "django.db.backends.sqlite3"
        or not str(database["NAME"]).endswith("practice_ehr.sqlite3")
        or len(settings.DATABASES) != 1
    ):
        return [
            Error("The practice EHR may open only its own database file.", id="sandbox.E001"),
        ]
    return []
