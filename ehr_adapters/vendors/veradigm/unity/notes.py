"""A note as SaveNote: text, document type, `Unsigned` always, no RTF."""

from collections.abc import Sequence

from ehr_adapters.canonical.base import ChartChange
from ehr_adapters.canonical.codes import LOINC
from ehr_adapters.canonical.fhir_r4 import Uncarried
from ehr_adapters.canonical.note import note_text, read_note_text
from ehr_adapters.errors import Issue
from ehr_adapters.vendors.veradigm.settings import VeradigmSettings
from ehr_adapters.vendors.veradigm.unity.forms import (
    Heard,
    Place,
    Said,
    UnityForm,
    author_of,
    left_out,
    user_of,
)
from ehr_adapters.vendors.veradigm.unity.magic import MagicCall

UNSIGNED = "Unsigned"
_LEFT_OUT = {
    "encounter": "Unity names no visit with a note: it is filed in the patient's chart.",
    "date": "Veradigm dates the note by its own clock.",
    "attachments": "The attached documents are not sent with the note's text.",
    "patient_release": "When the patient may see the note is set in the EHR.",
    "sensitivity": "Unity does not take the sensitivity label.",
}


def write(change: ChartChange, place: Place) -> Said:
    content = change.model_dump_canonical()
    user, issues = user_of(content, place)
    kind = place.settings.unity_document_types.get(content["type"]["code"], "")
    if not kind:
        sentence = "The connection names no document type in Veradigm for this kind of note."
        issues.append(Issue("unmapped", "/type", sentence))
    text = note_text(sections=content["sections"], short=place.tag.short)
    uncarried = left_out(content, _LEFT_OUT)
    uncarried += [
        Uncarried(f"/sections/{index}/code", "The section's code is not sent; its title is.")
        for index, section in enumerate(content["sections"])
        if section.get("code")
    ]
    call = MagicCall(
        action=place.settings.action("note"),
        user=user,
        patient=place.patient,
        parameters=(text, kind, UNSIGNED, "N"),
    )
    return Said((call,), tuple(uncarried), tuple(issues))


def read(calls: Sequence[MagicCall], settings: VeradigmSettings) -> Heard:
    [call] = calls
    text, kind, state, _ = call.parameters[:4]
    known = read_note_text(text)
    if known is None or state != UNSIGNED:
        raise ValueError("This is no note of the portal's.")
    sections, short = known
    code = next(code for code, name in settings.unity_document_types.items() if name == kind)
    content = {
        "type": {"system": LOINC, "code": code},
        "status": "unsigned",
        "sections": sections,
    }
    author = author_of(call.user, settings)
    if author:
        content["author"] = author
    return Heard(content, (short,))


NOTE = UnityForm(write, read)
