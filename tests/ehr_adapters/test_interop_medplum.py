"""The generic adapter against a FHIR server that this project did not write.

The server lies beside the checkout; INTEROP_DIR names another place. With REQUIRE_INTEROP=1 its absence
is a failure, else the tests are skipped with the reason.
"""

import json
import os
import shutil
import subprocess
import uuid
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jwt
import pytest
import requests
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from django.conf import settings

from ehr_adapters import registry
from ehr_adapters.base import EhrAdapter
from ehr_adapters.canonical import codes
from ehr_adapters.canonical.base import changed_fields, parse_change
from ehr_adapters.capabilities import RetryClass
from ehr_adapters.contract import (
    Connection,
    ReadRequest,
    Tag,
    WirePlan,
    WireRequest,
    comparable_differences,
)
from ehr_adapters.errors import (
    AdapterError,
    AlreadyThere,
    ContentRefused,
    NotPermitted,
    OutcomeUnknown,
    RateLimited,
    TokenRejected,
    TokenUnavailable,
    VersionConflict,
)

pytestmark = [pytest.mark.once, pytest.mark.interop]

ROOT = Path(__file__).resolve().parents[2]
FILES = ("package.json", ".npmrc", "server.mjs")
AT = datetime(2026, 11, 20, 15, 0, tzinfo=UTC)
SECONDS = 60


def _absent(reason: str) -> None:
    if os.environ.get("REQUIRE_INTEROP") == "1":
        pytest.fail(reason)
    pytest.skip(reason)


def _server_folder() -> Path:
    """A private copy of the server with its packages: the original is never written to."""
    source = Path(
        os.environ.get("INTEROP_DIR", str(ROOT / "../shared/interop/fhir-server"))
    ).resolve()
    if not (source / "server.mjs").is_file():
        _absent("The third-party FHIR server is not beside the checkout (INTEROP_DIR).")
    if shutil.which("node") is None:
        _absent("The third-party FHIR server needs Node, which is not installed.")
    if (source / "node_modules").is_dir():
        return source
    folder = Path(settings.VAR_DIR) / "interop-fhir-server"
    folder.mkdir(parents=True, exist_ok=True)
    for name in FILES:
        if (source / name).is_file():
            shutil.copyfile(source / name, folder / name)
    if not (folder / "node_modules").is_dir():
        if shutil.which("npm") is None:
            _absent("The third-party FHIR server's packages are missing, and so is npm.")
        done = subprocess.run(
            ["npm", "install", "--no-audit", "--no-fund"],
            cwd=folder,
            capture_output=True,
            timeout=300,
            check=False,
        )
        if done.returncode:
            _absent("The third-party FHIR server's packages could not be installed.")
    return folder


class Server:
    """The running server: its addresses, its faults, entries made past the adapter."""

    def __init__(self, base: str, token_url: str) -> None:
        self.base, self.token_url = base, token_url
        self.admin = base.replace("/fhir/R4", "/admin")
        self.key = ec.generate_private_key(ec.SECP384R1())
        self.client_id = f"portal-{uuid.uuid4()}"
        public = jwt.algorithms.ECAlgorithm(jwt.algorithms.ECAlgorithm.SHA384).to_jwk(
            self.key.public_key()
        )
        self.order(
            "POST",
            "clients",
            {
                "client_id": self.client_id,
                "jwks": {
                    "keys": [{**json.loads(public), "kid": "k1", "alg": "ES384", "use": "sig"}]
                },
                "scope": "system/*.cruds",
            },
        )

    def order(self, method: str, name: str, body: Any = None) -> Any:
        reply = requests.request(method, f"{self.admin}/{name}", json=body, timeout=SECONDS)
        assert reply.ok, reply.text
        return reply.json()

    def fault(self, kind: str, *, path: str = "", method: str = "", **more: Any) -> None:
        self.order("DELETE", "faults")
        order = {"fault": kind, "times": 1, **more}
        if path:
            order["path"] = path
        if method:
            order["method"] = method
        self.order("POST", "faults", order)

    def connection(self, **more: Any) -> Connection:
        pem = self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
        values: dict[str, Any] = {
            "kind": "generic_r4",
            "base_url": self.base,
            "token_url": self.token_url,
            "client_id": self.client_id,
            "private_key_pem": pem,
            "key_id": "k1",
            "read_timeout": 20.0,
            "settings": {
                "conditional_create_probed": "2026-11-20",
                "stale_if_match_probed": "2026-11-20",
            },
        }
        return Connection(**(values | more))

    def adapter(self, **more: Any) -> EhrAdapter:
        return registry.get_adapter(self.connection(**more))

    def raw(self, method: str, path: str, body: Any = None) -> Any:
        """What a colleague does: with a token of its own, past the adapter under test."""
        step = WireRequest(
            method="POST", path="x", headers=(), body=b"", label="", scope="system/*.cruds"
        )
        token = self.adapter().authenticate(step)
        reply = requests.request(
            method,
            f"{self.base}/{path}",
            json=body,
            headers={
                "Authorization": f"Bearer {token.value}",
                "Content-Type": "application/fhir+json",
            },
            timeout=SECONDS,
        )
        assert reply.ok, reply.text
        return reply.json()


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    folder = _server_folder()
    process = subprocess.Popen(
        ["node", "server.mjs"],
        cwd=folder,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PORT": "0"},
    )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        if not line:
            _absent("The third-party FHIR server did not start.")
        ready = json.loads(line)
        yield Server(ready["base"], ready["token"])
    finally:
        process.terminate()
        process.wait(SECONDS)
        if process.stdout is not None:
            process.stdout.close()


