"""Bugs planted into the workers under chaos: each is one that a real worker could have, and the judge must see it.

`python -m tests.chaos --bug NAME` runs the load, the faults and the judge as ever, and succeeds only if
the verdict names the harm.
"""

import dataclasses
from collections.abc import Callable
from datetime import datetime
from typing import Any


@dataclasses.dataclass(frozen=True, slots=True)
class Bug:
    """`harm` is the verdict's word for it; `place` is where half the workers are killed, if that matters."""

    plant: Callable[[], None]
    harm: str
    place: str = ""
    # Of the drafts, one in so many goes to the EHR that keeps no tag.
    unsearchable: int = 12


def plant(name: str) -> None:
    """Put one of `BUGS` into this process; "" leaves it as it is."""
    if name:
        BUGS[name].plant()


def _silence_is_unsent() -> None:
    """Takes a lost answer for a write that never left, and sends again without looking."""
    from ehr_adapters.errors import OutcomeUnknown, Unreachable
    from intents.pipeline import gateway
    from intents.pipeline.delivery.words import Seen
    from intents.pipeline.dispatch.exchange import Exchange

    submit = gateway.submit

    def optimistic(**how: Any) -> Any:
        try:
            return submit(**how)
        except OutcomeUnknown:
            raise Unreachable from None

    gateway.submit = optimistic
    Exchange._search = lambda _self: Seen.NONE  # type: ignore[method-assign]  # that is the bug


def _sends_before_the_commit() -> None:
    """Holds the transaction of the claim open while it sends: who dies in between has never sent."""
    from django.db import transaction

    from intents.governance.tenancy import tenant_context
    from intents.pipeline import gateway
    from intents.pipeline.dispatch import beginning, draining
    from intents.pipeline.dispatch.ending import record_outcome
    from intents.pipeline.dispatch.exchange import Exchange

    class Nested:
        """`django.db.transaction` for code that must not notice that it is not the outermost."""

        @staticmethod
        def atomic(durable: bool = False) -> Any:
            del durable
            return transaction.atomic()

    beginning.transaction = Nested  # type: ignore[assignment]  # that is the bug
    gateway.let_go_of_database = lambda: None

    def send(*, claimed: Any, at: datetime) -> None:
        with tenant_context(claimed.tenant_id):
            with transaction.atomic():
                begun = beginning.begin(claimed, at=at)
                if begun is None:
                    return
                exchange = Exchange(begun, clock=lambda: at)
                ending = exchange.play()
            record_outcome(begun, ending, exchange, at=at)

    draining.send = send


def _forgets_the_dead() -> None:
    """Nobody sweeps the rows of a worker that died."""
    from intents.pipeline.reconciliation import sweeping

    sweeping._sweep_leases = lambda **_: 0


def _touches_the_bytes() -> None:
    """Sends one blank more than was approved."""
    from intents.pipeline import gateway

    submit = gateway.submit

    def touched(*, step: Any, **how: Any) -> Any:
        return submit(step=dataclasses.replace(step, body=step.body + b" "), **how)

    gateway.submit = touched


def _ignores_the_switch() -> None:
    """Writes on while a kill switch is engaged."""
    from intents.governance import switches

    switches.stopping = lambda **_: None


BUGS: dict[str, Bug] = {
    "silence-is-unsent": Bug(_silence_is_unsent, "duplicate"),
    "sends-before-the-commit": Bug(
        _sends_before_the_commit, "duplicate", place="after_send", unsearchable=1
    ),
    "forgets-the-dead": Bug(_forgets_the_dead, "lost", place="after_send"),
    "touches-the-bytes": Bug(_touches_the_bytes, "unapproved"),
    "ignores-the-switch": Bug(_ignores_the_switch, "switch"),
}
