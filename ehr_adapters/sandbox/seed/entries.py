"""What stands in the charts besides notes: problems, allergies, medications, vitals, single results."""

from dataclasses import dataclass

Code = tuple[str, str]  # code, display


@dataclass(frozen=True, slots=True)
class Problem:
    """One entry of the problem list."""

    name: str
    icd10: Code | None
    snomed: Code | None
    text: str
    since: str  # a partial date, or "-n" days before the start
    status: str = "active"
    until: str = ""
    side: Code | None = None
    note: str = ""


@dataclass(frozen=True, slots=True)
class Allergy:
    """One allergy; `substance` names its system first."""

    name: str
    system: str  # rxnorm, snomed
    substance: Code
    category: str
    criticality: str = ""
    reaction: Code | None = None
    severity: str = ""
    since: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True)
class Medication:
    """One medication. `entry`: a prescription has an order behind it, a list entry is what is taken."""

    name: str
    entry: str  # prescription, list
    drug: Code  # RxNorm
    text: str
    dose: tuple[str, str, str]  # value, unit shown, UCUM
    times: int
    per: str  # h, d, wk
    sig: str
    since: str
    status: str = "active"
    route: Code = ("26643006", "Oral route")
    when: str = ""  # event timing code: HS
    as_needed: str = ""
    until: str = ""
    reason: str = ""
    outside: str = ""  # whose list it stands on


@dataclass(frozen=True, slots=True)
class Reading:
    """One vital sign or other measured value outside the laboratory."""

    name: str
    code: Code
    value: tuple[str, str, str] | Code
    days_ago: int
    time: str = ""  # "" with days_ago 0: during the visit


BP = ("85354-9", "Blood pressure panel with all children optional")
SYSTOLIC = ("8480-6", "Systolic blood pressure")
DIASTOLIC = ("8462-4", "Diastolic blood pressure")
WEIGHT = ("29463-7", "Body weight")
PULSE = ("8867-4", "Heart rate")
TEMPERATURE = ("8310-5", "Body temperature")
HEIGHT = ("8302-2", "Body height")
SATURATION = ("59408-5", "Oxygen saturation in Arterial blood by Pulse oximetry")
PREGNANCY = ("82810-3", "Pregnancy status")
GESTATION = ("18185-9", "Gestational age")

RASH = ("271807003", "Eruption of skin (disorder)")
WHEAL = ("247472004", "Wheal (finding)")
ANAPHYLAXIS = ("39579001", "Anaphylaxis (disorder)")
NO_KNOWN_ALLERGY = ("716186003", "No known allergy (situation)")
RIGHT = ("24028007", "Right (qualifier value)")


def _kg(name: str, value: str, days_ago: int, time: str = "") -> Reading:
    return Reading(name, WEIGHT, (value, "kg", "kg"), days_ago, time)


def _none_known() -> Allergy:
    return Allergy("none_known", "snomed", NO_KNOWN_ALLERGY, "medication", since="-400")


def _bp(name: str, values: str, days_ago: int, time: str = "") -> Reading:
    return Reading(name, BP, (values, "mmHg", "mm[Hg]"), days_ago, time)


