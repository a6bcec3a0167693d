"""Veradigm (formerly Allscripts): FHIR R4 without versions at a tenant's address, and the Unity API beside it.

Every oddity is one that Veradigm publishes for its FHIR server, or that integrators' clients of Unity show.
"""
