"""Is a narrative the plain XHTML that R4 allows (txt-1, txt-2)? Pure."""

import html.entities
import re
from xml.etree import ElementTree as ET

_XHTML = "{http://www.w3.org/1999/xhtml}"
_ELEMENTS = frozenset(
    [
        "a",
        "abbr",
        "acronym",
        "b",
        "big",
        "blockquote",
        "br",
        "caption",
        "cite",
        "code",
        "col",
        "colgroup",
        "dd",
        "dfn",
        "div",
        "dl",
        "dt",
        "em",
        "h1",
        "h2",
        "h3",
        "h4",
        "h5",
        "h6",
        "hr",
        "i",
        "img",
        "li",
        "map",
        "area",
        "ol",
        "p",
        "pre",
        "q",
        "samp",
        "small",
        "span",
        "strong",
        "style",
        "sub",
        "sup",
        "table",
        "tbody",
        "td",
        "tfoot",
        "th",
        "thead",
        "tr",
        "tt",
        "ul",
        "var",
    ]
) - {"style", "map", "area"}
_ATTRIBUTES = frozenset(
    [
        "abbr",
        "align",
        "alt",
        "axis",
        "bgcolor",
        "border",
        "cellhalign",
        "cellpadding",
        "cellspacing",
        "cellvalign",
        "char",
        "charoff",
        "charset",
        "cite",
        "class",
        "colspan",
        "compact",
        "coords",
        "dir",
        "frame",
        "headers",
        "height",
        "href",
        "hreflang",
        "hspace",
        "id",
        "lang",
        "longdesc",
        "name",
        "nowrap",
        "rel",
        "rev",
        "rowspan",
        "rules",
        "scope",
        "shape",
        "span",
        "src",
        "start",
        "style",
        "summary",
        "tabindex",
        "title",
        "type",
        "valign",
        "value",
        "vspace",
        "width",
    ]
)
_KEPT = {"amp", "lt", "gt", "quot", "apos"}


def narrative_fault(div: str) -> str:
    """Why this is no narrative that may be kept, as a sentence; "" when it is one."""
    if re.search(r"<!(?!--)|<\?", div):
        return "A narrative holds no declarations and no processing instructions."
    try:
        # No declaration reached this line, so no entity can be defined that would grow or read a file.
        root = ET.fromstring(_without_named_entities(div))  # noqa: S314
    except ET.ParseError:
        return "A narrative is well-formed XHTML."
    if root.tag != f"{_XHTML}div":
        return "A narrative is one div of the XHTML namespace."
    for node in root.iter():
        name = str(node.tag).removeprefix(_XHTML)
        if not str(node.tag).startswith(_XHTML) or name not in _ELEMENTS:
            return "A narrative holds only plain text elements."
        for attribute, value in node.attrib.items():
            plain = attribute.replace("{http://www.w3.org/XML/1998/namespace}", "")
            if plain not in _ATTRIBUTES:
                return "A narrative holds no scripts and no active attributes."
            if plain in {"href", "src"} and not _is_harmless(value, image=name == "img"):
                return "A narrative leads nowhere that runs code."
    if not any(text.strip() for text in root.itertext()) and root.find(f".//{_XHTML}img") is None:
        return "A narrative says something."
    return ""


def _is_harmless(address: str, *, image: bool) -> bool:
    scheme = re.match(r"\s*([A-Za-z][A-Za-z0-9+.-]*)\s*:", address)
    if scheme is None:
        return True
    name = scheme.group(1).lower()
    return name in {"http", "https", "mailto", "tel", "urn"} or (
        image and address.strip().lower().startswith("data:image/")
    )


def _without_named_entities(div: str) -> str:
    def spelt(match: re.Match[str]) -> str:
        name = match.group(1)
        number = html.entities.name2codepoint.get(name)
        return match.group(0) if name in _KEPT or number is None else f"&#{number};"

    return re.sub(r"&([A-Za-z][A-Za-z0-9]*);", spelt, div)
