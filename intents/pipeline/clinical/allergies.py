"""Which allergies of a chart stand against a medicine. Pure."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from ehr_adapters.canonical.codes import SNOMED
from ehr_adapters.contract import Baseline, Snapshot
from intents.pipeline.clinical.medicines import (
    CROSS_CLASSES,
    Medicine,
    classes_of,
    ingredients_in,
    names_of,
)
from intents.pipeline.clinical.values import (
    Codes,
    codes_of,
    codings,
    entries,
    mapping,
    raw_of,
    text,
    words_of,
)

# SNOMED CT: no known allergy, no known drug allergy.
NONE_KNOWN = frozenset({(SNOMED, "716186003"), (SNOMED, "409137002")})
_OVER = frozenset({"inactive", "resolved"})
_NOT_TRUE = frozenset({"refuted", "entered-in-error"})
_NO_MEDICINE = frozenset({"food", "environment"})


class Conflict(StrEnum):
    """How the allergies of a chart stand to a medicine; values are those of the policy's facts."""

    NONE = "none"
    CONFLICT = "conflict"
    UNREADABLE = "unreadable"


@dataclass(frozen=True, slots=True)
class Allergy:
    """One allergy of a chart, or of a draft."""

    codes: Codes
    words: str
    ingredients: frozenset[str]
    classes: frozenset[str]
    about_medicine: bool
    active: bool
    none_known: bool
    reference: str = ""

    @property
    def nameless(self) -> bool:
        return not self.codes and not self.words.strip()

    @property
    def known(self) -> bool:
        """The table knows what it is about."""
        return bool(self.ingredients or self.classes)

    def is_same(self, other: "Allergy") -> bool:
        """To the same substance, whichever product or system named it."""
        return bool(
            self.codes & other.codes
            or self.ingredients & other.ingredients
            or (self.words and _plain(self.words) == _plain(other.words))
        )


@dataclass(frozen=True, slots=True)
class AllergyCheck:
    """What the allergies say about one medicine. `related`: of a class that asks for a second look;
    `uncompared`: an allergy is to something that the table does not know."""

    conflict: Conflict
    related: bool = False
    uncompared: bool = False


def allergy_of(content: Mapping[str, Any], *, entry: Snapshot | None = None) -> Allergy:
    """The allergy of a content in canonical fields; with `entry` also by the EHR's own codings and words."""
    raw = raw_of(entry)
    found = set(codes_of(content.get("substance"))) | codes_of(codings(raw.get("code")))
    said = [words_of(content.get("substance"))]
    if entry is not None:
        said += [words_of(codings(raw.get("code"))), text(mapping(raw.get("code")).get("text"))]
        said += [words for label, words in entry.display if label == "Allergy to"]
    words = " ".join(dict.fromkeys(one for one in said if one))
    ingredients = ingredients_in(frozenset(found))
    kinds = {
        text(one) for one in (*entries(content.get("category")), *entries(raw.get("category")))
    }
    status = text(content.get("clinical_status")) or _status(raw, "clinicalStatus")
    verification = text(content.get("verification")) or _status(raw, "verificationStatus")
    return Allergy(
        codes=frozenset(found),
        words=words,
        ingredients=ingredients,
        classes=classes_of(ingredients, words),
        about_medicine=not kinds - {""} or not kinds - {""} <= _NO_MEDICINE,
        active=status not in _OVER and verification not in _NOT_TRUE,
        none_known=bool(found & NONE_KNOWN),
        reference=entry.reference if entry else "",
    )


def _status(raw: Mapping[str, Any], name: str) -> str:
    return next((code for _, code in codes_of(codings(raw.get(name)))), "")


def in_chart(baseline: Baseline) -> tuple[Allergy, ...]:
    """The active allergies of a chart, "none known" among them."""
    found = [*baseline.context("allergies"), *baseline.neighbours("allergy")]
    once = {entry.reference: entry for entry in found}
    all_ = (allergy_of(mapping(one.canonical), entry=one) for one in once.values())
    return tuple(one for one in all_ if one.active)


def were_read(baseline: Baseline | None) -> bool:
    return baseline is not None and baseline.was_read("allergies")


def against(medicine: Medicine, *, baseline: Baseline | None) -> AllergyCheck:
    """What the chart's allergies say about a medicine; unreadable wherever one could be overlooked."""
    if baseline is None or not were_read(baseline):
        return AllergyCheck(Conflict.UNREADABLE)
    conflict = nameless = related = uncompared = False
    ingredients = medicine.ingredients or frozenset()
    classes = classes_of(ingredients, medicine.words)
    for allergy in in_chart(baseline):
        if allergy.none_known:
            continue
        if _stands_against(allergy, medicine, ingredients=ingredients, classes=classes):
            conflict = True
        elif allergy.nameless:
            nameless = True
        elif any(frozenset({a, b}) in CROSS_CLASSES for a in allergy.classes for b in classes):
            related = True
        elif not allergy.known and allergy.about_medicine:
            uncompared = True
    state = Conflict.CONFLICT if conflict else Conflict.UNREADABLE if nameless else Conflict.NONE
    return AllergyCheck(state, related=related, uncompared=uncompared)


def _stands_against(
    allergy: Allergy, medicine: Medicine, *, ingredients: frozenset[str], classes: frozenset[str]
) -> bool:
    if allergy.codes & medicine.codes or allergy.ingredients & ingredients:
        return True
    if allergy.classes & classes:
        return True
    # Free text, and substances in another system than the medicine's.
    names = names_of(ingredients) | names_of(allergy.ingredients)
    said, given = _plain(allergy.words), _plain(medicine.words)
    return any(
        _holds(said, name) and (_holds(given, name) or name in names_of(ingredients))
        for name in names
    ) or (bool(said) and _shares_a_name(said, given))


_WORD = re.compile(r"[a-z]{5,}")
# Words of products and of substances in general, by which two names do not become one.
_GENERAL = frozenset(
    {"allergy", "allergies", "substance", "product", "containing", "tablet", "tablets", "capsule",
     "capsules", "solution", "suspension", "injection", "injectable", "release", "extended", "delayed",
     "cream", "ointment", "inhaler", "metered", "hydrochloride", "sodium", "potassium", "calcium",
     "chloride", "sulfate", "phosphate", "acetate", "other", "unspecified", "propensity", "adverse",
     "reactions", "reaction", "vaccine", "adult", "pediatric", "strength", "units", "coated", "topical"}
)  # fmt: skip


def _shares_a_name(one: str, other: str) -> bool:
    return bool((set(_WORD.findall(one)) & set(_WORD.findall(other))) - _GENERAL)


def _plain(words: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"\([^)]*\)", " ", words.casefold())).strip()


def _holds(words: str, name: str) -> bool:
    return re.search(rf"\b{re.escape(name)}\b", words) is not None
