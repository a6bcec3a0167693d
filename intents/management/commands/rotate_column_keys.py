"""`rotate_column_keys`: wrap every patient's data key with a new key of the ring."""

from typing import Any

from django.core.management.base import BaseCommand
from django.utils import timezone

from intents.governance import encryption
from intents.management.naming import OPERATOR


class Command(BaseCommand):
    help = "Make a new key for the clinical columns and wrap every data key with it."

    def handle(self, *args: Any, **options: Any) -> None:
        wrapped = encryption.rotate(actor=OPERATOR, at=timezone.now())
        while batch := encryption.rewrap():
            wrapped += batch
        ring = encryption.key_ring()
        self.stdout.write(f"{wrapped} data keys are wrapped with {ring.current}.")
        old = sorted(set(ring.keys) - {ring.current})
        if old:
            self.stdout.write(
                f"{', '.join(old)} may be taken out of {encryption.ring_path()} once no backup "
                "from before today is needed."
            )
