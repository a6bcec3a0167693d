"""The limit: the calls of one write, as the portal made them, made by plain `requests` and nothing else."""

import json
import threading
import time
import urllib.request
import uuid
from collections.abc import Sequence
from typing import Any

import requests

from tests.bench.backlog import logical_ids, put

# What `requests` sets by itself.
_ITS_OWN = {"host", "connection", "content-length", "accept-encoding", "user-agent"}


class Ehr:
    """The bench's EHR, by its side door."""

    def __init__(self, url: str) -> None:
        self.url = url

    def order(self, what: str) -> dict[str, Any]:
        with urllib.request.urlopen(f"{self.url}/_bench/{what}", timeout=60) as answer:
            found: dict[str, Any] = json.loads(answer.read())
            return found

    def take(self, *, milliseconds: float) -> None:
        self.order(f"delay?ms={milliseconds}")

    def count(self) -> int:
        return int(self.order("count")["count"])

    def arrivals(self, *, since: int) -> list[tuple[float, str]]:
        """(monotonic moment of this machine, patient) of every write after the first `since`."""
        return [(at, who) for at, who in self.order(f"arrivals?from={since}")["arrivals"]]


class RawWriter:
    """Makes the recorded calls of one write again, for other patients, in the same order."""

    def __init__(self, calls: Sequence[Sequence[Any]], *, ehr: Ehr, serial: int, tag: str) -> None:
        self._ehr, self._tag = ehr, tag
        self._patient, self._visit = logical_ids(serial)
        self._calls = [
            (
                str(method),
                str(target),
                {k: v for k, v in headers.items() if k not in _ITS_OWN},
                str(body),
            )
            for method, target, headers, body in calls
        ]

    @property
    def calls(self) -> list[str]:
        return [f"{method} {target.split('?')[0]}" for method, target, _, _ in self._calls]

    def write(self, session: requests.Session, serial: int) -> None:
        patient, visit = logical_ids(serial)
        swap = {self._patient: patient, self._visit: visit, self._tag: str(uuid.uuid4())}
        for method, target, headers, body in self._calls:
            answer = session.request(
                method,
                f"{self._ehr.url}{put(target, swap)}",
                headers=headers,
                data=put(body, swap) or None,
                timeout=30,
            )
            answer.raise_for_status()

    def rate(self, *, at_once: int, first: int, count: int) -> float:
        """Writes a second: one thread and one kept session for each write on its way."""
        serials = iter(range(first, first + count))
        lock, failed = threading.Lock(), []

        def work() -> None:
            with requests.Session() as session:
                while not failed:
                    with lock:
                        serial = next(serials, None)
                    if serial is None:
                        return
                    try:
                        self.write(session, serial)
                    except requests.RequestException as error:
                        failed.append(error)

        threads = [threading.Thread(target=work) for _ in range(at_once)]
        before, started = self._ehr.count(), time.monotonic()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if failed:
            raise failed[0]
        return count / (self._ehr.arrivals(since=before)[count - 1][0] - started)
