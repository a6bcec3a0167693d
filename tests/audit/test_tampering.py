"""The log broken in each possible way: noticed by the product and by the auditor's own file, and named."""

import io
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError

from audit import (
    export,
    insert_only,
    integrity,
    merkle,
    recording,
    sequencing,
    vault,
    verify_audit,
)
from audit.models import AuditEvent, Checkpoint, EventBody, LogLeaf, PendingEvent
from audit.tags import APPROVALS, VOIDS_APPROVAL, AuditTag
from audit.verification import BreakKind
from intents.management.commands.verify_audit import Command
from tests.audit.conftest import DOCTOR, LOG, as_owner
from tests.conftest import NOW

pytestmark = pytest.mark.django_db

INDEX = '"index"'


def _swap(run, first, second):
    """Exchange the events of two leaves, hashes and all."""
    rows = {leaf.index: leaf for leaf in LogLeaf.objects.filter(index__in=[first, second])}
    for place, other in ((first, second), (second, first)):
        # Through a free value, since event ids are unique.
        run(
            f"UPDATE audit_logleaf SET event_id = %s WHERE {INDEX} = %s",
            f"{place:032x}",
            place,
        )
        run(
            f"UPDATE audit_logleaf SET leaf_hash = %s WHERE {INDEX} = %s",
            rows[other].leaf_hash,
            place,
        )
    for place, other in ((first, second), (second, first)):
        run(
            f"UPDATE audit_logleaf SET event_id = %s WHERE {INDEX} = %s",
            rows[other].event_id.hex,
            place,
        )


def _event(index):
    return AuditEvent.objects.get(pk=LogLeaf.objects.get(log=LOG, index=index).event_id)


def _rewrite(run, index, **changes):
    """Change an event so that its columns, its leaf and its leaf's hash agree again."""
    event = _event(index)
    for name, value in changes.items():
        setattr(event, name, value)
    text = recording.leaf_text(event)
    columns = ", ".join(f"{name} = %s" for name in changes)
    run(
        f"UPDATE audit_auditevent SET leaf = %s, {columns} WHERE id = %s",
        text,
        *changes.values(),
        event.pk.hex,
    )
    run(
        f"UPDATE audit_logleaf SET leaf_hash = %s WHERE {INDEX} = %s",
        merkle.leaf_hash(text.encode()).hex(),
        index,
    )


def _insert(run, index):
    """A leaf put in between, with its event, and everything after it moved up by one."""
    for leaf in LogLeaf.objects.filter(log=LOG, index__gte=index).order_by("-index"):
        run(f"UPDATE audit_logleaf SET {INDEX} = {INDEX} + 1 WHERE id = %s", leaf.pk)
    forged = _event(0)
    forged.pk = None
    forged.id = AuditEvent._meta.pk.get_default()
    forged.leaf = recording.leaf_text(forged)
    forged._state.adding = True
    forged.save()
    LogLeaf(
        log=LOG,
        index=index,
        event_id=forged.id,
        leaf_hash=merkle.leaf_hash(forged.leaf.encode()).hex(),
    ).save()


def _drop(run, index):
    """A leaf taken out with its event, and everything after it moved down by one."""
    leaf = LogLeaf.objects.get(log=LOG, index=index)
    run("DELETE FROM audit_auditevent WHERE id = %s", leaf.event_id.hex)
    run("DELETE FROM audit_logleaf WHERE id = %s", leaf.pk)
    for later in LogLeaf.objects.filter(log=LOG, index__gt=index).order_by("index"):
        run(f"UPDATE audit_logleaf SET {INDEX} = {INDEX} - 1 WHERE id = %s", later.pk)


def _roll_back(run, size):
    """The database as it was when it had this many leaves."""
    gone = [leaf.event_id for leaf in LogLeaf.objects.filter(log=LOG, index__gte=size)]
    for event_id in gone:
        run("DELETE FROM audit_auditevent WHERE id = %s", event_id.hex)
        run("DELETE FROM audit_eventbody WHERE event_id = %s", event_id.hex)
    run(f"DELETE FROM audit_logleaf WHERE {INDEX} >= %s", size)
    run("DELETE FROM audit_checkpoint WHERE tree_size > %s", size)


