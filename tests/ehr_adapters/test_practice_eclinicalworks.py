"""The eClinicalWorks adapter against its practice EHR, over HTTP, with its faults and levers."""

from typing import Any

import pytest

from ehr_adapters.canonical.base import changed_fields
from ehr_adapters.canonical.codes import ICD10CM
from ehr_adapters.capabilities import VersionCheck
from ehr_adapters.contract import WirePlan, comparable_differences
from ehr_adapters.errors import (
    AdapterError,
    AlreadyThere,
    CannotBeCarried,
    ContentRefused,
    NotPermitted,
    RateLimited,
    ServerError,
    TokenUnavailable,
    UnreadableReply,
)
from ehr_adapters.vendors.eclinicalworks.transactions import as_single
from tests.ehr_adapters.practice import Practice, fresh_practice, practice
from tests.ehr_adapters.stage import Stage

__all__ = ["fresh_practice", "practice"]
pytestmark = [pytest.mark.once, pytest.mark.req("003-60")]

VENDOR = "eclinicalworks"
TYPES = {
    "problem": "Condition",
    "note": "DocumentReference",
    "allergy": "AllergyIntolerance",
    "medication": "MedicationStatement",
    "vitals": "Observation",
    "order": "ServiceRequest",
    "task": "Task",
    "message": "Communication",
    "questionnaire": "QuestionnaireResponse",
    "encounter": "Encounter",
}
FILED = {"questionnaire", "encounter"}
# Kinds of which nothing can be read: what somebody is to act on.
SENT = {"task", "message"}
RXNORM = "http://www.nlm.nih.gov/research/umls/rxnorm"
LOINC = "http://loinc.org"
ALLERGY = {
    "substance": {"system": RXNORM, "code": "723", "display": "amoxicillin"},
    "category": "medication",
    "clinical_status": "active",
    "verification": "unconfirmed",
    "criticality": "high",
    "reactions": [{"manifestation": "247472004"}],
}
MEDICATION = {
    "drug": {"system": RXNORM, "code": "6809", "display": "metformin"},
    "dose": {"value": "500", "unit": "mg"},
    "route": "26643006",
    "frequency": {"times": 2, "per": 1, "unit": "d"},
    "sig_text": "500 mg twice a day with meals.",
    "status": "active",
    "start": "2026-11",
    "end": "2027-01-31",
}
ORDER = {
    "category": "lab",
    "code": {"system": LOINC, "code": "2823-3", "display": "Potassium"},
    "priority": "routine",
    "status": "draft",
    "when": "2026-12-04",
}
QUESTIONNAIRE = {
    "form": {"id": "http://clinic.example/Questionnaire/sleep", "version": "2"},
    "answered_by": "patient",
    "answered_at": "2026-11-20T08:30:00-06:00",
    "answers": [{"link_id": "trouble", "question": "What troubles you", "value": "the cough"}],
}
MESSAGE = {
    "to": {"who": "patient"},
    "subject": "Your question",
    "body": "Said so today: please bring your diary.",
    "carries": ["none"],
}


@pytest.fixture
def ecw(fresh_practice: Practice) -> Stage:
    fresh_practice.settings(VENDOR, calls_per_minute=10_000)
    return Stage(fresh_practice, VENDOR, messages_reach_patients=True)


def problem(stage: Stage, **more: Any) -> WirePlan:
    content = {
        "code": {"system": ICD10CM, "code": "R42", "display": "Dizziness and giddiness"},
        "category": "problem-list-item",
        "clinical_status": "active",
        "verification": "provisional",
        "note": "Said so today.",
    }
    return stage.create("problem", content | more)


def note(stage: Stage, text: str = "BP ≥ 140|90\n====\nFollow up.", **more: Any) -> WirePlan:
    content = {
        "type": "11506-3",
        "status": "unsigned",
        "author": stage.people["staff"]["prescriber_one"]["practitioner"],
        "date": stage.at.isoformat(timespec="seconds"),
        "sections": [{"title": "Plan", "text": text}],
    }
    return stage.create("note", content | more)


def vitals(stage: Stage) -> dict[str, Any]:
    return {
        "readings": [
            {"code": "8480-6", "value": {"value": "148", "unit": "mm[Hg]"}},
            {"code": "8462-4", "value": {"value": "90", "unit": "mm[Hg]"}},
        ],
        "effective_at": stage.at.isoformat(timespec="seconds"),
        "origin": "measured",
    }


