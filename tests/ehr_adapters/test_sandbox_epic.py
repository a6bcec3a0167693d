"""The practice's Epic front, oddity by oddity (docs/practice-ehr.md names each with its source)."""

from base64 import b64encode

import pytest
import requests

from tests.ehr_adapters.practice import (
    TAG_SYSTEM,
    Backend,
    Practice,
    allergy,
    coded,
    fresh_practice,
    minutes_ago,
    note,
    practice,
    problem,
    vital,
)

__all__ = ["fresh_practice", "practice"]
pytestmark = pytest.mark.once


@pytest.fixture
def epic(fresh_practice: Practice) -> Backend:
    return fresh_practice.client("epic")


@pytest.fixture
def directory(epic: Backend) -> dict:
    return epic.practice.directory("epic")


@pytest.fixture
def p1(directory: dict) -> dict:
    return directory["P1"]


def provisional(patient: str, **more) -> dict:
    return problem(patient, verification="provisional", **more)


def numbers(reply: requests.Response) -> list[str]:
    """Epic's error numbers in an OperationOutcome."""
    return [
        coding["code"]
        for issue in reply.json()["issue"]
        for coding in issue["details"].get("coding", [])
    ]


class TestAnswers:
    @pytest.mark.fault("epic.bare-201")
    def test_are_empty_with_a_relative_location_and_no_version(self, epic, p1):
        reply = epic.post("DocumentReference", note(p1["patient"], p1["encounter"]))
        assert (reply.status_code, reply.content) == (201, b"")
        kind, fhir_id = reply.headers["Location"].split("/")
        assert kind == "DocumentReference"
        read = epic.get(f"DocumentReference/{fhir_id}")
        for each in (reply, read):
            assert "ETag" not in each.headers
            assert "Last-Modified" not in each.headers
        assert "meta" not in read.json()

    def test_carry_the_entry_when_asked_for(self, epic, p1):
        reply = epic.post(
            "DocumentReference",
            note(p1["patient"], p1["encounter"]),
            headers={"Prefer": "return=representation"},
        )
        assert reply.json()["id"] == reply.headers["Location"].split("/")[1]

    def test_know_no_history(self, epic, p1):
        assert epic.get(f"Patient/{p1['patient']}/_history").status_code == 404
        assert epic.get(f"Patient/{p1['patient']}/_history/1").status_code == 404

    def test_number_their_errors(self, epic, p1):
        unknown = epic.get("Condition/unknown")
        assert (unknown.status_code, numbers(unknown)) == (404, ["4102"])
        epic.practice.lever("remove", vendor="epic", patient="P1", entry="ckd")
        removed = epic.get(p1["entries"]["ckd"])
        assert (removed.status_code, numbers(removed)) == (410, ["4103"])
        broken = epic.post("Condition", b"{")
        assert (broken.status_code, numbers(broken)) == (400, ["59105"])

    @pytest.mark.fault("epic.conditions-ignored")
    def test_ignore_conditional_headers(self, epic, p1):
        tag = {"If-None-Exist": f"identifier={TAG_SYSTEM}|t"}
        body = note(
            p1["patient"], p1["encounter"], identifier=[{"system": TAG_SYSTEM, "value": "t"}]
        )
        places = {
            epic.post("DocumentReference", body, headers=tag).headers["Location"] for _ in range(2)
        }
        assert len(places) == 2

    @pytest.mark.fault("epic.empty-403")
    def test_are_403_and_empty_for_apis_that_are_listed_but_not_usable(self, epic, p1):
        statement = requests.get(f"{epic.base}/metadata", timeout=10).json()
        listed = {each["type"]: each for each in statement["rest"][0]["resource"]}
        assert {"code": "create"} in listed["Communication"]["interaction"]
        assert listed["Condition"]["versioning"] == "no-version"
        assert {"code": "update"} not in listed["Condition"]["interaction"]
        for reply in (
            epic.post("Communication", {"resourceType": "Communication", "status": "completed"}),
            epic.post("Procedure", {"resourceType": "Procedure"}),
            epic.put(
                p1["entries"]["ckd"],
                provisional(p1["patient"], id=p1["entries"]["ckd"].split("/")[1]),
            ),
            epic.put(p1["entries"]["august_note"], {}),
        ):
            assert (reply.status_code, reply.content) == (403, b"")


