"""Whose chart, which visit: does the EHR's patient agree with the draft's in every part that is given? Pure."""

from collections.abc import Iterable

from ehr_adapters.capabilities import Capability
from ehr_adapters.contract import Baseline, NameAlikes, PatientIdentity
from intents.pipeline.validation.draft import Draft
from intents.pipeline.validation.findings import Finding, error, hold, information, question

_PARTS = ("family", "given", "birth_date", "sex", "mrn")
# What tells people apart who share a family name and a birth date.
_TELLING = ("given", "sex", "mrn")
_WORDS = {
    "family": "family name",
    "given": "given name",
    "birth_date": "birth date",
    "sex": "sex",
    "mrn": "record number",
}


def check_patient(
    draft: Draft, *, baseline: Baseline, alikes: NameAlikes | None
) -> Iterable[Finding]:
    """Findings about the patient: unknown is an error, every doubt is a hold."""
    identity = baseline.identity
    if "patient" in baseline.missing or identity is None:
        yield error("unknown-patient", "The EHR has no patient with this id.", "/patient/id")
        return
    if identity.merged:
        yield hold(
            "patient-merged", "This patient's record is now part of another record.", "/patient/id"
        )
    elif not identity.active:
        yield hold("patient-inactive", "This patient's record is not active.", "/patient/id")
    if identity.deceased:
        yield hold("patient-deceased", "The patient is recorded as deceased.", "/patient")
    asserted = {part: str(draft.asserted.get(part) or "") for part in _PARTS}
    for part in identity.disagreements(**asserted):
        yield hold(
            "patient-mismatch",
            f"The {_WORDS[part]} in the draft is not the one in the EHR.",
            f"/patient/{part}",
        )
    yield from _name_alikes(asserted, alikes)
    yield from _sources(draft, identity)


def _name_alikes(asserted: dict[str, str], alikes: NameAlikes | None) -> Iterable[Finding]:
    """With a name-alike every comparison is needed; where nobody could look, there may be one."""
    if alikes is None:
        return
    missing = [part for part in _TELLING if not asserted[part]]
    if alikes.candidates:
        if missing:
            yield hold(
                "name-alike-unproven",
                "Another patient has a name and birth date or a record number like this one, and the draft does "
                f"not give {_listed(missing)}.",
                "/patient",
            )
        else:
            yield information(
                "name-alike",
                "Another patient has a name and birth date or a record number like this one.",
                "/patient",
            )
    elif not alikes.complete:
        if missing:
            yield hold(
                "name-alike-unproven",
                "It could not be looked up whether another patient is called alike, and the draft does not give "
                f"{_listed(missing)}.",
                "/patient",
            )
        else:
            yield information(
                "name-alike-unknown",
                "It could not be looked up whether another patient is called alike.",
                "/patient",
            )


def _listed(parts: list[str]) -> str:
    words = [_WORDS[part] for part in parts]
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def _sources(draft: Draft, identity: PatientIdentity) -> Iterable[Finding]:
    for ref, patient in draft.source_patients.items():
        if patient and patient.removeprefix("Patient/") != identity.id:
            yield hold(
                "source-of-another-patient",
                "A source of this draft belongs to another patient.",
                f"source:{ref}",
            )


def check_visit(
    draft: Draft, *, baseline: Baseline, capability: Capability | None
) -> Iterable[Finding]:
    """Findings about the visit: of this patient, and open.

    A closed visit holds the draft until a person clears it; then the page asks once more, because the
    entry goes into a visit that somebody had finished. Where the EHR files only in an open visit,
    clearing is of no use and it stays held. A change of an entry that exists goes into no visit.
    """
    if "encounter" in baseline.missing:
        yield error("unknown-encounter", "The EHR has no visit with this id.", "/encounter")
        return
    visit = baseline.visit
    if visit is None:
        # Where the EHR files only in a visit, the adapter says so.
        return
    if baseline.identity is not None and visit.patient != baseline.identity.reference:
        yield hold("encounter-of-another-patient", "The visit is of another patient.", "/encounter")
    elif not visit.open:
        if capability is not None and capability.needs_open_encounter:
            yield hold(
                "encounter-closed",
                "The visit is not open, and this needs an open one.",
                "/encounter",
            )
        elif not draft.is_new and "encounter" not in draft.content:
            return
        elif draft.visit_cleared:
            yield question(
                "encounter-not-open",
                "The visit is closed; this is added to it all the same.",
                "/encounter",
            )
        else:
            yield hold(
                "encounter-closed",
                "The visit is closed. Check it again if this belongs into a closed visit.",
                "/encounter",
            )
