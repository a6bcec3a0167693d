"""An EHR that takes a fixed time for each call: as much FHIR as the generic adapter asks for, and no more.

    python -m tests.bench.ehr --milliseconds 50

Every id is a patient, and an open visit of the patient whose number it bears, so that a bench can write to
as many charts as it likes. It holds what is written and finds it by identifier and by patient, so the search
before sending and the reading back see the truth. One event loop, no threads: its own cost stays small beside
what is measured. Prints one JSON line with its port when it listens.
"""

import argparse
import asyncio
import json
import time
from dataclasses import dataclass, field
from urllib.parse import parse_qs, urlsplit

PATIENT, VISIT, CLINICIAN = "benchp", "benche", "bench"


@dataclass(slots=True)
class Chart:
    """What was written, and when each write arrived, by the machine's monotonic clock."""

    entries: dict[str, dict[str, object]] = field(default_factory=dict)
    by_identifier: dict[str, list[str]] = field(default_factory=dict)
    by_patient: dict[tuple[str, str], list[str]] = field(default_factory=dict)
    arrivals: list[tuple[float, str]] = field(default_factory=list)
    calls: list[tuple[str, str, dict[str, str], str]] = field(default_factory=list)
    recording: bool = False
    delay: float = 0.0

    def answer(
        self, method: str, target: str, headers: dict[str, str], body: bytes
    ) -> tuple[int, dict[str, str], bytes]:
        parts = urlsplit(target)
        path = parts.path
        if path.startswith("/_bench/"):
            return self._control(path.removeprefix("/_bench/"), parse_qs(parts.query))
        if self.recording:
            self.calls.append((method, target, headers, body.decode()))
        if method == "POST" and path == "/token":
            asked = parse_qs(body.decode()).get("scope", [""])[0]
            return _json(
                200,
                {
                    "access_token": "a" * 40,
                    "token_type": "bearer",
                    "expires_in": 300,
                    "scope": asked,
                },
            )
        if not path.startswith("/fhir/"):
            return _json(404, {})
        kind, _, logical = path.removeprefix("/fhir/").partition("/")
        if method == "POST":
            return self._create(kind, body)
        if logical:
            return self._read(kind, logical)
        return self._search(kind, parse_qs(parts.query))

    def _create(self, kind: str, body: bytes) -> tuple[int, dict[str, str], bytes]:
        resource = json.loads(body)
        identifiers = [
            f"{one.get('system', '')}|{one.get('value', '')}"
            for one in resource.get("identifier", ())
        ]
        for token in identifiers:
            for reference in self.by_identifier.get(token, ()):
                self.arrivals.append((time.monotonic(), f"again {token}"))
                return _json(200, self.entries[reference])
        logical = f"w{len(self.entries) + 1}"
        reference = f"{kind}/{logical}"
        stored = {**resource, "id": logical, "meta": {"versionId": "1"}}
        self.entries[reference] = stored
        for token in identifiers:
            self.by_identifier.setdefault(token, []).append(reference)
        patient = str(
            (resource.get("subject") or resource.get("patient") or {}).get("reference", "")
        )
        self.by_patient.setdefault((kind, patient), []).append(reference)
        self.arrivals.append((time.monotonic(), patient))
        return _json(201, stored, Location=f"/fhir/{reference}/_history/1", ETag='W/"1"')

    def _read(self, kind: str, logical: str) -> tuple[int, dict[str, str], bytes]:
        stored = self.entries.get(f"{kind}/{logical}")
        if stored is not None:
            return _json(200, stored)
        if kind == "Patient" and logical.startswith(PATIENT):
            return _json(200, {
                "resourceType": "Patient", "id": logical, "active": True, "meta": {"versionId": "1"},
                "name": [{"family": "BENCHLEY", "given": ["Ann"]}], "birthDate": "1960-01-01",
                "gender": "female", "identifier": [{"type": {"coding": [{"code": "MR"}]}, "value": "1"}],
            })  # fmt: skip
        if kind == "Encounter" and logical.startswith(VISIT):
            whose = PATIENT + logical.removeprefix(VISIT)
            return _json(200, {
                "resourceType": "Encounter", "id": logical, "status": "in-progress", "meta": {"versionId": "1"},
                "class": {"code": "AMB"}, "subject": {"reference": f"Patient/{whose}"},
                "participant": [{"individual": {"reference": f"Practitioner/{CLINICIAN}"}}],
            })  # fmt: skip
        if kind == "Practitioner" and logical == CLINICIAN:
            return _json(200, {
                "resourceType": "Practitioner", "id": logical, "meta": {"versionId": "1"},
                "name": [{"family": "Ench", "given": ["B."], "prefix": ["Dr"]}],
            })  # fmt: skip
        return _json(
            404,
            {
                "resourceType": "OperationOutcome",
                "issue": [{"severity": "error", "code": "not-found"}],
            },
        )

    def _search(self, kind: str, query: dict[str, list[str]]) -> tuple[int, dict[str, str], bytes]:
        if "identifier" in query:
            found = self.by_identifier.get(query["identifier"][0], [])
        else:
            found = self.by_patient.get(
                (kind, query.get("patient", query.get("subject", [""]))[0]), []
            )
        entries = [{"resource": self.entries[one], "search": {"mode": "match"}} for one in found]
        return _json(
            200,
            {
                "resourceType": "Bundle",
                "type": "searchset",
                "total": len(entries),
                "entry": entries,
            },
        )

    def _control(
        self, order: str, query: dict[str, list[str]]
    ) -> tuple[int, dict[str, str], bytes]:
        if order == "delay":
            self.delay = float(query["ms"][0]) / 1000
        elif order == "record":
            self.calls.clear()
            self.recording = query["on"][0] == "1"
        elif order == "calls":
            return _json(200, {"calls": self.calls})
        elif order == "arrivals":
            start = int(query.get("from", ["0"])[0])
            return _json(200, {"count": len(self.arrivals), "arrivals": self.arrivals[start:]})
        elif order == "count":
            return _json(200, {"count": len(self.arrivals)})
        else:
            return _json(404, {})
        return _json(200, {})


