"""An allergy: one PUT that adds or updates by athenaOne's own number of the allergen, and names no entry. Pure.

Fields: athenahealth API, Allergy. There is no certainty, status or danger in it: what stands there is active and
confirmed, and nothing else is sent.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from ehr_adapters.canonical.base import ChartChange
from ehr_adapters.canonical.codes import SNOMED
from ehr_adapters.errors import Issue
from ehr_adapters.vendors.athenahealth.names import key_of, words_of
from ehr_adapters.vendors.athenahealth.speech import (
    CannotBeSaid,
    Destination,
    Dialect,
    Practice,
    Remark,
    Said,
    Shape,
    kept,
    unsaid,
)

NO_KNOWN_DRUG_ALLERGY = "409137002"
ALLERGENS, REACTIONS = "urn:athenahealth:allergen", "urn:athenahealth:reaction"
_DENIALS = {"716186003", "429625007", "428607008"}
_MEANT = {"clinical_status": "active", "verification": "confirmed"}


def _say(change: ChartChange, to: Destination) -> Said:
    content = change.model_dump_canonical()
    held = to.held if to.target else {}
    substance = content.get("substance") or held.get("substance") or {}
    issues = list(_unfit(content, held))
    remarks = list(_unsaid(content))
    place = f"chart/{to.chart.patient}/allergies"
    department = ("departmentid", to.chart.department)
    if substance.get("system") == SNOMED and substance.get("code") == NO_KNOWN_DRUG_ALLERGY:
        if issues:
            raise CannotBeSaid(issues)
        if content.get("note"):
            remarks.append(unsaid("/note", "The comment is not sent with “no known drug allergy”."))
        return Said(
            "PUT", place, (department, ("nkda", "true")), "update allergies", tuple(remarks)
        )
    if substance.get("system") == SNOMED and substance.get("code") in _DENIALS:
        issues.append(
            Issue("unsupported", "/substance", "athenaOne knows only “no known drug allergy”.")
        )
    allergen = to.looked_up.get(key_of("allergen", substance))
    if allergen is None:
        words = words_of(substance)
        issues.append(
            Issue(
                "not-in-list",
                "/substance",
                f"athenaOne's list has no single allergen named “{words}”."
                if words
                else "The substance needs its name: athenaOne looks it up by words.",
            )
        )
    one: dict[str, Any] = {}
    if allergen is not None:
        one = {"allergenid": allergen.number, "allergenname": allergen.name}
        remarks.append(
            Remark(
                "replaced",
                "/substance",
                f"athenaOne keeps this as its own “{allergen.name}” (number {allergen.number}).",
            )
        )
    whole = {**held, **content}
    # What is left out might be kept or not: the whole entry is said again.
    if whole.get("note"):
        one["note"] = whole["note"]
    elif "note" in content:
        issues.append(
            Issue("unsupported", "/note", "athenaOne is not known to take a comment away.")
        )
    if whole.get("reactions"):
        one["reactions"] = list(_reactions(whole["reactions"], to, issues))
        remarks.append(
            Remark("replaced", "/reactions", "athenaOne keeps reactions by its own numbers.")
        )
    elif "reactions" in content:
        issues.append(
            Issue("unsupported", "/reactions", "athenaOne is not known to take a reaction away.")
        )
    if issues:
        raise CannotBeSaid(issues)
    text = json.dumps([one], separators=(",", ":"), ensure_ascii=False)
    return Said("PUT", place, (department, ("allergies", text)), "update allergies", tuple(remarks))


def _reactions(
    listed: list[dict[str, Any]], to: Destination, issues: list[Issue]
) -> Iterator[dict[str, str]]:
    for index, reaction in enumerate(listed):
        sign = to.looked_up.get(key_of("reaction", reaction["manifestation"]))
        if sign is None:
            issues.append(
                Issue(
                    "not-in-list",
                    f"/reactions/{index}/manifestation",
                    "athenaOne's list has no single reaction of this name.",
                )
            )
            continue
        out = {"reactionid": sign.number, "reactionname": sign.name}
        if reaction.get("severity"):
            grade = to.looked_up.get(key_of("severity", {"code": reaction["severity"]}))
            if grade is None:
                issues.append(
                    Issue(
                        "not-in-list",
                        f"/reactions/{index}/severity",
                        "athenaOne's list has no such severity.",
                    )
                )
                continue
            out |= {"severityid": grade.number, "severity": grade.name}
        yield out


def _unfit(content: Mapping[str, Any], held: Mapping[str, Any]) -> Iterator[Issue]:
    words = {
        "clinical_status": "athenaOne takes an allergy from outside only as active.",
        "verification": "athenaOne's list has no certainty: what stands on it counts as confirmed.",
    }
    for name, sentence in words.items():
        if name in content and content[name] != held.get(name, _MEANT[name]):
            yield Issue("unsupported", f"/{name}", sentence)
    if content.get("criticality"):
        yield Issue(
            "unsupported",
            "/criticality",
            "athenaOne has no field for the danger if exposed again: say it in the comment.",
        )


def _unsaid(content: Mapping[str, Any]) -> Iterator[Remark]:
    words = {
        "type": "Whether it is an allergy or an intolerance",
        "category": "The category",
        "reported_by": "Who told it",
        "last_seen": "When it was last seen",
    }
    for name, word in words.items():
        if name in content:
            yield unsaid(f"/{name}", f"{word} is not sent to athenaOne.")
    for index, reaction in enumerate(content.get("reactions") or ()):
        if reaction.get("onset"):
            yield unsaid(f"/reactions/{index}/onset", "When it happened is not sent to athenaOne.")
    if "criticality" in content and content["criticality"] is None:
        yield unsaid("/criticality", "athenaOne has no field for the danger if exposed again.")
    if content.get("sensitivity", "normal") != "normal":
        yield unsaid("/sensitivity", "athenaOne does not take the sensitivity label from outside.")


def _after(place: str, fields: Mapping[str, str], before: Mapping[str, Any]) -> Shape:
    del place, before
    if fields.get("nkda"):
        return {"nkda": "true"}
    [one] = json.loads(fields["allergies"])
    return _shape(one)


def _shape(entry: Mapping[str, Any]) -> Shape:
    if "nkda" in entry:
        return {"nkda": "true"}
    return kept(
        {
            "allergenid": str(entry.get("allergenid", "")),
            "name": str(entry.get("allergenname", "")),
            "note": str(entry.get("note") or ""),
            "reactions": sorted((_reaction(one) for one in entry.get("reactions") or ()), key=repr),
        }
    )


def _reaction(one: Mapping[str, Any]) -> dict[str, str]:
    names = ("reactionid", "reactionname", "severityid", "severity")
    return {name: str(one[name]) for name in names if one.get(name)}


def _read(shape: Shape, practice: Practice) -> dict[str, Any]:
    del practice
    content: dict[str, Any] = dict(_MEANT)
    if shape.get("nkda"):
        return content | {
            "substance": {"system": SNOMED, "code": NO_KNOWN_DRUG_ALLERGY},
            "category": "medication",
        }
    content["substance"] = {"system": ALLERGENS, "code": shape.get("allergenid", "?")} | (
        {"display": shape["name"]} if shape.get("name") else {}
    )
    if shape.get("note"):
        content["note"] = shape["note"]
    reactions = []
    for one in shape.get("reactions") or ():
        sign = {"system": REACTIONS, "code": one["reactionid"], "display": one["reactionname"]}
        grade = one.get("severity", "").lower()
        known = {"severity": grade} if grade in {"mild", "moderate", "severe"} else {}
        reactions.append({"manifestation": sign, **known})
    if reactions:
        content["reactions"] = reactions
    return content


ALLERGIES = Dialect(
    type_name="AllergyIntolerance",
    say=_say,
    after=_after,
    shape=_shape,
    read=_read,
    number_of=lambda entry: "nkda" if "nkda" in entry else str(entry.get("allergenid") or ""),
)
