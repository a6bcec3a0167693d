"""The login in two steps, and the one session that serves every door of the Connect interface.

The first login is answered with a fault that names the practice's own server; only the same login there
gives a session. A server is taken only where the connection lists its origin, so neither the password nor
a session ever leaves for a host that the first door, or whoever answered for it, made up.

Source: integrators' notes on the AdvancedMD Connect API, login, redirect and session.
"""

import hashlib
import re
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from ehr_adapters import oauth
from ehr_adapters.contract import Connection
from ehr_adapters.errors import AdapterMisconfigured, RateLimited, TokenUnavailable
from ehr_adapters.http import EgressRefused, HttpClient, NeverConnected, NotAnswered, origin_of
from ehr_adapters.vendors.advancedmd import budget, messages
from ehr_adapters.vendors.advancedmd.faults import ELSEWHERE
from ehr_adapters.vendors.advancedmd.messages import NotAMessage
from ehr_adapters.vendors.advancedmd.settings import AdvancedMdSettings

# What a session may look like: safe in markup, in a cookie and in a header alike.
_SESSION = re.compile(r"[A-Za-z0-9+/=._~-]{8,4096}")
_SERVER_PATH = re.compile(r"/(?:[A-Za-z0-9_-]+/)*processrequest/api-[0-9]+/[A-Za-z0-9_-]+")
# About one login a minute is let through.
_LOGIN_PAUSE = 60.0


@dataclass(frozen=True, slots=True)
class Session:
    """A session, and the practice's server that it is good for."""

    value: str = field(repr=False)
    server: str
    until: datetime

    def left(self, at: datetime) -> float:
        return (self.until - at).total_seconds()


def checked_server(address: str, *, settings: AdvancedMdSettings) -> str:
    """The practice's server as a login named it; raises `AdapterMisconfigured` for one that is not listed."""
    try:
        origin, parts = origin_of(address), urlsplit(address)
        listed = {origin_of(one) for one in settings.cluster_origins}
    except EgressRefused:
        origin, parts, listed = ("", "", 0), urlsplit(""), set()
    plain = not parts.query and not parts.fragment and _SERVER_PATH.fullmatch(parts.path)
    if origin not in listed or not plain:
        raise AdapterMisconfigured(
            "AdvancedMD's login names a server that is not on this connection's list (cluster_origins)."
        )
    return address


def rest_address(server: str, door: str) -> str:
    """The address of the REST interface ("api") or of the charts' ("ehr-api") on the same server."""
    head, _, tail = server.rpartition("/processrequest/")
    return f"{head}/{door}/{tail}"


class Sessions:
    """Sessions of this process by user and office: a login a minute is all that AdvancedMD lets through."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: dict[tuple[str, ...], Session] = {}

    def get(
        self, connection: Connection, *, settings: AdvancedMdSettings, client: HttpClient
    ) -> Session:
        """The live session, else a new one. Raises `TokenUnavailable`, `RateLimited`."""
        key = _key(connection, settings)
        with self._lock:
            held = self._kept.get(key)
            if held is None or held.left(budget.now()) <= 0:
                held = log_in(connection, settings=settings, client=client)
                self._kept[key] = held
            return held

    def drop(self, connection: Connection, *, settings: AdvancedMdSettings, value: str) -> None:
        """Forgets a session that AdvancedMD no longer takes, unless another one has come since."""
        key = _key(connection, settings)
        with self._lock:
            if key in self._kept and self._kept[key].value == value:
                del self._kept[key]


def _key(connection: Connection, settings: AdvancedMdSettings) -> tuple[str, ...]:
    who = "\n".join(connection.secrets.get(name, "") for name in ("username", "password"))
    secret = hashlib.sha256(who.encode()).hexdigest()
    return settings.login_url, settings.office_code, settings.app_name, secret


def user_of(connection: Connection) -> tuple[str, str]:
    """User name and password; raises `AdapterMisconfigured` where the key file does not hold them."""
    held = tuple(connection.secrets.get(name, "") for name in ("username", "password"))
    if not all(held):
        raise AdapterMisconfigured(
            f"The key file “{connection.credential_ref}” holds no username or no password."
        )
    return held[0], held[1]


def log_in(connection: Connection, *, settings: AdvancedMdSettings, client: HttpClient) -> Session:
    """Both steps of the login. Every failure is one to get a session: nothing was sent."""
    if not settings.office_code or not settings.app_name:
        raise AdapterMisconfigured("The connection's settings name no office_code or no app_name.")
    first = _ask(connection, settings.login_url, settings=settings, client=client)
    if first.success and first.session:
        return _session(connection, first, settings=settings, server=first.server)
    if not first.faults or first.faults[0][0] != ELSEWHERE:
        raise _refused(connection, first)
    server = checked_server(first.server, settings=settings)
    second = _ask(connection, f"{server}/{messages.DOOR}", settings=settings, client=client)
    if not second.success or not second.session:
        raise _refused(connection, second)
    return _session(connection, second, settings=settings, server=server)


def _session(
    connection: Connection,
    reply: messages.Reply,
    *,
    settings: AdvancedMdSettings,
    server: str,
) -> Session:
    if not _SESSION.fullmatch(reply.session):
        raise TokenUnavailable(
            "AdvancedMD answered the login without a session.", connection_kind=connection.kind
        )
    until = budget.now() + timedelta(seconds=settings.session_life_seconds)
    return Session(reply.session, checked_server(server, settings=settings), until)


def _ask(
    connection: Connection, url: str, *, settings: AdvancedMdSettings, client: HttpClient
) -> messages.Reply:
    user, password = user_of(connection)
    zone = ZoneInfo(connection.time_zone)
    body = messages.login(
        {
            "username": user,
            "psw": password,
            "officecode": settings.office_code,
            "appname": settings.app_name,
        },
        at=budget.now().astimezone(zone),
    )
    facts: dict[str, Any] = {"connection_kind": connection.kind, "interaction": "login"}
    try:
        reply = client.exchange(
            "POST",
            url,
            headers={"Content-Type": "text/xml; charset=ISO-8859-1", "Accept": "text/xml"},
            body=body,
            deadline=connection.deadline,
        )
    except EgressRefused as refused:
        raise AdapterMisconfigured(str(refused)) from None
    except (NeverConnected, NotAnswered):
        raise TokenUnavailable("AdvancedMD's login could not be reached.", **facts) from None
    facts["status"] = reply.status
    if reply.status == 429:
        raise RateLimited(
            "AdvancedMD lets the portal log in about once a minute.",
            retry_after=oauth.retry_after(reply) or _LOGIN_PAUSE,
            **facts,
        )
    try:
        if reply.status == 200:
            return messages.Reply.read(reply.body, content_type=reply.header("content-type"))
    except NotAMessage:
        pass
    raise TokenUnavailable("AdvancedMD's login gave no answer that can be used.", **facts)


def _refused(connection: Connection, reply: messages.Reply) -> TokenUnavailable:
    number = reply.faults[0][0] if reply.faults else ""
    facts: Mapping[str, Any] = {"connection_kind": connection.kind, "interaction": "login"}
    return TokenUnavailable(
        "AdvancedMD did not let the portal log in.",
        vendor_code=number,
        next_step="Ask AdvancedMD's administrator to check the portal's user.",
        **facts,
    )


sessions = Sessions()
