"""What colleagues do in the practice EHR on command, and what the portal then finds there."""

import pytest

from tests.ehr_adapters.practice import (
    Backend,
    Practice,
    coded,
    fresh_practice,
    note,
    practice,
    problem,
)

__all__ = ["fresh_practice", "practice"]
pytestmark = [pytest.mark.once, pytest.mark.req("002-76")]


@pytest.fixture
def r4(fresh_practice: Practice) -> Backend:
    return fresh_practice.client("generic")


@pytest.fixture
def p1(r4: Backend) -> dict:
    return r4.practice.directory()["P1"]


class TestAColleague:
    def test_changes_a_dose(self, r4):
        p6 = r4.practice.directory()["P6"]
        done = r4.practice.lever(
            "edit_as_colleague", patient="P6", entry="metformin",
            set={"/dosage/0/doseAndRate/0/doseQuantity/value": 850, "/dosage/0/text": "850 mg twice daily"},
        )  # fmt: skip
        assert done["version"] == 2
        read = r4.get(p6["entries"]["metformin"])
        assert read.headers["ETag"] == 'W/"2"'
        assert read.json()["dosage"][0]["doseAndRate"][0]["doseQuantity"]["value"] == 850
        stale = r4.put(p6["entries"]["metformin"], read.json(), headers={"If-Match": 'W/"1"'})
        assert stale.status_code == 412
        assert r4.practice.resources(id=read.json()["id"])[0]["author"] == "Dr J. Lam"

    def test_changes_only_the_comment(self, r4, p1):
        before = r4.get(p1["entries"]["ckd"]).json()
        r4.practice.lever(
            "edit_as_colleague", patient="P1", entry="ckd", comment="Seen by nephrology."
        )
        after = r4.get(p1["entries"]["ckd"]).json()
        assert after["note"][0]["text"] == "Seen by nephrology."
        assert after["note"][0]["authorReference"]["display"] == "Dr J. Lam"
        assert {k: v for k, v in after.items() if k not in {"note", "meta"}} == {
            k: v for k, v in before.items() if k != "meta"
        }

    def test_patches_and_takes_away(self, r4, p1):
        changes = {
            "bodySite": None,
            "severity": coded("http://snomed.info/sct", "24484000", "Severe"),
            "recorder": None,
        }
        r4.practice.lever(
            "edit_as_colleague", reference=p1["entries"]["ckd"], changes=changes, author="nurse"
        )
        read = r4.get(p1["entries"]["ckd"]).json()
        assert "recorder" not in read
        assert read["severity"]["coding"][0]["code"] == "24484000"
        assert r4.practice.resources(id=read["id"])[0]["author"] == "L. Brandt"

    def test_cannot_break_the_form(self, r4, p1):
        for order in (
            {"changes": {"subject": None}},
            {"set": {"/code/coding/7/code": "x"}},
            {"comment": ""},
            {},
        ):
            reply = r4.practice.try_control(
                "POST", "levers/edit_as_colleague", {"patient": "P1", "entry": "ckd", **order}
            )
            assert reply.status_code == 400

    def test_files_removes_and_names_entries(self, r4, p1):
        done = r4.practice.lever(
            "add_resource",
            patient="P1",
            entry="dizziness",
            author="prescriber_one",
            resource=problem("ignored"),
        )
        assert (
            r4.get(done["reference"]).json()["subject"]["reference"] == f"Patient/{p1['patient']}"
        )
        assert r4.practice.directory()["P1"]["entries"]["dizziness"] == done["reference"]
        r4.practice.lever("remove", patient="P1", entry="dizziness")
        assert r4.get(done["reference"]).status_code == 410
        assert r4.practice.resources(type="Condition", patient="P1")[-1]["removed"] is True

    def test_signs_a_note(self, r4, p1):
        filed = r4.post("DocumentReference", note(p1["patient"], p1["encounter"])).json()
        r4.practice.lever("sign", reference=f"DocumentReference/{filed['id']}")
        read = r4.get(f"DocumentReference/{filed['id']}").json()
        assert read["docStatus"] == "final"
        assert read["authenticator"]["display"] == "Dr A. Reyes"

    def test_signs_a_draft_order_which_ends_what_it_replaces(self, r4, p1):
        old = r4.get(p1["entries"]["lisinopril"]).json()
        draft = {k: v for k, v in old.items() if k not in {"id", "meta"}} | {
            "status": "draft",
            "intent": "proposal",
            "priorPrescription": {"reference": p1["entries"]["lisinopril"]},
        }
        filed = r4.post("MedicationRequest", draft).json()
        assert r4.get(p1["entries"]["lisinopril"]).json()["status"] == "active"
        r4.practice.lever("sign", reference=f"MedicationRequest/{filed['id']}")
        signed = r4.get(f"MedicationRequest/{filed['id']}").json()
        assert (signed["status"], signed["intent"]) == ("active", "order")
        assert r4.get(p1["entries"]["lisinopril"]).json()["status"] == "stopped"

    def test_signs_nothing_else(self, r4):
        reply = r4.practice.try_control("POST", "levers/sign", {"patient": "P1", "entry": "ckd"})
        assert reply.status_code == 400


