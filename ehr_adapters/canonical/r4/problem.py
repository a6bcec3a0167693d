"""A problem as a Condition, and back. Pure."""

import re
from collections.abc import Callable, Mapping
from typing import Any

from ehr_adapters.canonical import codes
from ehr_adapters.canonical.declaration import ChartChange, Interaction, field_spec
from ehr_adapters.canonical.problem import SIDES
from ehr_adapters.canonical.r4.annotations import put_comment, read_comments
from ehr_adapters.canonical.r4.parts import (
    CanonicalForm,
    Destination,
    FhirForm,
    Taken,
    Translation,
    Uncarried,
    code_of,
    concept_of,
    concept_or_text,
    form_of,
    objects,
    set_labels,
    take_sensitivity,
)

CLINICAL_STATUS = "http://terminology.hl7.org/CodeSystem/condition-clinical"
VERIFICATION = "http://terminology.hl7.org/CodeSystem/condition-ver-status"
_ACTIVE = frozenset({"active", "recurrence", "relapse"})
CONDITION_CATEGORY = "http://terminology.hl7.org/CodeSystem/condition-category"


def problem_to_fhir(change: ChartChange, to: Destination) -> FhirForm:
    content = change.model_dump_canonical()
    removed: list[Uncarried] = []
    if change.interaction is Interaction.CREATE:
        resource = to.new("Condition", sensitivity=content.get("sensitivity"))
    else:
        resource = to.entry()
        set_labels(resource, content.get("sensitivity"))
    for name, put in _PROBLEM_WRITERS.items():
        if name in content:
            removed += put(resource, content[name])
        if name == "code" and change.interaction is Interaction.CREATE:
            resource["subject"] = {"reference": to.patient}
    if content.get("verification") == "entered-in-error":
        # R4 lets an entry in error have no status (con-5), and so no end either (con-4).
        resource.pop("clinicalStatus", None)
        ends = [key for key in resource if re.fullmatch(r"_?abatement[A-Z][A-Za-z]+", key)]
        for key in ends:
            del resource[key]
        if ends:
            removed.append(
                Uncarried(
                    "/abatement",
                    "The end goes away: what was never true never ended.",
                    removed=True,
                )
            )
    return FhirForm(resource, tuple(removed))


def _put_status(element: str, system: str) -> Callable[[dict[str, Any], str], list[Uncarried]]:
    def put(resource: dict[str, Any], value: str) -> list[Uncarried]:
        resource[element] = {"coding": [{"system": system, "code": value}]}
        return []

    return put


def _put_code(resource: dict[str, Any], value: list[dict[str, Any]]) -> list[Uncarried]:
    now = resource.get("code") or {}
    kept_systems = {one["system"] for one in value}
    removed = [
        Uncarried(
            "/code",
            "A code of another system goes away with the old code: "
            f"{codes.SYSTEM_NAMES.get(str(coding.get('system')), 'a local one')}.",
            removed=True,
        )
        for coding in now.get("coding") or ()
        if coding.get("system") not in kept_systems
    ]
    resource["code"] = concept_of(value)
    return removed


def _put_category(resource: dict[str, Any], value: str) -> list[Uncarried]:
    resource["category"] = [{"coding": [{"system": CONDITION_CATEGORY, "code": value}]}]
    return []


def _put_side(resource: dict[str, Any], value: dict[str, Any]) -> list[Uncarried]:
    sites = [site for site in resource.get("bodySite") or () if not _is_side(site)]
    resource["bodySite"] = [*sites, concept_of([value])]
    return []


def _is_side(site: Any) -> bool:
    return isinstance(site, Mapping) and any(
        _names_side(one) for one in objects(site.get("coding"))
    )


def _names_side(coding: Mapping[str, Any]) -> bool:
    return coding.get("system") == codes.SNOMED and coding.get("code") in SIDES


def _put_severity(resource: dict[str, Any], value: Any) -> list[Uncarried]:
    if value is None:
        resource.pop("severity", None)
    else:
        resource["severity"] = concept_or_text(value)
    return []


def _put_stage(resource: dict[str, Any], value: Any) -> list[Uncarried]:
    others = list(resource.get("stage") or ())[1:]
    stages = others if value is None else [{"summary": concept_or_text(value)}, *others]
    if stages:
        resource["stage"] = stages
    else:
        resource.pop("stage", None)
    return []


