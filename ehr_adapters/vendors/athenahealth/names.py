"""athenaOne's own numbers for substances, reactions and drugs: looked up by name, never guessed.

The reference lists are searched by words (athenahealth API, Allergy; Medications); only one entry with exactly
these words counts. What was looked up travels with the baseline, so that rendering asks nobody.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ehr_adapters.canonical.codes import display_of
from ehr_adapters.identities import name_key
from ehr_adapters.vendors.athenahealth.reading import V1Reader

_PREFIX = "looked up"


@dataclass(frozen=True, slots=True)
class Known:
    """An entry of a reference list: its number and the name that athenaOne has for it."""

    number: str
    name: str


def key_of(what: str, code: Mapping[str, Any]) -> str:
    """Under which name a looked-up entry travels."""
    return f"{_PREFIX}/{what}/{code.get('system', '')}/{code.get('code', '')}"


def looked_up(ids: Mapping[str, str]) -> dict[str, Known]:
    """What was looked up, from the ids of the baseline's patient."""
    found = {}
    for key, value in ids.items():
        if key.startswith(_PREFIX):
            number, _, name = value.partition(" ")
            found[key] = Known(number, name)
    return found


def words_of(code: Mapping[str, Any]) -> str:
    """The words by which a code is looked up."""
    own = display_of(system=str(code.get("system")), code=str(code.get("code")))
    return str(code.get("display") or own)


def of_allergy(reader: V1Reader, content: Mapping[str, Any]) -> dict[str, str]:
    """The numbers of the substance, of each reaction and of the severities."""
    substance = content.get("substance")
    found: dict[str, str] = {}
    if isinstance(substance, Mapping) and words_of(substance):
        words = words_of(substance)
        listed = reader.get("reference/allergies", [("searchvalue", words)])
        found |= _one(key_of("allergen", substance), listed, words, "allergenid", "allergenname")
    signs = [
        one["manifestation"]
        for one in content.get("reactions") or ()
        if isinstance(one, Mapping) and isinstance(one.get("manifestation"), Mapping)
    ]
    if not signs:
        return found
    reactions = reader.get("reference/allergies/reactions")
    for sign in signs:
        key = key_of("reaction", sign)
        found |= _one(key, reactions, words_of(sign), "reactionid", "reactionname")
    severities = reader.get("reference/allergies/severities")
    for word in ("mild", "moderate", "severe"):
        key = key_of("severity", {"code": word})
        found |= _one(key, severities, word, "severityid", "severity")
    return found


def of_medication(reader: V1Reader, content: Mapping[str, Any]) -> dict[str, str]:
    """The number of the drug."""
    drug = content.get("drug")
    if not isinstance(drug, Mapping) or not words_of(drug):
        return {}
    words = words_of(drug)
    listed = reader.get("reference/medications", [("searchvalue", words)])
    return dict(_one(key_of("medication", drug), listed, words, "medicationid", "medication"))


def _one(key: str, listed: Any, words: str, number: str, name: str) -> dict[str, str]:
    same = [
        one for one in _entries(listed) if words and name_key(str(one.get(name))) == name_key(words)
    ]
    if len(same) != 1:
        return {}
    return {key: f"{same[0][number]} {same[0][name]}"}


def _entries(listed: Any) -> Iterator[Mapping[str, Any]]:
    for one in listed if isinstance(listed, list) else ():
        if isinstance(one, Mapping):
            yield one
