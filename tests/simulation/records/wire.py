"""What the EHR got: each request for a write against what people approved (I1, I2, I3, I7, I8, I9)."""

import base64
import hashlib
from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from intents.governance import approval_key
from intents.governance.models import EhrConnection, KillSwitch
from intents.models import Intent, PolicyVerdict, ReviewDecision, Screening, WriteLedgerEntry
from intents.pipeline import screening, sealing
from intents.pipeline.sealing import Seal
from tests.simulation.records.organisations import SPOKEN
from tests.simulation.records.world import World


@dataclass(slots=True)
class Write:
    """One request that could change a chart, as the EHR logged it."""

    number: int
    method: str
    path: str
    body: bytes
    client: str
    intent: UUID
    tenant: UUID
    effects: int = 0


class _Sealed:
    """The bytes of every screening that anybody approved, by their hash."""

    def __init__(self) -> None:
        self.by_hash: dict[str, list[tuple[UUID, UUID, UUID]]] = defaultdict(list)
        self._seen: set[UUID] = set()

    def refresh(self) -> None:
        decided = ReviewDecision.unscoped.filter(kind__in=("approve", "second"))
        new = set(decided.values_list("screening_id", flat=True)) - self._seen
        for one in Screening.unscoped.filter(pk__in=new).select_related("version"):
            self._seen.add(one.pk)
            plan = screening.plan_of(one)
            for step in plan.steps if plan else ():
                digest = hashlib.sha256(step.body).hexdigest()
                self.by_hash[digest].append((one.pk, one.version.intent_id, one.tenant_id))


