"""Veradigm's practice EHR: what its FHIR side leaves out, and what Unity calls success."""

import re
from typing import Any

import pytest

from tests.ehr_adapters.practice import (
    Practice,
    allergy,
    fresh_practice,
    minutes_ago,
    note,
    practice,
    problem,
)
from tests.ehr_adapters.unity import APPNAME, Unity

__all__ = ["fresh_practice", "practice"]
pytestmark = pytest.mark.once

PROBLEM_FORM = (
    "<saveproblemsdatarequest>"
    '<saveproblemsdata setid="0" fieldid="problem" attributeid="title" value1="Dizziness &amp; more"/>'
    '<saveproblemsdata setid="0" fieldid="problem" attributeid="code" value1="R42"/>'
    '<saveproblemsdata setid="0" fieldid="problem" attributeid="source" value1="ICD10"/>'
    '<saveproblemsdata setid="0" fieldid="status" value1="Active"/>'
    '<saveproblemsdata setid="0" fieldid="onset" value1="11/02/2026"/>'
    '<saveproblemsdata setid="0" fieldid="comment" value1="first&#10;second"/>'
    "</saveproblemsdatarequest>"
)


@pytest.fixture
def unity(fresh_practice: Practice) -> Unity:
    return Unity(fresh_practice).sign_in()


class TestTheFhirSide:
    @pytest.mark.fault("veradigm.no-versions")
    def test_no_type_has_versions_or_conditions(self, fresh_practice: Practice) -> None:
        client = fresh_practice.client("veradigm")
        statement = client.get("metadata").json()
        assert "/fhirroute/fhir/CP00101" in client.base
        listed = {each["type"]: each for each in statement["rest"][0]["resource"]}
        assert {each["versioning"] for each in listed.values()} == {"no-version"}
        assert not any("conditionalCreate" in each for each in listed.values())
        assert {"Task", "Communication", "Appointment"}.isdisjoint(listed)
        codes = {one["code"] for one in listed["Condition"]["interaction"]}
        assert codes == {"read", "search-type", "create", "update"}
        assert {one["code"] for one in listed["Encounter"]["interaction"]} == {
            "read",
            "search-type",
        }

    def test_write_scopes_are_granted_by_arrangement_and_not_advertised(
        self, fresh_practice: Practice
    ) -> None:
        client = fresh_practice.client("veradigm")
        scopes = client.get(".well-known/smart-configuration").json()["scopes_supported"]
        assert not [s for s in scopes if s.endswith((".c", ".u", ".write", ".cruds"))]
        assert "user/*.*" in scopes
        reader = fresh_practice.client("veradigm", scope="system/*.rs")
        asked = reader.ask_token(scope="system/Condition.c")
        assert (asked.status_code, asked.json()["error"]) == (400, "invalid_scope")

    @pytest.mark.fault("veradigm.no-versions")
    def test_nothing_carries_a_version_and_no_condition_is_looked_at(
        self, fresh_practice: Practice
    ) -> None:
        client = fresh_practice.client("veradigm")
        who = fresh_practice.directory("veradigm")["P1"]["patient"]
        new = problem(who, tag="t-1")
        headers = {"If-None-Exist": "identifier=urn:test:tag|t-1"}
        first = client.post("Condition", new, headers=headers)
        second = client.post("Condition", new, headers=headers)
        assert (first.status_code, second.status_code) == (201, 201)
        assert first.json()["id"] != second.json()["id"]
        assert "etag" not in first.headers
        assert "versionId" not in first.json()["meta"]
        stale = client.put(
            f"Condition/{first.json()['id']}",
            new | {"id": first.json()["id"]},
            headers={"If-Match": 'W/"77"'},
        )
        assert stale.status_code == 200
        assert client.get(f"Condition/{first.json()['id']}/_history").status_code == 404

    @pytest.mark.parametrize(
        ("shape", "located", "shown"),
        [
            ("both", True, True),
            ("location", True, False),
            ("body", False, True),
            ("empty", False, False),
        ],
    )
    def test_what_a_create_answers_is_a_setting(
        self, fresh_practice: Practice, shape: str, located: bool, shown: bool
    ) -> None:
        fresh_practice.settings("veradigm", create_answer=shape)
        client = fresh_practice.client("veradigm")
        who = fresh_practice.directory("veradigm")["P1"]["patient"]
        reply = client.post("AllergyIntolerance", allergy(who))
        assert reply.status_code == 201
        assert ("location" in reply.headers, bool(reply.content)) == (located, shown)

    def test_rows_may_come_back_redacted_instead_of_left_out(
        self, fresh_practice: Practice
    ) -> None:
        client = fresh_practice.client("veradigm")
        who = fresh_practice.directory("veradigm")["P1"]["patient"]
        before = client.found("AllergyIntolerance", patient=who)
        fresh_practice.settings("veradigm", redacted_types=["AllergyIntolerance"])
        after = client.found("AllergyIntolerance", patient=who)
        assert len(after) == len(before) > 0
        assert {row["meta"]["security"][0]["code"] for row in after} == {"REDACTED"}
        assert not any("code" in row for row in after)

    def test_read_only_types_and_large_bodies_are_refused(self, fresh_practice: Practice) -> None:
        client = fresh_practice.client("veradigm")
        person = fresh_practice.directory("veradigm")["P1"]
        assert client.post("Encounter", {"resourceType": "Encounter"}).status_code == 403
        assert client.get("Task?patient=x").status_code == 404
        large = note(person["patient"], person["encounter"], "x" * 5 * 1024 * 1024)
        assert client.post("DocumentReference", large).status_code == 413


