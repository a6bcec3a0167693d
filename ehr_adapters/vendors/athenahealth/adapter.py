"""athenaOne: two interfaces over one chart.

People, visits and what stands beside a change are read by FHIR R4; what is written goes by the proprietary
interface, and is read back there, where its fields are. Of every entry both ids are kept.
"""

import json
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, ClassVar
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from ehr_adapters import forms, oauth
from ehr_adapters.canonical.base import (
    ChangeInvalid,
    ChartChange,
    changed_fields,
    normal_text,
    read_change,
)
from ehr_adapters.canonical.exact_json import dumps, plain
from ehr_adapters.canonical.fhir_r4 import translation
from ehr_adapters.capabilities import Capability, CapabilitySet, FindMethod
from ehr_adapters.contract import (
    AccessToken,
    Baseline,
    FindHit,
    FindResult,
    PatientIdentity,
    ReadRequest,
    Snapshot,
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
    ConnectionLost,
    Issue,
    NotPermitted,
    TimedOutAfterSend,
    Unreachable,
    UnreadableReply,
)
from ehr_adapters.fhir_http import FhirHttpAdapter
from ehr_adapters.fhir_reading import FhirReader
from ehr_adapters.http import EgressRefused, HttpClient, NeverConnected, NotAnswered, Reply
from ehr_adapters.vendors.athenahealth import answers, lists, names
from ehr_adapters.vendors.athenahealth.allergies import ALLERGIES
from ehr_adapters.vendors.athenahealth.budget import BudgetedClient, budgets
from ehr_adapters.vendors.athenahealth.cases import CASES
from ehr_adapters.vendors.athenahealth.contact import CONTACT
from ehr_adapters.vendors.athenahealth.medications import MEDICATIONS
from ehr_adapters.vendors.athenahealth.notes import NOTES
from ehr_adapters.vendors.athenahealth.problems import PROBLEMS
from ehr_adapters.vendors.athenahealth.reading import Listed, V1Reader, practice_of, root_of
from ehr_adapters.vendors.athenahealth.rows import PLACES, rows
from ehr_adapters.vendors.athenahealth.settings import AthenaSettings
from ehr_adapters.vendors.athenahealth.speech import (
    CannotBeSaid,
    Chart,
    Destination,
    Dialect,
    Entry,
    Practice,
    Said,
    Shape,
)
from ehr_adapters.vendors.athenahealth.spelling import Numbers, read_date
from ehr_adapters.vendors.athenahealth.vitals import VITALS

DIALECTS: Mapping[str, Dialect] = {
    "note": NOTES,
    "problem": PROBLEMS,
    "vitals": VITALS,
    "task": CASES,
    "allergy": ALLERGIES,
    "medication": MEDICATIONS,
    "demographics": CONTACT,
}
# Kinds whose entries are read by FHIR, in whose codes other EHRs and clinical rules speak of them.
_BY_FHIR = frozenset({"note", "allergy", "medication", "demographics"})
# Under this name the shape of an entry in the proprietary interface travels with what FHIR says of it.
_TWIN = "twin"

# Everything that is read beside a change. Tokens are few a minute, so that one serves every read.
_READ_SCOPE = " ".join(
    f"system/{name}.rs"
    for name in (
        "AllergyIntolerance", "CarePlan", "Condition", "DocumentReference", "Encounter", "Goal",
        "MedicationRequest", "Observation", "Patient", "Practitioner", "QuestionnaireResponse",
    )
)  # fmt: skip
# The id that a write is answered with, by its place below the practice, and the type that it has here.
_ANSWERED_IDS = (
    (r"patients/\d+/documents/clinicaldocument", "clinicaldocumentid", "DocumentReference"),
    (r"patients/\d+/documents/patientcase", "patientcaseid", "Task"),
    (r"chart/\d+/problems(?:/\d+)?", "problemid", "Condition"),
    (r"patients/\d+", "patientid", "Patient"),
    (r"chart/\d+/medications(?:/\d+)?", "medicationentryid", "MedicationRequest"),
    (r"chart/encounter/\d+/diagnoses", "diagnosisid", "Condition"),
)
_LOOKS: Mapping[str, Callable[[V1Reader, Mapping[str, Any]], dict[str, str]]] = {
    "allergy": names.of_allergy,
    "medication": names.of_medication,
}
_PATH = re.compile(r"v1/(\d{1,12})/([a-z0-9]+(?:/[a-z0-9]+){0,8})")
_OPEN = frozenset({"OPEN", "REVIEW"})


