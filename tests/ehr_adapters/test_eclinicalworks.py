"""The eClinicalWorks adapter: the contract, its one door, its numbers, its notes as HL7 v2."""

import functools
import json
from base64 import b64decode
from collections.abc import Iterator
from typing import Any, ClassVar

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from hypothesis import given
from hypothesis import settings as run_settings
from hypothesis import strategies as st
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from ehr_adapters import oauth, registry
from ehr_adapters.base import EhrAdapter
from ehr_adapters.canonical.base import parse_change
from ehr_adapters.canonical.exact_json import loads
from ehr_adapters.capabilities import Finality, FindMethod, RetryClass
from ehr_adapters.contract import Connection, ReadRequest, WirePlan
from ehr_adapters.errors import (
    AdapterMisconfigured,
    AlreadyThere,
    CannotBeCarried,
    ContentRefused,
    RateLimited,
    ServerError,
    TokenUnavailable,
    UnreadableReply,
)
from ehr_adapters.vendors.eclinicalworks import hl7v2, note_message
from ehr_adapters.vendors.eclinicalworks.numbers import ECW_CODES, NOTE_CODES
from ehr_adapters.vendors.eclinicalworks.transactions import as_single
from tests.ehr_adapters import narrowing
from tests.ehr_adapters.contents import CANARY
from tests.ehr_adapters.contract import TAG, AdapterContract
from tests.ehr_adapters.fake_ehr import AT, BASE, FakeEhr

pytestmark = pytest.mark.once

PRACTICE = "/fhir/r4/NRTHGA"


@functools.cache
def rsa_key() -> str:
    return (
        rsa.generate_private_key(public_exponent=65537, key_size=2048)
        .private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        .decode()
    )


def response(status: str, **more: Any) -> dict[str, Any]:
    entry = {"response": {"status": status, **more}}
    return {"resourceType": "Bundle", "type": "transaction-response", "entry": [entry]}


class EcwFake(FakeEhr):
    """A scripted practice: one address for writes, numbers in the answers."""

    @property
    def base_url(self) -> str:
        return self.server.url_for(PRACTICE)

    def connection(self, kind: str, **more: Any) -> Connection:
        return super().connection(kind, **{"alg": "RS384", "private_key_pem": rsa_key(), **more})

    def _handle(self, request: Request) -> Response:
        if request.path.startswith(PRACTICE):
            request.path = BASE + request.path.removeprefix(PRACTICE)
        if request.path.endswith("smart-configuration"):  # needs no token
            return self.read_answer(request) if self.read_answer else Response(status=404)
        return super()._handle(request)

    def _write(self, request: Request) -> Response:
        sent = json.loads(request.get_data())
        if sent["resourceType"] != "Bundle":
            return super()._write(request)
        [entry] = sent["entry"]
        url = entry["request"]["url"]
        body = response("1", location=url if "/" in url else f"{url}/new-1")
        return Response(json.dumps(body), headers={"Content-Type": "application/fhir+json"})


# Kinds of which the discovery document names no scope to create them.
UNNAMED = {"medication", "order", "task", "questionnaire"}


