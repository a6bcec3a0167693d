"""eClinicalWorks: everything but reading goes through one door, and most of it waits behind it.

The facts are those of the vendor's documentation and of integrators who built on it: a transaction of one
entry to the practice's base address, a number in a 2xx, an App Data tab in which a user reconciles, 250 calls
in a minute of the clock, no word about versions or repeated requests.
"""

import base64
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from typing import Any, ClassVar

from ehr_adapters.canonical.base import ChartChange, fhir_type, makes_entry
from ehr_adapters.canonical.exact_json import loads
from ehr_adapters.canonical.fhir_r4 import CanonicalForm, FhirForm, Uncarried
from ehr_adapters.capabilities import Capability, CapabilitySet
from ehr_adapters.contract import (
    AccessToken,
    Baseline,
    FindResult,
    PatientIdentity,
    Tag,
    Unreadable,
    WirePlan,
    WireRequest,
    WriteReceipt,
)
from ehr_adapters.errors import (
    AdapterError,
    AdapterMisconfigured,
    CannotBeCarried,
    Issue,
    UnreadableReply,
)
from ehr_adapters.fhir_http import FhirHttpAdapter
from ehr_adapters.fhir_outcomes import has_errors, json_object, outcome_of
from ehr_adapters.fhir_reading import FHIR_JSON, FhirReader, fhir_url
from ehr_adapters.http import EgressRefused, HttpClient, NeverConnected, NotAnswered, Reply
from ehr_adapters.vendors.eclinicalworks import contents, note_message
from ehr_adapters.vendors.eclinicalworks.hl7v2 import NotHl7
from ehr_adapters.vendors.eclinicalworks.numbers import SUCCESS, EcwCode, meaning_of
from ehr_adapters.vendors.eclinicalworks.rows import PLACES, rows
from ehr_adapters.vendors.eclinicalworks.settings import EcwSettings
from ehr_adapters.vendors.eclinicalworks.shown import (
    medication_words,
    message_in,
    reaction_words,
    readable,
)
from ehr_adapters.vendors.eclinicalworks.transactions import (
    as_single,
    as_transaction,
    is_note,
    response_in,
    type_in,
)

ALGORITHM = "RS384"
# Types that the vendor's CapabilityStatement serves, with the scopes that its discovery document names; a
# scope that is not among them spoils the whole request for a token.
_SEARCHED = frozenset({
    "AllergyIntolerance", "CarePlan", "Condition", "DiagnosticReport", "DocumentReference", "Encounter", "Goal",
    "Location", "MedicationRequest", "Observation", "Organization", "Patient", "Practitioner", "Provenance",
})  # fmt: skip
_ONLY_READ = frozenset({"Binary", "QuestionnaireResponse", "ServiceRequest"})
SERVED = _SEARCHED | _ONLY_READ
# The types for which the document has a scope to create or update. Further write interfaces are described
# without any: about those its silence says nothing.
_NAMED_FOR_WRITING = _SEARCHED - {"Goal", "CarePlan"}
# The only type whose create the vendor's CapabilityStatement names: a plain FHIR create.
DIRECT = frozenset({"QuestionnaireResponse"})
# Under which types an entry may be named that was written as another: the medication list is kept as one.
_KEPT_AS = {"MedicationStatement": ("MedicationStatement", "MedicationRequest")}


