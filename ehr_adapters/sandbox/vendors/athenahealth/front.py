"""The front itself: who may, which of the two interfaces, and what each call costs."""

import hashlib
import hmac
import re
from base64 import b64decode
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any, ClassVar
from urllib.parse import unquote

from ehr_adapters.sandbox import behaviour, exact_json, oauth
from ehr_adapters.sandbox.exchange import Answer, Call
from ehr_adapters.sandbox.front import Front
from ehr_adapters.sandbox.models import SandboxClient, SandboxRequest, SandboxResource
from ehr_adapters.sandbox.outcomes import RequestRefused
from ehr_adapters.sandbox.seed.chart import PRACTICE_ID
from ehr_adapters.sandbox.statements import NO_VERSIONS, offered, statement
from ehr_adapters.sandbox.vendors.athenahealth import (
    allergies,
    answers,
    cases,
    documents,
    medications,
    numbers,
    people,
    problems,
    references,
    vitals,
)
from ehr_adapters.sandbox.vendors.athenahealth.fields import fields_of

V1_SCOPE = "athena/service/Athenanet.MDP.*"
QUOTA_HEADERS = ("X-RateLimit-Limit", "X-RateLimit-Remaining")
LARGEST_PAGE = 1000

_CREATABLE = frozenset({"QuestionnaireResponse"})
_READABLE = frozenset({
    "Patient", "Practitioner", "Organization", "Location", "Encounter", "Condition", "AllergyIntolerance",
    "MedicationRequest", "Observation", "DiagnosticReport", "DocumentReference", "ServiceRequest", "CarePlan",
    "Goal", "QuestionnaireResponse", "Provenance",
})  # fmt: skip

Given = Mapping[str, str]
Handler = Callable[..., Answer]


