"""The inherited contract, with a FHIR server behind it that this project did not write.

The scripted EHR stands before that server as a gateway would: what a test scripts is answered by the script,
everything else is asked of, and filed by, the server, under the same ids.
"""

import json
from collections.abc import Callable, Iterator
from typing import ClassVar

import pytest
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from ehr_adapters import oauth
from ehr_adapters.base import EhrAdapter
from ehr_adapters.contract import WirePlan
from tests.ehr_adapters.contract import AdapterContract
from tests.ehr_adapters.fake_ehr import FakeEhr
from tests.ehr_adapters.strangers import MODES, Server

pytestmark = [pytest.mark.once, pytest.mark.interop]

# Named as they are asked for; the rest of the headers is the wire's own business.
_FORWARDED = ("Content-Type", "If-Match", "If-None-Exist", "If-None-Match", "Prefer", "Accept")
_RETURNED = ("Content-Type", "ETag", "Last-Modified", "Location")


class Gateway(FakeEhr):
    """The scripted EHR whose chart is kept by another server."""

    def __init__(self, server: HTTPServer, behind: Server) -> None:
        super().__init__(server)
        self.behind = behind
        self._filed: dict[str, str] = {}

    def _file(self) -> None:
        """What the test says of the chart is in the chart."""
        for reference, entry in self.resources.items():
            content = json.dumps({k: v for k, v in entry.items() if k != "meta"})
            if self._filed.get(reference) != content:
                reply = self.behind.ask("PUT", reference, content.encode())
                assert reply.ok, reply.text
                self._filed[reference] = content
        for reference in self._filed.keys() - self.resources.keys():
            self.behind.raw("DELETE", reference)
            del self._filed[reference]

    def clear(self) -> None:
        """The chart as the test says it, and nothing that was done to it."""
        self.behind.order("POST", "reset")
        self._filed.clear()

    def _passed_on(self, request: Request) -> Response:
        self._file()
        path = request.full_path.partition("/R4/")[2].rstrip("?")
        named = {n: request.headers[n] for n in _FORWARDED if n in request.headers}
        reply = self.behind.ask(request.method, path, request.get_data() or None, **named)
        headers = {n: reply.headers[n] for n in _RETURNED if n in reply.headers}
        if "Location" in headers:
            headers["Location"] = headers["Location"].replace(self.behind.base, self.base_url)
        return Response(reply.content, status=reply.status_code, headers=headers)

    def _write(self, request: Request) -> Response:
        return self._passed_on(request)

    def _read(self, request: Request) -> Response:
        kind = request.path.rpartition("/")[2]
        return super()._read(request) if kind in self.searches else self._passed_on(request)


class ContractOnAnotherServer(AdapterContract):
    """The contract, kept on entries that the other server made and holds."""

    kind = "generic_r4"
    mode: ClassVar[str]
    _plans: ClassVar[list[WirePlan]]

    # Answers by the script alone; what the server itself does wrong is met in test_interop_kinds.
    test_each_answer_becomes_its_branch = None
    # This server does what it says, and test_interop_medplum has the probe that proves it.
    test_an_ehr_that_merely_takes_everything_proves_nothing = None

    def __init_subclass__(cls) -> None:
        cls._plans = []

    @pytest.fixture
    def ehr(
        self,
        server: HTTPServer,
        strangers: Callable[[str], Server],
        monkeypatch: pytest.MonkeyPatch,
    ) -> Iterator[FakeEhr]:
        monkeypatch.setattr(oauth, "read_tokens", oauth.ReadTokens())
        server.clear()
        gateway = Gateway(server, strangers(self.mode))
        gateway.clear()
        yield gateway
        gateway.released.set()
        gateway.clear()

    def every_plan(self, adapter: EhrAdapter, ehr: FakeEhr) -> Iterator[WirePlan]:
        """Rendered once from what the server answers: the chart is the same at the start of each test."""
        if not self._plans:
            self._plans.extend(super().every_plan(adapter, ehr))
        yield from self._plans

    def test_sends_the_frozen_bytes_and_nothing_else(
        self, adapter: EhrAdapter, ehr: FakeEhr
    ) -> None:
        assert isinstance(ehr, Gateway)
        for kind, interaction in self.supported():
            # Here a write has its effect, so each begins with the chart as it was.
            ehr.resources["DocumentReference/do-1"]["docStatus"] = "preliminary"
            ehr.clear()
            self.is_sent_as_frozen(adapter, ehr, self.plan(adapter, ehr, kind, interaction))


class TestContractOnTheServerAsItIsSetUp(ContractOnAnotherServer):
    mode = "transactional"


class TestContractOnTheServerAsPublished(ContractOnAnotherServer):
    mode = "stock"
    # What is rendered depends on the entries, which are those of the other mode; how this mode takes each
    # kind of change is in test_interop_kinds.
    test_what_is_rendered_reads_back_as_what_was_said = None
    test_sends_the_frozen_bytes_and_nothing_else = None


def test_both_modes_are_under_contract() -> None:
    modes = {each.mode for each in ContractOnAnotherServer.__subclasses__()}
    assert modes == set(MODES)