class TestNotes:
    @pytest.mark.parametrize(("doc_status", "signed"), [("final", True), ("preliminary", False)])
    def test_are_signed_when_final_and_drafts_when_preliminary(self, epic, p1, doc_status, signed):
        author = {
            "reference": f"Practitioner/{epic.practice.directory('epic')['staff']['prescriber_one']['practitioner']}"
        }
        body = note(p1["patient"], p1["encounter"], docStatus=doc_status, author=[author])
        read = epic.get(epic.post("DocumentReference", body).headers["Location"]).json()
        assert read["docStatus"] == doc_status
        assert ("authenticator" in read) is signed
        assert read["author"][0]["reference"] == author["reference"]

    def test_go_under_the_background_user_without_an_author(self, epic, p1, directory):
        read = epic.get(
            epic.post("DocumentReference", note(p1["patient"], p1["encounter"])).headers["Location"]
        ).json()
        background = directory["staff"]["background_user"]["practitioner"]
        assert read["author"] == [
            {"reference": f"Practitioner/{background}", "display": "Background user"}
        ]

    def test_keep_the_first_attachment_only_and_drop_what_is_not_known(self, epic, p1):
        body = note(
            p1["patient"],
            p1["encounter"],
            text="first",
            identifier=[{"system": TAG_SYSTEM, "value": "t"}],
        )
        body["content"].append(
            {"attachment": {"contentType": "text/plain", "data": b64encode(b"second").decode()}}
        )
        body["relatesTo"] = [
            {"code": "appends", "target": {"reference": p1["entries"]["august_note"]}}
        ]
        read = epic.get(epic.post("DocumentReference", body).headers["Location"]).json()
        assert [each["attachment"]["data"] for each in read["content"]] == [
            b64encode(b"first").decode()
        ]
        assert "relatesTo" not in read
        assert "identifier" not in read

    def test_keep_identifiers_where_the_setting_says_so(self, epic, p1):
        epic.practice.settings("epic", identifiers_kept=True)
        body = note(
            p1["patient"], p1["encounter"], identifier=[{"system": TAG_SYSTEM, "value": "t"}]
        )
        read = epic.get(epic.post("DocumentReference", body).headers["Location"]).json()
        assert read["identifier"] == [{"system": TAG_SYSTEM, "value": "t"}]

    @pytest.mark.fault("epic.notes-twice")
    def test_sent_twice_are_two(self, epic, p1):
        body = note(p1["patient"], p1["encounter"], docStatus="final")
        before = len(epic.found("DocumentReference", patient=p1["patient"]))
        for _ in range(2):
            assert epic.post("DocumentReference", body).status_code == 201
        assert len(epic.found("DocumentReference", patient=p1["patient"])) == before + 2

    def test_in_draft_are_read_by_id_and_listed_only_by_setting(self, epic, p1):
        place = epic.post("DocumentReference", note(p1["patient"], p1["encounter"])).headers[
            "Location"
        ]
        assert epic.get(place).status_code == 200

        def listed() -> bool:
            found = epic.found("DocumentReference", patient=p1["patient"])
            return place.split("/")[1] in {each["id"] for each in found}

        assert not listed()
        epic.practice.settings("epic", drafts_listed=True)
        assert listed()

    def test_are_taken_for_a_finished_visit(self, epic, directory):
        p6 = directory["P6"]
        assert (
            epic.post("DocumentReference", note(p6["patient"], p6["encounter"])).status_code == 201
        )

    @pytest.mark.parametrize(
        ("wrong", "number"),
        [
            ({"status": "superseded"}, "59111"),
            ({"docStatus": "amended"}, "59111"),
            ({"docStatus": None}, "59111"),
            ({"type": coded("http://loinc.org", "18842-5")}, "59111"),
            ({"type": None}, "59111"),
            ({"content": [{"attachment": {"contentType": "text/html", "data": "PGI+"}}]}, "59111"),
            (
                {
                    "content": [
                        {"attachment": {"contentType": "application/pdf", "data": "JVBERi0="}}
                    ]
                },
                "59111",
            ),
            (
                {
                    "content": [
                        {"attachment": {"contentType": "text/plain", "url": "http://x.example"}}
                    ]
                },
                "59111",
            ),
            ({"content": [{"attachment": {"contentType": "text/plain", "data": "/w=="}}]}, "59111"),
            ({"content": None}, "59108"),
            ({"context": None}, "59108"),
            ({"context": {"encounter": [{"reference": "Encounter/unknown"}]}}, "59144"),
            ({"subject": {"reference": "Patient/unknown"}}, "59144"),
            ({"subject": None}, "59108"),
        ],
    )
    def test_are_refused(self, epic, p1, wrong, number):
        body = {
            key: value
            for key, value in (note(p1["patient"], p1["encounter"]) | wrong).items()
            if value is not None
        }
        reply = epic.post("DocumentReference", body)
        assert (reply.status_code, numbers(reply)) == (400, [number])

    def test_are_refused_in_the_visit_of_another_patient(self, epic, directory, p1):
        reply = epic.post("DocumentReference", note(p1["patient"], directory["P2"]["encounter"]))
        assert numbers(reply) == ["59159"]

    def test_are_updated_without_a_version_check_where_that_api_is_on_the_app(
        self, fresh_practice, p1
    ):
        epic = fresh_practice.client(
            "epic",
            apis=["DocumentReference.Create", "DocumentReference.Read", "DocumentReference.Update"],
        )
        place = epic.post("DocumentReference", note(p1["patient"], p1["encounter"])).headers[
            "Location"
        ]
        changed = epic.get(place).json() | {"description": "second thoughts"}
        for _ in range(2):
            reply = epic.put(place, changed, headers={"If-Match": 'W/"1"'})
            assert (reply.status_code, reply.content) == (200, b"")
        assert epic.get(place).json()["description"] == "second thoughts"


