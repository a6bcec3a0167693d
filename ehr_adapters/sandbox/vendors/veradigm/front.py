"""The front itself: FHIR R4 without versions or conditions, and the way to Unity."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, ClassVar

from ehr_adapters.sandbox import behaviour, charts, conformance, scopes
from ehr_adapters.sandbox.exchange import Answer, Call, json_answer
from ehr_adapters.sandbox.front import Front
from ehr_adapters.sandbox.models import SandboxResource
from ehr_adapters.sandbox.outcomes import RequestRefused
from ehr_adapters.sandbox.statements import offered, statement
from ehr_adapters.sandbox.vendors.veradigm import unity

TENANT = "CP00101"
# Types that the CapabilityStatement declares for create and update.
_WRITTEN = {
    "AllergyIntolerance", "Condition", "MedicationRequest", "MedicationStatement", "MedicationAdministration",
    "MedicationDispense", "Observation", "Immunization", "DocumentReference", "ServiceRequest", "Questionnaire",
    "QuestionnaireResponse",
}  # fmt: skip
_READ = {
    "Patient", "Practitioner", "Organization", "Location", "Encounter", "CarePlan", "CareTeam", "Goal", "Procedure",
    "Provenance", "DiagnosticReport", "Binary",
}  # fmt: skip
WRITTEN = conformance.RESOURCE_TYPES & _WRITTEN
_LONGEST_BODY = 5 * 1024 * 1024
_REDACTED = {
    "system": "http://terminology.hl7.org/CodeSystem/v3-ObservationValue",
    "code": "REDACTED",
    "display": "redacted",
}


class VeradigmFront(Front):
    """/veradigm/fhirroute/fhir/CP00101, and /veradigm/Unity."""

    vendor = behaviour.VERADIGM
    types: ClassVar[frozenset[str]] = conformance.RESOURCE_TYPES & (_WRITTEN | _READ)
    versioned = False

    # --- Unity -------------------------------------------------------------------------------------

    def admit(self, call: Call) -> None:
        if unity.is_unity(call):
            unity.admit(call)
        else:
            super().admit(call)

    def carry_out(self, call: Call) -> Answer:
        if unity.is_unity(call):
            return unity.carry_out(self, call)
        return super().carry_out(call)

    def fault_target(self, call: Call) -> str:
        return unity.fault_target(call) if unity.is_unity(call) else call.target

    def in_own_words(self, call: Call, fault: str, answer: Answer) -> Answer:
        return unity.in_own_words(fault, answer) if unity.is_unity(call) else answer

    def holds_credential(self, call: Call) -> bool:
        return unity.is_unity(call) and unity.holds_credential(call)

    # --- who may -----------------------------------------------------------------------------------

    def token_url(self, base: str) -> str:
        root = base[: base.index("/veradigm/")]
        return f"{root}/veradigm/fhirroute/authorizationV2/{TENANT}/connect/token"

    def scopes_supported(self) -> list[str]:
        """Reading only, in both spellings: write scopes are granted by arrangement and not advertised."""
        reading = [
            f"system/{kind}.{right}" for kind in sorted(self.types) for right in ("read", "rs")
        ]
        return [*reading, "user/*.*"]

    def scopes_of(self, text: str) -> list[scopes.Scope]:
        return scopes.parse(text)

    def permit(self, call: Call, interaction: str, type: str) -> None:
        super().permit(call, interaction, type)
        if interaction in {"vread", "history"}:
            raise RequestRefused(404, "not-supported", "Versions are not kept.")
        if interaction in {"create", "update"} and type not in WRITTEN:
            raise RequestRefused(403, "forbidden", "This type is read only.")

    def new_id(self) -> str:
        return charts.new_id().replace("-", "")

    # --- reading -----------------------------------------------------------------------------------

    def version_headers(self, version: int, at: datetime) -> dict[str, str]:
        return {}

    def shown(self, row: SandboxResource, content: dict[str, Any]) -> dict[str, Any]:
        if row.type in behaviour.of(self.vendor, "redacted_types"):
            return {
                "resourceType": row.type,
                "id": row.fhir_id,
                "meta": {"security": [dict(_REDACTED)]},
            }
        kept = charts.with_meta(content, version=row.version, at=row.updated_at)
        del kept["meta"]["versionId"]
        return kept

    def listed(self, row: SandboxResource, content: Mapping[str, Any]) -> bool:
        if row.type == "DocumentReference" and content.get("docStatus") == "preliminary":
            return bool(behaviour.of(self.vendor, "drafts_listed"))
        return True

    # --- writing -----------------------------------------------------------------------------------

    def create(self, call: Call, type: str) -> Answer:
        """POST [type]: no condition is looked at."""
        resource = self.resource_in(call, type)
        self._within_scope(call, "c", type, resource)
        self.check_context(call, resource)
        row = self.filed(call, resource)
        return self.written(call, 201, row, self._echo(call, row, resource))

    def written(
        self,
        call: Call,
        status: int,
        row: SandboxResource,
        content: dict[str, Any],
        *,
        committed: bool = True,
    ) -> Answer:
        shape = behaviour.of(self.vendor, "create_answer") if status == 201 else "body"
        headers = {}
        if shape in {"both", "location"}:
            headers["Location"] = f"{call.base}/{row.type}/{row.fhir_id}"
        if shape in {"both", "body"}:
            answer = json_answer(status, content, headers=headers)
        else:
            answer = Answer(status, headers)
        answer.committed.append(f"{row.type}/{row.fhir_id}/_history/{row.version}")
        return answer

    def resource_in(self, call: Call, type: str) -> dict[str, Any]:
        if len(call.body) > _LONGEST_BODY:
            raise RequestRefused(413, "too-long", "The request is too large.")
        return super().resource_in(call, type)

    def _if_match(self, call: Call) -> int | None:
        return None  # no versions: the header means nothing

    def _update_of_nothing(
        self, call: Call, row: SandboxResource | None, resource: dict[str, Any], wanted: int | None
    ) -> Answer:
        raise RequestRefused(404, "not-found", "There is no such entry.")

    def _echo(self, call: Call, row: SandboxResource, sent: dict[str, Any]) -> dict[str, Any]:
        echoed = super()._echo(call, row, sent)
        if "meta" in echoed:
            echoed["meta"].pop("versionId", None)
        return echoed

    # --- what it says of itself --------------------------------------------------------------------

    def capability_statement(self, call: Call) -> dict[str, Any]:
        return statement(
            base=call.base,
            software="Veradigm FHIR (practice)",
            version="4.22.0.1",
            date="2026-08-14",
            resources=[
                offered(
                    each,
                    "read",
                    "search-type",
                    *(("create", "update") if each in WRITTEN else ()),
                    parameters=True,
                    versioning="no-version",
                )
                for each in sorted(self.types)
            ],
        )
