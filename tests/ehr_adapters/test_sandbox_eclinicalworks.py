"""The practice's eClinicalWorks front, oddity by oddity (docs/practice-ehr.md names each)."""

import time
from base64 import b64encode
from typing import Any

import pytest
import requests
from cryptography.hazmat.primitives.asymmetric import ec

from tests.ehr_adapters.practice import (
    Backend,
    Practice,
    coded,
    fresh_practice,
    practice,
    problem,
)

__all__ = ["fresh_practice", "practice"]
pytestmark = pytest.mark.once

VENDOR = "eclinicalworks"
READS = " ".join(
    f"system/{each}.rs"
    for each in ("Patient", "Encounter", "Practitioner", "Condition", "DocumentReference")
)
WRITES = "system/Condition.c system/DocumentReference.c"


@pytest.fixture
def ecw(fresh_practice: Practice) -> Backend:
    fresh_practice.settings(VENDOR, calls_per_minute=10_000)
    return fresh_practice.client(VENDOR, scope=f"{READS} {WRITES}")


@pytest.fixture
def directory(ecw: Backend) -> dict[str, Any]:
    return ecw.practice.directory(VENDOR)


@pytest.fixture
def p1(directory: dict[str, Any]) -> dict[str, Any]:
    return directory["P1"]


def entry(resource: dict[str, Any], **request: str) -> dict[str, Any]:
    return {
        "resource": resource,
        "request": {"method": "POST", "url": resource["resourceType"]} | request,
    }


def transaction(*entries: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"resourceType": "Bundle", "type": "transaction", "entry": list(entries)} | more


def sent(ecw: Backend, resource: dict[str, Any]) -> requests.Response:
    return ecw.request("POST", "", transaction(entry(resource)))


def number(reply: requests.Response) -> str:
    """The number of the only entry; fails unless it came in a 200."""
    assert reply.status_code == 200, reply.text
    bundle = reply.json()
    assert (bundle["resourceType"], bundle["type"]) == ("Bundle", "transaction-response")
    [only] = bundle["entry"]
    return only["response"]["status"]


def location(reply: requests.Response) -> str:
    assert number(reply) == "1"
    return reply.json()["entry"][0]["response"]["location"]


def message(
    patient: str, encounter: str, *, sender: str = "PROG", obr: bool = True, text: str = "Well."
) -> bytes:
    segments = [
        f"MSH|^~\\&|{sender}|portal|PROG|NRTHGA|20261120||ORU^R01|4F7K-9QXD-2M8T|T|2.4",
        f"PID|1||{patient}",
    ]
    if obr:
        segments += [f"OBR|1|{encounter}||Plan^Plan", f"OBX|1|TX|||{text}"]
    return ("\r".join(segments) + "\r").encode()


def note(
    directory: dict[str, Any], raw: bytes | None = None, who: str = "P1", **more: Any
) -> dict[str, Any]:
    patient, encounter = directory[who]["patient"], directory[who]["encounter"]
    data = b64encode(raw if raw is not None else message(patient, encounter)).decode()
    author = directory["staff"]["prescriber_one"]["practitioner"]
    return {
        "resourceType": "DocumentReference",
        "status": "current",
        "type": coded("http://loinc.org", "11506-3", "Progress note"),
        "subject": {"reference": f"Patient/{patient}"},
        "author": [{"reference": f"Practitioner/{author}"}],
        "content": [{"attachment": {"contentType": "text/hl7v2", "data": data}}],
        "context": {"encounter": [{"reference": f"Encounter/{encounter}"}]},
    } | more


