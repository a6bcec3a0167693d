from django.apps import AppConfig


class IntentsConfig(AppConfig):
    name = "intents"
    label = "intents"
    verbose_name = "Changes"
