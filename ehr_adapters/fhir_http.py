"""An adapter whose EHR speaks FHIR R4 over HTTP: rendering and sending.

What differs between FHIR EHRs is a setting, a capability or one of the small methods that a vendor
overrides; what must not differ (nothing followed, nothing repeated, every answer put into its branch)
stands here once.
"""

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, ClassVar

from ehr_adapters import oauth
from ehr_adapters.canonical import strict_r4
from ehr_adapters.canonical.base import (
    ChangeInvalid,
    ChartChange,
    changed_fields,
    fhir_types,
    makes_entry,
    read_change,
)
from ehr_adapters.canonical.exact_json import dumps, loads
from ehr_adapters.canonical.fhir_r4 import Destination, FhirForm, to_fhir
from ehr_adapters.canonical.types import is_fhir_id
from ehr_adapters.capabilities import Capability, CapabilitySet, VersionCheck
from ehr_adapters.contract import (
    AccessToken,
    Baseline,
    PatientIdentity,
    Remark,
    Tag,
    WirePlan,
    WireRequest,
    WriteReceipt,
)
from ehr_adapters.errors import (
    AdapterError,
    AdapterMisconfigured,
    AlreadyThere,
    CannotBeCarried,
    ConnectionLost,
    ContentRefused,
    Issue,
    NotPermitted,
    RateLimited,
    Redirected,
    ServerError,
    TimedOutAfterSend,
    TokenRejected,
    Unreachable,
    UnreadableReply,
    VersionConflict,
)
from ehr_adapters.fhir_finding import FhirFinding
from ehr_adapters.fhir_outcomes import has_errors, json_object, outcome_of, refusal_sentence
from ehr_adapters.fhir_provenance import takes_provenance
from ehr_adapters.fhir_reading import FHIR_JSON, fhir_url
from ehr_adapters.http import (
    EgressRefused,
    HttpClient,
    NeverConnected,
    NotAnswered,
    Reply,
    same_origin,
)


