"""Parts that every R4 translation shares: codings, labels, and the reader that reports what it leaves. Pure."""

import copy
import re
from collections.abc import Callable, Container, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

from ehr_adapters.canonical import codes
from ehr_adapters.canonical.declaration import (
    ChangeInvalid,
    ChangeIssue,
    ChartChange,
    Interaction,
    field_spec,
)
from ehr_adapters.canonical.parsing import read_change

AI_LABEL = ("http://terminology.hl7.org/CodeSystem/v3-ObservationValue", "AIAST")
LONGEST_DISPLAY = 400
CONFIDENTIALITY = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality"

SENSITIVITY_TO_CODE = {"normal": "N", "restricted": "R", "very-restricted": "V"}
_CODE_TO_SENSITIVITY = {
    "U": "normal",
    "L": "normal",
    "M": "normal",
    "N": "normal",
    "R": "restricted",
    "V": "very-restricted",
}


class Uncarried(NamedTuple):
    """Something that the other side cannot hold: where it stands, and a sentence for the reader.

    Towards FHIR `place` is a pointer into the change; from FHIR it is an element path. `removed` marks what
    goes away together with a change, `stays` what remains in the entry and may contradict it.
    """

    place: str
    sentence: str
    removed: bool = False
    stays: bool = False

    @property
    def code(self) -> str:
        """What a `Remark` calls it."""
        if self.stays:
            return "stays"
        return "removed" if self.removed else "not-carried"


@dataclass(frozen=True, slots=True)
class FhirForm:
    """A resource that says a change, and what it leaves unsaid."""

    resource: dict[str, Any]
    uncarried: tuple[Uncarried, ...] = ()


@dataclass(frozen=True, slots=True)
class Destination:
    """Where a change is said: about whom ("Patient/1"), under which tag, and to which entry as it was read.

    `tag_system` and `tag_value` make the identifier, `tag_short` stands in texts; `current` is the resource
    as read, for every interaction with an entry that exists.
    """

    patient: str
    tag_system: str
    tag_value: str
    tag_short: str
    current: Mapping[str, Any] | None = None
    content_type: str = "text/plain; charset=utf-8"

    def entry(self) -> dict[str, Any]:
        """A copy of the entry as it was read; raises `ChangeInvalid` when there is none."""
        if self.current is None:
            raise ChangeInvalid(
                [ChangeIssue("", "missing-target", "The entry to change is not known.")]
            )
        return copy.deepcopy(dict(self.current))

    def new(self, resource_type: str, *, sensitivity: str | None) -> dict[str, Any]:
        """What every new resource begins with: labels and the tag's identifier."""
        return {
            "resourceType": resource_type,
            "meta": {"security": security_labels(sensitivity)},
            "identifier": [{"system": self.tag_system, "value": self.tag_value}],
        }


@dataclass(frozen=True, slots=True)
class Translation:
    """How one kind of change stands in FHIR R4.

    `types` are the resource types of its entries, the first one where nothing else decides; `words` what a
    sentence calls them; `searches` the search parameters, by type, that find the entries of a chart;
    `is_active`: does an entry with this canonical value count as being there now? `by_patient`: the search
    parameter that names the patient, "" for entries that are not looked for beside another. `key`: the time
    and whatever else an EHR keeps only one entry for, where entries of the kind have such a key.
    """

    write: Callable[[ChartChange, Destination], FhirForm]
    read: Callable[["Taken"], "CanonicalForm"]
    types: tuple[str, ...]
    words: str
    searches: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    is_active: Callable[[Mapping[str, Any]], bool] = bool
    by_patient: str = "patient"
    key: Callable[[Mapping[str, Any]], tuple[datetime, Any] | None] | None = None


@dataclass(frozen=True, slots=True)
class CanonicalForm:
    """The canonical content of a resource, the elements it leaves out, the portal tags it carries."""

    kind: str
    content: dict[str, Any]
    uncarried: tuple[Uncarried, ...] = ()
    tags: tuple[str, ...] = ()


_ITS_OWN = ("resourceType", "id", "implicitRules", "text")
_META_ITS_OWN = (
    "versionId",
    "lastUpdated",
    "source",
    "profile",
    "tag",
    "author",
    "project",
    "compartment",
    "account",
    "accounts",
)


