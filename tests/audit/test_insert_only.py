"""Records that are written once: every insert-only table of the project, on both databases."""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from django.apps import apps
from django.core import checks
from django.core.management import call_command
from django.core.management.sql import emit_post_migrate_signal
from django.db import IntegrityError, OperationalError, connection, models, transaction
from django.db.models import Q
from django.db.models.functions import Lower

from audit import insert_only
from audit.checks import check_triggers
from audit.insert_only import InsertOnly, InsertOnlyQuerySet, RecordIsInsertOnly
from audit.models import AuditEvent, Checkpoint, LogLeaf

GUARDED = insert_only.guarded_models()
# REPLACE and rowids are SQLite's own; TRUNCATE and replication roles PostgreSQL's.
sqlite_only = pytest.mark.only("sqlite")
postgresql_only = pytest.mark.only("postgresql")


# --- rows of any model, made without knowing it ----------------------------------------------------


def _value(field: models.Field, number: int) -> Any:
    """Something that fits the column; distinct for distinct numbers where the type allows it."""
    if field.is_relation:
        return _value(field.target_field, number)
    if field.choices:
        return field.flatchoices[0][0]
    made: dict[str, Any] = {
        "UUIDField": uuid.UUID(int=number),
        "BooleanField": False,
        "DateTimeField": datetime(2026, 1, 1, 0, 0, number % 60, tzinfo=UTC),
        "DateField": datetime(2026, 1, 1, tzinfo=UTC).date(),
        "DecimalField": Decimal(number % 9),
        "JSONField": {"n": number},
        "BinaryField": str(number).encode(),
        "DurationField": None,
    }
    kind = field.get_internal_type()
    if kind in made:
        return made[kind]
    if "Char" in kind or "Text" in kind or kind in {"SlugField", "EmailField", "URLField"}:
        # Sealed columns take nothing that does not look sealed.
        return f"v1.{number}"[-(field.max_length or 20) :]
    if "Integer" in kind or "AutoField" in kind or kind == "FloatField":
        return number % 30000
    raise AssertionError(f"no value for {field}")


def _row(model: type[models.Model], number: int) -> models.Model:
    made = model()
    for field in model._meta.concrete_fields:
        setattr(made, field.attname, _value(field, number))
    return made


def _store(row: models.Model) -> None:
    # Django's own queryset: what the ORM refuses is tested apart from what the database refuses.
    models.QuerySet(type(row)).bulk_create([row])


@contextmanager
def _lenient(model: type[models.Model]) -> Iterator[None]:
    """A transaction in which a row need not make sense: no checks, no parents; undone at the end."""
    table = connection.ops.quote_name(model._meta.db_table)
    try:
        with transaction.atomic():
            with connection.cursor() as cursor:
                if connection.vendor == "sqlite":
                    cursor.execute("PRAGMA ignore_check_constraints = ON")
                    cursor.execute(
                        "SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name = %s"
                        " AND NOT instr(name, '_insert_only_')",
                        [model._meta.db_table],
                    )
                    for (name,) in cursor.fetchall():
                        cursor.execute(f"DROP TRIGGER {connection.ops.quote_name(name)}")
                else:
                    # A replication role skips foreign keys and ordinary triggers. Ours must fire.
                    cursor.execute("SET LOCAL session_replication_role = replica")
                    for constraint in model._meta.constraints:
                        if isinstance(constraint, models.CheckConstraint):
                            cursor.execute(f"ALTER TABLE {table} DROP CONSTRAINT {constraint.name}")
            yield
            transaction.set_rollback(True)
    finally:
        if connection.vendor == "sqlite":
            with connection.cursor() as cursor:
                cursor.execute("PRAGMA ignore_check_constraints = OFF")


def _refused(sql: str, params: Any = ()) -> None:
    with (
        pytest.raises(IntegrityError, match="insert-only"),
        transaction.atomic(),
        connection.cursor() as cursor,
    ):
        cursor.execute(sql, params)


def _unique_keys(model: type[models.Model]) -> list[tuple[str, ...]]:
    """Columns of every unique index as the database itself lists them, the rowid first."""
    with connection.cursor() as cursor:
        constraints = connection.introspection.get_constraints(cursor, model._meta.db_table)
    keys = {
        tuple(details["columns"])
        for details in constraints.values()
        if (details["unique"] or details["primary_key"]) and None not in details["columns"]
    }
    return [("rowid",), *sorted(keys)]


