"""What a retry class promises, shown by sending every request twice.

S1 and S2 fence themselves: the second one changes nothing. S3 may be sent again because a search that finds nothing
proves that nothing arrived; were it sent twice, the search would show two. S4 and S6 would stand there twice, and
nobody can know beforehand, so only a person decides. S5 is declared by none of the six.
"""

from collections.abc import Callable
from contextlib import suppress
from typing import Any, ClassVar

import pytest

from ehr_adapters.capabilities import FindMethod, RetryClass
from ehr_adapters.contract import AccessToken, WireRequest
from ehr_adapters.errors import AlreadyThere, ContentRefused, VersionConflict
from intents.pipeline.matching import Verdict
from tests.ehr_adapters.practice import Practice
from tests.ehr_adapters.stage import Stage

EQUAL = {Verdict.OURS_EQUAL, Verdict.COLLEAGUE_EQUAL}


class RetryPromises:
    """The part of the contract that sends twice. `PracticeContract` has the rest."""

    # What a probe sets for this EHR, which strengthens classes; and the practice with which it does.
    proven: ClassVar[dict[str, Any]] = {}
    proven_practice: ClassVar[dict[str, Any]] = {}
    # The practice for which nothing was proven.
    unproven_practice: ClassVar[dict[str, Any]] = {}
    # "kind interaction" -> the fact why a second one of S4 or S6 may change nothing.
    once_only: ClassVar[dict[str, str]] = {}

    @pytest.mark.req("003-55")
    def test_sent_again_it_does_what_its_retry_class_promises(
        self,
        fresh_practice: Practice,
        stage: Stage,
        row: Any,
        record_property: Callable[[str, object], None],
    ) -> None:
        """Once with the class that nothing proved, and once with the one that a probe gives."""
        if self.unproven_practice:
            fresh_practice.settings(self.vendor, **self.unproven_practice)
        classes = [self.twice(stage, row, 0)]
        if self.proven:
            fresh_practice.settings(self.vendor, **self.proven_practice)
            classes.append(self.twice(self.staged(fresh_practice, row, **self.proven), row, 1))
        self.tell(record_property, row, cases=len(classes), retry=[str(one) for one in classes])

    def twice(self, stage: Stage, row: Any, number: int) -> RetryClass:
        plan, baseline = self.planned(stage, row, number)
        retry = self.capability(stage, row).retry

        def looked() -> Verdict | None:
            return None if self.unseen(row) else self.verdict(stage, row, plan, baseline.target)

        before = looked()
        [step] = plan.steps
        token = stage.adapter.authenticate(step)
        assert self.effects_of(stage, step, token) == 1
        after = looked()
        if retry.may_resend:
            # An entry of the same key or target is there before; what it says is not yet what is sent.
            held = plan.find is FindMethod.KEY and plan.target
            assert before not in EQUAL if held else before is Verdict.NONE, f"{before} of nothing"
            assert after in EQUAL, f"{after} of what was filed"
        second = self.effects_of(stage, step, token)
        if retry in {RetryClass.S1, RetryClass.S2}:
            assert second == 0, "nothing fenced the second one"
            assert looked() in EQUAL
        elif retry is RetryClass.S3:
            # A second change of one entry leaves it as it is.
            doubled = second == 1 and self.makes_entry(row) and plan.find is not FindMethod.KEY
            assert looked() in ({Verdict.AMBIGUOUS} if doubled else EQUAL)
        elif retry in {RetryClass.S4, RetryClass.S6}:
            fact = self.once_only.get(f"{row.kind} {row.interaction}", "")
            assert second == 1 or fact, f"declared {retry}, and a second one changes nothing"
        else:
            pytest.fail(f"Nothing is known of what {retry} promises.")
        return retry

    def effects_of(self, stage: Stage, step: WireRequest, token: AccessToken) -> int:
        """Sends it, whatever the answer; how many effects the practice had of it."""
        mark = self.mark(stage)
        with suppress(AlreadyThere, VersionConflict, ContentRefused):
            stage.adapter.submit(step, token=token)
        told = stage.practice.control("GET", "log", None, vendor=self.vendor, after=mark)
        [entry] = told["entries"]
        return len(entry["committed"]) + len(entry["staged"])
