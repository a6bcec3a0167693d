"""What a statement says, from the rows as they are now: review seals it, dispatch compares it."""

from audit.encoding import canonical_bytes
from ehr_adapters.contract import Baseline, WirePlan
from intents.governance.encryption import patient_token
from intents.models import Intent, Screening
from intents.pipeline import sealing


def stored_fields(intent: Intent, *, screening: Screening, plan: WirePlan) -> dict[str, object]:
    """The present value of every field of a statement that is stored with the change itself.

    The fields of the decision (view hash, checks, approver, moment) are not among them.
    """
    version = screening.version
    return {
        "tenant_id": str(intent.tenant_id),
        "connection_id": str(intent.connection_id),
        "connection_settings_hash": screening.connection_settings_hash,
        "proposal_id": str(intent.proposal_id),
        "intent_id": str(intent.pk),
        "change_kind": intent.change_kind,
        "interaction": intent.interaction,
        "version_id": str(version.pk),
        "version_number": version.number,
        "version_hash": version.content_hash,
        "screening_id": str(screening.pk),
        "screening_number": screening.number,
        "tag": str(version.tag),
        "payload_hash": plan.payload_hash(),
        "requests": sealing.stated_requests(plan),
        "patient_token": intent.proposal.patient_token,
        "patient_identifiers_hash": identifiers_hash(screening),
        "base_version": screening.target_version,
        "base_hash_whole": screening.hash_whole,
        "base_hash_touched": screening.hash_touched,
        "neighbourhood_hash": screening.neighbourhood_hash,
        "tier": intent.tier,
        "finality": plan.finality.value,
        "expires_at": intent.approval_expires_at,
    }


def identifiers_hash(screening: Screening) -> str:
    """A keyed hash of who the EHR said the patient is when the chart was read; "" if it did not say."""
    stored = screening.phi_json("baseline")
    identity = Baseline.from_json(stored).identity if stored else None
    if identity is None:
        return ""
    shown = {
        "id": identity.id,
        "family": identity.family,
        "given": list(identity.given),
        "birth_date": identity.birth_date,
        "sex": identity.sex,
        "mrns": [list(pair) for pair in identity.mrns],
    }
    return patient_token(tenant_id=screening.tenant_id, patient_ref=canonical_bytes(shown).decode())
