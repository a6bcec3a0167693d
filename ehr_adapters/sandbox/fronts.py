"""The fronts by vendor."""

from ehr_adapters.sandbox.front import Front
from ehr_adapters.sandbox.vendors.epic.front import EpicFront
from ehr_adapters.sandbox.vendors.generic_r4 import GenericFront
from ehr_adapters.sandbox.vendors.veradigm.front import VeradigmFront

FRONTS: dict[str, Front] = {
    front.vendor: front for front in (GenericFront(), EpicFront(), VeradigmFront())
}
BASES = {
    "generic": "/generic/fhir/R4",
    "epic": "/epic/api/FHIR/R4",
    "veradigm": "/veradigm/fhirroute/fhir/CP00101",
}
