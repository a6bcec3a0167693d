"""The few codes that the clerk knows. What is not here, it does not propose."""

SNOMED = "http://snomed.info/sct"
LOINC = "http://loinc.org"
RXNORM = "http://www.nlm.nih.gov/research/umls/rxnorm"

SUBSTANCES = {
    "latex": (SNOMED, "111088007", "Latex", "environment"),
    "amoxicillin": (RXNORM, "723", "amoxicillin", "medication"),
    "peanut": (SNOMED, "762952008", "Peanut", "food"),
}
REACTIONS = {
    "anaphylaxis": ("39579001", "Anaphylaxis"),
    "wheals": ("247472004", "Wheal"),
    "hives": ("247472004", "Wheal"),
}
MEDICINES = {
    "metformin": ("6809", "metformin"),
    "lisinopril": ("29046", "lisinopril"),
}
ROUTES = {"by mouth": "26643006"}
FREQUENCIES = {
    "once a day": (1, 1, "d"),
    "twice a day": (2, 1, "d"),
    "three times a day": (3, 1, "d"),
    "once a week": (1, 1, "wk"),
}
# label of a line -> LOINC code and UCUM unit of the measurement
MEASUREMENTS = {
    "pulse": ("8867-4", "/min"),
    "breathing": ("9279-1", "/min"),
    "weight": ("29463-7", "kg"),
    "oxygen saturation": ("59408-5", "%"),
}
SYSTOLIC, DIASTOLIC, PRESSURE_UNIT = "8480-6", "8462-4", "mm[Hg]"
TESTS = {
    "potassium": ("2823-3", "Potassium", "mmol/L"),
    "inr": ("6301-6", "INR", "{INR}"),
    "hba1c": ("4548-4", "Hemoglobin A1c", "%"),
}
