"""One change with everything unsealed that its card needs."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ehr_adapters.canonical import base as canonical
from ehr_adapters.contract import Baseline, NameAlikes, WirePlan
from intents.models import EvidenceItem, Finding, Intent, IntentVersion, PolicyVerdict, Screening
from intents.pipeline import gateway


@dataclass(frozen=True, slots=True)
class OpenedChange:
    """One change with everything unsealed that its card needs."""

    intent: Intent
    version: IntentVersion
    screening: Screening
    baseline: Baseline
    alikes: NameAlikes | None
    plan: WirePlan | None
    content: Mapping[str, Any]
    evidence: tuple[EvidenceItem, ...]
    findings: tuple[Finding, ...]
    verdict: PolicyVerdict | None

    @property
    def change(self) -> canonical.ChartChange:
        """What the frozen bytes say; without them what was drafted, which then cannot be approved."""
        if self.plan is not None:
            return gateway.parse(connection=self.intent.connection, plan=self.plan)
        return canonical.parse_change(
            self.intent.change_kind, self.intent.interaction, dict(self.content)
        )

    @property
    def now(self) -> Mapping[str, Any]:
        target = self.baseline.target
        beside = canonical.makes_entry(self.intent.change_kind, self.intent.interaction)
        return target.canonical if target and not beside else {}


class Numbers:
    """Numbers of the statements, one after the other down the page."""

    def __init__(self) -> None:
        self.last = 0

    def __call__(self) -> int:
        self.last += 1
        return self.last
