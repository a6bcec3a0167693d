"""Every kind and interaction of the generic adapter on a FHIR server that this project did not write.

Each change meets the server's own faults: one that keeps it from being carried out, one that loses the answer.
There is one effect in the end, it is what was said to the last element, and nothing else has changed.
"""

import json
from itertools import cycle
from typing import Any

import pytest

from ehr_adapters import registry
from ehr_adapters.base import EhrAdapter
from ehr_adapters.canonical.base import changed_fields, kind_model, parse_change
from ehr_adapters.canonical.declaration import interaction_rule
from ehr_adapters.canonical.exact_json import loads
from ehr_adapters.capabilities import FindMethod
from ehr_adapters.contract import Tag, WirePlan, comparable_differences
from ehr_adapters.errors import AlreadyThere, OutcomeUnknown, RateLimited, VersionConflict
from tests.ehr_adapters.contents import SAMPLES
from tests.ehr_adapters.contract import unnamed_changes
from tests.ehr_adapters.fake_ehr import HELD
from tests.ehr_adapters.strangers import AT, Server, adapter, chart, request, server

__all__ = ["adapter", "chart", "server"]
pytestmark = [pytest.mark.once, pytest.mark.interop]

# What the server does instead, in turn: every change meets two of them, every one of them many changes.
NOT_CARRIED_OUT = ("500", "503", "429", "drop")
ANSWER_LOST = (
    "drop-after-commit",
    "truncate-after-commit",
    "500-after-commit",
    "502-after-commit",
    "504-after-commit",
    "html-after-commit",
    "empty-after-commit",
)
ROWS = [one.key for one in registry.declared_capabilities("generic_r4", {}) if one.supported]
CASES = [
    pytest.param(*row, before, after, id=f"{' '.join(row)}-{before}-{after}")
    for row, before, after in zip(ROWS, cycle(NOT_CARRIED_OUT), cycle(ANSWER_LOST), strict=False)
]


# What no draft knows of stands in every entry.
KEPT = {"extension": [{"url": "urn:clinic:weighting", "valueDecimal": 0.30000000000000004}]}


def localised(value: Any, chart: dict[str, str]) -> Any:
    """Made-up content about the patient, the visit and the clinician of this server."""
    text = json.dumps(value)
    for there, here in (
        ("Patient/pa-1", f"Patient/{chart['patient']}"),
        ("Encounter/en-1", f"Encounter/{chart['encounter']}"),
        ("Practitioner/pr-1", f"Practitioner/{chart['practitioner']}"),
    ):
        text = text.replace(f'"{there}"', f'"{here}"')
    return json.loads(text)


def held(server: Server, chart: dict[str, str], kind: str, interaction: str) -> str:
    """An entry of this kind that somebody else made; for demographics the patient."""
    if kind == "demographics":
        return f"Patient/{chart['patient']}"
    more = {"docStatus": "final"} if (kind, interaction) == ("note", "amend") else {}
    entry = KEPT | localised(HELD[kind](**more), chart)
    return server.make({name: v for name, v in entry.items() if name not in {"id", "meta"}})


def exactly(server: Server, reference: str) -> dict[str, Any]:
    """The entry as the server holds it, its numbers to the digit."""
    entry: dict[str, Any] = loads(server.ask("GET", reference).content)
    return entry


class Change:
    """One change of one kind, from the draft to what the chart holds."""

    def __init__(
        self,
        server: Server,
        chart: dict[str, str],
        adapter: EhrAdapter,
        kind: str,
        interaction: str,
    ) -> None:
        self.server, self.chart, self.adapter = server, chart, adapter
        self.kind, self.interaction = kind, interaction
        self.rule = interaction_rule(kind_model(kind), interaction)
        self.target = held(server, chart, kind, interaction) if self.rule.needs_target else ""

    def plan(self) -> WirePlan:
        content = localised(SAMPLES[self.kind, self.interaction], self.chart)
        if (self.kind, self.interaction) == ("note", "amend"):
            content["amends"] = self.target
        asked = request(self.chart, self.kind, interaction=self.interaction, target=self.target)
        change = parse_change(self.kind, self.interaction, content)
        return self.adapter.render(change, tag=Tag.mint(), baseline=self.adapter.read(asked))

    def found(self, plan: WirePlan) -> list[Any]:
        found = self.adapter.find([plan.tag], plan, since=AT, at=AT)
        assert found.complete, found.reason
        return [hit.snapshot for hit in found.hits]

    def submit(self, plan: WirePlan) -> str:
        [step] = plan.steps
        return self.adapter.submit(step, token=self.adapter.authenticate(step)).reference

    def meets(self, plan: WirePlan, fault: str, branch: Any) -> None:
        [step] = plan.steps
        token = self.adapter.authenticate(step)
        self.server.fault(fault, method=step.method, path=f"^{step.path}")
        with pytest.raises(branch):
            self.adapter.submit(step, token=token)
        self.server.clear_faults()


@pytest.mark.req("002-46", "003-55", "003-60")
@pytest.mark.parametrize(("kind", "interaction", "before", "after"), CASES)
def test_a_change_has_one_effect_whatever_becomes_of_its_answers(
    server: Server,
    adapter: EhrAdapter,
    chart: dict[str, str],
    kind: str,
    interaction: str,
    before: str,
    after: str,
) -> None:
    change = Change(server, chart, adapter, kind, interaction)
    before_it = exactly(server, change.target) if change.target else {}
    plan = change.plan()
    fenced = plan.steps[0].method == "PUT"

    change.meets(plan, before, RateLimited if before == "429" else OutcomeUnknown)
    if plan.find is FindMethod.TARGET:
        [still] = change.found(plan)
        assert still.version_id == plan.expected_version
        assert comparable_differences(plan.comparable, still.comparable) != ()
    else:
        assert change.found(plan) == []

    if fenced and after == "empty-after-commit":
        # An update may be answered without a body: whose id it was is known, and it is read back.
        server.fault(after, method="PUT", path=f"^{plan.steps[0].path}")
        assert change.submit(plan) == change.target
    else:
        change.meets(plan, after, OutcomeUnknown)
    [entry] = change.found(plan)
    assert comparable_differences(plan.comparable, entry.comparable) == ()
    said = adapter.parse(plan).model_dump_canonical()
    assert changed_fields(kind, said, entry.canonical) == ()

    with pytest.raises(VersionConflict if fenced else AlreadyThere) as refused:
        change.submit(plan)
    if not fenced:
        assert refused.value.reference == entry.reference
    assert [one.version_id for one in change.found(plan)] == [entry.version_id]
    if change.target:
        after_it = exactly(server, change.target)
        if fenced:
            assert unnamed_changes(plan, before_it, after_it) == []
        else:
            assert after_it == before_it, "an addition leaves the entry alone"
