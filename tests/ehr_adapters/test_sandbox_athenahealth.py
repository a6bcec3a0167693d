"""The athenahealth front of the practice EHR: each oddity that is documented, and what is left open as a switch."""

import json
from base64 import b64decode, b64encode
from typing import Any

import pytest
import requests

from tests.ehr_adapters.practice import (
    READY_SECONDS,
    Backend,
    Practice,
    fresh_practice,
    practice,
    problem,
)

__all__ = ["fresh_practice", "practice"]
pytestmark = [pytest.mark.once, pytest.mark.req("003-60")]

V1_SCOPE = "athena/service/Athenanet.MDP.*"
SYSTEM = "system/*.cruds"


class Athena(Backend):
    """A registered service that speaks both interfaces of one practice."""

    def __init__(self, practice: Practice, **registration: Any) -> None:
        super().__init__(practice, "athenahealth", scope=f"{V1_SCOPE} {SYSTEM}", **registration)
        self.people = practice.directory("athenahealth")

    def number(self, who: str, what: str = "patient") -> str:
        return self.people[who][what].rpartition("-")[2]

    def entry(self, who: str, name: str) -> str:
        return self.people[who]["entries"][name].rpartition("-")[2]

    def v1(
        self, method: str, place: str, fields: dict[str, Any] | None = None, **more: Any
    ) -> requests.Response:
        root = f"{self.practice.root}/athenahealth/v1/{more.pop('practice', '195900')}"
        sent = {"params": fields} if method == "GET" else {"data": fields}
        return self.http.request(
            method, f"{root}/{place}", timeout=READY_SECONDS, allow_redirects=False,
            headers={"Authorization": f"Bearer {self.token()}"}, **sent, **more,
        )  # fmt: skip

    def problems(self, who: str = "P1", **query: str) -> list[dict[str, Any]]:
        place = f"chart/{self.number(who)}/problems"
        reply = self.v1("GET", place, {"departmentid": "1", **query})
        assert reply.status_code == 200, reply.text
        return reply.json()["problems"]


@pytest.fixture
def athena(fresh_practice: Practice) -> Athena:
    fresh_practice.settings("athenahealth", token_mints_per_minute=1000)
    return Athena(fresh_practice)


class TestTheDoor:
    def test_a_token_serves_both_interfaces_by_its_scopes(self, athena: Athena) -> None:
        granted = athena.ask_token().json()
        assert granted["scope"] == f"{V1_SCOPE} {SYSTEM}"
        assert athena.v1("GET", "ping").json() == {"pong": "true"}
        assert athena.get(f"Patient/{athena.people['P1']['patient']}").status_code == 200
        athena.scope = "system/*.rs"
        athena.forget_token()
        assert athena.v1("GET", "ping").status_code == 403

    def test_a_secret_signs_in_as_well(self, fresh_practice: Practice) -> None:
        client = Athena(fresh_practice, client_id="by-secret")
        fresh_practice.control(
            "POST",
            "clients",
            {
                "vendor": "athenahealth",
                "client_id": "by-secret",
                "secret": "a-made-up-secret",
                "scope": V1_SCOPE,
            },
        )
        form = {"grant_type": "client_credentials", "scope": V1_SCOPE}
        for secret, status in (("a-made-up-secret", 200), ("another", 401)):
            reply = client.http.post(
                client.token_url, data=form, auth=("by-secret", secret), timeout=READY_SECONDS
            )
            assert reply.status_code == status
        # A client with a secret cannot sign with the key of somebody else.
        assert client.ask_token().status_code == 401

    @pytest.mark.fault("athenahealth.tokens-a-minute")
    def test_so_many_tokens_a_minute_then_429_until_the_minute_is_over(
        self, athena: Athena
    ) -> None:
        athena.practice.settings("athenahealth", token_mints_per_minute=2)
        statuses = [athena.ask_token().status_code for _ in range(5)]
        # The minute may turn in between, but only once.
        assert statuses.count(200) in {2, 4}
        assert 429 in statuses

    @pytest.mark.fault("athenahealth.calls-a-day")
    def test_each_call_costs_of_the_day_and_says_what_is_left(self, athena: Athena) -> None:
        athena.practice.settings("athenahealth", calls_per_day=3)
        left = [athena.v1("GET", "ping").headers["X-RateLimit-Remaining"] for _ in range(2)]
        assert left == ["2", "1"]
        assert athena.get(f"Patient/{athena.people['P1']['patient']}").status_code == 200
        spent = athena.v1("GET", "ping")
        assert (spent.status_code, spent.headers["X-RateLimit-Remaining"]) == (429, "0")
        assert spent.headers["Content-Type"].startswith("text/plain")

    def test_the_gateway_speaks_plain_words_and_the_backend_json(self, athena: Athena) -> None:
        reply = requests.get(
            f"{athena.practice.root}/athenahealth/v1/195900/ping", timeout=READY_SECONDS
        )
        assert reply.status_code == 401
        assert reply.headers["Content-Type"].startswith("text/plain")
        reply = athena.v1("GET", "ping", practice="1")
        assert reply.status_code == 404
        assert reply.json() == {
            "error": "Invalid practice.",
            "detailedmessage": "The practice ID does not exist.",
        }
        assert athena.v1("GET", "nothing/here").status_code == 404


