"""The reviewed medicines table, and which ingredients a medicine has. Pure.

It holds the ingredients that the starter policy names and those of the practice, reviewed one by one; no
terminology is shipped. A medicine that is not in it has unknown ingredients, and the rules stop it.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ehr_adapters.canonical.codes import RXNORM
from ehr_adapters.contract import Baseline, Snapshot
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

PENICILLIN, CEPHALOSPORIN, SULFONAMIDE = "penicillin", "cephalosporin", "sulfonamide"
OPIOID, ACE_INHIBITOR, SARTAN = "opioid", "ACE inhibitor", "sartan"
STATIN, NSAID, BENZODIAZEPINE = "statin", "NSAID", "benzodiazepine"


@dataclass(frozen=True, slots=True)
class Ingredient:
    """One active ingredient; `classes` are those in which an allergy to one counts against another."""

    name: str
    classes: frozenset[str] = frozenset()


def _of(name: str, *classes: str) -> Ingredient:
    return Ingredient(name, frozenset(classes))


# RxNorm ingredient -> name and class.
INGREDIENTS: Mapping[str, Ingredient] = {
    "435": _of("albuterol"),
    "519": _of("allopurinol"),
    "596": _of("alprazolam", BENZODIAZEPINE),
    "723": _of("amoxicillin", PENICILLIN),
    "725": _of("amphetamine"),
    "1292": _of("baclofen"),
    "1819": _of("buprenorphine", OPIOID),
    "2555": _of("cisplatin"),
    "2598": _of("clonazepam", BENZODIAZEPINE),
    "2670": _of("codeine", OPIOID),
    "3002": _of("cyclophosphamide"),
    "3322": _of("diazepam", BENZODIAZEPINE),
    "3407": _of("digoxin"),
    "3423": _of("hydromorphone", OPIOID),
    "3639": _of("doxorubicin"),
    "3827": _of("enalapril", ACE_INHIBITOR),
    "4337": _of("fentanyl", OPIOID),
    "4492": _of("fluorouracil"),
    "4511": _of("folic acid"),
    "4603": _of("furosemide"),
    "5224": _of("heparin"),
    "5489": _of("hydrocodone", OPIOID),
    "5856": _of("insulin"),
    "6064": _of("isotretinoin"),
    "6448": _of("lithium"),
    "6470": _of("lorazepam", BENZODIAZEPINE),
    "6809": _of("metformin"),
    "6813": _of("methadone", OPIOID),
    "6851": _of("methotrexate"),
    "6901": _of("methylphenidate"),
    "7052": _of("morphine", OPIOID),
    "7258": _of("naproxen", NSAID),
    "7454": _of("nitrofurantoin"),
    "7804": _of("oxycodone", OPIOID),
    "8183": _of("phenytoin"),
    "8591": _of("potassium chloride"),
    "10180": _of("sulfamethoxazole", SULFONAMIDE),
    "10582": _of("levothyroxine"),
    "10689": _of("tramadol", OPIOID),
    "11118": _of("valproate"),
    "11202": _of("vincristine"),
    "11289": _of("warfarin"),
    "17767": _of("amlodipine"),
    "25480": _of("gabapentin"),
    "29046": _of("lisinopril", ACE_INHIBITOR),
    "35296": _of("ramipril", ACE_INHIBITOR),
    "36567": _of("simvastatin", STATIN),
    "37418": _of("sumatriptan"),
    "38404": _of("topiramate"),
    "39993": _of("zolpidem"),
    "40048": _of("carboplatin"),
    "51428": _of("insulin aspart"),
    "52175": _of("losartan", SARTAN),
    "56946": _of("paclitaxel"),
    "67108": _of("enoxaparin"),
    "69749": _of("valsartan", SARTAN),
    "70618": _of("penicillin", PENICILLIN),
    "83367": _of("atorvastatin", STATIN),
    "86009": _of("insulin lispro"),
    "187832": _of("pregabalin"),
    "194000": _of("capecitabine"),
    "274783": _of("insulin glargine"),
    "1037042": _of("dabigatran"),
    "1114195": _of("rivaroxaban"),
    "1364430": _of("apixaban"),
}

# RxNorm product or brand name -> its ingredients.
PRODUCTS: Mapping[str, tuple[str, ...]] = {
    "197591": ("3322",),  # diazepam 5 mg tablet
    "259255": ("83367",),  # atorvastatin 80 mg tablet
    "314076": ("29046",),  # lisinopril 10 mg tablet
    "314231": ("36567",),  # simvastatin 10 mg tablet
    "849574": ("7258",),  # naproxen sodium 220 mg tablet
    "202991": ("4603",),  # Lasix
}

# The lists of MED-05 and MED-07 of the starter policy, for the findings that go with them.
RENALLY_CLEARED = frozenset(
    {"6809", "25480", "187832", "1364430", "1037042", "1114195", "67108", "3407", "6851", "519",
     "6448", "7454", "1292"}
)  # fmt: skip
TERATOGENS = frozenset(
    {"11289", "6851", "6064", "11118", "29046", "3827", "35296", "52175", "69749", "83367",
     "36567", "8183", "6448"}
)  # fmt: skip

# How charts and people call a class, or a medicine that belongs to it and is not in the table.
CLASS_WORDS: Mapping[str, re.Pattern[str]] = {
    PENICILLIN: re.compile(r"\b\w*cillins?\b", re.IGNORECASE),
    CEPHALOSPORIN: re.compile(r"\b(?:cef|ceph|kef)\w+", re.IGNORECASE),
    SULFONAMIDE: re.compile(
        r"\bsul(?:f|ph)(?:a(?!te|tes|sal)\w*|onamides?)\b|\bcotrimoxazole\b", re.IGNORECASE
    ),
    OPIOID: re.compile(r"\bopi(?:oid|ate)s?\b|\bnarcotics?\b", re.IGNORECASE),
    ACE_INHIBITOR: re.compile(r"\bace[- ]?inhibitors?\b|\b\w+pril\b", re.IGNORECASE),
    SARTAN: re.compile(r"\b\w+sartan\b|\bangiotensin\b", re.IGNORECASE),
    STATIN: re.compile(r"\b(?!ny)\w*statins?\b", re.IGNORECASE),
    NSAID: re.compile(r"\bnsaids?\b|\bnon-?steroidal\b|\baspirin\b|\bibuprofen\b", re.IGNORECASE),
    BENZODIAZEPINE: re.compile(r"\bbenzodiazepines?\b|\b\w+azepam\b", re.IGNORECASE),
}
# An allergy to one makes the other a question: most people take it without harm.
CROSS_CLASSES = frozenset({frozenset({PENICILLIN, CEPHALOSPORIN})})


def ingredients_in(found: Codes) -> frozenset[str]:
    """The ingredients that these codes name, by the table; empty where it knows none of them."""
    out: set[str] = set()
    for system, code in found:
        if system == RXNORM:
            out |= {code} & INGREDIENTS.keys()
            out.update(PRODUCTS.get(code, ()))
    return frozenset(out)


def names_of(ingredients: Iterable[str]) -> frozenset[str]:
    return frozenset(INGREDIENTS[code].name for code in ingredients if code in INGREDIENTS)


def classes_of(ingredients: Iterable[str], words: str = "") -> frozenset[str]:
    """The classes of ingredients of the table, and those that the words name."""
    by_code = {c for code in ingredients if code in INGREDIENTS for c in INGREDIENTS[code].classes}
    return frozenset(by_code | {c for c, called in CLASS_WORDS.items() if called.search(words)})


# --- what is prescribed or taken -----------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Medicine:
    """A medicine as a draft or an entry names it. `ingredients` is None where the table does not know it.

    `content` has the dosing fields of the canonical model. `reference` is that of the entry, "" for a draft.
    """

    codes: Codes
    words: str
    ingredients: frozenset[str] | None
    content: Mapping[str, Any]
    reference: str = ""

    def is_same(self, other: "Medicine") -> bool:
        """One ingredient at least in common; where the table knows one of them not, the same code."""
        if self.ingredients is not None and other.ingredients is not None:
            return bool(self.ingredients & other.ingredients)
        return bool(self.codes & other.codes)


def is_prescription(content: Mapping[str, Any]) -> bool:
    """An order that gives a medicine. A category that nobody knows counts as one: then its drug is asked for."""
    return text(content.get("category")) not in {
        "lab", "imaging", "referral", "procedure", "vaccine", "equipment",
    }  # fmt: skip


def is_about_medicine(kind: str, content: Mapping[str, Any]) -> bool:
    return kind == "medication" or (kind == "order" and is_prescription(content))


def medicine_of(
    kind: str,
    content: Mapping[str, Any],
    *,
    entry: Snapshot | None = None,
    baseline: Baseline | None = None,
) -> Medicine:
    """The medicine of a content. `entry` is the one that it changes, whose own codings count where the content
    leaves the drug as it is; `baseline`: another entry may have the ingredient of the same product."""
    named = content.get("drug" if kind == "medication" else "code")
    found = codes_of(named)
    words = words_of(named)
    own = _coded_in(entry)
    if entry is not None and (not found or found & own):
        found |= own
        words = " ".join(dict.fromkeys((words, *_words_in(entry))))
    ingredients = ingredients_in(found)
    if not ingredients and baseline is not None:
        ingredients = frozenset().union(
            *(ingredients_in(known) for known in map(_coded_in, _listed(baseline)) if known & found)
        )
    return Medicine(
        codes=found,
        words=words,
        ingredients=ingredients or None,
        content=_dosing(content),
        reference=entry.reference if entry else "",
    )


def _dosing(content: Mapping[str, Any]) -> Mapping[str, Any]:
    return {**content, **mapping(content.get("dosing"))}


def _listed(baseline: Baseline) -> tuple[Snapshot, ...]:
    found = [*baseline.neighbours("medication"), *baseline.context("medications")]
    if baseline.target is not None and baseline.target.kind == "medication":
        found.append(baseline.target)
    return tuple({one.reference: one for one in found}.values())


_ENDED = frozenset(
    {"stopped", "completed", "not-taken", "cancelled", "entered-in-error", "draft", "ended"}
)


def taken(baseline: Baseline) -> tuple[Medicine, ...]:
    """The medicines of the chart that are not over, each once: an entry that stands for another counts with it."""
    entries_ = [one for one in _listed(baseline) if not is_over(one)]
    standing_for = {one.reference: _stands_for(one) for one in entries_}
    references = set(standing_for)
    return tuple(
        medicine_of("medication", one.canonical, entry=one)
        for one in entries_
        if not standing_for[one.reference] & references
    )


def entry_of(baseline: Baseline, reference: str) -> Snapshot | None:
    """The medication entry with this reference, as far as it was read."""
    return next((one for one in _listed(baseline) if one.reference == reference), None)


def is_over(entry: Snapshot) -> bool:
    """The entry says that the medicine is not taken, or not yet. One without a status counts as taken."""
    return (text(entry.canonical.get("status")) or text(raw_of(entry).get("status"))) in _ENDED


def _stands_for(entry: Snapshot) -> frozenset[str]:
    """The entries that a list entry was made from (FHIR R4, MedicationStatement.basedOn, derivedFrom)."""
    raw = raw_of(entry)
    named = (*entries(raw.get("basedOn")), *entries(raw.get("derivedFrom")))
    return frozenset(text(mapping(one).get("reference")) for one in named) - {"", entry.reference}


def _coded_in(entry: Snapshot | None) -> Codes:
    """Every code that an entry gives its drug, the EHR's own other codings among them."""
    if entry is None:
        return frozenset()
    found = set(codes_of(entry.canonical.get("drug")))
    for concept in _concepts(raw_of(entry)):
        found |= codes_of(codings(concept))
    return frozenset(found)


def _words_in(entry: Snapshot) -> tuple[str, ...]:
    said = [words_of(entry.canonical.get("drug"))]
    for concept in _concepts(raw_of(entry)):
        said += [text(mapping(concept).get("text")), words_of(codings(concept))]
    return tuple(dict.fromkeys(words for words in said if words))


def _concepts(raw: Mapping[str, Any]) -> Iterable[Any]:
    """FHIR R4: the drug itself, or the medication resource contained, with its ingredients."""
    yield raw.get("medicationCodeableConcept")
    for inner in map(mapping, entries(raw.get("contained"))):
        if inner.get("resourceType") == "Medication":
            yield inner.get("code")
            for part in map(mapping, entries(inner.get("ingredient"))):
                yield part.get("itemCodeableConcept")