class TestHoldingTank:
    @pytest.mark.fault("epic.holding-tank")
    @pytest.mark.parametrize("kind", ["Condition", "AllergyIntolerance"])
    def test_hides_what_it_takes_until_somebody_accepts_it(self, epic, p1, kind):
        body = {"Condition": provisional, "AllergyIntolerance": allergy}[kind](p1["patient"])
        reply = epic.post(kind, body)
        assert (reply.status_code, reply.content) == (201, b"")
        place = reply.headers["Location"]
        held = {each["id"] for each in epic.found(kind, patient=p1["patient"])}
        assert place.split("/")[1] not in held
        assert epic.get(place).status_code == 404
        assert epic.practice.log()[-1]["committed"] == []
        assert [
            each["reference"] for each in epic.practice.staged(vendor="epic", patient="P1")
        ] == [place]

        epic.practice.lever("accept_staged", vendor="epic", reference=place)
        assert epic.get(place).status_code == 200
        assert place.split("/")[1] in {
            each["id"] for each in epic.found(kind, patient=p1["patient"])
        }
        assert epic.practice.staged(vendor="epic", patient="P1")[0]["state"] == "accepted"

    def test_forgets_what_is_declined(self, epic, p1):
        place = epic.post("Condition", provisional(p1["patient"])).headers["Location"]
        epic.practice.lever("decline_staged", vendor="epic", patient="P1")
        assert epic.get(place).status_code == 404
        refused = epic.practice.try_control(
            "POST", "levers/accept_staged", {"vendor": "epic", "reference": place}
        )
        assert refused.status_code == 400

    def test_does_not_notice_duplicates(self, epic, p1):
        for _ in range(2):
            assert epic.post("AllergyIntolerance", allergy(p1["patient"])).status_code == 201
        assert (
            len(epic.practice.staged(vendor="epic", type="AllergyIntolerance", patient="P1")) == 2
        )

    def test_puts_the_codes_words_in_place_of_those_sent(self, epic, p1):
        body = provisional(p1["patient"])
        body["code"]["text"] = "swimmy head"
        place = epic.post("Condition", body).headers["Location"]
        epic.practice.lever("accept_staged", vendor="epic", reference=place)
        assert epic.get(place).json()["code"]["text"] == "Dizziness and giddiness"

    def test_loses_category_and_date_of_an_allergy(self, epic, p1):
        place = epic.post(
            "AllergyIntolerance", allergy(p1["patient"], recordedDate="2026-11-20")
        ).headers["Location"]
        epic.practice.lever("accept_staged", vendor="epic", reference=place)
        read = epic.get(place).json()
        assert "category" not in read
        assert "recordedDate" not in read
        assert read["reaction"]

    def test_already_holds_an_allergy_of_p2(self, epic, directory):
        assert [each["state"] for each in epic.practice.staged(vendor="epic", patient="P2")] == [
            "waiting"
        ]
        held = epic.found("AllergyIntolerance", patient=directory["P2"]["patient"])
        assert [each["code"]["text"] for each in held] == ["Latex (substance)"]

    @pytest.mark.fault("epic.provisional-only")
    @pytest.mark.parametrize("verification", ["confirmed", "unconfirmed", "differential", None])
    def test_takes_provisional_problems_only(self, epic, p1, verification):
        body = problem(p1["patient"], verification=verification or "confirmed")
        if verification is None:
            del body["verificationStatus"]
        reply = epic.post("Condition", body)
        assert (reply.status_code, numbers(reply)) == (422, ["59012"])

    @pytest.mark.parametrize(("length", "status"), [(450, 201), (451, 400)])
    def test_takes_a_comment_of_450_characters(self, epic, p1, length, status):
        reply = epic.post("Condition", provisional(p1["patient"], note=[{"text": "x" * length}]))
        assert reply.status_code == status

    @pytest.mark.parametrize(
        ("wrong", "number"),
        [
            ({"code": {"text": "dizzy"}}, "59108"),
            ({"code": coded("http://hl7.org/fhir/sid/icd-10-cm", "R42")}, "59108"),
            ({"category": [coded("urn:x", "encounter-diagnosis")]}, "59111"),
            ({"onsetDateTime": "last year"}, "59111"),
            ({"subject": {"reference": "Patient/unknown"}}, "59144"),
        ],
    )
    def test_refuses_other_problems(self, epic, p1, wrong, number):
        reply = epic.post("Condition", provisional(p1["patient"]) | wrong)
        assert (reply.status_code, numbers(reply)) == (400, [number])

    @pytest.mark.parametrize(
        "wrong",
        [
            {"clinicalStatus": coded("urn:x", "resolved")},
            {"verificationStatus": coded("urn:x", "confirmed")},
            {"reaction": [{"manifestation": [coded("urn:x", "1"), coded("urn:x", "2")]}]},
        ],
    )
    def test_refuses_other_allergies(self, epic, p1, wrong):
        assert numbers(epic.post("AllergyIntolerance", allergy(p1["patient"]) | wrong)) == ["59111"]


