"""How times, ages and names are written on every page."""

from datetime import date, datetime, timedelta


def duration(span: timedelta) -> str:
    """ "28 min", "1 h 52 min", "1 d 3 h"; under a minute in seconds. Never negative."""
    seconds = max(0, int(span.total_seconds()))
    if seconds < 60:
        return f"{seconds} s"
    minutes = seconds // 60
    if minutes < 60:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 24:
        return f"{hours} h {minutes:02d} min" if minutes else f"{hours} h"
    days, hours = divmod(hours, 24)
    return f"{days} d {hours} h" if hours else f"{days} d"


def day(value: date) -> str:
    """ "14-Mar-1957"."""
    return value.strftime("%d-%b-%Y")


def moment(value: datetime) -> str:
    """ "14-Mar-2026 08:31:07", in the zone that the value carries."""
    return value.strftime("%d-%b-%Y %H:%M:%S")


def due(due_at: datetime, *, at: datetime) -> str:
    """ "due in 32 min" or "52 min late"."""
    if due_at < at:
        return f"{duration(at - due_at)} late"
    return f"due in {duration(due_at - at)}"


def counted(number: int, one: str, many: str = "") -> str:
    """ "1 draft", "3 drafts"."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"
