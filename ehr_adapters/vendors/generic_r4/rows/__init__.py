"""What can be said to a plain FHIR R4 server, by group of kinds: capability rows and the places of a copy card."""
