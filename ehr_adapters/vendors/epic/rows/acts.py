"""What every row of Epic's table says alike."""

from typing import Any

from ehr_adapters.capabilities import Acknowledgement, Capability

SOURCE_DATE = "2026-11-20"
_BY_HAND = "Epic offers no way to {what} from outside. Type it in Epic with the copy card."


def bounds(settings: Any) -> dict[str, Any]:
    """What a create declares whatever its kind."""
    return {
        "transport": "FHIR R4 create",
        "processing_bound_seconds": settings.processing_bound_seconds,
        "index_lag_seconds": settings.index_lag_seconds,
        "repertoire": settings.repertoire,
        "source_date": SOURCE_DATE,
        "acknowledgement": Acknowledgement.CREATED_WITH_LOCATION,
    }


def by_hand(kind: str, interaction: str, what: str, *, source: str) -> Capability:
    """No usable interface was found: the sentence says what is not possible, the copy card where to type it."""
    return Capability(
        kind=kind,
        interaction=interaction,
        supported=False,
        sentence=_BY_HAND.format(what=what),
        degrade=("copy_card",),
        source=source,
        source_date=SOURCE_DATE,
    )
