"""Reading from a FHIR server: single entries, all pages of a search, texts that a document points to."""

import base64
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlencode

from pydantic import Field

from ehr_adapters import oauth
from ehr_adapters.base import Settings
from ehr_adapters.canonical.fhir_r4 import attachment_text
from ehr_adapters.canonical.types import is_fhir_id
from ehr_adapters.contract import AccessToken, Connection
from ehr_adapters.errors import (
    AdapterError,
    AdapterMisconfigured,
    ContentRefused,
    NotPermitted,
    RateLimited,
    Unreachable,
)
from ehr_adapters.fhir_outcomes import has_errors, json_object, outcome_of
from ehr_adapters.http import (
    EgressRefused,
    HttpClient,
    NeverConnected,
    NotAnswered,
    Reply,
    same_origin,
)

FHIR_JSON = "application/fhir+json"


class FhirSettings(Settings):
    """Settings that every FHIR connection has. Dates say when a probe or contract test proved it."""

    scope_syntax: str = Field(default="v2", pattern="^v[12]$", title="Spelling of scopes")
    accept_wider_grant: bool = Field(default=False, title="Accept tokens wider than asked for")
    ca_file: str = Field(default="", title="File of private certificate authorities")
    page_size: int = Field(default=50, ge=1, le=500, title="Entries per page of a search")
    max_pages: int = Field(default=20, ge=1, le=200, title="Pages read before giving up")
    repertoire: str = Field(default="utf-8", title="Characters that the EHR can hold")
    staged_look_seconds: int = Field(
        default=86_400,
        ge=0,
        title="Seconds between two looks for what waits in the EHR for someone to accept it",
    )
    watch_days: int = Field(
        default=30,
        ge=0,
        le=3650,
        title="Days for which a written entry is looked at again for changes and doubles; 0: not at all",
    )
    watch_every_seconds: int = Field(
        default=86_400, ge=60, title="Seconds between two looks at a written entry"
    )


@dataclass(slots=True)
class Found:
    """Entries of a search as far as it was read."""

    entries: list[dict[str, Any]] = field(default_factory=list)
    pages: int = 0
    complete: bool = True
    reason: str = ""
    stated_total: int = 0


def fhir_url(base_url: str, path: str, query: Sequence[tuple[str, str]] = ()) -> str:
    """An address below the base, with the query's reserved characters escaped."""
    url = f"{base_url.rstrip('/')}/{path}"
    text = urlencode(list(query), quote_via=quote, safe="/:|,")
    return f"{url}?{text}" if text else url


def is_redacted(resource: Mapping[str, Any]) -> bool:
    """Is this only the mark that there is something, without what it is? (HL7 v3 ObservationValue)"""
    meta = resource.get("meta")
    labels = meta.get("security") if isinstance(meta, dict) else None
    return any(
        isinstance(label, dict) and label.get("code") == "REDACTED" for label in labels or ()
    )


