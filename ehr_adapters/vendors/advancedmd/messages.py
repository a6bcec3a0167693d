"""The messages of AdvancedMD's Connect interface: `ppmdmsg` out, `PPMDResults` in. Pure.

Source: integrators' notes on the AdvancedMD Connect API, request and reply format.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self
from xml.etree import ElementTree as ET
from zoneinfo import ZoneInfo

from ehr_adapters.canonical.exact_json import NotStrictJson, loads
from ehr_adapters.contract import Slot

CHARSET = "iso-8859-1"
# Where every message goes, below the practice's own server.
DOOR = "xmlrpc/processrequest.aspx"
# Markers that no escaped text can hold: both begin with a bare "<".
SESSION = Slot(marker="<?session?>", source="session_token")
SENT_AT = Slot(marker="<?sent-at?>", source="sent_at")

# Faults are numbered from this base, as COM components do: 1025 and -2147220479 are one fault.
_FAULT_BASE = -2147221504
_READABLE = {
    "iso-8859-1": "iso-8859-1",
    "latin1": "iso-8859-1",
    "us-ascii": "ascii",
    "utf-8": "utf-8",
    "utf8": "utf-8",
    "windows-1252": "cp1252",
}
_DECLARATION = re.compile(r"^\ufeff?<\?xml[^>]*?\?>")
# Comments and CDATA begin alike and declare nothing.
_MARKUP_DECLARATION = re.compile(r"<!(?!--|\[CDATA\[)")
_TEXT = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", "\r": "&#13;"})
# A reader turns a bare line end or tab inside an attribute into a blank; written as a number it stays.
_ATTRIBUTE = str.maketrans(
    {
        "&": "&amp;",
        "<": "&lt;",
        ">": "&gt;",
        '"': "&quot;",
        "\n": "&#10;",
        "\r": "&#13;",
        "\t": "&#9;",
    }
)


class NotAMessage(ValueError):
    """The bytes are no reply that may be taken; the reason never repeats content."""


# --- writing -------------------------------------------------------------------------------------


def element(name: str, attributes: Mapping[str, str], *inside: str) -> str:
    """One element; what is inside is markup already."""
    written = "".join(
        f' {key}="{value.translate(_ATTRIBUTE)}"' for key, value in attributes.items()
    )
    return f"<{name}{written}>{''.join(inside)}</{name}>" if inside else f"<{name}{written}/>"


def message(action: str, attributes: Mapping[str, str], *inside: str) -> bytes:
    """A whole message with the gaps for the session and the time of sending."""
    named = {"action": action, "class": "api", "nocookie": "1", **attributes}
    opening = element("ppmdmsg", named)[: -len("/>")]
    body = (
        f'<?xml version="1.0" encoding="ISO-8859-1"?>'
        f'{opening} msgtime="{SENT_AT.marker}">'
        f"<usercontext>{SESSION.marker}</usercontext>{''.join(inside)}</ppmdmsg>"
    )
    return body.encode(CHARSET)


def login(attributes: Mapping[str, str], *, at: datetime) -> bytes:
    """The message that asks for a session. Its bytes hold a password: they are sent and forgotten."""
    named = {"action": "login", "class": "login", "msgtime": message_time(at), **attributes}
    text = '<?xml version="1.0" encoding="ISO-8859-1"?>' + element(
        "ppmdmsg", {**named, "nocookie": "1"}
    )
    return text.encode(CHARSET, "xmlcharrefreplace")


def message_time(at: datetime) -> str:
    """A time as a message writes it, in the zone that `at` has: "11/20/2026 08:41:02 AM"."""
    return at.strftime("%m/%d/%Y %I:%M:%S %p")


def local_time(text: str, *, zone: ZoneInfo) -> datetime:
    """The moment of a time in a message; raises ValueError."""
    return datetime.strptime(text, "%m/%d/%Y %I:%M:%S %p").replace(tzinfo=zone)


def is_ambiguous(at: datetime) -> bool:
    """Did the clocks of the zone show this time twice? `at` is in its zone."""
    return at.replace(fold=0).utcoffset() != at.replace(fold=1).utcoffset()


# --- reading -------------------------------------------------------------------------------------


def tree(body: bytes, *, charset: str = "") -> ET.Element:
    """The root of an XML reply; raises `NotAMessage`.

    Declarations of entities or document types are refused before anything is parsed, in whatever
    encoding they might hide: the bytes are decoded first, by a charset from a short list.
    """
    text = _decoded(body, charset=charset)
    if _MARKUP_DECLARATION.search(text):
        raise NotAMessage("The XML holds a declaration.")
    try:
        return ET.fromstring(_DECLARATION.sub("", text, count=1))  # noqa: S314 - guarded above
    except (ET.ParseError, ValueError):
        raise NotAMessage("The XML is not well formed.") from None


def _decoded(body: bytes, *, charset: str) -> str:
    declared = re.match(
        rb"""(?:\xef\xbb\xbf)?<\?xml[^>]*?encoding=["']([A-Za-z0-9._-]+)["']""", body
    )
    name = declared[1].decode().lower() if declared else charset.lower() or CHARSET
    codec = _READABLE.get(name)
    if codec is None or b"\x00" in body:
        raise NotAMessage("The reply is in a charset that is not taken.")
    try:
        return body.decode("utf-8-sig" if codec == "utf-8" else codec)
    except UnicodeDecodeError:
        raise NotAMessage("The reply is not in the charset that it declares.") from None


