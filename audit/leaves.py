"""The text of a leaf: what the log commits to for ever. Pure.

A leaf holds ids, codes, times, hashes and a commitment to the body; the actor's name is in it as a
hash. It can never be forgotten, so nothing that may have to be forgotten belongs here.
"""

from datetime import datetime
from typing import Any, Protocol
from uuid import UUID

from audit.encoding import canonical_text, sha256_hex

VERSION = 1


class EventColumns(Protocol):
    """The columns of an event from which its leaf is made."""

    id: UUID
    log: str
    tag: str
    actor_kind: str
    actor_id: str
    actor_name: str
    on_behalf_of: str
    authority: str
    at: datetime
    recorded_at: datetime
    tenant_id: str
    proposal_id: str
    intent_id: str
    correlation_id: str
    patient_token: str
    encounter_token: str
    rows: Any
    body_commitment: str


def leaf_text(event: EventColumns) -> str:
    """The canonical leaf of an event. Every column goes in, so verification can make it again and
    compare: a column that was changed gives another text."""
    content = {
        "v": VERSION,
        "log": event.log,
        "event": event.id,
        "tag": event.tag,
        "actor": {
            "kind": event.actor_kind,
            "id": event.actor_id,
            "name_sha256": sha256_hex(event.actor_name.encode()),
            "on_behalf_of": event.on_behalf_of,
            "authority": event.authority,
        },
        "at": event.at,
        "recorded_at": event.recorded_at,
        "tenant": event.tenant_id,
        "proposal": event.proposal_id,
        "intent": event.intent_id,
        "correlation": event.correlation_id,
        "patient": event.patient_token,
        "encounter": event.encounter_token,
        "rows": event.rows,
        "body": event.body_commitment,
    }
    return canonical_text(content)
