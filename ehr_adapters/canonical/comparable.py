"""The form in which two states of one entry are compared and hashed. Pure."""

import re
from collections.abc import Callable, Iterable, Mapping
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any

from ehr_adapters.canonical import units
from ehr_adapters.canonical.comparing import normal_text
from ehr_adapters.canonical.exact_json import plain
from ehr_adapters.canonical.r4.note import attachment_text
from ehr_adapters.canonical.r4.parts import CONFIDENTIALITY, objects


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
    meta = value.get("meta")
    security = objects(meta.get("security")) if isinstance(meta, dict) else []
    for name in ("id", "text", "meta", "implicitRules"):
        value.pop(name, None)
    label = sorted(str(one.get("code")) for one in security if one.get("system") == CONFIDENTIALITY)
    if label:
        value["confidentiality"] = label
    _decode_texts(value)
    for path in server_owned:
        _apply(value, path.split("."), lambda holder, key: holder.pop(key, None))
    for path, rule in rules:
        _apply(value, path.split("."), _RULES[rule])
    return _sorted_codings(_local_references(value, base_url.rstrip("/")))


def _decode_texts(value: dict[str, Any]) -> None:
    for part in objects(value.get("content")):
        attachment = part.get("attachment")
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
        codings = objects(concept.get("coding")) if isinstance(concept, dict) else []
        if codings:
            concept.pop("text", None)
            for coding in codings:
                coding.pop("display", None)


def _reduce_number(holder: dict[str, Any], key: str) -> None:
    """A quantity whose number is the same number, however many zeros it ends with."""
    quantity = holder[key]
    number = _number_of(quantity)
    if number is not None:
        quantity["value"] = _shortest(number)


def _to_flowsheet(holder: dict[str, Any], key: str) -> None:
    """A quantity in the unit and to the step in which a flowsheet keeps it; any other as its number."""
    quantity = holder[key]
    number = _number_of(quantity)
    if number is None:
        return
    for unit, step in _FLOWSHEET:
        amount = units.converted(str(quantity["value"]), str(quantity.get("code")), unit)
        if amount is not None:
            kept = (Decimal(amount.numerator) / Decimal(amount.denominator)).quantize(
                Decimal(step), rounding=ROUND_HALF_EVEN
            )
            holder[key] = {"value": _shortest(kept), "code": unit}
            return
    holder[key] = {"value": _shortest(number), "code": quantity.get("code")}


# Length, mass and temperature: what is converted when it is filed, and to which decimal.
_FLOWSHEET = (("cm", "0.1"), ("kg", "0.01"), ("Cel", "0.1"))
_LONGEST_NUMBER = 40


def _number_of(quantity: Any) -> Decimal | None:
    value = quantity.get("value") if isinstance(quantity, dict) else None
    if isinstance(value, bool) or not isinstance(value, (int, str)):
        return None
    if len(str(value)) > _LONGEST_NUMBER or not _PLAIN_NUMBER.fullmatch(str(value)):
        return None
    return Decimal(value)


_PLAIN_NUMBER = re.compile(r"-?[0-9]+(?:\.[0-9]+)?")


def _shortest(number: Decimal) -> str:
    text = format(number, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


_RULES: dict[str, Callable[[dict[str, Any], str], None]] = {
    "ignored": _drop,
    "line_ends": _unify_line_ends,
    "display": _drop_words,
    "number": _reduce_number,
    "flowsheet": _to_flowsheet,
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
