"""athenaOne: read by FHIR R4, written by a proprietary interface of form fields per practice and department."""
