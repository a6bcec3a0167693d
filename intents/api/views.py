"""The agent door. Each view translates, makes one call, and translates back.

There is no address here, and no method of one, by which anything could be approved.
"""

from collections.abc import Mapping
from typing import Any, ClassVar
from uuid import UUID

from django.conf import settings
from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from ehr_adapters.canonical import base as canonical
from intents.api.authentication import LANE_SCOPES, OWN_LANE, STATUS_SCOPE, principal
from intents.api.errors import KINDS, MEDIA_TYPE, Problem, from_intake
from intents.api.parsing import ProposalParser
from intents.api.serializers import (
    ConnectionList,
    FeedbackList,
    KindList,
    ProblemDetails,
    ProposalList,
    ProposalShape,
)
from intents.api.throttling import AgentThrottle
from intents.lifecycle import Lane
from intents.pipeline import gateway, intake
from intents.pipeline.intake.body import ProposalBody
from intents.queries import agents


def problems(*codes: str) -> dict[tuple[int, str], OpenApiResponse]:
    """The problems that an operation can answer with, for the OpenAPI document."""
    by_status: dict[int, list[str]] = {}
    for code in ("not-authenticated", "too-many-requests", *codes):
        by_status.setdefault(KINDS[code].status, []).append(code)
    return {
        (status, MEDIA_TYPE): OpenApiResponse(
            ProblemDetails, "; ".join(KINDS[code].title for code in found)
        )
        for status, found in by_status.items()
    }


SCHEMA_TYPE = "application/schema+json"
AFTER = OpenApiParameter("after", OpenApiTypes.STR, description="The `next` of an earlier answer.")


class AgentView(APIView):
    """What every agent view has: a throttle, and a scope for each of its methods."""

    throttle_classes = (AgentThrottle,)
    required_scopes: ClassVar[Mapping[str, str]] = {"GET": STATUS_SCOPE}

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        # WSGI hands over nothing of a chunked body: it would be refused as an empty one.
        if "HTTP_TRANSFER_ENCODING" in request.META and not request.META.get("CONTENT_LENGTH"):
            raise Problem("length-required")


class KindsView(AgentView):
    """`GET /api/v1/kinds`."""

    @extend_schema(
        operation_id="kinds",
        summary="The kinds of change that can be proposed",
        tags=["kinds"],
        responses={200: KindList, **problems("scope-not-granted")},
    )
    def get(self, request: Request) -> Response:
        return Response(
            {
                "kinds": [
                    {
                        "kind": kind,
                        "label": canonical.kind_label(kind),
                        "fhir_type": canonical.fhir_type(kind),
                        "fhir_types": list(canonical.fhir_types(kind)),
                        "interactions": [str(each) for each in canonical.interactions(kind)],
                        "schema": f"{settings.PORTAL_URL}/api/v1/kinds/{kind}/schema",
                    }
                    for kind in canonical.all_kinds()
                ]
            }
        )


class KindSchemaView(AgentView):
    """`GET /api/v1/kinds/{kind}/schema`."""

    @extend_schema(
        operation_id="kind_schema",
        summary="The JSON Schema (2020-12) to generate a change against",
        tags=["kinds"],
        parameters=[
            OpenApiParameter(
                "interaction", OpenApiTypes.STR, description="Only this interaction's content."
            )
        ],
        responses={
            (200, SCHEMA_TYPE): OpenApiTypes.OBJECT,
            **problems("scope-not-granted", "not-found"),
        },
    )
    def get(self, request: Request, kind: str) -> Response:
        interaction = request.query_params.get("interaction")
        if kind not in canonical.all_kinds() or (
            interaction is not None
            and interaction not in {str(each) for each in canonical.interactions(kind)}
        ):
            raise Problem("not-found")
        return Response(canonical.json_schema(kind, interaction), content_type=SCHEMA_TYPE)


class ConnectionsView(AgentView):
    """`GET /api/v1/connections`."""

    @extend_schema(
        operation_id="connections",
        summary="The agent's connections, with what each accepts today",
        tags=["kinds"],
        responses={200: ConnectionList, **problems("scope-not-granted")},
    )
    def get(self, request: Request) -> Response:
        found = agents.connections(
            agent=principal(request).agent,
            capabilities_of=lambda connection: gateway.capabilities_for(connection=connection),
            at=timezone.now(),
        )
        return Response(ConnectionList({"connections": found}).data)


class LaneView(AgentView):
    """`POST /api/v1/<lane>/proposals`: one address a lane; never one for several."""

    lane: ClassVar[Lane]
    parser_classes = (ProposalParser,)

    def post(self, request: Request) -> Response:
        who = principal(request)
        at = timezone.now()
        raw = request.data if isinstance(request.data, bytes) else b""
        try:
            proposal, created = intake.receive(
                credential=who.credential,
                lane=self.lane,
                key=request.META.get("HTTP_IDEMPOTENCY_KEY", ""),
                raw_body=raw,
                at=at,
            )
        except Exception as refusal:
            problem = from_intake(refusal)
            if problem is not None:
                intake.note_refusal(credential=who.credential, code=problem.code, at=at)
                raise problem from None
            raise
        response = Response(_shape(proposal.pk, who.agent.pk), status=201 if created else 200)
        response["Location"] = f"{settings.PORTAL_URL}/api/v1/proposals/{proposal.pk}"
        return response


