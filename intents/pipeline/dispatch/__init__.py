"""Sending what is approved: verify the evidence, commit the fact of sending, send once, record.

`draining` takes entries from the outbox; `verifying` compares what is stored with what was sealed;
`sending` plays one attempt against the EHR and writes how it ended; `provenance_filing` files, after that and
apart from it, who made the change and who approved it.
"""

from intents.pipeline.dispatch.draining import drain, drain_at_once, hold_as_restored
from intents.pipeline.dispatch.provenance_filing import file_due
from intents.pipeline.dispatch.sending import send

__all__ = ["drain", "drain_at_once", "file_due", "hold_as_restored", "send"]
