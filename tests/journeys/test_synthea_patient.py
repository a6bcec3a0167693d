"""A generated patient that others published, in a server that others made: three drafts go into her chart.

The patient's file lies beside the checkout; SHARED_DATA names another place. Nothing of it is kept here but ids.
That server writes a number anew when it takes it (1.0 becomes 1), so one test asks for the bytes themselves.
"""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ehr_adapters import registry
from ehr_adapters.canonical.base import parse_change
from ehr_adapters.canonical.exact_json import loads, plain
from ehr_adapters.contract import ReadRequest, Tag
from intents.lifecycle import State
from tests.ehr_adapters.contract import unnamed_changes
from tests.ehr_adapters.fake_ehr import FakeEhr, threaded_server
from tests.ehr_adapters.strangers import AT, Server, absent, open_visit
from tests.journeys.abroad import Abroad
from tests.journeys.day import Day

pytestmark = [pytest.mark.once, pytest.mark.interop]

DATA = Path(os.environ.get("SHARED_DATA", str(Path(__file__).resolve().parents[3] / "shared/data")))
PATIENT = "a5cb8ce9-cec6-6b23-0990-cbaf753578a4"
PROBLEM = "Condition/45c2ced0-6dd7-c704-0b63-deb567cc7d0a"
MEDICINE = "MedicationRequest/9da50262-b306-5964-0331-73ab3bb9a1ea"
ALLERGY = "AllergyIntolerance/892104ca-c23c-263c-383a-dfe68be18c4a"
# What the published entries of these three kinds happen not to have.
STRANGE = (
    b'"extension":[{"url":"urn:clinic:weighting","valueDecimal":0.30000000000000004},'
    b'{"url":"urn:clinic:source","extension":[{"url":"page","valueInteger":3},'
    b'{"url":"share","valueDecimal":12.3456789012}]}],'
)

CHANGES: dict[str, dict[str, Any]] = {
    PROBLEM: {
        "kind": "problem",
        "interaction": "update",
        "content": {"note": "On treatment; lipids repeated today."},
    },
    MEDICINE: {
        "kind": "medication",
        "interaction": "update",
        "content": {"note": "Takes it in the evening."},
    },
    ALLERGY: {
        "kind": "allergy",
        "interaction": "update",
        "content": {"criticality": "high"},
    },
}
EXPECTED: dict[str, dict[str, Any]] = {
    PROBLEM: {"note": [{"text": "On treatment; lipids repeated today."}]},
    MEDICINE: {"note": [{"text": "Takes it in the evening."}]},
    ALLERGY: {"criticality": "high"},
}


def lines() -> list[bytes]:
    """The patient's resources as they were published; the three that are changed with extensions besides."""
    path = DATA / "synthea-us-core" / f"{PATIENT}.ndjson"
    if not path.is_file():
        absent("The published patients are not beside the checkout (SHARED_DATA).")
    out = []
    for line in path.read_bytes().splitlines():
        known = json.loads(line)
        mark = f'"id":"{known["id"]}",'.encode()
        strange = f"{known['resourceType']}/{known['id']}" in CHANGES
        out.append(line.replace(mark, mark + STRANGE, 1) if strange else line)
    return out


def load(server: Server) -> dict[str, Any]:
    """Her whole chart, under the ids that it has; the patient's entry."""
    server.order("POST", "reset")
    entries = []
    for line in lines():
        resource = json.loads(line)
        place = f"{resource['resourceType']}/{resource['id']}"
        order = json.dumps({"method": "PUT", "url": place}).encode()
        entries.append(b'{"resource":%s,"request":%s}' % (line, order))
    batch = b'{"resourceType":"Bundle","type":"batch","entry":[%s]}' % b",".join(entries)
    reply = server.ask("POST", "", batch)
    assert reply.ok, reply.text
    outcomes = [one["response"]["status"] for one in reply.json()["entry"]]
    assert len(outcomes) == len(entries)
    assert all(one.startswith("20") for one in outcomes), outcomes
    return server.raw("GET", f"Patient/{PATIENT}")


