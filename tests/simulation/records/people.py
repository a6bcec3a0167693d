"""What people do: decide, take back, stop writing and let it go on, settle what machines cannot."""

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

from django.db import transaction

from intents.governance import switches
from intents.governance.models import ConsentDirective, KillSwitch, User
from intents.lifecycle import State
from intents.management.clinic import INSTALLATION
from intents.models import Discrepancy, Intent, Proposal
from intents.pipeline import intake, reconciliation, review
from intents.pipeline.presentation import NotPresentable
from intents.queries import queue
from intents.queries import worklist as troubles
from tests.simulation.records.clinics import REFUSALS, Clinics
from tests.simulation.records.organisations import Organisation


class People(Clinics):
    """Reviewers, compliance, operators, strangers."""

    def approve(self, *, index: int, by: int) -> None:
        """Somebody reads the page, makes every check and approves."""
        found = self._pick(index, State.PENDING_APPROVAL)
        if found is None:
            return
        who, proposal, _ = found
        with who.inside():
            self._ask("approve", lambda: who.approve(
                proposal, by=who.deciders[by % len(who.deciders)], at=self.at
            ))  # fmt: skip

    def approve_what_was_shown(self, *, index: int, by: int) -> None:
        """The page was opened, somebody else edited the draft, and then the first one approves."""
        found = self._pick(index, State.PENDING_APPROVAL)
        if found is None:
            return
        who, proposal, intents = found
        with who.inside():
            try:
                page = who.page(proposal, at=self.at)
            except NotPresentable:
                return
            form = who.form(page, at=self.at)
            edited = self._edit(who, intents, by=by, words="Denies chest pain.")
            approved = self._ask("approve stale", lambda: review.approve(
                proposal_id=proposal.pk, form=form, at=self.at,
                reviewer=who.person(who.deciders[0]),
            ))  # fmt: skip
            self.checks.hold(not (edited and approved), "I1: approved is what nobody was shown")

    def edit(self, *, index: int, by: int) -> None:
        found = self._pick(index, State.PENDING_APPROVAL, State.HELD)
        if found is None:
            return
        who, _, intents = found
        with who.inside():
            self._edit(who, intents, by=by, words="Denies fever.")

    def _edit(self, who: Organisation, intents: Sequence[Intent], *, by: int, words: str) -> bool:
        for intent in intents:
            version, shown = intent.current_version, intent.current_screening
            if intent.change_kind != "note" or version is None:
                continue
            content = dict(version.phi_json("content"))
            sections = [dict(section) for section in content["sections"]]
            sections[0]["text"] = f"{sections[0]['text']} {words} As she told thornapple."
            return self._ask("edit", lambda: review.edit(
                intent_id=intent.pk, reviewer=who.person(who.deciders[by % 2]),  # noqa: B023 - called at once
                content={**content, "sections": sections},  # noqa: B023 - called at once
                payload_hash=shown.payload_hash if shown else "", at=self.at,  # noqa: B023 - called at once
            ))  # fmt: skip
        return False

    def reject(self, *, index: int, by: int) -> None:
        found = self._pick(index, State.PENDING_APPROVAL, State.HELD)
        if found is None:
            return
        who, proposal, _ = found
        with who.inside():
            self._ask("reject", lambda: review.reject(
                proposal_id=proposal.pk, reviewer=who.person(who.deciders[by % len(who.deciders)]),
                reason_code=sorted(review.REASON_CODES)[by % len(review.REASON_CODES)],
                note="She did not say so, says thornapple.", at=self.at,
            ))  # fmt: skip

    def undo(self, *, index: int, by: int) -> None:
        """In time, or too late: then it has to be refused."""
        found = self._pick(index, State.APPROVED, State.SUBMITTED, State.UNCERTAIN)
        if found is None:
            return
        who, proposal, _ = found
        with who.inside():
            self._ask("undo", lambda: review.undo(
                proposal_id=proposal.pk, reviewer=who.person(who.deciders[by % 2]), at=self.at
            ))  # fmt: skip

    def approve_and_undo(self, *, index: int, by: int) -> None:
        """Within the undo time."""
        self.approve(index=index, by=0)
        self.undo(index=index, by=by)

    def recall(self, *, index: int, by: int) -> None:
        found = self._pick(index, State.APPROVED)
        if found is None:
            return
        who, _, intents = found
        with who.inside():
            self._ask("recall", lambda: review.recall(
                intent_id=intents[0].pk, member=who.person(who.compliance),
                reason_code="not-wanted", at=self.at,
            ))  # fmt: skip

    def hold(self, *, index: int, by: int) -> None:
        found = self._pick(index, State.PENDING_APPROVAL, State.APPROVED)
        if found is None:
            return
        who, _, intents = found
        with who.inside():
            self._ask("hold", lambda: review.hold(
                intent_id=intents[-1].pk, member=who.person(who.compliance),
                reason_code="privacy", at=self.at,
            ))  # fmt: skip

    def release(self, *, index: int, by: int) -> None:
        found = self._pick(index, State.HELD)
        if found is None:
            return
        who, proposal, _ = found
        with who.inside():
            self._ask("release", lambda: review.release(
                proposal_id=proposal.pk, reviewer=who.person(who.deciders[by % 2]), at=self.at
            ))  # fmt: skip

    def withdraw(self, *, index: int, by: int) -> None:
        """The agent takes its draft back."""
        if not self.drafts:
            return
        who, proposal_id = self.drafts[index % len(self.drafts)]
        with who.inside():
            credential = who.credential()
        self._ask("withdraw", lambda: intake.withdraw(
            credential=credential, proposal_id=proposal_id, at=self.at
        ))  # fmt: skip

    def consent(self, *, index: int, by: int) -> None:
        """A patient of a draft says no to all of it: for good, or for ten minutes."""
        found = self._pick(index, State.PENDING_APPROVAL, State.APPROVED)
        if found is None:
            return
        who, proposal, _ = found
        with who.inside(), transaction.atomic():
            ConsentDirective.enter(
                connection=proposal.connection, patient_ref=proposal.patient_ref,
                decision="DENY", source="told the front desk", active_from=self.at,
                active_until=self.at + timedelta(minutes=10) if index % 2 else None,
                actor=INSTALLATION, at=self.at,
            )  # fmt: skip
        self.figures["consent withdrawn"] += 1

    def stranger(self, *, index: int, by: int) -> None:
        """Somebody of the other organisation tries to decide about a draft, and looks at every list."""
        if not self.drafts:
            return
        owner, proposal_id = self.drafts[index % len(self.drafts)]
        other = self.south if owner is self.north else self.north
        with other.inside():
            outsider = other.person(other.deciders[0])
            attempts: tuple[Callable[[], object], ...] = (
                lambda: review.reject(
                    proposal_id=proposal_id, reviewer=outsider, at=self.at,
                    reason_code=min(review.REASON_CODES),
                ),
                lambda: review.undo(proposal_id=proposal_id, reviewer=outsider, at=self.at),
                lambda: review.release(proposal_id=proposal_id, reviewer=outsider, at=self.at),
            )  # fmt: skip
            try:
                attempts[index % len(attempts)]()
            except (*REFUSALS, Proposal.DoesNotExist) as refusal:
                self.checks.hold(True, "I9: refused")
                self._check_words(refusal)
            else:
                self.checks.hold(False, "I9: somebody decided about another organisation's draft")
        for who in self.both:
            with who.inside():
                self._check_lists(who)

    def _check_lists(self, who: Organisation) -> None:
        reader = who.person(who.deciders[0])
        shown = queue.page(queue.View.ALL, reviewer=reader, at=self.at, wanted=queue.Filter())
        seen = {each.tenant_id for each in shown.proposals}
        seen |= {row.intent.tenant_id for row in troubles.rows(at=self.at)}
        self.checks.hold(seen <= {who.tenant.pk}, "I9: a list shows another organisation's")

    # --- stopping ---------------------------------------------------------------------------------------

    def engage(self, *, reach: int) -> None:
        who = self.both[reach % 2]
        with who.inside():
            connection = who.connection()
            columns: tuple[tuple[str, dict[str, Any]], ...] = (
                ("DEPLOYMENT", {}),
                ("TENANT", {"tenant": who.tenant}),
                ("CONNECTION", {"tenant": who.tenant, "connection": connection}),
                ("AGENT", {"tenant": who.tenant, "agent": who.agent}),
                ("KIND", {"change_kind": ("note", "problem")[reach % 2]}),
            )
            name, more = columns[reach % len(columns)]
            switch = switches.engage(
                target=name, reason="a rehearsal", actor=INSTALLATION, at=self.at, **more
            )
        self.engaged_after[switch.pk] = self.newest_request()
        if self.asleep_at == "before_send":
            self.excused[switch.pk] = 1
        self.figures["switches engaged"] += 1

    def release_switch(self, *, index: int) -> None:
        """Two people let writing go on."""
        engaged = list(KillSwitch.objects.filter(released_at__isnull=True).order_by("engaged_at"))
        if engaged:
            self._release(engaged[index % len(engaged)])

    def _release(self, switch: KillSwitch) -> None:
        who = next((each for each in self.both if each.tenant.pk == switch.tenant_id), self.north)
        with who.inside(), transaction.atomic():
            locked = KillSwitch.lock(switch.pk)
            first, second = who.person(who.operator).user, who.person(who.admin).user
            locked.ask_release(user=first, actor=INSTALLATION, at=self.at)
            alone = self._ask("release alone", lambda: self._release_alone(locked, first))
            self.checks.hold(not alone, "I8: one person alone let writing go on")
            locked.release(user=second, actor=INSTALLATION, at=self.at)

    def _release_alone(self, locked: KillSwitch, user: User) -> None:
        with transaction.atomic():
            locked.release(user=user, actor=INSTALLATION, at=self.at)

    # --- operators --------------------------------------------------------------------------------------

    def operate(self, *, index: int, how: int, is_there: Callable[[Intent], bool]) -> None:
        """Somebody at the work list settles what machines cannot, and says the truth about the EHR."""
        match how % 4:
            case 0:
                self._settle(index, resend=how % 8 < 4, is_there=is_there)
            case 1:
                self._resolve(index, is_there=is_there)
            case 2:
                self._retry(index)
            case _:
                self._assign(index)

    def _settle(self, index: int, *, resend: bool, is_there: Callable[[Intent], bool]) -> None:
        found = self._pick(index, State.UNCERTAIN)
        if found is None:
            return
        who, _, intents = found
        there = is_there(intents[0])
        with who.inside():
            self._ask("settle", lambda: reconciliation.operator_settle(
                intent_id=intents[0].pk, operator=who.person(who.operator), found=there,
                evidence="Looked at the list at 10:12 beside thornapple.", at=self.at,
                resend=resend and not there,
            ))  # fmt: skip

    def _resolve(self, index: int, *, is_there: Callable[[Intent], bool]) -> None:
        for who in self.both:
            with who.inside():
                rows = list(
                    Discrepancy.objects.filter(resolved_at__isnull=True).order_by("opened_at", "pk")
                )
                if rows:
                    self._ask("resolve", lambda: reconciliation.operator_resolve(
                        discrepancy_id=rows[index % len(rows)].pk,  # noqa: B023 - called at once
                        operator=who.person(who.operator), resolution="ehr-is-right",  # noqa: B023 - called at once
                        evidence="Looked at the entry beside thornapple.", at=self.at,
                    ))  # fmt: skip
                    return

    def _retry(self, index: int) -> None:
        found = self._pick(index, State.FAILED)
        if found is None:
            return
        who, _, intents = found
        with who.inside():
            operator = who.person(who.operator)
            if index % 2:
                self._ask("resend", lambda: reconciliation.operator_resend(
                    intent_id=intents[0].pk, operator=operator, at=self.at
                ))  # fmt: skip
            else:
                self._ask("give up", lambda: reconciliation.operator_give_up(
                    intent_id=intents[0].pk, operator=operator,
                    reason="Moved away, says thornapple.", at=self.at,
                ))  # fmt: skip

    def _assign(self, index: int) -> None:
        for who in self.both:
            with who.inside():
                rows = list(
                    Discrepancy.objects.filter(resolved_at__isnull=True).order_by("opened_at", "pk")
                )
                if rows:
                    operator = who.person(who.operator)
                    self._ask("assign", lambda: reconciliation.assign(
                        discrepancy_id=rows[index % len(rows)].pk, member=operator,  # noqa: B023 - called at once
                        owner=operator.user.name, at=self.at,  # noqa: B023 - called at once
                    ))  # fmt: skip
                    return
