"""Bugs that the simulation has to catch: each takes a safeguard away, or makes a mistake somebody could make.

The first six are the safeguards that the protocol rests on. `seed`: from which history on to look; what needs
several rare things at once starts at one that shows it (`python -m tests.simulation --planted` finds them).
"""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from audit import merkle
from audit.actors import ActorKind
from ehr_adapters import errors
from ehr_adapters.capabilities import FindMethod
from intents.lifecycle import State
from intents.pipeline.delivery import attempt as protocol
from intents.pipeline.delivery import deciding, owning, rulings
from intents.pipeline.delivery.records import Decision, Delivery, LeaseLapsed, Looked, Requeue
from intents.pipeline.delivery.words import Phase, Seen
from tests.simulation import claiming, database, dispatching, ehr, history, sweeping, world
from tests.simulation.invariants import Violated

Patch = pytest.MonkeyPatch


@dataclass(frozen=True, slots=True)
class Planted:
    """`by`: the invariants that may catch it first."""

    sentence: str
    plant: Callable[[Patch], None]
    by: tuple[str, ...]
    seed: int = 0

    @property
    def name(self) -> str:
        return self.plant.__name__

    @property
    def row(self) -> str:
        """Its line in docs/simulation.md."""
        return f"| {self.sentence} | {self.seed} | {', '.join(self.by)} |"


def first_failure(bug: Planted, *, seeds: Iterable[int]) -> tuple[int, str] | None:
    """The first of these histories that does not hold with the bug in place, and which invariant breaks."""
    with pytest.MonkeyPatch.context() as patch:
        bug.plant(patch)
        for seed in seeds:
            try:
                history.run(seed)
            except Violated as violated:
                return seed, violated.name
    return None


# --- the six safeguards -----------------------------------------------------------------------------------


def no_token_fence(patch: Patch) -> None:
    patch.setattr(ehr.FaultyEhr, "lets_in", lambda self, token, *, now: True)


def no_quarantine(patch: Patch) -> None:
    looked = deciding._looked
    patch.setattr(deciding, "_looked", lambda d, e: looked(replace(d, quarantine_until=0), e))


def no_hold_after_a_failover(patch: Patch) -> None:
    def notice(world: world.World, *, at: datetime) -> None:
        world.db.timeline = world.timeline

    patch.setattr(claiming, "notice_failover", notice)


def no_search_before_sending(patch: Patch) -> None:
    answer = dispatching.Exchange._answer

    def blind(self: dispatching.Exchange, ask: protocol.Ask) -> object:
        unsent = self.sending is None
        return Seen.NONE if unsent and isinstance(ask, protocol.Search) else answer(self, ask)

    patch.setattr(dispatching.Exchange, "_answer", blind)


def wall_clock_quarantine(patch: Patch) -> None:
    patch.setattr(world.World, "tick", property(lambda self: int(self.now + self.jump)))


def counted_attempt_ids(patch: Patch) -> None:
    patch.setattr(
        world.World,
        "new_attempt_id",
        lambda self, row: f"{row.number}.{row.entry}.{row.attempts + 1}",
    )


# --- the decision core ------------------------------------------------------------------------------------


def _rule(patch: Patch, error: type[BaseException], ruling: rulings.Ruling) -> None:
    patch.setitem(rulings.RULINGS, error, ruling)  # type: ignore[arg-type]  # read-only by its type alone


_UNSENT = rulings.Ruling(State.APPROVED, Phase.NOT_SENT, "not-sent")
_REFUSED = rulings.Ruling(State.FAILED, Phase.REFUSED, "not-permitted")


def timeout_taken_for_not_sent(patch: Patch) -> None:
    _rule(patch, errors.TimedOutAfterSend, _UNSENT)


def lost_connection_taken_for_not_sent(patch: Patch) -> None:
    _rule(patch, errors.ConnectionLost, _UNSENT)


def server_fault_taken_for_a_refusal(patch: Patch) -> None:
    _rule(patch, errors.ServerError, _REFUSED)


def unreadable_reply_taken_for_a_refusal(patch: Patch) -> None:
    _rule(patch, errors.UnreadableReply, _REFUSED)


def already_there_taken_for_a_refusal(patch: Patch) -> None:
    _rule(patch, errors.AlreadyThere, _REFUSED)


def version_conflict_without_a_search(patch: Patch) -> None:
    rule = rulings.RULINGS[errors.VersionConflict]
    _rule(patch, errors.VersionConflict, replace(rule, search=False))


def programming_error_taken_for_not_sent(patch: Patch) -> None:
    patch.setattr(rulings, "_NO_EVIDENCE", _UNSENT)


