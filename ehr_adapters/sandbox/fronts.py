"""The fronts by vendor."""

from ehr_adapters.sandbox.front import Front
from ehr_adapters.sandbox.vendors.epic.front import EpicFront
from ehr_adapters.sandbox.vendors.generic_r4 import GenericFront

FRONTS: dict[str, Front] = {front.vendor: front for front in (GenericFront(), EpicFront())}
BASES = {"generic": "/generic/fhir/R4", "epic": "/epic/api/FHIR/R4"}