class EcwContract(AdapterContract):
    kind: ClassVar[str] = "eclinicalworks"
    settings: ClassVar[dict[str, Any]] = {"repertoire": "utf-8"}

    @pytest.fixture
    def ehr(self, server: HTTPServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeEhr]:
        monkeypatch.setattr(oauth, "read_tokens", oauth.ReadTokens())
        server.clear()
        fake = EcwFake(server, granted=self.granted)
        yield fake
        fake.released.set()

    @staticmethod
    def changes_an_entry(plan: WirePlan) -> bool:
        return as_single(plan.steps[0]).method == "PUT"

    def resource_in(self, plan: WirePlan) -> dict[str, Any]:
        bundle = loads(plan.steps[0].body)
        if plan.steps[0].path:
            assert plan.kind == "questionnaire"
            return dict(bundle)
        assert (bundle["type"], len(bundle["entry"])) == ("transaction", 1)
        resource: dict[str, Any] = bundle["entry"][0]["resource"]
        return resource

    def admissible(self, kind: str, interaction: str, content: dict[str, Any]) -> dict[str, Any]:
        return narrowing.for_eclinicalworks(kind, interaction, content)

    def sample(self, kind: str, interaction: str) -> dict[str, Any]:
        return self.admissible(kind, interaction, super().sample(kind, interaction))

    def test_a_probe_takes_away_and_never_opens(self, ehr: FakeEhr) -> None:
        """The CapabilityStatement offers one create whatever is contracted, so the scopes are asked."""
        adapter = registry.get_adapter(ehr.connection(self.kind, settings=self.settings))
        everything = set(self.supported())
        both: dict[str, Any] = {"resourceType": "CapabilityStatement", "fhirVersion": "4.0.1"}
        ehr.answer_read(200, both)
        found = adapter.discover(at=AT)
        assert (found.found_at, bool(found.evidence)) == (AT.isoformat(), True)
        assert {c.key for c in found if c.supported} == everything
        ehr.answer_read(200, both | {"scopes_supported": ["system/Condition.c", "openid"]})
        found = adapter.discover(at=AT)
        allowed = {c.key for c in found if c.supported}
        # The document has no scope for these types, whatever a practice has contracted.
        silent = {key for key in everything if key[0] in UNNAMED}
        assert allowed == {("problem", "create"), *silent}
        narrowed = registry.get_adapter(
            ehr.connection(self.kind, settings=self.settings, capabilities=found)
        )
        assert {c.key for c in narrowed.capabilities if c.supported} == allowed
        ehr.answer_read(200, both | {"fhirVersion": "5.0.0"})
        assert not [c for c in adapter.discover(at=AT) if c.supported]


