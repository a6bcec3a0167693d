"""SMART scopes, both spellings: `system/Observation.cruds?category=...` and `system/Observation.write`."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from urllib.parse import parse_qsl

_SCOPE = re.compile(
    r"system/(?P<type>[A-Z][A-Za-z]+|\*)\.(?P<rights>read|write|\*|c?r?u?d?s?)(\?(?P<query>\S+))?"
)
# permission-v1 in terms of permission-v2 (SMART App Launch 2.2, section "Scopes for requesting FHIR resources").
_V1 = {"read": "rs", "write": "cud", "*": "cruds"}
ORDER = "cruds"


@dataclass(frozen=True, slots=True)
class Scope:
    """What may be done to one type; `query` narrows it to entries that match."""

    type: str
    rights: frozenset[str]
    query: tuple[tuple[str, str], ...] = ()
    spelled: str = ""

    def __str__(self) -> str:
        if self.spelled:
            return self.spelled
        narrowed = (
            "?" + "&".join(f"{name}={value}" for name, value in self.query) if self.query else ""
        )
        return f"system/{self.type}.{''.join(right for right in ORDER if right in self.rights)}{narrowed}"


def parse(text: str) -> list[Scope]:
    """The resource scopes of a scope string; anything else (openid, patient/...) is left out."""
    found = []
    for word in text.split():
        matched = _SCOPE.fullmatch(word)
        if matched and matched["rights"]:
            rights = _V1.get(matched["rights"], matched["rights"])
            query = tuple(parse_qsl(matched["query"] or ""))
            found.append(Scope(matched["type"], frozenset(rights), query, word))
    return found


def granted(*, asked: Iterable[Scope], registered: Iterable[Scope]) -> list[Scope]:
    """What of the asked scopes the registration covers, each narrowed to the covered rights."""
    allowed = list(registered)
    result = []
    for scope in asked:
        covered: frozenset[str] = frozenset().union(
            *(
                scope.rights & own.rights
                for own in allowed
                if own.type in {"*", scope.type} and (not own.query or own.query == scope.query)
            )
        )
        if covered:
            spelled = scope.spelled if covered == scope.rights else ""
            result.append(replace(scope, rights=covered, spelled=spelled))
    return result


def permitting(*, scopes: Iterable[Scope], type: str, right: str) -> list[Scope]:
    """The scopes that allow `right` (one of cruds) on `type`; a query on them still has to match."""
    return [scope for scope in scopes if scope.type in {"*", type} and right in scope.rights]
