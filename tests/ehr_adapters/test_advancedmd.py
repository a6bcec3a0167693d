"""The AdvancedMD adapter: the contract, its login, its messages, its declared "no"."""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pytest_httpserver import HTTPServer

from ehr_adapters import oauth, registry
from ehr_adapters.base import EhrAdapter
from ehr_adapters.canonical.base import changed_fields, fhir_type, parse_change
from ehr_adapters.canonical.codes import SNOMED
from ehr_adapters.capabilities import CapabilitySet, Finality, FindMethod, RetryClass
from ehr_adapters.contract import ReadRequest, WirePlan
from ehr_adapters.errors import (
    AdapterError,
    AdapterMisconfigured,
    AlreadyThere,
    CannotBeCarried,
    ConnectionLost,
    ContentRefused,
    NotPermitted,
    PatientMoved,
    RateLimited,
    Redirected,
    ServerError,
    TimedOutAfterSend,
    TokenRejected,
    TokenUnavailable,
    Unreachable,
    UnreadableReply,
    VersionConflict,
)
from ehr_adapters.vendors.advancedmd import budget, messages, session
from ehr_adapters.vendors.advancedmd.faults import AMD_FAULTS, MEANINGS
from tests.ehr_adapters.advancedmd import (
    DOOR,
    LOGIN,
    PASSWORD,
    REST,
    TEMPLATE,
    AmdFake,
    fault,
    success,
)
from tests.ehr_adapters.contents import CANARY
from tests.ehr_adapters.contract import TAG, AdapterContract
from tests.ehr_adapters.fake_ehr import (
    AT,
    IMPATIENT,
    FakeEhr,
    condition,
    outcome,
    refused_port,
    threaded_server,
    unanswered_port,
)

pytestmark = pytest.mark.once

TITLES = [one["section"] for one in TEMPLATE["fields"]]
TYPES = ("11506-3", "34117-2", "11488-4", "18842-5")
# A template a type, so that any note of the common contents finds one.
TEMPLATES = [TEMPLATE | {"type": code, "name": f"Visit {code}"} for code in TYPES]
AMD_SETTINGS: dict[str, Any] = {
    "note_templates": TEMPLATES,
    "profiles": {"pr-1": "prof3"},
    "scheduler_columns": [{"provider": "pr-1", "column": 7, "profile": 3}],
    "appointment_types": [
        {"code": "FOLLOWUP", "number": 11},
        {"code": "ROUTINE", "number": 12},
        {"text": "New patient, long", "number": 13},
    ],
}


# What the REST interface answers as the messages do, and what is its own: (answer, booking, cancelling).
ALIKE_BY_REST = (
    "429", "400", "401", "403", "409", "500", "redirect 302", "202", "silence after the request", "connection cut",
    "truncated",
)  # fmt: skip
ONLY_BY_REST: dict[str, tuple[Any, type[AdapterError], type[AdapterError]]] = {
    "404": ((404, CANARY), NotPermitted, VersionConflict),
    "a page": ((200, "<html>busy</html>"), UnreadableReply, UnreadableReply),
    "a list": ((200, "[]"), UnreadableReply, UnreadableReply),
    "another number": ((200, '{"id": "x-y"}'), UnreadableReply, UnreadableReply),
}


