"""Answers to a questionnaire as a QuestionnaireResponse, and back. Pure.

Corrected answers are the same response in the status `amended`: R4 has no other way to say which response
they correct. Answers of types that no field holds (dates, attachments) are left as they are.
"""

from collections.abc import Mapping
from typing import Any

from ehr_adapters.canonical.declaration import ChartChange
from ehr_adapters.canonical.exact_json import ExactDecimal
from ehr_adapters.canonical.r4.building import (
    built,
    put_reference,
    put_value,
    take_instant,
    take_reference,
)
from ehr_adapters.canonical.r4.parts import (
    CanonicalForm,
    Destination,
    FhirForm,
    Taken,
    Translation,
    Uncarried,
    code_of,
    form_of,
    objects,
    take_sensitivity,
)
from ehr_adapters.canonical.r4.quantities import quantity_of, read_quantity
from ehr_adapters.canonical.scoring import known_form, total_item

_ASSIGNED_BY = ("ServiceRequest", "CarePlan")
_SOURCE_TYPES = {"proxy": "RelatedPerson", "clinician": "Practitioner"}


def questionnaire_to_fhir(change: ChartChange, to: Destination) -> FhirForm:
    content = change.model_dump_canonical()
    new = {
        "resourceType": "QuestionnaireResponse",
        "identifier": {"system": to.tag_system, "value": to.tag_value},
        "subject": {"reference": to.patient},
    }

    def put_source(resource: dict[str, Any], value: str) -> list[Uncarried]:
        resource["source"] = (
            {"reference": to.patient}
            if value == "patient"
            else {
                "type": _SOURCE_TYPES[value],
                "display": {"proxy": "A proxy", "clinician": "A clinician"}[value],
            }
        )
        return []

    def put_answers(resource: dict[str, Any], value: list[dict[str, Any]]) -> list[Uncarried]:
        return _put_answers(resource, value, content=content)

    form = built(
        change,
        to,
        new=new,
        writers={
            "form": _put_form,
            "answered_by": put_source,
            "answered_at": put_value("authored"),
            "answers": put_answers,
            "encounter": put_reference("encounter"),
        },
    )
    form.resource["status"] = "completed" if change.rule.makes_entry else "amended"
    return form


def _put_form(resource: dict[str, Any], value: Mapping[str, Any]) -> list[Uncarried]:
    version = value.get("version")
    resource.pop("_questionnaire", None)
    resource["questionnaire"] = f"{value['id']}|{version}" if version else value["id"]
    if value.get("assignment"):
        resource["basedOn"] = [{"reference": value["assignment"]}]
    return []


def _put_answers(
    resource: dict[str, Any], answers: list[dict[str, Any]], *, content: Mapping[str, Any]
) -> list[Uncarried]:
    """Each answer to its item where the form's tree has it already; the rest below each other at its end."""
    asked: dict[str, list[dict[str, Any]]] = {}
    for answer in answers:
        asked.setdefault(answer["link_id"], []).append(answer)
    score, total = content.get("score"), total_item(content)
    form = known_form(content)
    totals = {form.total, f"/{form.total}"} if form else set()
    items = _answered(objects(resource.get("item")), asked, totals=totals)
    items += [_item(link_id, given) for link_id, given in asked.items()]
    unsaid = []
    if score and total:
        items.append({"linkId": total, "answer": [{"valueDecimal": score["value"]}]})
    elif score:
        unsaid.append(
            Uncarried("/score", "The form has no item for the score: the EHR reckons its own.")
        )
    resource["item"] = items
    return unsaid


def _answered(
    items: list[dict[str, Any]], asked: dict[str, list[dict[str, Any]]], *, totals: set[str]
) -> list[dict[str, Any]]:
    """The tree with the new answers in it; what was taken from `asked` has found its place."""
    out = []
    for item in items:
        kept = dict(item)
        link_id = str(item.get("linkId"))
        given = asked.pop(link_id, None)
        before = objects(item.get("answer"))
        if given is not None:
            fresh = _item(link_id, given)
            for new, old in zip(fresh["answer"], before, strict=False):
                below = _answered(objects(old.get("item")), asked, totals=totals)
                if below:
                    new["item"] = below
            kept |= fresh
            kept.pop("_text", None)
        elif link_id in totals or (before and all(_value_of(one) is not None for one in before)):
            kept.pop("answer", None)
        if "item" in item:
            kept["item"] = _answered(objects(item["item"]), asked, totals=totals)
            if not kept["item"]:
                del kept["item"]
        if "answer" in kept or "item" in kept or not (before or "item" in item):
            out.append(kept)
    return out


def _item(link_id: str, given: list[dict[str, Any]]) -> dict[str, Any]:
    item: dict[str, Any] = {"linkId": link_id}
    question = next((one["question"] for one in given if one.get("question")), "")
    if question:
        item["text"] = question
    item["answer"] = [_answer(one["value"]) for one in given]
    return item


