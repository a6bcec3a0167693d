"""What stands in a request's form, and the practice's own spelling of dates and times."""

from collections.abc import Mapping
from datetime import date, datetime
from email.parser import BytesParser
from email.policy import HTTP
from typing import Any
from urllib.parse import parse_qsl
from zoneinfo import ZoneInfo

from ehr_adapters.sandbox import exact_json
from ehr_adapters.sandbox.exchange import Call
from ehr_adapters.sandbox.vendors.athenahealth.answers import missing, refused

ZONE = ZoneInfo("America/New_York")


def fields_of(call: Call) -> dict[str, str]:
    """The fields of a form, url-encoded or multipart; JSON and anything else holds no field."""
    if call.method in {"GET", "DELETE"}:
        return dict(call.params())
    media = call.headers.get("content-type", "").split(";")[0].strip().lower()
    if media == "application/x-www-form-urlencoded":
        return dict(parse_qsl(call.body.decode("utf-8", "replace"), keep_blank_values=True))
    if media == "multipart/form-data":
        return _parts(call)
    return {}


def _parts(call: Call) -> dict[str, str]:
    head = f"Content-Type: {call.headers['content-type']}\r\n\r\n".encode()
    message = BytesParser(policy=HTTP).parsebytes(head + call.body)
    found = {}
    for part in message.iter_parts():
        name = part.get_param("name", header="content-disposition")
        payload = part.get_payload(decode=True)
        if isinstance(name, str) and isinstance(payload, bytes):
            found[name] = payload.decode("utf-8", "replace")
    return found


def require(given: Mapping[str, str], *names: str) -> None:
    """Raises the refusal that lists every field of `names` which is not there or empty."""
    absent = [name for name in names if not given.get(name, "").strip()]
    if absent:
        raise missing(*absent)


def structure(given: Mapping[str, str], name: str) -> Any:
    """The JSON text inside a form field. Raises a refusal where it is none."""
    try:
        return exact_json.loads(given[name].encode())
    except exact_json.NotJson:
        raise refused(
            400, "The data provided is invalid.", detail=f"{name} is not valid JSON."
        ) from None


def day(text: str, name: str) -> date:
    """The date of mm/dd/yyyy. Raises a refusal for anything else."""
    try:
        return datetime.strptime(text, "%m/%d/%Y").replace(tzinfo=ZONE).date()
    except ValueError:
        raise refused(
            400, "The data provided is invalid.", detail=f"{name} is not a date in mm/dd/yyyy."
        ) from None


def moment(on: str, at: str, names: str) -> datetime:
    """The instant of mm/dd/yyyy and hh:mm by the practice's clock. Raises a refusal for anything else."""
    try:
        return datetime.strptime(f"{on} {at}", "%m/%d/%Y %H:%M").replace(tzinfo=ZONE)
    except ValueError:
        raise refused(
            400, "The data provided is invalid.", detail=f"{names}: mm/dd/yyyy and hh:mm."
        ) from None


def spelt_date(fhir: str) -> str:
    """A FHIR date as the practice writes it; a partial one stays partial."""
    parts = fhir[:10].split("-")
    return "/".join((*parts[1:], parts[0]))


def local(fhir: str) -> datetime | None:
    """A FHIR instant by the practice's clock; None for a bare date."""
    return datetime.fromisoformat(fhir).astimezone(ZONE) if "T" in fhir else None
