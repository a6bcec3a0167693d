"""Code systems, the form of their codes, and the few displays that the portal ships itself.

The displays are those named in the clinical model, reviewed one by one; no terminology is shipped.
"""

import re

SNOMED = "http://snomed.info/sct"
LOINC = "http://loinc.org"
RXNORM = "http://www.nlm.nih.gov/research/umls/rxnorm"
ICD10CM = "http://hl7.org/fhir/sid/icd-10-cm"
CVX = "http://hl7.org/fhir/sid/cvx"
APPOINTMENT_REASON = "http://terminology.hl7.org/CodeSystem/v2-0276"

SYSTEM_NAMES = {
    SNOMED: "SNOMED CT",
    LOINC: "LOINC",
    RXNORM: "RxNorm",
    ICD10CM: "ICD-10-CM",
    CVX: "CVX",
    APPOINTMENT_REASON: "HL7 appointment reason",
}

DISPLAYS: dict[tuple[str, str], str] = {
    (LOINC, "11506-3"): "Progress note",
    (LOINC, "34117-2"): "History and physical note",
    (LOINC, "11488-4"): "Consult note",
    (LOINC, "18842-5"): "Discharge summary",
    (LOINC, "85354-9"): "Blood pressure panel with all children optional",
    (LOINC, "8480-6"): "Systolic blood pressure",
    (LOINC, "8462-4"): "Diastolic blood pressure",
    (LOINC, "8867-4"): "Heart rate",
    (LOINC, "9279-1"): "Respiratory rate",
    (LOINC, "8310-5"): "Body temperature",
    (LOINC, "8302-2"): "Body height",
    (LOINC, "29463-7"): "Body weight",
    (LOINC, "39156-5"): "Body mass index (BMI) [Ratio]",
    (LOINC, "59408-5"): "Oxygen saturation in Arterial blood by Pulse oximetry",
    (LOINC, "9843-4"): "Head Occipital-frontal circumference",
    (LOINC, "2823-3"): "Potassium [Moles/volume] in Serum or Plasma",
    (LOINC, "2160-0"): "Creatinine [Mass/volume] in Serum or Plasma",
    (LOINC, "4548-4"): "Hemoglobin A1c/Hemoglobin.total in Blood",
    (LOINC, "6301-6"): "INR in Platelet poor plasma by Coagulation assay",
    (APPOINTMENT_REASON, "CHECKUP"): "Check-up",
    (APPOINTMENT_REASON, "EMERGENCY"): "Emergency",
    (APPOINTMENT_REASON, "FOLLOWUP"): "Follow-up",
    (APPOINTMENT_REASON, "ROUTINE"): "Routine",
    (APPOINTMENT_REASON, "WALKIN"): "Walk-in",
    (SNOMED, "7771000"): "Left",
    (SNOMED, "24028007"): "Right",
    (SNOMED, "51440002"): "Right and left",
    (SNOMED, "255604002"): "Mild",
    (SNOMED, "6736007"): "Moderate",
    (SNOMED, "24484000"): "Severe",
    (SNOMED, "716186003"): "No known allergy",
    (SNOMED, "26643006"): "Oral route",
    (SNOMED, "247472004"): "Wheal",
    (SNOMED, "39579001"): "Anaphylaxis",
}

_FORMS = {
    APPOINTMENT_REASON: re.compile("CHECKUP|EMERGENCY|FOLLOWUP|ROUTINE|WALKIN"),
    SNOMED: re.compile(r"[1-9][0-9]{5,17}"),
    LOINC: re.compile(r"[0-9]{1,7}-[0-9]"),
    RXNORM: re.compile(r"[1-9][0-9]{0,7}"),
    ICD10CM: re.compile(r"[A-Z][0-9][0-9AB](?:\.[0-9A-Z]{1,4})?"),
    CVX: re.compile(r"[0-9]{1,3}"),
}

# Verhoeff's tables, by which SNOMED CT identifiers carry their check digit.
_VERHOEFF_D = (
    (0, 1, 2, 3, 4, 5, 6, 7, 8, 9),
    (1, 2, 3, 4, 0, 6, 7, 8, 9, 5),
    (2, 3, 4, 0, 1, 7, 8, 9, 5, 6),
    (3, 4, 0, 1, 2, 8, 9, 5, 6, 7),
    (4, 0, 1, 2, 3, 9, 5, 6, 7, 8),
    (5, 9, 8, 7, 6, 0, 4, 3, 2, 1),
    (6, 5, 9, 8, 7, 1, 0, 4, 3, 2),
    (7, 6, 5, 9, 8, 2, 1, 0, 4, 3),
    (8, 7, 6, 5, 9, 3, 2, 1, 0, 4),
    (9, 8, 7, 6, 5, 4, 3, 2, 1, 0),
)
_VERHOEFF_P = (
    (0, 1, 2, 3, 4, 5, 6, 7, 8, 9),
    (1, 5, 7, 6, 2, 8, 3, 0, 9, 4),
    (5, 8, 0, 3, 7, 9, 6, 1, 4, 2),
    (8, 9, 1, 6, 0, 4, 3, 5, 2, 7),
    (9, 4, 5, 3, 1, 2, 6, 8, 7, 0),
    (4, 2, 8, 6, 5, 7, 3, 9, 0, 1),
    (2, 7, 9, 3, 8, 0, 6, 4, 1, 5),
    (7, 0, 4, 6, 9, 1, 3, 2, 5, 8),
)


def is_well_formed(*, system: str, code: str) -> bool:
    """The code has the form of its system, check digit included; it says nothing about its existence.

    A code of a system that is not listed here is taken as it is.
    """
    form = _FORMS.get(system)
    if form is None:
        return True
    if not form.fullmatch(code):
        return False
    if system == SNOMED:
        return _verhoeff_holds(code)
    if system == LOINC:
        return _mod10_holds(code.replace("-", ""))
    return True


def display_of(*, system: str, code: str) -> str:
    """The portal's own display of a code, or "" when it ships none."""
    return DISPLAYS.get((system, code), "")


def _verhoeff_holds(digits: str) -> bool:
    check = 0
    for position, digit in enumerate(reversed(digits)):
        check = _VERHOEFF_D[check][_VERHOEFF_P[position % 8][int(digit)]]
    return check == 0


def _mod10_holds(digits: str) -> bool:
    total = 0
    for position, digit in enumerate(reversed(digits)):
        value = int(digit) * (2 if position % 2 else 1)
        total += value - 9 if value > 9 else value
    return total % 10 == 0
