"""Must hold on any FHIR server, so on one that this project did not write: from the draft to what its chart holds.

The lost answers are that server's own faults. A gateway before it may ignore what makes a request conditional.
"""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from ehr_adapters.fhir_probe import probe_fhir
from intents.lifecycle import State
from tests.ehr_adapters.fake_ehr import condition, threaded_server
from tests.ehr_adapters.strangers import AT, Server, furnish
from tests.journeys.abroad import Abroad, CarelessGateway
from tests.journeys.day import Day

pytestmark = [pytest.mark.once, pytest.mark.interop]

PROBED = {"conditional_create_probed": "2026-11-20", "stale_if_match_probed": "2026-11-20"}
NEW = {
    "kind": "problem",
    "interaction": "create",
    "content": {
        "code": [
            {
                "system": "http://hl7.org/fhir/sid/icd-10-cm",
                "code": "R42",
                "display": "Dizziness and giddiness",
            }
        ],
        "category": "problem-list-item",
        "clinical_status": "active",
        "verification": "confirmed",
    },
}
COMMENT = "Seen by nephrology; next visit in spring."


@pytest.fixture(autouse=True)
def _impatient(settings: Any) -> None:
    """A server that keeps silent is given up soon, but not while the machine is merely busy."""
    settings.EHR_TIMEOUT_SECONDS = 5.0


def arrive(day: Day, server: Server, **more: Any) -> Abroad:
    ids = furnish(server)
    return Abroad(
        day,
        server,
        patient=server.raw("GET", f"Patient/{ids['patient']}"),
        encounter=ids["encounter"],
        practitioner=ids["practitioner"],
        **more,
    )


@pytest.fixture
def gateway(strangers: Callable[[str], Server]) -> Iterator[CarelessGateway]:
    with threaded_server() as front:
        yield CarelessGateway(front, strangers("stock"))


@pytest.fixture
def careless(day: Day, gateway: CarelessGateway) -> Abroad:
    """The server behind the careless gateway; no probe proved anything."""
    return arrive(day, gateway.server, base=gateway.base)


@pytest.fixture(params=["transactional", "stock", "careless"])
def anywhere(
    request: pytest.FixtureRequest, day: Day, strangers: Callable[[str], Server]
) -> Abroad:
    """The server in each of its modes, its probes passed; or behind the careless gateway."""
    if request.param == "careless":
        found: Abroad = request.getfixturevalue("careless")
        return found
    return arrive(day, strangers(request.param), **PROBED)


def problems(abroad: Abroad) -> list[dict[str, Any]]:
    found = abroad.server.raw("GET", f"Condition?subject=Patient/{abroad.patient['id']}")
    return [one["resource"] for one in found.get("entry", [])]


def kept_by_a_colleague(abroad: Abroad) -> str:
    """A problem of this patient that somebody else entered."""
    entry = condition(subject={"reference": f"Patient/{abroad.patient['id']}"})
    return abroad.server.make({k: v for k, v in entry.items() if k not in {"id", "meta"}})


def approved(abroad: Abroad, change: dict[str, Any]) -> Any:
    proposal = abroad.propose(change)
    day = abroad.day
    assert day.state(proposal) == State.PENDING_APPROVAL, day.intent(proposal).reason
    day.desk("reyes").approve(proposal)
    assert day.state(proposal) == State.APPROVED
    return proposal


def update_of(target: str) -> dict[str, Any]:
    return {
        "kind": "problem",
        "interaction": "update",
        "target": target,
        "content": {"verification": "provisional"},
    }


def certainty_of(abroad: Abroad, target: str) -> str:
    code: str = abroad.server.raw("GET", target)["verificationStatus"]["coding"][0]["code"]
    return code


def settled(abroad: Abroad, proposal: Any) -> None:
    abroad.day.after_quarantine(proposal)
    abroad.day.forward(seconds=60)
    abroad.day.background()
    assert abroad.day.state(proposal) == State.RECONCILED, abroad.day.intent(proposal).reason


