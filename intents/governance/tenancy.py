"""Whose data a piece of code may see. Without a tenant it sees nothing.

A door (a page, an API call, a task) opens `tenant_context()`; every query through `objects` is then
limited to that tenant, and a query without a context raises instead of answering for everyone.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar, Token
from typing import Any
from uuid import UUID

from django.db import models

_tenant: ContextVar[str | None] = ContextVar("tenant", default=None)


class TenantContextMissing(RuntimeError):
    """A query on tenant-owned records was made before any door said whose."""


@contextmanager
def tenant_context(tenant_id: str | UUID) -> Iterator[None]:
    """Everything inside sees this tenant's records only. Contexts nest; the inner one counts."""
    token = _tenant.set(str(tenant_id))
    try:
        yield
    finally:
        _tenant.reset(token)


def current_tenant() -> str | None:
    """The id of the tenant in force, as text, or None outside every context."""
    return _tenant.get()


def enter_tenant(tenant_id: str | UUID | None) -> Token[str | None]:
    """Set the tenant for the rest of a request; `TenantMiddleware` resets it at the end."""
    return _tenant.set(None if tenant_id is None else str(tenant_id))


def leave_tenant(token: Token[str | None]) -> None:
    _tenant.reset(token)


class TenantManager(models.Manager):
    """Rows of the tenant in force; raises `TenantContextMissing` when there is none."""

    def get_queryset(self) -> models.QuerySet[Any]:
        tenant_id = _tenant.get()
        if tenant_id is None:
            raise TenantContextMissing(
                f"{self.model._meta.label} was queried outside tenant_context()."
            )
        return super().get_queryset().filter(tenant_id=tenant_id)


class TenantOwned(models.Model):
    """A record that belongs to one tenant.

    `unscoped` is for sweeps that loop over tenants and for the doors' own lookup of the tenant;
    everything else uses `objects`. References between tenant-owned records are checked by the
    database to stay within one tenant (`tenant_guards.py`).
    """

    tenant = models.ForeignKey("governance.Tenant", on_delete=models.PROTECT, related_name="+")

    objects = TenantManager()
    unscoped: models.Manager[Any] = models.Manager()

    class Meta:
        abstract = True