class AthenaFront(Front):
    """/athenahealth/fhir/r4 and /athenahealth/v1/{practiceid}."""

    vendor = behaviour.ATHENA
    types: ClassVar[frozenset[str]] = _READABLE
    versioned = False

    # --- who may ------------------------------------------------------------------------------------

    def token_client(self, call: Call, form: Mapping[str, str]) -> SandboxClient:
        """By a signed assertion, or by a secret in the Authorization header; so many times a minute."""
        client = self._by_secret(call, form) or super().token_client(call, form)
        minute = call.at.replace(second=0, microsecond=0)
        asked = SandboxRequest.objects.filter(
            vendor=self.vendor, client_id=client.client_id, path="oauth2/token", at__gte=minute
        ).count()
        if asked >= behaviour.of(self.vendor, "token_mints_per_minute"):
            call.client = client
            raise oauth.TokenRefused("rate_limited", "too many tokens were asked for this minute")
        return client

    def _by_secret(self, call: Call, form: Mapping[str, str]) -> SandboxClient | None:
        scheme, _, value = call.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "basic":
            return None
        if form.get("grant_type") != "client_credentials":
            raise oauth.TokenRefused("unsupported_grant_type", "only client_credentials")
        try:
            named = b64decode(value, validate=True).decode()
            client_id, secret = (unquote(part) for part in named.split(":", 1))
        except ValueError:
            raise oauth.TokenRefused("invalid_client", "the credentials cannot be read") from None
        client = SandboxClient.objects.filter(vendor=self.vendor, client_id=client_id).first()
        digest = hashlib.sha256(secret.encode()).hexdigest()
        known = [key.get("sha256", "") for key in client.keys] if client else []
        if client is None or not any(hmac.compare_digest(digest, one) for one in known):
            raise oauth.TokenRefused("invalid_client", "the client or its secret is not known")
        return client

    def token_error_status(self, error: str) -> int:
        return 429 if error == "rate_limited" else super().token_error_status(error)

    def grant(self, *, asked: str, client: Any) -> str:
        wanted = asked.split()
        given = [V1_SCOPE] if V1_SCOPE in wanted and self._may_v1(client.scope) else []
        if any(word.startswith("system/") for word in wanted):
            given.append(super().grant(asked=asked, client=client))
        if not given:
            raise oauth.TokenRefused("invalid_scope", "none of these scopes is registered")
        return " ".join(given)

    @staticmethod
    def _may_v1(registered: str) -> bool:
        return V1_SCOPE in registered.split() or "system/*.cruds" in registered.split()

    def scopes_supported(self) -> list[str]:
        return [V1_SCOPE, *super().scopes_supported()]

    def admit(self, call: Call) -> None:
        super().admit(call)
        if self._left_today(call) <= 0:
            raise answers.stopped(429, "Quota exceeded", self._quota(call))

    def not_authenticated(self) -> RequestRefused:
        return answers.stopped(401, "Unauthorized")

    def _left_today(self, call: Call) -> int:
        midnight = call.at.replace(hour=0, minute=0, second=0, microsecond=0)
        made = SandboxRequest.objects.filter(
            vendor=self.vendor,
            client_id=call.client.client_id if call.client else "",
            at__gte=midnight,
            at__lt=midnight + timedelta(days=1),
        ).exclude(path="oauth2/token")
        return int(behaviour.of(self.vendor, "calls_per_day")) - made.count()

    def _quota(self, call: Call) -> dict[str, str]:
        limit, left = behaviour.of(self.vendor, "calls_per_day"), self._left_today(call)
        return dict(zip(QUOTA_HEADERS, (str(limit), str(max(0, left - 1))), strict=True))

    def new_id(self) -> str:
        return numbers.new_id()

    # --- the FHIR side ------------------------------------------------------------------------------

    def permit(self, call: Call, interaction: str, type: str) -> None:
        if interaction not in {"read", "search"} and not (
            interaction == "create" and type in _CREATABLE
        ):
            self._no_method()
        super().permit(call, interaction, type)

    def search(self, call: Call, type: str) -> Answer:
        # Which practice or department is asked: this is a single one.
        kept = [part for part in call.query.split("&") if part and not part.startswith("ah-")]
        call.query = "&".join(kept)
        return super().search(call, type)

    def shown(self, row: SandboxResource, content: dict[str, Any]) -> dict[str, Any]:
        return super().shown(row, {key: value for key, value in content.items() if key != "_v1"})

    def version_headers(self, version: int, at: Any) -> dict[str, str]:
        return {}

    # --- the proprietary side -----------------------------------------------------------------------

    def carry_out(self, call: Call) -> Answer:
        if call.path != "v1" and not call.path.startswith("v1/"):
            answer = super().carry_out(call)
        else:
            answer = self._v1(call)
        answer.headers |= self._quota(call)
        return answer

    def _v1(self, call: Call) -> Answer:
        if V1_SCOPE not in call.scope_text.split():
            raise answers.stopped(403, "Forbidden")
        _, _, rest = call.path.partition("/")
        practice, _, place = rest.partition("/")
        if practice != PRACTICE_ID:
            raise answers.refused(
                404, "Invalid practice.", detail="The practice ID does not exist."
            )
        for method, pattern, handler in _CALLS:
            found = re.fullmatch(pattern, place)
            if found and method == call.method:
                return handler(self, call, fields_of(call), *found.groups())
        known = any(re.fullmatch(pattern, place) for _, pattern, _ in _CALLS)
        raise answers.stopped(405 if known else 404, "Not found")

    def page(self, given: Given, name: str, entries: list[dict[str, Any]]) -> Answer:
        """A page by limit and offset, with the address of the next."""
        limit = _number(given, "limit", 100, most=LARGEST_PAGE)
        offset = _number(given, "offset", 0)
        shown: dict[str, Any] = {
            name: entries[offset : offset + limit],
            "totalcount": len(entries),
        }
        if offset + limit < len(entries):
            shown["next"] = f"?limit={limit}&offset={offset + limit}"
        return answers.told(shown)

    def in_own_words(self, call: Call, fault: str, answer: Answer) -> Answer:
        if not call.path.startswith("v1/"):
            return answer
        spoken = self._in_form(fault, answer)
        if spoken is None:
            return answer
        kept = {k: v for k, v in answer.headers.items() if k in {"Retry-After", "Location"}}
        spoken.headers |= kept
        spoken.committed, spoken.staged = answer.committed, answer.staged
        return spoken

    def _in_form(self, fault: str, answer: Answer) -> Answer | None:
        if fault == "chart-locked":
            error = str(behaviour.of(self.vendor, "closed_visit_error"))
            return answers.told({"error": error}, status=400)
        if fault == "outcome" and answer.status == 200:
            said = {"success": False, "errormessage": "The call could not be carried out."}
            return answers.told(said)
        if fault == "no-id":
            return answers.told({"success": True})
        if fault in {"rate-limited", "unavailable", "expired-token"}:
            return answers.gateway(answer.status, "Service gateway")
        try:
            outcome = exact_json.loads(answer.body)
        except exact_json.NotJson:
            return None
        if not isinstance(outcome, dict) or outcome.get("resourceType") != "OperationOutcome":
            return None
        text = outcome["issue"][0].get("details", {}).get("text", "")
        return answers.told({"error": text}, status=answer.status)

    def capability_statement(self, call: Call) -> dict[str, Any]:
        return statement(
            base=call.base,
            software="athenaOne (practice)",
            version="26.11",
            resources=[
                offered(
                    each,
                    "read",
                    "search-type",
                    *(("create",) if each in _CREATABLE else ()),
                    **NO_VERSIONS,
                )
                for each in sorted(self.types)
            ],
        )


