"""The shapes of the agent API's answers, and what the OpenAPI document says of them."""

from typing import Any

from rest_framework import serializers

from ehr_adapters.capabilities import Finality
from intents.lifecycle import Lane, RejectedBy, State, Tier
from intents.queries.agents import Event, ProposalState


class _Read(serializers.Serializer[Any]):
    """An answer: it is only ever written out."""


# --- problems and sign-in ------------------------------------------------------------------------------


class ProblemPlace(_Read):
    pointer = serializers.CharField(help_text="RFC 6901 pointer into the body that was sent.")
    code = serializers.CharField()
    detail = serializers.CharField()


class ProblemDetails(_Read):
    """RFC 9457 problem details. Nothing in it repeats what was sent."""

    type = serializers.URLField()
    title = serializers.CharField()
    status = serializers.IntegerField()
    detail = serializers.CharField()
    code = serializers.CharField(help_text="The last part of `type`.")
    errors = ProblemPlace(many=True, required=False)  # type: ignore[assignment]  # the name in the answer hides one of the library's


class ProblemKind(_Read):
    """What one kind of problem means."""

    type = serializers.URLField()
    code = serializers.CharField()
    status = serializers.IntegerField()
    title = serializers.CharField()
    meaning = serializers.CharField()


class TokenRequest(_Read):
    grant_type = serializers.ChoiceField(choices=["client_credentials"])
    client_assertion_type = serializers.ChoiceField(
        choices=["urn:ietf:params:oauth:client-assertion-type:jwt-bearer"], required=False
    )
    client_assertion = serializers.CharField(
        required=False, help_text="A JWT signed with ES384 or RS384; aud is this address."
    )
    client_id = serializers.CharField(required=False)
    scope = serializers.CharField(required=False, help_text="portal/suggest portal/status, say.")
    resource = serializers.CharField(required=False, help_text="RFC 8707; this portal's origin.")


class TokenAnswer(_Read):
    access_token = serializers.CharField()
    token_type = serializers.ChoiceField(choices=["Bearer"])
    expires_in = serializers.IntegerField(min_value=1, max_value=300)
    scope = serializers.CharField()


class TokenError(_Read):
    """RFC 6749, section 5.2."""

    error = serializers.ChoiceField(
        choices=[
            "invalid_request",
            "invalid_client",
            "invalid_scope",
            "invalid_target",
            "unsupported_grant_type",
        ]
    )
    error_description = serializers.CharField()


class AuthorizationServer(_Read):
    """RFC 8414."""

    issuer = serializers.URLField()
    token_endpoint = serializers.URLField()
    token_endpoint_auth_methods_supported = serializers.ListField(child=serializers.CharField())
    token_endpoint_auth_signing_alg_values_supported = serializers.ListField(
        child=serializers.CharField()
    )
    grant_types_supported = serializers.ListField(child=serializers.CharField())
    response_types_supported = serializers.ListField(child=serializers.CharField())
    scopes_supported = serializers.ListField(child=serializers.CharField())
    protected_resources = serializers.ListField(child=serializers.URLField())


class ProtectedResource(_Read):
    """RFC 9728."""

    resource = serializers.URLField()
    resource_name = serializers.CharField()
    authorization_servers = serializers.ListField(child=serializers.URLField())
    bearer_methods_supported = serializers.ListField(child=serializers.CharField())
    scopes_supported = serializers.ListField(child=serializers.CharField())


# --- what may be asked ---------------------------------------------------------------------------------


class KindSummary(_Read):
    kind = serializers.CharField()
    label = serializers.CharField()  # type: ignore[assignment]  # the name in the answer hides one of the library's
    fhir_type = serializers.CharField(help_text="How a scope names the kind.")
    fhir_types = serializers.ListField(
        child=serializers.CharField(),
        help_text="All types in which entries of the kind are kept; a scope names that of the entry.",
    )
    interactions = serializers.ListField(child=serializers.CharField())
    schema = serializers.URLField()


class KindList(_Read):
    kinds = KindSummary(many=True)