PROBLEMS: dict[str, tuple[Problem, ...]] = {
    "P1": (
        Problem(
            "hypertensive_ckd",
            (
                "I12.9",
                ("Hypertensive chronic kidney disease with stage 1 through stage 4 chronic kidney disease, "
                "or unspecified chronic kidney disease"),
            ),
            None, "Hypertensive chronic kidney disease", "2019-05",
        ),
        Problem(
            "ckd", ("N18.30", "Chronic kidney disease, stage 3 unspecified"),
            ("433144002", "Chronic kidney disease stage 3 (disorder)"), "Chronic kidney disease stage 3", "2024-02-11",
        ),
    ),
    "P2": (
        Problem(
            "asthma", ("J45.909", "Unspecified asthma, uncomplicated"), ("195967001", "Asthma (disorder)"),
            "Asthma", "1998",
        ),
    ),
    "P3": (
        Problem(
            "otitis_media", ("H66.90", "Otitis media, unspecified, unspecified ear"),
            ("3110003", "Acute otitis media (disorder)"), "Acute otitis media", "-370", status="resolved", until="-358",
        ),
    ),
    "P4": (
        Problem(
            "eczema", ("L20.9", "Atopic dermatitis, unspecified"), ("24079001", "Atopic dermatitis (disorder)"),
            "Eczema", "-900",
        ),
    ),
    "P5": (
        Problem(
            "atrial_fibrillation", ("I48.91", "Unspecified atrial fibrillation"),
            ("49436004", "Atrial fibrillation (disorder)"), "Atrial fibrillation", "2025-05-06",
        ),
    ),
    "P6": (
        Problem(
            "diabetes", ("E11.9", "Type 2 diabetes mellitus without complications"),
            ("44054006", "Type 2 diabetes mellitus (disorder)"), "Type 2 diabetes", "2021-03",
        ),
    ),
    "P7": (
        Problem(
            "back_pain", ("M54.50", "Low back pain, unspecified"), ("279039007", "Low back pain (finding)"),
            "Chronic low back pain", "2016",
        ),
    ),
    "P8": (
        Problem(
            "diabetes", ("E10.9", "Type 1 diabetes mellitus without complications"),
            ("46635009", "Type 1 diabetes mellitus (disorder)"), "Type 1 diabetes", "1989-11",
        ),
    ),
    "P9": (
        Problem(
            "knee_osteoarthritis", ("M17.11", "Unilateral primary osteoarthritis, right knee"),
            ("239873007", "Osteoarthritis of knee (disorder)"), "Osteoarthritis of the right knee", "2022-10",
            side=RIGHT,
        ),
    ),
    "P10": (
        Problem(
            "arthritis", ("M06.9", "Rheumatoid arthritis, unspecified"),
            ("69896004", "Rheumatoid arthritis (disorder)"), "Rheumatoid arthritis", "2018-04",
        ),
        Problem(
            "pregnancy", ("Z34.92", "Encounter for supervision of normal pregnancy, unspecified, second trimester"),
            ("77386006", "Pregnancy (finding)"), "Pregnancy, second trimester", "-154",
        ),
    ),
    "P11": (
        Problem(
            "ckd", ("N18.4", "Chronic kidney disease, stage 4 (severe)"),
            ("431857002", "Chronic kidney disease stage 4 (disorder)"), "Chronic kidney disease stage 4", "2023-09",
        ),
        Problem(
            "heart_failure", ("I50.9", "Heart failure, unspecified"), ("84114007", "Heart failure (disorder)"),
            "Heart failure", "2020-01",
        ),
        Problem(
            "atrial_fibrillation", ("I48.91", "Unspecified atrial fibrillation"),
            ("49436004", "Atrial fibrillation (disorder)"), "Atrial fibrillation", "2017-06",
        ),
        Problem(
            "diabetes", ("E11.9", "Type 2 diabetes mellitus without complications"),
            ("44054006", "Type 2 diabetes mellitus (disorder)"), "Type 2 diabetes", "2009",
        ),
    ),
    "P12": (
        Problem(
            "hypothyroidism", ("E03.9", "Hypothyroidism, unspecified"), ("40930008", "Hypothyroidism (disorder)"),
            "Hypothyroidism", "-42",
        ),
    ),
    "P13": (
        Problem(
            "migraine", ("G43.909", "Migraine, unspecified, not intractable, without status migrainosus"),
            ("37796009", "Migraine (disorder)"), "Migraine", "2004",
        ),
    ),
    "P14": (
        Problem(
            "migraine", ("G43.909", "Migraine, unspecified, not intractable, without status migrainosus"),
            ("37796009", "Migraine (disorder)"), "Migraine", "-25",
        ),
    ),
    "P15": (
        Problem(
            "asthma", ("J45.20", "Mild intermittent asthma, uncomplicated"), ("195967001", "Asthma (disorder)"),
            "Mild asthma", "2017",
        ),
    ),
    "P16": (
        Problem(
            "hypertension", ("I10", "Essential (primary) hypertension"),
            ("59621000", "Essential hypertension (disorder)"), "High blood pressure", "1999",
        ),
    ),
}  # fmt: skip

