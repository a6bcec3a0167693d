"""What every insert-only record of a tenant has: written once, read within its tenant."""

from typing import ClassVar

from audit.insert_only import InsertOnly, InsertOnlyManager
from intents.governance.tenancy import TenantManager, TenantOwned


class EvidenceManager(TenantManager, InsertOnlyManager):
    """The tenant's rows, to be read and added to."""


class EvidenceRecord(InsertOnly, TenantOwned):
    """Insert-only and tenant-owned: no update and no delete, by the ORM or by SQL."""

    objects: ClassVar[EvidenceManager] = EvidenceManager()
    unscoped = InsertOnlyManager()

    class Meta:
        abstract = True
