"""The search parameters of each type: how their values compare and where they stand."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Param:
    """One search parameter: how its values compare, and where they stand."""

    kind: str  # token, reference, date, string
    paths: tuple[str, ...]
    target: str = ""  # reference: the only type that it may point at


def _token(*paths: str) -> Param:
    return Param("token", paths)


def _reference(*paths: str, target: str = "") -> Param:
    return Param("reference", paths, target)


def _date(*paths: str) -> Param:
    return Param("date", paths)


def _string(*paths: str) -> Param:
    return Param("string", paths)


_SUBJECT = {"patient": _reference("subject", target="Patient"), "subject": _reference("subject")}
_MEDICATION = {
    "code": _token("medicationCodeableConcept"),
    "medication": _reference("medicationReference"),
}

COMMON: dict[str, Param] = {
    "_id": _token("id"),
    "_lastUpdated": _date("meta.lastUpdated"),
    "_security": _token("meta.security"),
    "_tag": _token("meta.tag"),
    "identifier": _token("identifier", "masterIdentifier"),
}

PARAMS: dict[str, dict[str, Param]] = {
    "Patient": {
        "family": _string("name.family"),
        "given": _string("name.given"),
        "name": _string("name.family", "name.given", "name.text"),
        "birthdate": _date("birthDate"),
        "gender": _token("gender"),
        "active": _token("active"),
        "address": _string("address.line", "address.city", "address.postalCode"),
        "telecom": _token("telecom"),
        "link": _reference("link.other"),
    },
    "Practitioner": {
        "family": _string("name.family"),
        "given": _string("name.given"),
        "name": _string("name.family", "name.given", "name.text"),
        "active": _token("active"),
    },
    "Organization": {"name": _string("name"), "active": _token("active")},
    "Location": {"name": _string("name"), "status": _token("status")},
    "Encounter": {
        **_SUBJECT,
        "status": _token("status"),
        "class": _token("class"),
        "date": _date("period"),
        "participant": _reference("participant.individual"),
        "type": _token("type"),
    },
    "Condition": {
        **_SUBJECT,
        "encounter": _reference("encounter", target="Encounter"),
        "category": _token("category"),
        "clinical-status": _token("clinicalStatus"),
        "verification-status": _token("verificationStatus"),
        "code": _token("code"),
        "onset-date": _date("onsetDateTime", "onsetPeriod"),
        "recorded-date": _date("recordedDate"),
    },
    "AllergyIntolerance": {
        "patient": _reference("patient", target="Patient"),
        "clinical-status": _token("clinicalStatus"),
        "verification-status": _token("verificationStatus"),
        "category": _token("category"),
        "criticality": _token("criticality"),
        "code": _token("code"),
        "date": _date("recordedDate"),
        "type": _token("type"),
    },
    "MedicationRequest": {
        **_SUBJECT,
        **_MEDICATION,
        "encounter": _reference("encounter", target="Encounter"),
        "status": _token("status"),
        "intent": _token("intent"),
        "category": _token("category"),
        "authoredon": _date("authoredOn"),
        "date": _date("authoredOn"),
        "requester": _reference("requester"),
    },
    "MedicationStatement": {
        **_SUBJECT,
        **_MEDICATION,
        "context": _reference("context"),
        "encounter": _reference("context", target="Encounter"),
        "status": _token("status"),
        "category": _token("category"),
        "effective": _date("effectiveDateTime", "effectivePeriod"),
        "date": _date("effectiveDateTime", "effectivePeriod"),
    },
    "Observation": {
        **_SUBJECT,
        "encounter": _reference("encounter", target="Encounter"),
        "category": _token("category"),
        "code": _token("code"),
        "status": _token("status"),
        "date": _date("effectiveDateTime", "effectivePeriod", "effectiveInstant"),
    },
    "DiagnosticReport": {
        **_SUBJECT,
        "encounter": _reference("encounter", target="Encounter"),
        "category": _token("category"),
        "code": _token("code"),
        "status": _token("status"),
        "date": _date("effectiveDateTime", "effectivePeriod"),
    },
    "DocumentReference": {
        **_SUBJECT,
        "encounter": _reference("context.encounter", target="Encounter"),
        "category": _token("category"),
        "type": _token("type"),
        "status": _token("status"),
        "doc-status": _token("docStatus"),
        "docstatus": _token("docStatus"),
        "date": _date("date"),
        "period": _date("context.period"),
        "author": _reference("author"),
        "relatesto": _reference("relatesTo.target"),
    },
    "ServiceRequest": {
        **_SUBJECT,
        "encounter": _reference("encounter", target="Encounter"),
        "category": _token("category"),
        "code": _token("code"),
        "status": _token("status"),
        "intent": _token("intent"),
        "authored": _date("authoredOn"),
        "occurrence": _date("occurrenceDateTime", "occurrencePeriod"),
        "requester": _reference("requester"),
    },
    "Task": {
        "patient": _reference("for", target="Patient"),
        "subject": _reference("for"),
        "encounter": _reference("encounter", target="Encounter"),
        "status": _token("status"),
        "intent": _token("intent"),
        "code": _token("code"),
        "owner": _reference("owner"),
        "requester": _reference("requester"),
        "authored-on": _date("authoredOn"),
        "modified": _date("lastModified"),
        "focus": _reference("focus"),
    },
    "Communication": {
        **_SUBJECT,
        "encounter": _reference("encounter", target="Encounter"),
        "category": _token("category"),
        "status": _token("status"),
        "recipient": _reference("recipient"),
        "sender": _reference("sender"),
        "sent": _date("sent"),
    },
    "Appointment": {
        "patient": _reference("participant.actor", target="Patient"),
        "actor": _reference("participant.actor"),
        "status": _token("status"),
        "date": _date("start"),
    },
    "CarePlan": {
        **_SUBJECT,
        "encounter": _reference("encounter", target="Encounter"),
        "category": _token("category"),
        "status": _token("status"),
        "date": _date("period"),
    },
    "Goal": {
        **_SUBJECT,
        "category": _token("category"),
        "lifecycle-status": _token("lifecycleStatus"),
        "start-date": _date("startDate"),
    },
    "QuestionnaireResponse": {
        **_SUBJECT,
        "encounter": _reference("encounter", target="Encounter"),
        "status": _token("status"),
        "questionnaire": Param("token", ("questionnaire",)),
        "authored": _date("authored"),
        "author": _reference("author"),
    },
    "Provenance": {
        "target": _reference("target"),
        "patient": _reference("target", target="Patient"),
        "recorded": _date("recorded"),
        "agent": _reference("agent.who"),
    },
}