# name: (what the owner does, what it is called, the leaf that is named, noticed in an export alone)
TAMPERINGS = {
    "an event's leaf text edited": (
        lambda run: run(
            "UPDATE audit_auditevent SET leaf = replace(leaf, 'person-3', 'person-4')"
            " WHERE tag = 'intent:review:approved'"
        ),
        BreakKind.EVENT_CHANGED,
        4,
        True,
    ),
    "an event edited with its leaf and hash": (
        lambda run: _rewrite(run, 3, actor_id="agent-8"),
        BreakKind.ORDER_CHANGED,
        2,
        True,
    ),
    "an event removed": (
        lambda run: run("DELETE FROM audit_auditevent WHERE tag = 'intent:policy:decided'"),
        BreakKind.EVENT_MISSING,
        3,
        True,
    ),
    "a leaf removed": (
        lambda run: run(f"DELETE FROM audit_logleaf WHERE {INDEX} = 3"),
        BreakKind.LEAF_MISSING,
        3,
        True,
    ),
    "an event and its leaf removed without a gap": (
        lambda run: _drop(run, 3),
        BreakKind.ORDER_CHANGED,
        2,
        True,
    ),
    "a leaf's hash edited": (
        lambda run: run(
            f"UPDATE audit_logleaf SET leaf_hash = '00' || substr(leaf_hash, 3) WHERE {INDEX} = 6"
        ),
        BreakKind.EVENT_CHANGED,
        6,
        True,
    ),
    "an event inserted with a leaf in between": (
        lambda run: _insert(run, 3),
        BreakKind.ORDER_CHANGED,
        2,
        True,
    ),
    "an event inserted with a leaf at the end": (
        lambda run: _insert(run, 8),
        BreakKind.LEAF_INSERTED,
        8,
        True,
    ),
    "two leaves exchanged": (
        lambda run: _swap(run, 5, 6),
        BreakKind.ORDER_CHANGED,
        5,
        True,
    ),
    "the end cut off": (
        lambda run: run(f"DELETE FROM audit_logleaf WHERE {INDEX} >= 6"),
        BreakKind.TRUNCATED,
        6,
        True,
    ),
    "the end cut off with its checkpoint": (
        lambda run: _roll_back(run, 7),
        BreakKind.ROLLED_BACK,
        7,
        True,
    ),
    "an old backup put back": (
        lambda run: _roll_back(run, 2),
        BreakKind.ROLLED_BACK,
        2,
        True,
    ),
    "everything removed": (
        lambda run: _roll_back(run, 0),
        BreakKind.ROLLED_BACK,
        0,
        False,
    ),
    "a checkpoint removed": (
        lambda run: run("DELETE FROM audit_checkpoint WHERE tree_size = 5"),
        BreakKind.CHECKPOINT_MISSING,
        5,
        True,
    ),
    "the last checkpoint removed": (
        lambda run: run("DELETE FROM audit_checkpoint WHERE tree_size = 8"),
        BreakKind.LEAF_INSERTED,
        7,
        True,
    ),
    "a checkpoint's note edited": (
        lambda run: run(
            "UPDATE audit_checkpoint SET note = replace(note, %s, %s) WHERE tree_size = 5",
            "\n5\n",
            "\n4\n",
        ),
        BreakKind.CHECKPOINT_CHANGED,
        2,
        True,
    ),
    "a checkpoint's size edited": (
        lambda run: run("UPDATE audit_checkpoint SET tree_size = 6 WHERE tree_size = 5"),
        BreakKind.CHECKPOINT_CHANGED,
        2,
        False,
    ),
    "a checkpoint's root edited": (
        lambda run: run("UPDATE audit_checkpoint SET root = '00' WHERE tree_size = 5"),
        BreakKind.CHECKPOINT_CHANGED,
        2,
        False,
    ),
    "a checkpoint's edge edited": (
        lambda run: run("UPDATE audit_checkpoint SET edge = '[]' WHERE tree_size = 5"),
        BreakKind.CHECKPOINT_CHANGED,
        2,
        False,
    ),
    "a body edited": (
        lambda run: run(
            "UPDATE audit_eventbody SET sealed = 'v1.a.b.c' WHERE event_id IN"
            " (SELECT id FROM audit_auditevent WHERE tag = 'intent:write:submitted')"
        ),
        BreakKind.BODY_CHANGED,
        5,
        False,
    ),
    "a body removed": (
        lambda run: run(
            "DELETE FROM audit_eventbody WHERE event_id IN"
            " (SELECT id FROM audit_auditevent WHERE tag = 'intent:write:submitted')"
        ),
        BreakKind.BODY_MISSING,
        5,
        False,
    ),
    "an event put in beside the log": (
        lambda run: _insert(run, 8) or run(f"DELETE FROM audit_logleaf WHERE {INDEX} = 8"),
        BreakKind.EVENT_INSERTED,
        None,
        False,
    ),
}