def lapsed_lease_back_to_the_queue(patch: Patch) -> None:
    def lapsed(delivery: Delivery, event: LeaseLapsed) -> Decision:
        after = replace(delivery, state=State.APPROVED, attempt_id="")
        return Decision(after, (Requeue(world.START),), "not-sent")

    patch.setattr(deciding, "_lapsed", lapsed)


def could_not_look_taken_for_absent(patch: Patch) -> None:
    looked = deciding._looked

    def blind(delivery: Delivery, event: Looked) -> Decision:
        if event.seen == Seen.COULD_NOT_LOOK:
            event = replace(event, seen=Seen.NONE)
        return looked(delivery, event)

    patch.setattr(deciding, "_looked", blind)


def opaque_write_sent_again(patch: Patch) -> None:
    patch.setattr(FindMethod, "miss_proves", property(lambda _: True))
    patch.setattr(Delivery, "may_resend", property(lambda _: True))


def outcome_of_a_lost_attempt_recorded(patch: Patch) -> None:
    ended = deciding._ended
    patch.setattr(
        deciding,
        "_ended",
        lambda d, e: ended(replace(d, state=State.SUBMITTED, attempt_id=e.attempt_id), e),
    )


def half_a_plan_taken_for_refused(patch: Patch) -> None:
    failed = deciding._failed_attempt
    patch.setattr(
        deciding,
        "_failed_attempt",
        lambda d, e, error: failed(d, replace(e, acknowledged=0), error),
    )


def word_of_absence_counts_at_once(patch: Patch) -> None:
    attested = deciding._attested
    patch.setattr(deciding, "_attested", lambda d, e: attested(replace(d, quarantine_until=0), e))


def whatever_is_read_back_taken_for_equal(patch: Patch) -> None:
    read_back = deciding._read_back

    def careless(delivery: Delivery, event: Any) -> Decision:
        if event.seen == Seen.OURS_DIFFERENT:
            event = replace(event, seen=Seen.OURS_EQUAL)
        return read_back(delivery, event)

    patch.setattr(deciding, "_read_back", careless)


def nobody_looks_for_an_unknown_outcome(patch: Patch) -> None:
    patch.setattr(sweeping, "next_look", lambda *_, **__: None)


# --- what is asked just before the socket ---------------------------------------------------------------


def _last_look(patch: Patch, **forced: object) -> None:
    last_look = owning.last_look
    patch.setattr(owning, "last_look", lambda **asked: last_look(**{**asked, **forced}))


def ownership_not_looked_at_before_sending(patch: Patch) -> None:
    _last_look(patch, mine=True, state=State.SUBMITTED)


def kill_switch_not_looked_at_before_sending(patch: Patch) -> None:
    _last_look(patch, is_switched_off=False)


def end_of_the_approval_not_looked_at_before_sending(patch: Patch) -> None:
    _last_look(patch, approval_expires_at=datetime.max.replace(tzinfo=world.START.tzinfo))


def rules_not_asked_again(patch: Patch) -> None:
    patch.setattr(dispatching, "_withdrawn", lambda row: "")


def chart_not_read_again(patch: Patch) -> None:
    patch.setattr(ehr.FaultyEhr, "read", lambda self, number, *, base, now: "")


def life_of_a_kept_token_not_counted(patch: Patch) -> None:
    patch.setattr(owning, "longest_life", lambda lives, *, at: 0.0)


# --- claims and order -------------------------------------------------------------------------------------


def lease_not_looked_at(patch: Patch) -> None:
    patch.setattr(owning, "is_lapsed", lambda lease_until, *, at: True)


def shard_sent_side_by_side(patch: Patch) -> None:
    patch.setattr(claiming, "_is_in_the_way", lambda other, row, *, at: False)


def turns_not_asked_again(patch: Patch) -> None:
    patch.setattr(claiming, "turn_at_beginning", lambda world, row, *, at: "")


def sent_before_what_it_reports(patch: Patch) -> None:
    patch.setattr(claiming, "_turn", lambda world, row: "")


def stored_bytes_not_verified(patch: Patch) -> None:
    patch.setattr(dispatching, "_are_bytes_as_approved", lambda row: True)


def number_of_people_not_verified(patch: Patch) -> None:
    patch.setattr(dispatching, "_are_people_enough", lambda row: True)


# --- clocks -----------------------------------------------------------------------------------------------


def quarantine_shorter_than_the_ehr_works(patch: Patch) -> None:
    ticks = world.World.ticks
    patch.setattr(world.World, "ticks", lambda self, seconds: ticks(self, seconds / 3))