class EcwAdapter(FhirHttpAdapter):
    """The contracted write interfaces of one eClinicalWorks practice, and its FHIR reads."""

    kind: ClassVar[str] = "eclinicalworks"
    version: ClassVar[str] = "1"
    vendor: ClassVar[str] = "eClinicalWorks"
    Settings = EcwSettings
    settings: EcwSettings
    places: ClassVar[Mapping[str, str]] = PLACES
    contexts = {
        **FhirHttpAdapter.contexts,
        "medications": (("MedicationRequest", {"status": "active"}),),
    }

    @classmethod
    def declared(cls, settings: Any) -> CapabilitySet:
        return CapabilitySet(rows(settings), vendor=cls.vendor, version=cls.version)

    # --- what can you do -------------------------------------------------------------------------

    def discover(self, *, at: datetime) -> CapabilitySet:
        """The declaration narrowed by the scopes that this practice's sign-in offers.

        The CapabilityStatement names one create only, that of answers to a questionnaire, whatever a practice
        has contracted: its other silences take nothing away.
        """
        declared = self.declared(self.settings)
        with self._client() as client:
            statement = self._capability_statement(client)
            offered = self._scopes_offered(client)
        version = str(statement.get("fhirVersion", ""))
        software = statement.get("software") or {}
        said = f"{software.get('name', 'unnamed software')} {software.get('version', '')}".strip()
        evidence = [
            f"CapabilityStatement, FHIR {version or 'of no stated version'}, {said}",
            f"SMART configuration, {len(offered)} scopes" if offered else "No list of scopes",
        ]
        changed: dict[tuple[str, str], dict[str, Any]] = {}
        for capability in declared:
            if not capability.supported:
                continue
            scope = self._scope_of(capability.kind, capability.interaction)
            named = fhir_type(capability.kind) in _NAMED_FOR_WRITING
            if not version.startswith("4."):
                sentence = "eClinicalWorks does not say that it speaks FHIR R4."
            elif offered and named and scope not in offered:
                sentence = f"The sign-in of this eClinicalWorks practice does not offer {scope}."
            else:
                continue
            changed[capability.key] = {"supported": False, "sentence": sentence}
        return declared.narrowed(changed, found_at=at.isoformat(), evidence=evidence)

    def _scopes_offered(self, client: HttpClient) -> frozenset[str]:
        """The scopes of the discovery document; none where it cannot be read, which takes nothing away."""
        try:
            reply = client.exchange(
                "GET",
                fhir_url(self.connection.base_url, ".well-known/smart-configuration"),
                headers={"Accept": "application/json"},
                deadline=self.connection.deadline,
            )
        except EgressRefused as refused:
            raise AdapterMisconfigured(str(refused)) from None
        except (NeverConnected, NotAnswered):
            return frozenset()
        said = json_object(reply) if reply.status == 200 else None
        listed = (said or {}).get("scopes_supported")
        return frozenset(map(str, listed)) if isinstance(listed, list) else frozenset()

    def _scope_of(self, kind: str, interaction: str) -> str:
        usual = f"system/{fhir_type(kind)}.{'c' if makes_entry(kind, interaction) else 'u'}"
        return self.settings.write_scopes.get(fhir_type(kind), usual)

    # --- how would you say this ------------------------------------------------------------------

    def _render(
        self, change: ChartChange, *, capability: Capability, tag: Tag, baseline: Baseline
    ) -> WirePlan:
        issues = list(contents.issues_of(change))
        if issues:
            raise self._cannot(change, issues)
        plan = super()._render(change, capability=capability, tag=tag, baseline=baseline)
        step = plan.steps[0] if plan.steps[0].path in DIRECT else as_transaction(plan.steps[0])
        scope = self.settings.write_scopes.get(type_in(step), step.scope)
        return replace(plan, steps=(replace(step, scope=scope),))

    def _to_fhir(
        self,
        change: ChartChange,
        *,
        patient: PatientIdentity,
        tag: Tag,
        current: Mapping[str, Any] | None,
    ) -> FhirForm:
        form = super()._to_fhir(change, patient=patient, tag=tag, current=current)
        resource = dict(form.resource)
        # No interface reads a label; those that an entry has go back as they came.
        resource.pop("meta", None)
        if current is not None and "meta" in current:
            resource["meta"] = current["meta"]
        content = change.model_dump_canonical()
        uncarried = [*form.uncarried, *contents.left_out(change.kind, resource)]
        if content.get("sensitivity", "normal") != "normal":
            uncarried.append(
                Uncarried(
                    "/sensitivity",
                    "eClinicalWorks does not take the sensitivity label from outside.",
                )
            )
        resource = contents.arranged(change.kind, resource, content)
        if change.kind == "note":
            resource.pop("identifier", None)
            resource["content"] = [self._message_of(change, content, patient=patient, tag=tag)]
        return FhirForm(resource, tuple(uncarried))

    def _message_of(
        self,
        change: ChartChange,
        content: Mapping[str, Any],
        *,
        patient: PatientIdentity,
        tag: Tag,
    ) -> dict[str, Any]:
        try:
            raw = note_message.write(
                patient=patient.id,
                encounter=content["encounter"].partition("/")[2],
                sections=content["sections"],
                short=tag.short,
                moment=content.get("date", ""),
                live=self.connection.environment == "live",
                charset=self.settings.repertoire,
            )
        except NotHl7 as cannot:
            raise self._cannot(
                change, [Issue("outside-repertoire", "/sections", str(cannot))]
            ) from None
        data = base64.b64encode(raw).decode()
        return {"attachment": {"contentType": note_message.CONTENT_TYPE, "data": data}}

    def _frozen_headers(
        self, *, capability: Capability, tag: Tag, version: str, is_new: bool
    ) -> Iterator[tuple[str, str]]:
        del capability, tag, version, is_new
        yield "Content-Type", FHIR_JSON
        yield "Accept", FHIR_JSON

    def parse(self, plan: WirePlan) -> ChartChange:
        if plan.adapter != self.kind or len(plan.steps) != 1:
            raise AdapterMisconfigured("The plan was made by another adapter.")
        single = as_single(plan.steps[0])
        if plan.kind == "note":
            self._check_message(plan, loads(single.body))
        return super().parse(replace(plan, steps=(single,)))

    def _check_message(self, plan: WirePlan, resource: Mapping[str, Any]) -> None:
        """Message and document around it must speak of the same patient and visit."""
        found = message_in(resource)
        said = (resource.get("context") or {}).get("encounter") or [{}]
        if (
            found is None
            or f"Patient/{found.patient}" != resource["subject"]["reference"]
            or f"Encounter/{found.encounter}" != said[0].get("reference")
            or found.short != plan.tag.short
        ):
            raise CannotBeCarried(
                "The frozen request cannot be read back.", connection_kind=self.kind
            )

    # --- what the bytes say ----------------------------------------------------------------------

    def _canonical(self, resource: Mapping[str, Any], *, kind: str) -> CanonicalForm:
        return super()._canonical(readable(resource), kind=kind)

    def _comparable(self, resource: Mapping[str, Any], *, kind: str) -> dict[str, Any]:
        if kind == "medication":
            return medication_words(resource, self._canonical(resource, kind=kind).content)
        if kind == "allergy":
            return super()._comparable(reaction_words(resource), kind=kind)
        return super()._comparable(readable(resource), kind=kind)

    # --- sending ---------------------------------------------------------------------------------

    @contextmanager
    def _client(self) -> Iterator[HttpClient]:
        if self.connection.alg != ALGORITHM:
            raise AdapterMisconfigured(f"eClinicalWorks takes {ALGORITHM} and nothing else.")
        with super()._client() as client:
            yield client

    @contextmanager
    def _reading(self, scope: str, *, seconds: float | None = None) -> Iterator[FhirReader]:
        served = " ".join(
            f"system/{name}.r" if name in _ONLY_READ else word
            for word in scope.split()
            if (name := word.removeprefix("system/").partition(".")[0]) in SERVED
        )
        with _until_the_minute_is_over(), super()._reading(served, seconds=seconds) as reader:
            yield reader

    def authenticate(self, step: WireRequest) -> AccessToken:
        with _until_the_minute_is_over():
            return super().authenticate(step)

    def _address(self, step: WireRequest) -> str:
        if step.path in DIRECT and step.method == "POST":
            return super()._address(step)
        if step.path or step.method != "POST":
            raise AdapterMisconfigured("Everything is written to the base address.")
        return self.connection.base_url.rstrip("/")

    def _receipt(self, step: WireRequest, reply: Reply, *, token: AccessToken) -> WriteReceipt:
        if step.path in DIRECT:
            return super()._receipt(step, reply, token=token)
        number, location, facts = self._answered(step, reply)
        if not 200 <= reply.status < 300:
            raise self._refusal(step, reply, facts)
        if number == SUCCESS:
            return self._success(step, reply, location=location, facts=facts, token=token)
        known = meaning_of(number, note=is_note(step)) if number else None
        if known is not None:
            raise _raised(known, facts)
        raise UnreadableReply(
            "eClinicalWorks answered with a number that the portal does not know. It is not known whether it "
            "wrote the change."
            if number
            else "",
            **facts,
        )

    def _success(
        self,
        step: WireRequest,
        reply: Reply,
        *,
        location: str,
        facts: Mapping[str, Any],
        token: AccessToken,
    ) -> WriteReceipt:
        kept_as = _KEPT_AS.get(type_in(step), (type_in(step),))
        named = (self._entry_of(location, one) for one in kept_as if location)
        found = next((one for one in named if one), None)
        single = as_single(step)
        if found is not None and single.method == "PUT" and found[0] != single.path:
            found = None  # another entry than the one that was to change
        if found is None:
            raise UnreadableReply(
                "eClinicalWorks answered success without naming the entry. It is not known whether it wrote the "
                "change.",
                **facts,
            )
        return WriteReceipt(
            acknowledged=True,
            status=reply.status,
            vendor_code=SUCCESS,
            reference=found[0],
            reply_sha256=facts["reply_sha256"],
            endpoint=self._address(step),
            scope=token.scope,
        )

    def _answered(self, step: WireRequest, reply: Reply) -> tuple[str, str, dict[str, Any]]:
        """(the number, the location, the facts) of an answer; "" for what it does not say."""
        body = json_object(reply)
        number, location, outcome = response_in(body)
        issues, vendor_code, vendor_text = outcome_of(outcome)
        if not number and body is not None and has_errors(body):
            number = vendor_code if re.fullmatch(r"[0-9]{1,4}", vendor_code) else ""
        facts: dict[str, Any] = {
            **self._facts(step, reply),
            "vendor_code": number or vendor_code,
            "issues": issues,
            "vendor_text": vendor_text,
        }
        return number, location, facts

    def _refusal(self, step: WireRequest, reply: Reply, facts: dict[str, Any]) -> AdapterError:
        if reply.status == 429 and facts["retry_after"] is None:
            facts = {**facts, "retry_after": _seconds_left()}
        known = meaning_of(str(facts["vendor_code"]), note=is_note(step))
        if 400 <= reply.status < 500 and reply.status not in {401, 429} and known is not None:
            return _raised(known, facts)
        return super()._refusal(as_single(step), reply, facts)

    # --- what is there now -----------------------------------------------------------------------

    def _patient_parameter(self, patient_id: str) -> str:
        return patient_id

    def _searched(
        self,
        what: str,
        resource_type: str,
        query: Sequence[tuple[str, str]],
        *,
        reader: FhirReader,
        unreadable: list[Unreadable],
        pages: int | None = None,
    ) -> list[dict[str, Any]]:
        if resource_type == "MedicationStatement":
            return []  # the list is kept in MedicationRequest
        if resource_type not in SERVED:
            sentence = f"eClinicalWorks does not serve {what} to the portal."
            unreadable.append(Unreadable(what, "not-served", sentence))
            return []
        return super()._searched(
            what, resource_type, query, reader=reader, unreadable=unreadable, pages=pages
        )

    def find(
        self, tags: Sequence[Tag], plan: WirePlan, *, since: datetime, at: datetime
    ) -> FindResult:
        single = replace(plan, steps=(as_single(plan.steps[0]),))
        return super().find(tags, single, since=since, at=at)


def _raised(meaning: EcwCode, facts: Mapping[str, Any]) -> AdapterError:
    return meaning.branch(meaning.sentence, **{**facts, "next_step": meaning.next_step})


# --- the minute ----------------------------------------------------------------------------------


def _seconds_left() -> float:
    """Until the next minute of the clock begins: a 429 blocks everything until then and says nothing of it."""
    return 60.0 - time.time() % 60.0


@contextmanager
def _until_the_minute_is_over() -> Iterator[None]:
    try:
        yield
    except AdapterError as failed:
        if failed.status == 429 and failed.retry_after is None:
            failed.retry_after = _seconds_left()
        raise