@pytest.mark.req("002-30", "002-31")
@pytest.mark.django_db
@pytest.mark.parametrize("model", GUARDED, ids=lambda model: model._meta.db_table)
class TestEveryInsertOnlyTable:
    def test_refuses_update_and_delete_by_sql(self, model):
        table = connection.ops.quote_name(model._meta.db_table)
        with _lenient(model):
            _store(_row(model, 71))
            for column in [field.column for field in model._meta.concrete_fields]:
                name = connection.ops.quote_name(column)
                _refused(f"UPDATE {table} SET {name} = {name}")
            _refused(f"DELETE FROM {table}")
            assert models.QuerySet(model).count() == 1

    @sqlite_only
    def test_refuses_replace_through_every_unique_key(self, model):
        table = connection.ops.quote_name(model._meta.db_table)
        for key in _unique_keys(model):
            with _lenient(model), connection.cursor() as cursor:
                # Every connection may leave this off, and REPLACE then fires no delete trigger.
                cursor.execute("PRAGMA recursive_triggers = OFF")
                try:
                    _store(_row(model, 71))
                    cursor.execute(f"SELECT *, rowid FROM {table}")
                    before = cursor.fetchall()
                    cursor.execute(f"SELECT rowid FROM {table}")
                    taken = {"rowid": cursor.fetchone()[0]}
                    new, old = _row(model, 72), _row(model, 71)
                    fields = model._meta.concrete_fields
                    values = {
                        field.column: field.get_db_prep_save(
                            getattr(old if field.column in key else new, field.attname), connection
                        )
                        for field in fields
                    }
                    if key == ("rowid",):
                        values |= taken
                    columns = ", ".join(connection.ops.quote_name(name) for name in values)
                    marks = ", ".join(["%s"] * len(values))
                    # A conditional key may not concern this row; then the row is added beside it.
                    with suppress(IntegrityError), transaction.atomic():
                        cursor.execute(
                            f"INSERT OR REPLACE INTO {table} ({columns}) VALUES ({marks})",
                            list(values.values()),
                        )
                    cursor.execute(f"SELECT *, rowid FROM {table}")
                    assert cursor.fetchall()[0] == before[0], f"overwritten through {key}"
                finally:
                    cursor.execute("PRAGMA recursive_triggers = ON")

    @sqlite_only
    def test_refuses_an_upsert(self, model):
        key = model._meta.pk.column
        table, name = (connection.ops.quote_name(n) for n in (model._meta.db_table, key))
        with _lenient(model):
            _store(_row(model, 71))
            _refused(
                f"INSERT INTO {table} SELECT * FROM {table} WHERE true"
                f" ON CONFLICT ({name}) DO UPDATE SET {name} = {name}"
            )

    @postgresql_only
    def test_refuses_truncate_and_upsert_even_for_a_replication_role(self, model):
        key = connection.ops.quote_name(model._meta.pk.column)
        table = connection.ops.quote_name(model._meta.db_table)
        with _lenient(model):
            _store(_row(model, 71))
            _refused(f"TRUNCATE {table} CASCADE")
            _refused(
                f"INSERT INTO {table} SELECT * FROM {table} ON CONFLICT ({key})"
                f" DO UPDATE SET {key} = EXCLUDED.{key}"
            )

    def test_is_guarded_under_its_own_name(self, model):
        assert insert_only.is_guarded(model._meta.db_table)


