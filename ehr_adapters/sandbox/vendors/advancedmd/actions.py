"""What a message can do to a chart: problems, and notes as the fields of a template.

How a row of the problem list is spelt is not public; the names here are this practice's own.
"""

import base64
import secrets
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from ehr_adapters.sandbox import behaviour, charts
from ehr_adapters.sandbox.exchange import Call
from ehr_adapters.sandbox.models import SandboxResource
from ehr_adapters.sandbox.vendors.advancedmd import templates
from ehr_adapters.sandbox.vendors.advancedmd.messages import Fault, Message, Tree, many

VENDOR = behaviour.ADVANCEDMD
ZONE = ZoneInfo("America/Denver")
_ICD10 = "http://hl7.org/fhir/sid/icd-10-cm"
_SNOMED = "http://snomed.info/sct"
_HL7 = "http://terminology.hl7.org/CodeSystem"
_ASSESS_PLAN = "http://hl7.org/fhir/us/core/CodeSystem/careplan-category"
_STATUSES = {"Active": "active", "Inactive": "inactive", "Resolved": "resolved"}

Done = tuple[Tree, list[SandboxResource]]


def new_id(letters: str) -> str:
    """A number with the letters that say of what."""
    return f"{letters}{secrets.randbelow(900_000_000) + 100_000_000}"


def patient_in(message: Message) -> SandboxResource:
    """The patient that a message names. Raises Fault."""
    row = charts.find(vendor=VENDOR, type="Patient", fhir_id=message.text("patientid"))
    if row is None or row.removed:
        raise Fault(1010, "The patient was not found.")
    return row


def _file(call: Call, resource: Mapping[str, Any], fhir_id: str) -> SandboxResource:
    content = call.spoiler.alter(dict(resource)) if call.spoiler else dict(resource)
    lag = call.spoiler.lag(at=call.at, last_request=call.last_request) if call.spoiler else None
    return charts.file(
        vendor=VENDOR, resource=content, fhir_id=fhir_id, author=call.author, at=call.at, lag=lag
    )


def _day(text: str) -> str:
    try:
        return datetime.strptime(text, "%m/%d/%Y").date().isoformat()  # noqa: DTZ007 - a day has no zone
    except ValueError:
        raise Fault(1014, "A date is MM/DD/YYYY.") from None


def _moment(text: str) -> str:
    try:
        local = datetime.strptime(text, "%m/%d/%Y %I:%M:%S %p")  # noqa: DTZ007 - the practice's own time
    except ValueError:
        raise Fault(1014, "A time is MM/DD/YYYY hh:mm:ss AM.") from None
    return local.replace(tzinfo=ZONE).isoformat()


def _one(message: Message, name: str) -> Tree:
    found = many(message.tree.get(name))
    if len(found) != 1:
        raise Fault(1013, f"One {name} is needed.")
    return found[0]


# --- problems --------------------------------------------------------------------------------------------


def _add_problem(call: Call, message: Message) -> Done:
    patient, row = patient_in(message), _one(message, "problem")
    if not row.get("@icd10code") and not row.get("@snomedcode"):
        raise Fault(1014, "A problem needs a code.")
    content: Tree = {
        "resourceType": "Condition",
        "clinicalStatus": _concept("condition-clinical", "active"),
        "verificationStatus": _concept("condition-ver-status", "confirmed"),
        "category": [_concept("condition-category", "problem-list-item")],
        "subject": {"reference": f"Patient/{patient.fhir_id}"},
        "recordedDate": call.at.date().isoformat(),
    }
    _put_problem(content, row)
    filed = _file(call, content, new_id("prob"))
    return {"problem": {"@id": filed.fhir_id}}, [filed]


