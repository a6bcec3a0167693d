"""The admin searches the log and can do nothing else; looking is recorded, search terms are not."""

from types import SimpleNamespace

import pytest
from django.contrib.admin import AdminSite
from django.test import RequestFactory

from audit import vault
from audit.admin import AuditEventAdmin, CheckpointAdmin
from audit.models import AuditEvent, Checkpoint

pytestmark = pytest.mark.django_db


@pytest.fixture
def event_admin():
    return AuditEventAdmin(AuditEvent, AdminSite())


def _request(path="/", *, superuser=True):
    request = RequestFactory().get(path)
    request.user = SimpleNamespace(
        pk=9,
        is_active=True,
        is_staff=True,
        is_superuser=superuser,
        get_username=lambda: "admin@example.org",
        has_perm=lambda *_: True,
        has_module_perms=lambda *_: True,
    )
    return request


@pytest.mark.parametrize(
    ("admin_class", "model"), [(AuditEventAdmin, AuditEvent), (CheckpointAdmin, Checkpoint)]
)
def test_nothing_can_be_added_changed_or_deleted(admin_class, model):
    made = admin_class(model, AdminSite())
    request = _request()
    assert not made.has_add_permission(request)
    assert not made.has_change_permission(request)
    assert not made.has_delete_permission(request)
    assert made.has_view_permission(request)
    assert made.get_actions(request) == {}


def test_only_superusers_see_every_tenants_log(event_admin):
    request = _request(superuser=False)
    assert not event_admin.has_view_permission(request)
    assert not event_admin.has_module_permission(request)


@pytest.mark.req("001-78", "003-58")
def test_looking_and_searching_are_recorded_without_the_terms(event_admin, written):
    event_admin.changelist_view(_request("/"))
    event_admin.changelist_view(_request("/?q=secret-name"))
    event_admin.changeform_view(_request("/"), str(written[0].pk))
    told = list(
        AuditEvent.objects.filter(log="deployment").order_by("recorded_at").values_list("tag", "pk")
    )
    assert [tag for tag, _ in told] == ["audit:log:viewed", "audit:search:ran", "audit:log:viewed"]
    bodies = [vault.content_of(pk) for _, pk in told]
    assert bodies[1] == {"model": "audit.auditevent", "record": "", "fields": ["q"]}
    assert bodies[2]["record"] == str(written[0].pk)
    assert AuditEvent.objects.filter(actor_id="9", actor_name="admin@example.org").count() == 3


def test_an_event_is_told_in_a_sentence(event_admin, written):
    assert event_admin.sentence(written[0]) == "A proposed change was received and recorded."
