"""Who a patient is and which visit it is, as an EHR says; and who could be taken for whom. Pure."""

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Self


def name_key(text: str) -> str:
    """A name without case, accents, punctuation and spaces: what two spellings are compared by."""
    decomposed = unicodedata.normalize("NFKD", text.translate(_UNDECOMPOSED))
    return "".join(c for c in decomposed if c.isalnum()).casefold()


# Letters that Unicode does not decompose but that registries spell with plain ones.
_UNDECOMPOSED = str.maketrans(
    {
        "ø": "o",
        "Ø": "O",
        "ł": "l",
        "Ł": "L",
        "đ": "d",
        "Đ": "D",
        "æ": "ae",
        "Æ": "AE",
        "œ": "oe",
        "Œ": "OE",
    }
)


@dataclass(frozen=True, slots=True)
class PersonName:
    family: str
    given: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        return {"family": self.family, "given": list(self.given)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        return cls(family=data["family"], given=tuple(data["given"]))


@dataclass(frozen=True, slots=True)
class PatientIdentity:
    """Who the EHR says a patient is. Dates are FHIR dates, partial ones stay partial.

    `replaced_by` is the reference of the record that this one was merged into, else "".
    `mrns` are (system, value) pairs, medical record numbers first.
    """

    id: str
    family: str
    given: tuple[str, ...] = ()
    birth_date: str = ""
    sex: str = ""
    mrns: tuple[tuple[str, str], ...] = ()
    previous_names: tuple[PersonName, ...] = ()
    active: bool = True
    replaced_by: str = ""
    deceased: bool = False
    deceased_date: str = ""
    other_links: tuple[str, ...] = ()

    @property
    def reference(self) -> str:
        return f"Patient/{self.id}"

    @property
    def merged(self) -> bool:
        return bool(self.replaced_by)

    def disagreements(
        self,
        *,
        family: str = "",
        given: str = "",
        birth_date: str = "",
        sex: str = "",
        mrn: str = "",
    ) -> tuple[str, ...]:
        """Which of the asserted parts do not agree with the EHR: "family", "given" ...; empty ones are not asked.

        Names compare without case, accents and punctuation; any previous name may serve. A given name
        agrees when it is the first given name, or all of them, of one of the names.
        """
        names = (PersonName(self.family, self.given), *self.previous_names)
        out = []
        if family and not any(name_key(n.family) == name_key(family) for n in names):
            out.append("family")
        if given and not any(_given_agrees(n.given, given) for n in names):
            out.append("given")
        if birth_date and birth_date != self.birth_date:
            out.append("birth_date")
        if sex and sex != self.sex:
            out.append("sex")
        if mrn and not any(_mrn_key(value) == _mrn_key(mrn) for _, value in self.mrns):
            out.append("mrn")
        return tuple(out)

    def is_name_alike(self, other: "PatientIdentity") -> bool:
        """Another person who could be taken for this one.

        The same family name with a birth date equal, transposed or within a year, or a record number
        one edit away. Records merged with each other are one person.
        """
        if other.id == self.id or self.reference in {other.replaced_by, *other.other_links}:
            return False
        if self.replaced_by == other.reference or other.reference in self.other_links:
            return False
        mine = {name_key(n) for n in (self.family, *(p.family for p in self.previous_names)) if n}
        theirs = {
            name_key(n) for n in (other.family, *(p.family for p in other.previous_names)) if n
        }
        if mine & theirs and birth_dates_are_close(self.birth_date, other.birth_date):
            return True
        return any(
            one_edit_apart(_mrn_key(a), _mrn_key(b))
            for system_a, a in self.mrns
            for system_b, b in other.mrns
            if system_a == system_b
        )

    def to_json(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "family": self.family,
            "given": list(self.given),
            "birth_date": self.birth_date,
            "sex": self.sex,
            "mrns": [list(pair) for pair in self.mrns],
            "previous_names": [n.to_json() for n in self.previous_names],
            "active": self.active,
            "replaced_by": self.replaced_by,
            "deceased": self.deceased,
            "deceased_date": self.deceased_date,
            "other_links": list(self.other_links),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        values = dict(data)
        values["given"] = tuple(values["given"])
        values["mrns"] = tuple((str(s), str(v)) for s, v in values["mrns"])
        values["previous_names"] = tuple(PersonName.from_json(n) for n in values["previous_names"])
        values["other_links"] = tuple(values["other_links"])
        return cls(**values)


def _given_agrees(held: Sequence[str], asserted: str) -> bool:
    if not held:
        return False
    return name_key(asserted) in {name_key(held[0]), name_key(" ".join(held))}


def _mrn_key(value: str) -> str:
    return "".join(c for c in value if c.isalnum()).casefold()


def birth_dates_are_close(one: str, other: str) -> bool:
    """Equal, with day and month or two digits swapped, or at most a year apart; unknown is close."""
    if not one or not other or len(one) < 10 or len(other) < 10:
        return one[:4] == other[:4] or not one or not other
    if one == other:
        return True
    digits_one, digits_other = one.replace("-", ""), other.replace("-", "")
    if (one[:4], one[5:7], one[8:10]) == (other[:4], other[8:10], other[5:7]):
        return True
    differing = [i for i in range(8) if digits_one[i] != digits_other[i]]
    if (
        len(differing) == 2
        and digits_one[differing[0]] == digits_other[differing[1]]
        and digits_one[differing[1]] == digits_other[differing[0]]
    ):
        return True
    try:
        return abs((date.fromisoformat(one) - date.fromisoformat(other)).days) <= 366
    except ValueError:
        return False


def one_edit_apart(one: str, other: str) -> bool:
    """One character replaced, added, left out, or two neighbours swapped."""
    if one == other or not one or not other or abs(len(one) - len(other)) > 1:
        return False
    if len(one) == len(other):
        differing = [i for i in range(len(one)) if one[i] != other[i]]
        if len(differing) == 1:
            return True
        return (
            len(differing) == 2
            and one[differing[0]] == other[differing[1]]
            and one[differing[1]] == other[differing[0]]
        )
    short, long = sorted((one, other), key=len)
    return any(long[:i] + long[i + 1 :] == short for i in range(len(long)))


@dataclass(frozen=True, slots=True)
class VisitState:
    """One visit as the EHR has it. `open` = writing that needs an open visit is possible now."""

    id: str
    patient: str
    status: str = ""
    visit_class: str = ""
    start: str = ""
    end: str = ""
    providers: tuple[str, ...] = ()
    open: bool = False

    @property
    def reference(self) -> str:
        return f"Encounter/{self.id}"

    def to_json(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "patient": self.patient,
            "status": self.status,
            "visit_class": self.visit_class,
            "start": self.start,
            "end": self.end,
            "providers": list(self.providers),
            "open": self.open,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        return cls(**{**data, "providers": tuple(data["providers"])})
