"""Epic as public documents and integrators describe it: what it takes, drops, hides and calls things.

No versions, no conditional requests, a holding tank for problems and allergies, error numbers in
`issue.details.coding`. docs/practice-ehr.md names each oddity with its source.
"""

import base64
import secrets
from collections.abc import Mapping
from decimal import ROUND_HALF_EVEN, Decimal
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

LOINC = "http://loinc.org"
PROBLEM_SYSTEMS = {"http://hl7.org/fhir/sid/icd-10-cm", "http://snomed.info/sct"}
# Note types that 1046 takes. Discharge summaries and patient instructions are not among them.
NOTE_TYPES = {"11506-3", "34117-2", "11488-4", "34746-8", "28570-0", "68608-9"}
LONGEST_PROBLEM_NOTE = 450
LONGEST_VITALS_NOTE = 254
OPEN_VISIT = {"in-progress", "arrived", "triaged", "onleave"}

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
USUAL_CREATE = {"DocumentReference", "Condition", "AllergyIntolerance", "Observation"}
POSSIBLE_UPDATE = {"DocumentReference", "Observation"}
_API = {"read": "Read", "search": "Search", "create": "Create", "update": "Update"}
_ANYTHING = [scopes.Scope("*", frozenset("cruds"))]
_NEEDS_PATIENT = READABLE - {
    "Patient",
    "Practitioner",
    "Organization",
    "Location",
    "Provenance",
    "Task",
}

# What a filed note keeps; everything else that was sent is dropped without a word.
_NOTE_KEEPS = (
    "identifier", "status", "docStatus", "type", "category", "subject", "date", "author", "description", "context",
)  # fmt: skip
# Unit sent -> unit kept, factor, offset before it, decimals kept.
_CONVERSIONS: dict[str, tuple[str, Decimal, Decimal, Decimal]] = {
    "[in_i]": ("cm", Decimal("2.54"), Decimal(0), Decimal("0.1")),
    "[lb_av]": ("kg", Decimal("0.45359237"), Decimal(0), Decimal("0.01")),
    "[degF]": ("Cel", Decimal(5) / Decimal(9), Decimal(32), Decimal("0.1")),
    "g": ("kg", Decimal("0.001"), Decimal(0), Decimal("0.001")),
}
_CONVERTED = {"8302-2", "29463-7", "8310-5"}
_PRESSURES = {"85354-9", "8480-6", "8462-4"}


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


