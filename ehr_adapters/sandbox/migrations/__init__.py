"""Schema of the practice EHR's own database file."""