def task(stage: Stage) -> dict[str, Any]:
    return {
        "title": "Call about the cough",
        "owner": f"Practitioner/{stage.people['staff']['nurse']['practitioner']}",
        "due": "2026-11-27",
        "description": "Said so today.",
    }


def encounter(stage: Stage) -> dict[str, Any]:
    return {
        "class": "telephone",
        "status": "in-progress",
        "start": stage.at.isoformat(timespec="seconds"),
        "provider": f"Practitioner/{stage.people['staff']['prescriber_one']['practitioner']}",
        "reason": "Said so today.",
    }


def plan_of(stage: Stage, kind: str) -> WirePlan:
    if kind in {"problem", "note"}:
        return {"problem": problem, "note": note}[kind](stage)
    known: dict[str, dict[str, Any]] = {
        "allergy": ALLERGY,
        "medication": MEDICATION,
        "order": ORDER,
        "message": MESSAGE,
        "questionnaire": QUESTIONNAIRE,
    }
    made = {"vitals": vitals, "task": task, "encounter": encounter}
    return stage.create(kind, known[kind] if kind in known else made[kind](stage))


def waiting(stage: Stage) -> list[dict[str, Any]]:
    """What our own client left among the App Data."""
    return [
        each
        for each in stage.practice.staged(vendor=VENDOR)
        if each["author"] == f"client:{stage.backend.client_id}" and each["state"] == "waiting"
    ]


def effects(stage: Stage) -> int:
    """How many entries the portal's requests left in the practice, wherever."""
    log = stage.practice.log(vendor=VENDOR, method="POST")
    return sum(len(each["committed"]) + len(each["staged"]) for each in log)


class TestAProblem:
    @pytest.mark.req("001-53")
    def test_waits_among_the_app_data_until_somebody_reconciles_it(self, ecw: Stage) -> None:
        plan = problem(ecw)
        reference = ecw.send(plan)
        assert [each["reference"] for each in waiting(ecw)] == [reference]
        assert ecw.adapter.read_entry(kind="problem", reference=reference, at=ecw.at) is None
        found = ecw.adapter.find([plan.tag], plan, since=ecw.at, at=ecw.at)
        assert (found.complete, found.hits) == (False, ())
        ecw.practice.lever("accept_staged", vendor=VENDOR, reference=reference)
        entry = ecw.entry("problem", reference)
        assert comparable_differences(plan.comparable, entry.comparable) == ()
        said = ecw.adapter.parse(plan).model_dump_canonical()
        assert changed_fields("problem", said, entry.canonical) == ()

    def test_that_has_ended_carries_its_end(self, ecw: Stage) -> None:
        plan = problem(ecw, clinical_status="inactive", abatement="2026-10")
        ecw.send(plan)
        [item] = waiting(ecw)
        assert item["content"]["abatementDateTime"] == "2026-10"

    def test_twice_is_two_so_nothing_is_sent_twice(self, ecw: Stage) -> None:
        plan = problem(ecw)
        assert ecw.send(plan) != ecw.send(plan)
        assert not ecw.adapter.capabilities.get("problem", "create").retry.may_resend


