"""A patient's own data as a Patient, and back. Pure.

An update changes the one name, address, number or contact that it speaks of. Everything else of the
resource goes back as it came, and identifiers are only ever added.
"""

import copy
from collections.abc import Iterable, Mapping
from typing import Any

from ehr_adapters.canonical.declaration import ChartChange
from ehr_adapters.canonical.r4.building import built, put_value, take_choice
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

_BCP47 = "urn:ietf:bcp:47"
_FORMER = frozenset({"old", "maiden"})
_USE = {"home": "home", "work": "work", "mobile": "mobile"}
_ADDRESS = (
    ("city", "city"),
    ("state", "state"),
    ("postal_code", "postalCode"),
    ("country", "country"),
)


def demographics_to_fhir(change: ChartChange, to: Destination) -> FhirForm:
    return built(
        change,
        to,
        new={"resourceType": "Patient", "active": True},
        writers={
            "family": _put_name("family"),
            "given": _put_name("given"),
            "birth_date": put_value("birthDate"),
            "sex": put_value("gender"),
            "identifiers": _add_identifiers,
            "deceased": _put_deceased,
            "previous_names": _put_previous_names,
            "phone": _put_phones,
            "email": _put_email,
            "address": _put_address,
            "language": _put_language,
            "contacts": _put_contacts,
        },
    )


def _set(resource: dict[str, Any], name: str, value: list[Any]) -> None:
    if value:
        resource[name] = value
    else:
        resource.pop(name, None)


def _gone(field: str, sentence: str) -> Uncarried:
    return Uncarried(f"/{field}", sentence, removed=True)


# --- who the patient is ------------------------------------------------------------------------------


def _current_name(names: Iterable[Mapping[str, Any]]) -> int | None:
    """The place of the name that counts: official, else usual, else the first that is no former one."""
    held = [
        (index, one)
        for index, one in enumerate(names)
        if one.get("use") not in _FORMER and not _ended(one)
    ]
    rank = {"official": 0, "usual": 1}
    held.sort(key=lambda pair: rank.get(str(pair[1].get("use")), 2))
    return held[0][0] if held else None


def _ended(one: Mapping[str, Any]) -> bool:
    period = one.get("period")
    return isinstance(period, Mapping) and bool(period.get("end"))


def _put_name(part: str) -> Any:
    def put(resource: dict[str, Any], value: str) -> list[Uncarried]:
        names = [dict(one) for one in objects(resource.get("name"))]
        index = _current_name(names)
        if index is None:
            names.insert(0, {"use": "official"})
            index = 0
        name = names[index]
        # The name in one piece says the old one.
        for stale in ("text", "_text", f"_{part}"):
            name.pop(stale, None)
        name[part] = value if part == "family" else value.split()
        resource["name"] = names
        return []

    return put


def _add_identifiers(resource: dict[str, Any], value: list[dict[str, Any]]) -> list[Uncarried]:
    listed = list(resource.get("identifier") or ())
    held = {(one.get("system"), one.get("value")) for one in objects(listed)}
    listed += [one for one in value if (one.get("system"), one["value"]) not in held]
    resource["identifier"] = listed
    return []


def _put_deceased(resource: dict[str, Any], value: bool | str) -> list[Uncarried]:
    for name in [n for n in resource if n.lstrip("_").startswith("deceased")]:
        del resource[name]
    resource["deceasedBoolean" if isinstance(value, bool) else "deceasedDateTime"] = value
    return []


def _put_previous_names(resource: dict[str, Any], value: list[dict[str, Any]]) -> list[Uncarried]:
    names = objects(resource.get("name"))
    held = {_name_key(said): one for one in names if (said := _previous(one))}
    kept = [one for one in names if not _previous(one)]
    wanted = {_name_key(one) for one in value}
    fresh = []
    for one in value:
        name: dict[str, Any] = {"use": "old", "family": one["family"]}
        if one.get("given"):
            name["given"] = one["given"].split()
        fresh.append(held.get(_name_key(one), name))
    resource["name"] = kept + fresh
    return [_gone("previous_names", "An earlier name goes away.")] if held.keys() - wanted else []


