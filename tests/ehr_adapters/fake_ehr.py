"""A scripted EHR on loopback: canned replies, every request kept, faults of the wire itself."""

import json
import re
import socket
import threading
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from ehr_adapters.canonical.note import note_text
from ehr_adapters.contract import TAG_SYSTEM, Connection, Tag

AT = datetime(2026, 11, 20, 15, 0, tzinfo=UTC)
BASE = "/api/FHIR/R4"
TOKEN = "/oauth2/token"
KEY = (
    ec.generate_private_key(ec.SECP384R1())
    .private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    .decode()
)
OLD_TAG = Tag("0d4d0b1f-5f0c-4b52-8d3b-2f4f6a1f9c11")


def condition_status(code: str) -> dict[str, Any]:
    return {
        "coding": [
            {"system": "http://terminology.hl7.org/CodeSystem/condition-clinical", "code": code}
        ]
    }


def certainty(code: str) -> dict[str, Any]:
    return {
        "coding": [
            {"system": "http://terminology.hl7.org/CodeSystem/condition-ver-status", "code": code}
        ]
    }


def patient(**more: Any) -> dict[str, Any]:
    return {
        "resourceType": "Patient",
        "id": "pa-1",
        "meta": {"versionId": "3"},
        "name": [{"use": "official", "family": "Okonkwo", "given": ["Ngozi", "Ada"]}],
        "gender": "female",
        "birthDate": "1957-03-14",
        "identifier": [
            {
                "system": "urn:clinic:mrn",
                "value": "220744163",
                "type": {
                    "coding": [
                        {"system": "http://terminology.hl7.org/CodeSystem/v2-0203", "code": "MR"}
                    ]
                },
            },
            {"system": "http://hl7.org/fhir/sid/us-ssn", "value": "999-00-0001"},
        ],
    } | more


def encounter(**more: Any) -> dict[str, Any]:
    return {
        "resourceType": "Encounter",
        "id": "en-1",
        "status": "in-progress",
        "class": {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "AMB"},
        "subject": {"reference": "Patient/pa-1"},
        "participant": [{"individual": {"reference": "Practitioner/pr-1"}}],
        "period": {"start": "2026-11-20T08:30:00-06:00"},
    } | more


def condition(**more: Any) -> dict[str, Any]:
    return {
        "resourceType": "Condition",
        "id": "co-1",
        "meta": {"versionId": "7", "lastUpdated": "2026-11-01T10:00:00Z"},
        "text": {
            "status": "generated",
            "div": '<div xmlns="http://www.w3.org/1999/xhtml">CKD</div>',
        },
        "extension": [{"url": "urn:x", "valueDecimal": 1}],
        "clinicalStatus": condition_status("active"),
        "verificationStatus": certainty("confirmed"),
        "category": [
            {
                "coding": [
                    {
                        "system": "http://terminology.hl7.org/CodeSystem/condition-category",
                        "code": "problem-list-item",
                    }
                ]
            }
        ],
        "code": {
            "coding": [
                {
                    "system": "http://hl7.org/fhir/sid/icd-10-cm",
                    "code": "N18.30",
                    "display": "CKD stage 3",
                }
            ],
            "text": "CKD stage 3",
        },
        "subject": {"reference": "Patient/pa-1"},
        "onsetDateTime": "2020-03",
        "recordedDate": "2020-03-04",
        "note": [{"text": "first words"}],
    } | more


def document(*, signed: bool = False, text: str | None = None, **more: Any) -> dict[str, Any]:
    shown = (
        note_text(sections=[{"title": "Assessment", "text": "Stable."}], short=OLD_TAG.short)
        if text is None
        else text
    )
    return {
        "resourceType": "DocumentReference",
        "id": "do-1",
        "meta": {"versionId": "4"},
        "identifier": [{"system": TAG_SYSTEM, "value": OLD_TAG.uuid}],
        "status": "current",
        "docStatus": "final" if signed else "preliminary",
        "type": {
            "coding": [
                {"system": "http://loinc.org", "code": "11506-3", "display": "Progress note"}
            ]
        },
        "subject": {"reference": "Patient/pa-1"},
        "date": "2026-11-20T08:40:00-06:00",
        "author": [{"reference": "Practitioner/pr-1"}],
        "content": [
            {
                "attachment": {
                    "contentType": "text/plain",
                    "data": b64encode(shown.encode()).decode(),
                }
            }
        ],
        "context": {
            "encounter": [{"reference": "Encounter/en-1"}],
            "period": {"start": "2026-11-20T08:40:00-06:00"},
        },
    } | more


