"""A message as a Communication, and back. Pure.

`in-progress` is what a message is when it is handed over: sending and delivering are the EHR's acts.
"""

from typing import Any

from ehr_adapters.canonical.declaration import ChartChange
from ehr_adapters.canonical.r4.building import (
    built,
    put_reference,
    put_value,
    put_words,
    take_reference,
    take_text,
    take_words,
)
from ehr_adapters.canonical.r4.parts import (
    CanonicalForm,
    Destination,
    FhirForm,
    Taken,
    Translation,
    Uncarried,
    form_of,
    objects,
    take_sensitivity,
)

_PROXY = "RelatedPerson"


def message_to_fhir(change: ChartChange, to: Destination) -> FhirForm:
    about = {"reference": to.patient}
    new = {"resourceType": "Communication", "status": "in-progress", "subject": about}

    def put_recipient(resource: dict[str, Any], value: dict[str, Any]) -> list[Uncarried]:
        recipient: dict[str, Any] = dict(about)
        if value["who"] == "proxy":
            recipient = (
                {"reference": value["person"]} if value.get("person") else {"type": _PROXY}
            ) | ({"display": value["name"]} if value.get("name") else {})
        resource["recipient"] = [recipient]
        return []

    return built(
        change,
        to,
        new=new,
        writers={
            "to": put_recipient,
            "subject": put_words("topic", "subject"),
            "body": _put_body,
            "in_reply_to": _put_in_reply_to,
            "language": put_value("language"),
            "reply_allowed": _leave_reply,
            "encounter": put_reference("encounter"),
        },
    )


def _put_body(resource: dict[str, Any], value: str) -> list[Uncarried]:
    resource["payload"] = [{"contentString": value}]
    return []


def _put_in_reply_to(resource: dict[str, Any], value: str) -> list[Uncarried]:
    resource["inResponseTo"] = [{"reference": value}]
    return []


def _leave_reply(resource: dict[str, Any], value: bool) -> list[Uncarried]:
    del resource, value
    return [Uncarried("/reply_allowed", "Whether the message may be answered is set in the EHR.")]


def read_message(taken: Taken) -> CanonicalForm:
    found = {
        "to": _recipient(taken),
        "subject": take_words(taken, "topic"),
        "body": _body(taken),
        "in_reply_to": taken.first_reference("inResponseTo", "Communication"),
        "language": take_text(taken, "language"),
        "encounter": take_reference(taken, "encounter", "Encounter"),
    }
    content = {name: value for name, value in found.items() if value}
    taken.pop("subject")
    taken.pop_if("status", lambda value: value in {"in-progress", "completed"})
    take_sensitivity(taken, content)
    return form_of("message", content, taken)


def _recipient(taken: Taken) -> dict[str, Any] | None:
    """The one recipient, if it is the patient or a proxy; anybody else, or several, are left to be listed."""
    listed = objects(taken.value.get("recipient"))
    if len(listed) != 1:
        return None
    one = listed[0]
    patient = taken.reference(taken.value.get("subject"), "Patient")
    if patient and taken.reference(one, "Patient") == patient:
        taken.pop("recipient")
        return {"who": "patient"}
    person = taken.reference(one, _PROXY)
    if not person and ("reference" in one or one.get("type") != _PROXY):
        return None
    named = {"person": person, "name": one.get("display")}
    taken.pop("recipient")
    return {"who": "proxy"} | {name: value for name, value in named.items() if value}


def _body(taken: Taken) -> str:
    """All texts, one under the other; attachments and references are left to be listed."""
    payload = taken.value.get("payload") or []
    texts = []
    for part in objects(payload):
        text = part.get("contentString")
        if isinstance(text, str) and text.strip():
            texts.append(text)
            payload.remove(part)
    return "\n\n".join(texts)


MESSAGE = Translation(
    write=message_to_fhir,
    read=read_message,
    types=("Communication",),
    words="messages",
)
