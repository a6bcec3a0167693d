"""athenaOne as public documents and integrators describe it: two interfaces over one chart.

FHIR R4 for reading, and a proprietary interface by form fields, per practice and department, for nearly
every write. docs/practice-ehr.md names each oddity.
"""