def task(**more: Any) -> dict[str, Any]:
    return {
        "resourceType": "Task",
        "id": "ta-1",
        "meta": {"versionId": "2"},
        "identifier": [{"system": TAG_SYSTEM, "value": OLD_TAG.uuid}],
        "status": "requested",
        "intent": "order",
        "priority": "urgent",
        "code": {"text": "Telephone the patient"},
        "description": "Ask about the cough.",
        "focus": {"reference": "Condition/co-1"},
        "for": {"reference": "Patient/pa-1"},
        "authoredOn": "2026-11-19T10:00:00-06:00",
        "owner": {"reference": "Practitioner/pr-1"},
        "restriction": {"repetitions": 1, "period": {"end": "2026-11-21"}},
        "input": [
            {"type": {"text": "Telephone number"}, "valueString": "555-0100"},
            {"type": {"text": "About"}, "valueReference": {"reference": "Observation/ob-1"}},
        ],
    } | more


def allergy(**more: Any) -> dict[str, Any]:
    def status(name: str, code: str) -> dict[str, Any]:
        system = f"http://terminology.hl7.org/CodeSystem/allergyintolerance-{name}"
        return {"coding": [{"system": system, "code": code}]}

    wheal = {"system": "http://snomed.info/sct", "code": "247472004", "display": "Wheal"}
    return {
        "resourceType": "AllergyIntolerance",
        "id": "al-1",
        "meta": {"versionId": "2"},
        "extension": [{"url": "urn:x", "valueDecimal": 1}],
        "clinicalStatus": status("clinical", "active"),
        "verificationStatus": status("verification", "confirmed"),
        "category": ["medication"],
        "criticality": "low",
        "code": {
            "coding": [
                {
                    "system": "http://www.nlm.nih.gov/research/umls/rxnorm",
                    "code": "70618",
                    "display": "penicillin",
                },
                {"system": "urn:local", "code": "PCN"},
            ],
            "text": "Penicillin",
        },
        "patient": {"reference": "Patient/pa-1"},
        "asserter": {"reference": "Practitioner/pr-1"},
        "reaction": [
            {
                "manifestation": [{"coding": [wheal]}],
                "severity": "mild",
                "description": "within an hour",
            }
        ],
        "note": [{"text": "first words"}],
    } | more


def communication(**more: Any) -> dict[str, Any]:
    return {
        "resourceType": "Communication",
        "id": "cm-1",
        "meta": {"versionId": "1"},
        "status": "completed",
        "subject": {"reference": "Patient/pa-1"},
        "sent": "2026-11-19T10:00:00-06:00",
        "sender": {"reference": "Patient/pa-1"},
        "recipient": [{"reference": "Practitioner/pr-1"}],
        "topic": {"text": "A question"},
        "payload": [{"contentString": "May I swim?"}],
    } | more