def _update_problem(call: Call, message: Message) -> Done:
    patient, row = patient_in(message), _one(message, "problem")
    held = charts.find(vendor=VENDOR, type="Condition", fhir_id=str(row.get("@id", "")))
    if held is None or held.removed or held.patient_id != patient.fhir_id:
        raise Fault(1011, "The problem was not found.")
    content = charts.content_of(held)
    _put_problem(content, row)
    content = call.spoiler.alter(content) if call.spoiler else content
    charts.revise(row=held, resource=content, author=call.author, at=call.at)
    return {"problem": {"@id": held.fhir_id}}, [held]


def _concept(system: str, code: str) -> Tree:
    return {"coding": [{"system": f"{_HL7}/{system}", "code": code}]}


def _put_problem(content: Tree, row: Tree) -> None:
    """An attribute that is there replaces, an empty one takes away, a missing one leaves as it is."""
    if "@icd10code" in row or "@snomedcode" in row:
        words = str(row.get("@description", ""))
        pairs = ((_ICD10, row.get("@icd10code")), (_SNOMED, row.get("@snomedcode")))
        codings = [{"system": system, "code": code} for system, code in pairs if code]
        for coding in codings:
            coding["display"] = words
        content["code"] = {"coding": codings, "text": words}
    if "@status" in row:
        if row["@status"] not in _STATUSES:
            raise Fault(1014, "A status is Active, Inactive or Resolved.")
        content["clinicalStatus"] = _concept("condition-clinical", _STATUSES[row["@status"]])
    for name, element in (("onsetdate", "onsetDateTime"), ("resolveddate", "abatementDateTime")):
        if row.get(f"@{name}"):
            content[element] = _day(row[f"@{name}"])
        elif f"@{name}" in row:
            content.pop(element, None)
    if row.get("@comments"):
        content["note"] = [{"text": row["@comments"]}]
    elif "@comments" in row:
        content.pop("note", None)


# --- notes -----------------------------------------------------------------------------------------------


def _templates(call: Call, message: Message) -> Done:
    del call, message
    listed = [
        {
            "@id": str(each.id),
            "@name": each.name,
            "pagelist": {
                "page": [
                    {
                        "@pageindex": str(page.index),
                        "@pagename": page.name,
                        "fieldlist": {
                            "field": [
                                {
                                    "@ordinal": str(field.ordinal),
                                    "@fieldname": field.name,
                                    "@maxlength": str(field.longest),
                                }
                                for field in page.fields
                            ]
                        },
                    }
                    for page in each.pages
                ]
            },
        }
        for each in templates.TEMPLATES
    ]
    return {"templatelist": {"template": listed}}, []


def _add_note(call: Call, message: Message) -> Done:
    patient = patient_in(message)
    template = templates.named(message.text("templatename"))
    if template is None:
        raise Fault(1012, "There is no such template.")
    author = charts.find(vendor=VENDOR, type="Practitioner", fhir_id=message.text("profileid"))
    if author is None:
        raise Fault(1010, "The profile was not found.")
    content: Tree = {
        "resourceType": "DocumentReference",
        "status": "current",
        "docStatus": "preliminary",
        "type": {"coding": [{"system": "http://loinc.org", "code": template.loinc, "display": template.words}]},
        "subject": {"reference": f"Patient/{patient.fhir_id}"},
        "author": [{"reference": f"Practitioner/{author.fhir_id}"}],
        "content": [
            {
                "attachment": {
                    "contentType": "text/plain; charset=utf-8",
                    "data": base64.b64encode(_text(message, template).encode()).decode(),
                }
            }
        ],
    }  # fmt: skip
    if message.text("notedatetime"):
        content["date"] = _moment(message.text("notedatetime"))
    visit = message.text("visitid")
    if visit:
        held = charts.find(vendor=VENDOR, type="Encounter", fhir_id=visit)
        if held is None or held.patient_id != patient.fhir_id:
            raise Fault(1010, "The visit was not found.")
        content["context"] = {"encounter": [{"reference": f"Encounter/{visit}"}]}
    filed = _file(call, content, new_id("note"))
    return {"patientnote": {"@id": filed.fhir_id}}, [filed]