class TestVitals:
    def test_become_a_row_of_the_flowsheet(self, epic, p1):
        place = epic.post("Observation", vital(p1["patient"], p1["encounter"])).headers["Location"]
        assert epic.get(place).json()["valueQuantity"]["value"] == 72

    @pytest.mark.parametrize(
        ("code", "sent", "kept"),
        [
            ("8302-2", (70, "[in_i]"), (177.8, "cm")),
            ("29463-7", (150, "[lb_av]"), (68.04, "kg")),
            ("8310-5", (100.4, "[degF]"), (38.0, "Cel")),
            ("29463-7", (68.5, "kg"), (68.5, "kg")),
        ],
    )
    def test_are_converted(self, epic, p1, code, sent, kept):
        body = vital(p1["patient"], p1["encounter"], code=code, value=sent)
        value = epic.get(epic.post("Observation", body).headers["Location"]).json()["valueQuantity"]
        assert (value["value"], value["code"]) == kept

    def test_of_pressure_keep_the_number_whatever_the_unit(self, epic, p1):
        body = vital(p1["patient"], p1["encounter"], code="85354-9")
        kilopascal = {
            "value": 20,
            "unit": "kPa",
            "system": "http://unitsofmeasure.org",
            "code": "kPa",
        }
        body["component"] = [
            {"code": coded("http://loinc.org", "8480-6"), "valueQuantity": kilopascal}
        ]
        del body["valueQuantity"]
        read = epic.get(epic.post("Observation", body).headers["Location"]).json()
        assert read["component"][0]["valueQuantity"] == {
            **kilopascal,
            "unit": "mm[Hg]",
            "code": "mm[Hg]",
        }

    @pytest.mark.fault("epic.vitals-twice")
    def test_sent_twice_are_already_there(self, epic, p1):
        body = vital(p1["patient"], p1["encounter"])
        assert epic.post("Observation", body).status_code == 201
        again = epic.post("Observation", body)
        assert (again.status_code, numbers(again)) == (400, ["59189"])
        assert again.json()["issue"][0]["expression"] == ["code/instant"]

    @pytest.mark.fault("epic.flowsheet-rows")
    def test_need_the_row_that_the_customer_has_mapped(self, epic, p1):
        body = vital(p1["patient"], p1["encounter"], code="9843-4", value=(54, "cm"))
        assert numbers(epic.post("Observation", body)) == ["59188"]
        epic.practice.settings("epic", flowsheet_rows=["9843-4"])
        assert epic.post("Observation", body).status_code == 201
        epic.practice.settings("epic", flowsheet_rows=[])
        assert numbers(epic.post("Observation", body)) == ["59187"]

    @pytest.mark.parametrize(
        ("wrong", "number"),
        [
            ({"status": "preliminary"}, "59111"),
            ({"category": [coded("urn:x", "laboratory")]}, "59111"),
            ({"effectiveDateTime": "2026-11-20"}, "59108"),
            ({"effectiveDateTime": minutes_ago(-60)}, "59111"),
            ({"encounter": None}, "59108"),
            ({"valueQuantity": None}, "59108"),
            ({"note": [{"text": "x" * 255}]}, "59111"),
            (
                {
                    "code": {
                        "coding": [
                            {"system": "http://loinc.org", "code": c} for c in ("8867-4", "9279-1")
                        ]
                    }
                },
                "59111",
            ),
        ],
    )
    def test_are_refused(self, epic, p1, wrong, number):
        body = {
            k: v
            for k, v in (vital(p1["patient"], p1["encounter"]) | wrong).items()
            if v is not None
        }
        reply = epic.post("Observation", body)
        assert (reply.status_code, numbers(reply)) == (400, [number])

    @pytest.mark.parametrize("patient", ["P6", "P9", "P12"])
    def test_are_refused_in_a_visit_that_is_not_open(self, epic, directory, patient):
        body = vital(directory[patient]["patient"], directory[patient]["encounter"])
        assert numbers(epic.post("Observation", body)) == ["59159"]