def medication(**more: Any) -> dict[str, Any]:
    return {
        "resourceType": "MedicationStatement",
        "id": "me-1",
        "meta": {"versionId": "5"},
        "extension": [{"url": "urn:x", "valueDecimal": 1}],
        "identifier": [{"system": "urn:clinic:list", "value": "17"}],
        "status": "active",
        "medicationCodeableConcept": {
            "coding": [
                {
                    "system": "http://www.nlm.nih.gov/research/umls/rxnorm",
                    "code": "6809",
                    "display": "metformin",
                },
                {"system": "urn:local", "code": "MET500"},
            ],
            "text": "metformin 500 mg tablet",
        },
        "subject": {"reference": "Patient/pa-1"},
        "effectivePeriod": {"start": "2024-05-01T08:00:00-06:00"},
        "dateAsserted": "2024-05-01",
        "informationSource": {"reference": "Patient/pa-1"},
        "dosage": [
            {
                "sequence": 1,
                "text": "Take 1 tablet (500 mg) by mouth twice daily with meals.",
                "timing": {"repeat": {"frequency": 2, "period": 1, "periodUnit": "d"}},
                "route": {
                    "coding": [
                        {
                            "system": "http://snomed.info/sct",
                            "code": "26643006",
                            "display": "Oral route",
                        }
                    ]
                },
                "doseAndRate": [
                    {
                        "doseQuantity": {
                            "value": 500,
                            "unit": "mg",
                            "system": "http://unitsofmeasure.org",
                            "code": "mg",
                        }
                    }
                ],
            }
        ],
        "note": [{"text": "first words"}],
    } | more


def draft_order(**more: Any) -> dict[str, Any]:
    return {
        "resourceType": "ServiceRequest",
        "id": "sr-1",
        "meta": {"versionId": "1"},
        "identifier": [{"system": TAG_SYSTEM, "value": OLD_TAG.uuid}],
        "status": "draft",
        "intent": "proposal",
        "category": [{"text": "referral"}],
        "code": {
            "coding": [
                {"system": "http://snomed.info/sct", "code": "306206005", "display": "Referral"}
            ]
        },
        "subject": {"reference": "Patient/pa-1"},
        "priority": "routine",
        "requester": {"reference": "Practitioner/pr-1"},
    } | more


def blood_pressure(**more: Any) -> dict[str, Any]:
    def loinc(code: str, display: str) -> dict[str, Any]:
        return {"coding": [{"system": "http://loinc.org", "code": code, "display": display}]}

    def pressure(value: int) -> dict[str, Any]:
        return {
            "value": value,
            "unit": "mmHg",
            "system": "http://unitsofmeasure.org",
            "code": "mm[Hg]",
        }

    return {
        "resourceType": "Observation",
        "id": "ob-1",
        "meta": {"versionId": "1"},
        "extension": [{"url": "urn:x", "valueDecimal": 1}],
        "status": "final",
        "category": [
            {
                "coding": [
                    {
                        "system": "http://terminology.hl7.org/CodeSystem/observation-category",
                        "code": "vital-signs",
                    }
                ]
            }
        ],
        "code": loinc("85354-9", "Blood pressure panel"),
        "subject": {"reference": "Patient/pa-1"},
        "encounter": {"reference": "Encounter/en-1"},
        "effectiveDateTime": "2026-11-20T08:35:00-06:00",
        "performer": [{"reference": "Practitioner/pr-1"}],
        "component": [
            {"code": loinc("8480-6", "Systolic"), "valueQuantity": pressure(154)},
            {"code": loinc("8462-4", "Diastolic"), "valueQuantity": pressure(92)},
            {"code": loinc("8478-0", "Mean"), "valueQuantity": pressure(112)},
        ],
        "note": [{"text": "first words"}],
    } | more


def questionnaire_response(**more: Any) -> dict[str, Any]:
    return {
        "resourceType": "QuestionnaireResponse",
        "id": "qr-1",
        "meta": {"versionId": "2"},
        "identifier": {"system": TAG_SYSTEM, "value": OLD_TAG.uuid},
        "questionnaire": "http://clinic.example/Questionnaire/sleep|2",
        "status": "completed",
        "subject": {"reference": "Patient/pa-1"},
        "authored": "2026-11-19T08:30:00-06:00",
        "source": {"reference": "Patient/pa-1"},
        "item": [
            {
                "linkId": "night",
                "text": "About your nights",
                "item": [
                    {"linkId": "hours", "text": "Hours", "answer": [{"valueInteger": 5}]},
                    {"linkId": "since", "text": "Since", "answer": [{"valueDate": "2026-09"}]},
                ],
            },
            {"linkId": "snores", "answer": [{"valueBoolean": True}]},
        ],
    } | more


