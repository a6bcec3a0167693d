"""Named places in the delivery where a test may kill the process. Nothing happens there otherwise."""

from collections.abc import Callable

_armed: dict[str, Callable[[], None]] = {}


def fault_point(name: str) -> None:
    """Do what a test has armed for this place; nothing in production, where nothing is ever armed."""
    if _armed:
        hook = _armed.get(name)
        if hook is not None:
            hook()


def arm(name: str, hook: Callable[[], None]) -> None:
    """For tests: call `hook` whenever the place is passed, until `disarm`."""
    _armed[name] = hook


def disarm() -> None:
    """Forget every armed place."""
    _armed.clear()