def _previous(name: Mapping[str, Any]) -> dict[str, Any]:
    if name.get("use") not in _FORMER and not _ended(name):
        return {}
    family, given = name.get("family"), _given(name)
    if not isinstance(family, str) or not family.strip():
        return {}
    return {"family": family} | ({"given": given} if given else {})


def _name_key(name: Mapping[str, Any]) -> tuple[str, str]:
    return str(name["family"]), str(name.get("given") or "")


def _given(name: Mapping[str, Any]) -> str:
    given = name.get("given")
    return " ".join(str(one) for one in given if one) if isinstance(given, list) else ""


# --- how to reach them -------------------------------------------------------------------------------


def _put_phones(resource: dict[str, Any], value: list[dict[str, Any]] | None) -> list[Uncarried]:
    telecom = objects(resource.get("telecom"))
    held = {str(one["value"]): one for one in telecom if _is_phone(one)}
    kept = [one for one in telecom if not _is_phone(one)]
    fresh = []
    for one in value or ():
        phone = dict(held.get(one["number"]) or {"system": "phone", "value": one["number"]})
        if _USE.get(str(phone.get("use"))) != one.get("use"):
            phone.pop("use", None)
            if one.get("use"):
                phone["use"] = one["use"]
        fresh.append(phone)
    _set(resource, "telecom", [*fresh, *kept])
    wanted = {one["number"] for one in value or ()}
    return [_gone("phone", "A telephone number goes away.")] if held.keys() - wanted else []


def _is_phone(one: Mapping[str, Any]) -> bool:
    return (
        one.get("system") == "phone"
        and isinstance(one.get("value"), str)
        and one.get("use") not in {"old", "temp"}
        and not _ended(one)
    )


def _email_place(telecom: Iterable[Mapping[str, Any]]) -> int | None:
    for index, one in enumerate(telecom):
        if one.get("system") == "email" and one.get("use") != "old" and not _ended(one):
            return index
    return None


def _put_email(resource: dict[str, Any], value: str | None) -> list[Uncarried]:
    telecom = [dict(one) for one in objects(resource.get("telecom"))]
    place = _email_place(telecom)
    if place is None:
        telecom += [{"system": "email", "value": value}] if value else []
    elif value is None:
        del telecom[place]
    else:
        telecom[place] = {k: v for k, v in telecom[place].items() if k != "_value"} | {
            "value": value
        }
    _set(resource, "telecom", telecom)
    return []


def _address_place(addresses: Iterable[Mapping[str, Any]]) -> int | None:
    """The place of the address that counts: at home, else the first that is neither old nor for bills."""
    held = [
        (index, one)
        for index, one in enumerate(addresses)
        if one.get("use") not in {"old", "billing", "temp"} and not _ended(one)
    ]
    held.sort(key=lambda pair: pair[1].get("use") != "home")
    return held[0][0] if held else None


def _put_address(resource: dict[str, Any], value: Mapping[str, Any]) -> list[Uncarried]:
    addresses = [dict(one) for one in objects(resource.get("address"))]
    place = _address_place(addresses)
    held = addresses[place] if place is not None else {"use": "home"}
    address = {k: v for k, v in held.items() if k in {"use", "type", "id"}}
    if value.get("lines"):
        address["line"] = [line for line in value["lines"].split("\n") if line.strip()]
    address |= {element: value[name] for name, element in _ADDRESS if value.get(name)}
    unsaid = [
        k for k in held if k not in {"use", "type", "id", "line", "text", *dict(_ADDRESS).values()}
    ]
    if place is None:
        addresses.append(address)
    else:
        addresses[place] = address
    resource["address"] = addresses
    return [_gone("address", "What else was said of the old address goes away.")] if unsaid else []


def _put_language(resource: dict[str, Any], value: str) -> list[Uncarried]:
    spoken = [copy.deepcopy(one) for one in objects(resource.get("communication"))]
    place = _language_place(spoken)
    known = next((one for one in spoken if _code_of_language(one) == value), None)
    if known is not None:
        for one in spoken:
            one.pop("preferred", None)
        known["preferred"] = True
    elif place is None:
        spoken.append(_spoken(value))
    else:
        spoken[place]["language"] = _spoken(value)["language"]
    resource["communication"] = spoken
    return []


def _spoken(language: str) -> dict[str, Any]:
    return {"language": {"coding": [{"system": _BCP47, "code": language}]}, "preferred": True}