@pytest.mark.django_db
class TestTheDatabase:
    def test_every_trigger_is_there_after_migrating(self):
        assert insert_only.missing_triggers() == []

    @sqlite_only
    def test_every_unique_index_has_a_guard(self):
        with connection.cursor() as cursor:
            for model in GUARDED:
                cursor.execute(
                    "SELECT count(*) FROM sqlite_master WHERE type = 'trigger' AND tbl_name = %s"
                    " AND instr(name, '_insert_only_key_')",
                    [model._meta.db_table],
                )
                (guards,) = cursor.fetchone()
                cursor.execute(
                    f"PRAGMA index_list({connection.ops.quote_name(model._meta.db_table)})"
                )
                unique = sum(1 for index in cursor.fetchall() if index[2])
                # One guard more for the rowid. The primary key has an index only if it is not it.
                assert guards >= unique + 1, model

    def test_installing_twice_changes_nothing(self):
        insert_only.install()
        insert_only.install()
        assert insert_only.missing_triggers() == []

    def test_a_dropped_trigger_is_named_and_comes_back(self):
        table = connection.ops.quote_name(LogLeaf._meta.db_table)
        name, where = (
            ("audit_logleaf_insert_only_delete", "")
            if connection.vendor == "sqlite"
            else ("insert_only_truncate", f" ON {table}")
        )
        with connection.cursor() as cursor:
            cursor.execute(f"DROP TRIGGER {name}{where}")
        assert insert_only.missing_triggers() == [f"audit_logleaf: {name}"]
        insert_only.install()
        assert insert_only.missing_triggers() == []

    @sqlite_only
    def test_a_weakened_trigger_counts_as_missing_and_is_replaced(self):
        with connection.cursor() as cursor:
            cursor.execute("DROP TRIGGER audit_logleaf_insert_only_update")
            cursor.execute(
                "CREATE TRIGGER audit_logleaf_insert_only_update BEFORE UPDATE ON audit_logleaf"
                " WHEN 0 BEGIN SELECT RAISE(ABORT, 'insert-only'); END"
            )
        assert insert_only.missing_triggers() == ["audit_logleaf: audit_logleaf_insert_only_update"]
        insert_only.install()
        assert insert_only.missing_triggers() == []

    @postgresql_only
    @pytest.mark.parametrize(
        "weakened",
        [
            "ALTER TABLE audit_logleaf DISABLE TRIGGER insert_only_row",
            "ALTER TABLE audit_logleaf ENABLE TRIGGER insert_only_row",
            """CREATE OR REPLACE TRIGGER insert_only_row BEFORE UPDATE OR DELETE ON audit_logleaf
            FOR EACH ROW WHEN (OLD.id < 0) EXECUTE FUNCTION audit_refuse_change()""",
            """CREATE OR REPLACE FUNCTION audit_refuse_change() RETURNS trigger LANGUAGE plpgsql
            AS 'BEGIN RETURN NULL; END'""",
        ],
    )
    def test_a_weakened_trigger_counts_as_missing(self, weakened):
        with connection.cursor() as cursor:
            cursor.execute(weakened)
        assert "audit_logleaf: insert_only_row" in insert_only.missing_triggers()
        insert_only.install()
        assert insert_only.missing_triggers() == []

    @postgresql_only
    def test_a_plain_role_is_refused_as_the_owner_is(self):
        with _lenient(LogLeaf), connection.cursor() as cursor:
            _store(_row(LogLeaf, 71))
            cursor.execute("CREATE ROLE plain_role")
            cursor.execute("GRANT ALL ON audit_logleaf TO plain_role")
            cursor.execute("SET LOCAL ROLE plain_role")
            _refused("UPDATE audit_logleaf SET log = 'x'")
            _refused("DELETE FROM audit_logleaf")
            _refused("TRUNCATE audit_logleaf")

    @pytest.mark.parametrize("also", [Checkpoint, AuditEvent])
    def test_adding_rows_goes_on(self, also):
        with _lenient(also):
            _store(_row(also, 71))
            _store(_row(also, 72))
            assert models.QuerySet(also).count() == 2


