"""The people's door: pages, roles, sign-in, and what every page has in common."""