def _number(given: Given, name: str, default: int, *, most: int = 10**9) -> int:
    text = given.get(name) or str(default)
    if not text.isdigit():
        raise answers.refused(
            400, "The data provided is invalid.", detail=f"{name} is not a number."
        )
    return min(int(text), most)


def _ping(_front: AthenaFront, _call: Call, _given: Given) -> Answer:
    return answers.told({"pong": "true"})


def _departments(_front: AthenaFront, _call: Call, _given: Given) -> Answer:
    return people.departments()


def _patient(_front: AthenaFront, _call: Call, _given: Given, number: str) -> Answer:
    return people.patient(number)


def _encounter(_front: AthenaFront, _call: Call, _given: Given, number: str) -> Answer:
    return people.encounter(number)


def _document(_front: AthenaFront, _call: Call, given: Given, patient: str, number: str) -> Answer:
    return documents.one(given, patient, number)


def _diagnoses(front: AthenaFront, call: Call, _given: Given, number: str) -> Answer:
    return problems.diagnoses(front, call, number)


def _vitals(front: AthenaFront, call: Call, _given: Given, number: str) -> Answer:
    return vitals.listed(front, call, number)


def _allergens(_front: AthenaFront, _call: Call, given: Given) -> Answer:
    return references.searched(references.allergens(), given, "allergenid", "allergenname")


def _reactions(_front: AthenaFront, _call: Call, _given: Given) -> Answer:
    return references.listed(references.reactions(), "reactionid", "reactionname")


def _severities(_front: AthenaFront, _call: Call, _given: Given) -> Answer:
    return references.listed(references.SEVERITIES, "severityid", "severity")


def _medications(_front: AthenaFront, _call: Call, given: Given) -> Answer:
    return references.searched(references.medications(), given, "medicationid", "medication")


def _update_patient(_front: AthenaFront, call: Call, given: Given, number: str) -> Answer:
    return people.update_patient(call, given, number)


_N = r"(\d{1,12})"
_CALLS: tuple[tuple[str, str, Handler], ...] = (
    ("GET", "ping", _ping),
    ("GET", "departments", _departments),
    ("GET", f"patients/{_N}", _patient),
    ("PUT", f"patients/{_N}", _update_patient),
    ("GET", f"chart/encounter/{_N}", _encounter),
    ("POST", f"patients/{_N}/documents/clinicaldocument", documents.create),
    ("GET", f"patients/{_N}/documents/clinicaldocument", documents.listed),
    ("GET", f"patients/{_N}/documents/clinicaldocument/{_N}", _document),
    ("GET", f"patients/{_N}/documents/patientcase", cases.listed),
    ("POST", f"patients/{_N}/documents/patientcase", cases.create),
    ("GET", "reference/allergies", _allergens),
    ("GET", "reference/allergies/reactions", _reactions),
    ("GET", "reference/allergies/severities", _severities),
    ("GET", "reference/medications", _medications),
    ("GET", f"chart/{_N}/allergies", allergies.listed),
    ("PUT", f"chart/{_N}/allergies", allergies.put),
    ("GET", f"chart/{_N}/medications", medications.listed),
    ("POST", f"chart/{_N}/medications", medications.create),
    ("PUT", f"chart/{_N}/medications/{_N}", medications.update),
    ("GET", f"chart/{_N}/problems", problems.listed),
    ("POST", f"chart/{_N}/problems", problems.create),
    ("PUT", f"chart/{_N}/problems/{_N}", problems.update),
    ("GET", f"chart/encounter/{_N}/diagnoses", _diagnoses),
    ("POST", f"chart/encounter/{_N}/diagnoses", problems.diagnose),
    ("GET", f"chart/encounter/{_N}/vitals", _vitals),
    ("POST", f"chart/encounter/{_N}/vitals", vitals.create),
)