def potassium(**more: Any) -> dict[str, Any]:
    def amount(value: int, **more: Any) -> dict[str, Any]:
        return {
            "value": value,
            "unit": "mmol/L",
            "system": "http://unitsofmeasure.org",
            "code": "mmol/L",
        } | more

    return {
        "resourceType": "Observation",
        "id": "ob-2",
        "meta": {"versionId": "3"},
        "extension": [{"url": "urn:x", "valueDecimal": 1}],
        "status": "final",
        "category": [
            {
                "coding": [
                    {
                        "system": "http://terminology.hl7.org/CodeSystem/observation-category",
                        "code": "laboratory",
                    }
                ]
            }
        ],
        "code": {
            "coding": [
                {"system": "http://loinc.org", "code": "2823-3", "display": "Potassium serum"}
            ],
            "text": "K",
        },
        "subject": {"reference": "Patient/pa-1"},
        "effectiveDateTime": "2026-11-18T07:40:00-06:00",
        "performer": [{"display": "Northgate Laboratory"}],
        "valueQuantity": amount(5),
        "interpretation": [
            {
                "coding": [
                    {
                        "system": "http://terminology.hl7.org/CodeSystem/v3-ObservationInterpretation",
                        "code": "N",
                    }
                ]
            }
        ],
        "referenceRange": [{"low": amount(3), "high": amount(5)}],
        "note": [{"text": "first words", "authorString": "Laboratory"}],
    } | more


def appointment(**more: Any) -> dict[str, Any]:
    return {
        "resourceType": "Appointment",
        "id": "ap-1",
        "meta": {"versionId": "5"},
        "identifier": [{"system": "urn:clinic:appointments", "value": "771"}],
        "status": "booked",
        "appointmentType": {
            "coding": [
                {"system": "http://terminology.hl7.org/CodeSystem/v2-0276", "code": "ROUTINE"}
            ]
        },
        "reasonCode": [{"text": "Blood pressure"}],
        "start": "2026-12-03T10:00:00-06:00",
        "end": "2026-12-03T10:15:00-06:00",
        "minutesDuration": 15,
        "comment": "Wheelchair",
        "participant": [
            {"actor": {"reference": "Patient/pa-1"}, "status": "accepted"},
            {"actor": {"reference": "Practitioner/pr-1"}, "status": "accepted"},
            {"actor": {"reference": "Practitioner/pr-2"}, "status": "tentative"},
        ],
    } | more


def care_plan(**more: Any) -> dict[str, Any]:
    return {
        "resourceType": "CarePlan",
        "id": "cp-1",
        "meta": {"versionId": "3"},
        "contained": [
            {
                "resourceType": "Goal",
                "id": "g1",
                "lifecycleStatus": "active",
                "achievementStatus": {"text": "improving"},
                "description": {"text": "HbA1c below 7"},
                "subject": {"reference": "Patient/pa-1"},
                "target": [
                    {
                        "measure": {"coding": [{"system": "http://loinc.org", "code": "4548-4"}]},
                        "detailQuantity": {
                            "value": 7,
                            "comparator": "<",
                            "unit": "%",
                            "system": "http://unitsofmeasure.org",
                            "code": "%",
                        },
                    }
                ],
            }
        ],
        "status": "active",
        "intent": "plan",
        "title": "Diabetes",
        "subject": {"reference": "Patient/pa-1"},
        "period": {"start": "2026-01-01"},
        "author": {"reference": "Practitioner/pr-1"},
        "addresses": [{"reference": "Condition/co-1"}],
        "goal": [{"reference": "#g1"}, {"reference": "Goal/elsewhere"}],
        "activity": [
            {
                "detail": {
                    "status": "in-progress",
                    "description": "Foot check",
                    "scheduledString": "each quarter",
                }
            },
            {"reference": {"reference": "ServiceRequest/sr-1"}},
        ],
    } | more


