"""From pending events to a signed and witnessed log, one place each, whoever else is at work."""

import json
import logging
import threading
from datetime import timedelta

import pytest
from django.conf import settings as configured
from django.db import connections, transaction

from audit import checkpoint, integrity, keys, merkle, sequencing, witness
from audit.models import AuditEvent, Checkpoint, LogLeaf, PendingEvent
from audit.recording import record
from audit.sequencing import LogBroken, is_checkpointed, sequence
from audit.tags import AuditTag
from audit.witness import WitnessRefused, WitnessUnavailable
from tests.audit.conftest import LOG, SCRIBE, as_owner

pytestmark = pytest.mark.django_db


def _leaves(log=LOG):
    return list(LogLeaf.objects.filter(log=log).order_by("index").values_list("index", flat=True))


class TestSequencing:
    def test_gives_contiguous_places_and_signs_the_root(self, note, now):
        events = [note() for _ in range(5)]
        assert sequence(at=now) == 5
        assert _leaves() == [0, 1, 2, 3, 4]
        assert not PendingEvent.objects.exists()
        made = Checkpoint.objects.get()
        head = checkpoint.open_note(
            made.note,
            origin=f"{configured.AUDIT_ORIGIN}/{LOG}",
            public_keys=keys.public_keys(),
        )
        assert head.size == 5
        assert head.root == merkle.root(
            merkle.leaf_hash(event.leaf.encode())
            for event in sorted(events, key=lambda e: LogLeaf.objects.get(event_id=e.pk).index)
        )
        assert head.at == made.at == now

    def test_continues_the_tree_without_reading_it_again(self, note, now):
        for _ in range(3):
            for _ in range(3):
                note()
            sequence(at=now)
        assert [one.tree_size for one in Checkpoint.objects.order_by("id")] == [3, 6, 9]
        assert integrity.check().breaks == ()

    def test_keeps_each_tenants_log_apart(self, note, now):
        note()
        note(tenant_id="clinic-2")
        note(tenant_id=None)
        assert sequence(at=now) == 3
        assert _leaves(LOG) == _leaves("clinic-2") == _leaves("deployment") == [0]

    def test_of_one_log_leaves_the_others_pending(self, note, now):
        note()
        note(tenant_id="clinic-2")
        assert sequence(at=now, log="clinic-2") == 1
        assert PendingEvent.objects.get().log == LOG

    def test_stops_at_its_limit_and_goes_on_next_time(self, note, now):
        for _ in range(5):
            note()
        assert [sequence(at=now, limit=2) for _ in range(4)] == [2, 2, 1, 0]
        assert integrity.check().breaks == ()

    def test_of_nothing_signs_nothing(self, note, now):
        assert sequence(at=now) == 0
        note()
        sequence(at=now)
        assert sequence(at=now + sequencing.IDLE / 2) == 0
        assert Checkpoint.objects.count() == 1

    def test_signs_an_idle_log_again_after_a_while(self, note, now):
        note()
        sequence(at=now)
        later = now + sequencing.IDLE
        assert sequence(at=later) == 0
        first, second = Checkpoint.objects.order_by("id")
        assert (second.tree_size, second.root) == (first.tree_size, first.root)
        assert second.at == later
        assert [head.at for head in witness.heads(LOG)] == [
            "2026-11-20T15:00:00Z",
            "2026-11-20T15:15:00Z",
        ]
        assert integrity.check().breaks == ()

    def test_reports_how_a_log_stands(self, note, now):
        empty = sequencing.status(LOG)
        assert (empty.size, empty.root, empty.signed_at) == (0, merkle.EMPTY_ROOT.hex(), None)
        note()
        waiting = sequencing.status(LOG)
        assert waiting.pending == 1
        assert waiting.oldest_pending_at == PendingEvent.objects.get().recorded_at
        sequence(at=now)
        after = sequencing.status(LOG)
        assert (after.size, after.pending, after.witnessed_size) == (1, 0, 1)
        assert after.signed_at == now


