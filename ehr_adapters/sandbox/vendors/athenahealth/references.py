"""athenaOne's own lists: allergens, reactions, severities, medications, each by a name and a number of its own."""

from collections.abc import Iterator, Mapping
from typing import Any
from zlib import crc32

from ehr_adapters.sandbox.exchange import Answer
from ehr_adapters.sandbox.seed import entries
from ehr_adapters.sandbox.vendors.athenahealth.answers import refused, told

SEVERITIES = {"mild": 1, "moderate": 2, "severe": 3}
_MORE_ALLERGENS = ("peanut", "Peanut (substance)", "penicillin G", "aspirin", "shellfish")


def _number(kind: str, name: str) -> int:
    return 1000 + crc32(f"{kind}/{name.lower()}".encode()) % 900_000


def allergens() -> dict[str, int]:
    """Name to number."""
    listed = [a.substance[1] for each in entries.ALLERGIES.values() for a in each]
    listed = [name for name in listed if not name.lower().startswith("no known")]
    listed += [entries.STAGED_ALLERGY.substance[1], *_MORE_ALLERGENS]
    return {name: _number("allergen", name) for name in listed}


def reactions() -> dict[str, int]:
    """Name to number."""
    listed = [a.reaction[1] for each in entries.ALLERGIES.values() for a in each if a.reaction]
    listed += [entries.WHEAL[1], entries.RASH[1], entries.ANAPHYLAXIS[1]]
    return {name: _number("reaction", name) for name in listed}


def medications() -> dict[str, int]:
    """Name to number: products with their strength, as the practice writes them."""
    listed = [m.text for each in entries.MEDICATIONS.values() for m in each]
    return {name: _number("medication", name) for name in listed}


def searched(names: Mapping[str, int], given: Mapping[str, str], *labels: str) -> Answer:
    """GET /reference/...: what holds the search value, in any letters; two at least."""
    wanted = given.get("searchvalue", "").strip().lower()
    if len(wanted) < 2:
        raise refused(400, "Additional fields are required.", missing=["searchvalue"])
    return told(list(_shown(((n, v) for n, v in names.items() if wanted in n.lower()), *labels)))


def listed(names: Mapping[str, int], *labels: str) -> Answer:
    """GET /reference/...: all of them."""
    return told(list(_shown(names.items(), *labels)))


def _shown(pairs: Any, number: str, name: str) -> Iterator[dict[str, Any]]:
    for words, value in pairs:
        yield {number: value, name: words}
