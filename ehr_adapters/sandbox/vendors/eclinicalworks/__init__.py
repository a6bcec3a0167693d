"""eClinicalWorks as public documents and integrators describe it.

Writes go as a transaction of one entry to the base address and are answered with a number inside a 2xx;
most of them wait in "App Data" until a user reconciles them; notes travel as HL7 v2; a wall-clock minute
holds so many calls, those for tokens among them. docs/practice-ehr.md names each oddity.
"""