def _export(folder):
    export.bundle(folder=folder, actor=DOCTOR, at=NOW, reason="test")
    return folder


def _checked_alone(folder):
    """What the auditor's file says, run as an auditor would: no project, no site packages."""
    finished = subprocess.run(
        [sys.executable, "-I", "-S", folder / "verify_audit.py", folder],
        capture_output=True,
        text=True,
        cwd="/",
        env={"PATH": os.environ["PATH"]},
        timeout=60,
        check=False,
    )
    assert finished.stderr == ""
    return finished.returncode, finished.stdout


def _command(**options):
    out = io.StringIO()
    try:
        call_command(Command(stdout=out), **options)
    except CommandError as refusal:
        return 1, f"{out.getvalue()}{refusal}"
    return 0, out.getvalue()


@pytest.mark.req("000-75", "003-51")
class TestATamperedLog:
    @pytest.mark.parametrize(
        ("tamper", "kind", "index", "in_export"), TAMPERINGS.values(), ids=TAMPERINGS
    )
    def test_is_noticed_and_the_break_is_named(
        self, written, tmp_path, tamper, kind, index, in_export
    ):
        assert integrity.check().breaks == ()
        with as_owner() as run:
            tamper(run)
        report = integrity.check()
        first = report.first
        assert (first.kind, first.index, first.log) == (kind, index, LOG), report.breaks
        status, said = _command()
        assert status == 1
        assert first.sentence in said
        status, said = _checked_alone(_export(tmp_path / "export"))
        assert (status == 1) == in_export, said

    @pytest.mark.req("001-78")
    def test_checked_by_command_tells_so_in_each_log(self, written, note, now):
        note(tenant_id=None)
        sequencing.sequence(at=now)
        _command()
        with as_owner() as run:
            run(
                "UPDATE audit_auditevent SET tag = 'x' WHERE log = 'clinic-1' AND tag LIKE 'intent%%'"
            )
        _, said = _command()
        assert "log clinic-1: 0 of 8 leaves proved" in said
        told = AuditEvent.objects.filter(tag="audit:verification:ran").order_by("recorded_at")
        bodies = [(one.log, vault.content_of(one.pk)["first_break"]) for one in told]
        assert bodies == [
            (LOG, ""),
            ("deployment", ""),
            (LOG, "EVENT_CHANGED"),
            ("deployment", ""),
        ]
        assert told[0].actor_id.startswith("os:")

    def test_that_is_whole_holds_everywhere(self, written, tmp_path):
        status, said = _command(export=tmp_path / "export")
        assert status == 0
        assert "8 of 8 leaves proved, 4 checkpoints, 4 witnessed" in said
        assert "Everything holds" in said
        status, said = _checked_alone(tmp_path / "export")
        assert status == 0, said
        assert "8 leaves (8 disclosed, 6 with body), 4 checkpoints, 4 witnessed, 1 sends" in said

    def test_whose_columns_alone_were_edited_is_noticed(self, written):
        columns = [
            field
            for field in AuditEvent._meta.concrete_fields
            if field.name not in {"id", "leaf", "at", "recorded_at", "rows"}
        ]
        for field in columns:
            with as_owner() as run:
                run(
                    f"UPDATE audit_auditevent SET {field.column} = {field.column} || 'x'"
                    " WHERE tag = 'intent:validation:passed'"
                )
            assert integrity.check().first.kind == BreakKind.EVENT_CHANGED, field
            assert integrity.check().first.index == 2
            with as_owner() as run:
                cut = f"substr({field.column}, 1, length({field.column}) - 1)"
                run(
                    f"UPDATE audit_auditevent SET {field.column} = {cut}"
                    " WHERE tag LIKE 'intent:validation:passed%%'"
                )
            assert integrity.check().breaks == (), field

    @pytest.mark.parametrize("column", ["at", "recorded_at"])
    def test_whose_times_were_edited_is_noticed(self, written, column):
        with as_owner() as run:
            run(f"UPDATE audit_auditevent SET {column} = '2026-11-19 08:00:00+00:00'")
        assert integrity.check().first.kind == BreakKind.EVENT_CHANGED

    @pytest.mark.parametrize("rows", ["[]", '[{"table": "x"}]', '["x"]', '{"a": 1}', "5"])
    def test_whose_recorded_rows_were_edited_is_noticed(self, written, rows):
        with as_owner() as run:
            run("UPDATE audit_auditevent SET rows = %s WHERE tag = 'intent:review:approved'", rows)
        first = integrity.check().first
        assert (first.kind, first.index) == (BreakKind.EVENT_CHANGED, 4)

    @pytest.mark.parametrize(
        "change",
        [
            "UPDATE audit_checkpoint SET edge = '5'",
            "UPDATE audit_checkpoint SET edge = '[5]'",
            "UPDATE audit_checkpoint SET edge = '[\"zz\"]'",
        ],
    )
    def test_holding_values_that_nobody_wrote_is_noticed(self, written, note, now, change):
        with as_owner() as run:
            run(change)
        assert integrity.check().breaks
        assert not sequencing.is_checkpointed(written[5].pk)
        note()
        with pytest.raises(sequencing.LogBroken):
            sequencing.sequence(at=now)

    def test_holding_a_key_that_is_none_is_noticed(self, written, monkeypatch):
        # SQLite keeps whatever it is given; the reading of such a value fails far from here.
        def unreadable(_log):
            raise ValueError("badly formed hexadecimal UUID string")
            yield

        monkeypatch.setattr(integrity, "_leaves", unreadable)
        assert {one.kind for one in integrity.check().breaks} == {BreakKind.UNREADABLE}

    def test_with_missing_triggers_is_noticed(self, written):
        insert_only.uninstall()
        report = integrity.check()
        assert {one.kind for one in report.breaks} == {BreakKind.TRIGGER_MISSING}
        status, said = _command()
        assert status == 1
        assert "trigger is missing" in said

    def test_without_any_outside_copy_is_noticed(self, written, settings):
        settings.AUDIT_WITNESS_FILE.unlink()
        first = integrity.check().first
        assert first.kind == BreakKind.UNWITNESSED

    def test_rewritten_with_the_signing_key_is_noticed_by_the_witness(self, written, now):
        """Whoever holds database and key can sign another history, but not take back the old one."""
        with as_owner() as run:
            _rewrite(run, 1, actor_id="agent-8")
            run("DELETE FROM audit_checkpoint")
        leaves = [bytes.fromhex(leaf.leaf_hash) for leaf in LogLeaf.objects.order_by("index")]
        tree = merkle.CompactRange().extend(leaves)
        head = sequencing.TreeHead(origin=sequencing._origin(LOG), size=8, root=tree.root(), at=now)
        Checkpoint(
            log=LOG,
            tree_size=8,
            root=tree.root().hex(),
            edge=[node.hex() for node in tree.edge],
            note=sequencing.checkpoint.sign(head, key=sequencing.keys.signing_key()),
            at=now,
        ).save()
        first = integrity.check().first
        assert first.kind == BreakKind.REWRITTEN

    def test_is_examined_log_by_log(self, written, note, now):
        note(tenant_id="clinic-2")
        sequencing.sequence(at=now)
        with as_owner() as run:
            run("UPDATE audit_auditevent SET tag = 'x' WHERE log = 'clinic-2'")
        assert integrity.check(logs=[LOG]).breaks == ()
        assert integrity.check(logs=["clinic-2"]).first.log == "clinic-2"
        assert len(integrity.check().logs) == 2


