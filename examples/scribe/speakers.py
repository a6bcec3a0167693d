"""Who is the clinician and who the patient: by the labels, unless what they say contradicts them."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from examples.scribe.clauses import Clause


class Role(StrEnum):
    """Whose words these are."""

    CLINICIAN = "clinician"
    PATIENT = "patient"
    COMPANION = "companion"  # speaks for or beside the patient


CLINICIANS = re.compile(
    r"(?i)^(?:the[ _])?(?:doctor|dr|gp|clinician|physician|provider|nurse|np|pa|md|pharmacist|consultant|"
    r"therapist|physio\w*|midwife|registrar|surgeon|resident|practitioner|doc|prescriber)(?:\b|_)"
)
PATIENTS = re.compile(r"(?i)^(?:the[ _])?(?:patient|pt|client)(?:\b|$)(?![ _-]*guest)")
COMPANIONS = re.compile(
    r"(?i)(?:patient[ _-]*)?\b(?P<who>mother|father|mum|mom|dad|wife|husband|partner|daughter|son|sister|brother|parent|"
    r"carer|caregiver|guardian|guest|companion|relative|friend|interpreter|grandmother|grandfather)\b"
)
CLINICAL_TURNS_OF_PHRASE = re.compile(
    r"\b(?:on your \w+ exam|your lungs|your (?:blood pressure|vitals|heart|belly|abdomen) (?:is|are|exam)|physical exam\w*|"
    r"(?:i'm going to|i will|i'll|we can|we'll|i want to|i'd like to) (?:prescribe|order|refer|give you|write|examine|do a|get you|check)|"
    r"do you (?:smoke|drink|have any|take any|get any)|have you (?:had any|noticed|been|ever|tried|taken)|are you (?:taking|having|allergic)|"
    r"any (?:allergies|other symptoms|chest pain|questions|fever|other medical|family history)|how (?:can i help|long have)|what brings you|"
    r"your (?:x-ray|results|lab\w*)|let me (?:take a look|examine|listen)|come back (?:and|to) see|assessment and plan|i reviewed)\b"
)
PATIENT_TURNS_OF_PHRASE = re.compile(
    r"\b(?:my (?:pcp|gp|doctor|wife|husband|mom|mum|pain|symptoms)|i've been (?:having|feeling|taking|really)|i (?:feel|felt|take|noticed|got diagnosed)|"
    r"i have (?:been|had|a)|it hurts|it started|i'm worried|started me on)\b"
)


@dataclass(frozen=True, slots=True)
class Cast:
    """Each label's role. `exchanged`: the labels say the opposite of what is said."""

    roles: dict[str, Role]
    exchanged: bool
    companion: str = "companion"


def cast(*, clauses: Sequence[Clause]) -> Cast:
    """Read the labels, then listen whether they can be true."""
    labels = list(dict.fromkeys(clause.speaker for clause in clauses))
    clinical = dict.fromkeys(labels, 0)
    personal = dict.fromkeys(labels, 0)
    for clause in clauses:
        clinical[clause.speaker] += len(CLINICAL_TURNS_OF_PHRASE.findall(clause.low))
        personal[clause.speaker] += len(PATIENT_TURNS_OF_PHRASE.findall(clause.low))
    roles: dict[str, Role] = {}
    companion = "companion"
    for label in labels:
        related = COMPANIONS.search(label.replace("_", " "))
        if related:
            roles[label] = Role.COMPANION
            companion = {"guest": "companion"}.get(related["who"].lower(), related["who"].lower())
        elif CLINICIANS.match(label):
            roles[label] = Role.CLINICIAN
        elif PATIENTS.match(label):
            roles[label] = Role.PATIENT
    unnamed = [label for label in labels if label not in roles]
    if unnamed and Role.CLINICIAN not in roles.values():
        leader = max(unnamed, key=lambda label: clinical[label] - personal[label])
        roles[leader] = Role.CLINICIAN
        unnamed.remove(leader)
    if unnamed and Role.PATIENT not in roles.values():
        patient = max(unnamed, key=lambda label: personal[label] - clinical[label])
        roles[patient] = Role.PATIENT
        unnamed.remove(patient)
    roles.update(dict.fromkeys(unnamed, Role.COMPANION))

    def of(role: Role) -> list[str]:
        return [label for label in labels if roles[label] is role]

    if len(of(Role.CLINICIAN)) == 1 and len(of(Role.PATIENT)) == 1 and len(labels) == 2:
        clinician, patient = of(Role.CLINICIAN)[0], of(Role.PATIENT)[0]
        if (
            clinical[patient] >= 3
            and clinical[patient] >= 3 * max(1, clinical[clinician])
            and (personal[clinician] > personal[patient])
        ):
            return Cast({clinician: Role.PATIENT, patient: Role.CLINICIAN}, exchanged=True)
    return Cast(roles, exchanged=False, companion=companion)