class TestEclinicalworks(EcwContract):
    @pytest.mark.req("001-53")
    def test_a_note_is_filed_unsigned_and_the_rest_waits(self) -> None:
        declared = self.declared()
        note, problem = declared.get("note", "create"), declared.get("problem", "create")
        assert (note.finality, note.find) == (Finality.FILED_UNSIGNED, FindMethod.NONE)
        assert (problem.finality, problem.find) == (Finality.STAGED, FindMethod.NONE)
        assert note.retry is problem.retry is RetryClass.S4

    @pytest.mark.fault("eclinicalworks.transactions-only")
    def test_everything_goes_to_the_base_address_as_one_entry(
        self, adapter: EhrAdapter, ehr: FakeEhr
    ) -> None:
        for plan in self.every_plan(adapter, ehr):
            [step] = plan.steps
            if plan.kind == "questionnaire":
                assert (step.method, step.path) == ("POST", "QuestionnaireResponse")
                continue
            assert (step.method, step.path) == ("POST", "")
            [entry] = loads(step.body)["entry"]
            named = entry["resource"]["resourceType"]
            assert entry["request"] == (
                {"method": "PUT", "url": f"{named}/{entry['resource']['id']}"}
                if self.changes_an_entry(plan)
                else {"method": "POST", "url": named}
            )
            adapter.submit(step, token=adapter.authenticate(step))
            assert ehr.writes[-1][1].rstrip("?").endswith("/NRTHGA") or BASE in ehr.writes[-1][1]

    def test_signs_with_rs384_or_not_at_all(self, ehr: FakeEhr) -> None:
        adapter = registry.get_adapter(ehr.connection(self.kind, alg="ES384"))
        with pytest.raises(AdapterMisconfigured):
            adapter.read(ReadRequest(patient="pa-1", kind="problem", at=AT))
        assert ehr.requests == []

    def test_asks_to_read_only_what_is_served(self, adapter: EhrAdapter, ehr: FakeEhr) -> None:
        adapter.read(
            ReadRequest(patient="pa-1", kind="problem", at=AT, context=("medications", "allergies"))
        )
        [scope] = ehr.scopes
        assert "MedicationStatement" not in scope
        assert "system/MedicationRequest.rs" in scope

    @pytest.mark.parametrize(
        ("field", "value", "pointer"),
        [
            ("category", "encounter-diagnosis", "/category"),
            ("clinical_status", "relapse", "/clinical_status"),
            ("verification", "refuted", "/verification"),
            ("side", "7771000", "/side"),
        ],
    )
    def test_what_it_would_refuse_or_lose_is_refused_here(
        self, adapter: EhrAdapter, ehr: FakeEhr, field: str, value: str, pointer: str
    ) -> None:
        baseline = self.baseline(adapter, ehr, "problem", "create")
        content = self.sample("problem", "create") | {field: value}
        with pytest.raises(CannotBeCarried) as refused:
            adapter.render(parse_change("problem", "create", content), tag=TAG, baseline=baseline)
        assert [i.pointer for i in refused.value.issues] == [pointer]

    @pytest.mark.parametrize(
        ("kind", "change", "pointer"),
        [
            ("allergy", {"verification": "confirmed"}, "/verification"),
            ("allergy", {"substance": "99999"}, "/substance/display"),
            (
                "allergy",
                {"reactions": [{"manifestation": "247472004", "severity": "severe"}]},
                "/reactions/0/severity",
            ),
            (
                "allergy",
                {"reactions": [{"manifestation": "247472004", "onset": "2026-10"}]},
                "/reactions/0/onset",
            ),
            (
                "allergy",
                {"reactions": [{"manifestation": "271807003"}]},
                "/reactions/0/manifestation/display",
            ),
            ("medication", {"status": "completed"}, "/status"),
            ("medication", {"drug": "99999"}, "/drug/display"),
            (
                "medication",
                {
                    "dose": {
                        "low": {"value": "500", "unit": "mg"},
                        "high": {"value": "850", "unit": "mg"},
                    },
                    "sig_text": None,
                },
                "/dose",
            ),
            ("medication", {"units_taken": {"value": "1", "unit": "{tablet}"}}, "/units_taken"),
            ("medication", {"as_needed": {"needed": True, "reason": "pain"}}, "/as_needed/reason"),
            (
                "order",
                {
                    "category": "prescription",
                    "code": "6809",
                    "dose": {"value": "500", "unit": "mg"},
                    "route": "26643006",
                    "frequency": {"times": 2, "per": 1, "unit": "d"},
                },
                "/category",
            ),
        ],
    )
    def test_what_would_be_lost_of_other_kinds_is_refused_here(
        self, adapter: EhrAdapter, ehr: FakeEhr, kind: str, change: dict[str, Any], pointer: str
    ) -> None:
        baseline = self.baseline(adapter, ehr, kind, "create")
        content = {
            name: value
            for name, value in (self.sample(kind, "create") | change).items()
            if value is not None
        }
        with pytest.raises(CannotBeCarried) as refused:
            adapter.render(parse_change(kind, "create", content), tag=TAG, baseline=baseline)
        assert [i.pointer for i in refused.value.issues] == [pointer]

    def test_none_known_is_not_said_from_outside(self, adapter: EhrAdapter, ehr: FakeEhr) -> None:
        from dataclasses import replace

        baseline = replace(self.baseline(adapter, ehr, "allergy", "create"), neighbourhood=())
        content = {
            "substance": {"system": "http://snomed.info/sct", "code": "716186003"},
            "category": "medication",
            "clinical_status": "active",
            "verification": "unconfirmed",
        }
        with pytest.raises(CannotBeCarried) as refused:
            adapter.render(parse_change("allergy", "create", content), tag=TAG, baseline=baseline)
        assert "/substance" in [i.pointer for i in refused.value.issues]

    def test_what_it_passes_over_is_said(self, adapter: EhrAdapter, ehr: FakeEhr) -> None:
        baseline = self.baseline(adapter, ehr, "problem", "create")
        content = self.sample("problem", "create") | {
            "severity": "6736007",
            "stage": "3a",
            "sensitivity": "restricted",
        }
        plan = adapter.render(
            parse_change("problem", "create", content), tag=TAG, baseline=baseline
        )
        pointers = {r.pointer for r in plan.not_carried}
        assert pointers == {"/severity", "/stage", "/sensitivity", "/encounter"}
        assert pointers <= set(self.declared().get("problem", "create").not_carried)
        assert not {"meta", "severity", "stage", "encounter"} & set(self.resource_in(plan))

    def test_icd_10_stands_before_snomed(self, adapter: EhrAdapter, ehr: FakeEhr) -> None:
        baseline = self.baseline(adapter, ehr, "problem", "create")
        [icd] = self.sample("problem", "create")["code"]
        snomed = {"system": "http://snomed.info/sct", "code": "431857002", "display": "CKD 4"}
        content = self.sample("problem", "create") | {"code": [snomed, icd]}
        plan = adapter.render(
            parse_change("problem", "create", content), tag=TAG, baseline=baseline
        )
        systems = [one["system"] for one in self.resource_in(plan)["code"]["coding"]]
        assert systems == [icd["system"], snomed["system"]]

    def test_a_telephone_encounter_has_its_code(self, adapter: EhrAdapter, ehr: FakeEhr) -> None:
        plan = self.plan(adapter, ehr, "encounter", "create")
        said = {one["code"] for one in self.resource_in(plan)["type"][0]["coding"]}
        telephone = self.sample("encounter", "create")["class"] == "telephone"
        assert ("185317003" in said) == telephone

    def test_a_patients_record_goes_back_with_its_own_labels(
        self, adapter: EhrAdapter, ehr: FakeEhr
    ) -> None:
        label = {"system": "urn:x", "code": "VIP"}
        ehr.resources["Patient/pa-1"]["meta"] = {"versionId": "3", "security": [label]}
        plan = self.plan(adapter, ehr, "demographics", "update")
        assert self.resource_in(plan)["meta"]["security"] == [label]

    def test_success_that_names_another_entry_is_none(
        self, adapter: EhrAdapter, ehr: FakeEhr
    ) -> None:
        plan = self.plan(adapter, ehr, "demographics", "update")
        ehr.answer_write(200, response("1", location="Patient/pa-2"))
        with pytest.raises(UnreadableReply):
            adapter.submit(plan.steps[0], token=adapter.authenticate(plan.steps[0]))

    # --- numbers ---------------------------------------------------------------------------------

    @pytest.mark.parametrize(
        ("kind", "number"),
        [("problem", n) for n in sorted(ECW_CODES)] + [("note", n) for n in sorted(NOTE_CODES)],
    )
    def test_each_number_has_its_branch_and_a_sentence(
        self, adapter: EhrAdapter, ehr: FakeEhr, kind: str, number: str
    ) -> None:
        plan = self.plan(adapter, ehr, kind, "create")
        told = {
            "resourceType": "OperationOutcome",
            "issue": [
                {"severity": "error", "code": "processing", "details": {"text": "their words"}}
            ],
        }
        ehr.answer_write(200, response(number, outcome=told))
        codes = NOTE_CODES if kind == "note" else ECW_CODES
        with pytest.raises(codes[number].branch) as raised:
            adapter.submit(plan.steps[0], token=adapter.authenticate(plan.steps[0]))
        assert raised.value.vendor_code == number
        assert raised.value.sentence.endswith(".")
        assert raised.value.next_step.endswith(".")
        assert "their words" not in raised.value.sentence
        assert "their words" in raised.value.vendor_text

    @pytest.mark.fault("eclinicalworks.exists-already")
    @pytest.mark.parametrize("status", [200, 201, 202])
    def test_numbers_that_look_like_http_are_read_as_eclinicalworks_means_them(
        self, adapter: EhrAdapter, ehr: FakeEhr, status: int
    ) -> None:
        plan = self.plan(adapter, ehr, "problem", "create")
        for number, branch in (("201", ContentRefused), ("202", AlreadyThere)):
            ehr.answer_write(status, response(number, location="Condition/new-1"))
            with pytest.raises(branch):
                adapter.submit(plan.steps[0], token=adapter.authenticate(plan.steps[0]))
        ehr.answer_write(status, response("1", location="Condition/new-1"))
        receipt = adapter.submit(plan.steps[0], token=adapter.authenticate(plan.steps[0]))
        assert (receipt.reference, receipt.vendor_code) == ("Condition/new-1", "1")

    @pytest.mark.fault("eclinicalworks.notes-as-hl7")
    def test_308_means_something_else_for_a_note(self) -> None:
        assert ECW_CODES["308"].sentence != NOTE_CODES["308"].sentence
        assert (ECW_CODES["303"].sentence, NOTE_CODES["303"].sentence) == (
            "eClinicalWorks does not take the form in this shape. Nothing was written.",
            "eClinicalWorks finds that the visit belongs to another patient. Nothing was written.",
        )

    @pytest.mark.fault("eclinicalworks.number-in-200")
    @pytest.mark.parametrize(
        "body",
        [
            response("1"),
            response("1", location="Patient/new-1"),
            response("1", location="http://127.0.0.1:9/Condition/1"),
            response("201 Created", location="Condition/1"),
            response("9999"),
            response("", location="Condition/1"),
            response("1", location="Condition/1") | {"type": "batch-response"},
            response("1", location="Condition/1") | {"entry": []},
            response("1", location="Condition/1")
            | {"entry": response("1", location="Condition/1")["entry"] * 2},
        ],
        ids=["no location", "another type", "elsewhere", "HTTP words", "unknown number", "no number",
             "batch", "no entry", "two entries"],
    )  # fmt: skip
    def test_anything_less_than_1_with_its_entry_is_no_acknowledgement(
        self, adapter: EhrAdapter, ehr: FakeEhr, body: dict[str, Any]
    ) -> None:
        plan = self.plan(adapter, ehr, "problem", "create")
        ehr.answer_write(200, body)
        with pytest.raises(UnreadableReply):
            adapter.submit(plan.steps[0], token=adapter.authenticate(plan.steps[0]))

    def test_a_number_inside_a_fault_of_the_server_proves_nothing(
        self, adapter: EhrAdapter, ehr: FakeEhr
    ) -> None:
        plan = self.plan(adapter, ehr, "problem", "create")
        ehr.answer_write(500, response("139"))
        with pytest.raises(ServerError):
            adapter.submit(plan.steps[0], token=adapter.authenticate(plan.steps[0]))

    def test_a_429_waits_for_the_next_minute_of_the_clock(
        self, adapter: EhrAdapter, ehr: FakeEhr
    ) -> None:
        plan = self.plan(adapter, ehr, "problem", "create")
        token = adapter.authenticate(plan.steps[0])
        ehr.answer_write(429)
        with pytest.raises(RateLimited) as limited:
            adapter.submit(plan.steps[0], token=token)
        assert 0 < (limited.value.retry_after or 0) <= 60
        ehr.answer_token(429)
        with pytest.raises(TokenUnavailable) as refused:
            adapter.authenticate(plan.steps[0])
        assert 0 < (refused.value.retry_after or 0) <= 60
        ehr.token_answer = None
        ehr.answer_read(429)
        with pytest.raises(RateLimited) as limited:
            adapter.read(ReadRequest(patient="pa-1", kind="problem", at=AT))
        assert 0 < (limited.value.retry_after or 0) <= 60

    # --- notes -----------------------------------------------------------------------------------

    def message(self, plan: WirePlan) -> bytes:
        attachment = self.resource_in(plan)["content"][0]["attachment"]
        assert attachment["contentType"] == "text/hl7v2"
        return b64decode(attachment["data"])

    def test_a_note_is_a_message_from_prog_with_one_report_a_section(
        self, adapter: EhrAdapter, ehr: FakeEhr
    ) -> None:
        baseline = self.baseline(adapter, ehr, "note", "create")
        content = self.sample("note", "create") | {
            "sections": [
                {"title": "HPI & more", "text": "A|B^C~D\\E\n====\n\ttabbed"},
                {"title": "Plan", "text": '""'},
            ]
        }
        plan = adapter.render(parse_change("note", "create", content), tag=TAG, baseline=baseline)
        lines = self.message(plan).decode().split("\r")
        assert lines == [
            f"MSH|^~\\&|PROG|PROG|PROG||20261120084102-0600||ORU^R01|{TAG.short}|T|2.4||||||UNICODE UTF-8",
            "PID|1||pa-1",
            "OBR|1|en-1||HPI \\T\\ more^HPI \\T\\ more",
            r"OBX|1|TX|HPI \T\ more^HPI \T\ more||A\F\B\S\C\R\D\E\E\.br\====\.br\\X09\tabbed||||||P",
            "OBR|2|en-1||Plan^Plan",
            "OBX|1|TX|Plan^Plan||\\X2222\\||||||P",
            f"OBX|2|TX|Plan^Plan||AI-assisted draft, filed after clinician review. Ref {TAG.short}||||||P",
            "",
        ]
        resource = self.resource_in(plan)
        assert resource["context"]["encounter"] == [{"reference": "Encounter/en-1"}]
        assert resource["author"] == [{"reference": "Practitioner/pr-1"}]
        assert resource["docStatus"] == "preliminary"

    def test_a_note_needs_its_author_and_its_visit(self, adapter: EhrAdapter, ehr: FakeEhr) -> None:
        content = self.sample("note", "create")
        without = {name: value for name, value in content.items() if name != "author"}
        baseline = self.baseline(adapter, ehr, "note", "create")
        outside = adapter.read(ReadRequest(patient="pa-1", kind="note", at=AT))
        for said, known, pointer in (
            (without, baseline, "/author"),
            (content, outside, "/encounter"),
        ):
            with pytest.raises(CannotBeCarried) as refused:
                adapter.render(parse_change("note", "create", said), tag=TAG, baseline=known)
            assert [i.pointer for i in refused.value.issues] == [pointer]

    def test_a_message_of_another_patient_or_visit_is_not_read_back(
        self, adapter: EhrAdapter, ehr: FakeEhr
    ) -> None:
        from dataclasses import replace

        plan = self.plan(adapter, ehr, "note", "create")
        body = plan.steps[0].body
        for old, new in (
            (b"Patient/pa-1", b"Patient/pa-2"),
            (b"Encounter/en-1", b"Encounter/en-2"),
        ):
            swapped = replace(plan.steps[0], body=body.replace(old, new))
            with pytest.raises(CannotBeCarried):
                adapter.parse(replace(plan, steps=(swapped,)))

    @pytest.mark.req("003-55")
    def test_what_the_repertoire_lacks_is_replaced_by_the_table_or_refused(
        self, ehr: FakeEhr
    ) -> None:
        for repertoire, text, expected in (
            ("us-ascii", "BP ≥ 140, 5 µg, 2½", "BP >= 140, 5 mcg, 2 1/2"),
            ("iso-8859-1", "BP ≥ 140, 5 µg, 2½", "BP >= 140, 5 µg, 2½"),
            ("utf-8", "BP ≥ 140 東", "BP ≥ 140 東"),
        ):
            adapter = registry.get_adapter(
                ehr.connection(self.kind, settings={"repertoire": repertoire})
            )
            baseline = self.baseline(adapter, ehr, "note", "create")
            content = self.sample("note", "create") | {"sections": [{"title": "BP", "text": text}]}
            change = parse_change("note", "create", content)
            plan = adapter.render(change, tag=TAG, baseline=baseline)
            [section] = adapter.parse(plan).model_dump_canonical()["sections"]
            assert section["text"] == expected
            assert bool([r for r in plan.remarks if r.code == "replaced"]) == (text != expected)
        for repertoire, lost in (("us-ascii", "Zoë"), ("iso-8859-1", "東")):
            adapter = registry.get_adapter(
                ehr.connection(self.kind, settings={"repertoire": repertoire})
            )
            content = self.sample("note", "create") | {"sections": [{"title": "BP", "text": lost}]}
            with pytest.raises(CannotBeCarried) as refused:
                adapter.render(parse_change("note", "create", content), tag=TAG, baseline=baseline)
            assert [i.code for i in refused.value.issues] == ["outside-repertoire"]
            assert CANARY not in str(refused.value)

    def test_a_note_that_is_too_long_is_refused_with_the_count(
        self, adapter: EhrAdapter, ehr: FakeEhr
    ) -> None:
        baseline = self.baseline(adapter, ehr, "note", "create")
        content = self.sample("note", "create") | {
            "sections": [{"title": "Plan", "text": "x" * 30_000}]
        }
        with pytest.raises(CannotBeCarried) as refused:
            adapter.render(parse_change("note", "create", content), tag=TAG, baseline=baseline)
        assert "30004 characters" in refused.value.sentence


