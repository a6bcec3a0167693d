"""The Veradigm adapter against its practice EHR, over HTTP: both transports, and every fault of either."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from ehr_adapters import registry
from ehr_adapters.base import EhrAdapter
from ehr_adapters.canonical.base import changed_fields, parse_change
from ehr_adapters.canonical.codes import ICD10CM, RXNORM
from ehr_adapters.contract import (
    Baseline,
    Connection,
    ReadRequest,
    Tag,
    WirePlan,
    comparable_differences,
)
from ehr_adapters.errors import (
    AlreadyThere,
    CannotBeCarried,
    ContentRefused,
    NotPermitted,
    ServerError,
    TokenRejected,
    TokenUnavailable,
    UnreadableReply,
)
from intents.pipeline import matching
from tests.ehr_adapters.practice import Practice, fresh_practice, practice

__all__ = ["fresh_practice", "practice"]
pytestmark = [pytest.mark.once, pytest.mark.req("003-60")]

CANARY = "canary-of-the-payload"


KIND_OF = {
    "DocumentReference": "note",
    "Condition": "problem",
    "AllergyIntolerance": "allergy",
    "MedicationStatement": "medication",
    "MedicationRequest": "medication",
    "Observation": "vitals",
}


class Stage:
    """The adapter connected to the practice EHR, by FHIR or by Unity."""

    def __init__(self, practice: Practice, *, unity: bool, **settings: Any) -> None:
        self.practice = practice
        backend = practice.client("veradigm")
        self.at = datetime.now(UTC)
        self.people = practice.directory("veradigm")
        staff = self.people["staff"]
        by_unity = {
            "unity_url": f"{practice.root}/veradigm/Unity",
            "unity_appname": "Northgate.Portal",
            "unity_user": "svc-backend",
            "unity_users": {
                f"Practitioner/{staff[name]['practitioner']}": staff[name]["user"]
                for name in ("prescriber_one", "prescriber_two")
            },
            "unity_patient_system": "http://veradigm.example/unity/patient",
            "problem_transport": "unity",
            "allergy_transport": "unity",
            "unity_allergens": {"rxnorm 723": "Amoxicillin"},
            "unity_task_targets": {f"Practitioner/{staff['nurse']['practitioner']}": "lbrandt"},
        }
        users = ("areyes", "jlam", "svc-backend")
        self.connection = Connection(
            kind="veradigm",
            base_url=backend.base,
            token_url=backend.token_url,
            client_id=backend.client_id,
            private_key_pem=backend.key.private_bytes(
                Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
            ).decode(),
            secrets={
                "unity_username": "svc-portal",
                "unity_password": "practice-service",
                **{f"unity_password.{user}": f"practice-{user}" for user in users},
            },
            settings=(by_unity if unity else {}) | settings,
            time_zone="America/Chicago",
            read_timeout=20.0,
            deadline=30.0,
        )

    @property
    def adapter(self) -> EhrAdapter:
        return registry.get_adapter(self.connection)

    def read(self, kind: str, who: str = "P1", **more: Any) -> Baseline:
        person = self.people[who]
        return self.adapter.read(
            ReadRequest(
                patient=person["patient"],
                encounter=person["encounter"],
                kind=kind,
                at=self.at,
                **more,
            )
        )

    def render(self, kind: str, content: dict[str, Any], *, who: str = "P1") -> WirePlan:
        change = parse_change(kind, "create", content)
        return self.adapter.render(change, tag=Tag.mint(), baseline=self.read(kind, who))

    def note(self, who: str = "P1", **more: Any) -> WirePlan:
        author = self.people["staff"]["prescriber_one"]["practitioner"]
        content = {
            "type": "11506-3",
            "status": "unsigned",
            "author": f"Practitioner/{author}",
            "date": self.at.isoformat(timespec="seconds"),
            "sections": [{"title": "Plan", "text": f"BP ≥ 140 <&>\n====\n{CANARY}."}],
        }
        return self.render("note", content | more, who=who)

    def problem(self, who: str = "P1", **more: Any) -> WirePlan:
        content = {
            "code": {"system": ICD10CM, "code": "R42", "display": "Dizziness and giddiness"},
            "category": "problem-list-item",
            "clinical_status": "active",
            "verification": "confirmed",
            "onset": "2026-11-02",
            "note": CANARY,
        }
        return self.render("problem", content | more, who=who)

    def allergy(self) -> WirePlan:
        content = {
            "substance": {"system": RXNORM, "code": "723"},
            "category": "medication",
            "clinical_status": "active",
            "verification": "unconfirmed",
            "note": CANARY,
        }
        return self.render("allergy", content)

    def task(self) -> WirePlan:
        nurse = self.people["staff"]["nurse"]["practitioner"]
        content = {
            "title": "Call the patient",
            "owner": f"Practitioner/{nurse}",
            "due": "2026-11-30",
            "description": CANARY,
        }
        return self.render("task", content)

    def change(self, target: str, interaction: str = "update", **content: Any) -> WirePlan:
        kind = KIND_OF[target.partition("/")[0]]
        baseline = self.read(kind, interaction=interaction, target=target)
        return self.adapter.render(
            parse_change(kind, interaction, content), tag=Tag.mint(), baseline=baseline
        )

    def send(self, plan: WirePlan) -> str:
        reference = ""
        for step in plan.steps:
            token = self.adapter.authenticate(step)
            reference = self.adapter.submit(step, token=token).reference
        return reference

    def verdict(self, plan: WirePlan, *, target: bool = False) -> matching.Match:
        """What the pipeline makes of a search for this plan."""
        found = self.adapter.find(
            [plan.tag], plan, since=self.at - timedelta(minutes=5), at=self.at
        )
        baseline = self.read(plan.kind, target=plan.target).target if target else None
        return matching.judge(
            found,
            plan=plan,
            tags=[plan.tag],
            capability=self.adapter.capabilities.get(plan.kind, plan.interaction),
            baseline=baseline,
        )


@pytest.fixture
def fhir(fresh_practice: Practice) -> Stage:
    return Stage(fresh_practice, unity=False)


@pytest.fixture
def unity(fresh_practice: Practice) -> Stage:
    return Stage(fresh_practice, unity=True)


class TestByFhir:
    def test_every_interaction_is_written_read_back_and_equal(self, fhir: Stage) -> None:
        note = fhir.note()
        filed = fhir.send(note)
        assert fhir.verdict(note).verdict is matching.Verdict.OURS_EQUAL
        listed = fhir.send(fhir.problem())
        plans = [
            fhir.change(filed, mode="append", sections=[{"title": "Later", "text": "Called."}])
        ]
        fhir.send(plans[-1])
        plans.append(fhir.change(listed, verification="provisional", onset="2026-11"))
        fhir.send(plans[-1])
        for plan in plans:
            entry = fhir.adapter.read_entry(kind=plan.kind, reference=plan.target, at=fhir.at)
            assert entry is not None
            assert comparable_differences(plan.comparable, entry.comparable) == ()
            said = fhir.adapter.parse(plan).model_dump_canonical()
            assert changed_fields(plan.kind, said, entry.canonical) == ()
        fhir.send(fhir.change(listed, "resolve", abatement="2026-11-20"))
        for target in (filed, listed):
            fhir.send(fhir.change(target, "entered-in-error"))

    def test_allergies_and_the_medication_list_are_written_and_read_back(self, fhir: Stage) -> None:
        plans = [
            fhir.render(
                "allergy",
                {
                    "substance": "723",
                    "category": "medication",
                    "clinical_status": "active",
                    "verification": "unconfirmed",
                    "criticality": "high",
                    "reactions": [{"manifestation": "247472004", "severity": "mild"}],
                },
            ),
            fhir.render(
                "medication",
                {
                    "drug": "29046",
                    "dose": {"value": "10", "unit": "mg"},
                    "route": "26643006",
                    "frequency": {"times": 1, "per": 1, "unit": "d"},
                    "status": "active",
                    "start": "2026-11-01",
                },
            ),
        ]
        filed = [fhir.send(plan) for plan in plans]
        for plan in plans:
            assert fhir.verdict(plan).verdict is matching.Verdict.COLLEAGUE_EQUAL
        changes: list[tuple[str, str, dict[str, Any]]] = [
            (filed[0], "update", {"criticality": "low"}),
            (filed[0], "resolve", {}),
            (filed[1], "update", {"dose": {"value": "20", "unit": "mg"}}),
            (filed[1], "discontinue", {"end": "2026-11-20", "status_reason": "cough"}),
        ]
        for target, interaction, content in changes:
            plan = fhir.change(target, interaction, **content)
            fhir.send(plan)
            entry = fhir.adapter.read_entry(kind=plan.kind, reference=target, at=fhir.at)
            assert entry is not None
            assert comparable_differences(plan.comparable, entry.comparable) == ()

    def test_vital_signs_and_questionnaires_are_written_and_read_back(self, fhir: Stage) -> None:
        taken = (fhir.at - timedelta(minutes=5)).isoformat(timespec="seconds")
        pulse = fhir.render(
            "vitals",
            {
                "readings": [{"code": "8867-4", "value": {"value": "72", "unit": "/min"}}],
                "effective_at": taken,
                "origin": "measured",
            },
        )
        answers = fhir.render(
            "questionnaire",
            {
                "form": {"id": "http://clinic.example/Questionnaire/sleep", "version": "2"},
                "answered_by": "patient",
                "answered_at": taken,
                "answers": [{"link_id": "hours", "question": "Hours of sleep", "value": 6}],
            },
        )
        for plan in (pulse, answers):
            reference = fhir.send(plan)
            assert fhir.verdict(plan).verdict is matching.Verdict.COLLEAGUE_EQUAL
            entry = fhir.adapter.read_entry(kind=plan.kind, reference=reference, at=fhir.at)
            assert entry is not None
            said = fhir.adapter.parse(plan).model_dump_canonical()
            assert changed_fields(plan.kind, said, entry.canonical) == ()

    def test_a_prescription_is_not_touched(self, fhir: Stage) -> None:
        listed = fhir.people["P1"]["entries"].values()
        target = next(ref for ref in listed if ref.startswith("MedicationRequest/"))
        with pytest.raises(CannotBeCarried):
            fhir.change(target, "discontinue", end="2026-11-20", status_reason="cough")

    def test_a_signed_note_takes_an_addendum_only(self, fhir: Stage) -> None:
        filed = fhir.send(fhir.note())
        fhir.practice.lever("sign", vendor="veradigm", reference=filed)
        with pytest.raises(CannotBeCarried):
            fhir.change(filed, mode="append", sections=[{"title": "Later", "text": "x"}])
        plan = fhir.change(
            filed,
            "amend",
            type="11506-3",
            status="unsigned",
            amends=filed,
            sections=[{"title": "Addendum", "text": "Result arrived."}],
        )
        fhir.send(plan)
        assert fhir.verdict(plan).verdict is matching.Verdict.OURS_EQUAL

    def test_a_created_problem_is_only_a_candidate_until_a_probe_says_more(
        self, fhir: Stage
    ) -> None:
        plan = fhir.problem()
        fhir.send(plan)
        match = fhir.verdict(plan)
        assert match.verdict is matching.Verdict.COLLEAGUE_EQUAL
        assert not plan.find.hit_proves
        fhir.practice.settings("veradigm", identifiers_kept=True)
        probed = Stage(fhir.practice, unity=False, identifiers_kept_probed="2026-11-20")
        known = probed.problem()
        probed.send(known)
        assert probed.verdict(known).verdict is matching.Verdict.OURS_EQUAL

    def test_a_probe_shows_what_is_kept_of_a_new_entry(self, fhir: Stage) -> None:
        who = fhir.people["P13"]["patient"]
        found = fhir.adapter.probe(patient=who, at=fhir.at)
        today = fhir.at.date().isoformat()
        assert found.settings == {"labels_kept_probed": today}
        fhir.practice.settings("veradigm", identifiers_kept=True)
        found = fhir.adapter.probe(patient=who, at=fhir.at)
        assert set(found.settings) == {"labels_kept_probed", "identifiers_kept_probed"}
        assert all(line.endswith(".") for line in found.evidence)
        left = fhir.practice.client("veradigm").found("Condition", patient=who)
        probes = [one for one in left if one["code"]["coding"][0]["code"] == "Z02.9"]
        assert len(probes) == 2
        assert {one["verificationStatus"]["coding"][0]["code"] for one in probes} == {
            "entered-in-error"
        }

    def test_an_empty_answer_is_no_acknowledgement(self, fhir: Stage) -> None:
        fhir.practice.settings("veradigm", create_answer="empty")
        with pytest.raises(UnreadableReply):
            fhir.send(fhir.problem())
        for shape in ("location", "body"):
            fhir.practice.settings("veradigm", create_answer=shape)
            assert fhir.send(fhir.problem()).startswith("Condition/")

    @pytest.mark.req("003-65")
    def test_no_version_stops_a_stale_update_so_the_targets_hash_must(self, fhir: Stage) -> None:
        target = fhir.send(fhir.problem())
        plan = fhir.change(target, verification="provisional")
        assert not plan.steps[0].header("If-Match")
        before = fhir.read("problem", target=target).target
        fhir.practice.lever(
            "edit_as_colleague",
            vendor="veradigm",
            reference=target,
            changes={"severity": {"text": "mild"}},
        )
        after = fhir.read("problem", target=target).target
        assert before is not None
        assert after is not None
        assert before.hash_whole != after.hash_whole
        fhir.send(plan)  # the server lets it through, and undoes the colleague
        entry = fhir.adapter.read_entry(kind="problem", reference=target, at=fhir.at)
        assert entry is not None
        assert "severity" not in entry.canonical

    def test_redacted_rows_are_no_absence(self, fhir: Stage) -> None:
        plan = fhir.note()
        fhir.practice.settings("veradigm", redacted_types=["DocumentReference"])
        found = fhir.adapter.find([plan.tag], plan, since=fhir.at, at=fhir.at)
        assert (found.complete, found.hits) == (False, ())
        assert fhir.verdict(plan).verdict is matching.Verdict.COULD_NOT_LOOK
        fhir.practice.settings("veradigm", redacted_types=["Condition", "AllergyIntolerance"])
        baseline = fhir.read("problem", context=("allergies",))
        assert {part.what for part in baseline.unreadable} == {"problems", "allergies"}
        listed = fhir.people["P1"]["entries"]
        target = next(ref for ref in listed.values() if ref.startswith("Condition/"))
        with pytest.raises(NotPermitted):
            fhir.read("problem", target=target)

    def test_a_write_scope_that_was_not_arranged_is_not_permitted(self, fhir: Stage) -> None:
        plan = fhir.problem()
        fhir.practice.client("veradigm", client_id="reader", scope="system/*.rs")
        reader = fhir.practice.client("veradigm", scope="system/*.rs")
        connection = replace(
            fhir.connection,
            client_id=reader.client_id,
            private_key_pem=reader.key.private_bytes(
                Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
            ).decode(),
        )
        with pytest.raises((NotPermitted, TokenUnavailable)):
            registry.get_adapter(connection).authenticate(plan.steps[0])

    def test_the_name_alike_is_found_and_a_merged_patient_is_not_written_to(
        self, fhir: Stage
    ) -> None:
        identity = fhir.read("problem", neighbourhood=False).identity
        assert identity is not None
        alikes = fhir.adapter.find_name_alikes(identity, at=fhir.at)
        assert [one.id for one in alikes.candidates] == [fhir.people["P2"]["patient"]]
        fhir.practice.lever("merge", loser="P14", survivor="P13")
        with pytest.raises(CannotBeCarried):
            fhir.problem("P14")

    def test_what_the_tenant_does_not_offer_is_withdrawn(self, fhir: Stage) -> None:
        found = fhir.adapter.discover(at=fhir.at)
        assert found.may("problem", "update")
        fhir.practice.settings("veradigm", not_offered=["Condition.update"])
        found = fhir.adapter.discover(at=fhir.at)
        assert not found.may("problem", "update")
        assert found.may("problem", "create")


class TestByUnity:
    def test_a_note_is_filed_unsigned_and_found_by_its_last_line(self, unity: Stage) -> None:
        plan = unity.note()
        reference = unity.send(plan)
        assert reference.startswith("Unity/")
        match = unity.verdict(plan)
        assert match.verdict is matching.Verdict.OURS_EQUAL, match.paths
        assert match.entry is not None
        assert match.entry.canonical["status"] == "unsigned"
        assert (
            match.entry.canonical["author"]
            == unity.adapter.parse(plan).model_dump_canonical()["author"]
        )

    def test_a_problem_is_read_back_equal_by_its_comment(self, unity: Stage) -> None:
        plan = unity.problem()
        unity.send(plan)
        match = unity.verdict(plan)
        assert match.verdict is matching.Verdict.COLLEAGUE_EQUAL, match.paths
        assert match.entry is not None
        assert match.entry.carries(plan.tag)
        assert match.entry.canonical["note"] == CANARY
        said = unity.adapter.parse(plan).model_dump_canonical()
        assert changed_fields("problem", said, match.entry.canonical) == ()

    def test_an_allergy_is_found_by_its_comment(self, unity: Stage) -> None:
        plan = unity.allergy()
        unity.send(plan)
        match = unity.verdict(plan)
        assert match.verdict is matching.Verdict.COLLEAGUE_EQUAL, match.paths
        assert match.entry is not None
        assert match.entry.carries(plan.tag)

    def test_a_task_is_sent_and_cannot_be_looked_for(self, unity: Stage) -> None:
        plan = unity.task()
        unity.send(plan)
        [filed] = unity.practice.resources(vendor="veradigm", type="Task")
        assert plan.tag.short in filed["content"]["code"]["text"]
        assert plan.tag.short in filed["content"]["description"]
        assert unity.verdict(plan).verdict is matching.Verdict.COULD_NOT_LOOK

    def test_200_with_an_error_is_a_refusal_or_unknown_by_what_it_says(self, unity: Stage) -> None:
        for text, branch in (
            ("The document type is not valid.", ContentRefused),
            ("Timeout expired.", ServerError),
            ("A text nobody has seen.", ServerError),
            ("A duplicate record exists.", AlreadyThere),
        ):
            plan = unity.note()
            token = unity.adapter.authenticate(plan.steps[0])
            unity.practice.fault("outcome", vendor="veradigm", path="SaveNote", text=text)
            with pytest.raises(branch) as raised:
                unity.adapter.submit(plan.steps[0], token=token)
            assert raised.value.vendor_text == text
            assert text not in json.dumps(raised.value.facts())

    @pytest.mark.fault("veradigm.licensed-actions")
    def test_an_unlicensed_action_is_not_permitted(self, unity: Stage) -> None:
        plan = unity.note()
        unity.practice.settings("veradigm", unity_licence=["GetUserAuthentication"])
        with pytest.raises(NotPermitted):
            unity.send(plan)

    def test_a_session_that_idled_out_is_rejected_and_a_fresh_one_works(self, unity: Stage) -> None:
        plan = unity.note()
        [step] = plan.steps
        token = unity.adapter.authenticate(step)
        unity.practice.lever("expire_tokens", vendor="veradigm")
        with pytest.raises(TokenRejected):
            unity.adapter.submit(step, token=token)
        assert unity.send(plan)

    def test_a_wrong_password_means_nothing_was_sent(self, unity: Stage) -> None:
        plan = unity.note()
        for name in ("unity_password", "unity_password.areyes"):
            secrets = {**unity.connection.secrets, name: "wrong"}
            wrong = registry.get_adapter(replace(unity.connection, secrets=secrets))
            with pytest.raises(TokenUnavailable) as refused:
                wrong.authenticate(plan.steps[0])
            assert "wrong" not in json.dumps(refused.value.facts())

    def test_the_frozen_bytes_are_sent_with_the_token_alone_filled_in(self, unity: Stage) -> None:
        import base64

        plan = unity.note()
        unity.send(plan)
        sent = base64.b64decode(
            unity.practice.log(vendor="veradigm", method="POST", path="MagicJson")[-1]["body"]
        )
        frozen = json.loads(plan.steps[0].body)
        received = json.loads(sent)
        assert received.pop("Token") != frozen.pop("Token")
        assert received == frozen

    def test_another_zone_than_the_servers_withdraws_unity(self, unity: Stage) -> None:
        found = unity.adapter.discover(at=datetime.now(UTC))
        assert found.may("note", "create")
        assert any("Unity server" in line for line in found.evidence)
        elsewhere = registry.get_adapter(replace(unity.connection, time_zone="Asia/Tokyo"))
        found = elsewhere.discover(at=datetime.now(UTC))
        assert not found.may("note", "create")
        assert not registry.get_adapter(
            replace(unity.connection, capabilities=found)
        ).capabilities.may("note", "create")

    def test_altered_content_is_seen_on_read_back(self, unity: Stage) -> None:
        unity.practice.fault("mangled-content", vendor="veradigm", path="MagicJson/SaveNote")
        plan = unity.note()
        unity.send(plan)
        found = unity.adapter.find([plan.tag], plan, since=unity.at, at=unity.at)
        assert not found.hits, "half a note has no last line"
