"""Veradigm: FHIR R4 without versions or conditions, and Unity where a setting says so.

Facts of the FHIR side are those of its CapabilityStatement (tenant CP00101); those of Unity are what
published clients of integrators show: one address for every action, two layers of login, failures told with
HTTP 200. The product is named in the connection's settings: action names differ by product and licence.
"""

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar
from zoneinfo import ZoneInfo

from ehr_adapters import oauth
from ehr_adapters.base import ProbeResult
from ehr_adapters.canonical.base import (
    ChangeInvalid,
    ChartChange,
    changed_fields,
    read_change,
)
from ehr_adapters.canonical.exact_json import dumps, loads
from ehr_adapters.canonical.fhir_r4 import CanonicalForm, comparable
from ehr_adapters.canonical.note import comment_text, read_comment_text
from ehr_adapters.capabilities import Capability, CapabilitySet
from ehr_adapters.contract import (
    AccessToken,
    Baseline,
    PatientIdentity,
    Remark,
    Slot,
    Tag,
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
    ServerError,
    TimedOutAfterSend,
    TokenRejected,
    TokenUnavailable,
    Unreachable,
    UnreadableReply,
)
from ehr_adapters.fhir_http import FhirHttpAdapter
from ehr_adapters.fhir_probe import probe_what_is_kept
from ehr_adapters.http import (
    EgressRefused,
    HttpClient,
    NeverConnected,
    NotAnswered,
    Reply,
)
from ehr_adapters.vendors.veradigm import rows
from ehr_adapters.vendors.veradigm.replies import entry_id, meaning_of, read_reply
from ehr_adapters.vendors.veradigm.settings import VeradigmSettings
from ehr_adapters.vendors.veradigm.unity import allergies, notes, problems, tasks
from ehr_adapters.vendors.veradigm.unity.forms import Place, Said, UnityForm
from ehr_adapters.vendors.veradigm.unity.magic import GET_TOKEN, JSON, MAGIC, MagicCall

_FORMS: Mapping[tuple[str, str], UnityForm] = {
    ("note", "create"): notes.NOTE,
    ("problem", "create"): problems.PROBLEM,
    ("allergy", "create"): allergies.ALLERGY,
    ("task", "create"): tasks.TASK,
}
# Kinds whose comment ends with the reference line where Unity files them.
_TAG_IN_COMMENT = frozenset({"problem", "allergy"})
_GUID = re.compile(r"\{?[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}\}?")
# Clocks of two machines may differ by so much before the zone is doubted.
_CLOCKS_DIFFER = timedelta(minutes=10)


