"""What every adapter must do, whatever EHR it speaks to. A subclass names its kind and its settings."""

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any, ClassVar

import pytest
from pytest_httpserver import HTTPServer

from ehr_adapters import oauth, registry
from ehr_adapters.base import EhrAdapter
from ehr_adapters.canonical.base import (
    all_kinds,
    changed_fields,
    fhir_type,
    field_spec,
    interactions,
    kind_model,
    parse_change,
)
from ehr_adapters.canonical.declaration import interaction_rule
from ehr_adapters.canonical.exact_json import dumps, loads
from ehr_adapters.capabilities import CapabilitySet, FindMethod, VersionCheck
from ehr_adapters.contract import Baseline, ReadRequest, Tag, WirePlan
from ehr_adapters.errors import (
    AdapterError,
    AdapterMisconfigured,
    AlreadyThere,
    ConnectionLost,
    ContentRefused,
    NotPermitted,
    OutcomeUnknown,
    RateLimited,
    Redirected,
    ServerError,
    TimedOutAfterSend,
    TokenRejected,
    TokenUnavailable,
    Unreachable,
    UnreadableReply,
    Unsupported,
    VersionConflict,
)
from tests.ehr_adapters.contents import CANARY, CONTENTS, SAMPLES
from tests.ehr_adapters.fake_ehr import (
    AT,
    IMPATIENT,
    FakeEhr,
    held,
    outcome,
    refused_port,
    threaded_server,
    unanswered_port,
)

TAG = Tag("7b0e3c0a-9d0b-4c5e-8a41-5b2c1d0e9f33")


