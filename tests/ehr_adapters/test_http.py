"""The only network code: where it speaks to, what it waits for, what it believes."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from ehr_adapters import http
from ehr_adapters.http import (
    EgressList,
    EgressRefused,
    HttpClient,
    NeverConnected,
    NotAnswered,
    same_origin,
)

pytestmark = pytest.mark.once


def client(url: str, **more: float) -> HttpClient:
    values = {"connect_timeout": 0.5, "read_timeout": 0.5} | more
    return HttpClient(egress=EgressList.for_urls(url, environment="sandbox"), **values)  # type: ignore[arg-type]  # values of each test by name


@contextmanager
def raw_server(speak: Callable[[socket.socket], None]) -> Iterator[str]:
    """A server that takes one connection and does with it what it likes."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(4)
        listener.settimeout(5)

        def serve() -> None:
            try:
                taken, _ = listener.accept()
            except OSError:
                return
            with taken:
                taken.settimeout(5)
                taken.recv(65536)
                try:
                    speak(taken)
                except OSError:
                    return

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        thread.join(5)


class TestWhereItMaySpeakTo:
    @pytest.mark.req("003-90")
    @pytest.mark.parametrize(
        "url",
        [
            "ftp://x/",
            "http:///x",
            "https://user:word@ehr.example/",
            "file:///etc/passwd",
            "x",
            "http://x:99999/",
        ],
    )
    def test_only_plain_web_addresses_are_taken(self, url: str) -> None:
        with pytest.raises(EgressRefused):
            EgressList.for_urls(url, environment="test")

    def test_outside_the_sandbox_only_https(self) -> None:
        for environment in ("test", "live"):
            with pytest.raises(EgressRefused):
                EgressList.for_urls("http://ehr.example/r4", environment=environment)
            EgressList.for_urls("https://ehr.example/r4", environment=environment)
        with pytest.raises(EgressRefused):
            EgressList.for_urls("https://ehr.example/r4", environment="production")

    @pytest.mark.parametrize(
        ("address", "sandbox", "live"),
        [
            ("127.0.0.1", True, False),
            ("::1", True, False),
            ("::ffff:127.0.0.1", True, False),
            ("169.254.169.254", False, False),
            ("fe80::1%eth0", False, False),
            ("0.0.0.0", False, False),
            ("224.0.0.1", False, False),
            ("203.0.113.9", False, True),
            ("10.1.2.3", False, True),
            ("nonsense", False, False),
        ],
    )
    def test_addresses_are_vetted_after_they_are_resolved(
        self, address: str, sandbox: bool, live: bool
    ) -> None:
        loopback = EgressList.for_urls("http://127.0.0.1:1/", environment="sandbox")
        outside = EgressList.for_urls("https://ehr.example/", environment="live")
        assert loopback.admits(address) is sandbox
        assert outside.admits(address) is live

    def test_a_name_that_leads_inside_is_refused_before_anything_is_sent(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        listed = EgressList.for_urls("https://ehr.example/r4", environment="live")
        answers = [
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", (a, 443))
            for a in ("203.0.113.9", "127.0.0.1")
        ]
        monkeypatch.setattr(http.socket, "getaddrinfo", lambda *_a, **_k: answers)
        speaker = HttpClient(egress=listed, connect_timeout=0.5, read_timeout=0.5)
        with pytest.raises(EgressRefused):
            speaker.exchange("GET", "https://ehr.example/r4/x", headers={}, deadline=1)

    def test_another_origin_is_refused(self) -> None:
        speaker = client("http://127.0.0.1:1/r4")
        for url in ("http://127.0.0.1:2/r4", "http://localhost:1/r4", "https://127.0.0.1:1/r4"):
            with pytest.raises(EgressRefused):
                speaker.exchange("GET", url, headers={}, deadline=1)

    @pytest.mark.parametrize(
        ("url", "inside"),
        [
            ("Condition/1", True),
            ("/r4/Condition/1", True),
            ("https://ehr.example/r4/Condition?page=2", True),
            ("https://ehr.example:443/r4/x", True),
            ("https://ehr.example/r44/x", False),
            ("https://ehr.example/admin", False),
            ("https://ehr.example.evil/r4/x", False),
            ("https://evil@ehr.example/r4/x", False),
            ("http://ehr.example/r4/x", False),
            ("//evil.example/r4/x", False),
            ("../admin", False),
            ("/r4/%2e%2e/admin", False),
            ("javascript:x", False),
        ],
    )
    def test_links_of_an_answer_stay_inside_the_base(self, url: str, inside: bool) -> None:
        assert bool(same_origin(url, "https://ehr.example/r4")) is inside


class TestWhatItWaitsFor:
    def test_a_dripping_answer_ends_at_the_deadline(self) -> None:
        def drip(wire: socket.socket) -> None:
            for _ in range(200):
                wire.sendall(b"H")
                time.sleep(0.02)

        with raw_server(drip) as url:
            started = time.monotonic()
            with pytest.raises(NotAnswered) as failed:
                client(url, read_timeout=5).exchange(
                    "POST", url, headers={}, body=b"x", deadline=0.4
                )
            assert time.monotonic() - started < 2
            assert failed.value.timed_out

    def test_an_endless_answer_ends_at_the_cap(self) -> None:
        def flood(wire: socket.socket) -> None:
            wire.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n")
            for _ in range(1000):
                wire.sendall(b"x" * 65536)

        with raw_server(flood) as url:
            speaker = client(url, max_reply_bytes=100_000)
            with pytest.raises(NotAnswered) as failed:
                speaker.exchange("POST", url, headers={}, body=b"x", deadline=3)
            assert not failed.value.timed_out

    def test_a_refusal_of_the_connection_is_told_from_a_lost_answer(self) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            url = f"http://127.0.0.1:{free.getsockname()[1]}"
        with pytest.raises(NeverConnected):
            client(url).exchange("POST", url, headers={}, body=b"x", deadline=1)
        with (
            raw_server(lambda wire: wire.shutdown(socket.SHUT_RDWR)) as url,
            pytest.raises(NotAnswered),
        ):
            client(url).exchange("POST", url, headers={}, body=b"x", deadline=1)

    def test_speech_that_is_no_http_is_a_lost_answer(self) -> None:
        with (
            raw_server(lambda wire: wire.sendall(b"SSH-2.0-x\r\n")) as url,
            pytest.raises(NotAnswered),
        ):
            client(url).exchange("POST", url, headers={}, body=b"x", deadline=1)

    def test_a_server_without_tls_is_never_connected_to_over_https(self) -> None:
        with raw_server(lambda wire: wire.sendall(b"HTTP/1.1 200 OK\r\n\r\n")) as url:
            secure = url.replace("http://", "https://")
            with pytest.raises(NeverConnected):
                client(secure).exchange("POST", secure, headers={}, body=b"x", deadline=1)

    def test_the_machines_proxy_and_passwords_are_not_used(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
        monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
        received: list[bytes] = []

        def answer(wire: socket.socket) -> None:
            received.append(b"reached")
            wire.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

        with raw_server(answer) as url:
            reply = client(url).exchange("GET", url, headers={}, deadline=2)
        assert (reply.status, reply.body, received) == (200, b"ok", [b"reached"])
