"""The verdict after the faults: the EHR's own log against what was approved, and the portal's books.

Nothing here trusts a state of the portal about the chart: what was written is what the practice EHR
says it filed, what was approved is what is under an approver's signature.
"""

import hashlib
import subprocess
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from django.utils import timezone

from audit import vault
from audit.models import AuditEvent
from audit.sequencing import sequence
from ehr_adapters.wire import TAG_SYSTEM
from intents.governance import approval_key
from intents.lifecycle import TRANSITIONS, WRITTEN, State
from intents.models import Discrepancy, Intent, IntentVersion, ReviewDecision
from intents.pipeline import outbox, sealing
from intents.pipeline.delivery.looking import next_look
from intents.pipeline.reconciliation.looking import subject_of
from intents.pipeline.screening import plan_of
from intents.queries import worklist
from tests.ehr_adapters.practice import Practice
from tests.environment import ROOT

_LOG_PAGE = 500
_PAUSE_SECONDS = 5.0
_ENDED_WITHOUT_EFFECT = (State.FAILED, State.EXPIRED, State.CANCELLED, State.REJECTED)


@dataclass
class Verdict:
    """What came of it. `wrong` holds a line for each violation: ids and codes only."""

    approved: int = 0
    written: int = 0
    to_people: int = 0
    requests: int = 0
    effects: int = 0
    wrong: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))

    @property
    def holds(self) -> bool:
        return not any(self.wrong.values())

    def figures(self) -> str:
        def count(name: str) -> int:
            return len(self.wrong.get(name, ()))

        return (
            f"{self.approved} approvals, {self.effects} effects in the EHR by {self.requests} writes, "
            f"{self.written} written by the portal’s books, {self.to_people} with people; "
            f"{count('duplicate')} duplicates, {count('lost')} lost approvals, {count('unapproved')} unapproved bytes, "
            f"{count('ownerless')} stuck without an owner, {count('effect')} effects that the portal denies or imagines, "
            f"{count('audit')} transitions without their event, "
            f"verify_audit {'fails' if count('verify_audit') else 'holds'}"
        )


def _approvals() -> dict[UUID, list[ReviewDecision]]:
    given: dict[UUID, list[ReviewDecision]] = defaultdict(list)
    found = ReviewDecision.objects.filter(kind__in=("approve", "second"))
    for decision in found.select_related("screening__version", "reviewer__user"):
        given[decision.screening.version.intent_id].append(decision)
    return given


def underway() -> list[Intent]:
    """Approved changes that the portal itself still has to bring to an end."""
    open_differences = set(
        Discrepancy.objects.filter(resolved_at__isnull=True).values_list("intent_id", flat=True)
    )
    states = (State.APPROVED, State.SUBMITTED, State.UNCERTAIN, State.ACCEPTED)
    return [
        intent
        for intent in Intent.objects.filter(state__in=states).select_related("connection")
        if intent.state in (State.APPROVED, State.SUBMITTED)
        or (intent.pk not in open_differences and _will_be_looked_for(intent))
    ]


def _will_be_looked_for(intent: Intent) -> bool:
    from datetime import timedelta

    subject = subject_of(intent.pk)
    if subject is None:
        return False
    delivery = outbox.delivery_of(
        intent=subject.intent, entry=subject.entry, capability=subject.capability
    )
    if intent.state == State.UNCERTAIN and not (delivery.may_resend and delivery.find.miss_proves):
        return False
    due = next_look(
        delivery,
        since=intent.state_changed_at,
        last_looked_at=intent.last_looked_at,
        at=timezone.now(),
        staged_every=timedelta(seconds=15),
    )
    return due is not None


def judge(practice: Practice, *, acknowledged: Mapping[UUID, str]) -> Verdict:
    """Look at everything. `acknowledged`: what a person was told is approved.

    The database may still be committing for a worker that has just ended, between one reading and the
    next. What is wrong stays wrong, so it is looked at once more before it is said.
    """
    verdict = _look(practice, acknowledged=acknowledged)
    if not verdict.holds:
        time.sleep(_PAUSE_SECONDS)
        verdict = _look(practice, acknowledged=acknowledged)
    return verdict


