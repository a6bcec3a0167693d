"""Which record looked like what, and who made it so: simple-history with the actor as text.

A history row copies the actor's kind, id and name, so it still reads after people are renamed or
programs are retired; there is no foreign key to a user. It answers "what did this look like in
March". It is not evidence: that is `audit`.
"""

from collections.abc import Sequence
from contextvars import ContextVar
from datetime import datetime
from typing import Any, Protocol

from django.db import models
from simple_history.models import HistoricalRecords


class HistoryWithoutActor(RuntimeError):
    """A record with history was saved and nobody was named as the one who did it."""


class NamedActor(Protocol):
    """What a history row copies. `audit.actors.Actor` is one."""

    @property
    def kind(self) -> str: ...
    @property
    def id(self) -> str: ...
    @property
    def name(self) -> str: ...


_INSTALLATION = ("INSTALLATION", "system:installation", "Installation")
_acting: ContextVar[tuple[str, str, str] | None] = ContextVar("history_actor", default=None)
_written: ContextVar[list[models.Model]] = ContextVar("history_written")


class ActorHistory(models.Model):
    """Base of every history model: who acted, as text."""

    actor_kind = models.CharField(max_length=20)
    actor_id = models.CharField(max_length=100)
    actor_name = models.CharField(max_length=200)

    class Meta:
        abstract = True

    def save(self, *args: Any, **kwargs: Any) -> None:
        acting = _acting.get()
        if acting is not None:
            self.actor_kind, self.actor_id, self.actor_name = acting
        super().save(*args, **kwargs)
        if acting is not None:
            _written.get().append(self)


def _name_of(history: Any) -> str:
    return history.actor_name


def _ignore(history: Any, user: object) -> None:
    """The library assigns the request's user; the actor was stamped by the mutator instead."""


class ActorRecords(HistoricalRecords):
    """`history = ActorRecords()` on a model: one history row per save, with its actor.

    Mutators call `stamp()` first. A save that names nobody raises `HistoryWithoutActor`, unless the
    model declares `anonymous=True` (people, whose own library saves them at sign-in).
    """

    def __init__(self, *, anonymous: bool = False, **options: Any) -> None:
        self.anonymous = anonymous
        options["bases"] = (ActorHistory, *options.get("bases", ()))
        options.setdefault("history_change_reason_field", models.TextField(null=True, blank=True))
        super().__init__(**options)

    def _get_history_user_fields(self) -> dict[str, object]:
        return {"history_user": property(_name_of, _ignore)}

    def get_history_user(self, instance: models.Model) -> None:
        return None

    def create_historical_record(
        self, instance: models.Model, history_type: str, using: str | None = None
    ) -> None:
        stamped = instance.__dict__.pop("_history_actor", None)
        if stamped is None:
            if not self.anonymous:
                raise HistoryWithoutActor(
                    f"{instance._meta.label} was saved without stamp(); use one of its mutators."
                )
            stamped = _INSTALLATION
        token, written = _acting.set(stamped), _written.set([])
        try:
            super().create_historical_record(instance, history_type, using=using)
            instance._history_row = _written.get()[0]  # type: ignore[attr-defined]  # simple_history passes it on in this attribute
        finally:
            _acting.reset(token)
            _written.reset(written)
            # The library leaves both on the instance and would repeat them at the next save.
            instance.__dict__.pop("_history_date", None)
            instance.__dict__.pop("_change_reason", None)


def stamp(instance: models.Model, *, actor: NamedActor, at: datetime, reason: str = "") -> None:
    """Name the actor, the moment and the reason of the next save of `instance`. One save only."""
    instance._history_actor = (str(actor.kind), actor.id, actor.name)  # type: ignore[attr-defined]  # simple_history reads it from here
    instance._history_date = at  # type: ignore[attr-defined]  # simple_history reads it from here
    instance._change_reason = reason or None  # type: ignore[attr-defined]  # simple_history reads it from here


def history_row(instance: models.Model) -> models.Model:
    """The history row that the latest save of this instance wrote.

    Audit events name this row, not the record: it never changes, so its hash can be recomputed.
    """
    row: models.Model = instance._history_row  # type: ignore[attr-defined]  # the history's own record, left there by the save
    return row


def create_recorded(
    instances: Sequence[models.Model], *, actor: NamedActor, at: datetime, reason: str = ""
) -> list[models.Model]:
    """Insert new records of one model and their history rows in two statements; the history rows.

    The same columns and the same actor text as one save each would have written.
    """
    if not instances:
        return []
    model = type(instances[0])
    rows_model = model.history.model  # type: ignore[attr-defined]  # every model kept here has a history
    columns = [field.attname for field in rows_model.tracked_fields]
    model._base_manager.bulk_create(instances)
    return rows_model._base_manager.bulk_create(
        [
            rows_model(
                history_date=at,
                history_type="+",
                history_change_reason=reason or None,
                actor_kind=str(actor.kind),
                actor_id=actor.id,
                actor_name=actor.name,
                **{name: getattr(instance, name) for name in columns},
            )
            for instance in instances
        ]
    )