class TestPendingEvents:
    def test_are_counted_and_not_yet_broken(self, written, note):
        note()
        report = integrity.check()
        assert (report.pending, report.breaks) == (1, ())

    def test_that_were_edited_are_noticed(self, written, note):
        event = note()
        with as_owner() as run:
            run("UPDATE audit_auditevent SET tag = 'x' WHERE id = %s", event.pk.hex)
        assert integrity.check().first.kind == BreakKind.EVENT_CHANGED

    def test_whose_event_was_removed_are_noticed(self, written, note):
        event = note()
        with as_owner() as run:
            run("DELETE FROM audit_auditevent WHERE id = %s", event.pk.hex)
        assert integrity.check().first.kind == BreakKind.EVENT_MISSING

    def test_that_were_removed_leave_an_event_without_a_leaf(self, written, note):
        event = note()
        PendingEvent.objects.all().delete()
        first = integrity.check().first
        assert (first.kind, first.event_id) == (BreakKind.EVENT_INSERTED, str(event.pk))

    def test_edited_before_their_leaf_was_made_are_noticed_after_it(self, written, note, now):
        event = note()
        with as_owner() as run:
            run("UPDATE audit_auditevent SET leaf = 'x' WHERE id = %s", event.pk.hex)
        sequencing.sequence(at=now)
        assert integrity.check().first.kind == BreakKind.EVENT_CHANGED


