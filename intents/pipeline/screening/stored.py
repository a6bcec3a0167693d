"""What a screening holds, unsealed."""

from ehr_adapters.contract import Baseline, NameAlikes, WirePlan
from intents.models import Screening


def baseline_of(screening: Screening) -> Baseline | None:
    """What the EHR held when the portal looked; None where it did not need to look."""
    return Baseline.from_json(screening.phi_json("baseline")) if screening.baseline else None


def author_of(screening: Screening) -> str:
    """Whose name the frozen bytes carry, "Practitioner/7"; "" where they carry none."""
    return str((screening.phi_json("baseline") or {}).get("author") or "")


def plan_of(screening: Screening) -> WirePlan | None:
    """The frozen requests; None where the destination cannot carry the change."""
    return WirePlan.from_json(screening.phi_json("wire_plan")) if screening.wire_plan else None


def alikes_of(screening: Screening) -> NameAlikes | None:
    """Other patients who could be taken for this one; None where nobody looked."""
    return (
        NameAlikes.from_json(screening.phi_json("name_alikes")) if screening.name_alikes else None
    )