def _lane_schema(lane: Lane, summary: str) -> Any:
    return extend_schema(
        operation_id=f"propose_{lane}",
        summary=summary,
        tags=["proposals"],
        parameters=[
            OpenApiParameter(
                "Idempotency-Key",
                {"type": "string", "pattern": "^[!-~]{1,255}$"},
                OpenApiParameter.HEADER,
                required=True,
                description="Same key and body: the same answer. Same key, another body: 409.",
            )
        ],
        request=ProposalBody,
        responses={
            201: ProposalShape,
            200: OpenApiResponse(ProposalShape, "The proposal was received before."),
            **problems(
                "not-json",
                "idempotency-key-missing",
                "wrong-lane",
                "scope-not-granted",
                "proposal-key-reused",
                "length-required",
                "too-large",
                "unsupported-media-type",
                "proposal-invalid",
                "evidence-not-verbatim",
                "forbidden-character",
            ),
        },
    )


class DraftProposalsView(LaneView):
    """The draft lane: rests at VALIDATED until a person promotes it."""

    lane = Lane.DRAFT
    required_scopes: ClassVar[Mapping[str, str]] = {"POST": LANE_SCOPES[Lane.DRAFT]}

    @_lane_schema(Lane.DRAFT, "Prepare a draft that a person must first take up")
    def post(self, request: Request) -> Response:
        return super().post(request)


class SuggestProposalsView(LaneView):
    """The suggest lane: goes to a reviewer."""

    lane = Lane.SUGGEST
    required_scopes: ClassVar[Mapping[str, str]] = {"POST": LANE_SCOPES[Lane.SUGGEST]}

    @_lane_schema(Lane.SUGGEST, "Propose changes to a reviewer")
    def post(self, request: Request) -> Response:
        return super().post(request)


class CommitProposalsView(LaneView):
    """The commit lane: may be approved by policy, where tenant and tier allow it."""

    lane = Lane.COMMIT
    required_scopes: ClassVar[Mapping[str, str]] = {"POST": LANE_SCOPES[Lane.COMMIT]}

    @_lane_schema(Lane.COMMIT, "Propose changes that policy may approve by itself")
    def post(self, request: Request) -> Response:
        return super().post(request)


class ProposalView(AgentView):
    """`GET /api/v1/proposals/{id}`."""

    @extend_schema(
        operation_id="proposal",
        summary="What became of one proposal",
        tags=["proposals"],
        responses={200: ProposalShape, **problems("scope-not-granted", "not-found")},
    )
    def get(self, request: Request, proposal_id: UUID) -> Response:
        return Response(_shape(proposal_id, principal(request).agent.pk))


class ProposalsView(AgentView):
    """`GET /api/v1/proposals`."""

    @extend_schema(
        operation_id="proposals",
        summary="The agent's own proposals, newest first",
        tags=["proposals"],
        parameters=[
            OpenApiParameter("state", enum=[each.value for each in agents.ProposalState]),
            AFTER,
        ],
        responses={
            200: ProposalList,
            **problems("scope-not-granted", "bad-request", "cursor-malformed"),
        },
    )
    def get(self, request: Request) -> Response:
        asked = request.query_params.get("state")
        if asked is not None and asked not in set(agents.ProposalState):
            raise Problem("bad-request", "`state` is open, in_flight or ended.")
        try:
            page = agents.proposals(
                agent_id=principal(request).agent.pk,
                state=agents.ProposalState(asked) if asked else None,
                after=request.query_params.get("after"),
            )
        except agents.CursorUnreadable:
            raise Problem("cursor-malformed") from None
        return Response(ProposalList(page).data)


class WithdrawView(AgentView):
    """`POST /api/v1/proposals/{id}/withdraw`, by the lane that the proposal came by."""

    # Any lane's scope will do here: the withdrawal itself checks which lane the proposal came by.
    required_scopes: ClassVar[Mapping[str, str]] = {"POST": OWN_LANE}

    @extend_schema(
        operation_id="withdraw",
        summary="Take back a proposal that nobody has approved yet",
        tags=["proposals"],
        request=None,
        responses={
            200: ProposalShape,
            **problems("scope-not-granted", "wrong-lane", "not-found", "already-sent"),
        },
    )
    def post(self, request: Request, proposal_id: UUID) -> Response:
        who = principal(request)
        proposal = intake.withdraw(
            credential=who.credential, proposal_id=proposal_id, at=timezone.now()
        )
        return Response(_shape(proposal.pk, who.agent.pk))


class FeedbackView(AgentView):
    """`GET /api/v1/feedback`."""

    @extend_schema(
        operation_id="feedback",
        summary="Decisions, edits and EHR answers since a cursor, oldest first",
        tags=["proposals"],
        parameters=[AFTER],
        responses={200: FeedbackList, **problems("scope-not-granted", "cursor-malformed")},
    )
    def get(self, request: Request) -> Response:
        try:
            page = agents.feedback(
                agent_id=principal(request).agent.pk,
                after=request.query_params.get("after"),
                at=timezone.now(),
            )
        except agents.CursorUnreadable:
            raise Problem("cursor-malformed") from None
        return Response(FeedbackList(page).data)


def _shape(proposal_id: UUID, agent_id: UUID) -> Any:
    found = agents.get_proposal(proposal_id=proposal_id, agent_id=agent_id)
    if found is None:
        raise Problem("not-found")
    return ProposalShape(found).data
