"""The import contracts hold, and each of them catches the violation that it exists for."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.environment import ROOT

pytestmark = pytest.mark.once

PACKAGES = ("reviewportal", "intents", "ehr_adapters", "audit")

# contract, file that breaks it, the line that does
PLANTED = [
    ("The house: project over intents over two independent leaves", "ehr_adapters/errors.py", "import intents.lifecycle"),
    ("The house: project over intents over two independent leaves", "audit/actors.py", "import ehr_adapters.errors"),
    ("Inside intents: doors, pipeline, reads, records, rules", "intents/models/proposal.py", "import intents.pipeline.sealing"),
    ("Inside intents: doors, pipeline, reads, records, rules", "intents/api/views.py", "import intents.web.urls"),
    ("Inside intents: doors, pipeline, reads, records, rules", "intents/somewhere_new.py", "A_PLACE = None"),
    ("Inside the pipeline: entry stages meet only through intent state", "intents/pipeline/sealing.py", "import intents.pipeline.screening"),
    ("Inside the pipeline: entry stages meet only through intent state", "intents/pipeline/dispatch.py", "import intents.pipeline.intake"),
    ("Inside the pipeline: entry stages meet only through intent state", "intents/pipeline/another_stage.py", "A_STAGE = None"),
    ("Decisions are pure: no Django, no database, no network", "intents/lifecycle.py", "import django.db"),
    ("Decisions are pure: no Django, no database, no network", "ehr_adapters/contract.py", "import requests"),
    ("One door to the EHRs", "intents/pipeline/screening/filing.py", "import ehr_adapters.registry"),
    ("Vendor code stays behind the registry", "intents/pipeline/gateway.py", "import ehr_adapters.vendors.epic"),
    ("Vendor code stays behind the registry", "intents/pipeline/gateway.py", "import ehr_adapters.fhir_reading"),
    ("Only ehr_adapters opens sockets", "audit/witness.py", "import requests"),
    ("No vendor knows another", "ehr_adapters/vendors/epic/adapter.py", "import ehr_adapters.vendors.generic_r4"),
    ("The practice EHR is reachable only over HTTP", "intents/tasks.py", "import ehr_adapters.sandbox.settings"),
    ("The practice EHR borrows nothing", "ehr_adapters/sandbox/settings.py", "import ehr_adapters.contract"),
    ("The practice EHR borrows nothing", "ehr_adapters/sandbox/settings.py", "import ehr_adapters.wire"),
    ("Governance configures; it never reaches into intents", "intents/governance/scopes.py", "import intents.queries"),
]  # fmt: skip


def _verdicts(folder: Path) -> dict[str, str]:
    done = subprocess.run(
        [str(Path(sys.executable).parent / "lint-imports"), "--no-cache"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    found = {}
    for line in done.stdout.splitlines():
        for verdict in ("KEPT", "BROKEN"):
            if line.rstrip().endswith(verdict):
                found[line.rstrip().removesuffix(verdict).strip()] = verdict
    assert found, done.stdout + done.stderr
    return found


@pytest.fixture
def copy(tmp_path):
    for package in PACKAGES:
        shutil.copytree(
            ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__")
        )
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


@pytest.mark.req("004-13")
def test_every_contract_is_kept():
    verdicts = _verdicts(ROOT)
    assert len(verdicts) == 11
    assert set(verdicts.values()) == {"KEPT"}, verdicts


def test_every_contract_has_a_planted_violation():
    assert {name for name, _, _ in PLANTED} == set(_verdicts(ROOT))


@pytest.mark.parametrize(
    ("contract", "file", "line"), PLANTED, ids=[f"{f}:{x}" for _, f, x in PLANTED]
)
def test_a_planted_violation_is_caught(copy, contract, file, line):
    path = copy / file
    with path.open("a") as handle:
        handle.write(f"\n{line}\n")
    assert _verdicts(copy)[contract] == "BROKEN"