class Taken:
    """A resource from which the reader takes what it understands; what is left over is reported."""

    def __init__(self, value: dict[str, Any], *, base_url: str = "", tag_system: str = "") -> None:
        self.value = value
        self.base_url = base_url.rstrip("/")
        self.tag_system = tag_system

    def pop(self, name: str) -> Any:
        return self.value.pop(name, None)

    def pop_if(self, name: str, expected: Callable[[Any], bool]) -> None:
        if name in self.value and expected(self.value[name]):
            del self.value[name]

    def leave(self, name: str, value: Any) -> None:
        self.value[name] = value

    def reference(self, value: Any, type_name: str) -> str:
        reference = value.get("reference") if isinstance(value, Mapping) else None
        if not isinstance(reference, str):
            return ""
        if self.base_url and reference.startswith(self.base_url + "/"):
            reference = reference[len(self.base_url) + 1 :]
        found = re.fullmatch(rf"({type_name}/[A-Za-z0-9\-.]{{1,64}})(?:/_history/.*)?", reference)
        return found.group(1) if found else ""

    def first_reference(self, name: str, type_name: str) -> str:
        listed = self.value.get(name)
        if not isinstance(listed, list) or not listed:
            return ""
        reference = self.reference(listed[0], type_name)
        if reference:
            del listed[0]
        return reference

    def code_of(
        self, name: str, systems: tuple[str, ...], *, among: Container[str] | None = None
    ) -> list[dict[str, Any]]:
        """One coding of each system, in the systems' order; the words count as carried by a display.

        With `among`, only these codes are taken.
        """
        concept = self.value.get(name)
        if not isinstance(concept, dict):
            return []
        codings = objects(concept.get("coding"))
        found = []
        for system in systems:
            one = next(
                (
                    c
                    for c in codings
                    if c.get("system") == system
                    and isinstance(c.get("code"), str)
                    and (among is None or c["code"] in among)
                ),
                None,
            )
            if one is not None:
                found.append(code_of(one))
                codings.remove(one)
        if not found:
            return []
        displays = {c.get("display") for c in found} | {
            codes.display_of(system=c["system"], code=c["code"]) for c in found
        }
        left = {k: v for k, v in concept.items() if k not in {"coding", "text"}}
        if codings:
            left["coding"] = codings
        text = concept.get("text")
        if text and not (isinstance(text, str) and text in displays):
            left["text"] = text
        self.value[name] = left
        return found

    def status_of(
        self, name: str, system: str, possible: tuple[str, ...], *, listed: bool = False
    ) -> str:
        concepts = self.value.get(name)
        if not listed:
            concepts = [concepts] if isinstance(concepts, dict) else []
        if not isinstance(concepts, list):
            return ""
        for index, concept in enumerate(concepts):
            for coding in objects(concept.get("coding")) if isinstance(concept, dict) else ():
                if coding.get("system") == system:
                    code = coding.get("code")
                    if code in possible:
                        rest = [c for i, c in enumerate(concepts) if i != index]
                        if listed and rest:
                            self.value[name] = rest
                        else:
                            del self.value[name]
                        return str(code)
        return ""

    def concept(self, name: str) -> Any:
        """A SNOMED CT code, or the words where there is no such code."""
        concept = self.value.get(name)
        if not isinstance(concept, dict):
            return None
        found = self.code_of(name, (codes.SNOMED,))
        if found:
            return found[0]
        text = concept.get("text")
        if isinstance(text, str) and not concept.get("coding"):
            del self.value[name]
            return text
        return None

    def tags(self) -> tuple[str, ...]:
        listed = self.value.get("identifier")
        # A questionnaire's answers have room for one identifier only.
        listed = [listed] if isinstance(listed, dict) else listed
        if not isinstance(listed, list) or not self.tag_system:
            return ()
        ours = [i for i in listed if isinstance(i, dict) and i.get("system") == self.tag_system]
        return tuple(str(i["value"]) for i in ours if isinstance(i.get("value"), str))

    def left(self) -> tuple[Uncarried, ...]:
        """Every element that nobody took, by path; the server's own and our identifier are no news."""
        rest = {k: v for k, v in self.value.items() if k not in _ITS_OWN}
        meta = rest.pop("meta", None)
        if isinstance(meta, dict):
            meta = {k: v for k, v in meta.items() if k not in _META_ITS_OWN}
            if meta:
                rest["meta"] = meta
        identifiers = rest.get("identifier")
        if isinstance(identifiers, dict) and identifiers.get("system") == self.tag_system:
            del rest["identifier"]
        if isinstance(identifiers, list):
            others = [
                i
                for i in identifiers
                if not (isinstance(i, dict) and i.get("system") == self.tag_system)
            ]
            rest["identifier"] = others
        return tuple(
            Uncarried(path, f"“{path}” of the entry has no field in the portal.")
            for path in sorted(_leaves("", rest))
        )


