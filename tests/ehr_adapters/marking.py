"""What a request says of who made it: the label of an entry, the line of a note, and its FHIR Provenance."""

import base64
import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote_plus

from fhir.resources.R4B.provenance import Provenance

from ehr_adapters.canonical import strict_r4
from ehr_adapters.canonical.note import REFERENCE_LINE
from ehr_adapters.contract import WirePlan
from intents.pipeline import provenance
from intents.pipeline.provenance import Approved, Person, Program, Used

# HL7 v3 ObservationValue: "Artificial Intelligence asserted".
AIAST = {
    "system": "http://terminology.hl7.org/CodeSystem/v3-ObservationValue",
    "code": "AIAST",
}
_BASE64 = re.compile(r'"([A-Za-z0-9+/]{40,}={0,2})"')


def fhir_resources(plan: WirePlan) -> list[dict[str, Any]]:
    """The resources that the plan's requests hold, where they are FHIR."""
    found = []
    for step in plan.steps:
        try:
            body = json.loads(step.body)
        except ValueError:
            continue
        if isinstance(body, dict) and body.get("resourceType") == "Bundle":
            found += [entry["resource"] for entry in body["entry"]]
        elif isinstance(body, dict) and "resourceType" in body:
            found.append(body)
    return found


def texts(plan: WirePlan) -> Iterator[str]:
    """Everything that the requests say, out of forms, JSON and attachments."""
    for step in plan.steps:
        body = step.body.decode("utf-8", "replace")
        yield body
        yield unquote_plus(body)
        for found in _BASE64.findall(body):
            if len(found) % 4 == 0:
                yield base64.b64decode(found).decode("utf-8", "replace")


def check_marked(plan: WirePlan, *, labels_taken: bool) -> None:
    """AIAST on every entry where labels are taken, none where they are not; the readable line in every note.

    A comment stands beside an entry that stays another's.
    """
    for resource in fhir_resources(plan):
        labels = (resource.get("meta") or {}).get("security") or []
        marked = any(AIAST.items() <= each.items() for each in labels)
        assert marked == (labels_taken and plan.interaction != "comment"), resource["resourceType"]
    if plan.kind == "note" and plan.interaction != "entered-in-error":
        line = REFERENCE_LINE + plan.tag.short
        assert any(line in text for text in texts(plan))


def check_provenance(plan: WirePlan) -> None:
    """The Provenance of the plan is valid R4, by the strict check and by the library's model."""
    moment = datetime(2026, 11, 20, 8, 31, 7, tzinfo=UTC)
    resource = provenance.compose(
        Approved(
            key="0b9f7a0e-5d0a-4f6c-9f6e-2f1d0e9a7c11",
            plan=plan,
            program=Program(
                id="agent-1", name="Visit scribe", release="3", model="rules 1", prompt_hash="ab"
            ),
            verifiers=[
                Person(
                    id="u1", name="Dr A. Reyes", role="prescriber", practitioner="Practitioner/p1"
                ),
                Person(id="u2", name="M. Vasik"),
            ],
            author=Person(id="u1", name="Dr A. Reyes"),
            sources=[Used(kind="transcript", sha256="cd" * 32)],
            statements=["ef" * 32],
            policy_hash="01" * 32,
            correlation_id="c-1",
            decided_at=moment,
            recorded_at=moment,
        )
    )
    [target] = resource["target"]
    about = plan.target or f"{target.get('type', 'Condition')}/x1"
    for one in (resource, provenance.with_written(resource, reference=about, version="2")):
        issues = strict_r4.check(one)
        assert not issues, issues
        Provenance.model_validate(one)
    assert target["identifier"]["value"] == plan.tag.uuid
