"""AdvancedMD as public documents and integrators describe it: a FHIR side that only reads, and an older
interface of messages behind a login in two steps, where a note is the fields of a template and a refusal
comes with status 200. docs/practice-ehr.md names each oddity.
"""