def sent(body: bytes) -> ET.Element:
    """The root of a frozen message, its gaps left empty."""
    for slot in (SESSION, SENT_AT):
        body = body.replace(slot.marker.encode(), b"")
    return tree(body)


@dataclass(frozen=True, slots=True)
class Reply:
    """What a reply says: the flag, the faults as (number, words), the ids, and what a login tells."""

    success: bool
    faults: tuple[tuple[str, str], ...] = ()
    ids: tuple[str, ...] = ()
    session: str = ""
    server: str = ""

    @classmethod
    def read(cls, body: bytes, *, content_type: str = "") -> Self:
        """Raises `NotAMessage` for anything but one whole PPMDResults."""
        if "html" in content_type.lower():
            raise NotAMessage("The reply is a page.")
        charset = re.search(r"charset=\"?([A-Za-z0-9._-]+)", content_type)
        root = tree(body, charset=charset[1] if charset else "")
        if root.tag != "PPMDResults":
            raise NotAMessage("The reply is no PPMDResults.")
        results = root.find("Results")
        context = root.find(".//usercontext")
        entries = () if results is None else results.iter()
        ids = dict.fromkeys(one.get("id", "") for one in entries)
        ids.pop("", None)
        return cls(
            success=results is not None and results.get("success") == "1",
            faults=tuple(_faults(root.iter("Error"))),
            ids=tuple(ids),
            session=(context.text or "").strip() if context is not None else "",
            server=context.get("webserver", "") if context is not None else "",
        )


def _faults(errors: Iterable[ET.Element]) -> Iterable[tuple[str, str]]:
    for error in errors:
        if not len(error) and not (error.text or "").strip():
            continue  # an empty Error stands beside some successes
        code = (error.findtext(".//code") or "").strip()
        yield fault_number(code), (error.findtext(".//description") or "").strip()


def fault_number(code: str) -> str:
    """The short spelling of a fault's number; "" for none."""
    if not re.fullmatch(r"-?[0-9]{1,10}", code):
        return ""
    number = int(code)
    return str(number - _FAULT_BASE if number < 0 else number)


def json_results(body: bytes) -> Mapping[str, Any]:
    """The Results of a JSON reply that says success; raises `NotAMessage`."""
    try:
        value = loads(body)
    except NotStrictJson:
        raise NotAMessage("The reply is no JSON.") from None
    top = value.get("PPMDResults") if isinstance(value, dict) else None
    results = top.get("Results") if isinstance(top, dict) else None
    if not isinstance(results, dict) or results.get("@success") != "1" or (top or {}).get("Error"):
        raise NotAMessage("The reply is no success.")
    return results


def many(value: Any) -> tuple[Mapping[str, Any], ...]:
    """The entries of a JSON list, which is no list where it has one entry only."""
    entries = value if isinstance(value, list) else [value]
    return tuple(one for one in entries if isinstance(one, dict))


def below(value: Any, *path: str) -> tuple[Mapping[str, Any], ...]:
    """The entries at the end of a path of lists: ("pagelist", "page")."""
    found: tuple[Mapping[str, Any], ...] = many(value)
    for name in path:
        found = tuple(entry for one in found for entry in many(one.get(name)))
    return found
