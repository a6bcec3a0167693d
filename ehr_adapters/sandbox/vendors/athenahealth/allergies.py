"""Allergies: one PUT for all, by allergen; what is there is updated, what is left out stays."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ehr_adapters.sandbox import charts
from ehr_adapters.sandbox.exchange import Answer, Call
from ehr_adapters.sandbox.models import SandboxResource
from ehr_adapters.sandbox.seed import entries
from ehr_adapters.sandbox.seed.resources import RXNORM, SNOMED, coding, concept, status
from ehr_adapters.sandbox.vendors.athenahealth import people, references
from ehr_adapters.sandbox.vendors.athenahealth.answers import refused, told
from ehr_adapters.sandbox.vendors.athenahealth.fields import structure

if TYPE_CHECKING:
    from ehr_adapters.sandbox.vendors.athenahealth.front import AthenaFront

_NONE_KNOWN = ("716186003", "409137002")
_SYSTEMS = {"rxnorm": RXNORM, "snomed": SNOMED}


def put(front: "AthenaFront", call: Call, given: Mapping[str, str], patient: str) -> Answer:
    """PUT /chart/{patientid}/allergies: the answer names no entry."""
    people.check_department(given)
    row = people.patient_row(patient, writing=True)
    committed = []
    if given.get("nkda", "").lower() == "true":
        code = coding(SNOMED, _NONE_KNOWN[1], "No known drug allergy (situation)")
        committed.append(_filed(front, call, _entry(row, concept(code, text=code["display"]))))
    sent = structure(given, "allergies") if given.get("allergies") else []
    committed += [_upserted(front, call, row, one) for one in sent]
    answer = told({"success": True})
    answer.committed += committed
    return answer


def _upserted(front: "AthenaFront", call: Call, patient: SandboxResource, one: Any) -> str:
    number = str(one.get("allergenid", "")) if isinstance(one, dict) else ""
    name = next((n for n, v in references.allergens().items() if str(v) == number), None)
    if name is None:
        raise refused(400, "The data provided is invalid.", detail="allergenid is unknown.")
    known = {str(v): n for n, v in references.reactions().items()}
    severities = {str(v): n for n, v in references.SEVERITIES.items()}
    shown = []
    for reaction in one.get("reactions") or []:
        words = known.get(str(reaction.get("reactionid")))
        if words is None:
            raise refused(400, "The data provided is invalid.", detail="reactionid is unknown.")
        part: dict[str, Any] = {"manifestation": [_reaction(words)]}
        if str(reaction.get("severityid")) in severities:
            part["severity"] = severities[str(reaction["severityid"])]
        shown.append(part)
    held = _held(front, call, patient, name)
    content = charts.content_of(held) if held else _entry(patient, _substance(name))
    if "note" in one:
        content["note"] = [{"text": str(one["note"])}] if one["note"] else []
    if "reactions" in one:
        content["reaction"] = shown
    if held is None:
        return _filed(front, call, content)
    content = call.spoiler.alter(content) if call.spoiler else content
    charts.revise(row=held, resource=content, author=call.author, at=call.at)
    return f"{held.type}/{held.fhir_id}/_history/{held.version}"


def _filed(front: "AthenaFront", call: Call, content: dict[str, Any]) -> str:
    row = front.filed(call, content)
    return f"{row.type}/{row.fhir_id}/_history/{row.version}"


def _entry(patient: SandboxResource, code: dict[str, Any]) -> dict[str, Any]:
    return {
        "resourceType": "AllergyIntolerance",
        "clinicalStatus": status("allergyintolerance-clinical", "active"),
        "verificationStatus": status("allergyintolerance-verification", "confirmed"),
        "code": code,
        "patient": {"reference": f"Patient/{patient.fhir_id}"},
    }


def _substance(name: str) -> dict[str, Any]:
    every = [a for each in entries.ALLERGIES.values() for a in each]
    for allergy in (*every, entries.STAGED_ALLERGY):
        if allergy.substance[1] == name:
            return concept(coding(_SYSTEMS[allergy.system], *allergy.substance), text=name)
    return {"text": name}


def _reaction(name: str) -> dict[str, Any]:
    every = [a.reaction for each in entries.ALLERGIES.values() for a in each if a.reaction]
    codes = {words: code for code, words in (*every, entries.WHEAL, entries.RASH)}
    return concept(coding(SNOMED, codes[name], name), text=name)


def _held(
    front: "AthenaFront", call: Call, patient: SandboxResource, name: str
) -> SandboxResource | None:
    for row in front.searchable(call, "AllergyIntolerance", patient.fhir_id):
        if _name_of(charts.content_of(row)) == name:
            return row
    return None


def _name_of(content: Mapping[str, Any]) -> str:
    code = content["code"]
    codings = code.get("coding") or [{}]
    return str(codings[0].get("display") or code.get("text", ""))


def listed(front: "AthenaFront", call: Call, given: Mapping[str, str], patient: str) -> Answer:
    """GET /chart/{patientid}/allergies."""
    people.check_department(given)
    owner = people.patient_row(patient)
    numbers, shown, none_known = references.allergens(), [], False
    for row in front.searchable(call, "AllergyIntolerance", owner.fhir_id):
        content = charts.content_of(row)
        name = _name_of(content)
        if name not in numbers:
            codes = {c.get("code") for c in content["code"].get("coding") or []}
            none_known = none_known or bool(codes & set(_NONE_KNOWN))
            continue
        one: dict[str, Any] = {
            "allergenid": numbers[name],
            "allergenname": name,
            "note": "\n".join(each["text"] for each in content.get("note") or []),
            "reactions": [_shown(each) for each in content.get("reaction") or []],
        }
        shown.append(one)
    return told({"allergies": shown, "nkda": "true" if none_known else "false"})


def _shown(reaction: Mapping[str, Any]) -> dict[str, Any]:
    first = reaction["manifestation"][0]
    name = first.get("coding", [{}])[0].get("display") or first.get("text", "")
    out = {"reactionid": references.reactions().get(name, 0), "reactionname": name}
    if reaction.get("severity"):
        out |= {
            "severityid": references.SEVERITIES[reaction["severity"]],
            "severity": reaction["severity"],
        }
    return out
