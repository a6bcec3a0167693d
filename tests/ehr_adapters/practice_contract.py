"""What every adapter does with its own EHR over HTTP: one suite, inherited by a small class per vendor.

A row is a way to be set up, a kind and an interaction that is declared as supported. Every row is said, read
back and found; it meets every fault of `MATRIX`; and generated contents are read back from their bytes. A
case that a vendor leaves out names the fact that makes it impossible; what was run, left out and generated is
counted per adapter (tests/ehr_adapters/conftest.py prints it).
"""

import json
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar, NamedTuple

import pytest
from hypothesis import HealthCheck, assume, given
from hypothesis import settings as run_settings
from hypothesis import strategies as st
from pytest_httpserver import HTTPServer

from ehr_adapters import oauth, registry
from ehr_adapters.base import EhrAdapter
from ehr_adapters.canonical.base import changed_fields, fields, kind_model, parse_change
from ehr_adapters.canonical.declaration import interaction_rule
from ehr_adapters.capabilities import Capability, Finality, FindMethod
from ehr_adapters.contract import (
    AccessToken,
    Baseline,
    FindResult,
    Snapshot,
    Tag,
    WirePlan,
)
from ehr_adapters.errors import (
    AdapterError,
    AlreadyThere,
    CannotBeCarried,
    ConnectionLost,
    ContentRefused,
    NotPermitted,
    RateLimited,
    Redirected,
    ServerError,
    TimedOutAfterSend,
    TokenRejected,
    UnreadableReply,
    VersionConflict,
)
from intents.management.practice_fronts import FRONTS
from intents.pipeline import matching
from intents.pipeline.matching import Verdict
from tests.ehr_adapters.contents import CANARY, CONTENTS, SAMPLES
from tests.ehr_adapters.fake_ehr import threaded_server
from tests.ehr_adapters.marking import check_marked, check_provenance
from tests.ehr_adapters.practice import Practice
from tests.ehr_adapters.retry_promises import RetryPromises
from tests.ehr_adapters.stage import Stage

EXAMPLES = 150
# Seconds that an impatient adapter waits, and milliseconds that the practice is silent for it.
IMPATIENT: dict[str, Any] = {"read_timeout": 0.25, "deadline": 0.5}
SILENT_MS = 400
# Practitioners of a practice that is not there yet: what is declared does not depend on who they are.
_ANYBODY = {
    "staff": {
        name: {"practitioner": f"prof{number}", "user": name}
        for number, name in enumerate(("prescriber_one", "prescriber_two", "nurse"), 1)
    }
}
_EQUAL = {Verdict.OURS_EQUAL, Verdict.COLLEAGUE_EQUAL}


class Row(NamedTuple):
    """One thing that can be said: how the connection is set up (empty: as usual), kind, interaction."""

    way: str
    kind: str
    interaction: str

    def __str__(self) -> str:
        return " ".join(part for part in self if part)


Branch = type[AdapterError] | None


@dataclass(frozen=True)
class Fault:
    """One misbehaviour and what becomes of it: the branch for a new entry and for a change of one (None: it
    is acknowledged), and how many effects the chart then holds."""

    kind: str
    create: Branch
    update: Branch
    effects: int = 0
    order: Mapping[str, Any] | None = None


def but(name: str, create: Branch, *update: Branch, effects: int | None = None) -> Fault:
    """A fault of the matrix with other branches: of a new entry, and of a change where that differs."""
    usual = MATRIX[name]
    left = usual.effects if effects is None else effects
    return replace(usual, create=create, update=update[0] if update else create, effects=left)


def _same(kind: str, branch: Branch, effects: int = 0, **order: Any) -> Fault:
    return Fault(kind, branch, branch, effects, order)


def _status(number: int, code: str, create: Branch, update: Branch | None = None) -> Fault:
    return Fault("outcome", create, update or create, 0, {"status": number, "code": code})