def without_bookkeeping(entry: dict[str, Any]) -> dict[str, Any]:
    """The entry without what the server writes into it; a label that was added is looked at apart."""
    meta = {k: v for k, v in entry["meta"].items() if k == "profile"}
    return plain({**entry, "meta": meta})


@pytest.mark.req("003-60", "002-40")
@pytest.mark.parametrize("mode", ["transactional", "stock"])
def test_three_reviewed_changes_and_nothing_else_reach_her_chart(
    day: Day, strangers: Callable[[str], Server], mode: str
) -> None:
    server = strangers(mode)
    patient = load(server)
    practitioner = server.make({"resourceType": "Practitioner", "name": [{"family": "Reyes"}]})
    visit = server.make(open_visit(f"Patient/{PATIENT}", practitioner))
    abroad = Abroad(
        day,
        server,
        patient=patient,
        encounter=visit.partition("/")[2],
        practitioner=practitioner.partition("/")[2],
        # No pharmacy stands behind this server: its medication list is its MedicationRequests.
        prescription_in_place=True,
    )
    before = {target: loads(server.ask("GET", target).content) for target in CHANGES}
    everything = server.order("GET", "stats")["resources"]

    proposal = abroad.propose(*({"target": target, **change} for target, change in CHANGES.items()))
    assert set(day.states(proposal).values()) == {State.PENDING_APPROVAL}, [
        (i.ref, i.state, i.reason) for i in day.clinic.intents(proposal)
    ]
    reyes = day.desk("reyes")
    page = reyes.review(proposal)
    for words in ("JOHNSON679", "Simvastatin", "Hyperlipidemia", "Takes it in the evening"):
        assert words in page.text, words
    reyes.approve(proposal)
    # The published dose has no unit, so nobody can say how the entry's dose stands to it: two people approve.
    assert day.states(proposal) == {
        "c1": State.APPROVED,
        "c2": State.PENDING_APPROVAL,
        "c3": State.APPROVED,
    }
    day.desk("lam").approve(proposal)
    day.after_undo()
    for _ in range(3):
        day.forward(seconds=60)
        day.background()
    assert set(day.states(proposal).values()) == {State.RECONCILED}, [
        (i.ref, i.state, i.reason) for i in day.clinic.intents(proposal)
    ]

    for target, entry in before.items():
        now = loads(server.ask("GET", target).content)
        assert without_bookkeeping(now) == without_bookkeeping({**entry, **EXPECTED[target]})
        assert now["meta"]["security"][0]["code"] == "AIAST"
        assert len(server.raw("GET", f"{target}/_history")["entry"]) == 2
    assert server.order("GET", "stats")["resources"] == everything, "nothing was added or lost"
    assert "Written and read back" in reyes.delivery(proposal).text
    day.check_log()


def test_her_numbers_are_sent_as_they_were_written() -> None:
    published = {f"{r['resourceType']}/{r['id']}": line for line in lines() if (r := loads(line))}
    with threaded_server() as front:
        ehr = FakeEhr(front)
        ehr.resources = {
            reference: {**entry, "meta": {**entry["meta"], "versionId": "1"}}
            for reference, line in published.items()
            if (entry := json.loads(line))
        }
        adapter = registry.get_adapter(
            ehr.connection("generic_r4", settings={"prescription_in_place": True})
        )
        for target, change in CHANGES.items():
            kind, interaction = change["kind"], change["interaction"]
            baseline = adapter.read(
                ReadRequest(
                    patient=PATIENT,
                    kind=kind,
                    interaction=interaction,
                    target=target,
                    at=AT,
                    neighbourhood=False,
                )
            )
            said = parse_change(kind, interaction, change["content"])
            [step] = (plan := adapter.render(said, tag=Tag.mint(), baseline=baseline)).steps
            assert unnamed_changes(plan, loads(published[target]), loads(step.body)) == []
            assert b'"valueDecimal":0.30000000000000004' in step.body
            if target == MEDICINE:
                assert b'"period":1.0' in step.body
                assert b'"doseQuantity":{"value":1.0}' in step.body
