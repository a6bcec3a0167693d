"""Rendering of differences, statements and quoted words. Text from outside is only ever text."""

from collections.abc import Sequence

from django import template
from django.utils.html import escape, format_html
from django.utils.safestring import SafeString, mark_safe

from ehr_adapters.canonical.base import visible
from intents.pipeline.diffing import Change
from intents.pipeline.presentation.page import Piece, Statement

register = template.Library()

_WORDS = {
    Change.ADDED.value: ("ins", "added: "),
    Change.REMOVED.value: ("del", "removed: "),
    Change.MOVED_HERE.value: ("ins", "moved here: "),
    Change.MOVED_AWAY.value: ("del", "moved away: "),
    "quoted": ("mark", ""),
}


@register.filter
def shown(text: str) -> SafeString:
    """Text with each invisible character as a visible mark; line ends kept."""
    parts = []
    for segment in visible(text):
        if segment.name:
            parts.append(
                format_html(
                    '<span class="inv" title="{}">{}</span>',
                    segment.name,
                    segment.name.split(" ")[0],
                )
            )
        else:
            parts.append(escape(segment.text))
    return mark_safe("".join(parts))  # noqa: S308  every part is escaped above


@register.simple_tag
def pieces(items: Sequence[Piece]) -> SafeString:
    """A text as it will be: changes marked by sign and word, statements as links to their source."""
    out: list[str] = []
    index = 0
    while index < len(items):
        number = items[index].statement
        last = index
        while number and last + 1 < len(items) and items[last + 1].statement == number:
            last += 1
        inner = "".join(_one(piece) for piece in items[index : last + 1])
        if number:
            flag = " unsup" if items[index].flagged else ""
            inner = (
                f'<a class="claim{flag}" data-claim="{number}" href="#s{number}">{inner}'
                f'<span class="num"><span class="vh">, statement </span>{number}</span></a>'
            )
        out.append(inner)
        index = last + 1
    return mark_safe("".join(out))  # noqa: S308  every part is escaped by `shown`


def _one(piece: Piece) -> str:
    words = shown(piece.text)
    if piece.change not in _WORDS:
        return words
    tag, hidden = _WORDS[piece.change]
    said = f'<span class="vh">{hidden}</span>' if hidden else ""
    return f"<{tag}>{said}{words}</{tag}>"


@register.filter
def number_word(statement: Statement) -> str:
    """What stands before the quotes of a statement."""
    return {
        "supported": "",
        "inferred": "Inferred",
        "own": "A reviewer’s own words",
        "absent": "Not in the source",
        "contradicted": "Against the source",
        "unavailable": "Source not available",
        "left-out": "",
    }[statement.support]


@register.filter
def flagged_count(statements: Sequence[Statement], support: str) -> int:
    return sum(s.support == support and s.flagged for s in statements)


@register.filter
def attention_first(statements: Sequence[Statement]) -> list[Statement]:
    """What needs a decision before what only has a source."""
    return sorted(statements, key=lambda s: (not s.flagged, s.number))


@register.filter
def answer(answers: dict[str, str], key: str) -> str:
    """The answer given to a check so far."""
    return answers.get(key, "")


@register.filter
def after_bar(value: object) -> str:
    """The code of a "system|code" choice."""
    return str(value).rpartition("|")[2]
