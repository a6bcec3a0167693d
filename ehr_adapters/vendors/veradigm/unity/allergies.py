"""An allergy as SaveAllergy: the EHR's own name of the allergen, and whether it is a medicine."""

from collections.abc import Sequence
from typing import Any

from ehr_adapters.canonical.base import ChartChange
from ehr_adapters.canonical.codes import RXNORM, SNOMED
from ehr_adapters.canonical.note import comment_text, read_comment_text
from ehr_adapters.errors import Issue
from ehr_adapters.vendors.veradigm.settings import VeradigmSettings
from ehr_adapters.vendors.veradigm.unity.forms import (
    Heard,
    Place,
    Said,
    UnityForm,
    left_out,
    read_xml_form,
    user_of,
    xml_form,
)
from ehr_adapters.vendors.veradigm.unity.magic import MagicCall

_ROOT, _ROW = "saveallergy", "field"
_VERIFIED = {"confirmed": "Y", "unconfirmed": "N"}
_LEFT_OUT = {
    "type": "Unity does not say whether it is an allergy or an intolerance.",
    "reported_by": "Unity does not say who told of it.",
    "last_seen": "Unity takes no date of the last reaction.",
    "encounter": "Unity names no visit with an allergy.",
    "sensitivity": "Unity does not take the sensitivity label.",
}
_NO_PLACE = {
    "criticality": "Unity has no place for how dangerous it is: enter the allergy in Veradigm.",
    "reactions": "Unity has no place for the reactions: enter the allergy in Veradigm.",
}


def write(change: ChartChange, place: Place) -> Said:
    content = change.model_dump_canonical()
    settings = place.settings
    user, issues = user_of({}, place)
    name = settings.unity_allergens.get(_key(content["substance"]), "")
    if not name:
        sentence = "The connection knows no name of this substance in Veradigm."
        issues.append(Issue("unmapped", "/substance", sentence))
    issues += [
        Issue("unsupported", f"/{field}", sentence)
        for field, sentence in _NO_PLACE.items()
        if content.get(field) is not None
    ]
    if content["category"] != "medication":
        sentence = "Unity only says whether the allergen is a medicine: enter others in Veradigm."
        issues.append(Issue("unsupported", "/category", sentence))
    if content["clinical_status"] != "active":
        sentence = "Unity takes an allergy as active only."
        issues.append(Issue("unsupported", "/clinical_status", sentence))
    fields = (
        ("AllergyName", name),
        ("isMedicationAllergy", "Y"),
        ("Verified", _VERIFIED.get(content["verification"], "")),
    )
    form = xml_form(_ROOT, _ROW, [{"name": one, "value": value} for one, value in fields])
    comment = comment_text(text=content.get("note") or "", short=place.tag.short)
    call = MagicCall(
        action=settings.action("allergy"),
        user=user,
        patient=place.patient,
        parameters=("", form, "", "", "", comment),
    )
    return Said((call,), tuple(left_out(content, _LEFT_OUT)), tuple(issues))


def _key(code: dict[str, Any]) -> str:
    """How the setting names a code: "rxnorm 7980", "snomed 91936005"."""
    return f"{ {RXNORM: 'rxnorm', SNOMED: 'snomed'}[code['system']] } {code['code']}"


def read(calls: Sequence[MagicCall], settings: VeradigmSettings) -> Heard:
    [call] = calls
    given = {row["name"]: row["value"] for row in read_xml_form(call.parameters[1], _ROW)}
    known = next(
        key for key, name in settings.unity_allergens.items() if name == given["AllergyName"]
    )
    system, _, code = known.partition(" ")
    content: dict[str, Any] = {
        "substance": {"system": {"rxnorm": RXNORM, "snomed": SNOMED}[system], "code": code},
        "category": "medication",
        "clinical_status": "active",
        "verification": next(k for k, v in _VERIFIED.items() if v == given["Verified"]),
    }
    comment, short = read_comment_text(call.parameters[5])
    if comment:
        content["note"] = comment
    return Heard(content, (short,))


ALLERGY = UnityForm(write, read)
