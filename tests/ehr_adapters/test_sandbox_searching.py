"""Searching the practice's plain R4 front: what a write-back client asks before and after it writes."""

from urllib.parse import parse_qs, urlsplit

import pytest

from tests.ehr_adapters.practice import (
    TAG_SYSTEM,
    Backend,
    Practice,
    fresh_practice,
    note,
    practice,
    problem,
)

__all__ = ["fresh_practice", "practice"]
pytestmark = pytest.mark.once


@pytest.fixture(scope="module")
def r4(practice: Practice) -> Backend:
    practice.reset(seed=True, everything=True, now="2026-11-20T15:00:00+00:00")
    return practice.client("generic")


@pytest.fixture(scope="module")
def directory(r4: Backend) -> dict:
    return r4.practice.directory()


def names(directory: dict, group: str, resources: list[dict]) -> set[str]:
    """What the practice calls the entries that were found."""
    known = {reference: name for name, reference in directory[group]["entries"].items()}
    return {known[f"{each['resourceType']}/{each['id']}"] for each in resources}


class TestPatients:
    def test_are_found_by_names_without_regard_to_case_and_accents(self, r4):
        assert len(r4.found("Patient", family="okonkwo")) == 2
        assert len(r4.found("Patient", given="zoe")) == 1
        assert len(r4.found("Patient", family="Featherstone")) == 1
        assert r4.found("Patient", **{"family:exact": "okonkwo"}) == []
        assert len(r4.found("Patient", **{"family:contains": "oyelaran"})) == 1
        assert len(r4.found("Patient", name="penhallow")) == 2

    def test_are_found_by_birth_date_and_its_neighbourhood(self, r4):
        assert len(r4.found("Patient", family="OKONKWO", birthdate="1957-03-14")) == 1
        assert len(r4.found("Patient", family="OKONKWO", birthdate="1957-03,1957-04")) == 2
        around = [
            ("family", "OKONKWO"),
            ("birthdate", "ge1957-04-01"),
            ("birthdate", "le1957-12-31"),
        ]
        reply = r4.request(
            "GET", "Patient?" + "&".join(f"{name}={value}" for name, value in around)
        )
        assert reply.json()["total"] == 1

    def test_are_found_by_record_number(self, r4, directory):
        mrn = directory["P1"]["mrn"]
        found = r4.found("Patient", identifier=f"{directory['P1']['mrn_system']}|{mrn}")
        assert [each["id"] for each in found] == [directory["P1"]["patient"]]
        assert len(r4.found("Patient", identifier=mrn)) == 1
        assert r4.found("Patient", identifier=f"urn:other|{mrn}") == []
        assert (
            len(
                r4.found(
                    "Patient", _id=f"{directory['P1']['patient']},{directory['P2']['patient']}"
                )
            )
            == 2
        )


