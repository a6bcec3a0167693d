"""The front itself: tokens and calls that are counted, reads by FHIR, one door for every write."""

import secrets
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any, ClassVar

import jwt

from ehr_adapters.sandbox import behaviour, charts, conformance, exact_json, oauth, scopes
from ehr_adapters.sandbox.exchange import Answer, Call
from ehr_adapters.sandbox.front import Front
from ehr_adapters.sandbox.models import SandboxClient, SandboxRequest, SandboxResource
from ehr_adapters.sandbox.outcomes import RequestRefused
from ehr_adapters.sandbox.statements import offered, statement
from ehr_adapters.sandbox.vendors.eclinicalworks import contents
from ehr_adapters.sandbox.vendors.eclinicalworks.numbers import numbered, refused, require

# The types that this facade serves; there is none for a task, a message or an appointment.
SERVED = frozenset({
    "Patient", "Practitioner", "Organization", "Location", "Encounter", "Condition", "AllergyIntolerance",
    "MedicationRequest", "Observation", "DiagnosticReport", "DocumentReference", "ServiceRequest", "CarePlan", "Goal",
    "QuestionnaireResponse", "Provenance",
})  # fmt: skip
# Types whose scopes are `.r` alone: with these they are also searched.
_ONLY_R = frozenset({"Binary", "QuestionnaireResponse", "ServiceRequest"})
# Write interfaces that a practice can have contracted and whose scope no document of the sign-in names.
UNNAMED = (
    "Communication",
    "MedicationStatement",
    "QuestionnaireResponse",
    "ServiceRequest",
    "Task",
)


