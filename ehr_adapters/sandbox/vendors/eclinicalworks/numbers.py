"""The numbers that eClinicalWorks answers a write with, and the Bundle around them.

Error Code Reference Guide 1.0. The note interface gives 301 to 308 another meaning.
"""

from typing import Any

from ehr_adapters.sandbox.exchange import Answer, json_answer
from ehr_adapters.sandbox.outcomes import RequestRefused

KEYS = {
    "2": "FAILURE",
    "100": "INVALID_PATIENT",
    "101": "INVALID_PROVIDER",
    "102": "UNSUPPORTED_CODING_SYSTEM",
    "105": "INVALID_CATEGORY_FOR_ASSESSMENT",
    "106": "UNSUPPORTED_ENCOUNTER_STATUS",
    "107": "INVALID_FACILITY",
    "108": "UNSUPPORTED_CHARACTERS",
    "109": "MAX_SIZE_LIMIT_EXCEEDED",
    "110": "INVALID_STATUS",
    "111": "UNSUPPORTED_ACTION_PRIORITY",
    "113": "UNSUPPORTED_TYPE_CODE",
    "114": "UNSUPPORTED_MIME_TYPE_IN_ATTACHMENT",
    "116": "INVALID_PERIOD_ELEMENT",
    "117": "INVALID_PATIENT_GENDER",
    "118": "INVALID_PATIENT_NAME",
    "119": "INVALID_PATIENT_DOB",
    "120": "INVALID_CODING_ELEMENT",
    "121": "INVALID_INTENT",
    "122": "INVALID_CATEGORY",
    "123": "INVALID_ENCOUNTER",
    "138": "INVALID_ENCOUNTER_TYPE",
    "139": "ENCOUNTER_IS_LOCKED",
    "143": "INVALID_TEXT",
    "161": "INVALID_COMMUNICATION_PAYLOAD",
    "164": "INVALID_PATIENT_REFERENCE_IN_ENCOUNTER",
    "165": "INVALID_ID",
    "201": "INVALID_MULTIPLE_PATIENT_FOUND",
    "202": "INVALID_PATIENT_ALREADY_EXIST",
    "204": "INVALID_DATE_FORMAT",
    "207": "PATIENT_NOT_FOUND",
    "308": "DEFAULT_WRITEBACK_USER_NOT_CONFIGURED",
    "602": "FAILED_TO_CREATE_WEB_ENCOUNTER",
    "607": "INVALID_CODE_ELEMENT",
    "611": "INVALID_UNIT",
    "612": "INVALID_VITAL_VALUE",
    "613": "UNSUPPORTED_OBSERVATION",
    "614": "UNSUPPORTED_CHARACTER_FHIR_BUNDLE",
    "616": "INVALID_REASON_CODE",
    "618": "REASON_CODE_MAPPED_TO_DIFFERENT_PATIENT",
    "2024": "RxNorm Code is mandatory for importing medication data",
    "2026": "Med type is unspecified, med type should be reconcile or new order",
}
NOTE_KEYS = {
    "301": "Message format exception - MSH segment missing in HL7 message",
    "303": "Encounter does not belong to this patient",
    "304": "Encounter not found",
    "306": "Missing PROG identifier in HL7 message",
    "307": "Message format exception - OBR segment missing in HL7 message",
}


def numbered(number: str, *, location: str = "", key: str = "") -> Answer:
    """The transaction-response with one number; `location` names what a success filed."""
    response: dict[str, Any] = {"status": number}
    if location:
        response["location"] = location
    if number != "1":
        words = key or KEYS.get(number, "FAILURE")
        issue = {"severity": "error", "code": "processing", "details": {"text": words}}
        response["outcome"] = {"resourceType": "OperationOutcome", "issue": [issue]}
    entry = {"response": response}
    return json_answer(
        200, {"resourceType": "Bundle", "type": "transaction-response", "entry": [entry]}
    )


def refused(number: str, *, key: str = "") -> RequestRefused:
    """A write that was not taken: still a 200."""
    words = key or KEYS.get(number, "FAILURE")
    return RequestRefused(200, "processing", words, answer=numbered(number, key=words))


def refused_note(number: str) -> RequestRefused:
    """A note that the interface for HL7 v2 did not take."""
    return refused(number, key=NOTE_KEYS[number])


def require(met: object, number: str) -> None:
    """Raises the numbered refusal unless the condition is met."""
    if not met:
        raise refused(number)
