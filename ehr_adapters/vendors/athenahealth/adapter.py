"""athenaOne: two interfaces over one chart.

People, visits and what stands beside a change are read by FHIR R4; what is written goes by the proprietary
interface, and is read back there, where its fields are. Of every entry both ids are kept.
"""

import json
import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, ClassVar

from ehr_adapters import forms, oauth
from ehr_adapters.canonical.base import (
    ChangeInvalid,
    ChartChange,
    changed_fields,
    read_change,
)
from ehr_adapters.capabilities import Capability, CapabilitySet
from ehr_adapters.contract import (
    AccessToken,
    Baseline,
    PatientIdentity,
    Tag,
    WirePlan,
    WireRequest,
    WriteReceipt,
)
from ehr_adapters.errors import (
    AdapterMisconfigured,
    CannotBeCarried,
    ConnectionLost,
    Issue,
    NotPermitted,
    TimedOutAfterSend,
    Unreachable,
    UnreadableReply,
)
from ehr_adapters.http import EgressRefused, NeverConnected, NotAnswered, Reply
from ehr_adapters.vendors.athenahealth import answers, names
from ehr_adapters.vendors.athenahealth.finding import AthenaFinding
from ehr_adapters.vendors.athenahealth.reading import root_of
from ehr_adapters.vendors.athenahealth.rows import PLACES, rows
from ehr_adapters.vendors.athenahealth.settings import AthenaSettings
from ehr_adapters.vendors.athenahealth.speech import (
    CannotBeSaid,
    Chart,
    Destination,
    Said,
)
from ehr_adapters.vendors.athenahealth.twins import BY_FHIR, DIALECTS, TWIN, compared

# The id that a write is answered with, by its place below the practice, and the type that it has here.
_ANSWERED_IDS = (
    (r"patients/\d+/documents/clinicaldocument", "clinicaldocumentid", "DocumentReference"),
    (r"patients/\d+/documents/patientcase", "patientcaseid", "Task"),
    (r"chart/\d+/problems(?:/\d+)?", "problemid", "Condition"),
    (r"patients/\d+", "patientid", "Patient"),
    (r"chart/\d+/medications(?:/\d+)?", "medicationentryid", "MedicationRequest"),
    (r"chart/encounter/\d+/diagnoses", "diagnosisid", "Condition"),
)
_PATH = re.compile(r"v1/(\d{1,12})/([a-z0-9]+(?:/[a-z0-9]+){0,8})")


