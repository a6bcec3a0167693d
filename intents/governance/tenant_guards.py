"""The database's own border between tenants: a row may refer only to rows of its own tenant.

PostgreSQL gets composite foreign keys over (tenant, id). SQLite cannot add one to a table that
exists, so it gets triggers that refuse the same rows. `install` runs after every migrate, like the
insert-only triggers and for the same reason; it is idempotent.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from django.apps import apps
from django.db import DEFAULT_DB_ALIAS, connections, models, transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from intents.governance.tenancy import TenantOwned

_SENTENCE = "a record may refer only to records of its own tenant"


@dataclass(frozen=True, slots=True)
class Relation:
    """One reference between tenant-owned tables, by table and column names."""

    child: str
    column: str
    parent: str
    parent_key: str

    @property
    def name(self) -> str:
        digest = hashlib.sha256(f"{self.child}.{self.column}".encode()).hexdigest()[:12]
        return f"tenant_guard_{digest}"


def relations() -> list[Relation]:
    """Every foreign key from a table with a tenant to a tenant-owned table, in a stable order."""
    found = []
    for model in apps.get_models(include_auto_created=True):
        if not _has_tenant(model):
            continue
        for field in model._meta.local_concrete_fields:
            parent = field.related_model if isinstance(field, models.ForeignKey) else None
            if not isinstance(parent, type) or not _is_guarded_parent(parent):
                continue
            found.append(
                Relation(
                    child=model._meta.db_table,
                    column=str(field.column),
                    parent=parent._meta.db_table,
                    parent_key=str(parent._meta.pk.column),
                )
            )
    return sorted(found, key=lambda relation: (relation.child, relation.column))


def _has_tenant(model: type[models.Model]) -> bool:
    # A history table copies a row as it was; its copy of a reference is text about the past.
    return (
        model._meta.managed
        and not model._meta.proxy
        and not hasattr(model, "tracked_fields")
        and any(field.name == "tenant" for field in model._meta.local_concrete_fields)
    )


def _is_guarded_parent(model: type[models.Model]) -> bool:
    return issubclass(model, TenantOwned) and _has_tenant(model)


def install(*, using: str = DEFAULT_DB_ALIAS, **_: object) -> None:
    """Add every missing guard between tables that exist."""
    connection = connections[using]
    with transaction.atomic(using=using):
        _run(connection, [sql for _, sql in _lacking(connection)])


def uninstall(
    *, using: str = DEFAULT_DB_ALIAS, plan: Sequence[object] | None = None, **_: object
) -> None:
    """Take SQLite's triggers away while a migration (of a `plan` that is not empty) rebuilds tables.

    A rebuilt table is dropped and renamed, and SQLite refuses that while a trigger of another table
    names it. PostgreSQL keeps its foreign keys.
    """
    connection = connections[using]
    if connection.vendor != "sqlite" or plan == []:
        return
    with transaction.atomic(using=using):
        _run(
            connection,
            [f"DROP TRIGGER {connection.ops.quote_name(name)}" for name in _triggers(connection)],
        )


def missing_guards(*, using: str = DEFAULT_DB_ALIAS) -> list[str]:
    """`table: guard` for each guard that is absent or altered between tables that exist."""
    return sorted({label for label, _ in _lacking(connections[using])})


def _run(connection: BaseDatabaseWrapper, statements: list[str]) -> None:
    with connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)


def _lacking(connection: BaseDatabaseWrapper) -> list[tuple[str, str]]:
    tables = set(connection.introspection.table_names())
    wanted = [each for each in relations() if {each.child, each.parent} <= tables]
    if connection.vendor == "sqlite":
        return _sqlite_lacking(connection, wanted)
    return _postgresql_lacking(connection, wanted)


# --- SQLite ------------------------------------------------------------------------------------------


def _triggers(connection: BaseDatabaseWrapper) -> dict[str, str]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT name, sql FROM sqlite_master"
            " WHERE type = 'trigger' AND name LIKE 'tenant#_guard#_%' ESCAPE '#'"
        )
        return dict(cursor.fetchall())


def _sqlite_lacking(
    connection: BaseDatabaseWrapper, wanted: list[Relation]
) -> list[tuple[str, str]]:
    present = _triggers(connection)
    lacking = []
    for relation in wanted:
        for name, sql in _sqlite_triggers(relation, connection):
            if present.get(name) == sql:
                continue
            label = f"{relation.child}: {relation.column}"
            if name in present:
                lacking.append((label, f"DROP TRIGGER {connection.ops.quote_name(name)}"))
            lacking.append((label, sql))
    return lacking


def _sqlite_triggers(
    relation: Relation, connection: BaseDatabaseWrapper
) -> Iterator[tuple[str, str]]:
    quote = connection.ops.quote_name
    child, parent = quote(relation.child), quote(relation.parent)
    column, key = quote(relation.column), quote(relation.parent_key)
    body = f" BEGIN SELECT RAISE(ABORT, '{relation.child}: {_SENTENCE}'); END"
    strange_parent = (
        f"NEW.{column} IS NOT NULL AND NEW.tenant_id IS NOT NULL AND EXISTS"  # noqa: S608 - names of models
        f" (SELECT 1 FROM {parent} WHERE {parent}.{key} = NEW.{column}"
        f" AND {parent}.tenant_id <> NEW.tenant_id)"
    )
    # References are checked when the transaction ends, so a parent may be stored after its child.
    strange_child = (
        f"EXISTS (SELECT 1 FROM {child} WHERE {child}.{column} = NEW.{key}"  # noqa: S608 - names of models
        f" AND {child}.tenant_id <> NEW.tenant_id)"
    )
    events = {
        "i": (f"BEFORE INSERT ON {child}", strange_parent),
        "u": (f"BEFORE UPDATE OF tenant_id, {column} ON {child}", strange_parent),
        "pi": (f"AFTER INSERT ON {parent}", strange_child),
        "pu": (f"AFTER UPDATE OF tenant_id ON {parent}", strange_child),
    }
    for suffix, (event, condition) in events.items():
        name = f"{relation.name}_{suffix}"
        yield name, f"CREATE TRIGGER {quote(name)} {event} WHEN {condition}{body}"


# --- PostgreSQL --------------------------------------------------------------------------------------


def _postgresql_lacking(
    connection: BaseDatabaseWrapper, wanted: list[Relation]
) -> list[tuple[str, str]]:
    quote = connection.ops.quote_name
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT child.relname, c.conname FROM pg_constraint c"
            " JOIN pg_class child ON child.oid = c.conrelid"
            " WHERE c.contype = 'f' AND c.convalidated AND pg_table_is_visible(child.oid)"
            " AND c.conname LIKE 'tenant\\_guard\\_%'"
        )
        present = set(cursor.fetchall())
        cursor.execute(
            "SELECT t.relname FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid"
            " JOIN pg_class t ON t.oid = i.indrelid"
            " WHERE i.indisunique AND i.indisvalid AND pg_table_is_visible(t.oid)"
            " AND x.relname LIKE 'tenant\\_guard\\_key\\_%'"
        )
        keyed = {name for (name,) in cursor.fetchall()}
    lacking = []
    for relation in wanted:
        if (relation.child, relation.name) in present:
            continue
        label = f"{relation.child}: {relation.column}"
        if relation.parent not in keyed:
            keyed.add(relation.parent)
            digest = hashlib.sha256(relation.parent.encode()).hexdigest()[:12]
            lacking.append(
                (
                    label,
                    (
                        f"CREATE UNIQUE INDEX IF NOT EXISTS tenant_guard_key_{digest}"
                        f" ON {quote(relation.parent)} (tenant_id, {quote(relation.parent_key)})"
                    ),
                )
            )
        lacking.append(
            (
                label,
                (
                    f"ALTER TABLE {quote(relation.child)} ADD CONSTRAINT {relation.name}"
                    f" FOREIGN KEY (tenant_id, {quote(relation.column)})"
                    f" REFERENCES {quote(relation.parent)} (tenant_id, {quote(relation.parent_key)})"
                    " DEFERRABLE INITIALLY DEFERRED"
                ),
            )
        )
    return lacking