@pytest.mark.django_db
class TestTheModel:
    def test_is_saved_once(self):
        leaf = LogLeaf(log="l", index=0, event_id=uuid.uuid4(), leaf_hash="00")
        leaf.save()
        leaf.log = "other"
        with pytest.raises(RecordIsInsertOnly):
            leaf.save()
        with pytest.raises(RecordIsInsertOnly):
            LogLeaf.objects.get(pk=leaf.pk).save(update_fields=["log"])
        with pytest.raises(RecordIsInsertOnly):
            leaf.delete()
        assert LogLeaf.objects.get(pk=leaf.pk).log == "l"

    def test_a_new_object_with_a_stored_key_does_not_overwrite(self):
        event_id = uuid.uuid4()
        LogLeaf(log="l", index=0, event_id=event_id, leaf_hash="00").save()
        with pytest.raises(IntegrityError), transaction.atomic():
            LogLeaf(id=LogLeaf.objects.get().pk, log="l", index=9, leaf_hash="01").save()
        with pytest.raises(IntegrityError), transaction.atomic():
            LogLeaf(log="l", index=1, event_id=event_id, leaf_hash="01").save()
        assert LogLeaf.objects.get().index == 0

    @pytest.mark.parametrize(
        "change",
        [
            lambda rows: rows.update(log="x"),
            lambda rows: rows.delete(),
            lambda rows: rows.filter(log="l").delete(),
            lambda rows: rows.bulk_update([], ["log"]),
            lambda rows: rows.update_or_create(log="l", defaults={"log": "x"}),
            lambda rows: rows.bulk_create([], ignore_conflicts=True),
            lambda rows: rows.bulk_create(
                [], update_conflicts=True, update_fields=["log"], unique_fields=["id"]
            ),
        ],
    )
    def test_its_queryset_refuses_changes(self, change):
        with pytest.raises(RecordIsInsertOnly):
            change(LogLeaf.objects.all())

    def test_get_or_create_and_bulk_create_add_rows(self):
        event_id = uuid.uuid4()
        values = {"log": "l", "index": 0, "event_id": event_id, "leaf_hash": "00"}
        _, first = LogLeaf.objects.get_or_create(event_id=event_id, defaults=values)
        _, second = LogLeaf.objects.get_or_create(event_id=event_id, defaults=values)
        assert (first, second) == (True, False)
        LogLeaf.objects.bulk_create(
            [LogLeaf(log="l", index=1, event_id=uuid.uuid4(), leaf_hash="01")]
        )
        assert LogLeaf.objects.count() == 2

    def test_every_insert_only_model_has_a_queryset_that_refuses(self):
        for model in GUARDED:
            if issubclass(model, InsertOnly):
                used = model._meta.default_manager._queryset_class
                assert issubclass(used, InsertOnlyQuerySet), model


# --- a table that a migration rebuilds ----------------------------------------------------------------


@pytest.fixture
def kept() -> Iterator[type[models.Model]]:
    """A model of another app with every kind of unique key, and its table."""

    class Kept(InsertOnly):
        code = models.CharField(max_length=20, unique=True)
        left = models.IntegerField()
        right = models.IntegerField(null=True)
        name = models.CharField(max_length=20)
        closed = models.BooleanField(default=False)

        class Meta:
            app_label = "audit"
            unique_together = [("left", "right")]
            constraints = [
                models.UniqueConstraint(
                    fields=["name"],
                    condition=Q(closed=False) & ~Q(name="it's 100%"),
                    name="kept_one_open",
                ),
                models.UniqueConstraint(Lower("code"), name="kept_code_any_case"),
            ]

    with connection.schema_editor() as editor:
        editor.create_model(Kept)
    emit_post_migrate_signal(verbosity=0, interactive=False, db="default")
    try:
        yield Kept
    finally:
        insert_only.uninstall()
        with connection.schema_editor() as editor:
            editor.delete_model(Kept)
        del apps.all_models["audit"]["kept"]
        apps.clear_cache()
        insert_only.install()


