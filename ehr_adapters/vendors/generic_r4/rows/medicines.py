"""Medicines and orders."""

from typing import Any

from ehr_adapters.capabilities import Capability

PLACES: dict[str, str] = {}


def rows(settings: Any) -> tuple[Capability, ...]:
    """The rows of this group."""
    del settings
    return ()
