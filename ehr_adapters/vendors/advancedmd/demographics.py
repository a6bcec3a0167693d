"""How to reach a patient, in AdvancedMD's practice management, and back. Pure.

Who a patient is stays the EHR's own affair: nothing of it is sent, and never the flag that forces a record
in spite of AdvancedMD's own doubts.

Source: integrators' notes on the AdvancedMD Connect API, updatepatient.
"""

from collections.abc import Iterator, Mapping
from typing import Any
from xml.etree import ElementTree as ET

from ehr_adapters.canonical.base import ChartChange, field_spec, parse_change, same_value
from ehr_adapters.canonical.demographics import IDENTITY
from ehr_adapters.canonical.exact_json import loads
from ehr_adapters.canonical.fhir_r4 import to_fhir
from ehr_adapters.contract import Remark, Snapshot
from ehr_adapters.errors import Issue
from ehr_adapters.vendors.advancedmd import messages
from ehr_adapters.vendors.advancedmd.saying import Said, by_message, destination

UPDATE = "updatepatient"
_ADDRESS: Mapping[str, str] = {
    "lines": "address1",
    "city": "city",
    "state": "state",
    "postal_code": "zip",
}
_UNSENT: Mapping[str, str] = {
    "language": "The language is not sent to AdvancedMD.",
    "contacts": "The contacts are not sent to AdvancedMD.",
    "previous_names": "Earlier names are not sent to AdvancedMD.",
    "sensitivity": "AdvancedMD does not take the sensitivity label from outside.",
}


def issues(change: ChartChange, *, before: Mapping[str, Any]) -> Iterator[Issue]:
    """What is not changed from outside, or does not fit."""
    content = change.model_dump_canonical()
    for name in sorted((IDENTITY - {"previous_names"}) & content.keys()):
        if not same_value("demographics", name, before.get(name), content[name]):
            label = field_spec("demographics", name).label
            sentence = f"{label}: who a patient is, is changed in AdvancedMD itself."
            yield Issue("unsupported", f"/{name}", sentence)
    if "\n" in ((content.get("address") or {}).get("lines") or ""):
        sentence = "AdvancedMD takes one line of the street from outside."
        yield Issue("unsupported", "/address/lines", sentence)


def _is_home(phone: Mapping[str, Any]) -> bool:
    return phone.get("use") == "home"


def _carried(content: Mapping[str, Any], *, before: Mapping[str, Any]) -> dict[str, Any]:
    """What the message can say, as a change of the entry that leaves everything else alone."""
    rest: dict[str, Any] = {}
    if "email" in content:
        rest["email"] = content["email"]
    if "phone" in content:
        homes = [one for one in content["phone"] or () if _is_home(one)][:1]
        others = [one for one in before.get("phone") or () if not _is_home(one)]
        rest["phone"] = [*homes, *others] or None
    if content.get("address"):
        country = (before.get("address") or {}).get("country")
        address = {name: one for name, one in content["address"].items() if name in _ADDRESS}
        rest["address"] = address | ({"country": country} if country else {})
    return {
        name: one
        for name, one in rest.items()
        if not same_value("demographics", name, before.get(name), one)
    }


def _unsent(
    content: Mapping[str, Any], *, before: Mapping[str, Any], rest: Mapping[str, Any]
) -> Iterator[Remark]:
    after = {**before, **rest}
    for name, sentence in _UNSENT.items():
        if name in content and not same_value(
            "demographics", name, before.get(name), content[name]
        ):
            yield Remark("not-carried", f"/{name}", sentence)
    for name, sentence in (
        ("phone", "AdvancedMD takes one telephone number from outside, that at home."),
        ("address", "The country is not sent to AdvancedMD."),
    ):
        if name in content and not same_value("demographics", name, after.get(name), content[name]):
            yield Remark("not-carried", f"/{name}", sentence)


def write(change: ChartChange, *, reference: str, patient: str, target: Snapshot | None) -> Said:
    """The request, for a change that has no `issues`; raises `ChangeInvalid` where nothing of it is left."""
    assert target is not None
    before, content = dict(target.canonical), change.model_dump_canonical()
    rest = _carried(content, before=before)
    attributes = {"id": patient}
    if "email" in rest:
        attributes["email"] = rest["email"] or ""
    if "phone" in rest:
        homes = [one["number"] for one in rest["phone"] or () if _is_home(one)]
        attributes["homephone"] = homes[0] if homes else ""
    if "address" in rest:
        attributes |= {to: rest["address"].get(name) or "" for name, to in _ADDRESS.items()}
    body = messages.message(UPDATE, {}, messages.element("patient", attributes))
    said_so = parse_change(change.kind, change.interaction, rest)
    shown = to_fhir(said_so, destination(reference, current=loads(target.raw))).resource
    return Said(by_message(UPDATE, body), tuple(_unsent(content, before=before, rest=rest)), shown)


def said(root: ET.Element, *, kept: Mapping[str, Any]) -> dict[str, Any]:
    """What a frozen message says, beside what the entry keeps; None where it takes something away."""
    patient = root.find("patient")
    attributes = {} if patient is None else patient.attrib
    content: dict[str, Any] = {}
    if "email" in attributes:
        content["email"] = attributes["email"] or None
    if "homephone" in attributes:
        number = attributes["homephone"]
        homes = [{"number": number, "use": "home"}] if number else []
        others = [one for one in kept.get("phone") or () if not _is_home(one)]
        content["phone"] = [*homes, *others] or None
    if set(_ADDRESS.values()) <= attributes.keys():
        country = (kept.get("address") or {}).get("country")
        address = {name: attributes[to] for name, to in _ADDRESS.items() if attributes[to]}
        content["address"] = address | ({"country": country} if country else {}) or None
    return content