class TestTheChart:
    def test_one_entry_has_an_id_on_each_side(self, athena: Athena) -> None:
        assert athena.people["P1"]["patient"].startswith("a-195900.E-")
        [shown] = athena.v1("GET", f"patients/{athena.number('P1')}").json()
        assert (shown["lastname"], shown["dob"], shown["sex"]) == ("OKONKWO", "03/14/1957", "F")
        fhir = athena.get(f"Patient/{athena.people['P1']['patient']}").json()
        assert fhir["name"][0]["family"] == "OKONKWO"

    @pytest.mark.fault("athenahealth.department")
    def test_a_department_is_needed_and_must_be_one(self, athena: Athena) -> None:
        place = f"chart/{athena.number('P1')}/problems"
        reply = athena.v1("GET", place)
        assert reply.status_code == 400
        assert reply.json()["missingfields"] == ["departmentid"]
        assert athena.v1("GET", place, {"departmentid": "99"}).status_code == 400
        listed = athena.v1("GET", "departments").json()["departments"]
        assert [each["departmentid"] for each in listed] == ["1", "21"]

    @pytest.mark.fault("athenahealth.form-fields")
    def test_only_form_fields_are_fields(self, athena: Athena) -> None:
        place = f"chart/{athena.number('P1')}/problems"
        reply = athena.v1("POST", place, json={"departmentid": "1", "snomedcode": "195967001"})
        assert reply.status_code == 400
        assert reply.json()["missingfields"] == ["departmentid", "snomedcode"]

    def test_a_visit_is_open_in_review_or_closed_and_is_none_before_check_in(
        self, athena: Athena
    ) -> None:
        states = {}
        for who in ("P1", "P6", "P9", "P12"):
            reply = athena.v1("GET", f"chart/encounter/{athena.number(who, 'encounter')}")
            states[who] = reply.json()[0]["status"] if reply.ok else reply.status_code
        assert states == {"P1": "OPEN", "P6": "REVIEW", "P9": "CLOSED", "P12": 404}

    def test_fhir_reads_and_writes_next_to_nothing(self, athena: Athena) -> None:
        patient = athena.people["P1"]["patient"]
        assert athena.post("Condition", problem(patient)).status_code == 405
        named = athena.found(
            "Patient", family="OKONKWO", **{"ah-practice": "Organization/a-1.Practice-195900"}
        )
        assert len(named) == 2
        statement = athena.get("metadata").json()
        able = [
            r["type"]
            for r in statement["rest"][0]["resource"]
            if {"code": "create"} in r["interaction"]
        ]
        assert able == ["QuestionnaireResponse"]

    @pytest.mark.parametrize(("mode", "filed"), [("ignored", 2), ("atomic", 1)])
    def test_a_condition_of_its_one_fhir_create_is_ignored_unless_switched_on(
        self, athena: Athena, mode: str, filed: int
    ) -> None:
        athena.practice.settings("athenahealth", conditional_create=mode)
        patient = athena.people["P1"]["patient"]
        answers = {
            "resourceType": "QuestionnaireResponse",
            "status": "completed",
            "identifier": {"system": "urn:test:tag", "value": "once"},
            "subject": {"reference": f"Patient/{patient}"},
        }
        for _ in range(2):
            condition = {"If-None-Exist": "identifier=urn:test:tag|once"}
            reply = athena.post("QuestionnaireResponse", answers, headers=condition)
            assert reply.status_code in (200, 201), reply.text
        assert (
            len(athena.practice.resources(vendor="athenahealth", type="QuestionnaireResponse"))
            == filed
        )