@pytest.fixture
def adapter(server: Server) -> EhrAdapter:
    server.order("DELETE", "faults")
    return server.adapter()


@pytest.fixture
def chart(server: Server) -> dict[str, str]:
    """A made-up patient in an open visit."""
    family = f"Kestrel{uuid.uuid4().hex[:8]}"
    patient = server.raw(
        "POST",
        "Patient",
        {
            "resourceType": "Patient",
            "name": [{"family": family, "given": ["Ada"]}],
            "birthDate": "1957-03-14",
            "gender": "female",
            "identifier": [{"system": "urn:clinic:mrn", "value": "220744163"}],
        },
    )["id"]
    practitioner = server.raw(
        "POST", "Practitioner", {"resourceType": "Practitioner", "name": [{"family": "Vela"}]}
    )["id"]
    encounter = server.raw(
        "POST",
        "Encounter",
        {
            "resourceType": "Encounter",
            "status": "in-progress",
            "class": {
                "system": "http://terminology.hl7.org/CodeSystem/v3-ActCode",
                "code": "AMB",
            },
            "subject": {"reference": f"Patient/{patient}"},
            "participant": [{"individual": {"reference": f"Practitioner/{practitioner}"}}],
        },
    )["id"]
    return {
        "patient": patient,
        "encounter": encounter,
        "practitioner": practitioner,
        "family": family,
    }


def request(chart: dict[str, str], kind: str, **more: Any) -> ReadRequest:
    return ReadRequest(
        patient=chart["patient"], encounter=chart["encounter"], kind=kind, at=AT, **more
    )


def note_plan(adapter: EhrAdapter, chart: dict[str, str]) -> WirePlan:
    change = parse_change(
        "note",
        "create",
        {
            "type": "11506-3",
            "status": "unsigned",
            "sensitivity": "normal",
            "date": "2026-11-20T08:41:02-06:00",
            "author": chart["practitioner"],
            "sections": [{"title": "Plan", "text": "BP ≥ 140\n====\n5 µg"}],
        },
    )
    return adapter.render(change, tag=Tag.mint(), baseline=adapter.read(request(chart, "note")))


def problem_plan(adapter: EhrAdapter, chart: dict[str, str]) -> WirePlan:
    change = parse_change(
        "problem",
        "create",
        {
            "code": {"system": codes.ICD10CM, "code": "N18.30", "display": "CKD stage 3"},
            "category": "problem-list-item",
            "clinical_status": "active",
            "verification": "confirmed",
            "onset": "2020-03",
            "note": "eGFR 52",
        },
    )
    return adapter.render(change, tag=Tag.mint(), baseline=adapter.read(request(chart, "problem")))


def update_plan(adapter: EhrAdapter, chart: dict[str, str], target: str) -> WirePlan:
    change = parse_change(
        "problem",
        "update",
        {"code": {"system": codes.ICD10CM, "code": "N18.31", "display": "CKD stage 3a"}},
    )
    baseline = adapter.read(request(chart, "problem", interaction="update", target=target))
    return adapter.render(change, tag=Tag.mint(), baseline=baseline)


