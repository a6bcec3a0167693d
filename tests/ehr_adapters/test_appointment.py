"""An appointment: booked, moved without a gap, cancelled only while it is awaited."""

from typing import Any

import pytest

from ehr_adapters.canonical.base import ChangeInvalid, changed_fields, parse_change, words
from ehr_adapters.canonical.codes import APPOINTMENT_REASON
from ehr_adapters.canonical.fhir_r4 import Destination, from_fhir, to_fhir
from ehr_adapters.canonical.strict_r4 import check
from ehr_adapters.contract import TAG_SYSTEM, Tag, comparable_differences
from ehr_adapters.errors import CannotBeCarried
from tests.ehr_adapters.contents import SAMPLES
from tests.ehr_adapters.fake_ehr import appointment
from tests.ehr_adapters.practice import Practice, fresh_practice, practice
from tests.ehr_adapters.stage import Stage

__all__ = ["fresh_practice", "practice"]
pytestmark = pytest.mark.once

NEW = SAMPLES["appointment", "create"]
TAG = Tag("7b0e3c0a-9d0b-4c5e-8a41-5b2c1d0e9f33")


def destination(current: dict[str, Any] | None = None) -> Destination:
    return Destination(
        patient="Patient/pa-1",
        tag_system=TAG_SYSTEM,
        tag_value=TAG.uuid,
        tag_short=TAG.short,
        current=current,
    )


class TestWhatMayBeSaid:
    @pytest.mark.parametrize(
        ("content", "found"),
        [
            (
                {k: v for k, v in NEW.items() if k not in {"start", "minutes"}},
                ("/start", "missing"),
            ),
            ({k: v for k, v in NEW.items() if k != "minutes"}, ("/minutes", "missing")),
            (NEW | {"minutes": 0}, ("/minutes", "wrong-type")),
            (NEW | {"minutes": "20"}, ("/minutes", "wrong-type")),
            (NEW | {"start": "2026-12-01T09:00:00"}, ("/start", "bad-instant")),
            (NEW | {"provider": "Patient/1"}, ("/provider", "bad-reference")),
            (NEW | {"status": "fulfilled"}, ("/status", "contradicts-interaction")),
            (NEW | {"cancel_reason": "x"}, ("/cancel_reason", "not-in-this-interaction")),
        ],
    )
    def test_that_it_does_not_hold_is_refused(
        self, content: dict[str, Any], found: tuple[str, str]
    ) -> None:
        with pytest.raises(ChangeInvalid) as refused:
            parse_change("appointment", "create", content)
        assert found in [(i.pointer, i.code) for i in refused.value.issues]

    def test_a_slot_alone_will_do_and_a_bare_type_is_a_code(self) -> None:
        content = {"slot": "s-1", "type": "FOLLOWUP", "provider": "pr-1"}
        said = parse_change("appointment", "create", content).model_dump_canonical()
        assert said["slot"] == "Slot/s-1"
        assert said["type"]["system"] == APPOINTMENT_REASON
        assert words("appointment", "type", said["type"]) == "Follow-up (FOLLOWUP)"
        own = parse_change("appointment", "create", content | {"type": "New patient, long"})
        assert own.model_dump_canonical()["type"] == "New patient, long"

    @pytest.mark.parametrize(
        "status", ["arrived", "checked-in", "fulfilled", "noshow", "cancelled"]
    )
    def test_what_is_no_longer_awaited_is_neither_moved_nor_cancelled(self, status: str) -> None:
        for interaction, content in (("update", {"mode": "video"}), ("cancel", {})):
            change = parse_change("appointment", interaction, content)
            assert [i.code for i in change.conflicts_with({"status": status})] == [
                f"already-{status}"
            ]
            assert change.conflicts_with({"status": "booked"}) == ()


