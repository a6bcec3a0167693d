"""The front itself: who may, what is shown, where a filing goes."""

import secrets
from collections.abc import Mapping
from typing import Any, ClassVar

from ehr_adapters.sandbox import (
    behaviour,
    charts,
    conformance,
    exact_json,
    oauth,
    scopes,
    searching,
)
from ehr_adapters.sandbox.exchange import Answer, Call, json_answer
from ehr_adapters.sandbox.front import Front
from ehr_adapters.sandbox.models import SandboxName, SandboxResource
from ehr_adapters.sandbox.outcomes import RequestRefused, issue, operation_outcome
from ehr_adapters.sandbox.statements import NO_VERSIONS, offered, statement
from ehr_adapters.sandbox.vendors.epic import contents, vitals
from ehr_adapters.sandbox.vendors.epic.apis import (
    ADVERTISED_CREATE,
    ADVERTISED_UPDATE,
    NEEDS_PATIENT,
    POSSIBLE_UPDATE,
    READABLE,
)
from ehr_adapters.sandbox.vendors.epic.refusals import merged, not_on_the_app, refused

_API = {"read": "Read", "search": "Search", "create": "Create", "update": "Update"}
_ANYTHING = [scopes.Scope("*", frozenset("cruds"))]


_CLINICAL_NOTE = {
    "coding": [
        {
            "system": "http://hl7.org/fhir/us/core/CodeSystem/us-core-documentreference-category",
            "code": "clinical-note",
        }
    ]
}


