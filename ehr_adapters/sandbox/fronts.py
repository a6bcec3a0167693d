"""The fronts by vendor."""

from ehr_adapters.sandbox.front import Front
from ehr_adapters.sandbox.vendors.advancedmd.front import AdvancedMdFront
from ehr_adapters.sandbox.vendors.athenahealth.front import AthenaFront
from ehr_adapters.sandbox.vendors.eclinicalworks.front import EcwFront
from ehr_adapters.sandbox.vendors.epic.front import EpicFront
from ehr_adapters.sandbox.vendors.generic_r4 import GenericFront
from ehr_adapters.sandbox.vendors.veradigm.front import VeradigmFront

FRONTS: dict[str, Front] = {
    front.vendor: front
    for front in (
        GenericFront(),
        EpicFront(),
        AthenaFront(),
        VeradigmFront(),
        EcwFront(),
        AdvancedMdFront(),
    )
}
BASES = {
    "advancedmd": "/advancedmd/v1/r4/175",
    "generic": "/generic/fhir/R4",
    "epic": "/epic/api/FHIR/R4",
    "eclinicalworks": "/eclinicalworks/fhir/r4/NRTHGA",
    "athenahealth": "/athenahealth/fhir/r4",
    "veradigm": "/veradigm/fhirroute/fhir/CP00101",
}