class Acceptance(_Read):
    """One thing that a connection can or cannot be asked for today."""

    kind = serializers.CharField()
    interaction = serializers.CharField()
    accepted = serializers.BooleanField()
    granted = serializers.BooleanField(help_text="A live grant of this agent covers it.")
    finality = serializers.ChoiceField(choices=[each.value for each in Finality])
    needs_encounter = serializers.BooleanField()
    sentence = serializers.CharField(allow_blank=True)


class ConnectionSummary(_Read):
    connection = serializers.CharField()
    title = serializers.CharField()
    ehr = serializers.CharField()
    environment = serializers.ChoiceField(choices=["SANDBOX", "TEST", "LIVE"])
    writing = serializers.BooleanField(help_text="False while writing is switched off.")
    scopes = serializers.ListField(child=serializers.CharField())
    accepts = Acceptance(many=True)


class ConnectionList(_Read):
    connections = ConnectionSummary(many=True)


# --- what became of it ---------------------------------------------------------------------------------


class FindingShape(_Read):
    severity = serializers.ChoiceField(choices=["error", "warning", "information"])
    code = serializers.CharField()
    expression = serializers.CharField(allow_blank=True)
    diagnostics = serializers.CharField()
    needs_decision = serializers.BooleanField()


class DecisionShape(_Read):
    outcome = serializers.ChoiceField(choices=["approve", "second", "reject", "undo"])
    reason_code = serializers.CharField(allow_blank=True)
    edited = serializers.BooleanField()
    decided_at = serializers.DateTimeField()


class DeliveryShape(_Read):
    phase = serializers.CharField()
    attempts = serializers.IntegerField()
    status_code = serializers.IntegerField(allow_null=True)
    vendor_code = serializers.CharField(allow_blank=True)
    discrepancy = serializers.CharField(allow_blank=True)
    at = serializers.DateTimeField()


class ChangeShape(_Read):
    id = serializers.UUIDField()
    ref = serializers.CharField()
    kind = serializers.CharField()
    interaction = serializers.CharField()
    target = serializers.CharField(allow_blank=True)
    state = serializers.ChoiceField(choices=[each.value for each in State])
    rejected_by = serializers.ChoiceField(
        choices=[each.value for each in RejectedBy], allow_blank=True
    )
    reason = serializers.CharField(allow_blank=True)
    tier = serializers.ChoiceField(choices=[each.value for each in Tier], allow_blank=True)
    finality = serializers.ChoiceField(choices=[each.value for each in Finality], allow_blank=True)
    resource = serializers.CharField(allow_blank=True, help_text="The EHR's reference, once known.")
    resource_version = serializers.CharField(allow_blank=True)
    expires_at = serializers.DateTimeField()
    state_changed_at = serializers.DateTimeField()
    findings = FindingShape(many=True)
    decision = DecisionShape(allow_null=True)
    delivery = DeliveryShape(allow_null=True)


class ProposalShape(_Read):
    id = serializers.UUIDField()
    state = serializers.ChoiceField(choices=[each.value for each in ProposalState])
    lane = serializers.ChoiceField(choices=[each.value for each in Lane])
    connection = serializers.CharField()
    task_type = serializers.CharField(allow_blank=True)
    correlation_id = serializers.CharField()
    received_at = serializers.DateTimeField()
    supersedes = serializers.UUIDField(allow_null=True)
    changes = ChangeShape(many=True)


class ProposalList(_Read):
    proposals = ProposalShape(many=True)
    next = serializers.CharField(
        allow_null=True, help_text="Pass as `after` for the next page; null at the end."
    )


class FeedbackShape(_Read):
    at = serializers.DateTimeField()
    event = serializers.ChoiceField(choices=[each.value for each in Event])
    proposal = serializers.UUIDField()
    change = serializers.UUIDField()
    ref = serializers.CharField()
    reason_code = serializers.CharField(allow_blank=True)
    # null: a version was altered outside the portal or its key was destroyed, so nothing can be compared.
    changed_fields = serializers.ListField(child=serializers.CharField(), allow_null=True)
    status_code = serializers.IntegerField(allow_null=True)
    vendor_code = serializers.CharField(allow_blank=True)


class FeedbackList(_Read):
    items = FeedbackShape(many=True)
    next = serializers.CharField(allow_null=True, help_text="Pass as `after` to go on from here.")
