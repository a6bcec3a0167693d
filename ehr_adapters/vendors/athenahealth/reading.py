"""Reading from the proprietary interface: the twins of what is written there, by number and department."""

import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlencode

from ehr_adapters import oauth
from ehr_adapters.contract import AccessToken, Connection
from ehr_adapters.errors import (
    AdapterError,
    AdapterMisconfigured,
    ContentRefused,
    NotPermitted,
    RateLimited,
    Unreachable,
)
from ehr_adapters.http import EgressRefused, HttpClient, NeverConnected, NotAnswered, Reply
from ehr_adapters.vendors.athenahealth.answers import body_of, success_of
from ehr_adapters.vendors.athenahealth.settings import AthenaSettings

_FHIR_SIDE = "/fhir/r4"


def root_of(connection: Connection) -> str:
    """Where both interfaces stand: the base without the FHIR side (athenahealth API, URL locations).

    Raises `AdapterMisconfigured` for a base that is no FHIR side.
    """
    base = connection.base_url.rstrip("/")
    if not base.endswith(_FHIR_SIDE):
        raise AdapterMisconfigured("The base address of athenaOne ends with /fhir/r4.")
    return base.removesuffix(_FHIR_SIDE)


def practice_of(settings: AthenaSettings) -> str:
    """The number of the practice; raises `AdapterMisconfigured` when the connection has none."""
    if not settings.practice_id:
        raise AdapterMisconfigured("The connection does not name its practice in athenaOne.")
    return settings.practice_id


@dataclass(slots=True)
class Listed:
    """Entries of a list as far as it was read."""

    entries: list[dict[str, Any]] = field(default_factory=list)
    pages: int = 0
    complete: bool = True
    reason: str = ""


class V1Reader:
    """Reads of one operation: one token, one deadline, one kept connection."""

    def __init__(
        self,
        connection: Connection,
        *,
        settings: AthenaSettings,
        client: HttpClient,
        seconds: float,
    ) -> None:
        self.connection = connection
        self.settings = settings
        self.client = client
        self.ends_at = time.monotonic() + seconds
        self._token: AccessToken | None = None
        self._base = f"{root_of(connection)}/v1/{practice_of(settings)}"

    def _left(self) -> float:
        return max(0.05, self.ends_at - time.monotonic())

    def _read_token(self, *, fresh: bool) -> AccessToken:
        scope = self.settings.write_scope
        if fresh:
            oauth.read_tokens.drop(self.connection, scope)
        token = oauth.read_tokens.get(self.connection, scope)
        if token is None:
            token = oauth.fetch_token(
                self.connection,
                client=self.client,
                scope=scope,
                deadline=self._left(),
                must_grant_all=False,
                accept_wider_grant=self.settings.accept_wider_grant,
            )
            oauth.read_tokens.keep(self.connection, scope, token)
        return token

    def get(self, place: str, query: Sequence[tuple[str, str]] = ()) -> Any | None:
        """The JSON at a place below the practice; None when athenaOne says that there is none (404).

        Raises the branch of a failed read.
        """
        text = urlencode([pair for pair in query if pair[1]], quote_via=quote)
        url = f"{self._base}/{place}" + (f"?{text}" if text else "")
        reply = self._answered(url)
        if reply.status == 404 and isinstance(body_of(reply), Mapping):
            return None
        if reply.status != 200:
            raise self._failed(reply)
        value = body_of(reply)
        if value is None:
            raise Unreachable("The EHR's answer could not be read.", **self._facts(reply))
        return value

    def one(self, place: str, query: Sequence[tuple[str, str]] = ()) -> dict[str, Any] | None:
        """The object at a place, itself or as a list of one."""
        value = self.get(place, query)
        if value is None:
            return None
        found = success_of(value)
        if found is None:
            raise Unreachable("The EHR's answer could not be read.", connection_kind="athenahealth")
        return found

    def every(self, place: str, name: str, query: Sequence[tuple[str, str]] = ()) -> Listed:
        """All pages of a list; only the first page's failure raises."""
        listed = Listed()
        size = self.settings.page_size
        while True:
            if listed.pages == self.settings.max_pages:
                listed.complete, listed.reason = False, "too many pages"
                return listed
            offset = listed.pages * size
            try:
                page = self.get(place, [*query, ("limit", str(size)), ("offset", str(offset))])
            except AdapterError as failed:
                if not listed.pages:
                    raise
                listed.complete, listed.reason = False, failed.name
                return listed
            entries = page.get(name) if isinstance(page, Mapping) else page
            if not isinstance(entries, list) or not all(isinstance(e, dict) for e in entries):
                if page is None and not listed.pages:
                    return listed
                raise Unreachable(
                    "The EHR's answer could not be read.", connection_kind="athenahealth"
                )
            listed.pages += 1
            listed.entries += entries
            total = page.get("totalcount") if isinstance(page, Mapping) else None
            known = int(str(total)) if re.fullmatch(r"\d{1,9}", str(total)) else 0
            if len(listed.entries) >= known:
                return listed
            if not entries:
                listed.complete = False
                listed.reason = "the list is shorter than its stated total"
                return listed

    def _answered(self, url: str) -> Reply:
        for fresh in (False, True):
            if self._token is None or fresh:
                self._token = self._read_token(fresh=fresh)
            try:
                reply = self.client.exchange(
                    "GET",
                    url,
                    headers={
                        "Accept": "application/json",
                        "Authorization": f"Bearer {self._token.value}",
                    },
                    deadline=self._left(),
                )
            except EgressRefused as refused:
                raise AdapterMisconfigured(str(refused)) from None
            except (NeverConnected, NotAnswered):
                raise Unreachable(
                    "The EHR did not answer.", connection_kind="athenahealth", interaction="read"
                ) from None
            if reply.status != 401:
                return reply
        raise self._failed(reply)

    def _facts(self, reply: Reply) -> dict[str, Any]:
        return {
            "connection_kind": "athenahealth",
            "interaction": "read",
            "status": reply.status,
            "retry_after": oauth.retry_after(reply),
        }

    def _failed(self, reply: Reply) -> AdapterError:
        """The branch of a read that gave nothing: reading never changes the chart."""
        facts = self._facts(reply)
        if reply.status in {401, 403}:
            return NotPermitted("The EHR does not let the portal read this.", **facts)
        if reply.status == 429:
            return RateLimited(**facts)
        if 400 <= reply.status < 500:
            return ContentRefused("The EHR did not understand the portal's question.", **facts)
        return Unreachable("The EHR gave no usable answer.", **facts)