ALLERGIES: dict[str, tuple[Allergy, ...]] = {
    "P1": (
        Allergy("penicillin", "rxnorm", ("70618", "penicillin"), "medication", "low", RASH, "mild", "1985"),
    ),
    "P2": (
        Allergy("latex", "snomed", ("111088007", "Latex (substance)"), "environment", "high", ANAPHYLAXIS, "severe", "2011-07"),
    ),
    "P3": (
        Allergy("amoxicillin", "rxnorm", ("723", "amoxicillin"), "medication", "high", ANAPHYLAXIS, "severe", "-366"),
    ),
    "P4": (_none_known(),),
    "P5": (_none_known(),),
    "P6": (_none_known(),),
    "P7": (
        Allergy("codeine", "rxnorm", ("2670", "codeine"), "medication", "low", ("422587007", "Nausea (finding)"), "mild", "2009"),
    ),
    "P8": (_none_known(),),
    "P9": (_none_known(),),
    "P10": (_none_known(),),
    "P11": (
        Allergy("sulfamethoxazole", "rxnorm", ("10180", "sulfamethoxazole"), "medication", "low", RASH, "moderate", "1990"),
    ),
    "P13": (
        Allergy("sumatriptan", "rxnorm", ("37418", "sumatriptan"), "medication", "unable-to-assess", ("29857009", "Chest pain (finding)"), "moderate", "2012"),
    ),
    "P15": (_none_known(),),
    "P16": (_none_known(),),
}  # fmt: skip

# What somebody's interface put into Epic's holding tank before the demo began.
STAGED_ALLERGY = Allergy(
    "sulfamethoxazole", "rxnorm", ("10180", "sulfamethoxazole"), "medication", "low", WHEAL, "moderate", "",
    "Reported on the intake tablet.",
)  # fmt: skip

STAGED_MEDICATION = Medication(
    "trazodone", "list", ("10737", "trazodone"), "trazodone 50 mg tablet", ("50", "mg", "mg"), 1, "d",
    "Take 1 tablet (50 mg) by mouth at bedtime.", "-9", when="HS", outside="pharmacy feed",
)  # fmt: skip