class TestSigningIn:
    @pytest.mark.fault("veradigm.two-layers")
    def test_two_layers_a_bare_token_and_a_valid_user(self, fresh_practice: Practice) -> None:
        unity = Unity(fresh_practice)
        unity.token = unity.get_token()
        assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", unity.token)
        assert unity.save_note() == [{"Error": "The user has not been authenticated."}]
        [wrong] = unity.magic("GetUserAuthentication", "no")
        assert wrong["getuserauthenticationinfo"][0]["ValidUser"] == "NO"
        unity.sign_in()
        assert "savenoteinfo" in unity.save_note()[0]

    def test_a_refused_application_is_told_in_text(self, fresh_practice: Practice) -> None:
        unity = Unity(fresh_practice)
        for wrong in ({"Password": "x"}, {"Username": "x"}, {"Appname": "Other"}):
            assert unity.get_token(**wrong).startswith("error")

    @pytest.mark.fault("veradigm.idle-session")
    def test_an_idle_session_is_logged_out(self, unity: Unity) -> None:
        unity.practice.lever("expire_tokens", vendor="veradigm")
        [told] = unity.save_note()
        assert "logged out due to inactivity" in told["Error"]
        assert "savenoteinfo" in unity.sign_in().save_note()[0]

    def test_a_session_is_for_one_user_and_one_application(self, unity: Unity) -> None:
        assert "Error" in unity.save_note(AppUserID="jlam")[0]
        assert "Error" in unity.save_note(Appname="Other")[0]
        assert "Error" in unity.save_note(Token="0f0e0d0c-0000-4000-8000-000000000000")[0]

    def test_a_retired_token_is_good_for_nothing(self, unity: Unity) -> None:
        assert unity.post("RetireSecurityToken", {"Token": unity.token}).status_code == 200
        assert "Error" in unity.save_note()[0]

    def test_passwords_are_not_in_the_log(self, unity: Unity) -> None:
        entries = unity.practice.log(vendor="veradigm")
        assert entries
        assert all(each["body"] is None for each in entries)
        unity.save_note()
        assert unity.practice.log(vendor="veradigm")[-1]["body"] is not None