class TestSignIn:
    def test_takes_rs384_and_nothing_else(self, ecw):
        assert ecw.ask_token().status_code == 200
        elliptic = ec.generate_private_key(ec.SECP384R1())
        other = ecw.practice.client(VENDOR, key=elliptic, scope=READS)
        refused = other.ask_token()
        assert (refused.status_code, refused.json()["error"]) == (401, "invalid_client")

    @pytest.mark.fault("eclinicalworks.short-tokens")
    def test_tokens_live_five_minutes_at_most(self, ecw):
        assert ecw.ask_token().json()["expires_in"] <= 300

    @pytest.mark.parametrize(
        "scope",
        ["system/Condition.write", "system/Task.u", "system/Condition.cruds", "system/Foo.r", ""],
    )
    def test_a_scope_that_is_not_offered_is_invalid_grant(self, ecw, scope):
        refused = ecw.ask_token(scope=f"{scope} system/Patient.r".strip())
        expected = (400, "invalid_grant")
        if scope:
            assert (refused.status_code, refused.json()["error"]) == expected
        unregistered = ecw.ask_token(scope="system/Observation.c")
        assert (unregistered.status_code, unregistered.json()["error"]) == expected

    def test_a_stale_assertion_is_invalid_grant_and_anything_else_access_denied_500(self, ecw):
        stale = ecw.ask_token(ecw.assertion(exp=int(time.time()) - 5))
        assert (stale.status_code, stale.json()["error"]) == (400, "invalid_grant")
        once = ecw.assertion()
        assert ecw.ask_token(once).status_code == 200
        for assertion in (once, ecw.assertion(aud="https://elsewhere.example/token")):
            denied = ecw.ask_token(assertion)
            assert (denied.status_code, denied.json()["error"]) == (500, "access_denied")

    def test_every_scope_has_its_word_in_the_discovery_document(self, ecw):
        said = ecw.get(".well-known/smart-configuration").json()
        assert {"system/Condition.c", "system/DocumentReference.rs"} <= set(
            said["scopes_supported"]
        )
        assert not [each for each in said["scopes_supported"] if "Task" in each or ".write" in each]
        ecw.practice.settings(VENDOR, not_offered=["Condition.create"])
        said = ecw.get(".well-known/smart-configuration").json()
        assert "system/Condition.c" not in said["scopes_supported"]
        assert ecw.ask_token(scope="system/Condition.c").json()["error"] == "invalid_grant"


class TestTheMinute:
    @pytest.mark.fault("eclinicalworks.calls-a-minute")
    def test_holds_tokens_and_calls_together_and_blocks_until_it_is_over(self, ecw, p1):
        if time.time() % 60 > 50:
            time.sleep(61 - time.time() % 60)
        ecw.token()
        used = len(ecw.practice.log(vendor=VENDOR))
        ecw.practice.settings(VENDOR, calls_per_minute=used + 3)
        path = f"Patient/{p1['patient']}"
        assert [ecw.get(path).status_code for _ in range(2)] == [200, 200]
        assert ecw.ask_token().status_code == 200
        for refused in (ecw.get(path), ecw.ask_token(), ecw.get(path)):
            assert refused.status_code == 429
            assert "Retry-After" not in refused.headers
            assert not [name for name in refused.headers if "limit" in name.lower()]

    def test_holds_250(self, fresh_practice):
        assert fresh_practice.control("GET", "settings")[VENDOR]["calls_per_minute"] == 250


class TestReads:
    def test_have_no_version(self, ecw, p1):
        read = ecw.get(p1["entries"]["ckd"])
        assert "ETag" not in read.headers
        assert set(read.json()["meta"]) == {"lastUpdated"}
        assert ecw.get(f"{p1['entries']['ckd']}/_history").status_code == 404

    def test_the_statement_offers_one_create_only(self, ecw):
        statement = ecw.get("metadata").json()
        creating = [
            each["type"]
            for each in statement["rest"][0]["resource"]
            if {"code": "create"} in each["interaction"]
        ]
        assert creating == ["QuestionnaireResponse"]

    def test_another_practice_code_is_not_here(self, ecw):
        url = ecw.base.replace("NRTHGA", "SOUTHG")
        assert ecw.get(f"{url}/metadata").status_code == 404