class TestStoredRecords:
    def test_that_changed_are_named_by_table_and_key(self, note, now):
        note()
        sequencing.sequence(at=now)
        leaf = LogLeaf.objects.get()
        note(tenant_id="clinic-2", rows=[leaf])
        sequencing.sequence(at=now)
        with as_owner() as run:
            run("UPDATE audit_logleaf SET leaf_hash = upper(leaf_hash) WHERE id = %s", leaf.pk)
        named = [one for one in integrity.check().breaks if one.kind == BreakKind.ROW_CHANGED]
        assert [(one.table, one.row_id, one.log) for one in named] == [
            ("audit_logleaf", str(leaf.pk), "clinic-2")
        ]
        assert f"row {leaf.pk} of table audit_logleaf" in named[0].sentence

    def test_that_were_removed_are_named(self, note, now):
        note()
        sequencing.sequence(at=now)
        last = Checkpoint.objects.get()
        note(tenant_id="clinic-2", rows=[last])
        sequencing.sequence(at=now)
        with as_owner() as run:
            run("DELETE FROM audit_checkpoint WHERE id = %s", last.pk)
        kinds = {one.kind: one for one in integrity.check().breaks}
        assert kinds[BreakKind.ROW_MISSING].row_id == str(last.pk)
        assert kinds[BreakKind.ROW_MISSING].table == "audit_checkpoint"

    def test_that_may_change_are_held_to_their_newest_mention(self, note, now):
        body = note(body={"a": 1})
        row = EventBody.objects.get(pk=body.pk)
        note(rows=[row])
        sequencing.sequence(at=now)
        EventBody.objects.filter(pk=row.pk).update(sealed="", shredded_at=now)
        assert BreakKind.ROW_CHANGED in {one.kind for one in integrity.check().breaks}
        # The newest mention may still wait for its leaf; or stand in another tenant's log.
        note(rows=[row], tenant_id="clinic-2")
        assert BreakKind.ROW_CHANGED not in {one.kind for one in integrity.check().breaks}
        sequencing.sequence(at=now)
        assert BreakKind.ROW_CHANGED not in {one.kind for one in integrity.check().breaks}

    def test_of_a_table_that_is_gone_are_missing(self, note, now, monkeypatch):
        event = note()
        note(rows=[event])
        sequencing.sequence(at=now)
        monkeypatch.setattr(
            integrity.stored_rows,
            "row_hashes",
            lambda **_: (_ for _ in ()).throw(integrity.stored_rows.TableUnknown("gone")),
        )
        assert integrity.check().first.kind == BreakKind.ROW_MISSING