class TestBeingCheckpointed:
    @pytest.mark.req("000-106")
    def test_is_true_once_signed_and_not_before(self, note, now):
        event = note()
        assert not is_checkpointed(event.pk)
        sequence(at=now)
        assert is_checkpointed(event.pk)
        assert is_checkpointed(str(event.pk))

    def test_holds_for_every_leaf_of_every_batch(self, written):
        assert all(is_checkpointed(event.pk) for event in written)

    def test_is_false_for_an_unknown_event(self):
        assert not is_checkpointed("00000000-0000-0000-0000-000000000001")

    @pytest.mark.parametrize(
        "change",
        [
            "UPDATE audit_auditevent SET leaf = leaf || ' '",
            "UPDATE audit_logleaf SET leaf_hash = '00' || substr(leaf_hash, 3)",
            "UPDATE audit_logleaf SET leaf_hash = 'zz'",
            "UPDATE audit_logleaf SET log = 'clinic-2'",
            "UPDATE audit_auditevent SET log = 'clinic-2'",
            "UPDATE audit_checkpoint SET note = replace(note, 'clinic-1', 'clinic-2')",
            "UPDATE audit_checkpoint SET tree_size = tree_size * 100",
            "UPDATE audit_checkpoint SET edge = '[]'",
            "DELETE FROM audit_checkpoint",
            "DELETE FROM audit_auditevent",
        ],
    )
    def test_is_false_when_the_evidence_was_changed(self, written, change):
        with as_owner() as run:
            run(change)
        assert not is_checkpointed(written[5].pk)

    def test_is_not_fooled_by_rows_that_anyone_could_insert(self, written, note, now):
        event = note()
        size = Checkpoint.objects.order_by("id").last().tree_size
        LogLeaf(
            log=LOG,
            index=size,
            event_id=event.pk,
            leaf_hash=PendingEvent.objects.get(event_id=event.pk).leaf_hash,
        ).save()
        last = Checkpoint.objects.order_by("id").last()
        tree = merkle.CompactRange(
            size=size, edge=[bytes.fromhex(node) for node in last.edge]
        ).extend([bytes.fromhex(PendingEvent.objects.get().leaf_hash)])
        Checkpoint(
            log=LOG,
            tree_size=size + 1,
            root=tree.root().hex(),
            edge=[node.hex() for node in tree.edge],
            note=last.note,
            at=now + timedelta(seconds=1),
        ).save()
        assert not is_checkpointed(event.pk)


class TestALogThatWasTamperedWith:
    @pytest.mark.parametrize(
        ("change", "why"),
        [
            ("UPDATE audit_checkpoint SET edge = '[]'", "does not hold"),
            ("UPDATE audit_checkpoint SET note = 'nonsense'", "does not hold"),
            (
                "UPDATE audit_checkpoint SET tree_size = 9 WHERE tree_size = 8",
                "does not hold",
            ),
            ("DELETE FROM audit_checkpoint WHERE tree_size = 8", "no checkpoint covers"),
        ],
    )
    def test_is_not_signed_on(self, written, note, now, change, why):
        with as_owner() as run:
            run(change)
        note()
        signed = Checkpoint.objects.count()
        with pytest.raises(LogBroken, match=why):
            sequence(at=now)
        assert Checkpoint.objects.count() == signed
        assert PendingEvent.objects.count() == 1

    def test_and_whose_edge_was_exchanged_is_not_signed_on(self, written, note, now):
        with as_owner() as run:
            edge = json.dumps([merkle.leaf_hash(b"forged").hex()])
            run("UPDATE audit_checkpoint SET edge = %s WHERE tree_size = 8", edge)
        note()
        with pytest.raises(LogBroken, match="own signature"):
            sequence(at=now)

    @pytest.mark.req("003-51")
    def test_and_rolled_back_is_not_signed_on(self, written, note, now):
        with as_owner() as run:
            run("DELETE FROM audit_checkpoint WHERE tree_size > 5")
            run('DELETE FROM audit_logleaf WHERE "index" >= 5')
        note()
        with pytest.raises(LogBroken, match="old copy was put back"):
            sequence(at=now)

    def test_does_not_keep_the_other_logs_from_going_on(self, written, note, now):
        with as_owner() as run:
            run("DELETE FROM audit_checkpoint WHERE tree_size = 8")
        note()
        other = note(tenant_id="clinic-2")
        with pytest.raises(LogBroken):
            sequence(at=now)
        assert is_checkpointed(other.pk)

    def test_with_an_event_pending_twice_is_not_signed_on(self, written, now):
        leaf = LogLeaf.objects.get(log=LOG, index=3)
        PendingEvent.objects.create(
            log=LOG, event_id=leaf.event_id, leaf_hash=leaf.leaf_hash, recorded_at=now
        )
        with pytest.raises(LogBroken, match="leaf already"):
            sequence(at=now)
        assert len(_leaves()) == 8


