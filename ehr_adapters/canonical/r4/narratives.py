"""What becomes of an entry's own text when the entry changes. Pure.

FHIR R4, Narrative.status (http://hl7.org/fhir/narrative-status): a *generated* text was made from the
elements alone, so it tells the old state once they change, and nothing is lost when it is left out: the server
may make it anew. *extensions* and *additional* may say what no element says. That is somebody's record: it goes
back as it came, and the reviewer reads it. So does a text of any other status, which says nothing of its making.
"""

from collections.abc import Mapping
from html.parser import HTMLParser
from typing import Any

from ehr_adapters.canonical.exact_json import plain
from ehr_adapters.canonical.r4.parts import FhirForm, Uncarried

_LEFT_OUT = "The entry's summary (narrative) was generated from its old state. It is left out of what is written."
_STAYS = (
    "The entry has a text of its own (narrative) that may say more than its fields. It stays as it is, also where "
    "it tells the old state: “{words}”."
)
_UNREADABLE = (
    "The entry has a text of its own (narrative) that could not be read. It stays as it is, also where it tells "
    "the old state."
)
# No part of what the entry says.
_BESIDE = frozenset({"id", "meta", "text", "identifier", "implicitRules"})


def with_narrative(form: FhirForm, *, before: Mapping[str, Any]) -> FhirForm:
    """The form of a change to an entry, without a text that the change would make untrue.

    `before` is the entry as it was read. Where nothing changed that a text can tell, it stays and nothing is said.
    """
    narrative = form.resource.get("text")
    if not isinstance(narrative, Mapping) or _told(form.resource) == _told(before):
        return form
    status = narrative.get("status")
    if status == "empty":
        return form
    if status == "generated":
        left = {name: value for name, value in form.resource.items() if name != "text"}
        return FhirForm(left, (*form.uncarried, Uncarried("", _LEFT_OUT, removed=True)))
    words = _words(narrative.get("div"))
    sentence = _STAYS.format(words=words) if words else _UNREADABLE
    return FhirForm(form.resource, (*form.uncarried, Uncarried("", sentence, stays=True)))


def _told(resource: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in plain(resource).items() if name not in _BESIDE}


def _words(div: Any) -> str:
    """What a reader sees of the XHTML, in one line."""
    if not isinstance(div, str):
        return ""
    reader = _Words()
    reader.feed(div)
    reader.close()
    return " ".join("".join(reader.found).split())


class _Words(HTMLParser):
    _INLINE = frozenset({"a", "b", "big", "em", "i", "small", "span", "strong", "sub", "sup", "tt"})

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        del attrs
        if tag not in self._INLINE:
            self.found.append(" ")

    def handle_endtag(self, tag: str) -> None:
        if tag not in self._INLINE:
            self.found.append(" ")

    def handle_data(self, data: str) -> None:
        self.found.append(data)