def _text(message: Message, template: templates.Template) -> str:
    """The fields under their names, in the order of the template."""
    said: dict[int, str] = {}
    for page in many((message.tree.get("pagelist") or {}).get("page")):
        for given in many((page.get("fieldlist") or {}).get("field")):
            found = template.field(str(given.get("@ordinal", "")))
            if found is None or str(found[0].index) != page.get("@pageindex"):
                raise Fault(1013, "The template has no such field on this page.")
            value = str(given.get("@value", ""))
            if len(value) > found[1].longest:
                raise Fault(1014, "The text of a field is too long.")
            said[found[1].ordinal] = value
    if not any(value.strip() for value in said.values()):
        raise Fault(1014, "The note is empty.")
    return "\n\n".join(
        f"{field.name}:\n{said[field.ordinal]}"
        for page in template.pages
        for field in page.fields
        if said.get(field.ordinal)
    )


# --- health watcher ----------------------------------------------------------------------------------------


def _add_plans(call: Call, message: Message) -> Done:
    patient = patient_in(message)
    filed = []
    for plan in many((message.tree.get("hmplanlist") or {}).get("hmplan")):
        if not str(plan.get("@title", "")).strip():
            raise Fault(1014, "A plan needs a title.")
        content: Tree = {
            "resourceType": "CarePlan",
            "status": "active",
            "intent": "plan",
            "category": [{"coding": [{"system": _ASSESS_PLAN, "code": "assess-plan"}]}],
            "title": plan["@title"],
            "subject": {"reference": f"Patient/{patient.fhir_id}"},
            "created": charts.instant(call.at),
        }
        if plan.get("@text"):
            content["description"] = plan["@text"]
        filed.append(_file(call, content, new_id("plan")))
    if not filed:
        raise Fault(1013, "One hmplan is needed.")
    return {"hmplanlist": {"hmplan": [{"@id": row.fhir_id} for row in filed]}}, filed


# --- practice management -----------------------------------------------------------------------------------


def _update_patient(call: Call, message: Message) -> Done:
    row = _one(message, "patient")
    held = charts.find(vendor=VENDOR, type="Patient", fhir_id=str(row.get("@id", "")))
    if held is None or held.removed:
        raise Fault(1010, "The patient was not found.")
    content = charts.content_of(held)
    telecom = list(content.get("telecom") or [])
    for name, like in (
        ("homephone", {"system": "phone", "use": "home"}),
        ("email", {"system": "email"}),
    ):
        if f"@{name}" not in row:
            continue
        telecom = [one for one in telecom if not like.items() <= one.items()]
        if row[f"@{name}"]:
            telecom.append({**like, "value": row[f"@{name}"]})
    if telecom:
        content["telecom"] = telecom
    else:
        content.pop("telecom", None)
    _put_address(content, row)
    content = call.spoiler.alter(content) if call.spoiler else content
    charts.revise(row=held, resource=content, author=call.author, at=call.at)
    return {"patient": {"@id": held.fhir_id}}, [held]


def _put_address(content: Tree, row: Tree) -> None:
    address = dict(next(iter(content.get("address") or []), {"use": "home"}))
    for name, element in (("city", "city"), ("state", "state"), ("zip", "postalCode")):
        if row.get(f"@{name}"):
            address[element] = row[f"@{name}"]
        elif f"@{name}" in row:
            address.pop(element, None)
    if row.get("@address1"):
        address["line"] = [row["@address1"]]
    elif "@address1" in row:
        address.pop("line", None)
    if set(address) - {"use"}:
        content["address"] = [address, *(content.get("address") or [])[1:]]


ACTIONS: dict[str, Callable[[Call, Message], Done]] = {
    "addehrproblem": _add_problem,
    "updateehrproblem": _update_problem,
    "getehrtemplates": _templates,
    "addehrnote": _add_note,
    "addehrhwplans": _add_plans,
    "updatepatient": _update_patient,
}