class TestTheWitness:
    def test_gets_every_checkpoint(self, written):
        assert [head.size for head in witness.heads(LOG)] == [2, 5, 7, 8]
        assert [head.note for head in witness.heads()] == list(
            Checkpoint.objects.order_by("id").values_list("note", flat=True)
        )

    def test_that_is_away_is_an_alarm_and_loses_nothing(
        self, note, now, settings, caplog, tmp_path
    ):
        there = settings.AUDIT_WITNESS_FILE
        settings.AUDIT_WITNESS_FILE = tmp_path  # a folder cannot be appended to
        with caplog.at_level(logging.ERROR):
            for _ in range(3):
                note()
                assert sequence(at=now) == 1
        assert "audit witness is not available" in caplog.text
        assert sequencing.status(LOG).witnessed_size is None
        settings.AUDIT_WITNESS_FILE = there
        assert sequence(at=now) == 0
        assert [head.size for head in witness.heads(LOG)] == [1, 2, 3]
        assert integrity.check().breaks == ()

    def test_is_caught_up_over_several_runs(self, note, now, settings, monkeypatch, tmp_path):
        monkeypatch.setattr(sequencing, "_HANDED_OVER_AT_ONCE", 2)
        there, settings.AUDIT_WITNESS_FILE = settings.AUDIT_WITNESS_FILE, tmp_path
        for _ in range(5):
            note()
            sequence(at=now)
        settings.AUDIT_WITNESS_FILE = there
        for expected in ([1, 2], [1, 2, 3, 4], [1, 2, 3, 4, 5]):
            sequence(at=now)
            assert [head.size for head in witness.heads(LOG)] == expected

    def _hand(self, stored, *, old_edge=(), new_leaves=()):
        return witness.witness(
            log=LOG,
            note=stored.note,
            public_keys=keys.public_keys(),
            old=witness.latest(LOG),
            old_edge=old_edge,
            new_leaves=new_leaves,
        )

    def test_asks_to_look_again_when_another_was_quicker(self, note, now):
        note()
        sequence(at=now)
        stored = Checkpoint.objects.get()
        with pytest.raises(witness.WitnessMovedOn):
            witness.witness(
                log=LOG,
                note=stored.note,
                public_keys=keys.public_keys(),
                old=None,
                old_edge=(),
                new_leaves=(),
            )

    def test_that_another_sequencer_served_meanwhile_is_looked_at_again(
        self, note, now, monkeypatch
    ):
        note()
        sequence(at=now)
        stale = witness.latest(LOG)
        note()
        sequence(at=now)
        note()
        really, answers = witness.latest, []
        monkeypatch.setattr(
            sequencing.witness, "latest", lambda log: answers.pop() if answers else really(log)
        )
        sequencing._extend(LOG, at=now, limit=10)
        answers.append(stale)
        sequencing._hand_over(LOG)
        assert [head.size for head in witness.heads(LOG)] == [1, 2, 3]

    def test_refuses_a_smaller_tree(self, written):
        with pytest.raises(WitnessRefused, match="old copy"):
            self._hand(Checkpoint.objects.order_by("id").first())

    def test_refuses_a_tree_that_does_not_continue_the_last(self, written, note, now):
        last = Checkpoint.objects.order_by("id").last()
        edge = [bytes.fromhex(node) for node in last.edge]
        forged = merkle.CompactRange(size=8, edge=edge).extend([merkle.leaf_hash(b"x")])
        signed = checkpoint.sign(
            checkpoint.TreeHead(
                origin=f"{configured.AUDIT_ORIGIN}/{LOG}", size=9, root=forged.root(), at=now
            ),
            key=keys.signing_key(),
        )
        stored = Checkpoint(note=signed)
        for old_edge, new_leaves, why in [
            (edge, [], "does not continue"),
            (edge, [merkle.leaf_hash(b"y")], "does not continue"),
            ([], [merkle.leaf_hash(b"x")], "No proof"),
            ([merkle.leaf_hash(b"z")], [merkle.leaf_hash(b"x")], "not those"),
        ]:
            with pytest.raises(WitnessRefused, match=why):
                self._hand(stored, old_edge=old_edge, new_leaves=new_leaves)
        assert self._hand(stored, old_edge=edge, new_leaves=[merkle.leaf_hash(b"x")]).size == 9

    def test_refuses_a_note_that_the_log_did_not_sign(self, written):
        stored = Checkpoint.objects.order_by("id").last()
        stored.note = stored.note.replace("\n8\n", "\n9\n")
        with pytest.raises(checkpoint.CheckpointInvalid):
            self._hand(stored)

    def test_reads_on_after_a_line_that_was_cut_short(self, note, now, settings):
        note()
        sequence(at=now)
        with settings.AUDIT_WITNESS_FILE.open("a") as file:
            file.write('{"log": "clinic-1", "size": 99')
        note()
        sequence(at=now)
        assert [head.size for head in witness.heads(LOG)] == [1, 2]
        assert integrity.check().breaks == ()

    def test_sees_what_another_process_wrote(self, note, now, settings):
        note()
        sequence(at=now)
        witness._seen.clear()
        assert witness.latest(LOG).size == 1

    def test_whose_file_was_exchanged_is_read_from_the_start(self, written, settings):
        lines = settings.AUDIT_WITNESS_FILE.read_text().splitlines(keepends=True)
        settings.AUDIT_WITNESS_FILE.write_text("".join(lines[:2]))
        assert witness.latest(LOG).size == 5

    def test_that_knows_another_history_stops_the_log(self, written, note, now, settings):
        text = settings.AUDIT_WITNESS_FILE.read_text()
        settings.AUDIT_WITNESS_FILE.write_text(
            text.replace('"root": "' + Checkpoint.objects.last().root, '"root": "' + "0" * 64)
        )
        witness._seen.clear()
        note()
        with pytest.raises(LogBroken, match="not among its own"):
            sequence(at=now)

    def test_that_cannot_be_read_says_so(self, settings, tmp_path):
        settings.AUDIT_WITNESS_FILE = tmp_path
        with pytest.raises(WitnessUnavailable):
            witness.latest(LOG)
        with pytest.raises(WitnessUnavailable):
            list(witness.heads())

    def test_that_was_never_there_has_no_heads(self):
        assert list(witness.heads()) == []


