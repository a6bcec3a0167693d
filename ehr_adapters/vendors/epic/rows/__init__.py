"""What can be said to Epic, by group of kinds: capability rows and the places of a copy card."""