class TestWhatWaits:
    @pytest.mark.req("001-53")
    @pytest.mark.parametrize("kind", sorted({*TYPES} - SENT - FILED - {"note", "problem"}))
    def test_is_read_as_it_was_said_once_it_is_reconciled(self, ecw: Stage, kind: str) -> None:
        plan = plan_of(ecw, kind)
        reference = ecw.send(plan)
        assert [each["reference"] for each in waiting(ecw)] == [reference]
        assert ecw.adapter.read_entry(kind=kind, reference=reference, at=ecw.at) is None
        ecw.practice.lever("accept_staged", vendor=VENDOR, reference=reference)
        entry = ecw.entry(kind, reference)
        assert entry.patient == f"Patient/{ecw.people['P1']['patient']}"
        capability = ecw.adapter.capabilities.get(kind, "create")
        differing = {
            place.split("/")[1]
            for place in comparable_differences(plan.comparable, entry.comparable)
        }
        # Whoever reconciles an entry also says how sure it is.
        assert differing <= set(capability.set_on_acceptance)

    def test_a_reaction_is_kept_as_its_words(self, ecw: Stage) -> None:
        ecw.send(plan_of(ecw, "allergy"))
        [item] = waiting(ecw)
        assert item["content"]["reaction"] == [{"manifestation": [{"text": "Allergy : Wheal"}]}]
        assert not {"category", "note", "verificationStatus"} & set(item["content"])

    def test_a_medication_is_to_be_reconciled_and_never_ordered(self, ecw: Stage) -> None:
        plan = plan_of(ecw, "medication")
        reference = ecw.send(plan)
        assert b'"category": {"text": "reconcile"}' in plan.steps[0].body.replace(
            b'":', b'": '
        ).replace(b'":  ', b'": ')
        assert reference.startswith("MedicationRequest/")
        [item] = waiting(ecw)
        [line] = item["content"]["dosageInstruction"]
        assert line["route"] == {"text": "Oral route"}
        assert line["timing"]["code"]["text"]
        assert item["content"]["intent"] == "plan"

    def test_vital_signs_name_no_visit(self, ecw: Stage) -> None:
        plan = plan_of(ecw, "vitals")
        assert "/encounter" in {r.pointer for r in plan.not_carried}
        ecw.send(plan)
        [item] = waiting(ecw)
        assert "encounter" not in item["content"]

    def test_vital_signs_need_a_build_that_takes_them(self, fresh_practice: Practice) -> None:
        stage = Stage(fresh_practice, VENDOR, build="12.0.2.1")
        found = stage.adapter.capabilities.lookup("vitals", "create")
        assert found is not None
        assert (found.supported, "12.0.3.04009405" in found.sentence) == (False, True)

    def test_an_order_for_a_locked_visit_is_refused(self, ecw: Stage) -> None:
        locked = Stage(ecw.practice, VENDOR, who="P9")
        with pytest.raises(ContentRefused) as refused:
            locked.send(plan_of(locked, "order"))
        assert refused.value.vendor_code == "139"


class TestWhatIsFiled:
    @pytest.mark.parametrize("kind", sorted(FILED))
    def test_is_read_as_it_was_said(self, ecw: Stage, kind: str) -> None:
        plan = plan_of(ecw, kind)
        reference = ecw.send(plan)
        entry = ecw.entry(kind, reference)
        ignored = ecw.adapter.capabilities.get(kind, "create").server_owned
        places = comparable_differences(plan.comparable, entry.comparable)
        assert {place.split("/")[1] for place in places} <= set(ignored)
        said = ecw.adapter.parse(plan).model_dump_canonical()
        assert changed_fields(kind, said, entry.canonical) == ()

    def test_is_a_plain_create_for_answers_only(self, ecw: Stage) -> None:
        assert plan_of(ecw, "questionnaire").steps[0].path == "QuestionnaireResponse"
        assert plan_of(ecw, "encounter").steps[0].path == ""


class TestTheRecordOfAPatient:
    def changed(self, stage: Stage, **content: Any) -> WirePlan:
        target = f"Patient/{stage.people[stage.who]['patient']}"
        return stage.change("demographics", target, **content)

    def test_is_changed_whole_by_the_same_door_and_found_by_its_id(self, ecw: Stage) -> None:
        plan = self.changed(ecw, email="ngozi@clinic.example")
        single = as_single(plan.steps[0])
        assert (plan.steps[0].path, single.method, single.path) == ("", "PUT", plan.target)
        before = ecw.entry("demographics", plan.target)
        assert ecw.send(plan) == plan.target
        assert ecw.held(plan) == [plan.target]
        after = ecw.entry("demographics", plan.target)
        assert changed_fields("demographics", before.canonical, after.canonical) == ("email",)
        assert comparable_differences(plan.comparable, after.comparable) == ()

    def test_is_not_checked_for_a_colleagues_change(self, ecw: Stage) -> None:
        plan = self.changed(ecw, email="ngozi@clinic.example")
        capability = ecw.adapter.capabilities.get("demographics", "update")
        assert capability.version_check is VersionCheck.NONE
        assert capability.whole_resource
        assert plan.steps[0].header("If-Match") == ""


class TestWhatIsSent:
    @pytest.mark.parametrize("kind", sorted(SENT))
    def test_cannot_be_looked_for(self, ecw: Stage, kind: str) -> None:
        plan = plan_of(ecw, kind)
        assert ecw.send(plan).startswith(TYPES[kind])
        found = ecw.adapter.find([plan.tag], plan, since=ecw.at, at=ecw.at)
        assert (found.complete, found.hits) == (False, ())
        if kind == "task":
            assert [each.what for each in ecw.read("task").unreadable] == ["tasks"]

    def test_messages_are_off_until_their_direction_is_known(
        self, fresh_practice: Practice
    ) -> None:
        stage = Stage(fresh_practice, VENDOR)
        assert not stage.adapter.capabilities.may("message", "create")