class TestDocuments:
    def filed(self, athena: Athena, **fields: str) -> requests.Response:
        place = f"patients/{athena.number('P1')}/documents/clinicaldocument"
        whole = {"departmentid": "1", "documentsubclass": "CLINICALDOCUMENT"} | fields
        return athena.v1("POST", place, files={k: (None, v) for k, v in whole.items()})

    def test_a_text_is_filed_open_for_review_and_read_on_both_sides(self, athena: Athena) -> None:
        reply = self.filed(
            athena, documentdata="Seen today. BP ≥ 140.", internalnote="for staff",
            observationdate="11/20/2026", observationtime="08:41",
        )  # fmt: skip
        number = reply.json()["clinicaldocumentid"]
        assert (reply.status_code, reply.json()["success"]) == (200, True)
        place = f"patients/{athena.number('P1')}/documents/clinicaldocument"
        [shown] = athena.v1("GET", f"{place}/{number}", {"departmentid": "1"}).json()
        assert (shown["status"], shown["internalnote"]) == ("REVIEW", "for staff")
        assert (shown["observationdate"], shown["observationtime"]) == ("11/20/2026", "08:41")
        assert shown["documentdata"] == "Seen today. BP ≥ 140."
        listed = athena.v1("GET", place, {"departmentid": "1"}).json()["clinicaldocuments"]
        assert listed[-1]["clinicaldocumentid"] == number
        assert "documentdata" not in listed[-1]
        fhir = athena.get(f"DocumentReference/a-195900.c-{number}").json()
        assert fhir["docStatus"] == "preliminary"
        assert "for staff" not in json.dumps(fhir)
        assert b64decode(fhir["content"][0]["attachment"]["data"]).decode().startswith("Seen")

    def test_autoclose_skips_the_inbox_and_a_pdf_is_base64(self, athena: Athena) -> None:
        pdf = b64encode(b"%PDF-1.4 made up").decode()
        reply = self.filed(athena, attachmentcontents=pdf, autoclose="true")
        fhir = athena.get(f"DocumentReference/a-195900.c-{reply.json()['clinicaldocumentid']}")
        assert fhir.json()["docStatus"] == "final"
        assert self.filed(athena, attachmentcontents="no base64!").status_code == 400

    def test_what_is_missing_or_no_value_is_told_in_json(self, athena: Athena) -> None:
        reply = self.filed(athena, documentsubclass="")
        assert reply.json()["missingfields"] == ["documentsubclass"]
        for wrong in (
            {"documentsubclass": "LETTER"},
            {"observationdate": "2026-11-20"},
            {"internalnote": "x" * 4001},
            {"providerid": "1"},
        ):
            assert self.filed(athena, **wrong).status_code in {400, 404}

    def test_a_long_list_comes_page_by_page(self, athena: Athena) -> None:
        for _ in range(3):
            self.filed(athena, documentdata="again")
        place = f"patients/{athena.number('P1')}/documents/clinicaldocument"
        first = athena.v1("GET", place, {"departmentid": "1", "limit": "2"}).json()
        assert len(first["clinicaldocuments"]) == 2
        assert first["totalcount"] > 2
        assert first["next"]