def _answer(value: Any) -> dict[str, Any]:
    if isinstance(value, Mapping):
        if "unit" in value:
            return {"valueQuantity": quantity_of(value)}
        return {"valueCoding": code_of(value)}
    if isinstance(value, bool):
        return {"valueBoolean": value}
    if isinstance(value, int):
        return {"valueInteger": value}
    return {"valueString": value}


def _value_of(answer: Mapping[str, Any]) -> Any:
    """The value that a field can hold; None for every other type."""
    coding = answer.get("valueCoding")
    if isinstance(coding, Mapping):
        held = isinstance(coding.get("system"), str) and isinstance(coding.get("code"), str)
        return code_of(coding) if held else None
    if "valueQuantity" in answer:
        quantity = read_quantity(answer["valueQuantity"])
        return None if quantity is None or "comparator" in quantity else quantity
    for name, kind in (("valueBoolean", bool), ("valueInteger", int), ("valueString", str)):
        value = answer.get(name)
        if isinstance(value, kind) and value != "":
            return value
    return None


def read_questionnaire(taken: Taken) -> CanonicalForm:
    content: dict[str, Any] = {}
    form = _form(taken)
    if form:
        content["form"] = form
    answered_by = _source(taken)
    if answered_by:
        content["answered_by"] = answered_by
    answered_at = take_instant(taken, "authored")
    if answered_at:
        content["answered_at"] = answered_at
    _read_answers(taken, content)
    encounter = take_reference(taken, "encounter", "Encounter")
    if encounter:
        content["encounter"] = encounter
    taken.pop("subject")
    taken.pop_if("status", lambda value: value in {"completed", "amended"})
    take_sensitivity(taken, content)
    return form_of("questionnaire", content, taken)


def _form(taken: Taken) -> dict[str, Any] | None:
    address = taken.value.get("questionnaire")
    if not isinstance(address, str) or not address:
        return None
    name, _, version = address.partition("|")
    form = {"id": name} | ({"version": version} if version else {})
    for type_name in _ASSIGNED_BY:
        if "assignment" not in form and (found := taken.first_reference("basedOn", type_name)):
            form["assignment"] = found
    taken.pop("questionnaire")
    return form


def _source(taken: Taken) -> str:
    """Who answered; which proxy or clinician it was has no field and is left to be listed."""
    source = taken.value.get("source")
    if not isinstance(source, dict):
        return ""
    patient = taken.reference(taken.value.get("subject"), "Patient")
    if patient and taken.reference(source, "Patient") == patient:
        taken.pop("source")
        return "patient"
    named = str(source.get("reference") or source.get("type") or "").rsplit("/", 2)
    for who, type_name in _SOURCE_TYPES.items():
        if type_name in named:
            if "reference" not in source:
                taken.pop("source")
            return who
    return ""


def _read_answers(taken: Taken, content: dict[str, Any]) -> None:
    items = taken.value.get("item")
    if not isinstance(items, list):
        return
    known = known_form(content)
    answers: list[dict[str, Any]] = []
    left = []
    for item in items:
        if isinstance(item, dict):
            if known is not None and str(item.get("linkId")).lstrip("/") == known.total:
                score = _score_of(item)
                if score is not None and "score" not in content:
                    content["score"] = {"value": score, "method": known.method}
                    continue
            item = _taken_from(item, answers)  # noqa: PLW2901
        if item:
            left.append(item)
    if answers:
        content["answers"] = answers
    taken.leave("item", left)


def _score_of(item: Mapping[str, Any]) -> int | None:
    answers = objects(item.get("answer"))
    value = answers[0].get("valueDecimal", answers[0].get("valueInteger")) if answers else None
    if isinstance(value, ExactDecimal):
        value = int(value) if value == int(value) else None
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _taken_from(item: dict[str, Any], answers: list[dict[str, Any]]) -> dict[str, Any]:
    """What is left of an item when its answers are taken out, depth first in the form's order."""
    left = dict(item)
    link_id, text = item.get("linkId"), item.get("text")
    kept = []
    for answer in objects(item.get("answer")):
        rest = dict(answer)
        value = _value_of(answer)
        if value is not None and isinstance(link_id, str):
            question = {"question": text} if isinstance(text, str) and text.strip() else {}
            answers.append({"link_id": link_id, **question, "value": value})
            rest = {k: v for k, v in rest.items() if not k.startswith("value")}
        below = [_taken_from(one, answers) for one in objects(answer.get("item"))]
        rest.pop("item", None)
        if any(below):
            rest["item"] = [one for one in below if one]
        if rest:
            kept.append(rest)
    below = [_taken_from(one, answers) for one in objects(item.get("item"))]
    for name, remaining in (("answer", kept), ("item", [one for one in below if one])):
        left.pop(name, None)
        if remaining:
            left[name] = remaining
    if item.get("answer") and "answer" not in left and "item" not in left:
        # All of it was taken: its question stands with the answer.
        left = {k: v for k, v in left.items() if k not in {"linkId", "text"}}
    return left


QUESTIONNAIRE = Translation(
    write=questionnaire_to_fhir,
    read=read_questionnaire,
    types=("QuestionnaireResponse",),
    words="questionnaires",
)