def _refused(
    number: str, text: str, *, status: int = 400, expression: str = "", code: str = ""
) -> RequestRefused:
    spelled = code or {"59108": "required", "59105": "structure", "59144": "not-found"}.get(
        number, "business-rule"
    )
    return RequestRefused(status, spelled, text, number=number, expression=expression)


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
            raise RequestRefused(403, "forbidden", "The API is not on the app.", empty=True)
        interaction, parts = super().route(call)
        if interaction in {"vread", "history"}:
            raise _refused("4100", "History is not available.", status=404, code="not-supported")
        return interaction, parts

    def permit(self, call: Call, interaction: str, type: str) -> None:
        api = f"{type}.{_API[interaction]}"
        if call.client is None or api not in call.client.apis:
            raise RequestRefused(403, "forbidden", "The API is not on the app.", empty=True)
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
            raise _refused("4102", "The resource id is not known.", status=404, code="not-found")
        if row.removed:
            raise _refused("4103", "The resource has been deleted.", status=410, code="deleted")
        if type == "Patient":
            self._not_merged(call, fhir_id)
        return json_answer(200, self.shown(row, charts.content_of(row)))

    def search(self, call: Call, type: str) -> Answer:
        given = {name.partition(":")[0]: value for name, value in call.params()}
        patient = given.get("patient") or given.get("subject")
        if patient:
            self._not_merged(call, charts.split_reference(patient)[1])
        elif type in _NEEDS_PATIENT and "_id" not in given:
            raise _refused("59108", "A patient or an _id is required to search.", expression=type)
        try:
            found = searching.search(
                vendor=self.vendor, type=type, query=call.params(), at=call.at, last_request=call.last_request,
                strict=False, shown=self.listed,
            )  # fmt: skip
        except searching.SearchNotUnderstood as error:
            raise _refused("59111", f"Invalid search: {error}.") from None
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
        }
        if type not in makers:  # listed, but a workflow that this customer does not run
            raise RequestRefused(403, "forbidden", "The API is not on the app.", empty=True)
        resource = self.resource_in(call, type)
        patient = resource.get("subject") or resource.get("patient")
        if not patient:
            raise _refused("59108", "A patient is required.", expression=f"{type}.subject")
        self._not_merged(call, charts.patient_of(resource))
        row = charts.find(vendor=self.vendor, type="Patient", fhir_id=charts.patient_of(resource))
        if row is None or row.removed:
            raise _refused("59144", "The patient was not found.", expression=f"{type}.subject")
        return makers[type](call, resource)

    def update(self, call: Call, type: str, fhir_id: str) -> Answer:
        if type not in POSSIBLE_UPDATE:
            raise RequestRefused(403, "forbidden", "The API is not on the app.", empty=True)
        resource = self.resource_in(call, type)
        row = charts.find(vendor=self.vendor, type=type, fhir_id=fhir_id)
        if row is None or row.removed:
            raise _refused("4102", "The resource id is not known.", status=404, code="not-found")
        if resource.get("id") != fhir_id:
            raise _refused("59111", "The id in the body is not the id in the address.")
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
            raise _refused("59105", f"Syntax error: {error}.") from None
        if not isinstance(resource, dict) or resource.get("resourceType") != type:
            raise _refused("59105", f"The body must be one {type}.")
        for problem in conformance.problems(resource):
            if problem.kind == "required":
                raise _refused("59108", f"{problem.path} {problem.text}.", expression=problem.path)
            if problem.kind == "invalid":
                raise _refused("59111", f"{problem.path} {problem.text}.", expression=problem.path)
        return resource

    def _file_note(self, call: Call, resource: dict[str, Any]) -> Answer:
        """DocumentReference.Create (Clinical Notes), 1046. The same note again is another note."""
        if resource["status"] != "current":
            raise _refused(
                "59111", "Only current notes are taken.", expression="DocumentReference.status"
            )
        if resource.get("docStatus") not in {"final", "preliminary"}:
            raise _refused(
                "59111",
                "docStatus is final or preliminary.",
                expression="DocumentReference.docStatus",
            )
        codings = (resource.get("type") or {}).get("coding") or []
        if not any(
            (each.get("system") == LOINC and each.get("code") in NOTE_TYPES)
            or str(each.get("system", "")).startswith("urn:oid:1.2.840.114350.")
            for each in codings
        ):
            raise _refused(
                "59111", "This note type is not taken here.", expression="DocumentReference.type"
            )
        attachment = resource["content"][0]["attachment"]
        if (
            attachment.get("contentType", "").split(";")[0].strip() != "text/plain"
            or "data" not in attachment
        ):
            raise _refused(
                "59111", "One text/plain attachment with data is taken.",
                expression="DocumentReference.content.attachment.contentType",
            )  # fmt: skip
        try:
            base64.b64decode(attachment["data"]).decode("utf-8")
        except UnicodeDecodeError:
            raise _refused(
                "59111", "The text is not UTF-8.", expression="DocumentReference.content"
            ) from None
        visits = self._visit(resource, "DocumentReference.context.encounter")
        kept: dict[str, Any] = {key: resource[key] for key in _NOTE_KEEPS if key in resource}
        author = self._author(resource, visits)
        note = {
            "resourceType": "DocumentReference",
            **kept,
            "author": author,
            "date": kept.get("date") or charts.instant(call.at),
            "content": [resource["content"][0]],
        }
        if resource["docStatus"] == "final":
            note["authenticator"] = author[0]
        row = self.filed(call, note)
        return self.written(call, 201, row, self._echo(call, row, note))

    def _author(self, resource: Mapping[str, Any], visit: SandboxResource) -> list[dict[str, Any]]:
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
        codings = (resource.get("code") or {}).get("coding") or []
        usable = [
            each for each in codings if each.get("system") in PROBLEM_SYSTEMS and each.get("code")
        ]
        if not usable or not all(each.get("display") for each in usable):
            raise _refused(
                "59108",
                "An ICD-10 or SNOMED CT coding with its display is required.",
                expression="Condition.code",
            )
        if conformance.codes_of(resource.get("verificationStatus")) != ["provisional"]:
            raise _refused(
                "59012", "Only provisional problems are taken.", status=422,
                expression="Condition.verificationStatus", code="business-rule",
            )  # fmt: skip
        categories = {
            code for each in resource.get("category") or [] for code in conformance.codes_of(each)
        }
        if categories and "problem-list-item" not in categories:
            raise _refused(
                "59111", "Only problem-list-item is taken.", expression="Condition.category"
            )
        self._short_note(resource, LONGEST_PROBLEM_NOTE)
        return self._stage(call, resource)

    def _stage_allergy(self, call: Call, resource: dict[str, Any]) -> Answer:
        """AllergyIntolerance.Create, 945: into the holding tank; duplicates there are not noticed."""
        if conformance.codes_of(resource.get("clinicalStatus")) != ["active"]:
            raise _refused(
                "59111",
                "Only active allergies are taken.",
                expression="AllergyIntolerance.clinicalStatus",
            )
        if conformance.codes_of(resource.get("verificationStatus")) not in ([], ["unconfirmed"]):
            raise _refused(
                "59111",
                "Only unconfirmed allergies are taken.",
                expression="AllergyIntolerance.verificationStatus",
            )
        if any(
            len(each.get("manifestation") or []) != 1 for each in resource.get("reaction") or []
        ):
            raise _refused(
                "59111",
                "One manifestation for each reaction.",
                expression="AllergyIntolerance.reaction.manifestation",
            )
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
        if resource["status"] != "final":
            raise _refused("59111", "Only final values are taken.", expression="Observation.status")
        if not any(
            "vital-signs" in conformance.codes_of(each) for each in resource.get("category") or []
        ):
            raise _refused(
                "59111", "Only vital signs are taken.", expression="Observation.category"
            )
        codes = [
            each.get("code")
            for each in resource["code"].get("coding", [])
            if each.get("system") == LOINC
        ]
        if len(codes) != 1:
            raise _refused(
                "59111", "Exactly one LOINC coding is taken.", expression="Observation.code"
            )
        rows = behaviour.of(self.vendor, "flowsheet_rows")
        if not rows:
            raise _refused(
                "59187", "No patient flowsheet is built for this.", expression="Observation.code"
            )
        wanted = [
            codes[0],
            *(
                code
                for each in resource.get("component") or []
                for code in self._loinc(each["code"])
            ),
        ]
        if not set(wanted) <= set(rows):
            raise _refused(
                "59188", "No flowsheet row is mapped for this code.", expression="Observation.code"
            )
        taken_at = resource.get("effectiveDateTime", "")
        if "T" not in taken_at:
            raise _refused(
                "59108",
                "The time with its offset is required.",
                expression="Observation.effectiveDateTime",
            )
        if searching.interval(taken_at)[0] > call.at:
            raise _refused(
                "59111", "The time lies in the future.", expression="Observation.effectiveDateTime"
            )
        visit = self._visit(resource, "Observation.encounter")
        if charts.content_of(visit).get("status") not in OPEN_VISIT:
            raise _refused(
                "59159", "The encounter is not open.", expression="Observation.encounter"
            )
        self._short_note(resource, LONGEST_VITALS_NOTE)
        if not any(
            key.startswith("value")
            for each in (resource, *resource.get("component", []))
            for key in each
        ):
            raise _refused("59108", "A value is required.", expression="Observation.value[x]")
        if self._charted(resource, codes[0], taken_at):
            raise _refused("59189", "The value already exists.", expression="code/instant")
        row = self.filed(call, self._converted(resource))
        return self.written(call, 201, row, self._echo(call, row, resource))

    def _charted(self, resource: Mapping[str, Any], code: str, taken_at: str) -> bool:
        moment = searching.interval(taken_at)[0]
        rows = SandboxResource.objects.filter(
            vendor=self.vendor,
            type="Observation",
            patient_id=charts.patient_of(resource),
            removed=False,
        )
        for row in rows:
            content = charts.content_of(row)
            own = content.get("effectiveDateTime", "")
            if (
                code in self._loinc(content["code"])
                and "T" in own
                and searching.interval(own)[0] == moment
            ):
                return True
        return False

    def _converted(self, resource: Mapping[str, Any]) -> dict[str, Any]:
        """Height, weight and temperature in the flowsheet's units; a pressure's unit is not looked at."""
        result = dict(resource)
        code = self._loinc(resource["code"])[0]
        result["component"] = [
            self._in_row_unit(each, self._loinc(each["code"]))
            for each in result.get("component", [])
        ]
        if not result["component"]:
            del result["component"]
        return self._in_row_unit(result, [code])

    def _in_row_unit(self, holder: dict[str, Any], codes: list[str]) -> dict[str, Any]:
        value = holder.get("valueQuantity")
        if not value or "value" not in value or not codes:
            return holder
        if codes[0] in _PRESSURES:
            kept = {
                "value": value["value"],
                "unit": "mm[Hg]",
                "system": "http://unitsofmeasure.org",
                "code": "mm[Hg]",
            }
            return holder | {"valueQuantity": kept}
        unit = str(value.get("code") or value.get("unit"))
        if codes[0] in _CONVERTED and unit in _CONVERSIONS:
            kept_unit, factor, offset, step = _CONVERSIONS[unit]
            number = ((Decimal(value["value"]) - offset) * factor).quantize(
                step, rounding=ROUND_HALF_EVEN
            )
            kept = {
                "value": number,
                "unit": kept_unit,
                "system": "http://unitsofmeasure.org",
                "code": kept_unit,
            }
            return holder | {"valueQuantity": kept}
        return holder

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
            raise _refused("59108", "An encounter is required.", expression=expression)
        if not visits:
            raise _refused("59144", "The encounter was not found.", expression=expression)
        if visits[0].patient_id != charts.patient_of(resource):
            raise _refused(
                "59159", "The encounter belongs to another patient.", expression=expression
            )
        return visits[0]

    def _short_note(self, resource: Mapping[str, Any], longest: int) -> None:
        if sum(len(each["text"]) for each in resource.get("note") or []) > longest:
            raise _refused(
                "59111",
                f"A note has at most {longest} characters.",
                expression=f"{resource['resourceType']}.note",
            )

    def _loinc(self, concept: Mapping[str, Any]) -> list[str]:
        return [
            str(each.get("code"))
            for each in concept.get("coding", [])
            if each.get("system") == LOINC
        ]

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
        return {
            "resourceType": "CapabilityStatement",
            "status": "active",
            "date": "2026-11-01",
            "publisher": "Epic Northgate (practice, made up)",
            "kind": "instance",
            "software": {"name": "Epic (practice)", "version": "November 2026"},
            "implementation": {
                "description": "A practice EHR; every patient is made up",
                "url": call.base,
            },
            "fhirVersion": "4.0.1",
            "format": ["xml", "json"],
            "rest": [
                {
                    "mode": "server",
                    "resource": [
                        {
                            "type": each,
                            "interaction": [
                                {"code": code}
                                for code, listed in (
                                    ("read", each in self.types),
                                    ("search-type", each in self.types),
                                    ("create", each in ADVERTISED_CREATE),
                                    ("update", each in ADVERTISED_UPDATE),
                                )
                                if listed
                            ],
                            "versioning": "no-version",
                            "readHistory": False,
                            "updateCreate": False,
                            "conditionalCreate": False,
                            "conditionalUpdate": False,
                        }
                        for each in types
                    ],
                }
            ],
        }


def merged(call: Call, *, survivor: str) -> RequestRefused:
    """4107: the chart asked for is part of another; the redirect names the other."""
    return RequestRefused(
        302, "processing", "The patient has been merged into another record.", number="4107",
        headers={"Location": f"{call.base}/Patient/{survivor}"},
    )  # fmt: skip
