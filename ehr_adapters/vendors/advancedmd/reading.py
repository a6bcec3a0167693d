"""What AdvancedMD shows: its FHIR side, which only reads, and the dictionary of note templates."""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar
from zoneinfo import ZoneInfo

from ehr_adapters import oauth
from ehr_adapters.canonical.base import fhir_type, kind_model, same_value
from ehr_adapters.canonical.exact_json import dumps, loads
from ehr_adapters.canonical.fhir_r4 import CanonicalForm, attachment_text
from ehr_adapters.capabilities import Capability, CapabilitySet, FindMethod
from ehr_adapters.contract import AccessToken, FindHit, FindResult, Snapshot, Tag, WirePlan
from ehr_adapters.errors import AdapterError, Unreachable
from ehr_adapters.fhir_http import FhirHttpAdapter
from ehr_adapters.fhir_reading import FhirReader
from ehr_adapters.http import NeverConnected, NotAnswered
from ehr_adapters.vendors.advancedmd import budget, care_plan, messages, note, rows, session
from ehr_adapters.vendors.advancedmd.messages import NotAMessage
from ehr_adapters.vendors.advancedmd.settings import AdvancedMdSettings


class _Reader(FhirReader):
    """The FHIR side wants the practice's user beside the assertion."""

    settings: AdvancedMdSettings

    def _read_token(self, *, fresh: bool) -> AccessToken:
        if fresh:
            oauth.read_tokens.drop(self.connection, self.scope)
        token = oauth.read_tokens.get(self.connection, self.scope)
        if token is None:
            user, password = session.user_of(self.connection)
            token = oauth.fetch_token(
                self.connection,
                client=self.client,
                scope=self.scope,
                deadline=self._left(),
                must_grant_all=False,
                accept_wider_grant=self.settings.accept_wider_grant,
                also={
                    "username": user,
                    "password": password,
                    "officekey": self.settings.office_code,
                },
            )
            oauth.read_tokens.keep(self.connection, self.scope, token)
        return token


