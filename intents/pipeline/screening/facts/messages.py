"""Whom a message goes to, and what it tells them. Pure."""

from collections.abc import Mapping
from typing import Any

from ehr_adapters.canonical.message import recipient_of, undeclared
from intents.pipeline.clinical.values import entries, text
from intents.pipeline.validation import Draft


def message_facts(draft: Draft, *, after: Mapping[str, Any]) -> dict[str, Any]:
    """`carries` is what the draft declares, and what its words seem to tell beyond that: the rules ask for a
    second person where a message may tell a result, not only where somebody says so."""
    if draft.kind != "message":
        return {"recipient": "", "carries": frozenset()}
    declared = {text(one) for one in entries(after.get("carries"))} - {"", "none"}
    words = {name: text(after.get(name)) for name in ("subject", "body")}
    return {
        "recipient": recipient_of(after),
        "carries": frozenset({*declared, *undeclared(words)}),
    }
