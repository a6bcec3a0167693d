"""Epic as public documents and integrators describe it: what it takes, drops, hides and calls things.

No versions, no conditional requests, a holding tank for problems and allergies, error numbers in
`issue.details.coding`. docs/practice-ehr.md names each oddity.
"""
