"""Whom a message goes to, and what it tells them. Pure."""

from collections.abc import Mapping
from typing import Any

from intents.pipeline.clinical.messages import carried, recipient
from intents.pipeline.validation import Draft


def message_facts(draft: Draft, *, after: Mapping[str, Any]) -> dict[str, Any]:
    """`carries` is what the draft declares, and what its words tell beyond that."""
    if draft.kind != "message":
        return {"recipient": "", "carries": frozenset()}
    return {
        "recipient": recipient(after.get("to"), patient_ref=draft.patient_ref),
        "carries": carried(after),
    }