class TestInFhir:
    def test_is_valid_and_reads_back(self) -> None:
        change = parse_change("appointment", "create", NEW)
        form = to_fhir(change, destination())
        assert check(form.resource) == ()
        assert form.resource["end"] == "2026-12-01T09:20:00-06:00"
        assert [p["actor"]["reference"] for p in form.resource["participant"]] == [
            "Patient/pa-1",
            "Practitioner/pr-1",
            "Location/lo-1",
        ]
        read = from_fhir(form.resource, tag_system=TAG_SYSTEM)
        assert (read.content, read.uncarried) == (change.model_dump_canonical(), ())

    def test_a_slot_without_its_time_is_refused(self) -> None:
        change = parse_change(
            "appointment", "create", {"slot": "s-1", "type": "FOLLOWUP", "provider": "pr-1"}
        )
        with pytest.raises(ChangeInvalid) as refused:
            to_fhir(change, destination())
        assert [i.pointer for i in refused.value.issues] == ["/start"]

    def test_a_new_time_keeps_its_length_and_leaves_the_old_slot(self) -> None:
        held = appointment(slot=[{"reference": "Slot/old"}])
        change = parse_change("appointment", "update", {"start": "2026-12-04T11:00:00Z"})
        form = to_fhir(change, destination(held))
        assert (form.resource["start"], form.resource["end"]) == (
            "2026-12-04T11:00:00Z",
            "2026-12-04T11:15:00Z",
        )
        assert "slot" not in form.resource
        assert [(one.place, one.removed) for one in form.uncarried] == [("/slot", True)]
        expected = change.applied_to(from_fhir(held).content)
        assert changed_fields("appointment", expected, from_fhir(form.resource).content) == ()
        for name in ("identifier", "comment", "participant", "appointmentType", "reasonCode"):
            assert form.resource[name] == held[name]

    def test_another_clinician_takes_the_place_of_the_first_only(self) -> None:
        change = parse_change("appointment", "update", {"provider": "pr-9", "location": "lo-1"})
        form = to_fhir(change, destination(appointment()))
        assert [p["actor"]["reference"] for p in form.resource["participant"]] == [
            "Patient/pa-1",
            "Practitioner/pr-9",
            "Practitioner/pr-2",
            "Location/lo-1",
        ]

    def test_a_strangers_appointment_is_read_and_nothing_goes_unseen(self) -> None:
        stranger = appointment(
            appointmentType={"coding": [{"system": "urn:x", "code": "1"}], "text": "Long"},
            end="2026-12-03T10:15:30-06:00",
            minutesDuration=20,
            status="entered-in-error",
        )
        read = from_fhir(stranger)
        assert read.content == {
            "start": "2026-12-03T10:00:00-06:00",
            "provider": "Practitioner/pr-1",
            "reason": "Blood pressure",
        }
        assert {"end", "minutesDuration", "status", "comment", "appointmentType.text"} <= {
            one.place for one in read.uncarried
        }
        assert "participant[0].status" in {one.place for one in read.uncarried}

    def test_whether_the_patient_was_told_stays_here(self) -> None:
        form = to_fhir(
            parse_change("appointment", "create", NEW | {"patient_told": True}), destination()
        )
        assert [one.place for one in form.uncarried] == ["/patient_told"]


class TestInThePracticeEhr:
    def test_is_booked_moved_and_cancelled(self, fresh_practice: Practice) -> None:
        stage = Stage(fresh_practice, "generic")
        provider = stage.people["staff"]["prescriber_one"]["practitioner"]
        plan = stage.create("appointment", NEW | {"provider": f"Practitioner/{provider}"})
        made = stage.send(plan)
        assert stage.held(plan) == [made]
        assert [s.reference for s in stage.read("appointment").neighbours("appointment")] == [made]
        for interaction, content in (
            ("update", {"start": "2026-12-08T15:00:00-06:00", "mode": "telephone"}),
            ("cancel", {"cancel_reason": "The patient is away."}),
        ):
            plan = stage.change("appointment", made, interaction, **content)
            stage.send(plan)
            entry = stage.entry("appointment", made)
            assert comparable_differences(plan.comparable, entry.comparable) == ()
            said = stage.adapter.parse(plan).model_dump_canonical()
            assert changed_fields("appointment", said, entry.canonical) == ()
        assert stage.read("appointment").neighbours("appointment") == ()
        with pytest.raises(CannotBeCarried) as refused:
            stage.change("appointment", made, mode="video")
        assert [i.code for i in refused.value.issues] == ["already-cancelled"]

    def test_another_patients_appointment_is_not_touched(self, fresh_practice: Practice) -> None:
        made = Stage(fresh_practice, "generic").send(
            Stage(fresh_practice, "generic").create("appointment", NEW)
        )
        with pytest.raises(CannotBeCarried) as refused:
            Stage(fresh_practice, "generic", who="P6").change("appointment", made, "cancel")
        assert [i.code for i in refused.value.issues] == ["target-of-another"]