def early_ticks_taken_for_whole_ones(patch: Patch) -> None:
    patch.setattr(world.World, "ticks", lambda self, seconds: math.ceil(seconds) + 1)


# --- a database that took over ----------------------------------------------------------------------------


def what_no_search_finds_not_held_after_a_failover(patch: Patch) -> None:
    patch.setattr(owning, "is_findable", lambda *, retry, find: True)


def leased_change_not_held_after_a_failover(patch: Patch) -> None:
    hold = claiming.hold

    def lenient(*arguments: Any, even_leased: bool = False, **named: Any) -> None:
        hold(*arguments, **named)

    patch.setattr(claiming, "hold", lenient)


def what_is_not_due_not_held_after_a_failover(patch: Patch) -> None:
    hold = claiming.hold

    def punctual(held_in: world.World, row: database.Row, *, at: datetime, **named: Any) -> None:
        if row.not_before is None or row.not_before <= at:
            hold(held_in, row, at=at, **named)

    patch.setattr(claiming, "hold", punctual)


def only_dispatch_asks_whether_the_database_took_over(patch: Patch) -> None:
    patch.setattr(world.World, "has_taken_over", lambda self: False)


# --- the record -------------------------------------------------------------------------------------------


def move_without_an_event(patch: Patch) -> None:
    advance = database.Database.advance

    def silent(self: database.Database, row: database.Row, to: State, **named: Any) -> None:
        advance(self, row, to, **named)
        if to == State.HELD:
            self.log.events.pop()

    patch.setattr(database.Database, "advance", silent)


def event_written_twice(patch: Patch) -> None:
    advance = database.Database.advance

    def twice(self: database.Database, row: database.Row, to: State, **named: Any) -> None:
        advance(self, row, to, **named)
        if named["actor"] == ActorKind.SCHEDULER:
            self.log.events.append(self.log.events[-1])

    patch.setattr(database.Database, "advance", twice)


def signed_event_altered(patch: Patch) -> None:
    sequence = database.Log.sequence

    def altering(self: database.Log) -> bool:
        grown = sequence(self)
        if self.tree.size > 4:
            self.events[1] = replace(self.events[1], reason="noted")
        return grown

    patch.setattr(database.Log, "sequence", altering)


def log_signed_anew(patch: Patch) -> None:
    """Whoever holds the key signs a shorter history of the same length as if it had always been so."""

    def anew(self: database.Log) -> bool:
        if len(self.events) > 4:
            self.events[1] = replace(self.events[1], reason="noted")
        self.tree = merkle.CompactRange()
        self.tree.extend([event.leaf() for event in self.events])
        self.heads.append((self.tree.size, self.tree.root()))
        return True

    patch.setattr(database.Log, "sequence", anew)


def words_of_the_ehr_in_an_open_column(patch: Patch) -> None:
    facts = errors.AdapterError.facts
    patch.setattr(
        errors.AdapterError, "facts", lambda self: {**facts(self), "said": self.vendor_text}
    )


def request_to_another_tenants_ehr(patch: Patch) -> None:
    submit = dispatching.Exchange._submit

    def astray(self: dispatching.Exchange, step: int) -> bool:
        self.connection = 1 - self.connection
        return submit(self, step)

    patch.setattr(dispatching.Exchange, "_submit", astray)


def nobody_is_told(patch: Patch) -> None:
    patch.setattr(sweeping, "_tell", lambda world, row, *, at: at + timedelta(hours=1))


def difference_without_an_owner(patch: Patch) -> None:
    carry_out = database.Database.carry_out

    def unowned(self: database.Database, row: database.Row, *rest: Any, **named: Any) -> None:
        carry_out(self, row, *rest, **named)
        row.open = {kind: ("", opened) for kind, (_, opened) in row.open.items()}

    patch.setattr(database.Database, "carry_out", unowned)


