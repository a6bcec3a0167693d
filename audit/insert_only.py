"""Records that are written once: refused by the model, by the queryset and by the database itself.

The triggers are not part of a migration, because SQLite drops them whenever it rebuilds a table.
`install` puts them back after every migrate; a system check, `/readyz` and `verify_audit` ask
`missing_triggers`. Triggers stop mistakes and ordinary roles. The owner of a database can drop them,
which is why the log is also signed and witnessed.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NoReturn, TypeVar

from django.apps import apps
from django.db import DEFAULT_DB_ALIAS, connections, models, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models.base import ModelBase
from django.db.models.expressions import OrderBy
from django.db.models.sql import Query

_Row = TypeVar("_Row", bound=models.Model)

_FUNCTION = "audit_refuse_change"
# `%` is PL/pgSQL's own placeholder in RAISE; errcode 23000 reaches Django as an IntegrityError.
_FUNCTION_BODY = """
BEGIN
    RAISE EXCEPTION 'insert-only table %: % is refused', TG_TABLE_NAME, TG_OP
        USING ERRCODE = 'integrity_constraint_violation';
END;
"""
# pg_trigger.tgtype, a sum of bits: ROW 1, BEFORE 2, DELETE 8, UPDATE 16, TRUNCATE 32.
_POSTGRESQL_TRIGGERS = {
    "insert_only_row": (27, "BEFORE UPDATE OR DELETE ON {table} FOR EACH ROW"),
    "insert_only_truncate": (34, "BEFORE TRUNCATE ON {table} FOR EACH STATEMENT"),
}


class RecordIsInsertOnly(TypeError):
    """A stored record was to be changed or deleted. Append a new record that corrects it."""


def _refuse(what: str, model: type[models.Model]) -> NoReturn:
    raise RecordIsInsertOnly(f"{model._meta.label} is insert-only: {what} is refused.")


class InsertOnlyQuerySet(models.QuerySet[_Row]):
    """A queryset that can add rows and read them, and nothing else."""

    def update(self, **_: object) -> NoReturn:
        _refuse("update", self.model)

    def delete(self) -> NoReturn:
        _refuse("delete", self.model)

    def bulk_update(self, *_: object, **__: object) -> NoReturn:
        _refuse("bulk_update", self.model)

    def update_or_create(self, *_: object, **__: object) -> NoReturn:
        _refuse("update_or_create", self.model)

    def bulk_create(
        self,
        objs: Iterable[_Row],
        batch_size: int | None = None,
        ignore_conflicts: bool = False,
        update_conflicts: bool = False,
        update_fields: Any = None,
        unique_fields: Any = None,
    ) -> list[_Row]:
        """As Django's, but a row that exists already is an error and never a reason to go on."""
        if ignore_conflicts or update_conflicts or update_fields or unique_fields:
            _refuse("bulk_create over existing rows", self.model)
        return super().bulk_create(objs, batch_size=batch_size)

    # A template that is handed a manager must not be able to call these.
    update.alters_data = True  # type: ignore[attr-defined]  # Django reads it from the method
    delete.alters_data = True  # type: ignore[attr-defined]  # Django reads it from the method
    delete.queryset_only = True  # type: ignore[attr-defined]  # Django reads it from the method


_Manager = models.Manager.from_queryset(InsertOnlyQuerySet)


class InsertOnlyManager(_Manager):
    """The manager of such records; theirs inherit from it."""


class InsertOnly(models.Model):
    """Base of records that are written once. Subclasses are found and guarded by themselves.

    A column that is added to such a table later must allow NULL and stay NULL in old rows:
    `recording.row_hash` leaves NULLs out, so that hashes taken before the column existed still hold.
    """

    objects = InsertOnlyManager()

    class Meta:
        abstract = True

    def save(
        self,
        *,
        force_insert: bool | tuple[ModelBase, ...] = False,
        force_update: bool = False,
        using: str | None = None,
        update_fields: Iterable[str] | None = None,
    ) -> None:
        """Insert this record, or raise RecordIsInsertOnly when it is stored already."""
        if force_update or update_fields is not None or not self._state.adding:
            _refuse("saving a stored row", type(self))
        super().save(force_insert=force_insert or True, using=using)

    def delete(self, *_: object, **__: object) -> NoReturn:
        _refuse("delete", type(self))


# --- which tables ------------------------------------------------------------------------------------

_registered: set[type[models.Model]] = set()


def register(model: type[models.Model]) -> None:
    """Guard a model that cannot inherit from InsertOnly: history tables, from `AppConfig.ready`."""
    _registered.add(model)


def guarded_models() -> list[type[models.Model]]:
    """Every insert-only model with a table of its own, in order of the table's name."""
    found = {
        model
        for model in apps.get_models(include_auto_created=True)
        if (issubclass(model, InsertOnly) or model in _registered)
        and model._meta.managed
        and not model._meta.proxy
        and not model._meta.swapped
    }
    return sorted(found, key=lambda model: model._meta.db_table)