class AmdContract(AdapterContract):
    kind: ClassVar[str] = "advancedmd"
    settings: ClassVar[dict[str, Any]] = AMD_SETTINGS

    @pytest.fixture
    def ehr(self, server: HTTPServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[AmdFake]:
        monkeypatch.setattr(oauth, "read_tokens", oauth.ReadTokens())
        monkeypatch.setattr(session, "sessions", session.Sessions())
        monkeypatch.setattr(budget, "budget", budget.Budget())
        server.clear()
        fake = AmdFake(server, granted=self.granted)
        yield fake
        fake.released.set()

    # Messages and REST answer differently; None: plans of both.
    by_message: bool | None = None

    def every_plan(self, adapter: EhrAdapter, ehr: FakeEhr) -> Iterator[WirePlan]:
        for plan in super().every_plan(adapter, ehr):
            if self.by_message in {None, plan.steps[0].path == messages.DOOR}:
                yield plan

    def sample(self, kind: str, interaction: str) -> dict[str, Any]:
        content = super().sample(kind, interaction)
        if (kind, interaction) == ("problem", "create"):
            content["verification"] = "confirmed"
        if (kind, interaction) == ("appointment", "create"):
            content["provider"] = "Practitioner/pr-1"
        return content

    # --- what this EHR does otherwise ------------------------------------------------------------

    FAULTS: ClassVar[dict[str, tuple[Any, type[AdapterError], type[AdapterError]]]] = {
        name: (answer, branch, branch)
        for name, (answer, branch) in {
            "429": ((429, b""), RateLimited),
            "400": ((400, CANARY), ContentRefused),
            "401": ((401, b""), TokenRejected),
            "403": ((403, b""), NotPermitted),
            "404": ((404, CANARY), NotPermitted),
            "409": ((409, CANARY), AlreadyThere),
            "412": ((412, CANARY), AlreadyThere),
            "422": ((422, CANARY), ContentRefused),
            "500": ((500, CANARY), ServerError),
            "503": ((503, CANARY), ServerError),
            "redirect 302": ((302, b""), Redirected),
            "redirect 307": ((307, b""), Redirected),
            "202": ((202, b""), UnreadableReply),
            "200 with a fault": ((200, fault("-2147217900", text=CANARY)), ContentRefused),
            "200 with an ended session": ((200, fault("-2147220479")), TokenRejected),
            "200 with the other spelling": ((200, fault("1025")), TokenRejected),
            "200 with another server": ((200, fault("-2147220476")), TokenRejected),
            "200 with a fault without a number": ((200, fault("", text=CANARY)), UnreadableReply),
            "200 with success and a fault": (
                (200, fault("1090", text=CANARY, flag=' success="1"')),
                UnreadableReply,
            ),
            "200 without either": ((200, "<PPMDResults><Results/></PPMDResults>"), UnreadableReply),
            "200 with entities": (
                (200, '<!DOCTYPE x [<!ENTITY e "y">]>' + success("&e;")),
                UnreadableReply,
            ),
            "a FHIR answer": ((200, outcome("business-rule", text=CANARY)), UnreadableReply),
            "another charset": (
                (200, success().encode("utf-16")),
                UnreadableReply,
            ),
            "a charset that it is not": (
                (200, b'<?xml version="1.0" encoding="utf-8"?>' + success("é").encode("latin-1")),
                UnreadableReply,
            ),
            "silence after the request": ("silent", TimedOutAfterSend),
            "connection cut": ("cut_off", ConnectionLost),
            "truncated": ("truncated", ConnectionLost),
        }.items()
    }

    @pytest.mark.parametrize("fault", sorted(FAULTS))
    def test_each_answer_becomes_its_branch(
        self, adapter: EhrAdapter, ehr: FakeEhr, fault: str
    ) -> None:
        self.by_message = True
        super().test_each_answer_becomes_its_branch(adapter, ehr, fault)

    @pytest.mark.req("003-55")
    @pytest.mark.parametrize("fault", [*ALIKE_BY_REST, *ONLY_BY_REST])
    def test_each_answer_of_the_scheduler_becomes_its_branch(
        self, adapter: EhrAdapter, ehr: FakeEhr, fault: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        self.by_message = False
        alike = {name: self.FAULTS[name] for name in ALIKE_BY_REST}
        monkeypatch.setattr(type(self), "FAULTS", alike | ONLY_BY_REST)
        super().test_each_answer_becomes_its_branch(adapter, ehr, fault)

    def test_an_update_changes_only_what_it_names(self, adapter: EhrAdapter, ehr: FakeEhr) -> None:
        """A cancellation is its number alone; what else the entry says stays."""
        plan = self.plan(adapter, ehr, "appointment", "cancel")
        assert plan.steps[0].path == "api/scheduler/Appointments/1/cancel"
        assert json.loads(plan.steps[0].body) == {"id": 1}
        baseline = self.baseline(adapter, ehr, "appointment", "cancel")
        assert baseline.target is not None
        before = dict(baseline.target.comparable)
        assert plan.comparable == before | {"status": "cancelled"}

    def test_a_probe_takes_away_and_never_opens(self, ehr: FakeEhr) -> None:
        """What cannot be read is not written to, and a note needs every field that the settings name."""

        def offered(*types: str, version: str = "4.0.1") -> dict[str, Any]:
            codes = [{"code": "read"}, {"code": "search-type"}]
            listed = [{"type": one, "interaction": codes} for one in types]
            rest = [{"mode": "server", "resource": listed}]
            return {"resourceType": "CapabilityStatement", "fhirVersion": version, "rest": rest}

        def listed(*fields: dict[str, Any]) -> dict[str, Any]:
            pages = {
                number: [one for one in fields if one["page"] == number]
                for number in sorted({one["page"] for one in fields})
            }
            page = [
                {
                    "@pageindex": str(number),
                    "fieldlist": {"field": [{"@ordinal": str(one["ordinal"])} for one in held]},
                }
                for number, held in pages.items()
            ]
            # One page is no list, and one field of it neither.
            if len(page) == 1:
                held = page[0]["fieldlist"]["field"]
                page[0]["fieldlist"]["field"] = held[0] if len(held) == 1 else held
            template = {
                "@name": TEMPLATE["name"],
                "pagelist": {"page": page[0] if len(page) == 1 else page},
            }
            results = {"@success": "1", "templatelist": {"template": template}}
            return {"PPMDResults": {"Results": results}}

        own = {"note_templates": [TEMPLATE], "profiles": {"pr-1": "prof3"}}
        adapter = registry.get_adapter(ehr.connection(self.kind, settings=own))
        ehr.answer_read(200, offered("Condition"))
        found = adapter.discover(at=AT)
        assert {kind for kind, interaction in _supported(found)} == {"problem"}
        assert ehr.writes == []
        ehr.answer_read(200, offered("Condition", "DocumentReference"))
        ehr.answer_write(200, listed(*TEMPLATE["fields"]))
        found = adapter.discover(at=AT)
        assert ("note", "create") in _supported(found)
        [(_, path, headers, body)] = ehr.writes
        assert path.rstrip("?") == DOOR
        assert headers["cookie"].startswith("token=990175session+")
        assert "authorization" not in headers
        assert b"session+" not in body
        ehr.answer_write(200, listed(TEMPLATE["fields"][0]))
        found = adapter.discover(at=AT)
        gone = found.lookup("note", "create")
        assert gone is not None
        assert "has no field “Subjective” any more" in gone.sentence
        assert ("problem", "create") in _supported(found)
        narrowed = registry.get_adapter(ehr.connection(self.kind, settings=own, capabilities=found))
        assert _supported(narrowed.capabilities) == _supported(found)
        for answer in (
            (500, b""),
            (200, "<html>"),
            (200, {"PPMDResults": {"Error": {"Fault": {}}}}),
        ):
            ehr.answer_write(*answer)
            with pytest.raises(Unreachable):
                adapter.discover(at=AT)
        ehr.answer_read(200, offered("Condition", "DocumentReference", version="5.0.0"))
        assert _supported(adapter.discover(at=AT)) == set()

    def test_asks_for_the_narrowest_scope_that_serves(
        self, adapter: EhrAdapter, ehr: FakeEhr
    ) -> None:
        """The Connect interface knows no scopes: what is done goes into the ledger instead."""
        for plan in self.every_plan(adapter, ehr):
            token = adapter.authenticate(plan.steps[0])
            assert token.asked == token.scope == f"Connect {plan.steps[0].label}"

    def test_each_attempt_has_a_token_of_its_own(self, adapter: EhrAdapter, ehr: AmdFake) -> None:
        """About one login a minute is let through, so one session serves until it ends."""
        plan = self.plan(adapter, ehr, "problem", "create")
        tokens = {adapter.authenticate(plan.steps[0]).value for _ in range(3)}
        assert len(tokens) == 1
        assert [path for path, _ in ehr.logins] == [LOGIN, DOOR]

    def test_a_missing_scope_is_not_permitted(self, ehr: FakeEhr) -> None:
        """A user without the privilege is told so by a fault, which the settings may map."""
        settings = self.settings | {"fault_meanings": {"77": "not-permitted"}}
        adapter = registry.get_adapter(ehr.connection(self.kind, settings=settings))
        plan = self.plan(adapter, ehr, "problem", "create")
        token = adapter.authenticate(plan.steps[0])
        ehr.answer_write(200, fault("-2147221427"))
        with pytest.raises(NotPermitted) as refused:
            adapter.submit(plan.steps[0], token=token)
        assert refused.value.vendor_code == "77"

    def test_no_token_for_whatever_reason_means_nothing_was_sent(
        self, adapter: EhrAdapter, ehr: AmdFake
    ) -> None:
        plan = self.plan(adapter, ehr, "problem", "create")
        for status, body in (
            (200, fault("1002", text="wrong")),
            (200, "<html>busy</html>"),
            (200, ""),
            (200, success()),
            (200, success(f'<usercontext webserver="{ehr.home}">a b c d e f</usercontext>')),
            (500, "oops"),
            (302, ""),
            (403, ""),
        ):
            ehr.answer_login(status, body, Location="http://127.0.0.1:9/")
            with pytest.raises(TokenUnavailable):
                adapter.authenticate(plan.steps[0])
        ehr.answer_login(429)
        with pytest.raises(RateLimited) as slowed:
            adapter.authenticate(plan.steps[0])
        assert slowed.value.retry_after == 60
        ehr.login_answer = ehr.silent
        impatient = ehr.connection(self.kind, settings=self.settings, **IMPATIENT)
        with pytest.raises(TokenUnavailable):
            registry.get_adapter(impatient).authenticate(plan.steps[0])
        assert ehr.writes == []

    def test_sends_the_frozen_bytes_and_nothing_else(
        self, adapter: EhrAdapter, ehr: FakeEhr
    ) -> None:
        for plan in self.every_plan(adapter, ehr):
            ehr.requests.clear()
            step = plan.steps[0]
            token = adapter.authenticate(step)
            receipt = adapter.submit(step, token=token)
            assert receipt.acknowledged
            assert token.value not in repr(token)
            [(method, path, headers, body)] = ehr.writes
            for name, value in step.headers:
                assert headers[name.lower()] == value
            if step.path != messages.DOOR:
                assert (method, path.rstrip("?")) == (
                    step.method,
                    REST + step.path.removeprefix("api/"),
                )
                assert (headers["authorization"], body) == (f"Bearer {token.value}", step.body)
                assert "cookie" not in headers
                continue
            assert receipt.reference
            assert (method, path.rstrip("?")) == ("POST", DOOR)
            before, _, rest = step.body.partition(messages.SENT_AT.marker.encode())
            between, _, after = rest.partition(messages.SESSION.marker.encode())
            assert body.startswith(before)
            assert body.endswith(between + token.value.encode() + after)
            moment = body[len(before) : -len(between + token.value.encode() + after)].decode()
            sent = messages.local_time(moment, zone=ZoneInfo("UTC"))
            assert abs(datetime.now(UTC) - sent) < timedelta(minutes=1)
            assert not {"authorization", "cookie"} & set(headers)

    def test_nothing_was_sent_when_there_is_no_connection(
        self, adapter: EhrAdapter, ehr: AmdFake
    ) -> None:
        plan = self.plan(adapter, ehr, "problem", "create")
        token = adapter.authenticate(plan.steps[0])
        with unanswered_port() as full:
            for port in (refused_port(), full):
                gone = f"http://127.0.0.1:{port}"
                settings = self.settings | {"cluster_origins": [gone]}
                lost = ehr.connection(self.kind, settings=settings, **IMPATIENT)
                elsewhere = replace(token, server=token.server.replace(ehr.root, gone))
                with pytest.raises(Unreachable) as raised:
                    registry.get_adapter(lost).submit(plan.steps[0], token=elsewhere)
                self.says_nothing_of_the_payload(raised.value)

    def test_the_tag_travels_where_it_is_declared(self, adapter: EhrAdapter, ehr: FakeEhr) -> None:
        plan = self.plan(adapter, ehr, "note", "create")
        values = [one.get("value", "") for one in messages.sent(plan.steps[0].body).iter("field")]
        assert values[-1].endswith(f"Ref {TAG.short}")
        assert not any(TAG.short in text for text in values[:-1])
        plan = self.plan(adapter, ehr, "problem", "create")
        assert TAG.short.encode() not in plan.steps[0].body

    def test_finds_what_was_written_by_its_tag_or_target(
        self, adapter: EhrAdapter, ehr: FakeEhr
    ) -> None:
        for plan in self.every_plan(adapter, ehr):
            if plan.find is FindMethod.NONE:
                continue
            new_id = plan.target.split("/")[1] if plan.target else "new-1"
            kept = dict(ehr.resources)
            ehr.resources[f"{fhir_type(plan.kind)}/{new_id}"] = {**plan.comparable, "id": new_id}
            found = adapter.find([TAG], plan, since=AT - timedelta(hours=1), at=AT)
            ehr.resources = kept
            hits = [hit for hit in found.hits if hit.snapshot.id == new_id]
            assert len(hits) == 1
            assert found.method is plan.find
            assert hits[0].snapshot.comparable == plan.comparable
            said = adapter.parse(plan).model_dump_canonical()
            assert changed_fields(plan.kind, said, hits[0].snapshot.canonical) == ()


def _supported(found: CapabilitySet) -> set[tuple[str, str]]:
    return {one.key for one in found if one.supported}


class TestAdvancedMd(AmdContract):
    @pytest.mark.req("001-53")
    def test_a_note_is_filed_unsigned_and_a_problem_filed(self) -> None:
        declared = self.declared()
        note, problem = declared.get("note", "create"), declared.get("problem", "create")
        assert (note.finality, note.find, note.retry) == (
            Finality.FILED_UNSIGNED,
            FindMethod.NONE,
            RetryClass.S4,
        )
        assert (problem.finality, problem.find, problem.retry) == (
            Finality.FILED,
            FindMethod.MATCH,
            RetryClass.S4,
        )
        update = declared.get("problem", "update")
        assert (update.find, update.retry) == (FindMethod.TARGET, RetryClass.S3)
        probed = self.settings | {"notes_listed_probed": "2026-11-20"}
        note = registry.declared_capabilities("advancedmd", probed).get("note", "create")
        assert (note.find, note.retry) == (FindMethod.SCAN, RetryClass.S4)
        without = registry.declared_capabilities("advancedmd").lookup("note", "create")
        assert without is not None
        assert not without.supported

    # --- the login ---------------------------------------------------------------------------------

    @pytest.mark.req("003-90")
    @pytest.mark.parametrize(
        "address",
        [
            "{elsewhere}/advancedmd/processrequest/api-1/APP",
            "//{host}/processrequest/api-1/APP",
            "{root}.evil.example/processrequest/api-1/APP",
            "{root}@{host}/processrequest/api-1/APP",
            "{root}/advancedmd/processrequest/api-1/APP?x=1",
            "{root}/advancedmd/processrequest/api-1/../../x",
            "{root}/elsewhere/api-1/APP",
            "ftp://127.0.0.1/processrequest/api-1/APP",
            "",
        ],
    )
    def test_neither_password_nor_session_leaves_for_a_server_that_is_not_listed(
        self, adapter: EhrAdapter, ehr: AmdFake, address: str
    ) -> None:
        plan = self.plan(adapter, ehr, "problem", "create")
        token = adapter.authenticate(plan.steps[0])
        session.sessions = session.Sessions()
        with threaded_server() as elsewhere:
            named = address.format(
                elsewhere=elsewhere.url_for("").rstrip("/"),
                host=f"127.0.0.1:{elsewhere.port}",
                root=ehr.root,
            )
            ehr.answer_login(
                200, fault("-2147220476", inside=f'<usercontext webserver="{named}"/>')
            )
            with pytest.raises(AdapterMisconfigured):
                adapter.authenticate(plan.steps[0])
            with pytest.raises(AdapterMisconfigured):
                adapter.submit(plan.steps[0], token=replace(token, server=named))
            assert elsewhere.log == []
        assert ehr.writes == []

    def test_the_second_login_is_not_sent_on_once_more(
        self, adapter: EhrAdapter, ehr: AmdFake
    ) -> None:
        plan = self.plan(adapter, ehr, "problem", "create")
        told = fault("1028", inside=f'<usercontext webserver="{ehr.home}"/>')
        ehr.answer_login(200, told)
        with pytest.raises(TokenUnavailable):
            adapter.authenticate(plan.steps[0])
        assert [path for path, _ in ehr.logins] == [LOGIN, DOOR]

    def test_an_ended_session_is_not_used_again(self, adapter: EhrAdapter, ehr: AmdFake) -> None:
        plan = self.plan(adapter, ehr, "problem", "create")
        first = adapter.authenticate(plan.steps[0])
        ehr.answer_write(200, fault("-2147220479"))
        with pytest.raises(TokenRejected):
            adapter.submit(plan.steps[0], token=first)
        ehr.write_answer = None
        fresh = adapter.authenticate(plan.steps[0])
        assert fresh.value != first.value
        assert adapter.submit(plan.steps[0], token=fresh).acknowledged

    def test_what_a_login_says_is_nowhere_in_an_error(
        self, adapter: EhrAdapter, ehr: AmdFake
    ) -> None:
        plan = self.plan(adapter, ehr, "problem", "create")
        ehr.answer_login(200, fault("1002", text=f"{PASSWORD} is wrong"))
        with pytest.raises(TokenUnavailable) as refused:
            adapter.authenticate(plan.steps[0])
        assert PASSWORD not in f"{refused.value!r} {refused.value} {refused.value.facts()}"

    @pytest.mark.parametrize("missing", ["username", "password"])
    def test_a_key_file_without_user_or_password_is_a_mistake_of_the_connection(
        self, ehr: AmdFake, missing: str
    ) -> None:
        connection = ehr.connection(self.kind, settings=self.settings)
        rest = {name: one for name, one in connection.secrets.items() if name != missing}
        adapter = registry.get_adapter(replace(connection, secrets=rest))
        with pytest.raises(AdapterMisconfigured) as refused:
            adapter.read(ReadRequest(patient="pa-1", kind="problem", at=AT))
        assert PASSWORD not in str(refused.value)

    def test_the_fhir_side_is_told_who_asks(self, adapter: EhrAdapter, ehr: AmdFake) -> None:
        adapter.read(ReadRequest(patient="pa-1", kind="problem", at=AT))
        [asked] = [body for _, path, _, body in ehr.requests if path.startswith("/oauth2")]
        assert b"officekey=990175" in asked
        assert b"client_assertion=" in asked

    # --- the meter ---------------------------------------------------------------------------------

    @pytest.mark.fault("advancedmd.billed-calls")
    def test_a_call_that_would_be_billed_is_not_made(
        self, ehr: FakeEhr, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        # Twenty seconds before the minute is over.
        monkeypatch.setattr(budget, "now", lambda: AT + timedelta(seconds=40))
        settings = self.settings | {"calls_per_minute": [[1, 1], [2, 2], [2, 2]]}
        adapter = registry.get_adapter(ehr.connection(self.kind, settings=settings))
        plan = self.plan(adapter, ehr, "problem", "create")
        token = adapter.authenticate(plan.steps[0])
        for _ in range(2):
            adapter.submit(plan.steps[0], token=token)
        with pytest.raises(RateLimited) as slowed:
            adapter.submit(plan.steps[0], token=token)
        assert slowed.value.retry_after == 20
        assert len(ehr.writes) == 2
        billed = registry.get_adapter(
            ehr.connection(self.kind, settings=settings | {"billed_calls": True})
        )
        assert billed.submit(plan.steps[0], token=token).acknowledged
        monkeypatch.setattr(budget, "now", lambda: AT + timedelta(seconds=60))
        assert adapter.submit(plan.steps[0], token=token).acknowledged

    def test_the_free_calls_follow_the_clock_in_denver(self) -> None:
        busy = datetime(2026, 11, 20, 13, 0, tzinfo=UTC)  # Friday, six in the morning there
        assert budget.is_busy(busy)
        assert not budget.is_busy(busy - timedelta(seconds=1))
        assert budget.is_busy(datetime(2026, 11, 21, 0, 59, tzinfo=UTC))
        assert not budget.is_busy(datetime(2026, 11, 21, 1, 0, tzinfo=UTC))
        assert not budget.is_busy(busy + timedelta(days=1))
        assert [
            budget.tier_of(one) for one in ("getupdatedvisits", "addehrnote", "lookupproccode")
        ] == [1, 2, 3]

    # --- problems ----------------------------------------------------------------------------------

    @pytest.mark.parametrize(
        ("content", "pointer"),
        [
            ({"category": "encounter-diagnosis"}, "/category"),
            ({"verification": "provisional"}, "/verification"),
            ({"verification": "refuted"}, "/verification"),
            ({"clinical_status": "relapse"}, "/clinical_status"),
            ({"side": "7771000"}, "/side"),
            ({"code": {"system": SNOMED, "code": "700378005"}}, "/code/0/display"),
            ({"note": "5 mg ‰"}, "/note"),
        ],
    )
    def test_what_the_row_cannot_say_is_refused_not_dropped(
        self, adapter: EhrAdapter, ehr: FakeEhr, content: dict[str, Any], pointer: str
    ) -> None:
        baseline = self.baseline(adapter, ehr, "problem", "create")
        change = parse_change("problem", "create", self.sample("problem", "create") | content)
        with pytest.raises(CannotBeCarried) as refused:
            adapter.render(change, tag=TAG, baseline=baseline)
        assert [one.pointer for one in refused.value.issues] == [pointer]

    def test_what_is_left_out_is_said_and_a_date_is_never_completed(
        self, adapter: EhrAdapter, ehr: FakeEhr
    ) -> None:
        baseline = self.baseline(adapter, ehr, "problem", "create")
        content = self.sample("problem", "create") | {
            "severity": "6736007",
            "stage": "3a",
            "sensitivity": "restricted",
            "onset": "2020-03",
        }
        plan = adapter.render(
            parse_change("problem", "create", content), tag=TAG, baseline=baseline
        )
        pointers = {one.pointer for one in plan.not_carried}
        assert pointers == {"/severity", "/stage", "/sensitivity", "/encounter", "/onset"}
        assert b"2020" not in plan.steps[0].body

    def test_an_update_repeats_what_the_chart_shows_and_leaves_the_rest_alone(
        self, adapter: EhrAdapter, ehr: FakeEhr
    ) -> None:
        ehr.resources["Condition/co-1"] = condition(
            severity={"text": "mild"}, onsetDateTime="2020-03-04", note=[{"text": "first\nwords"}]
        )
        baseline = self.baseline(adapter, ehr, "problem", "update")
        change = parse_change("problem", "update", {"onset": None, "clinical_status": "inactive"})
        plan = adapter.render(change, tag=TAG, baseline=baseline)
        row = messages.sent(plan.steps[0].body).find("problem")
        assert row is not None
        assert (
            row.attrib
            == {
                "id": "co-1",
                "icd10code": "N18.30",
                "snomedcode": "",
                "description": "CKD stage 3",
                "status": "Inactive",
                "onsetdate": "",
                "comments": "first\nwords",
            }
            or row.attrib.pop("snomedcode", "") == ""
        )
        said = adapter.parse(plan).model_dump_canonical()
        assert said["severity"] == "mild"
        assert "onset" not in said
        assert plan.touched == ("clinical_status", "onset")

    def test_a_partial_date_of_the_chart_is_neither_sent_nor_taken_away(
        self, adapter: EhrAdapter, ehr: FakeEhr
    ) -> None:
        plan = self.plan(adapter, ehr, "problem", "update")
        assert b"onsetdate" not in plan.steps[0].body
        assert adapter.parse(plan).model_dump_canonical()["onset"] == "2020-03"

    def test_the_spelling_of_a_row_is_a_setting(self, ehr: FakeEhr) -> None:
        row = {"icd10": "diagcode", "snomed": "", "active": "A"}
        adapter = registry.get_adapter(
            ehr.connection(self.kind, settings=self.settings | {"problem_row": row})
        )
        plan = self.plan(adapter, ehr, "problem", "create")
        assert b'diagcode="N18.31"' in plan.steps[0].body
        assert b'status="A"' in plan.steps[0].body
        assert adapter.parse(plan).model_dump_canonical()["clinical_status"] == "active"
        content = self.sample("problem", "create") | {
            "code": {"system": SNOMED, "code": "700378005", "display": "x"}
        }
        with pytest.raises(CannotBeCarried):
            adapter.render(
                parse_change("problem", "create", content),
                tag=TAG,
                baseline=self.baseline(adapter, ehr, "problem", "create"),
            )

    def test_the_number_of_the_other_interface_may_stand_in_an_identifier(
        self, ehr: FakeEhr
    ) -> None:
        system = "urn:practice:connect"
        settings = self.settings | {"connect_id_system": system}
        adapter = registry.get_adapter(ehr.connection(self.kind, settings=settings))
        with pytest.raises(CannotBeCarried):
            self.plan(adapter, ehr, "problem", "create")
        ehr.resources["Patient/pa-1"]["identifier"].append({"system": system, "value": "pat45"})
        plan = self.plan(adapter, ehr, "problem", "create")
        assert b'patientid="pat45"' in plan.steps[0].body
        receipt = adapter.submit(plan.steps[0], token=adapter.authenticate(plan.steps[0]))
        # The FHIR side would not know an entry by this number.
        assert receipt.reference == ""
        ehr.resources["Condition/co-1"]["identifier"] = [{"system": system, "value": "prob7"}]
        plan = self.plan(adapter, ehr, "problem", "update")
        assert b'id="prob7"' in plan.steps[0].body
        assert adapter.parse(plan).model_dump_canonical()["note"] == CANARY

    def test_a_success_that_names_another_entry_is_none(
        self, adapter: EhrAdapter, ehr: FakeEhr
    ) -> None:
        plan = self.plan(adapter, ehr, "problem", "update")
        token = adapter.authenticate(plan.steps[0])
        ehr.answer_write(200, success('<problem id="prob9"/>'))
        with pytest.raises(UnreadableReply):
            adapter.submit(plan.steps[0], token=token)
        ehr.answer_write(200, success())
        assert adapter.submit(plan.steps[0], token=token).reference == "Condition/co-1"

    def test_a_success_may_name_no_entry(self, adapter: EhrAdapter, ehr: FakeEhr) -> None:
        """The flag is what acknowledges; the entry is then looked for by its content."""
        plan = self.plan(adapter, ehr, "problem", "create")
        ehr.answer_write(200, success())
        receipt = adapter.submit(plan.steps[0], token=adapter.authenticate(plan.steps[0]))
        assert (receipt.acknowledged, receipt.reference) == (True, "")

    # --- notes -------------------------------------------------------------------------------------

    def note(self, adapter: EhrAdapter, ehr: FakeEhr, **more: Any) -> WirePlan:
        content = self.sample("note", "create") | more
        baseline = self.baseline(adapter, ehr, "note", "create")
        return adapter.render(parse_change("note", "create", content), tag=TAG, baseline=baseline)

    @pytest.mark.fault("advancedmd.templates-only")
    @pytest.mark.parametrize(
        ("content", "pointer"),
        [
            ({"sections": [{"title": "Summary", "text": "x"}]}, "/sections/0/title"),
            (
                {"sections": [{"title": "Plan", "text": "x"}, {"title": "Plan", "text": "y"}]},
                "/sections/1/title",
            ),
            ({"sections": [{"title": "Plan", "text": "x" * 4000}]}, "/sections/0/text"),
            ({"author": "Practitioner/pr-2"}, "/author"),
            ({"sections": [{"title": "Plan", "text": "temperature ↑"}]}, "/sections/0/text"),
        ],
    )
    def test_a_section_without_a_field_is_refused_with_a_sentence(
        self, adapter: EhrAdapter, ehr: FakeEhr, content: dict[str, Any], pointer: str
    ) -> None:
        with pytest.raises(CannotBeCarried) as refused:
            self.note(adapter, ehr, **content)
        assert [one.pointer for one in refused.value.issues] == [pointer]
        assert refused.value.sentence.endswith(".")

    def test_a_type_without_a_template_is_refused(self, ehr: FakeEhr) -> None:
        own = self.settings | {"note_templates": [TEMPLATE]}
        adapter = registry.get_adapter(ehr.connection(self.kind, settings=own))
        with pytest.raises(CannotBeCarried) as refused:
            self.note(adapter, ehr, type="34117-2")
        assert [one.pointer for one in refused.value.issues] == ["/type"]

    @pytest.mark.req("000-42")
    def test_characters_become_the_ones_of_the_destination_and_it_is_said(
        self, adapter: EhrAdapter, ehr: FakeEhr
    ) -> None:
        text = "BP ≥ 140 & < 160, 5 \u03bcg, “so”,\n\ttab – ½ µg é"
        plan = self.note(adapter, ehr, sections=[{"title": "Plan", "text": text}])
        [section] = adapter.parse(plan).model_dump_canonical()["sections"]
        assert section["text"] == 'BP >= 140 & < 160, 5 mcg, "so",\n\ttab - ½ µg é'
        assert [one.pointer for one in plan.remarks if one.code == "replaced"] == [
            "/sections/0/text"
        ]
        assert b"&#10;&#9;tab" in plan.steps[0].body
        plan.steps[0].body.decode("iso-8859-1").encode("iso-8859-1")

    def test_sections_stand_in_the_templates_order_and_it_is_said(
        self, adapter: EhrAdapter, ehr: FakeEhr
    ) -> None:
        sections = [{"title": "Plan", "text": "b"}, {"title": "History", "text": "a"}]
        plan = self.note(adapter, ehr, sections=sections)
        said = adapter.parse(plan).model_dump_canonical()["sections"]
        assert [one["title"] for one in said] == ["History", "Plan"]
        assert ("replaced", "/sections") in {(one.code, one.pointer) for one in plan.remarks}

    def test_a_time_is_the_practices_own_and_the_repeated_hour_is_refused(
        self, ehr: FakeEhr
    ) -> None:
        connection = ehr.connection(self.kind, settings=self.settings, time_zone="America/Denver")
        adapter = registry.get_adapter(connection)
        plan = self.note(adapter, ehr, date="2026-11-20T23:41:02-06:00")
        assert b'notedatetime="11/20/2026 10:41:02 PM"' in plan.steps[0].body
        said = adapter.parse(plan).model_dump_canonical()["date"]
        assert datetime.fromisoformat(said) == datetime.fromisoformat("2026-11-20T23:41:02-06:00")
        for twice in ("2026-11-01T07:30:00Z", "2026-11-01T08:30:00Z"):
            with pytest.raises(CannotBeCarried) as refused:
                self.note(adapter, ehr, date=twice)
            assert refused.value.issues[0].pointer == "/date"

    @pytest.mark.req("002-46")
    def test_a_list_proves_nothing_until_notes_are_known_to_be_listed(self, ehr: FakeEhr) -> None:
        for probed, complete in (("", False), ("2026-11-20", True)):
            own = self.settings | {"notes_listed_probed": probed}
            adapter = registry.get_adapter(ehr.connection(self.kind, settings=own))
            plan = self.plan(adapter, ehr, "note", "create")
            found = adapter.find([TAG], plan, since=AT, at=AT)
            assert (found.hits, found.complete) == ((), complete)

    # --- appointments ------------------------------------------------------------------------------

    def test_an_appointment_is_numbers_and_the_practices_own_time(self, ehr: FakeEhr) -> None:
        connection = ehr.connection(self.kind, settings=self.settings, time_zone="America/Denver")
        adapter = registry.get_adapter(connection)
        plan = self.plan(adapter, ehr, "appointment", "create")
        assert json.loads(plan.steps[0].body) == {
            "patientid": 1,
            "columnid": 7,
            "profileid": 3,
            "startdatetime": "2026-12-01T08:00:00",
            "duration": 20,
            "type": 11,
        }

    @pytest.mark.parametrize(
        ("content", "pointer"),
        [
            ({"provider": "Practitioner/pr-2"}, "/provider"),
            ({"type": "EMERGENCY"}, "/type"),
            ({"type": "Something else"}, "/type"),
            ({"start": "2026-12-01T09:00:30-06:00"}, "/start"),
            ({"start": "2026-11-01T07:30:00Z"}, "/start"),
        ],
    )
    def test_what_the_scheduler_has_no_number_for_is_refused(
        self, ehr: FakeEhr, content: dict[str, Any], pointer: str
    ) -> None:
        connection = ehr.connection(self.kind, settings=self.settings, time_zone="America/Denver")
        adapter = registry.get_adapter(connection)
        change = parse_change(
            "appointment", "create", self.sample("appointment", "create") | content
        )
        with pytest.raises(CannotBeCarried) as refused:
            adapter.render(
                change,
                tag=TAG,
                baseline=self.baseline(adapter, ehr, "appointment", "create"),
            )
        assert [one.pointer for one in refused.value.issues] == [pointer]

    def test_a_slot_without_its_time_is_refused(self, adapter: EhrAdapter, ehr: FakeEhr) -> None:
        content = {"slot": "Slot/1", "type": "FOLLOWUP", "provider": "Practitioner/pr-1"}
        with pytest.raises(CannotBeCarried) as refused:
            adapter.render(
                parse_change("appointment", "create", content),
                tag=TAG,
                baseline=self.baseline(adapter, ehr, "appointment", "create"),
            )
        assert [one.pointer for one in refused.value.issues] == ["/start"]

    def test_a_type_without_a_code_goes_by_its_words(
        self, adapter: EhrAdapter, ehr: FakeEhr
    ) -> None:
        content = self.sample("appointment", "create") | {"type": "New patient, long"}
        plan = adapter.render(
            parse_change("appointment", "create", content),
            tag=TAG,
            baseline=self.baseline(adapter, ehr, "appointment", "create"),
        )
        assert json.loads(plan.steps[0].body)["type"] == 13
        assert adapter.parse(plan).model_dump_canonical()["type"] == "New patient, long"

    def test_without_columns_there_is_no_booking_and_cancelling_stays(self) -> None:
        declared = registry.declared_capabilities(self.kind)
        assert not declared.may("appointment", "create")
        assert declared.may("appointment", "cancel")

    # --- care plans --------------------------------------------------------------------------------

    def test_a_plan_is_a_title_and_its_words_and_the_rest_is_said(
        self, adapter: EhrAdapter, ehr: FakeEhr
    ) -> None:
        content = self.sample("care_plan", "create") | {
            "goals": [{"text": "Below 130", "due": "2027"}, {"text": "Walk daily"}],
            "activities": [{"text": "Measure at home", "who": "patient"}],
        }
        baseline = self.baseline(adapter, ehr, "care_plan", "create")
        plan = adapter.render(
            parse_change("care_plan", "create", content), tag=TAG, baseline=baseline
        )
        held = messages.sent(plan.steps[0].body).find("hmplanlist/hmplan")
        assert held is not None
        assert held.get("text") == "Goal: Below 130\nGoal: Walk daily\nActivity: Measure at home"
        pointers = {one.pointer for one in plan.not_carried}
        assert {"/goals/0", "/activities/0", "/period", "/addresses"} <= pointers
        assert "/goals/1" not in pointers
        with pytest.raises(CannotBeCarried) as refused:
            adapter.render(
                parse_change("care_plan", "create", content | {"status": "draft"}),
                tag=TAG,
                baseline=baseline,
            )
        assert [one.pointer for one in refused.value.issues] == ["/status"]

    # --- patients ----------------------------------------------------------------------------------

    def test_contact_data_is_sent_and_who_somebody_is_never(
        self, adapter: EhrAdapter, ehr: FakeEhr
    ) -> None:
        baseline = self.baseline(adapter, ehr, "demographics", "update")
        content = {
            "phone": [
                {"number": "555-0142", "use": "home"},
                {"number": "555-0143", "use": "mobile"},
            ],
            "email": "a@b.example",
            "address": {"lines": "1 Road", "city": "Town", "country": "US"},
            "language": "es",
        }
        plan = adapter.render(
            parse_change("demographics", "update", content), tag=TAG, baseline=baseline
        )
        row = messages.sent(plan.steps[0].body).find("patient")
        assert row is not None
        assert row.attrib == {
            "id": "pa-1",
            "email": "a@b.example",
            "homephone": "555-0142",
            "address1": "1 Road",
            "city": "Town",
            "state": "",
            "zip": "",
        }
        assert {one.pointer for one in plan.not_carried} == {"/phone", "/address", "/language"}
        for name, value in (("family", "Other"), ("birth_date", "1957-04-13"), ("deceased", True)):
            with pytest.raises(CannotBeCarried) as refused:
                adapter.render(
                    parse_change("demographics", "update", content | {name: value}),
                    tag=TAG,
                    baseline=baseline,
                )
            assert [one.pointer for one in refused.value.issues] == [f"/{name}"]

    def test_what_is_left_with_nothing_to_send_is_refused(
        self, adapter: EhrAdapter, ehr: FakeEhr
    ) -> None:
        baseline = self.baseline(adapter, ehr, "demographics", "update")
        change = parse_change("demographics", "update", {"language": "es"})
        with pytest.raises(CannotBeCarried):
            adapter.render(change, tag=TAG, baseline=baseline)

    # --- faults ------------------------------------------------------------------------------------

    @pytest.mark.fault("advancedmd.fault-in-200")
    @pytest.mark.parametrize("number", sorted(AMD_FAULTS))
    def test_each_known_number_has_its_branch_and_a_sentence(
        self, adapter: EhrAdapter, ehr: FakeEhr, number: str
    ) -> None:
        plan = self.plan(adapter, ehr, "problem", "create")
        ehr.answer_write(200, fault(number, text="as AdvancedMD says it"))
        with pytest.raises(AMD_FAULTS[number].branch) as raised:
            adapter.submit(plan.steps[0], token=adapter.authenticate(plan.steps[0]))
        assert raised.value.vendor_code == number
        assert raised.value.sentence.endswith(".")
        assert "as AdvancedMD says it" not in raised.value.sentence
        assert raised.value.vendor_text == "as AdvancedMD says it"

    @pytest.mark.parametrize("meaning", sorted(MEANINGS))
    def test_a_practice_says_what_a_further_number_means(self, ehr: FakeEhr, meaning: str) -> None:
        own = self.settings | {"fault_meanings": {"4711": meaning}}
        adapter = registry.get_adapter(ehr.connection(self.kind, settings=own))
        plan = self.plan(adapter, ehr, "problem", "create")
        ehr.answer_write(200, fault(str(-2147221504 + 4711)))
        with pytest.raises(MEANINGS[meaning].branch) as raised:
            adapter.submit(plan.steps[0], token=adapter.authenticate(plan.steps[0]))
        assert raised.value.sentence.endswith(".")
        assert PatientMoved is MEANINGS["patient-moved"].branch


class TestMessages:
    @given(
        text=st.text(
            st.characters(codec="iso-8859-1", exclude_categories=("Cc",)) | st.sampled_from("\n\t")
        )
    )
    def test_any_text_comes_back_to_the_letter(self, text: str) -> None:
        body = messages.message("x", {"a": text}, messages.element("y", {"b": text}))
        root = messages.sent(body)
        inner = root.find("y")
        assert inner is not None
        assert (root.get("a"), inner.get("b")) == (text, text)
        assert body.count(messages.SESSION.marker.encode()) == 1
        assert body.count(messages.SENT_AT.marker.encode()) == 1

    @pytest.mark.parametrize(
        "body",
        [
            b'<!DOCTYPE x [<!ENTITY e "y">]><PPMDResults/>',
            b'<?xml version="1.0"?><!doctype x><PPMDResults/>',
            b'<!DOCTYPE x SYSTEM "file:///etc/passwd"><PPMDResults/>',
            b"<PPMDResults/><!ENTITY e 'y'>",
            '<!DOCTYPE x [<!ENTITY e "y">]><PPMDResults/>'.encode("utf-16"),
            b'<?xml version="1.0" encoding="utf-7"?>+ADw-PPMDResults/+AD4-',
            b'<?xml version="1.0" encoding="utf-8"?><PPMDResults a="\xe9"/>',
            b"<PPMDResults>&e;</PPMDResults>",
            b"<PPMDResults>",
            b"<Other/>",
            b"",
            b"{}",
        ],
    )
    def test_a_reply_with_declarations_or_in_disguise_is_no_reply(self, body: bytes) -> None:
        with pytest.raises(messages.NotAMessage):
            messages.Reply.read(body)

    def test_reads_the_charset_that_a_reply_declares(self) -> None:
        said = '<PPMDResults><Results success="1"/><Error/><x>é</x></PPMDResults>'
        for charset in ("iso-8859-1", "utf-8", "windows-1252"):
            declared = f'<?xml version="1.0" encoding="{charset}"?>{said}'.encode(charset)
            assert messages.Reply.read(declared).success
            assert messages.Reply.read(
                said.encode(charset), content_type=f"text/xml; charset={charset}"
            ).success
        assert messages.Reply.read(said.encode("iso-8859-1")).success
        assert messages.Reply.read(
            b"<PPMDResults><!-- a --><Results success='1'/></PPMDResults>"
        ).success

    @pytest.mark.fault("advancedmd.lists-collapse")
    def test_a_list_of_one_entry_is_read_as_a_list(self) -> None:
        one = {"pagelist": {"page": {"@pageindex": "1"}}}
        two = {"pagelist": {"page": [{"@pageindex": "1"}, {"@pageindex": "2"}]}}
        assert len(messages.below(one, "pagelist", "page")) == 1
        assert len(messages.below(two, "pagelist", "page")) == 2
        assert messages.below({}, "pagelist", "page") == ()
        assert messages.many(None) == ()

    def test_both_spellings_of_a_number_are_one(self) -> None:
        assert messages.fault_number("-2147220479") == messages.fault_number("1025") == "1025"
        assert messages.fault_number("-2147220476") == "1028"
        assert messages.fault_number("x") == ""


class TestSettings:
    @pytest.mark.parametrize(
        ("own", "pointer"),
        [
            ({"app_name": "API"}, ""),
            (
                {"cluster_origins": ["https://providerapi.advancedmd.com/path"]},
                "/cluster_origins/0",
            ),
            ({"cluster_origins": ["*.advancedmd.com"]}, "/cluster_origins/0"),
            ({"cluster_origins": []}, "/cluster_origins"),
            ({"login_url": "https://a.example/x?y=1"}, "/login_url"),
            ({"note_templates": [TEMPLATE, TEMPLATE]}, ""),
            ({"profiles": {"a": "prof3", "b": "prof3"}}, ""),
            ({"fault_meanings": {"1": "whatever"}}, "/fault_meanings/1"),
            ({"problem_row": {"icd10": "a b"}}, "/problem_row/icd10"),
            ({"problem_row": {"icd10": "x", "snomed": "x"}}, "/problem_row"),
        ],
    )
    def test_unusable_settings_are_named(self, own: dict[str, Any], pointer: str) -> None:
        assert registry.check_settings("advancedmd", own)[0][0] == pointer

    def test_every_address_is_known_to_who_opens_the_way(self) -> None:
        further = registry.further_addresses("advancedmd", {})
        assert further == (
            "https://partnerlogin.advancedmd.com/practicemanager/xmlrpc/processrequest.aspx",
            "https://providerapi.advancedmd.com",
        )


def test_a_rest_address_is_on_the_same_server() -> None:
    server = "https://h.example/processrequest/api-802/APP"
    assert session.rest_address(server, "api") == "https://h.example/api/api-802/APP"
