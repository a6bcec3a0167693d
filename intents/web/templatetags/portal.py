"""Template words shared by all pages."""

from datetime import datetime, timedelta

from django import template
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from intents.web import wording
from intents.web.drafts import Delta

register = template.Library()


@register.simple_tag
def delta(change: Delta) -> SafeString:
    """A change in words and numbers, its sides marked by sign and word as well as by colour."""
    head = format_html("<b>{}</b>{}", change.subject, change.verb)
    if change.old and change.new:
        return format_html(
            '{} <del><span class="vh">now </span>{}</del> <span class="arrow" aria-hidden="true">→'
            '</span> <ins><span class="vh">will be </span>{}</ins>',
            head,
            change.old,
            change.new,
        )
    if change.new:
        return format_html('{} <ins><span class="vh">added: </span>{}</ins>', head, change.new)
    if change.old:
        return format_html('{} <del><span class="vh">removed: </span>{}</del>', head, change.old)
    return head


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
