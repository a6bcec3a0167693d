"""Scores of questionnaires, reckoned from the answers. Pure.

A form is known by its LOINC panel and its items by their LOINC codes. Sources: PHQ-9 and PHQ-2, LOINC panels
44249-1 and 55757-9 (Kroenke, Spitzer, Williams, J Gen Intern Med 2001;16:606 and Med Care 2003;41:1284);
GAD-7, LOINC panel 69737-5 (Spitzer, Kroenke, Williams, Löwe, Arch Intern Med 2006;166:1092). Each item is
answered from LOINC's list LL358-3, "not at all" 0 to "nearly every day" 3, and the score is their sum.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ehr_adapters.canonical.codes import LOINC

# LOINC answer list LL358-3.
_HOW_OFTEN = {"LA6568-5": 0, "LA6569-3": 1, "LA6570-1": 2, "LA6571-9": 3}
_MOST = 3


@dataclass(frozen=True, slots=True)
class Form:
    """A form whose score is the sum of its items; `total` is the item that holds the sum."""

    panel: str
    names: tuple[str, ...]
    items: tuple[str, ...]
    total: str
    method: str


_PHQ = (
    "44250-9", "44255-8", "44259-0", "44254-1", "44251-7", "44258-2", "44252-5", "44253-3", "44260-8",
)  # fmt: skip
FORMS = (
    Form("44249-1", ("phq9", "phq-9"), _PHQ, "44261-6", "PHQ-9: sum of items 1 to 9"),
    Form("55757-9", ("phq2", "phq-2"), _PHQ[:2], "55758-7", "PHQ-2: sum of items 1 and 2"),
    Form(
        "69737-5",
        ("gad7", "gad-7"),
        ("69725-0", "68509-9", "69733-4", "69734-2", "69735-9", "69689-8", "69736-7"),
        "70274-6",
        "GAD-7: sum of items 1 to 7",
    ),
)
# "Thoughts that you would be better off dead, or of hurting yourself" (LOINC 44260-8), item 9 of the PHQ-9.
SELF_HARM_ITEM = "44260-8"
_SELF_HARM = re.compile(
    r"better off dead|hurt(?:ing)? (?:yourself|myself|oneself)|suicid|self[- ]harm|"
    r"(?:kill|end(?:ing)?|tak(?:e|ing)) (?:yourself|your (?:own )?life|myself|my (?:own )?life)",
    re.IGNORECASE,
)


def known_form(content: Mapping[str, Any]) -> Form | None:
    """The form of the answers by its id, "http://loinc.org/q/44249-1", "Questionnaire/phq-9"; None: unknown."""
    form = content.get("form")
    name = str(form.get("id") or "") if isinstance(form, Mapping) else ""
    last = re.split(r"[/:]", name.rstrip("/"))[-1].lower()
    return next((one for one in FORMS if last in {one.panel, *one.names}), None)


def item_number(form: Form, link_id: str) -> int | None:
    """Which item of a known form (1 is the first) a link id names: its LOINC code, or its plain number."""
    code = _last(link_id)
    if code in form.items:
        return form.items.index(code) + 1
    plain = re.fullmatch(r"(?:[a-z]*-?[0-9]?[-_./])?(?:q|item)?0?([1-9])", link_id, re.IGNORECASE)
    number = int(plain.group(1)) if plain else 0
    return number if 1 <= number <= len(form.items) else None


def points(value: Any) -> int | None:
    """The points of one answer: a code of LL358-3, or 0 to 3 as a number; None for anything else."""
    if isinstance(value, Mapping):
        if value.get("system") == LOINC:
            return _HOW_OFTEN.get(str(value.get("code")))
        return None
    if isinstance(value, str) and re.fullmatch("[0-3]", value.strip()):
        return int(value)
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _MOST:
        return value
    return None


def computed_score(content: Mapping[str, Any]) -> dict[str, Any] | None:
    """{value, method} reckoned from the answers; None where the form is unknown or an item is unanswered."""
    form = known_form(content)
    if form is None:
        return None
    found: dict[int, int] = {}
    for answer in _answers(content):
        number = item_number(form, str(answer.get("link_id")))
        score = points(answer.get("value"))
        if number is None:
            continue
        if score is None or number in found:
            return None
        found[number] = score
    if len(found) != len(form.items):
        return None
    return {"value": sum(found.values()), "method": form.method}


def self_harm_positive(content: Mapping[str, Any]) -> bool:
    """Was item 9 of the PHQ-9 answered with anything but "not at all"?

    The item is known by its LOINC code or by what it asks in whatever form, by its number in a PHQ-9. An
    answer that cannot be read as "not at all" counts as positive: this raises a same-day task and is never
    only filed.
    """
    form = known_form(content)
    nine = form if form is not None and SELF_HARM_ITEM in form.items else None
    return any(
        _asks_for_self_harm(answer, nine) and not _says_not_at_all(answer.get("value"))
        for answer in _answers(content)
    )


def _asks_for_self_harm(answer: Mapping[str, Any], nine: Form | None) -> bool:
    link_id = str(answer.get("link_id"))
    return (
        _last(link_id) == SELF_HARM_ITEM
        or (nine is not None and item_number(nine, link_id) == len(nine.items))
        or _SELF_HARM.search(str(answer.get("question") or "")) is not None
    )


def _says_not_at_all(value: Any) -> bool:
    if isinstance(value, Mapping) and value.get("system") != LOINC:
        # A code of the EHR's own form: its words are all that can be known of it.
        value = value.get("display")
    if isinstance(value, str) and value.strip().lower() in {"not at all", "no", "never"}:
        return True
    return value is False or points(value) == 0


def total_item(content: Mapping[str, Any]) -> str:
    """The link id of the item that holds the score in a form of LOINC's own; "" where the form has none."""
    form = known_form(content)
    asked = [str(answer.get("link_id")) for answer in _answers(content)]
    if form is None or not all(_last(one) in form.items for one in asked if item_number(form, one)):
        return ""
    prefix = "/" if any(one.startswith("/") for one in asked) else ""
    return f"{prefix}{form.total}"


def _last(link_id: str) -> str:
    return link_id.rstrip("/").rsplit("/", 1)[-1]


def _answers(content: Mapping[str, Any]) -> Iterable[Mapping[str, Any]]:
    return [one for one in content.get("answers") or () if isinstance(one, Mapping)]
