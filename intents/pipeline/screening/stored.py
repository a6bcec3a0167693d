"""What a screening holds, unsealed."""

from ehr_adapters.contract import Baseline, WirePlan
from intents.models import Screening


def baseline_of(screening: Screening) -> Baseline | None:
    """What the EHR held when the portal looked; None where it did not need to look."""
    return Baseline.from_json(screening.phi_json("baseline")) if screening.baseline else None


def plan_of(screening: Screening) -> WirePlan | None:
    """The frozen requests; None where the destination cannot carry the change."""
    return WirePlan.from_json(screening.phi_json("wire_plan")) if screening.wire_plan else None