def is_guarded(table: str) -> bool:
    """True when rows of this table may never change."""
    return any(model._meta.db_table == table for model in guarded_models())


# --- installing ------------------------------------------------------------------------------------


def install(*, using: str = DEFAULT_DB_ALIAS, **_: object) -> None:
    """Create every missing or altered trigger on tables that exist. Idempotent.

    Connected to post_migrate for every sender, so that a table rebuilt by any app's migration is
    guarded again before the command ends.
    """
    connection = connections[using]
    with transaction.atomic(using=using):
        statements = [
            statement
            for trigger in _dialect(connection).lacking(connection)
            for statement in trigger.statements
        ]
        _run(connection, statements)


def uninstall(*, using: str = DEFAULT_DB_ALIAS) -> None:
    """Drop every trigger that `install` made. For the flush between tests, and for nothing else."""
    connection = connections[using]
    with transaction.atomic(using=using):
        _run(connection, _dialect(connection).drops(connection))


def missing_triggers(*, using: str = DEFAULT_DB_ALIAS) -> list[str]:
    """`table: trigger` for each trigger that is absent, altered or disabled on a table that exists."""
    connection = connections[using]
    return [
        f"{trigger.table}: {trigger.name}" for trigger in _dialect(connection).lacking(connection)
    ]


@dataclass(frozen=True, slots=True)
class _Trigger:
    table: str
    name: str
    statements: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Dialect:
    lacking: Callable[[BaseDatabaseWrapper], list[_Trigger]]
    drops: Callable[[BaseDatabaseWrapper], list[str]]


def _dialect(connection: BaseDatabaseWrapper) -> _Dialect:
    try:
        return _DIALECTS[connection.vendor]
    except KeyError:
        raise NotImplementedError(
            f"Insert-only tables are proved on SQLite and PostgreSQL, not on {connection.vendor}."
        ) from None


def _run(connection: BaseDatabaseWrapper, statements: Sequence[str]) -> None:
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql" and statements:
            # One round trip: a test suite installs them after every flush.
            cursor.execute(";\n".join(statements))
            return
        for statement in statements:
            cursor.execute(statement)


# --- SQLite ------------------------------------------------------------------------------------------


def _sqlite_lacking(connection: BaseDatabaseWrapper) -> list[_Trigger]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT type, name, sql FROM sqlite_master WHERE type IN ('table', 'trigger')"
        )
        rows = cursor.fetchall()
    tables = {name for kind, name, _ in rows if kind == "table"}
    present = {name: sql for kind, name, sql in rows if kind == "trigger"}
    lacking = []
    for model in guarded_models():
        if model._meta.db_table not in tables:
            continue
        for name, sql in _sqlite_triggers(model, connection.alias):
            if name not in present:
                lacking.append(_Trigger(model._meta.db_table, name, (sql,)))
            elif present[name] != sql:
                drop = f"DROP TRIGGER {connection.ops.quote_name(name)}"
                lacking.append(_Trigger(model._meta.db_table, name, (drop, sql)))
    return lacking


@lru_cache(maxsize=1024)
def _sqlite_triggers(model: type[models.Model], alias: str) -> tuple[tuple[str, str], ...]:
    """(name, statement) of each trigger of a table, exactly as SQLite keeps the statement.

    `INSERT OR REPLACE` deletes the row in its way without firing the delete trigger unless
    recursive_triggers is on, which every connection decides for itself. So an insert is refused
    whenever a stored row has one of its keys, the rowid included.
    """
    connection = connections[alias]
    table = model._meta.db_table
    quoted = connection.ops.quote_name(table)

    def trigger(name: str, event: str, when: str, sentence: str) -> tuple[str, str]:
        name = f"{table}_insert_only_{name}"
        message = f"insert-only table {table}: {sentence}".replace("'", "''")
        return name, (
            f"CREATE TRIGGER {connection.ops.quote_name(name)} BEFORE {event} ON {quoted}{when}"
            f" BEGIN SELECT RAISE(ABORT, '{message}'); END"
        )

    made = [
        trigger("update", "UPDATE", "", "UPDATE is refused"),
        trigger("delete", "DELETE", "", "DELETE is refused"),
    ]
    for number, key in enumerate([f"{quoted}.rowid = NEW.rowid", *_sqlite_keys(model, connection)]):
        when = f" WHEN EXISTS (SELECT 1 FROM {quoted} WHERE {key})"  # noqa: S608 - names of models
        made.append(trigger(f"key_{number}", "INSERT", when, "a row with this key is stored"))
    return tuple(made)


