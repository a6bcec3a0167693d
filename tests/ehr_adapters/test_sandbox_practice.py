"""The made-up practice itself, its control surface and its process."""

import base64
import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
import requests

from ehr_adapters.sandbox import conformance, exact_json
from tests.ehr_adapters.practice import Backend, Practice, fresh_practice, note, practice

__all__ = ["fresh_practice", "practice"]
pytestmark = pytest.mark.once

ROOT = Path(__file__).resolve().parents[2]


class TestSeed:
    def test_is_written_once(self, fresh_practice):
        before = fresh_practice.control("GET", "stats")
        assert fresh_practice.seed()["seeded"] == []
        assert fresh_practice.control("GET", "stats") == before

    def test_gives_the_same_ids_every_time_and_each_vendor_its_own(self, fresh_practice):
        first = fresh_practice.control("GET", "directory")
        fresh_practice.reset(seed=True)
        assert fresh_practice.control("GET", "directory") == first
        assert first["generic"]["P1"]["patient"] != first["epic"]["P1"]["patient"]
        assert (
            set(first["generic"])
            == set(first["epic"])
            == {"staff", *(f"P{n}" for n in range(1, 17))}
        )

    def test_is_the_same_again_for_the_same_moment(self, fresh_practice):
        moment = {"seed": True, "now": "2027-05-03T12:00:00+00:00"}
        fresh_practice.reset(**moment)
        first = fresh_practice.control("GET", "resources", None, vendor="epic")
        fresh_practice.lever("merge")
        fresh_practice.lever("accept_staged", patient="P2")
        fresh_practice.reset(**moment)
        assert fresh_practice.control("GET", "resources", None, vendor="epic") == first
        path = fresh_practice.directory()["P1"]["entries"]["ckd"]
        assert len(fresh_practice.client().get(f"{path}/_history").json()["entry"]) == 1

    def test_counts_its_dates_from_the_start_that_is_given(self, fresh_practice):
        fresh_practice.reset(seed=True, now="2027-03-01T15:00:00+00:00")
        r4 = fresh_practice.client("generic")
        directory = fresh_practice.directory()
        assert directory["P3"]["birth_date"] == "2021-03-01"
        assert (
            r4.get(f"Patient/{directory['P16']['patient']}")
            .json()["deceasedDateTime"]
            .startswith("2027-02-26")
        )
        assert (
            r4.get(directory["P1"]["entries"]["egfr_98d"])
            .json()["effectiveDateTime"]
            .startswith("2026-11-23")
        )
        assert fresh_practice.try_control("POST", "seed", {"now": "tomorrow"}).status_code == 400

    @pytest.mark.req("002-76")
    def test_is_valid_r4_throughout(self, fresh_practice):
        """Every seeded entry passes the check that the strict front makes."""
        reply = fresh_practice.try_control("GET", "resources")
        stored = exact_json.loads(reply.content)
        assert len(stored["resources"]) > 500
        for row in stored["resources"] + stored["staged"]:
            assert conformance.problems(row["content"]) == [], row["reference"]

    def test_holds_what_each_patient_is_for(self, fresh_practice):
        r4, directory = fresh_practice.client("generic"), fresh_practice.directory()

        def entry(group: str, name: str) -> dict:
            return r4.get(directory[group]["entries"][name]).json()

        assert entry("P1", "lisinopril")["resourceType"] == "MedicationRequest"
        assert entry("P1", "ckd")["code"]["coding"][0]["code"] == "N18.30"
        assert [entry("P1", f"egfr_{d}d")["valueQuantity"]["value"] for d in (98, 2)] == [52, 51]
        assert entry("P1", "potassium_2d")["valueQuantity"]["value"] == 5.1
        assert [
            c["valueQuantity"]["value"] for c in entry("P1", "blood_pressure")["component"]
        ] == [154, 92]
        assert entry("P1", "draft_note")["docStatus"] == "preliminary"
        assert directory["P2"]["mrn"] == "4471908231"
        assert directory["P1"]["mrn"] == "4471908213"
        assert entry("P3", "weight")["valueQuantity"]["value"] == 18.2
        assert entry("P4", "allergy_none_known")["code"]["coding"][0]["code"] == "716186003"
        assert entry("P5", "inr_2d")["valueQuantity"]["value"] == 1.7
        assert entry("P6", "metformin")["resourceType"] == "MedicationStatement"
        assert entry("P6", "hba1c_3d")["valueQuantity"]["value"] == 7.9
        assert (
            entry("P8", "insulin_glargine")["dosageInstruction"][0]["doseAndRate"][0][
                "doseQuantity"
            ]["code"]
            == "[iU]"
        )
        assert entry("P9", "knee_osteoarthritis")["bodySite"][0]["coding"][0]["code"] == "24028007"
        assert entry("P10", "methotrexate")["status"] == "stopped"
        assert entry("P11", "digoxin_82d")["valueQuantity"]["comparator"] == "<"
        assert {entry("P11", n)["status"] for n in ("furosemide", "lasix")} == {"active"}
        text = base64.b64decode(
            entry("P12", "thyroid_note")["content"][0]["attachment"]["data"]
        ).decode()
        assert all(character in text for character in "≥µ½“”’")
        assert entry("P15", "confidential_note")["securityLabel"][0]["coding"][0]["code"] == "R"
        assert "replaces" in json.dumps(entry("P11", "discharge_summary")["relatesTo"])

    def test_holds_the_visits_in_their_states(self, fresh_practice):
        r4, directory = fresh_practice.client("generic"), fresh_practice.directory()
        states = {
            group: r4.get(f"Encounter/{directory[group]['encounter']}").json()["status"]
            for group in ("P1", "P5", "P6", "P9", "P10", "P11", "P12", "P16")
        }
        assert states == {
            "P1": "in-progress", "P5": "in-progress", "P6": "finished", "P9": "finished", "P10": "in-progress",
            "P11": "in-progress", "P12": "planned", "P16": "finished",
        }  # fmt: skip
        assert set(directory["P11"]["encounters"]) == {"visit", "morning_visit"}
        clinician = r4.get(f"Encounter/{directory['P1']['encounter']}").json()["participant"][0][
            "individual"
        ]
        assert (
            clinician["reference"]
            == f"Practitioner/{directory['staff']['prescriber_one']['practitioner']}"
        )

    def test_holds_notes_of_every_kind_and_pdfs_that_begin_as_pdfs(self, fresh_practice):
        notes = [
            row["content"]
            for row in fresh_practice.resources(vendor="generic", type="DocumentReference")
        ]
        assert {(each["status"], each["docStatus"]) for each in notes} == {
            ("current", "final"), ("current", "preliminary"), ("superseded", "final"),
        }  # fmt: skip
        directory = fresh_practice.directory()
        for group in (f"P{n}" for n in range(1, 17)):
            own = [
                e for e in notes if e["subject"]["reference"].endswith(directory[group]["patient"])
            ]
            assert 2 <= len(own) <= 6, group
        pdfs = [
            each
            for each in notes
            if each["content"][0]["attachment"]["contentType"] == "application/pdf"
        ]
        assert len(pdfs) == 3
        for each in pdfs:
            data = base64.b64decode(each["content"][0]["attachment"]["data"])
            assert data.startswith(b"%PDF-1.4")
            assert data.rstrip().endswith(b"%%EOF")
            offset = int(data.split(b"startxref\n")[1].split(b"\n")[0])
            assert data[offset:].startswith(b"xref")

    def test_never_dates_anything_but_the_planned_visit_in_the_future(self, fresh_practice):
        fresh_practice.reset(
            seed=True, now="2026-11-20T05:30:00+00:00"
        )  # half an hour past midnight there
        for row in fresh_practice.resources(vendor="generic"):
            content = row["content"]
            for name in ("effectiveDateTime", "date", "recordedDate", "deceasedDateTime"):
                assert content.get(name, "") <= "2026-11-20T00:30:00-05:00", row["reference"]
            if content.get("status") in {"in-progress", "finished"} and "period" in content:
                assert content["period"]["start"] <= "2026-11-20T00:30:00-05:00"


