"""Draws the review page of a proposal from its frozen bytes, its baseline and its sources."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from ehr_adapters.capabilities import Finality
from ehr_adapters.contract import Baseline, NameAlikes, WirePlan
from intents.governance.encryption import CannotUnseal
from intents.lifecycle import State, Tier, strictest
from intents.models import Intent, Proposal
from intents.pipeline import gateway
from intents.pipeline.presentation import quoting
from intents.pipeline.presentation.banner import NotPresentable, draw_banner
from intents.pipeline.presentation.cards import RISK_OF_TIER, draw_card, highest
from intents.pipeline.presentation.opened import Numbers, OpenedChange
from intents.pipeline.presentation.page import ReviewPage
from intents.pipeline.presentation.saying import zone_of


def build(*, proposal: Proposal, at: datetime) -> ReviewPage:
    """The page of one proposal as its current screenings have it. Reads the database, not the EHR.

    Raises `NotPresentable` when there is no screened change, or when what is stored cannot be opened or
    parsed back.
    """
    try:
        return _build(proposal, at=at)
    except CannotUnseal:
        raise NotPresentable(
            "What is stored of this draft cannot be opened, so it cannot be shown or sent."
        ) from None


def _build(proposal: Proposal, *, at: datetime) -> ReviewPage:
    intents = _intents(proposal)
    opened = [open_change(i) for i in intents if i.current_screening_id]
    if not opened:
        raise NotPresentable("No change of this draft has been checked yet.")
    sources = {
        source.pk: quoting.OpenSource.of(source)
        for source in proposal.sources.all().order_by("ref")
    }
    ehr = proposal.connection.title or proposal.connection.name
    letters = {i.ref: chr(ord("A") + n % 26) for n, i in enumerate(intents)}
    not_written = {
        letters[one.intent.ref]: _waiting_words(one) for one in opened if _will_not_stand(one)
    }
    numbers = Numbers()
    try:
        cards = tuple(
            draw_card(
                one,
                letters=letters,
                not_written=not_written,
                sources=sources,
                ehr=ehr,
                numbers=numbers,
            )
            for one in opened
        )
    except (ValueError, KeyError, TypeError) as error:
        raise NotPresentable(
            "The stored request cannot be read back, so it cannot be shown or sent."
        ) from error
    tiers = [Tier(one.verdict.tier) for one in opened if one.verdict]
    tier = strictest(tiers)
    marks: dict[Any, list[tuple[int, int]]] = {}
    for one in opened:
        for item in one.evidence:
            marks.setdefault(item.source_id, []).append((item.start, item.end))
    first = opened[0]
    return ReviewPage(
        proposal_id=str(proposal.pk),
        banner=draw_banner(
            baseline=first.baseline, alikes=first.alikes, ehr=ehr, zone=zone_of(first), at=at
        ),
        cards=cards,
        tier=tier.value,
        risk=RISK_OF_TIER.get(tier) or highest(card.risk for card in cards),
        destination=ehr,
        ehr=ehr,
        drafted=_drafted(proposal, first),
        reasons=tuple(
            dict.fromkeys(
                str(r["reason"]) for one in opened if one.verdict for r in one.verdict.reasons
            )
        ),
        sources=tuple(s.view(marks.get(pk, [])) for pk, s in sources.items()),
        about=_about(proposal, opened),
        beside=_beside(proposal, ehr=ehr),
        notices=tuple(dict.fromkeys(u.sentence for one in opened for u in one.baseline.unreadable)),
    )


def _beside(proposal: Proposal, *, ehr: str) -> str:
    """What the EHR is told beside the changes; "" where it takes nothing else."""
    if not gateway.capabilities_for(connection=proposal.connection).provenance:
        return ""
    return (
        f"Once a change is read back equal, {ehr} is also given a record of it (FHIR Provenance): the program "
        "and its model, your name and role, the hashes of the sources and of your approval. No words of the "
        "chart are in it."
    )


_GIVEN_UP = (
    State.REJECTED,
    State.HELD,
    State.FAILED,
    State.EXPIRED,
    State.CANCELLED,
    State.SUPERSEDED,
)


def _will_not_stand(one: OpenedChange) -> bool:
    """A note that reports this change would say something that the chart does not hold."""
    if one.intent.state in _GIVEN_UP or one.plan is None:
        return True
    return one.plan.finality is not Finality.FILED


def _waiting_words(one: OpenedChange) -> str:
    """How a note may go on reporting a change that will wait in the EHR; "" for one that will not."""
    waits = one.plan is not None and one.plan.finality is Finality.STAGED
    if one.intent.state in _GIVEN_UP or not waits:
        return ""
    if one.intent.change_kind == "order":
        return "Keep: ordered, not yet signed"
    return "Keep: it waits in the EHR to be accepted"


def _intents(proposal: Proposal) -> list[Intent]:
    rows = proposal.intents.select_related("current_version", "current_screening", "connection")
    return sorted(rows, key=lambda intent: intent.reading_key)


def open_change(intent: Intent) -> OpenedChange:
    """A screened change with everything unsealed that its card needs."""
    screening, version = intent.current_screening, intent.current_version
    if screening is None or version is None:
        raise NotPresentable("A change has not been checked yet.")
    if not screening.baseline:
        raise NotPresentable("The chart was not read for this draft.")
    return OpenedChange(
        intent=intent,
        version=version,
        screening=screening,
        baseline=Baseline.from_json(screening.phi_json("baseline")),
        alikes=(
            NameAlikes.from_json(screening.phi_json("name_alikes"))
            if screening.name_alikes
            else None
        ),
        plan=WirePlan.from_json(screening.phi_json("wire_plan")) if screening.wire_plan else None,
        content=version.phi_json("content"),
        evidence=tuple(version.evidence.select_related("source").order_by("position")),
        findings=tuple(screening.findings.order_by("position")),
        verdict=screening.verdicts.order_by("-at", "-id").first(),
    )


def _drafted(proposal: Proposal, first: OpenedChange) -> str:
    asked = first.intent.corrects_id
    if asked:
        return (
            f"Asked for by {first.version.author_name}, to take a written change back. Made from the entry as "
            f"it was read before that write. Why: “{proposal.phi('summary')}”"
        )
    titles = [s.phi("title") for s in proposal.sources.all() if s.title]
    release = f" {proposal.agent_release.version}" if proposal.agent_release else ""
    origin = f" from {', '.join(titles)}" if titles else ""
    return f"Drafted by {proposal.agent.name}{release}{origin}, checked against the chart by the portal."


def _about(proposal: Proposal, opened: Sequence[OpenedChange]) -> dict[str, str]:
    model = proposal.model or {}
    about = {
        "Agent and model": " ".join(
            str(p)
            for p in (proposal.agent.name, model.get("name", ""), model.get("version", ""))
            if p
        ),
        "Correlation ID": proposal.correlation_id,
    }
    for one in opened:
        name = one.intent.ref
        if one.verdict:
            rules = ", ".join(str(r["rule"]) for r in one.verdict.reasons)
            about[f"Policy ({name})"] = (
                f"{one.verdict.tier}, rules {rules or 'none'}, policy version {one.verdict.policy_version.version}"
            )
        version = one.screening.target_version or "none given by the EHR"
        about[f"Chart version read ({name})"] = version
        about[f"Payload hash, SHA-256 ({name})"] = one.screening.payload_hash
    return about
