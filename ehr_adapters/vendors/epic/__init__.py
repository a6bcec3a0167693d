"""Epic's FHIR R4 write interfaces."""
