"""Between each kind of change and FHIR R4, both ways; `canonical/fhir_r4.py` is the public face. Pure."""