@pytest.mark.django_db(transaction=True)
class TestATableThatIsRebuilt:
    def _all_refused(self) -> None:
        _refused("UPDATE audit_kept SET name = 'x'")
        _refused("DELETE FROM audit_kept")
        if connection.vendor == "sqlite":
            _refused(
                "INSERT OR REPLACE INTO audit_kept (code, left, right, name, closed)"
                " VALUES ('a', 2, 2, 'n2', 0)"
            )

    def test_has_its_guards_back_after_post_migrate(self, kept):
        kept(code="a", left=1, right=1, name="n").save()
        self._all_refused()
        added = models.CharField(max_length=5, default="new")
        added.set_attributes_from_name("added")
        added.model = kept
        with connection.schema_editor() as editor:
            editor.add_field(kept, added)
        if connection.vendor == "sqlite":
            # The rebuild took them along; this is why no migration installs them.
            assert any("audit_kept" in name for name in insert_only.missing_triggers())
        emit_post_migrate_signal(verbosity=0, interactive=False, db="default")
        assert insert_only.missing_triggers() == []
        self._all_refused()
        with connection.schema_editor() as editor:
            editor.remove_field(kept, added)
        emit_post_migrate_signal(verbosity=0, interactive=False, db="default")
        assert insert_only.missing_triggers() == []
        self._all_refused()
        assert kept.objects.get().name == "n"

    @sqlite_only
    @pytest.mark.parametrize(
        ("key", "values"),
        [
            ("a unique column", "('a', 9, 9, 'other', 0)"),
            ("an expression", "('A', 9, 9, 'other', 0)"),
            ("unique together", "('z', 1, 1, 'other', 0)"),
            ("a conditional constraint", "('z', 9, 9, 'n', 0)"),
        ],
    )
    def test_replace_is_refused_through(self, kept, key, values):
        kept(code="a", left=1, right=1, name="n").save()
        with connection.cursor() as cursor:
            cursor.execute("PRAGMA recursive_triggers = OFF")
            try:
                _refused(
                    f"INSERT OR REPLACE INTO audit_kept (code, left, right, name, closed) VALUES {values}"
                )
            finally:
                cursor.execute("PRAGMA recursive_triggers = ON")
        assert kept.objects.get().code == "a"

    def test_rows_that_share_no_key_are_added(self, kept):
        kept(code="a", left=1, right=1, name="n").save()
        # NULLs are distinct, and closed rows lie outside the conditional constraint.
        kept(code="b", left=1, right=None, name="m").save()
        kept(code="c", left=1, right=None, name="n", closed=True).save()
        kept(code="d", left=2, right=2, name="n", closed=True).save()
        kept(code="e", left=3, right=3, name="it's 100%").save()
        kept(code="f", left=4, right=4, name="it's 100%").save()
        assert kept.objects.count() == 6

    @sqlite_only
    def test_a_changed_constraint_changes_its_guard(self, kept):
        insert_only._sqlite_triggers.cache_clear()
        kept._meta.constraints = kept._meta.constraints[1:]
        missing = insert_only.missing_triggers()
        assert any("audit_kept" in name for name in missing)
        insert_only.install()
        assert insert_only.missing_triggers() == []


# --- history models and the system check -----------------------------------------------------------


@pytest.mark.django_db
class TestRegistering:
    def test_a_model_that_cannot_inherit_is_guarded_once_registered(self):
        model = apps.get_model("contenttypes", "ContentType")
        assert not insert_only.is_guarded("django_content_type")
        insert_only.register(model)
        try:
            assert any("django_content_type" in name for name in insert_only.missing_triggers())
            insert_only.install()
            _refused("UPDATE django_content_type SET model = 'x'")
        finally:
            insert_only._registered.discard(model)


@pytest.mark.django_db
class TestTheSystemCheck:
    def test_is_silent_when_all_is_guarded(self):
        assert check_triggers(app_configs=None) == []

    def test_stops_the_start_when_a_trigger_is_missing(self):
        insert_only.uninstall()
        found = check_triggers(app_configs=None)
        assert [(one.id, one.level) for one in found] == [("audit.E001", checks.ERROR)]

    def test_does_not_stop_migrate_which_puts_them_back(self):
        insert_only.uninstall()
        found = check_triggers(app_configs=None, databases=["default"])
        assert [(one.id, one.level) for one in found] == [("audit.W001", checks.WARNING)]

    def test_is_registered(self):
        assert check_triggers in checks.registry.registry.get_checks()

    def test_tolerates_a_database_that_does_not_answer(self, monkeypatch):
        def silent() -> list[str]:
            raise OperationalError("no connection")

        monkeypatch.setattr(insert_only, "missing_triggers", silent)
        assert check_triggers(app_configs=None) == []


@pytest.mark.django_db(transaction=True)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_an_unmigrated_table_is_nobodys_fault():
    call_command("migrate", "audit", "zero", verbosity=0)
    try:
        assert not any("audit_" in name for name in insert_only.missing_triggers())
    finally:
        call_command("migrate", "audit", verbosity=0)
    assert insert_only.missing_triggers() == []


@pytest.mark.once
def test_an_unproved_database_is_refused():
    class Other:
        vendor = "mysql"

    with pytest.raises(NotImplementedError, match="mysql"):
        insert_only._dialect(Other())
