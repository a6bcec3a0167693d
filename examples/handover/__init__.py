"""An example agent that turns the lines of a hand-over sheet into proposed changes, one line each.

It reads labelled lines ("Allergy: ...", "Pulse: ...") by fixed rules, quotes each line whole, and proposes
only what a line says in full. A line that it does not understand is named and left out.
"""