def unnamed_changes(plan: WirePlan, before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    """The elements of a FHIR entry that are not, to the digit, what they were, though the plan names none of
    them. Both are as `exact_json.loads` reads them. A narrative that was generated from the old state may go."""
    touched = {
        element.split(".")[0]
        for name in plan.touched
        for element in field_spec(plan.kind, name).element.split()
    } | {"meta", "status"}
    return [
        name
        for name in sorted({*before, *after} - touched - _old_story(before, after))
        if not any(re.fullmatch(rf"_?{one}(?:[A-Z].*)?", name) for one in touched)
        and dumps(after.get(name)) != dumps(before.get(name))
    ]


def _old_story(before: dict[str, Any], after: dict[str, Any]) -> set[str]:
    told = (before.get("text") or {}).get("status") == "generated"
    return {"text"} if told and "text" not in after else set()


class AdapterContract:
    """The inherited suite."""

    kind: ClassVar[str]
    settings: ClassVar[dict[str, Any]] = {}
    granted: ClassVar[str | None] = None

    # --- the stage -------------------------------------------------------------------------------

    @pytest.fixture(scope="class")
    @classmethod
    def server(cls) -> Iterator[HTTPServer]:
        with threaded_server() as running:
            yield running

    @pytest.fixture
    def ehr(self, server: HTTPServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeEhr]:
        monkeypatch.setattr(oauth, "read_tokens", oauth.ReadTokens())
        server.clear()
        fake = FakeEhr(server, granted=self.granted)
        yield fake
        fake.released.set()

    @pytest.fixture
    def adapter(self, ehr: FakeEhr) -> EhrAdapter:
        return registry.get_adapter(ehr.connection(self.kind, settings=self.settings))

    @classmethod
    def declared(cls) -> CapabilitySet:
        return registry.declared_capabilities(cls.kind, cls.settings)

    @classmethod
    def supported(cls) -> list[tuple[str, str]]:
        return [c.key for c in cls.declared() if c.supported]

    @staticmethod
    def target_of(kind: str, interaction: str) -> str:
        if not interaction_rule(kind_model(kind), interaction).needs_target:
            return ""
        return held(kind)

    def baseline(self, adapter: EhrAdapter, ehr: FakeEhr, kind: str, interaction: str) -> Baseline:
        if (kind, interaction) == ("note", "amend"):
            ehr.resources["DocumentReference/do-1"]["docStatus"] = "final"
        return adapter.read(
            ReadRequest(
                patient="pa-1",
                kind=kind,
                interaction=interaction,
                at=AT,
                encounter="en-1",
                target=self.target_of(kind, interaction),
            )
        )

    def sample(self, kind: str, interaction: str) -> dict[str, Any]:
        content = dict(SAMPLES[kind, interaction])
        if (kind, interaction) == ("note", "amend"):
            content["amends"] = self.target_of(kind, interaction)
        return content

    def plan(self, adapter: EhrAdapter, ehr: FakeEhr, kind: str, interaction: str) -> WirePlan:
        baseline = self.baseline(adapter, ehr, kind, interaction)
        change = parse_change(kind, interaction, self.sample(kind, interaction))
        return adapter.render(change, tag=TAG, baseline=baseline)

    @staticmethod
    def changes_an_entry(plan: WirePlan) -> bool:
        """Does the request change an entry that is there? Else it makes one."""
        return plan.steps[0].method == "PUT"

    def resource_in(self, plan: WirePlan) -> dict[str, Any]:
        """The resource that a plan's request carries."""
        resource: dict[str, Any] = loads(plan.steps[0].body)
        return resource

    def every_plan(self, adapter: EhrAdapter, ehr: FakeEhr) -> Iterator[WirePlan]:
        for kind, interaction in self.supported():
            yield self.plan(adapter, ehr, kind, interaction)
            ehr.resources["DocumentReference/do-1"]["docStatus"] = "preliminary"

    # --- what can you do -------------------------------------------------------------------------

    def test_declares_every_interaction_of_every_kind_with_source_and_date(self) -> None:
        declared = self.declared()
        for kind in all_kinds():
            for interaction in interactions(kind):
                capability = declared.lookup(kind, interaction)
                assert capability is not None, (kind, interaction)
                assert capability.source, (kind, interaction)
                assert capability.source_date, (kind, interaction)
                assert capability.supported or capability.sentence, (kind, interaction)

    def test_capabilities_survive_storage(self) -> None:
        declared = self.declared()
        assert CapabilitySet.from_json(json.loads(json.dumps(declared.to_json()))) == declared

    @pytest.mark.req("001-53")
    def test_what_is_not_declared_is_refused_before_any_request(
        self, adapter: EhrAdapter, ehr: FakeEhr
    ) -> None:
        for kind in all_kinds():
            for interaction in interactions(kind):
                if (kind, str(interaction)) in self.supported():
                    continue
                baseline = self.baseline(adapter, ehr, kind, str(interaction))
                ehr.resources["DocumentReference/do-1"]["docStatus"] = "preliminary"
                asked = len(ehr.requests)
                change = parse_change(kind, interaction, self.sample(kind, str(interaction)))
                with pytest.raises(Unsupported) as refused:
                    adapter.render(change, tag=TAG, baseline=baseline)
                assert refused.value.sentence.endswith(".")
                assert len(ehr.requests) == asked
                card = adapter.copy_card(change, baseline=baseline)
                assert card.place
                assert card.sentence

    @pytest.mark.req("000-41")
    def test_a_copy_card_has_the_exact_words(self, adapter: EhrAdapter, ehr: FakeEhr) -> None:
        for kind, interaction in CONTENTS:
            content = self.sample(kind, interaction)
            card = adapter.copy_card(parse_change(kind, interaction, content))
            if CANARY in json.dumps(content):
                assert any(CANARY in words for _, words in card.lines)

    @pytest.mark.req("000-40", "000-42")
    def test_a_probe_takes_away_and_never_opens(self, ehr: FakeEhr) -> None:
        statement: dict[str, Any] = {
            "resourceType": "CapabilityStatement",
            "fhirVersion": "4.0.1",
            "rest": [
                {
                    "mode": "server",
                    "resource": [
                        {"type": "Condition", "interaction": [{"code": "create"}, {"code": "read"}]}
                    ],
                }
            ],
        }
        ehr.answer_read(200, statement)
        adapter = registry.get_adapter(ehr.connection(self.kind, settings=self.settings))
        found = adapter.discover(at=AT)
        assert found.found_at == AT.isoformat()
        assert found.evidence
        allowed = {c.key for c in found if c.supported}
        assert allowed <= set(self.supported())
        assert not any(kind == "note" for kind, _ in allowed)
        assert all(interaction == "create" for kind, interaction in allowed if kind == "problem")
        narrowed = registry.get_adapter(
            ehr.connection(self.kind, settings=self.settings, capabilities=found)
        )
        assert {c.key for c in narrowed.capabilities if c.supported} == allowed
        # What was found once never freezes what the adapter and its settings say of it today.
        for key in allowed:
            assert narrowed.capabilities.get(*key) == self.declared().get(*key)

    def test_an_ehr_that_merely_takes_everything_proves_nothing(
        self, adapter: EhrAdapter, ehr: FakeEhr
    ) -> None:
        if type(adapter).probe is EhrAdapter.probe:
            with pytest.raises(Unsupported):
                adapter.probe(patient="pa-1", at=AT)
            return
        # Every create is answered 201, and the search by tag shows none or another entry.
        assert adapter.probe(patient="pa-1", at=AT).settings == {}
        probed = {"conditional_create_probed": "2026-01-01", "page_size": 20}
        assert adapter.probe(patient="pa-1", at=AT).applied_to(probed) == {"page_size": 20}

    # --- how would you say this ------------------------------------------------------------------

    def test_a_plan_survives_storage_byte_for_byte(self, adapter: EhrAdapter, ehr: FakeEhr) -> None:
        for plan in self.every_plan(adapter, ehr):
            stored = WirePlan.from_json(json.loads(json.dumps(plan.to_json())))
            assert stored == plan
            assert stored.payload_hash() == plan.payload_hash()
            assert adapter.parse(stored) == adapter.parse(plan)

    def test_every_byte_counts_in_the_payload_hash(self, adapter: EhrAdapter, ehr: FakeEhr) -> None:
        for plan in self.every_plan(adapter, ehr):
            step = plan.steps[0]
            altered = [
                replace(step, method="DELETE"),
                replace(step, path=step.path + "x"),
                replace(step, headers=(*step.headers, ("X", "y"))),
                replace(step, body=step.body + b" "),
            ]
            hashes = {replace(plan, steps=(one,)).payload_hash() for one in altered}
            assert plan.payload_hash() not in hashes
            assert len(hashes) == len(altered)

    @pytest.mark.req("002-37")
    def test_the_tag_travels_where_it_is_declared(self, adapter: EhrAdapter, ehr: FakeEhr) -> None:
        for plan in self.every_plan(adapter, ehr):
            capability = adapter.capabilities.get(plan.kind, plan.interaction)
            resource = self.resource_in(plan)
            for place in capability.tag_places:
                if place == "identifier":
                    carried = resource["identifier"]
                    carried = carried if isinstance(carried, list) else [carried]
                    assert {"system": TAG.system, "value": TAG.uuid} in carried
                else:
                    entry = adapter._canonical(resource, kind=plan.kind)  # type: ignore[attr-defined]  # of the FHIR adapters alone
                    assert TAG.short in entry.tags

    @pytest.mark.req("002-39", "002-40")
    def test_create_is_conditional_and_update_fenced_where_declared(
        self, adapter: EhrAdapter, ehr: FakeEhr
    ) -> None:
        for plan in self.every_plan(adapter, ehr):
            capability = adapter.capabilities.get(plan.kind, plan.interaction)
            step = plan.steps[0]
            assert bool(step.header("If-None-Exist")) == capability.conditional_create
            fenced = capability.version_check is VersionCheck.IF_MATCH and step.method == "PUT"
            assert bool(step.header("If-Match")) == fenced
            if fenced:
                assert step.header("If-Match") == f'W/"{plan.expected_version}"'

    def test_an_update_changes_only_what_it_names(self, adapter: EhrAdapter, ehr: FakeEhr) -> None:
        for plan in self.every_plan(adapter, ehr):
            if not self.changes_an_entry(plan):
                continue
            before = loads(json.dumps(ehr.resources[plan.target]))
            after = self.resource_in(plan)
            assert unnamed_changes(plan, before, after) == []
            assert after["id"] == before["id"]

    @pytest.mark.req("003-21")
    def test_the_entry_of_another_patient_is_never_written_to(
        self, adapter: EhrAdapter, ehr: FakeEhr
    ) -> None:
        for kind, interaction in self.supported():
            change = parse_change(kind, interaction, self.sample(kind, interaction))
            baseline = self.baseline(adapter, ehr, kind, interaction)
            ehr.resources["DocumentReference/do-1"]["docStatus"] = "preliminary"
            assert baseline.identity is not None
            assert baseline.visit is not None
            moved = [
                replace(baseline, identity=None),
                replace(baseline, identity=replace(baseline.identity, replaced_by="Patient/pa-9")),
                replace(baseline, visit=replace(baseline.visit, patient="Patient/pa-2")),
            ]
            if baseline.target:
                moved += [
                    replace(baseline, target=None),
                    replace(baseline, target=replace(baseline.target, patient="Patient/pa-2")),
                ]
            for one in moved:
                with pytest.raises(Unsupported):
                    adapter.render(change, tag=TAG, baseline=one)

    def test_another_adapters_plan_is_not_read(self, adapter: EhrAdapter, ehr: FakeEhr) -> None:
        kind, interaction = self.supported()[0]
        plan = self.plan(adapter, ehr, kind, interaction)
        with pytest.raises(AdapterMisconfigured):
            adapter.parse(replace(plan, adapter="other"))

    # --- what is there now -----------------------------------------------------------------------

    def test_a_baseline_survives_storage(self, adapter: EhrAdapter, ehr: FakeEhr) -> None:
        for kind in all_kinds():
            baseline = self.baseline(adapter, ehr, kind, str(interactions(kind)[-1]))
            assert Baseline.from_json(json.loads(json.dumps(baseline.to_json()))) == baseline

    def test_unknown_is_told_from_unreachable(self, adapter: EhrAdapter, ehr: FakeEhr) -> None:
        request = ReadRequest(
            patient="nobody", kind="problem", at=AT, encounter="none", target="Condition/none"
        )
        assert adapter.read(request).missing == ("patient", "encounter", "target")
        for status in (500, 503):
            ehr.answer_read(status)
            with pytest.raises(Unreachable):
                adapter.read(request)
        ehr.answer_read(429, Retry_After="7")
        with pytest.raises(RateLimited) as slowed:
            adapter.read(request)
        assert slowed.value.retry_after == 7
        for status in (401, 403):
            ehr.answer_read(status)
            with pytest.raises(NotPermitted):
                adapter.read(request)
        for body in (b"<html>busy</html>", b"", b'{"resourceType":"Pat', json.dumps([1]).encode()):
            ehr.answer_read(200, body)
            with pytest.raises(Unreachable):
                adapter.read(request)

    def test_an_id_that_is_none_asks_nothing(self, adapter: EhrAdapter, ehr: FakeEhr) -> None:
        for reference in ("../admin", "a b", "x" * 65, "Patient/../../x", "pa-1?x=1", ".."):
            asked = [r for r in ehr.requests if not r[1].startswith("/oauth2")]
            baseline = adapter.read(ReadRequest(patient=reference, kind="problem", at=AT))
            assert baseline.missing == ("patient",)
            assert [r for r in ehr.requests if not r[1].startswith("/oauth2")] == asked

    def test_what_the_neighbourhood_hides_is_named_not_taken_for_absent(
        self, adapter: EhrAdapter, ehr: FakeEhr
    ) -> None:
        from werkzeug import Response

        ehr.searches["Condition"] = lambda _: Response(status=403)
        baseline = adapter.read(ReadRequest(patient="pa-1", kind="problem", at=AT))
        assert [u.what for u in baseline.unreadable] == ["problems"]
        assert baseline.neighbourhood == ()

    def test_reads_all_pages_and_no_foreign_one(self, adapter: EhrAdapter, ehr: FakeEhr) -> None:
        from tests.ehr_adapters.fake_ehr import condition

        pages = {
            None: ([condition(id="c-1")], f"{ehr.base_url}/Condition?page=2"),
            "2": ([condition(id="c-2")], ""),
        }

        def search(query: Any) -> Any:
            entries, following = pages[query.get("page", [None])[0]]
            return {
                "resourceType": "Bundle",
                "type": "searchset",
                "entry": [{"resource": r, "search": {"mode": "match"}} for r in entries],
                "link": [{"relation": "next", "url": following}] if following else [],
            }

        ehr.searches["Condition"] = search
        request = ReadRequest(patient="pa-1", kind="problem", at=AT)
        baseline = adapter.read(request)
        assert [s.id for s in baseline.neighbourhood] == ["c-1", "c-2"]
        assert baseline.unreadable == ()
        for foreign in (
            "http://127.0.0.1:9/api/FHIR/R4/Condition?page=2",
            "//elsewhere/x",
            "/admin",
        ):
            pages[None] = ([condition(id="c-1")], foreign)
            baseline = adapter.read(request)
            assert [u.what for u in baseline.unreadable] == ["problems"]
        pages[None] = ([condition(id="c-1")], f"{ehr.base_url}/Condition?page=2")
        pages["2"] = ([condition(id="c-2")], f"{ehr.base_url}/Condition?page=2")
        assert [u.what for u in adapter.read(request).unreadable] == ["problems"]

    def test_name_alikes_are_found_and_oneself_is_not(
        self, adapter: EhrAdapter, ehr: FakeEhr
    ) -> None:
        from tests.ehr_adapters.fake_ehr import patient

        ehr.searches["Patient"] = lambda _: [
            patient(),
            patient(id="pa-2", birthDate="1957-04-13"),
            patient(id="pa-3", birthDate="1990-01-01", identifier=[]),
            patient(
                id="pa-4",
                birthDate="1957-03-14",
                link=[{"type": "replaced-by", "other": {"reference": "Patient/pa-1"}}],
            ),
        ]
        baseline = adapter.read(ReadRequest(patient="pa-1", kind="problem", at=AT))
        assert baseline.identity is not None
        alikes = adapter.find_name_alikes(baseline.identity, at=AT)
        assert [c.id for c in alikes.candidates] == ["pa-2"]
        assert alikes.complete
        ehr.answer_read(500)
        assert adapter.find_name_alikes(baseline.identity, at=AT).complete is False

    # --- please do it ----------------------------------------------------------------------------

    @pytest.mark.req("003-35")
    def test_asks_for_the_narrowest_scope_that_serves(
        self, adapter: EhrAdapter, ehr: FakeEhr
    ) -> None:
        for plan in self.every_plan(adapter, ehr):
            ehr.scopes.clear()
            token = adapter.authenticate(plan.steps[0])
            type_name = fhir_type(plan.kind)
            syntax = adapter.settings.scope_syntax  # type: ignore[attr-defined]  # of the FHIR adapters alone
            letter = "u" if self.changes_an_entry(plan) else "c"
            wanted = f"system/{type_name}.{letter if syntax == 'v2' else 'write'}"
            assert ehr.scopes == [wanted]
            assert token.asked == wanted

    def test_each_attempt_has_a_token_of_its_own(self, adapter: EhrAdapter, ehr: FakeEhr) -> None:
        plan = self.plan(adapter, ehr, "problem", "create")
        tokens = {adapter.authenticate(plan.steps[0]).value for _ in range(3)}
        assert len(tokens) == 3

    def test_a_missing_scope_is_not_permitted(self, ehr: FakeEhr) -> None:
        adapter = registry.get_adapter(ehr.connection(self.kind, settings=self.settings))
        plan = self.plan(adapter, ehr, "problem", "create")
        ehr.granted = "system/Patient.r"
        with pytest.raises(NotPermitted) as refused:
            adapter.authenticate(plan.steps[0])
        assert refused.value.vendor_code == "scope-not-granted"

    def test_no_token_for_whatever_reason_means_nothing_was_sent(
        self, adapter: EhrAdapter, ehr: FakeEhr
    ) -> None:
        plan = self.plan(adapter, ehr, "problem", "create")
        for status, body in (
            (400, {"error": "unauthorized_client"}),
            (401, {"error": "invalid_client"}),
            (500, b"oops"),
            (503, b""),
            (429, b""),
            (302, b""),
            (200, b"<html>"),
            (200, {"token_type": "Bearer"}),
            (200, {"access_token": "x", "token_type": "mac"}),
        ):
            ehr.answer_token(status, body, Location="http://127.0.0.1:9/")
            with pytest.raises(TokenUnavailable):
                adapter.authenticate(plan.steps[0])
        ehr.token_answer = ehr.silent
        impatient = ehr.connection(self.kind, settings=self.settings, **IMPATIENT)
        with pytest.raises(TokenUnavailable):
            registry.get_adapter(impatient).authenticate(plan.steps[0])
        assert ehr.writes == []

    def test_sends_the_frozen_bytes_and_nothing_else(
        self, adapter: EhrAdapter, ehr: FakeEhr
    ) -> None:
        for plan in self.every_plan(adapter, ehr):
            self.is_sent_as_frozen(adapter, ehr, plan)

    @staticmethod
    def is_sent_as_frozen(adapter: EhrAdapter, ehr: FakeEhr, plan: WirePlan) -> None:
        ehr.requests.clear()
        step = plan.steps[0]
        receipt = adapter.submit(step, token=adapter.authenticate(step))
        assert receipt.acknowledged
        assert receipt.reference
        [(method, path, headers, body)] = ehr.writes
        assert (method, body) == (step.method, step.body)
        assert path.rstrip("?").endswith(f"/{step.path}".rstrip("/"))
        for name, value in step.headers:
            assert headers[name.lower()] == value

    FAULTS: ClassVar[dict[str, tuple[Any, type[AdapterError], type[AdapterError]]]] = {
        # name: (what the EHR does, branch of a create, branch of an update)
        "429": ((429, b""), RateLimited, RateLimited),
        "400": ((400, outcome("invalid", text=CANARY)), ContentRefused, ContentRefused),
        "401": ((401, b""), TokenRejected, TokenRejected),
        "403": ((403, b""), NotPermitted, NotPermitted),
        "404": ((404, outcome("not-found", text=CANARY)), NotPermitted, VersionConflict),
        "409": ((409, outcome("conflict", text=CANARY)), AlreadyThere, AlreadyThere),
        "412": ((412, outcome("conflict", text=CANARY)), AlreadyThere, VersionConflict),
        "422": ((422, outcome("business-rule", text=CANARY)), ContentRefused, ContentRefused),
        "500": ((500, outcome("exception", text=CANARY)), ServerError, ServerError),
        "503": ((503, CANARY), ServerError, ServerError),
        "redirect 302": ((302, b""), Redirected, Redirected),
        "redirect 307": ((307, b""), Redirected, Redirected),
        "202": ((202, b""), UnreadableReply, UnreadableReply),
        "200 with an error inside": (
            (200, outcome("business-rule", text=CANARY)),
            UnreadableReply,
            UnreadableReply,
        ),
        "silence after the request": ("silent", TimedOutAfterSend, TimedOutAfterSend),
        "connection cut": ("cut_off", ConnectionLost, ConnectionLost),
        "truncated": ("truncated", ConnectionLost, ConnectionLost),
    }

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """Each answer of this adapter's own table, where a test does not name its answers itself."""
        named = {str(mark.args[0]) for mark in metafunc.definition.iter_markers("parametrize")}
        if "fault" in metafunc.fixturenames and "fault" not in named:
            metafunc.parametrize("fault", sorted(self.FAULTS))

    @pytest.mark.req("003-55", "002-79")
    def test_each_answer_becomes_its_branch(
        self, adapter: EhrAdapter, ehr: FakeEhr, fault: str
    ) -> None:
        answer, on_create, on_update = self.FAULTS[fault]
        patience = IMPATIENT if answer == "silent" else {}
        sender = registry.get_adapter(ehr.connection(self.kind, settings=self.settings, **patience))
        kept_waiting: set[bool] = set()
        for plan in self.every_plan(adapter, ehr):
            step = plan.steps[0]
            if answer == "silent":
                # Silence costs real time: one new entry and one changed one wait for it.
                if self.changes_an_entry(plan) in kept_waiting:
                    continue
                kept_waiting.add(self.changes_an_entry(plan))
            token = adapter.authenticate(step)
            if isinstance(answer, str):
                ehr.write_answer = getattr(ehr, answer)
            else:
                ehr.answer_write(*answer, Location="http://127.0.0.1:9/elsewhere")
            before = len(ehr.writes)
            with pytest.raises(on_update if self.changes_an_entry(plan) else on_create) as raised:
                sender.submit(step, token=token)
            self.says_nothing_of_the_payload(raised.value)
            assert len(ehr.writes) == before + 1, "sent once"
            ehr.write_answer = None

    @pytest.mark.parametrize(
        "body",
        [b"", b"<html><body>ok</body></html>", b'{"resourceType":', b"[]", b'"ok"'],
        ids=["empty", "HTML", "truncated JSON", "a list", "a word"],
    )
    def test_a_success_that_names_no_entry_is_no_success(
        self, adapter: EhrAdapter, ehr: FakeEhr, body: bytes
    ) -> None:
        plan = self.plan(adapter, ehr, "problem", "create")
        for status in (200, 201):
            for location in (
                "",
                "http://127.0.0.1:9/Condition/1",
                "Patient/1",
                "../../x",
                "Condition/",
            ):
                ehr.answer_write(status, body, **({"Location": location} if location else {}))
                token = adapter.authenticate(plan.steps[0])
                with pytest.raises(OutcomeUnknown):
                    adapter.submit(plan.steps[0], token=token)

    def test_nothing_was_sent_when_there_is_no_connection(
        self, adapter: EhrAdapter, ehr: FakeEhr
    ) -> None:
        plan = self.plan(adapter, ehr, "problem", "create")
        token = adapter.authenticate(plan.steps[0])
        with unanswered_port() as full:
            for port in (refused_port(), full):
                lost = ehr.connection(
                    self.kind,
                    settings=self.settings,
                    base_url=f"http://127.0.0.1:{port}/r4",
                    **IMPATIENT,
                )
                with pytest.raises(Unreachable) as raised:
                    registry.get_adapter(lost).submit(plan.steps[0], token=token)
                self.says_nothing_of_the_payload(raised.value)

    @pytest.mark.req("003-90")
    def test_a_redirect_is_not_followed_and_the_token_stays(
        self, adapter: EhrAdapter, ehr: FakeEhr
    ) -> None:
        plan = self.plan(adapter, ehr, "problem", "create")
        token = adapter.authenticate(plan.steps[0])
        before = len(ehr.requests)
        with threaded_server() as elsewhere:
            for status in (301, 302, 303, 307, 308):
                ehr.answer_write(status, b"", Location=elsewhere.url_for("/stolen"))
                with pytest.raises(Redirected):
                    adapter.submit(plan.steps[0], token=token)
            assert elsewhere.log == []
        assert len(ehr.requests) == before + 5

    def says_nothing_of_the_payload(self, error: AdapterError) -> None:
        shown = [str(error), repr(error), error.sentence, error.next_step, repr(error.args)]
        shown.append(json.dumps(error.facts()))
        assert not any(CANARY in words for words in shown)
        assert error.sentence.endswith(".")

    # --- did you do it ---------------------------------------------------------------------------

    def test_finds_what_was_written_by_its_tag_or_target(
        self, adapter: EhrAdapter, ehr: FakeEhr
    ) -> None:
        for plan in self.every_plan(adapter, ehr):
            if plan.find is FindMethod.NONE:
                continue
            resource = json.loads(dumps(self.resource_in(plan)))
            new_id = plan.target.split("/")[1] if plan.find is FindMethod.TARGET else "new-1"
            kept = dict(ehr.resources)
            ehr.resources[f"{resource['resourceType']}/{new_id}"] = {**resource, "id": new_id}
            found = adapter.find([TAG], plan, since=AT - timedelta(hours=1), at=AT)
            ehr.resources = kept
            hits = [hit for hit in found.hits if hit.snapshot.id == new_id]
            assert len(hits) == 1
            assert found.method is plan.find
            assert hits[0].snapshot.comparable == plan.comparable
            said = adapter.parse(plan).model_dump_canonical()
            assert changed_fields(plan.kind, said, hits[0].snapshot.canonical) == ()

    @pytest.mark.req("002-46")
    def test_not_being_able_to_look_is_never_absence(
        self, adapter: EhrAdapter, ehr: FakeEhr
    ) -> None:
        for plan in self.every_plan(adapter, ehr):
            for answer in (
                (500, b""),
                (200, b"<html>"),
                (403, b""),
                (429, b""),
                (
                    200,
                    {
                        "resourceType": "Bundle",
                        "type": "searchset",
                        "entry": [{"resource": outcome("security")}],
                    },
                ),
            ):
                ehr.answer_read(*answer)
                found = adapter.find([TAG], plan, since=AT - timedelta(hours=1), at=AT)
                ehr.read_answer = None
                assert found.complete is False
                assert found.reason
                assert found.hits == ()
