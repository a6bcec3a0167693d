"""Tasks, messages, appointments, plans, answers, contacts and patient data on their whole way to the chart."""

from collections.abc import Mapping
from typing import Any

import pytest

from ehr_adapters.canonical.base import fields, words
from intents.lifecycle import State, Tier
from intents.models import Intent
from tests.ehr_adapters.contents import SAMPLES

SCOPES = {
    "task": "Task",
    "message": "Communication",
    "appointment": "Appointment",
    "care_plan": "CarePlan",
    "questionnaire": "QuestionnaireResponse",
    "encounter": "Encounter",
    "demographics": "Patient",
}
TEXT = "Clinician: This is what we agreed on: {words}\n"


@pytest.fixture
def practising(clinic):
    """The clinic, whose agent may draft everything of a practice's day."""
    clinic.allow(*(f"system/{kind}.{letter}" for kind in SCOPES.values() for letter in "cu"))
    return clinic


def content_of(clinic: Any, kind: str, interaction: str = "create") -> dict[str, Any]:
    """The sample of a kind, with people who are known to the practice."""
    sample = dict(SAMPLES[kind, interaction])
    staff = clinic.practice.directory("generic")["staff"]
    known = f"Practitioner/{staff['prescriber_one']['practitioner']}"
    for name in ("owner", "provider"):
        if name in sample:
            sample[name] = known
    for name in ("about", "addresses", "location"):
        sample.pop(name, None)
    if "answered_at" in sample:
        sample["answered_at"] = clinic.at.isoformat(timespec="seconds")
    return sample


def drafted(
    clinic: Any,
    kind: str,
    content: Mapping[str, Any],
    *,
    interaction: str = "create",
    target: str = "",
    **body: Any,
) -> Intent:
    """A draft of one change, every value of which stands in its source, after screening."""
    cited = [
        (spec.name, f"{words(kind, spec.name, content[spec.name])}.")
        for spec in fields(kind, interaction)
        if content.get(spec.name) is not None
    ]
    text = TEXT.format(words=" ".join(said for _, said in cited))
    change: dict[str, Any] = {
        "ref": "c1",
        "kind": kind,
        "interaction": interaction,
        "content": dict(content),
        "evidence": [
            {
                "path": f"/{name}",
                "source": "s1",
                "start": text.index(said),
                "end": text.index(said) + len(said),
                "quote": said,
                "method": "derived",
                "confidence": 0.9,
            }
            for name, said in cited
        ],
    }
    if target:
        change["target"] = target
    source = {"ref": "s1", "kind": "transcript", "title": "Visit", "text": text}
    proposal = clinic.propose([change], patient="P1", sources=[source], **body)
    return clinic.screen(proposal)[0]


@pytest.mark.parametrize("kind", ["task", "appointment", "care_plan", "questionnaire", "message"])
def test_is_screened_shown_approved_and_written(practising, kind):
    intent = drafted(practising, kind, content_of(practising, kind))
    assert intent.state == State.PENDING_APPROVAL, why(intent)
    page = practising.page(intent.proposal)
    shown = {row.name for card in page.cards for row in card.rows if row.will_be}
    assert SAMPLES[kind, "create"].keys() - {"about", "addresses", "location"} <= shown | {
        "carries"
    }
    practising.approve(intent.proposal)
    practising.deliver()
    intent = Intent.objects.get(pk=intent.pk)
    assert intent.state == State.RECONCILED, intent.state
    assert practising.written(kind=SCOPES[kind])


def why(intent: Intent) -> list[Any]:
    """What a failed test should say: the findings of the screening, by code."""
    findings = intent.current_screening.findings.values_list("code", flat=True)
    return [intent.state, intent.tier, *findings]


def test_contact_data_are_written_into_the_record_that_is_there(practising):
    person = practising.patient("P1")
    intent = drafted(
        practising,
        "demographics",
        {"email": "ngozi@clinic.example"},
        interaction="update",
        target=f"Patient/{person['patient']}",
    )
    assert intent.state == State.PENDING_APPROVAL, why(intent)
    practising.approve(intent.proposal)
    practising.deliver()
    assert Intent.objects.get(pk=intent.pk).state == State.RECONCILED
    [held] = practising.practice.resources(vendor="generic", type="Patient", id=person["patient"])
    assert held["content"]["identifier"]


@pytest.mark.parametrize(
    "content",
    [
        {"family": "Okonkwo-Bell"},
        {"birth_date": "1957-03-15", "email": "ngozi@clinic.example"},
    ],
)
def test_who_a_patient_is_stays_the_ehrs_affair(practising, content):
    target = f"Patient/{practising.patient('P1')['patient']}"
    intent = drafted(practising, "demographics", content, interaction="update", target=target)
    assert (intent.tier, intent.state) == (Tier.BLOCKED, State.REJECTED), why(intent)


def test_nobody_is_registered_from_here(practising):
    intent = drafted(practising, "demographics", SAMPLES["demographics", "create"])
    assert intent.state == State.REJECTED
    assert "unsupported" in why(intent)
