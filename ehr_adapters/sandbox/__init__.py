"""The practice EHRs: a process of their own that imitates each vendor, spoken to over HTTP only."""
