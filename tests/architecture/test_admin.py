"""The administration changes nothing past a mutator: every page of it is of a kind that audits."""

from typing import Any

import pytest
from django.contrib import admin
from django.contrib.auth.models import Group
from django.test import RequestFactory

from intents.governance.administering import MutatorAdmin, ReadOnlyAdmin
from intents.governance.models import Tenant, User
from intents.governance.models.record import Governed
from intents.governance.tenancy import tenant_context


def faults(page: admin.ModelAdmin) -> list[str]:
    """Why this page could change something that nobody hears of; empty when it cannot."""
    found = []
    model = page.model
    request: Any = RequestFactory().get("/")
    request.user = User(email="root@example.org", name="Root", is_superuser=True, is_staff=True)
    request.membership = None
    with tenant_context("00000000-0000-0000-0000-000000000000"):
        may_add = page.has_add_permission(request)
        may_change = page.has_change_permission(request)
        may_delete = page.has_delete_permission(request)
    if may_delete:
        found.append(f"{model._meta.label}: can be deleted")
    if not (may_add or may_change):
        return found
    if not isinstance(page, MutatorAdmin):
        found.append(f"{model._meta.label}: saves without a mutator")
        return found
    if type(page).save_model is not MutatorAdmin.save_model:
        found.append(f"{model._meta.label}: saves in its own way")
    if not issubclass(model, Governed):
        found.append(f"{model._meta.label}: has no mutators")
    if may_add and type(page).create is MutatorAdmin.create:
        found.append(f"{model._meta.label}: names no factory")
    if may_change and not hasattr(model, "change"):
        found.append(f"{model._meta.label}: has no change()")
    return found


def test_every_page_saves_through_a_mutator_or_not_at_all():
    pages = list(admin.site._registry.values())

    assert [fault for page in pages for fault in faults(page)] == []
    assert {page.model._meta.app_label for page in pages} <= {"audit", "governance", "intents"}


def test_no_page_edits_a_draft():
    for page in admin.site._registry.values():
        if page.model._meta.app_label == "intents":
            assert isinstance(page, ReadOnlyAdmin)


class _Careless(admin.ModelAdmin):
    """Django's own way."""

    def has_add_permission(self, request):
        return True


class _Bypass(MutatorAdmin):
    add_fields = ("name",)

    def save_model(self, request, obj, form, change):
        obj.save()


@pytest.mark.parametrize(
    ("planted", "model", "fault"),
    [
        (_Careless, Group, "saves without a mutator"),
        (_Careless, Tenant, "saves without a mutator"),
        (_Bypass, Tenant, "saves in its own way"),
        (_Bypass, Tenant, "names no factory"),
        (_Bypass, Group, "has no mutators"),
        (admin.ModelAdmin, Group, "can be deleted"),
    ],
)
def test_a_planted_page_is_caught(planted, model, fault):
    if planted is _Bypass and model is Group:
        Group.CHANGEABLE = frozenset()
    try:
        assert any(fault in each for each in faults(planted(model, admin.site)))
    finally:
        if hasattr(Group, "CHANGEABLE"):
            del Group.CHANGEABLE