# --- a new entry -----------------------------------------------------------------------------------


@pytest.mark.req("002-46", "003-55")
def test_a_lost_answer_is_found_by_the_tag_and_has_one_effect(anywhere: Abroad) -> None:
    day = anywhere.day
    proposal = approved(anywhere, NEW)
    anywhere.server.fault("drop-after-commit", method="POST", path="^Condition")
    day.forward(seconds=61)
    day.send()
    assert day.state(proposal) == State.UNCERTAIN
    settled(anywhere, proposal)
    [written] = problems(anywhere)
    assert written["code"]["coding"][0]["code"] == "R42"
    story = day.told(proposal)
    assert story.count("intent:write:submitted") == 1
    assert story.index("intent:write:uncertain") < story.index("intent:write:found")
    assert "Written and read back" in day.desk("reyes").delivery(proposal).text
    day.check_log()


@pytest.mark.req("003-60")
def test_an_empty_201_with_a_relative_location_is_read_back(
    careless: Abroad, gateway: CarelessGateway
) -> None:
    proposal = approved(careless, NEW)
    careless.day.after_undo()
    settled(careless, proposal)
    [sent] = gateway.seen
    assert sent["if-none-exist"], "asked for, and ignored"
    [written] = problems(careless)
    found = careless.day.intent(proposal)
    assert found.resource_ref == f"Condition/{written['id']}"


# --- a change of an entry ----------------------------------------------------------------------------


@pytest.mark.req("001-22", "002-45")
@pytest.mark.parametrize("anywhere", ["stock", "careless"], indirect=True)
def test_what_never_arrived_is_sent_again_after_its_absence_is_proven(anywhere: Abroad) -> None:
    day = anywhere.day
    target = kept_by_a_colleague(anywhere)
    proposal = approved(anywhere, update_of(target))
    anywhere.server.fault("drop", method="PUT", path="^Condition")
    day.forward(seconds=61)
    day.send()
    assert day.state(proposal) == State.UNCERTAIN
    day.background()
    assert day.state(proposal) == State.UNCERTAIN, "absence proves nothing so soon"
    assert certainty_of(anywhere, target) == "confirmed"
    settled(anywhere, proposal)
    assert certainty_of(anywhere, target) == "provisional"
    assert day.told(proposal).count("intent:write:submitted") == 2
    assert len(anywhere.server.raw("GET", f"{target}/_history")["entry"]) == 2, "one effect"
    day.check_log()


@pytest.mark.req("002-40", "004-45")
def test_what_a_colleague_did_while_the_outcome_was_unknown_is_not_undone(
    careless: Abroad, gateway: CarelessGateway
) -> None:
    day = careless.day
    target = kept_by_a_colleague(careless)
    proposal = approved(careless, update_of(target))
    careless.server.fault("drop", method="PUT", path="^Condition")
    day.forward(seconds=61)
    day.send()
    entry = careless.server.raw("GET", target)
    careless.server.raw("PUT", target, entry | {"note": [{"text": COMMENT}]})
    day.after_quarantine(proposal)
    day.forward(seconds=60)
    day.background()
    # It may have been written and taken back, or never: that is for a person to find out.
    assert day.state(proposal) == State.UNCERTAIN
    assert careless.server.raw("GET", target)["note"] == [{"text": COMMENT}]
    [sent] = gateway.seen
    assert sent["if-match"], "asked for, and ignored"
    assert "Outcome unknown" in day.desk("singh").open("/worklist/").text


# --- what is known of such a server ------------------------------------------------------------------


def test_a_probe_of_a_careless_server_proves_nothing(gateway: CarelessGateway) -> None:
    ids = furnish(gateway.server)
    adapter = gateway.server.adapter(base_url=gateway.base, settings={})
    result = probe_fhir(adapter, patient=ids["patient"], at=AT, creates=6, at_once=3)
    assert result.settings == {}
    assert "6 created; 6 found" in result.evidence[0]
    assert "accepted" in result.evidence[1]
