"""The only network code: one request, one answer, nothing followed, nothing repeated.

Every exchange has a connect and a read timeout and a total deadline, goes only to an origin that the
connection names, at an address that was vetted when it was resolved, follows no redirect, uses no proxy
or stored password of the machine, and reads at most so many bytes. What goes wrong is told in two
words: before the request left, or after.
"""

import http.client
import ipaddress
import socket
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self
from urllib.parse import urljoin, urlsplit

import requests
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import HTTPError
from urllib3.util.connection import create_connection
from urllib3.util.retry import Retry

from ehr_adapters.errors import AdapterMisconfigured

MAX_REPLY_BYTES = 16 * 1024 * 1024
USER_AGENT = "reviewportal"


class NeverConnected(Exception):
    """No byte of the request left: name, address, TCP or TLS failed."""


class NotAnswered(Exception):
    """The request left, or may have; no whole answer came back. `timed_out` tells a silence from a break."""

    def __init__(self, *, timed_out: bool) -> None:
        super().__init__("timed out" if timed_out else "broken off")
        self.timed_out = timed_out


class EgressRefused(AdapterMisconfigured):
    """The address is not one that this connection may speak to."""


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer as it came: status, headers with lower-case names, the whole body."""

    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)
    url: str = ""

    def header(self, name: str) -> str:
        return self.headers.get(name.lower(), "")


def origin_of(url: str) -> tuple[str, str, int]:
    """(scheme, host, port) of an absolute URL; raises `EgressRefused` for anything else."""
    try:
        parts = urlsplit(url)
        port = parts.port or {"http": 80, "https": 443}.get(parts.scheme, 0)
    except ValueError:
        raise EgressRefused("The address is not a web address.") from None
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.username is not None:
        raise EgressRefused("The address is not a plain http or https address.")
    return parts.scheme, parts.hostname.lower(), port


def same_origin(url: str, base_url: str) -> str:
    """`url` made absolute against `base_url`, or "" when it leads to another origin or out of the base."""
    base = base_url.rstrip("/") + "/"
    try:
        absolute = urljoin(base, url)
        if origin_of(absolute) != origin_of(base):
            return ""
    except (EgressRefused, ValueError):
        return ""
    path, root = urlsplit(absolute).path, urlsplit(base).path
    if not (path + "/").startswith(root) or "/../" in path or "%2e" in path.lower():
        return ""
    return absolute


@dataclass(frozen=True, slots=True)
class EgressList:
    """Where one connection may speak to, and over what.

    In the environment "sandbox" that is loopback and nothing else, over http or https; in every other
    environment https only and never loopback, link-local or otherwise special addresses.
    """

    environment: str
    origins: frozenset[tuple[str, str, int]]

    @classmethod
    def for_urls(cls, *urls: str, environment: str) -> Self:
        if environment not in {"sandbox", "test", "live"}:
            raise EgressRefused("The environment is sandbox, test or live.")
        origins = frozenset(origin_of(url) for url in urls if url)
        for scheme, _, _ in origins:
            if environment != "sandbox" and scheme != "https":
                raise EgressRefused("Outside the sandbox an EHR is spoken to over https only.")
        return cls(environment=environment, origins=origins)

    def check_url(self, url: str) -> None:
        """Raises `EgressRefused` unless the connection names this origin."""
        if origin_of(url) not in self.origins:
            raise EgressRefused("The address is not on this connection's list.")

    def admits(self, address: str) -> bool:
        """May the connection speak to this resolved address?"""
        try:
            ip = ipaddress.ip_address(address.split("%", 1)[0])
        except ValueError:
            return False
        mapped = getattr(ip, "ipv4_mapped", None)
        ip = mapped or ip
        if self.environment == "sandbox":
            return ip.is_loopback
        return not (
            ip.is_loopback
            or ip.is_link_local
            or ip.is_multicast
            or ip.is_unspecified
            or ip.is_reserved
        )


class _Exchange(threading.local):
    """The exchange under way in this thread: whom it may speak to, and the socket to shut when time is up."""

    egress: EgressList | None = None
    connection: Any = None


_exchange = _Exchange()


def _vetted_socket(host: str, port: int, connection: Any) -> socket.socket:
    egress = _exchange.egress
    if egress is None:
        raise NeverConnected("no exchange is under way")
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError as failed:
        raise NeverConnected("the name is not known") from failed
    addresses = [str(entry[4][0]) for entry in found]
    # One special address among them is enough to refuse: the name would be a door into this network.
    if not addresses or not all(egress.admits(address) for address in addresses):
        raise EgressRefused("The name leads to an address that this connection may not speak to.")
    last: OSError | None = None
    for address in addresses:
        try:
            return create_connection(
                (address, port), connection.timeout, socket_options=connection.socket_options
            )
        except OSError as failed:
            last = failed
    raise NeverConnected("no connection") from last


class _Vetted:
    """Connects to the vetted address, and tells a failed connection from a lost answer."""

    def _new_conn(self) -> socket.socket:
        return _vetted_socket(self.host, self.port, self)  # type: ignore[attr-defined]  # mixed into urllib3's connections

    def connect(self) -> None:
        try:
            super().connect()  # type: ignore[misc]  # mixed into urllib3's connections
        except (NeverConnected, EgressRefused):
            raise
        except (OSError, HTTPError, http.client.HTTPException) as failed:
            raise NeverConnected("no secure connection") from failed

    def request(self, *args: Any, **kwargs: Any) -> None:
        _exchange.connection = self
        super().request(*args, **kwargs)  # type: ignore[misc]  # mixed into urllib3's connections


class _VettedHttp(_Vetted, HTTPConnection):
    pass


class _VettedHttps(_Vetted, HTTPSConnection):
    pass


class _HttpPool(HTTPConnectionPool):
    ConnectionCls = _VettedHttp


class _HttpsPool(HTTPSConnectionPool):
    ConnectionCls = _VettedHttps


class _VettedAdapter(HTTPAdapter):
    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = {"http": _HttpPool, "https": _HttpsPool}


class _Session(requests.Session):
    """A session that takes nothing from the machine's environment and sees no redirects."""

    def __init__(self) -> None:
        super().__init__()
        self.trust_env = False
        self.headers.clear()
        adapter = _VettedAdapter(max_retries=Retry(total=0, redirect=0, read=False))
        self.mount("http://", adapter)
        self.mount("https://", adapter)

    def get_redirect_target(self, resp: requests.Response) -> str | None:
        # Else requests reads the whole body, past our cap, to prepare the request that is never made.
        del resp
        return None


