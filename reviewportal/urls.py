"""Mounts the doors. Each door has its own urls module."""

from allauth.account.decorators import secure_admin_login
from django.contrib import admin
from django.urls import include, path

from intents.web import health

# The admin's own form would bypass the second factor.
admin.site.login = secure_admin_login(admin.site.login)  # type: ignore[method-assign]  # the way that allauth documents

urlpatterns = [
    path("healthz", health.healthz, name="healthz"),
    path("readyz", health.readyz, name="readyz"),
    path("metrics", health.metrics, name="metrics"),
    path("admin/", admin.site.urls),
    path("", include("intents.web.urls")),
    path("", include("intents.api.urls")),
]