class TestProblems:
    def test_a_problem_takes_snomed_and_the_same_again_is_another(self, athena: Athena) -> None:
        place = f"chart/{athena.number('P1')}/problems"
        fields = {"departmentid": "1", "snomedcode": "195967001", "startdate": "11/02/2026"}
        assert athena.v1("POST", place, {"departmentid": "1"}).json()["missingfields"] == [
            "snomedcode"
        ]
        first, second = (athena.v1("POST", place, fields).json()[0] for _ in range(2))
        assert first["success"] is True
        assert first["problemid"] != second["problemid"]
        shown = next(p for p in athena.problems() if p["problemid"] == first["problemid"])
        assert (shown["code"], shown["codeset"]) == ("195967001", "SNOMED")
        assert shown["events"][0]["startdate"] == "11/02/2026"
        fhir = athena.get(f"Condition/a-195900.c-{first['problemid']}").json()
        assert fhir["onsetDateTime"] == "2026-11-02"

    def test_an_update_changes_what_it_names_and_nothing_notices_a_colleague(
        self, athena: Athena
    ) -> None:
        number = athena.entry("P1", "ckd")
        place = f"chart/{athena.number('P1')}/problems/{number}"
        athena.practice.lever(
            "edit_as_colleague", vendor="athenahealth", patient="P1", entry="ckd",
            changes={"onsetDateTime": "2024-03-01"},
        )  # fmt: skip
        reply = athena.v1("PUT", place, {"departmentid": "1", "note": "Stable."})
        assert reply.status_code == 200
        shown = next(p for p in athena.problems() if str(p["problemid"]) == number)
        assert shown["events"][0] == {
            "eventtype": "START", "startdate": "03/01/2024", "note": "Stable.",
        }  # fmt: skip
        other = f"chart/{athena.number('P2')}/problems/{number}"
        assert athena.v1("PUT", other, {"departmentid": "1"}).status_code == 404

    def test_ended_ones_are_shown_when_asked_for(self, athena: Athena) -> None:
        assert athena.problems("P3") == []
        [ended] = athena.problems("P3", showinactive="true")
        assert [event["eventtype"] for event in ended["events"]] == ["START", "END"]

    def test_a_diagnosis_belongs_to_an_open_visit(self, athena: Athena) -> None:
        fields = {"snomedcode": "239873007", "icd10codes": json.dumps(["M17.11"])}
        place = f"chart/encounter/{athena.number('P1', 'encounter')}/diagnoses"
        reply = athena.v1("POST", place, fields)
        assert reply.json()["success"] is True
        [shown] = athena.v1("GET", place).json()
        assert (shown["snomedcode"], shown["icdcodes"][0]["code"]) == ("239873007", "M17.11")
        closed = f"chart/encounter/{athena.number('P9', 'encounter')}/diagnoses"
        refused = athena.v1("POST", closed, fields)
        assert (refused.status_code, refused.json()["error"]) == (400, "The encounter is closed.")