class Wire:
    """`writes` is every request for a write, in the order in which the EHR got them."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.writes: dict[int, Write] = {}
        self._sealed = _Sealed()
        self._newest = 0
        self._clients = {str(row.client_id): row.tenant_id for row in EhrConnection.unscoped.all()}
        self._hold = world.checks.hold

    def look(self) -> None:
        self._sealed.refresh()
        self._requests()

    def effects_of(self, intent: Intent) -> int:
        """How often the EHR carried this change out: the truth."""
        return sum(each.effects for each in self.writes.values() if each.intent == intent.pk)

    def _requests(self) -> None:
        late = any(each.effects == 0 for each in self.writes.values())
        # What the EHR files late it notes at the request that it came with.
        after = min((n for n, w in self.writes.items() if not w.effects), default=self._newest + 1)
        entries = self.world.practice.log(after=after - 1 if late else self._newest)
        engaged = list(KillSwitch.objects.filter(released_at__isnull=True))
        for entry in entries:
            # The EHR itself is asked for people of the same name by that name; nothing else goes along.
            self._hold(
                not any(word in f"{entry['path']} {entry['headers']}" for word in SPOKEN),
                "I10: the address or a header of a request tells of the patient",
            )
            done = len(entry["committed"]) + len(entry["staged"])
            if entry["id"] in self.writes:
                self.writes[entry["id"]].effects = done
            elif entry["method"] in ("POST", "PUT") and "token" not in entry["path"]:
                self._new_write(entry, done, engaged)
        self._newest = max([self._newest, *(entry["id"] for entry in entries)])
        effects = Counter[UUID]()
        for write in self.writes.values():
            effects[write.intent] += write.effects
        for intent, count in effects.items():
            self._hold(count <= 1, f"I2: {count} effects of one change ({intent})")

    def _new_write(self, entry: dict[str, Any], done: int, engaged: list[KillSwitch]) -> None:
        body = base64.b64decode(entry["body"] or "")
        known = self._sealed.by_hash.get(hashlib.sha256(body).hexdigest(), [])
        self._hold(known, "I1: the EHR got bytes that nobody approved")
        # A request that the EHR did not admit it logs without a client, and it had no effect.
        tenant = self._clients.get(entry["client_id"])
        own = [each for each in known if not entry["client_id"] or each[2] == tenant]
        self._hold(own, "I9: one organisation sent what another approved")
        self._hold(entry["client_id"] or not done, "I9: an effect of nobody's request")
        sending = [
            (screening_id, intent_id)
            for screening_id, intent_id, _ in own
            if self._was_being_sent(screening_id, intent_id)
        ]
        self._hold(sending, "I3: a request came from no recorded attempt")
        screening_id, intent_id = sending[-1]
        self._is_approved(screening_id, intent_id, entry)
        write = Write(
            number=entry["id"], method=entry["method"], path=entry["path"], body=body,
            client=entry["client_id"], intent=intent_id, tenant=own[-1][2], effects=done,
        )  # fmt: skip
        self.writes[write.number] = write
        self.world.figures["writes"] += 1
        self._not_switched_off(write, engaged)

    def _was_being_sent(self, screening_id: UUID, intent_id: UUID) -> bool:
        """Is there an attempt of it that no earlier request belongs to?"""
        begun = WriteLedgerEntry.unscoped.filter(
            intent_id=intent_id, phase="SENT", entry__screening_id=screening_id
        ).count()
        return begun > sum(each.intent == intent_id for each in self.writes.values())

    def _is_approved(self, screening_id: UUID, intent_id: UUID, entry: dict[str, Any]) -> None:
        attempt = (
            WriteLedgerEntry.unscoped.filter(intent_id=intent_id, phase="SENT")
            .select_related("entry__decision")
            .order_by("at", "tick")
            .last()
        )
        assert attempt is not None
        decision = attempt.entry.decision
        undone = ReviewDecision.unscoped.filter(
            screening_id=screening_id, kind="undo", decided_at__lte=attempt.at
        ).count()
        self._hold(decision.round == undone + 1, "I1: the approval had been taken back")
        given = list(
            ReviewDecision.unscoped.filter(
                screening_id=screening_id, round=decision.round, kind__in=("approve", "second")
            ).select_related("reviewer", "screening__version")
        )
        for each in given:
            statement = _opened(each)
            self._hold(statement is not None, "I1: a statement is not signed")
            assert statement is not None
            self._hold(
                statement.intent_id == str(intent_id), "I1: a statement about another change"
            )
            self._hold(statement.expires_at > attempt.at, "I1: the approval had run out")
            self._hold(
                any(
                    (one.method, one.path) == (entry["method"], entry["path"].split("?")[0])
                    for one in statement.requests
                ),
                "I1: the request is not the one that was stated",
            )
            self._hold(
                statement.payload_hash == each.screening.payload_hash, "I1: other bytes were stated"
            )
        self.enough_people(screening_id, given)

    def enough_people(self, screening_id: UUID, given: list[ReviewDecision]) -> None:
        """I8, by the rules as they stood at the approval."""
        ruled = (
            PolicyVerdict.unscoped.filter(screening_id=screening_id)
            .exclude(moment="claim")
            .order_by("at", "pk")
            .last()
        )
        self._hold(ruled is not None, "I8: no rules were asked")
        assert ruled is not None
        people = {each.reviewer.user_id for each in given if each.reviewer}
        needed = 2 if ruled.tier == "DUAL_APPROVAL" else 1
        self._hold(len(people) >= needed, f"I8: {len(people)} of {needed} people approved")
        self._hold(len(people) == len(given), "I8: one person approved twice")
        for each in given:
            assert each.reviewer is not None
            self._hold(
                each.reviewer.tenant_id == each.tenant_id, "I9: an approver of another organisation"
            )
            author = each.screening.version.author_id
            if needed == 2 and each.kind == "second":
                self._hold(
                    author != str(each.reviewer.user_id), "I8: the second approver is the author"
                )

    def _not_switched_off(self, write: Write, engaged: list[KillSwitch]) -> None:
        """I7: only a worker that had looked before, and slept in front of the socket, may still send."""
        intent = Intent.unscoped.select_related("proposal").get(pk=write.intent)
        for switch in engaged:
            reaches = {
                "DEPLOYMENT": True,
                "TENANT": switch.tenant_id == intent.tenant_id,
                "CONNECTION": switch.connection_id == intent.connection_id,
                "AGENT": switch.agent_id == intent.proposal.agent_id,
                "KIND": switch.change_kind == intent.change_kind,
            }[switch.target]
            if reaches and write.number > self.world.engaged_after.get(switch.pk, 0):
                self.world.excused[switch.pk] = self.world.excused.get(switch.pk, 0) - 1
        self._hold(
            all(left >= 0 for left in self.world.excused.values()),
            "I7: written although it was switched off",
        )


def _opened(decision: ReviewDecision) -> sealing.Statement | None:
    seal = Seal(
        statement=decision.statement.encode(), signature=decision.signature, key_id=decision.key_id
    )
    for key in approval_key.public_keys():
        if sealing.key_id(public_key=key) == decision.key_id:
            return sealing.verify(seal, public_key=key)
    return None
