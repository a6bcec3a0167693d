"""Fingerprints of stored records, taken from the row itself and not from an object in memory."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from uuid import UUID

from django.apps import apps
from django.db import DEFAULT_DB_ALIAS, connections, models

from audit.encoding import canonical_bytes, sha256_hex

_CHUNK = 500


class RowMissing(LookupError):
    """The record has no stored row: save it before it is recorded."""


class TableUnknown(LookupError):
    """No installed model has a table of this name."""


def row_hash(instance: models.Model) -> str:
    """SHA-256 of the stored row of a record: see `row_hashes`. Raises RowMissing."""
    table = type(instance)._meta.db_table
    using = instance._state.db or DEFAULT_DB_ALIAS
    found = row_hashes(table=table, ids=[str(instance.pk)], using=using)
    try:
        return found[str(instance.pk)]
    except KeyError:
        raise RowMissing(f"{type(instance)._meta.label} has no stored row with this key.") from None


def fingerprints(instances: Sequence[models.Model]) -> list[dict[str, str]]:
    """{table, id, sha256} of each record's stored row, in order; one query a table. Raises RowMissing."""
    ids: dict[tuple[str, str], list[str]] = {}
    for instance in instances:
        place = (type(instance)._meta.db_table, instance._state.db or DEFAULT_DB_ALIAS)
        ids.setdefault(place, []).append(str(instance.pk))
    found = {
        (table, using): row_hashes(table=table, ids=wanted, using=using)
        for (table, using), wanted in ids.items()
    }
    made = []
    for instance in instances:
        table = type(instance)._meta.db_table
        key = str(instance.pk)
        sha256 = found[table, instance._state.db or DEFAULT_DB_ALIAS].get(key)
        if sha256 is None:
            raise RowMissing(f"{type(instance)._meta.label} has no stored row with this key.")
        made.append({"table": table, "id": key, "sha256": sha256})
    return made


def row_hashes(
    *, table: str, ids: Sequence[str], using: str = DEFAULT_DB_ALIAS
) -> Mapping[str, str]:
    """SHA-256 (hexadecimal) of the canonical JSON of each stored row, by primary key as text.

    The columns are read as the database gives them, by column name, past every manager and field
    converter. NULLs are left out, so a column added later does not change the hash of an old row;
    columns that a model names in `audit_ignores` (leases that change without an event) are too.
    Rows that do not exist are absent from the answer. Raises TableUnknown.
    """
    model = _model_of(table)
    connection = connections[using]
    quote = connection.ops.quote_name
    ignored = frozenset(getattr(model, "audit_ignores", ()))
    columns = [str(f.column) for f in model._meta.concrete_fields if f.column not in ignored]
    key = model._meta.pk
    quoted_key = quote(str(key.column))
    selected = ", ".join(quote(name) for name in columns)
    hashes: dict[str, str] = {}
    with connection.cursor() as cursor:
        for start in range(0, len(ids), _CHUNK):
            wanted = [
                key.get_db_prep_value(value, connection, prepared=False)
                for value in _readable(key, ids[start : start + _CHUNK])
            ]
            if not wanted:
                continue
            marks = ", ".join(["%s"] * len(wanted))
            cursor.execute(
                f"SELECT {quoted_key}, {selected} FROM {quote(table)}"  # noqa: S608 - names of models
                f" WHERE {quoted_key} IN ({marks})",
                wanted,
            )
            for found, *values in cursor.fetchall():
                row = {
                    column: _plain(value)
                    for column, value in zip(columns, values, strict=True)
                    if value is not None
                }
                hashes[str(key.to_python(found))] = sha256_hex(canonical_bytes(row))
    return hashes


def _readable(key: models.Field, ids: Iterable[str]) -> list[object]:
    # An id in a leaf that is no key of this table names no row; it must not stop the others.
    readable = []
    for value in ids:
        try:
            readable.append(key.to_python(value))
        except (ValueError, TypeError, LookupError):
            continue
        except Exception as error:
            if type(error).__name__ != "ValidationError":
                raise
    return readable


def _model_of(table: str) -> type[models.Model]:
    for model in apps.get_models(include_auto_created=True):
        if model._meta.db_table == table and not model._meta.proxy:
            return model
    raise TableUnknown(f"No installed model has the table {table}.")


def _plain(value: object) -> object:
    """One exact form for what a database driver may hand over."""
    if isinstance(value, float):
        return {"float": repr(value)}
    if isinstance(value, bytes | bytearray | memoryview):
        return {"bytes": bytes(value).hex()}
    if isinstance(value, timedelta):
        return {"microseconds": value // timedelta(microseconds=1)}
    if isinstance(value, time):
        return value.isoformat()
    if isinstance(value, datetime) and value.utcoffset() is None:
        return {"naive": value.isoformat()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if value is None or isinstance(value, bool | int | str | Decimal | UUID | datetime | date):
        return value
    return {type(value).__name__: str(value)}