# --- several at once -----------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
class TestConcurrency:
    def _in_threads(self, jobs):
        troubles = []

        def run(job):
            try:
                job()
            except Exception as trouble:  # noqa: BLE001 - reported by the test's own thread
                troubles.append(trouble)
            finally:
                connections.close_all()

        threads = [threading.Thread(target=run, args=(job,)) for job in jobs]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(timeout=120)
        assert not any(thread.is_alive() for thread in threads)
        assert troubles == []

    @pytest.mark.req("003-13")
    def test_four_writers_and_two_sequencers_lose_and_double_nothing(self, now):
        each, writers = 25, 4
        finished = threading.Semaphore(0)
        all_written = threading.Event()

        def write(number):
            try:
                for place in range(each):
                    with transaction.atomic():
                        record(
                            tag=AuditTag.INTENT_RECEIVED,
                            actor=SCRIBE,
                            at=now,
                            tenant_id=LOG,
                            correlation_id=f"{number}-{place}",
                            body={"n": place},
                        )
            finally:
                finished.release()

        def wait_for_writers():
            try:
                assert all(finished.acquire(timeout=60) for _ in range(writers))
            finally:
                all_written.set()

        def keep_sequencing():
            while not all_written.wait(0.005):
                sequence(at=now)

        self._in_threads(
            [
                *(lambda n=n: write(n) for n in range(writers)),
                wait_for_writers,
                keep_sequencing,
                keep_sequencing,
            ]
        )
        sequence(at=now)
        assert _leaves() == list(range(writers * each))
        assert AuditEvent.objects.count() == writers * each
        assert not PendingEvent.objects.exists()
        assert integrity.check().breaks == ()

    def test_sequencers_at_the_same_time_make_one_log(self, note, now):
        for _ in range(40):
            note()
        self._in_threads([lambda: sequence(at=now, limit=7) for _ in range(4)])
        sequence(at=now, limit=5000)
        assert _leaves() == list(range(40))
        assert integrity.check().breaks == ()

    def test_a_slow_transaction_with_an_older_id_is_not_skipped(self, note, now):
        """Ids are handed out before commit: what commits late with a small id must get its leaf."""
        slow = note(correlation_id="slow")
        held_back = PendingEvent.objects.get()
        PendingEvent.objects.all().delete()
        fast = note(correlation_id="fast")
        assert held_back.pk < PendingEvent.objects.get().pk
        assert sequence(at=now) == 1
        held_back.save(force_insert=True)
        assert sequence(at=now) == 1
        assert LogLeaf.objects.get(event_id=fast.pk).index == 0
        assert LogLeaf.objects.get(event_id=slow.pk).index == 1
        assert integrity.check().breaks == ()

    @pytest.mark.only("postgresql")  # SQLite has one writer, so no commit overtakes
    def test_a_commit_that_is_overtaken_while_sequencing_is_not_deleted(self, note, now):
        begun, go_on = threading.Event(), threading.Event()

        def slow():
            with transaction.atomic():
                record(tag=AuditTag.INTENT_RECEIVED, actor=SCRIBE, at=now, tenant_id=LOG)
                begun.set()
                assert go_on.wait(30)

        def overtake():
            assert begun.wait(30)
            note()
            assert sequence(at=now) == 1
            go_on.set()

        self._in_threads([slow, overtake])
        assert sequence(at=now) == 1
        assert _leaves() == [0, 1]
        assert integrity.check().breaks == ()

    def test_a_check_reads_one_state_while_others_write(self, note, now):
        stop = threading.Event()

        def write_and_sequence():
            while not stop.is_set():
                note(body={"a": 1})
                sequence(at=now)

        def check():
            try:
                for _ in range(8):
                    assert integrity.check().breaks == ()
            finally:
                stop.set()

        self._in_threads([write_and_sequence, check])

    def test_sequencing_inside_a_transaction_is_refused(self, note, now):
        note()
        with pytest.raises(RuntimeError, match="durable"), transaction.atomic():
            sequence(at=now)
