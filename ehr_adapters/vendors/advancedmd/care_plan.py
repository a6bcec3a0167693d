"""A care plan as a plan of AdvancedMD's Health Watcher: a title and a text. Pure.

Source: integrators' notes on the AdvancedMD Connect API, addehrhwplans (a plan has a title and a text).
"""

from collections.abc import Iterator, Mapping
from typing import Any
from xml.etree import ElementTree as ET

from ehr_adapters.canonical.base import ChartChange
from ehr_adapters.contract import Remark
from ehr_adapters.errors import Issue
from ehr_adapters.vendors.advancedmd import messages
from ehr_adapters.vendors.advancedmd.saying import Said, by_message

ADD = "addehrhwplans"
_LEADS: Mapping[str, str] = {"goals": "Goal: ", "activities": "Activity: "}
_UNSENT: Mapping[str, str] = {
    "category": "The category is not sent to AdvancedMD.",
    "period": "The period is not sent to AdvancedMD.",
    "addresses": "The problems that the plan is for are not sent to AdvancedMD.",
    "encounter": "The visit is not sent to AdvancedMD with a plan.",
    "sensitivity": "AdvancedMD does not take the sensitivity label from outside.",
}


def issues(change: ChartChange) -> Iterator[Issue]:
    if change.model_dump_canonical()["status"] != "active":
        yield Issue(
            "unsupported",
            "/status",
            "A plan of AdvancedMD's Health Watcher is active from the start.",
        )


def _unsent(content: Mapping[str, Any]) -> Iterator[Remark]:
    for name, sentence in _UNSENT.items():
        if content.get(name) and content[name] != "normal":
            yield Remark("not-carried", f"/{name}", sentence)
    for name, what in (("goals", "How it is measured"), ("activities", "Who does it, and when,")):
        for place, one in enumerate(content.get(name) or ()):
            if set(one) != {"text"}:
                sentence = f"{what} is not sent to AdvancedMD: only the words are."
                yield Remark("not-carried", f"/{name}/{place}", sentence)


def write(change: ChartChange, *, reference: str, patient: str) -> Said:
    """The request, for a plan that has no `issues`."""
    content = change.model_dump_canonical()
    text = "\n".join(
        f"{lead}{one['text']}" for name, lead in _LEADS.items() for one in content.get(name) or ()
    )
    plan = messages.element("hmplan", {"title": content["title"], "text": text})
    body = messages.message(ADD, {"patientid": patient}, messages.element("hmplanlist", {}, plan))
    shown = {
        "resourceType": "CarePlan",
        "status": "active",
        "intent": "plan",
        "subject": {"reference": reference},
        "title": content["title"],
        **({"description": text} if text else {}),
    }
    return Said(by_message(ADD, body), tuple(_unsent(content)), shown)


def said(root: ET.Element) -> dict[str, Any]:
    """What a frozen message says; raises LookupError where it holds no plan."""
    plan = root.find("hmplanlist/hmplan")
    if plan is None:
        raise LookupError("no plan")
    return {"title": plan.get("title"), "status": "active", **read_text(plan.get("text", ""))}


def read_text(text: str) -> dict[str, Any]:
    """Goals and activities of a plan's text; other lines are not ours to read."""
    found: dict[str, Any] = {}
    for line in text.split("\n"):
        for name, lead in _LEADS.items():
            if line.startswith(lead) and line != lead:
                found.setdefault(name, []).append({"text": line.removeprefix(lead)})
    return found