def _json(status: int, value: object, **headers: str) -> tuple[int, dict[str, str], bytes]:
    return status, headers, json.dumps(value, separators=(",", ":")).encode()


class Door(asyncio.Protocol):
    """One connection: requests with a Content-Length, one after the other."""

    def __init__(self, chart: Chart, loop: asyncio.AbstractEventLoop) -> None:
        self.chart, self.loop = chart, loop
        self.buffer = b""
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment]  # the server only writes to it

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        head, found, rest = self.buffer.partition(b"\r\n\r\n")
        if not found:
            return
        lines = head.decode("latin-1").split("\r\n")
        method, target, _ = lines[0].split(" ", 2)
        headers = {
            name.lower(): value.strip()
            for name, _, value in (line.partition(":") for line in lines[1:])
        }
        length = int(headers.get("content-length", "0"))
        if len(rest) < length:
            return
        self.buffer = rest[length:]
        status, extra, body = self.chart.answer(method, target, headers, rest[:length])
        closing = headers.get("connection", "").lower() == "close"
        form = "application/fhir+json" if target.startswith("/fhir/") else "application/json"
        more = "".join(f"{name}: {value}\r\n" for name, value in extra.items())
        answer = (
            f"HTTP/1.1 {status} x\r\nContent-Type: {form}\r\nContent-Length: {len(body)}\r\n{more}"
            f"Connection: {'close' if closing else 'keep-alive'}\r\n\r\n"
        ).encode() + body
        delay = 0.0 if target.startswith("/_bench/") else self.chart.delay
        if delay:
            self.loop.call_later(delay, self._send, answer, closing)
        else:
            self._send(answer, closing)

    def _send(self, answer: bytes, closing: bool) -> None:
        if self.transport is None or self.transport.is_closing():
            return
        self.transport.write(answer)
        if closing:
            self.transport.close()


async def serve(*, port: int, milliseconds: float) -> None:
    loop = asyncio.get_running_loop()
    chart = Chart(delay=milliseconds / 1000)
    server = await loop.create_server(lambda: Door(chart, loop), "127.0.0.1", port, backlog=512)
    print(json.dumps({"port": server.sockets[0].getsockname()[1]}), flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--port", type=int, default=0)
    arguments.add_argument("--milliseconds", type=float, default=0.0)
    chosen = arguments.parse_args()
    asyncio.run(serve(port=chosen.port, milliseconds=chosen.milliseconds))
