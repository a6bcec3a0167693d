"""Laboratory results: eighteen months for P1, P6 and P11, the few that matter for the others."""

from collections.abc import Sequence
from dataclasses import dataclass

# Test -> LOINC, display, unit shown, UCUM, normal low, normal high
TESTS: dict[str, tuple[str, str, str, str, str, str]] = {
    "potassium": ("2823-3", "Potassium [Moles/volume] in Serum or Plasma", "mmol/L", "mmol/L", "3.5", "5.0"),
    "creatinine": ("2160-0", "Creatinine [Mass/volume] in Serum or Plasma", "mg/dL", "mg/dL", "0.6", "1.2"),
    "egfr": (
        "98979-8",
        ("Glomerular filtration rate/1.73 sq M.predicted [Volume Rate/Area] in Serum, Plasma or Blood by "
        "Creatinine-based formula (CKD-EPI 2021)"),
        "mL/min/1.73 m2", "mL/min/{1.73_m2}", "60", "",
    ),
    "hba1c": ("4548-4", "Hemoglobin A1c/Hemoglobin.total in Blood", "%", "%", "", "5.7"),
    "inr": ("6301-6", "INR in Platelet poor plasma by Coagulation assay", "INR", "{INR}", "2.0", "3.0"),
    "glucose": ("2345-7", "Glucose [Mass/volume] in Serum or Plasma", "mg/dL", "mg/dL", "70", "99"),
    "digoxin": ("10535-3", "Digoxin [Mass/volume] in Serum or Plasma", "ng/mL", "ng/mL", "0.5", "0.9"),
    "hemoglobin": ("718-7", "Hemoglobin [Mass/volume] in Blood", "g/dL", "g/dL", "12.0", "16.0"),
    "tsh": ("3016-3", "Thyrotropin [Units/volume] in Serum or Plasma", "m[IU]/L", "m[IU]/L", "0.4", "4.0"),
    "urine_albumin": (
        "9318-7", "Albumin/Creatinine [Mass Ratio] in Urine", "mg/g", "mg/g{creat}", "", "30",
    ),
    "chlamydia": ("21613-5", "Chlamydia trachomatis DNA [Presence] in Specimen by NAA with probe detection", "", "", "", ""),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Result:
    """One result; `value` "" is one that is still due."""

    test: str
    value: str
    days_ago: int
    status: str = "final"
    comparator: str = ""
    note: str = ""

    @property
    def name(self) -> str:
        """Its name in the directory: the newest of a test goes by the test's name."""
        return f"{self.test}_{self.days_ago}d"


def _series(test: str, values: Sequence[tuple[int, str]]) -> tuple[Result, ...]:
    return tuple(Result(test, value, days_ago) for days_ago, value in values)


RESULTS: dict[str, tuple[Result, ...]] = {
    "P1": (
        *_series("potassium", [(540, "4.5"), (452, "4.6"), (364, "4.7"), (275, "4.6"), (187, "4.8")]),
        Result(
            "potassium", "4.9", 98, status="corrected",
            note="Corrected report: first given as 5.9 mmol/L from a hemolyzed sample; repeated the same day.",
        ),
        *_series("potassium", [(2, "5.1")]),
        *_series(
            "creatinine",
            [(540, "0.98"), (452, "1.01"), (364, "1.04"), (275, "1.05"), (187, "1.08"), (98, "1.10"), (2, "1.12")],
        ),
        *_series("egfr", [(540, "61"), (452, "58"), (364, "56"), (275, "55"), (187, "53"), (98, "52"), (2, "51")]),
        *_series("hemoglobin", [(364, "12.9"), (2, "12.6")]),
    ),
    "P5": (
        *_series("inr", [(142, "2.4"), (114, "2.2"), (86, "2.6"), (58, "2.5"), (30, "2.3"), (16, "1.9"), (2, "1.7")]),
        *_series("creatinine", [(2, "1.0")]),
        *_series("egfr", [(2, "75")]),
    ),
    "P6": (
        *_series(
            "hba1c",
            [(545, "7.1"), (454, "7.2"), (363, "7.4"), (272, "7.3"), (181, "7.5"), (90, "7.7"), (3, "7.9")],
        ),
        *_series("glucose", [(545, "132"), (363, "141"), (181, "149"), (90, "156"), (3, "163")]),
        *_series("creatinine", [(545, "0.71"), (363, "0.70"), (181, "0.72"), (3, "0.72")]),
        *_series("egfr", [(545, "108"), (363, "109"), (181, "106"), (3, "106")]),
        Result("urine_albumin", "18", 1, status="preliminary", note="Preliminary: microscopy pending."),
    ),
    "P8": (*_series("hba1c", [(190, "7.4"), (96, "7.3"), (5, "7.2")]), *_series("creatinine", [(5, "0.8")])),
    "P10": (*_series("hemoglobin", [(9, "11.4")]), *_series("creatinine", [(9, "0.6")])),
    "P11": (
        *_series(
            "creatinine",
            [
                (543, "1.90"), (510, "1.94"), (480, "1.96"), (449, "2.01"), (418, "2.04"), (388, "2.02"), (357, "2.10"),
                (327, "2.13"), (296, "2.15"), (265, "2.18"), (235, "2.22"), (204, "2.21"), (174, "2.27"), (143, "2.31"),
                (112, "2.34"), (82, "2.40"), (51, "2.46"), (33, "2.52"), (0, "2.60"),
            ],
        ),
        *_series(
            "egfr",
            [
                (543, "34"), (510, "33"), (480, "33"), (449, "32"), (418, "31"), (388, "31"), (357, "30"), (327, "30"),
                (296, "29"), (265, "29"), (235, "28"), (204, "28"), (174, "28"), (143, "27"), (112, "27"), (82, "26"),
                (51, "25"), (33, "25"), (0, "24"),
            ],
        ),
        *_series(
            "potassium",
            [(543, "4.6"), (449, "4.7"), (357, "4.9"), (265, "4.8"), (174, "5.0"), (82, "4.9"), (33, "5.2"), (0, "5.3")],
        ),
        Result("digoxin", "0.8", 265),
        Result("digoxin", "0.5", 82, comparator="<", note="Below the limit of quantification."),
        *_series("hba1c", [(357, "6.9"), (174, "6.8"), (33, "7.0")]),
        *_series("hemoglobin", [(265, "11.2"), (33, "10.8")]),
    ),
    "P12": (*_series("tsh", [(44, "9.8")]),),
    "P13": (*_series("creatinine", [(120, "0.8")]),),
    "P15": (Result("chlamydia", "", 0, status="registered"),),
    "P16": (*_series("creatinine", [(20, "1.1")]), *_series("potassium", [(20, "4.2")])),
}  # fmt: skip