def _sqlite_keys(model: type[models.Model], connection: BaseDatabaseWrapper) -> list[str]:
    """One SQL condition per unique key: true when a stored row has the key of the NEW one."""
    meta = model._meta
    quote = connection.ops.quote_name
    table = quote(meta.db_table)

    def columns(names: Iterable[str]) -> list[str]:
        found = (meta.get_field(name) for name in names)
        return [f"{table}.{quote(str(field.column))}" for field in found if field.concrete]

    keys: list[tuple[list[str], str, str]] = [
        (columns(field.name for field in meta.pk_fields), "", "=")
    ]
    keys += [
        (columns([field.name]), "", "=")
        for field in meta.local_concrete_fields
        if field.unique and not field.primary_key
    ]
    keys += [(columns(names), "", "=") for names in meta.unique_together]
    for constraint in meta.constraints:
        if isinstance(constraint, models.UniqueConstraint):
            terms = columns(constraint.fields) + [
                _expression_sql(model, expression, connection)
                for expression in constraint.expressions
            ]
            condition = (
                _condition_sql(model, constraint.condition, connection)
                if constraint.condition is not None
                else ""
            )
            keys.append((terms, condition, "IS" if constraint.nulls_distinct is False else "="))
    return [
        " AND ".join(
            [f"{term} {equals} {_of_new(term, table)}" for term in terms]
            + ([f"({condition})", f"({_of_new(condition, table)})"] if condition else [])
        )
        for terms, condition, equals in keys
    ]


def _of_new(sql: str, table: str) -> str:
    return sql.replace(f"{table}.", "NEW.")


def _condition_sql(
    model: type[models.Model], condition: models.Q, connection: BaseDatabaseWrapper
) -> str:
    query = Query(model)
    where = query.build_where(condition)
    return _literal(
        *where.as_sql(query.get_compiler(connection=connection), connection), connection
    )


def _expression_sql(
    model: type[models.Model], expression: Any, connection: BaseDatabaseWrapper
) -> str:
    query = Query(model)
    if isinstance(expression, OrderBy):
        expression = expression.get_source_expressions()[0]
    resolved = expression.resolve_expression(query, allow_joins=False)
    sql, params = query.get_compiler(connection=connection).compile(resolved)
    return _literal(sql, params, connection)


def _literal(sql: str, params: Iterable[object], connection: BaseDatabaseWrapper) -> str:
    # A trigger takes no parameters; the schema editor quotes values as it does in constraints.
    editor = connection.SchemaEditorClass(connection)
    return sql % tuple(editor.quote_value(param) for param in params)


def _sqlite_drops(connection: BaseDatabaseWrapper) -> list[str]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT name FROM sqlite_master WHERE type = 'trigger' AND instr(name, '_insert_only_')"
        )
        return [f"DROP TRIGGER {connection.ops.quote_name(name)}" for (name,) in cursor.fetchall()]


# --- PostgreSQL --------------------------------------------------------------------------------------


def _postgresql_lacking(connection: BaseDatabaseWrapper) -> list[_Trigger]:
    wanted = [model._meta.db_table for model in guarded_models()]
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT relname FROM pg_class WHERE relkind IN ('r', 'p') AND pg_table_is_visible(oid)"
            " AND relname = ANY(%s)",
            [wanted],
        )
        tables = {name for (name,) in cursor.fetchall()}
        # A trigger counts only when it is enabled always (a replication role skips the others), fires
        # for every column without a condition, and runs our function with our body.
        cursor.execute(
            "SELECT c.relname, t.tgname, t.tgtype FROM pg_trigger t"
            " JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_proc p ON p.oid = t.tgfoid"
            " WHERE NOT t.tgisinternal AND t.tgenabled = 'A' AND t.tgqual IS NULL"
            " AND t.tgattr::text = ''"
            " AND pg_table_is_visible(c.oid) AND c.relname = ANY(%s)"
            " AND p.proname = %s AND p.prosrc = %s",
            [wanted, _FUNCTION, _FUNCTION_BODY],
        )
        present = set(cursor.fetchall())
    quote = connection.ops.quote_name
    lacking: list[_Trigger] = []
    for table in wanted:
        if table not in tables:
            continue
        for name, (bits, clause) in _POSTGRESQL_TRIGGERS.items():
            if (table, name, bits) in present:
                continue
            where = clause.format(table=quote(table))
            statements = (
                f"CREATE OR REPLACE TRIGGER {name} {where} EXECUTE FUNCTION {_FUNCTION}()",
                f"ALTER TABLE {quote(table)} ENABLE ALWAYS TRIGGER {name}",
            )
            function = (
                f"CREATE OR REPLACE FUNCTION {_FUNCTION}() RETURNS trigger LANGUAGE plpgsql"
                f" AS $body${_FUNCTION_BODY}$body$"
            )
            lacking.append(
                _Trigger(table, name, statements if lacking else (function, *statements))
            )
    return lacking


def _postgresql_drops(connection: BaseDatabaseWrapper) -> list[str]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT t.tgname, c.relname FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid"
            " WHERE NOT t.tgisinternal AND pg_table_is_visible(c.oid) AND t.tgname = ANY(%s)",
            [list(_POSTGRESQL_TRIGGERS)],
        )
        return [
            f"DROP TRIGGER {name} ON {connection.ops.quote_name(table)}"
            for name, table in cursor.fetchall()
        ]


_DIALECTS = {
    "sqlite": _Dialect(lacking=_sqlite_lacking, drops=_sqlite_drops),
    "postgresql": _Dialect(lacking=_postgresql_lacking, drops=_postgresql_drops),
}
