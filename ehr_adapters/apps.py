from django.apps import AppConfig


class EhrAdaptersConfig(AppConfig):
    name = "ehr_adapters"
    label = "ehr_adapters"
    verbose_name = "EHR adapters"
