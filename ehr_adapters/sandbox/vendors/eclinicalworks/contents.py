"""What eClinicalWorks takes in a problem and in a note, and what it keeps of them."""

import base64
import binascii
from collections.abc import Iterator, Mapping
from typing import Any

from ehr_adapters.sandbox import charts
from ehr_adapters.sandbox.conformance import codes_of
from ehr_adapters.sandbox.vendors.eclinicalworks import hl7
from ehr_adapters.sandbox.vendors.eclinicalworks.numbers import refused, refused_note, require

LOINC = "http://loinc.org"
ICD10 = "http://hl7.org/fhir/sid/icd-10-cm"
SNOMED = "http://snomed.info/sct"
NOTE_TYPES = {"11506-3", "34117-2", "11488-4", "18842-5"}
LONGEST_PROBLEM_NOTE = 1000
LONGEST_NOTE = 60_000

# Elements that an interface reads; everything else that is sent is passed over without a word.
KEEPS = {
    "Condition": (
        "identifier", "clinicalStatus", "verificationStatus", "category", "code", "subject", "onsetDateTime",
        "abatementDateTime", "note",
    ),
    "DocumentReference": (
        "identifier", "status", "docStatus", "type", "category", "subject", "date", "author", "content", "context",
    ),
}  # fmt: skip
_CLINICAL = {"active", "resolved", "inactive", "recurrence", "remission"}
_CERTAINTY = {"unconfirmed", "provisional", "differential", "confirmed"}


def kept(resource: Mapping[str, Any]) -> dict[str, Any]:
    """The resource without what its interface does not read."""
    names = KEEPS[resource["resourceType"]]
    return {
        "resourceType": resource["resourceType"],
        **{name: resource[name] for name in names if name in resource},
    }


def check_characters(resource: Mapping[str, Any], *, repertoire: str) -> None:
    """Raises 614 for a text outside the repertoire of this installation."""
    for text in _texts(resource):
        try:
            text.encode(repertoire)
        except UnicodeEncodeError:
            raise refused("614") from None


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for member in value.values():
            yield from _texts(member)
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item)


def check_problem(resource: Mapping[str, Any]) -> None:
    """Raises the numbered refusal for a problem that is not taken."""
    codings = (resource.get("code") or {}).get("coding") or []
    require(codings and all(each.get("system") and each.get("code") for each in codings), "120")
    require(any(each["system"] in {ICD10, SNOMED} for each in codings), "102")
    categories = {code for each in resource.get("category") or [] for code in codes_of(each)}
    require(categories & {"problem-list-item", "encounter-diagnosis"}, "105")
    if "encounter-diagnosis" not in categories:
        clinical = codes_of(resource.get("clinicalStatus"))
        require(clinical and clinical[0] in _CLINICAL, "110")
        ended = "resolved" in clinical
        require(not ended or "abatementDateTime" in resource, "110")
    certainty = codes_of(resource.get("verificationStatus"))
    require(not certainty or certainty[0] in _CERTAINTY, "110")
    length = sum(len(each["text"]) for each in resource.get("note") or [])
    require(length <= LONGEST_PROBLEM_NOTE, "109")


def check_note(resource: Mapping[str, Any], *, visit_id: str, repertoire: str) -> None:
    """Raises the numbered refusal for a note that does not reach the progress note."""
    codings = (resource.get("type") or {}).get("coding") or []
    typed = any(each.get("system") == LOINC and each.get("code") in NOTE_TYPES for each in codings)
    require(typed, "113")
    attachment = resource["content"][0]["attachment"]
    require(attachment.get("contentType") == "text/hl7v2", "114")
    try:
        raw = base64.b64decode(str(attachment.get("data", "")), validate=True)
        message = hl7.segments(raw)
        check_message(
            message,
            visit_id=visit_id,
            patient_id=charts.patient_of(resource),
            repertoire=repertoire,
        )
    except binascii.Error:
        raise refused("114") from None
    except hl7.NotAMessage:
        raise refused_note("301") from None
    require(len(raw) <= LONGEST_NOTE * 4, "109")


def check_message(
    message: list[hl7.Segment], *, visit_id: str, patient_id: str, repertoire: str
) -> None:
    """The rules of the HL7 v2 note interface. Raises the numbered refusal, or NotAMessage."""
    if message[0].component(3, 1) != "PROG":
        raise refused_note("306")
    reports = [each for each in message if each.name == "OBR"]
    if not reports:
        raise refused_note("307")
    patients = [each.component(3, 1) for each in message if each.name == "PID"]
    require(patients == [patient_id], "100")
    visits = {each.component(2, 1) for each in reports}
    if "" in visits:
        raise refused_note("304")
    if visits != {visit_id}:
        raise refused_note("303")
    texts = [hl7.plain(each.field(5)) for each in message if each.name == "OBX"]
    require(texts and all(each.component(4, 2) for each in reports), "143")
    require(sum(map(len, texts)) <= LONGEST_NOTE, "109")
    for text in texts:
        try:
            text.encode(repertoire)
        except UnicodeEncodeError:
            raise refused("108") from None


def sections_of(resource: Mapping[str, Any]) -> list[tuple[str, str]]:
    """(title, text) of each part of a delivered note, as the progress note shows them."""
    raw = base64.b64decode(str(resource["content"][0]["attachment"]["data"]))
    shown: list[tuple[str, str]] = []
    for segment in hl7.segments(raw):
        if segment.name == "OBR":
            shown.append((segment.component(4, 2), ""))
        elif segment.name == "OBX" and shown:
            title, text = shown[-1]
            line = hl7.plain(segment.field(5))
            shown[-1] = (title, f"{text}\n{line}" if text else line)
    return shown
