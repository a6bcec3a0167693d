"""FHIR R4 semantics over the stored charts: the template that each vendor's front bends.

A front answers from what is stored; it never decides about faults, logging or sockets.
"""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qsl, urlencode

from ehr_adapters.sandbox import (
    behaviour,
    charts,
    conformance,
    exact_json,
    scopes,
    searching,
)
from ehr_adapters.sandbox.endpoint import Endpoint, covers
from ehr_adapters.sandbox.exchange import Answer, Call, json_answer
from ehr_adapters.sandbox.models import SandboxResource, SandboxVersion
from ehr_adapters.sandbox.outcomes import RequestRefused, issue, operation_outcome

# Interaction -> the letter of a SMART scope that allows it.
RIGHTS = {"read": "r", "vread": "r", "history": "r", "search": "s", "create": "c", "update": "u"}


class Front(Endpoint):
    """Reads and writes of one vendor's chart. Subclasses override the holes; the defaults are R4's."""

    # --- the way through ---------------------------------------------------------------------------

    def answer(self, call: Call) -> Answer:
        """The answer to a request. Raises RequestRefused."""
        if call.path == "metadata":
            return (
                json_answer(200, self._offered(self.capability_statement(call)))
                if call.method == "GET"
                else self._no_method()
            )
        if call.path == ".well-known/smart-configuration":
            answer = json_answer(200, self.smart_configuration(call))
            answer.headers["Content-Type"] = "application/json"
            return answer
        self.admit(call)
        return self.carry_out(call)

    def carry_out(self, call: Call) -> Answer:
        """Does what an admitted request asks for. Raises RequestRefused."""
        interaction, parts = self.route(call)
        self.permit(call, interaction, parts[0])
        match interaction:
            case "search":
                return self.search(call, parts[0])
            case "create":
                return self.create(call, parts[0])
            case "read":
                return self.read(call, parts[0], parts[1])
            case "update":
                return self.update(call, parts[0], parts[1])
            case "history":
                return self.history(call, parts[0], parts[1])
        return self.vread(call, parts[0], parts[1], parts[2])

    def route(self, call: Call) -> tuple[str, list[str]]:
        """The interaction and its parts (type, id, version). Raises RequestRefused (404, 405)."""
        parts = call.path.split("/") if call.path else []
        if parts and parts[0] not in self.types:
            raise RequestRefused(404, "not-supported", "This server has no such resource type.")
        match call.method, parts:
            case "GET", [_]:
                return "search", parts
            case "POST", [_, "_search"]:
                return "search", parts[:1]
            case "POST", [_]:
                return "create", parts
            case "GET", [_, fhir_id] if conformance.is_id(fhir_id):
                return "read", parts
            case "PUT", [_, fhir_id] if conformance.is_id(fhir_id):
                return "update", parts
            case "GET", [_, _, "_history"]:
                return "history", parts[:2]
            case "GET", [_, _, "_history", version] if version.isdigit():
                return "vread", [*parts[:2], version]
        if call.method in {"GET", "HEAD"}:
            raise RequestRefused(404, "not-found", "There is nothing at this address.")
        raise RequestRefused(405, "not-supported", "This interaction is not supported.")

    def permit(self, call: Call, interaction: str, type: str) -> None:
        """Raises RequestRefused unless the interaction is offered (405) and the token's scopes allow it (403)."""
        if f"{type}.{interaction}" in self._withdrawn():
            self._no_method()
        if not scopes.permitting(scopes=call.scopes, type=type, right=RIGHTS[interaction]):
            raise self._insufficient_scope()

    # --- reading -----------------------------------------------------------------------------------

    def read(self, call: Call, type: str, fhir_id: str) -> Answer:
        """GET [type]/[id]."""
        row = self._present(type, fhir_id)
        content = self.shown(row, charts.content_of(row))
        self._within_scope(call, "r", type, content)
        headers = self.version_headers(row.version, row.updated_at)
        if self.versioned and call.headers.get("if-none-match") == headers.get("ETag"):
            return Answer(304, headers)
        return json_answer(200, content, headers=headers)

    def vread(self, call: Call, type: str, fhir_id: str, version: str) -> Answer:
        """GET [type]/[id]/_history/[version]."""
        row = self._known(type, fhir_id)
        kept = _version_of(row, int(version)) if len(version) < 10 else None
        if kept is None:
            raise RequestRefused(404, "not-found", "There is no such version.")
        if kept.verb == "remove":
            raise RequestRefused(410, "deleted", "This version records a removal.")
        content = charts.with_meta(charts.content_of(kept), version=kept.version, at=kept.at)
        self._within_scope(call, "r", type, content)
        return json_answer(200, content, headers=self.version_headers(kept.version, kept.at))

    def history(self, call: Call, type: str, fhir_id: str) -> Answer:
        """GET [type]/[id]/_history: every version, the newest first."""
        row = self._known(type, fhir_id)
        entries = []
        for kept in SandboxVersion.objects.filter(resource=row).order_by("-version"):
            method = {"create": "POST", "update": "PUT", "remove": "DELETE"}[kept.verb]
            entry: dict[str, Any] = {"fullUrl": f"{call.base}/{type}/{fhir_id}"}
            if kept.verb != "remove":
                entry["resource"] = charts.with_meta(
                    charts.content_of(kept), version=kept.version, at=kept.at
                )
            entry["request"] = {
                "method": method,
                "url": type if method == "POST" else f"{type}/{fhir_id}",
            }
            entry["response"] = {
                "status": "201" if method == "POST" else "200",
                "etag": f'W/"{kept.version}"',
                "lastModified": charts.instant(kept.at),
            }
            entries.append(entry)
        return json_answer(
            200,
            {"resourceType": "Bundle", "type": "history", "total": len(entries), "entry": entries},
        )

    def search(self, call: Call, type: str) -> Answer:
        """GET [type]?... or POST [type]/_search."""
        query = call.params()
        if call.method == "POST":
            query += parse_qsl(call.body.decode("utf-8", "replace"), keep_blank_values=True)
        allowed = scopes.permitting(scopes=call.scopes, type=type, right="s")

        def shown(row: SandboxResource, content: dict[str, Any]) -> bool:
            return self.listed(row, content) and any(
                covers(scope, type, content) for scope in allowed
            )

        try:
            found = searching.search(
                vendor=self.vendor, type=type, query=query, at=call.at, last_request=call.last_request,
                strict=not call.lenient(), shown=shown,
            )  # fmt: skip
        except searching.SearchNotUnderstood as error:
            raise RequestRefused(
                400, "not-supported", f"{str(error)[0].upper()}{str(error)[1:]}."
            ) from None
        return json_answer(200, self.bundle(call, type, query, found))

    def bundle(
        self, call: Call, type: str, query: list[tuple[str, str]], found: searching.Found
    ) -> dict[str, Any]:
        """The searchset of one page, with the address of the next."""
        kept = [pair for pair in query if pair[0] != "_page"]

        def address(offset: int) -> str:
            pairs = [*kept, *([("_page", str(offset))] if offset else [])]
            return f"{call.base}/{type}?{urlencode(pairs)}"

        links = [{"relation": "self", "url": address(found.offset)}]
        if found.next_offset is not None and found.count:
            links.append({"relation": "next", "url": address(found.next_offset)})
        result: dict[str, Any] = {
            "resourceType": "Bundle",
            "id": charts.new_id(),
            "type": "searchset",
            "total": found.total,
            "link": links,
        }
        entries = [
            {
                "fullUrl": f"{call.base}/{type}/{row.fhir_id}",
                "resource": self.shown(row, charts.content_of(row)),
                "search": {"mode": "match"},
            }
            for row, _ in found.rows
        ]
        return result | ({"entry": entries} if entries else {})

    def searchable(self, call: Call, type: str, patient: str) -> list[SandboxResource]:
        """A patient's entries of a type that lists show now, the oldest first: for lists that are no search."""
        rows = SandboxResource.objects.filter(
            *searching.indexed(at=call.at, last_request=call.last_request),
            vendor=self.vendor,
            type=type,
            patient_id=patient,
            removed=False,
        )
        return list(rows.order_by("pk"))

    def listed(self, row: SandboxResource, content: Mapping[str, Any]) -> bool:
        """May a search show this entry?"""
        return True

    def shown(self, row: SandboxResource, content: dict[str, Any]) -> dict[str, Any]:
        """An entry as this vendor hands it out."""
        return charts.with_meta(content, version=row.version, at=row.updated_at)

    # --- writing -----------------------------------------------------------------------------------

    def create(self, call: Call, type: str) -> Answer:
        """POST [type], conditional with If-None-Exist."""
        resource = self.resource_in(call, type)
        self._within_scope(call, "c", type, resource)
        condition = call.headers.get("if-none-exist", "")
        mode = behaviour.of(self.vendor, "conditional_create")
        if condition and mode != "ignored":
            existing = self._existing(call, type, condition, lagging=mode == "indexed")
            if existing is not None:
                content = self.shown(existing, charts.content_of(existing))
                return self.written(call, 200, existing, content, committed=False)
        self.check_context(call, resource)
        row = self.filed(call, resource)
        return self.written(call, 201, row, self._echo(call, row, resource))

    def filed(self, call: Call, resource: dict[str, Any]) -> SandboxResource:
        """Files a checked new entry."""
        content = call.spoiler.alter(resource) if call.spoiler else resource
        return charts.file(
            vendor=self.vendor,
            resource=self._kept(content),
            fhir_id=self.new_id(),
            author=call.author,
            at=call.at,
            lag=self._lag(call),
        )

    def update(self, call: Call, type: str, fhir_id: str) -> Answer:
        """PUT [type]/[id], conditional with If-Match."""
        resource = self.resource_in(call, type)
        if resource.get("id") != fhir_id:
            raise RequestRefused(
                400, "invalid", "The id in the body must be the id in the address."
            )
        self._within_scope(call, "u", type, resource)
        row = charts.find(vendor=self.vendor, type=type, fhir_id=fhir_id)
        wanted = self._if_match(call)
        if row is None or row.removed:
            return self._update_of_nothing(call, row, resource, wanted)
        self._within_scope(call, "u", type, charts.content_of(row))
        if (
            wanted is not None
            and wanted != row.version
            and behaviour.of(self.vendor, "version_check")
        ):
            raise RequestRefused(
                412, "conflict", f"The entry is at version {row.version}, not {wanted}."
            )
        self.check_context(call, resource)
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
        """The answer to a write, as the client prefers it; without a preference the entry is returned."""
        headers = self.version_headers(row.version, row.updated_at)
        if status == 201 or not committed:
            headers["Location"] = f"{call.base}/{row.type}/{row.fhir_id}/_history/{row.version}"
        match call.prefers():
            case "minimal":
                answer = Answer(status, headers)
            case "OperationOutcome":
                told = operation_outcome([issue("information", "informational", "Filed.")])
                answer = json_answer(status, told, headers=headers)
            case _:
                answer = json_answer(status, content, headers=headers)
        if committed:
            answer.committed.append(f"{row.type}/{row.fhir_id}/_history/{row.version}")
        return answer

    def resource_in(self, call: Call, type: str) -> dict[str, Any]:
        """The resource in the body, checked for its form. Raises RequestRefused (400, 415, 422)."""
        media = call.headers.get("content-type", "").split(";")[0].strip().lower()
        if media not in {"application/fhir+json", "application/json"}:
            raise RequestRefused(415, "not-supported", "Send application/fhir+json.")
        try:
            resource = exact_json.loads(call.body)
        except exact_json.NotJson as error:
            raise RequestRefused(
                400, "structure", f"The body could not be read: {error}."
            ) from None
        if not isinstance(resource, dict) or resource.get("resourceType") != type:
            raise RequestRefused(400, "structure", f"The body must be one {type}.")
        if "id" in resource and not (
            isinstance(resource["id"], str) and conformance.is_id(resource["id"])
        ):
            raise RequestRefused(400, "value", "The id is not well formed.")
        if found := conformance.problems(resource):
            issues = [
                issue("error", "structure", f"{each.path} {each.text}.", expression=each.path)
                for each in found[:20]
            ]
            raise RequestRefused(422, "structure", "The resource is not valid.", issues=issues)
        return resource

    def check_context(self, call: Call, resource: Mapping[str, Any]) -> None:
        """Raises RequestRefused when the patient or visit named is not there, not alike, or locked."""
        patient_id = charts.patient_of(resource)
        if patient_id and resource["resourceType"] != "Patient":
            patient = charts.find(vendor=self.vendor, type="Patient", fhir_id=patient_id)
            if patient is None or patient.removed:
                raise RequestRefused(
                    422, "not-found", "The patient that is named is not in this chart."
                )
        for visit in self.visits(resource):
            if visit.patient_id != patient_id:
                raise RequestRefused(422, "business-rule", "The visit belongs to another patient.")
            if visit.locked:
                raise RequestRefused(423, "lock-error", "The visit is closed and locked.")

    def visits(self, resource: Mapping[str, Any]) -> list[SandboxResource]:
        """The visits of this chart that a resource names; unresolvable ones are no ground to refuse."""
        named = [
            resource.get("encounter"),
            *((resource.get("context") or {}).get("encounter") or []),
        ]
        if resource["resourceType"] == "MedicationStatement":
            named = [resource.get("context")]
        rows = []
        for reference in named:
            if isinstance(reference, dict):
                kind, fhir_id = charts.split_reference(str(reference.get("reference", "")))
                if kind == "Encounter" and (
                    row := charts.find(vendor=self.vendor, type=kind, fhir_id=fhir_id)
                ):
                    rows.append(row)
        return rows

    # --- parts ---------------------------------------------------------------------------------------

    def _known(self, type: str, fhir_id: str) -> SandboxResource:
        row = charts.find(vendor=self.vendor, type=type, fhir_id=fhir_id)
        if row is None:
            raise RequestRefused(404, "not-found", "There is no such entry.")
        return row

    def _present(self, type: str, fhir_id: str) -> SandboxResource:
        row = self._known(type, fhir_id)
        if row.removed:
            raise RequestRefused(410, "deleted", "The entry was removed.")
        return row

    def _existing(
        self, call: Call, type: str, condition: str, *, lagging: bool
    ) -> SandboxResource | None:
        query = parse_qsl(condition.lstrip("?"), keep_blank_values=True)
        if not query:
            raise RequestRefused(400, "invalid", "If-None-Exist could not be read.")
        try:
            found = searching.search(
                vendor=self.vendor, type=type, query=query, at=call.at, last_request=call.last_request,
                strict=True, lagging=lagging,
            )  # fmt: skip
        except searching.SearchNotUnderstood as error:
            raise RequestRefused(
                400, "not-supported", f"If-None-Exist could not be evaluated: {error}."
            ) from None
        if found.total > 1:
            raise RequestRefused(
                412, "multiple-matches", "If-None-Exist matches more than one entry."
            )
        return found.rows[0][0] if found.rows else None

    def _if_match(self, call: Call) -> int | None:
        given = call.headers.get("if-match", "")
        if not given:
            return None
        text = given.removeprefix("W/").strip('"')
        if not text.isdigit():
            raise RequestRefused(400, "invalid", 'If-Match must look like W/"3".')
        return int(text)

    def _update_of_nothing(
        self, call: Call, row: SandboxResource | None, resource: dict[str, Any], wanted: int | None
    ) -> Answer:
        if row is not None:
            raise RequestRefused(410, "deleted", "The entry was removed.")
        if not behaviour.of(self.vendor, "update_creates"):
            raise RequestRefused(405, "not-supported", "An update cannot create an entry here.")
        if wanted is not None:
            raise RequestRefused(412, "conflict", "There is no such entry, so no version to match.")
        self.check_context(call, resource)
        new = charts.file(
            vendor=self.vendor, resource=self._kept(resource), fhir_id=resource["id"], author=call.author,
            at=call.at, lag=self._lag(call),
        )  # fmt: skip
        return self.written(call, 201, new, self._echo(call, new, resource))

    def _echo(self, call: Call, row: SandboxResource, sent: dict[str, Any]) -> dict[str, Any]:
        if call.spoiler is not None and call.spoiler.echoes_what_was_sent:
            return charts.with_meta(
                sent | {"id": row.fhir_id}, version=row.version, at=row.updated_at
            )
        return self.shown(row, charts.content_of(row))

    def _kept(self, content: dict[str, Any]) -> dict[str, Any]:
        """The content without what this installation does not keep."""
        result = dict(content)
        if not behaviour.of(self.vendor, "identifiers_kept"):
            result.pop("identifier", None)
            result.pop("masterIdentifier", None)
        if not behaviour.all_of(self.vendor).get("security_labels_kept", True) and "meta" in result:
            result["meta"] = {
                key: value for key, value in result["meta"].items() if key != "security"
            }
        return result

    def _lag(self, call: Call) -> charts.Lag | None:
        if call.spoiler and (lag := call.spoiler.lag(at=call.at, last_request=call.last_request)):
            return lag
        milliseconds = behaviour.of(self.vendor, "index_lag_ms")
        return (
            charts.Lag(until=call.at + timedelta(milliseconds=milliseconds))
            if milliseconds
            else None
        )

    def _withdrawn(self) -> list[str]:
        withdrawn: list[str] = behaviour.all_of(self.vendor).get("not_offered", [])
        return withdrawn

    def _offered(self, statement: dict[str, Any]) -> dict[str, Any]:
        """The statement without what this installation has switched off."""
        withdrawn = self._withdrawn()
        for resource in statement["rest"][0]["resource"]:
            resource["interaction"] = [
                each
                for each in resource["interaction"]
                if f"{resource['type']}.{each['code']}" not in withdrawn
            ]
        return statement

    def _no_method(self) -> Answer:
        raise RequestRefused(405, "not-supported", "This interaction is not supported.")


def _version_of(row: SandboxResource, version: int) -> SandboxVersion | None:
    return SandboxVersion.objects.filter(resource=row, version=version).first()
