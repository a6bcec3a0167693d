"""The AdvancedMD adapter: reads by FHIR, writes by Connect messages.

AdvancedMD documents tokens without a person for bulk export only; that such a token also reads single
entries is what the practice's contract has to say. Without it every read is refused, and so every change.
"""

import hashlib
from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from ehr_adapters import oauth
from ehr_adapters.canonical.base import (
    ChangeInvalid,
    ChartChange,
    changed_fields,
    parse_change,
    read_change,
)
from ehr_adapters.canonical.exact_json import loads
from ehr_adapters.canonical.fhir_r4 import Destination, to_fhir
from ehr_adapters.canonical.r4.parts import CONFIDENTIALITY
from ehr_adapters.capabilities import Capability
from ehr_adapters.contract import (
    AccessToken,
    Baseline,
    Remark,
    Snapshot,
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
)
from ehr_adapters.http import EgressRefused, NeverConnected, NotAnswered, Reply
from ehr_adapters.vendors.advancedmd import budget, messages, note, problem, session
from ehr_adapters.vendors.advancedmd.faults import error_of
from ehr_adapters.vendors.advancedmd.messages import NotAMessage
from ehr_adapters.vendors.advancedmd.reading import AdvancedMdReading

_XML = "text/xml; charset=ISO-8859-1"


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
        if change.kind == "note":
            action = note.ADD
            body, remarks, shown = self._note(change, tag=tag, patient=patient, baseline=baseline)
        else:
            action = problem.ADD if target is None else problem.UPDATE
            body, remarks, shown = self._problem(
                change, patient=patient, target=target, identity=identity.reference
            )
        plan = WirePlan(
            adapter=self.kind,
            adapter_version=self.version,
            kind=change.kind,
            interaction=str(change.interaction),
            steps=(
                WireRequest(
                    method="POST",
                    path=session.DOOR,
                    headers=(("Content-Type", _XML), ("Accept", "text/xml")),
                    body=body,
                    label=action,
                    scope=f"Connect {action}",
                    slots=(messages.SESSION, messages.SENT_AT),
                ),
            ),
            tag=tag,
            finality=capability.finality,
            find=capability.find,
            patient=identity.reference,
            encounter=baseline.visit.reference if baseline.visit else "",
            target=target.reference if target else "",
            expected_version=target.version_id if target else "",
            remarks=remarks,
            comparable=self._comparable(shown, kind=change.kind),
        )
        before = dict(target.canonical) if target else {}
        return replace(plan, touched=changed_fields(change.kind, before, self._heard(plan)))

    def _note(
        self, change: ChartChange, *, tag: Tag, patient: str, baseline: Baseline
    ) -> tuple[bytes, tuple[Remark, ...], dict[str, Any]]:
        content = change.model_dump_canonical()
        issues = list(
            note.issues(content, settings=self.settings, zone=self._zone, short=tag.short)
        )
        visit = self._connect_id(baseline.encounter) if baseline.encounter else ""
        named = content.get("encounter", "")
        if named and (not visit or not baseline.visit or named != baseline.visit.reference):
            sentence = "AdvancedMD's own number of the visit is not known."
            issues.append(Issue("number-unknown", "/encounter", sentence))
        if issues:
            raise self._cannot(change, issues)
        template = self.settings.template_for(content["type"]["code"])
        assert template is not None
        body = note.body(
            content,
            settings=self.settings,
            zone=self._zone,
            patient=patient,
            visit=visit if named else "",
            short=tag.short,
        )
        shown = to_fhir(
            change, self._destination(baseline.identity.reference if baseline.identity else "", tag)
        ).resource
        text = note.shown_text(content["sections"], template=template, short=tag.short)
        shown["content"] = [{"attachment": _text_attachment(text)}]
        if content.get("date"):
            shown["date"] = self._whole_seconds(content["date"])
        return body, tuple(note.unsent(content, template=template)), _as_shown(shown)

    def _whole_seconds(self, instant: str) -> str:
        return (
            datetime.fromisoformat(instant)
            .astimezone(self._zone)
            .replace(microsecond=0)
            .isoformat()
        )

    def _problem(
        self, change: ChartChange, *, patient: str, target: Snapshot | None, identity: str
    ) -> tuple[bytes, tuple[Remark, ...], dict[str, Any]]:
        before = dict(target.canonical) if target else {}
        row = self.settings.problem_row
        issues = list(problem.issues(change, before=before, row=row))
        if issues:
            raise self._cannot(change, issues)
        body = problem.body(
            change,
            before=before,
            patient=patient,
            target=self._connect_id(target) if target else "",
            row=row,
        )
        remarks = problem.unsent(change, before=before)
        try:
            carried = parse_change(
                change.kind, change.interaction, problem.carried(change, before=before)
            )
        except ChangeInvalid as invalid:
            raise self._cannot(
                change, [Issue(i.code, i.pointer, i.sentence) for i in invalid.issues]
            ) from None
        current = loads(target.raw) if target else None
        shown = to_fhir(carried, self._destination(identity, Tag.mint(), current=current)).resource
        return body, remarks, _as_shown(shown) if target is None else shown

    @staticmethod
    def _destination(
        patient: str, tag: Tag, *, current: Mapping[str, Any] | None = None
    ) -> Destination:
        return Destination(
            patient=patient,
            tag_system=tag.system,
            tag_value=tag.uuid,
            tag_short=tag.short,
            current=current,
        )

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
        root = messages.sent(plan.steps[0].body)
        if plan.kind == "note":
            content = note.said(root, settings=self.settings, zone=self._zone)
            return content | ({"encounter": plan.encounter} if root.get("visitid") else {})
        said = problem.said(root, row=self.settings.problem_row)
        if plan.target:
            kept = self._canonical(_with_label(plan.comparable), kind=plan.kind).content
            heard = {**kept, **said}
        else:
            heard = {"category": "problem-list-item", "verification": "confirmed", **said}
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
        if (step.method, step.path) != ("POST", session.DOOR) or earlier:
            raise AdapterMisconfigured("The plan's path is no door of the Connect interface.")
        server = session.checked_server(token.server, settings=self.settings)
        moment = budget.now()
        body = step.filled(
            {
                messages.SESSION.marker: token.value,
                messages.SENT_AT.marker: messages.message_time(moment.astimezone(self._zone)),
            }
        )
        self._spend(step.label)
        facts: dict[str, Any] = {"connection_kind": self.kind, "interaction": step.label}
        try:
            with self._client() as client:
                reply = client.exchange(
                    "POST",
                    f"{server}/{step.path}",
                    headers=dict(step.headers),
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
        return self._receipt(step, reply, token=token)

    def _receipt(self, step: WireRequest, reply: Reply, *, token: AccessToken) -> WriteReceipt:
        """What a reply proves: `success="1"` and no fault, or the branch that it belongs to."""
        facts: dict[str, Any] = {
            "connection_kind": self.kind,
            "interaction": step.label,
            "status": reply.status,
            "retry_after": oauth.retry_after(reply),
            "reply_sha256": hashlib.sha256(reply.body).hexdigest(),
        }
        if reply.status != 200:
            raise _by_status(reply.status, facts)
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
            raise UnreadableReply(
                "AdvancedMD's success names another entry. It is not known whether it wrote the change.",
                **facts,
            )
        return WriteReceipt(
            acknowledged=True,
            status=reply.status,
            reference=reference,
            reply_sha256=facts["reply_sha256"],
            endpoint=f"{token.server}/{step.path}",
            scope=token.scope,
        )

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
        type_name = {note.ADD: "DocumentReference"}.get(step.label, "Condition")
        ours = messages.sent(step.body).find("problem")
        target = ours.get("id", "") if ours is not None else ""
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


def _as_shown(resource: dict[str, Any]) -> dict[str, Any]:
    """A new entry as the FHIR side will show it: no label and no identifier of ours travels."""
    return {name: value for name, value in resource.items() if name not in {"meta", "identifier"}}


def _with_label(comparable: Mapping[str, Any]) -> dict[str, Any]:
    """The comparable form as a resource again: its sensitivity label back in its place."""
    resource = {name: value for name, value in comparable.items() if name != "confidentiality"}
    labels = comparable.get("confidentiality")
    if labels:
        resource["meta"] = {
            "security": [{"system": CONFIDENTIALITY, "code": one} for one in labels]
        }
    return resource


def _text_attachment(text: str) -> dict[str, Any]:
    return {"contentType": "text/plain; charset=utf-8", "data": b64encode(text.encode()).decode()}
