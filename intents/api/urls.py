"""Every address of the agent door. The gate test classifies each one by name."""

from django.urls import path, re_path

from intents.api import metadata, tokens, views

app_name = "api"

urlpatterns = [
    path("oauth/token", tokens.TokenView.as_view(), name="token"),
    path(
        ".well-known/oauth-authorization-server",
        metadata.AuthorizationServerView.as_view(),
        name="authorization-server",
    ),
    path(
        ".well-known/oauth-protected-resource",
        metadata.ProtectedResourceView.as_view(),
        name="protected-resource",
    ),
    path("api/schema/", metadata.SchemaView.as_view(), name="schema"),
    path("api/v1/problems/<slug:code>", metadata.ProblemKindView.as_view(), name="problem-kind"),
    path("api/v1/kinds", views.KindsView.as_view(), name="kinds"),
    path("api/v1/kinds/<slug:kind>/schema", views.KindSchemaView.as_view(), name="kind-schema"),
    path("api/v1/connections", views.ConnectionsView.as_view(), name="connections"),
    path("api/v1/draft/proposals", views.DraftProposalsView.as_view(), name="propose-draft"),
    path("api/v1/suggest/proposals", views.SuggestProposalsView.as_view(), name="propose-suggest"),
    path("api/v1/commit/proposals", views.CommitProposalsView.as_view(), name="propose-commit"),
    path("api/v1/proposals", views.ProposalsView.as_view(), name="proposals"),
    path("api/v1/proposals/<uuid:proposal_id>", views.ProposalView.as_view(), name="proposal"),
    path(
        "api/v1/proposals/<uuid:proposal_id>/withdraw",
        views.WithdrawView.as_view(),
        name="withdraw",
    ),
    path("api/v1/feedback", views.FeedbackView.as_view(), name="feedback"),
    re_path(r"^(?:api|oauth|\.well-known)/.*$", metadata.NotFoundView.as_view(), name="not-found"),
]