class VeradigmAdapter(FhirHttpAdapter):
    """Veradigm's FHIR R4 server, and Unity."""

    kind: ClassVar[str] = "veradigm"
    version: ClassVar[str] = "1"
    vendor: ClassVar[str] = "Veradigm"
    Settings = VeradigmSettings
    settings: VeradigmSettings
    places: ClassVar[Mapping[str, str]] = rows.PLACES
    set_up: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "Unity": {
            "unity_url": "https://unity.example/Unity",
            "problem_transport": "unity",
            "allergy_transport": "unity",
        }
    }

    @classmethod
    def declared(cls, settings: Any) -> CapabilitySet:
        return CapabilitySet(rows.rows(settings), vendor=cls.vendor, version=cls.version)

    @classmethod
    def further_addresses(cls, settings: Any) -> tuple[str, ...]:
        return (settings.unity_url,) if settings.unity_url else ()

    def _searches_record_numbers(self) -> bool:
        return self.settings.record_number_search

    def _scan_window(self, plan: WirePlan, *, day: str) -> Iterable[tuple[str, str]]:
        """By when it was filed: a note need not carry a date of its own."""
        del plan
        return [("_lastUpdated", f"ge{day}")]

    # --- what can you do -------------------------------------------------------------------------

    def discover(self, *, at: datetime) -> CapabilitySet:
        """FHIR rows by the CapabilityStatement, Unity rows by a login and a question for the server's clock."""
        found = super().discover(at=at)
        if not any(_is_unity(row) for row in found):
            return found
        seen, sentence = self._unity_is_there(at)
        changed: dict[tuple[str, str], dict[str, Any]] = {}
        for row in self.declared(self.settings):
            if _is_unity(row):
                changed[row.key] = (
                    {"supported": False, "sentence": sentence}
                    if sentence
                    else {"supported": row.supported, "sentence": row.sentence}
                )
        return found.narrowed(
            changed, found_at=found.found_at, evidence=(*found.evidence, seen or sentence)
        )

    def _unity_is_there(self, at: datetime) -> tuple[str, str]:
        """(evidence, why Unity cannot be used): its server answers, and its clock is the connection's."""
        settings = self.settings
        call = MagicCall(action=settings.action("server"), user=settings.unity_user)
        with self._client() as client:
            token = self._service_token(client)
            body = call.body(appname=settings.unity_appname, token=token)
            reply = self._unity_asked(client, body)
        read = read_reply(reply, action=call.action)
        if read.error or not read.rows:
            return "", "Unity did not say what its server is."
        row = read.rows[0]
        evidence = f"Unity server, version {row.get('ProductVersion', 'not stated')}"
        try:
            clock = datetime.fromisoformat(str(row["ServerTime"])).replace(tzinfo=None)
        except (KeyError, ValueError):
            return f"{evidence}, its clock not stated", ""
        here = at.astimezone(ZoneInfo(self.connection.time_zone)).replace(tzinfo=None)
        if abs(here - clock) > _CLOCKS_DIFFER:
            return "", "Unity's clock is not the one that the connection's time zone says."
        return f"{evidence}, its clock in {self.connection.time_zone}", ""

    def _narrowing(
        self,
        capability: Capability,
        *,
        type_name: str,
        offer: Mapping[str, Any] | None,
        version: str,
    ) -> dict[str, Any]:
        if _is_unity(capability):
            return {}
        return super()._narrowing(capability, type_name=type_name, offer=offer, version=version)

    def probe(self, *, patient: str, at: datetime) -> ProbeResult:
        """What the FHIR side keeps of a new entry: the portal's identifier, the label."""
        today = at.date().isoformat()
        settings = {
            **self.connection.settings,
            "problem_transport": "fhir",
            "identifiers_kept_probed": today,
            "labels_kept_probed": today,
        }
        trial = type(self)(replace(self.connection, settings=settings))
        return probe_what_is_kept(trial, patient=patient, at=at)

    # --- how would you say this ------------------------------------------------------------------

    def _render(
        self, change: ChartChange, *, capability: Capability, tag: Tag, baseline: Baseline
    ) -> WirePlan:
        if not _is_unity(capability):
            target = baseline.target
            if target is not None and target.resource_type == "MedicationRequest":
                sentence = (
                    "In Veradigm a change of a prescription may be transmitted: change it there."
                )
                raise self._cannot(change, [Issue("unsupported", "", sentence)])
            return super()._render(change, capability=capability, tag=tag, baseline=baseline)
        identity = baseline.identity
        if identity is None or baseline.patient is None:
            raise self._cannot(
                change, [Issue("patient-unknown", "", "The patient is not known to the EHR.")]
            )
        number = self._unity_number(loads(baseline.patient.raw))
        place = Place(settings=self.settings, tag=tag, patient=number)
        said = _FORMS[change.kind, str(change.interaction)].write(change, place)
        issues = list(said.issues)
        if not number:
            sentence = "The patient has no number that Unity knows."
            issues.append(Issue("patient-unknown", "", sentence))
        if issues:
            raise self._cannot(change, issues)
        return self._unity_plan(
            change, said, capability=capability, tag=tag, baseline=baseline, patient=identity
        )

    def _unity_plan(
        self,
        change: ChartChange,
        said: Said,
        *,
        capability: Capability,
        tag: Tag,
        baseline: Baseline,
        patient: PatientIdentity,
    ) -> WirePlan:
        marker = f"session {tag.uuid}"
        plan = WirePlan(
            adapter=self.kind,
            adapter_version=self.version,
            kind=change.kind,
            interaction=str(change.interaction),
            steps=tuple(
                WireRequest(
                    method="POST",
                    path=MAGIC,
                    headers=(("Content-Type", JSON), ("Accept", JSON)),
                    body=call.body(appname=self.settings.unity_appname, token=marker),
                    label=f"Unity {call.action}",
                    scope=f"Unity {call.action}",
                    slots=(Slot(marker=marker, source="session_token"),),
                )
                for call in said.calls
            ),
            tag=tag,
            finality=capability.finality,
            find=capability.find,
            patient=patient.reference,
            encounter=baseline.visit.reference if baseline.visit else "",
            remarks=tuple(Remark("not-carried", one.place, one.sentence) for one in said.uncarried),
        )
        if any(step.body.count(marker.encode()) != 1 for step in plan.steps):
            sentence = "The text holds the portal's own mark for the session."
            raise self._cannot(change, [Issue("unsupported", "", sentence)])
        content = self._heard(plan)
        return replace(
            plan,
            touched=changed_fields(change.kind, {}, content),
            comparable=self._expected(plan, content, patient=patient),
        )

    def _unity_number(self, patient: Mapping[str, Any]) -> str:
        """What Unity calls this patient: the FHIR id, or the one identifier of the named system."""
        system = self.settings.unity_patient_system
        if not system:
            return str(patient.get("id", ""))
        values = {
            str(one.get("value"))
            for one in patient.get("identifier") or ()
            if isinstance(one, dict) and one.get("system") == system and one.get("value")
        }
        return values.pop() if len(values) == 1 else ""

    def _expected(
        self, plan: WirePlan, content: Mapping[str, Any], *, patient: PatientIdentity
    ) -> dict[str, Any]:
        """How the entry should read on the FHIR side."""
        change = read_change(plan.kind, plan.interaction, dict(content))
        resource = super()._to_fhir(change, patient=patient, tag=plan.tag, current=None).resource
        if plan.kind in _TAG_IN_COMMENT and self.settings.unity_comment_field:
            text = comment_text(text=content.get("note") or "", short=plan.tag.short)
            resource["note"] = [{"text": text}]
        return self._comparable(loads(dumps(resource)), kind=plan.kind)

    def parse(self, plan: WirePlan) -> ChartChange:
        if plan.adapter != self.kind or not plan.steps or plan.steps[0].path != MAGIC:
            return super().parse(plan)
        try:
            return read_change(plan.kind, plan.interaction, self._heard(plan))
        except (ChangeInvalid, ValueError, KeyError, StopIteration):
            raise CannotBeCarried(
                "The frozen request cannot be read back.", connection_kind=self.kind
            ) from None

    def _heard(self, plan: WirePlan) -> dict[str, Any]:
        """What the frozen calls say."""
        form = _FORMS[plan.kind, plan.interaction]
        return form.read([MagicCall.read(step.body) for step in plan.steps], self.settings).content

    def _canonical(self, resource: Mapping[str, Any], *, kind: str) -> CanonicalForm:
        form = super()._canonical(resource, kind=kind)
        if form.kind not in _TAG_IN_COMMENT or "note" not in form.content:
            return form
        text, short = read_comment_text(form.content["note"])
        if not short:
            return form
        content = {k: v for k, v in form.content.items() if k != "note"}
        if text:
            content["note"] = text
        return CanonicalForm(form.kind, content, form.uncarried, (*form.tags, short))

    def _comparable(self, resource: Mapping[str, Any], *, kind: str) -> dict[str, Any]:
        # Only what the FHIR side itself owns is left out; what a Unity action forgives is its own affair.
        declared = [c for c in self.capabilities if c.kind == kind and not _is_unity(c)]
        return comparable(
            resource,
            server_owned={path for c in declared for path in c.server_owned},
            rules={(t.path, t.rule) for c in declared for t in c.transformations},
            base_url=self.connection.base_url,
        )

    # --- please do it ----------------------------------------------------------------------------

    def authenticate(self, step: WireRequest) -> AccessToken:
        """For Unity both layers: the application's token, and the person under whom it files."""
        if step.path != MAGIC:
            return super().authenticate(step)
        call = MagicCall.read(step.body)
        with self._client() as client:
            token = self._service_token(client)
            self._sign_in(client, user=call.user, token=token)
        seconds = self.settings.unity_idle_seconds
        return AccessToken(
            value=token,
            scope=step.scope,
            asked=step.scope,
            expires_at=datetime.now(UTC) + timedelta(seconds=seconds),
            lifetime_seconds=seconds,
        )

    def _service_token(self, client: HttpClient) -> str:
        """The application's token: a bare GUID; any other text is none."""
        body = dumps(
            {
                "Username": self._secret("unity_username"),
                "Password": self._secret("unity_password"),
                "Appname": self.settings.unity_appname,
            }
        )
        reply = self._unity_asked(client, body, path=GET_TOKEN)
        text = reply.body.decode("utf-8", "replace").strip().strip('"')
        if reply.status != 200 or not _GUID.fullmatch(text):
            refused = text.lower().startswith("error")
            raise TokenUnavailable(
                "Veradigm did not accept the portal's own sign-in." if refused else "",
                connection_kind=self.kind,
                status=reply.status,
                vendor_code="login-refused" if refused else "",
                vendor_text=text if refused else "",
                retry_after=oauth.retry_after(reply),
            )
        return text

    def _sign_in(self, client: HttpClient, *, user: str, token: str) -> None:
        """GetUserAuthentication: without it no action is taken; ValidUser says who may."""
        call = MagicCall(
            action=self.settings.action("login"),
            user=user,
            parameters=(self._secret(f"unity_password.{user}"),),
        )
        body = call.body(appname=self.settings.unity_appname, token=token)
        read = read_reply(self._unity_asked(client, body), action=call.action)
        answer = str(read.rows[0].get("ValidUser", "")) if read.rows else ""
        if read.error or answer.strip().upper() != "YES":
            raise TokenUnavailable(
                "Veradigm did not accept the EHR user's sign-in."
                if answer
                else "Veradigm's sign-in gave no usable answer.",
                connection_kind=self.kind,
                vendor_code="user-not-valid" if answer else "",
                vendor_text=read.error,
            )

    def _secret(self, name: str) -> str:
        value = self.connection.secrets.get(name, "")
        if not value:
            raise AdapterMisconfigured(f"The connection's key file has no “{name}”.")
        return value

    def _unity_asked(self, client: HttpClient, body: bytes, *, path: str = MAGIC) -> Reply:
        """A question to Unity that changes no chart."""
        try:
            return self._unity_sent(client, path, body)
        except (NeverConnected, NotAnswered):
            raise TokenUnavailable(
                "Veradigm's Unity interface did not answer.", connection_kind=self.kind
            ) from None

    def _unity_sent(self, client: HttpClient, path: str, body: bytes) -> Reply:
        if not self.settings.unity_url:
            raise AdapterMisconfigured("The connection names no address of Unity.")
        try:
            return client.exchange(
                "POST",
                self._unity_address(path),
                headers={"Content-Type": JSON, "Accept": JSON},
                body=body,
                deadline=self.connection.deadline,
            )
        except EgressRefused as refused:
            raise AdapterMisconfigured(str(refused)) from None

    def _unity_address(self, path: str) -> str:
        return f"{self.settings.unity_url.rstrip('/')}/{path}"

    def submit(
        self, step: WireRequest, *, token: AccessToken, earlier: Sequence[WriteReceipt] = ()
    ) -> WriteReceipt:
        if step.path != MAGIC:
            return super().submit(step, token=token, earlier=earlier)
        if any(slot.source != "session_token" for slot in step.slots):
            raise AdapterMisconfigured("Only the session's token is filled in here.")
        body = step.filled({slot.marker: token.value for slot in step.slots})
        try:
            with self._client() as client:
                reply = self._unity_sent(client, step.path, body)
        except NeverConnected:
            raise Unreachable(connection_kind=self.kind, interaction=step.label) from None
        except NotAnswered as failed:
            lost = TimedOutAfterSend if failed.timed_out else ConnectionLost
            raise lost(connection_kind=self.kind, interaction=step.label) from None
        return self._unity_receipt(step, reply, token=token)

    def _unity_receipt(
        self, step: WireRequest, reply: Reply, *, token: AccessToken
    ) -> WriteReceipt:
        """Rows of the action and no error anywhere: filed. Everything else is raised as its branch."""
        facts: dict[str, Any] = {
            "connection_kind": self.kind,
            "interaction": step.label,
            "status": reply.status,
            "retry_after": oauth.retry_after(reply),
            "reply_sha256": hashlib.sha256(reply.body).hexdigest(),
        }
        if reply.status != 200:
            raise self._refusal(step, reply, facts | {"issues": ()})
        read = read_reply(reply, action=MagicCall.read(step.body).action)
        if read.error:
            raise self._told(read.error, facts, beside_rows=_is_success(read.rows))
        if not read.rows:
            raise UnreadableReply(**facts)
        number = entry_id(read.rows)
        return WriteReceipt(
            acknowledged=True,
            status=reply.status,
            reference=f"Unity/{number}" if number else "",
            reply_sha256=facts["reply_sha256"],
            endpoint=self._unity_address(step.path),
            scope=token.scope,
        )

    def _told(self, text: str, facts: dict[str, Any], *, beside_rows: bool) -> AdapterError:
        """The branch of an error text; an error beside a success proves nothing."""
        known = meaning_of(text, unknown_means=self.settings.unknown_error_means)
        facts = facts | {"vendor_code": known.code, "vendor_text": text}
        if beside_rows:
            return UnreadableReply(
                "Veradigm answered success and an error at once. It is not known whether it wrote the change.",
                **facts,
            )
        return known.branch(known.sentence, next_step=known.next_step, **facts)

    def _refusal(self, step: WireRequest, reply: Reply, facts: dict[str, Any]) -> AdapterError:
        if step.path == MAGIC and reply.status == 400:
            # The gateway before Unity, not Unity: no page says what it means by it.
            return ServerError(**facts)
        if step.path == MAGIC and reply.status == 401:
            return TokenRejected(**facts)
        return super()._refusal(step, reply, facts)


def _is_unity(capability: Capability) -> bool:
    return capability.transport.startswith("Unity")


def _is_success(found: tuple[Mapping[str, Any], ...]) -> bool:
    return any(not any(name.lower() == "error" for name in row) for row in found)