def _language_place(spoken: Iterable[Mapping[str, Any]]) -> int | None:
    """The preferred language, else the first."""
    listed = [(index, one) for index, one in enumerate(spoken) if _code_of_language(one)]
    listed.sort(key=lambda pair: pair[1].get("preferred") is not True)
    return listed[0][0] if listed else None


def _code_of_language(spoken: Mapping[str, Any]) -> str:
    language = spoken.get("language")
    codings = objects(language.get("coding")) if isinstance(language, Mapping) else []
    return next(
        (str(c["code"]) for c in codings if c.get("system") == _BCP47 and c.get("code")), ""
    )


def _put_contacts(resource: dict[str, Any], value: list[dict[str, Any]] | None) -> list[Uncarried]:
    now = objects(resource.get("contact"))
    held = {said["name"]: one for one in now if (said := _contact_of(one)[0])}
    kept = [one for one in now if not _contact_of(one)[0]]
    fresh = [_contact(held.get(one["name"]), one) for one in value or ()]
    _set(resource, "contact", [*fresh, *kept])
    wanted = {one["name"] for one in value or ()}
    return [_gone("contacts", "A contact goes away.")] if held.keys() - wanted else []


def _contact(held: Mapping[str, Any] | None, said: Mapping[str, Any]) -> dict[str, Any]:
    if held is None:
        contact: dict[str, Any] = {"name": {"text": said["name"]}}
        before: dict[str, Any] = {}
    else:
        contact, before = copy.deepcopy(dict(held)), _contact_of(held)[0]
    if before.get("relationship") != said.get("relationship"):
        others = objects(contact.get("relationship"))[1 if before.get("relationship") else 0 :]
        first = [{"text": said["relationship"]}] if said.get("relationship") else []
        _set(contact, "relationship", first + others)
    if before.get("phone") != said.get("phone"):
        telecom = objects(contact.get("telecom"))
        others = [one for one in telecom if one.get("value") != before.get("phone")]
        first = [{"system": "phone", "value": said["phone"]}] if said.get("phone") else []
        _set(contact, "telecom", first + others)
    return contact


