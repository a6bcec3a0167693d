"""The FHIR Provenance of a draft's approved changes, to take away."""

import json
from uuid import UUID

from django.db import transaction
from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404
from django.utils import timezone
from django.views.decorators.http import require_safe

from audit.tags import AuditTag
from intents.governance.encryption import CannotUnseal
from intents.governance.roles import actor_of
from intents.models import Proposal
from intents.pipeline import provenance
from intents.queries import provenance as stored
from intents.web.access import PortalRequest, page


@require_safe
@page("provenance")
def draft_provenance(request: PortalRequest, proposal_id: UUID) -> HttpResponse:
    """A FHIR R4 collection with one Provenance for each approved change, about the entry that the EHR wrote."""
    proposal = get_object_or_404(Proposal.objects, pk=proposal_id)
    found = stored.of_draft(proposal)
    if not found:
        raise Http404
    try:
        entries = [
            {
                "fullUrl": f"urn:uuid:{record.pk}",
                "resource": provenance.with_written(
                    record.phi_json("resource"),
                    reference=intent.resource_ref,
                    version=intent.resource_version,
                ),
            }
            for intent, record in found
        ]
    except CannotUnseal:
        raise Http404 from None
    with transaction.atomic():
        proposal.note(
            tag=AuditTag.INTENT_PROVENANCE_VIEWED,
            actor=actor_of(request.membership),
            at=timezone.now(),
            records=[str(record.pk) for _, record in found],
        )
    bundle = {"resourceType": "Bundle", "type": "collection", "entry": entries}
    return HttpResponse(
        json.dumps(bundle, indent=2, ensure_ascii=False),
        content_type="application/fhir+json; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="provenance-{proposal.pk}.json"'},
    )