class FhirReader:
    """Reads of one operation: one token, one deadline, one kept connection.

    `moved` names the error of a redirect that means something in this EHR.
    """

    def __init__(
        self,
        connection: Connection,
        *,
        settings: FhirSettings,
        client: HttpClient,
        scope: str,
        seconds: float,
        moved: Callable[[Mapping[str, Any]], AdapterError | None],
    ) -> None:
        self.connection = connection
        self.settings = settings
        self.client = client
        self.scope = oauth.in_syntax(scope, settings.scope_syntax)
        self.ends_at = time.monotonic() + seconds
        self.texts_unread = 0
        self._texts_read = 0
        self._token: AccessToken | None = None
        self._moved = moved

    def _read_token(self, *, fresh: bool) -> AccessToken:
        if fresh:
            oauth.read_tokens.drop(self.connection, self.scope)
        token = oauth.read_tokens.get(self.connection, self.scope)
        if token is None:
            token = oauth.fetch_token(
                self.connection,
                client=self.client,
                scope=self.scope,
                deadline=self._left(),
                must_grant_all=False,
                accept_wider_grant=self.settings.accept_wider_grant,
            )
            oauth.read_tokens.keep(self.connection, self.scope, token)
        return token

    def _left(self) -> float:
        return max(0.05, self.ends_at - time.monotonic())

    def get(self, url: str, *, headers: Mapping[str, str] | None = None) -> Reply:
        """One GET; a 401 is answered once with a fresh token. Raises the branch of a failed read."""
        for fresh in (False, True):
            if self._token is None or fresh:
                self._token = self._read_token(fresh=fresh)
            try:
                reply = self.client.exchange(
                    "GET",
                    url,
                    headers={
                        "Accept": FHIR_JSON,
                        "Authorization": f"Bearer {self._token.value}",
                        **(headers or {}),
                    },
                    deadline=self._left(),
                )
            except EgressRefused as refused:
                raise AdapterMisconfigured(str(refused)) from None
            except (NeverConnected, NotAnswered):
                raise Unreachable(
                    "The EHR did not answer.",
                    connection_kind=self.connection.kind,
                    interaction="read",
                ) from None
            if reply.status != 401:
                return reply
        raise self._failed(reply)

    def _failed(self, reply: Reply) -> AdapterError:
        """The branch of a read that gave nothing: reading never changes the chart."""
        issues, vendor_code, vendor_text = outcome_of(json_object(reply))
        facts: dict[str, Any] = {
            "connection_kind": self.connection.kind,
            "interaction": "read",
            "status": reply.status,
            "vendor_code": vendor_code,
            "issues": issues,
            "vendor_text": vendor_text,
            "retry_after": oauth.retry_after(reply),
        }
        if reply.status in {401, 403}:
            return NotPermitted("The EHR does not let the portal read this.", **facts)
        if reply.status == 429:
            return RateLimited(**facts)
        if 300 <= reply.status < 400:
            moved = self._moved(facts)
            return moved or Unreachable(
                "The EHR pointed elsewhere instead of answering; that is never followed.", **facts
            )
        if reply.status in {400, 405, 406, 422}:
            return ContentRefused("The EHR did not understand the portal's question.", **facts)
        return Unreachable("The EHR gave no usable answer.", **facts)

    def resource(self, reference: str) -> dict[str, Any] | None:
        """One resource; None when the EHR says that there is none (404, 410, or no such id can be)."""
        type_name, _, logical_id = reference.partition("/")
        if not is_fhir_id(logical_id):
            return None
        reply = self.get(fhir_url(self.connection.base_url, f"{type_name}/{quote(logical_id)}"))
        if reply.status in {404, 410}:
            return None
        if reply.status != 200:
            raise self._failed(reply)
        value = json_object(reply)
        if value is None or value.get("resourceType") != type_name or value.get("id") != logical_id:
            raise Unreachable(
                "The EHR's answer could not be read.",
                connection_kind=self.connection.kind,
                interaction="read",
                status=reply.status,
            )
        if is_redacted(value):
            raise NotPermitted(
                "The EHR does not show this to the portal.",
                connection_kind=self.connection.kind,
                interaction="read",
                status=reply.status,
            )
        return value

    def search(
        self,
        resource_type: str,
        query: Sequence[tuple[str, str]],
        *,
        headers: Mapping[str, str] | None = None,
        max_pages: int | None = None,
    ) -> Found:
        """All pages of a search. A next link out of the EHR's own base, a page that cannot be read, or an
        entry that is held back make it incomplete; only the first page's failure raises."""
        settings = self.settings
        limit = max_pages or settings.max_pages
        url = fhir_url(
            self.connection.base_url, resource_type, [*query, ("_count", str(settings.page_size))]
        )
        found = Found()
        seen = {url}
        while url:
            if found.pages == limit:
                found.complete, found.reason = False, "too many pages"
                break
            try:
                bundle = self._page(url, headers=headers)
            except AdapterError as failed:
                if not found.pages:
                    raise
                found.complete, found.reason = False, failed.name
                break
            found.pages += 1
            total = bundle.get("total")
            found.stated_total = max(found.stated_total, total if isinstance(total, int) else 0)
            self._collect(bundle, resource_type, found)
            url = self._next(bundle, found)
            if url in seen:
                found.complete, found.reason = False, "the pages run in a circle"
                break
            seen.add(url)
        if found.complete and found.stated_total > len(found.entries):
            # Some servers count all and show one page without saying that there are more.
            found.complete, found.reason = False, "the list is shorter than its stated total"
        return found

    def _page(self, url: str, *, headers: Mapping[str, str] | None) -> dict[str, Any]:
        reply = self.get(url, headers=headers)
        if reply.status != 200:
            raise self._failed(reply)
        bundle = json_object(reply)
        if bundle is None or bundle.get("resourceType") != "Bundle":
            raise Unreachable(
                "The EHR's answer could not be read.",
                connection_kind=self.connection.kind,
                interaction="search",
                status=reply.status,
            )
        return bundle

    @staticmethod
    def _collect(bundle: Mapping[str, Any], resource_type: str, found: Found) -> None:
        for entry in bundle.get("entry") or ():
            resource = entry.get("resource") if isinstance(entry, dict) else None
            mode = (entry.get("search") or {}).get("mode") if isinstance(entry, dict) else None
            if isinstance(resource, dict) and is_redacted(resource):
                found.complete, found.reason = False, "an entry was held back"
            elif isinstance(resource, dict) and resource.get("resourceType") == resource_type:
                if mode in {None, "match"}:
                    found.entries.append(resource)
            elif isinstance(resource, dict) and resource.get("resourceType") == "OperationOutcome":
                if has_errors(resource):
                    found.complete, found.reason = (
                        False,
                        "the EHR reported an error inside the list",
                    )
            elif mode in {None, "match"}:
                found.complete, found.reason = False, "an entry was held back"

    def _next(self, bundle: Mapping[str, Any], found: Found) -> str:
        link = next(
            (
                one.get("url")
                for one in bundle.get("link") or ()
                if isinstance(one, dict) and one.get("relation") == "next"
            ),
            None,
        )
        if not link:
            return ""
        url = same_origin(str(link), self.connection.base_url)
        if not url:
            found.complete, found.reason = False, "the next page lies elsewhere"
        return url

    def with_texts(self, resource: dict[str, Any]) -> dict[str, Any]:
        """A document with the plain texts that it only points to filled in, as far as they can be read."""
        parts = resource.get("content")
        if not isinstance(parts, list):
            return resource
        filled = []
        for part in parts:
            attachment = part.get("attachment") if isinstance(part, dict) else None
            if (
                isinstance(attachment, dict)
                and not attachment.get("data")
                and attachment.get("url")
                and str(attachment.get("contentType", "")).lower().startswith("text/plain")
            ):
                text = self._linked_text(attachment)
                if text is None:
                    self.texts_unread += 1
                else:
                    kept = {k: v for k, v in attachment.items() if k not in {"url", "size", "hash"}}
                    part = {**part, "attachment": {**kept, "data": text}}  # noqa: PLW2901
            filled.append(part)
        return {**resource, "content": filled}

    def _linked_text(self, attachment: Mapping[str, Any]) -> str | None:
        url = same_origin(str(attachment["url"]), self.connection.base_url)
        if not url or self._texts_read >= 50:
            return None
        self._texts_read += 1
        try:
            reply = self.get(url)
        except AdapterError:
            return None
        if reply.status != 200:
            return None
        body = json_object(reply)
        if body is not None and body.get("resourceType") == "Binary":
            data = body.get("data")
            inline = {"contentType": body.get("contentType", "text/plain"), "data": data}
            return str(data) if attachment_text(inline) is not None else None
        if reply.header("content-type").lower().startswith("text/plain"):
            return base64.b64encode(reply.body).decode()
        return None