class TestActions:
    @pytest.mark.fault("veradigm.error-in-200")
    def test_everything_is_answered_with_200(self, unity: Unity) -> None:
        for told in (
            unity.magic(
                "SaveNote", "x", "Nothing Known", "Unsigned", "N", PatientID=unity.number()
            ),
            unity.magic(
                "SaveNote", "x", "Progress Note", "Whatever", "N", PatientID=unity.number()
            ),
            unity.magic("SaveNote", "", "Progress Note", "Unsigned", "N", PatientID=unity.number()),
            unity.magic("SaveNote", "x", "Progress Note", "Unsigned", "N", PatientID="1"),
            unity.magic("SaveProblemsData", "<oops", PatientID=unity.number()),
            unity.post("MagicJson", {"Action": "SaveNote"}).json(),
        ):
            assert list(told[0]) == ["Error"]
        assert not [each for each in unity.practice.log(vendor="veradigm") if each["committed"]]

    @pytest.mark.fault("veradigm.licensed-actions")
    def test_an_action_that_is_not_licensed_is_refused(self, unity: Unity) -> None:
        unity.practice.settings("veradigm", unity_licence=["GetUserAuthentication", "SaveTask"])
        assert unity.save_note() == [{"Error": "Action is not valid for this license."}]

    def test_a_note_is_filed_unsigned_under_the_user_and_shown_by_fhir(self, unity: Unity) -> None:
        [told] = unity.save_note("Seen.\nWell.")
        number = told["savenoteinfo"][0]["DocumentID"]
        [filed] = [
            each
            for each in unity.practice.resources(vendor="veradigm", type="DocumentReference")
            if each["author"] == f"client:{APPNAME}"
        ]
        content = filed["content"]
        assert content["docStatus"] == "preliminary"
        assert content["author"][0]["display"] == "Dr A. Reyes"
        assert number not in filed["reference"]
        listed = unity.practice.client("veradigm").found(
            "DocumentReference", patient=unity.people["P1"]["patient"]
        )
        assert filed["reference"].split("/")[1] in {each["id"] for each in listed}

    def test_final_would_sign(self, unity: Unity) -> None:
        unity.magic("SaveNote", "x", "Progress Note", "Final", "N", PatientID=unity.number())
        filed = unity.practice.resources(vendor="veradigm", type="DocumentReference")[-1]["content"]
        assert filed["docStatus"] == "final"
        assert "authenticator" in filed

    def test_a_problem_is_a_form_of_rows(self, unity: Unity) -> None:
        [told] = unity.magic("SaveProblemsData", PROBLEM_FORM, PatientID=unity.number())
        assert told["saveproblemsdatainfo"][0]["ProblemID"]
        filed = unity.practice.resources(vendor="veradigm", type="Condition")[-1]["content"]
        assert filed["code"]["text"] == "Dizziness & more"
        assert filed["onsetDateTime"] == "2026-11-02"
        assert filed["note"] == [{"text": "first\nsecond"}]

    def test_a_merged_patient_takes_nothing(self, unity: Unity) -> None:
        unity.practice.lever("merge", loser="P14", survivor="P13", vendor="veradigm")
        assert "merged" in unity.save_note(who="P14")[0]["Error"]

    def test_the_servers_clock_is_the_practices(self, unity: Unity) -> None:
        [told] = unity.magic("GetServerInfo")
        clock = told["getserverinfoinfo"][0]["ServerTime"]
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d", clock)
        assert clock[:16] != minutes_ago(0)[:16]

    @pytest.mark.parametrize(
        ("fault", "words"),
        [
            ("chart-locked", "locked"),
            ("patient-merged", "merged"),
            ("expired-token", "inactivity"),
            ("conflict", "changed by another"),
        ],
    )
    def test_scripted_refusals_are_told_with_200(
        self, unity: Unity, fault: str, words: str
    ) -> None:
        unity.practice.fault(fault, vendor="veradigm", path="MagicJson/SaveNote")
        assert words in unity.save_note()[0]["Error"]
        assert "savenoteinfo" in unity.save_note()[0]

    def test_a_text_of_ones_own_can_be_scripted(self, unity: Unity) -> None:
        order: dict[str, Any] = {"vendor": "veradigm", "path": "SaveNote", "text": "Hm."}
        unity.practice.fault("outcome", **order)
        assert unity.save_note() == [{"Error": "Hm."}]


class TestTheTwoCallDocument:
    @staticmethod
    def upload(unity: Unity, *, data: str = "JVBERi0xLjQ=", **items: str) -> Any:
        filled = {
            "documentCommand": "i",
            "documentType": "Consultation",
            "bDoneUpload": "false",
            "vendorFileName": "letter.pdf",
        } | items
        form = "".join(f'<item name="{name}" value="{value}"/>' for name, value in filled.items())
        return unity.magic(
            "SaveDocumentImage",
            f"<doc>{form}</doc>", "", "", "", "", data,
            PatientID=unity.number(),
        )[0]  # fmt: skip

    @staticmethod
    def held(unity: Unity) -> dict[str, Any]:
        return unity.practice.resources(vendor="veradigm", type="DocumentReference")[-1]["content"]

    def test_the_second_call_completes_it_and_e_marks_it_as_an_error(self, unity: Unity) -> None:
        upload = self.upload(unity)["savedocumentimageinfo"][0]["documentVar"]
        assert self.held(unity)["description"] == "Upload not completed"
        told = self.upload(unity, bDoneUpload="true", documentVar=upload, data="")
        number = told["savedocumentimageinfo"][0]["documentID"]
        assert self.held(unity)["docStatus"] == "final"
        assert "description" not in self.held(unity)
        self.upload(unity, documentCommand="e", documentID=number, data="")
        assert self.held(unity)["status"] == "entered-in-error"

    @pytest.mark.fault("veradigm.two-calls")
    def test_a_second_call_that_fails_leaves_a_stub(self, unity: Unity) -> None:
        upload = self.upload(unity)["savedocumentimageinfo"][0]["documentVar"]
        unity.practice.fault("expired-token", vendor="veradigm", path="SaveDocumentImage")
        told = self.upload(unity, bDoneUpload="true", documentVar=upload, data="")
        assert "inactivity" in told["Error"]
        assert self.held(unity)["description"] == "Upload not completed"
        assert "Error" in self.upload(unity, bDoneUpload="true", documentVar="other", data="")
        assert "Error" in self.upload(unity, data="not base64")