class HttpClient:
    """Speaks to the origins of one connection. Not for two threads at once.

    `ca_file` names a PEM file of certificate authorities for EHRs with a private one; else the usual list.
    """

    def __init__(
        self,
        *,
        egress: EgressList,
        connect_timeout: float,
        read_timeout: float,
        ca_file: str = "",
        max_reply_bytes: int = MAX_REPLY_BYTES,
    ) -> None:
        self.egress = egress
        self.connect_timeout = connect_timeout
        self.read_timeout = read_timeout
        self.max_reply_bytes = max_reply_bytes
        self._verify: str | bool = ca_file or True
        self._kept: requests.Session | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Gives kept connections back."""
        if self._kept is not None:
            self._kept.close()
            self._kept = None

    def exchange(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        body: bytes | None = None,
        deadline: float,
    ) -> Reply:
        """One request and its whole answer within `deadline` seconds.

        Raises `EgressRefused`, `NeverConnected` or `NotAnswered`, nothing else. A write has a connection of
        its own: a kept one that the EHR closed meanwhile would look like a lost answer.
        """
        self.egress.check_url(url)
        ends_at = time.monotonic() + deadline
        keep = method == "GET"
        session = self._session() if keep else _Session()
        _exchange.egress = self.egress
        _exchange.connection = None
        overdue = threading.Event()
        timer = threading.Timer(deadline, _hang_up, args=(_exchange.__dict__, overdue))
        timer.daemon = True
        timer.start()
        try:
            return self._exchange(
                session, method=method, url=url, headers=headers, body=body, ends_at=ends_at
            )
        except NotAnswered as failed:
            if keep:
                self.close()
            raise NotAnswered(timed_out=failed.timed_out or overdue.is_set()) from None
        finally:
            timer.cancel()
            _exchange.egress = None
            _exchange.connection = None
            if not keep:
                session.close()

    def _session(self) -> requests.Session:
        if self._kept is None:
            self._kept = _Session()
        return self._kept

    def _exchange(
        self,
        session: requests.Session,
        *,
        method: str,
        url: str,
        headers: Mapping[str, str],
        body: bytes | None,
        ends_at: float,
    ) -> Reply:
        left = max(0.05, ends_at - time.monotonic())
        try:
            with session.request(
                method,
                url,
                data=body,
                headers={
                    "User-Agent": USER_AGENT,
                    "Accept-Encoding": "identity",
                    "Connection": "keep-alive" if method == "GET" else "close",
                    **headers,
                },
                timeout=(min(self.connect_timeout, left), min(self.read_timeout, left)),
                allow_redirects=False,
                stream=True,
                verify=self._verify,
            ) as response:
                body_received = self._read_capped(response, ends_at=ends_at)
                return Reply(
                    status=response.status_code,
                    headers={name.lower(): value for name, value in response.headers.items()},
                    body=body_received,
                    url=url,
                )
        except (NeverConnected, EgressRefused, NotAnswered):
            raise
        except requests.exceptions.ConnectTimeout:
            raise NeverConnected("no connection in time") from None
        except requests.exceptions.Timeout:
            raise NotAnswered(timed_out=True) from None
        except (
            requests.exceptions.RequestException,
            HTTPError,
            OSError,
            http.client.HTTPException,
        ) as failed:
            raise NotAnswered(timed_out=_was_a_timeout(failed)) from None
        except ValueError:
            # A socket shut by the deadline while it was being read; the answer is not whole.
            raise NotAnswered(timed_out=True) from None

    def _read_capped(self, response: requests.Response, *, ends_at: float) -> bytes:
        received = bytearray()
        for chunk in response.raw.stream(64 * 1024, decode_content=False):
            received += chunk
            too_long = len(received) > self.max_reply_bytes
            if too_long or time.monotonic() > ends_at:
                raise NotAnswered(timed_out=not too_long)
        return bytes(received)


def _was_a_timeout(failed: BaseException) -> bool:
    return "timed out" in str(failed).lower()


def _hang_up(exchange: dict[str, Any], overdue: threading.Event) -> None:
    """Ends a socket whose time is up, whatever the other side is dripping into it."""
    overdue.set()
    connection = exchange.get("connection")
    sock = getattr(connection, "sock", None)
    if sock is not None:
        try:
            sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            return