class TestControlSurface:
    def test_describes_itself(self, practice):
        about = practice.control("GET", "about")
        assert set(about["fronts"]) == set(practice.base_urls)
        assert {
            "edit_as_colleague",
            "sign",
            "close_visit",
            "merge",
            "die",
            "accept_staged",
            "decline_staged",
        } <= set(about["levers"])
        assert all(about["levers"].values())

    def test_refuses_other_orders(self, practice):
        assert practice.try_control("GET", "nothing").status_code == 404
        assert practice.try_control("GET", "levers/sign").status_code == 404
        assert practice.try_control("GET", "log", None, path="(").status_code == 400
        assert practice.try_control("GET", "log", None, after="x").status_code == 400
        assert (
            practice.try_control("POST", "settings", {"generic": {"colour": "red"}}).status_code
            == 400
        )
        assert (
            practice.try_control("POST", "settings", {"generic": {"version_check": 1}}).status_code
            == 400
        )
        assert (
            practice.try_control(
                "POST", "settings", {"generic": {"conditional_create": "maybe"}}
            ).status_code
            == 400
        )
        assert practice.try_control("POST", "clients", {}).status_code == 400
        reply = requests.post(f"{practice.root}/_practice/seed", data=b"[1]", timeout=10)
        assert reply.status_code == 400

    def test_pages_through_the_log(self, fresh_practice):
        r4 = fresh_practice.client("generic")
        for number in range(5):
            r4.get(f"Condition/unknown-{number}")
        first = fresh_practice.log(vendor="generic", method="GET", limit=3)
        assert len(first) == 3
        rest = fresh_practice.log(vendor="generic", method="GET", after=first[-1]["id"])
        assert [entry["path"] for entry in rest] == ["Condition/unknown-3", "Condition/unknown-4"]

    def test_counts(self, fresh_practice):
        r4 = fresh_practice.client("generic")
        p1 = fresh_practice.directory()["P1"]
        r4.post("DocumentReference", note(p1["patient"], p1["encounter"]))
        stats = fresh_practice.control("GET", "stats")["vendors"]["generic"]
        assert stats["committed"] == 1
        assert stats["late_waiting"] == 0

    def test_resets_all_but_the_clients_unless_told_otherwise(self, fresh_practice):
        r4 = fresh_practice.client("generic")
        fresh_practice.fault("conflict")
        fresh_practice.settings("generic", update_creates=True)
        fresh_practice.reset()
        assert fresh_practice.directory() == {}
        assert fresh_practice.control("GET", "faults")["faults"] == []
        assert fresh_practice.control("GET", "settings")["generic"]["update_creates"] is False
        assert r4.ask_token().status_code == 200
        fresh_practice.reset(everything=True)
        assert r4.ask_token().status_code == 401


