"""An order as a ServiceRequest, a prescription as a MedicationRequest, both drafts and proposals. Pure.

FHIR R4, MedicationRequest and ServiceRequest: `intent` proposal and `status` draft make a suggestion that
nobody has authorised; what it is to replace is `priorPrescription` or `replaces`.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from ehr_adapters.canonical.codes import SNOMED
from ehr_adapters.canonical.declaration import ChartChange
from ehr_adapters.canonical.order import CATEGORY_WORDS, PRESCRIPTION, SYSTEMS, Order
from ehr_adapters.canonical.problem import SIDES
from ehr_adapters.canonical.r4.annotations import put_comment, read_comments
from ehr_adapters.canonical.r4.building import (
    Writer,
    built,
    put_code,
    put_reference,
    put_value,
    take_choice,
    take_day,
    take_reference,
)
from ehr_adapters.canonical.r4.dosage import dosage_writers, read_dosage
from ehr_adapters.canonical.r4.medication import put_drug, put_indication, take_drug
from ehr_adapters.canonical.r4.parts import (
    CanonicalForm,
    Destination,
    FhirForm,
    Taken,
    Translation,
    Uncarried,
    concept_of,
    form_of,
    objects,
    take_sensitivity,
)
from ehr_adapters.canonical.r4.quantities import quantity_of, read_quantity

_SERVICE, _PRESCRIBED = "ServiceRequest", "MedicationRequest"
# FHIR R4, value set servicerequest-category: the codes that mean the same as ours.
_CATEGORY_CODES = {"lab": "108252007", "imaging": "363679005"}
_CATEGORY_DISPLAYS = {"108252007": "Laboratory procedure", "363679005": "Imaging"}
_CANCELLED = {_SERVICE: "revoked", _PRESCRIBED: "cancelled"}
_PRIORITIES = ("routine", "urgent", "asap", "stat")
_STATUSES = ("draft", "active", "on-hold", "completed", "entered-in-error")


def order_to_fhir(change: ChartChange, to: Destination) -> FhirForm:
    content = change.model_dump_canonical()
    resource_type = (
        Order.fhir_type_of(content) if to.current is None else str(to.current.get("resourceType"))
    )
    return built(
        change,
        to,
        new={
            "resourceType": resource_type,
            "status": "draft",
            "intent": "proposal",
            "subject": {"reference": to.patient},
        },
        writers=_WRITERS[resource_type],
    )


def _put_status(resource: dict[str, Any], value: str) -> Iterable[Uncarried]:
    resource["status"] = _CANCELLED[resource["resourceType"]] if value == "cancelled" else value
    return ()


def _put_category(resource: dict[str, Any], value: str) -> Iterable[Uncarried]:
    concept: dict[str, Any] = {"text": dict(CATEGORY_WORDS)[value]}
    code = _CATEGORY_CODES.get(value)
    if code:
        coding = {"system": SNOMED, "code": code, "display": _CATEGORY_DISPLAYS[code]}
        concept = {"coding": [coding], **concept}
    resource["category"] = [concept]
    return ()


def _said_by_the_type(resource: dict[str, Any], value: Any) -> Iterable[Uncarried]:
    del resource, value
    return ()


def _put_side(resource: dict[str, Any], value: Mapping[str, Any]) -> Iterable[Uncarried]:
    resource["bodySite"] = [concept_of([value])]
    return ()


def _put_replaced(resource: dict[str, Any], value: str) -> Iterable[Uncarried]:
    resource["replaces"] = [{"reference": value}]
    return ()


def _put_supply(name: str) -> Writer:
    def put(resource: dict[str, Any], value: Any) -> Iterable[Uncarried]:
        supply = resource.setdefault("dispenseRequest", {})
        if name == "quantity":
            supply["quantity"] = quantity_of(value)
        elif name == "refills":
            supply["numberOfRepeatsAllowed"] = value
        elif name == "days_supply":
            supply["expectedSupplyDuration"] = quantity_of({"value": str(value), "unit": "d"})
        else:
            # The first day on which it may be dispensed (R4, MedicationRequest.dispenseRequest).
            supply["validityPeriod"] = {"start": value}
        return ()

    return put


_SHARED: dict[str, Writer] = {
    "status": _put_status,
    "priority": put_value("priority"),
    "indication": put_indication,
    "requester": put_reference("requester"),
    "instructions": put_comment,
    "encounter": put_reference("encounter"),
}
_WRITERS: Mapping[str, dict[str, Writer]] = {
    _SERVICE: {
        "category": _put_category,
        "code": put_code("code"),
        "side": _put_side,
        "when": put_value("occurrenceDateTime"),
        "replaces": _put_replaced,
        **_SHARED,
    },
    _PRESCRIBED: {
        "category": _said_by_the_type,
        "code": put_drug,
        **dosage_writers("dosageInstruction"),
        **{name: _put_supply(name) for name in ("quantity", "refills", "days_supply", "when")},
        "replaces": put_reference("priorPrescription"),
        **_SHARED,
    },
}

# --- reading ---------------------------------------------------------------------------------------


def read_order(taken: Taken) -> CanonicalForm:
    resource_type = str(taken.value.get("resourceType"))
    content: dict[str, Any] = {}
    if resource_type == _PRESCRIBED:
        content["category"] = PRESCRIPTION
        _read_prescription(taken, content)
    else:
        _read_service(taken, content)
    if taken.value.get("status") == _CANCELLED[resource_type]:
        taken.leave("status", "cancelled")
    found = {
        "status": take_choice(taken, "status", (*_STATUSES, "cancelled")),
        "priority": take_choice(taken, "priority", _PRIORITIES),
        "requester": take_reference(taken, "requester", "Practitioner"),
        "encounter": take_reference(taken, "encounter", "Encounter"),
        "indication": _indication(taken),
    }
    content.update({name: value for name, value in found.items() if value})
    read_comments(taken, content, name="instructions")
    taken.pop_if("intent", lambda value: value == "proposal")
    taken.pop("subject")
    take_sensitivity(taken, content)
    return form_of("order", content, taken)


def _indication(taken: Taken) -> str:
    references = objects(taken.value.get("reasonReference"))
    return taken.first_reference("reasonReference", "Condition") if len(references) == 1 else ""


def _read_service(taken: Taken, content: dict[str, Any]) -> None:
    category = _take_category(taken)
    if category:
        content["category"] = category
    systems = dict.fromkeys(system for listed in SYSTEMS.values() for system in listed)
    code = taken.code_of("code", tuple(systems))
    if code:
        content["code"] = code[0]
        if len(code) > 1:
            # The same thing in another system: one code is shown, all stay in the entry.
            taken.value["code"].setdefault("coding", []).extend(code[1:])
    sites = taken.value.get("bodySite")
    if isinstance(sites, list) and len(sites) == 1:
        side = Taken({"site": sites[0]})
        found = side.code_of("site", (SNOMED,))
        if found and found[0]["code"] in SIDES:
            content["side"] = found[0]
            taken.leave("bodySite", [side.value["site"]])
    day = take_day(taken.value, "occurrenceDateTime")
    if day:
        content["when"] = day
    replaced = taken.first_reference("replaces", _SERVICE)
    if replaced:
        content["replaces"] = replaced


def _take_category(taken: Taken) -> str:
    categories = objects(taken.value.get("category"))
    by_code = {code: name for name, code in _CATEGORY_CODES.items()}
    by_words = {words: name for name, words in CATEGORY_WORDS}
    for one in categories:
        for coding in objects(one.get("coding")):
            name = by_code.get(str(coding.get("code")))
            if coding.get("system") == SNOMED and name:
                return _without(taken, one, name)
        name = by_words.get(str(one.get("text")))
        if name and not one.get("coding"):
            return _without(taken, one, name)
    return ""


def _without(taken: Taken, concept: dict[str, Any], name: str) -> str:
    taken.value["category"].remove(concept)
    return name


def _read_prescription(taken: Taken, content: dict[str, Any]) -> None:
    drug = take_drug(taken)
    if drug:
        content["code"] = drug
    read_dosage(taken, "dosageInstruction", content)
    replaced = take_reference(taken, "priorPrescription", _PRESCRIBED)
    if replaced:
        content["replaces"] = replaced
    supply = taken.value.get("dispenseRequest")
    if not isinstance(supply, dict):
        return
    quantity = read_quantity(supply.get("quantity"))
    if quantity and "comparator" not in quantity:
        content["quantity"] = quantity
        del supply["quantity"]
    if isinstance(supply.get("numberOfRepeatsAllowed"), int):
        content["refills"] = supply.pop("numberOfRepeatsAllowed")
    days = read_quantity(supply.get("expectedSupplyDuration"))
    if days and days["unit"] == "d" and days["value"].isdigit():
        content["days_supply"] = int(days["value"])
        del supply["expectedSupplyDuration"]
    validity = supply.get("validityPeriod")
    day = take_day(validity, "start") if isinstance(validity, dict) else None
    if day:
        content["when"] = day


def _is_open(content: Mapping[str, Any]) -> bool:
    """Drafts, and orders that somebody is to carry out; a signed prescription is a medication."""
    status = content.get("status")
    if content.get("category") == PRESCRIPTION:
        return status == "draft"
    return status in {"draft", "active", "on-hold"}


ORDER = Translation(
    write=order_to_fhir,
    read=read_order,
    types=(_SERVICE, _PRESCRIBED),
    words="orders",
    searches={_PRESCRIBED: {"status": "draft"}},
    is_active=_is_open,
)