class TestFaults:
    @pytest.mark.parametrize(
        ("fault", "status", "media"),
        [
            ("rate-limited", 429, "text/plain"),
            ("unavailable", 503, "text/plain"),
            ("expired-token", 401, "text/plain"),
            ("error-before-commit", 500, "application/json"),
            ("conflict", 409, "application/json"),
            ("chart-locked", 400, "application/json"),
            ("outcome", 200, "application/json"),
        ],
    )
    def test_each_is_told_in_the_vendors_form(
        self, athena: Athena, fault: str, status: int, media: str
    ) -> None:
        athena.practice.fault(fault, vendor="athenahealth", method="POST", path="problems$")
        fields = {"departmentid": "1", "snomedcode": "195967001"}
        reply = athena.v1("POST", f"chart/{athena.number('P1')}/problems", fields)
        assert reply.status_code == status
        assert reply.headers["Content-Type"].startswith(media)
        assert "OperationOutcome" not in reply.text
        if fault == "outcome":
            assert reply.json()["success"] is False

    def test_a_late_commit_is_carried_out_by_the_same_rules(self, athena: Athena) -> None:
        before = len(athena.problems())
        athena.practice.fault(
            "late-commit", vendor="athenahealth", method="POST", path="problems$", after_ms=600_000
        )
        fields = {"departmentid": "1", "snomedcode": "195967001"}
        reply = athena.v1("POST", f"chart/{athena.number('P1')}/problems", fields)
        assert reply.status_code == 500
        assert len(athena.problems()) == before
        athena.practice.lever("commit_late", vendor="athenahealth")
        assert len(athena.problems()) == before + 1

    def test_a_write_to_a_merged_record_is_what_the_switch_says(self, athena: Athena) -> None:
        athena.practice.lever("merge", vendor="athenahealth")
        place = f"chart/{athena.number('P14')}/problems"
        fields = {"departmentid": "1", "snomedcode": "195967001"}
        assert athena.v1("POST", place, fields).status_code == 200
        athena.practice.settings("athenahealth", merged_patient_refused=True)
        assert athena.v1("POST", place, fields).status_code == 404


class TestVitals:
    def test_groups_are_charted_in_the_practices_units_and_named_by_no_id(
        self, athena: Athena
    ) -> None:
        place = f"chart/encounter/{athena.number('P1', 'encounter')}/vitals"
        groups = [
            [
                {"clinicalelementid": "VITALS.BLOODPRESSURE.SYSTOLIC", "value": "140"},
                {"clinicalelementid": "VITALS.BLOODPRESSURE.DIASTOLIC", "value": "88"},
            ],
            [{"clinicalelementid": "VITALS.WEIGHT", "value": "78100"}],
        ]
        reply = athena.v1("POST", place, {"vitals": json.dumps(groups)})
        assert (reply.status_code, reply.json()) == (200, {"success": True})
        shown = {each["key"]: each["readings"] for each in athena.v1("GET", place).json()["vitals"]}
        assert [one["value"] for one in shown["BLOODPRESSURE"][-1]] == ["140", "88"]
        assert len({one["readingid"] for one in shown["BLOODPRESSURE"][-1]}) == 1
        # The seeded weight was kept in kilograms; here every weight is in grams.
        assert [group[0]["value"] for group in shown["WEIGHT"]] == ["78400", "78100"]

    def test_only_an_open_visit_known_elements_and_numbers_are_taken(self, athena: Athena) -> None:
        place = f"chart/encounter/{athena.number('P1', 'encounter')}/vitals"
        for wrong in (
            "no json",
            json.dumps({"value": "1"}),
            json.dumps([[{"clinicalelementid": "VITALS.SHOESIZE", "value": "44"}]]),
            json.dumps([[{"clinicalelementid": "VITALS.WEIGHT", "value": "heavy"}]]),
        ):
            assert athena.v1("POST", place, {"vitals": wrong}).status_code == 400
        assert athena.v1("POST", place).json()["missingfields"] == ["vitals"]
        right = json.dumps([[{"clinicalelementid": "VITALS.WEIGHT", "value": "78100"}]])
        for who, status in (("P6", 200), ("P9", 400)):
            visit = f"chart/encounter/{athena.number(who, 'encounter')}/vitals"
            assert athena.v1("POST", visit, {"vitals": right}).status_code == status


