"""Which APIs Epic lists, which of them an app can use, and how an app comes by them."""

from ehr_adapters.sandbox import scopes

# What the CapabilityStatement says; being listed does not make an API usable.
ADVERTISED_CREATE = {
    "AllergyIntolerance", "BodyStructure", "Communication", "ConceptMap", "Condition", "DocumentReference",
    "Observation", "Patient", "Procedure", "QuestionnaireResponse", "ServiceRequest",
}  # fmt: skip
ADVERTISED_UPDATE = {
    "BodyStructure", "DiagnosticReport", "DocumentReference", "Observation", "Procedure", "ServiceRequest", "Task",
}  # fmt: skip
READABLE = frozenset({
    "Patient", "Practitioner", "Organization", "Location", "Encounter", "Condition", "AllergyIntolerance",
    "MedicationRequest", "Observation", "DiagnosticReport", "DocumentReference", "ServiceRequest", "Appointment",
    "CarePlan", "Goal", "QuestionnaireResponse", "Communication", "Task", "Provenance",
})  # fmt: skip
USUAL_CREATE = {
    "DocumentReference", "Condition", "AllergyIntolerance", "Observation", "QuestionnaireResponse",
}  # fmt: skip
POSSIBLE_UPDATE = {"DocumentReference", "Observation"}
NEEDS_PATIENT = READABLE - {
    "Patient", "Practitioner", "Organization", "Location", "Provenance", "Task",
}  # fmt: skip


def registered_apis(*, scope: str, apis: list[str]) -> list[str]:
    """The APIs of an app: those listed, else those that its scopes name; `*` means the usual ones."""
    if apis:
        return sorted(set(apis))
    found: set[str] = set()
    for each in scopes.parse(scope):
        for kind in sorted(READABLE) if each.type == "*" else [each.type]:
            usual = {"Read", "Search"} | ({"Create"} if kind in USUAL_CREATE else set())
            named = {"r": "Read", "s": "Search", "c": "Create", "u": "Update"}
            asked = {named[right] for right in each.rights if right in named}
            found |= {f"{kind}.{api}" for api in (asked & usual if each.type == "*" else asked)}
    return sorted(found)