MATRIX: dict[str, Fault] = {
    # Nothing is filed.
    "silence before it is filed": _same("timeout-before-commit", TimedOutAfterSend, ms=SILENT_MS),
    "cut off before it is filed": _same("drop-before-commit", ConnectionLost),
    "500 before it is filed": _same("error-before-commit", ServerError),
    "503": _same("unavailable", ServerError),
    "a page, nothing filed": _same("html-reply", UnreadableReply, commit=False),
    "401, an expired token": _same("expired-token", TokenRejected),
    "400": _status(400, "invalid", ContentRefused),
    "403": _status(403, "forbidden", NotPermitted),
    "404": _status(404, "not-found", NotPermitted, VersionConflict),
    "409": _same("conflict", AlreadyThere),
    "412": Fault("stale-version", AlreadyThere, VersionConflict),
    "422": _status(422, "business-rule", ContentRefused),
    "423, a locked chart": _same("chart-locked", ContentRefused),
    "a merged patient": _same("patient-merged", ContentRefused),
    "429": _same("rate-limited", RateLimited),
    "a redirect": _same("redirect", Redirected),
    "200 with a failure inside": _same("outcome", UnreadableReply),
    "filed later": _same("late-commit", ServerError, after_ms=600_000),
    # Filed, and answered badly.
    "silence after it is filed": _same("timeout-after-commit", TimedOutAfterSend, 1, ms=SILENT_MS),
    "cut off after it is filed": _same("drop-after-commit", ConnectionLost, 1),
    "500 after it is filed": _same("error-after-commit", ServerError, 1),
    "a page": _same("html-reply", UnreadableReply, 1),
    "another charset": _same("wrong-charset", UnreadableReply, 1),
    "truncated JSON": _same("not-json", UnreadableReply, 1),
    "a body that stops halfway": _same("truncated-body", ConnectionLost, 1),
    "an empty answer": _same("empty-reply", UnreadableReply, 1),
    "no Location": _same("no-location", UnreadableReply, 1),
    "no id": _same("no-id", UnreadableReply, 1),
    "a redirect after it is filed": _same("redirect", Redirected, 1, commit=True),
    # Acknowledged; what was altered is seen when it is read.
    "a slow answer": _same("slow", None, 1, ms=100),
    "a dropped field": _same("dropped-field", None, 1),
    "mangled content": _same("mangled-content", None, 1),
}
# What the chart loses and what it is given instead, by kind: a field of the practice's R4 entry.
ALTERED: dict[str, tuple[str, dict[str, Any]]] = {
    "note": ("content", {"/content/0/attachment/data": "b3RoZXI="}),
    "problem": ("note", {"/note": [{"text": "other"}]}),
    "allergy": ("note", {"/note": [{"text": "other"}]}),
    "medication": ("dosage", {"/dosage": [{"text": "other"}]}),
    "order": ("code", {"/code": {"text": "other"}}),
    "vitals": ("effectiveDateTime", {"/effectiveDateTime": "2001-01-01T08:00:00Z"}),
    "result": ("note", {"/note": [{"text": "other"}]}),
    "task": ("description", {"/description": "other"}),
    "message": ("payload", {"/payload": [{"contentString": "other"}]}),
    "appointment": ("appointmentType", {"/appointmentType": {"text": "other"}}),
    "care_plan": ("title", {"/title": "other"}),
    "questionnaire": ("item", {"/item": [{"linkId": "other"}]}),
    "encounter": ("class", {"/class": {"code": "IMP"}}),
    "demographics": ("telecom", {"/telecom": []}),
}


