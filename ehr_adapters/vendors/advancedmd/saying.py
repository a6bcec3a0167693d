"""One change as one request: what every kind of change hands to the adapter. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ehr_adapters.canonical.fhir_r4 import Destination
from ehr_adapters.contract import Remark, Tag, WireRequest
from ehr_adapters.vendors.advancedmd import messages

JSON = "application/json"
_XML = "text/xml; charset=ISO-8859-1"


@dataclass(frozen=True, slots=True)
class Said:
    """A request, what it leaves unsaid, and the entry as the FHIR side should show it afterwards."""

    step: WireRequest
    remarks: tuple[Remark, ...]
    shown: dict[str, Any]


def by_message(action: str, body: bytes) -> WireRequest:
    """A message to the one door of the practice's server, the session in its body."""
    return WireRequest(
        method="POST",
        path=messages.DOOR,
        headers=(("Content-Type", _XML), ("Accept", "text/xml")),
        body=body,
        label=action,
        scope=f"Connect {action}",
        slots=(messages.SESSION, messages.SENT_AT),
    )


def by_rest(method: str, path: str, body: bytes, *, label: str) -> WireRequest:
    """A request to the REST interface, the session in its header."""
    return WireRequest(
        method=method,
        path=path,
        headers=(("Content-Type", JSON), ("Accept", JSON)),
        body=body,
        label=label,
        scope=f"Connect {label}",
    )


def destination(
    patient: str, *, tag: Tag | None = None, current: Mapping[str, Any] | None = None
) -> Destination:
    """Where the FHIR side would show a change; its tag travels nowhere but in a note's last line."""
    named = tag or Tag.mint()
    return Destination(
        patient=patient,
        tag_system=named.system,
        tag_value=named.uuid,
        tag_short=named.short,
        current=current,
    )


def as_shown(resource: Mapping[str, Any]) -> dict[str, Any]:
    """A new entry as the FHIR side will show it: no label and no identifier of ours travels."""
    return {name: value for name, value in resource.items() if name not in {"meta", "identifier"}}
