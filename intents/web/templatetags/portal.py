"""Template words shared by all pages."""

from datetime import datetime, timedelta

from django import template
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from intents.web import wording

register = template.Library()


@register.filter
def duration(span: timedelta) -> SafeString:
    """A length of time that never breaks across lines."""
    return format_html('<span class="nb">{}</span>', wording.duration(span))


@register.filter
def since(then: datetime | None, now: datetime) -> SafeString | str:
    """How long ago, at the page's own moment."""
    return duration(now - then) if then else ""


@register.filter
def moment(value: datetime | None) -> SafeString | str:
    """Date and time in the organisation's zone."""
    if not value:
        return ""
    return format_html('<span class="nb">{}</span>', wording.moment(timezone.localtime(value)))


@register.filter
def clock(value: datetime | None) -> SafeString | str:
    """The time of day in the organisation's zone, for things of today."""
    if not value:
        return ""
    return format_html('<span class="nb">{}</span>', f"{timezone.localtime(value):%H:%M:%S}")


@register.filter
def short_hash(value: str) -> str:
    """Enough of a hash to compare by eye: "9c41 7ad0 … b7f8"."""
    return f"{value[:4]} {value[4:8]} … {value[-4:]}" if len(value) > 16 else value
