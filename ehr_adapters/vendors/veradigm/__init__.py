"""Veradigm (formerly Allscripts): FHIR R4 without versions, and the Unity actions beside it."""