class TestSearch:
    def test_says_that_nothing_was_found(self, epic, directory):
        bundle = epic.get("MedicationRequest", patient=directory["P3"]["patient"]).json()
        assert bundle["total"] == 0
        assert [entry["search"]["mode"] for entry in bundle["entry"]] == ["outcome"]
        assert bundle["entry"][0]["resource"]["issue"][0]["details"]["coding"][0]["code"] == "4101"

    def test_ignores_parameters_that_it_does_not_know_and_says_so(self, epic, p1):
        bundle = epic.get("Condition", patient=p1["patient"], colour="red").json()
        assert bundle["total"] == 2
        assert (
            bundle["entry"][-1]["resource"]["issue"][0]["details"]["coding"][0]["code"] == "59100"
        )

    def test_needs_a_patient(self, epic):
        assert numbers(epic.get("Condition", **{"clinical-status": "active"})) == ["59108"]

    def test_lists_reported_medications_among_the_requests(self, epic, directory):
        found = epic.found("MedicationRequest", patient=directory["P6"]["patient"])
        assert [(each["intent"], each.get("reportedBoolean")) for each in found] == [("plan", True)]


@pytest.mark.req("003-65")
class TestMergedPatients:
    @pytest.mark.fault("epic.merged-redirect")
    def test_redirect_with_4107_whatever_is_asked(self, epic, directory):
        p13, p14 = directory["P13"], directory["P14"]
        epic.practice.lever("merge", vendor="epic")
        for reply in (
            epic.get(f"Patient/{p14['patient']}"),
            epic.get("Condition", patient=p14["patient"]),
            epic.post("DocumentReference", note(p14["patient"], p14["encounter"])),
            epic.post("Condition", provisional(p14["patient"])),
        ):
            assert (reply.status_code, numbers(reply)) == (302, ["4107"])
            assert reply.headers["Location"].endswith(f"/Patient/{p13['patient']}")
        assert epic.practice.resources(vendor="epic", type="Condition", patient="P14") == []
        assert len(epic.found("Condition", patient=p13["patient"])) == 2
        assert epic.get(f"Patient/{p13['patient']}").json()["link"][0]["type"] == "replaces"
