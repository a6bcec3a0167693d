"""Reading what is stored of who made each approved version, and what became of it in the EHR."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from intents.governance.encryption import CannotUnseal
from intents.models import Intent, Proposal, ProvenanceFiling, ProvenanceRecord

_Phase = ProvenanceFiling.Phase


@dataclass(frozen=True, slots=True)
class Filed:
    """Where the Provenance of one change is, in words. `reference` is its id in the EHR, "" if it has none there."""

    record: ProvenanceRecord
    words: str
    reference: str = ""


def of_intent(intent: Intent) -> Filed | None:
    """The Provenance of the change's last approval; None where it was never approved."""
    record = (
        ProvenanceRecord.objects.filter(intent=intent)
        .prefetch_related("filings")
        .order_by("-created_at", "-id")
        .first()
    )
    return _filed(record, intent) if record else None


def of_draft(proposal: Proposal) -> Sequence[tuple[Intent, ProvenanceRecord]]:
    """The Provenance of the last approval of each change of a draft, in the draft's order."""
    intents = Intent.objects.filter(proposal=proposal).order_by("position")
    found = ((intent, of_intent(intent)) for intent in intents)
    return [(intent, filed.record) for intent, filed in found if filed]


def lines(*, tenant_id: UUID | str) -> Iterator[str]:
    """Every stored Provenance of an organisation as newline-delimited FHIR JSON, oldest first.

    The bytes of a line are those whose SHA-256 the approval's audit event holds.
    """
    stored = ProvenanceRecord.unscoped.filter(tenant_id=tenant_id).order_by("created_at", "id")
    for record in stored.iterator(chunk_size=200):
        try:
            yield record.phi("resource") + "\n"
        except CannotUnseal:
            continue


_READ_ME = """\
provenance.ndjson: one FHIR R4 Provenance a line for each approved version, with the program that drafted it,
the people who approved it, and the hashes of what it rests on. Its target is named by the identifier that the
portal wrote into the entry. The SHA-256 of a line, without its line end, is "provenance" in the details of the
approval's event.
"""


def add_provenance(folder: Path, *, tenant_ids: Iterable[UUID | str]) -> None:
    """Put the stored Provenance of these organisations into an auditor's bundle.

    What was destroyed with its patient's key is left out: the bundle's events still name its hash.
    """
    place = folder / "provenance"
    place.mkdir()
    (place / "README.txt").write_text(_READ_ME)
    with (place / "provenance.ndjson").open("w", encoding="utf-8") as handle:
        for tenant_id in filter(_names_a_tenant, tenant_ids):
            handle.writelines(lines(tenant_id=tenant_id))


def _names_a_tenant(log: UUID | str) -> bool:
    """A log may have another name than that of an organisation; such a one has no Provenance."""
    try:
        UUID(str(log))
    except ValueError:
        return False
    return True


def _filed(record: ProvenanceRecord, intent: Intent) -> Filed:
    facts = sorted(record.filings.all(), key=lambda each: (each.number, each.at))
    there = next((f for f in facts if f.phase in (_Phase.ACKNOWLEDGED, _Phase.FOUND)), None)
    if there is not None:
        return Filed(record, "filed beside the entry", there.resource_ref)
    if not record.request:
        return Filed(record, f"kept here: {intent.connection} takes none")
    if any(each.phase == _Phase.REFUSED for each in facts):
        return Filed(record, f"kept here: {intent.connection} did not take it")
    if facts:
        return Filed(record, "kept here: not known to be in the EHR yet")
    return Filed(record, "kept here; filed in the EHR once the entry is read back equal")
