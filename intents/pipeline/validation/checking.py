"""All checks of one draft, in the order in which a reader wants to know."""

from collections.abc import Iterable
from datetime import datetime

from ehr_adapters.capabilities import Capability
from ehr_adapters.contract import Baseline, NameAlikes, WirePlan
from ehr_adapters.errors import AdapterError
from intents.pipeline.validation.chart import (
    check_codes,
    check_neighbourhood,
    check_sensitivity,
    check_target,
)
from intents.pipeline.validation.draft import Draft
from intents.pipeline.validation.findings import Finding, error, information
from intents.pipeline.validation.identity import check_patient, check_visit
from intents.pipeline.validation.measurements import check_measurements
from intents.pipeline.validation.medicines import check_medicine
from intents.pipeline.validation.messages import check_message
from intents.pipeline.validation.questionnaires import check_questionnaire
from intents.pipeline.validation.sides import check_sides
from intents.pipeline.validation.times import check_times
from intents.pipeline.validation.wording import (
    check_acts,
    check_characters,
    check_entry,
    check_left_out,
    check_statements,
)

# The adapter refuses these as well; here they have a finding of their own, some of them a hold.
_SAID_ALREADY = frozenset(
    {"patient-unknown", "patient-merged", "visit-of-another", "target-unknown", "target-of-another"}
)


def check(
    draft: Draft,
    *,
    baseline: Baseline | None,
    alikes: NameAlikes | None,
    capability: Capability | None,
    plan: WirePlan | None,
    refusal: AdapterError | None,
    at: datetime,
) -> tuple[Finding, ...]:
    """Every finding about one draft against what the EHR held when the portal looked.

    `plan` is what the adapter made of it; without one, `refusal` is its reason. Raises nothing for
    anything that a draft or a chart can hold.
    """
    findings = list(_structure(draft))
    if baseline is not None:
        findings += check_patient(draft, baseline=baseline, alikes=alikes)
        findings += check_visit(draft, baseline=baseline, capability=capability)
        findings += check_target(draft, baseline=baseline)
    findings += _rendering(plan, refusal)
    if draft.change is not None:
        if baseline is not None:
            findings += check_neighbourhood(draft, baseline=baseline)
            findings += check_codes(draft, baseline=baseline)
            findings += check_sides(draft, baseline=baseline)
            findings += check_medicine(draft, baseline=baseline, at=at)
            findings += check_measurements(draft, baseline=baseline, at=at)
            findings += check_sensitivity(draft, baseline=baseline, capability=capability)
        findings += check_times(draft, at=at)
        findings += check_message(draft)
        findings += check_questionnaire(draft, at=at)
        findings += check_statements(draft)
        findings += check_entry(draft)
        findings += check_acts(draft)
        findings += check_left_out(draft)
        findings += check_characters(draft)
    return tuple(dict.fromkeys(findings))


def _structure(draft: Draft) -> Iterable[Finding]:
    for issue in draft.change_issues:
        yield error(issue.code, issue.sentence, issue.pointer)


def _rendering(plan: WirePlan | None, refusal: AdapterError | None) -> Iterable[Finding]:
    """What the adapter says about the bytes: not possible here, does not fit, or not everything goes along."""
    if refusal is not None:
        places = [issue for issue in refusal.issues if issue.code not in _SAID_ALREADY]
        for issue in places:
            yield error(issue.code, issue.sentence or refusal.sentence, issue.pointer)
        if not refusal.issues:
            yield error("unsupported", refusal.sentence)
    elif plan is not None:
        for remark in plan.remarks:
            yield information(remark.code, remark.sentence, remark.pointer)
