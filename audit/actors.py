"""Who acted, and for whom. Pure values that are copied as text into every event and decision."""

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Self


class ActorKind(StrEnum):
    """The kinds of people, programs and parts of the system that can change something."""

    AGENT = "AGENT"
    REVIEWER = "REVIEWER"
    COMPLIANCE = "COMPLIANCE"
    OPERATOR = "OPERATOR"
    ADMINISTRATOR = "ADMINISTRATOR"
    INTAKE = "INTAKE"
    VALIDATOR = "VALIDATOR"
    POLICY = "POLICY"
    DISPATCHER = "DISPATCHER"
    RECONCILER = "RECONCILER"
    SCHEDULER = "SCHEDULER"
    INSTALLATION = "INSTALLATION"

    @property
    def is_person(self) -> bool:
        """True for the kinds that stand for a human being who signed in."""
        return self in PEOPLE


PEOPLE = frozenset(
    {ActorKind.REVIEWER, ActorKind.COMPLIANCE, ActorKind.OPERATOR, ActorKind.ADMINISTRATOR}
)


@dataclass(frozen=True, slots=True)
class Actor:
    """One actor as text, so that an event stays readable after the account behind it has changed.

    `id` is stable and never reused. `on_behalf_of` is the id of the person for whom a program acts.
    `authority` names the scope, rule or consent directive under which the act was allowed.
    """

    kind: ActorKind
    id: str
    name: str
    on_behalf_of: str = ""
    authority: str = ""

    @classmethod
    def system(cls, kind: ActorKind) -> Self:
        """The part of the system that does this kind of work: `system:dispatcher`, "Dispatcher"."""
        return cls(kind=kind, id=f"system:{kind.lower()}", name=kind.capitalize())

    def with_authority(self, authority: str) -> Self:
        """The same actor, acting under the named scope, rule or consent directive."""
        return replace(self, authority=authority)