class TestTheDoorForWrites:
    @pytest.mark.fault("eclinicalworks.transactions-only")
    def test_is_a_transaction_of_one_entry_to_the_base_address(self, ecw, p1):
        new = problem(p1["patient"])
        assert ecw.post("Condition", new).status_code == 405
        assert ecw.put(p1["entries"]["ckd"], new | {"id": "x"}).status_code == 405
        assert number(ecw.request("POST", "", new)) == "2"
        assert number(ecw.request("POST", "", transaction(entry(new), entry(new)))) == "2"
        assert number(ecw.request("POST", "", transaction(entry(new), type="batch"))) == "2"
        assert number(ecw.request("POST", "", transaction(entry(new, url="Observation")))) == "2"
        assert number(ecw.request("POST", "", b'{"resourceType": "Bun')) == "2"
        assert number(sent(ecw, new)) == "1"

    def test_needs_the_scope_for_what_is_inside(self, ecw, p1):
        reader = ecw.practice.client(VENDOR, scope=READS)
        assert sent(reader, problem(p1["patient"])).status_code == 403

    @pytest.mark.fault("eclinicalworks.no-default-user")
    def test_308_without_a_default_user(self, ecw, p1):
        ecw.practice.settings(VENDOR, default_user=False)
        assert number(sent(ecw, problem(p1["patient"]))) == "308"

    def test_614_for_characters_that_it_does_not_hold(self, ecw, p1):
        written = problem(p1["patient"], note=[{"text": "BP ≥ 140"}])
        assert number(sent(ecw, written)) == "614"
        ecw.practice.settings(VENDOR, repertoire="utf-8")
        assert number(sent(ecw, written)) == "1"

    @pytest.mark.fault("eclinicalworks.number-in-200")
    def test_a_scripted_fault_speaks_in_numbers(self, ecw, p1):
        ecw.practice.fault("chart-locked", vendor=VENDOR, method="POST", path="^Condition")
        assert number(sent(ecw, problem(p1["patient"]))) == "139"
        ecw.practice.fault("outcome", vendor=VENDOR, method="POST", path="^Condition", number="201")
        assert number(sent(ecw, problem(p1["patient"]))) == "201"
        ecw.practice.fault("rate-limited", vendor=VENDOR, method="POST", path="^Condition")
        limited = sent(ecw, problem(p1["patient"]))
        assert (limited.status_code, "Retry-After" in limited.headers) == (429, False)


class TestAppData:
    @pytest.mark.fault("eclinicalworks.app-data")
    def test_is_invisible_until_somebody_reconciles_it(self, ecw, p1):
        reference = location(sent(ecw, problem(p1["patient"])))
        assert ecw.get(reference).status_code == 404
        known = {each["id"] for each in ecw.found("Condition", patient=p1["patient"])}
        assert reference.split("/")[1] not in known
        ecw.practice.lever("accept_staged", vendor=VENDOR, reference=reference)
        assert ecw.get(reference).status_code == 200
        known = {each["id"] for each in ecw.found("Condition", patient=p1["patient"])}
        assert reference.split("/")[1] in known

    def test_may_be_thrown_away_without_a_word(self, ecw, p1):
        reference = location(sent(ecw, problem(p1["patient"])))
        ecw.practice.lever("decline_staged", vendor=VENDOR, reference=reference)
        assert ecw.get(reference).status_code == 404

    def test_takes_the_same_thing_twice(self, ecw, p1):
        assert location(sent(ecw, problem(p1["patient"]))) != location(
            sent(ecw, problem(p1["patient"]))
        )

    def test_holds_what_a_pharmacy_sent_for_p11(self, ecw):
        [waiting] = ecw.practice.staged(vendor=VENDOR, patient="P11")
        assert waiting["content"]["medicationCodeableConcept"]["text"] == "trazodone 50 mg tablet"

    def test_passes_over_what_its_interface_does_not_read(self, ecw, p1):
        written = problem(p1["patient"], severity={"text": "mild"}, tag="t")
        reference = location(sent(ecw, written))
        [item] = [
            each for each in ecw.practice.staged(vendor=VENDOR) if each["reference"] == reference
        ]
        assert not {"severity", "identifier", "meta"} & set(item["content"])

    @pytest.mark.parametrize(
        ("change", "expected"),
        [
            ({"code": {"text": "dizzy"}}, "120"),
            ({"code": coded("http://loinc.org", "8480-6")}, "102"),
            ({"category": [{"coding": [{"code": "health-concern"}]}]}, "105"),
            ({"clinicalStatus": {"coding": [{"code": "relapse"}]}}, "110"),
            ({"clinicalStatus": {"coding": [{"code": "resolved"}]}}, "110"),
            ({"verificationStatus": {"coding": [{"code": "refuted"}]}}, "110"),
            ({"note": [{"text": "x" * 1001}]}, "109"),
            ({"subject": {"reference": "Patient/nobody"}}, "207"),
        ],
    )
    def test_numbers_what_it_does_not_take(self, ecw, p1, change, expected):
        system = "http://terminology.hl7.org/CodeSystem/"
        known = {
            "clinicalStatus": "condition-clinical",
            "verificationStatus": "condition-ver-status",
            "category": "condition-category",
        }
        for name, value in change.items():
            for concept in value if isinstance(value, list) else [value]:
                for each in concept.get("coding", []):
                    each.setdefault("system", system + known.get(name, ""))
        assert number(sent(ecw, problem(p1["patient"], **change))) == expected
        assert [
            each
            for each in ecw.practice.staged(vendor=VENDOR)
            if not each["author"].endswith("feed")
        ] == []

    def test_a_resolved_problem_needs_its_end(self, ecw, p1):
        ended = coded("http://terminology.hl7.org/CodeSystem/condition-clinical", "resolved")
        written = problem(p1["patient"], clinicalStatus=ended)
        assert number(sent(ecw, written)) == "110"
        assert number(sent(ecw, written | {"abatementDateTime": "2026-10"})) == "1"


