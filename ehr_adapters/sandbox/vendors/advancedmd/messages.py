"""The messages of the older interface: `ppmdmsg` in, `PPMDResults` out, as XML or as JSON.

A message is a tree of dictionaries: "@name" holds an attribute, "name" a child or a list of children,
"#text" the words between the tags. In JSON a list with one entry is not a list.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from xml.etree import ElementTree as ET
from xml.sax.saxutils import escape

from ehr_adapters.sandbox import exact_json
from ehr_adapters.sandbox.exchange import Answer, Call

Tree = dict[str, Any]
CHARSET = "ISO-8859-1"
# Faults are numbered from this base, as COM components do; some are seen without it.
FAULT_BASE = -2147221504

_ATTRIBUTE = {"\n": "&#10;", "\r": "&#13;", "\t": "&#9;", '"': "&quot;"}


class MessageNotUnderstood(ValueError):
    """The body is no message; the sentence says why."""


class Fault(Exception):
    """The interface says no: a number (without the base) and words, with HTTP status 200."""

    def __init__(self, number: int, text: str, *, results: Tree | None = None) -> None:
        super().__init__(text)
        self.number = number
        self.results = results or {}


@dataclass(frozen=True, slots=True)
class Message:
    """One message as it came in."""

    action: str
    tree: Tree
    token: str  # of the body; "" when it names none
    json: bool

    def text(self, name: str) -> str:
        """An attribute of the message itself; "" when it has none."""
        return str(self.tree.get(f"@{name}", ""))


def read(call: Call) -> Message:
    """The message in a request's body. Raises MessageNotUnderstood."""
    media = call.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media == "application/json":
        tree = _from_json(call.body)
    elif media in {"text/xml", "application/xml"}:
        tree = _from_xml(call.body)
    else:
        raise MessageNotUnderstood("send text/xml or application/json")
    action = str(tree.get("@action", ""))
    if not action:
        raise MessageNotUnderstood("the message names no action")
    token = tree.get("usercontext", "")
    token = token.get("#text", "") if isinstance(token, dict) else token
    return Message(action, tree, str(token or "").strip(), media == "application/json")


def _from_json(body: bytes) -> Tree:
    try:
        value = exact_json.loads(body)
    except exact_json.NotJson as error:
        raise MessageNotUnderstood(str(error)) from None
    message = value.get("ppmdmsg") if isinstance(value, dict) else None
    if not isinstance(message, dict):
        raise MessageNotUnderstood("the body is no ppmdmsg")
    return message


def _from_xml(body: bytes) -> Tree:
    if re.search(rb"<!\s*(?:DOCTYPE|ENTITY)", body, re.IGNORECASE):
        raise MessageNotUnderstood("a message declares no entities")
    try:
        root = ET.fromstring(body)  # noqa: S314 - declarations were refused above
    except ET.ParseError:
        raise MessageNotUnderstood("the XML is not well formed") from None
    if root.tag != "ppmdmsg":
        raise MessageNotUnderstood("the body is no ppmdmsg")
    return _tree(root)


def _tree(element: ET.Element) -> Tree:
    tree: Tree = {f"@{name}": value for name, value in element.attrib.items()}
    for child in element:
        below = _tree(child)
        if child.tag in tree:
            before = tree[child.tag]
            tree[child.tag] = [*(before if isinstance(before, list) else [before]), below]
        else:
            tree[child.tag] = below
    if element.text and element.text.strip():
        tree["#text"] = element.text
    return tree


def many(value: Any) -> list[Tree]:
    """The entries of a list that may have collapsed to its one entry, or be missing."""
    entries = value if isinstance(value, list) else [value]
    return [each for each in entries if isinstance(each, dict)]


# --- answers ---------------------------------------------------------------------------------------------


def success(call: Call, results: Tree) -> Answer:
    """`success="1"` and what was asked for."""
    return _answer(call, {"Results": {"@success": "1", **results}})


def failure(
    call: Call, number: int, text: str, *, short: bool, results: Tree | None = None
) -> Answer:
    """A fault. HTTP says 200 all the same."""
    code = number if short else FAULT_BASE + number
    fault = {"detail": {"code": {"#text": str(code)}, "description": {"#text": text}}}
    return _answer(call, {"Results": results or {}, "Error": {"Fault": fault}})


def refused(text: str, *, status: int = 400) -> Answer:
    """What comes of a request that is no message, or whose token stands in the wrong place."""
    return Answer(status, {"Content-Type": "text/plain; charset=utf-8"}, text.encode())


def wants_json(call: Call) -> bool:
    return "application/json" in call.headers.get("accept", "")


def _answer(call: Call, tree: Tree) -> Answer:
    if wants_json(call):
        body = exact_json.dumps({"PPMDResults": _collapsed(tree)}).encode()
        return Answer(200, {"Content-Type": "application/json; charset=utf-8"}, body)
    text = f'<?xml version="1.0" encoding="{CHARSET}"?>\n' + _xml("PPMDResults", tree)
    body = text.encode(CHARSET, "xmlcharrefreplace")
    return Answer(200, {"Content-Type": f"text/xml; charset={CHARSET}"}, body)


def _collapsed(value: Any) -> Any:
    if isinstance(value, list):
        return _collapsed(value[0]) if len(value) == 1 else [_collapsed(each) for each in value]
    if isinstance(value, dict):
        if set(value) == {"#text"}:
            return value["#text"]
        return {name: _collapsed(each) for name, each in value.items()}
    return value


def _xml(name: str, value: Mapping[str, Any]) -> str:
    attributes = "".join(
        f' {key[1:]}="{escape(str(each), _ATTRIBUTE)}"'
        for key, each in value.items()
        if key.startswith("@")
    )
    inner = escape(str(value.get("#text", "")))
    for key, each in value.items():
        if not key.startswith(("@", "#")):
            inner += "".join(_xml(key, one) for one in (each if isinstance(each, list) else [each]))
    return f"<{name}{attributes}>{inner}</{name}>"