@pytest.mark.req("004-74")
class TestSends:
    """Nothing may have been sent without an approval of the same bytes, sealed before."""

    def _after(self, note, now, *steps):
        for tag, body in steps:
            note(tag, body=body, intent_id="intent-9")
            sequencing.sequence(at=now)
        return integrity.check().breaks

    def _both(self, breaks, tmp_path, *, expected):
        """The product and the auditor's file say the same."""
        assert [one.kind for one in breaks] == [BreakKind.SENT_UNAPPROVED] * expected, breaks
        status, _ = _checked_alone(_export(tmp_path / "export"))
        assert status == (1 if expected else 0)

    @pytest.mark.parametrize("approval", sorted(APPROVALS))
    def test_hold_after_an_approval_of_the_same_bytes(self, note, now, tmp_path, approval):
        breaks = self._after(
            note,
            now,
            (AuditTag(approval), {"payload_hash": "aa"}),
            (AuditTag.INTENT_WRITE_SUBMITTED, {"payload_hash": "aa"}),
        )
        self._both(breaks, tmp_path, expected=0)

    def test_hold_again_after_an_attempt_that_was_not_sent(self, note, now, tmp_path):
        breaks = self._after(
            note,
            now,
            (AuditTag.INTENT_REVIEW_APPROVED, {"payload_hash": "aa"}),
            (AuditTag.INTENT_WRITE_SUBMITTED, {"payload_hash": "aa"}),
            (AuditTag.INTENT_WRITE_NOT_SENT, {}),
            (AuditTag.INTENT_WRITE_SUBMITTED, {"payload_hash": "aa"}),
        )
        self._both(breaks, tmp_path, expected=0)

    def test_of_other_bytes_are_named(self, note, now, tmp_path):
        breaks = self._after(
            note,
            now,
            (AuditTag.INTENT_REVIEW_APPROVED, {"payload_hash": "aa"}),
            (AuditTag.INTENT_WRITE_SUBMITTED, {"payload_hash": "bb"}),
        )
        assert "other bytes" in breaks[0].sentence
        self._both(breaks, tmp_path, expected=1)

    def test_without_any_approval_are_named(self, note, now, tmp_path):
        breaks = self._after(note, now, (AuditTag.INTENT_WRITE_SUBMITTED, {"payload_hash": "aa"}))
        assert "nobody had approved" in breaks[0].sentence
        self._both(breaks, tmp_path, expected=1)

    @pytest.mark.parametrize("end", sorted(VOIDS_APPROVAL))
    def test_after_the_approval_was_taken_back_are_named(self, note, now, tmp_path, end):
        breaks = self._after(
            note,
            now,
            (AuditTag.INTENT_REVIEW_APPROVED, {"payload_hash": "aa"}),
            (AuditTag(end), {}),
            (AuditTag.INTENT_WRITE_SUBMITTED, {"payload_hash": "aa"}),
        )
        self._both(breaks, tmp_path, expected=1)

    def test_of_another_change_s_approval_are_named(self, note, now, tmp_path):
        note(AuditTag.INTENT_REVIEW_APPROVED, body={"payload_hash": "aa"}, intent_id="intent-8")
        sequencing.sequence(at=now)
        breaks = self._after(note, now, (AuditTag.INTENT_WRITE_SUBMITTED, {"payload_hash": "aa"}))
        self._both(breaks, tmp_path, expected=1)

    def test_before_the_approval_was_under_a_checkpoint_are_named(self, note, now, tmp_path):
        note(AuditTag.INTENT_REVIEW_APPROVED, body={"payload_hash": "aa"})
        note(AuditTag.INTENT_WRITE_SUBMITTED, body={"payload_hash": "aa"})
        sequencing.sequence(at=now)
        breaks = integrity.check().breaks
        assert "under a signed checkpoint before" in breaks[0].sentence
        self._both(breaks, tmp_path, expected=1)

    def test_whose_bodies_were_shredded_need_an_approval_all_the_same(self, note, now):
        events = [
            note(AuditTag.INTENT_REVIEW_APPROVED, body={"payload_hash": "aa"}),
        ]
        sequencing.sequence(at=now)
        events.append(note(AuditTag.INTENT_WRITE_SUBMITTED, body={"payload_hash": "aa"}))
        recording.shred(
            event_ids=[event.pk for event in events],
            actor=DOCTOR,
            at=now,
            tenant_id=LOG,
            reason="retention",
        )
        sequencing.sequence(at=now)
        assert integrity.check().breaks == ()