class AthenaHealthAdapter(AthenaFinding):
    """One practice of athenaOne."""

    kind: ClassVar[str] = "athenahealth"
    version: ClassVar[str] = "1"
    vendor: ClassVar[str] = "athenaOne"
    Settings = AthenaSettings
    settings: AthenaSettings
    places: ClassVar[dict[str, str]] = PLACES

    @classmethod
    def declared(cls, settings: Any) -> CapabilitySet:
        return CapabilitySet(rows(settings), vendor=cls.vendor, version=cls.version)

    # --- what can you do -------------------------------------------------------------------------

    def discover(self, *, at: datetime) -> CapabilitySet:
        """The declaration narrowed by what the FHIR side states and what a harmless read of the other allows."""
        found = super().discover(at=at)
        declared = self.declared(self.settings)
        spoken = [c.key for c in declared if c.supported and c.kind in DIALECTS]
        # The FHIR side's statement says nothing of what goes by the proprietary interface.
        changed: dict[tuple[str, str], dict[str, Any]] = {
            c.key: {"supported": c.supported, "sentence": c.sentence}
            for c in found
            if c.key not in spoken
        }
        evidence = list(found.evidence)
        try:
            with self._v1() as reader:
                departments = reader.every("departments", "departments")
        except NotPermitted:
            sentence = (
                "athenaOne does not let the portal use the interface by which it is written to."
            )
            changed |= {key: {"supported": False, "sentence": sentence} for key in spoken}
            evidence.append("The proprietary interface: not permitted.")
        else:
            numbers = [str(one.get("departmentid", "")) for one in departments.entries]
            evidence.append(f"The proprietary interface answered with {len(numbers)} departments.")
            wanted = self.settings.department_id
            if wanted and departments.complete and wanted not in numbers:
                sentence = "athenaOne does not know the department that the connection names."
                changed |= {key: {"supported": False, "sentence": sentence} for key in spoken}
        return declared.narrowed(changed, found_at=at.isoformat(), evidence=evidence)

    # --- how would you say this ------------------------------------------------------------------

    def _render(
        self, change: ChartChange, *, capability: Capability, tag: Tag, baseline: Baseline
    ) -> WirePlan:
        dialect = DIALECTS.get(change.kind)
        if dialect is None:
            return super()._render(change, capability=capability, tag=tag, baseline=baseline)
        identity = self._identity(change, baseline)
        chart = self._chart(baseline)
        if not chart.patient or not chart.department:
            raise self._cannot(
                change,
                [Issue("no-department", "", "The patient's department in athenaOne is not known.")],
            )
        target = baseline.target if change.rule.needs_target else None
        twin = target if change.kind not in BY_FHIR else None
        before = dict(twin.comparable) if twin is not None else {}
        if target is not None and TWIN in target.ids:
            before = json.loads(target.ids[TWIN])
        try:
            said = dialect.say(
                change,
                Destination(
                    chart=chart,
                    tag=tag,
                    target=target.ids.get("write", "") if target else "",
                    before=before,
                    held=target.canonical if target else {},
                    looked_up=names.looked_up(baseline.patient.ids if baseline.patient else {}),
                ),
            )
            step = self._step(said, chart=chart, tag=tag)
        except CannotBeSaid as refused:
            raise self._cannot(change, refused.issues) from None
        shape = dialect.after(said.place, dict(said.fields), before)
        held = dict(target.canonical) if target else {}
        return WirePlan(
            adapter=self.kind,
            adapter_version=self.version,
            kind=change.kind,
            interaction=str(change.interaction),
            steps=(step,),
            tag=tag,
            finality=capability.finality,
            find=capability.find,
            patient=identity.reference,
            encounter=baseline.visit.reference if baseline.visit else "",
            target=target.reference if target else "",
            touched=changed_fields(change.kind, held, dialect.read(shape, chart.practice)),
            remarks=said.remarks,
            comparable=compared(shape),
        )

    def _identity(self, change: ChartChange, baseline: Baseline) -> PatientIdentity:
        if baseline.identity is None:
            raise self._cannot(
                change, [Issue("patient-unknown", "", "The patient is not known to the EHR.")]
            )
        return baseline.identity

    def _step(self, said: Said, *, chart: Chart, tag: Tag) -> WireRequest:
        if said.in_parts:
            boundary = f"reviewportal-{tag.uuid}"
            kind = forms.multipart_type(boundary)
            try:
                body = forms.multipart(said.fields, boundary=boundary)
            except forms.NotAForm:
                raise CannotBeSaid(
                    [Issue("not-a-form", "", "The text cannot stand in athenaOne's form.")]
                ) from None
        else:
            kind, body = forms.URL_ENCODED, forms.url_encoded(said.fields)
        return WireRequest(
            method=said.method,
            path=f"v1/{chart.practice.numbers.practice}/{said.place}",
            headers=(("Content-Type", kind), ("Accept", "application/json")),
            body=body,
            label=said.label,
            scope=self.settings.write_scope,
        )

    def parse(self, plan: WirePlan) -> ChartChange:
        dialect = DIALECTS.get(plan.kind)
        if dialect is None:
            return super().parse(plan)
        if plan.adapter != self.kind or len(plan.steps) != 1:
            raise AdapterMisconfigured("The plan was made by another adapter.")
        step = plan.steps[0]
        _, place = self._place_of(step)
        try:
            fields = dict(_fields_of(step))
            before = plan.comparable if plan.target else {}
            content = dialect.read(dialect.after(place, fields, before), self.practice)
            return read_change(plan.kind, plan.interaction, content)
        except (ChangeInvalid, forms.NotAForm):
            raise CannotBeCarried(
                "The frozen request cannot be read back.", connection_kind=self.kind
            ) from None

    @staticmethod
    def _place_of(step: WireRequest) -> tuple[str, str]:
        found = _PATH.fullmatch(step.path)
        if found is None:
            raise AdapterMisconfigured("The plan's path is no place of this interface.")
        return found[1], found[2]

    # --- please do it ----------------------------------------------------------------------------

    def authenticate(self, step: WireRequest) -> AccessToken:
        if not step.path.startswith("v1/"):
            return super().authenticate(step)
        with self._client() as client:
            token = oauth.fetch_token(
                self.connection,
                client=client,
                scope=step.scope,
                deadline=self.connection.deadline,
                must_grant_all=True,
                accept_wider_grant=self.settings.accept_wider_grant,
            )
        if step.scope not in token.scope.split():
            raise NotPermitted(
                f"The EHR did not grant the portal {step.scope}.",
                connection_kind=self.kind,
                vendor_code="scope-not-granted",
            )
        return token

    def submit(
        self, step: WireRequest, *, token: AccessToken, earlier: Sequence[WriteReceipt] = ()
    ) -> WriteReceipt:
        if not step.path.startswith("v1/"):
            return super().submit(step, token=token, earlier=earlier)
        self._place_of(step)
        if step.slots or earlier:
            raise AdapterMisconfigured("This adapter's requests have no slots.")
        url = f"{root_of(self.connection)}/{step.path}"
        try:
            with self._client() as client:
                reply = client.exchange(
                    step.method,
                    url,
                    headers={**dict(step.headers), "Authorization": f"Bearer {token.value}"},
                    body=step.body,
                    deadline=self.connection.deadline,
                )
        except EgressRefused as refused:
            raise AdapterMisconfigured(str(refused)) from None
        except NeverConnected:
            raise Unreachable(connection_kind=self.kind, interaction=step.label) from None
        except NotAnswered as failed:
            lost = TimedOutAfterSend if failed.timed_out else ConnectionLost
            raise lost(connection_kind=self.kind, interaction=step.label) from None
        return self._taken(step, reply, token=token, url=url)

    def _taken(
        self, step: WireRequest, reply: Reply, *, token: AccessToken, url: str
    ) -> WriteReceipt:
        facts = answers.facts_of(step, reply)
        closed = self.settings.closed_visit_words
        if reply.status not in {200, 201}:
            raise answers.refusal_of(step, reply, facts, closed_words=closed)
        answer = answers.success_of(answers.body_of(reply))
        yes = answers.said_yes(answer) if answer is not None else None
        if yes is False:
            raise answers.failure_inside(facts, closed_words=closed)
        reference = self._named(step, answer or {})
        if answer is None or reference is None:
            raise UnreadableReply(
                "The EHR answered success without naming the entry. It is not known whether it wrote the change.",
                **facts,
            )
        return WriteReceipt(
            acknowledged=True,
            status=reply.status,
            reference=reference,
            reply_sha256=facts["reply_sha256"],
            endpoint=url,
            scope=token.scope,
        )

    def _named(self, step: WireRequest, answer: Mapping[str, Any]) -> str | None:
        """ "Type/id" of what an answer names; None where it should name one and does not."""
        _, place = self._place_of(step)
        for pattern, name, type_name in _ANSWERED_IDS:
            if not re.fullmatch(pattern, place):
                continue
            number = str(answer.get(name, ""))
            if not re.fullmatch(r"\d{1,12}", number):
                return None
            if step.method == "PUT" and number != place.rpartition("/")[2]:
                return None
            return self.practice.numbers.reference(type_name, number)
        return "" if answers.said_yes(answer) else None


def _fields_of(step: WireRequest) -> list[tuple[str, str]]:
    kind = step.header("Content-Type")
    if kind == forms.URL_ENCODED:
        return forms.read_url_encoded(step.body)
    return forms.read_multipart(step.body, content_type=kind)
