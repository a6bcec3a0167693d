"""The limit's own table: one row, one body."""

from django.db import models


class BareRow(models.Model):
    body = models.TextField()
    received_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        app_label = "bench"
