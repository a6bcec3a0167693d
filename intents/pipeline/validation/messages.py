"""May these words go to a patient as a message, and do they tell what the draft says that they tell? Pure."""

from collections.abc import Iterable

from ehr_adapters.canonical.message import emergency_advice, undeclared
from intents.pipeline.clinical.values import text
from intents.pipeline.validation.draft import Draft
from intents.pipeline.validation.findings import Finding, error, question

_SEEMS = {
    "result": "The message seems to tell a result, and the draft does not say so.",
    "medication-change": "The message seems to tell a change of a medicine, and the draft does not say so.",
    "diagnosis": "The message seems to tell a diagnosis, and the draft does not say so.",
}


def check_message(draft: Draft) -> Iterable[Finding]:
    if draft.kind != "message" or draft.interaction != "create":
        return
    for name in ("subject", "body"):
        if emergency_advice(text(draft.content.get(name))):
            yield error(
                "emergency-advice",
                "Advice for an emergency is not sent as a message: call the patient.",
                f"/{name}",
            )
    for what in undeclared(draft.content):
        yield question("carries-differs", _SEEMS[what], f"/carries#{what}")