# The entry of each kind that the chart holds, for interactions with one.
HELD: dict[str, Callable[[], dict[str, Any]]] = {
    "note": document,
    "problem": condition,
    "allergy": allergy,
    "vitals": blood_pressure,
    "result": potassium,
    "medication": medication,
    "order": draft_order,
    "task": task,
    "message": communication,
    "appointment": appointment,
    "care_plan": care_plan,
    "questionnaire": questionnaire_response,
    "encounter": encounter,
    "demographics": patient,
}


def held(kind: str) -> str:
    """The reference of the entry of a kind that the chart holds."""
    entry = HELD[kind]()
    return f"{entry['resourceType']}/{entry['id']}"


def outcome(
    code: str, *, severity: str = "error", text: str = "", number: str = "", place: str = ""
) -> dict[str, Any]:
    issue: dict[str, Any] = {"severity": severity, "code": code}
    if text:
        issue["diagnostics"] = text
    if number:
        issue["details"] = {
            "coding": [{"system": "urn:oid:1.2.840.114350.1.13.0.1.7.2.657369", "code": number}],
            "text": text,
        }
    if place:
        issue["expression"] = [place]
    return {"resourceType": "OperationOutcome", "issue": [issue]}


# For a test in which the EHR says nothing on purpose.
IMPATIENT = {"connect_timeout": 0.4, "read_timeout": 0.4, "deadline": 1.5}


