"""How restricted a content is, by its own label and by that of its visit. Pure."""

from ehr_adapters.contract import Baseline
from intents.pipeline.clinical.values import entries, mapping, raw_of, text

LEVELS = ("normal", "restricted", "very-restricted")
# HL7 v3 Confidentiality, as FHIR's meta.security carries it.
_BY_CODE = {"R": "restricted", "V": "very-restricted"}


def strictest(*levels: str) -> str:
    """The most restricted of them; an unknown level counts as restricted."""
    known = [level if level in LEVELS else "restricted" for level in levels]
    return max(known, key=LEVELS.index, default="normal")


def of_visit(baseline: Baseline | None) -> str:
    """The level of the visit that a change belongs to: what is written there tells of it."""
    if baseline is None or baseline.encounter is None:
        return "normal"
    labels = entries(mapping(raw_of(baseline.encounter).get("meta")).get("security"))
    found = (_BY_CODE.get(text(mapping(one).get("code")), "normal") for one in labels)
    return strictest("normal", *found)
