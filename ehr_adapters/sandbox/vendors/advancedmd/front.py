"""The front itself: a FHIR side that reads, and the older interface beside it."""

from collections.abc import Mapping
from typing import Any, ClassVar

from ehr_adapters.sandbox import behaviour, charts, oauth, scopes
from ehr_adapters.sandbox.exchange import Answer, Call
from ehr_adapters.sandbox.front import Front
from ehr_adapters.sandbox.models import SandboxClient, SandboxResource
from ehr_adapters.sandbox.outcomes import RequestRefused
from ehr_adapters.sandbox.statements import offered, statement
from ehr_adapters.sandbox.vendors.advancedmd import connect

# What a US Core server of this vendor shows.
READABLE = frozenset({
    "Patient", "Practitioner", "Organization", "Location", "Encounter", "Condition", "AllergyIntolerance",
    "MedicationRequest", "Observation", "DiagnosticReport", "DocumentReference", "ServiceRequest", "Appointment",
    "CarePlan", "Goal", "Provenance", "QuestionnaireResponse",
})  # fmt: skip


class AdvancedMdFront(Front):
    """/advancedmd/v1/r4/175, and the messages below /advancedmd."""

    vendor = behaviour.ADVANCEDMD
    types: ClassVar[frozenset[str]] = READABLE

    # --- two interfaces at one address ----------------------------------------------------------------

    def answer(self, call: Call) -> Answer:
        return connect.answer(call) if connect.is_here(call.path) else super().answer(call)

    def carry_out(self, call: Call) -> Answer:
        return connect.carry_out(call) if connect.is_here(call.path) else super().carry_out(call)

    def admit(self, call: Call) -> None:
        if connect.is_here(call.path):
            connect.admit(call)
        else:
            super().admit(call)

    def fault_target(self, call: Call) -> str:
        if not connect.is_here(call.path):
            return call.target
        return f"{call.target} {connect.asked_for(call)}".strip()

    def in_own_words(self, call: Call, fault: str, answer: Answer) -> Answer:
        return connect.in_own_words(call, fault, answer) if connect.is_here(call.path) else answer

    def holds_credential(self, call: Call) -> bool:
        return connect.is_here(call.path) and connect.is_login(call)

    # --- the FHIR side ----------------------------------------------------------------------------------

    def token_url(self, base: str) -> str:
        return base[: base.index("/r4/")] + "/oauth2/token"

    def token_client(self, call: Call, form: Mapping[str, str]) -> SandboxClient:
        """Beside the assertion a user of the practice has to be named."""
        client = super().token_client(call, form)
        wanted = {"username": "user", "password": "password", "officekey": "office_code"}
        if any(form.get(name) != behaviour.of(self.vendor, key) for name, key in wanted.items()):
            raise oauth.TokenRefused("invalid_grant", "username, password or officekey is wrong")
        return client

    def grant(self, *, asked: str, client: Any) -> str:
        given = scopes.parse(super().grant(asked=asked, client=client))
        reading = [each for each in given if each.rights & {"r", "s"}]
        if not reading:
            raise oauth.TokenRefused("invalid_scope", "there are only scopes for reading")
        return " ".join(f"system/{each.type}.read" for each in reading)

    def route(self, call: Call) -> tuple[str, list[str]]:
        interaction, parts = super().route(call)
        if interaction not in {"read", "search"}:
            raise RequestRefused(405, "not-supported", "The FHIR interface only reads.")
        return interaction, parts

    def listed(self, row: SandboxResource, content: Mapping[str, Any]) -> bool:
        if row.type == "DocumentReference" and content.get("docStatus") == "preliminary":
            return bool(behaviour.of(self.vendor, "notes_listed"))
        return True

    def read(self, call: Call, type: str, fhir_id: str) -> Answer:
        row = self._known(type, fhir_id)
        if not self.listed(row, charts.content_of(row)):
            raise RequestRefused(404, "not-found", "There is no such entry.")
        return super().read(call, type, fhir_id)

    def capability_statement(self, call: Call) -> dict[str, Any]:
        return statement(
            base=call.base,
            software="AdvancedMD (practice)",
            version="1",
            resources=[
                offered(each, "read", "search-type", parameters=True) for each in sorted(self.types)
            ],
        )
