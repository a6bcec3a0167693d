"""The AdvancedMD adapter: reads by FHIR, writes by Connect messages.

AdvancedMD documents tokens without a person for bulk export only; that such a token also reads single
entries is what the practice's contract has to say. Without it every read is refused, and so every change.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from ehr_adapters import oauth
from ehr_adapters.canonical.base import (
    ChangeInvalid,
    ChartChange,
    changed_fields,
    read_change,
)
from ehr_adapters.canonical.r4.parts import CONFIDENTIALITY
from ehr_adapters.capabilities import Capability
from ehr_adapters.contract import (
    AccessToken,
    Baseline,
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
from ehr_adapters.fhir_outcomes import json_object
from ehr_adapters.http import EgressRefused, NeverConnected, NotAnswered, Reply
from ehr_adapters.vendors.advancedmd import (
    appointment,
    budget,
    care_plan,
    demographics,
    messages,
    note,
    problem,
    session,
)
from ehr_adapters.vendors.advancedmd.faults import error_of
from ehr_adapters.vendors.advancedmd.messages import NotAMessage
from ehr_adapters.vendors.advancedmd.reading import AdvancedMdReading
from ehr_adapters.vendors.advancedmd.saying import Said

# What an action's answer names, where it is no problem.
_TYPES: Mapping[str, str] = {
    note.ADD: "DocumentReference",
    care_plan.ADD: "CarePlan",
    demographics.UPDATE: "Patient",
}


class AdvancedMdAdapter(AdvancedMdReading):
    """AdvancedMD: FHIR R4 for reading, Connect for writing."""

    # --- how would you say this ------------------------------------------------------------------

    def _render(
        self, change: ChartChange, *, capability: Capability, tag: Tag, baseline: Baseline
    ) -> WirePlan:
        identity = baseline.identity
        if identity is None or baseline.patient is None:
            raise self._cannot(
                change, [Issue("patient-unknown", "", "The patient is not known to the EHR.")]
            )
        patient = self._connect_id(baseline.patient)
        target = baseline.target if change.rule.needs_target else None
        known = [patient] if target is None else [patient, self._connect_id(target)]
        if not all(known):
            sentence = "AdvancedMD's own number of the patient or of the entry is not known."
            raise self._cannot(change, [Issue("number-unknown", "", sentence)])
        said = self._said(
            change, identity=identity.reference, patient=patient, tag=tag, baseline=baseline
        )
        plan = WirePlan(
            adapter=self.kind,
            adapter_version=self.version,
            kind=change.kind,
            interaction=str(change.interaction),
            steps=(said.step,),
            tag=tag,
            finality=capability.finality,
            find=capability.find,
            patient=identity.reference,
            encounter=baseline.visit.reference if baseline.visit else "",
            target=target.reference if target else "",
            expected_version=target.version_id if target else "",
            remarks=said.remarks,
            comparable=self._comparable(said.shown, kind=change.kind),
        )
        before = dict(target.canonical) if target else {}
        return replace(plan, touched=changed_fields(change.kind, before, self._heard(plan)))

    def _said(
        self, change: ChartChange, *, identity: str, patient: str, tag: Tag, baseline: Baseline
    ) -> Said:
        target = baseline.target if change.rule.needs_target else None
        number = self._connect_id(target) if target else ""
        match change.kind:
            case "note":
                issues = [*self._note_issues(change, tag=tag, baseline=baseline)]
            case "problem":
                before = dict(target.canonical) if target else {}
                issues = [*problem.issues(change, before=before, row=self.settings.problem_row)]
            case "care_plan":
                issues = [*care_plan.issues(change)]
            case "demographics":
                issues = [*demographics.issues(change, before=target.canonical if target else {})]
            case _:
                issues = [*self._appointment_issues(change, patient=patient, number=number)]
        if issues:
            raise self._cannot(change, issues)
        try:
            match change.kind:
                case "note":
                    return note.write(
                        change,
                        settings=self.settings,
                        zone=self._zone,
                        reference=identity,
                        patient=patient,
                        visit=self._connect_id(baseline.encounter) if baseline.encounter else "",
                        tag=tag,
                    )
                case "problem":
                    return problem.write(
                        change,
                        row=self.settings.problem_row,
                        reference=identity,
                        patient=patient,
                        target=target,
                        number=number,
                    )
                case "care_plan":
                    return care_plan.write(change, reference=identity, patient=patient)
                case "demographics":
                    return demographics.write(
                        change, reference=identity, patient=patient, target=target
                    )
            return appointment.write(
                change,
                settings=self.settings,
                zone=self._zone,
                reference=identity,
                patient=patient,
                target=target,
                number=appointment.digits(number),
            )
        except ChangeInvalid as invalid:
            raise self._cannot(
                change, [Issue(i.code, i.pointer, i.sentence) for i in invalid.issues]
            ) from None

    def _note_issues(self, change: ChartChange, *, tag: Tag, baseline: Baseline) -> Iterator[Issue]:
        content = change.model_dump_canonical()
        yield from note.issues(content, settings=self.settings, zone=self._zone, short=tag.short)
        named, visit = content.get("encounter", ""), baseline.visit
        known = baseline.encounter is not None and self._connect_id(baseline.encounter)
        if named and (not known or visit is None or named != visit.reference):
            sentence = "AdvancedMD's own number of the visit is not known."
            yield Issue("number-unknown", "/encounter", sentence)

    def _appointment_issues(
        self, change: ChartChange, *, patient: str, number: str
    ) -> Iterator[Issue]:
        yield from appointment.issues(change, settings=self.settings, zone=self._zone)
        if not all(appointment.digits(one) for one in (patient, number) if one):
            sentence = "AdvancedMD's own number of the patient or of the entry is not known."
            yield Issue("number-unknown", "", sentence)

    def parse(self, plan: WirePlan) -> ChartChange:
        if plan.adapter != self.kind or len(plan.steps) != 1:
            raise AdapterMisconfigured("The plan was made by another adapter.")
        try:
            return read_change(plan.kind, plan.interaction, self._heard(plan))
        except (ChangeInvalid, NotAMessage, LookupError, StopIteration, ValueError):
            raise CannotBeCarried(
                "The frozen request cannot be read back.", connection_kind=self.kind
            ) from None

    def _heard(self, plan: WirePlan) -> dict[str, Any]:
        """What the frozen bytes say; for an entry that exists, with the fields that the message has no
        place for as the chart showed them: they stay as they are."""
        kept: dict[str, Any] = {}
        if plan.target:
            kept = dict(self._canonical(_with_label(plan.comparable), kind=plan.kind).content)
        if plan.kind == "appointment":
            heard = appointment.said(plan.steps[0], settings=self.settings, zone=self._zone)
            return {**kept, **heard}
        root = messages.sent(plan.steps[0].body)
        if plan.kind == "care_plan":
            return care_plan.said(root)
        if plan.kind == "demographics":
            changed = {**kept, **demographics.said(root, kept=kept)}
            return {name: value for name, value in changed.items() if value is not None}
        if plan.kind == "note":
            content = note.said(root, settings=self.settings, zone=self._zone)
            return content | ({"encounter": plan.encounter} if root.get("visitid") else {})
        if not kept:
            kept = {"category": "problem-list-item", "verification": "confirmed"}
        heard = {**kept, **problem.said(root, row=self.settings.problem_row)}
        return {name: value for name, value in heard.items() if value is not None}

    # --- please do it ----------------------------------------------------------------------------

    def authenticate(self, step: WireRequest) -> AccessToken:
        """The session of this process, or a new one: AdvancedMD lets about one login a minute through."""
        with self._client() as client:
            held = session.sessions.get(self.connection, settings=self.settings, client=client)
        return AccessToken(
            value=held.value,
            scope=step.scope,
            asked=step.scope,
            expires_at=held.until,
            lifetime_seconds=max(1, int(held.left(budget.now()))),
            server=held.server,
        )

    def submit(
        self, step: WireRequest, *, token: AccessToken, earlier: Sequence[WriteReceipt] = ()
    ) -> WriteReceipt:
        by_message = (step.method, step.path) == ("POST", messages.DOOR)
        if earlier or not (by_message or appointment.PATH.fullmatch(step.path)):
            raise AdapterMisconfigured("The plan's path is no door of the Connect interface.")
        server = session.checked_server(token.server, settings=self.settings)
        if by_message:
            url, headers, body = f"{server}/{step.path}", {}, self._filled(step, token)
        else:
            door, _, rest = step.path.partition("/")
            url = f"{session.rest_address(server, door)}/{rest}"
            headers, body = {"Authorization": f"Bearer {token.value}"}, step.body
        self._spend(step.label)
        facts: dict[str, Any] = {"connection_kind": self.kind, "interaction": step.label}
        try:
            with self._client() as client:
                reply = client.exchange(
                    step.method,
                    url,
                    headers={**dict(step.headers), **headers},
                    body=body,
                    deadline=self.connection.deadline,
                )
        except EgressRefused as refused:
            raise AdapterMisconfigured(str(refused)) from None
        except NeverConnected:
            raise Unreachable(**facts) from None
        except NotAnswered as failed:
            lost = TimedOutAfterSend if failed.timed_out else ConnectionLost
            raise lost(**facts) from None
        facts |= {
            "status": reply.status,
            "retry_after": oauth.retry_after(reply),
            "reply_sha256": hashlib.sha256(reply.body).hexdigest(),
        }
        if by_message:
            reference = self._answered_message(step, reply, facts, token=token)
        else:
            reference = self._answered_rest(step, reply, facts, token=token)
        return WriteReceipt(
            acknowledged=True,
            status=reply.status,
            reference=reference,
            reply_sha256=facts["reply_sha256"],
            endpoint=url,
            scope=token.scope,
        )

    def _filled(self, step: WireRequest, token: AccessToken) -> bytes:
        moment = budget.now().astimezone(self._zone)
        return step.filled(
            {
                messages.SESSION.marker: token.value,
                messages.SENT_AT.marker: messages.message_time(moment),
            }
        )

    def _answered_message(
        self, step: WireRequest, reply: Reply, facts: dict[str, Any], *, token: AccessToken
    ) -> str:
        """The reference that `success="1"` names, "" for none; raises the branch of everything else."""
        if reply.status != 200:
            raise self._by_http(step, facts, token=token)
        try:
            read = messages.Reply.read(reply.body, content_type=reply.header("content-type"))
        except NotAMessage:
            raise UnreadableReply(**facts) from None
        if read.faults and read.success:
            raise UnreadableReply(
                "AdvancedMD answered success and a fault at once. It is not known whether it wrote the change.",
                **facts,
            )
        if read.faults:
            raise self._fault(read.faults[0], facts, token=token)
        if not read.success:
            raise UnreadableReply(**facts)
        reference = self._named_reference(step, read.ids)
        if reference is None:
            raise _names_another(facts)
        return reference

    def _answered_rest(
        self, step: WireRequest, reply: Reply, facts: dict[str, Any], *, token: AccessToken
    ) -> str:
        """ "": what the FHIR side calls an appointment is not known from its number. A booking has to be
        answered with one, a cancellation with nothing else than the number that was asked for."""
        if reply.status not in {200, 201, 204}:
            raise self._by_http(step, facts, token=token)
        body = json_object(reply)
        if body is None and not (step.method == "PUT" and not reply.body):
            raise UnreadableReply(**facts)
        named = str((body or {}).get("id", ""))
        if step.method == "POST" and not appointment.digits(named):
            raise UnreadableReply(**facts)
        if step.method == "PUT" and named and appointment.digits(named) != step.path.split("/")[-2]:
            raise _names_another(facts)
        return ""

    def _by_http(
        self, step: WireRequest, facts: dict[str, Any], *, token: AccessToken
    ) -> AdapterError:
        if facts["status"] == 401:
            session.sessions.drop(self.connection, settings=self.settings, value=token.value)
        if step.method == "PUT" and facts["status"] in {404, 410}:
            return VersionConflict(
                "The entry is no longer in AdvancedMD. Nothing was written.", **facts
            )
        return _by_status(facts["status"], facts)

    def _fault(
        self, fault: tuple[str, str], facts: dict[str, Any], *, token: AccessToken
    ) -> AdapterError:
        number, words = fault
        if not number:
            return UnreadableReply(**{**facts, "vendor_text": words})
        facts = {**facts, "vendor_code": number, "vendor_text": words}
        error = error_of(number, meanings=self.settings.fault_meanings, facts=facts)
        if isinstance(error, TokenRejected):
            session.sessions.drop(self.connection, settings=self.settings, value=token.value)
        return error

    def _named_reference(self, step: WireRequest, ids: tuple[str, ...]) -> str | None:
        """ "Type/id" of the entry that a success names, "" where it names none that the FHIR side would know,
        None where it names another one than was to be changed."""
        type_name = _TYPES.get(step.label, "Condition")
        root = messages.sent(step.body)
        entries = (root.find("problem"), root.find("patient"))
        target = next((one.get("id", "") for one in entries if one is not None), "")
        if target and ids and ids != (target,):
            return None
        named = target or (ids[0] if len(ids) == 1 else "")
        known = named and not self.settings.connect_id_system
        return f"{type_name}/{named}" if known else ""


def _by_status(status: int, facts: dict[str, Any]) -> AdapterError:
    """The branch of a reply that HTTP itself calls no success."""
    if 300 <= status < 400:
        return Redirected(**facts)
    if status >= 500:
        return ServerError(**facts)
    branches: Mapping[int, type[AdapterError]] = {
        401: TokenRejected,
        403: NotPermitted,
        404: NotPermitted,
        405: NotPermitted,
        409: AlreadyThere,
        412: AlreadyThere,
        429: RateLimited,
    }
    if status in branches:
        return branches[status](**facts)
    if 400 <= status < 500:
        return ContentRefused(
            "AdvancedMD did not understand the portal's message. Nothing was written.", **facts
        )
    return UnreadableReply(**facts)


def _names_another(facts: dict[str, Any]) -> AdapterError:
    return UnreadableReply(
        "AdvancedMD's success names another entry. It is not known whether it wrote the change.",
        **facts,
    )


def _with_label(comparable: Mapping[str, Any]) -> dict[str, Any]:
    """The comparable form as a resource again: its sensitivity label back in its place."""
    resource = {name: value for name, value in comparable.items() if name != "confidentiality"}
    labels = comparable.get("confidentiality")
    if labels:
        resource["meta"] = {
            "security": [{"system": CONFIDENTIALITY, "code": one} for one in labels]
        }
    return resource