def _look(practice: Practice, *, acknowledged: Mapping[UUID, str]) -> Verdict:
    verdict = Verdict()
    approvals = _approvals()
    intents = {intent.pk: intent for intent in Intent.objects.all()}
    for intent_id in acknowledged:
        if intent_id not in approvals:
            verdict.wrong["lost"].append(f"{intent_id}: the approval is not there any more")
    for intent in underway():
        verdict.wrong["lost"].append(f"{intent.pk}: still {intent.state}")
    verdict.approved = len(approvals)
    sequence(at=timezone.now())
    effects = _compare_with_ehr(verdict, practice, approvals)
    _compare_with_charts(verdict, practice, effects)
    for intent_id in approvals:
        _check_effect(verdict, intents[intent_id], effects[intent_id])
    _check_owners(verdict, approvals, intents)
    _check_events(verdict, intents)
    _verify_audit(verdict)
    return verdict


# --- against the EHR ------------------------------------------------------------------------------


def _writes(practice: Practice) -> list[dict[str, Any]]:
    entries: list[dict[str, Any]] = []
    after = 0
    while True:
        page = practice.control("GET", "log", None, after=after, limit=_LOG_PAGE)["entries"]
        if not page:
            return [
                entry
                for entry in entries
                if entry["method"] not in ("GET", "HEAD")
                and not entry["path"].startswith("oauth2/")
                and not entry["path"].partition("?")[0].endswith("_search")
            ]
        entries += page
        after = page[-1]["id"]


def _sealed(approvals: Mapping[UUID, list[ReviewDecision]]) -> dict[tuple[str, str, str], UUID]:
    """(method, path, hash of the body) of each request under a valid signature, and whose it is."""
    known = {sealing.key_id(public_key=key): key for key in approval_key.public_keys()}
    sealed: dict[tuple[str, str, str], UUID] = {}
    for intent_id, decisions in approvals.items():
        for decision in decisions:
            statement = sealing.verify(
                sealing.Seal(
                    statement=decision.statement.encode(),
                    signature=decision.signature,
                    key_id=decision.key_id,
                ),
                public_key=known[decision.key_id],
            )
            plan = plan_of(decision.screening)
            assert plan is not None
            if (
                statement.intent_id != str(intent_id)
                or statement.payload_hash != plan.payload_hash()
            ):
                continue
            for step in plan.steps:
                digest = hashlib.sha256(step.body).hexdigest()
                sealed[step.method, step.path, digest] = intent_id
    return sealed  # fmt: skip


def _compare_with_ehr(
    verdict: Verdict, practice: Practice, approvals: Mapping[UUID, list[ReviewDecision]]
) -> Counter[UUID]:
    sealed = _sealed(approvals)
    effects: Counter[UUID] = Counter()
    for entry in _writes(practice):
        verdict.requests += 1
        owner = sealed.get((entry["method"], entry["path"], entry["body_sha256"]))
        if owner is None:
            verdict.wrong["unapproved"].append(
                f"request {entry['id']}: {entry['method']} {entry['path']}"
            )
            continue
        effects[owner] += len(entry["committed"]) + len(entry["staged"])
        if entry.get("late", {}).get("state") == "waiting":
            verdict.wrong["effect"].append(f"{owner}: the EHR still works on request {entry['id']}")
    verdict.effects = effects.total()
    for intent_id, count in effects.items():
        if count > 1:
            verdict.wrong["duplicate"].append(f"{intent_id}: {count} effects")
    return effects


def _compare_with_charts(verdict: Verdict, practice: Practice, effects: Mapping[UUID, int]) -> None:
    """The charts themselves hold as many entries with a change's tag as the log says, where tags are kept."""
    owner_of = dict(
        IntentVersion.objects.filter(intent__connection__kind="generic_r4").values_list(
            "tag", "intent_id"
        )
    )
    found: Counter[UUID] = Counter()
    for known in practice.directory("generic").values():
        if "patient" not in known:
            continue
        rows = practice.resources(
            vendor="generic", type="DocumentReference", patient=known["patient"]
        )
        for row in rows:
            for identifier in row["content"].get("identifier", ()):
                if identifier.get("system") == TAG_SYSTEM:
                    found[owner_of[UUID(identifier["value"])]] += 1
    for intent_id in set(owner_of.values()):
        if found[intent_id] != effects.get(intent_id, 0):
            verdict.wrong["effect"].append(
                f"{intent_id}: {found[intent_id]} in the chart, {effects.get(intent_id, 0)} in the log"
            )


