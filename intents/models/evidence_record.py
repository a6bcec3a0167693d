"""What every insert-only record of a tenant has: written once, read within its tenant."""

from typing import Self

from audit.insert_only import InsertOnly, InsertOnlyQuerySet
from django.db import models

from intents.governance.tenancy import TenantManager, TenantOwned


class EvidenceRecord(InsertOnly, TenantOwned):
    """Insert-only and tenant-owned: no update and no delete, by the ORM or by SQL."""

    objects = TenantManager.from_queryset(InsertOnlyQuerySet)()
    unscoped: models.Manager[Self] = models.Manager.from_queryset(InsertOnlyQuerySet)()

    class Meta:
        abstract = True
