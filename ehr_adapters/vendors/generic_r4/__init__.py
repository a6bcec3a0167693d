"""Any FHIR R4 server that keeps to the specification."""