class EcwFront(Front):
    """/eclinicalworks/fhir/r4/{practice code}."""

    vendor = behaviour.ECW
    types: ClassVar[frozenset[str]] = SERVED
    versioned = False

    # --- who may ------------------------------------------------------------------------------------

    def token_url(self, base: str) -> str:
        """The sign-in server is shared by all practices."""
        return f"{base[: base.index('/eclinicalworks/')]}/eclinicalworks/oauth/oauth2/token"

    def throttled(self, call: Call) -> Answer | None:
        """So many calls in one minute of the clock, then nothing until the next begins; no header tells."""
        limit = behaviour.of(self.vendor, "calls_per_minute")
        newest = SandboxRequest.objects.filter(vendor=self.vendor).order_by("-pk")
        earlier = newest.values_list("at", flat=True)[limit - 1 : limit].first()
        if earlier is None or earlier < call.at.replace(second=0, microsecond=0):
            return None
        return Answer(429)

    def token_client(self, call: Call, form: Mapping[str, str]) -> SandboxClient:
        assertion = form.get("client_assertion", "")
        try:
            algorithm = jwt.get_unverified_header(assertion).get("alg")
            claims = jwt.decode(assertion, options={"verify_signature": False})
        except jwt.PyJWTError:
            algorithm, claims = None, {}
        if claims and algorithm != "RS384":
            raise oauth.TokenRefused("invalid_client", "sign with RS384")
        expires = claims.get("exp")
        if isinstance(expires, int | float) and expires <= call.at.timestamp():
            raise oauth.TokenRefused("invalid_grant", "the assertion has expired")
        try:
            return super().token_client(call, form)
        except oauth.AssertionRefused as refusal:
            raise oauth.TokenRefused("access_denied", str(refusal)) from None

    def scopes_of(self, text: str) -> list[scopes.Scope]:
        return [
            replace(scope, rights=scope.rights | {"s"})
            if scope.type in _ONLY_R and "r" in scope.rights
            else scope
            for scope in scopes.parse(text)
        ]

    def grant(self, *, asked: str, client: Any) -> str:
        """All that is asked for, or nothing: one scope that is not offered spoils the request."""
        unnamed = {f"system/{each}.c" for each in UNNAMED}
        offered = {*self.scopes_supported(), *(unnamed - self._withdrawn_scopes())}
        wanted = asked.split()
        if not wanted or not set(wanted) <= offered:
            raise oauth.TokenRefused("invalid_grant", "a requested scope is not supported")
        given = scopes.granted(asked=scopes.parse(asked), registered=scopes.parse(client.scope))
        if [str(scope) for scope in given] != wanted:
            raise oauth.TokenRefused("invalid_grant", "a requested scope is not supported")
        return asked

    def token_error_status(self, error: str) -> int:
        return {"invalid_client": 401, "access_denied": 500}.get(error, 400)

    def scopes_supported(self) -> list[str]:
        """v2 words; creating and updating have no word of the first version."""
        words = [
            f"system/{each}.{right}"
            for each in sorted(SERVED - _ONLY_R)
            for right in ("r", "rs", "read", "c", "u")
        ]
        words += [f"system/{each}.r" for each in sorted(_ONLY_R)]
        return [word for word in words if word not in self._withdrawn_scopes()]

    def _withdrawn_scopes(self) -> set[str]:
        letters = {"create": "c", "update": "u"}
        pairs = (each.partition(".") for each in self._withdrawn())
        return {f"system/{kind}.{letters.get(verb, verb)}" for kind, _, verb in pairs}

    def smart_configuration(self, call: Call) -> dict[str, Any]:
        return super().smart_configuration(call) | {
            "token_endpoint_auth_signing_alg_values_supported": ["RS384"]
        }

    def fault_target(self, call: Call) -> str:
        """Every write goes to one address: a fault's path names the type inside it."""
        if call.method == "POST" and not call.path:
            try:
                return str(_entry_of(call)["request"]["url"])
            except RequestRefused:
                return call.target
        return call.target

    def in_own_words(self, call: Call, fault: str, answer: Answer) -> Answer:
        told = answer
        if answer.status == 429:
            told = Answer(429)
        elif call.method == "POST" and not call.path:
            if fault == "chart-locked":
                told = numbered("139")
            elif fault == "patient-merged":
                told = numbered("207")
            elif fault == "no-id":
                told = numbered("1")
            elif fault == "outcome":
                number = _number_in(answer)
                told = numbered(number) if number else answer
        told.committed, told.staged = answer.committed, answer.staged
        return told

    # --- reading ------------------------------------------------------------------------------------

    def version_headers(self, version: int, at: datetime) -> dict[str, str]:
        return {}

    def new_id(self) -> str:
        return secrets.token_urlsafe(24).replace("_", "-")

    def shown(self, row: SandboxResource, content: dict[str, Any]) -> dict[str, Any]:
        shown = charts.with_meta(content, version=row.version, at=row.updated_at)
        return shown | {"meta": {"lastUpdated": shown["meta"]["lastUpdated"]}}

    def route(self, call: Call) -> tuple[str, list[str]]:
        interaction, parts = super().route(call)
        if interaction in {"vread", "history"}:
            raise RequestRefused(404, "not-supported", "History is not available.")
        if interaction == "update" or (
            interaction == "create" and parts[0] != "QuestionnaireResponse"
        ):
            raise RequestRefused(405, "not-supported", "This interaction is not supported.")
        return interaction, parts

    def read(self, call: Call, type: str, fhir_id: str) -> Answer:
        row = charts.find(vendor=self.vendor, type=type, fhir_id=fhir_id)
        if row is not None and not self.listed(row, charts.content_of(row)):
            raise RequestRefused(404, "not-found", "There is no such entry.")
        return super().read(call, type, fhir_id)

    def listed(self, row: SandboxResource, content: Mapping[str, Any]) -> bool:
        """A delivered note is part of the visit's progress note; whether it is served is a setting."""
        if row.type == "DocumentReference" and row.author.startswith("client:"):
            return bool(behaviour.of(self.vendor, "notes_listed"))
        return True

    # --- writing ------------------------------------------------------------------------------------

    def create(self, call: Call, type: str) -> Answer:
        """Answers to a questionnaire, the one plain create; no header makes it conditional."""
        resource = self.resource_in(call, type)
        self._within_scope(call, "c", type, resource)
        if not behaviour.of(self.vendor, "default_user"):
            raise RequestRefused(422, "processing", "No user is set up for this.")
        self.check_context(call, resource)
        row = self.filed(call, resource)
        return self.written(call, 201, row, self._echo(call, row, resource))

    def carry_out(self, call: Call) -> Answer:
        if call.method == "POST" and not call.path:
            return self.transaction(call)
        return super().carry_out(call)

    def transaction(self, call: Call) -> Answer:
        """One entry; the answer is a 200 whose entry says a number."""
        entry = _entry_of(call)
        resource, method = entry["resource"], entry["request"]["method"]
        interaction = "create" if method == "POST" else "update"
        door = self._doors().get((method, resource["resourceType"]))
        if door is None:
            raise refused("2")
        self.permit(call, interaction, resource["resourceType"])
        require(behaviour.of(self.vendor, "default_user"), "308")
        require(not conformance.problems(resource), "2")
        contents.check_characters(resource, repertoire=behaviour.of(self.vendor, "repertoire"))
        self._check_patient(resource)
        return door(call, resource)

    def _doors(self) -> dict[tuple[str, str], Any]:
        return {
            ("POST", "Condition"): self._stage_problem,
            ("POST", "DocumentReference"): self._deliver_note,
            ("POST", "AllergyIntolerance"): self._stage_allergy,
            ("POST", "MedicationStatement"): self._stage_medication,
            ("POST", "Observation"): self._stage_vitals,
            ("POST", "ServiceRequest"): self._stage_order,
            ("POST", "Task"): self._send_action,
            ("POST", "Communication"): self._send_message,
            ("POST", "Encounter"): self._open_encounter,
            ("PUT", "Patient"): self._change_person,
        }

    def _check_patient(self, resource: Mapping[str, Any]) -> None:
        patient_id = charts.patient_of(resource)
        require(patient_id, "100")
        row = charts.find(vendor=self.vendor, type="Patient", fhir_id=patient_id)
        require(row is not None and not row.removed, "207")

    def _stage_problem(self, call: Call, resource: dict[str, Any]) -> Answer:
        contents.check_problem(resource)
        return self._stage(call, contents.kept(resource))

    def _stage_allergy(self, call: Call, resource: dict[str, Any]) -> Answer:
        contents.check_allergy(resource)
        return self._stage(call, contents.kept_allergy(resource))

    def _stage_medication(self, call: Call, resource: dict[str, Any]) -> Answer:
        contents.check_medication(resource)
        return self._stage(call, contents.list_entry(contents.kept(resource)))

    def _stage_vitals(self, call: Call, resource: dict[str, Any]) -> Answer:
        contents.check_vitals(resource)
        return self._stage(call, contents.kept(resource))

    def _stage_order(self, call: Call, resource: dict[str, Any]) -> Answer:
        contents.check_order(resource)
        self._check_visit(resource)
        return self._stage(call, contents.kept(resource))

    def _send_action(self, call: Call, resource: dict[str, Any]) -> Answer:
        contents.check_action(resource)
        return self._file(call, contents.kept(resource))

    def _send_message(self, call: Call, resource: dict[str, Any]) -> Answer:
        contents.check_message(resource)
        return self._file(call, contents.kept(resource))

    def _open_encounter(self, call: Call, resource: dict[str, Any]) -> Answer:
        """A telephone or web encounter."""
        contents.check_encounter(resource)
        for each in resource.get("participant") or []:
            self._check_known("Practitioner", each.get("individual"), "101")
        for each in resource.get("location") or []:
            self._check_known("Location", each.get("location"), "107")
        return self._file(call, contents.kept(resource))

    def _change_person(self, call: Call, resource: dict[str, Any]) -> Answer:
        """The whole record of a patient; nothing tells that somebody else changed it meanwhile."""
        contents.check_person(resource)
        row = charts.find(vendor=self.vendor, type="Patient", fhir_id=str(resource["id"]))
        if row is None:
            raise refused("165")
        content = call.spoiler.alter(resource) if call.spoiler else resource
        charts.revise(row=row, resource=content, author=call.author, at=call.at)
        answer = numbered("1", location=f"Patient/{row.fhir_id}")
        answer.committed.append(f"Patient/{row.fhir_id}/_history/{row.version}")
        return answer

    def _check_known(self, kind: str, reference: Any, number: str) -> None:
        named = charts.split_reference(str((reference or {}).get("reference", "")))
        row = charts.find(vendor=self.vendor, type=kind, fhir_id=named[1])
        require(named[0] == kind and row is not None, number)

    def _check_visit(self, resource: Mapping[str, Any]) -> None:
        visits = self.visits(resource)
        named = "encounter" in resource
        require(not named or visits, "123")
        require(all(each.patient_id == charts.patient_of(resource) for each in visits), "164")
        require(not any(each.locked for each in visits), "139")

    def _stage(self, call: Call, kept: dict[str, Any]) -> Answer:
        """Into the App Data tab of the patient, where a user reconciles it; nobody can read it there."""
        content = call.spoiler.alter(kept) if call.spoiler else kept
        item = charts.stage(
            vendor=self.vendor,
            resource=self._kept(content),
            fhir_id=self.new_id(),
            author=call.author,
            at=call.at,
        )
        reference = f"{item.type}/{item.fhir_id}"
        answer = numbered("1", location=reference)
        answer.staged.append(reference)
        return answer

    def _deliver_note(self, call: Call, resource: dict[str, Any]) -> Answer:
        """Straight into the progress note of the visit."""
        author = (resource.get("author") or [{}])[0].get("reference", "")
        kind, author_id = charts.split_reference(str(author))
        row = charts.find(vendor=self.vendor, type="Practitioner", fhir_id=author_id)
        require(kind == "Practitioner" and row is not None, "101")
        visits = self.visits(resource)
        require(visits and visits[0].patient_id == charts.patient_of(resource), "123")
        contents.check_note(
            resource,
            visit_id=visits[0].fhir_id,
            repertoire=behaviour.of(self.vendor, "repertoire"),
        )
        require(not visits[0].locked, "139")
        return self._file(call, contents.kept(resource) | {"docStatus": "preliminary"})

    def _file(self, call: Call, resource: dict[str, Any]) -> Answer:
        filed = self.filed(call, resource)
        answer = numbered("1", location=f"{filed.type}/{filed.fhir_id}")
        answer.committed.append(f"{filed.type}/{filed.fhir_id}/_history/{filed.version}")
        return answer

    # --- what it says of itself ---------------------------------------------------------------------

    def capability_statement(self, call: Call) -> dict[str, Any]:
        """Reads, and one create: none of the contracted write interfaces is in it."""
        return statement(
            base=call.base,
            software="eCW FHIR Facade (practice)",
            version="1.6",
            resources=[
                offered(
                    each,
                    "read",
                    "search-type",
                    *(("create",) if each == "QuestionnaireResponse" else ()),
                )
                for each in sorted(self.types)
            ],
        )


