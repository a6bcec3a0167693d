"""Golden workflow 9: draft and colleague both change the dose of P6's metformin; nobody's change is lost."""

from typing import Any

import pytest

from audit import timeline
from intents.lifecycle import State
from tests.journeys.medicines import quoted, recorded

SAID = "Clinician: Metformin goes up to 1000 mg twice a day.\n"


def to_1000(day: Any, **body: Any) -> Any:
    change = {
        "ref": "c1",
        "kind": "medication",
        "interaction": "update",
        "target": day.clinic.patient("P6")["entries"]["metformin"],
        "content": {
            "dose": {"value": "1000", "unit": "mg"},
            "sig_text": "Take 1000 mg by mouth twice daily with meals.",
        },
        "evidence": [quoted("/dose", "Metformin goes up to 1000 mg", SAID)],
    }
    made = day.propose(change, patient="P6", sources=recorded(SAID), **body)
    assert day.state(made) == State.PENDING_APPROVAL, day.intent(made).reason
    return made


def colleague_writes_850(day: Any) -> None:
    target = day.clinic.patient("P6")["entries"]["metformin"]
    dosage = day.entry(target)["content"]["dosage"][0]
    amount = dosage["doseAndRate"][0]["doseQuantity"] | {"value": 850}
    changed = dosage | {
        "text": "Take 1 tablet (850 mg) by mouth twice daily with meals.",
        "doseAndRate": [{"doseQuantity": amount}],
    }
    day.practice.lever(
        "edit_as_colleague",
        vendor="generic",
        reference=target,
        changes={"dosage": [changed]},
        comment="Stomach settled; 850 mg from today.",
    )


@pytest.mark.req("002-40", "003-24", "004-28", "004-45")
def test_it_is_held_with_three_columns_and_a_newer_draft_is_made_from_the_chart_as_it_is(day):
    day.clinic.allow("system/MedicationStatement.u")
    target = day.clinic.patient("P6")["entries"]["metformin"]
    old = to_1000(day)
    lam = day.desk("lam")
    lam.approve(old)
    colleague_writes_850(day)
    day.after_undo()
    assert (day.state(old), day.reason(old)) == (State.HELD, "target-changed")
    assert day.writes() == []

    screen = lam.review(old)
    assert screen.url == f"/intents/{old.pk}/conflict/"
    for words in ("Drafted from version 1", "In the chart now version 2", "Draft would write"):
        assert words in screen.text, words
    assert "Dose 500 mg changed to 850 mg changed to 1000 mg Both changed it." in screen.text
    assert "Comment none changed to Stomach settled" in screen.text
    assert "no “write anyway”" in screen.text
    assert not screen.offers("Approve")
    assert not screen.offers("anyway")

    new = to_1000(day, supersedes=str(old.pk))
    assert day.state(old) == State.SUPERSEDED
    page = lam.review(new).part("c-A")
    assert "Dose now: 850 mg" in page
    assert "Dose will be: 1000 mg" in page
    lam.approve(new)
    day.after_undo()
    assert day.state(new) == State.RECONCILED
    [written] = day.writes()
    assert written["method"] == "PUT"
    now = day.entry(target)["content"]
    [dosage] = now["dosage"]
    assert dosage["doseAndRate"][0]["doseQuantity"]["value"] == 1000
    assert dosage["timing"]["repeat"] == {"frequency": 2, "period": 1, "periodUnit": "d"}
    assert [n["text"] for n in now["note"]] == ["Stomach settled; 850 mg from today."]

    # Nothing is lost: the old draft, its approval and its conflict stay to be read.
    assert lam.review(old).status == 200
    story = day.story(old)
    told = [event.tag for event in story]
    for tag in (
        "intent:review:approved",
        "intent:write:submitted",
        "intent:write:conflict",
        "intent:lifecycle:superseded",
    ):
        assert tag in told, tag
    reads = [
        timeline.details(e.id, tenant_id=str(day.clinic.tenant.pk))["target_version"]
        for draft in (old, new)
        for e in day.story(draft)
        if e.tag == "intent:baseline:read"
    ]
    assert reads == ["1", "2"], "both versions of the chart"
    approvers = [e.actor_name for e in story if e.tag == "intent:review:approved"]
    assert approvers == ["Dr J. Lam"]
    day.check_usual(new, "intent:write:reconciled")
    day.check_log()