def _put_date(name: str) -> Callable[[dict[str, Any], str | None], list[Uncarried]]:
    words = {"onset": "beginning", "abatement": "end"}[name]

    def put(resource: dict[str, Any], value: str | None) -> list[Uncarried]:
        other = [
            key for key in resource if re.fullmatch(rf"_?{name}(?:Age|Period|Range|String)", key)
        ]
        for key in (*other, f"{name}DateTime", f"_{name}DateTime"):
            resource.pop(key, None)
        if value is not None:
            resource[f"{name}DateTime"] = value
        if not other:
            return []
        return [
            Uncarried(
                f"/{name}",
                f"The {words} as it stands (an age, period or words) goes away.",
                removed=True,
            )
        ]

    return put


def _put_encounter(resource: dict[str, Any], value: str) -> list[Uncarried]:
    resource["encounter"] = {"reference": value}
    return []


_PROBLEM_WRITERS: dict[str, Callable[[dict[str, Any], Any], list[Uncarried]]] = {
    "clinical_status": _put_status("clinicalStatus", CLINICAL_STATUS),
    "verification": _put_status("verificationStatus", VERIFICATION),
    "category": _put_category,
    "severity": _put_severity,
    "code": _put_code,
    "side": _put_side,
    "encounter": _put_encounter,
    "onset": _put_date("onset"),
    "abatement": _put_date("abatement"),
    "stage": _put_stage,
    "note": put_comment,
}


def read_problem(taken: Taken) -> CanonicalForm:
    content: dict[str, Any] = {}
    found = taken.code_of("code", (codes.ICD10CM, codes.SNOMED))
    if found:
        content["code"] = found
    category = taken.status_of(
        "category", CONDITION_CATEGORY, ("problem-list-item", "encounter-diagnosis"), listed=True
    )
    if category:
        content["category"] = category
    choices = {
        "clinical_status": ("clinicalStatus", CLINICAL_STATUS),
        "verification": ("verificationStatus", VERIFICATION),
    }
    for name, (element, system) in choices.items():
        value = taken.status_of(element, system, _choices_of("problem", name))
        if value:
            content[name] = value
    _read_side(taken, content)
    severity = taken.concept("severity")
    if severity:
        content["severity"] = severity
    _read_stage(taken, content)
    for name in ("onset", "abatement"):
        moment = taken.pop(f"{name}DateTime")
        if isinstance(moment, str):
            content[name] = moment[:10]
            if len(moment) > 10:
                taken.leave(f"{name}DateTime", moment)
    encounter = taken.reference(taken.value.get("encounter"), "Encounter")
    if encounter:
        content["encounter"] = encounter
        taken.pop("encounter")
    read_comments(taken, content)
    taken.pop("subject")
    take_sensitivity(taken, content)
    return form_of("problem", content, taken)


def _choices_of(kind: str, name: str) -> tuple[str, ...]:
    return tuple(value for value, _ in field_spec(kind, name).choices)


def _read_side(taken: Taken, content: dict[str, Any]) -> None:
    sites = taken.value.get("bodySite")
    if not isinstance(sites, list):
        return
    for index, site in enumerate(sites):
        if _is_side(site):
            coding = next(one for one in objects(site["coding"]) if _names_side(one))
            content["side"] = code_of(coding)
            del sites[index]
            return


def _read_stage(taken: Taken, content: dict[str, Any]) -> None:
    stages = taken.value.get("stage")
    if not isinstance(stages, list) or not stages or not isinstance(stages[0], dict):
        return
    inner = Taken({"summary": stages[0].get("summary")}, base_url="", tag_system="")
    value = inner.concept("summary")
    if value:
        content["stage"] = value
        stages[0].pop("summary")
        if not stages[0]:
            del stages[0]


def _is_active(content: Mapping[str, Any]) -> bool:
    return content.get("clinical_status", "active") in _ACTIVE and content.get(
        "verification"
    ) not in {"refuted", "entered-in-error"}


PROBLEM = Translation(
    write=problem_to_fhir,
    read=read_problem,
    types=("Condition",),
    words="problems",
    is_active=_is_active,
)