class TestANote:
    @pytest.mark.fault("eclinicalworks.notes-as-hl7")
    def test_is_delivered_as_hl7_into_the_progress_note(self, ecw, directory):
        reference = location(sent(ecw, note(directory)))
        [filed] = list(ecw.practice.resources(vendor=VENDOR, id=reference.split("/")[1]))
        assert filed["content"]["docStatus"] == "preliminary"
        assert ecw.get(reference).status_code == 404
        ecw.practice.settings(VENDOR, notes_listed=True)
        assert ecw.get(reference).status_code == 200

    def test_needs_its_author_and_its_visit(self, ecw, directory):
        assert number(sent(ecw, note(directory, author=[{"display": "Dr A. Reyes"}]))) == "101"
        without = note(directory)
        del without["context"]
        assert number(sent(ecw, without)) == "123"
        other = {"encounter": [{"reference": f"Encounter/{directory['P5']['encounter']}"}]}
        assert number(sent(ecw, note(directory, context=other))) == "123"

    @pytest.mark.fault("eclinicalworks.locked-visit")
    def test_of_a_locked_visit_is_139(self, ecw, directory):
        assert number(sent(ecw, note(directory, who="P9"))) == "139"

    def test_in_another_form_is_113_or_114(self, ecw, directory):
        assert number(sent(ecw, note(directory, type=coded("http://loinc.org", "1-8")))) == "113"
        plain = [{"attachment": {"contentType": "text/plain", "data": "V2VsbC4="}}]
        assert number(sent(ecw, note(directory, content=plain))) == "114"

    def test_has_a_visit_in_each_report_and_a_sender(self, ecw, directory):
        patient, visit = directory["P1"]["patient"], directory["P1"]["encounter"]
        for raw, expected in (
            (b"PID|1||x\r", "301"),
            (message(patient, visit, sender="LAB"), "306"),
            (message(patient, visit, obr=False), "307"),
            (message(patient, ""), "304"),
            (message(patient, directory["P5"]["encounter"]), "303"),
            (message(directory["P2"]["patient"], visit), "100"),
            (message(patient, visit, text="BP \xe9"), "301"),
            (message(patient, visit, text="open \\E end"), "301"),
            (message(patient, visit, text="x" * 60_001), "109"),
        ):
            assert number(sent(ecw, note(directory, raw))) == expected, raw[:80]