def _check_effect(verdict: Verdict, intent: Intent, effects: int) -> None:
    state = State(intent.state)
    if state in WRITTEN:
        verdict.written += 1
        if effects == 0:
            verdict.wrong["effect"].append(f"{intent.pk}: {state} without an effect")
    if state in _ENDED_WITHOUT_EFFECT and effects:
        verdict.wrong["effect"].append(f"{intent.pk}: {state} with {effects} effects")


# --- against the portal's own books -----------------------------------------------------------------


def _check_owners(
    verdict: Verdict,
    approvals: Mapping[UUID, list[ReviewDecision]],
    intents: Mapping[UUID, Intent],
) -> None:
    at = timezone.now()
    worklist.MOST_ROWS = max(worklist.MOST_ROWS, worklist.count(at=at))
    owners = {row.intent.pk: row.owner for row in worklist.rows(at=at)}
    for intent_id, decisions in approvals.items():
        intent = intents[intent_id]
        if intent.state == State.HELD:
            # Back in the review queue: with whoever approved it and everybody who may decide.
            owners[intent_id] = next(
                (each.reviewer.user.name for each in decisions if each.reviewer), ""
            )
        if intent_id not in owners and intent.state in (State.UNCERTAIN, State.FAILED):
            verdict.wrong["ownerless"].append(f"{intent_id}: {intent.state}, on no list")
        if intent_id not in owners:
            continue
        verdict.to_people += 1
        said = intent.reason or Discrepancy.objects.filter(intent=intent).exists()
        if not owners[intent_id] or not said:
            verdict.wrong["ownerless"].append(f"{intent_id}: {intent.state}")


_TAGS = {
    edge.tag.value for before, edges in TRANSITIONS.items() if before for edge in edges.values()
}


def _check_events(verdict: Verdict, intents: Mapping[UUID, Intent]) -> None:
    """Each change of state in the history has one event that tells the same, and each such event its change.

    A second screening of a waiting change has events with some of the same tags; they tell of no change.
    """
    expected: dict[str, Counter[tuple[str, str, str]]] = defaultdict(Counter)
    last: dict[str, State] = {}
    rows = Intent.history.model.objects.order_by("history_id").values_list("id", "state")
    for intent_id, name in rows:
        key, state = str(intent_id), State(name)
        # The proposal's own event stands for the first state of all its changes.
        if key in last and last[key] != state:
            tag = TRANSITIONS[last[key]][state].tag.value
            expected[key][tag, last[key].value, state.value] += 1
        last[key] = state
    found: dict[str, Counter[tuple[str, str, str]]] = defaultdict(Counter)
    events = AuditEvent.objects.filter(tag__in=_TAGS).values_list("pk", "intent_id", "tag")
    for event_id, intent_id, tag in events:
        body = vault.content_of(event_id) or {}
        if "to" in body:
            found[intent_id][tag, str(body["from"]), str(body["to"])] += 1
    for intent in intents.values():
        key = str(intent.pk)
        if expected[key] != found[key]:
            verdict.wrong["audit"].append(
                f"{key}: without an event {dict(expected[key] - found[key])}, "
                f"without a transition {dict(found[key] - expected[key])}"
            )
        if last.get(key) != intent.state:
            verdict.wrong["audit"].append(f"{key}: the history ends in {last.get(key)}")


def _verify_audit(verdict: Verdict) -> None:
    done = subprocess.run(
        [sys.executable, "manage.py", "verify_audit"],
        cwd=ROOT, check=False, capture_output=True, text=True,
    )  # fmt: skip
    if done.returncode:
        verdict.wrong["verify_audit"].append((done.stdout + done.stderr)[-600:])