@pytest.fixture
def own(tmp_path: Path):
    """A practice EHR of this test alone."""
    running = Practice(tmp_path / "own").start()
    yield running
    running.stop()


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "ehr_adapters.sandbox", *arguments],
        capture_output=True, text=True, timeout=30, cwd=ROOT, env={**os.environ, **environment}, check=False,
    )  # fmt: skip


class TestProcess:
    def test_keeps_its_charts_over_a_restart(self, own):
        own.seed()
        r4 = own.client("generic")
        p1 = own.directory()["P1"]
        filed = r4.post("DocumentReference", note(p1["patient"], p1["encounter"])).json()
        own.fault("conflict", times=None)
        assert own.stop() == 0
        own.http = requests.Session()
        own.start()
        assert own.seed()["seeded"] == []
        assert own.resources(id=filed["id"])[0]["version"] == 1
        assert own.log(method="POST")[-1]["committed"] == [
            f"DocumentReference/{filed['id']}/_history/1"
        ]
        assert own.control("GET", "faults")["faults"][0]["times"] is None
        assert r4.ask_token().status_code == 200

    def test_loses_nothing_that_was_answered_when_it_is_killed(self, own):
        own.seed()
        r4 = own.client("generic")
        p1 = own.directory()["P1"]
        filed = [
            r4.post("DocumentReference", note(p1["patient"], p1["encounter"])).json()["id"]
            for _ in range(5)
        ]
        own.process.kill()
        own.process.wait(10)
        own.process.stdout.close()
        own.http = requests.Session()
        own.start()
        assert [own.resources(id=each)[0]["version"] for each in filed] == [1] * 5

    @pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
    def test_ends_at_once_even_while_it_is_silent(self, own, how):
        own.fault("timeout-before-commit", path="^metadata")
        with socket.create_connection(("127.0.0.1", own.port), timeout=5) as waiting:
            waiting.sendall(b"GET /generic/fhir/R4/metadata HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
            deadline = time.monotonic() + 5
            while not own.log(path="^metadata") and time.monotonic() < deadline:
                time.sleep(0.02)
            own.process.send_signal(how)
            started = time.monotonic()
            assert own.process.wait(5) == 0
            assert time.monotonic() - started < 2

    def test_says_that_a_port_is_taken(self, own, tmp_path):
        second = run("--port", str(own.port), "--data", str(tmp_path / "other"))
        assert second.returncode == 2
        assert (
            second.stderr.strip()
            == f"Port {own.port} on 127.0.0.1 is already in use. Choose another with --port."
        )
        assert second.stdout == ""

    def test_says_that_a_folder_is_in_use(self, own):
        second = run("--port", "0", "--data", str(own.folder))
        assert second.returncode == 2
        assert "is using the folder" in second.stderr

    @pytest.mark.parametrize("word", ["live", "Production"])
    def test_does_not_start_beside_real_charts(self, tmp_path, word):
        refused = run("--port", "0", "--data", str(tmp_path), PORTAL_ENVIRONMENT=word)
        assert refused.returncode == 2
        assert "does not start beside real charts" in refused.stderr
        assert not list(tmp_path.glob("*.sqlite3"))

    def test_uses_its_own_settings_whatever_its_parent_exports(self, tmp_path):
        own = Practice(tmp_path)
        before = os.environ.get("DJANGO_SETTINGS_MODULE")
        assert before != "ehr_adapters.sandbox.settings"
        own.start()
        try:
            assert set(own.seed()["seeded"]) == set(own.base_urls)
        finally:
            own.stop()

    def test_listens_on_loopback_only(self, own):
        listening = [
            c for c in psutil.Process(own.process.pid).net_connections() if c.status == "LISTEN"
        ]
        assert [c.laddr.ip for c in listening] == ["127.0.0.1"]

    def test_stays_small(self, own):
        own.seed()
        r4 = own.client("generic")
        for _ in range(3):
            r4.found("Observation")
        used = psutil.Process(own.process.pid).memory_info().rss
        assert used < 90 * 1024 * 1024

    def test_serves_many_connections_at_once(self, own):
        own.seed()
        sessions = [requests.Session() for _ in range(40)]
        try:
            for each in sessions:  # all kept alive
                assert (
                    each.get(f"{own.root}/generic/fhir/R4/metadata", timeout=10).status_code == 200
                )
        finally:
            for each in sessions:
                each.close()

    @pytest.mark.parametrize(
        ("raw", "status"),
        [
            (
                b"POST /generic/fhir/R4/Condition HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\n",
                b"411",
            ),
            (
                b"POST /generic/fhir/R4/Condition HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: x\r\n\r\n",
                b"400",
            ),
            (
                b"POST /generic/fhir/R4/Condition HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 99999999\r\n\r\n",
                b"413",
            ),
            (b"GET /generic/fhir/R4/metadata HTTP/1.1\r\nHost: ehr.example\r\n\r\n", b"400"),
        ],
    )
    def test_refuses_requests_that_it_cannot_read(self, practice, raw, status):
        with socket.create_connection(("127.0.0.1", practice.port), timeout=5) as wire:
            wire.sendall(raw)
            assert wire.recv(64).split(b" ")[1] == status

    def test_files_nothing_of_a_body_that_stops_short(self, fresh_practice):
        with socket.create_connection(("127.0.0.1", fresh_practice.port), timeout=5) as wire:
            wire.sendall(
                b"POST /generic/fhir/R4/Condition HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 50\r\n\r\n{"
            )
            wire.shutdown(socket.SHUT_WR)
            assert wire.recv(64) == b""
        assert fresh_practice.log() == []


class TestHouse:
    def test_lets_nobody_install_it_into_other_settings(self):
        script = (
            "import django; from django.conf import settings; "
            "settings.configure(INSTALLED_APPS=['ehr_adapters.sandbox.apps.SandboxConfig']); django.setup()"
        )
        environment = {k: v for k, v in os.environ.items() if k != "DJANGO_SETTINGS_MODULE"}
        done = subprocess.run(
            [sys.executable, "-c", script], capture_output=True, text=True, timeout=30, cwd=ROOT, env=environment,
            check=False,
        )  # fmt: skip
        assert done.returncode != 0
        assert "runs only as its own process" in done.stderr

    def test_has_migrations_in_step_with_its_models(self, tmp_path):
        environment = {
            **os.environ, "PRACTICE_EHR_DIR": str(tmp_path), "DJANGO_SETTINGS_MODULE": "ehr_adapters.sandbox.settings",
        }  # fmt: skip
        done = subprocess.run(
            [sys.executable, "-m", "django", "makemigrations", "sandbox", "--check", "--dry-run"],
            capture_output=True, text=True, timeout=60, cwd=ROOT, env=environment, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr

    def test_borrows_nothing_from_the_portal(self):
        script = (
            "import sys, runpy, threading, os; sys.argv = ['x', '--port', '0', '--data', sys.argv[1]];"
            "from ehr_adapters.sandbox import server;"
            "server.PracticeServer.serve_forever = lambda self: ("
            " __import__('ehr_adapters.sandbox.urls'), print(sorted(m for m in sys.modules"
            " if m.split('.')[0] in {'intents', 'audit', 'reviewportal', 'ehr_adapters'}"
            " and not m.startswith('ehr_adapters.sandbox'))));"
            "runpy.run_module('ehr_adapters.sandbox', run_name='__main__')"
        )
        done = subprocess.run(
            [sys.executable, "-c", script, str(Path(os.environ.get("VAR_DIR", "var")) / "borrows")],
            capture_output=True, text=True, timeout=30, cwd=ROOT, check=False,
        )  # fmt: skip
        assert done.stdout.splitlines()[-1] == "['ehr_adapters']", done.stderr


def test_a_backend_is_ready_to_write(fresh_practice):
    backend: Backend = fresh_practice.client("generic")
    assert backend.get("Patient", family="OKONKWO").json()["total"] == 2