class FakeEhr:
    """Serves a small chart; `answer_write` scripts what a POST or PUT is answered with."""

    def __init__(self, server: HTTPServer, *, granted: str | None = None) -> None:
        self.server = server
        self.granted = granted
        self.requests: list[tuple[str, str, dict[str, str], bytes]] = []
        self.scopes: list[str] = []
        self.resources = {
            f"{r['resourceType']}/{r['id']}": r
            for r in (
                *(make() for make in HELD.values()),
                {"resourceType": "Practitioner", "id": "pr-1", "name": [{"family": "Vela"}]},
            )
        }
        self.searches: dict[str, Callable[[Mapping[str, list[str]]], Any]] = {}
        self.write_answer: Callable[[Request], Response] | None = None
        self.read_answer: Callable[[Request], Response] | None = None
        self.token_answer: Callable[[Request], Response] | None = None
        self.released = threading.Event()
        server.expect_request(re.compile(r".*")).respond_with_handler(self._handle)

    @property
    def base_url(self) -> str:
        return self.server.url_for(BASE)

    @property
    def token_url(self) -> str:
        return self.server.url_for(TOKEN)

    def connection(self, kind: str, **more: Any) -> Connection:
        values: dict[str, Any] = {
            "kind": kind,
            "base_url": self.base_url,
            "token_url": self.token_url,
            "client_id": "portal",
            "private_key_pem": KEY,
            "credential_ref": "test-key",
            "connect_timeout": 5.0,
            "read_timeout": 10.0,
            "deadline": 20.0,
        }
        return Connection(**(values | more))

    # --- scripts ---------------------------------------------------------------------------------

    def answer_write(self, status: int, body: Any = b"", **headers: str) -> None:
        self.write_answer = self._canned(status, body, headers)

    def answer_read(self, status: int, body: Any = b"", **headers: str) -> None:
        self.read_answer = self._canned(status, body, headers)

    def answer_token(self, status: int, body: Any = b"", **headers: str) -> None:
        self.token_answer = self._canned(status, body, headers)

    def _canned(
        self, status: int, body: Any, headers: Mapping[str, str]
    ) -> Callable[[Request], Response]:
        sent = body if isinstance(body, (bytes, str)) else json.dumps(body)
        kind = "application/fhir+json" if not isinstance(body, (bytes, str)) else "text/plain"
        named = {"Content-Type": kind} | {k.replace("_", "-"): v for k, v in headers.items()}
        return lambda _: Response(sent, status=status, headers=named)

    def silent(self, _: Request) -> Response:
        """Keeps the request and says nothing until the test is over."""
        self.released.wait(10)
        return Response(status=500)

    @staticmethod
    def cut_off(request: Request) -> Response:
        """Takes the request and breaks the connection."""
        request.get_data()
        request.environ["werkzeug.socket"].shutdown(socket.SHUT_RDWR)
        return Response(status=500)

    @staticmethod
    def truncated(request: Request) -> Response:
        """Promises more bytes than it sends."""
        request.get_data()
        wire = request.environ["werkzeug.socket"]
        wire.sendall(
            b"HTTP/1.1 201 Created\r\nContent-Type: application/fhir+json\r\n"
            b'Content-Length: 4000\r\n\r\n{"resourceType":"Cond'
        )
        wire.shutdown(socket.SHUT_RDWR)
        return Response(status=500)

    # --- what happened ---------------------------------------------------------------------------

    @property
    def writes(self) -> list[tuple[str, str, dict[str, str], bytes]]:
        return [r for r in self.requests if r[0] in {"POST", "PUT"} and not r[1].startswith(TOKEN)]

    # --- serving ---------------------------------------------------------------------------------

    def _handle(self, request: Request) -> Response:
        path = request.path
        headers = {k.lower(): v for k, v in request.headers.items()}
        self.requests.append((request.method, request.full_path, headers, request.get_data()))
        if path == TOKEN:
            return self._token(request)
        if not headers.get("authorization", "").startswith("Bearer ") and not path.endswith(
            "/metadata"
        ):
            return Response(status=401)
        if request.method in {"POST", "PUT"}:
            if self.write_answer is not None:
                return self.write_answer(request)
            return self._write(request)
        if self.read_answer is not None:
            return self.read_answer(request)
        return self._read(request)

    def _token(self, request: Request) -> Response:
        form = parse_qs(request.get_data(as_text=True))
        self.scopes.append(form["scope"][0])
        if self.token_answer is not None:
            return self.token_answer(request)
        body = {
            "access_token": f"token-{len(self.scopes)}",
            "token_type": "Bearer",
            "expires_in": 300,
            "scope": self.granted if self.granted is not None else form["scope"][0],
        }
        return Response(json.dumps(body), headers={"Content-Type": "application/json"})

    def _write(self, request: Request) -> Response:
        rest = request.path.removeprefix(BASE).strip("/")
        if request.method == "POST":
            return Response(status=201, headers={"Location": f"{rest}/new-1"})
        return Response(status=200, headers={"ETag": 'W/"99"'})

    def _read(self, request: Request) -> Response:
        rest = request.path.removeprefix(BASE).strip("/")
        if rest in self.resources:
            return Response(
                json.dumps(self.resources[rest]), headers={"Content-Type": "application/fhir+json"}
            )
        if "/" in rest:
            return Response(json.dumps(outcome("not-found")), status=404)
        search = self.searches.get(rest)
        query = parse_qs(request.query_string.decode())
        found = (
            search(query)
            if search
            else [r for key, r in self.resources.items() if key.startswith(f"{rest}/")]
        )
        if isinstance(found, Response):
            return found
        bundle = (
            found
            if isinstance(found, dict)
            else {
                "resourceType": "Bundle",
                "type": "searchset",
                "entry": [{"resource": r, "search": {"mode": "match"}} for r in found],
            }
        )
        return Response(json.dumps(bundle), headers={"Content-Type": "application/fhir+json"})


@contextmanager
def threaded_server() -> Iterator[HTTPServer]:
    """A server of its own that answers while it keeps another request waiting."""
    server = HTTPServer(host="127.0.0.1", threaded=True)
    server.start()
    try:
        yield server
    finally:
        server.clear()
        server.stop()


@contextmanager
def unanswered_port() -> Iterator[int]:
    """A port whose queue is full: a connection to it is never established."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        port = listener.getsockname()[1]
        fillers = []
        try:
            for _ in range(4):
                filler = socket.socket()
                filler.setblocking(False)
                filler.connect_ex(("127.0.0.1", port))
                fillers.append(filler)
            yield port
        finally:
            for filler in fillers:
                filler.close()


def refused_port() -> int:
    """A port on which nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])