class EpicFront(Front):
    """/epic/api/FHIR/R4."""

    vendor = behaviour.EPIC
    types: ClassVar[frozenset[str]] = READABLE
    versioned = False
    longest_jti = 151

    # --- who may ------------------------------------------------------------------------------------

    def scopes_of(self, text: str) -> list[scopes.Scope]:
        return list(_ANYTHING)  # the scope is an echo; the APIs on the app decide

    def route(self, call: Call) -> tuple[str, list[str]]:
        parts = call.path.split("/") if call.path else []
        if parts and parts[0] not in self.types:
            raise not_on_the_app()
        interaction, parts = super().route(call)
        if interaction in {"vread", "history"}:
            raise refused("4100", "History is not available.", status=404, code="not-supported")
        return interaction, parts

    def permit(self, call: Call, interaction: str, type: str) -> None:
        api = f"{type}.{_API[interaction]}"
        if call.client is None or api not in call.client.apis:
            raise not_on_the_app()
        if f"{type}.{interaction}" in self._withdrawn():
            raise not_on_the_app()
        if api in call.client.missing_security_points:
            raise RequestRefused(
                403, "forbidden", "The background user lacks a security point.", empty=True,
                headers={"WWW-Authenticate": 'Bearer error="insufficient_scope"'},
            )  # fmt: skip

    def not_authenticated(self) -> RequestRefused:
        return RequestRefused(
            401,
            "login",
            "No valid token.",
            empty=True,
            headers={"WWW-Authenticate": 'Bearer error="invalid_token"'},
        )

    def grant(self, *, asked: str, client: Any) -> str:
        if not client.background_user:
            raise oauth.TokenRefused(
                "unauthorized_client", "no background user is mapped for this client"
            )
        rights = {"Read": "read", "Search": "read", "Create": "write", "Update": "write"}
        pairs = (api.partition(".") for api in client.apis)
        return " ".join(
            sorted({f"system/{kind}.{rights[verb]}" for kind, _, verb in pairs if verb in rights})
        )

    def token_error_status(self, error: str) -> int:
        return 400

    def scopes_supported(self) -> list[str]:
        return ["openid", "fhirUser", "launch", "launch/patient", "profile"]

    def new_id(self) -> str:
        return f"e{secrets.token_urlsafe(16).replace('_', '-')}3"

    # --- reading ------------------------------------------------------------------------------------

    def version_headers(self, version: int, at: Any) -> dict[str, str]:
        return {}

    def shown(self, row: SandboxResource, content: dict[str, Any]) -> dict[str, Any]:
        kept = {key: value for key, value in content.items() if key != "meta"}
        if row.type == "AllergyIntolerance" and row.author.startswith("client:"):
            kept = {
                key: value for key, value in kept.items() if key not in {"category", "recordedDate"}
            }
        return kept

    def read(self, call: Call, type: str, fhir_id: str) -> Answer:
        row = charts.find(vendor=self.vendor, type=type, fhir_id=fhir_id)
        if row is None:
            raise refused("4102", "The resource id is not known.", status=404, code="not-found")
        if row.removed:
            raise refused("4103", "The resource has been deleted.", status=410, code="deleted")
        if type == "Patient":
            self._not_merged(call, fhir_id)
        return json_answer(200, self.shown(row, charts.content_of(row)))

    def search(self, call: Call, type: str) -> Answer:
        given = {name.partition(":")[0]: value for name, value in call.params()}
        patient = given.get("patient") or given.get("subject")
        if patient:
            self._not_merged(call, charts.split_reference(patient)[1])
        elif type in NEEDS_PATIENT and "_id" not in given:
            raise refused("59108", "A patient or an _id is required to search.", expression=type)
        try:
            found = searching.search(
                vendor=self.vendor, type=type, query=call.params(), at=call.at, last_request=call.last_request,
                strict=False, shown=self.listed,
            )  # fmt: skip
        except searching.SearchNotUnderstood as error:
            raise refused("59111", f"Invalid search: {error}.") from None
        bundle = self.bundle(call, type, call.params(), found)
        told = []
        if not found.total:
            told.append(
                issue(
                    "warning", "processing", "Resource request returns no results.", number="4101"
                )
            )
        if found.ignored:
            text = f"Ignored: {', '.join(sorted(set(found.ignored)))}."
            told.append(issue("information", "informational", text, number="59100"))
        if told:
            entry = {"resource": operation_outcome(told), "search": {"mode": "outcome"}}
            bundle["entry"] = [*bundle.get("entry", []), entry]
        return json_answer(200, bundle)

    def listed(self, row: SandboxResource, content: Mapping[str, Any]) -> bool:
        if row.type == "DocumentReference" and content.get("docStatus") == "preliminary":
            return bool(behaviour.of(self.vendor, "drafts_listed"))
        return True

    # --- writing ------------------------------------------------------------------------------------

    def create(self, call: Call, type: str) -> Answer:
        makers = {
            "DocumentReference": self._file_note,
            "Condition": self._stage_problem,
            "AllergyIntolerance": self._stage_allergy,
            "Observation": self._file_vitals,
            "QuestionnaireResponse": self._file_answers,
        }
        if type not in makers:  # listed, but a workflow that this customer does not run
            raise not_on_the_app()
        resource = self.resource_in(call, type)
        patient = resource.get("subject") or resource.get("patient")
        if not patient:
            raise refused("59108", "A patient is required.", expression=f"{type}.subject")
        self._not_merged(call, charts.patient_of(resource))
        row = charts.find(vendor=self.vendor, type="Patient", fhir_id=charts.patient_of(resource))
        if row is None or row.removed:
            raise refused("59144", "The patient was not found.", expression=f"{type}.subject")
        return makers[type](call, resource)

    def update(self, call: Call, type: str, fhir_id: str) -> Answer:
        if type not in POSSIBLE_UPDATE:
            raise not_on_the_app()
        resource = self.resource_in(call, type)
        row = charts.find(vendor=self.vendor, type=type, fhir_id=fhir_id)
        if row is None or row.removed:
            raise refused("4102", "The resource id is not known.", status=404, code="not-found")
        if resource.get("id") != fhir_id:
            raise refused("59111", "The id in the body is not the id in the address.")
        self._not_merged(call, charts.patient_of(resource))
        content = call.spoiler.alter(resource) if call.spoiler else resource
        charts.revise(row=row, resource=self._kept(content), author=call.author, at=call.at)
        return self.written(call, 200, row, self._echo(call, row, resource))

    def written(
        self,
        call: Call,
        status: int,
        row: SandboxResource,
        content: dict[str, Any],
        *,
        committed: bool = True,
    ) -> Answer:
        answer = self._empty_answer(call, status, f"{row.type}/{row.fhir_id}", content)
        answer.committed.append(f"{row.type}/{row.fhir_id}/_history/{row.version}")
        return answer

    def resource_in(self, call: Call, type: str) -> dict[str, Any]:
        try:
            resource = exact_json.loads(call.body)
        except exact_json.NotJson as error:
            raise refused("59105", f"Syntax error: {error}.") from None
        if not isinstance(resource, dict) or resource.get("resourceType") != type:
            raise refused("59105", f"The body must be one {type}.")
        for problem in conformance.problems(resource):
            if problem.kind == "required":
                raise refused("59108", f"{problem.path} {problem.text}.", expression=problem.path)
            if problem.kind == "invalid":
                raise refused("59111", f"{problem.path} {problem.text}.", expression=problem.path)
        return resource

    def _file_note(self, call: Call, resource: dict[str, Any]) -> Answer:
        """DocumentReference.Create (Clinical Notes), 1046. The same note again is another note."""
        contents.check_note(resource)
        self._visit(resource, "DocumentReference.context.encounter")
        kept = {key: resource[key] for key in contents.NOTE_KEEPS if key in resource}
        author = self._author(resource)
        note = {
            "resourceType": "DocumentReference",
            **kept,
            "author": author,
            "date": kept.get("date") or charts.instant(call.at),
            "content": [resource["content"][0]],
        }
        # Epic itself says that it is a clinical note; a search by that category finds it.
        note.setdefault("category", [_CLINICAL_NOTE])
        if resource["docStatus"] == "final":
            note["authenticator"] = author[0]
        row = self.filed(call, note)
        return self.written(call, 201, row, self._echo(call, row, note))

    def _author(self, resource: Mapping[str, Any]) -> list[dict[str, Any]]:
        """The author sent, else the background user that the client is mapped to."""
        if resource.get("author"):
            return list(resource["author"])
        known = SandboxName.objects.filter(
            vendor=self.vendor, group="staff", name="background_user"
        ).first()
        if known is None:
            return [{"display": "Background user"}]
        return [{"reference": f"Practitioner/{known.fhir_id}", "display": "Background user"}]

    def _stage_problem(self, call: Call, resource: dict[str, Any]) -> Answer:
        """Condition.Create (Problems), 949: into the holding tank."""
        contents.check_problem(resource)
        return self._stage(call, resource)

    def _stage_allergy(self, call: Call, resource: dict[str, Any]) -> Answer:
        """AllergyIntolerance.Create, 945: into the holding tank; duplicates there are not noticed."""
        contents.check_allergy(resource)
        return self._stage(call, resource)

    def _stage(self, call: Call, resource: dict[str, Any]) -> Answer:
        content = dict(call.spoiler.alter(resource) if call.spoiler else resource)
        codings = (content.get("code") or {}).get("coding") or []
        if codings and codings[0].get("display"):  # the words that were sent give way to the code's
            content["code"] = content["code"] | {"text": codings[0]["display"]}
        item = charts.stage(
            vendor=self.vendor,
            resource=self._kept(content),
            fhir_id=self.new_id(),
            author=call.author,
            at=call.at,
        )
        reference = f"{item.type}/{item.fhir_id}"
        answer = self._empty_answer(call, 201, reference, charts.content_of(item))
        answer.staged.append(reference)
        return answer

    def _file_vitals(self, call: Call, resource: dict[str, Any]) -> Answer:
        """Observation.Create (Vitals), 963: a row of the flowsheet that this customer has mapped."""
        vitals.check(resource, mapped=behaviour.of(self.vendor, "flowsheet_rows"), at=call.at)
        vitals.check_visit(charts.content_of(self._visit(resource, "Observation.encounter")))
        if vitals.is_charted(resource, vendor=self.vendor):
            raise refused("59189", "The value already exists.", expression="code/instant")
        row = self.filed(call, vitals.converted(resource))
        return self.written(call, 201, row, self._echo(call, row, resource))

    def _file_answers(self, call: Call, resource: dict[str, Any]) -> Answer:
        """QuestionnaireResponse.Create, 10023: answers to a questionnaire that is assigned, once."""
        assigned: set[str] = set()
        for reference in resource.get("basedOn") or []:
            kind, fhir_id = charts.split_reference(str(reference.get("reference", "")))
            row = charts.find(vendor=self.vendor, type=kind, fhir_id=fhir_id)
            if row and not row.removed and row.patient_id == charts.patient_of(resource):
                order = charts.content_of(row)
                if order.get("status") == "active":
                    assigned |= set(order.get("instantiatesCanonical") or [])
        contents.check_answers(resource, assigned=assigned)
        row = self.filed(call, resource)
        return self.written(call, 201, row, self._echo(call, row, resource))

    # --- parts --------------------------------------------------------------------------------------

    def _empty_answer(
        self, call: Call, status: int, reference: str, content: dict[str, Any]
    ) -> Answer:
        """201 without a body and with a relative Location, unless the client asks for the entry."""
        headers = {"Location": reference} if status == 201 else {}
        if call.prefers() == "representation":
            return json_answer(status, content, headers=headers)
        return Answer(status, headers)

    def _visit(self, resource: Mapping[str, Any], expression: str) -> SandboxResource:
        visits = self.visits(resource)
        named = resource.get("encounter") or (resource.get("context") or {}).get("encounter")
        if not named:
            raise refused("59108", "An encounter is required.", expression=expression)
        if not visits:
            raise refused("59144", "The encounter was not found.", expression=expression)
        if visits[0].patient_id != charts.patient_of(resource):
            raise refused(
                "59159", "The encounter belongs to another patient.", expression=expression
            )
        return visits[0]

    def _not_merged(self, call: Call, patient_id: str) -> None:
        """Raises RequestRefused with 4107 and a redirect when the chart is part of another now."""
        row = charts.find(vendor=self.vendor, type="Patient", fhir_id=patient_id)
        if row is None:
            return
        for link in charts.content_of(row).get("link") or []:
            if link["type"] == "replaced-by":
                raise merged(call, survivor=charts.split_reference(link["other"]["reference"])[1])

    def capability_statement(self, call: Call) -> dict[str, Any]:
        types = sorted(self.types | ADVERTISED_CREATE | ADVERTISED_UPDATE)
        return statement(
            base=call.base,
            software="Epic (practice)",
            version="November 2026",
            resources=[
                offered(
                    each,
                    *(("read", "search-type") if each in self.types else ()),
                    *(("create",) if each in ADVERTISED_CREATE else ()),
                    *(("update",) if each in ADVERTISED_UPDATE else ()),
                    **NO_VERSIONS,
                )
                for each in types
            ],
        )