@pytest.mark.req("003-65")
class TestVisits:
    def test_are_closed_locked_and_opened_again(self, r4, p1):
        r4.practice.lever("close_visit", patient="P1")
        visit = r4.get(f"Encounter/{p1['encounter']}").json()
        assert visit["status"] == "finished"
        assert "end" in visit["period"]
        body = note(p1["patient"], p1["encounter"])
        assert r4.post("DocumentReference", body).status_code == 201
        r4.practice.lever("close_visit", patient="P1", locked=True)
        assert r4.post("DocumentReference", body).status_code == 423
        r4.practice.lever("reopen_visit", patient="P1")
        assert r4.post("DocumentReference", body).status_code == 201
        assert r4.get(f"Encounter/{p1['encounter']}").json()["status"] == "in-progress"


class TestPatients:
    def test_are_merged_in_every_chart(self, r4):
        directory = r4.practice.directory()
        p13, p14 = directory["P13"]["patient"], directory["P14"]["patient"]
        done = r4.practice.lever("merge")
        assert set(done) == set(r4.practice.control("GET", "directory"))
        loser = r4.get(f"Patient/{p14}").json()
        assert loser["active"] is False
        assert loser["link"] == [{"other": {"reference": f"Patient/{p13}"}, "type": "replaced-by"}]
        # A plain server does not stand in the way of writing to the loser: the client has to look.
        assert r4.post("Condition", problem(p14)).status_code == 201
        again = r4.practice.try_control("POST", "levers/merge", {})
        assert again.status_code == 400

    def test_take_their_entries_along_when_asked(self, r4):
        directory = r4.practice.directory()
        before = len(r4.found("Condition", patient=directory["P13"]["patient"]))
        done = r4.practice.lever("merge", vendor="generic", move=True)
        assert done["generic"]["moved"] > 3
        assert len(r4.found("Condition", patient=directory["P13"]["patient"])) == before + 1
        assert r4.found("Condition", patient=directory["P14"]["patient"]) == []

    def test_die(self, r4, p1):
        r4.practice.lever("die", patient="P1", on="2026-11-20T06:00:00-05:00")
        assert (
            r4.get(f"Patient/{p1['patient']}").json()["deceasedDateTime"]
            == "2026-11-20T06:00:00-05:00"
        )
        epic = r4.practice.client("epic")
        assert (
            "deceasedDateTime"
            in epic.get(f"Patient/{r4.practice.directory('epic')['P1']['patient']}").json()
        )


class TestLevers:
    def test_say_why_they_are_stuck(self, practice):
        for name, order in (
            ("launch", {}),
            ("sign", {}),
            ("sign", {"vendor": "athena", "reference": "X/1"}),
            ("sign", {"patient": "P1", "entry": "nothing"}),
            ("remove", {"reference": "Condition/unknown"}),
            ("die", {"patient": "P99"}),
            ("accept_staged", {}),
            ("decline_staged", {"patient": "P7"}),
            ("add_resource", {"resource": {"resourceType": "Spaceship"}}),
            ("add_resource", {"resource": {"resourceType": "Condition"}}),
        ):
            reply = practice.try_control("POST", f"levers/{name}", order)
            assert (reply.status_code, list(reply.json())) == (400, ["error"]), name

    def test_change_nothing_when_they_are_stuck(self, fresh_practice):
        before = fresh_practice.control("GET", "stats")
        order = {"patient": "P1", "entry": "ckd", "changes": {"subject": None}}
        assert (
            fresh_practice.try_control("POST", "levers/edit_as_colleague", order).status_code == 400
        )
        assert fresh_practice.control("GET", "stats") == before

    def test_accept_a_staged_item_with_changes(self, fresh_practice):
        epic = fresh_practice.client("epic")
        patient = fresh_practice.directory("epic")["P1"]["patient"]
        place = epic.post("Condition", problem(patient, verification="provisional")).headers[
            "Location"
        ]
        confirmed = {"verificationStatus": coded("urn:x", "confirmed")}
        fresh_practice.lever(
            "accept_staged", vendor="epic", patient="P1", type="Condition", changes=confirmed
        )
        assert epic.get(place).json()["verificationStatus"]["coding"][0]["code"] == "confirmed"
        assert fresh_practice.staged(vendor="epic", patient="P1")[0]["settled_by"] == "Dr A. Reyes"
