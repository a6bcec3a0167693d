"""The form in which two states of one entry are compared and hashed. Pure."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ehr_adapters.canonical.comparing import normal_text
from ehr_adapters.canonical.exact_json import plain
from ehr_adapters.canonical.r4.note import attachment_text
from ehr_adapters.canonical.r4.parts import CONFIDENTIALITY


def comparable(
    resource: Mapping[str, Any],
    *,
    server_owned: Iterable[str] = (),
    rules: Iterable[tuple[str, str]] = (),
    base_url: str = "",
) -> dict[str, Any]:
    """The resource as it is compared and hashed: plain JSON without what the server itself owns.

    Left out always: id, narrative, meta except the confidentiality label. `server_owned` are further
    element paths ("recordedDate", "content.attachment.creation"); `rules` are the declared harmless
    changes, as (path, rule). Codings and identifiers are sorted, texts of text/plain attachments decoded.
    """
    value: dict[str, Any] = plain(resource)
    security = (value.get("meta") or {}).get("security") or []
    for name in ("id", "text", "meta", "implicitRules"):
        value.pop(name, None)
    label = sorted(
        str(one.get("code"))
        for one in security
        if isinstance(one, dict) and one.get("system") == CONFIDENTIALITY
    )
    if label:
        value["confidentiality"] = label
    _decode_texts(value)
    for path in server_owned:
        _apply(value, path.split("."), lambda holder, key: holder.pop(key, None))
    for path, rule in rules:
        _apply(value, path.split("."), _RULES[rule])
    return _sorted_codings(_local_references(value, base_url.rstrip("/")))


def _decode_texts(value: dict[str, Any]) -> None:
    for part in value.get("content") or ():
        attachment = part.get("attachment") if isinstance(part, dict) else None
        text = attachment_text(attachment) if isinstance(attachment, dict) else None
        if isinstance(attachment, dict) and text is not None:
            for name in ("data", "size", "hash", "contentType"):
                attachment.pop(name, None)
            attachment["plain_text"] = text


def _apply(value: Any, path: list[str], act: Callable[[dict[str, Any], str], Any]) -> None:
    if isinstance(value, list):
        for item in value:
            _apply(item, path, act)
    elif isinstance(value, dict):
        if len(path) == 1:
            if path[0] in value:
                act(value, path[0])
        elif path[0] in value:
            _apply(value[path[0]], path[1:], act)


def _drop(holder: dict[str, Any], key: str) -> None:
    holder.pop(key, None)


def _unify_line_ends(holder: dict[str, Any], key: str) -> None:
    if isinstance(holder[key], str):
        holder[key] = normal_text(holder[key])


def _drop_words(holder: dict[str, Any], key: str) -> None:
    """A concept without its words, where it has a code."""
    for concept in holder[key] if isinstance(holder[key], list) else [holder[key]]:
        if isinstance(concept, dict) and concept.get("coding"):
            concept.pop("text", None)
            for coding in concept["coding"]:
                coding.pop("display", None)


_RULES: dict[str, Callable[[dict[str, Any], str], None]] = {
    "ignored": _drop,
    "line_ends": _unify_line_ends,
    "display": _drop_words,
}


def _local_references(value: Any, base_url: str) -> Any:
    if isinstance(value, list):
        return [_local_references(item, base_url) for item in value]
    if not isinstance(value, dict):
        return value
    out = {k: _local_references(v, base_url) for k, v in value.items()}
    reference = out.get("reference")
    if base_url and isinstance(reference, str) and reference.startswith(base_url + "/"):
        out["reference"] = reference[len(base_url) + 1 :]
    return out


def _sorted_codings(value: Any) -> Any:
    if isinstance(value, list):
        return [_sorted_codings(item) for item in value]
    if not isinstance(value, dict):
        return value
    out = {k: _sorted_codings(v) for k, v in sorted(value.items())}
    for name in ("coding", "identifier"):
        if isinstance(out.get(name), list):
            out[name] = sorted(out[name], key=repr)
    return out
