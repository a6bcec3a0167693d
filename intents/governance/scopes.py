"""What an agent may ask for: SMART scope strings, and the grants that hold them today.

A token says which door an agent may knock at; what it may ask for is looked up in the live grants at
every request, so taking a grant away works at once. Scope strings follow SMART App Launch 2.2,
"Scopes for requesting FHIR Resources": `system/Condition.cu?category=problem-list-item`.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

from django.db.models import Q

from intents.lifecycle import Lane

if TYPE_CHECKING:
    from intents.governance.models import Agent, EhrConnection, ScopeGrant

# The portal proposes; it serves no reads and no deletes (FHIR interactions create and update).
CREATE = "c"
UPDATE = "u"
GRANTABLE = frozenset({CREATE, UPDATE})
LANES = (Lane.DRAFT, Lane.SUGGEST, Lane.COMMIT)

_FORM = re.compile(
    r"(?P<context>patient|user|system)/(?P<type>[A-Z][A-Za-z]*|\*)"
    r"\.(?P<letters>c?r?u?d?s?)(?:\?(?P<query>[^\s\"\\]+))?"
)


class ScopeMalformed(ValueError):
    """The text is not a scope in the form of SMART 2.2."""


class ScopeNotGrantable(ValueError):
    """The scope is well formed, but nothing that the portal lets an agent do."""


@dataclass(frozen=True, slots=True)
class Scope:
    """One scope: whose data, which resource type, which interactions, and what narrows it."""

    context: str
    resource_type: str
    letters: frozenset[str]
    narrowed_by: tuple[tuple[str, str], ...] = ()

    def covers(self, *, fhir_type: str, letter: str, facts: Mapping[str, str]) -> bool:
        """True if the scope lets this interaction with this type. A fact that is missing refuses."""
        return (
            self.context == "system"
            and self.resource_type == fhir_type
            and letter in self.letters
            and all(facts.get(name) == value for name, value in self.narrowed_by)
        )


def parse(text: str) -> Scope:
    """The scope that `text` spells, or `ScopeMalformed`."""
    found = _FORM.fullmatch(text)
    if found is None or not found["letters"]:
        raise ScopeMalformed("A scope looks like system/DocumentReference.c.")
    query = found["query"] or ""
    try:
        pairs = parse_qsl(query, keep_blank_values=True, strict_parsing=bool(query))
    except ValueError:
        raise ScopeMalformed(
            "What narrows a scope looks like ?category=problem-list-item."
        ) from None
    return Scope(
        context=found["context"],
        resource_type=found["type"],
        letters=frozenset(found["letters"]),
        narrowed_by=tuple(sorted(pairs)),
    )


def check_grantable(text: str) -> Scope:
    """Raise unless an agent may be given this scope: one type by name, to create or update."""
    scope = parse(text)
    if scope.context != "system":
        raise ScopeNotGrantable("An agent acts as a system: its scopes begin with system/.")
    if scope.resource_type == "*":
        raise ScopeNotGrantable("A grant names one resource type; there is no grant for all.")
    if not scope.letters <= GRANTABLE:
        raise ScopeNotGrantable("Only c (create) and u (update) can be granted.")
    return scope


def lowest(*lanes: str) -> Lane:
    """The lane that reaches the least far."""
    return min((Lane(lane) for lane in lanes), key=LANES.index)


def reaches(lane: str, *, at_least: str) -> bool:
    """True if `lane` goes as far as `at_least` or farther."""
    return LANES.index(Lane(lane)) >= LANES.index(Lane(at_least))


@dataclass(frozen=True, slots=True)
class Held:
    """The grant under which a change may be asked for, and how far it reaches."""

    grant: "ScopeGrant"
    lane: Lane

    @property
    def authority(self) -> str:
        """How audit names it."""
        return f"scope {self.grant.scope} ({self.grant.pk})"


def live_grants(*, agent: "Agent", connection: "EhrConnection", at: datetime) -> "list[ScopeGrant]":
    """The agent's grants on one connection that are in force at this moment. One query."""
    return list(
        agent.grants.filter(connection=connection, active_from__lte=at)
        .filter(Q(active_until__isnull=True) | Q(active_until__gt=at))
        .order_by("pk")
    )


def find_held(
    grants: "Iterable[ScopeGrant]",
    *,
    lane_ceiling: str,
    fhir_type: str,
    letter: str,
    fields: Iterable[str],
    facts: Mapping[str, str],
    encounter_ref: str,
) -> Held | None:
    """The grant that lets this change go farthest, or None: then it is refused.

    `fields` are the top-level fields that the change sets; `facts` are its coded values by name
    (`category`, `status`); a grant that limits fields, states or context admits nothing beyond them.
    """
    best: Held | None = None
    wanted = set(fields)
    for grant in grants:
        scope = parse(grant.scope)
        if not scope.covers(fhir_type=fhir_type, letter=letter, facts=facts):
            continue
        if grant.fields and not wanted <= set(grant.fields):
            continue
        if grant.resource_states and facts.get("status") not in grant.resource_states:
            continue
        if not _inside_context(grant.context_limits, encounter_ref=encounter_ref):
            continue
        lane = lowest(grant.lane, lane_ceiling)
        if best is None or LANES.index(lane) > LANES.index(best.lane):
            best = Held(grant=grant, lane=lane)
    return best


def _inside_context(limits: Mapping[str, object], *, encounter_ref: str) -> bool:
    for name, value in limits.items():
        if name == "encounter_required":
            if value and not encounter_ref:
                return False
        elif name == "encounter":
            if value != encounter_ref:
                return False
        else:
            # A limit that this release does not know may not be ignored.
            return False
    return True