def _entry_of(call: Call) -> dict[str, Any]:
    """The only entry of the transaction in the body. Raises 2 for any other body."""
    try:
        bundle = exact_json.loads(call.body)
    except exact_json.NotJson:
        raise refused("2") from None
    entries = bundle.get("entry") if isinstance(bundle, dict) else None
    if (
        not isinstance(bundle, dict)
        or bundle.get("resourceType") != "Bundle"
        or bundle.get("type") != "transaction"
        or not isinstance(entries, list)
        or len(entries) != 1
        or not isinstance(entries[0], dict)
    ):
        raise refused("2")
    entry: dict[str, Any] = entries[0]
    resource, request = entry.get("resource"), entry.get("request")
    if not isinstance(resource, dict) or not isinstance(request, dict):
        raise refused("2")
    kind = resource.get("resourceType")
    known = kind in conformance.RESOURCE_TYPES
    named = kind if request.get("method") == "POST" else f"{kind}/{resource.get('id')}"
    if not known or request.get("method") not in {"POST", "PUT"} or request.get("url") != named:
        raise refused("2")
    return entry


def _number_in(answer: Answer) -> str:
    """The number that a scripted outcome names."""
    try:
        told = exact_json.loads(answer.body)
        codings = told["issue"][0]["details"]["coding"]
    except (exact_json.NotJson, KeyError, IndexError, TypeError):
        return ""
    return str(codings[0].get("code", "")) if codings else ""
