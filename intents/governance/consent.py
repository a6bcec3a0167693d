"""What the patient said: which directives apply to a patient, purpose, action and moment.

Plain values for the policy. A denial beats every permission; no directive at all is its own answer,
and what it means is for the rules to say.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from django.db.models import Q

from intents.governance.models import ConsentDecision, ConsentDirective, EhrConnection


class Consent(StrEnum):
    """What the directives in force amount to."""

    PERMIT = "PERMIT"
    DENY = "DENY"
    NONE = "NONE"


@dataclass(frozen=True, slots=True)
class ConsentAnswer:
    """The answer and the ids of the directives that made it, for the record."""

    consent: Consent
    directive_ids: tuple[str, ...]


def ask(
    *,
    connection: EhrConnection,
    patient_ref: str,
    purpose: str,
    kind: str,
    interaction: str,
    at: datetime,
) -> ConsentAnswer:
    """What the patient's directives say about this action for this purpose at this moment."""
    in_force = (
        ConsentDirective.objects.filter(
            connection=connection, patient_ref=patient_ref, active_from__lte=at
        )
        .filter(Q(active_until__isnull=True) | Q(active_until__gt=at))
        .order_by("pk")
    )
    applying = [
        directive
        for directive in in_force
        if (not directive.purposes or purpose in directive.purposes)
        and (
            not directive.actions
            or kind in directive.actions
            or f"{kind}:{interaction}" in directive.actions
        )
    ]
    denials = [each for each in applying if each.decision == ConsentDecision.DENY]
    chosen = denials or applying
    consent = Consent.DENY if denials else Consent.PERMIT if applying else Consent.NONE
    return ConsentAnswer(consent=consent, directive_ids=tuple(str(each.pk) for each in chosen))