def send(adapter: EhrAdapter, plan: WirePlan) -> str:
    step = plan.steps[0]
    receipt = adapter.submit(step, token=adapter.authenticate(step))
    assert receipt.version_id
    return receipt.reference


class TestAgainstAnotherServer:
    @pytest.mark.req("003-60")
    def test_a_note_is_written_once_found_and_equal(
        self, adapter: EhrAdapter, chart: dict[str, str]
    ) -> None:
        plan = note_plan(adapter, chart)
        reference = send(adapter, plan)
        found = adapter.find([plan.tag], plan, since=AT, at=AT)
        assert found.complete
        [hit] = found.hits
        assert hit.snapshot.reference == reference
        assert comparable_differences(plan.comparable, hit.snapshot.comparable) == ()
        assert (
            changed_fields(
                "note", adapter.parse(plan).model_dump_canonical(), hit.snapshot.canonical
            )
            == ()
        )
        with pytest.raises(AlreadyThere) as there:
            send(adapter, plan)
        assert there.value.reference == reference
        assert len(adapter.find([plan.tag], plan, since=AT, at=AT).hits) == 1

    @pytest.mark.req("002-40")
    def test_an_update_is_fenced_by_the_version(
        self, server: Server, adapter: EhrAdapter, chart: dict[str, str]
    ) -> None:
        target = send(adapter, problem_plan(adapter, chart))
        plan = update_plan(adapter, chart, target)
        colleague = server.raw("GET", target)
        colleague["note"] = [{"text": "seen by a colleague"}]
        server.raw("PUT", target, colleague)
        with pytest.raises(VersionConflict):
            send(adapter, plan)
        held = adapter.read_entry(kind="problem", reference=target, at=AT)
        assert held is not None
        assert held.canonical["note"] == "seen by a colleague"
        again = update_plan(adapter, chart, target)
        send(adapter, again)
        [hit] = adapter.find([again.tag], again, since=AT, at=AT).hits
        assert comparable_differences(again.comparable, hit.snapshot.comparable) == ()
        assert hit.snapshot.canonical["code"][0]["code"] == "N18.31"
        assert hit.snapshot.canonical["note"] == "seen by a colleague"
        with pytest.raises(VersionConflict):
            send(adapter, again)

    @pytest.mark.req("003-55", "002-46")
    @pytest.mark.parametrize(
        "fault",
        [
            "drop-after-commit",
            "truncate-after-commit",
            "500-after-commit",
            "502-after-commit",
            "504-after-commit",
            "html-after-commit",
            "delay-after-commit",
        ],
    )
    def test_a_lost_reply_is_unknown_and_then_found(
        self, server: Server, chart: dict[str, str], fault: str
    ) -> None:
        server.order("DELETE", "faults")
        adapter = server.adapter()
        sender = server.adapter(read_timeout=0.3) if fault.startswith("delay") else adapter
        for plan in (note_plan(adapter, chart), problem_plan(adapter, chart)):
            token = adapter.authenticate(plan.steps[0])
            server.fault(fault, method="POST", path="^(DocumentReference|Condition)", ms=900)
            with pytest.raises(OutcomeUnknown):
                sender.submit(plan.steps[0], token=token)
            server.order("DELETE", "faults")
            found = adapter.find([plan.tag], plan, since=AT, at=AT)
            assert found.complete
            assert len(found.hits) == 1
            assert comparable_differences(plan.comparable, found.hits[0].snapshot.comparable) == ()

    @pytest.mark.parametrize(
        ("fault", "branch"),
        [
            ("429", RateLimited),
            ("503", OutcomeUnknown),
            ("500", OutcomeUnknown),
            ("401", TokenRejected),
            ("412", AlreadyThere),
            ("drop", OutcomeUnknown),
        ],
    )
    def test_what_failed_before_the_commit_is_absent(
        self,
        server: Server,
        adapter: EhrAdapter,
        chart: dict[str, str],
        fault: str,
        branch: type[AdapterError],
    ) -> None:
        plan = problem_plan(adapter, chart)
        token = adapter.authenticate(plan.steps[0])
        server.fault(fault, method="POST", path="^Condition")
        with pytest.raises(branch):
            adapter.submit(plan.steps[0], token=token)
        found = adapter.find([plan.tag], plan, since=AT, at=AT)
        assert found.complete
        assert found.hits == ()
        assert send(adapter, plan)

    def test_what_the_server_validates_away_is_refused(
        self, adapter: EhrAdapter, chart: dict[str, str]
    ) -> None:
        plan = problem_plan(adapter, chart)
        step = replace(plan.steps[0], body=plan.steps[0].body.replace(b'"subject"', b'"nonsense"'))
        with pytest.raises(ContentRefused) as refused:
            adapter.submit(step, token=adapter.authenticate(step))
        assert "eGFR" not in str(refused.value)

    def test_a_token_says_what_it_may_and_no_more(
        self, server: Server, adapter: EhrAdapter, chart: dict[str, str]
    ) -> None:
        note, problem = note_plan(adapter, chart), problem_plan(adapter, chart)
        token = adapter.authenticate(note.steps[0])
        assert token.scope == "system/DocumentReference.c"
        with pytest.raises(NotPermitted):
            adapter.submit(problem.steps[0], token=token)
        server.fault("503", path="oauth2")
        with pytest.raises(TokenUnavailable):
            adapter.authenticate(note.steps[0])

    def test_what_is_missing_is_told_from_what_is_there(
        self, adapter: EhrAdapter, chart: dict[str, str]
    ) -> None:
        baseline = adapter.read(
            ReadRequest(patient="nobody", kind="problem", at=AT, target="Condition/none")
        )
        assert baseline.missing == ("patient", "target")
        baseline = adapter.read(request(chart, "problem", context=("allergies", "medications")))
        assert (baseline.missing, baseline.unreadable) == ((), ())
        assert baseline.visit is not None
        assert baseline.visit.open
        assert baseline.identity is not None
        assert baseline.identity.family == chart["family"]

    def test_name_alikes_are_found(
        self, server: Server, adapter: EhrAdapter, chart: dict[str, str]
    ) -> None:
        other = server.raw(
            "POST",
            "Patient",
            {
                "resourceType": "Patient",
                "name": [{"family": chart["family"].upper(), "given": ["Ida"]}],
                "birthDate": "1957-04-13",
            },
        )["id"]
        identity = adapter.read(request(chart, "problem", neighbourhood=False)).identity
        assert identity is not None
        alikes = adapter.find_name_alikes(identity, at=AT)
        assert [c.id for c in alikes.candidates] == [other]

    def test_a_page_that_hides_the_rest_is_not_taken_for_the_whole(
        self, server: Server, adapter: EhrAdapter, chart: dict[str, str]
    ) -> None:
        for _ in range(5):
            send(adapter, problem_plan(adapter, chart))
        assert len(adapter.read(request(chart, "problem")).neighbourhood) == 5
        # This server gives the total and one page, without a link to the next.
        paged = server.adapter(settings={"page_size": 2}).read(request(chart, "problem"))
        assert [u.what for u in paged.unreadable] == ["problems"]

    def test_the_servers_own_statement_admits_what_is_declared(self, adapter: EhrAdapter) -> None:
        found = adapter.discover(at=AT)
        assert found.may("note", "create")
        assert found.get("problem", "update").retry is RetryClass.S1
        assert found.evidence

    @pytest.mark.req("000-42")
    def test_a_probe_proves_what_a_retry_rests_on(
        self, server: Server, chart: dict[str, str]
    ) -> None:
        server.order("DELETE", "faults")
        plain = server.adapter(settings={})
        assert plain.capabilities.get("problem", "create").retry is RetryClass.S3
        result = plain.probe(patient=chart["patient"], at=AT)
        assert result.settings == {
            "conditional_create_probed": "2026-11-20",
            "stale_if_match_probed": "2026-11-20",
            "conflict_means_version": False,
        }
        assert "1 found" in result.evidence[0]
        probed = server.adapter(settings=result.applied_to({"page_size": 20}))
        assert probed.capabilities.get("problem", "create").retry is RetryClass.S2
        assert probed.capabilities.get("problem", "update").retry is RetryClass.S1
        # Nothing of the probe stands in the chart as a problem.
        assert plain.read(request(chart, "problem")).neighbourhood == ()