class TestANote:
    def test_reaches_the_progress_note_in_the_characters_of_the_practice(self, ecw: Stage) -> None:
        plan = note(ecw)
        assert [r.code for r in plan.remarks if r.pointer == "/sections/0/text"] == ["replaced"]
        reference = ecw.send(plan)
        [entry] = ecw.practice.log(vendor=VENDOR, method="POST", path="^$")[-1:]
        assert entry["committed"][0].startswith(reference)
        found = ecw.adapter.find([plan.tag], plan, since=ecw.at, at=ecw.at)
        assert (found.complete, found.hits) == (False, ())

    def test_is_found_and_equal_where_notes_are_listed(self, fresh_practice: Practice) -> None:
        fresh_practice.settings(VENDOR, calls_per_minute=10_000, notes_listed=True)
        stage = Stage(fresh_practice, VENDOR, notes_read_back_probed="2026-11-20")
        plan = note(stage)
        reference = stage.send(plan)
        assert stage.held(plan) == [reference]
        entry = stage.entry("note", reference)
        assert entry.carries(plan.tag)
        assert comparable_differences(plan.comparable, entry.comparable) == ()
        assert entry.canonical["sections"] == [
            {"title": "Plan", "text": "BP >= 140|90\n====\nFollow up."}
        ]

    def test_in_wider_characters_where_the_practice_holds_them(
        self, fresh_practice: Practice
    ) -> None:
        fresh_practice.settings(VENDOR, calls_per_minute=10_000, repertoire="utf-8")
        stage = Stage(fresh_practice, VENDOR, repertoire="utf-8", who="P12")
        assert stage.send(note(stage, "Zoë: BP ≥ 140, 5 µg, “quoted”"))
        narrow = Stage(fresh_practice, VENDOR, who="P12")
        with pytest.raises(CannotBeCarried):
            note(narrow, "Zoë")

    @pytest.mark.fault("eclinicalworks.locked-visit")
    def test_of_a_locked_visit_is_refused(self, ecw: Stage) -> None:
        locked = Stage(ecw.practice, VENDOR, who="P9")
        with pytest.raises(ContentRefused) as refused:
            locked.send(note(locked))
        assert refused.value.vendor_code == "139"
        assert "locked" in refused.value.sentence

    def test_that_a_connection_sets_too_wide_is_refused_by_number(
        self, fresh_practice: Practice
    ) -> None:
        fresh_practice.settings(VENDOR, calls_per_minute=10_000)
        for repertoire in ("iso-8859-1", "utf-8"):
            stage = Stage(fresh_practice, VENDOR, repertoire=repertoire)
            with pytest.raises(ContentRefused) as refused:
                stage.send(note(stage, "5 µg"))
            assert refused.value.vendor_code == "108"
            with pytest.raises(ContentRefused) as refused:
                stage.send(problem(stage, note="5 µg"))
            assert refused.value.vendor_code == "614"


NUMBERS: dict[str, type[AdapterError]] = {
    "2": ServerError,
    "108": ContentRefused,
    "109": ContentRefused,
    "139": ContentRefused,
    "201": ContentRefused,
    "202": AlreadyThere,
    "308": NotPermitted,
    "614": ContentRefused,
    "9999": UnreadableReply,
}


@pytest.mark.parametrize("kind", sorted(TYPES))
class TestFaults:
    def test_a_late_commit_cannot_be_seen(self, ecw: Stage, kind: str) -> None:
        plan = plan_of(ecw, kind)
        token = ecw.adapter.authenticate(plan.steps[0])
        ecw.practice.fault(
            "late-commit", vendor=VENDOR, method="POST", path=f"^{TYPES[kind]}", after_ms=600_000
        )
        with pytest.raises(ServerError):
            ecw.adapter.submit(plan.steps[0], token=token)
        assert effects(ecw) == 0
        ecw.practice.lever("commit_late", vendor=VENDOR)
        assert effects(ecw) == 1
        found = ecw.adapter.find([plan.tag], plan, since=ecw.at, at=ecw.at)
        # A candidate for a person where the kind is served, nothing at all where it is not.
        assert bool(found.hits) == (kind in FILED)
        assert found.method.hit_proves is False