class AdvancedMdReading(FhirHttpAdapter):
    """The reading half of the adapter, and what it declares."""

    kind: ClassVar[str] = "advancedmd"
    version: ClassVar[str] = "1"
    vendor: ClassVar[str] = "AdvancedMD"
    Settings = AdvancedMdSettings
    settings: AdvancedMdSettings
    places: ClassVar[Mapping[str, str]] = rows.PLACES
    # The medication list is in MedicationRequest; MedicationStatement is not served.
    contexts = {
        **FhirHttpAdapter.contexts,
        "medications": (("MedicationRequest", {"status": "active"}),),
    }

    @classmethod
    def declared(cls, settings: Any) -> CapabilitySet:
        return CapabilitySet(rows.rows(settings), vendor=cls.vendor, version=cls.version)

    @classmethod
    def further_addresses(cls, settings: Any) -> tuple[str, ...]:
        return (settings.login_url, *settings.cluster_origins)

    @property
    def _zone(self) -> ZoneInfo:
        return ZoneInfo(self.connection.time_zone)

    # --- what can you do -------------------------------------------------------------------------

    def discover(self, *, at: datetime) -> CapabilitySet:
        """By the FHIR statement, what can be read and so be written to; by a login and the dictionary of
        templates, whether the fields that the connection's settings name are there."""
        found = super().discover(at=at)
        if not any(row.key == ("note", "create") and row.supported for row in found):
            return found
        missing = self._missing_field()
        if not missing:
            evidence = (*found.evidence, "The note templates have every field that is named here")
            return found.narrowed({}, found_at=found.found_at, evidence=evidence)
        changed = {("note", "create"): {"supported": False, "sentence": missing}}
        return found.narrowed(changed, found_at=found.found_at, evidence=(*found.evidence, missing))

    def _narrowing(
        self,
        capability: Capability,
        *,
        type_name: str,
        offer: Mapping[str, Any] | None,
        version: str,
    ) -> dict[str, Any]:
        if not version.startswith("4."):
            return {"supported": False, "sentence": "The EHR does not say that it speaks FHIR R4."}
        codes = {one.get("code") for one in (offer or {}).get("interaction") or ()}
        if not {"read", "search-type"} <= codes:
            sentence = f"AdvancedMD's own statement does not let {type_name} be read, so it is not written to."
            return {"supported": False, "sentence": sentence}
        del capability
        return {}

    def _missing_field(self) -> str:
        """The first template or field of the settings that AdvancedMD does not have, as a sentence."""
        held: dict[str, set[tuple[str, str]]] = {}
        for template in messages.below(self._templates(), "template"):
            held[str(template.get("@name"))] = {
                (str(page.get("@pageindex")), str(field.get("@ordinal")))
                for page in messages.below(template, "pagelist", "page")
                for field in messages.below(page, "fieldlist", "field")
            }
        for wanted in self.settings.note_templates:
            if wanted.name not in held:
                return f"AdvancedMD has no note template “{wanted.name}” any more."
            for one in wanted.fields:
                if (str(one.page), str(one.ordinal)) not in held[wanted.name]:
                    return (
                        f"AdvancedMD's template “{wanted.name}” has no field “{one.name}” any more."
                    )
        return ""

    def _templates(self) -> Any:
        """The dictionary of templates; asked in JSON, where the session travels as a cookie."""
        action = "getehrtemplates"
        asked = {
            "@action": action,
            "@class": "api",
            "@msgtime": messages.message_time(budget.now().astimezone(self._zone)),
            "@nocookie": "0",
        }
        reply = None
        with self._client() as client:
            held = session.sessions.get(self.connection, settings=self.settings, client=client)
            self._spend(action)
            try:
                reply = client.exchange(
                    "POST",
                    f"{held.server}/{messages.DOOR}",
                    headers={
                        "Content-Type": "application/json",
                        "Accept": "application/json",
                        "Cookie": f"token={held.value}",
                    },
                    body=dumps({"ppmdmsg": asked}),
                    deadline=self.connection.deadline,
                )
                if reply.status == 200:
                    return messages.json_results(reply.body).get("templatelist")
            except (NeverConnected, NotAnswered, NotAMessage):
                pass
        # Whatever is wrong, the next look begins with a login of its own.
        session.sessions.drop(self.connection, settings=self.settings, value=held.value)
        raise Unreachable(
            "AdvancedMD did not show its note templates.",
            connection_kind=self.kind,
            interaction="discover",
            status=reply.status if reply else None,
        )

    def _spend(self, action: str) -> None:
        """Counts one call that AdvancedMD meters; raises `RateLimited` where it would be billed."""
        if not self.settings.billed_calls:
            budget.budget.spend(
                office=self.settings.office_code,
                action=action,
                limits=self.settings.calls_per_minute,
                at=budget.now(),
            )

    # --- what is there now -----------------------------------------------------------------------

    @contextmanager
    def _reading(self, scope: str, *, seconds: float | None = None) -> Iterator[FhirReader]:
        with self._client() as client:
            yield _Reader(
                self.connection,
                settings=self.settings,
                client=client,
                scope=scope,
                seconds=seconds or self.connection.deadline,
                moved=self._moved,
            )

    def _connect_id(self, snapshot: Snapshot) -> str:
        """What the Connect interface calls this entry; "" where that is not known."""
        system = self.settings.connect_id_system
        if not system:
            return snapshot.id
        given = loads(snapshot.raw).get("identifier") or ()
        values = {
            str(one.get("value"))
            for one in given
            if isinstance(one, dict) and one.get("system") == system and one.get("value")
        }
        return values.pop() if len(values) == 1 else ""

    def _canonical(self, resource: Mapping[str, Any], *, kind: str) -> CanonicalForm:
        form = super()._canonical(resource, kind=kind)
        if form.kind == "care_plan" and isinstance(resource.get("description"), str):
            content = {**form.content, **care_plan.read_text(resource["description"])}
            return CanonicalForm(form.kind, content, form.uncarried, form.tags)
        if form.kind != "note":
            return form
        code = (form.content.get("type") or {}).get("code", "")
        template = self.settings.template_for(code)
        if template is None:
            return form
        text = next(
            (
                words
                for part in resource.get("content") or ()
                if (words := _plain_text(part.get("attachment") or {})) is not None
            ),
            "",
        )
        read = note.read_shown_text(text, template=template)
        if read is None:
            return form
        sections, tags = read
        content = {**form.content, "sections": sections}
        return CanonicalForm(form.kind, content, form.uncarried, tuple({*form.tags, *tags}))

    # --- did you do it ---------------------------------------------------------------------------

    def find(
        self, tags: Sequence[Tag], plan: WirePlan, *, since: datetime, at: datetime
    ) -> FindResult:
        if plan.find not in {FindMethod.SCAN, FindMethod.MATCH, FindMethod.KEY}:
            return super().find(tags, plan, since=since, at=at)
        try:
            if plan.find is FindMethod.KEY:
                return self._at_its_key(plan, since=since, at=at)
            return self._looked(tags, plan, since=since, at=at)
        except AdapterError as failed:
            return FindResult(method=plan.find, since=since, until=at, reason=failed.name)

    def _looked(
        self, tags: Sequence[Tag], plan: WirePlan, *, since: datetime, at: datetime
    ) -> FindResult:
        """Every entry of the patient's and the kind that carries a tag, or, where none can, says the same."""
        resource_type = fhir_type(plan.kind)
        patient = plan.patient.removeprefix("Patient/")
        query = [("patient", self._patient_parameter(patient))]
        if plan.kind == "note":
            query.append(("date", f"ge{(since - timedelta(days=1)).date().isoformat()}"))
        wanted = self._heard(plan)
        hits: dict[str, FindHit] = {}
        with self._reading(f"system/Binary.r system/{resource_type}.rs") as reader:
            found = reader.search(resource_type, query)
            for entry in found.entries:
                seen = self._snapshot(entry, role="found", kind=plan.kind, at=at, reader=reader)
                if seen.patient != plan.patient:
                    continue
                tag = next((one for one in tags if seen.carries(one)), None)
                alike = plan.find is FindMethod.MATCH and all(
                    same_value(plan.kind, name, seen.canonical.get(name), wanted.get(name))
                    for name in kind_model(plan.kind).named_by
                )
                if tag is not None or alike:
                    hits[seen.reference] = FindHit(seen, tag)
        unread = reader.texts_unread
        return FindResult(
            method=plan.find,
            since=since,
            until=at,
            pages=found.pages,
            complete=found.complete and not unread,
            hits=tuple(hits[one] for one in sorted(hits)),
            reason=found.reason or ("A text could not be read." if unread else ""),
        )

    def _at_its_key(self, plan: WirePlan, *, since: datetime, at: datetime) -> FindResult:
        """What stands in the clinician's column at this time, whoever it is for."""
        wanted = self._heard(plan)
        day = datetime.fromisoformat(wanted["start"]).astimezone(self._zone).date().isoformat()
        with self._reading("system/Appointment.rs") as reader:
            found = reader.search("Appointment", [("actor", wanted["provider"]), ("date", day)])
        seen = [
            self._snapshot(entry, role="found", kind=plan.kind, at=at, reader=None)
            for entry in found.entries
        ]
        hits = [
            one
            for one in seen
            if one.canonical.get("status") not in {"cancelled", "noshow"}
            and one.canonical.get("provider") == wanted["provider"]
            and same_value(plan.kind, "start", one.canonical.get("start"), wanted["start"])
        ]
        return FindResult(
            method=plan.find,
            since=since,
            until=at,
            pages=found.pages,
            complete=found.complete,
            hits=tuple(FindHit(one) for one in sorted(hits, key=lambda one: one.reference)),
            reason=found.reason,
        )

    def _comparable(self, resource: Mapping[str, Any], *, kind: str) -> dict[str, Any]:
        """As for every FHIR server; times are compared as moments, for messages carry local ones, and numbers
        and addresses to reach somebody in any order."""
        value: dict[str, Any] = _in_utc(super()._comparable(resource, kind=kind))
        if isinstance(value.get("telecom"), list):
            value["telecom"] = sorted(value["telecom"], key=repr)
        return value

    def _heard(self, plan: WirePlan) -> dict[str, Any]:
        """What the frozen bytes of a plan say."""
        raise NotImplementedError


def _plain_text(attachment: Mapping[str, Any]) -> str | None:
    """The text of an attachment as read, or in the comparable form."""
    return attachment.get("plain_text", attachment_text(attachment))


_INSTANT = re.compile(r"[0-9-]{10}T[0-9:]{8}(?:\.[0-9]+)?(?:Z|[+-][0-9:]{5})")


def _in_utc(value: Any) -> Any:
    if isinstance(value, str) and _INSTANT.fullmatch(value):
        return datetime.fromisoformat(value).astimezone(UTC).isoformat()
    if isinstance(value, list):
        return [_in_utc(one) for one in value]
    if isinstance(value, dict):
        return {name: _in_utc(one) for name, one in value.items()}
    return value