def objects(value: Any) -> list[dict[str, Any]]:
    """The objects of a list, whatever else a stranger has put there."""
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def concept_of(listed: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    codings = []
    for one in listed:
        coding = {"system": one["system"], "code": one["code"]}
        display = one.get("display") or codes.display_of(system=one["system"], code=one["code"])
        if display:
            coding["display"] = display
        codings.append(coding)
    concept: dict[str, Any] = {"coding": codings}
    words = next((c["display"] for c in codings if "display" in c), "")
    if words:
        concept["text"] = words
    return concept


def concept_or_text(value: Any) -> dict[str, Any]:
    return {"text": value} if isinstance(value, str) else concept_of([value])


def code_of(coding: Mapping[str, Any]) -> dict[str, Any]:
    """The code of a coding; a display that is laid out over lines is taken as one line."""
    out = {"system": coding["system"], "code": coding["code"]}
    display = coding.get("display")
    words = display if isinstance(display, str) else ""
    if words != words.strip() or len(words.splitlines()) > 1:
        words = " ".join(words.split())
    if words and len(words) <= LONGEST_DISPLAY:
        out["display"] = words
    return out


def form_of(kind: str, content: dict[str, Any], taken: Taken) -> CanonicalForm:
    """What was taken, as far as each value has its field's type; what has not is listed as uncarried.

    A stranger's entry may hold anything: nothing that a field cannot hold reaches a comparison or a screen.
    """
    unread: list[Uncarried] = []
    try:
        read_change(kind, Interaction.CREATE, content)
    except ChangeInvalid as invalid:
        for name in sorted({issue.pointer.split("/")[1] for issue in invalid.issues}):
            content.pop(name, None)
            element = field_spec(kind, name).element
            unread.append(Uncarried(element, f"“{element}” of the entry cannot be read here."))
    return CanonicalForm(kind, content, (*taken.left(), *unread), taken.tags())


def security_labels(sensitivity: str | None) -> list[dict[str, str]]:
    labels = [{"system": AI_LABEL[0], "code": AI_LABEL[1]}]
    if sensitivity:
        labels.append({"system": CONFIDENTIALITY, "code": SENSITIVITY_TO_CODE[sensitivity]})
    return labels


def set_labels(resource: dict[str, Any], sensitivity: str | None) -> None:
    """The labels of an existing resource: others stay, ours are added, the sensitivity is replaced if named."""
    meta = resource.setdefault("meta", {})
    labels = [
        label
        for label in meta.get("security") or ()
        if (label.get("system"), label.get("code")) != AI_LABEL
        and not (sensitivity and label.get("system") == CONFIDENTIALITY)
    ]
    meta["security"] = [*labels, *security_labels(sensitivity)]


def take_sensitivity(taken: Taken, content: dict[str, Any]) -> None:
    meta = taken.value.get("meta")
    if not isinstance(meta, dict):
        return
    left = []
    for label in objects(meta.pop("security", None)):
        if (label.get("system"), label.get("code")) == AI_LABEL:
            continue
        known = _CODE_TO_SENSITIVITY.get(str(label.get("code")))
        if label.get("system") == CONFIDENTIALITY and known:
            content["sensitivity"] = known
        else:
            left.append(label)
    if left:
        meta["security"] = left


def _leaves(path: str, value: Any) -> Iterable[str]:
    if isinstance(value, Mapping):
        for key, member in value.items():
            yield from _leaves(f"{path}.{key}" if path else key, member)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _leaves(f"{path}[{index}]", item)
    elif value is not None:
        yield path
