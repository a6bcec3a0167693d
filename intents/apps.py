from django.apps import AppConfig


class IntentsConfig(AppConfig):
    name = "intents"
    label = "intents"
    verbose_name = "Changes"

    def ready(self) -> None:
        from audit import insert_only
        from intents import checks

        for model in self.get_models():
            if hasattr(model, "tracked_fields"):
                insert_only.register(model)
        checks.install()
