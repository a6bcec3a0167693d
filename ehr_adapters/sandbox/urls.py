"""Addresses: the fronts as their vendors lay them out, and the control surface beside them."""

from django.urls import path, re_path

from ehr_adapters.sandbox import control, doors

urlpatterns = [
    path("generic/oauth2/token", doors.token, {"vendor": "generic"}),
    path("epic/oauth2/token", doors.token, {"vendor": "epic"}),
    re_path(r"^generic/fhir/R4(?:/(?P<path>.*))?$", doors.fhir, {"vendor": "generic"}),
    path("athenahealth/oauth2/token", doors.token, {"vendor": "athenahealth"}),
    re_path(r"^athenahealth/fhir/r4(?:/(?P<path>.*))?$", doors.fhir, {"vendor": "athenahealth"}),
    re_path(r"^athenahealth/(?P<path>v1(?:/.*)?)$", doors.fhir, {"vendor": "athenahealth"}),
    re_path(r"^epic/api/FHIR/R4(?:/(?P<path>.*))?$", doors.fhir, {"vendor": "epic"}),
    path(
        "veradigm/fhirroute/authorizationV2/CP00101/connect/token",
        doors.token,
        {"vendor": "veradigm"},
    ),
    re_path(
        r"^veradigm/fhirroute/fhir/CP00101(?:/(?P<path>.*))?$", doors.fhir, {"vendor": "veradigm"}
    ),
    re_path(
        r"^veradigm/Unity/(?P<path>UnityService\.svc/json/.*)$", doors.fhir, {"vendor": "veradigm"}
    ),
    path("eclinicalworks/oauth/oauth2/token", doors.token, {"vendor": "eclinicalworks"}),
    re_path(
        r"^eclinicalworks/fhir/r4/NRTHGA(?:/(?P<path>.*))?$",
        doors.fhir,
        {"vendor": "eclinicalworks"},
    ),
    path("advancedmd/v1/oauth2/token", doors.token, {"vendor": "advancedmd"}),
    re_path(r"^advancedmd/v1/r4/175(?:/(?P<path>.*))?$", doors.fhir, {"vendor": "advancedmd"}),
    re_path(
        r"^advancedmd/(?P<path>(?:practicemanager|processrequest|api|ehr-api)/.*)$",
        doors.fhir,
        {"vendor": "advancedmd"},
    ),
    path("_practice/<path:name>", control.control),
]