class AthenaHealthAdapter(FhirHttpAdapter):
    """One practice of athenaOne."""

    kind: ClassVar[str] = "athenahealth"
    version: ClassVar[str] = "1"
    vendor: ClassVar[str] = "athenaOne"
    Settings = AthenaSettings
    settings: AthenaSettings
    places: ClassVar[dict[str, str]] = PLACES
    contexts = {
        what: tuple(pair for pair in pairs if pair[0] != "MedicationStatement")
        for what, pairs in FhirHttpAdapter.contexts.items()
    }

    @classmethod
    def declared(cls, settings: Any) -> CapabilitySet:
        return CapabilitySet(rows(settings), vendor=cls.vendor, version=cls.version)

    @property
    def practice(self) -> Practice:
        try:
            zone = ZoneInfo(self.connection.time_zone)
        except (ZoneInfoNotFoundError, ValueError):
            raise AdapterMisconfigured("The connection names an unknown time zone.") from None
        numbers = Numbers(
            practice_of(self.settings),
            self.settings.patient_id_letter,
            self.settings.entry_id_letter,
        )
        return Practice(numbers, zone, self.settings)

    # --- the way there ---------------------------------------------------------------------------

    @contextmanager
    def _client(self) -> Iterator[HttpClient]:
        connection = self.connection
        with super()._client() as client:
            yield BudgetedClient(
                client,
                budget=budgets.of(connection.token_url, connection.client_id),
                token_url=connection.token_url,
                mints=self.settings.token_mints_per_minute,
                calls=self.settings.calls_per_second,
                header=self.settings.quota_header,
            )

    @contextmanager
    def _reading(self, scope: str, *, seconds: float | None = None) -> Iterator[FhirReader]:
        del scope
        with super()._reading(_READ_SCOPE, seconds=seconds) as reader:
            yield reader

    @contextmanager
    def _v1(self, *, seconds: float | None = None) -> Iterator[V1Reader]:
        with self._client() as client:
            yield V1Reader(
                self.connection,
                settings=self.settings,
                client=client,
                seconds=seconds or self.connection.deadline,
            )

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

    # --- what is there now -----------------------------------------------------------------------

    def read(self, request: ReadRequest) -> Baseline:
        if request.kind not in DIALECTS:
            return super().read(request)
        root_of(self.connection)
        numbers = self.practice.numbers
        by_fhir = request.kind in _BY_FHIR
        ends_at = time.monotonic() + (request.deadline or self.connection.deadline)
        beside = request if by_fhir else replace(request, target="", neighbourhood=False)
        baseline = super().read(beside)
        if baseline.patient is None or not numbers.number_of(baseline.patient.id):
            gone = () if by_fhir or not request.target else ("target",)
            return replace(baseline, missing=(*baseline.missing, *gone))
        with self._v1(seconds=max(0.05, ends_at - time.monotonic())) as reader:
            baseline = self._at_its_place(baseline, reader=reader)
            baseline = self._with_names(baseline, request=request, reader=reader)
            if by_fhir:
                return self._with_shape(baseline, request=request, reader=reader)
            return self._with_twins(baseline, request=request, reader=reader)

    def _searched(self, what: str, resource_type: str, *more: Any, **named: Any) -> Any:
        # The FHIR side keeps the whole list as MedicationRequest, and serves no MedicationStatement.
        if resource_type == "MedicationStatement":
            return []
        return super()._searched(what, resource_type, *more, **named)

    def _at_its_place(self, baseline: Baseline, *, reader: V1Reader) -> Baseline:
        """The baseline with the numbers, the department and the state of the visit from the other interface."""
        patient, visit, encounter = baseline.patient, baseline.visit, baseline.encounter
        numbers = self.practice.numbers
        number = numbers.number_of(patient.id) if patient else ""
        department, state = "", ""
        if encounter is not None:
            there = numbers.number_of(encounter.id)
            found = reader.one(f"chart/encounter/{there}") if there else None
            if found is not None and str(found.get("patientid", number)) == number:
                department, state = str(found.get("departmentid", "")), str(found.get("status", ""))
                own = {**encounter.ids, "write": there, "department": department, "state": state}
                encounter = replace(encounter, ids=own)
            else:
                encounter = replace(encounter, ids={**encounter.ids, "write": ""})
            visit = replace(visit, open=state in _OPEN) if visit else None
        department = department or self.settings.department_id
        if not department and number:
            found = reader.one(f"patients/{number}") or {}
            department = str(found.get("departmentid") or found.get("primarydepartmentid") or "")
        if patient is not None:
            own = {**patient.ids, "write": number, "department": department}
            patient = replace(patient, ids=own)
        return replace(baseline, patient=patient, encounter=encounter, visit=visit)

    def _with_names(
        self, baseline: Baseline, *, request: ReadRequest, reader: V1Reader
    ) -> Baseline:
        """The baseline with athenaOne's own numbers for what the change names."""
        look = _LOOKS.get(request.kind)
        if look is None or baseline.patient is None or not request.content:
            return baseline
        held = baseline.target.canonical if baseline.target else {}
        found = look(reader, {**held, **request.content})
        patient = replace(baseline.patient, ids={**baseline.patient.ids, **found})
        return replace(baseline, patient=patient)

    def _with_shape(
        self, baseline: Baseline, *, request: ReadRequest, reader: V1Reader
    ) -> Baseline:
        """The baseline with what the other interface says of the entry that is to be changed."""
        target = baseline.target
        if request.kind not in {"medication", "demographics"} or target is None:
            return baseline
        dialect, chart = DIALECTS[request.kind], self._chart(baseline)
        number = chart.practice.numbers.number_of(target.id)
        listed = lists.LISTS[request.kind](reader, chart)
        for entry in self._entries(dialect, listed.entries):
            if entry.number == number:
                text = json.dumps(_compared(entry.shape), sort_keys=True)
                own = {**target.ids, "write": number, _TWIN: text}
                return replace(baseline, target=replace(target, ids=own))
        return baseline

    def _chart(self, baseline: Baseline) -> Chart:
        patient = baseline.patient.ids if baseline.patient else {}
        visit = baseline.encounter.ids if baseline.encounter else {}
        return Chart(
            practice=self.practice,
            patient=patient.get("write", ""),
            department=patient.get("department", ""),
            encounter=visit.get("write", "") if "state" in visit else "",
            state=visit.get("state", ""),
        )

    def _with_twins(
        self, baseline: Baseline, *, request: ReadRequest, reader: V1Reader
    ) -> Baseline:
        dialect = DIALECTS[request.kind]
        chart = self._chart(baseline)
        missing, unreadable = list(baseline.missing), list(baseline.unreadable)
        target_number = chart.practice.numbers.number_of(request.target)
        target: Snapshot | None = None
        neighbours: list[Snapshot] = []
        words = translation(request.kind).words
        try:
            listed = lists.LISTS[request.kind](reader, chart)
        except AdapterError as failed:
            if request.target:
                raise
            said = f"The {words} could not be read: {failed.sentence}"
            unreadable.append(Unreadable(words, failed.name, said))
            listed = Listed()
        if not listed.complete:
            said = f"Not all {words} could be read ({listed.reason})."
            unreadable.append(Unreadable(words, listed.reason, said))
        for entry in self._entries(dialect, listed.entries):
            if entry.number == target_number and request.target:
                target = self._twin(entry, dialect, request.kind, "target", baseline, request.at)
                target = replace(target, id=request.target.rpartition("/")[2])
            elif request.neighbourhood:
                one = self._twin(entry, dialect, request.kind, "neighbour", baseline, request.at)
                if dialect.is_active(one.canonical):
                    neighbours.append(one)
        if request.target and target is None:
            missing.append("target")
        return replace(
            baseline,
            target=target,
            neighbourhood=(*neighbours, *baseline.neighbourhood),
            missing=tuple(missing),
            unreadable=tuple(unreadable),
        )

    @staticmethod
    def _entries(dialect: Dialect, raw: Sequence[Mapping[str, Any]]) -> Iterator[Entry]:
        for one in raw:
            number = dialect.number_of(one)
            if number:
                yield Entry(number, one, dialect.shape(one))

    def _twin(
        self,
        entry: Entry,
        dialect: Dialect,
        kind: str,
        role: str,
        baseline: Baseline | str,
        at: datetime,
    ) -> Snapshot:
        patient = baseline if isinstance(baseline, str) else ""
        if isinstance(baseline, Baseline) and baseline.identity is not None:
            patient = baseline.identity.reference
        fhir_id = self.practice.numbers.fhir_id(dialect.type_name, entry.number)
        return Snapshot(
            role=role,
            resource_type=dialect.type_name,
            id=fhir_id,
            raw=dumps(plain(entry.raw)),
            read_at=at,
            kind=kind,
            patient=patient,
            canonical=dialect.read(entry.shape, self.practice),
            comparable=_compared(entry.shape),
            last_updated=str(entry.raw.get("lastmodifieddatetime", "")),
            ids={"read": fhir_id, "write": entry.number},
            uncarried=("status",) if kind == "problem" and "status" in entry.shape else (),
            tags=dialect.tags(entry.shape),
        )

    def read_entry(self, *, kind: str, reference: str, at: datetime) -> Snapshot | None:
        """By the FHIR side first: it knows whose entry it is, which the other interface has to be told."""
        seen = super().read_entry(kind=kind, reference=reference, at=at)
        if seen is None or kind not in DIALECTS or kind in _BY_FHIR - {"note"} or not seen.patient:
            return seen
        return self._read_twin(kind, seen.patient, reference, at=at)

    def _read_twin(
        self, kind: str, patient: str, reference: str, *, at: datetime, encounter: str = ""
    ) -> Snapshot | None:
        dialect = DIALECTS[kind]
        numbers = self.practice.numbers
        wanted = numbers.number_of(reference)
        with self._v1() as reader:
            chart = self._chart_of(patient, encounter, reader=reader)
            if kind == "note":
                raw = lists.with_text(reader, chart, wanted) if wanted else None
                listed = [raw] if raw else []
            else:
                listed = lists.LISTS[kind](reader, chart).entries
        for entry in self._entries(dialect, listed):
            if entry.number == wanted:
                found = self._twin(entry, dialect, kind, "target", patient, at)
                return replace(found, id=reference.rpartition("/")[2])
        return None

    def _chart_of(self, patient: str, encounter: str, *, reader: V1Reader) -> Chart:
        practice = self.practice
        number = practice.numbers.number_of(patient)
        department = self.settings.department_id
        if not department:
            found = reader.one(f"patients/{number}") or {}
            department = str(found.get("departmentid") or found.get("primarydepartmentid") or "")
        return Chart(practice, number, department, practice.numbers.number_of(encounter))

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
        twin = target if change.kind not in _BY_FHIR else None
        before = dict(twin.comparable) if twin is not None else {}
        if target is not None and _TWIN in target.ids:
            before = json.loads(target.ids[_TWIN])
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
            comparable=_compared(shape),
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

    # --- did you do it ---------------------------------------------------------------------------

    def find(
        self, tags: Sequence[Tag], plan: WirePlan, *, since: datetime, at: datetime
    ) -> FindResult:
        if plan.kind not in DIALECTS:
            return super().find(tags, plan, since=since, at=at)
        looks: dict[FindMethod, Callable[..., FindResult]] = {
            FindMethod.SCAN: self._scanned,
            FindMethod.MATCH: self._matched,
            FindMethod.TARGET: self._targeted,
            FindMethod.KEY: self._keyed,
        }
        look = looks.get(plan.find)
        result = FindResult(method=plan.find, since=since, until=at)
        if look is None:
            return replace(result, reason="athenaOne does not show such entries.")
        try:
            return look(result, tags=tags, plan=plan)
        except AdapterError as failed:
            return replace(result, complete=False, reason=failed.name)

    def _targeted(self, result: FindResult, *, tags: Sequence[Tag], plan: WirePlan) -> FindResult:
        del tags
        found = self._read_twin(
            plan.kind, plan.patient, plan.target, at=result.until, encounter=plan.encounter
        )
        hits = () if found is None else (FindHit(found),)
        return replace(result, pages=1, complete=True, hits=hits)

    def _matched(self, result: FindResult, *, tags: Sequence[Tag], plan: WirePlan) -> FindResult:
        """Every entry of the kind in the chart: equal content is a candidate, no proof."""
        del tags
        dialect = DIALECTS[plan.kind]
        with self._v1() as reader:
            chart = self._chart_of(plan.patient, plan.encounter, reader=reader)
            listed = lists.LISTS[plan.kind](reader, chart)
        hits = tuple(
            FindHit(self._twin(entry, dialect, plan.kind, "found", plan.patient, result.until))
            for entry in self._entries(dialect, listed.entries)
        )
        return replace(
            result,
            pages=listed.pages,
            complete=listed.complete,
            reason=listed.reason,
            hits=hits,
        )

    def _keyed(self, result: FindResult, *, tags: Sequence[Tag], plan: WirePlan) -> FindResult:
        """The one entry that athenaOne keeps under the same number."""
        found = self._matched(result, tags=tags, plan=plan)
        same = [
            hit
            for hit in found.hits
            if all(
                hit.snapshot.comparable.get(key) == plan.comparable.get(key)
                for key in ("allergenid", "nkda")
            )
        ]
        return replace(found, hits=tuple(same))

    def _scanned(self, result: FindResult, *, tags: Sequence[Tag], plan: WirePlan) -> FindResult:
        """The patient's documents since the day before, each with its text, looked through for the tags."""
        dialect = DIALECTS[plan.kind]
        first = (result.since - timedelta(days=1)).astimezone(self.practice.zone).date()
        hits: list[FindHit] = []
        with self._v1() as reader:
            chart = self._chart_of(plan.patient, "", reader=reader)
            listed = lists.LISTS[plan.kind](reader, chart)
            for entry in self._entries(dialect, listed.entries):
                created = read_date(str(entry.raw.get("createddate", "")))
                if created and created < first.isoformat():
                    continue
                raw = (
                    lists.with_text(reader, chart, entry.number)
                    if plan.kind == "note"
                    else entry.raw
                )
                if raw is None:
                    continue
                whole = Entry(entry.number, raw, dialect.shape(raw))
                seen = self._twin(whole, dialect, plan.kind, "found", plan.patient, result.until)
                hits += [FindHit(seen, tag) for tag in tags if seen.carries(tag)][:1]
        found = replace(
            result,
            pages=listed.pages,
            complete=listed.complete,
            reason=listed.reason,
            hits=tuple(hits),
        )
        proven = {
            "note": self.settings.documents_listed_probed,
            "task": self.settings.cases_listed_probed,
        }
        if hits or proven[plan.kind]:
            return found
        unproven = "This athenaOne is not known to list such entries with their internal note."
        return replace(found, complete=False, reason=found.reason or unproven)


def _compared(shape: Mapping[str, Any]) -> Shape:
    """A shape as it is compared: without the words that athenaOne puts to a code itself, line ends aside."""
    return {
        name: normal_text(value) if isinstance(value, str) else value
        for name, value in shape.items()
        if name != "name"
    }


def _fields_of(step: WireRequest) -> list[tuple[str, str]]:
    kind = step.header("Content-Type")
    if kind == forms.URL_ENCODED:
        return forms.read_url_encoded(step.body)
    return forms.read_multipart(step.body, content_type=kind)