def test_where_notes_are_read_back_a_note_is_looked_for_and_still_settled_by_a_person() -> None:
    declared = registry.declared_capabilities(
        "eclinicalworks", {"notes_read_back_probed": "2026-11-20"}
    )
    note = declared.get("note", "create")
    assert (note.find, note.retry, note.read_back_by_id) == (FindMethod.SCAN, RetryClass.S4, True)


# --- HL7 v2 --------------------------------------------------------------------------------------

CHARACTERS = {
    "us-ascii": st.characters(max_codepoint=0x7E, min_codepoint=0x20),
    "iso-8859-1": st.one_of(
        st.characters(min_codepoint=0x20, max_codepoint=0x7E),
        st.characters(min_codepoint=0xA0, max_codepoint=0xFF),
    ),
    "utf-8": st.characters(
        min_codepoint=0x20, exclude_categories=("Cs",), exclude_characters="\x7f"
    ),
}
TRAPS = st.sampled_from(
    ['""', "\\", "\\E\\", "\\.br\\", "\\X41\\", "|", "^~\\&", "\n\n", "\t", "MSH|"]
)


def texts(charset: str) -> st.SearchStrategy[str]:
    one = st.one_of(st.text(st.one_of(CHARACTERS[charset], st.sampled_from("\n\t"))), TRAPS)
    return st.lists(one, min_size=1, max_size=5).map("".join)