class TestTheAuditorsFile:
    def test_knows_the_same_approvals_as_the_product(self):
        assert {tag.value for tag in APPROVALS} == verify_audit.APPROVED
        assert {tag.value for tag in VOIDS_APPROVAL} == verify_audit.APPROVAL_ENDED
        assert AuditTag.INTENT_WRITE_SUBMITTED.value == verify_audit.SUBMITTED
        assert export.FORMAT == verify_audit.FORMAT

    def test_imports_nothing_but_the_standard_library(self):
        lines = Path(verify_audit.__file__).read_text().splitlines()
        imported = {
            line.split()[1].partition(".")[0]
            for line in lines
            if line.startswith(("import ", "from "))
        }
        assert imported <= sys.stdlib_module_names

    def _edited(self, folder, name, change):
        path = folder / f"log-{LOG}" / name
        lines = [json.loads(line) for line in path.read_text().splitlines()]
        change(lines)
        path.write_text("".join(json.dumps(line) + "\n" for line in lines))
        return _checked_alone(folder)

    @pytest.mark.parametrize(
        ("name", "change", "why"),
        [
            (
                "events.jsonl",
                lambda lines: lines[4].update(actor_name="X"),
                "name shown beside leaf 4",
            ),
            ("events.jsonl", lambda lines: lines[4].update(body="{}"), "body of leaf 4"),
            ("events.jsonl", lambda lines: lines[4].update(body_key="00" * 32), "body of leaf 4"),
            ("events.jsonl", lambda lines: lines[3].update(leaf=None), "leaf 3 has been removed"),
            ("events.jsonl", lambda lines: lines[3].update(leaf_hash="00" * 32), "event of leaf 3"),
            ("events.jsonl", lambda lines: lines[3].pop("index"), "not in the form"),
            ("events.jsonl", lambda lines: lines.pop(2), "leaf 2 is missing"),
            ("events.jsonl", lambda lines: lines.pop(), "cut off"),
            ("checkpoints.jsonl", lambda lines: lines.pop(), "no signed checkpoint"),
            (
                "checkpoints.jsonl",
                lambda lines: lines[1].update(note=lines[1]["note"].replace("\n5\n", "\n6\n")),
                "signature of the checkpoint over 6",
            ),
            ("checkpoints.jsonl", lambda lines: lines[1].update(note="x"), "not a signed note"),
            ("checkpoints.jsonl", lambda lines: lines[1].pop("note"), "not in the form"),
            (
                "checkpoints.jsonl",
                lambda lines: lines[1].update(note=lines[1]["note"].replace("clinic-1", "other")),
                "another log",
            ),
        ],
    )
    def test_names_what_was_changed_in_an_export(self, written, tmp_path, name, change, why):
        status, said = self._edited(_export(tmp_path / "export"), name, change)
        assert status == 1
        assert why in said

    def test_says_when_it_cannot_read(self, written, tmp_path):
        folder = _export(tmp_path / "export")
        (folder / f"log-{LOG}" / "events.jsonl").write_text("not json\n")
        assert _checked_alone(folder)[0] == 2
        (folder / "manifest.json").unlink()
        assert _checked_alone(folder)[0] == 2

    def test_trusts_only_the_keys_it_is_given(self, written, tmp_path, capsys):
        folder = _export(tmp_path / "export")
        keys = tmp_path / "keys.txt"
        keys.write_text(json.loads((folder / "manifest.json").read_text())["public_keys"][0])
        assert verify_audit.main([str(folder), "--keys", str(keys)]) == 0
        keys.write_text("A" * 43 + "=")
        assert verify_audit.main([str(folder), "--keys", str(keys)]) == 1
        assert "no known key" in capsys.readouterr().out

    def test_compares_with_the_auditors_own_copy_of_the_witness(
        self, written, tmp_path, settings, capsys
    ):
        mine = tmp_path / "mine.jsonl"
        shutil.copy(settings.AUDIT_WITNESS_FILE, mine)
        with as_owner() as run:
            _roll_back(run, 5)
        settings.AUDIT_WITNESS_FILE.write_text("")
        folder = _export(tmp_path / "export")
        assert verify_audit.main([str(folder)]) == 0
        assert verify_audit.main([str(folder), "--witness", str(mine)]) == 1
        assert "cut off" in capsys.readouterr().out

    def test_misses_a_log_that_was_witnessed(self, written, tmp_path, settings, capsys):
        mine = tmp_path / "mine.jsonl"
        shutil.copy(settings.AUDIT_WITNESS_FILE, mine)
        with as_owner() as run:
            _roll_back(run, 0)
        folder = _export(tmp_path / "export")
        assert verify_audit.main([str(folder), "--witness", str(mine)]) == 1
        assert "is not in the export" in capsys.readouterr().out