class PracticeContract(RetryPromises):
    """The inherited suite. A subclass names its vendor, what it takes, and what it answers otherwise."""

    vendor: ClassVar[str]
    # Settings by way of being set up: a row of a later way counts where its transport is another one.
    ways: ClassVar[dict[str, dict[str, Any]]] = {"": {}}
    # What the practice is set to before it is used.
    practice_settings: ClassVar[dict[str, Any]] = {}
    # (fault, kind or "*") -> what becomes of it here, with the fact that makes it so.
    otherwise: ClassVar[dict[tuple[str, str], tuple[Fault, str]]] = {}
    # (fault, kind or "*") -> the fact that makes the case impossible here.
    left_out: ClassVar[dict[tuple[str, str], str]] = {}
    # Whom a row is about, and which seeded entry it changes, where the portal did not make one before.
    who: ClassVar[dict[str, str]] = {}
    seeded: ClassVar[dict[str, str]] = {}
    # The fact why entries carry no label that says what made them; notes say it in their words.
    unlabelled: ClassVar[str] = ""

    # --- rows ------------------------------------------------------------------------------------

    @classmethod
    def rows(cls) -> list[Row]:
        found: dict[tuple[str, str], dict[str, str]] = {}
        rows = []
        front = next(one for one in FRONTS if one.vendor == cls.vendor)
        for way, settings in cls.ways.items():
            usual = front.settings("http://practice.example", _ANYBODY)
            for one in registry.declared_capabilities(front.kind, cls.combined(usual, settings)):
                if one.supported and one.transport not in found.setdefault(one.key, {}).values():
                    found[one.key][way] = one.transport
                    rows.append(Row(way, *one.key))
        return rows

    @classmethod
    def combined(cls, usual: dict[str, Any], way: dict[str, Any]) -> dict[str, Any]:
        """The settings of a connection: those of the practice's own set-up and those of a way."""
        return usual | way

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        if "row" in metafunc.fixturenames:
            metafunc.parametrize("row", self.rows(), ids=str)

    # --- the stage -------------------------------------------------------------------------------

    @pytest.fixture(autouse=True)
    def _nothing_remembered(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(oauth, "read_tokens", oauth.ReadTokens())

    @pytest.fixture
    def stage(self, fresh_practice: Practice, row: Row) -> Stage:
        if self.practice_settings:
            fresh_practice.settings(self.vendor, **self.practice_settings)
        return self.staged(fresh_practice, row)

    @pytest.fixture(scope="session")
    @classmethod
    def elsewhere(cls) -> Iterator[HTTPServer]:
        """Another host, which nothing may ever reach."""
        with threaded_server() as running:
            yield running

    def staged(self, practice: Practice, row: Row, **more: Any) -> Stage:
        front = next(one for one in FRONTS if one.vendor == self.vendor)
        usual = front.settings(practice.root, practice.directory(self.vendor))
        who = self.who.get(row.kind, "P1")
        settings = self.combined(usual, self.ways[row.way]) | more
        stage = Stage(practice, self.vendor, who=who, secrets=front.secrets, **settings)
        stage.connection = replace(stage.connection, time_zone=front.time_zone)
        return stage

    def sample(self, stage: Stage, row: Row, number: int) -> dict[str, Any]:
        """A content that this EHR takes; each `number` is another change."""
        content = json.loads(json.dumps(SAMPLES[row.kind, row.interaction]))
        staff = stage.people["staff"]
        author = f"Practitioner/{staff['prescriber_one']['practitioner']}"
        for name in ("author", "owner", "provider"):
            if name in content:
                content[name] = author
        content.pop("location", None)
        for name, reference in (("about", "Condition"), ("addresses", "Condition")):
            if name in content:
                held = stage.people[stage.who]["entries"].values()
                content[name] = [next(one for one in held if one.startswith(reference))]
        for name, seconds in (("date", 5), ("effective_at", 10), ("answered_at", 5)):
            if name in content:
                moment = stage.at - timedelta(seconds=seconds + number)
                content[name] = moment.isoformat(timespec="seconds")
        if row.kind == "appointment" and "start" in content:
            day = (stage.at + timedelta(days=7 + number)).date().isoformat()
            hour = 16 if row.interaction == "create" else 18
            content["start"] = f"{day}T{hour}:00:00+00:00"
        if row.kind == "encounter":
            content["start"] = (stage.at - timedelta(minutes=12 + number)).isoformat(
                timespec="seconds"
            )
            content["end"] = (stage.at - timedelta(minutes=2)).isoformat(timespec="seconds")
        if row.kind == "demographics":
            content["phone"] = [{"number": f"555-0{200 + number}", "use": "home"}]
        if row.kind == "questionnaire" and row.interaction == "create":
            content["form"].pop("assignment", None)
        if row.kind == "care_plan" and row.interaction == "update":
            content["activities"] = [{"text": CANARY, "who": author}]
        return content

    def target(self, stage: Stage, row: Row, number: int) -> str:
        """The entry that a row changes: one of the portal's own where it can make one."""
        if not interaction_rule(kind_model(row.kind), row.interaction).needs_target:
            return ""
        if row.kind == "demographics":
            return f"Patient/{stage.people[stage.who]['patient']}"
        if row.kind in self.seeded:
            return str(stage.people[stage.who]["entries"][self.seeded[row.kind]])
        made = row._replace(interaction="create")
        content = self.sample(stage, made, number)
        earlier = json.loads(json.dumps(content).replace(CANARY, "Said before"))
        if "criticality" in earlier:
            earlier["criticality"] = "low"
        baseline = self.read(stage, made, "", earlier)
        plan = stage.adapter.render(
            parse_change(row.kind, "create", earlier), tag=Tag.mint(), baseline=baseline
        )
        reference = stage.send(plan)
        if not reference:
            [reference] = stage.held(plan)
        if (row.kind, row.interaction) == ("note", "amend"):
            stage.practice.lever("sign", vendor=self.vendor, reference=reference)
        return reference

    def read(self, stage: Stage, row: Row, target: str, content: Mapping[str, Any]) -> Baseline:
        return stage.read(
            row.kind, interaction=row.interaction, target=target, content=dict(content)
        )

    def again(
        self, stage: Stage, row: Row, number: int, plan: WirePlan, baseline: Baseline
    ) -> tuple[WirePlan, Baseline]:
        """Another plan of the row. One that makes an entry needs no second look at the chart."""
        if not self.makes_entry(row):
            lasting = row.interaction in {"update", "comment"} and row.kind != "note"
            target = plan.target if lasting else ""
            return self.planned(stage, row, number, target=target)
        content = self.sample(stage, row, number)
        if (row.kind, row.interaction) == ("note", "amend"):
            content["amends"] = plan.target
        change = parse_change(row.kind, row.interaction, content)
        return stage.adapter.render(change, tag=Tag.mint(), baseline=baseline), baseline

    def planned(
        self, stage: Stage, row: Row, number: int, *, target: str = ""
    ) -> tuple[WirePlan, Baseline]:
        """A fresh plan, and the chart as it was read for it."""
        target = target or self.target(stage, row, number)
        content = self.sample(stage, row, number)
        if (row.kind, row.interaction) == ("note", "amend"):
            content["amends"] = target
        baseline = self.read(stage, row, target, content)
        change = parse_change(row.kind, row.interaction, content)
        plan = stage.adapter.render(change, tag=Tag.mint(), baseline=baseline)
        return plan, baseline

    @staticmethod
    def capability(stage: Stage, row: Row) -> Capability:
        return stage.adapter.capabilities.get(row.kind, row.interaction)

    @staticmethod
    def makes_entry(row: Row) -> bool:
        return interaction_rule(kind_model(row.kind), row.interaction).makes_entry

    def verdict(self, stage: Stage, row: Row, plan: WirePlan, before: Snapshot | None) -> Verdict:
        found = self.found(stage, plan)
        assert found.method is plan.find
        match = matching.judge(
            found,
            plan=plan,
            tags=[plan.tag],
            capability=self.capability(stage, row),
            baseline=before,
        )
        return match.verdict

    def chart(self, stage: Stage, row: Row, plan: WirePlan, reference: str) -> Snapshot | None:
        """The entry as it stands in the chart, accepted first where it waits; None where nothing shows it."""
        if plan.finality is Finality.STAGED and self.waits(row):
            stage.practice.lever("accept_staged", vendor=self.vendor, reference=reference)
        capability = self.capability(stage, row)
        if reference and (capability.read_back_by_id or plan.find is FindMethod.NONE):
            return self.read_entry(stage, plan, reference)
        if plan.find is FindMethod.MATCH:
            return next(iter(self.equals(stage, row, plan)), None)
        return next((one.snapshot for one in self.found(stage, plan).hits), None)

    def equals(self, stage: Stage, row: Row, plan: WirePlan) -> list[Snapshot]:
        """Every entry that a search finds and that is what the plan says."""
        capability = self.capability(stage, row)
        return [
            one.snapshot
            for one in self.found(stage, plan).hits
            if not matching.compare(one.snapshot, plan=plan, capability=capability)
        ]

    @staticmethod
    def found(stage: Stage, plan: WirePlan) -> FindResult:
        since = stage.at - timedelta(minutes=5)
        return stage.adapter.find([plan.tag], plan, since=since, at=datetime.now(UTC))

    @staticmethod
    def read_entry(stage: Stage, plan: WirePlan, reference: str) -> Snapshot | None:
        return stage.adapter.read_entry(kind=plan.kind, reference=reference, at=stage.at)

    @staticmethod
    def waits(row: Row) -> bool:
        """Does something staged wait among things that somebody has to accept?"""
        del row
        return True

    def unseen(self, row: Row) -> str:
        """The fact that makes what was filed invisible for good; empty where it can be seen."""
        return self.excluded("read back", row)

    # --- what is said ----------------------------------------------------------------------------

    def test_every_supported_row_is_a_row(self, practice: Practice) -> None:
        rows = self.rows()
        for way in self.ways:
            adapter = self.staged(practice, Row(way, "note", "create")).adapter
            supported = {one.key for one in adapter.capabilities if one.supported}
            assert supported <= {(row.kind, row.interaction) for row in rows}
        assert len(rows) == len(set(rows))

    @pytest.mark.req("003-60", "001-86")
    def test_is_said_acknowledged_read_back_and_found(
        self, stage: Stage, row: Row, record_property: Callable[[str, object], None]
    ) -> None:
        plan, baseline = self.planned(stage, row, 0)
        before = baseline.target
        stored = WirePlan.from_json(json.loads(json.dumps(plan.to_json())))
        assert (stored, stored.payload_hash()) == (plan, plan.payload_hash())
        assert stage.adapter.parse(stored) == stage.adapter.parse(plan)
        capability = self.capability(stage, row)
        assert (plan.finality, plan.find) == (capability.finality, capability.find)
        check_marked(plan, labels_taken=not self.unlabelled)
        check_provenance(plan)
        [step] = plan.steps
        token = stage.adapter.authenticate(step)
        mark = self.mark(stage)
        receipt = stage.adapter.submit(step, token=token)
        assert receipt.acknowledged
        self.is_one_request(stage, mark, effects=1)
        verdict = self.verdict(stage, row, plan, before)
        if (
            plan.finality is Finality.STAGED and plan.find is FindMethod.NONE
        ) or plan.find is FindMethod.NONE:
            assert verdict is Verdict.COULD_NOT_LOOK
        elif not self.unseen(row):
            assert verdict in _EQUAL, verdict
        count = 3
        if fact := self.unseen(row):
            self.leave_out(record_property, row, "read back", fact)
        else:
            entry = self.chart(stage, row, plan, receipt.reference)
            assert entry is not None
            differing = matching.compare(entry, plan=plan, capability=capability)
            assert differing == (), [one.pointer for one in differing]
            count += 1
        self.tell(record_property, row, cases=count)

    # --- what goes wrong -------------------------------------------------------------------------

    def expected(self, name: str, fault: Fault, row: Row) -> Fault:
        for place in (str(row), row.kind, row.way or "-", "*"):
            if (name, place) in self.otherwise:
                return self.otherwise[name, place][0]
        return fault

    def excluded(self, name: str, row: Row) -> str:
        for place in (str(row), row.kind, row.way or "-", "*"):
            if (name, place) in self.left_out:
                return self.left_out[name, place]
        return ""

    @pytest.mark.req("002-75", "003-55", "003-60", "003-90")
    def test_each_fault_becomes_its_branch_and_leaves_what_it_leaves(
        self,
        stage: Stage,
        row: Row,
        elsewhere: HTTPServer,
        record_property: Callable[[str, object], None],
    ) -> None:
        number, made, cases = 1, 0, 0
        plan, baseline = self.planned(stage, row, number)
        token = stage.adapter.authenticate(plan.steps[0])
        failed: list[str] = []
        for name, usual in MATRIX.items():
            if fact := self.excluded(name, row):
                self.leave_out(record_property, row, name, fact)
                continue
            fault = self.expected(name, usual, row)
            if made:
                # The last one has changed the chart: this one begins with the chart as it is now.
                number += 1
                plan, baseline = self.again(stage, row, number, plan, baseline)
            try:
                made += self.one_fault(
                    stage, row, plan, baseline.target, token, fault, elsewhere, made
                )
            except (AssertionError, AdapterError, pytest.fail.Exception) as wrong:
                failed.append(f"{name}: {type(wrong).__name__} {str(wrong)[:300]}")
                made += 1
                stage.practice.clear_faults()
            cases += 1
        if not made:
            stage.send(plan)
        assert elsewhere.log == []
        assert not failed, "\n".join(failed)
        self.tell(record_property, row, cases=cases)

    def one_fault(
        self,
        stage: Stage,
        row: Row,
        plan: WirePlan,
        before: Snapshot | None,
        token: AccessToken,
        fault: Fault,
        elsewhere: HTTPServer,
        made: int,
    ) -> int:
        """Sends a plan into a fault. How many effects it had."""
        [step] = plan.steps
        order = dict(fault.order or {})
        if fault.kind == "redirect":
            order["location"] = elsewhere.url_for("/stolen")
        if fault.kind == "dropped-field":
            order["field"] = self.altered(row)[0]
        if fault.kind == "mangled-content":
            order["set"] = self.altered(row)[1]
        sender = stage.adapter
        if fault.kind.startswith("timeout"):
            sender = registry.get_adapter(replace(stage.connection, **IMPATIENT))
        # Others that were said alike: what is altered must not become one more of them.
        alters = fault.kind in {"dropped-field", "mangled-content"}
        counted = alters and plan.find is FindMethod.MATCH and not self.unseen(row)
        alike = len(self.equals(stage, row, plan)) if counted else 0
        mark = self.mark(stage)
        stage.practice.fault(fault.kind, vendor=self.vendor, method=step.method, **order)
        branch = fault.create if self.makes_entry(row) else fault.update
        reference = ""
        if branch is None:
            receipt = sender.submit(step, token=token)
            assert receipt.acknowledged
            reference = receipt.reference
        else:
            with pytest.raises(branch) as raised:
                sender.submit(step, token=token)
            self.says_nothing_of_the_payload(raised.value)
            if branch is RateLimited:
                assert 0 < (raised.value.retry_after or 0) <= 60
        self.is_one_request(stage, mark, effects=fault.effects)
        if fault.kind == "late-commit":
            self.late(stage, row, plan, before, mark)
            return 1
        if fault.kind in {"dropped-field", "mangled-content"}:
            if not self.unseen(row):
                self.alteration_is_seen(stage, row, plan, reference, alike)
            return 1
        if not self.unseen(row):
            self.search_tells(
                row, plan, self.verdict(stage, row, plan, before), fault.effects, made
            )
        return fault.effects

    def alteration_is_seen(
        self, stage: Stage, row: Row, plan: WirePlan, reference: str, alike: int
    ) -> None:
        """The altered entry is read as different, or is no candidate beside those that were there."""
        capability = self.capability(stage, row)
        if plan.find is FindMethod.MATCH and not (reference and capability.read_back_by_id):
            assert len(self.equals(stage, row, plan)) == alike, "not seen"
            return
        entry = self.chart(stage, row, plan, reference)
        different = entry is None or matching.compare(entry, plan=plan, capability=capability)
        assert different, "not seen"

    def late(
        self, stage: Stage, row: Row, plan: WirePlan, before: Snapshot | None, mark: int
    ) -> None:
        """Filed only after the search: what was absent is there once, and nobody sent it again."""
        if not self.unseen(row):
            self.search_tells(row, plan, self.verdict(stage, row, plan, before), 0, 0)
        stage.practice.lever("commit_late", vendor=self.vendor)
        if not self.unseen(row):
            self.search_tells(row, plan, self.verdict(stage, row, plan, before), 1, 0)
        del mark

    @staticmethod
    def search_tells(row: Row, plan: WirePlan, verdict: Verdict, effects: int, made: int) -> None:
        """What a search shows of `effects`, where the chart holds `made` others that were said alike."""
        if plan.find is FindMethod.NONE:
            assert verdict is Verdict.COULD_NOT_LOOK
        elif effects:
            alike = {Verdict.AMBIGUOUS} if made and plan.find is FindMethod.MATCH else set()
            assert verdict in _EQUAL | alike, f"{row}: {verdict} of what was filed"
        elif plan.find is FindMethod.KEY and plan.target:
            # The entry of the same key is there, and is not what was said: a person looks at it.
            assert verdict not in _EQUAL, f"{row}: {verdict} of nothing"
        elif not made:
            assert verdict in {Verdict.NONE, Verdict.COULD_NOT_LOOK}, f"{row}: {verdict} of nothing"

    def altered(self, row: Row) -> tuple[str, dict[str, Any]]:
        return ALTERED[row.kind]

    @staticmethod
    def says_nothing_of_the_payload(error: AdapterError) -> None:
        shown = [str(error), repr(error), error.sentence, error.next_step, repr(error.args)]
        shown.append(json.dumps(error.facts()))
        assert not any(CANARY in words for words in shown)
        assert error.sentence.endswith(".")

    # --- the practice's log ----------------------------------------------------------------------

    def mark(self, stage: Stage) -> int:
        told = stage.practice.control("GET", "log", None, vendor=self.vendor, after=10**9)
        return int(told["newest"])

    def is_one_request(self, stage: Stage, mark: int, *, effects: int) -> None:
        """Since `mark` exactly one request reached the practice, with so many effects."""
        entries: list[dict[str, Any]] = []
        for _ in range(100):
            told = stage.practice.control("GET", "log", None, vendor=self.vendor, after=mark)
            entries = told["entries"]
            if entries:
                break
            time.sleep(0.02)
        assert len(entries) == 1, [one["path"] for one in entries]
        left = len(entries[0]["committed"]) + len(entries[0]["staged"])
        assert left == effects, f"{left} effects instead of {effects}"

    # --- generated contents ----------------------------------------------------------------------

    def admissible(
        self, stage: Stage, row: Row, content: dict[str, Any], baseline: Baseline
    ) -> dict[str, Any]:
        """The content narrowed to what this EHR takes; everything else has a test of its own."""
        del stage, row, baseline
        return content

    def must_return(self, row: Row, named: frozenset[str], name: str) -> bool:
        """Is a field that differs a loss? Not where the bytes speak only of what is named."""
        del row, named, name
        return True

    @pytest.mark.req("001-86")
    def test_what_is_rendered_reads_back_up_to_what_the_reviewer_is_shown(
        self, stage: Stage, row: Row, record_property: Callable[[str, object], None]
    ) -> None:
        adapter: EhrAdapter = stage.adapter
        target = self.target(stage, row, 0)
        baseline = self.as_generated(self.read(stage, row, target, self.sample(stage, row, 0)), row)
        before = dict(baseline.target.canonical) if baseline.target else {}
        drawn: Counter[str] = Counter()
        lost: Counter[str] = Counter()

        @given(content=CONTENTS[row.kind, row.interaction], tag=st.uuids(version=4))
        @run_settings(
            max_examples=EXAMPLES,
            deadline=None,
            derandomize=True,
            database=None,
            suppress_health_check=list(HealthCheck),
        )
        def holds(content: dict[str, Any], tag: Any) -> None:
            fitted = self.admissible(stage, row, dict(content), baseline)
            assume(fitted or not content)
            if (row.kind, row.interaction) == ("note", "amend"):
                fitted = {**fitted, "amends": target}
            change = parse_change(row.kind, row.interaction, fitted)
            assume(not baseline.target or not change.conflicts_with(before))
            try:
                plan = adapter.render(change, tag=Tag(str(tag)), baseline=baseline)
            except CannotBeCarried as refused:
                # What is left when everything else was said of in a remark.
                assume([issue.code for issue in refused.issues] != ["empty"])
                raise
            said = adapter.parse(plan).model_dump_canonical()
            if change.rule.makes_entry and "encounter" in said and baseline.visit:
                change = change.completed(encounter=baseline.visit.reference)
            expected = change.applied_to({} if change.rule.makes_entry else before)
            shown = {one.pointer.split("/")[1] for one in plan.remarks if one.pointer}
            assert all(one.sentence.endswith(".") for one in plan.remarks)
            for name in changed_fields(row.kind, expected, said):
                assert name in shown or not self.must_return(row, change.named_fields, name), name
            if "sections" in expected and "sections" not in shown:
                assert [(s["title"], s["text"]) for s in said["sections"]] == [
                    (s["title"], s["text"]) for s in expected["sections"]
                ]
            drawn.update([*change.named_fields, ""])
            lost.update(one.pointer.split("/")[1] for one in plan.not_carried if one.pointer)

        holds()
        assert drawn[""] >= EXAMPLES
        taken = [
            one
            for one in fields(row.kind, row.interaction)
            if not (one.portal_only or one.filled_by_portal)
        ]
        optional = {one.name for one in taken if not one.required} - {"encounter"}
        self.tell(
            record_property,
            row,
            generated=drawn[""],
            optional=len(optional),
            covered=sorted(name for name in optional if drawn[name]),
            never=sorted(name for name in optional if not drawn[name]),
            lost=sorted(lost),
        )

    def as_generated(self, baseline: Baseline, row: Row) -> Baseline:
        """The baseline at the moment that generated contents speak of: a visit since half past eight."""
        del row
        at = datetime(2026, 11, 20, 15, 0, tzinfo=UTC)
        visit = baseline.visit
        if visit is not None:
            visit = replace(visit, start="2026-11-20T14:30:00+00:00")
        return replace(baseline, read_at=at, visit=visit)

    # --- telling ---------------------------------------------------------------------------------

    def tell(self, record_property: Callable[[str, object], None], row: Row, **told: Any) -> None:
        record_property("contract", {"adapter": self.vendor, "row": str(row), **told})

    def leave_out(
        self, record_property: Callable[[str, object], None], row: Row, name: str, fact: str
    ) -> None:
        self.tell(record_property, row, left_out=name, fact=fact)


__all__ = ["MATRIX", "Fault", "PracticeContract", "Row", "but"]
