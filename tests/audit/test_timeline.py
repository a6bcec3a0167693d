"""Events as a story, and the ways out of the portal."""

import csv
import io
import json
from datetime import timedelta

import pytest

from audit import export, integrity, recording, sequencing, timeline, verify_audit
from audit.models import AuditEvent, EventBody
from audit.tags import AuditTag
from tests.audit.conftest import DOCTOR, LOG, SCRIBE

pytestmark = pytest.mark.django_db


class TestATimeline:
    @pytest.mark.req("000-77", "001-77")
    @pytest.mark.parametrize(
        ("axis", "column", "value"),
        [
            ("patient", "patient_token", "ab12"),
            ("encounter", "encounter_token", "cd34"),
            ("correlation", "correlation_id", "c-1"),
            ("proposal", "proposal_id", "p-1"),
            ("intent", "intent_id", "i-1"),
        ],
    )
    def test_is_found_by(self, note, axis, column, value):
        wanted = note(**{column: value})
        note(**{column: "another"})
        note()
        found = timeline.events(by=axis, value=value, tenant_id=LOG)
        assert [one.id for one in found] == [wanted.pk]

    def test_is_found_by_actor_and_period(self, note, now):
        first = note(actor=DOCTOR, at=now - timedelta(hours=2))
        second = note(actor=DOCTOR, at=now)
        note(actor=SCRIBE, at=now)
        by_actor = timeline.events(by="actor", value="person-3", tenant_id=LOG)
        assert [one.id for one in by_actor] == [second.pk, first.pk]
        within = timeline.events(
            by="period",
            tenant_id=LOG,
            since=now - timedelta(hours=3),
            until=now,
        )
        assert [one.id for one in within] == [first.pk]

    @pytest.mark.req("000-73")
    def test_tells_each_event_in_a_sentence_with_actor_authority_and_place(self, note, now):
        note(AuditTag.INTENT_WIRE_FROZEN, rows=[note()])
        sequencing.sequence(at=now)
        note(AuditTag.INTENT_REVIEW_APPROVED, actor=DOCTOR)
        told = timeline.events(by="intent", value="intent-1", tenant_id=LOG, newest_first=False)
        assert [one.sentence for one in told] == [
            AuditTag.INTENT_RECEIVED.sentence,
            AuditTag.INTENT_WIRE_FROZEN.sentence,
            AuditTag.INTENT_REVIEW_APPROVED.sentence,
        ]
        assert [one.index for one in told] == [0, 1, None]
        assert (told[0].actor_name, told[0].authority) == ("Visit scribe", "system/Task.c")
        assert told[1].rows[0][:2] == ("audit_auditevent", str(told[0].id))

    @pytest.mark.parametrize("newest_first", [True, False])
    def test_goes_on_page_by_page_without_losing_or_doubling(self, note, now, newest_first):
        for place in range(7):
            note(at=now + timedelta(seconds=place // 3))
        whole = timeline.events(by="period", tenant_id=LOG, newest_first=newest_first, limit=None)
        pages, after = [], None
        while page := timeline.events(
            by="period", tenant_id=LOG, newest_first=newest_first, limit=2, after=after
        ):
            pages += page
            after = page[-1].id
        assert pages == whole
        assert len(pages) == 7

    def test_can_be_narrowed_to_some_kinds(self, note):
        note()
        wanted = note(AuditTag.INTENT_PHI_VIEWED, actor=DOCTOR)
        found = timeline.events(by="period", tenant_id=LOG, tags=[AuditTag.INTENT_PHI_VIEWED])
        assert [one.id for one in found] == [wanted.pk]

    def test_shows_a_tenant_nothing_of_another(self, note):
        event = note(tenant_id="clinic-2", patient_token="ab12", body={"a": 1})
        assert timeline.events(by="patient", value="ab12", tenant_id=LOG) == []
        assert timeline.events(by="period", tenant_id=None) == []
        assert timeline.event(event.pk, tenant_id=LOG) is None
        assert timeline.details(event.pk, tenant_id=LOG) is None
        assert timeline.event(event.pk, tenant_id="clinic-2").id == event.pk
        assert timeline.details(event.pk, tenant_id="clinic-2") == {"a": 1}

    def test_of_the_deployment_is_its_own(self, note):
        event = note(tenant_id=None)
        assert [one.id for one in timeline.events(by="period", tenant_id=None)] == [event.pk]

    @pytest.mark.parametrize("axis", ["patient", "actor", "intent"])
    def test_by_nothing_is_refused(self, axis):
        with pytest.raises(ValueError, match="needs a value"):
            timeline.events(by=axis, tenant_id=LOG)

    def test_by_an_unknown_axis_is_refused(self):
        with pytest.raises(ValueError, match="weather"):
            timeline.events(by="weather", value="x", tenant_id=LOG)

    def test_says_when_details_were_destroyed(self, note, now):
        event = note(body={"a": 1})
        assert not timeline.is_destroyed(event.pk)
        recording.shred(
            event_ids=[event.pk], actor=DOCTOR, at=now, tenant_id=LOG, reason="retention"
        )
        assert timeline.is_destroyed(event.pk)
        assert timeline.details(event.pk, tenant_id=LOG) is None

    def test_opens_although_the_log_was_tampered_with(self, note):
        event = note(rows=[note()])
        for rows in ([{"x": 1}], ["x"], 5):
            event.rows = rows
            assert all(len(row) == 3 for row in timeline._rows(event))


class TestLines:
    def test_are_one_json_object_for_each_event(self, note):
        note(rows=[note()])
        told = timeline.events(by="period", tenant_id=LOG)
        lines = list(export.json_lines(told))
        assert all(line.endswith("\n") for line in lines)
        first = json.loads(lines[0])
        assert first["sentence"] == AuditTag.INTENT_RECEIVED.sentence
        assert first["at"] == "2026-11-20T15:00:00.000000Z"
        assert first["rows"][0]["table"] == "audit_auditevent"

    def test_are_one_csv_row_for_each_event_under_a_header(self, note):
        note(rows=[note()])
        told = timeline.events(by="period", tenant_id=LOG)
        rows = list(csv.DictReader(io.StringIO("".join(export.csv_lines(told)))))
        assert len(rows) == 2
        assert rows[0]["actor_name"] == "Visit scribe"
        assert rows[0]["index"] == ""
        assert json.loads(rows[0]["rows"])[0]["id"] == str(told[1].id)

    @pytest.mark.parametrize("name", ["=1+1", "+1", "-1", "@x", "\tx"])
    def test_never_hand_a_formula_to_a_spreadsheet(self, note, name):
        note(actor=DOCTOR.__class__(DOCTOR.kind, DOCTOR.id, name))
        told = timeline.events(by="period", tenant_id=LOG)
        (row,) = csv.DictReader(io.StringIO("".join(export.csv_lines(told))))
        assert row["actor_name"] == f"'{name}"


class TestABundle:
    def _made(self, tmp_path, now, **options):
        return export.bundle(
            folder=tmp_path / "bundle", actor=DOCTOR, at=now, reason="payer audit", **options
        )

    def _entries(self, tmp_path, log=LOG):
        text = (tmp_path / "bundle" / f"log-{log}" / "events.jsonl").read_text()
        return [json.loads(line) for line in text.splitlines()]

    @pytest.mark.req("001-78")
    def test_is_itself_recorded_in_each_log(self, written, note, now, tmp_path):
        note(tenant_id=None)
        sequencing.sequence(at=now)
        made = self._made(tmp_path, now)
        assert made.logs == (LOG, "deployment")
        assert (made.leaves, made.disclosed, made.checkpoints) == (9, 9, 5)
        told = AuditEvent.objects.filter(tag="audit:export:made")
        assert {event.log for event in told} == {LOG, "deployment"}
        event = told.get(log=LOG)
        assert timeline.details(event.pk, tenant_id=LOG) == {
            "reason": "payer audit",
            "leaves": 8,
            "disclosed": 8,
            "bodies": True,
        }

    def test_tells_only_its_period_and_the_changes_in_it(self, note, now, tmp_path):
        day = timedelta(days=1)
        note(at=now - 3 * day, intent_id="before", actor=DOCTOR)
        note(at=now - 2 * day, intent_id="touched")
        note(at=now, intent_id="touched")
        note(at=now, intent_id="")
        note(at=now + 2 * day, intent_id="after")
        sequencing.sequence(at=now)
        made = self._made(tmp_path, now, since=now - day, until=now + day)
        assert (made.leaves, made.disclosed) == (5, 3)
        disclosed = ["leaf" in entry for entry in self._entries(tmp_path)]
        assert disclosed == [False, True, True, True, False]
        assert (
            "Dr A. Reyes" not in (tmp_path / "bundle" / f"log-{LOG}" / "events.jsonl").read_text()
        )
        assert verify_audit.main([str(tmp_path / "bundle")]) == 0

    def test_of_one_log_holds_nothing_of_another(self, written, note, now, tmp_path):
        note(tenant_id="clinic-2")
        sequencing.sequence(at=now)
        self._made(tmp_path, now, logs=["clinic-2"])
        assert [p.name for p in (tmp_path / "bundle").glob("log-*")] == ["log-clinic-2"]
        assert verify_audit.main([str(tmp_path / "bundle")]) == 0

    def test_without_bodies_is_proved_all_the_same(self, written, now, tmp_path):
        self._made(tmp_path, now, bodies=False)
        assert not any("body" in entry for entry in self._entries(tmp_path))
        assert verify_audit.main([str(tmp_path / "bundle")]) == 0

    def test_leaves_out_bodies_that_are_gone(self, written, now, tmp_path):
        first, second = written[:2]
        recording.shred(
            event_ids=[first.pk], actor=DOCTOR, at=now, tenant_id=LOG, reason="retention"
        )
        EventBody.objects.filter(pk=second.pk).update(sealed="v1.a.b.c")
        self._made(tmp_path, now)
        assert ["body" in entry for entry in self._entries(tmp_path)[:2]] == [False, False]

    def test_holds_no_private_key(self, written, now, tmp_path, settings):
        self._made(tmp_path, now)
        secret = sequencing.keys.signing_key().private_bytes_raw().hex()
        for path in (tmp_path / "bundle").rglob("*"):
            if path.is_file():
                assert b"PRIVATE" not in path.read_bytes()
                assert secret not in path.read_text()

    def test_goes_into_an_empty_folder_only(self, written, now, tmp_path):
        self._made(tmp_path, now)
        with pytest.raises(export.ExportFolderNotEmpty):
            self._made(tmp_path, now)

    def test_says_how_to_check_it(self, written, now, tmp_path):
        self._made(tmp_path, now)
        text = (tmp_path / "bundle" / "README.txt").read_text()
        assert "python3 verify_audit.py ." in text
        assert "2026-11-20T15:00:00.000000Z" in text


def test_a_full_check_changes_nothing(written):
    before = AuditEvent.objects.count()
    integrity.check()
    assert AuditEvent.objects.count() == before