SAFEGUARDS = (
    Planted("No token fence: a token never runs out", no_token_fence, ("I11", "I2"), 7),
    Planted("No quarantine: absence counts at once", no_quarantine, ("I11",), 0),
    Planted("No hold after a failover", no_hold_after_a_failover, ("I11", "I2", "I3"), 126),
    Planted("No search before sending", no_search_before_sending, ("I2",), 105),
    Planted("Quarantine by the wall clock", wall_clock_quarantine, ("I11",), 47),
    Planted("Attempts are counted instead of random", counted_attempt_ids, ("owner",), 1574),
)
MISTAKES = (
    Planted("A timeout means not sent", timeout_taken_for_not_sent, ("I2", "I3"), 17),
    Planted(
        "A lost connection means not sent", lost_connection_taken_for_not_sent, ("I2", "I3"), 85
    ),
    Planted("A server fault means refused", server_fault_taken_for_a_refusal, ("I2", "I3"), 39),
    Planted(
        "An unreadable reply means refused", unreadable_reply_taken_for_a_refusal, ("I2", "I3"), 34
    ),
    Planted('"Already there" means refused', already_there_taken_for_a_refusal, ("I3",), 271),
    Planted("A version conflict is never our own", version_conflict_without_a_search, ("I3",), 226),
    Planted(
        "An error of the portal's own means not sent",
        programming_error_taken_for_not_sent,
        ("I2", "I3"),
        63,
    ),
    Planted("A lapsed lease goes back to the queue", lapsed_lease_back_to_the_queue, ("core",), 0),
    Planted("A search that failed means absent", could_not_look_taken_for_absent, ("I3",), 7983),
    Planted("What no search finds is sent again", opaque_write_sent_again, ("I4",), 1),
    Planted(
        "A lost attempt records its outcome",
        outcome_of_a_lost_attempt_recorded,
        ("core", "owner"),
        0,
    ),
    Planted("Half a plan means refused", half_a_plan_taken_for_refused, ("I2", "I3"), 76),
    Planted(
        "A person's word that it is absent counts at once",
        word_of_absence_counts_at_once,
        ("I11",),
        145,
    ),
    Planted(
        "Whatever is read back counts as equal", whatever_is_read_back_taken_for_equal, ("I3",), 1
    ),
    Planted("Nobody looks for an unknown outcome", nobody_looks_for_an_unknown_outcome, ("I4",), 0),
    Planted(
        "Ownership is not looked at before sending",
        ownership_not_looked_at_before_sending,
        ("owner",),
        6,
    ),
    Planted(
        "Switches are not looked at before sending",
        kill_switch_not_looked_at_before_sending,
        ("I7",),
        8,
    ),
    Planted(
        "The end of the approval is not looked at before sending",
        end_of_the_approval_not_looked_at_before_sending,
        ("I1",),
        835,
    ),
    Planted("The rules are not asked again", rules_not_asked_again, ("I8",), 59),
    Planted("The chart is not read again", chart_not_read_again, ("base",), 15),
    Planted(
        "The life of a kept token is not counted", life_of_a_kept_token_not_counted, ("I11",), 23
    ),
    Planted("Leases are not looked at", lease_not_looked_at, ("I4",), 1),
    Planted("One patient's changes are sent side by side", shard_sent_side_by_side, ("order",), 4),
    Planted("A change goes before what it reports", sent_before_what_it_reports, ("order",), 14),
    Planted("Turns are not asked again", turns_not_asked_again, ("order",), 2137817),
    Planted("The stored bytes are not verified", stored_bytes_not_verified, ("I1",), 9),
    Planted("The number of approvals is not verified", number_of_people_not_verified, ("I8",), 67),
    Planted(
        "The quarantine is shorter than the EHR works",
        quarantine_shorter_than_the_ehr_works,
        ("I11",),
        0,
    ),
    Planted("Early ticks count as whole periods", early_ticks_taken_for_whole_ones, ("I11",), 57),
    Planted(
        "What no search finds is not held after a failover",
        what_no_search_finds_not_held_after_a_failover,
        ("I2", "I3"),
        529,
    ),
    Planted(
        "A leased change is not held after a failover",
        leased_change_not_held_after_a_failover,
        ("I2", "I3"),
        126,
    ),
    Planted(
        "What is not due is not held after a failover",
        what_is_not_due_not_held_after_a_failover,
        ("I2",),
        130,
    ),
    Planted(
        "Only dispatch asks whether the database took over",
        only_dispatch_asks_whether_the_database_took_over,
        ("I2", "I3"),
        1549,
    ),
    Planted("A move without an event", move_without_an_event, ("I5",), 6),
    Planted("An event is written twice", event_written_twice, ("I5",), 0),
    Planted("A signed event is altered", signed_event_altered, ("I6",), 0),
    Planted("The log is signed anew", log_signed_anew, ("I6",), 0),
    Planted(
        "An EHR's own words in an open column", words_of_the_ehr_in_an_open_column, ("I10",), 0
    ),
    Planted("A request goes to another tenant's EHR", request_to_another_tenants_ehr, ("I9",), 0),
    Planted("Nobody is told of what waits", nobody_is_told, ("I12",), 1),
    Planted("A difference has no owner", difference_without_an_owner, ("I12",), 1),
)
EVERY = SAFEGUARDS + MISTAKES
