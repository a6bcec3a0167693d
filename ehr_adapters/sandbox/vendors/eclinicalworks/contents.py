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
    "AllergyIntolerance": (
        "identifier", "clinicalStatus", "code", "patient", "criticality", "onsetDateTime", "reaction",
    ),
    "MedicationStatement": (
        "identifier", "status", "category", "medicationCodeableConcept", "subject", "effectivePeriod", "dosage",
    ),
    "Observation": (
        "identifier", "status", "category", "code", "subject", "effectiveDateTime", "valueQuantity", "component",
    ),
    "ServiceRequest": (
        "identifier", "status", "intent", "category", "priority", "code", "subject", "encounter", "occurrenceDateTime",
        "requester", "reasonReference", "bodySite", "note", "replaces",
    ),
    "Task": (
        "identifier", "status", "intent", "priority", "code", "description", "focus", "for", "encounter", "owner",
        "restriction", "input",
    ),
    "Encounter": (
        "identifier", "status", "class", "type", "subject", "participant", "period", "reasonCode", "location",
    ),
    "Communication": (
        "identifier", "status", "topic", "subject", "recipient", "payload", "encounter", "inResponseTo", "language",
    ),
}  # fmt: skip
_ALLERGY_STATUS = {"active", "inactive"}
RXNORM = "http://www.nlm.nih.gov/research/umls/rxnorm"
_PRESSURE = ("mm[Hg]",)
# LOINC code -> the UCUM units that are taken for it.
VITALS = {
    "85354-9": _PRESSURE, "8480-6": _PRESSURE, "8462-4": _PRESSURE, "8867-4": ("/min",), "9279-1": ("/min",),
    "8310-5": ("Cel", "[degF]"), "8302-2": ("cm", "[in_i]"), "29463-7": ("kg", "g", "[lb_av]"), "39156-5": ("kg/m2",),
    "2708-6": ("%",), "59408-5": ("%",), "9843-4": ("cm", "[in_i]"), "59576-9": ("%",), "8289-1": ("%",),
    "77606-2": ("%",),
}  # fmt: skip
_PRIORITIES = {"routine", "urgent", "asap", "stat"}
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
        check_report(
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


def check_report(
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


def check_allergy(resource: Mapping[str, Any]) -> None:
    """Raises the numbered refusal for an allergy that is not taken; the substance is found by its words."""
    codings = (resource.get("code") or {}).get("coding") or []
    named = [each.get("display") for each in codings] + [(resource.get("code") or {}).get("text")]
    require(any(named), "143")
    clinical = codes_of(resource.get("clinicalStatus"))
    require(clinical and clinical[0] in _ALLERGY_STATUS, "110")
    for reaction in resource.get("reaction") or []:
        for sign in reaction["manifestation"]:
            kind, colon, words = str(sign.get("text", "")).partition(" : ")
            require(kind and colon and words, "143")


def kept_allergy(resource: Mapping[str, Any]) -> dict[str, Any]:
    """The allergy with nothing but the words of its reactions."""
    content = kept(resource)
    if "reaction" in content:
        content["reaction"] = [
            {"manifestation": [{"text": sign["text"]} for sign in each["manifestation"]]}
            for each in content["reaction"]
        ]
    return content


def check_medication(resource: Mapping[str, Any]) -> None:
    """Raises the numbered refusal for a medication that cannot be reconciled with the list."""
    concept = resource.get("medicationCodeableConcept") or {}
    codings = concept.get("coding") or []
    coded = any(each.get("system") == RXNORM and each.get("code") for each in codings)
    require(coded, "2024")
    require(concept.get("text"), "143")
    order_type = str((resource.get("category") or {}).get("text", "")).lower()
    require(order_type in {"reconcile", "new order"}, "2026")
    require(len(resource.get("dosage") or []) <= 1, "2")


def list_entry(resource: Mapping[str, Any]) -> dict[str, Any]:
    """What a reconciled medication is in this chart: a reported MedicationRequest, with words for route and
    schedule."""
    lines = []
    for each in resource.get("dosage") or []:
        line = {key: each[key] for key in ("text", "asNeededBoolean") if key in each}
        for key, concept in (
            ("timing", (each.get("timing") or {}).get("code")),
            ("route", each.get("route")),
        ):
            if concept and concept.get("text"):
                words = {"text": concept["text"]}
                line[key] = {"code": words} if key == "timing" else words
        amounts = [
            one["doseQuantity"] for one in each.get("doseAndRate") or [] if "doseQuantity" in one
        ]
        if amounts:
            line["doseAndRate"] = [{"doseQuantity": amounts[0]}]
        lines.append(line)
    period = resource.get("effectivePeriod") or {}
    content: dict[str, Any] = {
        "resourceType": "MedicationRequest",
        **({"identifier": resource["identifier"]} if "identifier" in resource else {}),
        "status": "active",
        "intent": "plan",
        "reportedBoolean": True,
        "medicationCodeableConcept": resource["medicationCodeableConcept"],
        "subject": resource["subject"],
        **({"authoredOn": period["start"]} if "start" in period else {}),
        "dosageInstruction": lines,
    }
    if "end" in period:
        content["dispenseRequest"] = {"validityPeriod": {"end": period["end"]}}
    return content


def check_vitals(resource: Mapping[str, Any]) -> None:
    """Raises the numbered refusal for a value that is no vital sign of this interface."""
    vital = any("vital-signs" in codes_of(each) for each in resource.get("category") or [])
    require(vital, "122")
    codes = _loinc(resource.get("code") or {})
    require(len(codes) == 1 and codes[0] in VITALS, "613")
    require("T" in str(resource.get("effectiveDateTime", "")), "204")
    parts = resource.get("component") or [resource]
    for part in parts:
        named = _loinc(part.get("code") or {})
        require(named and named[0] in VITALS, "613")
        value = part.get("valueQuantity") or {}
        require("value" in value, "612")
        require(value.get("code") in VITALS[named[0]], "611")


def check_order(resource: Mapping[str, Any]) -> None:
    """Raises the numbered refusal for an order that is not taken."""
    codings = (resource.get("code") or {}).get("coding") or []
    require(codings and all(each.get("system") and each.get("code") for each in codings), "607")
    require(resource.get("intent") in {"proposal", "plan", "order"}, "121")
    require(resource.get("priority", "routine") in _PRIORITIES, "111")


def check_action(resource: Mapping[str, Any]) -> None:
    """Raises the numbered refusal for an action that nobody could do."""
    require(resource.get("status") == "requested", "110")
    require(resource.get("priority", "routine") in _PRIORITIES, "111")
    require(resource.get("owner"), "101")
    require(((resource.get("restriction") or {}).get("period") or {}).get("end"), "116")


def check_message(resource: Mapping[str, Any]) -> None:
    """Raises the numbered refusal for a message without a text."""
    payload = resource.get("payload") or []
    require(any(each.get("contentString") for each in payload), "161")


def _loinc(concept: Mapping[str, Any]) -> list[str]:
    return [
        str(each.get("code")) for each in concept.get("coding") or [] if each.get("system") == LOINC
    ]


def check_encounter(resource: Mapping[str, Any]) -> None:
    """Raises the numbered refusal for a visit that was a meeting in the practice, or is over."""
    require((resource.get("class") or {}).get("code") == "VR", "138")
    require(any(codes_of(each) for each in resource.get("type") or []), "138")
    require(resource.get("status") in {"planned", "arrived", "in-progress"}, "106")
    require("start" in (resource.get("period") or {}), "116")


def check_person(resource: Mapping[str, Any]) -> None:
    """Raises the numbered refusal for a patient's record without what identifies a patient."""
    require(resource.get("gender") in {"male", "female", "unknown", "other"}, "117")
    names = resource.get("name") or []
    require(any(each.get("family") and each.get("given") for each in names), "118")
    require(resource.get("birthDate"), "119")