class TestPatientCases:
    def test_a_case_is_answered_with_its_number_alone_and_listed(self, athena: Athena) -> None:
        place = f"patients/{athena.number('P1')}/documents/patientcase"
        fields = {
            "departmentid": "1",
            "documentsource": "PATIENT",
            "documentsubclass": "CLINICALQUESTION",
            "subject": "Call back",
            "internalnote": "About the potassium.",
        }
        reply = athena.v1("POST", place, fields)
        assert set(reply.json()) == {"patientcaseid"}
        [shown] = athena.v1("GET", place, {"departmentid": "1"}).json()["patientcases"]
        assert (shown["subject"], shown["status"]) == ("Call back", "OPEN")
        assert athena.get(f"Task/a-195900.c-{shown['patientcaseid']}").status_code == 404
        for wrong in (
            {"documentsource": "NOBODY"},
            {"priority": "7"},
            {"internalnote": "x" * 4001},
            {"departmentid": ""},
        ):
            assert athena.v1("POST", place, fields | wrong).status_code == 400


class TestAllergies:
    @pytest.mark.fault("athenahealth.put-without-id")
    def test_one_put_adds_and_updates_by_allergen_and_never_deletes(self, athena: Athena) -> None:
        found = athena.v1("GET", "reference/allergies", {"searchvalue": "SULFA"}).json()
        assert [one["allergenname"] for one in found] == ["sulfamethoxazole"]
        reactions = athena.v1("GET", "reference/allergies/reactions").json()
        assert all(isinstance(one["reactionid"], int) for one in reactions)
        assert athena.v1("GET", "reference/allergies").json()["missingfields"] == ["searchvalue"]
        place = f"chart/{athena.number('P1')}/allergies"
        sent = [{"allergenid": found[0]["allergenid"], "note": "Rash last year."}]
        for _ in range(2):
            reply = athena.v1("PUT", place, {"departmentid": "1", "allergies": json.dumps(sent)})
            assert (reply.status_code, reply.json()) == (200, {"success": True})
        shown = athena.v1("GET", place, {"departmentid": "1"}).json()
        assert [one["allergenname"] for one in shown["allergies"]] == [
            "penicillin", "sulfamethoxazole",
        ]  # fmt: skip
        assert shown["nkda"] == "false"

    def test_a_number_that_is_no_allergen_is_refused_whole(self, athena: Athena) -> None:
        place = f"chart/{athena.number('P1')}/allergies"
        sent = json.dumps([{"allergenid": "1", "note": "x"}])
        reply = athena.v1("PUT", place, {"departmentid": "1", "allergies": sent})
        assert (reply.status_code, reply.json()["error"]) == (400, "The data provided is invalid.")


class TestMedications:
    def test_a_list_entry_takes_a_number_and_words_and_is_ended_by_a_date(
        self, athena: Athena
    ) -> None:
        [drug] = athena.v1("GET", "reference/medications", {"searchvalue": "naproxen"}).json()
        place = f"chart/{athena.number('P1')}/medications"
        fields = {
            "departmentid": "1",
            "medicationid": drug["medicationid"],
            "unstructuredsig": "1 tablet twice a day",
            "startdate": "11/20/2026",
        }
        number = athena.v1("POST", place, fields).json()["medicationentryid"]
        assert athena.v1("POST", place, fields | {"medicationid": "1"}).status_code == 400
        ended = {"departmentid": "1", "stopdate": "11/21/2026", "stopreason": "Nausea"}
        assert athena.v1("PUT", f"{place}/{number}", ended).json()["success"] is True
        groups = athena.v1("GET", place, {"departmentid": "1"}).json()["medications"]
        [shown] = [one for group in groups for one in group if one["medicationentryid"] == number]
        assert shown["unstructuredsig"] == "1 tablet twice a day"
        assert [event["type"] for event in shown["events"]] == ["START", "END"]
        fhir = athena.get(f"MedicationRequest/a-195900.c-{number}").json()
        assert (fhir["status"], fhir["medicationCodeableConcept"]["coding"][0]["code"]) == (
            "stopped", "7258",
        )  # fmt: skip
        other = f"chart/{athena.number('P2')}/medications/{number}"
        assert athena.v1("PUT", other, ended).status_code == 404