def _contact_of(contact: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """(what a contact says in our fields, what is left of it)."""
    left = copy.deepcopy(dict(contact))
    name = left.get("name")
    if not isinstance(name, dict):
        return {}, left
    text = name.get("text")
    if isinstance(text, str) and text.strip():
        name.pop("text")
    else:
        text = f"{_given(name)} {name.get('family') or ''}".strip()
        if not text:
            return {}, left
        for part in ("given", "family"):
            name.pop(part, None)
    said = {"name": text}
    relationships = objects(left.get("relationship"))
    if relationships:
        first = relationships[0]
        coded = next((c["display"] for c in objects(first.get("coding")) if c.get("display")), None)
        words = first.get("text") or coded
        if isinstance(words, str) and words.strip():
            said["relationship"] = words
            first.pop("text", None)
    for one in objects(left.get("telecom")):
        if one.get("system") == "phone" and isinstance(one.get("value"), str):
            said["phone"] = one["value"]
            left["telecom"].remove(one)
            rest = {k: v for k, v in one.items() if k not in {"system", "value"}}
            if rest:
                left["telecom"].append(rest)
            break
    return said, left


# --- reading -----------------------------------------------------------------------------------------


def read_demographics(taken: Taken) -> CanonicalForm:
    found = {
        **_read_names(taken),
        "birth_date": _birth_date(taken),
        "sex": take_choice(taken, "gender", ("female", "male", "other", "unknown")),
        "identifiers": _identifiers(taken),
        "deceased": _deceased(taken),
        "phone": _phones(taken),
        "email": _email(taken),
        "address": _address(taken),
        "language": _language(taken),
        "contacts": _contacts(taken),
    }
    content = {n: v for n, v in found.items() if v is not None and v not in ("", [], {})}
    taken.pop_if("active", lambda value: value is True)
    take_sensitivity(taken, content)
    return form_of("demographics", content, taken)


def _read_names(taken: Taken) -> dict[str, Any]:
    names = objects(taken.value.get("name"))
    place = _current_name(names)
    found: dict[str, Any] = {}
    previous = []
    for index, name in enumerate(names):
        said = _previous(name)
        if index == place:
            family, given = name.pop("family", None), _given(name)
            name.pop("given", None)
            found |= {"family": family, "given": given}
            whole = {f"{given} {family or ''}".strip(), f"{family or ''}, {given}".strip(", ")}
            if name.get("text") in whole:
                name.pop("text")
            if name.get("use") in {"official", "usual"}:
                name.pop("use")
        elif said:
            previous.append(said)
            for part in ("family", "given", "use"):
                name.pop(part, None)
    taken.leave("name", [one for one in names if one])
    return found | {"previous_names": previous}


def _birth_date(taken: Taken) -> Any:
    born = taken.value.get("birthDate")
    return taken.pop("birthDate") if isinstance(born, str) else None


def _identifiers(taken: Taken) -> list[dict[str, Any]]:
    """Every number but the portal's own; what else is said of a number is left to be listed."""
    found, left = [], []
    for one in objects(taken.value.get("identifier")):
        value = one.get("value")
        if one.get("system") == taken.tag_system and taken.tag_system:
            left.append(one)
        elif isinstance(value, str) and value.strip():
            system = {"system": one["system"]} if isinstance(one.get("system"), str) else {}
            found.append({**system, "value": value})
            rest = {k: v for k, v in one.items() if k not in {"system", "value"}}
            if rest:
                left.append(rest)
        else:
            left.append(one)
    taken.leave("identifier", left)
    return found


def _deceased(taken: Taken) -> Any:
    if isinstance(taken.value.get("deceasedBoolean"), bool):
        return taken.pop("deceasedBoolean")
    moment = taken.value.get("deceasedDateTime")
    if not isinstance(moment, str):
        return None
    if len(moment) <= 10:
        taken.pop("deceasedDateTime")
    return moment[:10]


def _phones(taken: Taken) -> list[dict[str, Any]]:
    listed = objects(taken.value.get("telecom"))
    found: list[dict[str, Any]] = []
    left = []
    for one in listed:
        if not _is_phone(one) or one["value"] in {phone["number"] for phone in found}:
            left.append(one)
            continue
        use = _USE.get(str(one.get("use")))
        found.append({"number": one["value"]} | ({"use": use} if use else {}))
        left.append({k: v for k, v in one.items() if k not in {"system", "value", "use"}})
    taken.leave("telecom", [one for one in left if one])
    return found


def _email(taken: Taken) -> Any:
    telecom = objects(taken.value.get("telecom"))
    place = _email_place(telecom)
    if place is None or not isinstance(telecom[place].get("value"), str):
        return None
    one = telecom[place]
    value = one.pop("value")
    one.pop("system")
    taken.leave("telecom", [each for each in telecom if each])
    return value


def _address(taken: Taken) -> dict[str, Any]:
    addresses = objects(taken.value.get("address"))
    place = _address_place(addresses)
    if place is None:
        return {}
    held = addresses[place]
    lines = held.get("line")
    said: dict[str, Any] = {}
    if isinstance(lines, list) and all(isinstance(line, str) for line in lines):
        said["lines"] = "\n".join(held.pop("line"))
    said |= {name: held.pop(element) for name, element in _ADDRESS if held.get(element)}
    if held.get("use") == "home":
        held.pop("use")
    taken.leave("address", [one for one in addresses if one])
    return said


def _language(taken: Taken) -> str:
    spoken = objects(taken.value.get("communication"))
    place = _language_place(spoken)
    if place is None:
        return ""
    one = spoken[place]
    code = _code_of_language(one)
    one["language"]["coding"] = [
        c for c in one["language"]["coding"] if (c.get("system"), c.get("code")) != (_BCP47, code)
    ]
    if one.get("preferred") is True:
        one.pop("preferred")
    return code


def _contacts(taken: Taken) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    left = []
    for one in objects(taken.value.get("contact")):
        said, rest = _contact_of(one)
        if said and said["name"] not in {contact["name"] for contact in found}:
            found.append(said)
            left.append(rest)
        else:
            left.append(one)
    taken.leave("contact", left)
    return found


DEMOGRAPHICS = Translation(
    write=demographics_to_fhir,
    read=read_demographics,
    types=("Patient",),
    words="patients",
    by_patient="",
)