MEDICATIONS: dict[str, tuple[Medication, ...]] = {
    "P1": (
        Medication(
            "lisinopril", "prescription", ("29046", "lisinopril"), "lisinopril 10 mg tablet", ("10", "mg", "mg"),
            1, "d", "Take 1 tablet (10 mg) by mouth once daily.", "2024-02-11",
        ),
    ),
    "P2": (
        Medication(
            "albuterol", "prescription", ("435", "albuterol"), "albuterol inhaler 90 mcg per puff", ("180", "mcg", "ug"),
            4, "d", "2 puffs by inhalation every 6 hours as needed for wheeze.", "2023-06-01",
            route=("447694001", "Respiratory tract route"), as_needed="Wheezing",
        ),
    ),
    "P4": (
        Medication(
            "amoxicillin", "prescription", ("723", "amoxicillin"), "amoxicillin suspension 400 mg per 5 mL",
            ("640", "mg", "mg"), 2, "d", "Give 8 mL (640 mg) by mouth twice daily for 7 days.", "-260",
            status="completed", until="-253",
        ),
    ),
    "P5": (
        Medication(
            "warfarin", "prescription", ("11289", "warfarin"), "warfarin 5 mg tablet", ("5", "mg", "mg"),
            1, "d", "Take 1 tablet (5 mg) by mouth once daily in the evening.", "2025-05-06",
        ),
    ),
    "P6": (
        Medication(
            "metformin", "list", ("6809", "metformin"), "metformin 500 mg tablet", ("500", "mg", "mg"),
            2, "d", "Take 1 tablet (500 mg) by mouth twice daily with meals.", "-260",
        ),
    ),
    "P7": (
        Medication(
            "hydromorphone", "prescription", ("3423", "hydromorphone"), "hydromorphone 2 mg tablet", ("2", "mg", "mg"),
            3, "d", "Take 1 tablet (2 mg) by mouth three times daily as needed for pain.", "-95",
            as_needed="Pain",
        ),
        Medication(
            "morphine", "list", ("7052", "morphine"), "morphine 15 mg extended-release tablet", ("15", "mg", "mg"),
            2, "d", "Take 1 tablet (15 mg) by mouth every 12 hours.", "-60", outside="Riverside Hospital discharge list",
        ),
    ),
    "P8": (
        Medication(
            "insulin_glargine", "prescription", ("274783", "insulin glargine"), "insulin glargine 100 units/mL pen",
            ("18", "units", "[iU]"), 1, "d", "Inject 18 units under the skin at night.", "2022-01-20",
            route=("34206005", "Subcutaneous route"), when="HS",
        ),
    ),
    "P9": (
        Medication(
            "naproxen", "list", ("7258", "naproxen"), "naproxen 500 mg tablet", ("500", "mg", "mg"),
            2, "d", "Take 1 tablet (500 mg) by mouth twice daily with food as needed.", "-200", as_needed="Knee pain",
        ),
    ),
    "P10": (
        Medication(
            "methotrexate", "prescription", ("6851", "methotrexate"), "methotrexate 2.5 mg tablet", ("15", "mg", "mg"),
            1, "wk", "Take 6 tablets (15 mg) by mouth ONCE A WEEK, on Sundays.", "2019-02-04", status="stopped",
            until="-240", reason="Planning pregnancy",
        ),
        Medication(
            "folic_acid", "list", ("4511", "folic acid"), "folic acid 5 mg tablet", ("5", "mg", "mg"),
            1, "d", "Take 1 tablet (5 mg) by mouth once daily.", "-235",
        ),
    ),
    "P11": (
        Medication(
            "metformin", "prescription", ("6809", "metformin"), "metformin 500 mg tablet", ("500", "mg", "mg"),
            2, "d", "Take 1 tablet (500 mg) by mouth twice daily with meals.", "2014-03-01",
        ),
        Medication(
            "gabapentin", "prescription", ("25480", "gabapentin"), "gabapentin 300 mg capsule", ("300", "mg", "mg"),
            3, "d", "Take 1 capsule (300 mg) by mouth three times daily.", "2021-08-17",
        ),
        Medication(
            "apixaban", "prescription", ("1364430", "apixaban"), "apixaban 5 mg tablet", ("5", "mg", "mg"),
            2, "d", "Take 1 tablet (5 mg) by mouth twice daily.", "2017-06-30",
        ),
        Medication(
            "digoxin", "prescription", ("3407", "digoxin"), "digoxin 125 mcg tablet", ("125", "mcg", "ug"),
            1, "d", "Take 1 tablet (125 mcg) by mouth once daily.", "2018-11-02",
        ),
        Medication(
            "furosemide", "prescription", ("4603", "furosemide"), "furosemide 40 mg tablet", ("40", "mg", "mg"),
            1, "d", "Take 1 tablet (40 mg) by mouth every morning.", "2020-01-15",
        ),
        Medication(
            "lasix", "list", ("202991", "Lasix"), "Lasix 40 mg tablet", ("40", "mg", "mg"),
            1, "d", "Take 1 tablet (40 mg) by mouth every morning.", "-33", outside="Discharge list, St. Osric Hospital",
        ),
    ),
    "P12": (
        Medication(
            "levothyroxine", "prescription", ("10582", "levothyroxine"), "levothyroxine 75 µg tablet",
            ("75", "µg", "ug"), 1, "d", "Take 1 tablet (75 µg) by mouth every morning, ½ hour before food.", "-41",
        ),
    ),
    "P13": (
        Medication(
            "topiramate", "prescription", ("38404", "topiramate"), "topiramate 50 mg tablet", ("50", "mg", "mg"),
            2, "d", "Take 1 tablet (50 mg) by mouth twice daily.", "2024-09-30",
        ),
    ),
    "P15": (
        Medication(
            "albuterol", "list", ("435", "albuterol"), "albuterol inhaler 90 mcg per puff", ("180", "mcg", "ug"),
            1, "d", "2 puffs by inhalation before sport as needed.", "2019",
            route=("447694001", "Respiratory tract route"), as_needed="Wheezing on exertion",
        ),
    ),
    "P16": (
        Medication(
            "amlodipine", "prescription", ("17767", "amlodipine"), "amlodipine 5 mg tablet", ("5", "mg", "mg"),
            1, "d", "Take 1 tablet (5 mg) by mouth once daily.", "2012-05-22",
        ),
    ),
}  # fmt: skip