class FhirHttpAdapter(FhirFinding):
    """FHIR R4 over HTTP with SMART backend-services tokens."""

    note_content_type: ClassVar[str] = "text/plain; charset=utf-8"

    # --- discovering -----------------------------------------------------------------------------

    def discover(self, *, at: datetime) -> CapabilitySet:
        """The declaration narrowed by the server's CapabilityStatement: a hint that may only take away."""
        declared = self.declared(self.settings)
        with self._client() as client:
            statement = self._capability_statement(client)
        version = str(statement.get("fhirVersion", ""))
        software = statement.get("software") or {}
        evidence = [
            f"CapabilityStatement, FHIR {version or 'of no stated version'}, "
            f"{software.get('name', 'unnamed software')} {software.get('version', '')}".strip()
        ]
        offered = {
            str(resource.get("type")): resource
            for rest in statement.get("rest") or ()
            if isinstance(rest, dict) and rest.get("mode") == "server"
            for resource in rest.get("resource") or ()
            if isinstance(resource, dict)
        }
        changed: dict[tuple[str, str], dict[str, Any]] = {}
        for capability in declared:
            if not capability.supported:
                continue
            # Where a kind is kept as several types, one of them is enough; the weakest of those offered counts.
            narrowed = [
                self._narrowing(
                    capability, type_name=name, offer=offered.get(name), version=version
                )
                for name in fhir_types(capability.kind, capability.interaction)
            ]
            able = [one for one in narrowed if one.get("supported", True)]
            changed[capability.key] = {}
            for one in able or narrowed[:1]:
                changed[capability.key] |= one
        return declared.narrowed(
            changed,
            found_at=at.isoformat(),
            evidence=evidence,
            provenance=takes_provenance(offered.get("Provenance")),
        )

    def _narrowing(
        self,
        capability: Capability,
        *,
        type_name: str,
        offer: Mapping[str, Any] | None,
        version: str,
    ) -> dict[str, Any]:
        is_new = makes_entry(capability.kind, capability.interaction)
        wanted = "create" if is_new else "update"
        codes = {one.get("code") for one in (offer or {}).get("interaction") or ()}
        if not version.startswith("4."):
            return {"supported": False, "sentence": "The EHR does not say that it speaks FHIR R4."}
        if wanted not in codes:
            return {
                "supported": False,
                "sentence": f"The EHR's own statement does not offer {wanted} of {type_name}.",
            }
        changes: dict[str, Any] = {}
        if capability.conditional_create and (offer or {}).get("conditionalCreate") is False:
            changes |= {"conditional_create": False, "retry": capability.retry.unfenced}
        if (
            capability.version_check is VersionCheck.IF_MATCH
            and (offer or {}).get("versioning") == "no-version"
        ):
            changes |= {"version_check": VersionCheck.NONE, "retry": capability.retry.unfenced}
        return changes

    def _capability_statement(self, client: HttpClient) -> dict[str, Any]:
        try:
            reply = client.exchange(
                "GET",
                fhir_url(self.connection.base_url, "metadata"),
                headers={"Accept": FHIR_JSON},
                deadline=self.connection.deadline,
            )
        except EgressRefused as refused:
            raise AdapterMisconfigured(str(refused)) from None
        except (NeverConnected, NotAnswered):
            raise Unreachable(
                "The EHR did not answer.", connection_kind=self.kind, interaction="discover"
            ) from None
        statement = json_object(reply) if reply.status == 200 else None
        if statement is None or statement.get("resourceType") != "CapabilityStatement":
            raise Unreachable(
                "The EHR's own statement could not be read.",
                connection_kind=self.kind,
                interaction="discover",
                status=reply.status,
            )
        return statement

    # --- rendering -------------------------------------------------------------------------------

    def _render(
        self, change: ChartChange, *, capability: Capability, tag: Tag, baseline: Baseline
    ) -> WirePlan:
        if baseline.identity is None:
            raise self._cannot(
                change, [Issue("patient-unknown", "", "The patient is not known to the EHR.")]
            )
        is_new = change.rule.makes_entry
        target = None if is_new else baseline.target
        current = loads(target.raw) if target is not None else None
        try:
            form = self._to_fhir(change, patient=baseline.identity, tag=tag, current=current)
        except ChangeInvalid as invalid:
            raise self._cannot(
                change, [Issue(i.code, i.pointer, i.sentence) for i in invalid.issues]
            ) from None
        resource = form.resource
        if is_new:
            # What is made from nothing has no excuse; an entry as read may hold whatever its EHR let in.
            broken = [i for i in strict_r4.check(resource) if i.severity != "warning"]
            if broken:
                raise self._cannot(
                    change, [Issue(i.code, i.expression, i.diagnostics) for i in broken]
                )
        resource_type = resource["resourceType"]
        version = target.version_id if target is not None else ""
        if is_new:
            method, path = "POST", resource_type
            scope = f"system/{resource_type}.c"
        else:
            method, path = "PUT", f"{resource_type}/{target.id if target else ''}"
            scope = f"system/{resource_type}.u"
        step = WireRequest(
            method=method,
            path=path,
            headers=tuple(
                self._frozen_headers(capability=capability, tag=tag, version=version, is_new=is_new)
            ),
            body=dumps(resource),
            label=f"{'create' if is_new else 'update'} {resource_type}",
            scope=scope,
        )
        remarks = [Remark(one.code, one.place, one.sentence) for one in form.uncarried]
        before = dict(baseline.target.canonical) if target is not None and baseline.target else {}
        after = self._canonical(resource, kind=change.kind).content
        return WirePlan(
            adapter=self.kind,
            adapter_version=self.version,
            kind=change.kind,
            interaction=str(change.interaction),
            steps=(step,),
            tag=tag,
            finality=capability.finality,
            find=capability.find,
            patient=baseline.identity.reference,
            encounter=baseline.visit.reference if baseline.visit else "",
            target=baseline.target.reference if baseline.target else "",
            expected_version=version,
            touched=changed_fields(change.kind, before, after),
            remarks=tuple(remarks),
            comparable=self._comparable(resource, kind=change.kind),
        )

    def _to_fhir(
        self,
        change: ChartChange,
        *,
        patient: PatientIdentity,
        tag: Tag,
        current: Mapping[str, Any] | None,
    ) -> FhirForm:
        return to_fhir(
            change,
            Destination(
                patient=patient.reference,
                tag_system=tag.system,
                tag_value=tag.uuid,
                tag_short=tag.short,
                current=current,
                content_type=self.note_content_type,
            ),
        )

    def _frozen_headers(
        self, *, capability: Capability, tag: Tag, version: str, is_new: bool
    ) -> Iterator[tuple[str, str]]:
        yield "Content-Type", FHIR_JSON
        yield "Accept", FHIR_JSON
        if is_new and capability.conditional_create:
            yield "If-None-Exist", f"identifier={tag.token}"
        if not is_new and capability.version_check is VersionCheck.IF_MATCH and version:
            yield "If-Match", f'W/"{version}"'

    def parse(self, plan: WirePlan) -> ChartChange:
        if plan.adapter != self.kind or len(plan.steps) != 1:
            raise AdapterMisconfigured("The plan was made by another adapter.")
        resource = loads(plan.steps[0].body)
        content = self._canonical(resource, kind=plan.kind).content
        try:
            return read_change(plan.kind, plan.interaction, content)
        except ChangeInvalid as invalid:
            raise CannotBeCarried(
                "The frozen request cannot be read back.",
                connection_kind=self.kind,
                issues=[Issue(i.code, i.pointer, i.sentence) for i in invalid.issues],
            ) from None

    # --- sending ---------------------------------------------------------------------------------

    def authenticate(self, step: WireRequest) -> AccessToken:
        with self._client() as client:
            return oauth.fetch_token(
                self.connection,
                client=client,
                scope=oauth.in_syntax(step.scope, self.settings.scope_syntax),
                deadline=self.connection.deadline,
                must_grant_all=True,
                accept_wider_grant=self.settings.accept_wider_grant,
            )

    def submit(
        self, step: WireRequest, *, token: AccessToken, earlier: Sequence[WriteReceipt] = ()
    ) -> WriteReceipt:
        body = self._body(step, earlier)
        url = self._address(step)
        try:
            with self._client() as client:
                reply = client.exchange(
                    step.method,
                    url,
                    headers={**dict(step.headers), "Authorization": f"Bearer {token.value}"},
                    body=body,
                    deadline=self.connection.deadline,
                )
        except EgressRefused as refused:
            raise AdapterMisconfigured(str(refused)) from None
        except NeverConnected:
            raise Unreachable(connection_kind=self.kind, interaction=step.label) from None
        except NotAnswered as failed:
            lost = TimedOutAfterSend if failed.timed_out else ConnectionLost
            raise lost(connection_kind=self.kind, interaction=step.label) from None
        return self._receipt(step, reply, token=token)

    def _body(self, step: WireRequest, earlier: Sequence[WriteReceipt]) -> bytes:
        """The frozen bytes, with the id that an earlier write was answered with where they have a slot for it."""
        if bool(step.slots) != bool(earlier):
            raise AdapterMisconfigured("A request's slots are filled from the writes before it.")
        ids: dict[str, str] = {}
        for slot in step.slots:
            place = len(earlier) if slot.from_step is None else slot.from_step
            receipt = next(iter(earlier[place : place + 1]), None)
            key = receipt.reference.partition("/")[2] if receipt else ""
            if slot.source != "earlier_id" or not is_fhir_id(key):
                raise AdapterMisconfigured("A request's slot has nothing to be filled with.")
            ids[slot.marker] = key
        return step.filled(ids)

    def _address(self, step: WireRequest) -> str:
        """Where a step is sent to; raises `AdapterMisconfigured` for a path that is none of this EHR's."""
        if not re.fullmatch(r"[A-Z][A-Za-z]+(?:/[A-Za-z0-9\-.]{1,64})?", step.path):
            raise AdapterMisconfigured("The plan's path is no path of a FHIR resource.")
        return fhir_url(self.connection.base_url, step.path)

    def _receipt(self, step: WireRequest, reply: Reply, *, token: AccessToken) -> WriteReceipt:
        """What a reply proves; raises the branch it belongs to when it is no acknowledgement."""
        facts = self._facts(step, reply)
        status = reply.status
        if status not in {200, 201}:
            raise self._refusal(step, reply, facts)
        body = json_object(reply)
        if body is not None and has_errors(body):
            raise UnreadableReply(
                "The EHR answered success and an error at once. It is not known whether it wrote the change.",
                **facts,
            )
        reference, version = self._named_entry(step, reply, body)
        if reference and step.method == "POST" and status == 200 and step.header("If-None-Exist"):
            raise AlreadyThere(**{**facts, "reference": reference})
        if not reference or not self._is_acknowledged(step, reply, reference):
            raise UnreadableReply(
                "The EHR answered success without naming the entry. It is not known whether it wrote the change.",
                **facts,
            )
        return WriteReceipt(
            acknowledged=True,
            status=status,
            reference=reference,
            version_id=version,
            reply_sha256=facts["reply_sha256"],
            endpoint=fhir_url(self.connection.base_url, step.path),
            scope=token.scope,
        )

    def _is_acknowledged(self, step: WireRequest, reply: Reply, reference: str) -> bool:
        """The least answer that this EHR's capability counts as "taken", beyond a success status and an id."""
        del step, reply
        return bool(reference)

    def _named_entry(
        self, step: WireRequest, reply: Reply, body: Mapping[str, Any] | None
    ) -> tuple[str, str]:
        """("Type/id", version) as the reply names them; only an entry of this server and type counts."""
        type_name, _, wanted_id = step.path.partition("/")
        reference, version = "", _etag(reply)
        location = reply.header("location") or reply.header("content-location")
        if location:
            found = self._entry_of(location, type_name)
            if found:
                reference = found[0]
                version = version or found[1]
        if body is not None and body.get("resourceType") == type_name:
            body_id = str(body.get("id", ""))
            if is_fhir_id(body_id) and not reference:
                reference = f"{type_name}/{body_id}"
            meta = body.get("meta")
            if isinstance(meta, dict) and not version:
                version = str(meta.get("versionId", ""))
        if step.method == "PUT":
            # The id is ours and need not be told; an answer that names another entry, or is something
            # else than this server's (a gateway's page), is no acknowledgement of this one.
            told = body.get("resourceType") if body is not None else None
            is_the_servers = not reply.body or told in {type_name, "OperationOutcome"}
            if not is_the_servers or (reference and reference != step.path):
                return "", ""
            reference = step.path if wanted_id else ""
        return reference, version

    def _entry_of(self, location: str, type_name: str) -> tuple[str, str] | None:
        absolute = same_origin(location, self.connection.base_url)
        if not absolute:
            return None
        rest = absolute[len(self.connection.base_url.rstrip("/")) :].lstrip("/")
        found = re.fullmatch(
            rf"({type_name}/[A-Za-z0-9\-.]{{1,64}})(?:/_history/([A-Za-z0-9\-.]{{1,64}}))?/?", rest
        )
        return (found.group(1), found.group(2) or "") if found else None

    def _facts(self, step: WireRequest, reply: Reply) -> dict[str, Any]:
        issues, vendor_code, vendor_text = outcome_of(json_object(reply))
        return {
            "connection_kind": self.kind,
            "interaction": step.label,
            "status": reply.status,
            "vendor_code": vendor_code,
            "issues": issues,
            "retry_after": oauth.retry_after(reply),
            "reply_sha256": hashlib.sha256(reply.body).hexdigest(),
            "vendor_text": vendor_text,
        }

    def _refusal(self, step: WireRequest, reply: Reply, facts: dict[str, Any]) -> AdapterError:
        """The branch of a status that is no success."""
        status = reply.status
        creating = step.method == "POST"
        if status == 401:
            return TokenRejected(**facts)
        if status == 403:
            return NotPermitted(**facts)
        if status == 429:
            return RateLimited(**facts)
        if status == 412:
            return AlreadyThere(**facts) if creating else VersionConflict(**facts)
        if status == 409:
            return self._conflict(step, facts)
        if status in {404, 410} and not creating:
            return VersionConflict(
                "The entry is no longer in the EHR. Nothing was written.", **facts
            )
        if status in {404, 405, 501} and creating:
            return NotPermitted(
                "The EHR does not offer this to the portal. Nothing was written.", **facts
            )
        if status in {423, 451}:
            return ContentRefused("The chart is locked in the EHR. Nothing was written.", **facts)
        if status in {400, 404, 405, 406, 410, 413, 414, 415, 422, 428, 431}:
            return ContentRefused(refusal_sentence(facts["issues"]), **facts)
        if 300 <= status < 400:
            return Redirected(**facts)
        if status >= 500:
            return ServerError(**facts)
        return UnreadableReply(**facts)

    def _conflict(self, step: WireRequest, facts: dict[str, Any]) -> AdapterError:
        """409 says that something is in the way, not what: the chart is asked."""
        del step
        return AlreadyThere(**facts)


def _etag(reply: Reply) -> str:
    found = re.fullmatch(r'(?:W/)?"([A-Za-z0-9\-.]{1,64})"', reply.header("etag").strip())
    return found.group(1) if found else ""
