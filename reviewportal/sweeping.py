"""Every process of a worker looks into the database by itself, too: a broker that is down delays, and no more.

The scheduler's messages need the broker. Without them each stage that a process serves is run here once in
its period; a message that does come puts the own look off.
"""

import logging
import threading
from collections.abc import Callable, Iterable, Mapping
from time import monotonic
from typing import Any

from celery import Celery, bootsteps
from celery.signals import task_prerun, worker_process_init
from django.conf import settings
from django.db import connections

logger = logging.getLogger(__name__)


class Sweep(threading.Thread):
    """Runs one stage whenever it has not run in this process for its period."""

    def __init__(self, *, name: str, run: Callable[[], object], period: float) -> None:
        super().__init__(name=f"sweep {name}", daemon=True)
        self._run_stage, self.period = run, period
        self._ran_at = monotonic()
        self._ended = threading.Event()

    def note_run(self) -> None:
        """A message brought the stage to this process."""
        self._ran_at = monotonic()

    def end(self) -> None:
        self._ended.set()

    def run(self) -> None:
        while not self._ended.wait(max(0.0, self._ran_at + self.period - monotonic())):
            if monotonic() < self._ran_at + self.period:
                continue
            self._ran_at = monotonic()
            try:
                self._run_stage()
            except Exception as error:  # noqa: BLE001 - the next sweep tries again; a stage that fails must not end it
                logger.error(
                    "a sweep failed", extra={"sweep": self.name, "error": type(error).__name__}
                )
            finally:
                connections.close_all()


_sweeps: dict[str, Sweep] = {}


def start(app: Celery, *, periods: Mapping[str, float]) -> None:
    """Begin the sweeps of the stages whose queues this process serves; `periods` are seconds by task."""
    served = set(app.amqp.queues.consume_from)
    for task, period in periods.items():
        if task in _sweeps or app.amqp.router.route({}, task)["queue"].name not in served:
            continue
        _sweeps[task] = Sweep(name=task, run=app.tasks[task], period=period)
        _sweeps[task].start()


def stop() -> None:
    """End them; a stage that is running ends by itself."""
    while _sweeps:
        _sweeps.popitem()[1].end()


def install(app: Celery) -> None:
    """Let every worker of the app sweep."""

    class Sweeping(bootsteps.StartStopStep):
        """In a worker whose tasks run in threads of this process; forked ones begin after the fork."""

        requires: Iterable[str] = ("celery.worker.components:Pool",)

        def start(self, parent: Any) -> None:
            if not parent.pool_cls.__module__.endswith("prefork"):
                start(app, periods=settings.SWEEPS)

        def stop(self, parent: Any) -> None:
            del parent
            stop()

    app.steps["worker"].add(Sweeping)

    @worker_process_init.connect(weak=False)
    def after_fork(**_: object) -> None:
        start(app, periods=settings.SWEEPS)

    @task_prerun.connect(weak=False)
    def came_by_message(task: Any = None, **_: object) -> None:
        sweep = _sweeps.get(getattr(task, "name", ""))
        if sweep is not None:
            sweep.note_run()
