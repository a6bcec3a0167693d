"""What every governance record shares: one way to be saved, which writes history and audit."""

from datetime import datetime
from typing import Any, ClassVar, Self

from django.db import models, transaction

from audit.actors import Actor
from audit.recording import OutsideTransaction, record
from audit.tags import AuditTag
from intents.governance.history import history_row, stamp


class NotChangeable(ValueError):
    """A column that is fixed when the record is made, or that its own mutator changes."""


class Governed(models.Model):
    """Base of the governance records. Their mutators end in `keep()`; nothing else saves them."""

    # The columns that `change()` may set.
    CHANGEABLE: ClassVar[frozenset[str]] = frozenset()

    class Meta:
        abstract = True

    @classmethod
    def lock(cls, pk: Any) -> Self:
        """The record with its row locked until the transaction ends. The caller checked the tenant."""
        return cls._base_manager.select_for_update(of=("self",)).get(pk=pk)

    def keep(
        self,
        *,
        tag: AuditTag,
        actor: Actor,
        at: datetime,
        reason: str = "",
        patient_token: str = "",
        **body: object,
    ) -> None:
        """Save with history and audit, in the caller's transaction.

        Raises ValidationError, and OutsideTransaction before anything is saved.
        """
        if not transaction.get_connection().in_atomic_block:
            raise OutsideTransaction(f"{self._meta.label} was to be changed outside a transaction.")
        self.clean_fields()
        self.clean()
        stamp(self, actor=actor, at=at, reason=reason)
        self.save()
        tenant_id = self.log_tenant_id()
        record(
            tag=tag,
            actor=actor,
            at=at,
            tenant_id=str(tenant_id) if tenant_id else None,
            patient_token=patient_token,
            rows=(history_row(self),),
            body={"record": str(self.pk), "reason": reason, **body},
        )

    def clean(self) -> None:
        """Django's name for it: forms ask it too, before anything is saved."""
        super().clean()
        self.check_sense()

    def check_sense(self) -> None:
        """Raise ValidationError where columns contradict each other."""

    def log_tenant_id(self) -> Any:
        """Whose log the events about this record go to; None is the deployment's."""
        return getattr(self, "tenant_id", None)

    def set_columns(self, columns: dict[str, object]) -> list[str]:
        """Assign changeable columns; the names of those that differ from before, sorted."""
        refused = sorted(set(columns) - self.CHANGEABLE)
        if refused:
            raise NotChangeable(f"{self._meta.label}: {', '.join(refused)} cannot be changed.")
        changed = []
        for name, value in columns.items():
            field = self._meta.get_field(name)
            attribute = field.attname if isinstance(field, models.ForeignKey) else name
            new = value.pk if isinstance(value, models.Model) else value
            if getattr(self, attribute) != new:
                setattr(self, name, value)
                changed.append(name)
        return sorted(changed)