@pytest.mark.parametrize("kind", sorted({*TYPES} - {"questionnaire"}))
def test_a_number_becomes_its_branch(ecw: Stage, kind: str) -> None:
    step = plan_of(ecw, kind).steps[0]
    token = ecw.adapter.authenticate(step)
    for number, branch in NUMBERS.items():
        ecw.practice.fault(
            "outcome", vendor=VENDOR, method="POST", path=f"^{TYPES[kind]}", number=number
        )
        with pytest.raises(branch) as raised:
            ecw.adapter.submit(step, token=token)
        assert raised.value.vendor_code == number


@pytest.mark.parametrize("fault", ["dropped-field", "mangled-content"])
def test_what_was_altered_on_the_way_is_seen_once_it_can_be_read(ecw: Stage, fault: str) -> None:
    plan = problem(ecw)
    order: dict[str, Any] = (
        {"field": "note"} if fault == "dropped-field" else {"set": {"/note/0/text": "other"}}
    )
    ecw.practice.fault(fault, vendor=VENDOR, method="POST", path="^Condition", **order)
    reference = ecw.send(plan)
    ecw.practice.lever("accept_staged", vendor=VENDOR, reference=reference)
    entry = ecw.entry("problem", reference)
    places = comparable_differences(plan.comparable, entry.comparable)
    assert places
    assert all(place.startswith("/note") for place in places)


class TestThePractice:
    def test_that_withdraws_a_scope_no_longer_offers_the_kind(self, ecw: Stage) -> None:
        found = ecw.adapter.discover(at=ecw.at)
        assert found.may("problem", "create")
        assert found.may("note", "create")
        plan = problem(ecw)
        ecw.practice.settings(VENDOR, not_offered=["Condition.create"])
        found = ecw.adapter.discover(at=ecw.at)
        assert not found.may("problem", "create")
        assert found.may("note", "create")
        assert "system/Condition.c" in found.lookup("problem", "create").sentence  # type: ignore[union-attr]  # it is declared
        with pytest.raises(TokenUnavailable) as refused:
            ecw.adapter.authenticate(plan.steps[0])
        assert (refused.value.status, refused.value.vendor_code) == (400, "invalid_grant")

    @pytest.mark.fault("eclinicalworks.no-default-user")
    def test_without_a_default_user_is_a_matter_of_set_up(self, ecw: Stage) -> None:
        plan = problem(ecw)
        ecw.practice.settings(VENDOR, default_user=False)
        with pytest.raises(NotPermitted) as refused:
            ecw.send(plan)
        assert refused.value.vendor_code == "308"
        assert "administrator" in refused.value.next_step

    @pytest.mark.fault("eclinicalworks.calls-a-minute")
    def test_that_is_asked_too_often_is_left_alone_until_the_minute_is_over(
        self, ecw: Stage
    ) -> None:
        plan = problem(ecw)
        token = ecw.adapter.authenticate(plan.steps[0])
        ecw.practice.settings(VENDOR, calls_per_minute=1)
        with pytest.raises(RateLimited) as limited:
            ecw.adapter.submit(plan.steps[0], token=token)
        assert 0 < (limited.value.retry_after or 0) <= 60
        with pytest.raises(TokenUnavailable) as refused:
            ecw.adapter.authenticate(plan.steps[0])
        assert refused.value.status == 429
        with pytest.raises(AdapterError) as unread:
            ecw.read("problem")
        assert 0 < (unread.value.retry_after or 0) <= 60
        assert effects(ecw) == 0

    @pytest.mark.req("003-09")
    def test_shows_the_name_alike_and_the_merged(self, ecw: Stage) -> None:
        identity = ecw.read("problem", neighbourhood=False).identity
        assert identity is not None
        alikes = ecw.adapter.find_name_alikes(identity, at=ecw.at)
        assert [c.id for c in alikes.candidates] == [ecw.people["P2"]["patient"]]
        ecw.practice.lever("merge", vendor=VENDOR, loser="P14", survivor="P13")
        lost = Stage(ecw.practice, VENDOR, who="P14")
        with pytest.raises(CannotBeCarried):
            problem(lost)

    def test_shows_the_chart_beside_a_change(self, ecw: Stage) -> None:
        baseline = ecw.read("problem", context=("allergies", "medications", "results"))
        assert baseline.unreadable == ()
        assert [s.canonical["code"][0]["code"] for s in baseline.neighbours("problem")]
        for what in ("allergies", "medications", "results"):
            assert baseline.context(what)