READINGS: dict[str, tuple[Reading, ...]] = {
    "P1": (
        _bp("blood_pressure", "154/92", 0),
        _bp("blood_pressure_august", "148/90", 98, "09:05"),
        _kg("weight", "78.4", 0),
        _kg("weight_august", "78.9", 98, "09:05"),
        Reading("pulse", PULSE, ("74", "/min", "/min"), 0),
    ),
    "P2": (_bp("blood_pressure", "126/78", 0), _kg("weight", "66.1", 0),
           Reading("saturation", SATURATION, ("97", "%", "%"), 0)),
    "P3": (
        _kg("weight", "18.2", 0),
        _kg("weight_last_year", "16.9", 366, "10:15"),
        Reading("temperature", TEMPERATURE, ("38.4", "Cel", "Cel"), 0),
    ),
    "P4": (
        _kg("weight", "22.4", 0),
        _kg("weight_last_time", "21.1", 260, "10:40"),
        Reading("temperature", TEMPERATURE, ("37.9", "Cel", "Cel"), 0),
    ),
    "P5": (_bp("blood_pressure", "132/80", 30, "11:00"), _kg("weight", "84.0", 30, "11:00")),
    "P6": (_bp("blood_pressure", "138/84", 1, "14:10"), _kg("weight", "81.7", 1, "14:10")),
    "P7": (_bp("blood_pressure", "136/82", 0), _kg("weight", "90.3", 0)),
    "P8": (_bp("blood_pressure", "118/72", 0), _kg("weight", "63.5", 0)),
    "P9": (_bp("blood_pressure", "134/78", 4, "15:30"), _kg("weight", "95.2", 4, "15:30")),
    "P10": (
        Reading("pregnancy_status", PREGNANCY, ("77386006", "Pregnancy (finding)"), 9, "13:00"),
        Reading("gestational_age", GESTATION, ("22", "wk", "wk"), 0),
        _kg("weight", "71.8", 9, "13:00"),
    ),
    "P11": (
        _bp("blood_pressure", "142/70", 0),
        _kg("weight", "71.2", 0),
        _kg("weight_last_month", "68.0", 33, "08:50"),
        Reading("pulse", PULSE, ("58", "/min", "/min"), 0),
    ),
    "P12": (_bp("blood_pressure", "112/70", 42, "16:20"), _kg("weight", "58.0", 42, "16:20")),
    "P13": (_bp("blood_pressure", "124/76", 0), _kg("weight", "69.9", 0)),
    "P14": (_bp("blood_pressure", "125/77", 0),),
    "P15": (_kg("weight", "57.3", 0), Reading("height", HEIGHT, ("169", "cm", "cm"), 0)),
    "P16": (_bp("blood_pressure", "150/84", 20, "10:05"), _kg("weight", "73.0", 20, "10:05")),
}  # fmt: skip