class TestEntries:
    def test_are_found_by_patient_and_subject_however_they_are_spelt(self, r4, directory):
        patient = directory["P1"]["patient"]
        for query in (
            {"patient": patient},
            {"patient": f"Patient/{patient}"},
            {"subject": f"Patient/{patient}"},
            {"subject:Patient": patient},
            {"patient": f"{r4.base}/Patient/{patient}"},
        ):
            assert names(directory, "P1", r4.found("Condition", **query)) == {
                "ckd",
                "hypertensive_ckd",
            }

    def test_are_found_by_code_category_and_status(self, r4, directory):
        patient = directory["P1"]["patient"]
        icd = "http://hl7.org/fhir/sid/icd-10-cm"
        assert names(
            directory, "P1", r4.found("Condition", patient=patient, code=f"{icd}|N18.30")
        ) == {"ckd"}
        assert r4.found("Condition", patient=patient, code="http://loinc.org|N18.30") == []
        assert len(r4.found("Condition", patient=patient, **{"clinical-status": "active"})) == 2
        p3 = directory["P3"]["patient"]
        assert r4.found("Condition", patient=p3, **{"clinical-status": "active"}) == []
        assert len(r4.found("Condition", patient=p3, **{"clinical-status:not": "active"})) == 1
        weights = r4.found("Observation", patient=patient, category="vital-signs", code="29463-7")
        assert names(directory, "P1", weights) == {"weight", "weight_august"}
        labs = r4.found(
            "Observation",
            patient=patient,
            category="laboratory",
            code="2823-3,2160-0",
            status="corrected",
        )
        assert names(directory, "P1", labs) == {"potassium_98d"}

    def test_are_found_by_date(self, r4, directory):
        patient = directory["P1"]["patient"]
        query = {"patient": patient, "code": "http://loinc.org|2823-3"}
        assert len(r4.found("Observation", **query)) == 7
        assert names(directory, "P1", r4.found("Observation", **query, date="ge2026-11-01")) == {
            "potassium_2d"
        }
        assert names(directory, "P1", r4.found("Observation", **query, date="2026-11-18")) == {
            "potassium_2d"
        }
        assert len(r4.found("Observation", **query, date="lt2026-11-18")) == 6
        assert len(r4.found("Observation", **query, date="2026")) == 4
        assert len(r4.found("Observation", **query, date="ne2026")) == 3
        assert len(r4.found("Observation", **query, date="sa2026-11-18")) == 0
        assert len(r4.found("Observation", **query, date="eb2026-11-18")) == 6
        assert len(r4.found("Observation", **query, date="gt2026-11-18T12:00:00-05:00")) == 0

    def test_are_found_by_visit(self, r4, directory):
        visit = directory["P1"]["encounter"]
        found = r4.found("DocumentReference", encounter=f"Encounter/{visit}")
        assert names(directory, "P1", found) == {"draft_note"}
        assert "blood_pressure" in names(directory, "P1", r4.found("Observation", encounter=visit))
        p11 = directory["P11"]["patient"]
        assert len(r4.found("Encounter", patient=p11, date="ge2026-11-20")) == 2
        # An open visit has no end yet, so it is not contained in any day.
        assert len(r4.found("Encounter", patient=p11, date="2026-11-20")) == 1
        assert (
            len(r4.found("Encounter", patient=directory["P11"]["patient"], status="in-progress"))
            == 1
        )

    def test_are_found_by_who_wrote_them_and_by_signature(self, r4, directory):
        lam = directory["staff"]["prescriber_two"]["practitioner"]
        patient = directory["P1"]["patient"]
        found = r4.found("DocumentReference", patient=patient, author=f"Practitioner/{lam}")
        assert names(directory, "P1", found) == {"telephone_note"}
        drafts = r4.found("DocumentReference", patient=patient, docstatus="preliminary")
        assert names(directory, "P1", drafts) == {"draft_note", "telephone_note"}
        assert names(
            directory, "P1", r4.found("DocumentReference", patient=patient, status="superseded")
        ) == {"nurse_note_first"}

    def test_are_found_by_when_they_changed(self, r4, directory):
        patient = directory["P7"]["patient"]
        # The charts were seeded as of 15:00 in the afternoon; what is filed now carries the machine's time.
        assert (
            len(r4.found("Condition", patient=patient, _lastUpdated="2026-11-20T15:00:00.000Z"))
            == 1
        )
        assert r4.found("Condition", patient=patient, _lastUpdated="lt2026-11-20T15:00:00Z") == []

    def test_are_found_by_whether_they_say_something(self, r4, directory):
        patient = directory["P11"]["patient"]
        assert len(r4.found("Condition", patient=patient, **{"encounter:missing": "true"})) == 4
        assert r4.found("Condition", patient=patient, **{"encounter:missing": "false"}) == []

    def test_are_found_by_tag_at_once(self, r4, directory):
        patient = directory["P2"]["patient"]
        r4.post("Condition", problem(patient, tag="a,b"))
        found = r4.found("Condition", identifier=f"{TAG_SYSTEM}|a\\,b")
        assert [each["subject"]["reference"] for each in found] == [f"Patient/{patient}"]
        assert r4.found("Condition", identifier=f"{TAG_SYSTEM}|a") == []

    def test_are_found_by_label(self, r4, directory):
        label = {
            "system": "http://terminology.hl7.org/CodeSystem/v3-ObservationValue",
            "code": "AIAST",
        }
        p2 = directory["P2"]
        r4.post(
            "DocumentReference", note(p2["patient"], p2["encounter"], meta={"security": [label]})
        )
        found = r4.found("DocumentReference", patient=p2["patient"], _security="AIAST")
        assert [each["meta"]["security"] for each in found] == [[label]]
        r4.practice.settings("generic", security_labels_kept=False)
        r4.post(
            "DocumentReference", note(p2["patient"], p2["encounter"], meta={"security": [label]})
        )
        r4.practice.settings("generic", security_labels_kept=True)
        assert len(r4.found("DocumentReference", patient=p2["patient"], _security="AIAST")) == 1


class TestPages:
    def test_follow_each_other_until_all_is_told(self, r4, directory):
        patient = directory["P11"]["patient"]
        first = r4.get("Observation", patient=patient, _count=7).json()
        assert len(first["entry"]) == 7
        following = next(link["url"] for link in first["link"] if link["relation"] == "next")
        assert following.startswith(r4.base)
        assert parse_qs(urlsplit(following).query)["patient"] == [patient]
        everything = r4.found("Observation", patient=patient, _count=7)
        assert len(everything) == first["total"] > 40
        assert len({each["id"] for each in everything}) == len(everything)

    def test_do_not_exceed_the_largest(self, r4):
        assert len(r4.get("Observation", _count=100000).json()["entry"]) <= 200

    def test_may_be_counted_only(self, r4, directory):
        bundle = r4.get("Observation", patient=directory["P11"]["patient"], _count=0).json()
        assert "entry" not in bundle
        assert bundle["total"] > 40
        assert [link["relation"] for link in bundle["link"]] == ["self"]

    def test_come_in_the_order_asked_for(self, r4, directory):
        query = {"patient": directory["P5"]["patient"], "code": "6301-6"}
        newest = [
            each["valueQuantity"]["value"]
            for each in r4.found("Observation", **query, _sort="-date", _count=2)
        ]
        assert newest[:2] == [1.7, 1.9]
        oldest = [
            each["valueQuantity"]["value"]
            for each in r4.found("Observation", **query, _sort="date")
        ]
        assert oldest == newest[::-1]

    def test_may_be_asked_for_by_post(self, r4, directory):
        reply = r4.request(
            "POST", "Condition/_search", f"patient={directory['P1']['patient']}".encode(),
            headers={"Content-Type": "application/x-www-form-urlencoded"},
        )  # fmt: skip
        assert reply.json()["total"] == 2


class TestRefusals:
    @pytest.mark.parametrize(
        "query",
        [
            {"colour": "red"},
            {"patient.name": "x"},
            {"code:text": "x"},
            {"date": "tuesday"},
            {"date": "ap2026"},
            {"code": ""},
            {"_count": "many"},
            {"_sort": "colour"},
        ],
    )
    def test_name_what_is_not_understood(self, r4, query):
        reply = r4.get("Observation", **query)
        assert reply.status_code == 400
        assert reply.json()["issue"][0]["code"] == "not-supported"

    def test_are_waived_for_a_lenient_client(self, r4, directory):
        reply = r4.get(
            "Condition",
            headers={"Prefer": "handling=lenient"},
            patient=directory["P1"]["patient"],
            colour="red",
        )
        assert reply.json()["total"] == 2