class TestHl7:
    @pytest.mark.parametrize("charset", sorted(CHARACTERS))
    def test_any_text_in_the_repertoire_survives(self, charset: str) -> None:
        @given(text=texts(charset), title=texts(charset).filter(bool))
        @run_settings(max_examples=400, deadline=None)
        def holds(text: str, title: str) -> None:
            raw = note_message.write(
                patient="p-1",
                encounter="e-1",
                sections=[{"title": title, "text": text}, {"title": "Plan", "text": "x"}],
                short=TAG.short,
                moment="2026-11-20T08:41:02.5Z",
                live=True,
                charset=charset,
            )
            assert raw.count(b"\r") == 7
            found = note_message.read(raw)
            assert found.sections == ((title, text), ("Plan", "x"))
            assert (found.patient, found.encounter, found.short) == ("p-1", "e-1", TAG.short)

        holds()

    def test_escapes_by_the_book(self) -> None:
        assert hl7v2.escaped("a|b^c&d~e\\f\ng\th") == (
            "a\\F\\b\\S\\c\\T\\d\\R\\e\\E\\f\\.br\\g\\X09\\h"
        )
        assert hl7v2.unescaped("\\F\\\\S\\\\T\\\\R\\\\E\\\\.br\\\\X41\\") == "|^&~\\\nA"

    @pytest.mark.parametrize("field", ["open \\E", "\\Q\\", "\\X4\\", "\\XFF\\", "\\"])
    def test_refuses_a_sequence_that_it_does_not_know(self, field: str) -> None:
        with pytest.raises(hl7v2.NotHl7):
            hl7v2.unescaped(field)

    @pytest.mark.parametrize("character", ["\r", "\x0b", "\x00", "\x7f"])
    def test_writes_no_control_character(self, character: str) -> None:
        with pytest.raises(hl7v2.NotHl7):
            hl7v2.escaped(f"a{character}b")

    def test_writes_nothing_outside_its_character_set(self) -> None:
        head = hl7v2.segment("MSH", f3="ë")
        with pytest.raises(hl7v2.NotHl7):
            hl7v2.write([head], charset="us-ascii")
        with pytest.raises(hl7v2.NotHl7):
            hl7v2.write([head], charset="cp1252")
        assert hl7v2.write([head], charset="iso-8859-1").decode("latin-1").endswith("|8859/1\r")

    @pytest.mark.parametrize(
        "raw",
        [
            b"",
            b"PID|1\r",
            b"MSH|*~\\&|PROG\r",
            b"MSH|^~\\&|PROG|||||||||||||||EBCDIC\r",
            "MSH|^~\\&|PROG\rPID|ë\r".encode(),
            b"MSH|^~\\&|PROG\rPID|1~2\r",
            b"MSH|^~\\&|PROG\rPID|1&2\r",
        ],
    )
    def test_reads_no_other_message(self, raw: bytes) -> None:
        with pytest.raises(hl7v2.NotHl7):
            hl7v2.read(raw)

    @pytest.mark.parametrize(
        ("old", "new"),
        [
            (b"PROG", b"LAB"),
            (b"ORU", b"ADT"),
            (b"filed after", b"filed before"),
            (b"OBR|2|e-1", b"OBR|2|e-2"),
            (b"OBX|1|TX|Plan", b"OBZ|1|TX|Plan"),
        ],
    )
    def test_a_note_of_another_form_is_no_note_of_ours(self, old: bytes, new: bytes) -> None:
        raw = note_message.write(
            patient="p-1",
            encounter="e-1",
            sections=[{"title": "HPI", "text": "a"}, {"title": "Plan", "text": "b"}],
            short=TAG.short,
            moment="",
            live=False,
            charset="us-ascii",
        )
        assert old in raw
        with pytest.raises(hl7v2.NotHl7):
            note_message.read(raw.replace(old, new))
